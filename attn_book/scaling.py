"""How an error falls with the number of training pictures: a power law with a floor, its uncertainty, and where two of them cross."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq, minimize_scalar, nnls

from attn_book.arrays import as_array

STEEPEST = 2.0  # the largest exponent that is tried: four times the error for half the pictures
CROSSING_STEPS = 400  # places between the smallest and the largest size at which two laws are compared


@dataclass(frozen=True)
class PowerLaw:
    """error(n) = a · n⁻ᵇ + c: what more pictures take away, and what they leave.

    Attributes:
        a: size of the part that falls, at n = 1.
        b: the exponent; ten times the pictures divide that part by 10ᵇ.
        c: the floor.
    """

    a: float
    b: float
    c: float

    def __call__(self, n):
        """The error after n pictures, (…) as n is."""
        return self.a * np.asarray(n, dtype=float) ** -self.b + self.c


def fit_power_law(n, errors):
    """The power law whose relative misfit, Σ (law(nᵢ) / errorᵢ − 1)², is least.

    For a given exponent a and c follow from linear least squares with a, c ≥ 0; the exponent is searched for between 0 and 2.

    Args:
        n: (sizes,) numbers of pictures, above 0; at least three different ones.
        errors: (sizes,) above 0.

    Returns:
        The `PowerLaw`.

    Raises:
        ValueError: sizes and errors that are not of one length, not above 0, or of fewer than three different sizes.

    >>> law = fit_power_law([100, 1_000, 10_000, 100_000], [0.42, 0.12, 0.03, 0.0075 + 0.003])
    >>> 0.4 < law.b < 0.8
    True

    Source: the form of Hestness et al. 2017, arXiv:1712.00409: a power law and a constant.
    """
    n, errors = as_array(n, "n").astype(float), as_array(errors, "errors").astype(float)
    if n.ndim != 1 or n.shape != errors.shape or len(set(n)) < 3:
        raise ValueError(f"n and errors must be of one length, with three different sizes or more; got {n} and {errors}")
    if not (n > 0).all() or not (np.isfinite(errors) & (errors > 0)).all():
        raise ValueError(f"n and errors must be above 0, got {n} and {errors}")
    middle = np.exp(np.log(n).mean())  # so that a is of the size of the errors while it is looked for

    def at(b):
        columns = np.stack([(n / middle) ** -b, np.ones_like(n)], axis=1) / errors[:, None]
        return nnls(columns, np.ones_like(n))  # (a, c), misfit

    tried = np.linspace(0, STEEPEST, 41)[1:]
    near, step = min(tried, key=lambda b: at(b)[1]), tried[0]
    b = minimize_scalar(lambda b: at(b)[1], bounds=(max(near - step, 1e-3), min(near + step, STEEPEST)), method="bounded").x
    (a, c), _ = at(b)
    return PowerLaw(float(a * middle**b), float(b), float(c))


def redrawn_means(errors, *, draws=200, seed=0):
    """The bootstrap over seeds: at each size as many seeds as there are, drawn with replacement, and their means.

    Means of k redrawn seeds scatter too little: their variance is that of a mean times (k − 1) / k, with three seeds a third less.
    So each is moved away from the mean of all by √(k / (k − 1)).

    Args:
        errors: (sizes, seeds), at least two seeds.
        draws: how many means of each size.
        seed: of the drawing.

    Returns:
        (draws, sizes); over the draws, the variance at a size is about s² / k, s² the variance of its k seeds (with k − 1).

    Raises:
        ValueError: errors of another shape, or a single seed.
    """
    errors = as_array(errors, "errors").astype(float)
    if errors.ndim != 2 or errors.shape[1] < 2:
        raise ValueError(f"errors must be (sizes, seeds) with two seeds or more, got shape {errors.shape}")
    sizes, seeds = errors.shape
    which = np.random.default_rng(seed).integers(seeds, size=(draws, sizes, seeds))
    redrawn = np.take_along_axis(errors[None], which, axis=2).mean(axis=2)
    means = errors.mean(axis=1)
    return means + (redrawn - means) * np.sqrt(seeds / (seeds - 1))


def resampled_laws(n, errors, *, draws=200, seed=0):
    """A power law through each of the means that `redrawn_means` gives: how sure a law is, given how far the seeds are apart.

    Args:
        n: (sizes,) numbers of pictures.
        errors, draws, seed: as for `redrawn_means`.

    Returns:
        A list of `PowerLaw`, `draws` of them.

    Raises:
        ValueError: what `redrawn_means` or `fit_power_law` does not take.
    """
    return [fit_power_law(n, means) for means in redrawn_means(errors, draws=draws, seed=seed)]


def crossing(first, second, low, high):
    """The smallest n between low and high from which on the other of two laws is the lower one; NaN where there is none.

    Args:
        first, second: two `PowerLaw`, or any functions of an array of n.
        low, high: the range of n that is looked through, 0 < low < high.

    Raises:
        ValueError: another range.

    >>> round(crossing(PowerLaw(1.0, 0.5, 0.0), PowerLaw(0.1, 0.0, 0.0), 1, 1_000))
    100
    """
    if not 0 < low < high:
        raise ValueError(f"low and high must be a range above 0, got {low} and {high}")
    apart = lambda log_n: first(np.exp(log_n)) - second(np.exp(log_n))
    places = np.linspace(np.log(low), np.log(high), CROSSING_STEPS)
    signs = np.sign(apart(places))
    changes = np.flatnonzero(signs[:-1] * signs[1:] < 0)
    return float(np.exp(brentq(apart, *places[changes[0] : changes[0] + 2]))) if len(changes) else float("nan")
