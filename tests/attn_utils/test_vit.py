"""The transformer block equals PyTorch's own layers; patches, masks, read-outs and presets of the Vision Transformer."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.testing import assert_close

from attn_utils.cost import count_parameters
from attn_utils.positions import apply_rope
from attn_utils.record import record_attention
from attn_utils.vit import Block, PatchEmbed, ViT, vit_base, vit_mini, vit_small, vit_tiny

TIGHT = {"rtol": 0.0, "atol": 1e-12}
B, HEADS, N, M, WIDTH = 2, 3, 5, 7, 11  # different primes: a swapped axis must fail


@pytest.fixture(autouse=True)
def float64_and_a_seed():
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def some_mask(*shape):
    mask = torch.rand(shape) < 0.6
    mask[..., 0] = True  # nobody is left without a key
    return mask


# ---------------------------------------------------------------------------------------------------- Block, PatchEmbed


def out_projection(ours):
    return {"out_proj.weight": ours.out.weight, "out_proj.bias": ours.out.bias}


def copy_mha(ours, twin):
    twin.load_state_dict({"in_proj_weight": ours.qkv.weight, "in_proj_bias": ours.qkv.bias} | out_projection(ours))


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
    twin.multihead_attn.load_state_dict(weights | out_projection(cross))
    copy_mlp(block, twin)
    for ours, theirs in ((block.norm_attention, twin.norm1), (block.norm_cross, twin.norm2), (block.norm_mlp, twin.norm3)):
        nn.init.normal_(ours.weight)
        theirs.load_state_dict(ours.state_dict())
    x, context = torch.randn(B, N, HEADS * 4), torch.randn(B, M, HEADS * 4)
    mask, context_mask = some_mask(N, N), some_mask(N, M)
    assert_close(block(x, mask, context, context_mask), twin(x, context, ~mask, ~context_mask), **TIGHT)


@pytest.mark.parametrize(
    "given",
    [{"context": torch.ones(1, 3, 6)}, {"context_mask": torch.ones(2, 3).bool()}, {"context_positions": lambda x, project: x}],
    ids=lambda given: next(iter(given)),
)
def test_block_without_context_rejects_what_belongs_to_one(given):
    with pytest.raises(ValueError, match="^this layer has no cross-attention: give context_dim=... to attend to a context$"):
        Block(6, heads=2)(torch.ones(1, 2, 6), **given)


def test_positions_reach_the_queries_and_keys_of_a_block_as_in_detrs_decoder():
    """Its own places in self-attention and on the queries of cross-attention, those of the context on the keys there."""
    block = Block(HEADS * 4, heads=HEADS, context_dim=WIDTH).double()
    x, context = torch.randn(B, N, HEADS * 4), torch.randn(B, M, WIDTH)
    places, context_places = torch.randn(N, 2), torch.randn(M, 2)
    own = lambda tokens, project: apply_rope(project(tokens), places)
    other = lambda tokens, project: apply_rope(project(tokens), context_places)
    expected = x + block.attention(block.norm_attention(x), positions=own)
    expected = expected + block.cross(block.norm_cross(expected), context, positions=own, context_positions=other)
    expected = expected + block.mlp(block.norm_mlp(expected))
    out = block(x, context=context, positions=own, context_positions=other)
    assert_close(out, expected, rtol=0, atol=0)
    for fewer in ({}, {"positions": own}, {"context_positions": other}):
        assert (block(x, context=context, **fewer) - out).abs().max() > 1e-4


def test_another_layer_in_place_of_attention_need_not_know_positions():
    class Average(nn.Module):
        def forward(self, x, mask=None):
            return x.mean(dim=1, keepdim=True)

    block = Block(6, heads=2)
    block.attention = Average()
    assert block(torch.randn(B, N, 6)).shape == (B, N, 6)


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
    with pytest.raises(ValueError, match="^patch must divide height and width, got patch=3 for 6 × 14$"):
        PatchEmbed(patch=3, dim=4)(torch.ones(1, 3, 6, 14))
    with pytest.raises(
        ValueError, match=r"^image must have the four axes \(batch, channel, row, column\), none empty, got shape \(3, 6, 15\)$"
    ):
        PatchEmbed(patch=3, dim=4)(torch.ones(3, 6, 15))
    with pytest.raises(ValueError, match=r"^image must have 3 channels, got 2$"):
        PatchEmbed(patch=3, dim=4)(torch.ones(1, 2, 6, 15))
    with pytest.raises(TypeError, match=r"^image must be floating point, got torch.uint8$"):
        PatchEmbed(patch=3, dim=4)(torch.ones(1, 3, 6, 15, dtype=torch.uint8))


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


@pytest.mark.parametrize("which", ["all", "the second"])
@pytest.mark.parametrize("readout", ["class_token", "tokens"])
def test_masks_go_through_the_model_as_through_its_blocks_by_hand(readout, which):
    model, image = ViT(**SMALL, readout=readout), torch.randn(B, 3, 6, 10)
    tokens = 15 + (readout == "class_token")
    mask = some_mask(B, tokens, tokens)
    x = model.embed(image) + model.positions
    if readout == "class_token":
        x = torch.cat([model.class_token.expand(B, 1, 12), x], dim=1)
    for number, block in enumerate(model.blocks):
        x = block(x, mask=mask if which == "all" or number == 1 else None)
    given = mask if which == "all" else [None, mask]
    assert_close(model.features(image, mask=given), model.norm(x), rtol=0, atol=0)
    read = x[:, 0] if readout == "class_token" else x
    assert_close(model(image, mask=given), model.head(model.norm(read)), **TIGHT)
    assert (model(image, mask=given) - model(image)).abs().max() > 1e-3


def test_a_model_takes_masks_from_numpy_and_is_recorded_with_them():
    model, image = ViT(**SMALL, readout="mean"), torch.randn(B, 3, 6, 10)
    mask = np.eye(15, dtype=bool)
    with record_attention(model) as maps:
        out = model(image, mask=mask)
    assert_close(out, model(image, mask=(torch.from_numpy(mask),) * 2), **TIGHT)
    for weights in maps.values():
        assert_close(weights, torch.eye(15).expand(B, 3, 15, 15), **TIGHT)


def test_blocks_that_know_no_masks_fit_in():
    model = ViT(**SMALL)
    model.blocks = nn.ModuleList(nn.Linear(12, 12) for _ in range(2))
    assert model(torch.randn(B, 3, 6, 10)).shape == (B, 7)


@pytest.mark.parametrize(
    "make, sizes",
    [
        (ViT, SMALL | {"image_size": 6, "channels": 3}),
        (PatchEmbed, {"patch": 2, "dim": 4, "channels": 3}),
        (Block, {"dim": 6, "heads": 2}),
    ],
)
def test_sizes_are_integers_of_python_or_numpy(make, sizes):
    make(**{name: np.int64(size) for name, size in sizes.items()})
    for name in sizes:
        with pytest.raises(ValueError, match=f"^{name} must be an integer of at least [01], got 2.0$"):
            make(**sizes | {name: 2.0})


def test_vit_takes_another_stem():
    stem = nn.Conv2d(3, 12, 3, stride=2, padding=1)
    model = ViT(**SMALL, stem=stem)
    assert model.embed is stem
    assert model(torch.randn(B, 3, 6, 10)).shape == (B, 7)


def test_vit_rejects():
    for size in ((6, 2.0), (2.0, 6)):
        with pytest.raises(ValueError, match="^image_size must be an integer of at least 1, got 2.0$"):
            ViT(**SMALL | {"image_size": size})
    for size in ((6, 8), (8, 6)):
        with pytest.raises(ValueError, match=f"^patch must divide height and width, got patch=4 for {size[0]} × {size[1]}$"):
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
        ValueError, match=r"^image must have the four axes \(batch, channel, row, column\), none empty, got shape \(3, 6, 10\)$"
    ):
        ViT(**SMALL)(torch.ones(3, 6, 10))
    with pytest.raises(ValueError, match="^a list of masks must hold one for each of the 2 blocks, got 1$"):
        ViT(**SMALL)(torch.ones(B, 3, 6, 10), mask=[None])
    with pytest.raises(ValueError, match="^mlp_ratio · dim must be an integer of at least 1, got 0$"):
        ViT(**SMALL, mlp_ratio=0.01)


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
