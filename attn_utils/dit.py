"""The diffusion transformer (DiT): a noisy picture, a time and a class in, a picture out; what mixes its tokens can be exchanged."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from attn_utils.attention import MultiHeadAttention
from attn_utils.positions import sincos_2d
from attn_utils.shapes import check_float, check_map, check_odd, check_shape, check_size, check_tiles, check_tokens
from attn_utils.vit import PatchEmbed


class TimeEmbedding(nn.Module):
    """A time as waves of many frequencies, then two layers.

    waves(t) = (cos(1000 t ω), sin(1000 t ω)),   ω_i = 10,000^(−i / half) for i = 0 … half − 1

    Args:
        dim: width D of what comes out.
        waves: numbers before the two layers, even: cosines and sines of `waves / 2` frequencies.

    Shapes:
        forward(t) -> embedding; (B,) -> (B, D).

    Source: Peebles and Xie 2022, arXiv:2212.09748, appendix A; the waves after DDPM, arXiv:2006.11239, appendix B.
    Differs from the paper: t runs from 0 to 1 here, from 0 to 999 there; hence the factor.
    """

    def __init__(self, dim: int, *, waves: int = 256):
        super().__init__()
        half = check_size("waves", waves, multiple_of=2) // 2
        self.register_buffer("frequencies", torch.exp(-math.log(10_000) * torch.arange(half) / half), persistent=False)
        self.layers = nn.Sequential(nn.Linear(2 * half, dim), nn.SiLU(), nn.Linear(dim, dim))

    def forward(self, t: Tensor) -> Tensor:
        angles = 1000 * t[:, None] * self.frequencies  # (B, waves / 2)
        return self.layers(torch.cat([angles.cos(), angles.sin()], dim=-1).to(self.layers[0].weight.dtype))


class DiTBlock(nn.Module):
    """A transformer block whose norms are steered by a condition c (adaLN-zero): a mixer of tokens, then an MLP on each.

    (β₁, γ₁, α₁, β₂, γ₂, α₂) = linear(SiLU(c))
    x = x + α₁ mixer((1 + γ₁) norm(x) + β₁);   x = x + α₂ mlp((1 + γ₂) norm(x) + β₂)

    The linear layer begins at 0, and with it every α: a new block hands its tokens on unchanged.

    Args:
        dim: width D of tokens and condition.
        mixer: module (B, N, D) -> (B, N, D) that moves content between tokens, such as `MultiHeadAttention`.
        mlp: module (B, N, D) -> (B, N, D), such as `Mlp`.

    Shapes:
        forward(x, condition) -> x; x (B, N, D), condition (B, D).

    Source: Peebles and Xie 2022, arXiv:2212.09748, section 3.2 and figure 3; equal to diffusers' `BasicTransformerBlock` with
    "ada_norm_zero".
    """

    def __init__(self, dim: int, *, mixer: nn.Module, mlp: nn.Module):
        super().__init__()
        self.norm_mixer, self.norm_mlp = (nn.LayerNorm(dim, elementwise_affine=False, eps=1e-6) for _ in range(2))
        self.mixer, self.mlp = mixer, mlp
        self.modulation = zero_linear(dim, 6 * dim)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        six = self.modulation(F.silu(condition))[:, None].chunk(6, dim=-1)  # 6 × (B, 1, D)
        shift, scale, gate, mlp_shift, mlp_scale, mlp_gate = six
        x = x + gate * self.mixer(modulate(self.norm_mixer(x), shift, scale))  # (B, N, D)
        return x + mlp_gate * self.mlp(modulate(self.norm_mlp(x), mlp_shift, mlp_scale))


class Mlp(nn.Module):
    """Two layers on each token; with a grid, the hidden numbers also see their eight neighbours (a local path).

    mlp(x) = W₂ GELU(h + conv(h)) where h = W₁ x, and conv is a depthwise 3×3 convolution, or 0 without a grid

    Args:
        dim: width D.
        hidden: width between the layers.
        grid: rows and columns of the tokens; None leaves the convolution out.

    Shapes:
        forward(x) -> out; (B, N, D) -> (B, N, D), with a grid N = rows · columns.

    Source: the convolution as in SegFormer's Mix-FFN, Xie et al. 2021, arXiv:2105.15203, equation 3.
    Differs from the paper: it is added to h and does not replace it; GELU in its tanh form, as in DiT.
    """

    def __init__(self, dim: int, hidden: int, *, grid: tuple[int, int] | None = None):
        super().__init__()
        self.first, self.second = nn.Linear(dim, hidden), nn.Linear(hidden, dim)
        self.grid = grid
        self.near = None if grid is None else nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x)  # (B, N, hidden)
        if self.near is not None:
            h = h + to_tokens(self.near(to_map(h, self.grid)))
        return self.second(F.gelu(h, approximate="tanh"))  # (B, N, D)


class ConvMixer(nn.Module):
    """A convolution in the place of attention, for comparison: each token wider, k × k depthwise, GELU, and back.

    Args:
        dim: width D.
        grid: rows and columns of the tokens.
        kernel: side k, odd, or (rows, columns).
        hidden: width in the middle; None chooses it so that there are about as many parameters as attention has, 4 D (D + 1).

    Shapes:
        forward(x) -> out; (B, N, D) -> (B, N, D), N = rows · columns.

    Source: the inverted bottleneck of MobileNetV2, Sandler et al. 2018, arXiv:1801.04381, figure 3, without its norms.
    """

    def __init__(self, dim: int, grid: tuple[int, int], *, kernel: int | tuple[int, int] = 3, hidden: int | None = None):
        super().__init__()
        rows, columns = kernel if isinstance(kernel, tuple) else (kernel, kernel)
        rows, columns = check_odd("kernel", rows), check_odd("kernel", columns)
        if hidden is None:
            hidden = max(1, round((4 * dim * (dim + 1) - dim) / (2 * dim + 2 + rows * columns)))
        self.grid = grid
        self.first, self.out = nn.Linear(dim, hidden), nn.Linear(hidden, dim)
        self.near = nn.Conv2d(hidden, hidden, (rows, columns), padding=(rows // 2, columns // 2), groups=hidden)

    def forward(self, x: Tensor) -> Tensor:
        h = to_tokens(self.near(to_map(self.first(x), self.grid)))  # (B, N, hidden)
        return self.out(F.gelu(h, approximate="tanh"))  # (B, N, D)


class DiT(nn.Module):
    """Diffusion transformer: patches to tokens, blocks that know time and class, tokens to patches.

    Args:
        image_size: side of the picture in pixels, or (H, W).
        patch: side P of a patch in pixels.
        dim, depth, heads: width D, number of blocks, heads of their attention.
        channels: channels of the picture, in and out.
        classes: number of classes; None for a model that knows none. Class number `classes` means "any".
        mlp_ratio: hidden width of the MLPs, in units of D.
        mixer: called as mixer(dim, grid) for every block, grid = (rows, columns); returns what stands in the place of attention.
        local: give every MLP a local path, a depthwise 3×3 convolution.
        waves: as in `TimeEmbedding`.

    Shapes:
        forward(z, t, labels=None) -> out
        z and out (B, C, H, W); t (B,) in [0, 1]; labels (B,) whole numbers from 0 to `classes`, None means "any" for all.

    Raises:
        TypeError, ValueError: sizes that do not fit, t that is not floating point, or labels where there are no classes.

    Source: Peebles and Xie 2022, arXiv:2212.09748; weights begin as in its code: linear layers as Xavier says, the last layer of the
    model and all that steers norms at 0.
    Differs from the paper: no variances in the output; the embeddings of time and class begin with the size of other layers, and not
    with a standard deviation of 0.02, at which a short training hardly hears them.

    Examples:
        >>> model = DiT(image_size=28, patch=4, dim=32, depth=2, heads=2, classes=10)
        >>> model(torch.rand(5, 1, 28, 28), torch.rand(5), torch.arange(5)).shape
        torch.Size([5, 1, 28, 28])
    """

    def __init__(
        self,
        *,
        image_size: int | tuple[int, int],
        patch: int,
        dim: int,
        depth: int,
        heads: int,
        channels: int = 1,
        classes: int | None = None,
        mlp_ratio: float = 4.0,
        mixer: Callable[[int, tuple[int, int]], nn.Module] | None = None,
        local: bool = False,
        waves: int = 256,
    ):
        super().__init__()
        H, W = image_size if isinstance(image_size, (tuple, list)) else (image_size, image_size)
        H, W, patch = check_size("image_size", H), check_size("image_size", W), check_size("patch", patch)
        dim, depth = check_size("dim", dim, multiple_of=4), check_size("depth", depth)
        check_tiles("patch", patch, H, W)
        self.image_size, self.patch, self.grid = (H, W), patch, (H // patch, W // patch)
        self.channels, self.classes = check_size("channels", channels), classes
        self.embed = PatchEmbed(patch=patch, dim=dim, channels=channels)
        self.register_buffer("positions", torch.from_numpy(sincos_2d(*self.grid, dim)).float(), persistent=False)
        self.time = TimeEmbedding(dim, waves=waves)
        self.label = None if classes is None else nn.Embedding(check_size("classes", classes) + 1, dim)
        hidden = check_size("mlp_ratio · dim", round(mlp_ratio * dim))
        near = self.grid if local else None
        mixer = mixer or (lambda dim, grid: MultiHeadAttention(dim, heads=heads))
        self.blocks = nn.ModuleList(
            DiTBlock(dim, mixer=mixer(dim, self.grid), mlp=Mlp(dim, hidden, grid=near)) for _ in range(depth)
        )
        self.norm = nn.LayerNorm(dim, elementwise_affine=False, eps=1e-6)
        self.modulation = zero_linear(dim, 2 * dim)
        self.out = nn.Linear(dim, patch * patch * channels)
        self._begin()

    def forward(self, z: Tensor, t: Tensor, labels: Tensor | None = None) -> Tensor:
        check_noisy(z, t, self.channels, self.image_size)
        condition = self.condition(t, labels)
        x = self.embed(z) + self.positions  # (B, N, D)
        for block in self.blocks:
            x = block(x, condition)
        shift, scale = self.modulation(F.silu(condition))[:, None].chunk(2, dim=-1)  # 2 × (B, 1, D)
        x = self.out(modulate(self.norm(x), shift, scale))  # (B, N, P·P·C)
        return to_picture(x, self.grid, self.patch)  # (B, C, H, W)

    def condition(self, t: Tensor, labels: Tensor | None = None) -> Tensor:
        """What steers the norms: time and class, (B,) and (B,) -> (B, D)."""
        condition = self.time(t)
        if self.label is None:
            if labels is not None:
                raise ValueError("this model knows no classes: build it with classes=... to give it labels")
            return condition
        labels = torch.full(t.shape, self.classes, device=t.device) if labels is None else labels
        check_shape("labels", labels, (t.shape[0],))
        return condition + self.label(labels)

    def _begin(self) -> None:
        for name, module in self.named_modules():
            if isinstance(module, nn.Linear) and "modulation" not in name:
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        nn.init.xavier_uniform_(self.embed.project.weight.flatten(1))
        nn.init.zeros_(self.embed.project.bias)
        nn.init.zeros_(self.out.weight)


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """(1 + scale) x + shift: at 0 and 0 nothing happens."""
    return x * (1 + scale) + shift


def zero_linear(before: int, after: int) -> nn.Linear:
    """A linear layer that gives 0 until it has learned something."""
    layer = nn.Linear(before, after)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def check_noisy(z: Tensor, t: Tensor, channels: int, image_size: tuple[int, int]) -> None:
    """Pictures z (B, C, H, W) of this size, and a time t (B,) for each."""
    check_map("z", z, channels)
    check_shape("z", z, (z.shape[0], channels, *image_size))
    check_float("t", t)
    check_shape("t", t, (z.shape[0],))


def to_picture(x: Tensor, grid: tuple[int, int], patch: int) -> Tensor:
    """Tokens that hold the pixels of their patch as a picture, (B, rows · columns, P·P·C) -> (B, C, rows · P, columns · P)."""
    return rearrange(x, "b (h w) (p q c) -> b c (h p) (w q)", h=grid[0], w=grid[1], p=patch, q=patch)


def to_map(x: Tensor, grid: tuple[int, int]) -> Tensor:
    """Tokens as a map, (B, rows · columns, D) -> (B, D, rows, columns)."""
    check_tokens("x", x, x.shape[-1])
    return x.transpose(1, 2).unflatten(2, grid)


def to_tokens(x: Tensor) -> Tensor:
    """A map as tokens, (B, D, rows, columns) -> (B, rows · columns, D)."""
    return x.flatten(2).transpose(1, 2)
