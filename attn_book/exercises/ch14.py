"""The exercises of chapter 14, what can be left out."""

import numpy as np

from attn_book.exercises.exercise import Exercise


def _merge(x, sizes, where, *, weighted=True, of_tokens=False, kept_sizes=False):
    """Mean of the tokens that go to one place, each counting as its size, and the new sizes beside it."""
    n = where.max() + 1
    weights = sizes if weighted else np.ones_like(sizes)
    total, count, size = np.zeros((n, x.shape[1])), np.zeros(n), np.zeros(n)
    for token, weight, old, place in zip(x, weights, sizes, where, strict=True):
        total[place] += weight * token
        count[place] += 1 if of_tokens else weight
        size[place] += 1 if kept_sizes else old
    return np.column_stack([total / count[:, None], size])


_x = np.array([[1.0, 2.0], [3.0, -1.0], [10.0, 0.0], [7.0, 4.0], [0.5, 0.5]])
_sizes = np.array([1.0, 3.0, 2.0, 5.0, 1.0])
merge = Exercise(
    "merged tokens",
    _merge,
    [(_x, _sizes, np.array([1, 1, 0, 2, 0])), (_x[:3], _sizes[:3], np.array([0, 0, 0])), (_x, _sizes, np.arange(5)[::-1])],
    {
        "a token that holds three patches counts three times in the mean": lambda x, s, w: _merge(x, s, w, weighted=False),
        "divide by the sizes that were merged, not by the number of tokens": lambda x, s, w: _merge(x, s, w, of_tokens=True),
        "the new size is the sum of the old ones, not the number of tokens": lambda x, s, w: _merge(x, s, w, kept_sizes=True),
    },
)


def _shares(logits, temperature=1.0):
    exponentials = np.exp((logits - logits.max(-1, keepdims=True)) / temperature)
    return exponentials / exponentials.sum(-1, keepdims=True)


def _divergence(student, teacher, T, *, of=None, scale=True):
    told, said = _shares(teacher, T), _shares(student, T if of is None else of)
    return (T**2 if scale else 1.0) * (told * np.log(told / said)).sum(-1).mean()


def _turned(student, teacher, T):
    return _divergence(teacher, student, T)


_student = np.array([[2.0, -1.0, 0.5], [0.0, 1.0, 3.0]])
_teacher = np.array([[4.0, 1.0, -2.0], [-1.0, 0.5, 2.0]])
soft_targets = Exercise(
    "what a teacher's shares teach",
    _divergence,
    [(_student, _teacher, 1.0), (_student, _teacher, 4.0), (_teacher[:1], _student[:1], 2.5)],
    {
        "the shares that are taken as given are the teacher's: they stand in front of the logarithm": _turned,
        "the student's logits are divided by T, too": lambda s, t, T: _divergence(s, t, T, of=1.0),
        "without T² a high temperature makes this part of the loss vanish": lambda s, t, T: _divergence(s, t, T, scale=False),
        "a mean over the pictures, not a sum": lambda s, t, T: _divergence(s, t, T) * len(s),
    },
)


def _rounded(weight, bits, *, shared=False, levels=None, down=False):
    most = (2 ** (bits - 1) - 1) if levels is None else levels(bits)
    step = (np.abs(weight).max() if shared else np.abs(weight).max(axis=1, keepdims=True)) / most
    return step * (np.trunc(weight / step) if down else np.round(weight / step))


_weight = np.array([[0.31, -0.82, 0.05, 0.44], [6.3, -1.4, 3.3, 2.6], [-0.02, 0.07, 0.011, -0.036]])
few_bits = Exercise(
    "weights in a few bits",
    _rounded,
    [(_weight, 4), (_weight, 8), (_weight[:2], 3)],
    {
        "each row has a step of its own: one large row would blur all small ones": lambda w, b: _rounded(w, b, shared=True),
        "one of the bits is the sign: the largest multiple is 2^(bits - 1) - 1": (
            lambda w, b: _rounded(w, b, levels=lambda bits: 2**bits - 1)
        ),
        "round to the nearest multiple, do not cut off": lambda w, b: _rounded(w, b, down=True),
        "return weights, not whole numbers: multiply by the step again": (
            lambda w, b: np.round(w / (np.abs(w).max(axis=1, keepdims=True) / (2 ** (b - 1) - 1)))
        ),
    },
)


def _largest_rank(n_in, n_out, *, less=True, whole=False):
    """The largest rank at which two factors hold fewer numbers than one matrix."""
    rank = n_in * n_out / (n_in + n_out)
    return min(n_in, n_out) if whole else float(np.ceil(rank) - 1 if less else np.floor(rank))


break_even = Exercise(
    "when two factors are smaller",
    _largest_rank,
    [(64, 64), (64, 192), (64, 128), (100, 25), (7, 5)],
    {
        "at equality nothing is saved: strictly fewer numbers": lambda i, o: _largest_rank(i, o, less=False),
        "the smaller side is the largest rank a matrix can have, not where factors begin to save": (
            lambda i, o: _largest_rank(i, o, whole=True)
        ),
        "two factors have R (n_in + n_out) numbers, not 2 R n_in": lambda i, o: float(np.ceil(i * o / (2 * i)) - 1),
    },
)
