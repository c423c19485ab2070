"""What is run for chapter 16: stereo, tracking, learning without labels, and scenes in words."""

import math

from evidence.tune import settle

RECIPE = "drafts/16_beyond.ipynb"
SEEDS = (1, 2, 3)
MORE_SEEDS = (1, 2, 3, 4, 5)  # of what the chapter's conclusions stand on most
TUNING_SEEDS = (0, 6, 7)  # the first tries the whole grid, the others what it leaves close together
VALIDATION = {"split": "validation", "scene_seed": 900}
TEST = {"split": "test", "scene_seed": 950}

STEPS = {"stereo": 600, "tracking": 400, "words": 1_200}
BEFORE, AFTER = 1_000, 200  # steps without labels, and then with 100
LR, WIDE_LR = (0.002, 0.005, 0.0125), (0.001, 0.002, 0.004)

MATCHERS = ("one step", "without the key", "further layers", "wider", "norm over the picture", "no matching")
CLASSICAL = [(kind, way) for kind in ("differences", "census, 5", "census, 7") for way in ("blocks", "paths")]

FOLLOWERS = ("trained", "trained, without place")
TEMPLATES = ("difference, pace", "difference, still", "correlation, pace", "correlation, still")
TEMPLATE = {"update": (0.0, 0.1, 0.3), "radius": (4.0, 8.0, 16.0)}
PATCHES = {"sharpness": (100.0, 300.0, 900.0), "place": (0.0, 4.0, 16.0)}

PRETRAINED = ("attention", "blanked", "convolution", "no mixing")
PRETRAINING = {"lr": WIDE_LR, "share": (0.5, 0.75, 0.9)}
NOISE = "attention, on noise"  # pre-trained as attention is
BATCH_NORM = "convolution, batch norm"
SHOWN_SHARES = ("attention", "convolution")
SHARES = (0.25, 0.5, 0.75, 0.9)
FROM_SCRATCH = ("attention", "convolution", BATCH_NORM)  # as many steps as both trainings together
NOTHING = {"lr": 0.0, "share": 0.0}  # is pre-trained

WRITERS = ("decoder", "last word", "at once", "pooled", "recurrent", "classifier", "at once, free", "classifier, free")
LOOKING = ("decoder", "recurrent")
ONE_ORDER = ("decoder", "at once", "classifier")

LONGER = {  # so many times the steps, with the settings that were best for the short run, at the first of the seeds
    "stereo: one step": 4,
    "stereo: further layers": 4,
    "tracking: trained": 4,
    "words: decoder": 3,
    "words: classifier": 3,
    "words: classifier, free": 3,
    "labels: attention": 3,
    "labels: convolution": 3,
    **{f"labels: {kind}, from scratch": 3 for kind in FROM_SCRATCH},
}
SCENES = 1_000  # on which writers and readers of digits are chosen


def plan(runs):
    """All runs that are wanted. Settings that wait for other runs are None.

    Args:
        runs: those that are done; what was tuned is read from them.
    """
    for part in (stereo, tracking, labels, words):
        yield from part(runs)


def stereo(runs):
    """Networks that match, and what needs no training."""
    groups = {f"stereo: {kind}": {"task": "stereo", "kind": kind, "steps": STEPS["stereo"]} for kind in MATCHERS}
    best = yield from tuned(runs, groups, {"lr": LR}, off_by_one, a_tenth)
    yield from reported(best)
    for seed in SEEDS:
        for kind, way in CLASSICAL:  # each run chooses its own numbers, on validation pairs
            yield entry("untrained", f"stereo: {kind}, {way}", seed, {"task": "classical", "kind": kind, "way": way}, TEST)
        random = {"task": "stereo", "kind": "random features", "steps": 0, "lr": 0.0}
        yield entry("untrained", "stereo: random features", seed, random, TEST)
    short = {"task": "stereo", "kind": "one step", "steps": 10, "lr": 0.005}
    yield entry("check", "stereo: one step", 1, short, VALIDATION)


def tracking(runs):
    """Memories, trained or not, and templates."""
    best = {}
    for task, kinds, axes, bounds in (
        ("tracking", FOLLOWERS, {"lr": LR}, {}),
        ("rival", TEMPLATES, TEMPLATE, {"update": 0.0}),
        ("patches", ("patches, soft", "patches, nearest"), PATCHES, {"place": 0.0}),
    ):
        steps = {"steps": STEPS[task]} if task in STEPS else {}
        plain = lambda kind: kind.removeprefix("patches, ").removeprefix("trained, ")
        groups = {f"tracking: {kind}": {"task": task, "kind": plain(kind)} | steps for kind in kinds}
        best |= yield from tuned(runs, groups, axes, on_target, some_clips, bounds)
    yield from reported(best)
    for seed in SEEDS:
        yield entry("untrained", "tracking: steady pace", seed, {"task": "rival", "kind": "steady pace"}, TEST)


def labels(runs):
    """Networks that learn without labels, then with 100; and networks that never saw a picture without one."""
    both, none = {"steps": BEFORE, "tune_steps": AFTER}, {"tune_lr": 0.0, "tune_steps": 0}
    before = {f"before: {kind}": label(kind) | {"steps": BEFORE} | none for kind in PRETRAINED}
    pretrained = yield from tuned(runs, before, PRETRAINING, probe, few_scenes, {"share": 0.9})
    found = {kind: settings for (_, settings), kind in zip(pretrained.values(), PRETRAINED, strict=True)}
    found[NOISE] = found["attention"]
    ways = {f"labels: {kind}": label(kind) | both | settings for kind, settings in found.items()}
    scratch = {"steps": 0, "tune_steps": BEFORE + AFTER}
    ways |= {f"labels: {kind}, from scratch": label(kind) | scratch | NOTHING for kind in FROM_SCRATCH}
    best = yield from tuned(runs, ways, {"tune_lr": (0.0005, *WIDE_LR)}, fine_tuned, few_scenes)
    yield from reported(best, MORE_SEEDS)
    photographs = ("attention", "convolution", *(f"{kind}, from scratch" for kind in FROM_SCRATCH))
    for seed in SEEDS:
        for kind in photographs:
            how, after = best[f"labels: {kind}"]
            yield entry("report", f"photographs: {kind}", seed, how | after | {"background": "photo"}, TEST)
        for kind in SHOWN_SHARES:
            how, after = best[f"labels: {kind}"]
            for share in SHARES:
                yield entry("shares", f"labels: {kind}, {share:.2f} hidden", seed, how | after | {"share": share}, TEST)
    for seed in MORE_SEEDS:
        yield entry("report", "labels: pixels", seed, label("pixels") | {"steps": 0} | NOTHING | none, TEST)
    short = label("attention") | {"steps": 10, "lr": 0.002, "share": 0.75, "tune_lr": 0.001, "tune_steps": 5}
    yield entry("check", "labels: attention", 1, short, TEST)


def words(runs):
    """Networks that write captions."""
    how = {"task": "words", "order": "either", "steps": STEPS["words"], "looks": False}
    groups = {f"words: {kind}": how | {"kind": kind} for kind in WRITERS}
    best = yield from tuned(runs, groups, {"lr": WIDE_LR}, exact, few_scenes)
    looking = {group: (how | {"looks": how["kind"] in LOOKING}, rate) for group, (how, rate) in best.items()}
    yield from reported(looking)
    for seed in SEEDS:
        for kind in ONE_ORDER:
            how, rate = best[f"words: {kind}"]
            yield entry("report", f"words: {kind}, one order", seed, how | rate | {"order": "one"}, TEST)
        untrained = groups["words: decoder"] | {"lr": 0.0, "steps": 0, "looks": True}
        yield entry("report", "words: decoder, untrained", seed, untrained, TEST)
    yield entry("check", "words: decoder", 1, groups["words: decoder"] | {"lr": 0.002, "steps": 10, "looks": True}, TEST)


def tuned(runs, groups, axes, score, near, bounds=None):
    """The runs that tune these groups on one grid; returns {group: (what it is, its best setting)}."""
    trials, best = settle(runs, list(groups), axes, score, near, TUNING_SEEDS, bounds=bounds)
    for group, seed, setting in trials:
        yield entry("tuning", group, seed, groups[group] | setting, VALIDATION)
    return {group: (how, best[group]) for group, how in groups.items()}


def reported(best, seeds=SEEDS):
    """The runs that the chapter reports, and those that go on for longer."""
    for group, (how, setting) in best.items():
        for seed in seeds:
            yield entry("report", group, seed, how | setting, TEST)
        if times := LONGER.get(group):
            longer = {name: times * how[name] for name in ("steps", "tune_steps") if name in how}
            yield entry("longer", f"{group}, longer", SEEDS[0], how | setting | longer, TEST)


def label(kind):
    """What the runs of one network of "labels" share."""
    return {"task": "labels", "kind": kind, "background": "tint"}


def entry(part, group, seed, how, scenes):
    """One run as the record keeps it."""
    return {"part": part, "group": group, "seed": seed, "settings": how | scenes}


def off_by_one(run):
    """Of synthetic pairs: fewer is better."""
    return -run["scores"]["synthetic: off by 1 visible"]


def on_target(run):
    """Of the frames after the meeting; a trained memory is tuned as the chapter uses it, with two frames told and one target."""
    scores = run["scores"]
    return scores.get("first and three latest, focused: after", scores.get("after"))


def probe(run):
    return run["scores"]["probe"]


def fine_tuned(run):
    return run["scores"]["tuned"]


def exact(run):
    return run["scores"]["seen: exact"]


def a_tenth(score):
    """How far below the best an error is close: about what training runs of one network differ by."""
    return 0.1 * abs(score)


def some_clips(share):
    """One standard error of a share of the clips, forty for each kind of rival."""
    return math.sqrt(max(share * (1 - share), 0) / 200)


def few_scenes(share):
    """Two standard errors of a share of the scenes."""
    return 2 * math.sqrt(max(share * (1 - share), 0) / SCENES)
