"""The exercises of chapter 2, core concepts."""

import numpy as np

from attn_book.exercises.exercise import Exercise
from attn_utils.reference import attention, softmax

_some = np.random.default_rng(2)
hard_attention = Exercise(
    "hard attention",
    lambda q, k, v: v[(q @ k.T).argmax(axis=-1)],
    [
        (np.array([[1.0, 0], [0, 1], [1, 1]]), np.array([[2.0, 0], [0, 3], [1, 1], [-1, -1]]), np.arange(12.0).reshape(4, 3)),
        tuple(_some.standard_normal(shape) for shape in ((5, 2), (7, 2), (7, 3))),
    ],
    {
        "this is soft attention; take the one value with the largest score": lambda q, k, v: attention(q, k, v, scale=1.0)[0],
        "these are the numbers of the keys; return their values": lambda q, k, v: (q @ k.T).argmax(axis=-1),
        "the largest score is sought over the queries; every query chooses a key": lambda q, k, v: v[
            (q @ k.T).argmax(axis=0) % len(v)
        ],
        "this is the worst-matching key": lambda q, k, v: v[(q @ k.T).argmin(axis=-1)],
        "this finds the nearest key; here the largest dot product counts": (
            lambda q, k, v: v[((q[:, None] - k[None]) ** 2).sum(axis=-1).argmin(axis=-1)]
        ),
    },
)


def _channel_attention(X, *, axis=-1, size=len):
    return X @ softmax(X.T @ X / size(X) ** 0.5, axis).T


channel_attention = Exercise(
    "channels that ask channels",
    _channel_attention,
    [(_some.standard_normal((7, 3)),), (np.array([[1.0, 2], [0, -1], [3, 1], [1, 1]]),)],
    {
        "this is spatial attention, places ask places; transpose first": lambda X: attention(X, X, X)[0],
        "the result has a row for each channel; transpose it back": lambda X: _channel_attention(X).T,
        "each query's weights must sum to 1 over the keys; this softmax runs over the queries": (
            lambda X: _channel_attention(X, axis=0)
        ),
        "the width of a token is now N, so the scale is 1/√N": lambda X: _channel_attention(X, size=lambda X: X.shape[1]),
        "the scale 1/√N is missing": lambda X: _channel_attention(X, size=lambda X: 1),
        "these are the weights; mix the channels with them": lambda X: softmax(X.T @ X / len(X) ** 0.5),
    },
)
