"""Masked autoencoding: most patches of a picture are hidden, and a network that sees the others predicts them."""

from collections.abc import Callable

import numpy as np
import torch
from einops import rearrange
from torch import Tensor, nn

from attn_utils.positions import sincos_2d
from attn_utils.shapes import check_map, check_shape, check_size, check_tiles
from attn_utils.vit import Block, ViT

Encode = Callable[[Tensor, Tensor], Tensor]  # (images, hidden) -> a token for each patch


def to_patches(images: Tensor, patch: int) -> Tensor:
    """The pixels of each patch, (B, C, H, W) -> (B, N, patch · patch · C), row by row, the channels of one pixel side by side.

    Raises:
        ValueError: no batch of pictures, or patches that do not tile them.
    """
    check_map("images", images)
    check_tiles("patch", check_size("patch", patch), *images.shape[-2:])
    return rearrange(images, "b c (h p) (w q) -> b (h w) (p q c)", p=patch, q=patch)


def random_hidden(B: int, N: int, share: float, *, device: torch.device | str | None = None) -> Tensor:
    """Which patches of each picture are hidden: as many in every picture, drawn evenly.

    Args:
        B: number of pictures.
        N: patches of a picture.
        share: of the patches that are hidden, in [0, 1]; at least one is hidden and at least one is shown.
        device: where the result shall be.

    Returns:
        (B, N) bool, True = hidden, max(1, min(N − 1, round(share · N))) of them in each row.

    Raises:
        ValueError: fewer than two patches, or a share outside [0, 1].

    Source: He et al. 2021, arXiv:2111.06377, section 3: random sampling without replacement, by a uniform distribution.

    Examples:
        >>> random_hidden(2, 16, 0.75).sum(1)
        tensor([12, 12])
    """
    B, N = check_size("B", B), check_size("N", N, least=2)
    if not 0 <= share <= 1:
        raise ValueError(f"share must lie in [0, 1], got {share}")
    count = max(1, min(N - 1, round(share * N)))
    return torch.rand(B, N, device=device).argsort(dim=1) < count


def visible_tokens(model: ViT, images: Tensor, hidden: Tensor, *, mixing: bool = True) -> Tensor:
    """What a ViT makes of the patches that are shown; the others are left out of all its blocks, and cost nothing.

    Args:
        model: a ViT; its embedding, positions, class token, blocks and last norm are used, its read-out is not.
        images: (B, C, H, W).
        hidden: (B, N) bool, as many True in each row.
        mixing: whether tokens may look at each other; False lets each see itself alone, with the same parameters.

    Returns:
        (B, N, D); 0 at patches that are hidden. With nothing hidden it equals `model.features`, without its class token.

    Raises:
        ValueError: `hidden` of another shape, with rows that differ in their number of True, or with nothing shown.

    Source: He et al. 2021, arXiv:2111.06377, section 3, "MAE encoder".
    """
    x = model.embed(images)
    x = x.flatten(2).mT if x.ndim == 4 else x  # (B, N, D)
    if model.positions is not None:
        x = x + model.positions
    check_shape("hidden", hidden, tuple(x.shape[:2]))
    B, N, D = x.shape
    K = N - int(hidden[0].sum())
    if K == 0 or (hidden.sum(1) != N - K).any():
        raise ValueError("hidden must hide as many patches of every picture, and not all")
    shown = x[~hidden].view(B, K, D)
    first = 0 if model.class_token is None else 1
    if first:
        shown = torch.cat([model.class_token.expand(B, 1, D), shown], dim=1)  # (B, 1 + K, D)
    shown = model.drop(shown)
    mask = None if mixing else np.eye(shown.shape[1], dtype=bool)
    for block in model.blocks:
        shown = block(shown) if mask is None else block(shown, mask)
    shown = model.norm(shown)[:, first:]  # (B, K, D)
    return x.new_zeros(B, N, D).masked_scatter(~hidden[..., None], shown)


def blanked(images: Tensor, hidden: Tensor, patch: int) -> Tensor:
    """Pictures with the mean colour of what is shown in place of the patches that are hidden.

    For networks that need a whole picture, such as convolutions.

    Args:
        images: (B, C, H, W).
        hidden: (B, N) bool, patches row by row; at least one of each picture is shown.
        patch: side of a patch in pixels.

    Returns:
        (B, C, H, W), a new tensor.
    """
    B, _, H, W = images.shape
    check_shape("hidden", hidden, (B, (H // patch) * (W // patch)))
    gone = hidden.view(B, 1, H // patch, W // patch)
    gone = gone.repeat_interleave(patch, 2).repeat_interleave(patch, 3)  # (B, 1, H, W)
    mean = (images * ~gone).sum((2, 3), keepdim=True) / (~gone).sum((2, 3), keepdim=True)  # (B, C, 1, 1)
    return torch.where(gone, mean, images)


class MaskedAutoencoder(nn.Module):
    """An encoder that is given part of a picture, and a small decoder that predicts the pixels of the rest.

    The decoder's tokens are those of the encoder where a patch is shown, one learned vector where it is hidden, and everywhere
    the place of the patch is added. After training the decoder is thrown away.

    Args:
        encoder: module called as encoder(images, hidden); returns tokens (B, N, width). What it says of hidden patches is not looked at.
        width: of the encoder's tokens.
        image_size: (H, W) in pixels.
        patch: side P of a patch in pixels.
        dim, depth, heads, mlp_ratio: of the decoder's blocks, as in `ViT`.
        channels: channels C of the picture.

    Shapes:
        forward(images, hidden) -> pixels; (B, C, H, W) and (B, N) bool -> (B, N, P · P · C), as `to_patches` cuts them.

    Source: He et al. 2021, arXiv:2111.06377, section 3.

    Examples:
        >>> from attn_utils.vit import vit_mini
        >>> vit = vit_mini(image_size=16, patch=4, classes=10)
        >>> model = MaskedAutoencoder(VisibleOnly(vit), width=64, image_size=(16, 16), patch=4, dim=32)
        >>> images, hidden = torch.rand(2, 3, 16, 16), random_hidden(2, 16, 0.75)
        >>> model(images, hidden).shape
        torch.Size([2, 16, 48])
    """

    def __init__(
        self,
        encoder: nn.Module,
        *,
        width: int,
        image_size: tuple[int, int],
        patch: int,
        dim: int,
        depth: int = 1,
        heads: int = 2,
        mlp_ratio: float = 2.0,
        channels: int = 3,
    ):
        super().__init__()
        check_tiles("patch", check_size("patch", patch), *image_size)
        rows, columns = image_size[0] // patch, image_size[1] // patch
        self.encoder, self.enter = encoder, nn.Linear(width, dim)
        self.unseen = nn.Parameter(0.02 * torch.randn(dim))
        self.register_buffer("positions", torch.as_tensor(sincos_2d(rows, columns, dim), dtype=torch.get_default_dtype()))
        self.blocks = nn.ModuleList(Block(dim, heads=heads, mlp_ratio=mlp_ratio) for _ in range(depth))
        self.norm, self.out = nn.LayerNorm(dim), nn.Linear(dim, channels * patch**2)

    def forward(self, images: Tensor, hidden: Tensor) -> Tensor:
        x = self.enter(self.encoder(images, hidden))  # (B, N, dim)
        x = torch.where(hidden[..., None], self.unseen, x) + self.positions
        for block in self.blocks:
            x = block(x)
        return self.out(self.norm(x))


class VisibleOnly(nn.Module):
    """A ViT as the encoder of `MaskedAutoencoder`: hidden patches are not shown to it (`visible_tokens`)."""

    def __init__(self, vit: ViT, *, mixing: bool = True):
        super().__init__()
        self.vit, self.mixing = vit, mixing

    def forward(self, images: Tensor, hidden: Tensor) -> Tensor:
        return visible_tokens(self.vit, images, hidden, mixing=self.mixing)


def masked_loss(predicted: Tensor, images: Tensor, hidden: Tensor, patch: int, *, normalised: bool = True) -> Tensor:
    """Mean squared error of the pixels of the patches that were hidden.

    L = mean over hidden patches n and their pixels i of (x̂_ni − x̃_ni)²,   x̃ = (x − mean) / √(variance + 10⁻²) within the patch

    Args:
        predicted: (B, N, P · P · C).
        images: (B, C, H, W) in [0, 1].
        hidden: (B, N) bool.
        patch: side P of a patch in pixels.
        normalised: compare with each patch's own contrast, x̃; False compares with the pixels themselves.

    Returns:
        A scalar tensor.

    Raises:
        ValueError: shapes that do not fit, or nothing hidden.

    Source: He et al. 2021, arXiv:2111.06377, section 3, "Reconstruction target".
    Differs from the paper: 10⁻² in place of 10⁻⁶ under the root, so that grain on plain ground is not made large.
    """
    target = to_patches(images, patch)
    check_shape("predicted", predicted, tuple(target.shape))
    check_shape("hidden", hidden, tuple(target.shape[:2]))
    if not hidden.any():
        raise ValueError("hidden must hide a patch, got none")
    if normalised:
        target = (target - target.mean(-1, keepdim=True)) / (target.var(-1, keepdim=True, correction=0) + 1e-2).sqrt()
    return (predicted - target)[hidden].square().mean()
