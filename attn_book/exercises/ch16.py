"""The exercises of chapter 16, beyond."""

import numpy as np

from attn_book.exercises.exercise import Exercise


def _softmax(scores):
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def _row_disparity(scores, no_match, largest, *, renormalised=True, sign=1, mirrored=False):
    column = np.arange(len(scores))
    step = column - column[:, None] if mirrored else column[:, None] - column
    masked = np.where((step >= 0) & (step <= largest), scores, -np.inf)
    weights = _softmax(np.concatenate([masked, no_match[:, None]], axis=1))
    left = 1 - weights[:, -1] if renormalised else 1
    return sign * (column - weights[:, :-1] @ column / left)


_rng = np.random.default_rng(0)
_scores, _no_match = _rng.normal(size=(6, 6)), _rng.normal(size=6)
row_disparity = Exercise(
    "from scores to a disparity",
    _row_disparity,
    [(_scores, _no_match, 3), (2 * _scores[:4, :4], _no_match[:4], 9)],
    {
        "the weights on real keys sum to less than 1: divide the mix by what is left": lambda s, n, g: _row_disparity(
            s, n, g, renormalised=False
        ),
        "the match stands further left on the right: keys are 0 to `largest` columns to the left": lambda s, n, g: _row_disparity(
            s, n, g, mirrored=True
        ),
        "a disparity counts how much further left the match stands: column minus place": lambda s, n, g: _row_disparity(
            s, n, g, sign=-1
        ),
        "without a limit, a pixel looks through its whole row: keys more than `largest` away are masked": lambda s, n, g: (
            _row_disparity(s, n, len(s))
        ),
    },
)


def _left_right(disparity, other, *, outside=False, sign=-1, moved=True, tolerance=1.0):
    rows, columns = np.indices(disparity.shape)
    width = disparity.shape[1]
    place = np.round(columns + sign * disparity).astype(int) if moved else columns
    inside = (place >= 0) & (place < width)
    back = other[rows, np.clip(place, 0, width - 1)]
    return (inside | outside) & (abs(disparity - back) <= tolerance)


_disparity, _other = _rng.integers(0, 5, (4, 9)) + 0.3, _rng.integers(0, 5, (4, 9)) + 0.1
left_right = Exercise(
    "the left–right check",
    _left_right,
    [(_disparity, _other), (np.full((2, 6), 2.0), np.full((2, 6), 2.5))],
    {
        "a match outside the picture is no match": lambda d, o: _left_right(d, o, outside=True),
        "the match stands further left: column minus disparity": lambda d, o: _left_right(d, o, sign=1),
        "compare with the disparity of the pixel that is matched, not of the one in the same column": lambda d, o: _left_right(
            d, o, moved=False
        ),
        "within one pixel is enough": lambda d, o: _left_right(d, o, tolerance=0.0),
    },
)


def _next_mask(features, masks, beta, *, itself=False, latest=False, over_queries=False):
    held = features if itself else features[-2:-1] if latest else features[:-1]
    values = masks[-1:] if latest else masks
    keys = held.reshape(-1, features.shape[-1])
    scores = beta * features[-1] @ keys.T
    weights = _softmax(scores.T).T if over_queries else _softmax(scores)
    values = values.reshape(-1)
    return weights[:, : len(values)] @ values


_features = _rng.normal(size=(4, 5, 3))
_features /= np.linalg.norm(_features, axis=-1, keepdims=True)
_masks = _rng.random((3, 5))
next_mask = Exercise(
    "a mask for the next frame",
    _next_mask,
    [(_features, _masks, 2.0), (_features[:3], _masks[:2], 8.0)],
    {
        "the memory holds all the frames before, not the latest alone": lambda f, m, b: _next_mask(f, m, b, latest=True),
        "the softmax runs over the keys: each row of weights sums to 1": lambda f, m, b: _next_mask(f, m, b, over_queries=True),
        "the new frame is no part of its own memory: it has no mask yet": lambda f, m, b: _next_mask(f, m, b, itself=True),
        "the sharpness is missing from the scores": lambda f, m, b: _next_mask(f, m, 1.0),
    },
)
