"""The exercises of chapter 12, looking inside."""

import numpy as np

from attn_book.exercises.exercise import Exercise


def _relevance(maps, gradients, *, positive=True, after=False, left=True, keep=True):
    R = np.eye(maps.shape[-1])
    for A, G in zip(maps, gradients):
        product = A * G
        if after:
            product = np.maximum(product.mean(axis=0), 0)
        else:
            product = (np.maximum(product, 0) if positive else product).mean(axis=0)
        step = product @ R if left else R @ product
        R = R + step if keep else step
    return R


_rng = np.random.default_rng(0)
_maps = _rng.dirichlet(np.ones(4), size=(3, 2, 4))  # layers, heads, queries
_gradients = _rng.normal(size=_maps.shape)
relevance = Exercise(
    "relevance through the layers",
    _relevance,
    [(_maps, _gradients), (_maps[:1, :1], _gradients[:1, :1])],
    {
        "what speaks against the answer is to be left out: take max(0, ·) of each product": lambda A, G: _relevance(
            A, G, positive=False
        ),
        "max(0, ·) comes before the mean over the heads, so that one head cannot cancel another": lambda A, G: _relevance(
            A, G, after=True
        ),
        "a new layer stands on the left of what was there: it looks at tokens that have looked": lambda A, G: _relevance(
            A, G, left=False
        ),
        "the skip connection keeps what was there: add, do not replace": lambda A, G: _relevance(A, G, keep=False),
        "these are the weights alone; multiply them by their gradients first": lambda A, G: _relevance(A, np.ones_like(G)),
    },
)


def _filled(picture, row, column, *, diagonal=1 / 12, whole=False):
    total, weights = 0.0, 0.0
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            y, x = row + down, column + right
            if (down, right) != (0, 0) and 0 <= y < picture.shape[0] and 0 <= x < picture.shape[1]:
                weight = 1 / 6 if 0 in (down, right) else diagonal
                total, weights = total + weight * picture[y, x], weights + weight
    return total if whole else total / weights


_picture = np.array([[1.0, 4.0, 2.0, 8.0], [3.0, 100.0, 5.0, 7.0], [6.0, 2.0, 9.0, 1.0]])
fill_pixel = Exercise(
    "a missing pixel from its neighbours",
    _filled,
    [(_picture, 1, 1), (_picture, 0, 3), (_picture, 2, 1)],
    {
        "at the border some neighbours are missing: divide by the weights that are left": lambda p, r, c: _filled(
            p, r, c, whole=True
        ),
        "neighbours at the corners weigh half as much as those at the sides": lambda p, r, c: _filled(p, r, c, diagonal=1 / 6),
        "only the four neighbours at the sides are counted here; there are eight": lambda p, r, c: _filled(p, r, c, diagonal=0.0),
        "the pixel itself is missing: its own value must not count": lambda p, r, c: (_filled(p, r, c) + p[r, c]) / 2,
    },
)


def _entropy(p):
    return -np.sum(np.where(p > 0, p * np.log(np.where(p > 0, p, 1.0)), 0.0), axis=-1)


def _divergence(a, b):
    return _entropy((a + b) / 2) - (_entropy(a) + _entropy(b)) / 2


_a = np.array([[0.7, 0.2, 0.1], [1.0, 0.0, 0.0], [0.3, 0.3, 0.4]])
_b = np.array([[0.1, 0.2, 0.7], [0.0, 1.0, 0.0], [0.3, 0.3, 0.4]])
divergence = Exercise(
    "how far two attentions are apart",
    _divergence,
    [(_a, _b), (_a[0], _b[0])],
    {
        "this is in bits: take the natural logarithm": lambda a, b: _divergence(a, b) / np.log(2),
        "the two entropies count half each": lambda a, b: _entropy((a + b) / 2) - _entropy(a) - _entropy(b),
        "the entropy of the mean comes first: the divergence is never negative": lambda a, b: -_divergence(a, b),
        "this is half the sum of the absolute differences, which is the total variation": lambda a, b: (
            0.5 * np.abs(a - b).sum(-1)
        ),
    },
)
