"""Attention that never holds the N × M weights, forward and backward, in Triton: `attention` of the package for long sequences.

It runs on CUDA; on a CPU in Triton's interpreter, to test and to look inside: TRITON_INTERPRET=1 in the environment before
Triton is first imported. The programs themselves stand in `attn_utils.kernels.tiles`.
"""

import math
from typing import NamedTuple

import torch
import triton
from torch import Tensor
from torch.autograd.function import once_differentiable

from attn_utils.attention import Mask
from attn_utils.kernels import tiles
from attn_utils.shapes import check_mask, check_qkv, check_size

WIDEST = 128
INTERPRETED = type(tiles.attend).__name__ == "InterpretedFunction"  # as TRITON_INTERPRET was when Triton was imported
Window = int | tuple[int, int, int]


class Tile(NamedTuple):
    """How a program is cut: queries and keys in a tile, and the warps and pipeline stages that Triton gives it."""

    TILE_N: int
    TILE_M: int
    num_warps: int
    num_stages: int


def tile_for(kernel: str, d: int, bytes_each: int, *, border: bool = False) -> Tile:
    """The cut of a kernel for queries of width d whose numbers take so many bytes, as measured on an H200 with bfloat16.

    Args:
        kernel: "attend", "query_gradient" or "key_value_gradients".
        d: width of a query.
        bytes_each: 2 for half precision, 4 for float32, 8 for float64.
        border: whether each pair is looked at (a window, or a mask).
    """
    if INTERPRETED:
        return Tile(64, 64, 4, 1)
    if bytes_each > 2:  # no tensor cores for true float32: small tiles
        return Tile(32, 32, 4, 1) if d > 64 else Tile(64, 32, 4, 1)
    return CUTS[kernel, d > 64, border]


CUTS = {
    ("attend", False, False): Tile(64, 64, 4, 3),
    ("attend", False, True): Tile(128, 32, 4, 4),
    ("attend", True, False): Tile(128, 128, 8, 3),
    ("attend", True, True): Tile(128, 64, 8, 3),
    ("query_gradient", False, False): Tile(128, 64, 8, 3),
    ("query_gradient", False, True): Tile(64, 64, 4, 3),
    ("query_gradient", True, False): Tile(128, 64, 8, 3),
    ("query_gradient", True, True): Tile(128, 64, 8, 2),
    ("key_value_gradients", False, False): Tile(64, 64, 4, 3),
    ("key_value_gradients", False, True): Tile(32, 128, 4, 3),
    ("key_value_gradients", True, False): Tile(64, 128, 8, 3),
    ("key_value_gradients", True, True): Tile(64, 128, 8, 2),
}  # (kernel, d > 64, border)


def flash_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    causal: bool = False,
    window: Window | None = None,
    mask: Mask | None = None,
    scale: float | None = None,
) -> Tensor:
    """The `out` of `attention`, a tile of queries against a tile of keys at a time.

    out = softmax(scale · q kᵀ) v over the keys that a query may attend to, with memory that grows as N + M.

    Forward: each tile of queries walks over the keys with the largest score so far, the sum of the exponentials, and the mix of
    values, and shrinks the last two when a larger score comes. Of the scores two numbers a query are kept, the largest and the
    logarithm of the sum.
    Backward: the weights are computed again from it, tile by tile, once for dq and once for dk and dv.

    Args:
        q: queries, (..., N, d), float16, bfloat16 or float32 (multiplied as float32, not TF32); d from 1 to 128, any number: between
            powers of 2 it costs what the next of them costs. In the interpreter float64 too, but no bfloat16.
        k: keys, (..., M, d), like q; leading axes broadcast.
        v: values, (..., M, d), like q.
        causal: no query sees what comes after it; with M > N the last N keys stand beside the queries, as in `masks.causal`.
        window: who is near enough: an integer r for |n - m| ≤ r along the sequence, as `masks.window_1d`, or (H, W, r) for the
            square around a pixel of a grid, as `masks.window_2d`. Tiles of keys that no query of a tile sees are skipped.
        mask: boolean, broadcastable to (..., N, M), True = may attend; it is read, N × M of it, and skips nothing. What several of
            the three allow is allowed.
        scale: factor on the scores; None means 1/√d.

    Returns:
        out, (..., N, d), in the dtype of q; inside the range of the values a query sees, and 0 for one that sees nothing. The same
        inputs on the same device give the same bits, gradients included.

    Raises:
        TypeError: dtypes that differ or that it has no kernel for; a mask that is not boolean.
        ValueError: sizes that do not fit, d above 128, no keys, causal with M < N, a window with other than N = M = H · W; tensors
            on different devices, or on a CPU without the interpreter.

    Source: Milakov & Gimelshein 2018, arXiv:1805.02867, the running largest score and sum; Dao et al. 2022, arXiv:2205.14135, tiles
    and the recomputation in the backward pass; Dao 2023, arXiv:2307.08691, the loop over keys inside, and no weights kept.
    Differs from the papers: the largest score and the logarithm of the sum are kept apart, since beside a score of 10,000 their sum has
    lost the second; and dq has a program of its own, which costs seven products instead of five and needs no atomic sums.

    Once differentiable: the gradient of a gradient is not to be had.
    """
    check_qkv(q, k, v)
    _check_kernel(q, k, v)
    (N, d), M = q.shape[-2:], k.shape[-2]
    radius, W = _check_rules(causal, window, N, M)
    lead = torch.broadcast_shapes(q.shape[:-2], k.shape[:-2], v.shape[:-2])
    if mask is not None:
        mask = torch.as_tensor(mask, device=q.device)
        check_mask(mask, (*lead, N, M))
        mask = _four_axes(mask.view(torch.uint8).expand(*lead, N, M), lead)
    scale = d**-0.5 if scale is None else scale
    if scale <= 0:  # the kernels take the largest score after it was multiplied
        q, scale = q * (scale and -1.0), -scale or 1.0
    q, k, v = (_four_axes(x, lead) for x in (q, k, v))  # (B, heads, N | M, d)
    return _Flash.apply(q, k, v, mask, (bool(causal), radius, W), float(scale)).reshape(*lead, N, d)


class _Flash(torch.autograd.Function):
    """The three kernels as one differentiable function of (B, heads, tokens, d)."""

    @staticmethod
    def forward(context, q, k, v, mask, rule, scale):
        q, k, v = map(_columns_side_by_side, (q, k, v))
        out = torch.empty_like(q)
        precision = torch.promote_types(q.dtype, torch.float32)
        normaliser = torch.empty((*q.shape[:2], 2, q.shape[2]), dtype=precision, device=q.device)  # (B, heads, 2, N)
        arguments = _matrix(q), _matrix(k), _matrix(v), _matrix(mask), _matrix(out), normaliser
        _launch("attend", arguments, q, k, mask, rule, [scale * math.log2(math.e)])
        context.save_for_backward(q, k, v, mask, out, normaliser)
        context.rule, context.scale = rule, scale
        return out

    @staticmethod
    @once_differentiable
    def backward(context, d_out):
        q, k, v, mask, out, normaliser = context.saved_tensors
        d_out = _columns_side_by_side(d_out)
        d_q, d_k, d_v = map(torch.empty_like, (q, k, v))
        delta = torch.empty_like(normaliser[:, :, 0])
        inputs, rows = (_matrix(q), _matrix(k), _matrix(v), _matrix(mask)), (normaliser, delta)
        numbers = [context.scale * math.log2(math.e), context.scale]
        arguments = *inputs, _matrix(out), _matrix(d_out), _matrix(d_q), *rows
        _launch("query_gradient", arguments, q, k, mask, context.rule, numbers)  # writes delta, which the next one reads
        arguments = *inputs, _matrix(d_out), _matrix(d_k), _matrix(d_v), *rows
        _launch("key_value_gradients", arguments, q, k, mask, context.rule, numbers)
        return d_q, d_k, d_v, None, None, None


def _launch(kernel: str, arguments: tuple, q: Tensor, k: Tensor, mask: Tensor | None, rule: tuple, numbers: list[float]) -> None:
    """One program for each tile of queries (or keys), sample and head."""
    (B, heads, N, d), M = q.shape, k.shape[2]
    causal, radius, W = rule
    pairs = radius is not None or mask is not None
    tile = tile_for(kernel, d, q.element_size(), border=pairs)
    rows, (others, step) = N, (M, tile.TILE_M)
    if kernel == "key_value_gradients":
        rows, (others, step) = M, (N, tile.TILE_N)
    if B * heads * rows == 0:
        return
    each = tile.TILE_M if kernel == "key_value_gradients" else tile.TILE_N
    with torch.cuda.device_of(q):
        getattr(tiles, kernel)[triton.cdiv(rows, each), B * heads](
            *arguments, heads, N, M, M - N, *numbers,
            CAUSAL=causal, RADIUS=radius, W=W, D=d, WIDE=max(16, triton.next_power_of_2(d)),
            INSIDE=not pairs, BORDER=causal or pairs or others % step > 0, **tile._asdict(),
        )  # fmt: skip


def _matrix(x: Tensor | None) -> tuple | None:
    """A tensor as the kernels take it: with its strides, but for that of the columns, which is 1; of a mask, with all of them."""
    if x is None:
        return None
    return (x, *x.stride()) if x.dtype == torch.uint8 else (x, *x.stride()[:3])


def _four_axes(x: Tensor, lead: tuple[int, ...]) -> Tensor:
    """(..., tokens, width) as (B, heads, tokens, width), where it can be without a copy."""
    x = x.expand(*lead, *x.shape[-2:])
    return x[(None,) * max(0, 2 - len(lead))].flatten(0, -4)


def _columns_side_by_side(x: Tensor) -> Tensor:
    return x if x.stride(-1) == 1 else x.contiguous()


def _check_kernel(q: Tensor, k: Tensor, v: Tensor) -> None:
    for name, x in (("k", k), ("v", v)):
        if x.dtype != q.dtype:
            raise TypeError(f"q, k and v must have one dtype, got {q.dtype} for q and {x.dtype} for {name}")
        if x.device != q.device:
            raise ValueError(f"q, k and v must be on one device, got {q.device} for q and {x.device} for {name}")
    if q.device.type != "cuda" and not INTERPRETED:
        raise ValueError(
            f"q must be on a CUDA device, got {q.device}; elsewhere the kernels run in Triton's interpreter: set "
            "TRITON_INTERPRET=1 before Triton is first imported"
        )
    third = torch.float64 if INTERPRETED else torch.bfloat16
    if q.dtype not in (torch.float16, torch.float32, third):
        where = " in Triton's interpreter" if INTERPRETED else ""
        raise TypeError(f"q must be float16, float32 or {str(third).removeprefix('torch.')}{where}, got {q.dtype}")
    check_size("d", q.shape[-1])
    if q.shape[-1] > WIDEST:
        raise ValueError(f"d must be at most {WIDEST}, got {q.shape[-1]}")
    if v.shape[-1] != q.shape[-1]:
        raise ValueError(f"v must have the width of q and k, got {v.shape[-1]} and {q.shape[-1]}")


def _check_rules(causal: bool, window: Window | None, N: int, M: int) -> tuple[int | None, int | None]:
    """The window as (radius, columns of the grid): None for none."""
    if causal:
        check_size("M", M, least=N)
    if window is None:
        return None, None
    if N != M:
        raise ValueError(f"a window needs as many queries as keys, got {N} and {M}")
    if not isinstance(window, tuple):
        return check_size("window", window, least=0), None
    if len(window) != 3:
        raise ValueError(f"window must be a radius or (H, W, radius), got {window!r}")
    H, W, radius = check_size("H", window[0]), check_size("W", window[1]), check_size("radius", window[2], least=0)
    if H * W != N:
        raise ValueError(f"window has {H} × {W} = {H * W} places, got {N} tokens")
    return radius, W
