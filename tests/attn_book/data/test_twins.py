"""Twins: two scans of one digit, blank between, and nothing that two splits share."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from attn_book.data.mnist import PER_DIGIT, mnist_digits
from attn_book.data.twins import SIDE, both_ends, half_size, twins


def scans_by_bytes(split):
    images, labels = half_size(split)
    return {image.tobytes(): (place, label) for place, (image, label) in enumerate(zip(images, labels, strict=True))}


@pytest.mark.parametrize("split", PER_DIGIT)
def test_both_ends_show_the_digit_in_two_scans_of_the_split(split):
    images, labels = twins(300, seed=3, split=split)
    assert images.shape == (300, 1, 14, 56) and images.dtype == np.float32
    known = scans_by_bytes(split)
    left, right = ([known[image.tobytes()] for image in end] for end in both_ends(images))
    assert_array_equal([label for _, label in left], labels)
    assert_array_equal([label for _, label in right], labels)
    assert all(one != other for (one, _), (other, _) in zip(left, right, strict=True))
    assert len({place for place, _ in left}) > 0.4 * min(300, 10 * PER_DIGIT[split])
    assert np.bincount(labels, minlength=10).min() > 10


def test_every_pair_of_scans_can_come():
    """Over many pictures, the right scan is any other of its digit: all 49 distances around occur."""
    images, _ = twins(4000, seed=0, split="validation")
    known = scans_by_bytes("validation")
    order = {
        place: rank
        for ranks in np.argsort(half_size("validation")[1], kind="stable").reshape(10, -1)
        for rank, place in enumerate(ranks)
    }
    left, right = ([order[known[image.tobytes()][0]] for image in end] for end in both_ends(images))
    assert_array_equal(np.unique((np.array(right) - left) % 50), np.arange(1, 50))


@pytest.mark.parametrize("gap", [0, 3, 28])
def test_between_them_is_nothing(gap):
    images, _ = twins(5, seed=1, gap=gap)
    assert images.shape[-1] == 2 * SIDE + gap
    assert_array_equal(images[..., SIDE : SIDE + gap], 0)


def test_half_the_size_by_hand():
    whole, labels = mnist_digits("test")
    small, same = half_size("test")
    assert_array_equal(labels, same)
    assert_allclose(small[7, 0, 5, 9], whole[7, 0, 10:12, 18:20].mean(), rtol=1e-6)


def test_a_pure_function_of_its_arguments_and_splits_differ():
    first, labels = twins(20, seed=3)
    assert_array_equal(first, twins(20, seed=3)[0])
    assert (twins(20, seed=4)[1] != labels).any()
    assert (twins(20, seed=3, split="test")[1] != labels).any()


def test_ends_of_tensors_are_tensors():
    left, right = both_ends(torch.arange(30.0).expand(2, 1, 14, 30))
    assert left[0, 0, 0].tolist() == list(range(14))
    assert right[0, 0, 0].tolist() == list(range(16, 30))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"n": 0}, "n must be a whole number of at least 1, got 0"),
        ({"seed": -1}, "seed must be a whole number of at least 0, got -1"),
        ({"gap": 1.5}, "gap must be a whole number of at least 0, got 1.5"),
        ({"split": "all"}, "split must be one of train, judge, validation, test; got 'all'"),
    ],
)
def test_bad_arguments_are_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        twins(**({"n": 3, "seed": 0} | arguments))
