"""Twins: two scans of one digit far apart, blank paper between them. What is right on the left depends on what stands on the right."""

import numpy as np

from attn_book.data.checks import check_choice, check_whole
from attn_book.data.mnist import PER_DIGIT, mnist_digits

SIDE = 14  # px of one digit: MNIST at half its size


def twins(n, *, seed, split="train", gap=28):
    """n pictures of two different scans of one digit, at the left and the right end of a strip.

    Args:
        n: number of pictures, at least 1.
        seed: a whole number of at least 0; the same arguments give the same pictures.
        split: "train", "judge", "validation" or "test", as in `mnist_digits`.
        gap: px of blank paper between the two.

    Returns:
        images (n, 1, 14, 28 + gap) float32 in [0, 1], 1 = ink; labels (n,) int64, the digit that both show.

    Raises:
        ValueError: for an argument outside its range.
    """
    n, gap = check_whole("n", n, 1), check_whole("gap", gap, 0)
    check_choice("split", split, tuple(PER_DIGIT))
    rng = np.random.default_rng([check_whole("seed", seed, 0), tuple(PER_DIGIT).index(split)])
    small, labels = half_size(split)
    of_digit = np.argsort(labels, kind="stable").reshape(10, -1)  # (10, scans of each)
    many = of_digit.shape[1]
    digits, left = rng.integers(10, size=n), rng.integers(many, size=n)
    right = (left + rng.integers(1, many, size=n)) % many  # another one
    images = np.zeros((n, 1, SIDE, 2 * SIDE + gap), np.float32)
    images[..., :SIDE] = small[of_digit[digits, left]]
    images[..., -SIDE:] = small[of_digit[digits, right]]
    return images, digits


def half_size(split):
    """The scans of a split of `mnist_digits`, each number the mean of 2 × 2 pixels: images (n, 1, 14, 14) float32, labels (n,)."""
    images, labels = mnist_digits(split)
    return images.reshape(len(images), 1, SIDE, 2, SIDE, 2).mean((3, 5)), labels


def both_ends(images):
    """The left and the right digit of each picture, (n, C, 14, W) -> two of (n, C, 14, 14), arrays or tensors."""
    return images[..., :SIDE], images[..., -SIDE:]
