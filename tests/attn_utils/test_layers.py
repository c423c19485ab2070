"""What every layer must do with sizes: take NumPy's integers, leave the batch open on export, be whole after "meta"."""

import re
import warnings

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from attn_utils.attention import MultiHeadAttention
from attn_utils.conv_attention import CBAM, ECA, SE, AttentionGate, NonLocal, eca_kernel_size
from attn_utils.deformable import DeformableAttention, ObjectQueries
from attn_utils.grid_attention import AxialAttention, AxisAttention, GridAttention, RelativeAttention, WindowAttention
from attn_utils.vit import Block, PatchEmbed, ViT


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


class Gate(AttentionGate):
    """The gate with one input, its coarse map made from the same picture."""

    def forward(self, x):
        return super().forward(x, x[:, :3, ::2, ::2])


TOKENS, CHANNELS_LAST, MAP = (5, 6), (4, 6, 6), (6, 4, 6)  # one input, without its batch axis
LAYERS = {  # name -> (constructor, sizes, other arguments, shape of the input)
    "MultiHeadAttention": (MultiHeadAttention, {"dim": 6, "heads": 2}, {}, TOKENS),
    "Block": (Block, {"dim": 6, "heads": 2}, {}, TOKENS),
    "ObjectQueries": (ObjectQueries, {"dim": 6, "heads": 2, "queries": 3}, {}, TOKENS),
    "PatchEmbed": (PatchEmbed, {"patch": 2, "dim": 5, "channels": 6}, {}, MAP),
    "ViT": (ViT, {"image_size": 4, "patch": 2, "classes": 5, "dim": 12, "depth": 2, "heads": 3, "channels": 3}, {}, (3, 4, 4)),
    "ViT, mean": (
        ViT,
        {"image_size": 4, "patch": 2, "classes": 5, "dim": 12, "depth": 1, "heads": 3, "channels": 6},
        {"readout": "mean", "positions": "sincos"},
        (6, 4, 4),
    ),
    "GridAttention": (GridAttention, {"dim": 6, "heads": 2}, {}, CHANNELS_LAST),
    "WindowAttention": (WindowAttention, {"dim": 6, "heads": 2, "window": 2, "shift": 1}, {}, CHANNELS_LAST),
    "RelativeAttention": (RelativeAttention, {"dim": 6, "heads": 2, "height": 4, "width": 6}, {}, CHANNELS_LAST),
    "AxisAttention": (AxisAttention, {"dim": 6, "heads": 2}, {"axis": "height"}, CHANNELS_LAST),
    "AxialAttention": (AxialAttention, {"dim": 6, "heads": 2}, {}, CHANNELS_LAST),
    "DeformableAttention": (DeformableAttention, {"dim": 6, "heads": 2, "points": 3}, {}, CHANNELS_LAST),
    "SE": (SE, {"channels": 6, "reduction": 2}, {}, MAP),
    "ECA": (ECA, {"channels": 6, "kernel_size": 3}, {}, MAP),
    "CBAM": (CBAM, {"channels": 6, "reduction": 2, "kernel_size": 3}, {}, MAP),
    "NonLocal": (NonLocal, {"channels": 6, "inner": 2}, {}, MAP),
    "AttentionGate": (Gate, {"channels": 6, "gate_channels": 3, "hidden": 4}, {}, MAP),
}
POSITIONAL = ("dim", "channels")
EVERY_LAYER = pytest.mark.parametrize("name", list(LAYERS))


def build(name, **sizes):
    """A layer, its parameters no longer the special ones that some start with."""
    make, usual, others, _ = LAYERS[name]
    sizes = usual | sizes
    first = [sizes.pop(key) for key in POSITIONAL if key in sizes and make not in (ViT, PatchEmbed)]
    torch.manual_seed(1)
    layer = make(*first, **sizes, **others).eval()
    for parameter in layer.parameters():
        if parameter.requires_grad and not parameter.is_meta:
            torch.nn.init.normal_(parameter, std=0.3)
    return layer


def inputs(name, B):
    return torch.randn(B, *LAYERS[name][3])


@EVERY_LAYER
def test_numpy_integers_are_sizes_of_every_layer(name):
    x = inputs(name, 2)
    layer = build(name, **{key: np.int64(size) for key, size in LAYERS[name][1].items()})
    assert_close(layer(x), build(name)(x), rtol=0, atol=0)


@EVERY_LAYER
@pytest.mark.parametrize("wrong", [float, lambda size: True, str, lambda size: -size], ids=["float", "bool", "str", "negative"])
def test_nothing_else_is_a_size_of_any_layer(name, wrong):
    for key, size in LAYERS[name][1].items():
        with pytest.raises(ValueError, match=f"{key} must be an integer of at least [01], got {re.escape(repr(wrong(size)))}$"):
            build(name, **{key: wrong(size)})


def test_sizes_that_have_a_default():
    assert_close(eca_kernel_size(np.int64(64)), 3)
    assert NonLocal(np.int64(6)).theta.out_channels == 3
    assert AttentionGate(np.int64(1), gate_channels=2).psi.in_features == 1
    assert ViT(image_size=(np.int64(4), 6), patch=2, classes=2, dim=8, depth=1, heads=2).grid == (2, 3)
    with pytest.raises(ValueError, match="^image_size must be an integer of at least 1, got 4.0$"):
        ViT(image_size=(6, 4.0), patch=2, classes=2, dim=8, depth=1, heads=2)
    with pytest.raises(ValueError, match="^context_dim must be an integer of at least 1, got 4.0$"):
        MultiHeadAttention(6, heads=2, context_dim=4.0)


STRICT = ("ViT", "ObjectQueries", "WindowAttention")  # all pass; it takes seconds each


@pytest.mark.parametrize("name, strict", [*((name, False) for name in LAYERS), *((name, True) for name in STRICT)])
def test_export_leaves_the_batch_size_open(name, strict):
    layer = build(name)
    exported = torch.export.export(
        layer, (inputs(name, 2),), dynamic_shapes=({0: torch.export.Dim("batch")},), strict=strict
    ).module()
    for B in (2, 5):
        x = inputs(name, B)
        assert_close(exported(x), layer(x), rtol=1e-4, atol=1e-5)


@EVERY_LAYER
def test_a_trace_leaves_the_batch_size_open(name):
    layer = build(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that tracing is going out of use, and that checks of shapes are not traced
        traced = torch.jit.trace(layer, inputs(name, 2))
    for B in (2, 1, 5):
        x = inputs(name, B)
        assert_close(traced(x), layer(x), rtol=1e-4, atol=1e-5)


def test_masks_and_contexts_are_exported_too():
    layer, batch = Block(6, heads=2, context_dim=4).eval(), {0: torch.export.Dim("batch")}

    def some(B):
        return torch.randn(B, 5, 6), torch.rand(B, 5, 5) < 0.7, torch.randn(B, 3, 4), torch.rand(5, 3) < 0.7

    exported = torch.export.export(layer, some(2), dynamic_shapes=(batch, batch, batch, None)).module()
    for B in (2, 7):
        given = some(B)
        assert_close(exported(*given), layer(*given), rtol=1e-4, atol=1e-5)


@EVERY_LAYER
@pytest.mark.parametrize("assign", [True, False], ids=["assigned", "copied"])
def test_a_layer_built_on_meta_is_whole_once_its_state_is_loaded(name, assign):
    """Whatever a layer keeps outside its state (an index, a constant) would be lost."""
    layer, x = build(name), inputs(name, 2)
    with torch.device("meta"):
        empty = build(name)
    if not assign:
        empty.to_empty(device="cpu")
    empty.load_state_dict(layer.state_dict(), assign=assign)
    assert_close(empty.eval()(x), layer(x), rtol=0, atol=0)
