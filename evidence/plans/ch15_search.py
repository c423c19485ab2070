"""What is run for chapter 15 beside its own task: chapter 7's cued search on few pictures and on many, where cells have to be compared."""

from evidence.plans import ch15
from evidence.tune import Contest, settle

RECIPE = "notebooks/07_classification.ipynb"  # its task and its networks
SIZES = (1_280, 8_000, 50_000)
# The second is a convolution whose cells are scaled by a summary of the picture
KINDS = {"attention": "attention", "summary": "pooled context, scaling"}
TUNED_AT = {"few": SIZES[0], "many": SIZES[-1]}  # pictures; 8,000 take what is best for many, as in chapter 15
RATES = {"lr": (0.001, 0.003, 0.01)}
DECAY = {"weight_decay": 1.0}  # that was best there, for attention and for convolution


def plan(runs):
    """All runs that are wanted. Settings that wait for other runs are None.

    Args:
        runs: those that are done; what was tuned is read from them.
    """
    trials, best = tuned(runs)
    for group, seed, rate in trials:
        kind, _, amount = group.partition(", ")
        yield entry("tuning", group, seed, kind, TUNED_AT[amount], rate, ch15.VALIDATION)
    for seed in ch15.SEEDS:
        for size in SIZES:
            for kind in KINDS:
                rate = best[f"{kind}, {'few' if size == TUNED_AT['few'] else 'many'}"]
                yield entry("report", kind, seed, kind, size, rate, ch15.TEST)
    yield entry("check", "attention", 1, "attention", 1_280, {"lr": 0.003}, ch15.TEST, steps=20)


def contests(runs):
    """Who was tuned alike, as far as the runs go."""
    return [Contest(tuned(runs)[1], tuple(RATES))]


def tuned(runs):
    """The trials that are wanted, and the best rate of each network, with few pictures and with many."""
    groups = [f"{kind}, {amount}" for kind in KINDS for amount in TUNED_AT]
    return settle(runs, groups, RATES, answered, ch15.near, ch15.TUNING_SEEDS)


def entry(part, group, seed, kind, size, rate, scenes, *, steps=ch15.STEPS):
    """One run as the record keeps it."""
    how = {"task": "search", "kind": KINDS[kind], "steps": steps, "depth": 3, "pictures": size}
    return {"part": part, "group": group, "seed": seed, "settings": how | DECAY | rate | scenes}


def answered(run):
    """What tuning is after: right answers at the cue, on pictures of the validation's scans."""
    return run["scores"]["cue"]
