"""Stereo pairs: what the truth says of them, tried on the pictures themselves."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from attn_book.data import stereo_pairs as made
from attn_book.data.stereo_pairs import depth, motorcycle, stereo_pairs


def carried_over(pair):
    """The right picture read where the truth says that each left pixel lies on it; (n, 3, H, W)."""
    width = pair.left.shape[-1]
    place = np.arange(width) - np.nan_to_num(pair.disparity)
    first = np.clip(np.floor(place).astype(int), 0, width - 2)
    share = np.clip(place - first, 0, 1)[:, None]
    at = lambda column: np.take_along_axis(pair.right, column[:, None], -1)
    return at(first) * (1 - share) + at(first + 1) * share


def test_a_visible_pixel_shows_the_same_on_the_right_and_a_hidden_one_does_not(monkeypatch):
    one_colour_a_row = lambda n, height, width, split, rng: rng.uniform(0.1, 0.8, (n, 3, height, 1)) * np.ones(width)
    monkeypatch.setattr(made, "_textures", one_colour_a_row)
    pair = stereo_pairs(40, seed=2, noise=0)
    ratio = carried_over(pair) / pair.left
    gain = np.nanmedian(np.where(pair.visible[:, None], ratio, np.nan), (2, 3), keepdims=True)
    assert np.all((gain > 0.84) & (gain < 1.16)) and np.ptp(gain) > 0.2
    same = (abs(ratio / gain - 1) < 0.02).all(1)
    inside = np.arange(96) - pair.disparity >= 0
    assert same[pair.visible].mean() > 0.9  # the rest: beside an edge between two layers
    assert same[inside & ~pair.visible].mean() < 0.1


def test_with_one_plain_plane_all_is_visible_but_what_the_other_eye_does_not_reach():
    pair = stereo_pairs(20, seed=0, shapes=0, noise=0)
    assert_array_equal(pair.visible, np.arange(96) - pair.disparity >= 0)
    slopes = np.diff(pair.disparity, axis=-1)
    assert_allclose(slopes, slopes[:, :1, :1] * np.ones_like(slopes), atol=1e-4)
    assert np.ptp(slopes) > 0.05


def test_slopes_are_no_steeper_than_asked_and_a_gentle_one_leaves_room():
    gentle = stereo_pairs(20, seed=0, size=(60, 120), shapes=0, noise=0, slope=0.02)
    steps = abs(np.diff(gentle.disparity, axis=-1))
    assert 0.01 < steps.max() < 0.021
    with pytest.raises(ValueError, match="largest must be a number of at least 12.8"):
        stereo_pairs(1, seed=0, size=(60, 120), largest=8)
    stereo_pairs(1, seed=0, size=(60, 120), largest=8, slope=0.02)


def test_the_ground_carries_over_up_to_the_gain():
    pair = stereo_pairs(12, seed=4, shapes=0, noise=0)
    on_left, carried = (np.where(pair.visible[:, None], picture, 0.0) for picture in (pair.left, carried_over(pair)))
    gain = (on_left * carried).sum((2, 3), keepdims=True) / np.maximum((on_left**2).sum((2, 3), keepdims=True), 1e-9)
    assert np.median(abs(carried - gain * on_left)) < 0.01
    assert np.median(abs(carried - on_left)) > 0.02


def test_disparities_keep_within_bounds_and_use_them():
    pair = stereo_pairs(200, seed=1)
    assert pair.disparity.min() >= 0 and pair.disparity.max() <= 24
    assert pair.disparity.max() > 20 and pair.disparity.min() < 4
    assert 0.6 < pair.visible.mean() < 0.95
    assert pair.left.dtype == pair.right.dtype == pair.disparity.dtype == np.float32


def test_a_pure_function_of_its_arguments_and_splits_differ():
    first = stereo_pairs(3, seed=3)
    for name in ("left", "right", "disparity", "visible"):
        assert_array_equal(getattr(first, name), getattr(stereo_pairs(3, seed=3), name))
    assert (stereo_pairs(3, seed=4).left != first.left).any()
    assert (stereo_pairs(3, seed=3, split="test").left != first.left).any()


def test_a_strip_that_is_too_small_is_mirrored():
    strip = made._strip("chelsea", "validation", 0.35, 24, 122)
    assert strip.shape[0] == 3 and strip.shape[2] == 122
    narrow = round(75 * 0.35)
    assert_array_equal(strip[..., narrow], strip[..., narrow - 1])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"n": 0}, "n must be a whole number of at least 1, got 0"),
        ({"size": 4}, "size must be a whole number of at least 8, got 4"),
        ({"largest": 8}, "largest must be a number of at least 9.2, got 8"),
        ({"shapes": -1}, "shapes must be a whole number from 0 to 50, got -1"),
        ({"slope": 0.6}, "slope must be a number from 0 to 0.5, got 0.6"),
        ({"noise": -0.1}, "noise must be a number of at least 0, got -0.1"),
        ({"split": "all"}, "split must be one of train, test, validation; got 'all'"),
        ({"seed": -1}, "seed must be a whole number of at least 0, got -1"),
    ],
)
def test_bad_arguments_are_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        stereo_pairs(**({"n": 2, "seed": 0} | arguments))


def test_the_real_pair_is_the_one_that_scikit_image_describes():
    pair = motorcycle(1)
    assert pair.left.shape == pair.right.shape == (1, 3, 500, 741)
    known = np.isfinite(pair.disparity)
    assert 0.8 < known.mean() < 1
    assert not (pair.visible & ~known).any()
    assert 0.8 < pair.visible[known].mean() < 1
    differences = abs(carried_over(pair) - pair.left).mean(1)
    assert np.median(differences[pair.visible]) < 0.03 < np.median(differences[known & ~pair.visible])


def test_the_real_pair_made_smaller():
    whole, small = motorcycle(1), motorcycle(3)
    assert small.left.shape == (1, 3, 166, 247) and small.disparity.shape == small.visible.shape == (1, 166, 247)
    assert_allclose(small.left[0, 1, 10, 20], whole.left[0, 1, 30:33, 60:63].mean(), rtol=1e-5)
    assert_allclose(small.disparity[0, 10, 20], whole.disparity[0, 31, 61] / 3, rtol=1e-6)
    assert np.nanmax(small.disparity) < 24
    assert_array_equal(np.isnan(small.disparity), np.isnan(whole.disparity[:, 1:498:3, 1:741:3]))
    with pytest.raises(ValueError, match="shrink must be a whole number from 1 to 8, got 0"):
        motorcycle(0)


def test_what_is_hidden_by_hand():
    """Of two pixels that fall on one, the nearer is visible; what falls outside, or is not known, is not."""
    disparity = np.array([[np.nan, 2.0, 0.0, 3.0, 3.0, 1.0]], np.float32)  # to -1, 2, 0, 1, 4
    assert_array_equal(made._visible(disparity), [[False, False, True, True, True, True]])
    disparity = np.array([[0.0, 0.0, 0.0, 0.0, 3.0, 0.0]], np.float32)  # the last but one falls on the second
    assert_array_equal(made._visible(disparity), [[True, False, True, True, True, True]])


def test_depth_by_the_given_formula():
    assert_allclose(depth(10.0, 3), 0.193001 * 994.978 / (30 + 31.086))
