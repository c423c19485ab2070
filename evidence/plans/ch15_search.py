"""What is run for chapter 15 beside its own task: chapter 7's cued search on few pictures and on many, where cells have to be compared."""

from evidence.tune import Contest, settle

RECIPE = "notebooks/07_classification.ipynb"  # its task and its networks
SEEDS = (1, 2, 3)
TUNING_SEEDS = (0, 4, 5)  # the first tries the whole grid, the others what it leaves close together
STEPS = 3_200  # chapter 7's patience, after which its strongest rival was nearly level; and the steps of chapter 15
SIZES = (1_280, 8_000, 50_000)
VALIDATION = {"split": "validation", "scene_seed": 905}
TEST = {"split": "test", "scene_seed": 955}
VALIDATION_SCENES = 2_000

KINDS = {
    "attention": "attention",
    "summary": "pooled context, scaling",
}  # a convolution whose cells a summary of the picture scales
TUNED_AT = {"few": SIZES[0], "many": SIZES[-1]}  # pictures; 8,000 take what is best for many, as in chapter 15
RATES, DECAY = {"lr": (0.001, 0.003, 0.01)}, {"weight_decay": 1.0}  # the decay that was best for all of chapter 7


def plan(runs):
    """All runs that are wanted. Settings that wait for other runs are None.

    Args:
        runs: those that are done; what was tuned is read from them.
    """
    trials, best = tuned(runs)
    for group, seed, rate in trials:
        kind, _, amount = group.partition(", ")
        yield entry("tuning", group, seed, kind, TUNED_AT[amount], rate, VALIDATION)
    for seed in SEEDS:
        for size in SIZES:
            for kind in KINDS:
                rate = best[f"{kind}, {'few' if size == TUNED_AT['few'] else 'many'}"]
                yield entry("report", kind, seed, kind, size, rate, TEST)
    yield entry("check", "attention", 1, "attention", 1_280, {"lr": 0.003}, TEST, steps=20)


def contests(runs):
    """Who was tuned alike, as far as the runs go."""
    return [Contest(tuned(runs)[1], tuple(RATES))]


def tuned(runs):
    """The trials that are wanted, and the best rate of each network, with few pictures and with many."""
    groups = [f"{kind}, {amount}" for kind in KINDS for amount in TUNED_AT]
    return settle(runs, groups, RATES, answered, near, TUNING_SEEDS)


def entry(part, group, seed, kind, size, rate, scenes, *, steps=STEPS):
    """One run as the record keeps it."""
    how = {"task": "search", "kind": KINDS[kind], "steps": steps, "depth": 3, "pictures": size}
    return {"part": part, "group": group, "seed": seed, "settings": how | DECAY | rate | scenes}


def answered(run):
    """What tuning is after: right answers at the cue, on pictures of the validation's scans."""
    return run["scores"]["cue"]


def near(share):
    """The standard error of a difference of two shares of right answers: what differs by less was told apart by luck."""
    return (2 * share * (1 - share) / VALIDATION_SCENES) ** 0.5
