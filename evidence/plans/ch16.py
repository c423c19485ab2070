"""What is run for chapter 16: stereo on synthetic pairs and a real one, and tracking; the other half's runs follow."""

from evidence.plans import ch16_more
from evidence.tune import tune

RECIPE = "drafts/16_beyond.ipynb"
SEEDS = (1, 2, 3)
TUNING_SEED = 0
VALIDATION = {"split": "validation", "scene_seed": 900}
TEST = {"split": "test", "scene_seed": 950}

STEPS = {"stereo": 800, "tracking": 400}
LR = (0.002, 0.005, 0.0125)
LEARNED = {  # {task: kinds}, each with a learning rate of its own, from one grid for its task
    "stereo": ("one step", "without the key", "further layers", "wider", "no matching"),
    "tracking": ("trained", "trained, without place"),
}
CLASSICAL = [(kind, way) for kind in ("differences", "census, 5", "census, 7") for way in ("blocks", "paths")]
TEMPLATES = ("difference, pace", "difference, still", "correlation, pace", "correlation, still")
TEMPLATE = {"update": (0.0, 0.1, 0.3), "radius": (4.0, 8.0, 16.0)}
PATCHES = {"sharpness": (100.0, 300.0, 900.0), "place": (0.0, 4.0, 16.0)}
LONGER = ("one step", "further layers")  # four times the steps, with the settings that were best for the short run


def plan(runs):
    """All runs that are wanted. Settings that wait for other runs are None.

    Args:
        runs: those that are done; what was tuned is read from them.
    """
    best = {}
    for task, kinds in LEARNED.items():
        groups = {f"{task}: {kind}": {"task": task, "kind": _kind(task, kind), "steps": STEPS[task]} for kind in kinds}
        best |= yield from _tuned(runs, groups, {"lr": LR})
    for kinds, task, axes, bounds in (
        (TEMPLATES, "rival", TEMPLATE, {"update": 0.0}),
        (("patches, soft", "patches, nearest"), "patches", PATCHES, {"place": 0.0}),
    ):
        groups = {f"tracking: {kind}": {"task": task, "kind": kind.removeprefix("patches, ")} for kind in kinds}
        best |= yield from _tuned(runs, groups, axes, bounds)
    for group, (how, tuned) in best.items():
        for seed in SEEDS:
            yield entry("report", group, seed, how | tuned, TEST)
    for seed in SEEDS:
        for kind, way in CLASSICAL:  # each run chooses its own numbers, on validation pairs
            yield entry("untrained", f"stereo: {kind}, {way}", seed, {"task": "classical", "kind": kind, "way": way}, TEST)
        random = {"task": "stereo", "kind": "random features", "steps": 0, "lr": 0.0}
        yield entry("untrained", "stereo: random features", seed, random, TEST)
        yield entry("untrained", "tracking: steady pace", seed, {"task": "rival", "kind": "steady pace"}, TEST)
    for kind in LONGER:
        how, tuned = best[f"stereo: {kind}"]
        yield entry("longer", f"stereo: {kind}, longer", 1, how | tuned | {"steps": 4 * STEPS["stereo"]}, TEST)
    short = {"task": "stereo", "kind": "one step", "steps": 10, "lr": 0.005}
    yield entry("check", "stereo: one step", 1, short, VALIDATION)
    if ch16_more.RECIPE == RECIPE:  # once both halves are one notebook
        yield from ch16_more.plan(runs)


def entry(part, group, seed, how, scenes):
    """One run as the record keeps it."""
    return {"part": part, "group": group, "seed": seed, "settings": how | scenes}


def _tuned(runs, groups, axes, bounds=None):
    """The runs that tune these groups; returns {group: (what it is, its best setting)}."""
    grid, best = tune(runs, groups, axes, _score, bounds=bounds)
    for group, how in groups.items():
        for setting in grid:
            yield entry("tuning", group, TUNING_SEED, how | setting, VALIDATION)
    return {group: (how, best[group]) for group, how in groups.items()}


def _kind(task, kind):
    """ "trained, without place" is "without place" to the recipe of tracking."""
    return kind.removeprefix("trained, ") if task == "tracking" else kind


def _score(run):
    """What a run of the tuning is worth: pixels that are right, or frames on the target after the meeting."""
    scores = run["scores"]
    if run["settings"]["task"] == "stereo":
        return -scores["synthetic: off by 1 visible"]
    if run["settings"]["task"] == "tracking":
        return scores["first and three latest, focused: after"]
    return scores["after"]
