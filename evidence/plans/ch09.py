"""What is run for chapter 09: gates on a U-Net's skips, bottlenecks that may or may not compare, and ways to answer a click."""

from evidence.tune import tune

RECIPE = "notebooks/09_segmentation.ipynb"
SEEDS = (1, 2, 3, 4, 5)
TUNING_SEED = 0
VALIDATION = {"split": "validation", "scene_seed": 900}
TEST = {"split": "test", "scene_seed": 950}

STEPS = {"semantic": 900, "cued": 560, "click": 700, "digits": 800}
TUNING_STEPS = {"semantic": 450, "cued": 560, "click": 350}  # cued: in half as many nothing has been learned
KINDS = {
    "semantic": ("plain", "gates", "gates that ask nothing"),
    "cued": ("attention", "convolution", "FiLM"),
    "click": ("two-way", "no walk", "even walk", "no look", "U-Net"),
}
SCORE = {"semantic": "mIoU", "cued": "IoU", "click": "collages"}  # what is tuned for; never the coins
LR = {"semantic": (0.001, 0.003, 0.01), "cued": (0.001, 0.003, 0.01), "click": (0.001, 0.003, 0.01)}
MARGIN = 0.02  # about what one seed differs from another: within it the lower training loss decides
CLASSICAL = ("flood", "random walker")  # each run chooses their numbers by itself, on validation collages
LONGER = (("cued", "attention"), ("cued", "convolution"))  # four times the steps, each with its own best settings


def plan(runs):
    """All runs that are wanted. Settings that wait for other runs are None.

    Args:
        runs: those that are done; what was tuned is read from them.
    """
    best = {}
    for task, kinds in KINDS.items():
        groups = [name(task, kind) for kind in kinds]
        grid, settings = tune(runs, groups, {"lr": LR[task]}, _score, margin=lambda score: MARGIN, then=_fit)
        best |= settings
        for kind in kinds:
            for setting in grid:
                how = {"task": task, "kind": kind, "steps": TUNING_STEPS[task]}
                yield entry("tuning", name(task, kind), TUNING_SEED, setting, VALIDATION, **how)
            for seed in SEEDS:
                yield entry("report", name(task, kind), seed, best[name(task, kind)], TEST, task=task, kind=kind)
    for kind in CLASSICAL:
        for number, seed in enumerate(SEEDS):  # nothing is learned: only the collages differ
            scenes = TEST | {"scene_seed": TEST["scene_seed"] + number}
            yield entry("untrained", name("classical", kind), seed, {}, scenes, task="classical", kind=kind)
    for task, kind in LONGER:
        setting = best[name(task, kind)]
        yield entry("attempt", f"{name(task, kind)}, longer", 1, setting, TEST, task=task, kind=kind, steps=4 * STEPS[task])
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
