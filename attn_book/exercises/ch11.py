"""The exercises of chapter 11, synthesis."""

import numpy as np

from attn_book.exercises.exercise import Exercise


def _product(shapes, colours):
    return np.einsum("kp, kc -> pc", shapes, colours)


_SHAPES = np.array([[1.0, 0.0, 2.0, -1.0], [0.5, 1.0, 0.0, 3.0]])
_COLOURS = np.array([[0.9, 0.1, 0.0], [0.2, 0.2, 0.8]])

product = Exercise(
    "shape times colour",
    _product,
    [(_SHAPES, _COLOURS), (_SHAPES[:1], _COLOURS[:1])],
    {
        "this has a row for each channel: pixels come first": lambda s, c: _product(s, c).T,
        "add the products up, do not average them": lambda s, c: _product(s, c) / len(s),
        "every shape meets its own colour only, not those of the other terms": lambda s, c: np.outer(s.sum(0), c.sum(0)),
        "a sum of shape and colour is what a linear layer does anyway: multiply": lambda s, c: (
            s[:, :, None] + c[:, None, :]
        ).sum(0),
        "keep the sum over the terms: one picture comes out": lambda s, c: s[:, :, None] * c[:, None, :],
    },
)


def _exchanged(weights, values, one, other):
    order = np.arange(weights.shape[1])
    order[[one, other]] = other, one
    return weights[:, order] @ values


_WEIGHTS = np.array([[0.5, 0.2, 0.3, 0.0], [0.1, 0.1, 0.2, 0.6], [0.0, 1.0, 0.0, 0.0]])
_VALUES = np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 1.0], [-1.0, 4.0]])


def _set_equal(weights, values, one, other):
    changed = weights.copy()
    changed[:, one] = weights[:, other]
    return changed @ values


exchange_words = Exercise(
    "what patches read when two words change places",
    _exchanged,
    [(_WEIGHTS, _VALUES, 0, 3), (_WEIGHTS, _VALUES, 2, 1)],
    {
        "this is what they read anyway: nothing changes, either, when weights and values both change places": (
            lambda w, v, one, other: w @ v
        ),
        "the second word kept its old weight: a copy of the weights is needed before they are written": _set_equal,
        "the columns of the weights belong to words; these are the patches that changed places": lambda w, v, one, other: (
            _rows_exchanged(w, one, other) @ v
        ),
    },
)


def _rows_exchanged(weights, one, other):
    order = np.arange(len(weights))
    one, other = one % len(weights), other % len(weights)
    order[[one, other]] = other, one
    return weights[order]


def _psnr(made, truth, hole, log=np.log10):
    return 10 * log(1 / ((made - truth)[hole] ** 2).mean())


_RNG = np.random.default_rng(0)
_TRUTH, _MADE = _RNG.random((6, 5)), _RNG.random((6, 5))
_HOLE = np.zeros((6, 5), bool)
_HOLE[1:4, 2:4] = True

psnr = Exercise(
    "PSNR of what was filled in",
    _psnr,
    [(_MADE, _TRUTH, _HOLE), (_TRUTH + 0.1, _TRUTH, _HOLE)],
    {
        "only the pixels of the hole count: elsewhere nothing was filled in": lambda m, t, h: _psnr(m, t, np.ones_like(h)),
        "decibels have the logarithm to base 10": lambda m, t, h: _psnr(m, t, h, np.log),
        "the sign: a smaller error is a larger PSNR": lambda m, t, h: -_psnr(m, t, h),
        "this takes the root of the mean square first; 10 log of its square, or 20 log of the root": lambda m, t, h: (
            _psnr(m, t, h) / 2
        ),
        "the mean over the hole, not the sum": lambda m, t, h: _psnr(m, t, h) - 10 * np.log10(h.sum()),
    },
)
