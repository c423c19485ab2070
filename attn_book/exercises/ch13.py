"""The exercises of chapter 13, what attention costs."""

import numpy as np

from attn_book.exercises.exercise import Exercise
from attn_utils.reference import attention


def _absorb(largest, total, mix, scores, values, *, shrink=True, shrink_mix=True, reset=False):
    new = scores.max() if reset else max(largest, scores.max())
    old = np.exp(largest - new) if shrink else 1.0
    terms = np.exp(scores - new)
    return np.array([new, old * total + terms.sum(), *((old if shrink_mix else 1.0) * mix + terms @ values)])


_values = np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 1.0]])
absorb = Exercise(
    "one more tile of keys",
    _absorb,
    [
        (0.5, 2.0, np.array([1.0, 4.0]), np.array([2.0, -1.0, 1.5]), _values),  # a larger score comes
        (3.0, 1.25, np.array([0.5, -1.0]), np.array([0.25, 1.0, -2.0]), _values),  # none does
        (-np.inf, 0.0, np.zeros(2), np.array([7.0, 6.5, 5.0]), _values),  # the first tile
    ],
    {
        "a larger score has come: what was there before must shrink, too": (
            lambda m, Z, U, s, v: _absorb(m, Z, U, s, v, shrink=False, shrink_mix=False)
        ),
        "the sum has shrunk and the mix has not": lambda m, Z, U, s, v: _absorb(m, Z, U, s, v, shrink_mix=False),
        "the largest so far may lie in an earlier tile": lambda m, Z, U, s, v: _absorb(m, Z, U, s, v, reset=True),
        "divide once, after the last tile": (
            lambda m, Z, U, s, v: _absorb(m, Z, U, s, v) / np.array([1, 1, *[_absorb(m, Z, U, s, v)[1]] * len(U)])
        ),
    },
)


def _linear(phi_q, phi_k, v, *, normalised=True, over_queries=False):
    total = phi_q @ phi_k.sum(axis=0)
    if over_queries:
        return (phi_q / phi_q.sum(axis=0)) @ (phi_k.T @ v)
    mixed = phi_q @ (phi_k.T @ v)
    return mixed / total[:, None] if normalised else mixed


_phi_q = np.array([[1.0, 0.5, 2.0], [0.25, 3.0, 0.75]])
_phi_k = np.array([[2.0, 1.0, 0.5], [0.5, 0.25, 4.0], [1.0, 2.0, 1.5], [0.75, 0.5, 0.25]])
_v = np.array([[1.0, -1.0], [2.0, 0.5], [0.0, 3.0], [-2.0, 1.5]])
linear_mix = Exercise(
    "attention without the table of pairs",
    _linear,
    [(_phi_q, _phi_k, _v), (_phi_q[:1], _phi_k[:2], _v[:2])],
    {
        "the weights of a query must sum to 1: divide by their sum": lambda q, k, v: _linear(q, k, v, normalised=False),
        "a sum over the keys belongs below, for each query its own": lambda q, k, v: _linear(q, k, v, over_queries=True),
        "there is no softmax here: the products of features are the weights already": lambda q, k, v: attention(
            q, k, v, scale=1.0
        )[0],
    },
)


def _bytes(N, d, tile, *, each=4, both=True):
    """Of the forward pass, in float32: the output, two numbers a query, and one tile of scores."""
    return each * (N * d + 2 * N + tile * (tile if both else N))


tiled_bytes = Exercise(
    "the memory of tiled attention",
    _bytes,
    [(4096, 64, 128), (16384, 64, 512), (1000, 32, 10)],
    {
        "a number in float32 takes four bytes": lambda N, d, tile: _bytes(N, d, tile, each=1),
        "a tile has `tile` queries and `tile` keys, not all of them": lambda N, d, tile: _bytes(N, d, tile, both=False),
        "the largest score and the sum are kept for every query": lambda N, d, tile: 4 * (N * d + tile * tile),
        "the table of all pairs is what we are getting rid of": lambda N, d, tile: 4 * (N * d + 2 * N + N * N),
    },
)
