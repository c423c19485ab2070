"""The transformer block and the Vision Transformer, with presets from this book's size to ViT-Base."""

import torch
from torch import Tensor, nn

from attn_utils.attention import MultiHeadAttention
from attn_utils.positions import sincos_2d


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
