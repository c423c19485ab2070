"""What every picture of the book is made of: scans of real handwriting and photographs, split so that tests see new ones."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import skimage
from skimage import io, transform
from sklearn.datasets import load_digits, load_sample_images

from attn_book.data.checks import check_choice

PHOTOGRAPHS = ("china", "flower", "astronaut", "chelsea", "coffee", "rocket")  # chelsea is a cat

# The scans of each split, in one fixed shuffled order, and the strip of every photograph, in sixths of its width from the left.
# The place of a split in this list is part of the seed of its scenes: a new one goes at the end.
SPLITS = ("train", "test", "validation")
_SCANS = {"train": slice(0, 1000), "validation": slice(1000, 1200), "test": slice(1200, None)}
_SIXTHS = {"train": (0, 3), "validation": (3, 4), "test": (4, 6)}


@lru_cache
def full_photograph(name):
    if name in ("china", "flower"):
        sample = load_sample_images()
        picture = sample.images[[name in file for file in sample.filenames].index(True)]
    else:
        folder = Path(skimage.__file__).parent / "data"  # files of the wheel: never asks the network
        picture = io.imread(next(folder.glob(f"{name}.*")))
    return (picture / 255).astype(np.float32)


def photograph(name, *, size=None):
    """One of the real photographs that ship with scikit-learn and scikit-image.

    Args:
        name: one of `PHOTOGRAPHS`.
        size: side in px of a centred square, or (height, width) of a centred crop with that aspect; None keeps the original.

    Returns:
        (H, W, 3) float32 in [0, 1]; a fresh copy.

    Raises:
        ValueError: for an unknown name or a size that is not positive.
    """
    check_choice("name", name, PHOTOGRAPHS)
    picture = full_photograph(name)
    if size is None:
        return picture.copy()
    height, width = (size, size) if np.isscalar(size) else size
    if min(height, width) < 1:
        raise ValueError(f"size must be positive, got {size}")
    return fit_to(picture, height, width)


def fit_to(picture, height, width):
    """Centre crop to the aspect of (height, width), then resize without aliasing."""
    H, W = picture.shape[:2]
    scale = min(H / height, W / width)
    h, w = round(height * scale), round(width * scale)
    top, left = (H - h) // 2, (W - w) // 2
    crop = picture[top : top + h, left : left + w]
    return transform.resize(crop, (height, width), anti_aliasing=True).astype(np.float32)


@lru_cache
def _all_scans():
    data = load_digits()
    order = np.random.default_rng(1234).permutation(len(data.target))
    return (data.images / 16).astype(np.float32)[order], data.target.astype(np.int64)[order]


def digit_scans(split):
    """The handwriting behind all scenes: 1,797 real scans, of which no two splits share one.

    Args:
        split: "train" (1,000 scans), "validation" (200: for choosing a learning rate, a size, a moment to stop) or
            "test" (597: for what is reported).

    Returns:
        images (n, 8, 8) float32 in [0, 1], 1 = ink; labels (n,) int64.
    """
    check_choice("split", split, SPLITS)
    images, labels = _all_scans()
    return images[_SCANS[split]].copy(), labels[_SCANS[split]].copy()


def photograph_strip(name, split):
    """The part of a photograph that the scenes of a split may show: no two splits share a column of pixels.

    Args:
        name: one of `PHOTOGRAPHS`.
        split: "train" (the left half), "validation" (the sixth right of it) or "test" (the right third).

    Returns:
        (H, w, 3) float32 in [0, 1].
    """
    check_choice("name", name, PHOTOGRAPHS)
    check_choice("split", split, SPLITS)
    picture = full_photograph(name)
    left, right = (picture.shape[1] * sixth // 6 for sixth in _SIXTHS[split])
    return picture[:, left:right].copy()
