"""What is run for chapter 14: one network with everything left out of it in turn, small networks from the start, and a student."""

from functools import partial

from evidence.tune import settle

RECIPE = "drafts/14_simplify.ipynb"
SEEDS = (1, 2, 3, 4, 5)
FEWER = SEEDS[:3]
TUNING_SEEDS = (0, 6, 7)  # the first tries the whole grid, the others what it leaves close together
STEPS = 400
VALIDATION, TEST = {"split": "validation"}, {"split": "test"}

LR, HIGHER = (0.001, 0.002, 0.004), (0.002, 0.004, 0.008)  # where the grids begin
MATCHED = "no attention, 6 blocks"  # as many weights as the whole
ALONE = ("whole", "2 blocks", "1 block", "49 tokens", "no attention", MATCHED)  # all from labels
CONVOLUTION = "convolution"
TEACHERS = {"taught": "whole", "taught by the convolution": CONVOLUTION}
# (task, groups, axes): one grid for all groups of a task. The student alone has as many settings as the taught: labels smoothed
# are soft labels without a teacher.
TUNED = (
    ("alone", ALONE, {"lr": LR}),
    ("convolution", (CONVOLUTION,), {"lr": HIGHER}),  # a grid of its own: in a pilot 0.004 and 0.008 were its best
    ("student", ("student",), {"lr": HIGHER, "smoothing": (0.0, 0.1, 0.2)}),
    ("taught", tuple(TEACHERS), {"lr": HIGHER, "temperature": (1.0, 2.0, 4.0)}),
    ("left out", ("left out",), {"lr_after": (0.0003, 0.001, 0.003)}),  # of a little more training
)
BOUNDS = {"smoothing": (0.0, 0.8)}  # a share: twice 0.8 is none
DIGITS, HEALED = 500, 9  # validation scans, and networks whose mean decides about the last of these

# How many steps the student takes alone in the seconds that 400 of a taught one take (results/simplify.json: 73.7 ms for 18.4), its
# teacher's answers counted; then its teacher's training as well (400 of 166 ms).
AS_LONG, WITH_TEACHER = 1_600, 5_200
PATIENT = 4


def plan(runs):
    """All runs that are wanted. Settings that wait for other runs are None.

    Args:
        runs: those that are done; what was tuned is read from them.
    """
    best = {}
    for task, groups, axes in TUNED:
        how_near = partial(near, answers=DIGITS * HEALED) if task == "left out" else near
        trials, mine = settle(runs, groups, axes, worth, how_near, TUNING_SEEDS, bounds=BOUNDS)
        best |= mine
        for group, seed, setting in trials:
            yield entry("tuning", group, seed, task, setting, VALIDATION, best)
    for seed in SEEDS:
        yield entry("report", "student", seed, "student", best["student"], TEST, best)
        for group in TEACHERS:
            yield entry("report", group, seed, "taught", best[group], TEST, best)
        yield entry("report", "left out", seed, "left out", best["left out"], TEST, best)
        for kind in (*ALONE[1:], CONVOLUTION):  # healed, what was left out has 100 steps more: so have its rivals
            yield entry("small", kind, seed, "alone", best[kind] | best["left out"], TEST, best)
        alone, taught = "student, as long", "taught by the convolution, longer"  # as many steps, and hardly fewer seconds
        yield entry("longer", alone, seed, "student", best["student"], TEST, best, steps=AS_LONG)
        yield entry("longer", taught, seed, "taught", best["taught by the convolution"], TEST, best, steps=AS_LONG)
    for seed in FEWER:
        how = {"steps": WITH_TEACHER}
        yield entry("longer", "student, teacher's training counted", seed, "student", best["student"], TEST, best, **how)
        how = {"steps": PATIENT * STEPS}
        yield entry("longer", "left out, longer", seed, "left out", {}, TEST, best, what="few", **how)
        for kind in ("49 tokens", MATCHED, CONVOLUTION):
            yield entry("longer", f"{kind}, longer", seed, "alone", best[kind], TEST, best, **how)
    short = {"lr": 0.002, "temperature": 2.0, "teacher_lr": 0.002, "teacher_steps": 10, "steps": 10}
    yield entry("check", "taught", 1, "taught", short, TEST, best)


def entry(part, group, seed, task, tuned, scans, best, *, steps=STEPS, what="all"):
    """One run as the record keeps it."""
    settings = {"task": task, "steps": steps}
    if task == "left out":
        settings |= {"lr": best["whole"]["lr"], "what": "tuned" if part == "tuning" else what}
    elif task == "taught":
        teacher = TEACHERS[group.partition(", longer")[0]]
        settings |= {"kind": "student", "teacher_kind": teacher, "teacher_lr": best[teacher]["lr"], "teacher_steps": STEPS}
    else:
        settings["kind"] = "student" if task == "student" else group.removesuffix(", longer")
    return {"part": part, "group": group, "seed": seed, "settings": settings | tuned | scans}


def near(top, answers=DIGITS):
    """How far below the best is close: half a standard error of a share of right answers, two of 500, for it is noise of one seed."""
    return (top * (1 - top) / answers) ** 0.5 / 2


def worth(run):
    """Right answers; of what is trained again, their mean over all that was left out."""
    return run["scores"].get("accuracy", run["scores"].get("mean"))
