"""The chain to the specification: triple loop == NumPy == torch autograd == SDPA == nn.MultiheadAttention."""

import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.testing import assert_allclose, assert_array_equal

from attn_utils import reference as ref

B, HEADS, N, M, D, D_V, HIDDEN = 2, 3, 5, 7, 11, 13, 17  # a different prime each: a swapped axis cannot fit
TIGHT = {"rtol": 1e-12, "atol": 1e-12}


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def make_qkv(rng, *leading):
    return [rng.normal(size=(*leading, *size)) for size in ((N, D), (M, D), (M, D_V))]


def make_mask(rng, *leading):
    """Random, but no row is empty."""
    mask = rng.random((*leading, N, M)) < 0.5
    mask[..., 0] |= ~mask.any(axis=-1)
    return mask


def raises(error, text):
    return pytest.raises(error, match=f"^{re.escape(text)}")


# ---------------------------------------------------------------- softmax


def test_softmax_solved_by_hand():
    assert_allclose(ref.softmax(np.log([1.0, 2.0, 5.0])), [1 / 8, 2 / 8, 5 / 8], **TIGHT)
    assert_allclose(ref.softmax(np.array([0.0, -np.inf, 0.0])), [0.5, 0, 0.5], rtol=0, atol=0)


@pytest.mark.parametrize("axis", [-1, 0, 1, 2])
def test_softmax_sums_to_one_along_its_axis_and_equals_torch(rng, axis):
    scores = rng.normal(size=(3, 5, 7))
    weights = ref.softmax(scores, axis=axis)
    assert_allclose(weights.sum(axis=axis), 1, **TIGHT)
    assert_allclose(weights, torch.softmax(torch.tensor(scores), axis).numpy(), **TIGHT)


def test_softmax_default_axis_is_the_last(rng):
    scores = rng.normal(size=(5, 7))
    assert_array_equal(ref.softmax(scores), ref.softmax(scores, axis=1))


def test_softmax_does_not_see_a_shift_and_ignores_the_order(rng):
    scores, order = rng.normal(size=(5, 7)), rng.permutation(7)
    assert_allclose(ref.softmax(scores + 3.7), ref.softmax(scores), **TIGHT)
    assert_allclose(ref.softmax(scores[:, order]), ref.softmax(scores)[:, order], **TIGHT)


def test_softmax_of_all_minus_infinity_is_zero_and_leaves_its_neighbours_alone():
    scores = np.array([[-np.inf, -np.inf], [0.0, 0.0]])
    assert_array_equal(ref.softmax(scores), [[0, 0], [0.5, 0.5]])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_softmax_survives_scores_of_ten_thousand(dtype):
    weights = ref.softmax(np.array([1e4, -1e4, 1e4], dtype))
    assert weights.dtype == dtype
    assert_array_equal(weights, [0.5, 0, 0.5])
    assert_array_equal(ref.softmax(np.array([-1e4, -1e4], dtype)), [0.5, 0.5])


def test_softmax_in_float16_sums_in_float32():
    weights = ref.softmax(np.zeros(5000, np.float16))  # a float16 sum would stop at 2,048
    assert_array_equal(weights, np.full(5000, 1 / 5000, np.float16))


def test_softmax_rejections():
    with raises(TypeError, "scores must hold floats, got int64"):
        ref.softmax(np.array([1, 2], np.int64))
    with raises(ValueError, "scores must have at least one entry along axis -1, got shape (3, 0)"):
        ref.softmax(np.zeros((3, 0)))
    with raises(ValueError, "scores must have at least one entry along axis -1, got shape ()"):
        ref.softmax(np.float64(1))
    for bad in (np.nan, np.inf):
        with raises(ValueError, "scores must not hold NaN or +inf"):
            ref.softmax(np.array([0, bad]))


def test_softmax_jacobian_solved_by_hand():
    assert_allclose(
        ref.softmax_jacobian(np.array([0.2, 0.3, 0.5])),
        [[0.16, -0.06, -0.10], [-0.06, 0.21, -0.15], [-0.10, -0.15, 0.25]],
        **TIGHT,
    )


def test_softmax_jacobian_equals_autograd_and_finite_differences(rng):
    scores = rng.normal(size=7)
    jacobian = ref.softmax_jacobian(ref.softmax(scores))
    exact = torch.autograd.functional.jacobian(lambda s: torch.softmax(s, -1), torch.tensor(scores))
    assert_allclose(jacobian, exact.numpy(), **TIGHT)
    step = 1e-6 * np.eye(7)  # row j moves score j
    differences = (ref.softmax(scores + step) - ref.softmax(scores - step)) / 2e-6  # (j, i)
    assert_allclose(jacobian, differences.T, atol=1e-9)
    assert_allclose(jacobian.sum(axis=1), 0, atol=1e-15)


def test_softmax_jacobian_of_a_batch_is_one_at_a_time(rng):
    weights = ref.softmax(rng.normal(size=(3, 5, 7)))
    batched = ref.softmax_jacobian(weights)
    assert batched.shape == (3, 5, 7, 7)
    assert_allclose(batched[2, 4], ref.softmax_jacobian(weights[2, 4]), **TIGHT)


def test_softmax_jacobian_keeps_the_precision():
    for dtype in (np.float32, np.float64):
        assert ref.softmax_jacobian(np.array([0.25, 0.75], dtype)).dtype == dtype


def test_softmax_jacobian_rejections():
    with raises(TypeError, "weights must hold floats, got int64"):
        ref.softmax_jacobian(np.array([1, 0], np.int64))
    with raises(ValueError, "weights must have 1 or more axes, got shape ()"):
        ref.softmax_jacobian(np.float64(1))
    with raises(ValueError, "weights must be finite, got NaN or infinite values"):
        ref.softmax_jacobian(np.array([np.nan]))


# ---------------------------------------------------------------- scores

SCORES = {  # name: (function, equation for one query and one key)
    "dot": (lambda q, k, p: ref.dot_scores(q, k), lambda q, k, p: q @ k),
    "scaled dot": (lambda q, k, p: ref.scaled_dot_scores(q, k), lambda q, k, p: q @ k / np.sqrt(D)),
    "general": (lambda q, k, p: ref.general_scores(q, k, p["W"]), lambda q, k, p: q @ p["W"] @ k),
    "additive": (
        lambda q, k, p: ref.additive_scores(q, k, p["W_q"], p["W_k"], p["v"]),
        lambda q, k, p: p["v"] @ np.tanh(p["W_q"] @ q + p["W_k"] @ k),
    ),
    "gaussian": (
        lambda q, k, p: ref.gaussian_scores(q, k, 1.7),
        lambda q, k, p: -(np.linalg.norm(q - k) ** 2) / (2 * 1.7**2),
    ),
}


def make_parameters(rng, d_k=D):
    return {
        "W": rng.normal(size=(D, d_k)),
        "W_q": rng.normal(size=(HIDDEN, D)),
        "W_k": rng.normal(size=(HIDDEN, d_k)),
        "v": rng.normal(size=HIDDEN),
    }


@pytest.mark.parametrize("name", SCORES)
def test_scores_equal_their_equation_pair_by_pair_in_a_batch(rng, name):
    function, equation = SCORES[name]
    (q, k, _), parameters = make_qkv(rng, B, HEADS), make_parameters(rng)
    expected = [
        [[[equation(q[b, h, n], k[b, h, m], parameters) for m in range(M)] for n in range(N)] for h in range(HEADS)]
        for b in range(B)
    ]
    assert_allclose(function(q, k, parameters), expected, **TIGHT)


def test_general_and_additive_take_queries_and_keys_of_different_widths(rng):
    q, k, parameters = rng.normal(size=(N, D)), rng.normal(size=(M, D_V)), make_parameters(rng, d_k=D_V)
    for name in ("general", "additive"):
        function, equation = SCORES[name]
        expected = [[equation(q[n], k[m], parameters) for m in range(M)] for n in range(N)]
        assert_allclose(function(q, k, parameters), expected, **TIGHT)


def test_scores_solved_by_hand():
    q, k = np.array([[1.0, 2.0, 2.0, 4.0]]), np.array([[1.0, 0.0, 1.0, 0.5], [0.0, 0.0, 0.0, 1.0]])
    assert_array_equal(ref.dot_scores(q, k), [[5, 4]])
    assert_array_equal(ref.scaled_dot_scores(q, k), [[2.5, 2]])
    assert_array_equal(ref.general_scores(q, k, np.diag([1.0, 0, 0, 2])), [[5, 8]])
    assert_array_equal(ref.gaussian_scores(q, k, 0.5), [[-2 * 17.25, -2 * 18]])
    assert_array_equal(ref.gaussian_scores(q, q, 0.5), [[0]])
    one = np.ones((1, 4))
    assert_allclose(ref.additive_scores(q, k, 0.1 * one, 0.2 * one, np.array([3.0])), 3 * np.tanh([[1.4, 1.1]]), **TIGHT)


def test_the_score_family_meets_in_its_special_cases(rng):
    q, k, _ = make_qkv(rng)
    W_q, W_k = rng.normal(size=(HIDDEN, D)), rng.normal(size=(HIDDEN, D))
    dot = ref.dot_scores(q, k)
    assert_allclose(ref.general_scores(q, k, np.eye(D)), dot, **TIGHT)
    assert_allclose(ref.general_scores(q, k, np.eye(D) / np.sqrt(D)), ref.scaled_dot_scores(q, k), **TIGHT)
    assert_allclose(ref.general_scores(q, k, W_q.T @ W_k), ref.dot_scores(q @ W_q.T, k @ W_k.T), **TIGHT)
    tiny = 1e-4  # tanh(u) ≈ u: an additive score splits into a part of the query and a part of the key
    additive = ref.additive_scores(tiny * q, tiny * k, W_q, W_k, np.ones(HIDDEN)) / tiny
    assert_allclose(additive, (q @ W_q.T).sum(1)[:, None] + (k @ W_k.T).sum(1), rtol=0, atol=1e-3)
    k_unit = k / np.linalg.norm(k, axis=1, keepdims=True)  # keys of equal length: Gaussian and dot have the same softmax
    gaussian, dot = ref.gaussian_scores(q, k_unit, 0.7), ref.dot_scores(q, k_unit) / 0.7**2
    assert_allclose(ref.softmax(gaussian), ref.softmax(dot), **TIGHT)


@pytest.mark.parametrize("name", SCORES)
def test_float16_scores_come_back_in_float32_and_do_not_overflow(rng, name):
    (q, k, _), parameters = make_qkv(rng), make_parameters(rng)
    half = {key: value.astype(np.float16) for key, value in parameters.items()}
    scores = SCORES[name][0](200 * q.astype(np.float16), 200 * k.astype(np.float16), half)
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("name", SCORES)
def test_scores_reject_bad_queries_and_keys(rng, name):
    function, parameters = SCORES[name][0], make_parameters(rng)
    q, k, _ = make_qkv(rng)
    with raises(TypeError, "q must hold floats, got int64"):
        function(q.astype(np.int64), k, parameters)
    with raises(ValueError, "k must have 2 or more axes, got shape (11,)"):
        function(q, k[0], parameters)
    with raises(ValueError, "the leading axes of q and k must agree, got () and (2,)"):
        function(q, np.stack([k, k]), parameters)
    with raises(ValueError, "k must hold at least one key, got shape (0, 11)"):
        function(q, k[:0], parameters)
    with raises(ValueError, "k must be finite, got NaN or infinite values"):
        function(q, np.full_like(k, np.nan), parameters)


def test_scores_reject_parameters_that_do_not_fit(rng):
    (q, k, _), p = make_qkv(rng), make_parameters(rng)
    for function in (ref.dot_scores, ref.scaled_dot_scores, lambda q, k: ref.gaussian_scores(q, k, 1.0)):
        with raises(ValueError, "the width of q and k must agree, got 11 and 10"):
            function(q, k[:, 1:])
    with raises(ValueError, "the shape of W and the widths of q and k must agree, got (10, 11) and (11, 11)"):
        ref.general_scores(q, k, p["W"][1:])
    with raises(ValueError, "W must have 2 axes, got shape (1, 11, 11)"):
        ref.general_scores(q, k, p["W"][None])
    with raises(ValueError, "the shape of W_q and (len(v), the width of q) must agree, got (16, 11) and (17, 11)"):
        ref.additive_scores(q, k, p["W_q"][1:], p["W_k"], p["v"])
    with raises(ValueError, "the shape of W_k and (len(v), the width of k) must agree, got (17, 10) and (17, 11)"):
        ref.additive_scores(q, k, p["W_q"], p["W_k"][:, 1:], p["v"])
    with raises(ValueError, "v must have 1 axes, got shape (17, 1)"):
        ref.additive_scores(q, k, p["W_q"], p["W_k"], p["v"][:, None])
    with raises(ValueError, "W_q must have 2 axes, got shape (11,)"):
        ref.additive_scores(q, k, p["W_q"][0], p["W_k"], p["v"])
    with raises(ValueError, "W_k must have 2 axes, got shape (11,)"):
        ref.additive_scores(q, k, p["W_q"], p["W_k"][0], p["v"])
    for bad in (0, -1.0, np.nan, np.inf):
        with raises(ValueError, f"bandwidth must be a finite number above 0, got {bad}"):
            ref.gaussian_scores(q, k, bad)
    assert ref.gaussian_scores(q, k, 1e-3).shape == (N, M)
    with raises(ValueError, "q and k must have a width d of at least 1, got 0"):
        ref.scaled_dot_scores(q[:, :0], k[:, :0])


# ---------------------------------------------------------------- attention: the chain


@pytest.mark.parametrize("scale", [None, 0.3])
@pytest.mark.parametrize("masked", [False, True])
def test_loops_numpy_torch_and_sdpa_agree(rng, masked, scale):
    q, k, v = make_qkv(rng)
    mask = make_mask(rng) if masked else None
    out, weights = ref.attention(q, k, v, mask=mask, scale=scale)
    loop_out, loop_weights = ref.attention_loops(q, k, v, mask=mask, scale=scale)
    assert_allclose(out, loop_out, **TIGHT)
    assert_allclose(weights, loop_weights, **TIGHT)
    tensors = [torch.tensor(x)[None] for x in (q, k, v)]
    torch_mask = None if mask is None else torch.tensor(mask)
    sdpa = F.scaled_dot_product_attention(*tensors, attn_mask=torch_mask, scale=scale)[0]
    assert_allclose(out, sdpa.numpy(), **TIGHT)


@pytest.mark.parametrize("masked", [False, True])
def test_heads_side_by_side_equal_multihead_attention_with_copied_weights(rng, masked):
    width = HEADS * D
    layer = torch.nn.MultiheadAttention(width, HEADS, batch_first=True, dtype=torch.float64)
    torch.nn.init.normal_(layer.in_proj_bias)
    torch.nn.init.normal_(layer.out_proj.bias)
    x, context = rng.normal(size=(B, N, width)), rng.normal(size=(B, M, width))
    mask = make_mask(rng) if masked else None
    tensors = torch.tensor(x), torch.tensor(context), torch.tensor(context)
    block = None if mask is None else ~torch.tensor(mask)  # nn.MultiheadAttention: True means "may not"
    with torch.no_grad():
        expected, expected_weights = layer(*tensors, attn_mask=block, average_attn_weights=False)

    def heads(tokens, i):  # (B, n, width) -> (B, HEADS, n, D)
        rows = slice(i * width, (i + 1) * width)
        weight, bias = layer.in_proj_weight.detach().numpy()[rows], layer.in_proj_bias.detach().numpy()[rows]
        return (tokens @ weight.T + bias).reshape(B, -1, HEADS, D).swapaxes(1, 2)

    out, weights = ref.attention(heads(x, 0), heads(context, 1), heads(context, 2), mask=mask)
    out = out.swapaxes(1, 2).reshape(B, N, width)
    out = out @ layer.out_proj.weight.detach().numpy().T + layer.out_proj.bias.detach().numpy()
    assert_allclose(out, expected.numpy(), **TIGHT)
    assert_allclose(weights, expected_weights.numpy(), **TIGHT)


def test_attention_solved_by_hand():
    q = np.array([[np.log(3.0), 0.0], [0.0, 0.0]])
    k = np.array([[1.0, 0.0], [0.0, 5.0]])
    v = np.array([[4.0, 8.0, 0.0], [0.0, 4.0, 1.0]])
    for function in (ref.attention, ref.attention_loops):
        out, weights = function(q, k, v, scale=1)  # exp of the scores: 3 and 1; 1 and 1
        assert_allclose(weights, [[0.75, 0.25], [0.5, 0.5]], **TIGHT)
        assert_allclose(out, [[3, 7, 0.25], [2, 6, 0.5]], **TIGHT)


def test_default_scale_is_one_over_the_root_of_the_query_width(rng):
    q, k, v = make_qkv(rng)
    for default, explicit in zip(ref.attention(q, k, v), ref.attention(q, k, v, scale=D**-0.5)):
        assert_allclose(default, explicit, **TIGHT)
    scores = ref.scaled_dot_scores(q, k)
    assert_allclose(ref.attention(q, k, v)[1], ref.softmax(scores), **TIGHT)


# ---------------------------------------------------------------- attention: invariants


def test_rows_sum_to_one_over_keys_and_masked_weights_are_exactly_zero(rng):
    q, k, v = make_qkv(rng, B, HEADS)
    mask = make_mask(rng, B, HEADS)
    out, weights = ref.attention(q, k, v, mask=mask)
    assert out.shape == (B, HEADS, N, D_V)
    assert weights.shape == (B, HEADS, N, M)
    assert_allclose(weights.sum(axis=-1), 1, **TIGHT)
    assert_array_equal(weights[~mask], 0)
    assert (weights[mask] > 0).all()


def test_the_output_lies_between_the_values(rng):
    out, _ = ref.attention(*(v := make_qkv(rng)))
    assert (out >= v[2].min(axis=0)).all()
    assert (out <= v[2].max(axis=0)).all()


def test_masked_keys_and_values_are_never_read(rng):
    q, k, v = make_qkv(rng)
    mask = np.ones((N, M), bool)
    mask[:, 3] = False
    kept = [m for m in range(M) if m != 3]
    out, weights = ref.attention(q, k, v, mask=mask)
    expected_out, expected_weights = ref.attention(q, k[kept], v[kept])
    assert_allclose(out, expected_out, **TIGHT)
    assert_allclose(weights[:, kept], expected_weights, **TIGHT)


@pytest.mark.parametrize("leading", [(), (1,), (B,), (1, N)])
def test_a_mask_broadcasts_over_what_it_lacks(rng, leading):
    q, k, v = make_qkv(rng, B)
    mask = {(): make_mask(rng), (1,): make_mask(rng)[None], (B,): make_mask(rng, B)[:, :1], (1, N): make_mask(rng)[0]}[leading]
    full = np.broadcast_to(mask, (B, N, M))
    for got, expected in zip(ref.attention(q, k, v, mask=mask), ref.attention(q, k, v, mask=full)):
        assert_allclose(got, expected, rtol=0, atol=0)


def test_permuting_queries_permutes_the_output_and_permuting_pairs_changes_nothing(rng):
    q, k, v = make_qkv(rng)
    out, weights = ref.attention(q, k, v)
    order_q, order_k = rng.permutation(N), rng.permutation(M)
    new_out, new_weights = ref.attention(q[order_q], k[order_k], v[order_k])
    assert_allclose(new_out, out[order_q], **TIGHT)
    assert_allclose(new_weights, weights[order_q][:, order_k], **TIGHT)


def test_batched_equals_one_at_a_time(rng):
    q, k, v, d_out = *make_qkv(rng, B, HEADS), rng.normal(size=(B, HEADS, N, D_V))
    mask = make_mask(rng, B, HEADS)
    batched = [
        *ref.attention(q, k, v, mask=mask),
        ref.tiled_attention(q, k, v, tile=3, mask=mask),
        *ref.attention_backward(q, k, v, d_out, mask=mask),
    ]
    for b in range(B):
        for h in range(HEADS):
            one, m = (q[b, h], k[b, h], v[b, h]), mask[b, h]
            single = [
                *ref.attention(*one, mask=m),
                ref.tiled_attention(*one, tile=3, mask=m),
                *ref.attention_backward(*one, d_out[b, h], mask=m),
            ]
            for many, alone in zip(batched, single):
                assert_allclose(many[b, h], alone, **TIGHT)


def test_inputs_are_left_as_they_were(rng):
    arrays = {"q": rng.normal(size=(N, D)), "k": rng.normal(size=(M, D)), "v": rng.normal(size=(M, D_V))}
    arrays |= {"mask": make_mask(rng), "d_out": rng.normal(size=(N, D_V))}
    before = {name: array.copy() for name, array in arrays.items()}
    q, k, v, mask, d_out = arrays.values()
    ref.attention(q, k, v, mask=mask)
    ref.attention_loops(q, k, v, mask=mask)
    ref.tiled_attention(q, k, v, mask=mask, tile=2)
    ref.attention_backward(q, k, v, d_out, mask=mask)
    ref.softmax(q)
    for name, array in arrays.items():
        assert_array_equal(array, before[name], err_msg=name)


def test_a_query_that_may_attend_to_nothing_gets_zeros_and_passes_no_gradient(rng):
    (q, k, v), mask, d_out = make_qkv(rng), make_mask(rng), rng.normal(size=(N, D_V))
    mask[2] = False
    for out, weights in (ref.attention(q, k, v, mask=mask), ref.attention_loops(q, k, v, mask=mask)):
        assert_array_equal(out[2], np.zeros(D_V))
        assert_array_equal(weights[2], np.zeros(M))
        assert_allclose(np.delete(weights, 2, axis=0).sum(axis=1), 1, **TIGHT)
    assert_array_equal(ref.tiled_attention(q, k, v, mask=mask, tile=3)[2], np.zeros(D_V))
    d_q, d_k, d_v = ref.attention_backward(q, k, v, d_out, mask=mask)
    others = [0, 1, 3, 4]
    expected = ref.attention_backward(q[others], k, v, d_out[others], mask=mask[others])
    assert_array_equal(d_q[2], np.zeros(D))
    assert_allclose(d_q[others], expected[0], **TIGHT)
    assert_allclose(d_k, expected[1], **TIGHT)
    assert_allclose(d_v, expected[2], **TIGHT)


# ---------------------------------------------------------------- attention: numerics

ALL_PATHS = {
    "attention": lambda *a, **kw: ref.attention(*a, **kw)[0],
    "loops": lambda *a, **kw: ref.attention_loops(*a, **kw)[0],
    "tiled": lambda *a, **kw: ref.tiled_attention(*a, tile=2, **kw),
}


@pytest.mark.parametrize("path", ALL_PATHS)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_scores_of_ten_thousand_are_safe(path, dtype):
    q = np.array([[100.0], [-100.0]], dtype)
    k = np.array([[100.0], [99.0], [-100.0]], dtype)  # scores ±10,000
    v = np.array([[1.0, 2.0], [5.0, 6.0], [3.0, 4.0]], dtype)
    out = ALL_PATHS[path](q, k, v, scale=1)
    assert out.dtype == dtype
    assert_array_equal(out, [[1, 2], [3, 4]])


@pytest.mark.parametrize("path", ALL_PATHS)
def test_float16_is_accumulated_in_float32(path):
    width, keys = 256, 3000
    q, k = np.full((1, width), 30, np.float16), np.full((keys, width), 30, np.float16)  # q·k = 230,400 > 65,504
    v = np.ones((keys, 1), np.float16)  # a float16 sum of ones would stop at 2,048
    assert_array_equal(ALL_PATHS[path](q[:, :64] if path == "loops" else q, k[:, :64] if path == "loops" else k, v), [[1]])


def test_float16_results_are_the_float32_results_rounded_once(rng):
    half = [x.astype(np.float16) for x in make_qkv(rng)]
    d_out = rng.normal(size=(N, D_V)).astype(np.float16)
    wide = [x.astype(np.float32) for x in half]
    got = [*ref.attention(*half), *ref.attention_loops(*half), ref.tiled_attention(*half), *ref.attention_backward(*half, d_out)]
    expected = [
        *ref.attention(*wide),
        *ref.attention_loops(*wide),
        ref.tiled_attention(*wide),
        *ref.attention_backward(*wide, d_out.astype(np.float32)),
    ]
    for narrow, exact in zip(got, expected):
        assert narrow.dtype == np.float16
        assert exact.dtype == np.float32
        assert_array_equal(narrow, exact.astype(np.float16))


@pytest.mark.parametrize("wide", range(3))
def test_one_wide_input_is_not_narrowed(rng, wide):
    inputs = [x if i == wide else x.astype(np.float32) for i, x in enumerate(make_qkv(rng))]
    exact = [x.astype(np.float64) for x in inputs]
    for got, expected in zip(ref.attention(*inputs), ref.attention(*exact)):
        assert_allclose(got, expected, **TIGHT)


def test_mixed_dtypes_give_the_wider_one(rng):
    q, k, v = make_qkv(rng)
    out, weights = ref.attention(q.astype(np.float32), k, v.astype(np.float16))
    assert out.dtype == weights.dtype == np.float64
    out, weights = ref.attention(q, k.astype(np.float32), v.astype(np.float32))
    assert out.dtype == weights.dtype == np.float64
    out, weights = ref.attention(q.astype(np.float16), k.astype(np.float16), v.astype(np.float32))
    assert out.dtype == weights.dtype == np.float32


def test_huge_scores_have_finite_gradients(rng):
    q, k, v = make_qkv(rng)
    for gradient in ref.attention_backward(1e3 * q, 1e3 * k, v, np.ones((N, D_V))):
        assert np.isfinite(gradient).all()


# ---------------------------------------------------------------- backward


@pytest.mark.parametrize("scale", [None, -0.7])
@pytest.mark.parametrize("masked", [False, True])
def test_backward_equals_autograd(rng, masked, scale):
    (q, k, v), d_out = make_qkv(rng, B), rng.normal(size=(B, N, D_V))
    mask = make_mask(rng, B) if masked else None
    tensors = [torch.tensor(x, requires_grad=True) for x in (q, k, v)]
    torch_mask = None if mask is None else torch.tensor(mask)
    F.scaled_dot_product_attention(*tensors, attn_mask=torch_mask, scale=scale).backward(torch.tensor(d_out))
    for got, tensor in zip(ref.attention_backward(q, k, v, d_out, mask=mask, scale=scale), tensors):
        assert_allclose(got, tensor.grad.numpy(), **TIGHT)


@pytest.mark.parametrize("which", [0, 1, 2])
def test_backward_equals_finite_differences(rng, which):
    inputs, d_out, mask = make_qkv(rng), rng.normal(size=(N, D_V)), make_mask(rng)
    analytic = ref.attention_backward(*inputs, d_out, mask=mask)[which]
    numeric = np.zeros_like(inputs[which])
    for place in np.ndindex(numeric.shape):
        losses = []
        for step in (1e-6, -1e-6):
            moved = [x.copy() for x in inputs]
            moved[which][place] += step
            losses.append((ref.attention(*moved, mask=mask)[0] * d_out).sum())
        numeric[place] = (losses[0] - losses[1]) / 2e-6
    assert_allclose(analytic, numeric, rtol=1e-6, atol=1e-8)


def test_backward_solved_by_hand():
    q, k, v, d_out = np.zeros((1, 1)), np.array([[1.0], [-1.0]]), np.array([[3.0], [1.0]]), np.array([[1.0]])
    d_q, d_k, d_v = ref.attention_backward(q, k, v, d_out, scale=2)  # A = ½, ½;  dA = 3, 1;  dS = ½, -½
    assert_allclose(d_q, [[2.0]], **TIGHT)
    assert_allclose(d_k, [[0.0], [0.0]], atol=1e-15)
    assert_allclose(d_v, [[0.5], [0.5]], **TIGHT)


def test_backward_rejects_a_gradient_of_another_shape(rng):
    q, k, v = make_qkv(rng)
    with raises(ValueError, "the shape of d_out and of the output must agree, got (5, 11) and (5, 13)"):
        ref.attention_backward(q, k, v, np.ones((N, D)))
    with raises(TypeError, "d_out must hold floats, got int64"):
        ref.attention_backward(q, k, v, np.ones((N, D_V), np.int64))
    with raises(ValueError, "d_out must have 2 or more axes, got shape (13,)"):
        ref.attention_backward(q, k, v, np.ones(D_V))
    with raises(ValueError, "d_out must be finite, got NaN or infinite values"):
        ref.attention_backward(q, k, v, np.full((N, D_V), np.inf))


# ---------------------------------------------------------------- tiles


@pytest.mark.parametrize("scale", [None, 40.0])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("tile", [1, 2, 3, 6, 7, 8, 64, np.int64(4)])
def test_tiled_equals_untiled(rng, tile, masked, scale):
    q, k, v = make_qkv(rng, B, HEADS)
    mask = make_mask(rng, B, HEADS) if masked else None
    expected, _ = ref.attention(q, k, v, mask=mask, scale=scale)
    assert_allclose(ref.tiled_attention(q, k, v, tile=tile, mask=mask, scale=scale), expected, **TIGHT)


@pytest.mark.parametrize("ascending", [True, False])
def test_tiles_correct_for_a_larger_score_seen_late(ascending):
    q, k = np.ones((1, 1)), np.linspace(-1e4, 1e4, 23)[:, None]
    k, v = (k if ascending else k[::-1]), np.arange(23.0)[:, None]
    assert_array_equal(ref.tiled_attention(q, k, v, tile=5, scale=1), [[22 if ascending else 0]])


def test_tiles_that_are_masked_whole_are_skipped(rng):
    q, k, v = make_qkv(rng)
    mask = np.zeros((N, M), bool)
    mask[:, 5] = True  # the first tile of 3 is empty for every query
    assert_allclose(ref.tiled_attention(q, k, v, tile=3, mask=mask), np.broadcast_to(v[5], (N, D_V)), **TIGHT)


def test_the_default_tile_is_64(rng, monkeypatch):
    sizes = []
    original = ref._masked_scores
    monkeypatch.setattr(ref, "_masked_scores", lambda q, k, *rest: sizes.append(len(k)) or original(q, k, *rest))
    ref.tiled_attention(np.ones((1, 2)), np.ones((150, 2)), np.ones((150, 3)))
    assert_array_equal(sizes, [64, 64, 22])


@pytest.mark.parametrize("bad", [0, -1, 2.0, True, None, "3"])
def test_bad_tiles_are_rejected(rng, bad):
    with raises(ValueError, f"tile must be an integer of at least 1, got {bad!r}"):
        ref.tiled_attention(*make_qkv(rng), tile=bad)


# ---------------------------------------------------------------- rejections


def backward(q, k, v, **options):
    return ref.attention_backward(q, k, v, np.ones((*q.shape[:-1], D_V)), **options)


@pytest.mark.parametrize("function", [ref.attention, ref.attention_loops, ref.tiled_attention, backward])
def test_bad_input_is_named(rng, function):
    q, k, v = make_qkv(rng)
    mask = np.ones((N, M), bool)
    for name, place in (("q", 0), ("k", 1), ("v", 2)):
        bad = [q, k, v]
        bad[place] = bad[place].astype(np.int64)
        with raises(TypeError, f"{name} must hold floats, got int64"):
            function(*bad)
        for value in (np.nan, np.inf, -np.inf):
            bad[place] = [q, k, v][place].copy()
            bad[place][1, 1] = value
            with raises(ValueError, f"{name} must be finite, got NaN or infinite values"):
                function(*bad)
    with raises(ValueError, "q must have 2 or more axes, got shape (11,)"):
        function(q[0], k, v)
    with raises(ValueError, "k must have 2 or more axes, got shape (11,)"):
        function(q, k[0], v)
    with raises(ValueError, "v must have 2 or more axes, got shape (13,)"):
        function(q, k, v[0])
    with raises(ValueError, "the width of q and k must agree, got 11 and 10"):
        function(q, k[:, 1:], v)
    with raises(ValueError, "the leading axes of k and v, and their number of rows, must agree, got (7,) and (6,)"):
        function(q, k, v[1:])
    with raises(ValueError, "the leading axes of q and k must agree, got (1,) and ()"):
        function(q[None], k, v)
    with raises(ValueError, "k must hold at least one key, got shape (0, 11)"):
        function(q, k[:0], v[:0])
    with raises(ValueError, "q and k must have a width d of at least 1, got 0"):
        function(q[:, :0], k[:, :0], v)
    for bad in (mask.astype(int), mask.astype(float)):
        with raises(TypeError, f"mask must be boolean (True means may attend), got {bad.dtype}"):
            function(q, k, v, mask=bad)
    with raises(ValueError, "mask must broadcast to (..., N, M) = (5, 7), got (7, 5)"):
        function(q, k, v, mask=mask.T)
    with raises(ValueError, "mask must broadcast to (..., N, M) = (5, 7), got (2, 5, 7)"):
        function(q, k, v, mask=np.stack([mask, mask]))
    for bad in (np.nan, np.inf, np.ones(2)):
        with raises(ValueError, f"scale must be None or one finite number, got {bad!r}"):
            function(q, k, v, scale=bad)


def test_loops_take_no_batch(rng):
    with raises(ValueError, "attention_loops takes q of shape (N, d) without leading axes, got (2, 5, 11)"):
        ref.attention_loops(*make_qkv(rng, B))


def test_plain_lists_of_floats_are_welcome():
    out, weights = ref.attention([[0.0]], [[1.0], [2.0]], [[1.0], [3.0]])
    assert_array_equal(out, [[2]])
    assert_array_equal(weights, [[0.5, 0.5]])


def test_no_queries_is_no_error(rng):
    q, k, v = make_qkv(rng)
    assert ref.attention(q[:0], k, v)[0].shape == (0, D_V)
    assert ref.tiled_attention(q[:0], k, v).shape == (0, D_V)
