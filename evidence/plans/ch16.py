"""What is run for chapter 16: stereo, tracking, learning without labels, and scenes in words."""

import math

from evidence.tune import Contest, settle

RECIPE = "notebooks/16_beyond.ipynb"
SEEDS = (1, 2, 3)
LONGER_SEEDS = (1, 2)
TUNING_SEEDS = (0, 6)  # the first tries the whole grid, the other what it leaves close together
VALIDATION = {"split": "validation", "scene_seed": 900}
TEST = {"split": "test", "scene_seed": 950}

STEPS = {"stereo": 250, "tracking": 400, "words": 1_000}
TUNING_STEPS = STEPS | {"stereo": 150, "words": 500}  # after which learning rates are chosen
BEFORE, AFTER = 1_000, 200  # steps without labels, and then with 100
LR, WIDE_LR, WORD_LR = (0.002, 0.005, 0.0125), (0.001, 0.002, 0.004), (0.002, 0.004, 0.008)

MATCHERS = ("one step", "without the key", "further layers", "wider", "norm over the picture", "no matching")
LARGER = ("stereo: further layers", "stereo: wider")
CLASSICAL = [
    *((kind, way) for kind in ("differences", "census, 5", "census, 7") for way in ("blocks", "paths")),
    ("correlation", "blocks"),  # of whole blocks, of any size; and of small ones, which paths bring to agree
    ("correlation, 5", "paths"),
    ("correlation, 7", "paths"),
]

MEMORY = {"sharpness": (100.0, 300.0, 900.0), "place": (0.0, 4.0, 16.0)}
PATCHES = MEMORY | {"side": (6, 10, 14)}  # px; the trained network sees 14
PACED = {"sharpness": MEMORY["sharpness"], "radius": (4.0, 8.0, 16.0)}  # their side and place are those without a pace
TEMPLATES = ("difference, pace", "difference, still", "correlation, pace")
TEMPLATE = {"update": (0.0, 0.1, 0.3), "radius": (4.0, 8.0, 16.0), "side": (7, 11, 15)}
# A patch of 20 px is half a frame, one of 4 two cells; a template of 15 holds any digit
EDGES = {"place": 0.0, "update": 0.0}
PATCH_EDGES, TEMPLATE_EDGES = EDGES | {"side": (4, 20)}, EDGES | {"side": 15}

CHOOSE_SHARE = ("attention", "convolution")
SHARES = (0.25, 0.5, 0.75, 0.9)
AS_ATTENTION = ("blanked", "no mixing", "attention, on noise")  # of the share that is best for attention, at rates of their own
PRETRAINED = (*CHOOSE_SHARE, *AS_ATTENTION)
FROM_SCRATCH = ("attention", "convolution", "convolution, batch norm")
LABEL_STEPS = (AFTER, 600, BEFORE + AFTER)  # for who is free to choose, the last is as many as both trainings together
TUNE_LR = WORD_LR
NOTHING = {"steps": 0, "lr": 0.0, "share": 0.0}  # is learned without labels
DRAWS = 3  # of 100 labels, in each run of the report

WRITERS = ("decoder", "previous word", "at once", "pooled", "recurrent", "classifier", "convolutions")
WRITERS += ("decoder, both", "at once, free", "classifier, free", "convolutions, free")
LOOKING = ("decoder", "recurrent")
ONE_ORDER = ("decoder", "at once", "classifier")

LONGER = {  # so many times the steps, with the settings that were best for the short run
    **{f"stereo: {kind}": 4 for kind in ("one step", "further layers", "wider", "no matching")},
    "tracking: trained": 4,
    **{f"labels: {kind}{steps}": 3 for kind in CHOOSE_SHARE for steps in ("", ", patient")},
    **{f"labels: {kind}, from scratch": 3 for kind in FROM_SCRATCH},
    **{f"words: {kind}": 3 for kind in ("decoder", *WRITERS[-4:])},
}
LONGEST = {"stereo: one step": 16}


def plan(runs):
    """All runs that are wanted. Settings that wait for other runs are None.

    Args:
        runs: those that are done; what was tuned is read from them.
    """
    for part in (stereo, tracking, labels, words):
        yield from part(runs, [])


def contests(runs):
    """Who was tuned alike, as far as the runs go."""
    found = []
    for part in (stereo, tracking, labels, words):
        list(part(runs, found))
    return found


def stereo(runs, found):
    """Networks that match, and what needs no training."""
    groups = {f"stereo: {kind}": {"task": "stereo", "kind": kind} for kind in MATCHERS}
    best = yield from tuned(runs, found, groups, {"lr": LR}, off_by_one, a_tenth)
    yield from reported(best)
    for seed in SEEDS:
        for kind, way in CLASSICAL:  # each run chooses its own numbers, on validation pairs
            yield entry("untrained", f"stereo: {kind}, {way}", seed, {"task": "classical", "kind": kind, "way": way}, TEST)
        random = {"task": "stereo", "kind": "random features", "steps": 0, "lr": 0.0}
        yield entry("untrained", "stereo: random features", seed, random, TEST)
    short = {"task": "stereo", "kind": "one step", "steps": 10, "lr": 0.005}
    yield entry("check", "stereo: one step", 1, short, VALIDATION)


def tracking(runs, found):
    """Memories, trained or not, with a pace or without, and templates."""
    how = lambda task, **more: {"task": task} | more
    tune = lambda groups, axes, bounds: tuned(runs, found, groups, axes, on_target, some_clips, bounds)
    best = yield from tune({"tracking: trained": how("tracking")}, {"lr": LR}, {})
    best |= yield from tune({"tracking: untrained": how("tracking", steps=0)}, MEMORY, EDGES)
    best |= yield from tune({"tracking: patches": how("patches")}, PATCHES, PATCH_EDGES)
    taken = {name: best["tracking: patches"][1][name] for name in ("side", "place")}
    best |= yield from tune({"tracking: patches, pace": how("patches", **taken)}, PACED, {})
    templates = {f"tracking: {kind}": how("rival", kind=kind) for kind in TEMPLATES}
    best |= yield from tune(templates, TEMPLATE, TEMPLATE_EDGES)
    yield from reported(best)
    for seed in SEEDS:
        yield entry("untrained", "tracking: steady pace", seed, {"task": "rival", "kind": "steady pace"}, TEST)


def labels(runs, found):
    """Networks that learn without labels, then with 100; and networks that never saw a picture without one."""
    both, tint = {"steps": BEFORE, "tune_steps": AFTER}, {"background": "tint"}
    before = {f"before: {kind}": {"task": "before", "kind": kind} | both | tint for kind in PRETRAINED}
    free = {group: how for group, how in before.items() if how["kind"] in CHOOSE_SHARE}
    pretrained = yield from tuned(runs, found, free, {"lr": WIDE_LR, "share": SHARES}, fine_tuned, a_run, {"share": 0.9})
    share = {"share": pretrained["before: attention"][1]["share"]}
    bound = {group: how | share for group, how in before.items() if group not in free}
    # In noise there is nothing to learn: the lowest rate that was tried does the least, and a lower one would do still less
    pretrained |= yield from tuned(runs, found, bound, {"lr": WIDE_LR}, fine_tuned, a_run, {"lr": 0.0003})
    rates = {how["kind"]: {name: (how | best)[name] for name in ("lr", "share")} for how, best in pretrained.values()}

    label = lambda kind: {"task": "labels", "kind": kind, "draws": 1} | tint
    ways = {f"labels: {kind}": label(kind) | both | rates[kind] for kind in PRETRAINED}
    best = yield from tuned(runs, found, ways, {"tune_lr": TUNE_LR}, fine_tuned, a_run)
    scratch = {f"labels: {kind}, from scratch": label(kind) | NOTHING for kind in FROM_SCRATCH}
    patient = {f"labels: {kind}, patient": label(kind) | {"steps": BEFORE} | rates[kind] for kind in CHOOSE_SHARE}
    axes, bounds = {"tune_lr": TUNE_LR, "tune_steps": LABEL_STEPS}, {"tune_steps": LABEL_STEPS[-1]}
    for groups in (scratch, patient):
        best |= yield from tuned(runs, found, groups, axes, fine_tuned, a_run, bounds)
    yield from reported({group: (how | {"draws": DRAWS}, setting) for group, (how, setting) in best.items()}, {"draws": 2})
    how, setting = best["labels: attention"]
    for share in SHARES:
        if how["share"] in (None, share):
            continue  # that one is in the report
        group = f"attention, {share:.2f} hidden"
        trial = {f"before: {group}": before["before: attention"] | {"share": share}}
        ((_, rate),) = (yield from tuned(runs, found, trial, {"lr": WIDE_LR}, fine_tuned, a_run)).values()
        other = how | setting | rate | {"share": share, "draws": DRAWS}
        for seed in SEEDS:
            yield entry("shares", f"labels: {group}", seed, other, TEST)
    unused = NOTHING | {"tune_lr": 0.0, "tune_steps": 0}
    for seed in SEEDS:
        yield entry("untrained", "labels: pixels", seed, label("pixels") | unused, TEST)
    short = label("attention") | {"steps": 10, "lr": 0.002, "share": 0.75, "tune_lr": 0.001, "tune_steps": 5}
    yield entry("check", "labels: attention", 1, short, TEST)


def words(runs, found):
    """Networks that write captions."""
    how = {"task": "words", "order": "either", "looks": False}
    groups = {f"words: {kind}": how | {"kind": kind} for kind in WRITERS}
    groups |= {f"words: {kind}, one order": how | {"kind": kind, "order": "one"} for kind in ONE_ORDER}
    best = yield from tuned(runs, found, groups, {"lr": WORD_LR}, exact, a_run)
    looks = lambda how: how | {"looks": how["kind"] in LOOKING and how["order"] == "either"}
    yield from reported({group: (looks(how), rate) for group, (how, rate) in best.items()})
    untrained = groups["words: decoder"] | {"lr": 0.0, "steps": 0, "looks": True}
    for seed in SEEDS:
        yield entry("untrained", "words: decoder, untrained", seed, untrained, TEST)
    yield entry("check", "words: decoder", 1, untrained | {"lr": 0.002, "steps": 10}, TEST)


def tuned(runs, found, groups, axes, score, near, bounds=None):
    """The runs that tune these groups on one grid; returns {group: (what it is, its best setting)}, and adds to the contests found."""
    trials, best = settle(runs, list(groups), axes, score, near, TUNING_SEEDS, bounds=bounds)
    found.append(Contest(best, tuple(axes), bounds=bounds or {}))
    for group, seed, setting in trials:
        how = groups[group]
        yield entry("tuning", group, seed, steps_of(how, TUNING_STEPS) | how | setting, VALIDATION)
    return {group: (steps_of(how, STEPS) | how, best[group]) for group, how in groups.items()}


def steps_of(how, steps):
    """{"steps": …} of a task that has one number of them."""
    return {"steps": steps[how["task"]]} if how["task"] in steps else {}


def reported(best, if_longer=None):
    """The runs that the chapter reports, and those that go on for longer."""
    for group, (how, setting) in best.items():
        short = how | setting
        for seed in SEEDS:
            yield entry(part_of(group, short), group, seed, short, TEST)
        for words, times in {"longer": LONGER.get(group), "longest": LONGEST.get(group)}.items():
            if times:
                steps = {name: short[name] and times * short[name] for name in ("steps", "tune_steps") if name in short}
                for seed in LONGER_SEEDS:
                    yield entry("longer", f"{group}, {words}", seed, short | (if_longer or {}) | steps, TEST)


def part_of(group, how):
    """What is compared at equal size and budget is the report; not so what has more parameters, or no training before the labels."""
    if group in LARGER:
        return "larger"
    return "report" if how.get("steps", 1) != 0 else "scratch" if how["task"] == "labels" else "untrained"


def entry(part, group, seed, how, scenes):
    """One run as the record keeps it."""
    return {"part": part, "group": group, "seed": seed, "settings": how | scenes}


def off_by_one(run):
    """Of synthetic pairs: fewer is better."""
    return -run["scores"]["synthetic: off by 1 visible"]


def on_target(run):
    """Of the frames after the meeting; a network is tuned as the chapter uses it, with two frames told and one target."""
    scores = run["scores"]
    return scores.get("first and three latest, focused: after", scores.get("after"))


def fine_tuned(run):
    return run["scores"]["tuned"]


def exact(run):
    return run["scores"]["seen: exact"]


def a_tenth(score):
    """How far below the best an error is close: about what training runs of one network differ by."""
    return 0.1 * abs(score)


def some_clips(share):
    """One standard error of a share of the clips, sixteen for each kind of rival."""
    return math.sqrt(max(share * (1 - share), 0) / 80)


def a_run(share):
    """What two runs of one network differ by, in right answers; chance in the scenes is a third of it."""
    return 0.05
