"""The coins: 24 of them, masks that fit what is seen, and clicks that lie on the coin."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from skimage import measure

from attn_book.data.coins import coin_clicks, coin_photograph, coins


def test_the_photograph_has_24_coins_each_of_one_round_piece():
    photograph, numbers = coin_photograph()
    assert photograph.shape == numbers.shape == (303, 384)
    assert_array_equal(np.unique(numbers), np.arange(25))
    assert photograph.dtype == np.float32
    for region in measure.regionprops(numbers):
        assert 900 < region.area < 4000
        assert measure.label(region.image).max() == 1
        assert region.solidity > 0.95  # a disc has 1, two coins grown together much less
        assert region.eccentricity < 0.6


def test_one_picture_for_each_coin():
    made = coins()
    assert made.images.shape == (24, 3, 64, 64)
    assert made.images.dtype == np.float32
    assert 0 <= made.images.min() < made.images.max() <= 1
    assert_array_equal(made.images[:, 0], made.images[:, 2])
    assert made.masks.shape == made.neighbours.shape == (24, 64, 64)
    assert not (made.masks & made.neighbours).any()
    assert (made.neighbours.sum((1, 2)) > made.masks.sum((1, 2))).all()
    for image, mask, neighbours, centre in zip(made.images, made.masks, made.neighbours, made.centres, strict=True):
        assert mask[tuple(centre)]
        assert measure.label(mask).max() == 1
        ground = ~mask & ~neighbours
        assert image[0][mask].mean() > image[0][ground].mean() + 0.15


def test_crops_are_taken_at_half_size():
    _, numbers = coin_photograph()
    area = np.bincount(numbers.ravel())[1:]
    assert np.abs(coins().masks.sum((1, 2)) / (area / 4) - 1).max() < 0.05


def test_a_caller_cannot_spoil_the_photograph():
    coin_photograph()[0][:] = 7
    coin_photograph()[1][:] = 0
    assert coin_photograph()[0].max() <= 1
    assert coin_photograph()[1].max() == 24


def test_clicks_lie_on_the_coin_and_the_first_on_its_centre():
    made, places = coins(), coin_clicks(7, seed=3)
    assert places.shape == (24, 7, 2)
    for mask, of_coin in zip(made.masks, places, strict=True):
        assert mask[tuple(of_coin.T)].all()
    assert_array_equal(places[:, 0], made.centres)
    assert_array_equal(places, coin_clicks(7, seed=3))
    assert (coin_clicks(7, seed=4)[:, 1:] != places[:, 1:]).any()


@pytest.mark.parametrize("arguments", [{"per_coin": 0, "seed": 1}, {"per_coin": 2, "seed": -1}])
def test_what_is_no_whole_number_is_refused(arguments):
    with pytest.raises(ValueError, match=r"(per_coin|seed) must be a whole number of at least"):
        coin_clicks(arguments.pop("per_coin"), **arguments)
