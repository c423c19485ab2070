"""Two digits of one class, one over the other by a chosen amount: the case that suppression of neighbours cannot tell from a double."""

import numpy as np

from attn_book.data import drawing
from attn_book.data.checks import check_number, check_span, check_whole
from attn_book.data.drawing import COLOURS, PALETTE
from attn_book.data.material import digit_scans, generator


def same_digit_pairs(n, *, seed, split="test", size=40, digit_size=(12, 18), rotation=15.0, iou=(0.4, 0.55)):
    """n pictures of two different scans of one digit, in two colours, on a photograph; how far their boxes overlap is given.

    Args:
        n: number of pictures, at least 1.
        seed: a whole number of at least 0; the same arguments give the same pictures.
        split: "train", "validation" or "test".
        size: side of the picture in px; at least twice the largest digit.
        digit_size: (smallest, largest) side in px of a whole 8×8 scan after enlarging, or one number; at least 6.
        rotation: largest turn to either side, in degrees.
        iou: (lowest, highest) intersection over union of the two tight boxes, within 0 to .8.

    Returns:
        images (n, 3, size, size) float32 in [0, 1], labels (n, 2) int64 and boxes (n, 2, 4) float32 px, x0 y0 x1 y1, as in `Scenes`.
        The second digit covers the first. Pairs of too different a shape for the overlap are not among them.

    Raises:
        ValueError: for an argument outside its range, or a range of IoU in which too few pairs find a place.
    """
    n, size = check_whole("n", n, 1), check_whole("size", size, 12)
    smallest, largest = check_span(check_number, "digit_size", digit_size, 6, size / 2)
    rotation = check_number("rotation", rotation, 0, 180)
    low, high = check_span(check_number, "iou", iou, 0, 0.8)

    rng = generator(seed, split)
    scans, labels = digit_scans(split)
    many = 3 * n + 50  # candidates: boxes of too different a shape cannot overlap by much
    first = rng.integers(len(scans), size=many)
    second = _other_of_its_class(first, labels, rng)
    which = np.stack([first, second], 1)  # (many, 2)
    sides, shifts = rng.uniform(smallest, largest, 2 * many), rng.uniform(-0.5, 0.5, (2 * many, 2))
    angles = np.radians(rng.uniform(-rotation, rotation, 2 * many))
    inks = drawing.rotate_and_scale(scans[which.ravel()], sides, angles, shifts)
    inks = inks.reshape(many, 2, *inks.shape[1:])  # (many, 2, S, S)
    tight = drawing.tight_boxes(inks > 0.5)
    extents = tight[..., 2:] - tight[..., :2]  # (many, 2, 2) px
    corners, fits = _corners(extents, size, low, high, rng)
    if fits.sum() < n:
        raise ValueError(f"iou must leave room for n = {n} pairs, got {low:g} to {high:g}, in which {fits.sum()} of {many} fit")
    chosen = np.flatnonzero(fits)[:n]
    which, inks, tight, extents, corners = (a[chosen] for a in (which, inks, tight, extents, corners))

    images = drawing.backgrounds(n, size, size, "photo", split, rng)
    colours = drawing.without_repetition(n, 2, len(COLOURS), rng)
    for k in range(2):
        ink = drawing.paste(inks[:, k], corners[:, k] - tight[:, k, :2], size, size)
        drawing.blend(images, ink, PALETTE[colours[:, k]])
    boxes = np.concatenate([corners, corners + extents], -1).astype(np.float32)
    return images, labels[which], boxes


def _other_of_its_class(first, labels, rng):
    """For each scan another one of the same digit."""
    second = first.copy()
    while (wrong := (second == first) | (labels[second] != labels[first])).any():
        second[wrong] = rng.integers(len(labels), size=wrong.sum())
    return second


def _corners(extents, size, low, high, rng, rounds=200):
    """Places at which the IoU of the two boxes lies in the range: (n, 2, 2) px, x0 and y0 of both, and where one was found, (n,)."""
    corners, todo = np.zeros(extents.shape, np.int64), np.arange(len(extents))
    reach = extents.sum(1) / 2 if low > 0 else np.full((len(extents), 2), size)  # further apart they do not touch
    for _ in range(rounds):
        extent = extents[todo]
        corners[todo, 0] = rng.random((len(todo), 2)) * (size - extent[:, 0] + 1)
        offset = rng.uniform(-1, 1, (len(todo), 2)) * reach[todo]
        corners[todo, 1] = np.clip(np.round(corners[todo, 0] + offset), 0, size - extent[:, 1])
        start, end = corners[todo], corners[todo] + extent
        shared = np.clip(end.min(1) - start.max(1), 0, None).prod(-1)
        iou = shared / (extent.prod(-1).sum(1) - shared)
        todo = todo[(iou < low) | (iou > high)]
    fits = np.ones(len(extents), bool)
    fits[todo] = False
    return corners, fits
