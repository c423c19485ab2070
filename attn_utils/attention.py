"""Attention in PyTorch: the function, its fused form, and the multi-head layer.

`attention` spells every step out and returns the weights too. `MultiHeadAttention` projects, calls PyTorch's fused
kernel (which never forms the weights), and projects back; while a recorder is on (`attn_utils.record`) it takes the
explicit path instead, with the same result.

Masks are boolean, and True means "may attend". A query that may attend to nothing gets weights 0 and output 0, on
both paths, forward and backward. NaN is not searched for (that would cost a pass over the data): it spreads, and a
NaN in a masked value spreads as well, because 0 × NaN is NaN. `attn_utils.train.fit` stops at the first NaN loss.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attn_utils.shapes import check_heads, check_mask, check_qkv, check_tokens


def attention(
    q: Tensor, k: Tensor, v: Tensor, *, mask: Tensor | None = None, scale: float | None = None, dropout_p: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Scaled dot-product attention, every step spelt out.

    weights = softmax(scale · q kᵀ) over the keys,   out = weights v

    Args:
        q: queries, (..., N, d), floating point.
        k: keys, (..., M, d).
        v: values, (..., M, d_v).
        mask: boolean, broadcastable to (..., N, M); True = may attend.
        scale: factor on the scores; None means 1/√d.
        dropout_p: probability with which a weight is dropped before the values are mixed.

    Returns:
        out, (..., N, d_v), and weights, (..., N, M), before dropout: each row sums to 1 over the keys, or is all 0 where
        the mask leaves nothing to attend to.

    Raises:
        TypeError: not floating point, or the mask is not boolean.
        ValueError: sizes that do not fit, or no keys.

    Source: Vaswani et al. 2017, arXiv:1706.03762, equation 1.
    """
    check_qkv(q, k, v)
    if mask is not None:
        mask = check_mask(mask, (*torch.broadcast_shapes(q.shape[:-2], k.shape[:-2]), q.shape[-2], k.shape[-2]), q.device)
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    scores = scale * q @ k.transpose(-2, -1)  # (..., N, M)
    if mask is None:
        weights = scores.softmax(dim=-1)
    else:
        # A row of -inf becomes NaN in the softmax; every entry of such a row is masked, so the second fill makes it 0.
        weights = scores.masked_fill(~mask, -torch.inf).softmax(dim=-1).masked_fill(~mask, 0.0)
    out = F.dropout(weights, dropout_p) @ v if dropout_p else weights @ v  # (..., N, d_v)
    return out, weights


def fused_attention(
    q: Tensor, k: Tensor, v: Tensor, *, mask: Tensor | None = None, scale: float | None = None, dropout_p: float = 0.0
) -> Tensor:
    """The `out` of `attention`, from PyTorch's fused kernel: faster, with memory that does not grow as N × M.

    Same arguments as `attention`, without its checks of q, k and v. The weights are never formed.
    """
    if mask is None:
        return F.scaled_dot_product_attention(q, k, v, scale=scale, dropout_p=dropout_p)
    # Kernels differ in what they return for a row with nothing to attend to. Let such a row attend to all, then zero it.
    alive = mask.any(dim=-1, keepdim=True)
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask | ~alive, scale=scale, dropout_p=dropout_p)
    return out.masked_fill(~alive, 0.0)


class MultiHeadAttention(nn.Module):
    """Multi-head attention: self-attention, or cross-attention when `context_dim` is given.

    Args:
        dim: width D of the tokens, in and out.
        heads: number of heads; each has width d = D / heads.
        context_dim: width of the context that keys and values come from; None makes a self-attention layer.
        dropout: probability of dropping a weight, in training.
        bias: whether the four projections have a bias.

    Shapes:
        forward(x, context=None, mask=None) -> out
        x (B, N, D); context (B, M, context_dim), in self-attention M = N; out (B, N, D).
        mask: boolean, True = may attend: (N, M) for all, (B, N, M) per sample, or (B, heads, N, M); an axis may be 1.

    Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.2.2.
    Differs from the paper: biases on the projections, as in ViT (arXiv:2010.11929).
    """

    def __init__(self, dim: int, *, heads: int, context_dim: int | None = None, dropout: float = 0.0, bias: bool = True):
        super().__init__()
        check_heads(dim, heads)
        if not 0.0 <= dropout < 1.0:
            raise ValueError(f"dropout must be in [0, 1), got {dropout}")
        self.dim, self.heads, self.context_dim, self.dropout = dim, heads, context_dim, dropout
        if context_dim is None:
            self.qkv = nn.Linear(dim, 3 * dim, bias=bias)
        else:
            self.q = nn.Linear(dim, dim, bias=bias)
            self.kv = nn.Linear(context_dim, 2 * dim, bias=bias)
        self.out = nn.Linear(dim, dim, bias=bias)
        self.weights = nn.Identity()  # sees the weights when a recorder has hooked it; otherwise never called

    def forward(self, x: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        q, k, v = (self._split(t) for t in self._project(x, context))  # (B, heads, N | M, d)
        if mask is not None:
            (B, heads, N, _), M = q.shape, k.shape[2]
            if mask.ndim == 3:
                mask = mask[:, None]  # (B, 1, N, M)
            mask = check_mask(mask, (B, heads, N, M), q.device)
        dropout_p = self.dropout if self.training else 0.0
        if self.weights._forward_hooks:
            out, weights = attention(q, k, v, mask=mask, dropout_p=dropout_p)  # (B, heads, N, d), (B, heads, N, M)
            self.weights(weights)
        else:
            out = fused_attention(q, k, v, mask=mask, dropout_p=dropout_p)  # (B, heads, N, d)
        return self.out(out.transpose(1, 2).flatten(2))  # (B, N, D)

    def _project(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, ...]:
        check_tokens("x", x, self.dim)
        if self.context_dim is None:
            if context is not None:
                raise ValueError("this is a self-attention layer: give context_dim=... to attend to a context")
            if x.shape[1] == 0:
                raise ValueError("the set of keys is empty: x has no tokens")
            return self.qkv(x).chunk(3, dim=-1)  # 3 × (B, N, D), views: no copy
        if context is None:
            raise ValueError("this is a cross-attention layer: call it with a context")
        check_tokens("context", context, self.context_dim)
        if context.shape[0] != x.shape[0]:
            raise ValueError(f"x and context must have the same batch size, got {x.shape[0]} and {context.shape[0]}")
        if context.shape[1] == 0:
            raise ValueError("the set of keys is empty: context has no tokens")
        return self.q(x), *self.kv(context).chunk(2, dim=-1)  # (B, N, D), 2 × (B, M, D)

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (B, heads, tokens, d)

    def extra_repr(self) -> str:
        return f"heads={self.heads}, head_dim={self.dim // self.heads}, dropout={self.dropout}"
