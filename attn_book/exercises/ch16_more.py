"""The exercises of chapter 16's second half: learning without labels, and a scene in words."""

import numpy as np

from attn_book.exercises.exercise import Exercise


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


_rng = np.random.default_rng(0)
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


def _scores(state, places, W, U, v):
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
        "these are scores; a softmax over the places makes them weights": _scores,
    },
)
