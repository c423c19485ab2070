"""Each fault has one wording, and each check lets through what it should."""

import re
import subprocess
import sys

import numpy as np
import pytest
import torch

from attn_utils import shapes


def raises(error, text):
    return pytest.raises(error, match=f"^{re.escape(text)}$")


@pytest.mark.parametrize("size", [5, np.int64(5), np.uint8(5), np.array([5])[0]])
def test_integers_of_python_and_numpy_are_sizes(size):
    got = shapes.check_size("N", size)
    assert (got, type(got)) == (5, int)


@pytest.mark.parametrize("bad", [0, -1, 2.0, np.float64(2.0), True, np.True_, "2", None, np.int64(0)])
def test_nothing_else_is_a_size(bad):
    with raises(ValueError, f"N must be an integer of at least 1, got {bad!r}"):
        shapes.check_size("N", bad)


def test_sizes_have_a_least_value_and_a_divisor():
    assert shapes.check_size("N", 0, least=0) == 0
    assert shapes.check_size("D", 8, multiple_of=4) == 8
    with raises(ValueError, "N must be an integer of at least 3, got 2"):
        shapes.check_size("N", 2, least=3)
    for bad in (6, 0, -4):
        with raises(ValueError, f"D must be a multiple of 4 above 0, got {bad}"):
            shapes.check_size("D", bad, multiple_of=4)


def test_odd_sizes():
    assert [shapes.check_odd("k", k) for k in (1, 3, np.int64(7))] == [1, 3, 7]
    assert type(shapes.check_odd("k", np.int64(7))) is int
    with raises(ValueError, "k must be odd, got 4"):
        shapes.check_odd("k", 4)
    with raises(ValueError, "k must be an integer of at least 1, got -1"):
        shapes.check_odd("k", -1)


def test_heads_share_the_width():
    assert shapes.check_heads(np.int64(6), np.int64(3)) == (6, 3)
    assert {type(size) for size in shapes.check_heads(np.int64(6), np.int64(3))} == {int}
    with raises(ValueError, "dim must be a multiple of heads, got dim=6 and heads=4"):
        shapes.check_heads(6, 4)
    with raises(ValueError, "dim must be an integer of at least 1, got 6.0"):
        shapes.check_heads(6.0, 3)
    with raises(ValueError, "channels must be a multiple of reduction, got channels=4 and reduction=8"):
        shapes.check_divides("reduction", 8, "channels", 4)


def test_shifts_lie_below_the_window():
    assert [shapes.check_shift(shift, 3) for shift in (0, 2, np.int64(1))] == [0, 2, 1]
    assert type(shapes.check_shift(np.int64(1), 3)) is int
    with raises(ValueError, "shift must be below window = 3, got 3"):
        shapes.check_shift(3, 3)
    with raises(ValueError, "shift must be an integer of at least 0, got -1"):
        shapes.check_shift(-1, 3)


@pytest.mark.parametrize(("H", "W"), [(6, 8), (8, 6), (6, 6)])
def test_squares_tile(H, W):
    shapes.check_tiles("patch", 4, 8, 12)
    with raises(ValueError, f"patch must divide height and width, got patch=4 for {H} × {W}"):
        shapes.check_tiles("patch", 4, H, W)


def test_rates_and_choices():
    for rate in (0.0, 0.99):
        shapes.check_rate("dropout", rate)
    for rate in (-0.1, 1.0, float("nan")):
        with raises(ValueError, f"dropout must be in [0, 1), got {rate}"):
            shapes.check_rate("dropout", rate)
    shapes.check_choice("axis", "height", ("width", "height"))
    with raises(ValueError, 'kind must be "a", "b" or "c", got \'d\''):
        shapes.check_choice("kind", "d", ("a", "b", "c"))


def test_shapes_with_letters():
    for shape in ((2, "k", "k"), (2, 3, 3), ("a", "b", 3), ("a", "b", "b")):
        shapes.check_shape("x", torch.zeros(2, 3, 3), shape)
    for shape, words in (
        ((2, 3, 4), "(2, 3, 4)"),
        (("k", "k", 3), "(k, k, 3)"),
        ((2, 3), "(2, 3)"),
        ((2, 3, 3, 1), "(2, 3, 3, 1)"),
        (("k",), "(k,)"),
    ):
        with raises(ValueError, f"x must have shape {words}, got (2, 3, 3)"):
            shapes.check_shape("x", torch.zeros(2, 3, 3), shape)


def test_floats_of_both_libraries():
    for x in (np.ones(2), np.ones(2, np.float16), torch.ones(2), torch.ones(2, dtype=torch.bfloat16)):
        shapes.check_float("x", x)
    with raises(TypeError, "x must be floating point, got int64"):
        shapes.check_float("x", np.ones(2, np.int64))
    with raises(TypeError, "x must be floating point, got torch.bool"):
        shapes.check_float("x", torch.ones(2).bool())
    with raises(TypeError, "x must be floating point, got complex128"):
        shapes.check_float("x", np.ones(2, np.complex128))


def test_masks_broadcast_to_the_scores():
    scores = (2, 3, 5, 7)
    for shape in ((), (7,), (1,), (5, 1), (5, 7), (3, 1, 7), (2, 1, 1, 7), scores):
        shapes.check_mask(torch.ones(shape).bool(), scores)
        shapes.check_mask(np.ones(shape, bool), scores)
    for shape in ((5,), (7, 5), (2, 5, 7), (1, *scores), (5, 0)):
        with raises(ValueError, f"mask of shape {shape} does not broadcast to {scores}"):
            shapes.check_mask(torch.ones(shape).bool(), scores)
    with raises(TypeError, "mask must be boolean with True = may attend, got uint8"):
        shapes.check_mask(np.ones((5, 7), np.uint8), scores)


def test_grids_and_maps_that_do_not_fit():
    for shape in ((1, 0, 2, 3), (1, 2, 0, 3)):
        with raises(ValueError, f"x must have the four axes (batch, row, column, width), none empty, got shape {shape}"):
            shapes.check_grid("x", torch.ones(shape), 3)
        with raises(ValueError, f"x must have the four axes (batch, channel, row, column), none empty, got shape {shape}"):
            shapes.check_map("x", torch.ones(shape))
    with raises(TypeError, "x must be floating point, got torch.int64"):
        shapes.check_grid("x", torch.ones(1, 2, 2, 3, dtype=torch.int64), 3)
    with raises(ValueError, "x must have width 3, got 5"):
        shapes.check_grid("x", torch.ones(1, 2, 2, 5), 3)
    shapes.check_grid("x", torch.ones(0, 2, 2, 3), 3)  # no pictures at all is no fault
    shapes.check_map("x", torch.ones(0, 2, 2, 3))


def test_the_array_side_of_the_package_does_not_wait_for_torch():
    code = "import sys, attn_utils.masks, attn_utils.positions, attn_utils.shapes; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "False"
