"""What is run for chapter 08: DETR and convolution with and without suppression, one trick left out at a time, and Hugging Face's DETR."""

from evidence.tune import tune

RECIPE = "notebooks/08_detection.ipynb"
SEEDS = (1, 2, 3, 4, 5)
TUNING_SEED = 0
STEPS = 1200
VALIDATION = {"split": "validation", "scene_seed": 900}
TEST = {"split": "test", "scene_seed": 950}

AXES = {"lr": (0.001, 0.002, 0.004), "weight_decay": (0.0, 0.01, 0.1)}
BOUNDS = {"weight_decay": 0.0}
RIVALS = ("DETR", "DETR, queries alone", "learned queries", "learned queries, alone", "convolution", "convolution, matched")
TUNED = (*RIVALS, "plain DETR", "Hugging Face")
LEFT_OUT = ("boxes not refined", "no prior", "no denoising")  # with the settings of the full recipe
LONGER = ("DETR", "convolution", "plain DETR", "Hugging Face")  # four times the steps, each with its own best settings
WATCHED = ("DETR", "plain DETR", "Hugging Face")  # AP50 on the way, against seconds
APART = ("DETR", "convolution")  # scenes in which no digit covers another


def plan(runs):
    """All runs that are wanted. Settings that wait for other runs are None.

    Args:
        runs: those that are done; what was tuned is read from them.
    """
    grid, best = tune(runs, TUNED, AXES, lambda run: run["scores"][judged_by(run["group"])], bounds=BOUNDS)
    for kind in TUNED:
        for setting in grid:
            yield entry("tuning", kind, TUNING_SEED, setting, VALIDATION, kind=kind)
    for seed in SEEDS:
        for kind in RIVALS:
            yield entry("report", kind, seed, best[kind], TEST, kind=kind)
        for kind in ("plain DETR", "Hugging Face"):
            yield entry("ladder", kind, seed, best[kind], TEST, kind=kind)
        for kind in LEFT_OUT:
            yield entry("ladder", kind, seed, best["DETR"], TEST, kind=kind)
        for kind in APART:
            yield entry("apart", f"{kind}, apart", seed, best[kind], TEST, kind=kind, task="apart")
        for kind in LONGER:
            yield entry("longer", f"{kind}, longer", seed, best[kind], TEST, kind=kind, steps=4 * STEPS)
        for kind in WATCHED:
            yield entry("watched", f"{kind}, watched", seed, best[kind], TEST, kind=kind, steps=2 * STEPS, watch=200)
    short = {"lr": 0.002, "weight_decay": 0.01}
    yield entry("check", "DETR", 1, short, TEST, kind="DETR", steps=20)


def judged_by(kind):
    """What a kind is tuned for: the convolution is not meant to be used without suppression."""
    return "AP50 NMS" if kind == "convolution" else "AP50"


def entry(part, group, seed, tuned, scenes, *, kind, task="crowded", steps=STEPS, watch=0):
    """One run as the record keeps it."""
    settings = {"task": task, "kind": kind, "steps": steps, "watch": watch, **tuned, **scenes}
    return {"part": part, "group": group, "seed": seed, "settings": settings}
