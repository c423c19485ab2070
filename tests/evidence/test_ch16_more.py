"""Chapter 16's second half: what would make its comparisons unfair, tried without training; its plan comes to an end."""

import ast
from collections import Counter

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from attn_book.data.captions import held_out, new_objects
from attn_utils.cost import count_parameters
from attn_utils.dit import to_picture
from attn_utils.masked import random_hidden, to_patches
from evidence.plans import ch16_more
from evidence.recipe import Recipe, namespace


def done(run, best):
    """Made-up scores: the higher the nearer a setting is to the `best` one."""
    far = sum(abs(run["settings"][name] / value - 1) for name, value in best.items() if run["settings"].get(name))
    return {**run, "scores": {"probe": 1 - far / 9, "tuned": 1 - far / 9, "seen: exact": 1 - far / 9, "loss": 1.0}}


def complete(best):
    runs = []
    for _ in range(20):
        known = [{name: run[name] for name in ("part", "group", "seed", "settings")} for run in runs]
        missing = [run for run in ch16_more.plan(runs) if run not in known]
        if not missing:
            return runs
        ready = [run for run in missing if None not in run["settings"].values()]
        assert ready
        runs += [done(run, best) for run in ready]
    raise AssertionError("the plan wants ever more")


@pytest.fixture(scope="module")
def runs():
    return complete({"lr": 0.002, "share": 0.75, "tune_lr": 0.001})


def test_no_run_is_wanted_twice(runs):
    assert max(Counter((run["part"], run["group"], run["seed"], str(run["settings"])) for run in runs).values()) == 1


def test_the_best_settings_are_reported(runs):
    report = {run["group"]: run["settings"] for run in runs if run["part"] == "report"}
    assert {name: report["labels: convolution"][name] for name in ("lr", "share", "tune_lr")} == {
        "lr": 0.002,
        "share": 0.75,
        "tune_lr": 0.001,
    }
    assert report["words: classifier"]["lr"] == report["words: classifier, one order"]["lr"] == 0.002


def test_grids_are_widened():
    wide = complete({"lr": 0.02, "share": 0.2, "tune_lr": 0.0001})
    tried = {name: {run["settings"].get(name) for run in wide if run["part"] == "tuning"} for name in ("lr", "share", "tune_lr")}
    assert max(tried["lr"]) > 0.02 and min(tried["share"] - {None, 0.0}) < 0.2 and min(tried["tune_lr"] - {None, 0.0}) < 0.0002


def test_from_scratch_gets_as_many_steps_as_both_trainings(runs):
    for longer in ("", ", longer"):
        steps = {
            group: {
                run["settings"]["steps"] + run["settings"]["tune_steps"]
                for run in runs
                if run["group"] == group and run["part"] in ("report", "longer")
            }
            for group in (f"labels: attention{longer}", f"labels: attention, from scratch{longer}")
        }
        assert len(set.union(*steps.values())) == 1


def test_the_recipe_takes_these_settings(runs):
    functions = {
        node.name: {one.arg for one in (*node.args.args, *node.args.kwonlyargs)} - {"seed"}
        for node in ast.parse(Recipe.read(ch16_more.RECIPE).source).body
        if isinstance(node, ast.FunctionDef)
    }
    for run in runs:
        settings = dict(run["settings"])
        assert functions["run_" + settings.pop("task")] == set(settings)


def test_tuning_and_report_share_no_scenes(runs):
    where = {(run["part"] == "tuning", run["settings"]["split"], run["settings"]["scene_seed"]) for run in runs}
    assert where == {(True, "validation", 900), (False, "test", 950)}


def test_every_row_of_the_draft_is_run(runs):
    groups = {run["group"] for run in runs if run["part"] not in ("tuning", "check")}
    labels = (
        "attention",
        "blanked",
        "convolution",
        "no mixing",
        "attention, from scratch",
        "convolution, from scratch",
        "pixels",
    )
    assert {f"labels: {name}" for name in labels} <= groups
    assert {f"labels: {kind}, {share:.2f} hidden" for kind in ch16_more.FROM_SCRATCH for share in ch16_more.SHARES} <= groups
    four = ("attention", "convolution", "attention, from scratch", "convolution, from scratch")
    assert {f"labels: {name}, longer" for name in four} | {f"photographs: {name}" for name in four} <= groups
    assert {f"words: {kind}" for kind in (*ch16_more.WRITERS, "decoder, untrained")} <= groups
    assert {f"words: {kind}, one order" for kind in ch16_more.ONE_ORDER} <= groups
    assert {f"words: {kind}, longer" for kind in ch16_more.LONGER} <= groups


@pytest.fixture(scope="module")
def chapter():
    return namespace(Recipe.read(ch16_more.RECIPE))


def test_rivals_have_as_many_parameters(chapter):
    encoders = [count_parameters(chapter.build(kind, 0)[0]) for kind in ch16_more.PRETRAINED]
    writers = [count_parameters(chapter.writer(kind, 0)) for kind in ch16_more.WRITERS]
    assert max(encoders) / min(encoders) < 1.05 and max(writers) / min(writers) < 1.05


@pytest.mark.parametrize("kind", ch16_more.PRETRAINED)
def test_no_encoder_is_shown_what_is_hidden(chapter, kind):
    _, encoder = chapter.build(kind, 0)
    torch.manual_seed(0)
    images, others = torch.rand(2, 3, 1, chapter.SIDE, chapter.SIDE)
    hidden = random_hidden(3, chapter.CELLS, 0.75)
    patches = torch.where(hidden[..., None], to_patches(others, chapter.PATCH), to_patches(images, chapter.PATCH))
    same_to_see = to_picture(patches, (chapter.ROWS, chapter.ROWS), chapter.PATCH)
    assert_close(encoder(same_to_see, hidden)[~hidden], encoder(images, hidden)[~hidden])
    assert not torch.equal(encoder(others, hidden)[~hidden], encoder(images, hidden)[~hidden])


def test_each_picture_is_moved_whole(chapter):
    torch.manual_seed(0)
    images = torch.zeros(200, 1, chapter.SIDE, chapter.SIDE)
    images[:, :, 10, 12] = 1
    places = chapter.varied(images)[:, 0].nonzero()[:, 1:] - torch.tensor([10, 12])
    assert len(places) == 200 and places.min() == -2 and places.max() == 2
    assert len(places.unique(dim=0)) == 25


def test_new_pairs_are_new(chapter):
    out = held_out(seed=3)
    lesson = chapter.told(500, 1003, "train", "train", held=3)[1].numpy()
    asked = chapter.told(500, 950, "test", "test", held=3)[1].numpy()
    assert not any(new_objects(lesson, pairs).any() for pairs in out.values())
    assert new_objects(asked, out["test"]).any(1).all()


def test_in_one_order_scenes_hold_the_same_digits(chapter):
    either, one = (chapter.told(50, 7, "train", "train", held=0, order=order) for order in ("either", "one"))
    assert not torch.equal(either[1], one[1])
    colours = [np.sort(captions[:, [0, 3]].numpy(), axis=1) for captions in (either[1], one[1])]
    np.testing.assert_array_equal(*colours)


def test_the_recurrent_writer_is_told_what_it_wrote(chapter):
    model = chapter.writer("recurrent", 0).eval()
    images = torch.rand(4, 3, 28, 28)
    written = model.write(images)
    assert_close(model(images, written).argmax(-1), written)
    _, weights = model.read(model.encoder(images), written)
    assert_close(weights.sum(-1), torch.ones(4, 5))
