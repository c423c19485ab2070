"""The exercises of chapter 5, from one head to a block."""

import numpy as np

from attn_book.exercises.exercise import Exercise
from attn_utils.positions import apply_rope

merge_heads = Exercise(
    "heads side by side",
    lambda out: np.moveaxis(out, 1, 2).reshape(len(out), out.shape[2], -1),
    [(np.arange(48.0).reshape(2, 2, 3, 4),), (np.arange(90.0).reshape(1, 3, 5, 6),)],
    {
        "tokens and heads are mixed up: the axes must change places before the reshape": (
            lambda out: out.reshape(len(out), out.shape[2], -1)
        ),
        "the features of the heads are interleaved; each head's d numbers stay together": (
            lambda out: np.moveaxis(out, 1, 3).reshape(len(out), out.shape[2], -1)
        ),
        "the heads are added up; put them side by side": lambda out: out.sum(axis=1),
        "the axes are in order, but heads and features are still two axes": lambda out: np.moveaxis(out, 1, 2),
    },
)


def _turned(x, angle):
    return apply_rope(x[None], np.array([[angle]]))[0]


rotary_score = Exercise(
    "a rotary score",
    lambda q, k, n, m, theta: _turned(q, n * theta) @ _turned(k, m * theta),
    [
        (np.array([1.0, 2.0]), np.array([0.5, -1.0]), 3, 5, 0.7),
        (np.array([-2.0, 0.5]), np.array([1.5, 1.0]), 4, 1, 0.2),
    ],
    {
        "only the query is turned; the key is turned by its own place": (lambda q, k, n, m, theta: _turned(q, n * theta) @ k),
        "only the key is turned; the query is turned by its own place": (lambda q, k, n, m, theta: q @ _turned(k, m * theta)),
        "the angles add up here; a score should know their difference": (
            lambda q, k, n, m, theta: q @ _turned(k, (n + m) * theta)
        ),
        "the offset has the wrong sign": lambda q, k, n, m, theta: q @ _turned(k, (n - m) * theta),
        "the angle is in radians": lambda q, k, n, m, theta: (
            _turned(q, np.deg2rad(n * theta)) @ _turned(k, np.deg2rad(m * theta))
        ),
        "nothing is turned: this is the score without positions": lambda q, k, n, m, theta: q @ k,
    },
)


def _vit_parameters(P, N, L, D, r, classes, *, block_bias=True, norms=True, token=True, read_bias=True, channels=3, places=0):
    block = (4 + 2 * r) * D**2 + (5 + r) * D * block_bias + 4 * D * norms
    return channels * P * P * D + D + D * token + (N + places) * D + L * block + 2 * D * norms + classes * (D + read_bias)


vit_parameters = Exercise(
    "the parameters of a Vision Transformer",
    _vit_parameters,
    [(16, 196, 12, 192, 4, 1000), (4, 64, 3, 64, 2, 10)],
    {
        "the biases inside the blocks are missing": lambda *sizes: _vit_parameters(*sizes, block_bias=False),
        "the norms are missing: a scale and a shift each, two in a block and one at the end": (
            lambda *sizes: _vit_parameters(*sizes, norms=False)
        ),
        "the class token is missing": lambda *sizes: _vit_parameters(*sizes, token=False),
        "here the class token has a position too; in this one it has none": lambda *sizes: _vit_parameters(*sizes, places=1),
        "the bias of the read-out is missing": lambda *sizes: _vit_parameters(*sizes, read_bias=False),
        "a patch of an RGB picture has three numbers a pixel": lambda *sizes: _vit_parameters(*sizes, channels=1),
    },
)
