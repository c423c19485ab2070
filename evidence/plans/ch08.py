"""What is run for chapter 08: DETR and convolution with and without suppression, one trick left out at a time, and Hugging Face's DETR."""

import math

from evidence.tune import tune

RECIPE = "notebooks/08_detection.ipynb"
SEEDS = (1, 2, 3, 4, 5)
TUNING_SEED = 0
STEPS = 1200
VALIDATION = {"split": "validation", "scene_seed": 900}
TEST = {"split": "test", "scene_seed": 950}

AXES = {"lr": (0.002, 0.004, 0.008)}
WEIGHT_DECAY = 0.01
RIVALS = ("DETR", "DETR, queries alone", "learned queries", "learned queries, alone", "convolution", "convolution, matched")
WHOLE = ("plain DETR", "Hugging Face")
TUNED = RIVALS + WHOLE
LEFT_OUT = ("boxes not refined", "no prior", "no denoising")  # with the settings of the full recipe
VALIDATION_DIGITS = 2500  # in 1,000 scenes of 0 to 5
PAIRS = 300  # of one digit, for each range of overlap
LONGER = ("DETR", "convolution", "convolution, matched")  # four times the steps, each with its own best settings
OTHER_RATES = {  # so that no rival is slow for want of the right one; the tuning had found nothing to choose for Hugging Face's
    "convolution": (0.005, 0.01),
    "Hugging Face": (0.0005, 0.001, 0.002),
}
WATCH = 400  # steps between two looks at AP50


def plan(runs):
    """All runs that are wanted. Settings that wait for other runs are None.

    Args:
        runs: those that are done; what was tuned is read from them.
    """
    grid, best = tune(runs, TUNED, AXES, judged, margin=standard_error, then=lambda run: -run["scores"]["loss"])
    for kind in TUNED:
        for setting in grid:
            yield entry("tuning", kind, TUNING_SEED, setting, VALIDATION, kind=kind)
    for seed in SEEDS:
        for kind in RIVALS:
            yield entry("report", kind, seed, best[kind], TEST, kind=kind, pairs=PAIRS)
    for seed in SEEDS:
        for kind in WHOLE:
            yield entry("ladder", kind, seed, best[kind], TEST, kind=kind)
        for kind in LEFT_OUT:
            yield entry("ladder", kind, seed, best["DETR"], TEST, kind=kind)
    how = {"steps": 4 * STEPS, "pairs": PAIRS, "watch": WATCH}
    for seed in SEEDS:
        for kind in LONGER:
            yield entry("longer", f"{kind}, longer", seed, best[kind], TEST, kind=kind, **how)
    for seed in SEEDS[:3]:
        for kind, rates in OTHER_RATES.items():
            for lr in rates:
                yield entry("longer", f"{kind}, longer, {lr:g}", seed, {"lr": lr}, TEST, kind=kind, **how)
    short = {"lr": 0.002}
    yield entry("check", "DETR", 1, short, TEST, kind="DETR", steps=20)


def judged(run):
    """What a run of the tuning is worth. The convolution is not meant to be used without suppression."""
    return run["scores"]["AP50 NMS" if run["group"] == "convolution" else "AP50"]


def standard_error(precision):
    """That of a share of the digits in the validation scenes, roughly that of AP50."""
    return math.sqrt(precision * (1 - precision) / VALIDATION_DIGITS)


def entry(part, group, seed, tuned, scenes, *, kind, steps=STEPS, pairs=0, watch=0):
    """One run as the record keeps it."""
    settings = {"kind": kind, "steps": steps, "pairs": pairs, "watch": watch, **tuned, "weight_decay": WEIGHT_DECAY, **scenes}
    return {"part": part, "group": group, "seed": seed, "settings": settings}
