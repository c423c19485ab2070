"""Receptive fields, reach and shifts of mappings whose answers are known."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch import nn

from attn_book.receptive import gap_after_shift, moved, pixels_of_half, reach, receptive_field, share_beyond


def patches(images):
    """Every patch of 2 × 2 pixels as a token, (B, C, H, W) -> (B, N, 4 C): a token depends on its own pixels alone."""
    return nn.functional.pixel_unshuffle(images, 2).flatten(2).transpose(1, 2)


def test_a_token_that_is_its_patch_sees_its_patch():
    torch.manual_seed(0)
    field = receptive_field(patches, torch.randn(200, 3, 6, 8), 6)  # row 1, column 2
    expected = np.zeros((6, 8))
    expected[2:4, 4:6] = 0.25
    assert_allclose(field, expected, atol=0.02)
    assert field.dtype == np.float64
    assert_allclose(field.sum(), 1)


def test_a_blur_is_seen_as_it_is():
    """A 3 × 3 kernel in front of one token a pixel: the field is the kernel's size, pixel for pixel."""
    kernel = torch.tensor([[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]) / 16
    blurred = lambda images: nn.functional.conv2d(images, kernel[None, None], padding=1).flatten(2).transpose(1, 2)
    field = receptive_field(blurred, torch.randn(4, 1, 5, 5), 12)  # the middle
    expected = np.zeros((5, 5))
    expected[1:4, 1:4] = kernel
    assert_allclose(field, expected, atol=1e-7)


def test_reach_of_a_running_mean():
    """y_n = Σ_{m ≤ n} 2^(m - n) x_m: the share halves with each step back, and what comes later is not seen."""
    places = torch.arange(6)
    weights = torch.tril(2.0 ** (places[None] - places[:, None]))
    found = reach(lambda x: weights @ x, torch.randn(50, 6, 3), 4)
    assert_allclose(found, [1 / 16, 1 / 8, 1 / 4, 1 / 2, 1, 0], rtol=1e-5)


def test_nothing_is_left_behind():
    layer, x = nn.Linear(3, 3), torch.randn(2, 4, 3)
    reach(layer, x, 0)
    assert not x.requires_grad and layer.weight.grad is None
    with torch.no_grad():
        assert_array_equal(reach(layer, x, 0), [1, 0, 0, 0])


def test_shares_of_an_even_and_a_peaked_map():
    even, peak = np.ones((4, 4)), np.zeros((4, 4))
    peak[1, 1] = 2.0
    assert share_beyond(even, (1.5, 1.5), 1) == (0.75, 0.75)  # the four in the middle are nearer
    assert share_beyond(peak, (1.5, 1.5), 1) == (0.0, 0.75)
    assert (pixels_of_half(even), pixels_of_half(peak)) == (0.5, 1 / 16)


def test_a_picture_moves_with_what_it_shows():
    canvas = np.arange(64.0).reshape(1, 1, 8, 8)
    middle = moved(canvas, 0, 0, 4)
    assert_array_equal(middle[0, 0, 0], [18, 19, 20, 21])
    right, down = moved(canvas, 2, 0, 4), moved(canvas, 0, -1, 4)
    assert_array_equal(right[..., 2:], middle[..., :-2])
    assert_array_equal(down[..., :-1, :], middle[..., 1:, :])


@pytest.mark.parametrize(("right", "down"), [(1, 0), (0, 1), (-2, 1), (0, 0)])
def test_features_that_move_with_the_picture_have_no_gap(right, down):
    rng = np.random.default_rng(0)
    wide = rng.normal(size=(3, 9, 10, 2))
    before, after = wide[:, 2:7, 2:8], wide[:, 2 - down : 7 - down, 2 - right : 8 - right]
    assert gap_after_shift(before, after, right, down) == 0
    unrelated = rng.normal(size=before.shape)
    assert gap_after_shift(before, unrelated, right, down) == pytest.approx(2**0.5, rel=0.15)


def test_features_that_stay_where_they_are_have_a_gap():
    before = np.random.default_rng(1).normal(size=(50, 5, 6, 4))
    assert gap_after_shift(before, before, 1, 0) == pytest.approx(2**0.5, rel=0.05)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: receptive_field(patches, torch.ones(1, 1, 4, 4), 4), "token must be one of 4, got 4"),
        (lambda: receptive_field(lambda x: patches(x) * 0, torch.ones(1, 1, 4, 4), 0), "the gradient is 0 everywhere"),
        (lambda: reach(lambda x: x.roll(1, 1), torch.ones(1, 4, 2), 1), "token 1 does not depend on its own place"),
        (lambda: moved(np.ones((1, 1, 8, 8)), 3, 0, 4), "a margin of 2 px is too small to move by 3 px to the right"),
        (lambda: gap_after_shift(np.ones((1, 2, 2, 1)), np.ones((1, 2, 2, 1)), 2, 0), "2 × 2 has nothing in common"),
        (lambda: gap_after_shift(np.ones((1, 2, 2, 1)), np.ones((1, 2, 2, 1)), 1, 0), "before must differ from place to place"),
    ],
)
def test_what_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()
