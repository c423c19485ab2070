"""The exercises of chapter 7, classification."""

import numpy as np
from scipy.stats import t as student_t

from attn_book.exercises.exercise import Exercise


def _pointing_game(maps, masks, pick=np.argmax):
    best = np.array([pick(m) for m in maps])
    return masks.reshape(len(masks), -1)[np.arange(len(maps)), best].mean()


pointing_game = Exercise(
    "the pointing game",
    _pointing_game,
    [
        (
            np.array([[[1.0, 5.0], [2.0, 0.0]], [[0.0, 1.0], [7.0, 3.0]], [[4.0, 1.0], [1.0, 2.0]]]),
            np.array([[[False, True], [True, False]], [[True, True], [False, True]], [[True, False], [False, False]]]),
        ),
        (np.array([[[0.1, 0.2, 0.9], [0.3, 0.4, 0.0]]]), np.array([[[False, False, True], [True, True, True]]])),
    ],
    {
        "this is the share of the response inside the mask; the pointing game looks at the largest value only": lambda m, k: (
            (m * k).sum((1, 2)) / m.sum((1, 2))
        ).mean(),
        "this points at the smallest response": lambda m, k: _pointing_game(m, k, np.argmin),
        "this looks for the largest response of all pictures together; each picture has its own": lambda m, k: float(
            k[np.unravel_index(m.argmax(), m.shape)]
        ),
        "this counts the hits; return their share": lambda m, k: _pointing_game(m, k) * len(m),
        "a hit is one pixel, the one with the largest response, inside the mask: this asks only that the mask is not empty": lambda m, k: (
            k.any((1, 2)).mean()
        ),
    },
)


def _interval_of_mean(values, factor=lambda n: student_t.ppf(0.975, n - 1), ddof=1, root=np.sqrt):
    n = len(values)
    half = factor(n) * np.std(values, ddof=ddof) / root(n)
    return np.array([np.mean(values) - half, np.mean(values) + half])


interval_of_mean = Exercise(
    "the 95 % interval of a mean",
    _interval_of_mean,
    [(np.array([0.91, 0.93, 0.92, 0.95, 0.90]),), (np.array([0.2, 0.3, 0.25]),), (np.array([1.0, 0.0, 0.5, 0.5]),)],
    {
        "this is the spread of single runs; the mean of n runs is more certain, by √n": lambda v: _interval_of_mean(
            v, root=lambda n: 1
        ),
        "divide by n − 1 in the variance (ddof=1): the mean was estimated from the same runs": lambda v: _interval_of_mean(
            v, ddof=0
        ),
        "1.96 belongs to many runs; with a few, Student's t is wider": lambda v: _interval_of_mean(
            v, factor=lambda n: 1.959963985
        ),
        "n runs leave n − 1 degrees of freedom": lambda v: _interval_of_mean(v, factor=lambda n: student_t.ppf(0.975, n)),
        "ppf(0.95) leaves 5 % on each side; ppf(0.975) leaves 5 % in all": lambda v: _interval_of_mean(
            v, factor=lambda n: student_t.ppf(0.95, n - 1)
        ),
    },
    tolerance=1e-5,
)


def _vit_tokens(patches, E, class_token, positions):
    return np.concatenate([class_token[None], patches @ E]) + positions


vit_tokens = Exercise(
    "the tokens of a Vision Transformer",
    _vit_tokens,
    [
        (
            np.arange(12.0).reshape(3, 4) / 6,
            np.sin(np.arange(20.0)).reshape(4, 5),
            np.full(5, 0.3),
            np.cos(np.arange(20.0)).reshape(4, 5),
        ),
        (np.eye(2), np.array([[1.0, 2.0, 0.5], [0.0, -1.0, 3.0]]), np.array([9.0, 8.0, 7.0]), np.arange(9.0).reshape(3, 3)),
    ],
    {
        "the class token comes first, before the patches": lambda x, E, c, p: np.concatenate([x @ E, c[None]]) + p,
        "the class token has a position too: add the positions after it has been put in front": lambda x, E, c, p: np.concatenate(
            [c[None], x @ E + p[1:]]
        ),
        "the positions are missing": lambda x, E, c, p: np.concatenate([c[None], x @ E]),
        "the class token is a token by itself, not something added to each patch": lambda x, E, c, p: x @ E + c + p[1:],
    },
)
