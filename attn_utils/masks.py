"""Boolean masks, NumPy only: True means "this query (row) may attend to this key (column)".

Each mask is written once, as a rule with the signature of FlexAttention's `mask_mod`: `causal_mod(N)` returns a function
(batch, head, q, k) -> bool of numbers, arrays or tensors. FlexAttention takes it as it is; `dense` asks it about all pairs,
which is what `causal(N)` returns. So for each of `causal`, `window_1d`, `window_2d`, `shifted_window` and `padding`.

Pixels and patches are numbered row by row: the one in row r, column c of an H × W grid has number r·W + c.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from attn_utils.shapes import check_shift, check_size

MaskMod = Callable[[Any, Any, Any, Any], Any]  # (batch, head, q, k) -> bool


def dense(mask_mod: MaskMod, N: int, M: int | None = None, *, B: int | None = None) -> np.ndarray:
    """A rule as an array: what it says about every pair.

    Args:
        mask_mod: (batch, head, q, k) -> bool, written with operators, of integers that broadcast; head is always 0.
        N: number of queries.
        M: number of keys; None means N.
        B: number of sequences; None where the rule is the same for all.

    Returns:
        (N, M) booleans, or (B, N, M).

    Raises:
        ValueError: N or M below 1, or a negative B.
    """
    N = check_size("N", N)
    M = N if M is None else check_size("M", M)
    q, k = np.arange(N)[:, None], np.arange(M)[None, :]
    if B is None:
        return np.array(np.broadcast_to(mask_mod(0, 0, q, k), (N, M)))
    B = check_size("B", B, least=0)
    return np.array(np.broadcast_to(mask_mod(np.arange(B)[:, None, None], 0, q, k), (B, N, M)))


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

    Examples:
        >>> causal(3).astype(int)
        array([[1, 0, 0],
               [1, 1, 0],
               [1, 1, 1]])
    """
    return dense(causal_mod(N, M), N, M)


def causal_mod(N: int, M: int | None = None) -> MaskMod:
    """`causal` as a rule (batch, head, q, k) -> bool, for FlexAttention; same arguments."""
    N = check_size("N", N)
    past = 0 if M is None else check_size("M", M, least=N) - N
    return lambda batch, head, q, k: k <= q + past


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
    return dense(window_1d_mod(N, radius), N)


def window_1d_mod(N: int, radius: int) -> MaskMod:
    """`window_1d` as a rule (batch, head, q, k) -> bool, for FlexAttention; same arguments."""
    check_size("N", N)
    radius = check_size("radius", radius, least=0)
    return lambda batch, head, q, k: abs(q - k) <= radius


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

    Examples:
        >>> window_2d(3, 3, radius=1)[0].reshape(3, 3).astype(int)  # what the pixel in the corner sees
        array([[1, 1, 0],
               [1, 1, 0],
               [0, 0, 0]])
    """
    return dense(window_2d_mod(H, W, radius), int(H) * int(W))  # NumPy's small integers would overflow


def window_2d_mod(H: int, W: int, radius: int) -> MaskMod:
    """`window_2d` as a rule (batch, head, q, k) -> bool, for FlexAttention; same arguments."""
    _, W = check_size("H", H), check_size("W", W)
    radius = check_size("radius", radius, least=0)
    return lambda batch, head, q, k: (abs(q // W - k // W) <= radius) & (abs(q % W - k % W) <= radius)


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
    return dense(shifted_window_mod(H, W, window, shift), int(H) * int(W))  # NumPy's small integers would overflow


def shifted_window_mod(H: int, W: int, window: int, shift: int = 0) -> MaskMod:
    """`shifted_window` as a rule (batch, head, q, k) -> bool, for FlexAttention; same arguments."""
    _, W, window = check_size("H", H), check_size("W", W), check_size("window", window)
    shift = check_shift(shift, window)

    def between_the_same_cuts(batch, head, q, k):
        same_rows = (q // W - shift) // window == (k // W - shift) // window  # -1 above the first cut
        return same_rows & ((q % W - shift) // window == (k % W - shift) // window)

    return between_the_same_cuts


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
    lengths = np.asarray(lengths)
    return dense(padding_mod(lengths, M), 1, M, B=len(lengths))


def padding_mod(lengths: Any, M: int) -> MaskMod:
    """`padding` as a rule (batch, head, q, k) -> bool, for FlexAttention; same arguments.

    FlexAttention needs `lengths` as a tensor, on the device of the queries.
    """
    M = check_size("M", M)
    values = np.asarray(lengths.cpu() if hasattr(lengths, "cpu") else lengths)
    if not np.issubdtype(values.dtype, np.integer):
        raise TypeError(f"lengths must be integers, got {values.dtype}")
    if values.ndim != 1:
        raise ValueError(f"lengths must have shape (B,), got {values.shape}")
    if (values < 0).any() or (values > M).any():
        raise ValueError(f"lengths must lie in 0 ... M = {M}, got {values.tolist()}")
    lengths = lengths if hasattr(lengths, "cpu") else values
    return lambda batch, head, q, k: k < lengths[batch]
