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


def _masked_error(predicted, patches, hidden, *, shown=False, own=True, standard=True, mean=True):
    target = patches
    if own:
        target = patches - patches.mean(-1, keepdims=True)
        spread = patches.var(-1, keepdims=True) + 0.01
        target = target / (np.sqrt(spread) if standard else spread)
    error = (predicted - target) ** 2
    if shown:
        return error.mean()
    return error[hidden].mean() if mean else error[hidden].sum()


_predicted, _patches = _rng.normal(size=(2, 2, 5, 3))
_hidden = np.array([[True, True, False, True, False], [False, True, True, False, True]])
masked_error = Exercise(
    "the loss of what is hidden",
    _masked_error,
    [(_predicted, _patches, _hidden), (_predicted[:1], _patches[:1], _hidden[:1])],
    {
        "only hidden patches count: to copy what is shown is no art": lambda p, x, h: _masked_error(p, x, h, shown=True),
        "these are the shown patches; `hidden` is True where the loss counts": lambda p, x, h: _masked_error(p, x, ~h),
        "compare with each patch in its own contrast: less its mean, over its spread": lambda p, x, h: _masked_error(
            p, x, h, own=False
        ),
        "divide by the root of the variance (and 0.01), not by the variance": lambda p, x, h: _masked_error(
            p, x, h, standard=False
        ),
        "take the mean over hidden patches and their pixels, not the sum": lambda p, x, h: _masked_error(p, x, h, mean=False),
    },
)


def _told_before(captions, start):
    return np.concatenate([np.full((len(captions), 1), start), captions[:, :-1]], axis=1)


_captions = np.array([[0, 10, 19, 4, 14], [3, 7, 17, 2, 7], [6, 16, 20, 1, 9]])
told_before = Exercise(
    "what each step is told",
    _told_before,
    [(_captions, 21), (_captions[:1], 30)],
    {
        "a step would be told the very word that it shall say: move the words on by one": lambda c, start: c.copy(),
        "the words moved the wrong way: a step is told the word before, not the one after": lambda c, start: np.concatenate(
            [c[:, 1:], np.full((len(c), 1), start)], axis=1
        ),
        "the first step is told the last word: put the start token there": lambda c, start: np.roll(c, 1, axis=1),
        "the last word is told to nobody: leave it out, so that L steps stay L": lambda c, start: np.concatenate(
            [np.full((len(c), 1), start), c], axis=1
        ),
    },
)


def _additive(state, places, W, U, v, *, squash=np.tanh, outside=False):
    sums = W @ state + places @ U.T  # (M, d)
    scores = squash(sums @ v) if outside else squash(sums) @ v
    weights = np.exp(scores - scores.max())
    return weights / weights.sum()


def _additive_scores(state, places, W, U, v):
    return np.tanh(W @ state + places @ U.T) @ v


_state, _places = _rng.normal(size=3), _rng.normal(size=(6, 4))
_W, _U, _v = _rng.normal(size=(5, 3)), _rng.normal(size=(5, 4)), _rng.normal(size=5)
additive_weights = Exercise(
    "the weights of additive attention",
    _additive,
    [(_state, _places, _W, _U, _v), (-_state, _places[:3], _W, _U, 2 * _v)],
    {
        "without tanh the state adds the same to every score, and softmax takes it out": lambda *a: _additive(
            *a, squash=lambda x: x
        ),
        "tanh comes before v: it bends each of the d sums": lambda *a: _additive(*a, outside=True),
        "these are scores; a softmax over the places makes them weights": _additive_scores,
    },
)
