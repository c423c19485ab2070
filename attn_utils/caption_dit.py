"""A diffusion transformer that is told what to draw in words, in one of three ways, and two read-outs of its tokens."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attn_utils.attention import MultiHeadAttention
from attn_utils.dit import DiTBlock, Mlp, TimeEmbedding, check_noisy, modulate, to_picture, zero_linear
from attn_utils.flow import Velocity, as_velocity
from attn_utils.positions import sincos_2d
from attn_utils.shapes import check_choice, check_shape, check_size, check_tiles
from attn_utils.vit import Block, PatchEmbed

HOW = ("cross", "pooled", "tokens")
READOUTS = ("plain", "product", "deeper", "gated")


class CaptionDiT(nn.Module):
    """Noisy picture, time and caption in, picture out: `DiT` with words in the place of a class.

    The words are embedded, told their place in the caption, and pass one transformer block. What comes next is `how`:

    cross:   x = x + attention(norm(x) → words) before each block
    pooled:  c = time(t) + mlp(words, one behind the other): a single vector, which steers the norms
    tokens:  the words are tokens beside those of the picture, in all blocks

    In the last two an MLP on each token stands where cross-attention stands in the first, as wide as makes the parameters equal.

    Args:
        image_size: side of the picture in pixels, or (H, W).
        patch: side P of a patch in pixels.
        dim, depth, heads: width D, number of blocks, heads of all attention.
        words: size of the vocabulary. Word number `words` means "any".
        length: words L of a caption.
        channels: channels of the picture, in and out.
        how: "cross", "pooled" or "tokens".
        readout: what makes pixels from a token: "plain", a linear layer; "product", the same and `ShapeTimesColour` added; "deeper" and
            "gated", the same and as many parameters added as the product has, in two layers or in a `Gate`.
        ordered: tell the words their places; without, a caption is an unordered set.
        mlp_ratio: hidden width of the MLPs, in units of D.
        waves: as in `TimeEmbedding`.

    Shapes:
        forward(z, t, captions) -> out
        z and out (B, C, H, W); t (B,) in [0, 1]; captions (B, L), whole numbers from 0 to `words`.

    Raises:
        TypeError, ValueError: sizes that do not fit, or t that is not floating point.

    Source: Peebles and Xie 2022, arXiv:2212.09748, for the blocks; cross-attention to words as in Chen et al. 2023, arXiv:2310.00426,
    section 2.3, whose output begins at 0 there, too; words as tokens as in Bao et al. 2022, arXiv:2209.12152.
    Differs from the papers: the words are looked at before self-attention and not after it; their encoder is one block, learned with
    the rest.

    Examples:
        >>> model = CaptionDiT(image_size=28, patch=7, dim=32, depth=2, heads=2, words=21, length=5)
        >>> model(torch.rand(3, 3, 28, 28), torch.rand(3), torch.randint(21, (3, 5))).shape
        torch.Size([3, 3, 28, 28])
    """

    def __init__(
        self,
        *,
        image_size: int | tuple[int, int],
        patch: int,
        dim: int,
        depth: int,
        heads: int,
        words: int,
        length: int,
        channels: int = 3,
        how: str = "cross",
        readout: str = "plain",
        ordered: bool = True,
        mlp_ratio: float = 2.0,
        waves: int = 64,
    ):
        super().__init__()
        H, W = image_size if isinstance(image_size, (tuple, list)) else (image_size, image_size)
        H, W, patch = check_size("image_size", H), check_size("image_size", W), check_size("patch", patch)
        dim, depth = check_size("dim", dim, multiple_of=4), check_size("depth", depth)
        check_tiles("patch", patch, H, W)
        check_choice("how", how, HOW)
        check_choice("readout", readout, READOUTS)
        self.image_size, self.patch, self.grid = (H, W), patch, (H // patch, W // patch)
        self.channels, self.how = check_size("channels", channels), how
        self.classes = check_size("words", words)  # `attn_utils.flow` asks for `classes`
        self.length = check_size("length", length)
        hidden = check_size("mlp_ratio · dim", round(mlp_ratio * dim))
        self.embed = PatchEmbed(patch=patch, dim=dim, channels=channels)
        self.register_buffer("positions", torch.from_numpy(sincos_2d(*self.grid, dim)).float(), persistent=False)
        self.time = TimeEmbedding(dim, waves=waves)
        self.words = nn.Embedding(words + 1, dim)
        self.places = nn.Parameter(torch.randn(length, dim)) if ordered else None
        self.encoder = Block(dim, heads=heads, mlp_ratio=mlp_ratio)
        self.pool = nn.Sequential(nn.Linear(length * dim, dim), nn.SiLU(), nn.Linear(dim, dim)) if how == "pooled" else None
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(depth))
        if how == "cross":
            looks = [MultiHeadAttention(dim, heads=heads, context_dim=dim) for _ in range(depth)]
        else:
            spare = sum(p.numel() for p in self.pool.parameters()) if self.pool is not None else 0
            looks = [Mlp(dim, _width(4 * dim * (dim + 1) - spare / depth, dim, dim)) for _ in range(depth)]
        self.looks = nn.ModuleList(looks)
        for look in looks:  # a new model looks at nothing
            layer = look.out if how == "cross" else look.second
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.blocks = nn.ModuleList(
            DiTBlock(dim, mixer=MultiHeadAttention(dim, heads=heads), mlp=Mlp(dim, hidden)) for _ in range(depth)
        )
        self.norm = nn.LayerNorm(dim, elementwise_affine=False, eps=1e-6)
        self.modulation = zero_linear(dim, 2 * dim)
        self.out = zero_linear(dim, patch * patch * channels)
        self.more = self._more(readout)

    def forward(self, z: Tensor, t: Tensor, captions: Tensor) -> Tensor:
        check_noisy(z, t, self.channels, self.image_size)
        words = self.read(captions)  # (B, L, D)
        condition = self.time(t)
        if self.how == "pooled":
            condition = condition + self.pool(words.flatten(1))
        x = self.embed(z) + self.positions  # (B, N, D)
        if self.how == "tokens":
            x = torch.cat([x, words], 1)  # (B, N + L, D)
        for norm, look, block in zip(self.norms, self.looks, self.blocks):
            y = norm(x)
            x = x + (look(y, words) if self.how == "cross" else look(y))
            x = block(x, condition)
        shift, scale = self.modulation(F.silu(condition))[:, None].chunk(2, dim=-1)  # 2 × (B, 1, D)
        rows, columns = self.grid
        x = modulate(self.norm(x[:, : rows * columns]), shift, scale)  # (B, N, D)
        pixels = self.out(x) if self.more is None else self.out(x) + self.more(x)  # (B, N, P·P·C)
        return to_picture(pixels, self.grid, self.patch)  # (B, C, H, W)

    def _more(self, readout: str) -> nn.Module | None:
        """What a read-out adds to the linear one; it begins at 0."""
        dim, pixels = self.modulation.in_features, self.patch**2
        product = ShapeTimesColour(dim, pixels=pixels, channels=self.channels)
        if readout == "plain":
            return None
        if readout == "product":
            return product
        budget, pixels = sum(p.numel() for p in product.parameters()), pixels * self.channels
        if readout == "gated":
            return Gate(dim, _width(budget, 2 * dim + 1, pixels), pixels)
        width = _width(budget, dim, pixels)
        return nn.Sequential(nn.Linear(dim, width), nn.GELU(), zero_linear(width, pixels))

    def read(self, captions: Tensor) -> Tensor:
        """What the words of captions say, (B, L) -> (B, L, D)."""
        check_shape("captions", captions, ("B", self.length))
        words = self.words(captions)
        return self.encoder(words if self.places is None else words + self.places)


class ShapeTimesColour(nn.Module):
    """Pixels of a patch as a sum of products, a grey shape times a colour:

    out_pc = Σ_k shape_kp(x) colour_kc(x),   both linear in the token x; the shapes begin at 0

    A linear layer cannot do this: to draw a 3 in any of seven colours it needs a direction for every pair of shape and colour.

    Args:
        dim: width D of a token.
        pixels: pixels of a patch.
        channels: channels C of the picture.
        terms: number of products.

    Shapes:
        forward(x) -> out; (B, N, D) -> (B, N, pixels · C), the channels of one pixel side by side.
    """

    def __init__(self, dim: int, *, pixels: int, channels: int = 3, terms: int = 2):
        super().__init__()
        self.terms = check_size("terms", terms)
        self.shapes = zero_linear(dim, terms * pixels)
        self.colours = nn.Linear(dim, terms * channels)

    def forward(self, x: Tensor) -> Tensor:
        shapes = self.shapes(x).unflatten(-1, (self.terms, -1))  # (B, N, terms, pixels)
        colours = self.colours(x).unflatten(-1, (self.terms, -1))  # (B, N, terms, C)
        return torch.einsum("bnkp, bnkc -> bnpc", shapes, colours).flatten(2)


class Gate(nn.Module):
    """Products that know nothing of pictures: out = W (a(x) ⊙ b(x)), all linear; W begins at 0. A control for `ShapeTimesColour`.

    Args:
        dim: width D of a token.
        width: number of products.
        out: numbers that come out.

    Shapes:
        forward(x) -> out; (B, N, D) -> (B, N, out).
    """

    def __init__(self, dim: int, width: int, out: int):
        super().__init__()
        self.factors, self.out = nn.Linear(dim, 2 * check_size("width", width)), zero_linear(width, out)

    def forward(self, x: Tensor) -> Tensor:
        one, other = self.factors(x).chunk(2, dim=-1)  # 2 × (B, N, width)
        return self.out(one * other)


def drop_words(captions: Tensor, share: float, anything: int) -> Tensor:
    """Captions (B, L) of which a random share of the words, each by itself, is replaced by the word that means "any"."""
    return torch.where(torch.rand(captions.shape, device=captions.device) < share, anything, captions)


def word_velocity(model: nn.Module, captions: Tensor, *, predicts: str = "v", guidance: float = 1.0) -> Velocity:
    """The velocity guided word by word: what each word changes is exaggerated by itself.

    v = v(caption) + (w − 1) Σ_i (v(caption) − v(caption without word i)),   w = `guidance`

    It takes one prediction for the caption and one for each word. Train with `drop_words`, so that captions with a word left out
    are known.

    Args:
        model: called as model(z, t, captions), with "any" as word `model.classes`.
        captions: (B, L).
        predicts: "v" or "x", as it was trained.
        guidance: w; 1 follows the caption as learned.

    Source: one direction of guidance for each part of a text, as in Liu et al. 2022, arXiv:2206.01714.
    Differs from the paper: words are left out of the caption one at a time; there the parts stand alone.
    """
    L = captions.shape[1]
    without = captions[:, None].repeat(1, L, 1)  # (B, L, L)
    without[:, range(L), range(L)] = model.classes
    every = torch.cat([captions[:, None], without], 1).flatten(0, 1)  # (B · (1 + L), L)

    def velocity(z: Tensor, t: Tensor) -> Tensor:
        z, t = z.repeat_interleave(1 + L, 0), t.repeat_interleave(1 + L)
        v = as_velocity(model(z, t, every), z, t, predicts, least=0.0).unflatten(0, (-1, 1 + L))
        return v[:, 0] + (guidance - 1) * (v[:, :1] - v[:, 1:]).sum(1)

    return velocity


def _width(budget: float, before: int, after: int) -> int:
    """Hidden width at which an MLP has about so many parameters."""
    return max(1, round((budget - after) / (before + after + 1)))
