"""The photograph of coins that comes with scikit-image, as pictures of one coin each with the coin's mask."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import skimage
from scipy import ndimage
from skimage import filters, io, measure, segmentation, transform

from attn_book.data.checks import check_whole

CROP, SIZE = 128, 64  # px of the photograph that one picture shows, and px of that picture
SMALLEST = 600  # px of the photograph: what is smaller is no coin


@dataclass(frozen=True)
class Coins:
    """The 24 coins of the photograph, one picture for each.

    Attributes:
        images: (24, 3, 64, 64) float32 in [0, 1], grey: 128 px of the photograph around the coin at half their size.
        masks: (24, 64, 64) bool, the coin in the middle of the picture (beside an edge of the photograph: not quite in the middle).
        neighbours: (24, 64, 64) bool, all other coins of the picture.
        centres: (24, 2) int64 px, row and column of the coin's centre.
    """

    images: np.ndarray
    masks: np.ndarray
    neighbours: np.ndarray
    centres: np.ndarray


def coins():
    """The coins, cut out of the photograph at half its size.

    Returns:
        Coins; fresh copies, always in the same order.
    """
    photograph, numbers = coin_photograph()
    found = measure.regionprops(numbers)
    images, masks, neighbours, centres = [], [], [], []
    for region in found:
        centre = np.array(region.centroid)
        top, left = np.clip(np.round(centre).astype(int) - CROP // 2, 0, np.array(numbers.shape) - CROP)
        window = np.s_[top : top + CROP, left : left + CROP]
        mine = transform.resize((numbers[window] == region.label).astype(float), (SIZE, SIZE)) > 0.5
        any_coin = transform.resize((numbers[window] > 0).astype(float), (SIZE, SIZE)) > 0.5
        images.append(transform.resize(photograph[window], (SIZE, SIZE), anti_aliasing=True))
        masks.append(mine)
        neighbours.append(any_coin & ~mine)
        centres.append(((centre - (top, left)) * SIZE / CROP).astype(np.int64))
    grey = np.stack(images).astype(np.float32)
    return Coins(np.repeat(grey[:, None], 3, axis=1), np.stack(masks), np.stack(neighbours), np.stack(centres))


def coin_photograph():
    """The photograph whole, and where each coin is.

    Returns:
        photograph (303, 384) float32 in [0, 1]; numbers (303, 384) int64, 0 for the ground, 1 to 24 for the coins. Fresh copies.

    Source of the masks: scikit-image's example "Comparing edge-based and region-based segmentation": a watershed on the Sobel
    edges, from what is surely ground (grey values below 30 of 255) and what is surely coin (above 150), with holes filled. Pieces of
    fewer than `SMALLEST` pixels are left out.
    """
    photograph, numbers = _photograph_and_numbers()
    return photograph.copy(), numbers.copy()


def coin_clicks(per_coin, *, seed):
    """Clicks on random pixels of the coins in `coins()`.

    Args:
        per_coin: P, clicks on each coin.
        seed: a whole number of at least 0.

    Returns:
        (24, P, 2) int64 px, row and column. The first is on the coin's centre, the others on pixels at least two inside its rim.

    Raises:
        ValueError: for an argument outside its range.
    """
    per_coin, rng = check_whole("per_coin", per_coin, 1), np.random.default_rng(check_whole("seed", seed, 0))
    made = coins()
    places = np.empty((len(made.masks), per_coin, 2), np.int64)
    for coin, (mask, centre) in enumerate(zip(made.masks, made.centres, strict=True)):
        inside = np.argwhere(ndimage.binary_erosion(mask, iterations=2))
        places[coin] = inside[rng.integers(len(inside), size=per_coin)]
        places[coin, 0] = centre
    return places


@lru_cache
def _photograph_and_numbers():
    grey = io.imread(Path(skimage.__file__).parent / "data" / "coins.png")  # a file of the wheel: never asks the network
    sure = np.zeros(grey.shape, np.int64)
    sure[grey < 30], sure[grey > 150] = 1, 2
    coin = segmentation.watershed(filters.sobel(grey), sure) == 2
    pieces, _ = ndimage.label(ndimage.binary_fill_holes(coin))
    area = np.bincount(pieces.ravel())
    large = np.flatnonzero(area[1:] > SMALLEST) + 1
    numbers = np.zeros(len(area), np.int64)
    numbers[large] = np.arange(len(large)) + 1
    return (grey / 255).astype(np.float32), numbers[pieces]
