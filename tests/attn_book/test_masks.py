"""Measures of masks: solved by hand, and against their definition written as loops."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from attn_book.masks import boundary_f, iou, mean_iou, piece_at


def square(top, left, side, shape=(11, 13)):
    mask = np.zeros(shape, bool)
    mask[top : top + side, left : left + side] = True
    return mask


def random_masks(n=7, shape=(11, 13)):
    return np.random.default_rng(0).random((2, n, *shape)) < 0.4


def test_iou_by_hand():
    assert_allclose(iou(square(0, 0, 4), square(2, 2, 4)), 4 / 28)
    empty = np.zeros((11, 13), bool)
    assert_allclose(iou([empty, empty, square(0, 0, 2)], [empty, square(0, 0, 2), square(0, 0, 2)]), [1, 0, 1])


def test_boundary_f_by_hand():
    """A square moved by two pixels: of the twelve outline pixels of each, those in two columns lie on or beside the other's."""
    one, other = square(3, 3, 4), square(3, 5, 4)
    assert_allclose(boundary_f(one, other, tolerance=0), 2 * 2 / 12)  # rows 3 and 6 share columns 5 and 6
    assert_allclose(boundary_f(one, one), 1)
    assert_allclose(boundary_f(one, square(3, 4, 4), tolerance=1), 1)
    assert_allclose(boundary_f(one, square(0, 9, 2)), 0)


def by_loops(one, other, tolerance):
    def outline(mask):
        H, W = mask.shape
        beside = lambda r, c: [(r + 1, c), (r - 1, c), (r, c + 1), (r, c - 1)]
        inside = lambda r, c: 0 <= r < H and 0 <= c < W
        return [
            (r, c)
            for r in range(H)
            for c in range(W)
            if mask[r, c] and any(inside(*place) and not mask[place] for place in beside(r, c))
        ]

    a, b = outline(one), outline(other)
    near = lambda places, others: np.mean([min(np.hypot(r - y, c - x) for y, x in others) <= tolerance for r, c in places])
    precision, recall = near(a, b), near(b, a)
    return 2 * precision * recall / (precision + recall)


@pytest.mark.parametrize("tolerance", [0, 1, 1.5])
def test_boundary_f_by_loops(tolerance):
    predicted, truth = random_masks()
    expected = [by_loops(one, other, tolerance) for one, other in zip(predicted, truth, strict=True)]
    assert_allclose(boundary_f(predicted, truth, tolerance=tolerance), expected)


def test_boundary_f_where_there_is_no_outline():
    full, empty, some = np.ones((11, 13), bool), np.zeros((11, 13), bool), square(3, 3, 4)
    assert_array_equal(boundary_f([full, empty, some, full], [empty, empty, empty, some]), [1, 1, 0, 0])


def test_the_measures_of_many_pictures_are_those_of_each():
    predicted, truth = random_masks(n=6)
    for measure in (iou, boundary_f):
        alone = [measure(one, other) for one, other in zip(predicted, truth, strict=True)]
        assert_array_equal(measure(predicted.reshape(2, 3, 11, 13), truth.reshape(2, 3, 11, 13)), np.reshape(alone, (2, 3)))
        assert_array_equal(measure(truth, predicted), measure(predicted, truth))


def test_mean_iou_by_hand():
    truth = np.array([[0, 0, 0, 1], [1, 1, 2, 2]])
    predicted = np.array([[0, 0, 1, 1], [1, 1, 1, 2]])
    assert_allclose(mean_iou(predicted, truth, 3), (2 / 3 + 3 / 5 + 1 / 2) / 3)
    assert_allclose(mean_iou(predicted, truth, 7), (2 / 3 + 3 / 5 + 1 / 2) / 3)  # classes that are nowhere do not count
    assert_allclose(mean_iou(np.zeros_like(truth), truth, 3), 3 / 8 / 3)


def test_mean_iou_counts_the_pixels_of_all_pictures_together():
    truth, predicted = np.random.default_rng(1).integers(3, size=(2, 5, 7, 7))
    expected = [((predicted == c) & (truth == c)).sum() / ((predicted == c) | (truth == c)).sum() for c in range(3)]
    assert_allclose(mean_iou(predicted, truth, 3), np.mean(expected))


def test_the_piece_that_was_pointed_at():
    mask = square(0, 0, 3) | square(3, 3, 3) | square(8, 8, 3)  # the first two touch at a corner alone
    assert_array_equal(piece_at(mask, (1, 1)), square(0, 0, 3))
    assert_array_equal(piece_at(mask, np.array([4, 4])), square(3, 3, 3))
    assert not piece_at(mask, (0, 12)).any()


@pytest.mark.parametrize("measure", [iou, boundary_f])
def test_what_is_no_pair_of_masks_is_refused(measure):
    with pytest.raises(ValueError, match=r"predicted must be masks \(\.\.\., H, W\) of bool, got float64 of shape \(3, 4\)"):
        measure(np.zeros((3, 4)), np.zeros((3, 4), bool))
    with pytest.raises(ValueError, match=r"truth must be masks \(\.\.\., H, W\) of bool, got bool of shape \(4,\)"):
        measure(np.zeros((3, 4), bool), np.zeros(4, bool))
    with pytest.raises(ValueError, match=r"must have one shape, got \(3, 4\) and \(4, 3\)"):
        measure(np.zeros((3, 4), bool), np.zeros((4, 3), bool))


def test_what_is_no_class_is_refused():
    right = np.zeros((2, 2), int)
    for wrong in (right - 1, right + 3, right + 0.5):
        with pytest.raises(ValueError, match="predicted must hold whole numbers from 0 to 2"):
            mean_iou(wrong, right, 3)
    with pytest.raises(ValueError, match=r"must have one shape, got \(2, 2\) and \(1, 2\)"):
        mean_iou(right, right[:1], 3)
