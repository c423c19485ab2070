"""Maps against regions, by hand."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from attn_book.regions import mass_inside, pointing_game, to_patches

MAPS = np.array([[[0.1, 0.4, 0.0], [0.0, 0.2, 0.3]], [[0.5, 0.0, 0.0], [0.0, 0.5, 0.0]], [[0.0, 0, 0], [0, 0, 0]]])
REGIONS = np.array([[[0, 1, 0], [0, 1, 0]], [[1, 0, 0], [0, 0, 1]], [[1, 1, 0], [0, 0, 0]]], bool)


def test_by_hand():
    assert_allclose(
        pointing_game(MAPS, REGIONS), [1, 0.5, 2 / 6]
    )  # two largest places, of which one is inside; six zeros, two inside
    assert_allclose(mass_inside(MAPS, REGIONS), [0.6, 0.5, 0])


def test_an_even_map_gives_chance():
    even = np.full((3, 2, 3), 1 / 6)
    assert_allclose(mass_inside(even, REGIONS), REGIONS.mean((1, 2)))
    assert_allclose(pointing_game(even, REGIONS), REGIONS.mean((1, 2)))


def test_patches_that_hold_a_pixel():
    region = np.zeros((2, 4, 6), bool)
    region[0, 1, 5] = region[1, 2, 0] = region[1, 3, 3] = True
    expected = np.array([[[0, 0, 1], [0, 0, 0]], [[0, 0, 0], [1, 1, 0]]], bool)
    assert_array_equal(to_patches(region, 2), expected)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: pointing_game(MAPS, REGIONS[:2]), "one shape"),
        (lambda: pointing_game(MAPS, REGIONS.astype(float)), "regions must be boolean, got float64"),
        (lambda: mass_inside(-MAPS, REGIONS), "maps must not be negative, got -0.5"),
        (lambda: to_patches(REGIONS, 2), "patch must divide height and width, got patch=2 for 2 × 3"),
    ],
)
def test_bad_arguments_are_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
