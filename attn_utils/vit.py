"""The transformer block and the Vision Transformer, with presets from this book's size to ViT-Base."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from attn_utils.attention import Mask, MultiHeadAttention, Positions
from attn_utils.positions import sincos_2d
from attn_utils.shapes import check_choice, check_map, check_no_context, check_size, check_tiles


class Block(nn.Module):
    """A pre-norm transformer block: self-attention, cross-attention if there is a context, then an MLP, each added on.

    x = x + attention(norm(x));   x = x + cross(norm(x), context);   x = x + mlp(norm(x))

    Args:
        dim, heads, dropout: as in `MultiHeadAttention`; dropout also acts on what each branch adds.
        mlp_ratio: hidden width of the MLP, in units of dim.
        context_dim: width of the context; None leaves cross-attention out.

    Shapes:
        forward(x, mask=None, context=None, context_mask=None, *, positions=None, context_positions=None) -> x
        x (B, N, D); mask (N, N) or with batch (and head) axes; context (B, M, context_dim); context_mask (N, M), likewise.
        positions, of x, and context_positions: as in `MultiHeadAttention`.

    Source: ViT, arXiv:2010.11929, equations 2 and 3; equal to `nn.TransformerEncoderLayer(norm_first=True)` and, with
    a context, to `nn.TransformerDecoderLayer(norm_first=True)`.
    """

    def __init__(self, dim: int, *, heads: int, mlp_ratio: float = 4.0, dropout: float = 0.0, context_dim: int | None = None):
        super().__init__()
        dim = check_size("dim", dim)
        hidden = check_size("mlp_ratio · dim", round(mlp_ratio * dim))
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
        self,
        x: Tensor,
        mask: Mask | None = None,
        context: Tensor | None = None,
        context_mask: Mask | None = None,
        *,
        positions: Positions | None = None,
        context_positions: Positions | None = None,
    ) -> Tensor:
        places = {} if positions is None else {"positions": positions}  # another layer in place of ours need not know them
        x = x + self.drop(self.attention(self.norm_attention(x), mask=mask, **places))  # (B, N, D)
        if self.context_dim is None:
            for given in (context, context_mask, context_positions):
                check_no_context(given)
        else:
            places = {"positions": positions, "context_positions": context_positions}
            x = x + self.drop(self.cross(self.norm_cross(x), context, context_mask, **places))
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
        self.patch, dim, channels = check_size("patch", patch), check_size("dim", dim), check_size("channels", channels)
        self.project = nn.Conv2d(channels, dim, kernel_size=self.patch, stride=self.patch)  # one patch per kernel position

    def forward(self, image: Tensor) -> Tensor:
        check_map("image", image, self.project.in_channels)
        check_tiles("patch", self.patch, *image.shape[-2:])
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
        forward(image, mask=None) -> logits; (B, C, H, W) -> (B, classes), or (B, N, classes) with readout="tokens".
        features(image, mask=None) -> tokens after the last norm; (B, N, D), or (B, 1 + N, D) with the class token first.
        mask: as in `MultiHeadAttention`, over all tokens, the class token among them; a list holds one, or None, for each block.

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
        H, W = image_size if isinstance(image_size, (tuple, list)) else (image_size, image_size)
        H, W, patch = check_size("image_size", H), check_size("image_size", W), check_size("patch", patch)
        dim, depth, classes = check_size("dim", dim), check_size("depth", depth, least=0), check_size("classes", classes)
        check_tiles("patch", patch, H, W)
        check_choice("readout", readout, ("class_token", "mean", "tokens"))
        check_choice("positions", positions, ("learned", "sincos", "none"))
        self.image_size, self.grid, self.readout = (H, W), (H // patch, W // patch), readout
        self.embed = PatchEmbed(patch=patch, dim=dim, channels=channels) if stem is None else stem
        self.class_token = nn.Parameter(torch.randn(dim) * 0.02) if readout == "class_token" else None
        self.positions = _positions(positions, *self.grid, dim)
        self.drop = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(Block(dim, heads=heads, mlp_ratio=mlp_ratio, dropout=dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, classes)

    def features(self, image: Tensor, mask: Mask | Sequence[Mask | None] | None = None) -> Tensor:
        masks = mask if isinstance(mask, (list, tuple)) else [mask] * len(self.blocks)
        if len(masks) != len(self.blocks):
            raise ValueError(f"a list of masks must hold one for each of the {len(self.blocks)} blocks, got {len(masks)}")
        if image.shape[-2:] != self.image_size:
            raise ValueError(f"image must be {self.image_size} pixels (H, W), got {tuple(image.shape[-2:])}")
        x = self.embed(image)
        if x.ndim == 4:
            x = x.flatten(2).transpose(1, 2)  # (B, N, D)
        if self.positions is not None:
            x = x + self.positions
        if self.class_token is not None:
            x = torch.cat([self.class_token.expand(x.shape[0], 1, -1), x], dim=1)  # (B, 1 + N, D)
        x = self.drop(x)
        for block, its_mask in zip(self.blocks, masks, strict=True):
            x = block(x) if its_mask is None else block(x, its_mask)  # blocks of another kind may know no masks
        return self.norm(x)

    def forward(self, image: Tensor, mask: Mask | Sequence[Mask | None] | None = None) -> Tensor:
        x = self.features(image, mask)
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
    table = torch.as_tensor(sincos_2d(rows, columns, dim), dtype=torch.get_default_dtype())
    return nn.Parameter(table.reshape(rows * columns, dim), requires_grad=False)


def vit_mini(**options) -> ViT:
    """The size this book trains: width 64, 3 blocks, 2 heads, MLP × 2 (about 0.1 million parameters).

    Examples:
        >>> model = vit_mini(image_size=32, patch=4, classes=10)
        >>> model(torch.rand(2, 3, 32, 32)).shape, model.features(torch.rand(2, 3, 32, 32)).shape
        (torch.Size([2, 10]), torch.Size([2, 65, 64]))
    """
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
