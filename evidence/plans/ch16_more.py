"""What is run for chapter 16's second half: networks that learn without labels, and networks that write captions."""

from evidence.tune import tune

RECIPE = "drafts/16_beyond_part2.ipynb"
SEEDS = (1, 2, 3, 4, 5)
FEWER = SEEDS[:3]
TUNING_SEED = 0
VALIDATION = {"split": "validation", "scene_seed": 900}
TEST = {"split": "test", "scene_seed": 950}

STEPS, TUNE_STEPS = 1_000, 200  # without labels, and then with 100
PATIENT = 3  # so many times the steps, for "longer"
PRETRAINED = ("attention", "blanked", "convolution", "no mixing")
FROM_SCRATCH = ("attention", "convolution")  # as many steps as both trainings together
PRETRAINING = {"lr": (0.001, 0.002, 0.004), "share": (0.5, 0.75, 0.9)}
SHARES = (0.25, 0.5, 0.75, 0.9)
TUNING = {"tune_lr": (0.0005, 0.001, 0.002)}
NONE = {"lr": 0.0, "share": 0.0}  # nothing is pre-trained

WORD_STEPS = 1_200
WRITERS = ("decoder", "last word", "at once", "pooled", "recurrent", "classifier")
LOOKING = ("decoder", "recurrent")
ONE_ORDER = ("decoder", "at once", "classifier")
LONGER = ("decoder", "classifier")
WORD_LR = {"lr": (0.001, 0.002, 0.004)}
SCENES = 1_000  # that a setting is chosen on


def plan(runs):
    """All runs that are wanted. Settings that wait for other runs are None.

    Args:
        runs: those that are done; what was tuned is read from them.
    """
    yield from labels(runs)
    yield from words(runs)


def labels(runs):
    """Learning without labels."""
    names = {kind: f"labels: {kind}" for kind in PRETRAINED}
    grid, best = tune(runs, list(names.values()), PRETRAINING, _probe, bounds={"share": 0.9})
    for kind, group in names.items():
        for setting in grid:
            yield _labels("tuning", group, TUNING_SEED, kind, setting, {"tune_lr": 0.0}, VALIDATION, tune_steps=0)
    ways = {f"tuned: {kind}": (kind, best[group], STEPS, TUNE_STEPS) for kind, group in names.items()}
    ways |= {f"tuned: {kind}, from scratch": (kind, NONE, 0, STEPS + TUNE_STEPS) for kind in FROM_SCRATCH}
    tune_grid, tuned = tune(runs, list(ways), TUNING, _tuned)
    for way, (kind, before, steps, tune_steps) in ways.items():
        group, how = way.replace("tuned", "labels"), {"steps": steps, "tune_steps": tune_steps}
        for setting in tune_grid:
            yield _labels("tuning", way, TUNING_SEED, kind, before, setting, VALIDATION, **how)
        for seed in SEEDS:
            yield _labels("report", group, seed, kind, before, tuned[way], TEST, **how)
        if kind not in FROM_SCRATCH:
            continue
        for seed in FEWER:
            more = {name: PATIENT * count for name, count in how.items()}
            yield _labels("longer", f"{group}, longer", seed, kind, before, tuned[way], TEST, **more)
            photographs = group.replace("labels", "photographs")
            yield _labels("report", photographs, seed, kind, before, tuned[way], TEST, **how, background="photo")
    for seed in SEEDS:
        yield _labels("report", "labels: pixels", seed, "pixels", NONE, {"tune_lr": 0.0}, TEST, steps=0, tune_steps=0)
    for kind in FROM_SCRATCH:
        for share in SHARES:
            for seed in FEWER:
                before = best[names[kind]] | {"share": share}
                group = f"labels: {kind}, {share:.2f} hidden"
                yield _labels("shares", group, seed, kind, before, {"tune_lr": 0.0}, TEST, tune_steps=0)
    short = {"lr": 0.002, "share": 0.75}
    yield _labels("check", "labels: attention", 1, "attention", short, {"tune_lr": 0.001}, TEST, steps=10, tune_steps=5)


def words(runs):
    """A scene in words."""
    grid, best = tune(runs, [f"words: {kind}" for kind in WRITERS], WORD_LR, _exact, margin=_luck, then=_fit)
    for kind in WRITERS:
        group = f"words: {kind}"
        for setting in grid:
            yield _words("tuning", group, TUNING_SEED, kind, "either", setting, VALIDATION)
        for seed in SEEDS if kind == "decoder" else FEWER:
            yield _words("report", group, seed, kind, "either", best[group], TEST, looks=kind in LOOKING)
        for seed in FEWER:
            if kind in ONE_ORDER:
                yield _words("report", f"{group}, one order", seed, kind, "one", best[group], TEST)
            if kind in LONGER:
                yield _words("longer", f"{group}, longer", seed, kind, "either", best[group], TEST, steps=PATIENT * WORD_STEPS)
    for seed in FEWER:
        yield _words("report", "words: decoder, untrained", seed, "decoder", "either", {"lr": 0.0}, TEST, steps=0, looks=True)
    yield _words("check", "words: decoder", 1, "decoder", "either", {"lr": 0.002}, TEST, steps=10, looks=True)


def _labels(part, group, seed, kind, before, after, scenes, *, steps=STEPS, tune_steps, background="tint"):
    """One run as the record keeps it."""
    settings = {"task": "labels", "kind": kind, "background": background, "steps": steps, "tune_steps": tune_steps}
    return {"part": part, "group": group, "seed": seed, "settings": settings | before | after | scenes}


def _words(part, group, seed, kind, order, rate, scenes, *, steps=WORD_STEPS, looks=False):
    settings = {"task": "words", "kind": kind, "order": order, "steps": steps, "looks": looks}
    return {"part": part, "group": group, "seed": seed, "settings": settings | rate | scenes}


def _probe(run):
    return run["scores"]["probe"]


def _tuned(run):
    return run["scores"]["tuned"]


def _exact(run):
    return run["scores"]["seen: exact"]


def _fit(run):
    """Between runs that are as good, the one that has learned its lesson better."""
    return -run["scores"]["loss"]


def _luck(share):
    """One standard error of a share of the scenes that a setting is chosen on."""
    return (share * (1 - share) / SCENES) ** 0.5
