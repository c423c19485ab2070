"""Scans and photographs: three splits that share nothing, and pictures as they are."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from attn_book.data import material
from attn_book.data.material import PHOTOGRAPHS, TEXTURES, crop_and_resize, digit_scans, generator, photograph, photograph_strip


def test_the_scans_are_split_without_overlap():
    parts = {split: digit_scans(split)[0] for split in material.SPLITS}
    assert {split: len(part) for split, part in parts.items()} == {"train": 1000, "validation": 200, "test": 597}
    everything = np.concatenate(list(parts.values())).reshape(1797, -1)
    original = material.load_digits().data / 16
    assert_array_equal(everything[np.lexsort(everything.T)], original[np.lexsort(original.T)])
    assert len(np.unique(everything, axis=0)) == 1797  # so that no two splits hold one picture


def test_each_class_is_in_every_split():
    for split in material.SPLITS:
        images, labels = digit_scans(split)
        assert len(images) == len(labels)
        assert np.bincount(labels, minlength=10).min() >= 15


def test_the_scans_of_the_report_stay_what_they_are():
    """Published results name the test split: a later split may not take from it. The sum of ink says which scans these are."""
    images, labels = digit_scans("test")
    assert_array_equal(labels[:8], [0, 1, 5, 4, 5, 2, 3, 4])
    assert_allclose(16 * images.sum(dtype=float), 186_808)


def test_a_caller_cannot_spoil_the_scans_or_the_photographs():
    digit_scans("train")[0][:] = 7
    photograph("coffee")[:] = 7
    assert digit_scans("train")[0].max() == 1
    assert photograph("coffee").max() <= 1


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_photographs_are_colour_pictures(name):
    picture = photograph(name)
    assert picture.dtype == np.float32
    assert picture.shape[2] == 3
    assert 0 <= picture.min() < 0.2
    assert 0.8 < picture.max() <= 1
    assert photograph(name, size=31).shape == (31, 31, 3)
    assert photograph(name, size=(23, 41)).shape == (23, 41, 3)


def test_a_photograph_is_cropped_at_its_centre_and_not_stretched():
    assert_array_equal(photograph("astronaut", size=512), photograph("astronaut"))
    assert_allclose(photograph("coffee", size=400), photograph("coffee")[:, 100:500], atol=1e-6)


@pytest.mark.parametrize("name", PHOTOGRAPHS + TEXTURES)
def test_the_strips_of_the_splits_make_up_the_photograph(name):
    strips = [photograph_strip(name, split) for split in ("train", "validation", "test")]
    assert_array_equal(np.concatenate(strips, axis=1), material._whole_photograph(name))
    assert strips[0].shape[2] == 3
    assert strips[0].dtype == np.float32


def test_a_crop_of_extreme_aspect_keeps_a_pixel():
    picture = np.linspace(0, 1, 30, dtype=np.float32)[:, None, None] * np.ones((1, 50, 3), np.float32)
    assert crop_and_resize(picture, (1, 4000)).shape == (1, 4000, 3)
    assert crop_and_resize(picture, (4000, 1)).shape == (4000, 1, 3)
    assert_allclose(crop_and_resize(picture, (30, 50)), picture, atol=1e-6)


def test_every_split_has_random_numbers_of_its_own():
    first = {split: generator(7, split).random() for split in material.SPLITS}
    assert len(set(first.values())) == len(material.SPLITS)
    assert first["test"] == generator(7, "test").random()
