"""The programs that run on the GPU: attention and its gradients, a tile of queries against a tile of keys at a time.

`attn_utils.kernels.flash` launches them. Each program owns one tile, of queries (`attend`, `query_gradient`) or of keys
(`key_value_gradients`), walks over those tiles of the other side that its own may meet, and writes what it owns once: no two
programs write to one place, so the same inputs give the same bits.

Without a window or a table of a mask, pairs are looked at one by one only in tiles at the end of the sequence or on the causal
diagonal; in the others every query sees every key. With one, they are in every tile that is visited.
Powers are of 2, which is what the hardware has: exp(scale · s) = 2^(factor · s) with factor = scale · log₂ e.

Names: N queries and M keys, TILE_N and TILE_M of them in a tile; D the width, WIDE the next power of 2 (at least 16), with
zeros behind column D. A matrix comes as (pointer, its strides: sample, head, row); its columns lie side by side. CAUSAL,
RADIUS and W say who may attend to whom: RADIUS None is no window, W None a window along the sequence, else on a grid of W
columns. `past` is M - N. `mask` is None or (pointer, strides: sample, head, query, key).
"""

import triton
import triton.language as tl

# ------------------------------------------------------------------------------------------------ who may attend to whom


@triton.jit
def may_attend(n, m, N, M, past, mask, b, h, CAUSAL: tl.constexpr, RADIUS: tl.constexpr, W: tl.constexpr):
    """Booleans: may query n attend to key m? Of numbers that broadcast, such as a column n and a row m."""
    if RADIUS is None:
        seen = m < M
    elif W is None:
        seen = (m < M) & (tl.abs(n - m) <= RADIUS)
    else:  # a key that does not exist stands in a row of the grid that nobody sees
        row = tl.where(m < M, m // W, -RADIUS - 1)
        seen = (tl.abs(n // W - row) <= RADIUS) & (tl.abs(n % W - m % W) <= RADIUS)
    if CAUSAL:
        seen = seen & (m <= n + past)
    if mask is not None:
        here = mask[0] + b.to(tl.int64) * mask[1] + h.to(tl.int64) * mask[2]
        places = here + n.to(tl.int64) * mask[3] + m.to(tl.int64) * mask[4]
        seen = seen & (tl.load(places, mask=(n < N) & (m < M), other=0) != 0)
    return seen


@triton.jit
def window_around(first, last, RADIUS: tl.constexpr, W: tl.constexpr):
    """What tokens `first` to `last` see, and are seen by: from the first to one past the last, perhaps outside the sequence."""
    start, stop = first - RADIUS, last + RADIUS + 1
    if W is not None:  # whole rows of the grid, but no further than the corners of the squares
        start = tl.maximum((first // W - RADIUS) * W, start - RADIUS * W)
        stop = tl.minimum((last // W + RADIUS + 1) * W, stop + RADIUS * W)
    return start, stop


@triton.jit
def keys_to_meet(
    first, N, M, past, mask, CAUSAL: tl.constexpr, RADIUS: tl.constexpr, W: tl.constexpr, TILE_N: tl.constexpr, TILE_M: tl.constexpr
):  # fmt: skip
    """For the queries from `first`: keys in whole tiles, seen by all of them, from `start` to `border`; others to `stop`."""
    last = tl.minimum(first + TILE_N, N) - 1
    start, inside, stop = 0, M, M
    if CAUSAL:
        inside, stop = tl.minimum(first + past + 1, M), tl.minimum(last + past + 1, M)
    border = inside // TILE_M * TILE_M
    if RADIUS is not None:
        window_start, window_stop = window_around(first, last, RADIUS, W)
        start, stop = tl.maximum(window_start, 0), tl.minimum(window_stop, stop)
    if RADIUS is not None or mask is not None:
        border = start
    return start, border, stop


@triton.jit
def queries_to_meet(
    first, N, M, past, mask, CAUSAL: tl.constexpr, RADIUS: tl.constexpr, W: tl.constexpr, TILE_N: tl.constexpr, TILE_M: tl.constexpr
):  # fmt: skip
    """For the keys from `first`: queries on a border from `start` to `inside`, whole tiles that see all of them to `border`,
    others to `stop`."""
    last = tl.minimum(first + TILE_M, M) - 1
    start, inside, stop = 0, 0, N
    if CAUSAL:
        start = tl.maximum(first - past, 0)
        inside = tl.minimum(start + tl.cdiv(tl.maximum(last - past, 0) - start, TILE_N) * TILE_N, N)
    border = inside + (N - inside) // TILE_N * TILE_N
    if RADIUS is not None:
        window_start, window_stop = window_around(first, last, RADIUS, W)
        start, stop = tl.maximum(window_start, start), tl.minimum(window_stop, N)
    if RADIUS is not None or mask is not None:
        inside, border = stop, stop
    return start, inside, border, stop


# --------------------------------------------------------------------------------------------------------- reading and writing


@triton.jit
def matrix_of(matrix, b, h):
    """Where the matrix of one sample and head begins, and the stride of its rows."""
    return matrix[0] + b.to(tl.int64) * matrix[1] + h.to(tl.int64) * matrix[2], matrix[3]


@triton.jit
def load_rows(matrix, rows, count, D: tl.constexpr, WIDE: tl.constexpr, BORDER: tl.constexpr):
    """A tile (rows, WIDE) of a matrix (count, D), zero outside of it. With BORDER False all of these rows exist."""
    columns = tl.arange(0, WIDE)
    places = matrix[0] + rows[:, None] * matrix[1] + columns[None, :]
    if BORDER:
        tile = tl.load(places, mask=(rows[:, None] < count) & (columns[None, :] < D), other=0.0)
    elif D < WIDE:
        tile = tl.load(places, mask=columns[None, :] < D, other=0.0)
    else:
        tile = tl.load(places)
    return tile


@triton.jit
def store_rows(matrix, tile, rows, count, D: tl.constexpr, WIDE: tl.constexpr):
    """Write a tile (rows, WIDE) into a matrix (count, D); what lies outside of it is left alone."""
    columns = tl.arange(0, WIDE)
    places = matrix[0] + rows[:, None] * matrix[1] + columns[None, :]
    tl.store(places, tile.to(matrix[0].dtype.element_ty), mask=(rows[:, None] < count) & (columns[None, :] < D))


@triton.jit
def load_normaliser(normaliser, n, N, BORDER: tl.constexpr):
    """A query's largest score and the log₂ of its sum, from rows of N each; one that does not exist is one that sees nothing."""
    if BORDER:
        largest = tl.load(normaliser + n, mask=n < N, other=float("inf"))
        log_total = tl.load(normaliser + N + n, mask=n < N, other=0.0)
    else:
        largest, log_total = tl.load(normaliser + n), tl.load(normaliser + N + n)
    return largest, log_total


@triton.jit
def product(a, b):
    """a b, summed in float32 or more; "ieee", lest float32 be rounded to the ten bits of TF32 first."""
    return tl.dot(a, b, input_precision="ieee")


@triton.jit
def add_product(total, a, b):
    """total + a b, with a rounded to the precision of b."""
    return tl.dot(a.to(b.dtype), b, total, input_precision="ieee", out_dtype=total.dtype)


# ---------------------------------------------------------------------------------------------------------------------- forward


@triton.jit
def mix_values(
    mix, total, largest, q, k, v, start, stop, first, N, M, past, mask, b, h, factor,
    CAUSAL: tl.constexpr, RADIUS: tl.constexpr, W: tl.constexpr, D: tl.constexpr, WIDE: tl.constexpr,
    TILE_N: tl.constexpr, TILE_M: tl.constexpr, BORDER: tl.constexpr,
):  # fmt: skip
    """Take in the keys from `start` to `stop`: shrink what was there to the new largest score, then add."""
    n = first + tl.arange(0, TILE_N)
    for at in range(start, stop, TILE_M):
        m = at + tl.arange(0, TILE_M)
        k_tile = load_rows(k, m, M, D, WIDE, BORDER)
        scores = product(q, tl.trans(k_tile))  # (TILE_N, TILE_M)
        if BORDER:
            seen = may_attend(n[:, None], m[None, :], N, M, past, mask, b, h, CAUSAL, RADIUS, W)
            scores = tl.where(seen, scores, float("-inf"))
        new_largest = tl.maximum(largest, factor * tl.max(scores, 1))  # (TILE_N,); factor > 0
        anchor = new_largest
        if BORDER:  # nothing seen yet: 2^(-inf - 0) is 0, 2^(-inf + inf) would be NaN
            anchor = tl.where(new_largest == float("-inf"), 0.0, new_largest)
        weights = tl.exp2(factor * scores - anchor[:, None])  # not yet divided by their sum
        shrink = tl.exp2(largest - anchor)
        total = shrink * total + tl.sum(weights, 1)
        v_tile = load_rows(v, m, M, D, WIDE, BORDER)
        mix = add_product(mix * shrink[:, None], weights, v_tile)
        largest = new_largest
    return mix, total, largest


@triton.jit
def attend(
    q, k, v, mask, out, normaliser, heads, N, M, past, factor,
    CAUSAL: tl.constexpr, RADIUS: tl.constexpr, W: tl.constexpr, D: tl.constexpr, WIDE: tl.constexpr,
    TILE_N: tl.constexpr, TILE_M: tl.constexpr, INSIDE: tl.constexpr, BORDER: tl.constexpr,
):  # fmt: skip
    """out = Σ_m weights_m v_m with weights_m = 2^(factor q·k_m - largest - log₂ total), for one tile of queries.

    Both numbers are kept for the gradients, apart: beside a large score the logarithm would be rounded away. A query that sees
    nothing keeps +inf as its largest, so that its weights are 0.
    """
    first = (tl.num_programs(0) - 1 - tl.program_id(0)) * TILE_N  # from the end: where causal, the longest rows come first
    b, h = tl.program_id(1) // heads, tl.program_id(1) % heads
    n = first + tl.arange(0, TILE_N)
    q_tile = load_rows(matrix_of(q, b, h), n, N, D, WIDE, True)
    k, v = matrix_of(k, b, h), matrix_of(v, b, h)
    largest = tl.full((TILE_N,), float("-inf"), normaliser.dtype.element_ty)
    total = tl.zeros((TILE_N,), normaliser.dtype.element_ty)
    mix = tl.zeros((TILE_N, WIDE), normaliser.dtype.element_ty)
    start, border, stop = keys_to_meet(first, N, M, past, mask, CAUSAL, RADIUS, W, TILE_N, TILE_M)
    if INSIDE:
        mix, total, largest = mix_values(
            mix, total, largest, q_tile, k, v, start, border, first, N, M, past, mask, b, h, factor,
            CAUSAL, RADIUS, W, D, WIDE, TILE_N, TILE_M, False,
        )  # fmt: skip
    if BORDER:
        mix, total, largest = mix_values(
            mix, total, largest, q_tile, k, v, border, stop, first, N, M, past, mask, b, h, factor,
            CAUSAL, RADIUS, W, D, WIDE, TILE_N, TILE_M, True,
        )  # fmt: skip
    nothing = total == 0.0
    total = tl.where(nothing, 1.0, total)
    store_rows(matrix_of(out, b, h), mix * (1.0 / total)[:, None], n, N, D, WIDE)
    row = normaliser + tl.program_id(1).to(tl.int64) * 2 * N + n
    tl.store(row, tl.where(nothing, float("inf"), largest), mask=n < N)
    tl.store(row + N, tl.log2(total), mask=n < N)


# --------------------------------------------------------------------------------------------------------------------- backward


@triton.jit
def add_query_gradient(
    d_q, q, d_out, k, v, largest, log_total, delta, start, stop, first, N, M, past, mask, b, h, factor,
    CAUSAL: tl.constexpr, RADIUS: tl.constexpr, W: tl.constexpr, D: tl.constexpr, WIDE: tl.constexpr,
    TILE_N: tl.constexpr, TILE_M: tl.constexpr, BORDER: tl.constexpr,
):  # fmt: skip
    """Take in the keys from `start` to `stop`: dq_n += Σ_m weights_nm (dout_n · v_m - delta_n) k_m."""
    n = first + tl.arange(0, TILE_N)
    for at in range(start, stop, TILE_M):
        m = at + tl.arange(0, TILE_M)
        k_tile, v_tile = load_rows(k, m, M, D, WIDE, BORDER), load_rows(v, m, M, D, WIDE, BORDER)
        scores = product(q, tl.trans(k_tile))  # (TILE_N, TILE_M)
        weights = tl.exp2(factor * scores - largest[:, None] - log_total[:, None])
        if BORDER:
            seen = may_attend(n[:, None], m[None, :], N, M, past, mask, b, h, CAUSAL, RADIUS, W)
            weights = tl.where(seen, weights, 0.0)
        d_weights = product(d_out, tl.trans(v_tile))
        d_scores = weights * (d_weights - delta[:, None])
        d_q = add_product(d_q, d_scores, k_tile)
    return d_q


@triton.jit
def query_gradient(
    q, k, v, mask, out, d_out, d_q, normaliser, delta, heads, N, M, past, factor, scale,
    CAUSAL: tl.constexpr, RADIUS: tl.constexpr, W: tl.constexpr, D: tl.constexpr, WIDE: tl.constexpr,
    TILE_N: tl.constexpr, TILE_M: tl.constexpr, INSIDE: tl.constexpr, BORDER: tl.constexpr,
):  # fmt: skip
    """dq for one tile of queries; and delta = out · dout, each row's own, which `key_value_gradients` reads afterwards.

    delta_n = Σ_m weights_nm (dout_n · v_m): what the softmax's gradient subtracts, without a pass over the keys.
    """
    first = (tl.num_programs(0) - 1 - tl.program_id(0)) * TILE_N
    b, h = tl.program_id(1) // heads, tl.program_id(1) % heads
    n = first + tl.arange(0, TILE_N)
    q_tile = load_rows(matrix_of(q, b, h), n, N, D, WIDE, True)
    d_out_tile = load_rows(matrix_of(d_out, b, h), n, N, D, WIDE, True)
    out_tile = load_rows(matrix_of(out, b, h), n, N, D, WIDE, True)
    delta_tile = tl.sum(out_tile.to(delta.dtype.element_ty) * d_out_tile.to(delta.dtype.element_ty), 1)  # (TILE_N,)
    tl.store(delta + tl.program_id(1).to(tl.int64) * N + n, delta_tile, mask=n < N)
    largest, log_total = load_normaliser(normaliser + tl.program_id(1).to(tl.int64) * 2 * N, n, N, True)
    k, v = matrix_of(k, b, h), matrix_of(v, b, h)
    total = tl.zeros((TILE_N, WIDE), normaliser.dtype.element_ty)
    start, border, stop = keys_to_meet(first, N, M, past, mask, CAUSAL, RADIUS, W, TILE_N, TILE_M)
    if INSIDE:
        total = add_query_gradient(
            total, q_tile, d_out_tile, k, v, largest, log_total, delta_tile, start, border, first, N, M, past, mask, b, h, factor,
            CAUSAL, RADIUS, W, D, WIDE, TILE_N, TILE_M, False,
        )  # fmt: skip
    if BORDER:
        total = add_query_gradient(
            total, q_tile, d_out_tile, k, v, largest, log_total, delta_tile, border, stop, first, N, M, past, mask, b, h, factor,
            CAUSAL, RADIUS, W, D, WIDE, TILE_N, TILE_M, True,
        )  # fmt: skip
    store_rows(matrix_of(d_q, b, h), scale * total, n, N, D, WIDE)


@triton.jit
def add_key_value_gradients(
    d_k, d_v, q, d_out, k, v, normaliser, delta, start, stop, first, N, M, past, mask, b, h, factor,
    CAUSAL: tl.constexpr, RADIUS: tl.constexpr, W: tl.constexpr, D: tl.constexpr, WIDE: tl.constexpr,
    TILE_N: tl.constexpr, TILE_M: tl.constexpr, BORDER: tl.constexpr,
):  # fmt: skip
    """Take in the queries from `start` to `stop`. All tiles are transposed, keys down and queries across:
    dv_m += Σ_n weights_nm dout_n,   dk_m += Σ_n weights_nm (dout_n · v_m - delta_n) q_n."""
    m = first + tl.arange(0, TILE_M)
    for at in range(start, stop, TILE_N):
        n = at + tl.arange(0, TILE_N)
        q_tile, d_out_tile = load_rows(q, n, N, D, WIDE, BORDER), load_rows(d_out, n, N, D, WIDE, BORDER)
        largest, log_total = load_normaliser(normaliser, n, N, BORDER)
        if BORDER:
            delta_tile = tl.load(delta + n, mask=n < N, other=0.0)
        else:
            delta_tile = tl.load(delta + n)
        scores = product(k, tl.trans(q_tile))  # (TILE_M, TILE_N)
        weights = tl.exp2(factor * scores - largest[None, :] - log_total[None, :])
        if BORDER:
            seen = may_attend(n[None, :], m[:, None], N, M, past, mask, b, h, CAUSAL, RADIUS, W)
            weights = tl.where(seen, weights, 0.0)
        d_v = add_product(d_v, weights, d_out_tile)
        d_weights = product(v, tl.trans(d_out_tile))
        d_scores = weights * (d_weights - delta_tile[None, :])
        d_k = add_product(d_k, d_scores, q_tile)
    return d_k, d_v


@triton.jit
def key_value_gradients(
    q, k, v, mask, d_out, d_k, d_v, normaliser, delta, heads, N, M, past, factor, scale,
    CAUSAL: tl.constexpr, RADIUS: tl.constexpr, W: tl.constexpr, D: tl.constexpr, WIDE: tl.constexpr,
    TILE_N: tl.constexpr, TILE_M: tl.constexpr, INSIDE: tl.constexpr, BORDER: tl.constexpr,
):  # fmt: skip
    """dk and dv for one tile of keys; the first keys, which where causal most queries see, come first."""
    first = tl.program_id(0) * TILE_M
    b, h = tl.program_id(1) // heads, tl.program_id(1) % heads
    m = first + tl.arange(0, TILE_M)
    k_tile = load_rows(matrix_of(k, b, h), m, M, D, WIDE, True)
    v_tile = load_rows(matrix_of(v, b, h), m, M, D, WIDE, True)
    q, d_out = matrix_of(q, b, h), matrix_of(d_out, b, h)
    d_k_tile = tl.zeros((TILE_M, WIDE), normaliser.dtype.element_ty)
    d_v_tile = tl.zeros((TILE_M, WIDE), normaliser.dtype.element_ty)
    normaliser += tl.program_id(1).to(tl.int64) * 2 * N
    delta += tl.program_id(1).to(tl.int64) * N
    start, inside, border, stop = queries_to_meet(first, N, M, past, mask, CAUSAL, RADIUS, W, TILE_N, TILE_M)
    if BORDER:
        d_k_tile, d_v_tile = add_key_value_gradients(
            d_k_tile, d_v_tile, q, d_out, k_tile, v_tile, normaliser, delta, start, inside, first, N, M, past, mask, b, h, factor,
            CAUSAL, RADIUS, W, D, WIDE, TILE_N, TILE_M, True,
        )  # fmt: skip
    if INSIDE:
        d_k_tile, d_v_tile = add_key_value_gradients(
            d_k_tile, d_v_tile, q, d_out, k_tile, v_tile, normaliser, delta, inside, border, first, N, M, past, mask, b, h, factor,
            CAUSAL, RADIUS, W, D, WIDE, TILE_N, TILE_M, False,
        )  # fmt: skip
    if BORDER and INSIDE:
        d_k_tile, d_v_tile = add_key_value_gradients(
            d_k_tile, d_v_tile, q, d_out, k_tile, v_tile, normaliser, delta, border, stop, first, N, M, past, mask, b, h, factor,
            CAUSAL, RADIUS, W, D, WIDE, TILE_N, TILE_M, True,
        )  # fmt: skip
    store_rows(matrix_of(d_k, b, h), scale * d_k_tile, m, M, D, WIDE)
    store_rows(matrix_of(d_v, b, h), d_v_tile, m, M, D, WIDE)
