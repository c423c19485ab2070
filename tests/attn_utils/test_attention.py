"""Attention equals the NumPy specification and PyTorch's own layer, on both paths, and rejects what it cannot take."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode

from attn_utils import masks, reference
from attn_utils.attention import MultiHeadAttention, attention, fused_attention
from attn_utils.positions import apply_rope, rope_2d
from attn_utils.record import record_attention

TIGHT = {"rtol": 0.0, "atol": 1e-12}
B, HEADS, N, M, WIDTH, D_V = 2, 3, 5, 7, 11, 13  # different primes: a swapped axis must fail


@pytest.fixture(autouse=True)
def float64_and_a_seed():
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def q_k_v():
    return torch.randn(B, HEADS, N, WIDTH), torch.randn(B, HEADS, M, WIDTH), torch.randn(B, HEADS, M, D_V)


def some_mask(*shape):
    mask = torch.rand(shape) < 0.6
    mask[..., 0] = True  # nobody is left without a key
    return mask


def explicit(layer, *args, **kwargs):
    """The output of a layer on its explicit path, and the weights."""
    with record_attention(layer) as maps:
        out = layer(*args, **kwargs)
    return out, maps[""]


# ------------------------------------------------------------------------------------ attention, the chain to the specification


def test_a_case_solved_by_hand():
    q, k = torch.tensor([[0.0, 0.0], [4.0, 0.0]]), torch.tensor([[np.log(3.0) / 4, 0.0], [0.0, 9.0]])
    out, weights = attention(q, k, torch.tensor([[1.0], [5.0]]), scale=1.0)
    assert_close(weights, torch.tensor([[0.5, 0.5], [0.75, 0.25]]), **TIGHT)
    assert_close(out, torch.tensor([[3.0], [2.0]]), **TIGHT)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("scale", [None, 0.3])
def test_torch_equals_the_numpy_reference(masked, scale):
    q, k, v = q_k_v()
    mask = some_mask(B, HEADS, N, M) if masked else None
    out, weights = attention(q, k, v, mask=mask, scale=scale)
    expected = reference.attention(q.numpy(), k.numpy(), v.numpy(), mask=None if mask is None else mask.numpy(), scale=scale)
    assert_close(out.numpy(), expected[0], **TIGHT)
    assert_close(weights.numpy(), expected[1], **TIGHT)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("scale", [None, 0.3])
def test_torch_equals_the_fused_kernel(masked, scale):
    q, k, v = q_k_v()
    mask = some_mask(B, HEADS, N, M) if masked else None
    out, _ = attention(q, k, v, mask=mask, scale=scale)
    assert_close(F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale), out, **TIGHT)
    assert_close(fused_attention(q, k, v, mask=mask, scale=scale), out, **TIGHT)


def test_rows_sum_to_one_over_the_keys_and_masked_weights_are_exactly_zero():
    q, k, v = q_k_v()
    mask = some_mask(N, M)
    _, weights = attention(q, k, v, mask=mask)
    assert_close(weights.sum(dim=-1), torch.ones(B, HEADS, N), **TIGHT)
    assert torch.count_nonzero(weights[..., ~mask]) == 0
    assert (weights.sum(dim=-2) - 1).abs().max() > 0.1, "the columns must not sum to 1 as well"


def test_a_query_that_may_attend_to_nothing_gives_zeros_on_both_paths():
    mask = some_mask(N, M)
    mask[2] = False
    gradients = []
    for run in (lambda *a: attention(*a, mask=mask)[0], lambda *a: fused_attention(*a, mask=mask)):
        torch.manual_seed(1)
        inputs = [tensor.requires_grad_() for tensor in q_k_v()]
        out = run(*inputs)
        assert_close(out[..., 2, :], torch.zeros(B, HEADS, D_V), **TIGHT)
        out.square().sum().backward()
        gradients.append([tensor.grad for tensor in inputs])
    assert_close(gradients[0], gradients[1], **TIGHT)  # and none of them is NaN: assert_close would say so
    assert_close(gradients[0][0][..., 2, :], torch.zeros(B, HEADS, WIDTH), **TIGHT)


def test_a_kernel_that_gives_nan_where_there_is_nothing_to_attend_to_does_no_harm(monkeypatch):
    q, k, v = q_k_v()
    mask = some_mask(N, M)
    mask[2] = False
    expected = attention(q, k, v, mask=mask)[0]

    def kernel(q, k, v, attn_mask, scale, dropout_p):
        return (q @ k.mT / WIDTH**0.5).masked_fill(~attn_mask, -torch.inf).softmax(dim=-1) @ v

    monkeypatch.setattr(F, "scaled_dot_product_attention", kernel)
    assert_close(fused_attention(q, k, v, mask=mask), expected, **TIGHT)


@pytest.mark.parametrize("shape", [(), (1,), (M,), (N, 1), (1, M), (N, M), (HEADS, 1, M), (B, 1, N, M), (B, HEADS, N, M)])
@pytest.mark.parametrize("kind", [torch.from_numpy, np.asarray], ids=["tensor", "array"])
def test_masks_of_every_rank_and_kind_on_both_paths(shape, kind):
    q, k, v = q_k_v()
    mask = np.random.default_rng(0).random(shape) < 0.6
    full = np.broadcast_to(mask, (B, HEADS, N, M))
    expected, expected_weights = reference.attention(q.numpy(), k.numpy(), v.numpy(), mask=full)
    out, weights = attention(q, k, v, mask=kind(np.asarray(mask)))
    assert_close(weights.numpy(), expected_weights, **TIGHT)
    assert_close(out.numpy(), expected, **TIGHT)
    assert_close(fused_attention(q, k, v, mask=kind(np.asarray(mask))), out, **TIGHT)


@pytest.mark.parametrize("allowed", [True, False])
def test_one_boolean_masks_everything_or_nothing(allowed):
    q, k, v = q_k_v()
    out = attention(q, k, v)[0] if allowed else torch.zeros(B, HEADS, N, D_V)
    assert_close(attention(q, k, v, mask=torch.tensor(allowed))[0], out, **TIGHT)
    assert_close(fused_attention(q, k, v, mask=np.bool_(allowed)), out, **TIGHT)


@pytest.mark.parametrize("path", [lambda *a, mask: attention(*a, mask=mask)[0], fused_attention], ids=["explicit", "fused"])
@pytest.mark.parametrize(
    ("mask", "error", "text"),
    [
        (np.ones((N, M)), TypeError, "mask must be boolean with True = may attend, got torch.float64"),
        (np.ones(N, bool), ValueError, r"mask of shape \(5,\) does not broadcast to \(2, 3, 5, 7\)"),
        (torch.ones(B, N, M).bool(), ValueError, r"mask of shape \(2, 5, 7\) does not broadcast to \(2, 3, 5, 7\)"),
        (torch.ones(1, B, 1, 1, 1).bool(), ValueError, r"mask of shape \(1, 2, 1, 1, 1\) does not broadcast to \(2, 3, 5, 7\)"),
    ],
)
def test_both_paths_reject_the_same_masks(path, mask, error, text):
    with pytest.raises(error, match=f"^{text}$"):
        path(*q_k_v(), mask=mask)


@pytest.mark.filterwarnings("ignore:Anomaly Detection")
def test_a_fully_masked_row_makes_no_nan_on_the_way_back():
    """`detect_anomaly` looks at every step of the backward pass, and would blame the softmax of a row of -inf."""
    mask = some_mask(N, M)
    mask[2] = False
    with torch.autograd.detect_anomaly(check_nan=True):
        attention(*(tensor.requires_grad_() for tensor in q_k_v()), mask=mask)[0].square().sum().backward()


@pytest.mark.filterwarnings("ignore:Anomaly Detection")
def test_a_recorded_layer_passes_the_search_for_anomalies():
    layer = MultiHeadAttention(HEADS * 5, heads=HEADS)
    with torch.autograd.detect_anomaly(check_nan=True), record_attention(layer, grad=True):
        layer(torch.randn(B, N, HEADS * 5), mask=torch.zeros(N).bool()).square().sum().backward()


def test_half_precision_does_not_overflow_on_either_path():
    q, k = (100 * torch.randn(B, HEADS, 16, 64).half() for _ in range(2))
    v = torch.randn(B, HEADS, 16, 64).half()
    assert (q @ k.mT).isinf().any(), "the scores before scaling must overflow, or this tests nothing"
    out, weights = attention(q, k, v)
    assert_close(out.float(), attention(q.float(), k.float(), v.float())[0].float(), rtol=0, atol=0.02)
    assert weights.isfinite().all()
    assert_close(fused_attention(q, k, v), out, rtol=0, atol=0.02)


class Operations(TorchDispatchMode):
    """The names of all operations that run."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        self.names.append(str(operation))
        return operation(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    ("shape", "d_v", "dropout_p", "formed"),
    [
        ((B, HEADS, N, WIDTH), WIDTH, 0.0, False),
        ((B, HEADS, N, WIDTH), WIDTH, 0.1, True),
        ((B, HEADS, N, WIDTH), D_V, 0.0, True),
        ((B, N, WIDTH), WIDTH, 0.0, True),
        ((1, B, HEADS, N, WIDTH), WIDTH, 0.0, True),
    ],
)
def test_when_the_fused_kernel_forms_the_weights_on_a_cpu(shape, d_v, dropout_p, formed):
    """What the docstring of `fused_attention` says; a softmax of its own shows that there are weights."""
    q, k, v = torch.randn(shape), torch.randn(shape), torch.randn(*shape[:-1], d_v)
    with Operations() as ran:
        fused_attention(q, k, v, dropout_p=dropout_p)
    assert any("softmax" in name for name in ran.names) == formed, ran.names


def test_leading_axes_broadcast_and_the_mask_with_them():
    q, k, v = torch.randn(B, 1, N, WIDTH), torch.randn(HEADS, M, WIDTH), torch.randn(HEADS, M, D_V)
    mask = some_mask(B, HEADS, N, M)
    full = (x.expand(B, HEADS, -1, -1) for x in (q, k, v))
    assert_close(attention(q, k, v, mask=mask), attention(*full, mask=mask), **TIGHT)


def test_gradients():
    inputs = [torch.randn(shape, requires_grad=True) for shape in [(2, 3, 5), (2, 4, 5), (2, 4, 2)]]
    mask = torch.tensor([[1, 0, 1, 1], [0, 0, 0, 0], [1, 1, 1, 1]], dtype=torch.bool)
    for kwargs in ({}, {"mask": mask}, {"scale": 0.2}):
        assert torch.autograd.gradcheck(lambda q, k, v, kwargs=kwargs: attention(q, k, v, **kwargs), inputs)


def test_order_of_keys_does_not_matter_and_order_of_queries_carries_over():
    q, k, v = q_k_v()
    out, weights = attention(q, k, v)
    keys, queries = torch.randperm(M), torch.randperm(N)
    shuffled, shuffled_weights = attention(q[..., queries, :], k[..., keys, :], v[..., keys, :])
    assert_close(shuffled, out[..., queries, :], **TIGHT)
    assert_close(shuffled_weights, weights[..., queries, :][..., keys], **TIGHT)


def test_inputs_are_not_modified():
    q, k, v = q_k_v()
    mask = some_mask(N, M)
    before = [tensor.clone() for tensor in (q, k, v, mask)]
    attention(q, k, v, mask=mask)
    fused_attention(q, k, v, mask=mask)
    assert_close([q, k, v, mask], before, rtol=0, atol=0)


def test_large_scores_stay_finite():
    q, k, v = q_k_v()
    out, weights = attention(1e4 * q, 1e4 * k, v)
    assert out.isfinite().all()
    assert_close(weights.sum(dim=-1), torch.ones(B, HEADS, N), **TIGHT)


def test_dropout_drops_weights_and_keeps_their_mean():
    q, k = torch.zeros(1, 4), torch.zeros(20_000, 4)
    out, weights = attention(q, k, torch.ones(20_000, 1), dropout_p=0.25)
    assert_close(weights.sum(), torch.tensor(1.0), **TIGHT)  # the weights that come back are those before dropout
    assert abs(out.item() - 1) < 0.05
    assert out.item() != 1.0
    for mask in (None, torch.ones(1, 20_000).bool()):
        assert fused_attention(q, k, torch.ones(20_000, 1), mask=mask, dropout_p=0.25).item() != 1.0


@pytest.mark.parametrize(
    ("q", "k", "v", "mask", "error", "text"),
    [
        (
            torch.ones(3, 4).long(),
            torch.ones(5, 4),
            torch.ones(5, 2),
            None,
            TypeError,
            "q must be floating point, got torch.int64",
        ),
        (
            torch.ones(4),
            torch.ones(5, 4),
            torch.ones(5, 2),
            None,
            ValueError,
            r"q must have at least two axes \(tokens, width\), got shape \(4,\)",
        ),
        (torch.ones(3, 4), torch.ones(5, 6), torch.ones(5, 2), None, ValueError, "q and k must have the same width, got 4 and 6"),
        (
            torch.ones(3, 4),
            torch.ones(5, 4),
            torch.ones(6, 2),
            None,
            ValueError,
            "k and v must have the same number of tokens, got 5 and 6",
        ),
        (
            torch.ones(3, 4),
            torch.ones(0, 4),
            torch.ones(0, 2),
            None,
            ValueError,
            "the set of keys is empty: k has no tokens",
        ),
        (
            torch.ones(3, 4),
            torch.ones(5, 4),
            torch.ones(5, 2),
            torch.ones(3, 5),
            TypeError,
            "mask must be boolean with True = may attend, got torch.float32",
        ),
        (
            torch.ones(3, 4),
            torch.ones(5, 4),
            torch.ones(5, 2),
            torch.ones(5, 3).bool(),
            ValueError,
            r"mask of shape \(5, 3\) does not broadcast to \(3, 5\)",
        ),
        (
            torch.ones(3, 4),
            torch.ones(5, 4).int(),
            torch.ones(5, 2),
            None,
            TypeError,
            "k must be floating point, got torch.int32",
        ),
        (
            torch.ones(3, 4),
            torch.ones(5, 4),
            torch.ones(5, 2).int(),
            None,
            TypeError,
            "v must be floating point, got torch.int32",
        ),
        (
            torch.ones(2, 3, 4),
            torch.ones(2, 5, 6),
            torch.ones(2, 5, 2),
            None,
            ValueError,
            "q and k must have the same width, got 4 and 6",
        ),
    ],
)
def test_attention_rejects(q, k, v, mask, error, text):
    with pytest.raises(error, match=f"^{text}$"):
        attention(q, k, v, mask=mask)


# -------------------------------------------------------------------------------------------------- MultiHeadAttention


def pytorch_twin(layer):
    """PyTorch's own layer with the parameters of ours."""
    if layer.context_dim is None:
        twin = nn.MultiheadAttention(layer.dim, layer.heads, batch_first=True)
        weight, bias = layer.qkv.weight, layer.qkv.bias
        twin.load_state_dict({"in_proj_weight": weight, "in_proj_bias": bias} | _out(layer))
        return twin
    twin = nn.MultiheadAttention(layer.dim, layer.heads, kdim=layer.context_dim, vdim=layer.context_dim, batch_first=True)
    k, v = layer.kv.weight.chunk(2)
    bias = torch.cat([layer.q.bias, layer.kv.bias])
    weights = {"q_proj_weight": layer.q.weight, "k_proj_weight": k, "v_proj_weight": v, "in_proj_bias": bias}
    twin.load_state_dict(weights | _out(layer))
    return twin


def _out(layer):
    return {"out_proj.weight": layer.out.weight, "out_proj.bias": layer.out.bias}


@pytest.mark.parametrize("masked", [False, True])
def test_self_attention_equals_pytorchs_own(masked):
    layer = MultiHeadAttention(HEADS * 5, heads=HEADS)
    x = torch.randn(B, N, HEADS * 5)
    mask = some_mask(N, N) if masked else None
    expected, weights = pytorch_twin(layer)(
        x,
        x,
        x,
        attn_mask=None if mask is None else ~mask,
        average_attn_weights=False,  # there, True means "may not"
    )
    assert_close(layer(x, mask=mask), expected, **TIGHT)
    out, recorded = explicit(layer, x, mask=mask)
    assert_close(out, expected, **TIGHT)
    assert_close(recorded, weights, **TIGHT)


@pytest.mark.parametrize("masked", [False, True])
def test_cross_attention_equals_pytorchs_own(masked):
    layer = MultiHeadAttention(HEADS * 5, heads=HEADS, context_dim=WIDTH)
    x, context = torch.randn(B, N, HEADS * 5), torch.randn(B, M, WIDTH)
    mask = some_mask(N, M) if masked else None
    expected, weights = pytorch_twin(layer)(
        x, context, context, attn_mask=None if mask is None else ~mask, average_attn_weights=False
    )
    assert_close(layer(x, context, mask), expected, **TIGHT)
    out, recorded = explicit(layer, x, context, mask)
    assert_close(out, expected, **TIGHT)
    assert_close(recorded, weights, **TIGHT)


@pytest.mark.parametrize(
    "shape", [(), (M,), (N, 1), (N, M), (B, N, M), (B, 1, M), (B, HEADS, N, M), (1, HEADS, N, M), (B, 1, 1, M)]
)
def test_both_paths_agree_for_every_shape_of_mask(shape):
    layer = MultiHeadAttention(HEADS * 5, heads=HEADS, context_dim=WIDTH)
    x, context = torch.randn(B, N, HEADS * 5), torch.randn(B, M, WIDTH)
    mask = torch.rand(shape) < 0.5
    if mask.ndim > 1:
        mask[..., 0, :] = False  # one query may attend to nothing
    out, weights = explicit(layer, x, context, mask)
    assert_close(layer(x, context, mask), out, **TIGHT)
    full = (mask[:, None] if mask.ndim == 3 else mask).expand(B, HEADS, N, M)
    assert torch.count_nonzero(weights[~full]) == 0
    assert_close(weights.sum(dim=-1), full.any(dim=-1).double(), **TIGHT)


def test_both_paths_have_the_same_gradients():
    layer = MultiHeadAttention(HEADS * 5, heads=HEADS)
    x, mask = torch.randn(B, N, HEADS * 5), some_mask(N, N)
    gradients = []
    for forward in (lambda: layer(x, mask=mask), lambda: explicit(layer, x, mask=mask)[0]):
        layer.zero_grad()
        forward().square().sum().backward()
        gradients.append([p.grad.clone() for p in layer.parameters()])
    assert_close(gradients[0], gradients[1], **TIGHT)


def test_a_mask_follows_the_queries_to_their_device(monkeypatch):
    moved, as_tensor = [], torch.as_tensor  # there need not be a second device to see where the mask is sent
    monkeypatch.setattr(torch, "as_tensor", lambda x, device=None: moved.append(device) or as_tensor(x, device=device))
    q, k, v = q_k_v()
    attention(q, k, v, mask=np.ones((N, M), bool))
    fused_attention(q, k, v, mask=np.ones((N, M), bool))
    assert moved == [q.device, q.device]
    MultiHeadAttention(HEADS * 5, heads=HEADS)(torch.randn(B, N, HEADS * 5), mask=np.ones((N, N), bool))
    assert set(moved) == {q.device}


def test_dropout_drops_the_share_it_is_told_to():
    q, k = torch.zeros(1, 4), torch.zeros(1000, 4)
    out, _ = attention(q, k, torch.eye(1000), dropout_p=0.25)
    assert abs((out == 0).double().mean() - 0.25) < 0.07


def test_one_head_is_enough():
    layer = MultiHeadAttention(6, heads=1)
    x = torch.randn(B, N, 6)
    assert_close(layer(x), pytorch_twin(layer)(x, x, x)[0], **TIGHT)


@pytest.mark.parametrize("context_dim", [None, WIDTH])
def test_without_bias_there_is_none(context_dim):
    layer = MultiHeadAttention(6, heads=2, context_dim=context_dim, bias=False)
    assert [name for name, _ in layer.named_parameters() if "bias" in name] == []


def test_a_layer_says_what_it_is():
    layer = MultiHeadAttention(HEADS * 5, heads=HEADS, dropout=0.25)
    assert layer.extra_repr() == "heads=3, head_dim=5, dropout=0.25"


def test_masks_from_numpy_builders_are_welcome():
    layer = MultiHeadAttention(8, heads=2)
    x = torch.randn(B, 6, 8)
    for mask in (masks.window_2d(2, 3, 1), masks.padding([4, 6], 6), masks.padding([5], 6)[0, 0]):
        expected = layer(x, mask=torch.from_numpy(mask))
        assert_close(layer(x, mask=mask), expected, rtol=0, atol=0)
        assert_close(explicit(layer, x, mask=mask)[0], expected, **TIGHT)


def test_dropout_acts_in_training_only_on_both_paths():
    layer = MultiHeadAttention(HEADS * 5, heads=HEADS, dropout=0.5)
    x = torch.randn(B, N, HEADS * 5)
    for forward in (layer, lambda x: explicit(layer, x)[0]):
        layer.train()
        assert (forward(x) - forward(x)).abs().max() > 1e-3
        layer.eval()
        assert_close(forward(x), pytorch_twin(layer).eval()(x, x, x)[0], **TIGHT)


def test_batched_equals_one_at_a_time():
    layer = MultiHeadAttention(HEADS * 5, heads=HEADS)
    x = torch.randn(B, N, HEADS * 5)
    assert_close(layer(x), torch.cat([layer(one[None]) for one in x]), **TIGHT)


def test_without_positions_the_layer_is_permutation_equivariant():
    layer, order = MultiHeadAttention(HEADS * 5, heads=HEADS), torch.randperm(N)
    x = torch.randn(B, N, HEADS * 5)
    assert_close(layer(x[:, order]), layer(x)[:, order], **TIGHT)


def test_forward_stores_nothing():
    layer = MultiHeadAttention(HEADS * 5, heads=HEADS)
    before = {name: id(value) for name, value in vars(layer).items()}
    layer(torch.randn(B, N, HEADS * 5))
    explicit(layer, torch.randn(B, N, HEADS * 5))
    assert {name: id(value) for name, value in vars(layer).items()} == before


@pytest.mark.parametrize(
    ("kwargs", "text"),
    [
        ({"dim": 10, "heads": 3}, "dim must be a multiple of heads, got dim=10 and heads=3"),
        ({"dim": 10, "heads": 0}, "heads must be an integer of at least 1, got 0"),
        ({"dim": 10, "heads": 2, "context_dim": 0}, "context_dim must be an integer of at least 1, got 0"),
        ({"dim": 10, "heads": 2, "dropout": 1.0}, r"dropout must be in \[0, 1\), got 1.0"),
    ],
)
def test_multi_head_attention_rejects_at_construction(kwargs, text):
    with pytest.raises(ValueError, match=f"^{text}$"):
        MultiHeadAttention(**kwargs)


@pytest.mark.parametrize(
    ("x", "context", "error", "text"),
    [
        (torch.ones(4, 6), None, ValueError, r"x must have the three axes \(batch, tokens, width\), got shape \(4, 6\)"),
        (torch.ones(2, 4, 7), None, ValueError, "x must have width 6, got 7"),
        (torch.ones(2, 4, 6).int(), None, TypeError, "x must be floating point, got torch.int32"),
        (torch.ones(2, 0, 6), None, ValueError, "the set of keys is empty: x has no tokens"),
        (
            torch.ones(2, 4, 6),
            torch.ones(2, 5, 6),
            ValueError,
            "this layer has no cross-attention: give context_dim=... to attend to a context",
        ),
    ],
)
def test_self_attention_rejects(x, context, error, text):
    with pytest.raises(error, match=f"^{text}$"):
        MultiHeadAttention(6, heads=2)(x, context)


@pytest.mark.parametrize(
    ("context", "text"),
    [
        (None, "this is a cross-attention layer: call it with a context"),
        (torch.ones(2, 5, 6), "context must have width 9, got 6"),
        (torch.ones(3, 5, 9), "x and context must have the same batch size, got 2 and 3"),
        (torch.ones(2, 0, 9), "the set of keys is empty: context has no tokens"),
    ],
)
def test_cross_attention_rejects(context, text):
    with pytest.raises(ValueError, match=f"^{text}$"):
        MultiHeadAttention(6, heads=2, context_dim=9)(torch.ones(2, 4, 6), context)


# ------------------------------------------------------------------------------- positions on queries and keys only


def projections(layer):
    """The matrices and biases of queries, keys and values."""
    if layer.context_dim is None:
        return [*zip(layer.qkv.weight.chunk(3), layer.qkv.bias.chunk(3))]
    return [(layer.q.weight, layer.q.bias), *zip(layer.kv.weight.chunk(2), layer.kv.bias.chunk(2))]


def split(x):
    return x.unflatten(-1, (HEADS, -1)).transpose(1, 2)


def merge(layer, out):
    return layer.out(out.transpose(1, 2).flatten(2))


def added(place):
    return lambda tokens, project: project(tokens + place)


def turned(angles):
    return lambda tokens, project: apply_rope(project(tokens), angles)


D = HEADS * 4  # a head of 4 can be turned in two dimensions


def test_added_positions_as_in_detr():
    """q = (x + pos) W_q, k = (x + pos) W_k, v = x W_v; arXiv:2005.12872, appendix A.1."""
    layer, x, place = MultiHeadAttention(D, heads=HEADS), torch.randn(B, N, D), torch.randn(N, D)
    (W_q, b_q), (W_k, b_k), (W_v, b_v) = projections(layer)
    q, k, v = (x + place) @ W_q.T + b_q, (x + place) @ W_k.T + b_k, x @ W_v.T + b_v
    expected, expected_weights = attention(split(q), split(k), split(v))
    assert_close(layer(x, positions=added(place)), merge(layer, expected), **TIGHT)
    out, weights = explicit(layer, x, positions=added(place))
    assert_close(out, merge(layer, expected), **TIGHT)
    assert_close(weights, expected_weights, **TIGHT)


def test_added_positions_equal_pytorchs_own_layer_as_detr_calls_it():
    """DETR gives nn.MultiheadAttention queries and keys with positions and values without, in both kinds of attention."""
    x, place = torch.randn(B, N, D), torch.randn(B, N, D)
    layer = MultiHeadAttention(D, heads=HEADS)
    assert_close(layer(x, positions=added(place)), pytorch_twin(layer)(x + place, x + place, x)[0], **TIGHT)
    context, context_place = torch.randn(B, M, WIDTH), torch.randn(M, WIDTH)
    layer, mask = MultiHeadAttention(D, heads=HEADS, context_dim=WIDTH), some_mask(N, M)
    expected = pytorch_twin(layer)(x + place, context + context_place, context, attn_mask=~mask)[0]
    out = layer(x, context, mask, positions=added(place), context_positions=added(context_place))
    assert_close(out, expected, **TIGHT)


def test_rotary_positions():
    """Queries and keys are turned after the projection, head by head; values are not."""
    H, W = 2, 3
    layer, x = MultiHeadAttention(D, heads=HEADS), torch.randn(B, H * W, D)
    angles = rope_2d(H, W, 4)
    q, k, v = (split(x @ weight.T + bias) for weight, bias in projections(layer))
    q, k = (torch.from_numpy(apply_rope(t.detach().numpy(), angles)) for t in (q, k))
    out = layer(x, positions=turned(torch.from_numpy(angles)))
    assert_close(out, merge(layer, attention(q, k, v)[0]), **TIGHT)


def test_in_cross_attention_queries_and_keys_have_positions_of_their_own():
    layer = MultiHeadAttention(D, heads=HEADS, context_dim=WIDTH)
    x, context = torch.randn(B, N, D), torch.randn(B, M, WIDTH)
    of_queries, of_keys = torch.randn(N, 2), torch.randn(M, 2)
    q, k, v = (split(t @ w.T + b) for t, (w, b) in zip((x, context, context), projections(layer)))
    for places, expected in (
        ({"positions": turned(of_queries)}, (apply_rope(q, of_queries), k, v)),
        ({"context_positions": turned(of_keys)}, (q, apply_rope(k, of_keys), v)),
    ):
        assert_close(layer(x, context, **places), merge(layer, attention(*expected)[0]), **TIGHT)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("context", [None, torch.ones(B, M, WIDTH).double()])
def test_positions_that_change_nothing_change_nothing(bias, context):
    context_dim = None if context is None else WIDTH
    layer, x = MultiHeadAttention(D, heads=HEADS, context_dim=context_dim, bias=bias), torch.randn(B, N, D)
    assert_close(layer(x, context, positions=lambda tokens, project: project(tokens)), layer(x, context), **TIGHT)


def test_positions_have_gradients():
    layer, x, place = MultiHeadAttention(D, heads=HEADS), torch.randn(1, 3, D), torch.randn(3, D, requires_grad=True)
    assert torch.autograd.gradcheck(lambda place: layer(x, positions=added(place)), (place,), fast_mode=True)


def test_positions_reject():
    self_layer, x = MultiHeadAttention(D, heads=HEADS), torch.randn(B, N, D)
    with pytest.raises(ValueError, match=r"^what positions returns must have shape \(2, 3, 5, 4\), got \(2, 5, 12\)$"):
        self_layer(x, positions=lambda tokens, project: tokens)
    with pytest.raises(ValueError, match="^this layer has no cross-attention: give context_dim=... to attend to a context$"):
        self_layer(x, context_positions=added(0.0))
    cross = MultiHeadAttention(D, heads=HEADS, context_dim=WIDTH)
    with pytest.raises(ValueError, match=r"^what context_positions returns must have shape \(2, 3, 7, 4\), got \(7, 2, 3, 4\)$"):
        keys = lambda tokens, project: project(tokens).movedim(2, 0)
        cross(x, torch.randn(B, M, WIDTH), context_positions=keys)


def test_weights_that_a_hook_gives_mix_the_values():
    torch.manual_seed(0)
    layer, x = MultiHeadAttention(12, heads=3).double(), torch.randn(2, 5, 12, dtype=torch.float64)
    values = []
    layer.out.register_forward_pre_hook(lambda module, args: values.append(args[0]))
    layer.weights.register_forward_hook(lambda module, args, weights: torch.full_like(weights, 1 / 5))
    layer(x)
    mixed = values[0]  # (B, N, D): with even weights every query gets one mean
    assert_close(mixed, mixed.mean(1, keepdim=True).expand_as(mixed))
