"""The plan of chapter 15, and its recipe on next to nothing."""

import itertools
import math
from collections import Counter, defaultdict

import pytest
import torch

from evidence.plans import ch15
from evidence.recipe import Recipe, namespace
from evidence.record import key


@pytest.fixture(scope="module")
def recipe():
    return namespace(Recipe.read(ch15.RECIPE))


def all_runs(best_lr=0.003, slope=0.1):
    """The plan's runs once all are done, when the middle of the grids is best, or best_lr, and `slope` is lost ten times away from it."""
    runs, done = [], set()
    while new := [run for run in ch15.plan(runs) if None not in run["settings"].values() and key(run) not in done]:
        assert len(set(map(key, new))) == len(new)  # none is done twice
        for run in new:
            how = run["settings"]
            away = abs(math.log10(how["lr"] / best_lr)) + abs(math.log10(how["weight_decay"] / 0.1))
            runs.append({**run, "scores": {"accuracy": 0.9 - slope * away}})
        done |= set(map(key, new))
    assert not [run for run in ch15.plan(runs) if None in run["settings"].values()]
    return runs


def test_nothing_is_reported_before_it_is_tuned():
    assert {run["part"] for run in ch15.plan([]) if None not in run["settings"].values()} == {"tuning", "check"}


@pytest.mark.parametrize("how", [{}, {"best_lr": 0.01}, {"slope": 0.001}], ids=["middle", "edge", "nearly a tie"])
def test_all_networks_are_tuned_alike_where_pictures_are_few_and_where_they_are_many(how):
    tried = defaultdict(set)
    first = [run for run in all_runs(**how) if run["part"] == "tuning" and run["seed"] == ch15.TUNING_SEEDS[0]]
    for run in first:
        if run["settings"]["look"] == ch15.PLAIN and run["settings"]["steps"] == ch15.STEPS:
            tried[run["settings"]["kind"], run["settings"]["pictures"]].add(
                (run["settings"]["lr"], run["settings"]["weight_decay"])
            )
    assert tried.keys() == set(itertools.product((*ch15.KINDS, ch15.UNMIXED), ch15.TUNED_AT.values()))
    (grid,) = {frozenset(of) for of in tried.values()}
    assert len(grid) == (6 if "best_lr" in how else 5)


@pytest.mark.parametrize("how", [{}, {"best_lr": 0.01}, {"slope": 0.001}], ids=["middle", "edge", "nearly a tie"])
def test_its_contests_are_fair_and_everybody_is_in_one(how):
    runs = all_runs(**how)
    contests = ch15.contests(runs)
    assert [fault for contest in contests for fault in contest.faults(runs)] == []
    assert {run["group"] for run in runs if run["part"] == "tuning"} == {group for contest in contests for group in contest.best}


def test_settings_that_one_seed_does_not_tell_apart_are_decided_by_three():
    raced = [run for run in all_runs(slope=0.001) if run["part"] == "tuning"]
    groups = {run["group"] for run in raced}
    assert {run["seed"] for run in raced} == set(ch15.TUNING_SEEDS)
    assert len([run for run in raced if run["seed"] != ch15.TUNING_SEEDS[0]]) >= 2 * 3 * len(groups)
    assert not [run for run in all_runs() if run["part"] == "tuning" and run["seed"] != ch15.TUNING_SEEDS[0]]


def test_every_size_is_reported_with_three_seeds_and_as_many_steps():
    runs = all_runs()
    reported = [run for run in runs if run["part"] == "report"]
    of = Counter((run["group"], run["settings"]["pictures"]) for run in reported)
    lines = {(kind, size): 3 for kind in ch15.LINES for size in ch15.SIZES}
    assert of == lines
    stems = Counter((run["group"], run["settings"]["pictures"]) for run in runs if run["part"] == "stem")
    assert stems == {(ch15.CROSSED, size): 3 for size in (ch15.FEW, ch15.MIDDLE, ch15.MANY)}
    assert {run["settings"]["steps"] for run in reported} == {ch15.STEPS}
    assert ch15.SIZES[0] == 512 and ch15.SIZES[-1] >= 100_000
    seeds = {part: {run["seed"] for run in runs if run["part"] == part} for part in ("tuning", "report")}
    assert not seeds["tuning"] & seeds["report"]


@pytest.mark.parametrize("part", ["double", "four", "scans", "moved", "control"])
def test_a_control_has_all_three_lines_and_differs_from_the_report_in_one_thing(part):
    """But for photographs, whose learning rate is chosen there."""
    runs = all_runs()
    reported = {
        (run["seed"], run["settings"]["kind"], run["settings"]["pictures"]): run for run in runs if run["part"] == "report"
    }
    controls = [run for run in runs if run["part"] == part]
    assert {run["settings"]["kind"] for run in controls} == set(ch15.LINES)
    for run in controls:
        how = run["settings"]
        base = reported[run["seed"], how["kind"], how["pictures"]]["settings"]
        assert len([name for name in how if how[name] != base[name]]) == 1, run


def test_as_short_as_chapter_7_are_its_two_networks_on_photographs():
    sooner = [run for run in all_runs() if run["part"] == "sooner"]
    assert Counter(run["settings"]["kind"] for run in sooner) == dict.fromkeys(ch15.CHAPTER_7S, len(ch15.SEEDS))
    patient = [run["settings"] for run in all_runs() if run["part"] == "control"]
    for run in sooner:
        assert run["settings"] | {"steps": ch15.STEPS} in patient


def test_the_report_is_asked_of_scans_that_nothing_was_trained_on_or_chosen_by():
    for run in all_runs():
        how = run["settings"]
        assert how["split"] == ("validation" if run["part"] == "tuning" else "test")
        assert how["scans"] == ("validation" if run["part"] == "scans" else "train")


def test_longer_runs_have_a_rate_of_their_own_and_shorter_ones_a_schedule():
    runs = all_runs()
    tuned = [run for run in runs if run["part"] == "tuning" and run["settings"]["steps"] == 2 * ch15.STEPS]
    assert {(run["settings"]["kind"], run["settings"]["pictures"]) for run in tuned} == {(k, ch15.MANY) for k in ch15.LINES}
    assert len({run["settings"]["lr"] for run in tuned}) >= 3
    shorter = Counter(run["settings"]["steps"] for run in runs if run["part"] == "shorter")
    assert shorter == {ch15.STEPS // 2: 9, ch15.STEPS // 4: 9}


def test_where_the_settings_change_both_are_tried():
    runs = all_runs()
    there = [run for run in runs if run["part"] in ("report", "switch") and run["settings"]["pictures"] == ch15.MIDDLE]
    of = Counter((run["settings"]["kind"], run["part"]) for run in there)
    assert all(of[kind, part] == len(ch15.SEEDS) for kind in ch15.LINES for part in ("report", "switch"))


def test_three_and_a_half_hours_leave_some_time_for_a_wider_grid_and_for_ties():
    """At 13 ms a step, a mean over the networks."""
    assert sum(run["settings"]["steps"] for run in all_runs()) <= 0.85 * 3.5 * 3600 / 0.013


def test_a_larger_set_begins_with_the_smaller_one_and_a_seed_has_its_own(recipe):
    few, labels = recipe.digit_scenes(30, 5, "train", "plain")
    more, more_labels = recipe.digit_scenes(1_040, 5, "train", "plain")
    assert few.shape == (30, 3, 32, 32) and few.dtype.is_floating_point is False
    assert (more[:30] == few).all() and (more_labels[:30] == labels).all()
    assert (more[1_000:1_030] != few).any()
    assert (recipe.digit_scenes(30, 6, "train", "plain")[0] != few).any()


def test_each_picture_exchanges_its_own_colours(recipe):
    images = recipe.digit_scenes(64, 5, "train", "plain")[0] / 255
    changed = recipe.exchange_colours(images)
    assert (changed.sum(dim=1) - images.sum(dim=1)).abs().max() < 1e-5
    orders = {
        tuple(int((old[c] == new).flatten(1).all(dim=1).int().argmax()) for c in range(3)) for old, new in zip(images, changed)
    }
    assert len(orders) == 6


@pytest.mark.parametrize("look", ["plain", "photographs"])
def test_pixels_lie_around_0_and_are_of_size_1(recipe, look):
    pixels = recipe.scaled(recipe.digit_scenes(500, 5, "train", look)[0])
    assert pixels.mean().abs() < 0.5
    assert 0.5 < pixels.std() < 1.5


@pytest.mark.parametrize("most", [1, 4])
def test_moved_pictures_are_parts_of_what_they_were(recipe, most):
    images = recipe.digit_scenes(200, 5, "train", "plain")[0] / 255
    moved, inner = recipe.move_about(images, most), slice(most, -most)
    offsets = set()
    for old, new in zip(images, moved):
        fits = [
            (y, x)
            for y, x in itertools.product(range(-most, most + 1), repeat=2)
            if torch.equal(new[:, inner, inner], old.roll((-y, -x), dims=(1, 2))[:, inner, inner])
        ]
        assert fits
        offsets |= set(fits)
    assert {y for y, _ in offsets} == {x for _, x in offsets} == set(range(-most, most + 1))


def test_all_are_of_one_size_and_without_mixing_a_cell_does_not_see_another(recipe):
    sizes = {kind: recipe.count_parameters(recipe.build(kind, 0)) for kind in (*ch15.KINDS, ch15.UNMIXED)}
    assert max(sizes.values()) <= 1.01 * min(sizes.values())
    tokens = torch.randn(2, 16, 64)
    changed = tokens.clone()
    changed[:, 0] = torch.randn(2, 64)  # not a constant more, which a layer norm takes off again
    for kind in (*ch15.KINDS, ch15.UNMIXED):
        block = recipe.build(kind, 0).eval().blocks[0]
        reached = {i for i in range(16) if (block(tokens) - block(changed))[:, i].abs().max() > 1e-6}
        near = {0, 1, 2, 4, 5, 6, 8, 9, 10}  # two convolutions, one cell to each side
        assert reached == ({0} if kind == ch15.UNMIXED else near if "convolution" in kind else set(range(16)))


@pytest.fixture
def small(recipe, monkeypatch):
    """The recipe on a hundred pictures at most, to learn from and to be asked about."""
    whole = recipe.digit_scenes
    monkeypatch.setattr(recipe, "digit_scenes", lambda n, *of: [tensor[:100] for tensor in whole(1_000, *of)])
    return recipe


HOW = {"pictures": 100, "lr": 1e-3, "weight_decay": 0.1, "look": "plain", "scans": "train", "shift": 1}
HOW |= {"split": "validation", "scene_seed": 905}


@pytest.mark.parametrize("kind", [*ch15.KINDS, ch15.UNMIXED])
def test_the_recipe_runs(small, kind):
    scores = small.run(1, kind=kind, steps=2, **HOW)
    for name in ("accuracy", "train accuracy", "stopped accuracy"):
        assert 0 <= scores[name] <= 1
    assert scores["stopped at"] in (0.5, 1)


def test_looking_for_the_best_moment_changes_nothing_in_the_training(small, monkeypatch):
    looked, fit = small.run(1, kind="mix", steps=3, **HOW), small.fit
    last_only = lambda on_step: lambda step, network: on_step(step, network) if step == 3 else None
    monkeypatch.setattr(small, "fit", lambda *given, on_step, **how: fit(*given, on_step=last_only(on_step), **how))
    assert small.run(1, kind="mix", steps=3, **HOW)["loss"] == looked["loss"]


def test_a_run_remembers_its_best_moment_by_pictures_of_other_scans(small, monkeypatch):
    """Right answers to the pictures set aside rise and fall: what is kept are the weights from where they were most."""
    kept, seen = [], iter([0.3, 0.9, 0.4, 0.0, 0.0, 0.0])
    monkeypatch.setattr(
        small, "evaluate", lambda network, *_: kept.append(network.head.weight.clone()) or {"accuracy": next(seen)}
    )
    scores = small.run(1, kind="mix", steps=3, **HOW)
    assert scores["stopped at"] == pytest.approx(2 / 3)
    assert torch.equal(kept[-1], kept[1]) and not torch.equal(kept[-1], kept[2])


@pytest.mark.parametrize("seeds", [ch15.TUNING_SEEDS[:1], ch15.TUNING_SEEDS], ids=["one seed", "three"])
def test_another_weight_decay_is_taken_where_it_is_better_by_more_than_luck(seeds):
    one, first = ({"lr": 0.003, "weight_decay": decay} for decay in (1.0, ch15.FIRST_DECAY))
    luck = 2 * ch15.near(0.9) / len(seeds) ** 0.5

    def ahead(gain):
        runs = [
            {"part": "tuning", "group": "mix, few", "seed": seed, "settings": setting, "scores": {"accuracy": accuracy}}
            for seed in seeds
            for setting, accuracy in ((one, 0.9), (first, 0.9 - gain))
        ]
        return ch15.ahead(runs, "mix, few", one, first)

    assert not ahead(-0.1)
    assert not ahead(0.9 * luck)
    assert ahead(1.1 * luck)
