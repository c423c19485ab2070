"""The exercises of chapter 6, a field guide."""

import numpy as np
from scipy.special import expit

from attn_book.exercises.exercise import Exercise
from attn_utils.reference import softmax


def _squeeze_excite(x, reduce, expand, *, hidden=lambda h: np.maximum(h, 0), gate=expit):
    """Squeeze-and-excitation of one map (C, H, W), with its two functions to be swapped."""
    weights = gate(expand @ hidden(reduce @ x.mean(axis=(1, 2))))
    return weights[:, None, None] * x


_feature_map = np.array([[[0.5, 1.5, -1.0]], [[-1.0, 0.25, -2.0]], [[2.0, 3.5, 1.25]], [[1.0, 0.75, 2.0]]])  # (4, 1, 3)
_other_map = np.array([[[0.5], [2.0]], [[1.0], [0.25]], [[4.0], [1.0]], [[3.0], [0.5]]])  # (4, 2, 1)
_reduce = np.array([[1.0, -0.5, 0.25, 0.0], [-0.75, 1.0, -0.5, 0.5]])
_other_reduce = np.array([[-1.0, 0.5, 0.75, 0.25], [0.75, -1.0, 0.5, -0.5]])
_expand = np.array([[1.0, -1.0], [0.5, 2.0], [-2.0, 0.25], [0.0, 1.5]])
squeeze_excite = Exercise(
    "squeeze and excitation of one feature map",
    _squeeze_excite,
    [(_feature_map, _reduce, _expand), (_other_map, _other_reduce, _expand)],
    {
        "the channels are gated one by one, with a sigmoid; a softmax makes them compete": (
            lambda x, r, e: _squeeze_excite(x, r, e, gate=softmax)
        ),
        "there is a ReLU between the two matrices": lambda x, r, e: _squeeze_excite(x, r, e, hidden=lambda h: h),
        "the sigmoid comes once, at the end; between the matrices stands a ReLU": (
            lambda x, r, e: _squeeze_excite(x, r, e, hidden=expit)
        ),
        "scores are not weights yet: a sigmoid is missing": lambda x, r, e: _squeeze_excite(x, r, e, gate=lambda s: s),
        "these are the gates; multiply the map with them": lambda x, r, e: (_squeeze_excite(x, r, e) / x)[:, 0, 0],
        "squeeze by the mean over the picture, not by the sum": (lambda x, r, e: _squeeze_excite(x, r * x[0].size, e)),
    },
)


def _same_window(N, window, shift, *, label=lambda n, w, s, N: (n - s) // w):
    labels = label(np.arange(N), window, shift, N)
    return labels[:, None] == labels[None, :]


same_shifted_window = Exercise(
    "who shares a shifted window, in one dimension",
    _same_window,
    [(12, 4, 2), (10, 5, 1), (9, 3, 0)],
    {
        "tokens that only the roll has brought together must not see each other": (
            lambda N, w, s: _same_window(N, w, s, label=lambda n, w, s, N: ((n - s) % N) // w)
        ),
        "these windows are moved the other way": (lambda N, w, s: _same_window(N, w, s, label=lambda n, w, s, N: (n + s) // w)),
        "this ignores the shift": lambda N, w, s: _same_window(N, w, 0),
        "a window is cut once and for all; this one moves with the query": (
            lambda N, w, s: np.abs(np.arange(N)[:, None] - np.arange(N)[None, :]) < w
        ),
        "True means may attend; this is the opposite": lambda N, w, s: ~_same_window(N, w, s),
    },
)


def _bilinear(picture, x, y, *, near=lambda t: np.maximum(0, 1 - np.abs(t))):
    rows, columns = np.arange(picture.shape[0]), np.arange(picture.shape[1])
    return near(y - rows) @ picture @ near(x - columns)


def _clamped(picture, x, y):
    height, width = picture.shape
    return _bilinear(picture, np.clip(x, 0, width - 1), np.clip(y, 0, height - 1))


_picture = np.array([[1.0, 2.0, 3.75, 6.0], [9.0, 12.25, 15.75, 19.5], [23.5, 28.0, 32.5, 37.5]])
read_between_pixels = Exercise(
    "reading a picture between its pixels",
    _bilinear,
    [(_picture, 1.25, 0.5), (_picture, 2.0, 1.0), (_picture, 0.1, 1.9), (_picture, 3.5, 1.25), (_picture, -2.0, 0.0)],
    {
        "x runs to the right, along the columns, and y down": lambda p, x, y: _bilinear(p, y, x),
        "outside the picture everything is 0; this repeats its border": _clamped,
        "this takes the nearest pixel; four of them share the weight": (
            lambda p, x, y: _bilinear(p, x, y, near=lambda t: np.float64(np.rint(t) == 0))
        ),
        "this always takes the pixel above and to the left": (
            lambda p, x, y: _bilinear(p, x, y, near=lambda t: np.float64(np.floor(t) == 0))
        ),
        "each weight is 1 minus a distance, so that a point on a pixel reads that pixel": (
            lambda p, x, y: _bilinear(p, x, y, near=lambda t: np.where(np.abs(t) < 1, np.abs(t), 0.0))
        ),
    },
)
