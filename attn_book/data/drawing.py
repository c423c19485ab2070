"""Drawing scans onto backgrounds, vectorised over all pictures of a batch."""

from functools import lru_cache

import numpy as np
from skimage import transform

from attn_book.data.material import PHOTOGRAPHS, photograph_strip

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
BACKGROUNDS = ("photo", "tint", "black")


def turn_and_enlarge(scans, sides, angles, shifts):
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


def tight_boxes(masks):
    """(..., S, S) bool -> (..., 4) int: x0 y0 x1 y1 of the True pixels."""
    S = masks.shape[-1]
    columns, rows = masks.any(-2), masks.any(-1)  # (..., S) each
    starts = [columns.argmax(-1), rows.argmax(-1)]
    ends = [S - columns[..., ::-1].argmax(-1), S - rows[..., ::-1].argmax(-1)]
    return np.stack(starts + ends, -1)


def place(extents, present, height, width, max_overlap, rng, tries=16, rounds=60):
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


def lay(windows, corners, height, width):
    """(n, S, S) windows with their upper left at corners (n, 2) px -> (n, height, width); what falls outside is cut off."""
    n, S, _ = windows.shape
    ringed = np.pad(windows, ((0, 0), (1, 1), (1, 1))).ravel()
    row = np.clip(np.arange(height) - corners[:, 1, None], -1, S) + 1  # (n, height)
    column = np.clip(np.arange(width) - corners[:, 0, None], -1, S) + 1
    first = np.arange(n)[:, None] * (S + 2) ** 2 + row * (S + 2)
    return ringed[first[:, :, None] + column[:, None, :]]


def paint(images, ink, colours):
    """Blend colours (n, 3) over images (n, 3, H, W), in place, with opacity ink (n, H, W)."""
    for c in range(3):
        images[:, c] += ink * (colours[:, c, None, None] - images[:, c])


def backgrounds(n, height, width, kind, split, rng):
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


@lru_cache(maxsize=128)
def _crop_bank(name, split, short_side):
    """The strip of a photograph that a split may crop from, resized and darkened so that every colour stands out."""
    part = photograph_strip(name, split)
    scale = short_side / min(part.shape[:2])
    shape = [round(side * scale) for side in part.shape[:2]]
    return 0.6 * transform.resize(part, shape, anti_aliasing=True).astype(np.float32).transpose(2, 0, 1)
