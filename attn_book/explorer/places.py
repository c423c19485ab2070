"""Where queries and keys are: words, a grid over a picture, or boxes on it."""

import math

import numpy as np

from attn_book.arrays import as_array


def places(name, value, count, words=None, picture=None, grid=None):
    """What the page is told of the places of queries or keys.

    Args:
        name: "queries" or "keys", for errors.
        value: None, `(rows, cols)`, or boxes (count, 4), xyxy in pixels of the picture.
        count: how many there must be.
        words: the words, where the places are words.
        picture: array (H, W, 3) that boxes lie on.
        grid: (rows, cols) to take where value is None and it has `count` cells; else a square.

    Returns:
        A dict of kind "words" with words, of kind "grid" with rows and cols, or of kind "boxes" with boxes as fractions of the sides.

    Raises:
        ValueError: a value of another form, with another count, or off the picture.
    """
    if words is not None:
        if value is not None:
            raise ValueError(f"{name}: leave it out, the words are the {name}")
        if len(words) != count:
            raise ValueError(f"maps: expected {len(words)} {name}, one a word; got {count}")
        return {"kind": "words", "words": words}
    if value is None:
        side = math.isqrt(count)
        if grid is not None and grid[0] * grid[1] == count:
            value = grid
        elif side * side == count:
            value = (side, side)
        else:
            raise ValueError(f"{name}: {count} of them are no square; say {name}=(rows, cols) or {name}=boxes")
    array = as_array(value, name)
    if array.shape == (2,) and array.dtype.kind in "iu":
        rows, cols = array.tolist()
        if rows < 1 or cols < 1 or rows * cols != count:
            raise ValueError(f"{name}: a {rows} × {cols} grid has {rows * cols} cells, but maps have {count} {name}")
        return {"kind": "grid", "rows": rows, "cols": cols}
    if array.shape != (count, 4) or array.dtype.kind not in "fiu":
        got = f"shape {array.shape} of {array.dtype}"
        raise ValueError(f"{name}: expected (rows, cols), boxes ({count}, 4) or {count} words; got {got}")
    return {"kind": "boxes", "boxes": _as_fractions(name, array, *picture.shape[:2])}


def _as_fractions(name, boxes, height, width):
    boxes = boxes.astype(np.float64) / [width, height, width, height]
    if not np.isfinite(boxes).all() or (boxes[:, 2:] <= boxes[:, :2]).any():
        raise ValueError(f"{name}: every box must be finite and have x0 < x1 and y0 < y1 (xyxy, pixels)")
    if (boxes[:, 2:] <= 0).any() or (boxes[:, :2] >= 1).any():
        raise ValueError(f"{name}: a box lies outside the {height} × {width} picture (boxes are xyxy in its pixels)")
    return boxes.clip(0, 1).round(4).tolist()


def box(places, i):
    """x0, y0, x1, y1 of the i-th query, as fractions of the picture's sides."""
    if places["kind"] == "boxes":
        return places["boxes"][i]
    row, col = divmod(i, places["cols"])
    return [col / places["cols"], row / places["rows"], (col + 1) / places["cols"], (row + 1) / places["rows"]]


def place_name(places, i):
    """Words for the i-th query or key, counted from 1 as in the view."""
    if places["kind"] == "grid":
        return f"row {i // places['cols'] + 1}, column {i % places['cols'] + 1}"
    return f"“{places['words'][i]}”" if places["kind"] == "words" else f"box {i + 1}"
