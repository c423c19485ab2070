"""Attention that leaves something out, so that it costs less: linear and random features, fewer keys, merged tokens.

Functions of q (..., N, d), k (..., M, d) and v (..., M, d_v) that return `out` alone, for none of them forms the weights. What exact
attention costs when it is computed well stands in `attn_utils.tiled` and `attn_utils.kernels`.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from attn_utils.shapes import check_float, check_mask, check_qkv, check_shape, check_size, check_tiles

# ------------------------------------------------------------------------------------------------------ features


def elu_features(x: Tensor) -> Tensor:
    """φ(x) = elu(x) + 1, entry by entry: positive, and as wide as x."""
    return torch.where(x > 0, x + 1, x.clamp(max=0).exp())  # elu(x) + 1 as it is written is rounded to 0 below -17


def linear_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    features: Callable[[Tensor], Tensor] = elu_features,
    key_mask: Tensor | None = None,
) -> Tensor:
    """Attention with φ(q)·φ(k) in the place of exp(q·k): what all keys have to say fits into one small matrix.

    out_n = φ(q_n)ᵀ (Σ_m φ(k_m) v_mᵀ) / φ(q_n)ᵀ (Σ_m φ(k_m))

    Both sums are formed once, for all queries: R · d_v and R numbers for features of width R, with time that grows as N + M.

    Args:
        q: queries, (..., N, d), floating point.
        k: keys, (..., M, d).
        v: values, (..., M, d_v).
        features: φ, (..., d) to (..., R), all entries ≥ 0.
        key_mask: boolean, broadcastable to (..., M), True = may be attended to, by all queries alike. A mask of pairs cannot be had: the
            sums do not know who asks.

    Returns:
        out, (..., N, d_v): the mean of the values with weights φ(q_n)·φ(k_m) / Σ, which are ≥ 0 and sum to 1; 0 where nothing may be
        attended to. Not the softmax's weights: there is no scale, and no temperature.

    Raises:
        TypeError: not floating point, or a mask that is not boolean.
        ValueError: sizes that do not fit, or no keys.

    Source: Katharopoulos et al. 2020, arXiv:2006.16236, equations 5 and 7; not causal.

    Examples:
        >>> q, k, v = torch.zeros(1, 2), torch.zeros(3, 2), torch.tensor([[1.0], [2.0], [6.0]])
        >>> linear_attention(q, k, v).item()
        3.0
    """
    check_qkv(q, k, v)
    return _mix(features(q), features(k), v, key_mask)


def gaussian_directions(
    R: int, d: int, *, generator: torch.Generator | None = None, orthogonal: bool = True, dtype: torch.dtype = torch.float32
) -> Tensor:
    """R random vectors of width d, each standard normal by itself; in blocks of d at right angles to one another.

    Args:
        R: how many.
        d: their width, that of a query.
        generator: of the random numbers.
        orthogonal: False draws them independently.
        dtype: of the result.

    Returns:
        (R, d). Lengths are those of independent normal vectors, so each row is N(0, I) in both cases.

    Source: Choromanski et al. 2021, arXiv:2009.14794, section 2.4 and appendix B.
    """
    R, d = check_size("R", R), check_size("d", d)
    draw = lambda rows: torch.randn(rows, d, generator=generator, dtype=torch.float64)
    directions = draw(R)
    if orthogonal:
        blocks = []
        for _ in range(0, R, d):
            basis, triangle = torch.linalg.qr(draw(d))
            blocks.append(basis * triangle.diagonal().sign())  # without the signs some directions would be likelier than others
        lengths = directions.norm(dim=1, keepdim=True)
        directions = lengths * torch.cat([block.T for block in blocks])[:R]
    return directions.to(dtype)


def random_feature_attention(
    q: Tensor, k: Tensor, v: Tensor, directions: Tensor, *, scale: float | None = None, key_mask: Tensor | None = None
) -> Tensor:
    """`linear_attention` with random features whose products are the softmax's exponentials on average.

    exp(q·k) = E[φ_w(q) φ_w(k)] with φ_w(x) = exp(w·x - ‖x‖²/2) and w ~ N(0, I); a row of `directions` is one w, and the mean over
    rows takes the place of E. Features are positive, so the weights are. q and k are multiplied by √scale first.

    Args:
        q, k, v: as `linear_attention`.
        directions: (R, d), as `gaussian_directions` draws them.
        scale: positive factor on the scores; None means 1/√d.
        key_mask: as `linear_attention`.

    Returns:
        out, (..., N, d_v), which tends to that of `attention` as R grows; the larger the scores, the more slowly, for the variance of
        φ_w(q) φ_w(k) grows as the exponential of ‖q + k‖².

    Raises:
        TypeError, ValueError: as `linear_attention`; directions of another width, a scale that is not positive.

    Source: Choromanski et al. 2021, arXiv:2009.14794, lemma 1 (positive features).
    Differs from the paper: no small number is added to the features. Each direction's features of the keys are divided by the largest of
    them, and the queries' multiplied by it, so that nothing overflows and no sum is 0.
    """
    check_qkv(q, k, v)
    check_shape("directions", directions, ("R", q.shape[-1]))
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    if not scale > 0:
        raise ValueError(f"scale must be positive, got {scale}")
    wide = torch.promote_types(q.dtype, torch.float32)
    q_wide, k_wide, directions = q.to(wide) * scale**0.5, k.to(wide) * scale**0.5, directions.to(q.device, wide)
    of_keys = k_wide @ directions.T - k_wide.square().sum(dim=-1, keepdim=True) / 2  # (..., M, R), logarithms
    largest = of_keys.amax(dim=-2, keepdim=True)  # (..., 1, R)
    of_queries = (q_wide @ directions.T + largest).softmax(dim=-1)  # a factor of each query's own cancels: ‖q‖²/2 is one
    return _mix(of_queries, (of_keys - largest).exp(), v.to(wide), key_mask).to(q.dtype)


def _mix(of_queries: Tensor, of_keys: Tensor, v: Tensor, key_mask: Tensor | None) -> Tensor:
    if key_mask is not None:
        key_mask = torch.as_tensor(key_mask, device=v.device)
        check_mask(key_mask, of_keys.shape[:-1])
        of_keys = of_keys.masked_fill(~key_mask[..., None], 0.0)
    said = of_keys.mT @ v  # (..., R, d_v)
    total = of_queries @ of_keys.sum(dim=-2)[..., None]  # (..., N, 1)
    return of_queries @ said / total.masked_fill(total == 0, 1.0)


# --------------------------------------------------------------------------------------------------- fewer keys


def pool_tokens(x: Tensor, H: int, W: int, side: int) -> Tensor:
    """The mean of each square of side × side places of a grid.

    Args:
        x: tokens of an H × W grid, row by row, (..., H · W, d).
        H, W: height and width of the grid.
        side: side of a square; it divides both.

    Returns:
        (..., H · W / side², d), row by row.

    Raises:
        ValueError: squares that do not tile the grid, or another number of tokens.
    """
    side = check_size("side", side)
    check_tiles("side", side, check_size("H", H), check_size("W", W))
    check_float("x", x)
    if x.ndim < 2 or x.shape[-2] != H * W:
        raise ValueError(f"x must hold {H} × {W} = {H * W} tokens, got shape {tuple(x.shape)}")
    squares = x.unflatten(-2, (H // side, side, W // side, side))
    return squares.mean(dim=(-4, -2)).flatten(-3, -2)


def pooled_attention(q: Tensor, k: Tensor, v: Tensor, H: int, W: int, side: int, *, scale: float | None = None) -> Tensor:
    """Each query asks the means of squares instead of single places: side² times fewer keys.

    Args:
        q: queries, (..., N, d).
        k, v: keys and values of an H × W grid, row by row, (..., H · W, d) and (..., H · W, d_v).
        H, W, side: as `pool_tokens`.
        scale: factor on the scores; None means 1/√d.

    Returns:
        out, (..., N, d_v). With side 1 it is exact attention.

    Raises:
        TypeError, ValueError: as `pool_tokens`, or sizes of q, k and v that do not fit.

    Source: Wang et al. 2021 (PVT), arXiv:2102.12122, section 3.3, "spatial-reduction attention".
    Differs from the paper: squares are averaged, not projected by a learned matrix (as in PVT v2, arXiv:2106.13797, but there to a fixed number).
    """
    check_qkv(q, k, v)
    return F.scaled_dot_product_attention(q, pool_tokens(k, H, W, side), pool_tokens(v, H, W, side), scale=scale)


def projected_attention(q: Tensor, k: Tensor, v: Tensor, E: Tensor, *, scale: float | None = None) -> Tensor:
    """Each query asks R mixtures of the keys: out = softmax(scale · q (E k)ᵀ) E v.

    Args:
        q, k, v: as `linear_attention`.
        E: (R, M), the mixtures; learned in the paper, so M is fixed with it.
        scale: factor on the scores; None means 1/√d.

    Returns:
        out, (..., N, d_v). With E = I it is exact attention; with rows that average squares it is `pooled_attention`.

    Raises:
        TypeError, ValueError: sizes that do not fit.

    Source: Wang et al. 2020 (Linformer), arXiv:2006.04768, equation 7.
    Differs from the paper: keys and values share one matrix, one of the ways to share that it lists.
    """
    check_qkv(q, k, v)
    check_shape("E", E, ("R", k.shape[-2]))
    return F.scaled_dot_product_attention(q, E @ k, E @ v, scale=scale)


# ---------------------------------------------------------------------------------------------------- merged tokens


class Merge(NamedTuple):
    """Who went where: `where` (..., N), the new number of each token, and `sizes` (..., N - r), how many tokens each new one holds."""

    where: Tensor
    sizes: Tensor

    def mean(self, x: Tensor) -> Tensor:
        """Tokens (..., N, C) to (..., N - r, C): the mean of those that were merged."""
        total = x.new_zeros(*self.sizes.shape, x.shape[-1])
        total = total.scatter_add(-2, self.where[..., None].expand(x.shape), x)
        return total / self.sizes[..., None].to(x.dtype)

    def back(self, x: Tensor) -> Tensor:
        """Tokens (..., N - r, C) to (..., N, C): each of the merged gets what they got together."""
        return x.gather(-2, self.where[..., None].expand(*self.where.shape, x.shape[-1]))


def match_tokens(x: Tensor, r: int) -> Merge:
    """Bipartite soft matching: the r most similar pairs of tokens, without an iteration.

    Every other token chooses, among those between, the one with the largest cosine to its own; the r best choices are merged. So a
    token that is chosen may be chosen several times, and a token that chooses is merged at most once.

    Args:
        x: what tokens are compared by, (..., N, d), N ≥ 2; the keys of attention, in the paper.
        r: how many tokens shall go, 0 ≤ r ≤ N/2, rounded up.

    Returns:
        A `Merge`: first the tokens that chose and stay, then those between, each in their order.
        Takes N²/4 cosines of time and memory: half as many tokens do not come for free.

    Raises:
        ValueError: another r, or fewer than two tokens.

    Source: Bolya et al. 2023 (ToMe), arXiv:2210.09461, section 3 and appendix D.
    Differs from the paper: no class token that would have to stay out of it, and tokens of size 1 at the beginning.
    """
    check_float("x", x)
    if x.ndim < 2 or x.shape[-2] < 2:
        raise ValueError(f"x must hold two tokens or more, got shape {tuple(x.shape)}")
    N = x.shape[-2]
    choosing = (N + 1) // 2
    if check_size("r", r, least=0) > choosing:
        raise ValueError(f"r must be at most {choosing} of {N} tokens, got {r}")
    x = F.normalize(x, dim=-1)
    cosine, choice = (x[..., ::2, :] @ x[..., 1::2, :].mT).max(dim=-1)  # (..., choosing)
    rank = cosine.argsort(dim=-1, descending=True, stable=True).argsort(dim=-1)
    stays = rank >= r
    numbers = torch.where(stays, stays.cumsum(dim=-1) - 1, choosing - r + choice)
    where = x.new_zeros(x.shape[:-1], dtype=torch.long)
    where[..., ::2] = numbers
    where[..., 1::2] = torch.arange(choosing - r, N - r, device=x.device)
    sizes = where.new_zeros(*x.shape[:-2], N - r).scatter_add(-1, where, torch.ones_like(where))
    return Merge(where, sizes)


def merged_attention(q: Tensor, k: Tensor, v: Tensor, r: int, *, scale: float | None = None) -> Tensor:
    """Self-attention among N - r merged tokens; each of the merged then gets their common output.

    Tokens are matched by their keys. A new token counts as the tokens that it holds: out = softmax(scale · q kᵀ + ln sizes) v.

    Args:
        q, k, v: (..., N, d), (..., N, d) and (..., N, d_v), as many queries as keys.
        r: how many tokens shall go, as `match_tokens`.
        scale: factor on the scores; None means 1/√d.

    Returns:
        out, (..., N, d_v). With r = 0 it is exact attention.

    Raises:
        TypeError, ValueError: sizes that do not fit.

    Source: Bolya et al. 2023 (ToMe), arXiv:2210.09461, equation 1 ("proportional attention").
    Differs from the paper: there tokens are merged between attention and MLP and stay merged to the end of the network; here they come
    apart again, so that one attention can be compared with another.
    """
    check_qkv(q, k, v)
    if q.shape[-2] != k.shape[-2]:
        raise ValueError(f"merged tokens need as many queries as keys, got {q.shape[-2]} and {k.shape[-2]}")
    merge = match_tokens(k, r)
    counts = merge.sizes.to(q.dtype).log()[..., None, :]  # (..., 1, N - r)
    q, k, v = (merge.mean(x) for x in (q, k, v))
    return merge.back(F.scaled_dot_product_attention(q, k, v, attn_mask=counts, scale=scale))
