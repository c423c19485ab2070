"""The figures of chapter 16 draw the numbers that they are given."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from numpy.testing import assert_allclose

from attn_book.figures import ch16

PICTURE = np.full((6, 8, 3), 0.5)


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def test_disparities_share_the_range_of_the_first():
    first = np.array([[1.0, np.nan], [3.0, 2.0]])
    views = {"left": np.zeros((2, 2, 3)), "right": np.ones((2, 2, 3))}
    fig = ch16.disparities(views, {"measured": first, "found": 10 * np.ones((2, 2))})
    assert [ax.get_title() for ax in fig.axes[:4]] == ["left", "right", "measured", "found"]
    for ax in fig.axes[2:4]:
        assert ax.images[0].get_clim() == (1, 3)
    assert np.isnan(np.ma.filled(fig.axes[2].images[0].get_array().astype(float), np.nan)[0, 1])


def test_what_has_no_match_is_orange_on_grey():
    mask = np.zeros((6, 8), bool)
    mask[2, 3] = True
    laid = ch16.overlaid(PICTURE, mask)
    assert_allclose(laid[2, 3], to_rgb(ch16.MARK))
    assert_allclose(laid[0, 0], 0.3 + 0.6 * 0.5)
    fig = ch16.marked(PICTURE, {"a": mask, "b": ~mask})
    assert_allclose(fig.axes[0].images[0].get_array(), laid)
    fig = ch16.training_pair(PICTURE, PICTURE, np.arange(48.0).reshape(6, 8), ~mask)
    assert_allclose(fig.axes[3].images[0].get_array(), laid)
    assert fig.axes[2].images[0].get_clim() == (0, 47)


def test_coverage_draws_lines_and_points_with_names():
    ax = ch16.coverage({"net": ([0.5, 1], [0.1, 0.2])}, {"one": (0.8, 0.3), "two": (0.7, 0.1)}).axes[0]
    assert [line.get_xydata().tolist() for line in ax.lines] == [[[0.5, 0.1], [1, 0.2]], [[0.8, 0.3]], [[0.7, 0.1]]]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["net", "one", "two"]
    assert len({line.get_color() for line in ax.lines}) == 3


def test_the_same_camera_sees_the_same_picture():
    picture = np.random.default_rng(0).random((12, 16, 3))
    assert_allclose(ch16.rendered(picture, np.full((12, 16), 2.0), right=0, up=0, dot=0), picture)


def test_from_the_right_what_is_near_moves_to_the_left_and_hides_what_is_behind():
    picture, depth = np.zeros((40, 60, 3)), np.full((40, 60), 4.0)
    picture[..., 2] = 1  # a blue wall
    depth[15:25, 25:35], picture[15:25, 25:35] = 2.0, (1, 0, 0)  # and before it a red square
    seen = ch16.rendered(picture, depth, focal=60.0, right=0.4, up=0, dot=0)
    red = seen[..., 0] > 0.5
    assert 40 < red.sum() <= 110
    assert np.nonzero(red)[1].mean() < 25  # it stood around column 30
    assert (seen[red] == (1, 0, 0)).all()
    higher = ch16.rendered(picture, depth, focal=60.0, right=0, up=0.4, dot=0)[..., 0] > 0.5
    assert np.nonzero(higher)[0].mean() > 24  # seen from above, what is near stands lower


def test_what_is_not_known_is_not_drawn():
    depth = np.full((6, 8), np.nan)
    depth[2, 3] = 2.0
    seen = ch16.rendered(PICTURE, depth, right=0, up=0, dot=0)
    assert np.argwhere(seen.any(-1)).tolist() == [[2, 3]]
    fig = ch16.from_elsewhere(PICTURE, {"a": depth}, right=0, up=0, dot=0)
    assert_allclose(fig.axes[0].images[0].get_array(), seen)


def test_a_film_shows_outlines_of_masks_and_light_of_shares():
    frames, masks = np.full((5, 3, 8, 8), 0.8), np.zeros((5, 8, 8), bool)
    masks[:, 2:5, 2:5] = True
    fig = ch16.film(frames, masks, [0, 3])
    assert [ax.get_title() for ax in fig.axes] == ["frame 1", "frame 4"]
    assert all(len(ax.collections) == 1 for ax in fig.axes)
    shares = np.zeros((5, 4, 4))
    shares[:, 1, 2] = 0.5
    fig = ch16.film(frames, shares, [4], track=np.full((5, 2), 3.0))
    lit = fig.axes[0].images[0].get_array()
    assert_allclose(lit[2:4, 4:6], 0.8)
    assert_allclose(lit[0, 0], 0.2)
    assert fig.axes[0].lines[0].get_xydata().tolist() == [[2.5, 2.5]]
    assert not ch16.film(frames, np.zeros((5, 8, 8), bool), [0]).axes[0].collections


def test_maps_stand_under_their_pictures_on_one_scale_with_the_outline():
    maps, masks = np.stack([np.eye(2), 3 * np.eye(2)]), np.zeros((2, 4, 4), bool)
    masks[:, 1:3, 1:3] = True
    pictures = np.stack([np.zeros((3, 4, 4)), np.ones((3, 4, 4))])
    fig = ch16.maps_beside(pictures, maps, masks)
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
    ax = ch16.words_by_step(shares, ["red", "blue", "7"], ["red", "blue"]).axes[0]
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["red", "blue"]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["red", "blue"]
    assert [text.get_text() for text in ax.texts] == ["0.50", "0.00", "0.48", "1.00"]
