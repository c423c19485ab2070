"""The exercises of chapter 1, why attention."""

import numpy as np

from attn_book.exercises.exercise import Exercise
from attn_utils.reference import gaussian_scores, softmax


def _scores(query, keys, h):
    return gaussian_scores(query[None], keys, h)[0]


def _unshifted_softmax(scores):
    with np.errstate(divide="ignore", invalid="ignore"):
        weights = np.exp(scores)
        return weights / weights.sum(-1, keepdims=True)


def _layers_needed(distance, side, doubling):
    layers, reached, dilation = 0, 0, 1
    while reached < distance:
        layers, reached = layers + 1, reached + (side // 2) * dilation
        dilation *= 2 if doubling else 1
    return layers


patch_weights = Exercise(
    "weights of one query",
    lambda query, keys, h: softmax(_scores(query, keys, h)),
    [
        (np.array([1.0, 0.0]), np.array([[1.0, 0.0], [0.0, 0.0], [1.0, 2.0]]), 0.8),
        (np.array([0.2, 0.4, 0.9]), np.array([[0.1, 0.5, 0.9], [0.9, 0.1, 0.3]]), 2.0),
        (np.array([100.0]), np.array([[0.0], [1.0], [1.5]]), 1.0),
    ],
    {
        "far from all keys every exponential is 0 and the fraction is 0/0; subtract the largest score first": lambda q, k, h: (
            _unshifted_softmax(_scores(q, k, h))
        ),
        "the weights do not sum to 1; divide by their sum": lambda q, k, h: np.exp(_scores(q, k, h)),
        "unlike patches get the most; the distance needs a minus sign": lambda q, k, h: softmax(-_scores(q, k, h)),
        "the distance is not squared": lambda q, k, h: softmax(-np.sqrt(-_scores(q, k, h) * 2 * h**2) / (2 * h**2)),
        "the factor 2 beside h² is missing": lambda q, k, h: softmax(2 * _scores(q, k, h)),
        "divide by 2h², not by 2h": lambda q, k, h: softmax(_scores(q, k, h) * h),
    },
)
layers_needed = Exercise(
    "how many layers",
    _layers_needed,
    [(1, 3, False), (10, 5, False), (223, 3, False), (224, 7, False), (7, 3, True), (256, 3, True), (11, 5, True)],
    {
        "a kernel of side k reaches (k − 1)/2 pixels to each side, not k": lambda r, k, doubling: next(
            n for n in range(999) if k * (2**n - 1 if doubling else n) >= r
        ),
        "round up: the last, partly used layer counts too": lambda r, k, doubling: (
            int(np.log2(r / (k // 2) + 1)) if doubling else r // (k // 2)
        ),
        "with doubling, n layers reach 2ⁿ − 1 times the radius of the kernel, not 2ⁿ times": lambda r, k, doubling: next(
            n for n in range(999) if (k // 2) * (2**n if doubling else n) >= r
        ),
        "this ignores the dilation": lambda r, k, doubling: _layers_needed(r, k, False),
    },
)


def _leave_one_out(x, v, widths, *, predict=lambda scores, v: softmax(_without_itself(scores)) @ v):
    return np.array([((predict(gaussian_scores(x, x, h), v) - v) ** 2).mean() for h in widths])


def _without_itself(scores, of_itself=-np.inf):
    return np.where(np.eye(len(scores), dtype=bool), of_itself, scores)


_some = np.random.default_rng(1)
leave_one_out = Exercise(
    "tuning without the clean photograph",
    _leave_one_out,
    [
        (np.array([[0.0], [0.5], [2.0]]), np.array([[1.0], [0.0], [4.0]]), [0.5, 1.0, 3.0]),
        (_some.standard_normal((7, 2)), _some.standard_normal((7, 3)), [0.3, 2.0]),
    ],
    {
        "with a small h every pixel predicts itself, noise and all; give it a score of -inf with itself": lambda x, v, widths: (
            _leave_one_out(x, v, widths, predict=lambda scores, v: softmax(scores) @ v)
        ),
        "the weights of the others must still sum to 1; mask the scores, before the softmax": lambda x, v, widths: _leave_one_out(
            x, v, widths, predict=lambda scores, v: _without_itself(softmax(scores), 0.0) @ v
        ),
        "mask each pixel's score with itself; this masks a key for all queries": lambda x, v, widths: _leave_one_out(
            x, v, widths, predict=lambda scores, v: softmax(scores[:, 1:]) @ v[1:]
        ),
        "the columns sum to 1; the softmax runs over the keys, the last axis": lambda x, v, widths: _leave_one_out(
            x, v, widths, predict=lambda scores, v: softmax(_without_itself(scores), 0) @ v
        ),
        "this is the root of the mean squared error": lambda x, v, widths: np.sqrt(_leave_one_out(x, v, widths)),
        "take the mean over all values, not the sum": lambda x, v, widths: _leave_one_out(x, v, widths) * v.size,
        "this is the best bandwidth; return the error of each": lambda x, v, widths: widths[
            _leave_one_out(x, v, widths).argmin()
        ],
    },
)
