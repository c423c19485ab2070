"""Attention in PyTorch: the function, the multi-head layer, the transformer block and the Vision Transformer.

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

from attn_utils.positions import sincos_2d

# ---------------------------------------------------------------------------------------------------- functions


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
    _check_qkv(q, k, v)
    if mask is not None:
        mask = _check_mask(mask, (*torch.broadcast_shapes(q.shape[:-2], k.shape[:-2]), q.shape[-2], k.shape[-2]), q.device)
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


def _check_qkv(q: Tensor, k: Tensor, v: Tensor) -> None:
    for name, tensor in (("q", q), ("k", k), ("v", v)):
        if not tensor.is_floating_point():
            raise TypeError(f"{name} must be floating point, got {tensor.dtype}")
        if tensor.ndim < 2:
            raise ValueError(f"{name} must have at least two axes (tokens, width), got shape {tuple(tensor.shape)}")
    if q.shape[-1] != k.shape[-1]:
        raise ValueError(f"q and k must have the same width, got {q.shape[-1]} and {k.shape[-1]}")
    if k.shape[-2] != v.shape[-2]:
        raise ValueError(f"k and v must have the same number of tokens, got {k.shape[-2]} and {v.shape[-2]}")
    if k.shape[-2] == 0:
        raise ValueError("the set of keys is empty: a query has nothing to attend to")


def _check_mask(mask: Tensor, shape: tuple[int, ...], device: torch.device) -> Tensor:
    """The mask as a boolean tensor on `device` (NumPy masks are welcome), after a check that it broadcasts to `shape`."""
    mask = torch.as_tensor(mask, device=device)
    if mask.dtype != torch.bool:
        raise TypeError(f"mask must be boolean with True = may attend, got {mask.dtype}")
    if mask.ndim > len(shape) or any(a not in (1, b) for a, b in zip(mask.shape[::-1], shape[::-1], strict=False)):
        raise ValueError(f"mask of shape {tuple(mask.shape)} does not broadcast to {tuple(shape)}")
    return mask


def _check_tokens(name: str, x: Tensor, width: int) -> None:
    if not x.is_floating_point():
        raise TypeError(f"{name} must be floating point, got {x.dtype}")
    if x.ndim != 3:
        raise ValueError(f"{name} must have the three axes (batch, tokens, width), got shape {tuple(x.shape)}")
    if x.shape[-1] != width:
        raise ValueError(f"{name} must have width {width}, got {x.shape[-1]}")


# ------------------------------------------------------------------------------------------------------- layers


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
        if heads < 1 or dim % heads:
            raise ValueError(f"dim must be a multiple of heads, got dim={dim} and heads={heads}")
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
            mask = _check_mask(mask, (B, heads, N, M), q.device)
        dropout_p = self.dropout if self.training else 0.0
        if self.weights._forward_hooks:
            out, weights = attention(q, k, v, mask=mask, dropout_p=dropout_p)  # (B, heads, N, d), (B, heads, N, M)
            self.weights(weights)
        else:
            out = fused_attention(q, k, v, mask=mask, dropout_p=dropout_p)  # (B, heads, N, d)
        return self.out(out.transpose(1, 2).flatten(2))  # (B, N, D)

    def _project(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, ...]:
        _check_tokens("x", x, self.dim)
        if self.context_dim is None:
            if context is not None:
                raise ValueError("this is a self-attention layer: give context_dim=... to attend to a context")
            if x.shape[1] == 0:
                raise ValueError("the set of keys is empty: x has no tokens")
            return self.qkv(x).chunk(3, dim=-1)  # 3 × (B, N, D), views: no copy
        if context is None:
            raise ValueError("this is a cross-attention layer: call it with a context")
        _check_tokens("context", context, self.context_dim)
        if context.shape[0] != x.shape[0]:
            raise ValueError(f"x and context must have the same batch size, got {x.shape[0]} and {context.shape[0]}")
        if context.shape[1] == 0:
            raise ValueError("the set of keys is empty: context has no tokens")
        return self.q(x), *self.kv(context).chunk(2, dim=-1)  # (B, N, D), 2 × (B, M, D)

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (B, heads, tokens, d)

    def extra_repr(self) -> str:
        return f"heads={self.heads}, head_dim={self.dim // self.heads}, dropout={self.dropout}"


class Block(nn.Module):
    """A pre-norm transformer block: self-attention, cross-attention if there is a context, then an MLP, each added on.

    x = x + attention(norm(x));   x = x + cross(norm(x), context);   x = x + mlp(norm(x))

    Args:
        dim, heads, dropout: as in `MultiHeadAttention`; dropout also acts on what each branch adds.
        mlp_ratio: hidden width of the MLP, in units of dim.
        context_dim: width of the context; None leaves cross-attention out.

    Shapes:
        forward(x, mask=None, context=None, context_mask=None) -> x
        x (B, N, D); mask (N, N) or with batch (and head) axes; context (B, M, context_dim); context_mask (N, M), likewise.

    Source: ViT, arXiv:2010.11929, equations 2 and 3; equal to `nn.TransformerEncoderLayer(norm_first=True)` and, with
    a context, to `nn.TransformerDecoderLayer(norm_first=True)`.
    """

    def __init__(self, dim: int, *, heads: int, mlp_ratio: float = 4.0, dropout: float = 0.0, context_dim: int | None = None):
        super().__init__()
        hidden = round(mlp_ratio * dim)
        self.norm_attention = nn.LayerNorm(dim)
        self.attention = MultiHeadAttention(dim, heads=heads, dropout=dropout)
        if context_dim is not None:
            self.norm_cross = nn.LayerNorm(dim)
            self.cross = MultiHeadAttention(dim, heads=heads, context_dim=context_dim, dropout=dropout)
        self.norm_mlp = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, dim))
        self.drop = nn.Dropout(dropout)
        self.context_dim = context_dim

    def forward(
        self, x: Tensor, mask: Tensor | None = None, context: Tensor | None = None, context_mask: Tensor | None = None
    ) -> Tensor:
        x = x + self.drop(self.attention(self.norm_attention(x), mask=mask))  # (B, N, D)
        if self.context_dim is not None:
            x = x + self.drop(self.cross(self.norm_cross(x), context, context_mask))
        elif context is not None:
            raise ValueError("this block has no cross-attention: give context_dim=... to attend to a context")
        return x + self.drop(self.mlp(self.norm_mlp(x)))


class PatchEmbed(nn.Module):
    """Cut a picture into patches and map each linearly to a token.

    Args:
        patch: side P of a patch in pixels.
        dim: width D of a token.
        channels: channels C of the picture.

    Shapes:
        forward(image) -> tokens; (B, C, H, W) -> (B, N, D), N = (H/P)(W/P), row by row.

    Source: ViT, arXiv:2010.11929, equation 1.
    """

    def __init__(self, *, patch: int, dim: int, channels: int = 3):
        super().__init__()
        self.patch = patch
        self.project = nn.Conv2d(channels, dim, kernel_size=patch, stride=patch)  # one patch per kernel position

    def forward(self, image: Tensor) -> Tensor:
        if image.ndim != 4:
            raise ValueError(f"image must have the four axes (batch, channel, row, column), got shape {tuple(image.shape)}")
        H, W = image.shape[-2:]
        if H % self.patch or W % self.patch:
            raise ValueError(f"a picture of {H} × {W} pixels cannot be cut into patches of side {self.patch}")
        return self.project(image).flatten(2).transpose(1, 2)  # (B, N, D)


class ViT(nn.Module):
    """Vision Transformer: patches to tokens, positions, blocks, and a linear read-out.

    Args:
        image_size: side of the picture in pixels, or (H, W).
        patch: side P of a patch in pixels.
        classes: number of classes.
        dim, depth, heads, mlp_ratio, dropout: width, number of blocks, and what `Block` takes.
        channels: channels of the picture.
        readout: "class_token" reads one learned token; "mean" reads the average token; "tokens" reads every token.
        positions: "learned", "sincos" (fixed, 2-D) or "none".
        stem: a module (B, C, H, W) -> (B, N, D) or (B, D, H/P, W/P) in place of `PatchEmbed`; `patch` is then its stride.

    Shapes:
        forward(image) -> logits; (B, C, H, W) -> (B, classes), or (B, N, classes) with readout="tokens".
        features(image) -> tokens after the last norm; (B, N, D), or (B, 1 + N, D) with the class token first.

    Source: Dosovitskiy et al. 2020, arXiv:2010.11929. "mean" and "sincos" as in Beyer et al. 2022, arXiv:2205.01580.
    """

    def __init__(
        self,
        *,
        image_size: int | tuple[int, int],
        patch: int,
        classes: int,
        dim: int,
        depth: int,
        heads: int,
        mlp_ratio: float = 4.0,
        channels: int = 3,
        dropout: float = 0.0,
        readout: str = "class_token",
        positions: str = "learned",
        stem: nn.Module | None = None,
    ):
        super().__init__()
        H, W = (image_size, image_size) if isinstance(image_size, int) else image_size
        if H % patch or W % patch:
            raise ValueError(f"a picture of {H} × {W} pixels cannot be cut into patches of side {patch}")
        if readout not in ("class_token", "mean", "tokens"):
            raise ValueError(f'readout must be "class_token", "mean" or "tokens", got {readout!r}')
        self.image_size, self.grid, self.readout = (H, W), (H // patch, W // patch), readout
        self.embed = PatchEmbed(patch=patch, dim=dim, channels=channels) if stem is None else stem
        self.class_token = nn.Parameter(torch.randn(dim) * 0.02) if readout == "class_token" else None
        self.positions = _positions(positions, *self.grid, dim)
        self.drop = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(Block(dim, heads=heads, mlp_ratio=mlp_ratio, dropout=dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, classes)

    def features(self, image: Tensor) -> Tensor:
        if image.shape[-2:] != self.image_size:
            raise ValueError(f"image must be {self.image_size} pixels (H, W), got {tuple(image.shape[-2:])}")
        x = self.embed(image)
        if x.ndim == 4:
            x = x.flatten(2).transpose(1, 2)  # (B, N, D)
        if self.positions is not None:
            x = x + self.positions
        if self.class_token is not None:
            x = torch.cat([self.class_token.expand(len(x), 1, -1), x], dim=1)  # (B, 1 + N, D)
        x = self.drop(x)
        for block in self.blocks:
            x = block(x)
        return self.norm(x)

    def forward(self, image: Tensor) -> Tensor:
        x = self.features(image)
        if self.readout == "class_token":
            x = x[:, 0]  # (B, D)
        elif self.readout == "mean":
            x = x.mean(dim=1)  # (B, D)
        return self.head(x)  # (B, classes) or (B, N, classes)


def _positions(kind: str, rows: int, columns: int, dim: int) -> nn.Parameter | None:
    """Position vectors (N, D) for a grid of tokens, as a parameter (frozen for "sincos")."""
    if kind == "none":
        return None
    if kind == "learned":
        return nn.Parameter(torch.randn(rows * columns, dim) * 0.02)
    if kind == "sincos":
        table = torch.as_tensor(sincos_2d(rows, columns, dim), dtype=torch.get_default_dtype())
        return nn.Parameter(table.reshape(rows * columns, dim), requires_grad=False)
    raise ValueError(f'positions must be "learned", "sincos" or "none", got {kind!r}')


# ------------------------------------------------------------------------------------------------------ presets


def vit_mini(**options) -> ViT:
    """The size this book trains: width 64, 3 blocks, 2 heads, MLP × 2 (about 0.1 million parameters)."""
    return ViT(**{"dim": 64, "depth": 3, "heads": 2, "mlp_ratio": 2.0} | options)


def vit_tiny(**options) -> ViT:
    """ViT-Ti (DeiT, arXiv:2012.12877, table 1): 5.7 million parameters at 224 pixels, patch 16, 1,000 classes."""
    return ViT(**{"dim": 192, "depth": 12, "heads": 3} | options)


def vit_small(**options) -> ViT:
    """ViT-S (DeiT, arXiv:2012.12877, table 1): 22 million parameters at 224 pixels, patch 16, 1,000 classes."""
    return ViT(**{"dim": 384, "depth": 12, "heads": 6} | options)


def vit_base(**options) -> ViT:
    """ViT-B (arXiv:2010.11929, table 1): 86 million parameters at 224 pixels, patch 16, 1,000 classes."""
    return ViT(**{"dim": 768, "depth": 12, "heads": 12} | options)
