"""Rejections of bad arguments: each names the argument, what it takes and what it got."""

import math
from numbers import Integral, Real

import numpy as np


def check_choice(name, got, choices):
    if not isinstance(got, str) or got not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}; got {got!r}")


def check_number(name, got, low, high=None):
    """The number as a float, once it lies between low and high, both included."""
    if not isinstance(got, Real) or isinstance(got, bool) or not math.isfinite(got) or not _between(got, low, high):
        raise ValueError(f"{name} must be a number {_range(low, high)}, got {got!r}")
    return float(got)


def check_whole(name, got, low, high=None):
    """The whole number as an int (a NumPy integer of few bits would overflow), once it lies between low and high."""
    if not isinstance(got, Integral) or isinstance(got, bool) or not _between(got, low, high):
        raise ValueError(f"{name} must be a whole number {_range(low, high)}, got {got!r}")
    return int(got)


def check_size(name, got, low=1):
    """(height, width) in px, from a side or such a pair."""
    height, width = _pair(name, got)
    return check_whole(name, height, low), check_whole(name, width, low)


def check_span(check, name, got, low, high):
    """(smallest, largest) from one number or such a pair; `check` is `check_number` or `check_whole`."""
    smallest, largest = _pair(name, got)
    smallest = check(name, smallest, low, high)
    return smallest, check(name, largest, smallest, high)


def _pair(name, got):
    values = got.tolist() if isinstance(got, np.ndarray) else got
    if not isinstance(values, tuple | list):
        return values, values
    if len(values) != 2:
        raise ValueError(f"{name} must be one number or a pair of them, got {got!r}")
    return values


def _between(got, low, high):
    return low <= got and (high is None or got <= high)


def _range(low, high):
    return f"of at least {low:g}" if high is None else f"from {low:g} to {high:g}"
