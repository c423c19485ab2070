"""What is run for chapter 07: four kinds of blocks on cued search, two of them on easier tasks, and attempts to let convolution win."""

import itertools

from evidence.tune import settle

RECIPE = "notebooks/07_classification.ipynb"
SEEDS = (1, 2, 3, 4, 5)
TUNING_SEEDS = (0, 6, 7)  # the first tries the whole grid, the others what it leaves close together
STEPS = 800
VALIDATION = {"split": "validation", "scene_seed": 900}
TEST = {"split": "test", "scene_seed": 950}

AXES = {"lr": (0.001, 0.003, 0.01), "weight_decay": (0.0, 0.1, 1.0)}
BOUNDS = {"weight_decay": 0.0}
KINDS = ("attention", "convolution", "MLP-Mixer", "CBAM")
BOTH = ("attention", "convolution")
SHORTCUTS = ("told", "voted", "told and voted")
TUNED = [("search", kind) for kind in KINDS] + [(task, kind) for task in ("plain", *SHORTCUTS) for kind in BOTH]
VALIDATION_SCENES = 2000

# What was tried to let convolution win at cued search, each with the settings that are best for "convolution".
ATTEMPTS = {
    "twice as deep": {"kind": "convolution", "depth": 6},
    "convolution in a transformer block": {"kind": "transformer block, convolution"},
    "dilated kernels": {"kind": "dilated convolution"},
    "7×7 kernels": {"kind": "7×7 kernels"},
    "squeeze-and-excitation": {"kind": "squeeze-and-excitation"},
    "summary added to every cell": {"kind": "pooled context, added"},
    "summary scales every cell": {"kind": "pooled context, scaling"},
    "convolution, longer": {"kind": "convolution", "steps": 4 * STEPS},
    "twice as deep, longer": {"kind": "convolution", "depth": 6, "steps": 4 * STEPS},
    "convolution in a transformer block, longer": {"kind": "transformer block, convolution", "steps": 4 * STEPS},
    "dilated kernels, longer": {"kind": "dilated convolution", "steps": 4 * STEPS},
    "7×7 kernels, longer": {"kind": "7×7 kernels", "steps": 4 * STEPS},
    "four times as wide, longer": {"kind": "four times as wide", "steps": 4 * STEPS},
    "eight times the pictures, longer": {"kind": "convolution", "steps": 4 * STEPS, "pictures": 96_000},
    "eight times the pictures, 12 times the steps": {"kind": "convolution", "steps": 12 * STEPS, "pictures": 96_000},
    "squeeze-and-excitation, longer": {"kind": "squeeze-and-excitation", "steps": 4 * STEPS},
    "summary added, longer": {"kind": "pooled context, added", "steps": 4 * STEPS},
    "summary scales every cell, longer": {"kind": "pooled context, scaling", "steps": 4 * STEPS},
}
LONGER = ("MLP-Mixer", "CBAM", "attention")  # the others with the same patience, each with its own best settings
SEVERAL = {  # with three seeds each
    "summary scales every cell, longer",
    "summary added, longer",
    "convolution, longer",
    "four times as wide, longer",
    "eight times the pictures, longer",
    "attention, longer",
}

# Relieved of one half of the task, who needs more steps, and who is stuck? Both get four times as many.
PATIENCE = [(way, kind) for way in SHORTCUTS for kind in BOTH]
# At 800 steps the convolution guesses in all columns but the last, so its settings there are luck's: others beside them, after four times the steps
OTHER_SETTINGS = {  # {what is said of them: (ways, setting)}
    "settings of search": (("told", "voted"), None),
    "decay 10": (("search", "told", "voted"), {"lr": 0.003, "weight_decay": 10.0}),
}
PLAIN_TIMES = {4: SEEDS, 12: SEEDS[:3]}  # plain digits with so many times the steps: behind, or only slower?


def plan(runs):
    """All runs that are wanted. Settings that wait for other runs are None.

    Args:
        runs: those that are done; what was tuned is read from them.
    """
    groups = {name(*one): one for one in TUNED}
    how = {"bounds": BOUNDS, "margin": standard_error, "then": lambda run: -run["scores"]["loss"]}
    trials, best = settle(runs, list(groups), AXES, judged, standard_error, TUNING_SEEDS, **how)
    for group, seed, setting in trials:
        task, kind = groups[group]
        yield entry("tuning", group, seed, setting, VALIDATION, task=task, kind=kind)
    for seed in SEEDS:
        for task, kind in TUNED:
            yield entry("report", name(task, kind), seed, best[name(task, kind)], TEST, task=task, kind=kind)
    for attempt, changes in ATTEMPTS.items():
        for seed in seeds_of(attempt):
            yield entry("attempt", attempt, seed, best[name("search", "convolution")], TEST, task="search", **changes)
    for kind in LONGER:
        changes, group = {"kind": kind, "steps": 4 * STEPS}, f"{kind}, longer"
        for seed in seeds_of(group):
            yield entry("attempt", group, seed, best[name("search", kind)], TEST, task="search", **changes)
    for task, kind in PATIENCE:
        for seed in SEEDS:
            changes = {"task": task, "kind": kind, "steps": 4 * STEPS}
            yield entry("patience", f"{name(task, kind)}, longer", seed, best[name(task, kind)], TEST, **changes)
    for words, (tasks, setting) in OTHER_SETTINGS.items():
        for task, seed in itertools.product(tasks, SEEDS[:3]):
            group, changes = f"{task}: convolution, longer, {words}", {"task": task, "kind": "convolution", "steps": 4 * STEPS}
            yield entry("patience", group, seed, setting or best[name("search", "convolution")], TEST, **changes)
    for times, seeds in PLAIN_TIMES.items():
        for seed in seeds:
            for kind in BOTH:
                group, changes = f"plain: {kind}, {times} times the steps", {"kind": kind, "steps": times * STEPS}
                yield entry("patience", group, seed, best[name("plain", kind)], TEST, task="plain", **changes)
    short = {"lr": 0.003, "weight_decay": 0.1}
    yield entry("check", name("search", "attention"), 1, short, TEST, task="search", kind="attention", steps=40)


def seeds_of(attempt):
    """One run each, but for those that a sentence of the chapter rests on."""
    return (1, 2, 3) if attempt in SEVERAL else (1,)


def judged(run):
    """What tuning is after: right answers at the cue, or on plain digits right answers."""
    return run["scores"].get("cue", run["scores"].get("accuracy"))


def standard_error(share):
    """Of a share of right answers among the validation scenes: settings that differ by less were told apart by luck."""
    return (share * (1 - share) / VALIDATION_SCENES) ** 0.5


def name(task, kind):
    """The group of a model on a task."""
    return f"{task}: {kind}"


def entry(part, group, seed, tuned, scenes, *, task, kind, steps=STEPS, depth=3, **more):
    """One run as the record keeps it."""
    settings = {"task": task, "kind": kind, "steps": steps, "depth": depth, **more, **tuned, **scenes}
    return {"part": part, "group": group, "seed": seed, "settings": settings}
