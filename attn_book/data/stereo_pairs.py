"""Two views of one scene: pairs built from layers of photographs, with exact disparity, and one real pair with measured disparity."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import skimage
from skimage import io, transform

from attn_book.data.checks import check_choice, check_number, check_size, check_span, check_whole
from attn_book.data.material import PHOTOGRAPHS, SPLITS, TEXTURES, generator, photograph_strip

MATERIAL = PHOTOGRAPHS + TEXTURES
ZOOMS = (0.35, 0.6, 1.0)  # of a photograph, in a layer
SLOPE = 0.06  # px of disparity for each pixel: surfaces may recede
# Of the real pair at its full size, from scikit-image's `stereo_motorcycle`
FOCAL_LENGTH, BASELINE, CENTRES_APART = 994.978, 0.193001, 31.086  # px; m; px between the middles of the two pictures


@dataclass(frozen=True)
class StereoPairs:
    """A batch of rectified pairs: what a left pixel shows lies in the same row on the right, `disparity` pixels further left.

    Attributes:
        left, right: (n, 3, H, W) float32 in [0, 1].
        disparity: (n, H, W) float32 px, of the left pixels; NaN where nobody measured it.
        visible: (n, H, W) bool, the left pixels whose point can be seen on the right: inside the picture, and not covered.
    """

    left: np.ndarray
    right: np.ndarray
    disparity: np.ndarray
    visible: np.ndarray


def stereo_pairs(n, *, seed, split="train", size=(24, 96), largest=24.0, shapes=(2, 7), slope=SLOPE, noise=0.02):
    """n pairs of views of flat, slanted pieces of photographs that float one before the other.

    Ellipses and rectangles cut out of photographs hang before a photograph. Each lies in a plane, d = a + b x + c y; at every pixel of
    either view the nearest piece is seen, that with the largest disparity. The right view is lighter or darker, each colour by
    itself, and both have noise of their own.

    Args:
        n: number of pairs, at least 1.
        seed: a whole number of at least 0; the same arguments give the same pairs.
        split: "train", "validation" or "test": which strip of every photograph the pieces are cut from.
        size: (height, width) in px, or the side of a square; at least 8.
        largest: px, no disparity is larger. It must leave room for slanted planes: at least slope · (height + width) + 2.
        shapes: how many pieces hang before the ground, a number or (fewest, most).
        slope: px, the largest change of disparity for each pixel to the right or down, from 0 to 0.5.
        noise: largest standard deviation; each pair has its own, from 0 up. The pictures' own numbers lie in [0, 1].

    Returns:
        StereoPairs.

    Raises:
        ValueError: for an argument outside its range.

    Examples:
        >>> made = stereo_pairs(2, seed=0, size=(16, 64))
        >>> made.left.shape, made.disparity.shape, bool(made.disparity.max() <= 24)
        ((2, 3, 16, 64), (2, 16, 64), True)
    """
    n, (height, width) = check_whole("n", n, 1), check_size("size", size, 8)
    slope = check_number("slope", slope, 0, 0.5)
    margin = slope * (height + width) / 2  # how far a plane may rise or fall from the middle of the picture
    largest = check_number("largest", largest, 2 * margin + 2)
    fewest, most = check_span(check_whole, "shapes", shapes, 0, 50)
    noise = check_number("noise", noise, 0)
    check_choice("split", split, SPLITS)
    rng = generator(seed, split)

    count = rng.integers(fewest, most + 1, n)
    across, down = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None] - height / 2
    views = [_View(n, height, width) for _ in range(2)]
    for layer in range(most + 1):
        texture = _textures(n, height, width + int(np.ceil(largest)) + 2, split, rng)
        highest = largest - margin if layer else (largest + margin) / 2  # the ground is far away
        middle = rng.uniform(margin, highest, n)
        slopes = rng.uniform(-slope, slope, (2, n))
        a, b, c = (x.astype(np.float32)[:, None, None] for x in (middle, *slopes))
        shape = _Shape(*rng.random((5, n)), height, width) if layer else None
        there = (layer <= count)[:, None, None]
        on_left = np.broadcast_to(across, (n, height, width))
        # A right pixel x' shows the left pixel x with x - d(x) = x'
        on_right = (across + a - b * (width / 2) + c * down) / (1 - b)
        for view, x in zip(views, (on_left, on_right), strict=True):
            disparity = a + b * (x - width / 2) + c * down
            covered = there if shape is None else there & shape.covers(x, down)
            view.lay(layer, _read(texture, x), disparity, covered)

    left, right = views
    disparity, place = left.disparity, across - left.disparity
    nearest = np.clip(np.round(place).astype(np.int64), 0, width - 1)
    visible = (place >= 0) & (np.take_along_axis(right.layer, nearest, -1) == left.layer)
    gain = rng.uniform(0.85, 1.15, (n, 3, 1, 1)).astype(np.float32)
    spread = noise * rng.random((n, 1, 1, 1), dtype=np.float32)
    noisy = [
        np.clip(picture + spread * rng.standard_normal(picture.shape, dtype=np.float32), 0, 1)
        for picture in (left.picture, gain * right.picture)
    ]
    return StereoPairs(*noisy, disparity, visible)


def motorcycle(shrink=3):
    """The real pair that comes with scikit-image, a motorcycle in a workshop, with its measured disparity (Middlebury 2014).

    Args:
        shrink: how many times smaller; a whole number from 1 to 8. At 3 the pictures have 166 × 247 px and disparities up to 20 px.

    Returns:
        StereoPairs with n = 1. A colour is the mean of the pixels that become one, the disparity that of the middle one of them. A point
        counts as visible where no other known point of its row with a larger disparity falls on the same pixel on the right. Disparities are
        not known everywhere: what covers a point may be missing.

    Raises:
        ValueError: for a `shrink` that is no such number.

    Source: Scharstein et al. 2014, High-Resolution Stereo Datasets with Subpixel-Accurate Ground Truth.
    """
    shrink = check_whole("shrink", shrink, 1, 8)
    left, right, disparity, visible = _motorcycle()
    height, width = (side // shrink * shrink for side in disparity.shape)
    middle = np.s_[shrink // 2 : height : shrink, shrink // 2 : width : shrink]
    pictures = [
        picture[:height, :width]
        .reshape(height // shrink, shrink, width // shrink, shrink, 3)
        .mean((1, 3))
        .transpose(2, 0, 1)[None]
        for picture in (left, right)
    ]
    return StereoPairs(*pictures, disparity[middle][None] / shrink, visible[middle][None].copy())


def depth(disparity, shrink=3):
    """How far away the points of the real pair are, in metres: baseline · focal length / (disparity + what the centres are apart).

    Args:
        disparity: array in px of the pictures that `motorcycle(shrink)` returns.
        shrink: as there.

    Returns:
        Array of the same shape, m.
    """
    return BASELINE * FOCAL_LENGTH / (shrink * np.asarray(disparity) + CENTRES_APART)


class _View:
    """What one eye sees: at each pixel the layer with the largest disparity so far."""

    def __init__(self, n, height, width):
        self.picture = np.zeros((n, 3, height, width), np.float32)
        self.disparity = np.full((n, height, width), -np.inf, np.float32)
        self.layer = np.zeros((n, height, width), np.int64)

    def lay(self, number, colours, disparity, covered):
        seen = covered & (disparity > self.disparity)
        self.disparity = np.where(seen, disparity, self.disparity)
        self.layer[seen] = number
        self.picture = np.where(seen[:, None], colours, self.picture)


class _Shape:
    """An ellipse or a rectangle in each of n pictures, from five random numbers in [0, 1) each."""

    def __init__(self, kind, x, y, long, turn, height, width):
        as_map = lambda number: number.astype(np.float32)[:, None, None]
        self.round = as_map(kind) < 0.5
        self.x, self.y = as_map(width * x), as_map(height * (y - 0.5))
        self.half = as_map(2 + 0.3 * min(height, width) * (2 * kind % 1)), as_map(3 + 0.25 * width * long)
        self.cos, self.sin = (as_map(f(np.pi * turn)) for f in (np.cos, np.sin))

    def covers(self, x, y):
        """(n, H, W) bool, for the columns x and the rows y, counted from the middle one."""
        x, y = x - self.x, y - self.y
        u, v = (self.cos * x + self.sin * y) / self.half[1], (self.cos * y - self.sin * x) / self.half[0]
        return np.where(self.round, u * u + v * v, np.maximum(abs(u), abs(v))) < 1


def _read(texture, x):
    """The texture (n, 3, H, T) at columns x (n, H, W) that need not be whole, between two of them linearly."""
    first = np.clip(x.astype(np.int64), 0, texture.shape[-1] - 2)
    share = (x - first)[:, None].astype(np.float32)
    at = lambda column: np.take_along_axis(texture, column[:, None], -1)
    return at(first) * (1 - share) + at(first + 1) * share


def _textures(n, height, width, split, rng):
    """(n, 3, height, width) float32: crops of the split's strips, some grey, some nearly of one colour."""
    out = np.empty((n, 3, height, width), np.float32)
    which, zoom, at = rng.integers(len(MATERIAL), size=n), rng.integers(len(ZOOMS), size=n), rng.random((n, 2))
    for number, name in enumerate(MATERIAL):
        for z, scale in enumerate(ZOOMS):
            mine = np.flatnonzero((which == number) & (zoom == z))
            if not len(mine):
                continue
            strip = _strip(name, split, scale, height, width)
            top, left = (at[mine] * (np.array(strip.shape[1:]) - (height, width) + 1)).astype(np.int64).T
            row, column = top[:, None, None] + np.arange(height)[:, None], left[:, None, None] + np.arange(width)
            out[mine] = strip[:, row, column].swapaxes(0, 1)
    grey = rng.random(n) < 0.3
    out[grey] = out[grey].mean(1, keepdims=True)
    plain, colour = rng.random(n) < 0.25, rng.random((n, 3, 1, 1), dtype=np.float32)
    out[plain] = 0.2 * out[plain] + 0.8 * colour[plain]
    return out


@lru_cache(maxsize=128)
def _strip(name, split, scale, height, width):
    """A strip at a scale, (3, h, w); mirrored where it is smaller than a texture must be."""
    strip = photograph_strip(name, split)
    shape = [max(1, round(side * scale)) for side in strip.shape[:2]]
    small = transform.resize(strip, shape, anti_aliasing=True).astype(np.float32)
    short = [(0, max(0, wanted - side)) for wanted, side in zip((height, width), shape, strict=True)]
    return np.pad(small, (*short, (0, 0)), mode="symmetric").transpose(2, 0, 1)


@lru_cache
def _motorcycle():
    folder = Path(skimage.__file__).parent / "data"  # files of the wheel: never asks the network
    left, right = ((io.imread(folder / f"motorcycle_{side}.png") / 255).astype(np.float32) for side in ("left", "right"))
    with np.load(folder / "motorcycle_disp.npz") as file:
        disparity = file["arr_0"].astype(np.float32)
    disparity[~np.isfinite(disparity)] = np.nan
    return left, right, disparity, _visible(disparity)


def _visible(disparity):
    """Where no other known point of the row with a larger disparity falls on the same pixel on the right, and none falls outside."""
    height, width = disparity.shape
    place = np.arange(width) - disparity
    inside = np.isfinite(place) & (place >= 0)  # NaN is not inside
    row = np.nonzero(inside)[0]
    target = np.round(place[inside]).astype(np.int64)
    largest = np.full((height, width), -np.inf, np.float32)
    np.maximum.at(largest, (row, target), disparity[inside])
    visible = np.zeros((height, width), bool)
    visible[inside] = disparity[inside] >= largest[row, target] - 1
    return visible
