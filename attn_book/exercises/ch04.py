"""The exercises of chapter 4, the formula."""

import numpy as np

from attn_book.exercises.exercise import Exercise
from attn_utils.reference import gaussian_scores, softmax, softmax_jacobian


def _half_squares(k):
    return (k**2).sum(axis=-1) / 2


kernel_weights_from_dots = Exercise(
    "kernel regression with dot products only",
    lambda q, k, h: softmax(gaussian_scores(q / h, k / h, 1.0)),
    [
        (
            np.array([[1.0, 0], [0, 2], [1, 1]]),
            np.array([[2.0, 0], [0, 1], [1, 2], [3, 1]]),
            np.array([1.5, 0.7]),
        ),
        (np.array([[0.5, 0, 1], [-1.0, 2, 0]]), np.array([[1.0, 0, 0], [0.0, 1, 2], [-2.0, 0, 1]]), np.array([0.8, 2.0, 1.2])),
    ],
    {
        "these are the weights for keys of equal length; the part of the key alone, its squared length, is missing": (
            lambda q, k, h: softmax((q / h) @ (k / h).T)
        ),
        "a half is missing: the squared length of a key counts half as much as its dot product": (
            lambda q, k, h: softmax((q / h) @ (k / h).T - 2 * _half_squares(k / h))
        ),
        "the sign of the squared lengths is wrong: a long key should lose": (
            lambda q, k, h: softmax((q / h) @ (k / h).T + _half_squares(k / h))
        ),
        "the squared lengths are those of the keys as they came; they too are measured in bandwidths": (
            lambda q, k, h: softmax((q / h) @ (k / h).T - _half_squares(k))
        ),
        "only the queries are divided by the bandwidths; divide the keys as well": (
            lambda q, k, h: softmax((q / h) @ k.T - _half_squares(k))
        ),
        "the queries and keys are multiplied by the bandwidths; divide them": (
            lambda q, k, h: softmax((q * h) @ (k * h).T - _half_squares(k * h))
        ),
        "these are the scores; the softmax is missing": lambda q, k, h: (q / h) @ (k / h).T - _half_squares(k / h),
        "the columns sum to 1; the softmax runs over the keys, the last axis": (
            lambda q, k, h: softmax((q / h) @ (k / h).T - _half_squares(k / h), axis=0)
        ),
    },
    tolerance=1e-9,
)


def _temperature_where(spread, scores, target, low=1e-3, high=1e3):
    """The temperature at which a growing ``spread`` of the weights reaches the target, by halving the interval."""
    for _ in range(100):
        middle = np.sqrt(low * high)
        low, high = (middle, high) if spread(softmax(scores / middle)) < target else (low, middle)
    return middle


def _entropy(weights):
    return -(weights * np.log(np.maximum(weights, 1e-300))).sum()


temperature_for_keys = Exercise(
    "a temperature for a wanted number of keys",
    lambda scores, keys: _temperature_where(lambda w: np.exp(_entropy(w)), scores, keys),
    [(np.array([1.0, 2.0, 4.0, 7.0, 7.5]), 3.0), (np.array([-1.0, 0.0, 0.5, 3.0]), 1.5)],
    {
        "this is one over the temperature": lambda s, n: 1 / _temperature_where(lambda w: np.exp(_entropy(w)), s, n),
        "this is always 1: the temperature depends on the scores and on the number of keys": lambda s, n: 1.0,
        "2 to the power of an entropy in nats: use exp, or take the logarithm to base 2": (
            lambda s, n: _temperature_where(lambda w: 2 ** _entropy(w), s, n)
        ),
        "here the entropy itself equals the number of keys; the effective number is its exponential": (
            lambda s, n: _temperature_where(_entropy, s, n)
        ),
        "this is 1 / Σ w², another count of keys; we mean exp of the entropy": (
            lambda s, n: _temperature_where(lambda w: 1 / (w**2).sum(), s, n)
        ),
    },
    tolerance=1e-3,
)


def _d_scaled(scores, temperature, d_weights):
    return softmax_jacobian(softmax(scores / temperature)) @ d_weights


temperature_gradient = Exercise(
    "the gradient of the temperature",
    lambda s, T, g: -(_d_scaled(s, T, g) @ s) / T**2,
    [
        (np.array([0.0, 1.0, 3.0]), 0.7, np.array([1.0, 0.0, -2.0])),
        (np.array([-1.0, 0.5, 2.0, 2.5]), 3.0, np.array([0.3, -1.0, 2.0, 0.5])),
    ],
    {
        "the sign is wrong: scores / T shrink as T grows": lambda s, T, g: _d_scaled(s, T, g) @ s / T**2,
        "the derivative of 1 / T is -1 / T², not -1 / T": lambda s, T, g: -(_d_scaled(s, T, g) @ s) / T,
        "this is the gradient by 1 / T; one more step leads to T": lambda s, T, g: _d_scaled(s, T, g) @ s,
        "a score moves the other weights too: use the whole Jacobian, not its diagonal": (
            lambda s, T, g: -(np.diag(softmax_jacobian(softmax(s / T))) * g) @ s / T**2
        ),
        "the Jacobian is diag(a) - a aᵀ; its second part is missing": lambda s, T, g: -(softmax(s / T) * g) @ s / T**2,
        "this is the gradient by the scores; T is one number, sum what it moves": (lambda s, T, g: _d_scaled(s, T, g) / T),
        "the weights are those at temperature 1": lambda s, T, g: -(_d_scaled(s, 1.0, g) @ s) / T**2,
    },
)
