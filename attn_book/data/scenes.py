"""Scenes: digits of several colours on a photograph, with boxes, masks and a caption."""

from dataclasses import dataclass

import numpy as np

from attn_book.data.checks import check_choice, check_range
from attn_book.data.drawing import BACKGROUNDS, COLOURS, backgrounds, lay, paint, place, tight_boxes, turn_and_enlarge
from attn_book.data.material import SPLITS, digit_scans


@dataclass(frozen=True)
class Scenes:
    """A batch of scenes and their truth; K is the largest number of digits in any of them.

    Attributes:
        images: (n, 3, H, W) float32 in [0, 1].
        labels: (n, K) int64, the digit 0-9, or -1 where a scene has fewer than K digits.
        boxes: (n, K, 4) float32 px, x0 y0 x1 y1. Tight around the whole digit, its covered part included. Zeros where
            there is no digit.
        masks: (n, K, H, W) bool, the visible pixels of each digit: more than half its colour, and not covered by a later one.
        colours: (n, K) int64, index into `list(COLOURS)`, or -1. Different digits of a scene have different colours.
        captions: n sentences such as "a red 3 above a blue 7"; each relation links one digit to the next.
    """

    images: np.ndarray
    labels: np.ndarray
    boxes: np.ndarray
    masks: np.ndarray
    colours: np.ndarray
    captions: list


def scenes(
    n,
    *,
    seed,
    split="train",
    size=32,
    digits=(1, 5),
    digit_size=(9, 15),
    rotation=15.0,
    background="photo",
    max_overlap=0.25,
):
    """n scenes of coloured handwritten digits with exact truth.

    Args:
        n: number of scenes, at least 1.
        seed: a whole number; the same arguments give the same scenes.
        split: "train", "validation" or "test": which scans, and which strip of each photograph.
        size: side of the square picture in px, or (height, width).
        digits: how many digits a scene holds: a number, or (fewest, most), both included; at most one per colour.
        digit_size: (smallest, largest) side in px of a whole 8×8 scan after enlarging; the ink fills most of it.
        rotation: largest turn to either side, in degrees.
        background: "photo" (a crop of a photograph, darkened a little), "tint" (one plain dark colour) or "black".
        max_overlap: largest allowed intersection of two boxes, as a fraction of the smaller one; 0 keeps them apart.

    Returns:
        Scenes.

    Raises:
        ValueError: for an argument outside its range, or when the digits do not fit into the picture.
    """
    height, width = (size, size) if np.isscalar(size) else size
    fewest, most = (digits, digits) if np.isscalar(digits) else digits
    smallest, largest = digit_size
    check_range("n", n, 1)
    check_choice("split", split, SPLITS)
    check_choice("background", background, BACKGROUNDS)
    check_range("digits", fewest, 1, len(COLOURS))
    check_range("digits", most, fewest, len(COLOURS))
    check_range("digit_size", smallest, 6)
    check_range("digit_size", largest, smallest, min(height, width))
    check_range("rotation", rotation, 0, 180)
    check_range("max_overlap", max_overlap, 0, 1)

    rng = np.random.default_rng([seed, SPLITS.index(split)])
    scans, scan_labels = digit_scans(split)
    K = most
    present = np.arange(K) < rng.integers(fewest, most + 1, n)[:, None]  # (n, K)
    which = rng.integers(len(scans), size=(n, K))
    colours = rng.permuted(np.tile(np.arange(len(COLOURS)), (n, 1)), axis=1)[:, :K]
    sides = rng.uniform(smallest, largest, n * K)
    angles = np.radians(rng.uniform(-rotation, rotation, n * K))
    shifts = rng.uniform(-0.5, 0.5, (n * K, 2))
    drawn = np.flatnonzero(present)
    ink = turn_and_enlarge(scans[which.ravel()[drawn]], sides[drawn], angles[drawn], shifts[drawn])
    inks = np.zeros((n * K, *ink.shape[1:]), np.float32)
    inks[drawn] = ink
    inks = inks.reshape(n, K, *ink.shape[1:])  # (n, K, S, S)
    tight = tight_boxes(inks > 0.5)  # within the S×S window
    extents = np.where(present[..., None], tight[..., 2:] - tight[..., :2], 1)  # (n, K, 2) px
    corners = place(extents, present, height, width, max_overlap, rng)  # of the tight boxes

    images = backgrounds(n, height, width, background, split, rng)
    masks = np.zeros((n, K, height, width), bool)
    palette = np.array(list(COLOURS.values()), np.float32)
    for k in range(K):
        ink = lay(inks[:, k], corners[:, k] - tight[:, k, :2], height, width)
        paint(images, ink, palette[colours[:, k]])
        masks[:, k] = ink > 0.5
        masks[:, :k] &= ~masks[:, k, None]  # a later digit covers the earlier ones

    boxes = np.concatenate([corners, corners + extents], -1)
    boxes = np.where(present[..., None], boxes, 0).astype(np.float32)
    labels = np.where(present, scan_labels[which], -1)
    colours = np.where(present, colours, -1)
    return Scenes(images, labels, boxes, masks, colours, _captions(labels, boxes, colours))


def _captions(labels, boxes, colours):
    names = list(COLOURS)
    centres = (boxes[..., :2] + boxes[..., 2:]) / 2
    dx, dy = np.moveaxis(np.diff(centres, axis=1), -1, 0)  # from each digit to the next
    words = np.where(
        np.abs(dx) > np.abs(dy),
        np.where(dx > 0, "left of", "right of"),
        np.where(dy > 0, "above", "below"),
    )
    captions = []
    for scene_labels, scene_colours, relations in zip(labels.tolist(), colours.tolist(), words.tolist(), strict=True):
        digits = [f"a {names[c]} {d}" for c, d in zip(scene_colours, scene_labels, strict=True) if d >= 0]
        links = [f" {relation} {digit}" for relation, digit in zip(relations, digits[1:], strict=False)]
        captions.append(digits[0] + ",".join(links))
    return captions
