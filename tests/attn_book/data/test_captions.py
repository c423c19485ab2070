"""Captioned scenes: what a caption says is what is drawn, and no pair that is held out is seen in training."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from attn_book.data.captions import (
    CORNERS,
    VOCABULARY,
    caption,
    captioned_scenes,
    check_captions,
    every_caption,
    held_out,
    new_objects,
    objects,
    random_captions,
    sentence,
)
from attn_book.data.drawing import COLOURS, PALETTE
from attn_book.data.mnist import PER_DIGIT
from attn_book.data.twins import half_size


def test_a_scene_by_hand():
    """ "red 3 above blue 7": a scan of a 3 in red in the upper middle, one of a 7 in blue below, nothing elsewhere."""
    scene = captioned_scenes(caption("red 3 above blue 7")[None], seed=4)
    image = scene.images[0]
    upper, lower = image[:, :14, 7:21], image[:, 14:, 7:21]
    scans, labels = half_size("train")
    for part, digit, colour in ((upper, 3, "red"), (lower, 7, "blue")):
        ink = part[0] / COLOURS[colour][0]
        gaps = np.abs(scans[labels == digit, 0] - ink).max((1, 2))
        assert gaps.min() < 1e-6
        assert_allclose(part, ink * np.array(COLOURS[colour])[:, None, None], atol=1e-6)
    assert_array_equal(image[:, :, :7], 0)
    assert_array_equal(image[:, :, 21:], 0)
    assert_array_equal(scene.masks[0, 0, :14, 7:21], upper[0] / COLOURS["red"][0] > 0.25)
    assert not scene.masks[0, 0, 14:].any()


@pytest.mark.parametrize(
    ("text", "first", "second"),
    [
        ("red 3 above blue 7", (0, 7), (14, 7)),
        ("red 3 below blue 7", (14, 7), (0, 7)),
        ("red 3 left of blue 7", (7, 0), (7, 14)),
        ("red 3 right of blue 7", (7, 14), (7, 0)),
    ],
)
def test_relations_say_where_the_first_is(text, first, second):
    one = caption(text)
    assert sentence(one) == text
    (colour, digit, corner), (other_colour, other_digit, other_corner) = objects(one[None])
    assert (colour[0], digit[0], other_colour[0], other_digit[0]) == (0, 3, 4, 7)
    assert tuple(corner[0]) == first and tuple(other_corner[0]) == second
    rows, columns = np.nonzero(captioned_scenes(one[None], seed=0).masks[0, 0])
    assert (rows >= first[0]).all() and (rows < first[0] + 14).all()
    assert (columns >= first[1]).all() and (columns < first[1] + 14).all()


@pytest.mark.parametrize("split", PER_DIGIT)
def test_every_scene_shows_what_its_caption_says_in_scans_of_the_split(split):
    captions = random_captions(200, seed=1, pairs="all")
    scenes = captioned_scenes(captions, seed=2, split=split)
    known = half_size(split)[0][:, 0]
    labels = half_size(split)[1]
    assert scenes.images.dtype == np.float32 and 0 <= scenes.images.min() and scenes.images.max() <= 1
    for colour, digit, corner in objects(captions):
        for i in range(0, 200, 10):
            row, column = corner[i]
            part = scenes.images[i, :, row : row + 14, column : column + 14]
            ink = part.max(0) / PALETTE[colour[i]].max()
            nearest = np.abs(known - ink).max((1, 2)).argmin()
            assert_allclose(known[nearest], ink, atol=1e-6)
            assert labels[nearest] == digit[i]
            assert_allclose(part, ink * PALETTE[colour[i]][:, None, None], atol=1e-6)
    assert (scenes.masks.sum((2, 3)) >= 8).all()
    assert not (scenes.masks[:, 0] & scenes.masks[:, 1]).any()


def test_regions_of_words():
    scene = captioned_scenes(random_captions(3, seed=0), seed=0)
    first, second = scene.masks[:, 0], scene.masks[:, 1]
    expected = np.stack([first, first, first | second, second, second], 1)
    assert_array_equal(scene.regions, expected)


@pytest.mark.parametrize("colours", [2, 4, 7])
@pytest.mark.parametrize("seed", range(4))
def test_pairs_that_are_held_out(colours, seed):
    out = held_out(colours, seed)
    for part in out.values():
        assert_array_equal(part.sum(1), np.ones(colours))  # one digit of each colour
        assert part.sum(0).max() == 1  # no digit twice
    assert not (out["validation"] & out["test"]).any()
    train = random_captions(3000, seed=seed, colours=colours, held=seed)
    assert not new_objects(train, out["validation"]).any() and not new_objects(train, out["test"]).any()
    for part, other in (("validation", "test"), ("test", "validation")):
        new = random_captions(500, seed=seed, pairs=part, colours=colours, held=seed)
        assert new_objects(new, out[part]).any(1).all()
        assert not new_objects(new, out[other]).any()


def test_training_sees_every_other_pair_and_seeds_hold_out_others():
    train, out = random_captions(20_000, seed=0, held=3), held_out(seed=3)
    seen = np.zeros((7, 10), bool)
    for colour, digit, _ in objects(train):
        seen[colour, digit] = True
    assert_array_equal(seen, ~(out["validation"] | out["test"]))
    assert len({held_out(seed=s)["test"].tobytes() for s in range(6)}) == 6


def test_all_captions_by_counting():
    some = every_caption(3)
    assert len(some) == len(np.unique(some, axis=0)) == 3 * 2 * 10 * 10 * 4
    assert_array_equal(check_captions(some), some)
    drawn = random_captions(20_000, seed=0, pairs="all", colours=2)
    _, counts = np.unique(drawn, axis=0, return_counts=True)
    assert len(counts) == 800 and counts.max() < 60  # evenly: 25 each on average


def test_a_pure_function_of_its_arguments():
    captions = random_captions(20, seed=3)
    assert_array_equal(captions, random_captions(20, seed=3))
    assert (captions != random_captions(20, seed=4)).any()
    first = captioned_scenes(captions, seed=3).images
    assert_array_equal(first, captioned_scenes(captions, seed=3).images)
    assert (first != captioned_scenes(captions, seed=4).images).any()


def test_corners_lie_inside_and_apart():
    assert CORNERS.shape == (4, 2, 2)
    assert CORNERS.min() == 0 and CORNERS.max() == 14
    assert_array_equal(np.abs(CORNERS[:, 0] - CORNERS[:, 1]).max(1), 14)
    assert len(VOCABULARY) == len(set(VOCABULARY)) == 21


GOOD = np.array([[0, 10, 17, 4, 14]])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: caption("red 3 above blue"), "five words"),
        (lambda: caption("red 3 above blue eight"), "got 'eight'"),
        (lambda: caption("3 red above blue 7"), "word 1 of a caption must be a colour, got '3' in caption 0"),
        (lambda: caption("red 3 above red 7"), "must differ, got 'red' twice"),
        (lambda: check_captions(GOOD[0]), r"captions must be \(n, 5\) whole numbers, got int64 of shape \(5,\)"),
        (lambda: check_captions(GOOD.astype(float)), "got float64"),
        (lambda: check_captions(GOOD + [0, 0, 4, 0, 0]), "word 3 of a caption must be a relation, got 21"),
        (lambda: captioned_scenes(GOOD, seed=-1), "seed must be a whole number of at least 0, got -1"),
        (lambda: captioned_scenes(GOOD, seed=0, split="all"), "split must be one of train, judge, validation, test; got 'all'"),
        (lambda: random_captions(0, seed=0), "n must be a whole number of at least 1, got 0"),
        (lambda: random_captions(3, seed=0, colours=8), "colours must be a whole number from 2 to 7, got 8"),
        (lambda: random_captions(3, seed=0, pairs="judge"), "pairs must be one of train, validation, test, all; got 'judge'"),
        (lambda: held_out(1), "colours must be a whole number from 2 to 7, got 1"),
    ],
)
def test_bad_arguments_are_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
