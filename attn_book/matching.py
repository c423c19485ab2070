"""Stereo without learning: costs of matching, two ways to let neighbours agree, and what a disparity map is worth."""

import numpy as np
from scipy import ndimage

from attn_book.arrays import as_array
from attn_book.data.checks import check_number, check_whole

# Steps and places that a path moves at each: rows down and up, columns, both diagonals
PATHS = ((0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1))


def absolute_differences(left, right, largest):
    """Cost of every disparity: how far apart the colours are.

    cost(i, j, d) = mean over the colours of |left(i, j) - right(i, j - d)|

    Args:
        left, right: (3, H, W) floats in [0, 1].
        largest: px, the largest disparity that is tried.

    Returns:
        (H, W, largest + 1) float32; 1, the most there can be, where j - d is outside the picture.

    Raises:
        ValueError: pictures of other or unequal shapes, or a `largest` that is not in 0 ... W - 1.
    """
    left, right, largest = _pair(left, right, largest)
    costs = np.ones((*left.shape[1:], largest + 1), np.float32)
    for d in range(largest + 1):
        costs[:, d:, d] = abs(left[..., d:] - right[..., : right.shape[-1] - d]).mean(0)
    return costs


def census(left, right, largest, window=5):
    """Cost of every disparity: how many neighbours are darker than the pixel on one side and not on the other.

    Args:
        left, right, largest: as in `absolute_differences`.
        window: px, side of the square of neighbours, an odd number of at least 3.

    Returns:
        (H, W, largest + 1) float32 in [0, 1], the share of the neighbours; 1 where j - d is outside the picture.

    Raises:
        ValueError: as `absolute_differences`, or an even window.

    Source: Zabih and Woodfill 1994, Non-parametric Local Transforms for Computing Visual Correspondence.
    """
    left, right, largest = _pair(left, right, largest)
    window = _odd(window)
    signs = [_darker_neighbours(picture.mean(0), window) for picture in (left, right)]
    costs = np.ones((*left.shape[1:], largest + 1), np.float32)
    for d in range(largest + 1):
        costs[:, d:, d] = (signs[0][..., d:] != signs[1][..., : left.shape[-1] - d]).mean(0)
    return costs


def correlation(left, right, largest, window=5):
    """Cost of every disparity: how unlike two squares are once each has mean 0 and length 1, which light and contrast do not change.

    cost(i, j, d) = (1 - mean over the colours of the normalised correlation of the squares around left(i, j) and right(i, j - d)) / 2

    Args:
        left, right, largest: as in `absolute_differences`.
        window: px, side of the squares, an odd number of at least 3; pixels beyond the edge repeat those at it.

    Returns:
        (H, W, largest + 1) float32 in [0, 1]; 1 where j - d is outside the picture. Squares of one colour, with a standard deviation
        below a thousandth, correlate with nothing.

    Raises:
        ValueError: as `absolute_differences`, or an even window.
    """
    left, right, largest = _pair(left, right, largest)
    window = _odd(window)
    reach, width = window // 2, left.shape[-1]
    mean = lambda values: ndimage.uniform_filter(values, (1, window, window))[:, reach:-reach, reach:-reach]
    left, right = (np.pad(one.astype(np.float64), ((0, 0), (reach,) * 2, (reach,) * 2), mode="edge") for one in (left, right))
    means, squares = [mean(one) for one in (left, right)], [mean(one**2) for one in (left, right)]
    spread = [np.sqrt(np.maximum(square - middle**2, 1e-6)) for square, middle in zip(squares, means, strict=True)]
    costs = np.ones((*means[0].shape[1:], largest + 1), np.float32)
    for d in range(largest + 1):
        on, under = slice(d, None), slice(width - d)  # columns of the left picture, and of the right one
        alike = mean(left[..., d:] * right[..., : right.shape[-1] - d]) - means[0][..., on] * means[1][..., under]
        costs[:, d:, d] = (1 - (alike / (spread[0][..., on] * spread[1][..., under])).mean(0)) / 2
    return np.clip(costs, 0, 1)


def window_mean(costs, window):
    """Block matching: each cost becomes the mean over a square of pixels at the same disparity.

    Args:
        costs: (H, W, disparities).
        window: px, side of the square; 1 leaves everything as it is.

    Returns:
        As `costs`.
    """
    return ndimage.uniform_filter(costs, (check_whole("window", window, 1),) * 2 + (1,), mode="nearest")


def semi_global(costs, small, large):
    """Semi-global matching: along eight paths to each pixel, a change of disparity costs something.

    L(p, d) = cost(p, d) - min_k L(p', k) + min of
    L(p', d),   L(p', d ± 1) + small,   min_k L(p', k) + large

    where p' is the pixel before p on the path; the eight are added up.

    Args:
        costs: (H, W, disparities).
        small: price of a change by one.
        large: price of any other change, at least `small`.

    Returns:
        (H, W, disparities) float32.

    Raises:
        ValueError: prices that are negative, or a `large` below `small`.

    Source: Hirschmüller 2008, Stereo Processing by Semiglobal Matching and Mutual Information, equations 13 and 14.
    Differs from the paper: other costs, and `large` is the same at edges of the picture.
    """
    small = check_number("small", small, 0)
    large = check_number("large", large, small)
    costs = np.asarray(costs, np.float32)
    total = np.zeros_like(costs)
    for down, across in PATHS:
        if down:  # row by row
            total[::down] += _along(costs[::down], across, small, large)
        else:  # column by column
            columns, sums = costs.swapaxes(0, 1), total.swapaxes(0, 1)
            sums[::across] += _along(columns[::across], 0, small, large)
    return total


def best_disparity(costs):
    """The disparity of the lowest cost, between whole pixels where a parabola through three costs has its lowest point.

    Args:
        costs: (H, W, disparities), at least three.

    Returns:
        (H, W) float32 px.
    """
    costs = np.asarray(costs)
    best = costs.argmin(-1)
    inner = np.clip(best, 1, costs.shape[-1] - 2)[..., None]
    before, at, after = (np.take_along_axis(costs, inner + step, -1)[..., 0] for step in (-1, 0, 1))
    bend = before - 2 * at + after
    shift = np.where(bend > 0, (before - after) / np.where(bend > 0, 2 * bend, 1), 0)
    return np.where(best == inner[..., 0], best + np.clip(shift, -0.5, 0.5), best).astype(np.float32)


def mirrored(left, right):
    """The pair seen in a mirror, in which the right picture is the left one: (..., W) and (..., W), so that d ≥ 0 again."""
    return right[..., ::-1], left[..., ::-1]


def left_right_gap(disparity, other):
    """By how much a left pixel and the right pixel that it is matched with disagree.

    Args:
        disparity: (..., H, W) px, of the left pixels.
        other: (..., H, W) px, of the right pixels: the one in column j shows what the left shows in column j + other.

    Returns:
        (..., H, W) px, how far apart the two disparities are; infinite where the match is outside the picture.
    """
    disparity, other = as_array(disparity, "disparity"), as_array(other, "other")
    width = disparity.shape[-1]
    place = np.round(np.arange(width) - disparity).astype(np.int64)
    back = np.take_along_axis(other, np.clip(place, 0, width - 1), -1)
    return np.where((place >= 0) & (place < width), abs(disparity - back), np.inf)


def left_right_check(disparity, other, tolerance=1.0):
    """Whether the pixel that a left pixel is matched with is matched with it in turn.

    Args:
        disparity, other: as in `left_right_gap`.
        tolerance: px, by which the two may differ.

    Returns:
        (..., H, W) bool; False where the match is outside the picture.
    """
    return left_right_gap(disparity, other) <= tolerance


def fill_from_behind(disparity, kept):
    """Where nothing was kept, the smaller of the nearest kept disparities to the left and right: what is hidden lies behind.

    Args:
        disparity: (..., H, W) px.
        kept: (..., H, W) bool.

    Returns:
        (..., H, W) float32; a row of which nothing was kept stays as it is.
    """
    disparity = as_array(disparity, "disparity")
    from_left = _last_kept(disparity, kept)
    from_right = _last_kept(disparity[..., ::-1], kept[..., ::-1])[..., ::-1]
    filled = np.where(kept, disparity, np.fmin(from_left, from_right))
    return np.where(np.isnan(filled), disparity, filled).astype(np.float32)


def disparity_scores(disparity, truth, visible, kept=None):
    """What a disparity map is worth: mean error, and the share of pixels that are off by more than 1 and 2 px.

    Args:
        disparity, truth: (..., H, W) px; NaN in the truth where it is not known.
        visible: (..., H, W) bool, pixels that have a match.
        kept: (..., H, W) bool, pixels that the method stands by; None for all.

    Returns:
        {name: float}: "error", "off by 1" and "off by 2" over all pixels that are known, the same with " visible" over those that have a match,
        and with " kept" over the known ones that are kept; "coverage", the share of the known that is kept, "visible kept" and
        "hidden kept", that of the known ones with and without a match.

    Raises:
        ValueError: no known pixel.
    """
    known = np.isfinite(truth)
    if not known.any():
        raise ValueError("truth must be known at some pixel, and is at none")
    kept = np.ones(known.shape, bool) if kept is None else as_array(kept, "kept")
    miss = abs(as_array(disparity, "disparity") - np.where(known, truth, 0))
    found = {}
    for name, where in (("", known), (" visible", known & visible), (" kept", known & kept)):
        miss_there = miss[where] if where.any() else np.full(1, np.nan)
        found["error" + name] = float(miss_there.mean())
        for far in (1, 2):
            found[f"off by {far}{name}"] = float((miss_there > far).mean())
    for name, where in (("coverage", known), ("visible kept", known & visible), ("hidden kept", known & ~visible)):
        found[name] = float(kept[where].mean()) if where.any() else np.nan
    return found


def _along(costs, shift, small, large):
    """(steps, places, disparities): costs summed along paths that move by `shift` places at each step."""
    out = np.empty_like(costs)
    out[0] = costs[0]
    before = np.zeros_like(costs[0])  # places without a predecessor begin with their own cost
    for step in range(1, len(costs)):
        if shift > 0:
            before[1:], before[0] = out[step - 1, :-1], 0
        elif shift < 0:
            before[:-1], before[-1] = out[step - 1, 1:], 0
        else:
            before = out[step - 1]
        least = before.min(-1, keepdims=True)
        cheapest = np.minimum(before, least + large)
        cheapest[:, 1:] = np.minimum(cheapest[:, 1:], before[:, :-1] + small)
        cheapest[:, :-1] = np.minimum(cheapest[:, :-1], before[:, 1:] + small)
        out[step] = costs[step] + cheapest - least
    return out


def _odd(window):
    window = check_whole("window", window, 3)
    if window % 2 == 0:
        raise ValueError(f"window must be odd, got {window}")
    return window


def _darker_neighbours(grey, window):
    """(window² - 1, H, W) bool: whether each neighbour is darker than the pixel in the middle."""
    H, W = grey.shape
    reach = window // 2
    padded = np.pad(grey, reach, mode="edge")
    steps = [(y, x) for y in range(window) for x in range(window) if (y, x) != (reach, reach)]
    return np.stack([padded[y : y + H, x : x + W] < grey for y, x in steps])


def _last_kept(disparity, kept):
    """The nearest kept disparity at or to the left of each pixel; NaN where there is none."""
    columns = np.arange(disparity.shape[-1])
    last = np.maximum.accumulate(np.where(kept, columns, -1), axis=-1)
    return np.where(last >= 0, np.take_along_axis(disparity, np.maximum(last, 0), -1), np.nan)


def _pair(left, right, largest):
    left, right = as_array(left, "left"), as_array(right, "right")
    if left.ndim != 3 or left.shape[0] != 3 or left.shape != right.shape:
        raise ValueError(f"left and right must be (3, H, W) both, got {left.shape} and {right.shape}")
    return left, right, check_whole("largest", largest, 0, left.shape[-1] - 1)
