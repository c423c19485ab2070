"""Position codes against their closed forms, and the property each is made for: only offsets matter."""

import re

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from attn_utils import positions
from attn_utils.reference import dot_scores

H, W = 5, 7
TIGHT = {"rtol": 1e-12, "atol": 1e-12}


def raises(error, text):
    return pytest.raises(error, match=f"^{re.escape(text)}$")


def test_sincos_1d_equals_the_paper_entry_by_entry():
    N, D = 11, 6
    table = positions.sincos_1d(N, D)
    assert table.shape == (N, D)
    for n in range(N):
        for i in range(D // 2):
            angle = n / 10000 ** (2 * i / D)
            assert_allclose(table[n, 2 * i], np.sin(angle), **TIGHT)
            assert_allclose(table[n, 2 * i + 1], np.cos(angle), **TIGHT)


def test_sincos_1d_solved_by_hand():
    assert_allclose(
        positions.sincos_1d(2, 4, base=4.0), [[0, 1, 0, 1], [np.sin(1), np.cos(1), np.sin(0.5), np.cos(0.5)]], **TIGHT
    )


def test_a_base_of_one_or_less_is_allowed():
    assert_allclose(positions.sincos_1d(2, 4, base=1.0)[1], [np.sin(1), np.cos(1)] * 2, **TIGHT)
    assert_allclose(positions.rope_2d(2, 1, 8, base=0.25)[1], [1, 2, 0, 0], **TIGHT)


def test_sincos_1d_has_one_length_and_sees_offsets_only():
    table = positions.sincos_1d(11, 6)
    products = table @ table.T
    for n in range(11):
        for m in range(11):
            assert_allclose(products[n, m], products[abs(n - m), 0], **TIGHT)
    assert_allclose(np.diag(products), 3, **TIGHT)


def test_sincos_2d_puts_the_row_first_and_counts_row_by_row():
    D = 12
    table = positions.sincos_2d(H, W, D)
    rows, columns = positions.sincos_1d(H, D // 2), positions.sincos_1d(W, D // 2)
    assert table.shape == (H * W, D)
    for r in range(H):
        for c in range(W):
            assert_array_equal(table[r * W + c], np.concatenate([rows[r], columns[c]]))
    assert_array_equal(positions.sincos_2d(H, W, D, base=50)[3 * W + 2, :6], positions.sincos_1d(H, 6, 50)[3])
    assert_array_equal(positions.sincos_2d(H, W, D, base=50)[3 * W + 2, 6:], positions.sincos_1d(W, 6, 50)[2])


def test_no_two_places_share_a_vector():
    for table in (positions.sincos_1d(101, 8), positions.sincos_2d(11, 13, 8)):
        distances = np.linalg.norm(table[:, None] - table[None], axis=-1) + np.eye(len(table))
        assert distances.min() > 1e-3


@pytest.mark.parametrize("H, W", [(1, 1), (1, 5), (5, 1), (3, 5), (7, 2)])
def test_relative_index_against_loops(H, W):
    index = positions.relative_index(H, W)
    places = [(r, c) for r in range(H) for c in range(W)]
    offsets = sorted({(a[0] - b[0], a[1] - b[1]) for a in places for b in places})
    assert_array_equal(index, [[offsets.index((a[0] - b[0], a[1] - b[1])) for b in places] for a in places])
    assert_array_equal(np.unique(index), np.arange((2 * H - 1) * (2 * W - 1)))


def test_relative_index_solved_by_hand():
    assert_array_equal(positions.relative_index(1, 3), [[2, 1, 0], [3, 2, 1], [4, 3, 2]])
    assert_array_equal(positions.relative_index(2, 2)[0], [4, 3, 1, 0])


def test_rope_angles_equal_their_formula():
    d = 12
    angles = positions.rope_2d(H, W, d)
    assert angles.shape == (H * W, d // 2)
    for r in range(H):
        for c in range(W):
            for i in range(d // 4):
                frequency = 100 ** (-i / (d // 4))
                assert_allclose(angles[r * W + c, i], r * frequency, **TIGHT)
                assert_allclose(angles[r * W + c, d // 4 + i], c * frequency, **TIGHT)
    assert_allclose(positions.rope_2d(2, 1, 8, base=4.0), [[0, 0, 0, 0], [1, 0.5, 0, 0]], **TIGHT)


def test_apply_rope_solved_by_hand():
    x = np.array([[1.0, 0.0, 0.0, 1.0], [3.0, 4.0, 5.0, 6.0]])
    angles = np.array([[np.pi / 2, np.pi / 2], [0.0, np.pi]])
    assert_allclose(positions.apply_rope(x, angles), [[0, 1, -1, 0], [3, 4, -5, -6]], atol=1e-15)


def test_rope_keeps_norms_and_dot_products_see_offsets_only():
    rng = np.random.default_rng(0)
    d = 8
    angles = positions.rope_2d(H, W, d)
    q, k = rng.normal(size=(2, d))
    queries = positions.apply_rope(np.tile(q, (H * W, 1)), angles)
    keys = positions.apply_rope(np.tile(k, (H * W, 1)), angles)
    assert_allclose(np.linalg.norm(queries, axis=1), np.linalg.norm(q), **TIGHT)
    scores = dot_scores(queries, keys)
    offsets = positions.relative_index(H, W)
    for offset in np.unique(offsets):
        same = scores[offsets == offset]
        assert_allclose(same, same[0], **TIGHT)
    assert_allclose(np.diag(scores), q @ k, **TIGHT)
    assert scores.std() > 0.1  # and they do see the offset


def test_rope_of_a_batch_is_one_at_a_time_and_leaves_its_input():
    rng = np.random.default_rng(0)
    angles = positions.rope_2d(H, W, 4)
    x = rng.normal(size=(2, 3, H * W, 4))
    before = x.copy()
    turned = positions.apply_rope(x, angles)
    assert_array_equal(x, before)
    for b in range(2):
        for h in range(3):
            assert_array_equal(turned[b, h], positions.apply_rope(x[b, h], angles))
    assert positions.apply_rope(x.astype(np.float32), angles).dtype == np.float32


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_rope_turns_tensors_as_it_turns_arrays(dtype):
    angles = positions.rope_2d(H, W, 8)
    x = torch.randn(2, 3, H * W, 8, dtype=torch.float64)
    before = x.clone()
    turned = positions.apply_rope(x.to(dtype), torch.from_numpy(angles))
    assert turned.dtype == dtype
    expected = torch.from_numpy(positions.apply_rope(x.numpy(), angles))
    tolerance = {torch.float64: 1e-14, torch.float32: 1e-6, torch.float16: 4e-3, torch.bfloat16: 3e-2}[dtype]
    torch.testing.assert_close(turned.double(), expected, rtol=0, atol=tolerance)
    torch.testing.assert_close(x, before, rtol=0, atol=0)


def test_gradients_go_through_rope_to_the_angles_too():
    """Angles may be learned (Heo et al. 2024, "mixed")."""
    angles = torch.from_numpy(positions.rope_2d(2, 3, 4)).requires_grad_()
    x = torch.randn(2, 6, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(positions.apply_rope, (x, angles))


def test_rejections():
    for make in (
        lambda b: positions.sincos_1d(3, 4, b),
        lambda b: positions.sincos_2d(3, 3, 4, b),
        lambda b: positions.rope_2d(3, 3, 4, b),
    ):
        for bad in (0, -2.0, np.nan, np.inf):
            with raises(ValueError, f"base must be a finite number above 0, got {bad}"):
                make(bad)
    with raises(ValueError, "N must be an integer of at least 1, got 0"):
        positions.sincos_1d(0, 4)
    for bad in (0, 3, 4.0, True):
        with raises(ValueError, f"D must be a multiple of 2 above 0, got {bad}"):
            positions.sincos_1d(3, bad)
    with raises(ValueError, "D must be a multiple of 4 above 0, got 6"):
        positions.sincos_2d(3, 3, 6)
    with raises(ValueError, "d must be a multiple of 4 above 0, got 6"):
        positions.rope_2d(3, 3, 6)
    for make in (
        lambda h, w: positions.sincos_2d(h, w, 4),
        lambda h, w: positions.rope_2d(h, w, 4),
        positions.relative_index,
    ):
        with raises(ValueError, "H must be an integer of at least 1, got 0"):
            make(0, 3)
        with raises(ValueError, "W must be an integer of at least 1, got 0"):
            make(3, 0)


def test_numpy_integers_are_sizes():
    three, eight = np.int64(3), np.uint8(8)
    assert_array_equal(positions.sincos_1d(three, eight), positions.sincos_1d(3, 8))
    assert_array_equal(positions.sincos_2d(three, three, eight), positions.sincos_2d(3, 3, 8))
    assert_array_equal(positions.rope_2d(three, three, eight), positions.rope_2d(3, 3, 8))
    assert_array_equal(positions.relative_index(np.uint8(20), np.uint8(20)), positions.relative_index(20, 20))


def test_apply_rope_rejections():
    angles = positions.rope_2d(1, 3, 4)  # (3, 2)
    with raises(TypeError, "x must be floating point, got torch.int64"):
        positions.apply_rope(torch.ones(3, 4).long(), torch.from_numpy(angles))
    with raises(ValueError, "x (..., N, d) and angles (N, d/2) must agree, got (5, 4) and (3, 2)"):
        positions.apply_rope(torch.ones(5, 4), torch.from_numpy(angles))
    with raises(TypeError, "x and angles must both be arrays or both tensors, got Tensor and ndarray"):
        positions.apply_rope(torch.ones(3, 4), angles)
    with raises(TypeError, "x and angles must both be arrays or both tensors, got ndarray and Tensor"):
        positions.apply_rope(np.ones((3, 4)), torch.from_numpy(angles))
    with raises(TypeError, "x must be floating point, got int64"):
        positions.apply_rope(np.ones((3, 4), np.int64), angles)
    for shape in ((3, 6), (5, 4), (3, 5), (4,)):
        with raises(ValueError, f"x (..., N, d) and angles (N, d/2) must agree, got {shape} and (3, 2)"):
            positions.apply_rope(np.ones(shape), angles)
