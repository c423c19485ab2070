"""What is run for chapter 17: attention, scans and convolution search a sequence; attention, convolution and a scan read one digit."""

import math

from evidence.tune import settle

RECIPE = "drafts/17_questions.ipynb"
SEEDS = (1, 2, 3)
TUNING_SEEDS = (0, 4)  # the first tries the whole grid, the other what it leaves close together
# In chapter 7 a rival guessed after 800 steps and was level with attention after 3,200: who searches is given the longer time at once.
STEPS = {"sequence": 2_400, "picture": 600}
TUNING_STEPS = {"sequence": 1_200, "picture": 600}
VALIDATION = {"split": "validation", "scene_seed": 900}
TEST = {"split": "test", "scene_seed": 970}
SCENES = {"sequence": 3_000, "picture": 1_000}  # that a rate is chosen on

AXES = {"lr": (0.0025, 0.005, 0.01)}
WEIGHT_DECAY = 0.1  # of all
SEQUENCE = ("attention", "linear attention", "minGRU", "GRU", "convolution", "convolution, summary")
PICTURE = ("attention", "convolution", "minGRU")
SEARCHING = {"task": "sequence", "cells": 5, "digits": 6, "positions": "sincos"}
SEARCHING |= {"long_memory": True, "wider": 1, "near_first": False}
READING = {"task": "picture", "stem": "patches", "positions": "sincos"}

# What could overturn it: {group: (kind whose rate is taken, changes)}, one seed each
CONTROLS = {
    "minGRU, one way": ("minGRU", {"kind": "minGRU, one way"}),
    "minGRU, memory not long at first": ("minGRU", {"long_memory": False}),
    "minGRU, state three times as wide": ("minGRU", {"wider": 3}),
    "GRU, state three times as wide": ("GRU", {"wider": 3}),
    "minGRU, near marks first": ("minGRU", {"near_first": True}),
    "GRU, near marks first": ("GRU", {"near_first": True}),
    "convolution, near marks first": ("convolution", {"near_first": True}),
    "attention, learned positions": ("attention", {"positions": "learned"}),
    "attention, no positions": ("attention", {"positions": "none"}),
    "minGRU, learned positions": ("minGRU", {"positions": "learned"}),
    "attention, two digits": ("attention", {"digits": 2}),
    "minGRU, two digits": ("minGRU", {"digits": 2}),
}
VARIANTS = {  # of the networks that read one digit, two seeds each
    "attention, stem of convolutions": ("attention", {"stem": "convolutions"}),
    "convolution, stem of convolutions": ("convolution", {"stem": "convolutions"}),
    "attention, no positions": ("attention", {"positions": "none"}),
    "convolution, no positions": ("convolution", {"positions": "none"}),
}


def plan(runs):
    """All runs that are wanted. Settings that wait for other runs are None.

    Args:
        runs: those that are done; what was tuned is read from them.
    """
    best = {}
    for kinds, base in ((SEQUENCE, SEARCHING), (PICTURE, READING)):
        task = base["task"]
        groups = {f"{task}: {kind}": kind for kind in kinds}
        how = {"margin": _near(task), "then": lambda run: -run["scores"]["loss"]}
        trials, winners = settle(runs, list(groups), AXES, judged, _near(task), TUNING_SEEDS, **how)
        for group, seed, setting in trials:
            yield entry("tuning", base, seed, setting, VALIDATION, kind=groups[group], steps=TUNING_STEPS[task])
        best |= winners
        for group, kind in groups.items():
            for seed in SEEDS:
                yield entry("report", base, seed, best[group], TEST, kind=kind)
    for name, (kind, changes) in CONTROLS.items():
        changed = {"kind": kind, "name": name, **changes}
        yield entry("control", SEARCHING, SEEDS[0], best[f"sequence: {kind}"], TEST, **changed)
    for name, (kind, changes) in VARIANTS.items():
        for seed in SEEDS[:2]:
            changed = {"kind": kind, "name": name, **changes}
            yield entry("control", READING, seed, best[f"picture: {kind}"], TEST, **changed)
    for base, kind in ((SEARCHING, "minGRU"), (READING, "attention")):
        yield entry("check", base, 1, {"lr": 0.005}, TEST, kind=kind, steps=10)


def entry(part, base, seed, tuned, scans, *, kind, name=None, steps=None, **changes):
    """One run as the record keeps it."""
    steps = steps or STEPS[base["task"]]
    settings = {**base, "kind": kind, "steps": steps, "weight_decay": WEIGHT_DECAY, **tuned, **scans, **changes}
    return {"part": part, "group": f"{base['task']}: {name or kind}", "seed": seed, "settings": settings}


def judged(run):
    """What tuning is after: right answers at the cue, or right digits."""
    return run["scores"].get("cue", run["scores"].get("accuracy"))


def _near(task):
    """Two standard errors of a share of right answers among so many scenes: what differs by less was told apart by luck."""
    return lambda share: 2 * math.sqrt(share * (1 - share) / SCENES[task])
