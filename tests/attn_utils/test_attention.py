"""The torch layers equal the NumPy specification and PyTorch's own layers, and reject what they cannot take."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.testing import assert_close

from attn_utils import masks, reference
from attn_utils.attention import MultiHeadAttention, attention, fused_attention
from attn_utils.cost import count_parameters
from attn_utils.record import record_attention
from attn_utils.vit import Block, PatchEmbed, ViT, vit_base, vit_mini, vit_small, vit_tiny

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
            "the set of keys is empty: a query has nothing to attend to",
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


@pytest.mark.parametrize("shape", [(N, M), (B, N, M), (B, 1, M), (B, HEADS, N, M), (1, HEADS, N, M), (B, 1, 1, M)])
def test_both_paths_agree_for_every_shape_of_mask(shape):
    layer = MultiHeadAttention(HEADS * 5, heads=HEADS, context_dim=WIDTH)
    x, context = torch.randn(B, N, HEADS * 5), torch.randn(B, M, WIDTH)
    mask = torch.rand(shape) < 0.5
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
    MultiHeadAttention(HEADS * 5, heads=HEADS)(torch.randn(B, N, HEADS * 5), mask=np.ones((N, N), bool))
    assert moved == [q.device, q.device]


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


def test_dropout_reaches_every_layer():
    model = ViT(**SMALL, dropout=0.25)
    block = Block(6, heads=2, context_dim=WIDTH, dropout=0.25)
    assert [one.attention.dropout for one in model.blocks] == [0.25, 0.25]
    assert (block.attention.dropout, block.cross.dropout) == (0.25, 0.25)


def test_learned_vectors_start_small_and_fixed_ones_stay():
    torch.set_default_dtype(torch.float32)
    model = ViT(**SMALL)
    for vectors in (model.class_token, model.positions):
        assert 0.005 < vectors.std() < 0.05
        assert vectors.requires_grad
    fixed = ViT(**SMALL, positions="sincos").positions
    assert not fixed.requires_grad
    assert fixed.dtype == torch.float32


def test_a_layer_says_what_it_is():
    layer = MultiHeadAttention(HEADS * 5, heads=HEADS, dropout=0.25)
    assert layer.extra_repr() == "heads=3, head_dim=5, dropout=0.25"


def test_masks_from_numpy_builders_are_welcome():
    layer = MultiHeadAttention(8, heads=2)
    x = torch.randn(B, 6, 8)
    mask = masks.window_2d(2, 3, 1)
    assert_close(layer(x, mask=mask), layer(x, mask=torch.from_numpy(np.array(mask))), rtol=0, atol=0)


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
        ({"dim": 10, "heads": 0}, "dim must be a multiple of heads, got dim=10 and heads=0"),
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
            "this is a self-attention layer: give context_dim=... to attend to a context",
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


# ---------------------------------------------------------------------------------------------------- Block, PatchEmbed


def copy_mha(ours, twin):
    twin.load_state_dict({"in_proj_weight": ours.qkv.weight, "in_proj_bias": ours.qkv.bias} | _out(ours))


def copy_mlp(block, twin):
    twin.linear1.load_state_dict(block.mlp[0].state_dict())
    twin.linear2.load_state_dict(block.mlp[3].state_dict())


@pytest.mark.parametrize("masked", [False, True])
def test_block_equals_pytorchs_encoder_layer(masked):
    block = Block(HEADS * 4, heads=HEADS, mlp_ratio=2.5)
    twin = nn.TransformerEncoderLayer(HEADS * 4, HEADS, HEADS * 10, 0.0, "gelu", batch_first=True, norm_first=True)
    copy_mha(block.attention, twin.self_attn)
    copy_mlp(block, twin)
    twin.norm1.load_state_dict(block.norm_attention.state_dict())
    twin.norm2.load_state_dict(block.norm_mlp.state_dict())
    x, mask = torch.randn(B, N, HEADS * 4), some_mask(N, N) if masked else None
    assert_close(block(x, mask), twin(x, None if mask is None else ~mask), **TIGHT)


def test_block_with_context_equals_pytorchs_decoder_layer():
    block = Block(HEADS * 4, heads=HEADS, context_dim=HEADS * 4)
    twin = nn.TransformerDecoderLayer(HEADS * 4, HEADS, HEADS * 16, 0.0, "gelu", batch_first=True, norm_first=True)
    copy_mha(block.attention, twin.self_attn)
    cross = block.cross
    weights = {
        "in_proj_weight": torch.cat([cross.q.weight, cross.kv.weight]),
        "in_proj_bias": torch.cat([cross.q.bias, cross.kv.bias]),
    }
    twin.multihead_attn.load_state_dict(weights | _out(cross))
    copy_mlp(block, twin)
    for ours, theirs in ((block.norm_attention, twin.norm1), (block.norm_cross, twin.norm2), (block.norm_mlp, twin.norm3)):
        nn.init.normal_(ours.weight)
        theirs.load_state_dict(ours.state_dict())
    x, context = torch.randn(B, N, HEADS * 4), torch.randn(B, M, HEADS * 4)
    mask, context_mask = some_mask(N, N), some_mask(N, M)
    assert_close(block(x, mask, context, context_mask), twin(x, context, ~mask, ~context_mask), **TIGHT)


def test_block_without_context_rejects_one():
    with pytest.raises(ValueError, match="^this block has no cross-attention: give context_dim=... to attend to a context$"):
        Block(6, heads=2)(torch.ones(1, 2, 6), context=torch.ones(1, 3, 6))


def test_patch_embed_is_a_linear_map_of_each_patch():
    embed = PatchEmbed(patch=3, dim=WIDTH, channels=2)
    image = torch.randn(B, 2, 6, 15)
    tokens = embed(image)
    assert tokens.shape == (B, 2 * 5, WIDTH)
    patch = image[1, :, 3:6, 6:9].flatten()  # second row, third column: token 1 · 5 + 2
    expected = embed.project.weight.flatten(1) @ patch + embed.project.bias
    assert_close(tokens[1, 7], expected, **TIGHT)


def test_pictures_have_three_channels_unless_told_otherwise():
    assert PatchEmbed(patch=3, dim=4)(torch.ones(1, 3, 6, 9)).shape == (1, 6, 4)
    assert ViT(**SMALL)(torch.ones(1, 3, 6, 10)).shape == (1, 7)


def test_patch_embed_rejects():
    with pytest.raises(ValueError, match="^a picture of 6 × 14 pixels cannot be cut into patches of side 3"):
        PatchEmbed(patch=3, dim=4)(torch.ones(1, 3, 6, 14))
    with pytest.raises(
        ValueError, match=r"^image must have the four axes \(batch, channel, row, column\), got shape \(3, 6, 15\)$"
    ):
        PatchEmbed(patch=3, dim=4)(torch.ones(3, 6, 15))


# -------------------------------------------------------------------------------------------------------------- ViT

SMALL = {"image_size": (6, 10), "patch": 2, "classes": 7, "dim": 12, "depth": 2, "heads": 3}


@pytest.mark.parametrize("positions", ["learned", "sincos", "none"])
@pytest.mark.parametrize(("readout", "shape"), [("class_token", (B, 7)), ("mean", (B, 7)), ("tokens", (B, 15, 7))])
def test_vit_shapes(readout, shape, positions):
    model = ViT(**SMALL, readout=readout, positions=positions)
    image = torch.randn(B, 3, 6, 10)
    assert model(image).shape == shape
    assert model.features(image).shape == (B, 15 + (readout == "class_token"), 12)
    model(image).sum().backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)


def test_vit_without_positions_cannot_tell_where_a_patch_is():
    image = torch.randn(B, 3, 6, 10)
    swapped = torch.cat([image[..., 2:], image[..., :2]], dim=-1)  # a column of patches moves
    for positions, same in (("none", True), ("learned", False), ("sincos", False)):
        model = ViT(**SMALL, readout="mean", positions=positions)
        assert torch.allclose(model(image), model(swapped), atol=1e-12) == same


def test_vit_adds_positions_and_reads_the_class_token():
    model = ViT(**SMALL | {"depth": 0})
    image = torch.randn(B, 3, 6, 10)
    tokens = torch.cat([model.class_token.expand(B, 1, 12), model.embed(image) + model.positions], dim=1)
    assert_close(model.features(image), model.norm(tokens), **TIGHT)
    assert_close(model(image), model.head(model.norm(model.class_token)).expand(B, 7), **TIGHT)


def test_vit_takes_another_stem():
    stem = nn.Conv2d(3, 12, 3, stride=2, padding=1)
    model = ViT(**SMALL, stem=stem)
    assert model.embed is stem
    assert model(torch.randn(B, 3, 6, 10)).shape == (B, 7)


def test_vit_rejects():
    with pytest.raises(ValueError, match="^a picture of 6 × 10 pixels cannot be cut into patches of side 4"):
        ViT(**SMALL | {"patch": 4})
    for size in ((6, 8), (8, 6)):
        with pytest.raises(ValueError, match=f"^a picture of {size[0]} × {size[1]} pixels cannot be cut into patches of side 4$"):
            ViT(**SMALL | {"patch": 4, "image_size": size})
    with pytest.raises(ValueError, match='^readout must be "class_token", "mean" or "tokens", got \'cls\''):
        ViT(**SMALL, readout="cls")
    with pytest.raises(ValueError, match='^positions must be "learned", "sincos" or "none", got \'rope\''):
        ViT(**SMALL, positions="rope")
    with pytest.raises(ValueError, match=r"^image must be \(6, 10\) pixels \(H, W\), got \(10, 6\)"):
        ViT(**SMALL)(torch.ones(1, 3, 10, 6))
    with pytest.raises(ValueError, match=r"^image must be \(6, 10\) pixels \(H, W\), got \(10, 6\)"):
        ViT(**SMALL)(torch.ones(3, 10, 6))
    with pytest.raises(
        ValueError, match=r"image must have the four axes \(batch, channel, row, column\), got shape \(3, 6, 10\)"
    ):
        ViT(**SMALL)(torch.ones(3, 6, 10))


@pytest.mark.parametrize(("preset", "millions"), [(vit_tiny, 5.7), (vit_small, 22.1), (vit_base, 86.6)])
def test_presets_have_the_published_sizes(preset, millions):
    with torch.device("meta"):
        model = preset(image_size=224, patch=16, classes=1000)
    assert round(count_parameters(model) / 1e6, 1) == millions
    assert model.head.in_features == 64 * model.blocks[0].attention.heads


def test_the_size_that_the_book_trains():
    model = vit_mini(image_size=8, patch=4, classes=2)
    assert (len(model.blocks), model.norm.normalized_shape, model.blocks[0].attention.heads) == (3, (64,), 2)
    assert model.blocks[0].mlp[0].out_features == 128


def test_presets_can_be_overruled():
    model = vit_mini(image_size=8, patch=4, classes=2, depth=1, channels=1)
    assert len(model.blocks) == 1
    assert model(torch.ones(1, 1, 8, 8)).shape == (1, 2)
