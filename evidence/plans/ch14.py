"""What is run for chapter 14: one network with everything left out of it in turn, small networks from the start, and a student."""

from evidence.tune import tune

RECIPE = "drafts/14_simplify.ipynb"
SEEDS = (1, 2, 3, 4, 5)
FEWER = SEEDS[:3]
TUNING_SEED = 0
STEPS = 400
VALIDATION, TEST = {"split": "validation"}, {"split": "test"}

LR = (0.001, 0.002, 0.004)
ALONE = ("whole", "2 blocks", "1 block", "49 tokens", "no attention", "convolution")  # all from labels
STUDENT = {"lr": LR, "smoothing": (0.0, 0.1, 0.2)}  # soft labels without a teacher: as many settings as with one
TAUGHT = {"lr": LR, "temperature": (1.0, 2.0, 4.0)}
AFTER = {"lr_after": (0.0003, 0.001, 0.003)}  # of a little more training, when something has been left out
DIGITS = 500  # that a setting is chosen on

# How many steps the student takes alone in the seconds that 400 of a taught one take (`evidence.bench.simplify` times both): its
# teacher's answers counted, then its teacher's training as well; and four times as many of each.
AS_LONG, WITH_TEACHER = 1_600, 5_400
PATIENT = 4


def plan(runs):
    """All runs that are wanted. Settings that wait for other runs are None.

    Args:
        runs: those that are done; what was tuned is read from them.
    """
    best = {}
    for groups, axes, how in (
        (ALONE, {"lr": LR}, {"margin": standard_error, "then": _fit}),
        (("student",), STUDENT, {"bounds": {"smoothing": 0.0}}),  # losses with other smoothing or temperature are other losses:
        (("taught",), TAUGHT, {}),  # they cannot decide between equals
        (("again",), AFTER, {}),
    ):
        grid, mine = tune(runs, groups, axes, _score, **how)
        best |= mine
        for group in groups:
            for setting in grid:
                yield entry("tuning", group, TUNING_SEED, setting, VALIDATION, best)
    for seed in SEEDS:
        for group in (*ALONE[1:], "student", "taught"):
            yield entry("report", group, seed, best[group], TEST, best)
        yield entry("report", "left out", seed, best["again"], TEST, best)
        for steps, name in ((AS_LONG, "as long"), (WITH_TEACHER, "as long, teacher's training counted")):
            yield entry("report", f"student, {name}", seed, best["student"], TEST, best, steps=steps)
    for seed in FEWER:
        yield entry("longer", "left out, longer", seed, best["again"], TEST, best, steps=PATIENT * STEPS)
        yield entry("longer", "taught, longer", seed, best["taught"], TEST, best, steps=PATIENT * STEPS)
        yield entry("longer", "student, as long, longer", seed, best["student"], TEST, best, steps=PATIENT * AS_LONG)
        yield entry("longer", "convolution, longer", seed, best["convolution"], TEST, best, steps=PATIENT * STEPS)
    short = {"lr": 0.002, "temperature": 2.0, "teacher_lr": 0.002, "teacher_steps": 10, "steps": 10}
    yield entry("check", "taught", 1, short, TEST, best)


def entry(part, group, seed, tuned, scans, best, *, steps=STEPS):
    """One run as the record keeps it."""
    task = {"taught": "taught", "again": "again", "left out": "left out"}.get(group.partition(",")[0], "alone")
    settings = {"task": task, "steps": steps}
    if task == "alone":
        settings["kind"] = group.partition(",")[0]
    elif task == "taught":
        settings |= {"kind": "student", "teacher_lr": best["whole"]["lr"], "teacher_steps": STEPS}
    else:
        settings["lr"] = best["whole"]["lr"]
    return {"part": part, "group": group, "seed": seed, "settings": settings | tuned | scans}


def standard_error(share):
    """Of a share of right answers among the validation scans: settings that differ by less were told apart by luck."""
    return (share * (1 - share) / DIGITS) ** 0.5


def _score(run):
    return run["scores"].get("accuracy", run["scores"].get("mean"))


def _fit(run):
    return -run["scores"]["loss"]
