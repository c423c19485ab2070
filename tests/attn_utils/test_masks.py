"""Every mask against its definition, spelled out in loops."""

import re

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from attn_utils import masks
from attn_utils.reference import attention

H, W = 5, 7


def pixels(H, W):
    return [(r, c) for r in range(H) for c in range(W)]


def brute(rule, queries, keys):
    return np.array([[rule(n, m) for m in keys] for n in queries])


def raises(error, text):
    return pytest.raises(error, match=f"^{re.escape(text)}$")


def test_causal_solved_by_hand():
    assert_array_equal(masks.causal(3), [[1, 0, 0], [1, 1, 0], [1, 1, 1]])
    assert_array_equal(masks.causal(2, 5), [[1, 1, 1, 1, 0], [1, 1, 1, 1, 1]])
    assert_array_equal(masks.causal(1), [[1]])


@pytest.mark.parametrize("N, M", [(1, 1), (1, 5), (3, 3), (5, 11)])
def test_causal_against_loops(N, M):
    past = M - N
    assert_array_equal(masks.causal(N, M), brute(lambda n, m: m - past <= n, range(N), range(M)))


def test_causal_attention_does_not_see_the_future():
    rng = np.random.default_rng(0)
    q, k, v = rng.normal(size=(3, 7, 5))
    out, _ = attention(q, k, v, mask=masks.causal(7))
    k[4:], v[4:] = 9.0, -9.0
    changed, _ = attention(q, k, v, mask=masks.causal(7))
    assert_array_equal(changed[:4], out[:4])
    assert (changed[4:] != out[4:]).any(axis=1).all()


def test_causal_rejections():
    with raises(ValueError, "N must be an integer of at least 1, got 0"):
        masks.causal(0)
    with raises(ValueError, "M must be an integer of at least 5, got 4"):
        masks.causal(5, 4)
    with raises(ValueError, "N must be an integer of at least 1, got 2.0"):
        masks.causal(2.0)
    with raises(ValueError, "N must be an integer of at least 1, got True"):
        masks.causal(True)


@pytest.mark.parametrize("radius", [0, 1, 3, 10])
def test_window_1d_against_loops(radius):
    assert_array_equal(masks.window_1d(7, radius), brute(lambda n, m: abs(n - m) <= radius, range(7), range(7)))


def test_window_1d_solved_by_hand():
    assert_array_equal(masks.window_1d(4, 1), [[1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 1], [0, 0, 1, 1]])


@pytest.mark.parametrize("radius", [0, 1, 2, 5, 11])
def test_window_2d_against_loops(radius):
    def rule(n, m):
        return abs(n[0] - m[0]) <= radius and abs(n[1] - m[1]) <= radius

    assert_array_equal(masks.window_2d(H, W, radius), brute(rule, pixels(H, W), pixels(H, W)))


def test_window_2d_sees_nine_pixels_inside_six_at_an_edge_and_four_in_a_corner():
    seen = masks.window_2d(H, W, 1).sum(axis=1).reshape(H, W)
    assert_array_equal(np.unique(seen[1:-1, 1:-1]), [9])
    assert_array_equal([seen[0, 0], seen[-1, -1], seen[0, 3], seen[2, 0]], [4, 4, 6, 6])


def test_window_rejections():
    for mask in (lambda: masks.window_1d(3, -1), lambda: masks.window_2d(3, 3, -1)):
        with raises(ValueError, "radius must be an integer of at least 0, got -1"):
            mask()
    with raises(ValueError, "N must be an integer of at least 1, got 0"):
        masks.window_1d(0, 1)
    with raises(ValueError, "H must be an integer of at least 1, got 0"):
        masks.window_2d(0, 3, 1)
    with raises(ValueError, "W must be an integer of at least 1, got 0"):
        masks.window_2d(3, 0, 1)


def swin_by_rolling(H, W, window, shift):
    """The paper's own way: roll the picture, cut it into windows, forbid pairs that were not neighbours before the roll."""
    number = np.arange(H * W).reshape(H, W)
    wrapped = np.zeros((H, W), int)  # which pixels the roll carries across the border: 1 down, 2 right, 3 both
    wrapped[:shift] += 1
    wrapped[:, :shift] += 2
    rolled = np.roll(number, (-shift, -shift), axis=(0, 1))
    mask = np.zeros((H * W, H * W), bool)
    for top in range(0, H, window):
        for left in range(0, W, window):
            inside = rolled[top : top + window, left : left + window].ravel()
            for n in inside:
                for m in inside:
                    mask[n, m] = wrapped.flat[n] == wrapped.flat[m]
    return mask


@pytest.mark.parametrize("H, W, window", [(4, 6, 2), (6, 9, 3), (10, 5, 5), (7, 7, 7)])
def test_shifted_window_equals_the_cyclic_roll_of_swin(H, W, window):
    for shift in range(window):
        assert_array_equal(masks.shifted_window(H, W, window, shift), swin_by_rolling(H, W, window, shift))


@pytest.mark.parametrize("window", [1, 2, 3, 4, 11])
def test_shifted_window_of_any_size_against_loops(window):
    def tile(place, shift):  # the number of cuts above or left of this place
        return sum(cut <= place for cut in range(shift or window, 99, window))

    for shift in range(window):

        def rule(n, m, shift=shift):
            return all(tile(a, shift) == tile(b, shift) for a, b in zip(n, m))

        assert_array_equal(masks.shifted_window(H, W, window, shift), brute(rule, pixels(H, W), pixels(H, W)))


def test_shifted_window_solved_by_hand():
    regular = masks.shifted_window(4, 4, 2)
    assert_array_equal(np.flatnonzero(regular[0]), [0, 1, 4, 5])
    assert_array_equal(regular, masks.shifted_window(4, 4, 2, 0))
    shifted = masks.shifted_window(4, 4, 2, 1)
    assert_array_equal(np.flatnonzero(shifted[0]), [0])
    assert_array_equal(np.flatnonzero(shifted[1]), [1, 2])
    assert_array_equal(np.flatnonzero(shifted[5]), [5, 6, 9, 10])


def test_shifted_window_rejections():
    with raises(ValueError, "shift must be below window = 3, got 3"):
        masks.shifted_window(6, 6, 3, 3)
    with raises(ValueError, "shift must be an integer of at least 0, got -1"):
        masks.shifted_window(6, 6, 3, -1)
    for name, sizes in (("H", (0, 6, 3)), ("W", (6, 0, 3)), ("window", (6, 6, 0))):
        with raises(ValueError, f"{name} must be an integer of at least 1, got 0"):
            masks.shifted_window(*sizes)


def test_padding_solved_by_hand():
    mask = masks.padding([2, 0, 3], 3)
    assert_array_equal(mask, [[[1, 1, 0]], [[0, 0, 0]], [[1, 1, 1]]])


def test_padded_sequences_attend_as_if_they_were_alone():
    rng = np.random.default_rng(0)
    q, k, v = rng.normal(size=(3, 2, 7, 5))
    out, weights = attention(q, k, v, mask=masks.padding([3, 7], 7))
    alone, _ = attention(q[0], k[0, :3], v[0, :3])
    np.testing.assert_allclose(out[0], alone, rtol=1e-12)
    assert_array_equal(weights[0, :, 3:], 0)


def test_padding_rejections():
    with raises(TypeError, "lengths must be integers, got float64"):
        masks.padding([1.0], 3)
    with raises(ValueError, "lengths must have shape (B,), got (1, 1)"):
        masks.padding([[1]], 3)
    for bad in ([4], [-1]):
        with raises(ValueError, f"lengths must lie in 0 ... M = 3, got {bad}"):
            masks.padding(bad, 3)
    with raises(ValueError, "M must be an integer of at least 1, got 0"):
        masks.padding([0], 0)


@pytest.mark.parametrize(
    "mask",
    [masks.causal(5), masks.causal(3, 7), masks.window_1d(5, 2), masks.window_2d(3, 5, 1)]
    + [masks.shifted_window(3, 5, 2, 1), masks.padding([1, 2], 3)],
    ids=["causal", "cached", "window_1d", "window_2d", "shifted", "padding"],
)
def test_masks_are_boolean_and_leave_no_row_empty(mask):
    assert mask.dtype == bool
    assert mask.any(axis=-1).all()
