"""Cued visual search: name the digit that has the colour of the square."""

from dataclasses import dataclass

import numpy as np

from attn_book.data import drawing
from attn_book.data.checks import check_choice, check_number, check_whole
from attn_book.data.drawing import BACKGROUNDS, COLOURS, PALETTE
from attn_book.data.material import digit_scans, generator

EMPTY = 10  # the label of a cell that holds no digit


@dataclass(frozen=True)
class CuedSearch:
    """A batch of cued visual search: among digits of different colours, name the one that has the cue's colour.

    The picture is a grid of cells, numbered row by row. Some hold a digit, one holds a plain square (the cue).

    Attributes:
        images: (n, 3, H, W) float32 in [0, 1].
        cell_labels: (n, cells²) int64, what each cell should say: its own digit, `EMPTY` (10), or, in the cue's cell, the answer.
        cue_cell: (n,) int64, the cell of the cue.
        target_cell: (n,) int64, the cell of the digit that has the cue's colour.
        answers: (n,) int64, that digit.
        cue_colours: (n, 3) float32, the cue's colour as red, green, blue.
        target_masks: (n, H, W) bool, the pixels of that digit.
    """

    images: np.ndarray
    cell_labels: np.ndarray
    cue_cell: np.ndarray
    target_cell: np.ndarray
    answers: np.ndarray
    cue_colours: np.ndarray
    target_masks: np.ndarray


def cued_search(n, *, seed, split="train", size=32, cells=4, digits=6, background="photo", noise=0.03):
    """n pictures for cued visual search: name the digit that has the colour of the square.

    Args:
        n: number of pictures, at least 1.
        seed: a whole number of at least 0; the same arguments give the same pictures.
        split: "train", "validation" or "test".
        size: side of the picture in px; a multiple of `cells`, with cells of at least 8 px.
        cells: the picture is a grid of cells × cells.
        digits: digits in a picture, each in a colour of its own, one of which is the cue's; 1 to 7.
        background: "photo", "tint" or "black".
        noise: standard deviation of the grain added to every pixel and channel.

    Returns:
        CuedSearch.

    Raises:
        ValueError: for an argument outside its range.
    """
    n = check_whole("n", n, 1)
    size = check_whole("size", size, 1)
    cells = check_whole("cells", cells, 2)
    K = check_whole("digits", digits, 1, min(len(COLOURS), cells**2 - 1))
    noise = check_number("noise", noise, 0)
    check_choice("background", background, BACKGROUNDS)
    if size % cells or size // cells < 8:
        raise ValueError(f"size must be a multiple of cells={cells} with cells of at least 8 px, got {size}")

    rng = generator(seed, split)
    scans, scan_labels = digit_scans(split)
    side, rows = size // cells, np.arange(n)
    where = drawing.without_repetition(n, K + 1, cells**2, rng)  # the last one is the cue's
    which = rng.integers(len(scans), size=(n, K))
    colours = drawing.without_repetition(n, K, len(COLOURS), rng)
    target = rng.integers(K, size=n)
    corners = np.stack([where % cells, where // cells], -1) * side  # (n, K + 1, 2) px

    images = drawing.backgrounds(n, size, size, background, split, rng)
    target_masks = np.zeros((n, size, size), bool)
    for k in range(K):
        sides = side * rng.uniform(0.95, 1.05, n)
        angles, shifts = rng.uniform(-0.2, 0.2, n), rng.uniform(-0.5, 0.5, (n, 2))
        ink = drawing.rotate_and_scale(scans[which[:, k]], sides, angles, shifts)  # (n, S, S)
        margin = (ink.shape[1] - side) // 2
        ink = drawing.paste(ink, corners[:, k] - margin, size, size)
        drawing.blend(images, ink, PALETTE[colours[:, k]])
        target_masks |= (ink > 0.5) & (target == k)[:, None, None]

    cue_colours = PALETTE[colours[rows, target]]
    inset = max(1, side // 8)
    square = np.pad(np.ones((side - 2 * inset,) * 2, np.float32), inset)
    squares = np.broadcast_to(square, (n, side, side))
    drawing.blend(images, drawing.paste(squares, corners[:, K], size, size), cue_colours)
    if noise:
        images += noise * rng.standard_normal(images.shape, dtype=np.float32)
        np.clip(images, 0, 1, out=images)

    answers = scan_labels[which[rows, target]]
    cell_labels = np.full((n, cells**2), EMPTY)
    np.put_along_axis(cell_labels, where[:, :K], scan_labels[which], axis=1)
    cell_labels[rows, where[:, K]] = answers
    return CuedSearch(images, cell_labels, where[:, K], where[rows, target], answers, cue_colours, target_masks)
