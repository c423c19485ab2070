"""Where a token stands: sine-cosine vectors, relative indices, and rotations of queries and keys.

Tables are NumPy arrays, and nothing else is imported; `apply_rope` turns tensors as well as arrays.

Pixels and patches are numbered row by row: the one in row r, column c of an H × W grid has number r·W + c.
"""

import sys
from typing import Any

import numpy as np

from attn_utils.shapes import check_float, check_size


def sincos_1d(N: int, D: int, base: float = 10000.0) -> np.ndarray:
    """A vector for every place in a sequence, made of waves from fast to slow.

    PE[n, 2i] = sin(n / base^(2i/D)),   PE[n, 2i+1] = cos(n / base^(2i/D)).

    Args:
        N: number of places.
        D: width of the vectors, even.
        base: the slowest wave is almost `base` times as long as the fastest (2π places).

    Returns:
        (N, D) float64 in [-1, 1]; each row has squared length D/2, and PE[n] · PE[m] depends on n - m alone.

    Raises:
        ValueError: N below 1, D not an even number above 0, base not above 0.

    Source: Vaswani et al. 2017, arXiv 1706.03762, section 3.5.
    """
    N = check_size("N", N)
    D = check_size("D", D, multiple_of=2)
    angles = np.arange(N)[:, None] * _frequencies(D // 2, base)  # (N, D/2)
    return np.stack([np.sin(angles), np.cos(angles)], axis=-1).reshape(N, D)


def sincos_2d(H: int, W: int, D: int, base: float = 10000.0) -> np.ndarray:
    """A vector for every pixel of a grid: the first half says the row, the second half the column.

    PE[r·W + c] = [sincos_1d(H, D/2)[r], sincos_1d(W, D/2)[c]].

    Args:
        H, W: height and width of the grid.
        D: width of the vectors, a multiple of 4.
        base: as in `sincos_1d`.

    Returns:
        (H·W, D) float64 in [-1, 1]; a dot product of two rows depends on the two offsets alone.

    Raises:
        ValueError: H or W below 1, D not a multiple of 4, base not above 0.

    Source: Beyer et al. 2022, arXiv 2205.01580 ("2d sin-cos").
    Differs from the paper: their code puts the column's half first, in each half the sines before the cosines, and spaces
    the frequencies slightly wider (D/4 - 1 for D/4); the order does not matter to the linear layers that follow.

    Examples:
        >>> table = sincos_2d(2, 3, 8)
        >>> table.shape
        (6, 8)
        >>> closeness = table @ table.T  # pixels 0 and 1 are as far apart as 4 and 5
        >>> bool(np.isclose(closeness[0, 1], closeness[4, 5]))
        True
    """
    H, W = check_size("H", H), check_size("W", W)
    D = check_size("D", D, multiple_of=4)
    rows = np.repeat(sincos_1d(H, D // 2, base), W, axis=0)  # (H·W, D/2)
    columns = np.tile(sincos_1d(W, D // 2, base), (H, 1))
    return np.concatenate([rows, columns], axis=1)


def relative_index(H: int, W: int) -> np.ndarray:
    """For every pair of pixels, the place of their offset in a table of (2H - 1)·(2W - 1) offsets.

    index[n, m] = (r_n - r_m + H - 1)·(2W - 1) + (c_n - c_m + W - 1).

    Args:
        H, W: height and width of the grid (in Swin: of a window).

    Returns:
        (H·W, H·W) integers in 0 … (2H-1)(2W-1) - 1, every one of them used; equal exactly where the offset is equal.

    Raises:
        ValueError: H or W below 1.

    Source: Liu et al. 2021, arXiv 2103.14030, section 3.2, the table of eq. 4.
    """
    H, W = check_size("H", H), check_size("W", W)
    rows, columns = np.repeat(np.arange(H), W), np.tile(np.arange(W), H)
    down = rows[:, None] - rows[None, :] + H - 1
    right = columns[:, None] - columns[None, :] + W - 1
    return down * (2 * W - 1) + right


def rope_2d(H: int, W: int, d: int, base: float = 100.0) -> np.ndarray:
    """The angles by which `apply_rope` turns the pairs of features of a query or key at every pixel.

    With f_i = base^(-i/(d/4)), i = 0 … d/4 - 1: angles[r·W + c] = [r·f_0, r·f_1, …, c·f_0, c·f_1, …].

    Args:
        H, W: height and width of the grid.
        d: width of a query and key (of one head), a multiple of 4.
        base: ratio between the fastest and (almost) the slowest rotation.

    Returns:
        (H·W, d/2) float64 radians: the first half of a row turns with the row, the second half with the column.

    Raises:
        ValueError: H or W below 1, d not a multiple of 4, base not above 0.

    Source: Su et al. 2021, arXiv 2104.09864, the rotation matrix; in two dimensions Heo et al. 2024, arXiv 2403.13298, "axial".
    Differs from their code: it puts the column's half first. A fixed order of the pairs, which learned projections absorb.
    """
    H, W = check_size("H", H), check_size("W", W)
    d = check_size("d", d, multiple_of=4)
    frequencies = _frequencies(d // 4, base)
    rows = np.repeat(np.arange(H)[:, None] * frequencies, W, axis=0)  # (H·W, d/4)
    columns = np.tile(np.arange(W)[:, None] * frequencies, (H, 1))
    return np.concatenate([rows, columns], axis=1)


def apply_rope(x: Any, angles: Any) -> Any:
    """Turn each pair of neighbouring features (x_2i, x_2i+1) by its angle.

    x'_2i = x_2i cos a - x_2i+1 sin a,   x'_2i+1 = x_2i sin a + x_2i+1 cos a.

    Args:
        x: queries or keys, floats (..., N, d): an array, or a tensor.
        angles: (N, d/2) radians, from `rope_2d`; a tensor on the device of x where x is one, and gradients reach it.

    Returns:
        (..., N, d), an array or tensor like x, of its dtype: norms are kept, and q'_n · k'_m depends on the places only
        through their offset.

    Raises:
        TypeError: integer x, or an array beside a tensor.
        ValueError: shapes that do not fit.

    Source: Su et al. 2021, arXiv 2104.09864, the product with the rotation matrix, written out pair by pair.
    """
    library = _library(x)
    if library is not _library(angles):
        raise TypeError(f"x and angles must both be arrays or both tensors, got {type(x).__name__} and {type(angles).__name__}")
    if library is np:
        x, angles = np.asarray(x), np.asarray(angles)
    check_float("x", x)
    if x.ndim < 2 or x.shape[-1] % 2 or tuple(angles.shape) != (x.shape[-2], x.shape[-1] // 2):
        raise ValueError(f"x (..., N, d) and angles (N, d/2) must agree, got {tuple(x.shape)} and {tuple(angles.shape)}")
    cos, sin = library.cos(angles), library.sin(angles)
    even, odd = x[..., 0::2], x[..., 1::2]  # (..., N, d/2)
    turned = library.empty_like(x)
    turned[..., 0::2] = even * cos - odd * sin
    turned[..., 1::2] = even * sin + odd * cos
    return turned


def _library(x):
    """NumPy, or torch for a tensor: whoever has a tensor has imported torch."""
    return sys.modules["torch"] if type(x).__module__.partition(".")[0] == "torch" else np


def _frequencies(count, base):
    """base^(-i/count) for i = 0 … count - 1: from 1 down to almost 1/base."""
    if not (np.isfinite(base) and base > 0):
        raise ValueError(f"base must be a finite number above 0, got {base}")
    return float(base) ** (-np.arange(count) / count)
