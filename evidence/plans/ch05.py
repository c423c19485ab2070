"""What is run for chapter 05: a reader of digits with the right attention, with 21 broken ones, and with uniform weights."""

import math

from evidence.recipe import Recipe, namespace
from evidence.tune import tune

RECIPE = "notebooks/05_from_head_to_block.ipynb"
SEEDS = (1, 2, 3, 4, 5)
TUNING_SEED = 0
STEPS = 1000
SHORT = 250  # of the runs that choose a learning rate, and of a second report, of which the chapter repeats a few
VALIDATION = {"split": "validation", "scene_seed": 900}
TEST = {"split": "test", "scene_seed": 950}

USUAL = 0.03
AXES = {"lr": (0.01, USUAL, 0.1)}
VALIDATION_SCANS = 200


def plan(runs):
    """All runs that are wanted. Settings that wait for other runs are None.

    Args:
        runs: those that are done; what was tuned is read from them.
    """
    names = list(namespace(Recipe.read(RECIPE)).ATTENTIONS)
    grid, best = tune(runs, names, AXES, accuracy, margin=standard_error, then=learned)
    for name in names:
        for setting in grid:
            yield entry("tuning", name, name, TUNING_SEED, setting, VALIDATION)
        for seed in SEEDS:
            yield entry("report", name, name, seed, best[name], TEST, steps=STEPS)
            yield entry("short", f"{name}, {SHORT} steps", name, seed, best[name], TEST)
    yield entry("check", "right", "right", 1, {"lr": USUAL}, TEST, steps=20)


def accuracy(run):
    """What tuning is after."""
    return run["scores"]["accuracy"]


def learned(run):
    """Between equals: who learned most of the training scans; of those that learned nothing, the one nearest to the usual rate."""
    return run["scores"]["training"] - 1e-6 * abs(math.log(run["settings"]["lr"] / USUAL))


def standard_error(share):
    """Of a share of right answers among the validation scans: settings that differ by less were told apart by luck."""
    return (share * (1 - share) / VALIDATION_SCANS) ** 0.5


def entry(part, group, attention, seed, tuned, scans, *, steps=SHORT):
    """One run as the record keeps it."""
    return {"part": part, "group": group, "seed": seed, "settings": {"attention": attention, "steps": steps, **tuned, **scans}}
