"""Pairs of one digit: the overlap that was asked for, two scans of one class, a pure function of the arguments."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from attn_book.data.pairs import same_digit_pairs
from attn_book.detections import pairwise_iou


@pytest.mark.parametrize("span", [(0, 0.05), (0.25, 0.4), (0.4, 0.55), (0.55, 0.75)])
def test_two_digits_of_one_class_overlap_as_asked(span):
    images, labels, boxes = same_digit_pairs(200, seed=1, iou=span)
    assert images.shape == (200, 3, 40, 40) and images.dtype == np.float32
    assert_array_equal(labels[:, 0], labels[:, 1])
    assert len(np.unique(labels)) == 10
    iou = pairwise_iou(boxes, boxes)[:, 0, 1]
    assert span[0] - 1e-6 <= iou.min() and iou.max() <= span[1] + 1e-6
    assert np.ptp(iou) > (span[1] - span[0]) / 2
    assert boxes.min() >= 0 and boxes.max() <= 40
    assert (boxes[..., 2:] - boxes[..., :2] >= 3).all()


def test_what_is_drawn_lies_in_the_boxes():
    """Backgrounds stay below 0.6, so what is brighter is ink: apart, both digits have some, and around them is next to none."""
    images, _, boxes = same_digit_pairs(200, seed=2, iou=0.0)
    at = np.arange(40) + 0.5
    inside = ((at > boxes[..., :1]) & (at < boxes[..., 2:3]))[:, :, None] & ((at > boxes[..., 1:2]) & (at < boxes[..., 3:]))[
        ..., None
    ]
    ink = images.max(1) > 0.65  # (n, 40, 40)
    assert (inside & ink[:, None]).any((2, 3)).mean() > 0.8  # green is no brighter than the ground
    assert (ink & ~inside.any(1)).sum() < 0.03 * ink.sum()


def test_a_pure_function_of_its_arguments_and_splits_differ():
    first, again = same_digit_pairs(20, seed=3), same_digit_pairs(20, seed=3)
    for a, b in zip(first, again):
        assert_array_equal(a, b)
    for other in (same_digit_pairs(20, seed=4), same_digit_pairs(20, seed=3, split="train")):
        assert (other[0] != first[0]).any((1, 2, 3)).all()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"n": 0}, "n must be a whole number of at least 1, got 0"),
        ({"iou": (0.5, 0.3)}, "iou must be a number from 0.5 to 0.8, got 0.3"),
        ({"iou": 0.5000001}, "iou must leave room for n = 5 pairs, got 0.5 to 0.5"),
        ({"digit_size": (12, 30)}, "digit_size must be a number from 12 to 20, got 30"),
        ({"rotation": -1}, "rotation must be a number from 0 to 180, got -1"),
        ({"split": "dev"}, "split must be one of"),
    ],
)
def test_bad_arguments(arguments, words):
    with pytest.raises(ValueError) as raised:
        same_digit_pairs(**{"n": 5, "seed": 1} | arguments)
    assert words in str(raised.value)
