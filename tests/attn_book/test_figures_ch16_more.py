"""The figures of chapter 16's second half draw the numbers that they are given."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from attn_book.figures import ch16_more


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def test_maps_stand_under_their_pictures_on_one_scale_with_the_outline():
    maps, masks = np.stack([np.eye(2), 3 * np.eye(2)]), np.zeros((2, 4, 4), bool)
    masks[:, 1:3, 1:3] = True
    pictures = np.stack([np.zeros((3, 4, 4)), np.ones((3, 4, 4))])
    fig = ch16_more.maps_beside(pictures, maps, masks)
    above, below = fig.axes[:2], fig.axes[2:4]
    assert [ax.images[0].get_array().max() for ax in above] == [0, 1]
    for ax, one in zip(below, maps, strict=True):
        np.testing.assert_array_equal(ax.images[0].get_array(), one)
        assert ax.images[0].get_clim() == (0, 3) and ax.images[0].get_extent() == [0, 4, 4, 0]
        (outline,) = ax.collections
        corners = np.concatenate([path.vertices for path in outline.get_paths()])
        assert corners.min() == 1 and corners.max() == 3  # pixels 1 and 2 reach from 1 to 3


def test_words_of_little_probability_are_left_out():
    shares = np.array([[0.5, 0.48, 0.02], [0.0, 1.0, 0.0]])
    ax = ch16_more.words_by_step(shares, ["red", "blue", "7"], ["red", "blue"]).axes[0]
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["red", "blue"]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["red", "blue"]
    assert [text.get_text() for text in ax.texts] == ["0.50", "0.00", "0.48", "1.00"]


def test_kept_words_name_rows_and_columns():
    ax = ch16_more.kept_words([[0.25, 1.0], [0.5, 0.75]], ["colour", "digit"]).axes[0]
    assert [text.get_text() for text in ax.texts] == ["0.25", "1.00", "0.50", "0.75"]
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["colour", "digit"]
