"""The exercises of chapter 17, the six questions."""

import numpy as np

from attn_book.exercises.exercise import Exercise


def _compose(first, then):
    (a, b), (a_then, b_then) = first, then
    return np.stack([a_then * a, a_then * b + b_then])


_first = np.array([[0.5, 0.9, 0.2], [1.0, -2.0, 3.0]])
_then = np.array([[0.25, 0.5, 0.75], [4.0, 0.5, -1.0]])
compose = Exercise(
    "two steps in one",
    _compose,
    [(_first, _then), (_then, _first), (np.array([[1.0], [0.0]]), np.array([[0.3], [2.0]]))],
    {
        "the order counts: `then` acts on what `first` has left": lambda first, then: _compose(then, first),
        "what the first step adds is kept in part only, as much as the second keeps": (
            lambda first, then: np.stack([then[0] * first[0], first[1] + then[1]])
        ),
        "what is kept is kept twice: multiply, do not add": (
            lambda first, then: np.stack([first[0] + then[0], then[0] * first[1] + then[1]])
        ),
    },
)


def _left_of_first(z):
    return z[0] * np.prod(1 - z[1:], axis=0)


_z = np.array([[0.5, 0.1], [0.25, 0.9], [0.5, 0.5], [0.2, 0.3]])
left_of_first = Exercise(
    "what is left of the first candidate",
    _left_of_first,
    [(_z,), (_z[:1],), (_z[::-1][:3],)],
    {
        "the first candidate was let in by its own gate only in part: z_1": lambda z: np.prod(1 - z[1:], axis=0),
        "the first step does not forget what it has just let in: the product begins at the second": (
            lambda z: z[0] * np.prod(1 - z, axis=0)
        ),
        "a gate z lets in; what is kept is 1 − z": lambda z: z[0] * np.prod(z[1:], axis=0),
        "what is kept of what is kept is a product, not a sum": lambda z: z[0] * (1 - z[1:]).sum(axis=0),
    },
)


def _half_of(field, *, rising=False):
    values = np.sort(field.ravel())
    values = values if rising else values[::-1]
    return (np.searchsorted(np.cumsum(values), values.sum() / 2 - 1e-12) + 1) / field.size


half_of = Exercise(
    "the pixels that hold half",
    _half_of,
    [
        (np.array([[4.0, 1.0], [2.0, 1.0]]),),
        (np.ones((3, 4)),),
        (np.array([[0.1, 0.7, 0.3, 0.4], [0.2, 0.9, 0.6, 0.5]]),),
    ],
    {
        "begin with the largest: the smallest share of the pixels is asked for": lambda f: _half_of(f, rising=True),
        "a share of the pixels, not their number": lambda f: _half_of(f) * f.size,
        "half of the sum, not half of the largest value": lambda f: float((f >= f.max() / 2).mean()),
    },
)
