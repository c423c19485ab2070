"""The exercises of chapter 10, generation."""

import numpy as np

from attn_book.exercises.exercise import Exercise


def _velocity(x, z, t, part=lambda t: 1 - t):
    return (x - z) / part(t[:, None])


_X = np.array([[0.5, -1.0, 2.0], [1.0, 0.0, -0.5]])
_Z = np.array([[1.5, 0.25, -1.0], [-0.5, 0.75, 1.0]])
_T = np.array([0.2, 0.6])

velocity = Exercise(
    "the velocity towards a predicted picture",
    _velocity,
    [(_X, _Z, _T), (_Z[:1], _X[:1], np.array([0.9]))],
    {
        "this leads away from the picture: the sign is wrong": lambda x, z, t: -_velocity(x, z, t),
        "what is left of the way has to be gone in the time that is left, 1 − t": lambda x, z, t: _velocity(x, z, t, lambda t: t),
        "this is the whole way that is left; a velocity is a way by a time": lambda x, z, t: _velocity(x, z, t, lambda t: t**0),
        "divide by 1 − t, do not multiply": lambda x, z, t: _velocity(x, z, t, lambda t: 1 / (1 - t)),
    },
)


def _heun(slope, z, t, h, second=None, share=0.5):
    first = slope(z, t)
    last = slope(z + h * first, t + h) if second is None else second(z, t, h, first)
    return z + h * ((1 - share) * first + share * last)


def _turning(z, t):
    return np.array([-z[1], z[0]]) * (1 + t)


def _falling(z, t):
    return -2 * z + np.cos(t)


heun = Exercise(
    "one step of Heun",
    _heun,
    [(_turning, np.array([1.0, 0.5]), 0.25, 0.5), (_falling, np.array([0.3, -1.0, 2.0]), 0.0, 0.1)],
    {
        "this is Euler's step: the slope at its end is not used": lambda v, z, t, h: _heun(v, z, t, h, share=0.0),
        "the two slopes are averaged, each counts half": lambda v, z, t, h: _heun(v, z, t, h, share=1.0),
        "that is their sum: it goes twice as far": lambda v, z, t, h: z + 2 * (_heun(v, z, t, h) - z),
        "the second slope belongs to the time t + h, not t": lambda v, z, t, h: _heun(
            v, z, t, h, lambda z, t, h, first: v(z + h * first, t)
        ),
        "the second slope belongs to where Euler's step ends, not to z": lambda v, z, t, h: _heun(
            v, z, t, h, lambda z, t, h, first: v(z, t + h)
        ),
        "that is the midpoint rule, which is as good; here the slopes at both ends are asked for": lambda v, z, t, h: (
            z + h * v(z + h / 2 * v(z, t), t + h / 2)
        ),
        "the step has length h": lambda v, z, t, h: z + (_heun(v, z, t, h) - z) / h,
    },
)


def _frechet(mean, std, other_mean, other_std, spread=lambda s: s):
    return ((mean - other_mean) ** 2).sum() + ((spread(std) - spread(other_std)) ** 2).sum()


_SET = (np.array([0.0, 1.0, 2.0]), np.array([1.0, 0.5, 3.0]), np.array([1.0, -1.0, 2.5]), np.array([2.0, 0.5, 1.0]))

frechet = Exercise(
    "a Fréchet distance",
    _frechet,
    [_SET, tuple(part[:1] for part in _SET)],
    {
        "Σ holds variances: Σ^½ of a diagonal matrix holds standard deviations, so their differences are squared": (
            lambda m, s, n, r: _frechet(m, s, n, r, spread=lambda s: s**2)
        ),
        "the spread is missing: two clouds on one spot may still differ": lambda m, s, n, r: ((m - n) ** 2).sum(),
        "the means are missing": lambda m, s, n, r: ((s - r) ** 2).sum(),
        "this is its root; papers report the square": lambda m, s, n, r: np.sqrt(_frechet(m, s, n, r)),
        "tr(Σ₁ + Σ₂) without − 2 (Σ₁Σ₂)^½ is not 0 for two equal clouds": lambda m, s, n, r: ((m - n) ** 2 + s**2 + r**2).sum(),
        "add the dimensions up, do not average them": lambda m, s, n, r: _frechet(m, s, n, r) / len(m),
    },
)
