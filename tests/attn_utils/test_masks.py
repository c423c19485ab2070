"""Every mask against its definition, spelled out in loops."""

import re
import warnings

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from torch.nn.attention.flex_attention import create_block_mask, create_mask, flex_attention

from attn_utils import masks
from attn_utils.attention import attention as torch_attention
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
    assert_array_equal(regular, masks.dense(masks.shifted_window_mod(4, 4, 2), 16))
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
    assert_array_equal(masks.dense(masks.padding_mod([2, 0, 3], 3), 1, 3), [[1, 1, 0]])  # without B, the first sequence


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


# -------------------------------------------------------------------------------------- one rule, two forms

LENGTHS = [2, 0, 7]
PAIRS = {  # the array, its rule, and the batch size that the rule depends on
    "causal": (masks.causal(7), masks.causal_mod(7), None),
    "cached": (masks.causal(3, 11), masks.causal_mod(3, 11), None),
    "window_1d": (masks.window_1d(7, 2), masks.window_1d_mod(7, 2), None),
    "window_2d": (masks.window_2d(3, 5, 1), masks.window_2d_mod(3, 5, 1), None),
    "shifted": (masks.shifted_window(5, 7, 3, 2), masks.shifted_window_mod(5, 7, 3, 2), None),
    "windows": (masks.shifted_window(4, 6, 2), masks.shifted_window_mod(4, 6, 2), None),
    "padding": (masks.padding(LENGTHS, 7), masks.padding_mod(torch.tensor(LENGTHS), 7), 3),
}
EVERY_PAIR = pytest.mark.parametrize("name", list(PAIRS))


@EVERY_PAIR
def test_flex_attention_reads_the_same_mask(name):
    array, mod, B = PAIRS[name]
    N, M = array.shape[-2:]
    assert_array_equal(create_mask(mod, B, None, N, M, device="cpu").numpy(), array.reshape(B or 1, 1, N, M))


@EVERY_PAIR
def test_flex_attention_equals_attention_with_the_array(name):
    array, mod, B = PAIRS[name]
    N, M = array.shape[-2:]
    q, k, v = torch.randn(3, 2, N, 8), torch.randn(3, 2, M, 8), torch.randn(3, 2, M, 8)
    block_mask = create_block_mask(mod, B, None, N, M, device="cpu")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # eager FlexAttention says that compiling would be faster
        out = flex_attention(q, k, v, block_mask=block_mask)
    expected, _ = torch_attention(q, k, v, mask=array if B is None else array[:, None])
    torch.testing.assert_close(out, expected)


@EVERY_PAIR
def test_a_rule_can_be_asked_about_one_pair(name):
    array, mod, B = PAIRS[name]
    rng = np.random.default_rng(0)
    for _ in range(30):
        b, (n, m) = int(rng.integers(B or 1)), (int(rng.integers(size)) for size in array.shape[-2:])
        assert bool(mod(b, 0, n, m)) == (array[n, m] if B is None else array[b, n, m])


def test_dense_asks_any_rule_about_all_pairs():
    cross = lambda batch, head, q, k: (q // 3 == k // 3) | (q % 3 == k % 3)
    assert_array_equal(masks.dense(cross, 6), brute(lambda n, m: n // 3 == m // 3 or n % 3 == m % 3, range(6), range(6)))
    keys_only = masks.dense(lambda batch, head, q, k: k > 1, 2, 3)
    assert_array_equal(keys_only, [[0, 0, 1], [0, 0, 1]])
    keys_only[0] = True  # an array of its own, every row
    assert_array_equal(keys_only[1], [0, 0, 1])
    of_batch = masks.dense(lambda batch, head, q, k: (q + k + batch) % 2 == head, 2, 3, B=2)
    assert_array_equal(of_batch, [[[1, 0, 1], [0, 1, 0]], [[0, 1, 0], [1, 0, 1]]])
    assert masks.dense(cross, np.int64(2), np.int64(3), B=np.int64(0)).shape == (0, 2, 3)
    for name, sizes in (("N", (0,)), ("M", (2, 0))):
        with raises(ValueError, f"{name} must be an integer of at least 1, got 0"):
            masks.dense(cross, *sizes)
    with raises(ValueError, "B must be an integer of at least 0, got -1"):
        masks.dense(cross, 2, B=-1)


def test_rules_reject_what_the_arrays_reject():
    for make, arguments, text in (
        (masks.causal_mod, (5, 4), "M must be an integer of at least 5, got 4"),
        (masks.window_1d_mod, (0, 1), "N must be an integer of at least 1, got 0"),
        (masks.window_2d_mod, (0, 3, 1), "H must be an integer of at least 1, got 0"),
        (masks.shifted_window_mod, (6, 6, 3, 3), "shift must be below window = 3, got 3"),
        (masks.padding_mod, (torch.tensor([4]), 3), "lengths must lie in 0 ... M = 3, got [4]"),
    ):
        with raises(ValueError, text):
            make(*arguments)
    with raises(TypeError, "lengths must be integers, got float32"):
        masks.padding_mod(torch.ones(2), 3)


def test_numpy_integers_are_sizes():
    two, four, six = np.uint8(2), np.int64(4), np.uint8(6)
    assert_array_equal(masks.causal(four, six), masks.causal(4, 6))
    assert_array_equal(masks.window_1d(six, two), masks.window_1d(6, 2))
    assert_array_equal(masks.window_2d(np.uint8(20), np.uint8(20), two), masks.window_2d(20, 20, 2))  # 400 pixels
    assert_array_equal(masks.shifted_window(four, six, two, np.uint8(1)), masks.shifted_window(4, 6, 2, 1))
    assert_array_equal(masks.padding(np.uint8([2, 4]), four), masks.padding([2, 4], 4))
    assert_array_equal(masks.padding(torch.tensor([2, 4]), 4), masks.padding([2, 4], 4))
