"""What is run for chapter 12: maps and scores tried on planted models, then on chapter 7's network and on others that mimic it."""

import math

from evidence.tune import settle

RECIPE = "notebooks/12_looking_inside.ipynb"
SEEDS = (1, 2, 3, 4, 5)
TUNING_SEEDS = (0, 6, 7)  # the first tries the whole grid, the others what it leaves close together
VALIDATION = {"split": "validation", "scene_seed": 900}
TEST = {"split": "test", "scene_seed": 980}

PLANTED = {"task": "planted", "scenes": 60, **TEST}
# Settings that chapter 7 found good for attention
TRAINED = {"task": "trained", "scenes": 120, "steps": 800, "lr": 0.01, "weight_decay": 0.1, **TEST}
# With even weights a network never compares. Chapter 7's summaries answer the cue after four times the steps, so it gets as many, and
# settings of its own, which another kind of network's are not
LONGER = {"scenes": 500, "steps": 3200}
AXES = {"lr": (0.003, 0.01, 0.03), "weight_decay": (0.0, 0.1, 1.0)}
BOUNDS = {"weight_decay": 0.0}
SHORT = {"task": "planted", "scenes": 4, **TEST}


def plan(runs):
    """All runs that are wanted. Settings that wait for other runs are None.

    Args:
        runs: those that are done; what was tuned is read from them.
    """
    trials, best = settle(runs, ["even weights"], AXES, accuracy, near, TUNING_SEEDS, bounds=BOUNDS, most=5)
    for group, seed, setting in trials:
        yield entry("tuning", group, seed, {"task": group} | LONGER | setting | VALIDATION)
    rates = {"even weights": best["even weights"], "own weights": {name: TRAINED[name] for name in AXES}}
    for seed in SEEDS:
        yield entry("screening", "planted", seed, PLANTED)
        yield entry("report", "trained", seed, TRAINED)
        for group, setting in rates.items():
            yield entry("report", group, seed, {"task": group} | LONGER | setting | TEST)
    yield entry("check", "planted, few", 1, SHORT)


def entry(part, group, seed, settings):
    """One run as the record keeps it."""
    return {"part": part, "group": group, "seed": seed, "settings": settings}


def accuracy(run):
    """What a run of the tuning is worth."""
    return run["scores"]["accuracy"]


def near(score):
    """How far below the best is close: the standard error of a share of 2,000 scenes, four times what is asked for."""
    return math.sqrt(score * (1 - score) / (4 * LONGER["scenes"]))
