"""What every picture of the book is made of: scans of real handwriting and photographs, in three parts that share nothing."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import skimage
from skimage import io, transform
from sklearn.datasets import load_digits, load_sample_images

from attn_book.data.checks import check_choice, check_size, check_whole

PHOTOGRAPHS = ("china", "flower", "astronaut", "chelsea", "coffee", "rocket")  # chelsea is a cat
TEXTURES = ("brick", "camera", "grass", "gravel", "ihc", "moon", "retina")  # most of them grey; ihc is stained tissue

# The place of a split in this list is part of the seed of its scenes: a new one goes at the end.
SPLITS = ("train", "test", "validation")
# Which scans a split holds, in one fixed shuffled order, and which strip of every photograph, in sixths of its width.
_SCANS = {"train": slice(0, 1000), "validation": slice(1000, 1200), "test": slice(1200, None)}
_SIXTHS = {"train": (0, 3), "validation": (3, 4), "test": (4, 6)}


def digit_scans(split):
    """The handwriting behind all scenes: 1,797 real scans, of which no two splits share one.

    Args:
        split: "train" (1,000 scans), "validation" (200: for choosing a learning rate, a size, a moment to stop) or
            "test" (597: for what is reported).

    Returns:
        images (n, 8, 8) float32 in [0, 1], 1 = ink; labels (n,) int64. Fresh copies, always in the same order.

    Raises:
        ValueError: for an unknown split.
    """
    check_choice("split", split, SPLITS)
    images, labels = _shuffled_scans()
    return images[_SCANS[split]].copy(), labels[_SCANS[split]].copy()


def photograph(name, *, size=None):
    """One of the real photographs that ship with scikit-learn and scikit-image.

    Args:
        name: one of `PHOTOGRAPHS`.
        size: side in px of a centred square, or (height, width) of a centred crop with that aspect; None keeps the original.

    Returns:
        (H, W, 3) float32 in [0, 1]; a fresh copy.

    Raises:
        ValueError: for an unknown name, or a size that is not made of whole numbers of at least 1.

    Examples:
        >>> photograph("chelsea", size=(120, 160)).shape
        (120, 160, 3)
    """
    check_choice("name", name, PHOTOGRAPHS)
    picture = _whole_photograph(name)
    return picture.copy() if size is None else crop_and_resize(picture, size)


def photograph_strip(name, split):
    """The part of a photograph that the scenes of a split may show: no two splits share a column of pixels.

    Args:
        name: one of `PHOTOGRAPHS` or `TEXTURES`.
        split: "train" (the left half), "validation" (the sixth right of it) or "test" (the right third).

    Returns:
        (H, w, 3) float32 in [0, 1]; a fresh copy.

    Raises:
        ValueError: for an unknown name or split.
    """
    check_choice("name", name, PHOTOGRAPHS + TEXTURES)
    check_choice("split", split, SPLITS)
    picture = _whole_photograph(name)
    left, right = (picture.shape[1] * sixth // 6 for sixth in _SIXTHS[split])
    return picture[:, left:right].copy()


def crop_and_resize(picture, size):
    """The largest centred crop that has the aspect of `size`, resized to it without aliasing.

    Args:
        picture: (H, W, 3) floats in [0, 1].
        size: side of a square in px, or (height, width).

    Returns:
        (height, width, 3) float32 in [0, 1].

    Raises:
        ValueError: for a size that is not made of whole numbers of at least 1.
    """
    height, width = check_size("size", size)
    H, W = picture.shape[:2]
    scale = min(H / height, W / width)
    h, w = max(1, round(height * scale)), max(1, round(width * scale))
    top, left = (H - h) // 2, (W - w) // 2
    crop = picture[top : top + h, left : left + w]
    return transform.resize(crop, (height, width), anti_aliasing=True).astype(np.float32)


def generator(seed, split):
    """The random numbers behind a batch of scenes: with one seed, every split gets other ones.

    Args:
        seed: a whole number of at least 0.
        split: one of `SPLITS`.

    Returns:
        A `numpy.random.Generator`.

    Raises:
        ValueError: for another seed, or an unknown split.
    """
    check_choice("split", split, SPLITS)
    return np.random.default_rng([check_whole("seed", seed, 0), SPLITS.index(split)])


@lru_cache
def _shuffled_scans():
    data = load_digits()
    order = np.random.default_rng(1234).permutation(len(data.target))
    return (data.images / 16).astype(np.float32)[order], data.target.astype(np.int64)[order]


@lru_cache
def _whole_photograph(name):
    if name in ("china", "flower"):
        sample = load_sample_images()
        picture = sample.images[[name in file for file in sample.filenames].index(True)]
    else:
        folder = Path(skimage.__file__).parent / "data"  # files of the wheel: never asks the network
        picture = io.imread(next(folder.glob(f"{name}.*")))
    picture = picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=-1)
    return (picture / 255).astype(np.float32)
