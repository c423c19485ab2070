"""A Vision Transformer that goes on with fewer tokens from block to block: merged, folded, pooled or dropped, without training.

    fewer = FewerTokens(model, merge_similar, [48, 48, 48])
    logits = fewer(images)

What goes where is said by a *reduction*, a function of the keys (B, N, d) and of how many tokens shall go, r. It returns `where`
(B, N): for each token its new number, 0 to N - r - 1, or N - r for a token that is dropped.
"""

import copy
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attn_utils.attention import MultiHeadAttention
from attn_utils.efficient import match_tokens
from attn_utils.shapes import check_size, check_tiles
from attn_utils.vit import Block, ViT

Reduction = Callable[[Tensor, int], Tensor]


class FewerTokens(nn.Module):
    """A trained ViT in which tokens go between the attention and the MLP of each block.

    A token knows how many patches it holds, its size t: it counts as that many keys in attention and in the mean at the end.

    softmax(q kᵀ/√d + ln t) v,   read-out = Σ t x / Σ t

    Args:
        model: a `ViT` with readout="mean"; it is copied.
        reduce: the reduction, called in each block with the mean of the keys over its heads.
        counts: how many tokens go in each block.
        weighted: False lets every token count once in attention and at the end, whatever it holds.

    Shapes:
        forward(image) -> logits; (B, C, H, W) -> (B, classes).
        features(image) -> tokens after the last norm, (B, n, D), and their sizes, (B, n).
        groups(image) -> (B, N): which of the n last tokens each of the first N has become; n where it was dropped.

    Raises:
        ValueError: another read-out, or counts for another number of blocks.

    Source: Bolya et al. 2023 (ToMe), arXiv:2210.09461, section 3: keys as what is compared, merging between attention and MLP,
    equation 1 for sizes. Differs from the paper: no class token; the mean at the end is weighted by size.

    Examples:
        >>> from attn_utils.vit import vit_mini
        >>> model = vit_mini(image_size=28, patch=4, classes=10, channels=1, readout="mean").eval()
        >>> tokens, sizes = FewerTokens(model, merge_similar, [16, 16, 0]).features(torch.rand(2, 1, 28, 28))
        >>> tokens.shape, sizes.sum(dim=1).tolist()
        (torch.Size([2, 17, 64]), [49.0, 49.0])
    """

    def __init__(self, model: ViT, reduce: Reduction, counts: Sequence[int], *, weighted: bool = True):
        super().__init__()
        if model.readout != "mean":
            raise ValueError(f'model must have readout="mean", got {model.readout!r}')
        if len(counts) != len(model.blocks):
            raise ValueError(f"counts must hold one number for each of the {len(model.blocks)} blocks, got {counts}")
        self.counts, self.weighted = [check_size("counts", count, least=0) for count in counts], weighted
        self.reduce = reduce
        model = copy.deepcopy(model)
        self.blocks, self.norm, self.head = model.blocks, model.norm, model.head
        model.blocks, model.norm, model.head = nn.ModuleList(), nn.Identity(), nn.Identity()
        self.start = model  # pictures to tokens with their places

    def forward(self, image: Tensor) -> Tensor:
        x, sizes = self.features(image)
        if not self.weighted:
            return self.head(x.mean(dim=1))
        return self.head((sizes[..., None] * x).sum(dim=1) / sizes.sum(dim=1, keepdim=True))

    def features(self, image: Tensor) -> tuple[Tensor, Tensor]:
        x, sizes, _ = self._run(image)
        return self.norm(x), sizes

    def groups(self, image: Tensor) -> Tensor:
        _, _, steps = self._run(image)
        N = self.start.grid[0] * self.start.grid[1]
        where = torch.arange(N, device=image.device).expand(len(image), N)
        for step, n in steps:
            nowhere = step.new_full((len(image), 1), n)
            where = torch.cat([step, nowhere], dim=1).gather(1, where)  # what was dropped stays dropped
        return where

    def _run(self, image: Tensor) -> tuple[Tensor, Tensor, list[tuple[Tensor, int]]]:
        x, steps = self.start.features(image), []
        sizes = x.new_ones(x.shape[:2])
        for block, r in zip(self.blocks, self.counts, strict=True):
            x, keys = _attend(block, x, sizes if steps and self.weighted else None)
            if r:
                where, n = self.reduce(keys, r), x.shape[1] - r
                x, sizes = regroup(x, sizes, where, n)
                steps.append((where, n))
            x = x + block.drop(block.mlp(block.norm_mlp(x)))
        return x, sizes, steps


def _attend(block: Block, x: Tensor, sizes: Tensor | None) -> tuple[Tensor, Tensor]:
    """The first half of a block, with sizes (B, N) of the keys; and what tokens are compared by, (B, N, d)."""
    layer = block.attention
    if not isinstance(layer, MultiHeadAttention):  # nothing is left to ask with: tokens are compared as they are
        return x + block.drop(layer(x)), x
    parts = layer.qkv(block.norm_attention(x)).chunk(3, dim=-1)
    q, k, v = (part.unflatten(-1, (layer.heads, -1)).transpose(1, 2) for part in parts)  # (B, heads, N, d)
    counts = None if sizes is None else sizes.log()[:, None, None]  # (B, 1, 1, N)
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=counts)  # (B, heads, N, d)
    return x + block.drop(layer.out(out.transpose(1, 2).flatten(2))), k.mean(dim=1)


def regroup(x: Tensor, sizes: Tensor, where: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """Tokens (B, N, D) to (B, n, D): the mean of those that go to one place, each counting as its size.

    Args:
        x: tokens, (B, N, D).
        sizes: how much each counts, (B, N).
        where: new number of each, (B, N), 0 to n - 1; n for a token that is dropped. None of the n may stay empty.
        n: how many there will be.

    Returns:
        The new tokens and their sizes, (B, n, D) and (B, n).
    """
    B, _, D = x.shape
    rows = (where + (n + 1) * torch.arange(B, device=x.device)[:, None]).flatten()  # one place more, for what is dropped
    total = x.new_zeros(B * (n + 1), D).index_add(0, rows, (x * sizes[..., None]).flatten(0, 1))
    count = sizes.new_zeros(B * (n + 1)).index_add(0, rows, sizes.flatten())
    count = count.view(B, n + 1)[:, :n]
    return total.view(B, n + 1, D)[:, :n] / count[..., None], count


# ------------------------------------------------------------------------------------------------------ reductions


def merge_similar(keys: Tensor, r: int) -> Tensor:
    """The r most similar of N/2 pairs are merged: `attn_utils.efficient.match_tokens`."""
    return match_tokens(keys, r).where


def fold_common(keys: Tensor, r: int) -> Tensor:
    """The r + 1 tokens that are most like the mean of all become one: no pair is compared, so time grows as N."""
    N = keys.shape[1]
    keys = F.normalize(keys, dim=-1)
    likeness = (keys @ keys.mean(dim=1)[..., None])[..., 0]  # (B, N)
    folded = torch.zeros_like(likeness, dtype=torch.bool).scatter(1, likeness.topk(r + 1, dim=1).indices, True)
    return torch.where(folded, N - r - 1, (~folded).cumsum(dim=1) - 1)


def random_dropping(seed: int = 0) -> Reduction:
    """A reduction that drops r tokens, drawn anew for every picture: the control that looks at nothing."""
    generator = torch.Generator().manual_seed(seed)

    def drop(keys: Tensor, r: int) -> Tensor:
        B, N, _ = keys.shape
        draw = torch.rand(B, N, generator=generator).to(keys.device)
        dropped = torch.zeros(B, N, dtype=torch.bool, device=keys.device).scatter(1, draw.topk(r, dim=1).indices, True)
        return torch.where(dropped, N - r, (~dropped).cumsum(dim=1) - 1)

    return drop


def regular_dropping(keys: Tensor, r: int) -> Tensor:
    """A reduction that drops r tokens and keeps the others evenly spaced, in their order: it looks at nothing and draws nothing."""
    B, N, _ = keys.shape
    left = N - r
    kept = (2 * torch.arange(left) + 1) * N // (2 * left)  # the middle of each of `left` equal parts
    where = torch.full((N,), left).index_put((kept,), torch.arange(left))
    return where.to(keys.device).expand(B, -1)


def square_pooling(H: int, W: int, side: int) -> Reduction:
    """A reduction that merges each square of side × side places of an H × W grid, whatever stands there.

    Raises:
        ValueError: squares that do not tile the grid; when called, another number of tokens, or another r than is left over.
    """
    side = check_size("side", side)
    check_tiles("side", side, H, W)
    rows, columns = torch.arange(H) // side, torch.arange(W) // side
    squares = (rows[:, None] * (W // side) + columns).flatten()  # (H · W,)

    def pool(keys: Tensor, r: int) -> Tensor:
        left = H * W // side**2
        if keys.shape[1] != H * W or r != H * W - left:
            raise ValueError(f"{H} × {W} tokens become {left}: r must be {H * W - left}, got {r} of {keys.shape[1]} tokens")
        return squares.to(keys.device).expand(keys.shape[:2])

    return pool
