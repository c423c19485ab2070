"""The one image world of the book: real handwriting on real photographs, with exact truth.

Every scene is made of scans of handwritten digits (`sklearn.datasets.load_digits`), turned and enlarged a little, painted
in a named colour and laid on a crop of a photograph, a plain tint, or black. Nothing is downloaded: the scans and the
photographs come inside scikit-learn and scikit-image.

Three promises hold for every function here:

* the result depends on the arguments alone (the same seed gives the same pictures);
* training and test scenes share no scan of a digit, and no region of a photograph;
* the truth is exact, because the scene was drawn from it.

Units: pictures are float32 in [0, 1], channels first, `(n, 3, H, W)`; positions are pixels, x to the right, y down; a box
is `(x0, y0, x1, y1)` with x1 and y1 exclusive, so `image[:, y0:y1, x0:x1]` cuts it out.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import skimage
from skimage import io, transform
from sklearn.datasets import load_digits, load_sample_images

# Seven colours with plain names. Every pair stays apart under simulated protanopia and deuteranopia (tests/test_scenes.py).
COLOURS = {
    "red": (0.86, 0.05, 0.05),
    "yellow": (0.95, 0.95, 0.15),
    "green": (0.05, 0.55, 0.38),
    "cyan": (0.55, 0.86, 1.00),
    "blue": (0.12, 0.20, 0.84),
    "pink": (0.85, 0.36, 0.84),
    "white": (1.00, 1.00, 1.00),
}
PHOTOGRAPHS = ("china", "flower", "astronaut", "chelsea", "coffee", "rocket")  # chelsea is a cat
SPLITS = ("train", "test")
BACKGROUNDS = ("photo", "tint", "black")
EMPTY = 10  # the label of a cell that holds no digit
TRAIN_SCANS = 1200


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


# ----------------------------------------------------------------------------- the real material


@lru_cache
def _photograph(name):
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
    _check_choice("name", name, PHOTOGRAPHS)
    picture = _photograph(name)
    if size is None:
        return picture.copy()
    height, width = (size, size) if np.isscalar(size) else size
    if min(height, width) < 1:
        raise ValueError(f"size must be positive, got {size}")
    return _fit(picture, height, width)


def _fit(picture, height, width):
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
    """The handwriting behind all scenes: 1,797 real scans, 1,200 for training and the other 597 for test.

    Args:
        split: "train" or "test".

    Returns:
        images (n, 8, 8) float32 in [0, 1], 1 = ink; labels (n,) int64.
    """
    _check_choice("split", split, SPLITS)
    part = slice(None, TRAIN_SCANS) if split == "train" else slice(TRAIN_SCANS, None)
    images, labels = _all_scans()
    return images[part].copy(), labels[part].copy()


# ----------------------------------------------------------------------------- scenes


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
        split: "train" or "test": which scans, and which part of each photograph.
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
    _check_range("n", n, 1)
    _check_choice("split", split, SPLITS)
    _check_choice("background", background, BACKGROUNDS)
    _check_range("digits", fewest, 1, len(COLOURS))
    _check_range("digits", most, fewest, len(COLOURS))
    _check_range("digit_size", smallest, 6)
    _check_range("digit_size", largest, smallest, min(height, width))
    _check_range("rotation", rotation, 0, 180)
    _check_range("max_overlap", max_overlap, 0, 1)

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
    ink = _turn_and_enlarge(scans[which.ravel()[drawn]], sides[drawn], angles[drawn], shifts[drawn])
    inks = np.zeros((n * K, *ink.shape[1:]), np.float32)
    inks[drawn] = ink
    inks = inks.reshape(n, K, *ink.shape[1:])  # (n, K, S, S)
    tight = _tight_boxes(inks > 0.5)  # within the S×S window
    extents = np.where(present[..., None], tight[..., 2:] - tight[..., :2], 1)  # (n, K, 2) px
    corners = _place(extents, present, height, width, max_overlap, rng)  # of the tight boxes

    images = _backgrounds(n, height, width, background, split, rng)
    masks = np.zeros((n, K, height, width), bool)
    palette = np.array(list(COLOURS.values()), np.float32)
    for k in range(K):
        ink = _lay(inks[:, k], corners[:, k] - tight[:, k, :2], height, width)
        _paint(images, ink, palette[colours[:, k]])
        masks[:, k] = ink > 0.5
        masks[:, :k] &= ~masks[:, k, None]  # a later digit covers the earlier ones

    boxes = np.concatenate([corners, corners + extents], -1)
    boxes = np.where(present[..., None], boxes, 0).astype(np.float32)
    labels = np.where(present, scan_labels[which], -1)
    colours = np.where(present, colours, -1)
    return Scenes(images, labels, boxes, masks, colours, _captions(labels, boxes, colours))


def cued_search(n, *, seed, split="train", size=32, cells=4, digits=6, background="photo", noise=0.03):
    """n pictures for cued visual search: name the digit that has the colour of the square.

    Args:
        n: number of pictures, at least 1.
        seed: a whole number; the same arguments give the same pictures.
        split: "train" or "test".
        size: side of the picture in px; a multiple of `cells`, with cells of at least 8 px.
        cells: the picture is a grid of cells × cells.
        digits: digits in a picture, each in a colour of its own, one of which is the cue's; 1 to 7.
        background: "photo", "tint" or "black".
        noise: standard deviation of the grain added to every pixel and channel.

    Returns:
        CuedSearch.
    """
    _check_range("n", n, 1)
    _check_choice("split", split, SPLITS)
    _check_choice("background", background, BACKGROUNDS)
    _check_range("cells", cells, 2)
    _check_range("digits", digits, 1, min(len(COLOURS), cells**2 - 1))
    _check_range("noise", noise, 0)
    if size % cells or size // cells < 8:
        raise ValueError(f"size must be a multiple of cells={cells} with cells of at least 8 px, got {size}")

    rng = np.random.default_rng([seed, SPLITS.index(split)])
    scans, scan_labels = digit_scans(split)
    K, side, rows = digits, size // cells, np.arange(n)
    where = rng.permuted(np.tile(np.arange(cells**2), (n, 1)), axis=1)[:, : K + 1]  # the last one is the cue's
    which = rng.integers(len(scans), size=(n, K))
    colours = rng.permuted(np.tile(np.arange(len(COLOURS)), (n, 1)), axis=1)[:, :K]
    target = rng.integers(K, size=n)
    palette = np.array(list(COLOURS.values()), np.float32)
    corners = np.stack([where % cells, where // cells], -1) * side  # (n, K + 1, 2) px

    images = _backgrounds(n, size, size, background, split, rng)
    target_masks = np.zeros((n, size, size), bool)
    for k in range(K):
        sides = side * rng.uniform(0.95, 1.05, n)
        ink = _turn_and_enlarge(scans[which[:, k]], sides, rng.uniform(-0.2, 0.2, n), rng.uniform(-0.5, 0.5, (n, 2)))
        margin = (ink.shape[1] - side) // 2
        ink = _lay(ink, corners[:, k] - margin, size, size)
        _paint(images, ink, palette[colours[:, k]])
        target_masks |= (ink > 0.5) & (target == k)[:, None, None]

    cue_colours = palette[colours[rows, target]]
    inset = max(1, side // 8)
    square = np.pad(np.ones((side - 2 * inset,) * 2, np.float32), inset)
    _paint(images, _lay(np.broadcast_to(square, (n, side, side)), corners[:, K], size, size), cue_colours)
    if noise:
        images += noise * rng.standard_normal(images.shape, dtype=np.float32)
        np.clip(images, 0, 1, out=images)

    answers = scan_labels[which[rows, target]]
    cell_labels = np.full((n, cells**2), EMPTY)
    np.put_along_axis(cell_labels, where[:, :K], scan_labels[which], axis=1)
    cell_labels[rows, where[:, K]] = answers
    return CuedSearch(images, cell_labels, where[:, K], where[rows, target], answers, cue_colours, target_masks)


def folder_per_class(path, *, size):
    """The reader's own pictures: one folder per class, any common picture format inside.

    Args:
        path: a folder whose sub-folders are the classes, `path/cat/1.jpg`, `path/dog/a.png`, …
        size: side in px; every picture is cropped to its centred square and resized.

    Returns:
        images (n, 3, size, size) float32 in [0, 1], labels (n,) int64, and the class names in alphabetical order.

    Raises:
        ValueError: when the folder is missing, holds no class folders, or a class holds no picture.
    """
    _check_range("size", size, 1)
    root = Path(path)
    if not root.is_dir():
        raise ValueError(f"path must be a folder that holds one folder per class, got {str(path)!r}, which is not a folder")
    folders = sorted(folder for folder in root.iterdir() if folder.is_dir() and not folder.name.startswith("."))
    if not folders:
        raise ValueError(f"path must hold one folder per class, got {str(path)!r}, which holds no folder")
    images, labels = [], []
    for label, folder in enumerate(folders):
        files = sorted(file for file in folder.iterdir() if file.suffix.lower() in PICTURE_FORMATS)
        if not files:
            formats = ", ".join(PICTURE_FORMATS)
            raise ValueError(f"every class folder must hold a picture ({formats}), got none in {folder.name!r}")
        images += [_fit(_rgb(io.imread(file)), size, size).transpose(2, 0, 1) for file in files]
        labels += [label] * len(files)
    return np.stack(images), np.array(labels), [folder.name for folder in folders]


PICTURE_FORMATS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")


# ----------------------------------------------------------------------------- drawing, all vectorised over scenes


def _turn_and_enlarge(scans, sides, angles, shifts):
    """(m, 8, 8) scans -> (m, S, S) ink in [0, 1]: bilinear, `sides` px wide, turned by `angles` rad, `shifts` px off centre."""
    m, P, _ = scans.shape
    reach = np.max(sides * (np.abs(np.cos(angles)) + np.abs(np.sin(angles))))
    S = 2 * int(np.ceil(reach / 2 + 1))  # even, so that the centre of the window is a corner of pixels
    at = (np.arange(S) + 0.5 - S / 2).astype(np.float32)
    x = at[None, None, :] - shifts[:, 0, None, None].astype(np.float32)
    y = at[None, :, None] - shifts[:, 1, None, None].astype(np.float32)
    cos, sin = ((P / sides * f(angles)).astype(np.float32)[:, None, None] for f in (np.cos, np.sin))
    centre = (P - 1) / 2 + 1  # of the scan, inside a ring of zeros
    u = np.clip(cos * x + sin * y + centre, 0, P + 1)  # (m, S, S) column in the ringed scan
    v = np.clip(cos * y - sin * x + centre, 0, P + 1)
    ringed = np.pad(scans, ((0, 0), (1, 1), (1, 1))).ravel()
    column, row = np.minimum(u.astype(np.int32), P), np.minimum(v.astype(np.int32), P)
    u -= column  # in place: stays float32
    v -= row
    first = np.arange(m, dtype=np.int32)[:, None, None] * (P + 2) ** 2 + row * (P + 2) + column
    top = ringed[first] * (1 - u) + ringed[first + 1] * u
    bottom = ringed[first + P + 2] * (1 - u) + ringed[first + P + 3] * u
    return top * (1 - v) + bottom * v


def _tight_boxes(masks):
    """(..., S, S) bool -> (..., 4) int: x0 y0 x1 y1 of the True pixels."""
    S = masks.shape[-1]
    columns, rows = masks.any(-2), masks.any(-1)  # (..., S) each
    starts = [columns.argmax(-1), rows.argmax(-1)]
    ends = [S - columns[..., ::-1].argmax(-1), S - rows[..., ::-1].argmax(-1)]
    return np.stack(starts + ends, -1)


def _place(extents, present, height, width, max_overlap, rng, tries=16, rounds=60):
    """Random corners (n, K, 2) for boxes of the given extents (n, K, 2), inside the picture and overlapping little enough."""
    n, K, _ = extents.shape
    corners = np.zeros((n, K, 2), np.int64)
    todo = np.arange(n)
    for _ in range(rounds):
        fits = np.ones(len(todo), bool)
        for k in range(K):
            extent = extents[todo, k]
            room = np.array([width, height]) - extent + 1
            candidates = (rng.random((tries, len(todo), 2)) * room).astype(np.int64)
            worst = np.zeros((tries, len(todo)))
            for j in range(k):
                both = present[todo, j] & present[todo, k]
                other, other_extent = corners[todo, j], extents[todo, j]
                low = np.maximum(candidates, other)
                high = np.minimum(candidates + extent, other + other_extent)
                shared = np.prod(np.clip(high - low, 0, None), -1)
                smaller = np.minimum(extent.prod(-1), other_extent.prod(-1))
                worst = np.maximum(worst, shared / smaller * both)
            allowed = worst <= max_overlap
            corners[todo, k] = candidates[allowed.argmax(0), np.arange(len(todo))]  # the first that is allowed
            fits &= allowed.any(0)
        todo = todo[~fits]
        if not len(todo):
            return corners
    raise ValueError(
        f"digits, digit_size and max_overlap must let all digits fit into the picture; {K} digits in {height}×{width} px "
        f"with max_overlap={max_overlap} did not: use fewer or smaller digits, or allow more overlap"
    )


def _lay(windows, corners, height, width):
    """(n, S, S) windows with their upper left at corners (n, 2) px -> (n, height, width); what falls outside is cut off."""
    n, S, _ = windows.shape
    ringed = np.pad(windows, ((0, 0), (1, 1), (1, 1))).ravel()
    row = np.clip(np.arange(height) - corners[:, 1, None], -1, S) + 1  # (n, height)
    column = np.clip(np.arange(width) - corners[:, 0, None], -1, S) + 1
    first = np.arange(n)[:, None] * (S + 2) ** 2 + row * (S + 2)
    return ringed[first[:, :, None] + column[:, None, :]]


def _paint(images, ink, colours):
    """Blend colours (n, 3) over images (n, 3, H, W), in place, with opacity ink (n, H, W)."""
    for c in range(3):
        images[:, c] += ink * (colours[:, c, None, None] - images[:, c])


def _backgrounds(n, height, width, kind, split, rng):
    """(n, 3, height, width) float32."""
    if kind == "black":
        return np.zeros((n, 3, height, width), np.float32)
    if kind == "tint":
        tint = rng.uniform(0.05, 0.35, (n, 3, 1, 1)).astype(np.float32)
        return np.tile(tint, (1, 1, height, width))
    images = np.empty((n, 3, height, width), np.float32)
    which, zoom = rng.integers(len(PHOTOGRAPHS), size=n), rng.integers(2, size=n)
    at = rng.random((n, 2))
    for p, name in enumerate(PHOTOGRAPHS):
        for z in range(2):
            bank = _crop_bank(name, split, 2 * max(height, width) * (z + 1))  # (3, h, w)
            mine = np.flatnonzero((which == p) & (zoom == z))
            room = np.array(bank.shape[1:]) - (height, width) + 1
            top, left = (at[mine] * room).astype(np.int64).T
            row = top[:, None, None] + np.arange(height)[:, None]
            images[mine] = bank[:, row, left[:, None, None] + np.arange(width)].swapaxes(0, 1)
    return images


@lru_cache(maxsize=64)
def _crop_bank(name, split, short_side):
    """The part of a photograph that a split may crop from, resized and darkened so that every colour stands out."""
    picture = _photograph(name)
    cut = picture.shape[1] * 2 // 3  # left two thirds for training, the rest for test
    part = picture[:, :cut] if split == "train" else picture[:, cut:]
    scale = short_side / min(part.shape[:2])
    shape = [round(side * scale) for side in part.shape[:2]]
    return 0.6 * transform.resize(part, shape, anti_aliasing=True).astype(np.float32).transpose(2, 0, 1)


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


def _rgb(picture):
    """Any picture as (H, W, 3) float32 in [0, 1]; transparency shows white."""
    if picture.ndim == 4:  # the first frame of a moving picture
        picture = picture[0]
    if picture.ndim == 2:
        picture = picture[..., None]
    top = np.iinfo(picture.dtype).max if np.issubdtype(picture.dtype, np.integer) else 1.0
    picture = picture.astype(np.float32) / top
    if picture.shape[-1] in (2, 4):
        alpha = picture[..., -1:]
        picture = picture[..., :-1] * alpha + (1 - alpha)
    return np.broadcast_to(picture, (*picture.shape[:2], 3))


# ----------------------------------------------------------------------------- rejections


def _check_choice(name, got, choices):
    if got not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}; got {got!r}")


def _check_range(name, got, low, high=None):
    if not isinstance(got, (int, float, np.integer, np.floating)) or got < low or (high is not None and got > high):
        takes = f"of at least {low}" if high is None else f"from {low} to {high}"
        raise ValueError(f"{name} must be a number {takes}, got {got!r}")
