"""What is run for chapter 10: networks that draw digits, what they predict and on which path; and twins, whose ends must fit."""

import math

from evidence.tune import settle

RECIPE = "notebooks/10_generation.ipynb"
SEEDS = (1, 2, 3, 4, 5)
FEWER = SEEDS[:3]
TUNING_SEEDS = (0, 6, 7)  # the first tries the whole grid, the others what it leaves close together
# Of tuning and report alike; four times as many in LONGER. A task has a grid of learning rates of its own.
STEPS = {"digits": 1_250, "ways": 1_250, "peer": 1_250, "patches": 1_250, "twins": 1_500, "plane": 1_500}
VALIDATION = {"split": "validation", "scene_seed": 900}  # the second is where drawing begins: the seed of its noise
TEST = {"split": "test", "scene_seed": 950}

AXES = {"lr": (0.003, 0.01, 0.03)}
BEST = "attention + local path"
DESIGNS = ("attention", BEST, "convolution", "local path alone", "no mixing")
PEER = "diffusers"
# With the best design; the second differs from it in the path alone, the third from the second in what is predicted
WAYS = ("flow v", "matched x", "matched noise", "DDPM noise")
TWINS = ("attention", BEST, "convolution", "convolution, 5 × 5", "convolution, 3 × 15")
DIMS, PATCHES = (2, 16, 64, 256), (7, 14)
PLANES = ("x", "v", "v + skip")  # the third need not carry the noise through its width
DRAWN = 1_000  # twins


def models():
    """{group: settings that make it what it is}, all that is trained and tuned."""
    found = {f"digits: {kind}": {"task": "digits", "kind": kind} for kind in DESIGNS}
    found[f"digits: {PEER}"] = {"task": "peer", "kind": PEER}
    found |= {f"digits: {way}": {"task": "ways", "kind": BEST, "learns": way} for way in WAYS}
    for size in PATCHES:
        for predicts in ("x", "v"):
            how = {"task": "patches", "kind": BEST, "learns": f"flow {predicts}", "size": size}
            found[f"patches: {size} px, {predicts}"] = how
    skip = {"task": "patches", "kind": f"{BEST}, skip", "learns": "flow v", "size": 14}
    found["patches: 14 px, v + skip"] = skip
    found |= {f"twins: {kind}": {"task": "twins", "kind": kind} for kind in TWINS}
    for size in DIMS:
        found |= {f"plane: {kind}, {size}": {"task": "plane", "kind": kind, "size": size} for kind in PLANES}
    return found


# Four times the steps, with the settings that were best for the short run: {group: seeds}
LONGER = {f"digits: {kind}": FEWER for kind in DESIGNS[:4]}
LONGER |= dict.fromkeys(("digits: DDPM noise", "patches: 14 px, v", "plane: v, 64", "plane: v, 256"), SEEDS[:1])
LONGER |= {f"twins: {kind}": SEEDS[:1] for kind in TWINS if kind != "convolution"}


def plan(runs):
    """All runs that are wanted. Settings that wait for other runs are None.

    Args:
        runs: those that are done; what was tuned is read from them.
    """
    known = models()
    best = {}
    how = {"margin": standard_error, "then": lambda run: -run["scores"]["loss"]}
    for task in STEPS:
        groups = [group for group, its in known.items() if its["task"] == task]
        trials, winners = settle(runs, groups, AXES, worth, near, TUNING_SEEDS, **how)
        for group, seed, setting in trials:
            yield entry("tuning", group, seed, known[group], setting, VALIDATION)
        best |= winners
    for group, how in known.items():
        task = how["task"]
        part = task if task in ("patches", "plane") else "report"  # patches and dimensions change a model's size
        extra = {"solvers": True} if group == f"digits: {BEST}" else {}
        for seed in FEWER if task in ("patches", "plane") else SEEDS:
            yield entry(part, group, seed, how | extra, best[group], TEST)
    for group, seeds in LONGER.items():
        for seed in seeds:
            yield entry("attempt", f"{group}, longer", seed, known[group], best[group], TEST, times=4)
    for seed in SEEDS:  # nothing is learned
        for kind in ("real scans", "moved scans", "memory"):
            yield entry("untrained", f"digits: {kind}", seed, {"task": "untrained", "kind": kind}, {}, TEST)
        yield entry("untrained", "twins: real twins", seed, {"task": "twins", "kind": "real twins"}, {}, TEST, times=None)
    check = entry("check", "twins: attention", 1, known["twins: attention"], {"lr": 0.003}, TEST)
    yield check | {"settings": check["settings"] | {"steps": 20}}


def entry(part, group, seed, how, tuned, scenes, *, times=1):
    """One run as the record keeps it; `times` the steps of its task, None for a run without any."""
    steps = {} if times is None or how["task"] not in STEPS else {"steps": times * STEPS[how["task"]]}
    return {"part": part, "group": group, "seed": seed, "settings": how | steps | tuned | scenes}


def worth(run):
    """What a run of the tuning is worth: what the ends of twins share, else how small an error or a distance is."""
    scores, task = run["scores"], run["settings"]["task"]
    return scores["shared"] if task == "twins" else -scores["error of v" if task == "plane" else "Fréchet"]


def standard_error(score):
    """Of what twins share, roughly that of a share; errors and distances, counted as negative, have no margin."""
    return math.sqrt(score * (1 - score) / DRAWN) if score > 0 else 0.0


def near(score):
    """How far below the best is close: about as much as what twins share, or a distance, differs between seeds."""
    return abs(score) * (0.25 if score > 0 else 0.15)
