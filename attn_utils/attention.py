"""Attention in PyTorch: the function, its fused form, and the multi-head layer.

`attention` spells every step out and returns the weights too. `MultiHeadAttention` projects, calls PyTorch's fused
kernel (which does not form the weights: `fused_attention` says where it has to), and projects back; while a recorder is on
(`attn_utils.record`) it takes the explicit path instead, with the same result.

Masks are boolean, tensors or NumPy arrays, and True means "may attend". A query that may attend to nothing gets weights 0
and output 0, on both paths, forward and backward. NaN is not searched for (that would cost a pass over the data): it
spreads, and a NaN in a masked value spreads as well, because 0 × NaN is NaN. `attn_utils.train.fit` stops at the first
NaN loss.
"""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attn_utils.shapes import (
    check_heads,
    check_mask,
    check_no_context,
    check_qkv,
    check_rate,
    check_shape,
    check_size,
    check_sources,
)

Mask = Tensor | np.ndarray
Positions = Callable[[Tensor, Callable[[Tensor], Tensor]], Tensor]  # (tokens, project) -> queries or keys


def attention(
    q: Tensor, k: Tensor, v: Tensor, *, mask: Mask | None = None, scale: float | None = None, dropout_p: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Scaled dot-product attention, every step spelt out.

    weights = softmax(scale · q kᵀ) over the keys,   out = weights v

    Args:
        q: queries, (..., N, d), floating point.
        k: keys, (..., M, d).
        v: values, (..., M, d_v).
        mask: boolean, broadcastable to (..., N, M); True = may attend. (M,) masks keys for all queries.
        scale: factor on the scores; None means 1/√d.
        dropout_p: probability with which a weight is dropped before the values are mixed.

    Returns:
        out, (..., N, d_v), and weights, (..., N, M), before dropout: each row sums to 1 over the keys, or is all 0 where
        the mask leaves nothing to attend to.

    Raises:
        TypeError: not floating point, or the mask is not boolean.
        ValueError: sizes that do not fit, or no keys.

    Source: Vaswani et al. 2017, arXiv:1706.03762, equation 1.

    Examples:
        >>> q, k, v = torch.zeros(1, 2), torch.eye(3, 2), torch.tensor([[1.0], [2.0], [6.0]])
        >>> out, weights = attention(q, k, v)  # all scores are 0: the mean of the values
        >>> out.item(), [round(w, 3) for w in weights[0].tolist()]
        (3.0, [0.333, 0.333, 0.333])
        >>> attention(q, k, v, mask=torch.tensor([True, True, False]))[0].item()
        1.5
    """
    check_qkv(q, k, v)
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    scores = scale * q @ k.transpose(-2, -1)  # (..., N, M); q is scaled, since in half precision q kᵀ may overflow
    if mask is None:
        weights = scores.softmax(dim=-1)
    else:
        mask, alive = _mask_and_alive(mask, q, k)
        # A row of -inf would be NaN in the softmax: a query with nothing to attend to looks at all, and then is silenced.
        weights = scores.masked_fill(~mask & alive, -torch.inf).softmax(dim=-1).masked_fill(~mask, 0.0)
    out = F.dropout(weights, dropout_p) @ v if dropout_p else weights @ v  # (..., N, d_v)
    return out, weights


def fused_attention(
    q: Tensor, k: Tensor, v: Tensor, *, mask: Mask | None = None, scale: float | None = None, dropout_p: float = 0.0
) -> Tensor:
    """The `out` of `attention`, from PyTorch's fused kernel: faster, with memory that does not grow as N × M.

    Same arguments as `attention`, without its checks of q, k and v.

    Where no kernel fits, PyTorch falls back to forming the weights, with the same result. On a CPU it does so with dropout, where
    d_v differs from d, and where q, k and v have other than four axes (batch, head, token, width); a GPU's kernels have
    dropout, and limits of their own.
    """
    if mask is None:
        return F.scaled_dot_product_attention(q, k, v, scale=scale, dropout_p=dropout_p)
    # Kernels differ in what they return for a row with nothing to attend to. Let such a row attend to all, then zero it.
    mask, alive = _mask_and_alive(mask, q, k)
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask | ~alive, scale=scale, dropout_p=dropout_p)
    return out.masked_fill(~alive, 0.0)


def _mask_and_alive(mask: Mask, q: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
    """The mask, checked, as a tensor of two axes or more beside q; and which queries may attend to anything, (..., N | 1, 1)."""
    mask = torch.as_tensor(mask, device=q.device)
    check_mask(mask, (*torch.broadcast_shapes(q.shape[:-2], k.shape[:-2]), q.shape[-2], k.shape[-2]))
    mask = torch.atleast_2d(mask)
    return mask, mask.any(dim=-1, keepdim=True)


class MultiHeadAttention(nn.Module):
    """Multi-head attention: self-attention, or cross-attention when `context_dim` is given.

    Args:
        dim: width D of the tokens, in and out.
        heads: number of heads; each has width d = D / heads.
        context_dim: width of the context that keys and values come from; None makes a self-attention layer.
        dropout: probability of dropping a weight, in training.
        bias: whether the four projections have a bias.

    Shapes:
        forward(x, context=None, mask=None, *, positions=None, context_positions=None) -> out
        x (B, N, D); context (B, M, context_dim), in self-attention M = N; out (B, N, D).
        mask: boolean, True = may attend: (N, M) for all, (B, N, M) per sample, or (B, heads, N, M); an axis may be 1, and
        leading axes may be missing.

    Positions that queries and keys know and values do not: `positions` is called as positions(tokens, project) in place of
    the projection project(tokens), (B, tokens, width) -> (B, heads, tokens, d), and returns what that would return. In self-attention
    it makes queries and keys; in cross-attention the queries, and `context_positions` the keys. DETR adds before it, RoPE turns after it::

        layer(x, positions=lambda tokens, project: project(tokens + place))               # place (N, D)
        layer(x, positions=lambda tokens, project: apply_rope(project(tokens), angles))   # angles (N, d/2), from rope_2d

    Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.2.2. Positions: DETR, arXiv:2005.12872, appendix A.1; RoPE,
    arXiv:2104.09864.
    Differs from the paper: biases on the projections, as in ViT (arXiv:2010.11929).

    Examples:
        >>> layer = MultiHeadAttention(32, heads=4)
        >>> layer(torch.rand(2, 10, 32)).shape
        torch.Size([2, 10, 32])
        >>> cross = MultiHeadAttention(32, heads=4, context_dim=16)
        >>> cross(torch.rand(2, 10, 32), torch.rand(2, 7, 16)).shape
        torch.Size([2, 10, 32])
    """

    def __init__(self, dim: int, *, heads: int, context_dim: int | None = None, dropout: float = 0.0, bias: bool = True):
        super().__init__()
        dim, heads = check_heads(dim, heads)
        check_rate("dropout", dropout)
        self.dim, self.heads, self.context_dim, self.dropout = dim, heads, context_dim, dropout
        if context_dim is None:
            self.qkv = nn.Linear(dim, 3 * dim, bias=bias)
        else:
            self.context_dim = check_size("context_dim", context_dim)
            self.q = nn.Linear(dim, dim, bias=bias)
            self.kv = nn.Linear(self.context_dim, 2 * dim, bias=bias)
        self.out = nn.Linear(dim, dim, bias=bias)
        self.weights = nn.Identity()  # sees the weights when a recorder has hooked it; otherwise never called

    def forward(
        self,
        x: Tensor,
        context: Tensor | None = None,
        mask: Mask | None = None,
        *,
        positions: Positions | None = None,
        context_positions: Positions | None = None,
    ) -> Tensor:
        check_sources(x, context, self.dim, self.context_dim)
        if self.context_dim is None:
            check_no_context(context_positions)
            context, context_positions = x, positions
        if positions is None and context_positions is None:
            q, k, v = self._project(x, context)  # (B, heads, N | M, d)
        else:
            q, k, v = self._project_with_places(x, context, positions, context_positions)
        if mask is not None:
            mask = torch.as_tensor(mask, device=x.device)
            mask = mask[:, None] if mask.ndim == 3 else mask  # (B, 1, N, M)
        dropout_p = self.dropout if self.training else 0.0
        if self.weights._forward_hooks:
            out, weights = attention(q, k, v, mask=mask, dropout_p=dropout_p)  # (B, heads, N, d), (B, heads, N, M)
            used = self.weights(weights)
            out = out if used is weights else used @ v  # a hook gave others: `attn_utils.edit`
        else:
            out = fused_attention(q, k, v, mask=mask, dropout_p=dropout_p)  # (B, heads, N, d)
        return self.out(out.transpose(1, 2).flatten(2))  # (B, N, D)

    def _project(self, x: Tensor, context: Tensor) -> tuple[Tensor, ...]:
        if self.context_dim is None:
            parts = self.qkv(x).chunk(3, dim=-1)  # 3 × (B, N, D), views: no copy
        else:
            parts = self.q(x), *self.kv(context).chunk(2, dim=-1)  # (B, N, D), 2 × (B, M, D)
        return tuple(self._split(part) for part in parts)

    def _project_with_places(
        self, x: Tensor, context: Tensor, positions: Positions | None, context_positions: Positions | None
    ) -> tuple[Tensor, ...]:
        if self.context_dim is None:
            to_q, to_k, to_v = self._parts(self.qkv, 3)
        else:
            to_q, to_k, to_v = *self._parts(self.q, 1), *self._parts(self.kv, 2)
        q = to_q(x) if positions is None else positions(x, to_q)
        k = to_k(context) if context_positions is None else context_positions(context, to_k)
        for name, placed, tokens in (("positions", q, x), ("context_positions", k, context)):
            check_shape(f"what {name} returns", placed, (x.shape[0], self.heads, tokens.shape[1], self.dim // self.heads))
        return q, k, to_v(context)

    def _parts(self, layer: nn.Linear, count: int) -> list[Callable[[Tensor], Tensor]]:
        """A layer that makes several things side by side, as one projection for each."""
        biases = [None] * count if layer.bias is None else layer.bias.chunk(count)
        return [lambda x, w=w, b=b: self._split(F.linear(x, w, b)) for w, b in zip(layer.weight.chunk(count), biases)]

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (B, heads, tokens, d)

    def extra_repr(self) -> str:
        return f"heads={self.heads}, head_dim={self.dim // self.heads}, dropout={self.dropout}"
