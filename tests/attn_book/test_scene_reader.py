"""The reader of scenes: right on real scenes that it never saw, and every kind of error has its name."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from attn_book.data.captions import caption, captioned_scenes, objects, random_captions
from attn_book.data.twins import half_size
from attn_book.judges import Judge, digit_judge, jittered
from attn_book.scene_reader import follows, read_scenes

NAMES = {"places", "colours", "digits", "relation", "all", "colours exchanged", "digits exchanged"}


def drawn(text, asked=None):
    """A scene of one caption, read as if another had been asked for."""
    scene, asked = captioned_scenes(caption(text)[None], seed=3, split="judge"), caption(asked or text)[None]
    return {name: bool(answer[0]) for name, answer in follows(read_scenes(scene.images, asked), asked).items()}


def test_real_scenes_are_read_as_their_captions_say():
    captions = random_captions(400, seed=7, pairs="all")
    answers = follows(read_scenes(captioned_scenes(captions, seed=8, split="test").images, captions), captions)
    assert set(answers) == NAMES
    for name in ("places", "colours", "relation"):
        assert answers[name].all(), name
    assert answers["digits"].mean() > 0.88  # two digits, each read at about 0.96
    assert_array_equal(answers["all"], answers["digits"])
    assert not answers["colours exchanged"].any()


def test_every_error_has_its_name():
    right = {"places", "colours", "digits", "relation", "all"}
    assert {name for name, answer in drawn("red 3 above blue 7").items() if answer} == right
    for text, kept in [
        (
            "red 3 left of blue 7",
            set(),
        ),  # half of each digit lies in a slot that was not asked for, so no place, and digits are cut
        ("red 3 below blue 7", {"places", "colours exchanged", "digits exchanged"}),
        ("blue 3 above red 7", {"places", "digits", "colours exchanged"}),
        ("red 7 above blue 3", {"places", "colours", "relation", "digits exchanged"}),
        ("red 3 above green 7", {"places", "digits", "relation"}),
        ("red 3 above blue 1", {"places", "colours", "relation"}),
    ]:
        found = {name for name, answer in drawn(text, "red 3 above blue 7").items() if answer}
        assert found - {"colours"} == kept - {"colours"} and ("all" not in found), text
        if text != "red 3 left of blue 7":
            assert found == kept, text


def test_an_empty_slot_is_nothing_and_its_scene_fails():
    asked = caption("red 3 above blue 7")[None]
    image = captioned_scenes(asked, seed=0).images
    image[:, :, 14:] = 0
    reading = read_scenes(image, asked)
    assert reading.colours.tolist() == [[0, -1]] and reading.digits[0, 1] == -1
    assert not follows(reading, asked)["all"][0]
    black = read_scenes(np.zeros((1, 3, 28, 28)), asked)
    assert black.inside[0] == 0 and not follows(black, asked)["places"][0]


def test_colour_does_not_matter_for_the_digit():
    """The same scans in other colours are read as the same digits."""
    captions = random_captions(100, seed=1, pairs="all")
    others = captions.copy()
    others[:, 0], others[:, 3] = captions[:, 3], captions[:, 0]
    one, other = (read_scenes(captioned_scenes(some, seed=2, split="test").images, some) for some in (captions, others))
    assert (one.digits == other.digits).mean() >= 0.99
    assert_array_equal(one.colours, [[first, second] for first, second in zip(*(o[0] for o in objects(captions)), strict=True)])


def test_the_judge_on_scans_that_it_never_saw_and_that_it_repeats():
    images, labels = half_size("test")
    judge = digit_judge(14)
    assert (judge(torch.from_numpy(images)).argmax(1).numpy() == labels).mean() > 0.94
    assert digit_judge(14) is judge
    assert not any(p.requires_grad for p in judge.parameters()) and not judge.training
    with pytest.raises(ValueError, match="side must be one of 28, 14; got 12"):
        digit_judge(12)


def test_shapes_of_the_judge_and_of_jitter():
    for side in (14, 28):
        x = torch.rand(3, 1, side, side)
        judge = Judge(side).eval()
        assert judge(x).shape == (3, 10) and judge.features(x).shape == (3, 64)
        torch.manual_seed(0)
        moved = jittered(x)
        assert moved.shape == x.shape and (moved != x).any() and moved.min() >= 0


@pytest.mark.parametrize(
    ("images", "captions", "words"),
    [
        (np.zeros((2, 3, 28, 28)), caption("red 3 above blue 7")[None], r"images must be \(1, 3, 28, 28\)"),
        (np.zeros((1, 3, 28, 28)), np.zeros((1, 5), int), "word 2 of a caption must be a digit"),
    ],
)
def test_bad_arguments_are_named(images, captions, words):
    with pytest.raises(ValueError, match=words):
        read_scenes(images, captions)
