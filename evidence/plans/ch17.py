"""What is run for chapter 17: attention, scans and convolution search a sequence; attention, convolution and a scan read one digit."""

from evidence.tune import tune

RECIPE = "drafts/17_questions.ipynb"
SEEDS = (1, 2, 3)
TUNING_SEED = 0
STEPS = 600
PATIENT = 4 * STEPS
VALIDATION = {"split": "validation", "scene_seed": 900}
TEST = {"split": "test", "scene_seed": 970}

AXES = {"lr": (0.0025, 0.005, 0.01)}
WEIGHT_DECAY = 0.1  # of all
SEQUENCE = ("attention", "minGRU", "GRU", "convolution")
PICTURE = ("attention", "convolution", "minGRU")
SEARCHING = {"task": "sequence", "cells": 6, "digits": 6, "positions": "sincos", "long_memory": True}
READING = {"task": "picture", "stem": "patches", "positions": "sincos"}
SCENES = {"sequence": 3_000, "picture": 1_000}  # that a rate is chosen on

# What could overturn it: {group: (kind whose rate is taken, changes, seeds)}
CONTROLS = {
    "minGRU, one way": ("minGRU", {"kind": "minGRU, one way"}, SEEDS),
    "GRU, one way": ("GRU", {"kind": "GRU, one way"}, SEEDS),
    "minGRU, memory not long at first": ("minGRU", {"long_memory": False}, SEEDS),
    "GRU, memory not long at first": ("GRU", {"long_memory": False}, SEEDS),
    "attention, learned positions": ("attention", {"positions": "learned"}, SEEDS[:1]),
    "attention, no positions": ("attention", {"positions": "none"}, SEEDS[:1]),
    "minGRU, learned positions": ("minGRU", {"positions": "learned"}, SEEDS[:1]),
    "minGRU, no positions": ("minGRU", {"positions": "none"}, SEEDS[:1]),
}
for _kind in ("attention", "minGRU", "GRU"):
    CONTROLS |= {
        f"{_kind}, two digits": (_kind, {"digits": 2}, SEEDS[:1]),
        f"{_kind}, 64 cells": (_kind, {"cells": 8}, SEEDS[:1]),
    }
VARIANTS = {  # of the networks that read one digit
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
        task, judged = base["task"], _judged(base["task"])
        margin = {"margin": _standard_error(SCENES[task]), "then": lambda run: -run["scores"]["loss"]}
        grid, mine = tune(runs, [f"{task}: {kind}" for kind in kinds], AXES, judged, **margin)
        best |= mine
        for kind in kinds:
            for setting in grid:
                yield entry("tuning", base, TUNING_SEED, setting, VALIDATION, kind=kind)
            for seed in SEEDS:
                yield entry("report", base, seed, best[f"{task}: {kind}"], TEST, kind=kind)
                if task == "sequence":
                    longer = {"name": f"{kind}, longer", "steps": PATIENT}
                    yield entry("longer", base, seed, best[f"{task}: {kind}"], TEST, kind=kind, **longer)
    for name, (kind, changes, seeds) in CONTROLS.items():
        for seed in seeds:
            changed = {"kind": kind, "name": name, **changes}
            yield entry("control", SEARCHING, seed, best[f"sequence: {kind}"], TEST, **changed)
    for name, (kind, changes) in VARIANTS.items():
        for seed in SEEDS:
            changed = {"kind": kind, "name": name, **changes}
            yield entry("control", READING, seed, best[f"picture: {kind}"], TEST, **changed)
    for base, kind in ((SEARCHING, "minGRU"), (READING, "attention")):
        yield entry("check", base, 1, {"lr": 0.005}, TEST, kind=kind, steps=10)


def entry(part, base, seed, tuned, scans, *, kind, name=None, steps=STEPS, **changes):
    """One run as the record keeps it."""
    settings = {**base, "kind": kind, "steps": steps, "weight_decay": WEIGHT_DECAY, **tuned, **scans, **changes}
    return {"part": part, "group": f"{base['task']}: {name or kind}", "seed": seed, "settings": settings}


def _judged(task):
    """What tuning is after: right answers at the cue, or right digits."""
    name = {"sequence": "cue", "picture": "accuracy"}[task]
    return lambda run: run["scores"][name]


def _standard_error(scenes):
    """Of a share of right answers among so many scenes: settings that differ by less were told apart by luck."""
    return lambda share: (share * (1 - share) / scenes) ** 0.5
