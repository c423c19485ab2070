"""Cued visual search: name the digit that has the colour of the square."""

import copy
from dataclasses import dataclass, replace

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
    drawn, rng = _drawn(n, seed, split, size, cells, digits, background, noise)
    return _painted(drawn, rng)


def cued_pairs(n, *, seed, change="cue", split="test", size=32, cells=4, digits=6, background="photo", noise=0.03):
    """n pairs of pictures for cued visual search that differ in one thing: all else is equal, to the grain.

    Args:
        n, seed, split, size, cells, background, noise: as for `cued_search`; the first of each pair is what it makes of them.
        change: "cue": the cue has the colour of a digit that shows something else; "digit": in the place of the digit that is meant
            stands another one, in the same colour; "other": the same with a digit that is not meant, so that the answer stays;
            "all": every digit and the cue's colour, so that just the empty cells are alike.
        digits: as for `cued_search`, at least 2.

    Returns:
        Two `CuedSearch`: the pictures, and their twins.

    Raises:
        ValueError: for an argument outside its range, or a picture in which all digits are the same.
    """
    check_choice("change", change, ("cue", "digit", "other", "all"))
    drawn, rng = _drawn(n, seed, split, size, cells, check_whole("digits", digits, 2), background, noise)
    rows, labels = np.arange(len(drawn.which)), digit_scans(split)[1]
    shown = labels[drawn.which]  # (n, K)
    free = np.random.default_rng([seed, 1])  # rng must paint both alike
    which, target = drawn.which.copy(), drawn.target.copy()
    if change in ("cue", "all"):
        others = shown != shown[rows, target][:, None]
        if not others.any(1).all():
            raise ValueError(f"seed={seed} gives a picture in which all digits are the same: take another, or more digits")
        target = np.where(others, free.random(others.shape), -1.0).argmax(1)
    another = (drawn.target + free.integers(1, shown.shape[1], len(rows))) % shown.shape[1]
    for k in {"cue": [], "digit": [target], "other": [another], "all": range(shown.shape[1])}[change]:
        fits = labels != shown[rows, k][:, None]  # (n, scans)
        which[rows, k] = np.where(fits, free.random(fits.shape), -1.0).argmax(1)
    twins = replace(drawn, which=which, target=target)
    return _painted(drawn, copy.deepcopy(rng)), _painted(twins, rng)


@dataclass(frozen=True)
class _Drawn:
    """What a batch of pictures shall show: cells of the K digits and of the cue, scans, colours, and which digit is meant."""

    where: np.ndarray  # (n, K + 1); the last one is the cue's
    which: np.ndarray  # (n, K)
    colours: np.ndarray  # (n, K)
    target: np.ndarray  # (n,)
    split: str
    size: int
    cells: int
    background: str
    noise: float


def _drawn(n, seed, split, size, cells, digits, background, noise):
    """The `_Drawn` of these arguments, and the generator that paints it."""
    n = check_whole("n", n, 1)
    size = check_whole("size", size, 1)
    cells = check_whole("cells", cells, 2)
    K = check_whole("digits", digits, 1, min(len(COLOURS), cells**2 - 1))
    noise = check_number("noise", noise, 0)
    check_choice("background", background, BACKGROUNDS)
    if size % cells or size // cells < 8:
        raise ValueError(f"size must be a multiple of cells={cells} with cells of at least 8 px, got {size}")

    rng = generator(seed, split)
    where = drawing.without_repetition(n, K + 1, cells**2, rng)
    which = rng.integers(len(digit_scans(split)[0]), size=(n, K))
    colours = drawing.without_repetition(n, K, len(COLOURS), rng)
    target = rng.integers(K, size=n)
    return _Drawn(where, which, colours, target, split, size, cells, background, noise), rng


def _painted(drawn, rng):
    where, which, target, cells, size = drawn.where, drawn.which, drawn.target, drawn.cells, drawn.size
    scans, scan_labels = digit_scans(drawn.split)
    (n, K), rows, side = which.shape, np.arange(len(which)), size // cells
    corners = np.stack([where % cells, where // cells], -1) * side  # (n, K + 1, 2) px

    images = drawing.backgrounds(n, size, size, drawn.background, drawn.split, rng)
    target_masks = np.zeros((n, size, size), bool)
    for k in range(K):
        sides = side * rng.uniform(0.95, 1.05, n)
        angles, shifts = rng.uniform(-0.2, 0.2, n), rng.uniform(-0.5, 0.5, (n, 2))
        ink = drawing.rotate_and_scale(scans[which[:, k]], sides, angles, shifts)  # (n, S, S)
        margin = (ink.shape[1] - side) // 2
        ink = drawing.paste(ink, corners[:, k] - margin, size, size)
        drawing.blend(images, ink, PALETTE[drawn.colours[:, k]])
        target_masks |= (ink > 0.5) & (target == k)[:, None, None]

    cue_colours = PALETTE[drawn.colours[rows, target]]
    inset = max(1, side // 8)
    square = np.pad(np.ones((side - 2 * inset,) * 2, np.float32), inset)
    squares = np.broadcast_to(square, (n, side, side))
    drawing.blend(images, drawing.paste(squares, corners[:, K], size, size), cue_colours)
    if drawn.noise:
        images += drawn.noise * rng.standard_normal(images.shape, dtype=np.float32)
        np.clip(images, 0, 1, out=images)

    answers = scan_labels[which[rows, target]]
    cell_labels = np.full((n, cells**2), EMPTY)
    np.put_along_axis(cell_labels, where[:, :K], scan_labels[which], axis=1)
    cell_labels[rows, where[:, K]] = answers
    return CuedSearch(images, cell_labels, where[:, K], where[rows, target], answers, cue_colours, target_masks)
