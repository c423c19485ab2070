"""Drawing scans of digits onto backgrounds, for all pictures of a batch at once."""

from functools import lru_cache

import numpy as np
from skimage import transform

from attn_book.data.material import PHOTOGRAPHS, photograph_strip

# Seven colours with plain names: red, green, blue from 0 to 1. Every pair stays apart for the colour-blind (tested).
COLOURS = {
    "red": (0.86, 0.05, 0.05),
    "yellow": (0.95, 0.95, 0.15),
    "green": (0.05, 0.55, 0.38),
    "cyan": (0.55, 0.86, 1.00),
    "blue": (0.12, 0.20, 0.84),
    "pink": (0.85, 0.36, 0.84),
    "white": (1.00, 1.00, 1.00),
}
PALETTE = np.array(list(COLOURS.values()), np.float32)  # (7, 3)
BACKGROUNDS = ("photo", "tint", "black")


def without_repetition(n, k, of, rng):
    """(n, k) int64: in each row, k different whole numbers below `of`, in random order."""
    return rng.permuted(np.tile(np.arange(of), (n, 1)), axis=1)[:, :k]


def rotate_and_scale(scans, sides, angles, shifts):
    """Scans in their final size and slant, each in the middle of a window that has room for all of them.

    Args:
        scans: (m, P, P) float32 ink in [0, 1].
        sides: (m,) px, the side of each whole scan after scaling.
        angles: (m,) rad, clockwise on the screen.
        shifts: (m, 2) px, x and y of each scan's centre, from the centre of its window.

    Returns:
        (m, S, S) float32 ink in [0, 1], interpolated bilinearly; S is even and depends on the largest side and angle.
    """
    m, P, _ = scans.shape
    reach = np.max(sides * (np.abs(np.cos(angles)) + np.abs(np.sin(angles))), initial=0)
    S = 2 * int(np.ceil(reach / 2 + 1))  # even, so that the centre of the window is a corner of pixels
    at = (np.arange(S) + 0.5 - S / 2).astype(np.float32)
    x = at[None, None, :] - shifts[:, 0, None, None].astype(np.float32)
    y = at[None, :, None] - shifts[:, 1, None, None].astype(np.float32)
    cos, sin = ((P / sides * f(angles)).astype(np.float32)[:, None, None] for f in (np.cos, np.sin))
    centre = (P - 1) / 2 + 1  # of the scan, inside a ring of zeros
    column = np.clip(cos * x + sin * y + centre, 0, P + 1)  # (m, S, S) where each pixel reads in the ringed scan
    row = np.clip(cos * y - sin * x + centre, 0, P + 1)
    ringed = np.pad(scans, ((0, 0), (1, 1), (1, 1))).ravel()
    left, above = np.minimum(column.astype(np.int32), P), np.minimum(row.astype(np.int32), P)
    column -= left  # now the fraction; in place, so that it stays float32
    row -= above
    first = np.arange(m, dtype=np.int32)[:, None, None] * (P + 2) ** 2 + above * (P + 2) + left
    top = ringed[first] * (1 - column) + ringed[first + 1] * column
    bottom = ringed[first + P + 2] * (1 - column) + ringed[first + P + 3] * column
    return top * (1 - row) + bottom * row


def tight_boxes(masks):
    """(..., S, S) bool -> (..., 4) int64 px: x0, y0, x1, y1 around the True pixels."""
    S = masks.shape[-1]
    columns, rows = masks.any(-2), masks.any(-1)  # (..., S) each
    starts = [columns.argmax(-1), rows.argmax(-1)]
    ends = [S - columns[..., ::-1].argmax(-1), S - rows[..., ::-1].argmax(-1)]
    return np.stack(starts + ends, -1)


def random_corners(extents, present, height, width, max_overlap, rng, tries=16, rounds=60):
    """Places for the boxes of each picture, so that they lie inside it and overlap little enough.

    Each box in turn takes the first of some random places that is allowed; a picture without one begins anew.

    Args:
        extents: (n, K, 2) px, width and height of each box.
        present: (n, K) bool; a box that is not there may lie anywhere.
        height, width: px, of the pictures.
        max_overlap: largest allowed intersection of two boxes, as a fraction of the smaller one.
        rng: a `numpy.random.Generator`.
        tries: places tried for a box before the picture begins anew.
        rounds: beginnings before giving up.

    Returns:
        (n, K, 2) int64 px, x0 and y0 of each box.

    Raises:
        ValueError: when some picture finds no places.
    """
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
                worst = np.maximum(worst, both * _overlap(candidates, extent, corners[todo, j], extents[todo, j]))
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


def _overlap(corners, extents, other_corners, other_extents):
    """Intersection of two boxes as a fraction of the smaller one; corners and extents (..., 2) px."""
    low = np.maximum(corners, other_corners)
    high = np.minimum(corners + extents, other_corners + other_extents)
    shared = np.prod(np.clip(high - low, 0, None), -1)
    return shared / np.minimum(extents.prod(-1), other_extents.prod(-1))


def paste(windows, corners, height, width):
    """Each window on an empty canvas of its own; what falls outside is cut off.

    Args:
        windows: (n, S, S) ink.
        corners: (n, 2) whole px, x and y of a window's upper left corner on the canvas; may be negative.
        height, width: px, of the canvas.

    Returns:
        (n, height, width) ink, 0 around the window.
    """
    n, S, _ = windows.shape
    ringed = np.pad(windows, ((0, 0), (1, 1), (1, 1))).ravel()
    row = np.clip(np.arange(height) - corners[:, 1, None], -1, S) + 1  # (n, height)
    column = np.clip(np.arange(width) - corners[:, 0, None], -1, S) + 1
    first = np.arange(n)[:, None] * (S + 2) ** 2 + row * (S + 2)
    return ringed[first[:, :, None] + column[:, None, :]]


def blend(images, ink, colours):
    """Lay one colour per picture over it, in place: image + ink · (colour - image).

    Args:
        images: (n, 3, H, W) float32, changed.
        ink: (n, H, W) opacity in [0, 1].
        colours: (n, 3).
    """
    for c in range(3):
        images[:, c] += ink * (colours[:, c, None, None] - images[:, c])


def backgrounds(n, height, width, kind, split, rng):
    """(n, 3, height, width) float32 in [0, 0.6]: one of `BACKGROUNDS`, dark enough for every colour to stand out.

    "photo" cuts random crops from the split's strips of the photographs, at two zooms; "tint" is one plain colour.
    """
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
            strip = _darkened_strip(name, split, 2 * max(height, width) * (z + 1))  # (3, h, w)
            mine = np.flatnonzero((which == p) & (zoom == z))
            room = np.array(strip.shape[1:]) - (height, width) + 1
            top, left = (at[mine] * room).astype(np.int64).T
            row = top[:, None, None] + np.arange(height)[:, None]
            images[mine] = strip[:, row, left[:, None, None] + np.arange(width)].swapaxes(0, 1)
    return images


@lru_cache(maxsize=128)
def _darkened_strip(name, split, short_side):
    strip = photograph_strip(name, split)
    scale = short_side / min(strip.shape[:2])
    shape = [round(side * scale) for side in strip.shape[:2]]
    return 0.6 * transform.resize(strip, shape, anti_aliasing=True).astype(np.float32).transpose(2, 0, 1)
