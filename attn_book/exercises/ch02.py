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


def _box_of_weights(weights, *, half_pixel=0.5, widths=3**0.5):
    y, x = np.indices(weights.shape) + half_pixel
    mean = np.array([(weights * x).sum(), (weights * y).sum()])
    half = widths * np.sqrt((weights * x**2).sum() - mean[0] ** 2), widths * np.sqrt((weights * y**2).sum() - mean[1] ** 2)
    return np.concatenate([mean - half, mean + half])


def _rectangle(top, left, bottom, right):
    weights = np.zeros((9, 14))
    weights[top:bottom, left:right] = 1 / ((bottom - top) * (right - left))
    return weights


box_of_weights = Exercise(
    "a box from weights",
    _box_of_weights,
    [(_rectangle(2, 3, 7, 6),), (_rectangle(1, 4, 4, 13),), (softmax(_some.standard_normal(63) * 2).reshape(7, 9),)],
    {
        "x and y are exchanged: x runs along the columns": lambda w: _box_of_weights(w)[[1, 0, 3, 2]],
        "half a pixel is missing: the centre of the first pixel is (½, ½)": lambda w: _box_of_weights(w, half_pixel=0.0),
        "one standard deviation is too little: a box reaches √3 of them to each side": lambda w: _box_of_weights(w, widths=1.0),
        "3 standard deviations are too much: it is the root of 3": lambda w: _box_of_weights(w, widths=3.0),
        "√12 standard deviations are the whole width; each side gets half of it": lambda w: _box_of_weights(w, widths=12**0.5),
        "this is centre and half width; the corners are wanted": (
            lambda w: (lambda b: np.concatenate([(b[:2] + b[2:]) / 2, (b[2:] - b[:2]) / 2]))(_box_of_weights(w))
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
