"""The two attention layers of the detection transformers: sampling at a few points, and object queries.

Maps are (B, H, W, D), channels last; tokens (B, N, D). The modules show their weights to `attn_utils.record`.
"""

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from attn_utils.attention import MultiHeadAttention
from attn_utils.shapes import check_grid, check_heads, check_shape, check_size

# ---------------------------------------------------------------------------------------------------- functions


def bilinear_lookup(values: Tensor, points: Tensor) -> Tensor:
    """Read a map between its pixels: the four pixels around the point, each weighted by how near it is.

    Args:
        values: (B, C, H, W), floating point.
        points: (B, N, 2), x to the right and y down, in pixels; (0, 0) is the centre of the first pixel.

    Returns:
        (B, N, C). Everything outside the map counts as 0.

    Raises:
        ValueError: points that are not (B, N, 2).
    """
    B, _, H, W = values.shape
    check_shape("points", points, (B, "N", 2))
    size = points.new_tensor([W, H])
    grid = (2 * points + 1) / size - 1  # pixel centres to [-1, 1]
    looked_up = F.grid_sample(values, grid[:, :, None], align_corners=False)  # (B, C, N, 1)
    return looked_up[..., 0].transpose(1, 2)


def deformable_attention(values: Tensor, points: Tensor, weights: Tensor) -> Tensor:
    """Every query looks at K points of its own, wherever they are; nothing is compared.

    out_n = Σ_k weights_nk · values(points_nk), for each head

    Args:
        values: (B, heads, d, H, W).
        points: (B, N, heads, K, 2), x and y in pixels.
        weights: (B, N, heads, K), rows sum to 1 over the points.

    Returns:
        (B, N, heads · d), the heads side by side.

    Source: Zhu et al. 2021, arXiv:2010.04159, equation 2 (the sums inside the brackets).
    """
    heads, K = points.shape[2:4]
    where = rearrange(points, "b n heads k xy -> (b heads) (n k) xy")
    seen = rearrange(bilinear_lookup(values.flatten(0, 1), where), "(b heads) (n k) d -> b n heads k d", heads=heads, k=K)
    return torch.einsum("bnhk, bnhkd -> bnhd", weights, seen).flatten(2)  # (B, N, heads · d)


def pixel_centres(H: int, W: int) -> Tensor:
    """(H·W, 2), the x and y of every pixel, row by row."""
    y, x = torch.meshgrid(torch.arange(H), torch.arange(W), indexing="ij")
    return torch.stack([x, y], dim=-1).flatten(0, 1).to(torch.get_default_dtype())


# ------------------------------------------------------------------------------------------------------ modules


class DeformableAttention(nn.Module):
    """Every query asks for K points and their weights; `deformable_attention` reads them.

    2 (D² + D) + 3 · heads · K · (D + 1) parameters: values, output; two offsets and a weight per head and point.

    Args:
        dim: D, a multiple of heads.
        heads: number of heads.
        points: K, the points per head.

    Shapes:
        forward(x, queries=None, reference=None) -> out
        x (B, H, W, D), the map that is read. queries (B, N, D) and reference (N, 2), their places, x and y in pixels:
        left out, every pixel is a query at its own place. out (B, N, D), or (B, H, W, D) where queries is left out.

    Source: Zhu et al. 2021, arXiv:2010.04159, equation 2; a new layer looks in `heads` directions at distances 1 … K
        with equal weights, as in section 4.1 and appendix A.4.
    """

    def __init__(self, dim: int, *, heads: int, points: int = 4):
        super().__init__()
        dim, heads = check_heads(dim, heads)
        points = check_size("points", points)
        self.dim, self.heads, self.points = dim, heads, points
        self.value, self.out = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.offsets, self.scores = nn.Linear(dim, heads * points * 2), nn.Linear(dim, heads * points)
        for layer in (self.offsets, self.scores):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        angles = torch.arange(heads) * (2 * torch.pi / heads)
        directions = torch.stack([angles.cos(), angles.sin()], dim=-1)  # (heads, 2)
        directions = directions / directions.abs().amax(dim=-1, keepdim=True)  # onto the unit square
        start = directions[:, None] * torch.arange(1, points + 1)[:, None]  # (heads, K, 2)
        with torch.no_grad():
            self.offsets.bias.copy_(start.flatten())
        self.weights = nn.Identity()  # for the recorder: (B, N, heads, K)

    def forward(self, x: Tensor, queries: Tensor | None = None, reference: Tensor | None = None) -> Tensor:
        check_grid("x", x, self.dim)
        if (queries is None) != (reference is None):
            raise ValueError("queries and reference go together: give both or neither")
        H, W = x.shape[1:3]
        own = queries is None
        if own:
            queries, reference = x.flatten(1, 2), pixel_centres(H, W).to(x)  # (B, N, D), (N, 2)
        offsets = rearrange(self.offsets(queries), "b n (heads k xy) -> b n heads k xy", heads=self.heads, xy=2)
        weights = rearrange(self.scores(queries), "b n (heads k) -> b n heads k", heads=self.heads).softmax(dim=-1)
        self.weights(weights)
        values = rearrange(self.value(x), "b h w (heads d) -> b heads d h w", heads=self.heads)
        out = self.out(deformable_attention(values, reference[:, None, None] + offsets, weights))  # (B, N, D)
        return out.unflatten(1, (H, W)) if own else out


class ObjectQueries(nn.Module):
    """A few learned vectors look at the whole picture: cross-attention, Q · D + 4 D² + 4 D parameters.

    Args:
        dim: D.
        heads: number of heads.
        queries: Q, how many objects can be found at most.

    Shapes:
        forward(x) -> out; x (B, M, D), the tokens of the picture; out (B, Q, D), one for each query.

    Source: Carion et al. 2020, arXiv:2005.12872, section 3.2 and appendix A.1.
    Differs from the paper: the cross-attention of its decoder alone, without the self-attention among the queries, and
        with no positions added to the keys.
    """

    def __init__(self, dim: int, *, heads: int, queries: int):
        super().__init__()
        self.queries = nn.Parameter(torch.randn(check_size("queries", queries), check_size("dim", dim)))
        self.attention = MultiHeadAttention(dim, heads=heads, context_dim=dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(self.queries.expand(x.shape[0], -1, -1), context=x)
