"""What is run for chapter 11: networks that draw captions, how they fail on new pairs and what cures it; photographs completed."""

from evidence.tune import tune

RECIPE = "drafts/11_synthesis.ipynb"
SEEDS = (1, 2, 3, 4, 5)  # each also holds out other pairs
TUNING_SEED = 0
STEPS = 2_000
VALIDATION = {"split": "validation", "scene_seed": 900}
TEST = {"split": "test", "scene_seed": 950}

LR = {"lr": (0.001, 0.002, 0.004)}
DRAWN = 200  # captions that a setting is chosen on

# What makes a group what it is; what is not named is cross-attention, a plain read-out, four colours, guidance by the caption.
CAPTIONS = {
    "plain": {},
    "deeper": {"readout": "deeper"},
    "product": {"readout": "product"},
    "plain, 7 colours": {"colours": 7},
    "product, 7 colours": {"readout": "product", "colours": 7, "looks": True},
    "word by word": {"by": "word"},
    "tokens": {"kind": "tokens", "colours": 7},
    "pooled": {"kind": "pooled", "colours": 7},
    "unordered": {"kind": "unordered", "colours": 7},
}
TWICE = ("plain",)  # a cure, so with all seeds
LONGER = ("plain", "plain, 7 colours", "pooled", "product, 7 colours")  # four times the steps

HOLES = ("attention", "copying", "biharmonic", "mean colour")
PIECES = ("attention", "all pixels alike", "Poisson", "as pasted")
HOLE_AXES = {"temperature": (0.0003, 0.001, 0.003)}
PIECE_AXES = {"temperature": (0.1, 0.3, 1.0), "near": (0.02, 0.05, 0.1)}


def plan(runs):
    """All runs that are wanted. Settings that wait for other runs are None.

    Args:
        runs: those that are done; what was tuned is read from them.
    """
    grid, best = tune(runs, [name(kind) for kind in CAPTIONS], LR, followed, margin=standard_error, then=fit)
    for kind, how in CAPTIONS.items():
        for setting in grid:
            yield entry("tuning", name(kind), TUNING_SEED, how, setting, VALIDATION, steps=STEPS)
        for seed in SEEDS:
            yield entry("report", name(kind), seed, how, best[name(kind)], TEST, steps=STEPS)
    for kind in TWICE:
        for seed in SEEDS:
            yield entry(
                "attempt", name(f"{kind}, twice the steps"), seed, CAPTIONS[kind], best[name(kind)], TEST, steps=2 * STEPS
            )
    for kind in LONGER:
        yield entry("attempt", name(f"{kind}, four times the steps"), 1, CAPTIONS[kind], best[name(kind)], TEST, steps=4 * STEPS)
    for seed in SEEDS:  # nothing is learned
        for colours in (4, 7):
            yield entry("untrained", f"real: {colours} colours", seed, {"task": "real", "colours": colours}, {}, TEST)
    yield from photographs(runs, "holes", HOLES, HOLE_AXES, "SSIM")
    yield from photographs(runs, "pieces", PIECES, PIECE_AXES, "PSNR")
    yield entry("check", name("product"), 1, CAPTIONS["product"] | {"n": 40}, {"lr": 0.002}, TEST, steps=20)


def photographs(runs, task, kinds, axes, score):
    """Nothing is trained: attention's numbers are chosen on textures, and every way is tried on five sets of photographs."""
    group = f"{task}: attention"
    grid, best = tune(runs, [group], axes, lambda run: run["scores"][score])
    for setting in grid:
        yield entry("tuning", group, TUNING_SEED, {"task": task, "kind": "attention"}, setting, VALIDATION)
    for kind in kinds:
        for seed in SEEDS:
            tuned = best[group] if kind == "attention" else {}
            yield entry("untrained", f"{task}: {kind}", seed, {"task": task, "kind": kind}, tuned, TEST)


def name(kind):
    """The group of a network."""
    return f"captions: {kind}"


def entry(part, group, seed, how, tuned, scenes, *, steps=None):
    """One run as the record keeps it."""
    settings = {"task": "captions", "kind": "cross"} | how | ({} if steps is None else {"steps": steps}) | tuned | scenes
    return {"part": part, "group": group, "seed": seed, "settings": settings}


def followed(run):
    """What a run of the tuning is worth: captions with new pairs that are drawn as they say."""
    return run["scores"]["new: all"]


def fit(run):
    """Between runs that are as good, the one that has learned its lesson better."""
    return -run["scores"]["loss"]


def standard_error(share):
    """Of a share of the captions that a setting is chosen on."""
    return (share * (1 - share) / DRAWN) ** 0.5
