"""Boolean masks, NumPy only: True means "this query (row) may attend to this key (column)".

Pixels and patches are numbered row by row: the one in row r, column c of an H × W grid has number r·W + c.
"""

import numpy as np


def causal(N: int, M: int | None = None) -> np.ndarray:
    """No query sees what comes after it.

    mask_nm = (m ≤ n + M - N): the last N of the M keys stand beside the N queries, the M - N before them are the past.

    Args:
        N: number of queries.
        M: number of keys, at least N; None means N.

    Returns:
        (N, M) booleans; every row has a True, and with M = N the mask is a lower triangle.

    Raises:
        ValueError: N below 1, or M below N.

    Source: Vaswani et al. 2017, arXiv 1706.03762, section 3.2.3.
    Differs from `is_causal=True` in PyTorch's SDPA only when M > N: there, query 0 sees key 0 alone.
    """
    M = N if M is None else M
    _require_at_least(1, N=N)
    _require_at_least(N, M=M)
    return np.arange(M)[None, :] <= np.arange(N)[:, None] + (M - N)


def window_1d(N: int, radius: int) -> np.ndarray:
    """Each token of a sequence sees its neighbours: mask_nm = (|n - m| ≤ radius).

    Args:
        N: number of tokens.
        radius: neighbours to each side, in tokens; 0 means only itself.

    Returns:
        (N, N) booleans, symmetric, True on the diagonal.

    Raises:
        ValueError: N below 1, or a negative radius.

    Source: Beltagy et al. 2020, arXiv 2004.05150, section 3.1, "sliding window" (w/2 tokens to each side: their w is 2·radius).
    """
    _require_at_least(1, N=N)
    _require_at_least(0, radius=radius)
    return _distance(np.arange(N)) <= radius


def window_2d(H: int, W: int, radius: int) -> np.ndarray:
    """Each pixel sees the square around it: max(|Δrow|, |Δcolumn|) ≤ radius.

    Args:
        H, W: height and width of the grid, in pixels or patches.
        radius: half the side of the square; 1 means the 3 × 3 neighbourhood.

    Returns:
        (H·W, H·W) booleans, symmetric, True on the diagonal; squares are cut off at the border.

    Raises:
        ValueError: H or W below 1, or a negative radius.

    Source: Ramachandran et al. 2019, arXiv 1906.05909, section 2.2, the "memory block" (their side k is 2·radius + 1).
    """
    _require_at_least(1, H=H, W=W)
    _require_at_least(0, radius=radius)
    rows, columns = _grid(H, W)
    return (_distance(rows) <= radius) & (_distance(columns) <= radius)


def shifted_window(H: int, W: int, window: int, shift: int = 0) -> np.ndarray:
    """The grid is cut into square windows, and pixels see the others of their own window only.

    Cuts run at rows and columns shift + i·window; mask_nm = (n and m lie between the same cuts).

    Args:
        H, W: height and width of the grid, in pixels or patches.
        window: side of a window.
        shift: how far the cuts are moved down and to the right, 0 ≤ shift < window; Swin alternates 0 and window // 2.

    Returns:
        (H·W, H·W) booleans: an equivalence relation (reflexive, symmetric, transitive).

    Raises:
        ValueError: H, W or window below 1, or a shift outside 0 … window - 1.

    Source: Liu et al. 2021, arXiv 2103.14030, section 3.2.
    Differs from the paper: a mask over the unmoved grid instead of a cyclic roll with masked windows (the pairs are the
    same), and sizes that the window does not divide give smaller windows at the border instead of padding.
    """
    _require_at_least(1, H=H, W=W, window=window)
    _require_at_least(0, shift=shift)
    if shift >= window:
        raise ValueError(f"shift must be below window = {window}, got {shift}")
    rows, columns = _grid(H, W)
    window_row, window_column = (
        (rows - shift) // window,
        (columns - shift) // window,
    )  # -1 above and left of the first cut
    return (_distance(window_row) == 0) & (_distance(window_column) == 0)


def padding(lengths: np.ndarray, M: int) -> np.ndarray:
    """Sequences of different lengths in one batch: no query sees the filling after the end.

    mask_b0m = (m < lengths_b).

    Args:
        lengths: (B,) integers, the number of real keys of each sequence, 0 … M.
        M: number of keys after filling.

    Returns:
        (B, 1, M) booleans, one row per sequence, shared by all queries: it broadcasts over scores (B, N, M).
        (For scores with a head axis, (B, heads, N, M), write `padding(lengths, M)[:, None]`.)

    Raises:
        TypeError: lengths that are not integers.
        ValueError: M below 1, lengths not of rank 1, or outside 0 … M.
    """
    _require_at_least(1, M=M)
    lengths = np.asarray(lengths)
    if not np.issubdtype(lengths.dtype, np.integer):
        raise TypeError(f"lengths must be integers, got {lengths.dtype}")
    if lengths.ndim != 1:
        raise ValueError(f"lengths must have shape (B,), got {lengths.shape}")
    if (lengths < 0).any() or (lengths > M).any():
        raise ValueError(f"lengths must lie in 0 ... M = {M}, got {lengths.tolist()}")
    return np.arange(M)[None, None, :] < lengths[:, None, None]


def _grid(H, W):
    """Row and column of every pixel, each (H·W,)."""
    return np.repeat(np.arange(H), W), np.tile(np.arange(W), H)


def _distance(positions):
    """|p_n - p_m| for all pairs, (N, N)."""
    return np.abs(positions[:, None] - positions[None, :])


def _require_at_least(least, **sizes):
    for name, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < least:
            raise ValueError(f"{name} must be an integer of at least {least}, got {size!r}")
