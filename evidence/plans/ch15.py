"""What is run for chapter 15: networks on ever more training pictures; more steps; fewer scans; stems and blocks apart; photographs."""

from evidence.tune import Contest, settle

RECIPE = "notebooks/15_scale.ipynb"
SEEDS = (1, 2, 3)
TUNING_SEEDS = (0, 4, 5)  # the first tries the whole grid, the others what it leaves close together
STEPS = 3_200
SIZES = (512, 1_280, 3_200, 8_000, 20_000, 50_000, 125_000)  # each two and a half times the one before
FEW, MIDDLE, MANY = SIZES[0], 8_000, SIZES[-1]
# The seed of a run is added to that of the scenes: each seed is asked about pictures of its own, all networks about the same.
VALIDATION = {"split": "validation", "scene_seed": 905}
TEST = {"split": "test", "scene_seed": 955}
VALIDATION_SCENES = 2_000

LINES = ("attention", "convolution", "mix")
CROSSED = "matrix + convolution"  # the stem of the first and the blocks of the second
KINDS = (*LINES, CROSSED)
CHAPTER_7S = ("mix", "convolution")  # networks of chapter 7, which calls the first "attention"
UNMIXED = "no mixing"  # a copy of CONVOLUTION with kernels of one cell
PLAIN, PHOTOGRAPHS = "plain", "photographs"  # what is behind the digits

TUNED_AT = {"few": 1_280, "many": 50_000}  # scenes; every size takes the settings of the nearer of the two
RATES, DECAYS = {"lr": (0.001, 0.003, 0.01)}, {"weight_decay": (0.01, 0.1, 1.0)}
FIRST_DECAY = 0.1  # with which the learning rate is chosen; then the weight decay with that learning rate
MOST = {"lr": 7, "weight_decay": 6}  # values that an axis may come to have
SHIFT = 4  # px, where pictures are moved about as well


def plan(runs):
    """All runs that are wanted, each once. Settings that wait for other runs are None.

    Args:
        runs: those that are done; what was tuned is read from them.
    """
    wanted = []
    for run in _plan(runs):
        if run not in wanted:
            wanted.append(run)
            yield run


def contests(runs):
    """Who was tuned alike, as far as the runs go."""
    return _tuned(runs)[1]


def _tuned(runs):
    """The trials that are wanted, and the contests: plain pictures, few and many; photographs; more steps."""
    groups = {f"{kind}, {amount}": (kind, TUNED_AT[amount], PLAIN) for kind in (*KINDS, UNMIXED) for amount in TUNED_AT}
    trials, best = along_lines(runs, groups)
    on_photographs = {f"{kind}, {PHOTOGRAPHS}": (kind, TUNED_AT["many"], PHOTOGRAPHS) for kind in LINES}
    # More steps may want another rate; four times the steps take over what is best for twice.
    for_longer = {f"{kind}, longer": (kind, MANY, PLAIN) for kind in LINES}
    decays = lambda few: {group: {"weight_decay": best[f"{kind}, many"]["weight_decay"]} for group, (kind, *_) in few.items()}
    trials_there, best_there = chosen(runs, on_photographs, RATES, decays(on_photographs))
    trials_longer, best_longer = chosen(runs, for_longer, RATES, decays(for_longer), steps=2 * STEPS)
    by_lines = Contest(best, ("lr", "weight_decay"), "lines")
    contests = [by_lines, Contest(best_there, ("lr",)), Contest(best_longer, ("lr",))]
    return [*trials, *trials_there, *trials_longer], contests


def _plan(runs):
    trials, contests = _tuned(runs)
    best, best_there, best_longer = (contest.best for contest in contests)
    yield from trials

    for seed in SEEDS:
        for size in SIZES:
            for kind in KINDS if size in (FEW, MIDDLE, MANY) else LINES:
                setting = best[f"{kind}, {'many' if size >= MIDDLE else 'few'}"]
                yield entry("report" if kind in LINES else "stem", kind, seed, size, kind, setting, TEST)
                if kind in LINES and size == MIDDLE:  # here the settings change: a bend may be theirs
                    yield entry("switch", f"{kind}, settings for few", seed, size, kind, best[f"{kind}, few"], TEST)
                    yield entry("double", f"{kind}, twice the steps", seed, size, kind, setting, TEST, steps=2 * STEPS)
                if kind in LINES and size == FEW:  # stopping early, with a schedule of its own
                    for part in (2, 4):
                        group = f"{kind}, 1 / {part} of the steps"
                        yield entry("shorter", group, seed, size, kind, setting, TEST, steps=STEPS // part)
                if kind in LINES and size == MANY:
                    yield entry("scans", f"{kind}, fewer scans", seed, size, kind, setting, TEST, scans="validation")
                    longer = best_longer[f"{kind}, longer"]
                    yield entry("double", f"{kind}, twice the steps", seed, size, kind, longer, TEST, steps=2 * STEPS)
                    if seed == SEEDS[0]:
                        yield entry("four", f"{kind}, four times the steps", seed, size, kind, longer, TEST, steps=4 * STEPS)
            if size == TUNED_AT["few"]:
                for kind in LINES:
                    group, setting = f"{kind}, moved about", best[f"{kind}, few"]
                    yield entry("moved", group, seed, size, kind, setting, TEST, shift=SHIFT)
            if size in (FEW, MANY):
                setting = best[f"{UNMIXED}, {'many' if size >= MIDDLE else 'few'}"]
                yield entry("unmixed", UNMIXED, seed, size, UNMIXED, setting, TEST)
        for size in (MIDDLE, MANY):
            for kind in LINES:
                setting = best_there[f"{kind}, {PHOTOGRAPHS}"]
                yield entry("control", f"{kind}, on photographs", seed, size, kind, setting, TEST, look=PHOTOGRAPHS)
                if size == MANY and kind in CHAPTER_7S:  # as short as there, with ten times the pictures
                    group = f"{kind}, on photographs, a quarter of the steps"
                    yield entry("sooner", group, seed, size, kind, setting, TEST, look=PHOTOGRAPHS, steps=STEPS // 4)
    short = {"lr": 0.003, "weight_decay": 0.1}
    yield entry("check", "mix", 1, 512, "mix", short, TEST, steps=20)


def along_lines(runs, groups):
    """Learning rates, all of them with one weight decay; then weight decays, with the best rate. Groups as in `chosen`.

    The first decay stays where no other is better by more than luck.
    """
    trials, rates = chosen(runs, groups, RATES, {group: {"weight_decay": FIRST_DECAY} for group in groups})
    more_trials, best = chosen(runs, groups, DECAYS, {group: {"lr": setting["lr"]} for group, setting in rates.items()})
    for group, setting in best.items():
        if None not in setting.values() and not ahead(runs, group, setting, setting | {"weight_decay": FIRST_DECAY}):
            setting["weight_decay"] = FIRST_DECAY
    return trials + [trial for trial in more_trials if trial not in trials], best


def ahead(runs, group, one, other):
    """Whether a group's one setting is better than its other by two standard errors, over the tuning seeds that tried both."""
    tried = {
        (run["seed"], run["settings"]["lr"], run["settings"]["weight_decay"]): accuracy(run)
        for run in runs
        if (run["part"], run["group"]) == ("tuning", group)
    }
    pairs = [[tried.get((seed, *setting.values())) for setting in (one, other)] for seed in TUNING_SEEDS]
    differences = [a - b for a, b in pairs if None not in (a, b)]
    highest = max(a for a, _ in pairs if a is not None)
    return sum(differences) / len(differences) > 2 * near(highest) / len(differences) ** 0.5


def chosen(runs, groups, axis, given, steps=STEPS):
    """One setting of each group, by itself, on one grid for all, while its others stay as they are given.

    Args:
        runs: all runs so far.
        groups: {name: (kind, scenes, look)}.
        axis: {name of a setting: values to begin with}.
        given: {group: its other settings}; None in them waits.
        steps: of each training.

    Returns:
        A list of the runs that this takes, and {group: both settings}.
    """
    ours = [run for run in runs if run["group"] in groups and given[run["group"]].items() <= run["settings"].items()]
    (name,) = axis
    trials, best = settle(ours, list(groups), axis, accuracy, near, TUNING_SEEDS, most=MOST[name])
    wanted = []
    for group, seed, value in trials:
        kind, size, look = groups[group]
        wanted.append(entry("tuning", group, seed, size, kind, given[group] | value, VALIDATION, look=look, steps=steps))
    return wanted, {group: given[group] | setting for group, setting in best.items()}


def entry(part, group, seed, size, kind, tuned, scenes, *, steps=STEPS, look=PLAIN, scans="train", shift=0):
    """One run as the record keeps it."""
    how = {"kind": kind, "pictures": size, "steps": steps, "look": look, "scans": scans, "shift": shift}
    return {"part": part, "group": group, "seed": seed, "settings": how | tuned | scenes}


def accuracy(run):
    """What tuning is after: right answers at the end, to pictures of the validation's scans."""
    return run["scores"]["accuracy"]


def near(share):
    """The standard error of a difference of two shares of right answers: what differs by less was told apart by luck."""
    return (2 * share * (1 - share) / VALIDATION_SCENES) ** 0.5
