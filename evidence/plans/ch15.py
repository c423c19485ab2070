"""What is run for chapter 15: three networks on ever more training pictures; fewer and more steps; photographs behind the digits."""

from evidence.tune import tune

RECIPE = "drafts/15_scale.ipynb"
SEEDS = (1, 2, 3)
TUNING_SEED = 0
STEPS = 3_200
SIZES = (512, 1_280, 3_200, 8_000, 20_000, 50_000, 125_000)  # each two and a half times the one before
KINDS = ("attention", "convolution", "mix")
VALIDATION = {"split": "validation", "scene_seed": 905}
TEST = {"split": "test", "scene_seed": 955}

PLAIN, PHOTOGRAPHS = "plain", "photographs"  # what is behind the digits; all is tuned on the first
CONTROL_SIZES = (8_000, 125_000)

AXES = {"lr": (0.001, 0.003, 0.01), "weight_decay": (0.01, 0.1, 1.0)}
TUNED_AT = {"few": 1_280, "many": 50_000}  # scenes; every size takes the settings of the nearer of the two
MANY = 8_000  # from here on: the middle of the two, on a logarithmic axis


def plan(runs):
    """All runs that are wanted. Settings that wait for other runs are None.

    Args:
        runs: those that are done; what was tuned is read from them.
    """
    groups = [f"{kind}, {amount}" for kind in KINDS for amount in TUNED_AT]
    grid, best = tune(runs, groups, AXES, lambda run: run["scores"]["accuracy"], most=5)
    for group in groups:
        kind, amount = group.split(", ")
        for setting in grid:
            yield entry("tuning", group, TUNING_SEED, TUNED_AT[amount], kind, setting, VALIDATION)
    for seed in SEEDS:
        for size in SIZES:
            for kind in KINDS:
                setting = best[f"{kind}, {'many' if size >= MANY else 'few'}"]
                yield entry("report", kind, seed, size, kind, setting, TEST)
                yield entry("half", f"{kind}, half the steps", seed, size, kind, setting, TEST, steps=STEPS // 2)
                if size in (SIZES[0], SIZES[-1]):
                    yield entry("double", f"{kind}, twice the steps", seed, size, kind, setting, TEST, steps=2 * STEPS)
                if size in CONTROL_SIZES:
                    group = f"{kind}, on photographs"
                    yield entry("control", group, seed, size, kind, setting, TEST, look=PHOTOGRAPHS)
    short = {"lr": 0.003, "weight_decay": 0.1}
    yield entry("check", "mix", 1, 512, "mix", short, TEST, steps=20)


def entry(part, group, seed, size, kind, tuned, scenes, *, steps=STEPS, look=PLAIN):
    """One run as the record keeps it."""
    settings = {"kind": kind, "pictures": size, "steps": steps, "look": look, **tuned, **scenes}
    return {"part": part, "group": group, "seed": seed, "settings": settings}
