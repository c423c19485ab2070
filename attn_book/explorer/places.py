"""What an explorer is given, checked: words, pictures, grids, boxes, selectors, maps."""

import math

import numpy as np


def as_words(value):
    """The list of words, or None where value is something else."""
    if isinstance(value, (list, tuple)) and value and all(isinstance(word, str) for word in value):
        return list(value)
    return None


def check_picture(value, name):
    picture = np.asarray(value)
    if picture.ndim not in (2, 3) or (picture.ndim == 3 and picture.shape[2] != 3) or picture.size == 0:
        hint = "; move channels last" if picture.ndim == 3 and picture.shape[0] in (1, 3) else ""
        raise ValueError(f"{name}: expected an array (H, W) or (H, W, 3), or a list of words; got shape {picture.shape}{hint}")
    if picture.dtype.kind not in "fbiu":
        raise ValueError(f"{name}: expected numbers in [0, 1]; got dtype {picture.dtype}")
    picture = picture.astype(np.float32)
    if not np.isfinite(picture).all():
        raise ValueError(f"{name}: holds NaN or infinite values")
    low, high = float(picture.min()), float(picture.max())
    if low < -1e-6 or high > 1 + 1e-6:
        raise ValueError(f"{name}: expected values in [0, 1]; got {low:.3g} to {high:.3g}: rescale it first")
    picture = np.clip(picture, 0, 1)
    return np.repeat(picture[..., None], 3, axis=2) if picture.ndim == 2 else picture


def check_selectors(selectors):
    named = {}
    for name, options in (selectors or {}).items():
        options = [str(option) for option in options]
        if not options or len(set(options)) < len(options):
            raise ValueError(f"selectors: {name!r} needs at least one option and no option twice; got {options}")
        named[str(name)] = options
    return named


def check_maps(maps, selectors):
    maps = np.asarray(maps)
    if maps.dtype.kind not in "fbiu":
        raise ValueError(f"maps: expected real numbers; got dtype {maps.dtype}")
    maps = maps.astype(np.float32)
    lead = [len(options) for options in selectors.values()]
    wanted = ", ".join([*(f"{n} ({name})" for name, n in zip(selectors, lead, strict=True)), "Q"])
    if maps.ndim - len(lead) not in (2, 3) or list(maps.shape[: len(lead)]) != lead:
        raise ValueError(f"maps: expected shape ({wanted}, h, w) or ({wanted}, M); got {maps.shape}")
    if maps.size == 0:
        raise ValueError(f"maps: is empty; got shape {maps.shape}")
    if not np.isfinite(maps).all():
        raise ValueError("maps: holds NaN or infinite values")
    if maps.min() < 0:
        raise ValueError(f"maps: expected values ≥ 0; got {maps.min():.3g}: clip or shift them, or take their softmax, first")
    return maps


def places(name, value, count, words, picture, grid):
    """Where the queries or the keys are: words, a grid over the picture, or boxes as fractions of its sides."""
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
    array = np.asarray(value)
    if array.shape == (2,):
        rows, cols = (int(n) for n in array)
        if rows < 1 or cols < 1 or rows * cols != count:
            raise ValueError(f"{name}: a {rows} × {cols} grid has {rows * cols} cells, but maps have {count} {name}")
        return {"kind": "grid", "rows": rows, "cols": cols}
    if array.shape != (count, 4):
        raise ValueError(f"{name}: expected (rows, cols), boxes ({count}, 4) or {count} words; got shape {array.shape}")
    height, width = picture.shape[:2]
    boxes = array.astype(np.float64) / [width, height, width, height]
    if not np.isfinite(boxes).all() or (boxes[:, 2:] <= boxes[:, :2]).any():
        raise ValueError(f"{name}: every box must be finite and have x0 < x1 and y0 < y1 (xyxy, pixels)")
    if (boxes[:, 2:] <= 0).any() or (boxes[:, :2] >= 1).any():
        raise ValueError(f"{name}: a box lies outside the {height} × {width} picture (boxes are xyxy in its pixels)")
    return {"kind": "boxes", "boxes": boxes.clip(0, 1).round(4).tolist()}


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
