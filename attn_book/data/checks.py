"""Rejections of bad arguments, each naming the argument."""

import numpy as np


def check_choice(name, got, choices):
    if got not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}; got {got!r}")


def check_range(name, got, low, high=None):
    if not isinstance(got, (int, float, np.integer, np.floating)) or got < low or (high is not None and got > high):
        takes = f"of at least {low}" if high is None else f"from {low} to {high}"
        raise ValueError(f"{name} must be a number {takes}, got {got!r}")
