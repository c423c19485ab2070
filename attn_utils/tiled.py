"""Attention in torch that never holds the N × M weights, forward and backward: `attention` for long sequences on any device.

Plain PyTorch, a tile of queries against a tile of keys at a time; what `attn_utils.kernels.flash` does in Triton, to be read and to be
run on a CPU. A tile is as large as a core's cache, not as large as the memory.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from attn_utils.attention import Mask
from attn_utils.shapes import check_mask, check_qkv, check_size

LOG2_E = math.log2(math.e)  # exp(s) = 2^(s log₂ e), and PyTorch's powers of 2 are the faster ones
SAFE = 60.0  # 2^±60 leaves float32, whose exponents end at 127, room for the sum over any number of keys


class Tile(NamedTuple):
    """Queries and keys in a tile."""

    N: int = 512
    M: int = 512


def tiled_attention(
    q: Tensor, k: Tensor, v: Tensor, *, mask: Mask | None = None, scale: float | None = None, tile: tuple[int, int] = Tile()
) -> Tensor:
    """The `out` of `attention`, tile by tile, with memory that grows as N + M.

    For each query it keeps the largest score seen, m, the sum Z of exp(s - m) and the mix U of exp(s - m) v. A tile of keys with a
    larger score m' shrinks both by exp(m - m') before it adds its own terms. At the end out = U / Z.
    Backward: m and Z are all that was kept of the scores; the weights exp(s - m) / Z are computed again, tile by tile.

    Where no score can be large, since |q·k| ≤ ‖q‖ ‖k‖, no exponential can overflow: m is 0 and nothing has to shrink.

    Args:
        q: queries, (..., N, d), floating point; half precision is computed in float32 and rounded once, at the end.
        k: keys, (..., M, d); leading axes broadcast.
        v: values, (..., M, d_v).
        mask: boolean, broadcastable to (..., N, M), True = may attend. It is read tile by tile, so that one that
            broadcasts is never made N × M.
        scale: factor on the scores; None means 1/√d.
        tile: queries and keys in a tile, at least 1 each. Any gives the same output up to rounding.

    Returns:
        out, (..., N, d_v), in the dtype of q; 0 for a query that may attend to nothing.

    Raises:
        TypeError, ValueError: as `attention`; a tile of less than 1.

    Source: Milakov & Gimelshein 2018, arXiv:1805.02867, algorithm 3; Dao et al. 2022, arXiv:2205.14135.
    Differs from the papers: no largest score is looked for where none is needed.

    Once differentiable: the gradient of a gradient is not to be had.

    Examples:
        >>> q, k, v = torch.zeros(1, 2), torch.eye(3, 2), torch.tensor([[1.0], [2.0], [6.0]])
        >>> tiled_attention(q, k, v, tile=(1, 2)).item()
        3.0
    """
    check_qkv(q, k, v)
    tile = Tile(check_size("tile of queries", tile[0]), check_size("tile of keys", tile[1]))
    lead = torch.broadcast_shapes(q.shape[:-2], k.shape[:-2], v.shape[:-2])
    if mask is not None:
        mask = torch.as_tensor(mask, device=q.device)
        check_mask(mask, (*lead, q.shape[-2], k.shape[-2]))
        mask = mask.expand(*lead, q.shape[-2], k.shape[-2])  # a view: nothing is copied
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    q, k, v = (x.expand(*lead, *x.shape[-2:]).reshape(-1, *x.shape[-2:]) for x in (q, k, v))  # (L, N | M, d)
    out = _Tiled.apply(q, k, v, mask, lead, float(scale), tile)
    return out.reshape(*lead, *out.shape[-2:])


class _Tiled(torch.autograd.Function):
    """`tiled_attention` of (L, tokens, width)."""

    @staticmethod
    def forward(context, q, k, v, mask, lead, scale, tile):
        wide = torch.promote_types(q.dtype, torch.float32)
        out = q.new_empty(*q.shape[:2], v.shape[2])
        total = torch.empty(*q.shape[:2], 1, dtype=wide, device=q.device)  # Z, (L, N, 1)
        largest = None if _all_small(q, k, scale) else torch.empty_like(total)  # m
        room = _room(q, k, tile, wide)
        for part, n in _tiles_of_queries(q, k, tile):
            q_tile = q[part, n].to(wide) * (scale * LOG2_E)
            m, Z = q_tile.new_full((*q_tile.shape[:2], 1), -torch.inf), 0.0
            mix = q_tile.new_zeros(*q_tile.shape[:2], v.shape[2])  # U
            for keys in _slices(k.shape[1], tile.M):
                scores = _scores(q_tile, k[part, keys].to(wide), room, mask, lead, part, n, keys)
                if largest is None:
                    terms = scores.exp2_()
                    Z = Z + terms.sum(dim=-1, keepdim=True)
                else:
                    new = torch.maximum(m, scores.amax(dim=-1, keepdim=True))
                    anchor = new.masked_fill(new == -torch.inf, 0.0)  # nothing seen yet: 2^(-inf - 0) = 0
                    terms, shrink = scores.sub_(anchor).exp2_(), (m - anchor).exp2_()
                    Z = Z * shrink + terms.sum(dim=-1, keepdim=True)
                    mix.mul_(shrink)
                    m = new
                mix.baddbmm_(terms, v[part, keys].to(wide))
            total[part, n] = Z.masked_fill_(Z == 0, 1.0)
            if largest is not None:
                largest[part, n] = m.masked_fill_(m == -torch.inf, 0.0)
            out[part, n] = mix.div_(total[part, n])
        context.save_for_backward(q, k, v, mask, out, total, largest)
        context.settings = lead, scale, tile
        return out

    @staticmethod
    @once_differentiable
    def backward(context, d_out):
        """With dX short for ∂L/∂X and S the scores: dv = Aᵀ dout, dS = A (dA - dout · out), dq = scale · dS k, dk = scale · dSᵀ q."""
        q, k, v, mask, out, total, largest = context.saved_tensors
        lead, scale, tile = context.settings
        wide = total.dtype
        d_q, d_k, d_v = q.new_empty(q.shape), torch.zeros_like(k, dtype=wide), torch.zeros_like(v, dtype=wide)
        room, more_room = (_room(q, k, tile, wide) for _ in range(2))
        for part, n in _tiles_of_queries(q, k, tile):
            q_tile = q[part, n].to(wide) * (scale * LOG2_E)
            towards = d_out[part, n].to(wide) / total[part, n]  # divided here, once, and not each weight by its Z
            delta = (towards * out[part, n]).sum(dim=-1, keepdim=True)  # Σ_m A dA, without a pass over the keys
            d_q_tile = torch.zeros_like(q_tile)
            for keys in _slices(k.shape[1], tile.M):
                k_tile, v_tile = k[part, keys].to(wide), v[part, keys].to(wide)
                scores = _scores(q_tile, k_tile, room, mask, lead, part, n, keys)
                terms = scores.exp2_() if largest is None else scores.sub_(largest[part, n]).exp2_()
                d_v[part, keys].baddbmm_(terms.mT, towards)
                d_scores = _product(towards, v_tile.mT, more_room).sub_(delta).mul_(terms)
                d_q_tile.baddbmm_(d_scores, k_tile)
                d_k[part, keys].baddbmm_(d_scores.mT, q_tile)
            d_q[part, n] = d_q_tile.mul_(scale)
        d_k.div_(LOG2_E)  # q_tile holds the scale, and this
        return d_q, d_k.to(k.dtype), d_v.to(v.dtype), None, None, None, None


def _all_small(q: Tensor, k: Tensor, scale: float) -> bool:
    """Whether no power of 2 that is taken can be beyond ±SAFE, whatever the pair: |q · k| ≤ ‖q‖ ‖k‖."""
    wide = torch.promote_types(q.dtype, torch.float32)
    longest = [x.to(wide).norm(dim=-1).amax().item() if x.numel() else 0.0 for x in (q, k)]
    return longest[0] * longest[1] * abs(scale) * LOG2_E <= SAFE


def _product(a: Tensor, b: Tensor, room: Tensor) -> Tensor:
    """a b, written into room that is used again and again: fresh memory would cost more than what is done in it."""
    shape = *a.shape[:2], b.shape[2]
    return torch.bmm(a, b, out=room[: math.prod(shape)].view(shape))


def _scores(q_tile, k_tile, room, mask, lead, part, n, keys):
    scores = _product(q_tile, k_tile.mT, room)
    if mask is not None:
        rows = mask[..., n, keys].reshape(-1, *scores.shape[1:])[part] if lead else mask[n, keys]
        scores.masked_fill_(~rows, -torch.inf)
    return scores


def _together(q: Tensor, k: Tensor, tile: Tile) -> int:
    """How many heads together fill a tile, so that short sequences are not done one by one."""
    return max(1, tile.N * tile.M // max(1, min(tile.N, q.shape[1]) * min(tile.M, k.shape[1])))


def _room(q: Tensor, k: Tensor, tile: Tile, dtype: torch.dtype) -> Tensor:
    """Memory for the numbers of one tile."""
    heads = min(_together(q, k, tile), q.shape[0])
    return torch.empty(heads * min(tile.N, q.shape[1]) * min(tile.M, k.shape[1]), dtype=dtype, device=q.device)


def _tiles_of_queries(q: Tensor, k: Tensor, tile: Tile) -> Iterator[tuple[slice, slice]]:
    """(which of the L, which queries)."""
    for part in _slices(q.shape[0], _together(q, k, tile)):
        for n in _slices(q.shape[1], tile.N):
            yield part, n


def _slices(count: int, step: int) -> Iterator[slice]:
    return (slice(start, start + step) for start in range(0, count, step))
