"""Self-attention on a grid of pixels: all pairs, all pairs with relative positions, windows, rows and columns.

Grids are (B, H, W, D): the channels last, as in transformers. With heads split off they are (B, heads, H, W, d). The
functions return `(out, weights)`; the modules own the parameters, return `out`, and show their weights to
`attn_utils.record`.
"""

import torch
from einops import rearrange
from torch import Tensor, nn

from attn_utils.attention import attention
from attn_utils.shapes import check_choice, check_grid, check_heads, check_shape, check_shift, check_size, check_tiles

# ---------------------------------------------------------------------------------------------------- functions


def global_attention(q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Every pixel looks at every pixel.

    Args:
        q, k, v: (B, heads, H, W, d).

    Returns:
        out, (B, heads, H, W, d), and weights, (B, heads, N, N), N = H·W; rows sum to 1 over the keys.
    """
    H, W = q.shape[2:4]
    out, weights = attention(q.flatten(2, 3), k.flatten(2, 3), v.flatten(2, 3))
    return out.unflatten(2, (H, W)), weights


def windowed_attention(
    q: Tensor, k: Tensor, v: Tensor, window: int, *, shift: int = 0, bias: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The grid is cut into square windows, and a pixel looks at its own window.

    weights = softmax(q kᵀ / √d + bias) within each window

    With a shift, the grid is rolled up and left first, so that the cuts run elsewhere; pixels that only the roll has
    brought together are kept apart by a mask, and the result is rolled back.

    Args:
        q, k, v: (B, heads, H, W, d).
        window: P, the side of a window; it divides H and W.
        shift: how far the cuts are moved down and to the right, 0 ≤ shift < P.
        bias: added to the scores, (heads, P², P²) or (1, P², P²).

    Returns:
        out, (B, heads, H, W, d), and weights, (B, heads, windows, P², P²), rows sum to 1 over the keys. Windows row by
        row, pixels within a window row by row, both of the rolled grid.

    Raises:
        ValueError: windows that do not tile the grid, or a shift out of range.

    Source: Liu et al. 2021, arXiv:2103.14030, section 3.2 and equation 4. The same pairs as `masks.shifted_window`.
    """
    H, W = q.shape[2:4]
    window = check_size("window", window)
    shift = check_shift(shift, window)
    check_tiles("window", window, H, W)
    q, k, v = (_cut(t.roll((-shift, -shift), dims=(2, 3)), window) for t in (q, k, v))  # (B, heads, windows, P², d)
    scores = q * q.shape[-1] ** -0.5 @ k.transpose(-2, -1)  # (B, heads, windows, P², P²)
    if bias is not None:
        scores = scores + bias[:, None]
    if shift:
        scores = scores.masked_fill(~_same_side(H, W, window, shift, q.device), -torch.inf)
    weights = scores.softmax(dim=-1)  # no row is empty: every pixel is in its own window
    out = rearrange(weights @ v, "b heads (rows columns) (y x) d -> b heads (rows y) (columns x) d", rows=H // window, y=window)
    return out.roll((shift, shift), dims=(2, 3)), weights


def _cut(grid: Tensor, window: int) -> Tensor:
    """(..., H, W, d) to (..., windows, P², d)."""
    return rearrange(grid, "... (rows y) (columns x) d -> ... (rows columns) (y x) d", y=window, x=window)


def _same_side(H: int, W: int, window: int, shift: int, device: torch.device) -> Tensor:
    """For each window of the rolled grid, which of its pixels were neighbours before the roll, (windows, P², P²)."""
    rows, columns = (torch.arange(size, device=device).roll(-shift) < shift for size in (H, W))  # True: came round the edge
    piece = 2 * rows[:, None] + columns[None, :]  # (H, W), four pieces
    piece = _cut(piece[..., None], window)[..., 0]  # (windows, P²)
    return piece[:, :, None] == piece[:, None, :]


def axis_attention(q: Tensor, k: Tensor, v: Tensor, *, axis: str) -> tuple[Tensor, Tensor]:
    """A pixel looks along one line: its own row ("width") or its own column ("height").

    Args:
        q, k, v: (B, heads, H, W, d).
        axis: "width" or "height".

    Returns:
        out, (B, heads, H, W, d), and weights, (B, heads, H, W, W) along the width, (B, heads, W, H, H) along the height.

    Source: Ho et al. 2019, arXiv:1912.12180; Wang et al. 2020, arXiv:2003.07853, section 3.2.
    Differs from the latter: no positions, and scores divided by √d.
    """
    check_choice("axis", axis, ("width", "height"))
    if axis == "width":
        return attention(q, k, v)
    out, weights = attention(*(t.transpose(2, 3) for t in (q, k, v)))
    return out.transpose(2, 3), weights


def relative_attention(q: Tensor, k: Tensor, v: Tensor, row_table: Tensor, column_table: Tensor) -> tuple[Tensor, Tensor]:
    """Every pixel looks at every pixel, and the score also depends on how far the key lies below and to the right.

    score_nm = q_n · (k_m + row_table[Δrow] + column_table[Δcolumn]) / √d,   Δ = place of the key - place of the query

    Args:
        q, k, v: (B, heads, H, W, d).
        row_table: (2H - 1, d), one vector per offset from -(H - 1) to H - 1.
        column_table: (2W - 1, d), likewise.

    Returns:
        out, (B, heads, H, W, d), and weights, (B, heads, N, N), N = H·W; rows sum to 1 over the keys.

    Raises:
        ValueError: tables that do not fit the grid.

    Source: Bello et al. 2019, arXiv:1904.09925, section 3.1; the idea is from Shaw et al. 2018, arXiv:1803.02155, who
        also clip the offsets and add vectors to the values.
    """
    H, W, d = q.shape[2:]
    check_shape("row_table", row_table, (2 * H - 1, d))
    check_shape("column_table", column_table, (2 * W - 1, d))
    rows, columns = row_table[_offsets(H, q.device)], column_table[_offsets(W, q.device)]  # (H, H, d), (W, W, d)
    q = q * d**-0.5  # first, since in half precision the scores may overflow
    by_row = torch.einsum("bnhwd, hyd -> bnhwy", q, rows)  # (B, heads, H, W, H)
    by_column = torch.einsum("bnhwd, wxd -> bnhwx", q, columns)  # (B, heads, H, W, W)
    by_place = (by_row[..., :, None] + by_column[..., None, :]).flatten(4).flatten(2, 3)  # (B, heads, N, N)
    q, k, v = (t.flatten(2, 3) for t in (q, k, v))  # (B, heads, N, d)
    weights = (q @ k.transpose(-2, -1) + by_place).softmax(dim=-1)  # (B, heads, N, N)
    return (weights @ v).unflatten(2, (H, W)), weights


def _offsets(size: int, device: torch.device) -> Tensor:
    """Key minus query for all pairs along one axis, counted from 0, (size, size)."""
    places = torch.arange(size, device=device)
    return places[None, :] - places[:, None] + size - 1


# ------------------------------------------------------------------------------------------------------ modules


class GridAttention(nn.Module):
    """Multi-head self-attention over a grid; how the heads are mixed is one method, `mix`.

    Here `mix` is `global_attention`, and the layer equals `MultiHeadAttention` on the flattened grid, whose
    parameters it can load. 4 D² + 4 D parameters.

    Args:
        dim: D, a multiple of heads.
        heads: number of heads; each has width d = D / heads.

    Shapes:
        forward(x) -> out; (B, H, W, D) both.
    """

    def __init__(self, dim: int, *, heads: int):
        super().__init__()
        dim, heads = check_heads(dim, heads)
        self.dim, self.heads = dim, heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)
        self.weights = nn.Identity()  # for the recorder

    def mix(self, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """(B, heads, H, W, d) three times to `out` of the same shape, and the weights."""
        return global_attention(q, k, v)

    def forward(self, x: Tensor) -> Tensor:
        check_grid("x", x, self.dim)
        q, k, v = rearrange(self.qkv(x), "b h w (three heads d) -> three b heads h w d", three=3, heads=self.heads)
        out, weights = self.mix(q, k, v)
        self.weights(weights)
        return self.out(rearrange(out, "b heads h w d -> b h w (heads d)"))


class WindowAttention(GridAttention):
    """`windowed_attention` with a learned bias for every offset: 4 D² + 4 D + (2P - 1)² · heads parameters.

    Args:
        dim, heads: as in `GridAttention`.
        window: P, the side of a window.
        shift: 0 for plain windows, P // 2 in every second layer of Swin.

    Source: Liu et al. 2021, arXiv:2103.14030, equation 4.
    Differs from the paper: a grid that the windows do not tile is refused, not padded.
    """

    def __init__(self, dim: int, *, heads: int, window: int, shift: int = 0):
        super().__init__(dim, heads=heads)
        self.window = window = check_size("window", window)
        self.shift = check_shift(shift, window)
        self.bias_table = nn.Parameter(torch.randn((2 * window - 1) ** 2, self.heads) * 0.02)

    def mix(self, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        # Made anew each time: an index kept as a buffer is lost where a layer is built on "meta".
        table = self.bias_table.unflatten(0, (2 * self.window - 1, -1))  # one bias per offset of the query from the key
        apart = _offsets(self.window, table.device).T  # (P, P)
        bias = table[apart[:, None, :, None], apart[None, :, None, :]]  # (P, P, P, P, heads)
        bias = rearrange(bias, "row column key_row key_column heads -> heads (row column) (key_row key_column)")
        return windowed_attention(q, k, v, self.window, shift=self.shift, bias=bias)


class RelativeAttention(GridAttention):
    """`relative_attention` with tables shared by the heads: 4 D² + 4 D + 2 (H + W - 1) d parameters.

    Args:
        dim, heads: as in `GridAttention`.
        height, width: H and W of the grids it will see.

    Source: Bello et al. 2019, arXiv:1904.09925, section 3.1.
    Differs from the paper: this is its attention branch alone, without the convolution beside it.
    """

    def __init__(self, dim: int, *, heads: int, height: int, width: int):
        super().__init__(dim, heads=heads)
        d = self.dim // self.heads
        height, width = check_size("height", height), check_size("width", width)
        self.row_table = nn.Parameter(torch.randn(2 * height - 1, d) * d**-0.5)
        self.column_table = nn.Parameter(torch.randn(2 * width - 1, d) * d**-0.5)

    def mix(self, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        return relative_attention(q, k, v, self.row_table, self.column_table)


class AxisAttention(GridAttention):
    """`axis_attention` along one axis.

    Args:
        dim, heads: as in `GridAttention`.
        axis: "width" or "height".
    """

    def __init__(self, dim: int, *, heads: int, axis: str):
        super().__init__(dim, heads=heads)
        check_choice("axis", axis, ("width", "height"))
        self.axis = axis

    def mix(self, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        return axis_attention(q, k, v, axis=self.axis)


class AxialAttention(nn.Sequential):
    """Down the columns, then along the rows: after both, every pixel has seen every pixel. 8 D² + 8 D parameters.

    Args:
        dim, heads: as in `GridAttention`.

    Source: Wang et al. 2020, arXiv:2003.07853, section 3.2.
    Differs from the paper: no positions, and no convolutions and norms around the two layers.
    """

    def __init__(self, dim: int, *, heads: int):
        super().__init__(AxisAttention(dim, heads=heads, axis="height"), AxisAttention(dim, heads=heads, axis="width"))
