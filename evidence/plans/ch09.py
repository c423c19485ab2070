"""What is run for chapter 09: gates on a U-Net's skips, bottlenecks that may or may not compare, and ways to answer a click."""

from evidence.tune import tune

RECIPE = "notebooks/09_segmentation.ipynb"
SEEDS = (1, 2, 3, 4, 5)
TUNING_SEED = 0
VALIDATION = {"split": "validation", "scene_seed": 900}
TEST = {"split": "test", "scene_seed": 950}

STEPS = {"semantic": 900, "cued": 560, "click": 700, "digits": 800}
KINDS = {
    "semantic": ("plain", "gates", "gates that ask nothing"),
    "cued": ("attention", "convolution", "FiLM"),
    "click": ("two-way", "no walk", "even walk", "no look", "even weights", "U-Net"),
}
SCORE = {"semantic": "mIoU", "cued": "IoU", "click": "collages"}  # what is tuned for; never the coins
LR = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.09)  # in all the steps: in half of them some networks have learned nothing yet
WIDEST = 7  # learning rates, where the best of a task's networks lies at an edge
MARGIN = 0.02  # about what one seed differs from another: within it the lower training loss decides
CLASSICAL = ("flood", "random walker")  # each run chooses their numbers by itself, on validation collages
DIGITS = ("two-way", "no walk", "U-Net")  # with what was best on collages
LONGER = {"cued": KINDS["cued"], "click": ("two-way",)}  # four times the steps, fewer seeds


def plan(runs):
    """All runs that are wanted. Settings that wait for other runs are None.

    Args:
        runs: those that are done; what was tuned is read from them.
    """
    best = {}
    for task, kinds in KINDS.items():
        groups = {name(task, kind): {"task": task, "kind": kind} for kind in kinds}
        grid, mine = tune(runs, groups, {"lr": LR}, _score, most=WIDEST, margin=lambda score: MARGIN, then=_fit)
        best |= mine
        for group, which in groups.items():
            for setting in grid:
                yield entry("tuning", group, TUNING_SEED, setting, VALIDATION, **which)
            for seed in SEEDS:
                yield entry("report", group, seed, best[group], TEST, **which)
    for kind in DIGITS:
        for seed in SEEDS:
            yield entry("report", name("digits", kind), seed, best[name("click", kind)], TEST, task="digits", kind=kind)
    for kind in CLASSICAL:
        for number, seed in enumerate(SEEDS):  # nothing is learned: only the collages differ
            scenes = TEST | {"scene_seed": TEST["scene_seed"] + number}
            yield entry("untrained", name("classical", kind), seed, {}, scenes, task="classical", kind=kind)
    for task, kinds in LONGER.items():
        for kind in kinds:
            for seed in SEEDS[:3]:
                how = {"task": task, "kind": kind, "steps": 4 * STEPS[task]}
                yield entry("longer", f"{name(task, kind)}, longer", seed, best[name(task, kind)], TEST, **how)
    yield entry("check", name("click", "two-way"), 1, {"lr": 0.003}, TEST, task="click", kind="two-way", steps=20)


def name(task, kind):
    """The group of a model on a task."""
    return f"{task}: {kind}"


def entry(part, group, seed, tuned, scenes, *, task, kind, steps=None):
    """One run as the record keeps it."""
    steps = {"steps": steps or STEPS[task]} if task in STEPS else {}
    return {"part": part, "group": group, "seed": seed, "settings": {"task": task, "kind": kind, **steps, **tuned, **scenes}}


def _score(run):
    return run["scores"][SCORE[run["settings"]["task"]]]


def _fit(run):
    return -run["scores"]["loss"]
