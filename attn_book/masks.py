"""What a mask is worth: overlap, outline, classes; and the piece of it that somebody pointed at."""

import numpy as np
from scipy import ndimage
from skimage import measure, segmentation

from attn_book.arrays import as_array


def iou(predicted, truth):
    """Intersection over union of masks.

    Args:
        predicted, truth: (..., H, W) bool.

    Returns:
        (...) float64 in [0, 1]; 1 where both are empty.

    Raises:
        ValueError: not boolean, or shapes that differ.
    """
    predicted, truth = _masks(predicted, truth)
    both, any_of_them = (predicted & truth).sum((-2, -1)), (predicted | truth).sum((-2, -1))
    return np.where(any_of_them == 0, 1.0, both / np.maximum(any_of_them, 1))


def boundary_f(predicted, truth, *, tolerance=1.0):
    """How well two outlines agree: the F-score of their pixels.

    precision P = share of the predicted outline that lies within the tolerance of the true one, recall R the other way round;
    F = 2 P R / (P + R)

    Args:
        predicted, truth: (..., H, W) bool. Their outlines are the pixels of a mask that have a neighbour (above, below, left or right)
            outside it; the picture's edge is not part of an outline.
        tolerance: px, between the middles of two pixels.

    Returns:
        (...) float64 in [0, 1]; 1 where both have no outline, 0 where one of them has none.

    Raises:
        ValueError: not boolean, or shapes that differ.

    Source: Martin, Fowlkes and Malik 2004, as used for video objects by Perazzi et al. 2016 (the measure F of DAVIS).
    Differs from them: a pixel may serve several pixels of the other outline; they look for a matching or widen the outlines.
    """
    predicted, truth = _masks(predicted, truth)
    pairs = zip(_outlines(predicted), _outlines(truth), strict=True)
    scores = [_f_score(_share_near(one, other, tolerance), _share_near(other, one, tolerance)) for one, other in pairs]
    return np.array(scores).reshape(predicted.shape[:-2])


def mean_iou(predicted, truth, classes):
    """Mean over the classes of intersection over union, of all pictures together: mIoU.

    Args:
        predicted, truth: whole numbers of one shape, the class of each pixel, 0 to classes - 1.
        classes: how many there are.

    Returns:
        A float in [0, 1]; classes that occur in neither do not count.

    Raises:
        ValueError: shapes that differ, or numbers that are no class.
    """
    predicted, truth = as_array(predicted, "predicted"), as_array(truth, "truth")
    for name, numbers in (("predicted", predicted), ("truth", truth)):
        if numbers.dtype.kind not in "iu" or (numbers.size and not (0 <= numbers.min() and numbers.max() < classes)):
            raise ValueError(f"{name} must hold whole numbers from 0 to {classes - 1}")
    if predicted.shape != truth.shape:
        raise ValueError(f"predicted and truth must have one shape, got {predicted.shape} and {truth.shape}")
    pairs = classes * truth.astype(np.int64).ravel() + predicted.astype(np.int64).ravel()
    table = np.bincount(pairs, minlength=classes**2).reshape(classes, classes)  # rows: truth, columns: predicted
    both, any_of_them = np.diag(table), table.sum(0) + table.sum(1) - np.diag(table)
    occurs = any_of_them > 0
    return float((both[occurs] / any_of_them[occurs]).mean())


def piece_at(mask, place):
    """The connected piece of a mask that holds a pixel (neighbours: above, below, left, right).

    Args:
        mask: (H, W) bool.
        place: row and column of the pixel.

    Returns:
        (H, W) bool; empty where the pixel is outside the mask.
    """
    pieces = measure.label(as_array(mask, "mask"), connectivity=1)
    number = pieces[tuple(place)]
    return (pieces == number) & (number > 0)


def _masks(predicted, truth):
    predicted, truth = as_array(predicted, "predicted"), as_array(truth, "truth")
    for name, mask in (("predicted", predicted), ("truth", truth)):
        if mask.dtype != bool or mask.ndim < 2:
            raise ValueError(f"{name} must be masks (..., H, W) of bool, got {mask.dtype} of shape {mask.shape}")
    if predicted.shape != truth.shape:
        raise ValueError(f"predicted and truth must have one shape, got {predicted.shape} and {truth.shape}")
    return predicted, truth


def _outlines(masks):
    """Each mask's pixels with a neighbour outside it, one picture at a time."""
    for mask in masks.reshape(-1, *masks.shape[-2:]):
        yield segmentation.find_boundaries(mask, connectivity=1, mode="inner")


def _share_near(outline, other, tolerance):
    """Share of the outline within the tolerance of the other; None where there is no outline."""
    if not outline.any():
        return None
    if not other.any():
        return 0.0
    return float((ndimage.distance_transform_edt(~other)[outline] <= tolerance).mean())


def _f_score(precision, recall):
    if precision is None and recall is None:
        return 1.0
    if not precision or not recall:
        return 0.0
    return 2 * precision * recall / (precision + recall)
