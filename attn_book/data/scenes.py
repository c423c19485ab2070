"""Scenes: digits of several colours on a photograph, with boxes, masks and a caption."""

from dataclasses import dataclass

import numpy as np

from attn_book.data import drawing
from attn_book.data.checks import check_choice, check_number, check_size, check_span, check_whole
from attn_book.data.drawing import BACKGROUNDS, COLOURS, PALETTE
from attn_book.data.material import digit_scans, generator


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
        captions: n sentences such as "a red 3 above a blue 7"; each relation links one digit to the next; "nothing" where there is
            no digit.
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
        seed: a whole number of at least 0; the same arguments give the same scenes.
        split: "train", "validation" or "test": which scans, and which strip of each photograph.
        size: side of the square picture in px, or (height, width); at least 6.
        digits: how many digits a scene holds: a number, or (fewest, most), both included; 0 to 7, one per colour.
        digit_size: (smallest, largest) side in px of a whole 8×8 scan after enlarging, or one number for both; at least 6.
            The ink fills most of it.
        rotation: largest turn to either side, in degrees.
        background: "photo" (a crop of a photograph, darkened a little), "tint" (one plain dark colour) or "black".
        max_overlap: largest allowed intersection of two boxes, as a fraction of the smaller one; 0 keeps them apart.

    Returns:
        Scenes.

    Raises:
        ValueError: for an argument outside its range, or when the digits do not fit into the picture.

    Examples:
        >>> some = scenes(4, seed=0, size=(32, 48), digits=2)
        >>> some.images.shape, some.boxes.shape, some.masks.shape
        ((4, 3, 32, 48), (4, 2, 4), (4, 2, 32, 48))
    """
    n = check_whole("n", n, 1)
    height, width = check_size("size", size, 6)
    fewest, K = check_span(check_whole, "digits", digits, 0, len(COLOURS))
    smallest, largest = check_span(check_number, "digit_size", digit_size, 6, min(height, width))
    rotation = check_number("rotation", rotation, 0, 180)
    max_overlap = check_number("max_overlap", max_overlap, 0, 1)
    check_choice("background", background, BACKGROUNDS)

    rng = generator(seed, split)
    scans, scan_labels = digit_scans(split)
    present = np.arange(K) < rng.integers(fewest, K + 1, n)[:, None]  # (n, K)
    which = rng.integers(len(scans), size=(n, K))
    colours = drawing.without_repetition(n, K, len(COLOURS), rng)
    sides = rng.uniform(smallest, largest, (n, K))
    angles = np.radians(rng.uniform(-rotation, rotation, (n, K)))
    shifts = rng.uniform(-0.5, 0.5, (n, K, 2))
    drawn = drawing.rotate_and_scale(scans[which[present]], sides[present], angles[present], shifts[present])
    inks = np.zeros((n, K, *drawn.shape[1:]), np.float32)  # (n, K, S, S)
    inks[present] = drawn
    tight = drawing.tight_boxes(inks > 0.5)  # within the S×S window
    extents = np.where(present[..., None], tight[..., 2:] - tight[..., :2], 1)  # (n, K, 2) px
    corners = drawing.random_corners(extents, present, height, width, max_overlap, rng)  # of the tight boxes

    images = drawing.backgrounds(n, height, width, background, split, rng)
    masks = np.zeros((n, K, height, width), bool)
    for k in range(K):
        ink = drawing.paste(inks[:, k], corners[:, k] - tight[:, k, :2], height, width)
        drawing.blend(images, ink, PALETTE[colours[:, k]])
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
        captions.append("".join(digits[:1]) + ",".join(links) or "nothing")
    return captions
