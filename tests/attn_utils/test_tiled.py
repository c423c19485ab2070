"""Tiles in torch give attention and its gradients, with a largest score kept and without, and keep the contracts and little memory."""

import pytest
import torch
from torch.testing import assert_close

from attn_utils import contracts, tiled
from attn_utils.attention import attention
from attn_utils.cost import peak_bytes_of
from attn_utils.tiled import tiled_attention

TILES = [(1, 1), (16, 32), (7, 5), (512, 512)]
MASKS = {"none": None, "keys": (131,), "pairs": (67, 131), "a sample's own": (2, 1, 67, 131), "a head's own": (3, 67, 1)}


@pytest.fixture(autouse=True, params=["no largest score needed", "a largest score kept"])
def way(request, monkeypatch):
    if request.param == "a largest score kept":
        monkeypatch.setattr(tiled, "SAFE", -1.0)


def inputs(lead=(2, 3), size=1.0, dtype=torch.float64, N=67, M=131):
    generator = torch.Generator().manual_seed(0)
    shapes = ((*lead, N, 8), (*lead, M, 8), (*lead, M, 5))
    q, k, v = (torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes)
    return [x.to(dtype).requires_grad_() for x in (size * q, size * k, v)]


def some_mask(shape):
    return None if shape is None else torch.rand(shape, generator=torch.Generator().manual_seed(1)) < 0.5


def with_gradients(function, q, k, v):
    out = function(q, k, v)
    d_out = torch.linspace(-1, 1, out.numel(), dtype=out.dtype).reshape(out.shape)
    return out, *torch.autograd.grad(out, (q, k, v), d_out)


def assert_same(function, q, k, v, **options):
    expected = with_gradients(lambda *qkv: attention(*qkv, **options)[0], q, k, v)
    for ours, theirs in zip(with_gradients(lambda *qkv: function(*qkv, **options), q, k, v), expected, strict=True):
        assert_close(ours, theirs, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("tile", TILES[1:])
@pytest.mark.parametrize("mask", MASKS)
def test_it_is_attention_forward_and_backward(tile, mask):
    q, k, v = inputs()
    assert_same(lambda *qkv, **options: tiled_attention(*qkv, tile=tile, **options), q, k, v, mask=some_mask(MASKS[mask]))


@pytest.mark.parametrize("tile", TILES)
def test_tiles_of_any_size(tile):
    q, k, v = inputs(lead=(), N=13, M=11)
    assert_same(lambda *qkv, **options: tiled_attention(*qkv, tile=tile, **options), q, k, v)


@pytest.mark.parametrize("scale", [0.7, -0.3, 0.0])
def test_scales(scale):
    assert_same(tiled_attention, *inputs(), scale=scale)


@pytest.mark.parametrize("size", [1e-3, 30.0, 1000.0])
def test_scores_of_any_size(size):
    q, k, v = inputs(size=size)
    expected = attention(q, k, v)[0]
    assert_close(tiled_attention(q, k, v, tile=(16, 32)), expected, rtol=1e-7, atol=1e-7)


def test_large_scores_are_seen_to_need_their_largest(monkeypatch):
    monkeypatch.setattr(tiled, "SAFE", 60.0)
    q, k, v = (100 * x for x in inputs(dtype=torch.float32))
    assert_close(
        tiled_attention(q, k, v / 100).double(), attention(q.double(), k.double(), v.double() / 100)[0], rtol=1e-4, atol=1e-4
    )


def test_gradcheck():
    q, k, v = inputs(lead=(2,), N=5, M=7)
    assert torch.autograd.gradcheck(lambda *qkv: tiled_attention(*qkv, tile=(2, 3)), (q, k, v))
    mask = some_mask((5, 7))
    assert torch.autograd.gradcheck(lambda *qkv: tiled_attention(*qkv, mask=mask, tile=(2, 3)), (q, k, v))


def test_leading_axes_broadcast():
    q, k, v = inputs()
    assert_same(tiled_attention, q, k[:1], v[:, :1])
    assert_same(tiled_attention, q[0, 0].detach().requires_grad_(), k, v)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_rounded_once(dtype):
    q, k, v = inputs(dtype=dtype)
    out = tiled_attention(q, k, v, tile=(16, 32))
    exact = attention(*(x.double() for x in (q, k, v)))[0]
    assert out.dtype == dtype
    assert_close(out.double(), exact, rtol=torch.finfo(dtype).eps, atol=torch.finfo(dtype).eps)
    assert [x.dtype for x in torch.autograd.grad(out.sum(), (q, k, v))] == [dtype] * 3


@pytest.mark.parametrize("heads", [1, 2])
def test_contracts(heads):
    contracts.require(
        contracts.with_heads(lambda q, k, v, mask: tiled_attention(q, k, v, mask=mask, tile=(32, 64)), heads), heads=heads
    )


def test_memory_grows_with_the_tokens_and_not_with_their_pairs():
    q, k, v = (torch.randn(1, 2048, 16, requires_grad=True) for _ in range(3))
    with torch.no_grad():
        forward = peak_bytes_of(lambda: tiled_attention(q, k, v, tile=(128, 128)))
    both = peak_bytes_of(lambda: torch.autograd.grad(tiled_attention(q, k, v, tile=(128, 128)).sum(), (q, k, v)))
    one = q.nbytes
    assert one < forward < 2.5 * one  # the output, a tile, two numbers a query
    assert 4 * one < both < 7 * one  # the output, three gradients, two tiles; and the gradient of the sum


@pytest.mark.parametrize("tile", [(0, 5), (5, 0), (2.0, 3)])
def test_tiles_are_whole_numbers(tile):
    q, k, v = inputs()
    with pytest.raises(ValueError, match="tile of (queries|keys) must be an integer of at least 1"):
        tiled_attention(q, k, v, tile=tile)


def test_it_rejects_what_attention_rejects():
    q, k, v = inputs()
    with pytest.raises(ValueError, match="q and k must have the same width, got 8 and 5"):
        tiled_attention(q, v, v)
    with pytest.raises(TypeError, match="mask must be boolean"):
        tiled_attention(q, k, v, mask=torch.ones(67, 131))
