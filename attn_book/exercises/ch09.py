"""The exercises of chapter 9, segmentation."""

import numpy as np

from attn_book.exercises.exercise import Exercise
from attn_utils.reference import softmax


def _dice_loss(p, y, inside=lambda p, y: (p * y).sum((-2, -1)), doubled=2, all_of=lambda p, y: p.sum((-2, -1)) + y.sum((-2, -1))):
    return 1 - doubled * inside(p, y) / all_of(p, y)


_P = np.array([[[0.9, 0.6, 0.1], [0.4, 0.2, 0.0]], [[0.3, 0.7, 0.8], [0.1, 0.5, 0.6]]])
_Y = np.array([[[1.0, 1.0, 0.0], [0.0, 0.0, 0.0]], [[0.0, 1.0, 1.0], [0.0, 0.0, 1.0]]])

dice_loss = Exercise(
    "the Dice loss",
    _dice_loss,
    [(_P, _Y), (_P[:1, :, :2], _Y[:1, :, :2])],
    {
        "the numerator counts twice; without that a perfect mask would still cost 1/2": lambda p, y: _dice_loss(p, y, doubled=1),
        "this is the overlap itself, which is large for a good mask; the loss is 1 minus it": lambda p, y: 1 - _dice_loss(p, y),
        "this is 1 − IoU: the denominator of Dice counts what is shared twice, once for each mask": lambda p, y: _dice_loss(
            p, y, doubled=1, all_of=lambda p, y: (p + y - p * y).sum((-2, -1))
        ),
        "each picture has its own Dice: sum over its pixels, not over all pictures": lambda p, y: np.full(
            len(p), 1 - 2 * (p * y).sum() / (p.sum() + y.sum())
        ),
        "do not round p to a mask: a loss needs a slope": lambda p, y: _dice_loss((p > 0.5).astype(float), y),
        "the exercise asks for one number a picture, not for their mean": lambda p, y: _dice_loss(p, y).mean(),
    },
)


def _two_way(tokens, picture, scale=lambda d: d**-0.5, back=lambda s: softmax(s, axis=-1), newest=True, add=True):
    d = tokens.shape[-1]
    found = softmax(scale(d) * tokens @ picture.T, axis=-1) @ picture
    talked = tokens + found if add else found
    asked = talked if newest else tokens
    told = back(scale(d) * picture @ asked.T) @ asked
    return np.concatenate([talked, picture + told if add else told])


def _transposed(tokens, picture):
    d = tokens.shape[-1]
    weights = softmax(d**-0.5 * tokens @ picture.T, axis=-1)
    talked = tokens + weights @ picture
    return np.concatenate([talked, picture + weights.T @ talked])


_TOKENS = np.sin(np.arange(8.0)).reshape(2, 4)
_PICTURE = np.cos(1.7 * np.arange(20.0)).reshape(5, 4)

two_way = Exercise(
    "looking both ways",
    _two_way,
    [(_TOKENS, _PICTURE), (_PICTURE[:3, :2], _TOKENS[:, :2])],
    {
        "for the way back every place of the picture needs a softmax of its own, over the tokens: turning the first weights round gives rows that do not sum to 1": (
            _transposed
        ),
        "that softmax runs over the places; each place shares its weight among the tokens": lambda t, x: _two_way(
            t, x, back=lambda s: softmax(s, axis=0)
        ),
        "the picture looks at the tokens as they are after their look at it": lambda t, x: _two_way(t, x, newest=False),
        "what was found is added to what was there": lambda t, x: _two_way(t, x, add=False),
        "the scores are divided by √D": lambda t, x: _two_way(t, x, scale=lambda d: 1.0),
    },
)


def _disc(centre, radius, double=2, sign=-1, constant=lambda c, r: r**2 - c @ c):
    return np.array([double * centre[0], double * centre[1], sign, constant(centre, radius)])


disc = Exercise(
    "a dot product that draws a disc",
    _disc,
    [(np.array([3.0, 1.0]), 2.0), (np.array([-0.5, 0.25]), 0.75)],
    {
        "multiply |p − c|² out: the mixed term is −2 p · c": lambda c, r: _disc(c, r, double=1),
        "this is positive outside the disc": lambda c, r: -_disc(c, r),
        "the constant is missing a part: |p − c|² also holds |c|²": lambda c, r: _disc(c, r, constant=lambda c, r: r**2),
        "the radius enters as r²": lambda c, r: _disc(c, r, constant=lambda c, r: r - c @ c),
        "r² − |p − c|² holds −|p|², so its weight is −1": lambda c, r: _disc(c, r, sign=1),
    },
)
