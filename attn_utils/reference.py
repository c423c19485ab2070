"""The specification of attention: NumPy only, pure functions, equations as written; every faster path in the book must agree.

Sizes: N queries, M keys, d width of a query and a key, d_v width of a value; "..." is any number of leading axes
(batch, heads), the same for q, k and v. Masks are boolean and True means "may attend".
float64 and float32 are computed in their own precision; float16 is accumulated in float32 and rounded once, at the end.
"""

import numpy as np


def softmax(scores: np.ndarray, axis: int = -1) -> np.ndarray:
    """Positive weights that sum to 1 along an axis.

    w_i = exp(s_i - m) / Σ_j exp(s_j - m), with m = max_j s_j: the shift cancels, and no exponential overflows.

    Args:
        scores: s, floats of any shape, any finite size; -inf means "may not be attended".
        axis: the axis to sum over (the keys).

    Returns:
        Weights, shape of `scores`; each slice along `axis` sums to 1. A slice that is -inf everywhere has nothing to
        attend to: its weights are all 0.

    Raises:
        TypeError: integer or boolean scores.
        ValueError: a scalar, an empty axis, NaN or +inf.

    Examples:
        >>> softmax(np.log([1.0, 2.0, 1.0]))
        array([0.25, 0.5 , 0.25])
    """
    scores = np.asarray(scores)
    _require_floats("scores", scores)
    if scores.ndim == 0 or scores.shape[axis] == 0:
        raise ValueError(f"scores must have at least one entry along axis {axis}, got shape {scores.shape}")
    if np.isnan(scores).any() or np.isposinf(scores).any():
        raise ValueError("scores must not hold NaN or +inf")
    wide = scores.astype(_accumulator(scores), copy=False)
    largest = wide.max(axis=axis, keepdims=True)
    exponentials = np.exp(wide - np.where(np.isneginf(largest), 0, largest))  # all -inf: exp(-inf) = 0
    total = exponentials.sum(axis=axis, keepdims=True)
    return (exponentials / np.where(total == 0, 1, total)).astype(scores.dtype, copy=False)


def softmax_jacobian(weights: np.ndarray) -> np.ndarray:
    """How each weight moves when each score moves.

    J_ij = ∂w_i / ∂s_j = w_i (δ_ij - w_j), that is diag(w) - w wᵀ.

    Args:
        weights: w, (..., M), what `softmax` returned.

    Returns:
        J, (..., M, M): symmetric; columns sum to 0 because the weights' sum cannot change, rows because a shift changes nothing.

    Raises:
        TypeError: integer weights.
        ValueError: a scalar, or NaN.
    """
    weights = _checked("weights", weights, rank=1)
    identity = np.eye(weights.shape[-1], dtype=weights.dtype)
    return weights[..., :, None] * (identity - weights[..., None, :])


def dot_scores(q: np.ndarray, k: np.ndarray) -> np.ndarray:
    """s_nm = q_n · k_m.

    Args:
        q: (..., N, d).
        k: (..., M, d).

    Returns:
        Scores, (..., N, M); float32 for float16 input, which would overflow at 65,504.

    Raises:
        TypeError, ValueError: as `attention`.

    Source: Luong et al. 2015, arXiv 1508.04025, section 3.1, "dot".
    """
    q, k = _checked_pair(q, k)
    _require_equal("the width of q and k", q.shape[-1], k.shape[-1])
    return q @ k.swapaxes(-1, -2)


def scaled_dot_scores(q: np.ndarray, k: np.ndarray) -> np.ndarray:
    """s_nm = q_n · k_m / √d.

    Args:
        q: (..., N, d).
        k: (..., M, d).

    Returns:
        Scores, (..., N, M); of variance 1 when the entries of q and k are independent with mean 0 and variance 1.

    Raises:
        TypeError, ValueError: as `attention`.

    Source: Vaswani et al. 2017, arXiv 1706.03762, section 3.2.1, the argument of the softmax in eq. 1.
    """
    scores = dot_scores(q, k)
    return scores * _checked_scale(None, np.shape(q)[-1])


def general_scores(q: np.ndarray, k: np.ndarray, W: np.ndarray) -> np.ndarray:
    """s_nm = q_nᵀ W k_m: the queries and the keys may have different widths.

    Args:
        q: (..., N, d_q).
        k: (..., M, d_k).
        W: (d_q, d_k).

    Returns:
        Scores, (..., N, M); W = I gives `dot_scores`.

    Raises:
        TypeError, ValueError: as `attention`.

    Source: Luong et al. 2015, arXiv 1508.04025, section 3.1, "general".
    """
    q, k = _checked_pair(q, k)
    W = _checked("W", W, rank=2, exact=True)
    _require_equal("the shape of W and the widths of q and k", W.shape, (q.shape[-1], k.shape[-1]))
    return q @ W @ k.swapaxes(-1, -2)


def additive_scores(q: np.ndarray, k: np.ndarray, W_q: np.ndarray, W_k: np.ndarray, v: np.ndarray) -> np.ndarray:
    """s_nm = vᵀ tanh(W_q q_n + W_k k_m): a network with one hidden layer of h units, applied to every pair.

    Args:
        q: (..., N, d_q).
        k: (..., M, d_k).
        W_q: (h, d_q).
        W_k: (h, d_k).
        v: (h,), the weights of the output unit (not the values!).

    Returns:
        Scores, (..., N, M), each at most Σ|v| in size. Takes N × M × h numbers of memory.

    Raises:
        TypeError, ValueError: as `attention`.

    Source: Bahdanau et al. 2015, arXiv 1409.0473, the "alignment model" (W_q, W_k and v are their W_a, U_a and v_a).
    """
    q, k = _checked_pair(q, k)
    W_q = _checked("W_q", W_q, rank=2, exact=True)
    W_k = _checked("W_k", W_k, rank=2, exact=True)
    v = _checked("v", v, rank=1, exact=True)
    _require_equal("the shape of W_q and (len(v), the width of q)", W_q.shape, (len(v), q.shape[-1]))
    _require_equal("the shape of W_k and (len(v), the width of k)", W_k.shape, (len(v), k.shape[-1]))
    hidden = (q @ W_q.T)[..., :, None, :] + (k @ W_k.T)[..., None, :, :]  # (..., N, M, h)
    return np.tanh(hidden) @ v


def gaussian_scores(q: np.ndarray, k: np.ndarray, bandwidth: float) -> np.ndarray:
    """s_nm = -‖q_n - k_m‖² / (2 bandwidth²); their softmax gives the weights of Nadaraya–Watson kernel regression.

    Args:
        q: (..., N, d), the points where a value is wanted.
        k: (..., M, d), the points where values are known.
        bandwidth: width of the kernel, in the unit of q and k, above 0.

    Returns:
        Scores, (..., N, M), never positive. Takes N × M × d numbers of memory.

    Raises:
        TypeError, ValueError: as `attention`; a bandwidth that is not above 0.

    Source: Nadaraya 1964 and Watson 1964, with a Gaussian kernel.
    """
    q, k = _checked_pair(q, k)
    _require_equal("the width of q and k", q.shape[-1], k.shape[-1])
    if not (np.isfinite(bandwidth) and bandwidth > 0):
        raise ValueError(f"bandwidth must be a finite number above 0, got {bandwidth}")
    differences = q[..., :, None, :] - k[..., None, :, :]  # (..., N, M, d)
    return -(differences**2).sum(axis=-1) / (2 * bandwidth**2)


def attention_loops(
    q: np.ndarray, k: np.ndarray, v: np.ndarray, *, mask: np.ndarray | None = None, scale: float | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Attention with nothing hidden: one query, one key, one number at a time.

    Args:
        q, k, v, mask, scale: as `attention`, without leading axes: q (N, d), k (M, d), v (M, d_v), mask (N, M).

    Returns:
        out (N, d_v) and weights (N, M), as `attention`.

    Raises:
        TypeError, ValueError: as `attention`.
    """
    q, k, v, mask, scale, dtype = _checked_attention(q, k, v, mask, scale)
    if q.ndim != 2:
        raise ValueError(f"attention_loops takes q of shape (N, d) without leading axes, got {q.shape}")
    N, M, d, d_v = len(q), len(k), q.shape[1], v.shape[1]
    weights, out = np.zeros((N, M), q.dtype), np.zeros((N, d_v), q.dtype)
    for n in range(N):
        scores = {}  # key -> score, of the keys this query may attend to
        for m in range(M):
            if mask is None or mask[n, m]:
                scores[m] = scale * sum(q[n, i] * k[m, i] for i in range(d))
        total = sum(np.exp(s - max(scores.values())) for s in scores.values())
        for m, s in scores.items():
            weights[n, m] = np.exp(s - max(scores.values())) / total
            for c in range(d_v):
                out[n, c] += weights[n, m] * v[m, c]
    return out.astype(dtype), weights.astype(dtype)


def attention(
    q: np.ndarray, k: np.ndarray, v: np.ndarray, *, mask: np.ndarray | None = None, scale: float | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Each query takes the mean of the values, weighted by how well their keys fit it.

    out = A v with A = softmax(scale · q kᵀ), the softmax over the keys; masked scores are -inf.

    Args:
        q: queries, (..., N, d).
        k: keys, (..., M, d).
        v: values, (..., M, d_v).
        mask: None, or booleans that broadcast to (..., N, M); True where query n may attend to key m.
        scale: factor on the scores; None means 1/√d.

    Returns:
        out, (..., N, d_v): inside the convex hull of the values that the query may see.
        weights A, (..., N, M): rows sum to 1 over the keys, masked weights are exactly 0.
        A query that may attend to nothing gets weights 0 and output 0. Both have the common dtype of q, k and v.

    Raises:
        TypeError: integer arrays, a mask that is not boolean.
        ValueError: wrong rank, sizes that do not fit, no keys, d = 0, NaN or infinite values, a scale that is not finite.

    Source: Vaswani et al. 2017, arXiv 1706.03762, eq. 1.
    Differs from the paper: the mask, and the row that may attend to nothing (the equation gives 0/0).

    Examples:
        >>> attention(np.array([[1.0, 0.0]]), np.array([[0.0, 1.0], [0.0, 2.0]]), np.array([[10.0], [20.0]]))
        (array([[15.]]), array([[0.5, 0.5]]))
    """
    q, k, v, mask, scale, dtype = _checked_attention(q, k, v, mask, scale)
    weights = _weights(q, k, mask, scale)
    return (weights @ v).astype(dtype, copy=False), weights.astype(dtype, copy=False)


def attention_backward(
    q: np.ndarray,
    k: np.ndarray,
    v: np.ndarray,
    d_out: np.ndarray,
    *,
    mask: np.ndarray | None = None,
    scale: float | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gradients of a loss L through `attention`, derived by hand; the weights A are computed again, not stored.

    With dX short for ∂L/∂X and S the scaled scores:
        dv = Aᵀ dout,   dA = dout vᵀ,   dS_nm = A_nm (dA_nm - Σ_j A_nj dA_nj),   dq = scale · dS k,   dk = scale · dSᵀ q.

    Args:
        q, k, v, mask, scale: as given to `attention`.
        d_out: ∂L/∂out, (..., N, d_v).

    Returns:
        d_q, d_k, d_v: shapes of q, k, v. A masked pair passes no gradient; a query that may attend to nothing gets 0.

    Raises:
        TypeError, ValueError: as `attention`; a d_out that is not shaped like the output.

    Source: the chain rule; the same steps stand in Dao et al. 2022, arXiv 2205.14135, "memory-efficient backward pass".
    """
    q, k, v, mask, scale, dtype = _checked_attention(q, k, v, mask, scale)
    d_out = _checked("d_out", d_out, rank=2)
    _require_equal("the shape of d_out and of the output", d_out.shape, q.shape[:-1] + v.shape[-1:])
    weights = _weights(q, k, mask, scale)
    d_v = weights.swapaxes(-1, -2) @ d_out
    d_weights = d_out @ v.swapaxes(-1, -2)
    d_scores = weights * (d_weights - (weights * d_weights).sum(axis=-1, keepdims=True))
    d_q = scale * d_scores @ k
    d_k = scale * d_scores.swapaxes(-1, -2) @ q
    return d_q.astype(dtype, copy=False), d_k.astype(dtype, copy=False), d_v.astype(dtype, copy=False)


def tiled_attention(
    q: np.ndarray,
    k: np.ndarray,
    v: np.ndarray,
    *,
    tile: int = 64,
    mask: np.ndarray | None = None,
    scale: float | None = None,
) -> np.ndarray:
    """`attention` that never holds the N × M weights: it reads the keys a tile at a time and corrects what it has.

    For each query it keeps the largest score seen, m, the sum Z of exp(s - m) and the mix U of exp(s - m) v. A tile
    with a larger score m' shrinks both by exp(m - m') before it adds its own terms. At the end out = U / Z.

    Args:
        q, k, v, mask, scale: as `attention`.
        tile: keys per step, at least 1; any size gives the same output, memory grows with N × tile.

    Returns:
        out, (..., N, d_v), equal to `attention(...)[0]` up to rounding; rows that may attend to nothing are 0.

    Raises:
        TypeError, ValueError: as `attention`; a tile that is not an integer of at least 1.

    Source: Milakov & Gimelshein 2018, arXiv 1805.02867, "online normalizer"; Rabe & Staats 2021, arXiv 2112.05682;
        Dao et al. 2022, arXiv 2205.14135, the forward pass.
    Differs from the papers: tiles over keys only, not over queries.
    """
    q, k, v, mask, scale, dtype = _checked_attention(q, k, v, mask, scale)
    if not isinstance(tile, (int, np.integer)) or isinstance(tile, bool) or tile < 1:
        raise ValueError(f"tile must be an integer of at least 1, got {tile!r}")
    largest = np.full((*q.shape[:-1], 1), -np.inf, q.dtype)  # (..., N, 1)
    total = np.zeros_like(largest)
    mix = np.zeros(q.shape[:-1] + v.shape[-1:], q.dtype)  # (..., N, d_v)
    for start in range(0, k.shape[-2], tile):
        keys = slice(start, start + tile)
        scores = _masked_scores(q, k[..., keys, :], None if mask is None else mask[..., keys], scale)
        new_largest = np.maximum(largest, scores.max(axis=-1, keepdims=True))
        anchor = np.where(np.isneginf(new_largest), 0, new_largest)  # nothing seen yet: exp(-inf - 0) = 0
        shrink, terms = np.exp(largest - anchor), np.exp(scores - anchor)
        total = shrink * total + terms.sum(axis=-1, keepdims=True)
        mix = shrink * mix + terms @ v[..., keys, :]
        largest = new_largest
    return (mix / np.where(total == 0, 1, total)).astype(dtype, copy=False)


def _masked_scores(q, k, mask, scale):
    scores = scale * (q @ k.swapaxes(-1, -2))  # (..., N, M)
    return scores if mask is None else np.where(mask, scores, -np.inf).astype(scores.dtype)


def _weights(q, k, mask, scale):
    return softmax(_masked_scores(q, k, mask, scale), axis=-1)


def _accumulator(*arrays):
    return np.result_type(np.float32, *arrays)  # float16 is summed in float32; wider types stay as they are


def _require_floats(name, array):
    if not np.issubdtype(array.dtype, np.floating):
        raise TypeError(f"{name} must hold floats, got {array.dtype}")


def _require_equal(what, got, expected):
    if got != expected:
        raise ValueError(f"{what} must agree, got {got} and {expected}")


def _checked(name, array, rank, exact=False):
    """The array in its accumulation dtype, once it is known to be finite floats of a sensible rank."""
    array = np.asarray(array)
    _require_floats(name, array)
    if array.ndim < rank or (exact and array.ndim != rank):
        raise ValueError(f"{name} must have {rank}{'' if exact else ' or more'} axes, got shape {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, got NaN or infinite values")
    return array.astype(_accumulator(array), copy=False)


def _checked_pair(q, k):
    q, k = _checked("q", q, rank=2), _checked("k", k, rank=2)
    _require_equal("the leading axes of q and k", q.shape[:-2], k.shape[:-2])
    if k.shape[-2] == 0:
        raise ValueError(f"k must hold at least one key, got shape {k.shape}")
    return q, k


def _checked_scale(scale, d):
    if scale is None:
        if d == 0:
            raise ValueError("q and k must have a width d of at least 1, got 0")
        return 1 / float(np.sqrt(d))  # a Python float does not widen float32 arrays
    if np.ndim(scale) != 0 or not np.isfinite(scale):
        raise ValueError(f"scale must be None or one finite number, got {scale!r}")
    return float(scale)


def _checked_attention(q, k, v, mask, scale):
    dtype = np.result_type(np.asarray(q), np.asarray(k), np.asarray(v))
    q, k = _checked_pair(q, k)
    v = _checked("v", v, rank=2)
    _require_equal("the width of q and k", q.shape[-1], k.shape[-1])
    _require_equal("the leading axes of k and v, and their number of rows,", k.shape[:-1], v.shape[:-1])
    wide = _accumulator(q, k, v)
    if mask is not None:
        mask = np.asarray(mask)
        if mask.dtype != bool:
            raise TypeError(f"mask must be boolean (True means may attend), got {mask.dtype}")
        shape = (*q.shape[:-1], k.shape[-2])
        try:
            mask = np.broadcast_to(mask, shape)
        except ValueError:
            raise ValueError(f"mask must broadcast to (..., N, M) = {shape}, got {mask.shape}") from None
    return q.astype(wide), k.astype(wide), v.astype(wide), mask, _checked_scale(scale, q.shape[-1]), dtype
