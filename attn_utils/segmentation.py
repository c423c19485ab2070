"""The two-way decoder: a few prompt tokens and the tokens of a picture look at each other, as in Segment Anything."""

from torch import Tensor, nn

from attn_utils.attention import attention, fused_attention
from attn_utils.shapes import check_divides, check_shape, check_size, check_tokens


class NarrowAttention(nn.Module):
    """Multi-head attention that works at a smaller width than its tokens have, on queries, keys and values given one by one.

    Args:
        dim: width D of the tokens.
        heads: number of heads.
        inner: width of all heads together, a multiple of `heads`; None means D.

    Shapes:
        forward(queries, keys, values) -> out; queries and out (B, N, D), keys and values (B, M, D).
    """

    def __init__(self, dim: int, *, heads: int, inner: int | None = None):
        super().__init__()
        dim = check_size("dim", dim)
        self.heads, inner = check_divides("heads", heads, "inner", dim if inner is None else inner)
        self.q, self.k, self.v = (nn.Linear(dim, inner) for _ in range(3))
        self.out = nn.Linear(inner, dim)
        self.weights = nn.Identity()  # for the recorder

    def forward(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        projected = self.q(queries), self.k(keys), self.v(values)
        q, k, v = (x.unflatten(-1, (self.heads, -1)).transpose(1, 2) for x in projected)  # (B, heads, N | M, inner / heads)
        if self.weights._forward_hooks:
            out, weights = attention(q, k, v)
            self.weights(weights)  # (B, heads, N, M)
        else:
            out = fused_attention(q, k, v)
        return self.out(out.transpose(1, 2).flatten(2))  # (B, N, D)


class TwoWayBlock(nn.Module):
    """One round of talk between prompt tokens t and picture tokens x; each step is added on and normalised.

    t = norm(t + self(t));   t = norm(t + cross(t, x));   t = norm(t + mlp(t));   x = norm(x + cross(x, t))

    Queries and keys know their places, values do not.

    Args:
        dim: width D of both kinds of tokens, even: the two cross-attentions work at half of it.
        heads: number of heads of the three attentions.
        mlp_dim: hidden width of the MLP.
        first: whether this is the first block: tokens that are still their own places replace themselves by what self-attention
            finds, and get no places in it.

    Shapes:
        forward(tokens, picture, token_places, picture_places) -> tokens, picture
        tokens and token_places (B, N, D), picture (B, M, D), picture_places (M, D) or (B, M, D).

    Source: Kirillov et al. 2023 (Segment Anything), arXiv:2304.02643, appendix A, "Lightweight mask decoder".
    """

    def __init__(self, dim: int, *, heads: int, mlp_dim: int, first: bool = False):
        super().__init__()
        half, dim = check_size("dim", dim, multiple_of=2) // 2, int(dim)
        mlp_dim = check_size("mlp_dim", mlp_dim)
        self.self_attention = NarrowAttention(dim, heads=heads)
        self.token_to_picture = NarrowAttention(dim, heads=heads, inner=half)
        self.mlp = nn.Sequential(nn.Linear(dim, mlp_dim), nn.ReLU(), nn.Linear(mlp_dim, dim))
        self.picture_to_token = NarrowAttention(dim, heads=heads, inner=half)
        self.norms = nn.ModuleList(nn.LayerNorm(dim, eps=1e-6) for _ in range(4))
        self.first = first

    def forward(self, tokens: Tensor, picture: Tensor, token_places: Tensor, picture_places: Tensor) -> tuple[Tensor, Tensor]:
        if self.first:
            tokens = self.self_attention(tokens, tokens, tokens)  # (B, N, D)
        else:
            placed = tokens + token_places
            tokens = tokens + self.self_attention(placed, placed, tokens)
        tokens = self.norms[0](tokens)
        asking = picture + picture_places  # (B, M, D)
        tokens = self.norms[1](tokens + self.token_to_picture(tokens + token_places, asking, picture))
        tokens = self.norms[2](tokens + self.mlp(tokens))
        picture = self.norms[3](picture + self.picture_to_token(asking, tokens + token_places, tokens))
        return tokens, picture


class TwoWayDecoder(nn.Module):
    """Several of `TwoWayBlock`, and at the end one more look of the prompt tokens at the picture.

    The tokens that come in are also their own places, which every block adds to their queries and keys again, so that what was
    asked (a click, here, on an object) is not forgotten.

    Args:
        dim, heads, mlp_dim: as in `TwoWayBlock`.
        depth: number of blocks.

    Shapes:
        forward(tokens, picture, picture_places) -> tokens, picture
        tokens (B, N, D), picture (B, M, D), picture_places (M, D) or (B, M, D).

    Raises:
        TypeError, ValueError: tokens that are not floating point, or sizes that do not fit.

    Source: as `TwoWayBlock`; equal to the transformer in Hugging Face's `SamMaskDecoder`.

    Examples:
        >>> import torch
        >>> decoder = TwoWayDecoder(32, heads=2, mlp_dim=64)
        >>> tokens, picture = decoder(torch.rand(3, 4, 32), torch.rand(3, 49, 32), torch.rand(49, 32))
        >>> tokens.shape, picture.shape
        (torch.Size([3, 4, 32]), torch.Size([3, 49, 32]))
    """

    def __init__(self, dim: int, *, heads: int, mlp_dim: int, depth: int = 2):
        super().__init__()
        depth, self.dim = check_size("depth", depth), check_size("dim", dim, multiple_of=2)
        self.blocks = nn.ModuleList(TwoWayBlock(dim, heads=heads, mlp_dim=mlp_dim, first=number == 0) for number in range(depth))
        self.last_look = NarrowAttention(dim, heads=heads, inner=self.dim // 2)
        self.norm = nn.LayerNorm(self.dim)

    def forward(self, tokens: Tensor, picture: Tensor, picture_places: Tensor) -> tuple[Tensor, Tensor]:
        check_tokens("tokens", tokens, self.dim)
        check_tokens("picture", picture, self.dim)
        check_shape("picture", picture, (tokens.shape[0], "M", self.dim))
        check_shape("picture_places", picture_places, picture.shape[3 - picture_places.ndim :])
        token_places = tokens
        for block in self.blocks:
            tokens, picture = block(tokens, picture, token_places, picture_places)
        found = self.last_look(tokens + token_places, picture + picture_places, picture)
        return self.norm(tokens + found), picture  # (B, N, D), (B, M, D)
