"""The plan of chapter 15, and its recipe on next to nothing."""

from collections import Counter

import pytest

from evidence.plans import ch15
from evidence.recipe import Recipe, namespace


@pytest.fixture(scope="module")
def recipe():
    return namespace(Recipe.read(ch15.RECIPE))


def done(runs):
    """The tuning, as if it had been run; in the middle of the grid all is best."""
    middle = {name: sorted(values)[1] for name, values in ch15.AXES.items()}
    for run in runs:
        if run["part"] == "tuning":
            away = sum(run["settings"][name] != value for name, value in middle.items())
            yield {**run, "scores": {"accuracy": 0.9 - 0.1 * away}}


def test_nothing_is_reported_before_it_is_tuned():
    runs = list(ch15.plan([]))
    waiting = [run for run in runs if None in run["settings"].values()]
    assert {run["part"] for run in waiting} == {"report", "half", "double", "control"}
    assert Counter(run["part"] for run in runs)["tuning"] == 2 * 9 * len(ch15.KINDS)


def test_every_size_is_reported_with_three_seeds_and_as_many_steps():
    runs = list(ch15.plan(list(done(ch15.plan([])))))
    assert not [run for run in runs if None in run["settings"].values()]
    reported = [run for run in runs if run["part"] == "report"]
    of = Counter((run["group"], run["settings"]["pictures"]) for run in reported)
    assert of == {(kind, size): 3 for kind in ch15.KINDS for size in ch15.SIZES}
    assert {run["settings"]["steps"] for run in reported} == {ch15.STEPS}
    assert ch15.SIZES[0] == 512 and ch15.SIZES[-1] >= 100_000
    seeds = {part: {run["seed"] for run in runs if run["part"] == part} for part in ("tuning", "report")}
    assert not seeds["tuning"] & seeds["report"]
    scenes = {part: {run["settings"]["scene_seed"] for run in runs if run["part"] == part} for part in ("tuning", "report")}
    assert not scenes["tuning"] & scenes["report"]


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


@pytest.mark.parametrize("kind", ch15.KINDS)
def test_the_recipe_runs(recipe, kind):
    how = {"pictures": 64, "steps": 2, "lr": 1e-3, "weight_decay": 0.1, "look": "plain"}
    scores = recipe.run(1, kind=kind, split="validation", scene_seed=905, **how)
    assert 0 <= scores["accuracy"] <= 1 and 0 <= scores["train accuracy"] <= 1
    assert abs(scores["parameters"] / 131_482 - 1) < 0.01
