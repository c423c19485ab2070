"""The pixels of a noisy photograph as queries, keys and values: attention over them takes the noise out."""

import numpy as np

from attn_book.data.checks import check_choice, check_number, check_size, check_whole
from attn_book.data.material import PHOTOGRAPHS, photograph

WIDTH = 64  # of a query: 21 neighbours of three colours, and one number more


def noisy_photograph(name, *, size=(128, 128), noise=0.1, seed=0):
    """A photograph and the same with Gaussian noise on every number of it.

    Args:
        name: one of `material.PHOTOGRAPHS`.
        size: (height, width) in px, or the side of a square.
        noise: standard deviation; the picture's own numbers lie in [0, 1].
        seed: of the noise.

    Returns:
        clean, noisy: (H, W, 3) float32 each; the noisy one may leave [0, 1].

    Raises:
        ValueError: an unknown name, a size of less than 1, a noise that is negative.
    """
    check_choice("name", name, PHOTOGRAPHS)
    noise = check_number("noise", noise, 0)
    clean = photograph(name, size=check_size("size", size))
    generator = np.random.default_rng(check_whole("seed", seed, 0))
    return clean, clean + noise * generator.standard_normal(clean.shape).astype(np.float32)


def pixel_tokens(picture):
    """What each pixel asks by and is found by, and what it has to give.

    Two pixels are as alike as their surroundings: the 21 pixels of a 5 × 5 square without its corners, three colours each, less the
    picture's mean colour. One number more makes all 64 of a pixel a vector of length 1. So the dot product of two is 1 minus half of the
    square of their distance, and softmax(β q·k) is a Gaussian weight of their distance with bandwidth 1/√β.

    Args:
        picture: (H, W, 3), H and W at least 3.

    Returns:
        tokens (H · W, 64), rows of length 1, which serve as queries and keys; values (H · W, 3), the pixels' own colours. Row by row, float32.

    Raises:
        ValueError: a picture of another shape, or a smaller one.
    """
    picture = np.asarray(picture, dtype=np.float32)
    if picture.ndim != 3 or picture.shape[2] != 3 or min(picture.shape[:2]) < 3:
        raise ValueError(f"picture must have shape (H, W, 3) with at least 3 × 3 pixels, got {picture.shape}")
    H, W, _ = picture.shape
    padded = np.pad(picture - picture.mean(axis=(0, 1)), ((2, 2), (2, 2), (0, 0)), mode="reflect")
    steps = [(y, x) for y in range(5) for x in range(5) if {y, x} - {0, 4}]  # all but the corners
    around = np.concatenate([padded[y : y + H, x : x + W] for y, x in steps], axis=-1).reshape(H * W, -1)  # (N, 63)
    squares = (around**2).sum(axis=1, keepdims=True)
    longest = squares.max() or 1.0
    tokens = np.concatenate([around, np.sqrt(longest - squares)], axis=1) / np.sqrt(longest)
    return tokens, picture.reshape(H * W, 3)
