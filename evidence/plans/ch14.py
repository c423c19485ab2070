"""What is run for chapter 14: one network with everything left out of it in turn, small networks from the start, and a student."""

from evidence.tune import settle

RECIPE = "notebooks/14_simplify.ipynb"
SEEDS = (1, 2, 3, 4, 5)
FEWER = SEEDS[:3]
TUNING_SEEDS = (0, 6, 7)  # the first tries the whole grid, the others what it leaves close together
STEPS = 400
VALIDATION, TEST = {"split": "validation"}, {"split": "test"}

LR, HIGHER = (0.001, 0.002, 0.004), (0.002, 0.004, 0.008)  # where the grids begin
HIGHEST = (0.004, 0.008, 0.02)  # of the student, after a pilot
AFTER = (0.0003, 0.001, 0.003)  # of a little more training
MATCHED = "no attention, 6 blocks"  # as many weights as the whole
ALONE = ("whole", "2 blocks", "1 block", "49 tokens", "no attention", MATCHED)  # all from labels
CONVOLUTION = "convolution"
TEACHERS = {"taught": "whole", "taught by the convolution": CONVOLUTION}
HARD = "student, hard labels"
# (task, groups, axes): one grid for all groups of a line. The student alone has as many settings to begin with as the taught: labels
# smoothed are soft labels without a teacher. Labels as they are stand beside both, or nobody knows which of the two does it.
TUNED = (
    ("alone", ALONE, {"lr": LR}),
    ("convolution", (CONVOLUTION,), {"lr": HIGHER}),  # a grid of its own: in a pilot 0.004 and 0.008 were its best
    ("student", ("student",), {"lr": HIGHEST, "smoothing": (0.0, 0.1, 0.2, 0.4, 0.6)}),
    ("student", (HARD,), {"lr": HIGHEST}),
    ("taught", tuple(TEACHERS), {"lr": HIGHEST, "temperature": (0.5, 1.0, 2.0, 4.0, 8.0)}),
    ("left out", ("healed little",), {"lr_little": AFTER}),  # what lost much wants a rate that does harm to the rest
    ("left out", ("healed much",), {"lr_much": AFTER}),
)
BOUNDS = {"smoothing": (0.0, 0.8)}  # a share: twice 0.8 is none
DIGITS = 500  # validation scans
MORE = 100  # steps of healing; small networks get them in one training

# How many steps the student takes alone in the seconds that 400 of a taught one take, its teacher's answers counted; then its teacher's
# training as well. A test holds both to the steps that results/simplify.json has timed.
AS_LONG, WITH_TEACHER = 1_600, 5_000
PATIENT = 4
# The best rate of six blocks without attention was found by one seed, beside rates at which nothing is learned: others may stumble.
HALF = ", half the rate"
# Only the student's labels were smoothed as suits it: would the others gain by that, too?
SMOOTHED, ALSO_SMOOTHED = ", smoothed", ("whole", CONVOLUTION)
SMOOTHED_FOR_LONGER = (*ALSO_SMOOTHED, "1 block", "49 tokens", MATCHED)
FRESH = ("2 blocks", "1 block", "no attention")  # what is left of the whole, but from weights as they are drawn


def plan(runs):
    """All runs that are wanted. Settings that wait for other runs are None.

    Args:
        runs: those that are done; what was tuned is read from them.
    """
    best = {}
    for task, groups, axes in TUNED:
        trials, mine = settle(runs, groups, axes, worth, near, TUNING_SEEDS, bounds=BOUNDS)
        best |= mine
        for group, seed, setting in trials:
            yield entry("tuning", group, seed, task, setting, VALIDATION, best)
    healing = best["healed little"] | best["healed much"]
    for seed in SEEDS:
        for group in ("student", HARD):
            yield entry("report", group, seed, "student", best[group], TEST, best)
            yield entry("longer", f"{group}, as long", seed, "student", best[group], TEST, best, steps=AS_LONG)
        for group in TEACHERS:
            yield entry("report", group, seed, "taught", best[group], TEST, best)
        yield entry("report", "left out", seed, "left out", healing, TEST, best)
        for kind in (*ALONE, CONVOLUTION):  # healed, what was left out has 100 steps more: so have its rivals
            if kind != "whole":
                yield entry("small", kind, seed, "alone", best[kind], TEST, best)
            yield entry("small", f"{kind}, {STEPS + MORE} steps", seed, "alone", best[kind], TEST, best, steps=STEPS + MORE)
        rate = best[MATCHED]["lr"]
        yield entry("small", MATCHED + HALF, seed, "alone", {"lr": rate and rate / 2}, TEST, best)
        for kind in FRESH:
            yield entry("small", f"{kind}, {MORE} steps", seed, "alone", best[kind], TEST, best, steps=MORE)
        for kind in ALSO_SMOOTHED:
            yield entry("small", kind + SMOOTHED, seed, "alone", smoothed(kind, best), TEST, best)
        quick = "taught by the convolution, longer"  # as many steps as the student alone has, and hardly fewer seconds
        yield entry("longer", quick, seed, "taught", best["taught by the convolution"], TEST, best, steps=AS_LONG)
    for seed in FEWER:
        how = {"steps": WITH_TEACHER}
        yield entry("longer", "student, teacher's training counted", seed, "student", best["student"], TEST, best, **how)
        how = {"steps": PATIENT * STEPS}
        yield entry("longer", "left out, longer", seed, "left out", {}, TEST, best, what="few", **how)
        for kind in ("1 block", "49 tokens", MATCHED, CONVOLUTION):
            yield entry("longer", f"{kind}, longer", seed, "alone", best[kind], TEST, best, **how)
        for kind in SMOOTHED_FOR_LONGER:
            yield entry("longer", f"{kind}{SMOOTHED}, longer", seed, "alone", smoothed(kind, best), TEST, best, **how)
    short = {"lr": 0.002, "temperature": 2.0, "teacher_lr": 0.002, "teacher_steps": 10, "steps": 10}
    yield entry("check", "taught", 1, "taught", short, TEST, best)


def smoothed(kind, best):
    """A network's own setting with the student's smoothing of labels."""
    return best[kind] | {"smoothing": best["student"]["smoothing"]}


def entry(part, group, seed, task, tuned, scans, best, *, steps=STEPS, what="all"):
    """One run as the record keeps it."""
    settings = {"task": task, "steps": steps}
    kind = group
    for ending in (", longer", ", as long", f", {STEPS + MORE} steps", f", {MORE} steps", HALF, SMOOTHED):
        kind = kind.removesuffix(ending)
    if task == "left out":
        settings |= {"lr": best["whole"]["lr"], "what": group.removeprefix("healed ") if part == "tuning" else what}
    elif task == "taught":  # a teacher learns for as many steps as its student
        settings |= {"kind": "student", "teacher_kind": TEACHERS[kind], "teacher_lr": best[TEACHERS[kind]]["lr"]}
        settings["teacher_steps"] = steps
    else:
        settings["kind"] = "student" if task == "student" else kind
    return {"part": part, "group": group, "seed": seed, "settings": settings | tuned | scans}


def near(top):
    """How far below the best is close: two standard errors of a share of right answers, about what two seeds differ by."""
    return 2 * (top * (1 - top) / DIGITS) ** 0.5


def worth(run):
    """Right answers; of what is trained again, their mean over all that was left out."""
    return run["scores"].get("accuracy", run["scores"].get("mean"))
