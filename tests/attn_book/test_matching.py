"""Stereo without learning: costs by hand, paths against a slow reference, checks and scores."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from attn_book import matching
from attn_book.data.stereo_pairs import stereo_pairs


@pytest.fixture(scope="module")
def pair():
    """A scene of random dots before random dots, without noise: left, right, disparity (10, 30)."""
    rng = np.random.default_rng(0)
    right = rng.random((3, 10, 30)).astype(np.float32)
    disparity = np.full((10, 30), 3)
    disparity[3:7, 12:20] = 6
    left = np.take_along_axis(right, np.clip(np.arange(30) - disparity, 0, 29)[None], 2)
    return left, right, disparity


def test_absolute_differences_by_hand():
    left, right = np.zeros((3, 1, 4)), np.zeros((3, 1, 4))
    left[:, 0, 2], right[0, 0, 1] = 0.5, 0.2
    costs = matching.absolute_differences(left, right, 2)
    assert_allclose(costs[0, 2], [0.5, (0.3 + 0.5 + 0.5) / 3, 0.5], rtol=1e-6)
    assert_array_equal(costs[0, 0], [0, 1, 1])
    assert costs.shape == (1, 4, 3) and costs.dtype == np.float32


def test_census_by_hand_and_blind_to_light():
    grey = np.array([[1.0, 2, 3], [4, 5, 6], [9, 8, 7]])
    left = np.repeat(grey[None] / 10, 3, 0)
    costs = matching.census(left, left, 1, window=3)
    assert_array_equal(costs[..., 0], 0)
    darker = lambda row, column: [  # neighbours darker than the pixel, those beyond the edge repeated
        np.pad(grey, 1, mode="edge")[row + y, column + x] < grey[row, column]
        for y in range(3)
        for x in range(3)
        if (y, x) != (1, 1)
    ]
    assert_allclose(costs[1, 1, 1], np.mean(np.array(darker(1, 1)) != darker(1, 0)))
    assert_array_equal(matching.census(left, 0.3 * left + 0.2, 1, window=3), costs)


def test_correlation_by_hand_and_blind_to_light():
    rng = np.random.default_rng(2)
    left, right = rng.random((2, 3, 6, 9))
    costs = matching.correlation(left, right, 3, window=3)
    wide = np.pad(left, ((0, 0), (1, 1), (1, 1)), mode="edge"), np.pad(right, ((0, 0), (1, 1), (1, 1)), mode="edge")
    for i, j, d in ((2, 4, 3), (0, 0, 0), (5, 8, 2), (3, 3, 3)):  # a square in the padded picture begins at (i, j)
        pairs = zip(wide[0][:, i : i + 3, j : j + 3], wide[1][:, i : i + 3, j - d : j - d + 3], strict=True)
        alike = [np.corrcoef(one.ravel(), other.ravel())[0, 1] for one, other in pairs]
        assert_allclose(costs[i, j, d], (1 - np.mean(alike)) / 2, rtol=1e-3)
    assert_array_equal(costs[:, 1, 2:], 1)
    lighter = left * np.array([0.5, 0.8, 0.3])[:, None, None] + 0.1  # each colour by itself
    assert_allclose(matching.correlation(lighter, right, 3, window=3), costs, atol=1e-3)


@pytest.mark.parametrize("cost", [matching.absolute_differences, matching.census, matching.correlation])
def test_what_is_planted_is_found(pair, cost):
    left, right, disparity = pair
    found = matching.best_disparity(cost(left, right, 8))
    inside = np.zeros(disparity.shape, bool)
    inside[1:9, 9:12] = inside[1:9, 22:29] = inside[4:6, 14:18] = True
    assert np.mean(abs(found - disparity)[inside] < 0.6) > 0.95


def slow_path(costs, down, across, small, large):
    """The recursion as it is written, pixel by pixel."""
    H, W, D = costs.shape
    out = np.zeros_like(costs)
    for i in range(H)[:: down or 1]:
        for j in range(W)[:: across or 1]:
            y, x = i - down, j - across
            for d in range(D):
                if not (0 <= y < H and 0 <= x < W):
                    out[i, j, d] = costs[i, j, d]
                    continue
                before = out[y, x]
                ways = [before[d], before.min() + large]
                ways += [before[k] + small for k in (d - 1, d + 1) if 0 <= k < D]
                out[i, j, d] = costs[i, j, d] + min(ways) - before.min()
    return out


def test_semi_global_is_the_sum_of_eight_slow_paths():
    costs = np.random.default_rng(1).random((5, 7, 4))
    slow = sum(slow_path(costs, *step, 0.1, 0.4) for step in matching.PATHS)
    assert len(set(matching.PATHS)) == 8
    assert_allclose(matching.semi_global(costs, 0.1, 0.4), slow, rtol=1e-5)
    assert_array_equal(costs, np.random.default_rng(1).random((5, 7, 4)))


def test_free_changes_leave_every_pixel_to_itself_and_dear_ones_bring_neighbours_together():
    made = stereo_pairs(1, seed=3, size=(16, 64), noise=0.1)
    costs = matching.absolute_differences(made.left[0], made.right[0], 24)
    assert_array_equal(matching.semi_global(costs, 0, 0).argmin(-1), costs.argmin(-1))
    rough = lambda costs: np.mean(np.diff(costs.argmin(-1), axis=1) != 0)
    assert rough(matching.semi_global(costs, 0.3, 1.0)) < 0.6 * rough(costs)


def test_a_window_averages():
    costs = np.zeros((5, 5, 2))
    costs[2, 2, 1] = 9
    assert_allclose(matching.window_mean(costs, 3)[..., 1], np.pad(np.ones((3, 3)), 1), atol=1e-12)
    assert_array_equal(matching.window_mean(costs, 1), costs)


def test_between_whole_pixels_by_a_parabola():
    costs = (np.arange(6) - 2.3) ** 2
    ends = np.array([0.0, 1, 2, 3, 4, 5])
    assert_allclose(matching.best_disparity(np.stack([costs, ends, ends[::-1]])[None]), [[2.3, 0, 5]], atol=1e-6)


def test_the_check_by_hand():
    disparity = np.array([[0.0, 1.0, 1.0, 3.0, 2.0]])
    other = np.array([[1.0, 1.0, 2.4, 0.0, 0.0]])  # of the right pixels
    # 0 → 0: 0 against 1. 1 → 0: 1 against 1. 2 → 1: 1 against 1. 3 → 0: 3 against 1. 4 → 2: 2 against 2.4
    assert_array_equal(matching.left_right_check(disparity, other), [[True, True, True, False, True]])
    assert_array_equal(matching.left_right_check(disparity, other, 0.5), [[False, True, True, False, True]])
    assert not matching.left_right_check(np.array([[5.0, 0.0]]), np.zeros((1, 2)))[0, 0]  # outside
    assert_allclose(matching.left_right_gap(disparity, other), [[1, 0, 0, 2, 0.4]])
    assert_array_equal(matching.left_right_gap(np.array([[5.0, 0.0]]), np.zeros((1, 2))), [[np.inf, 0]])


def test_in_a_mirror_right_is_left(pair):
    left, right, _ = pair
    new_left, new_right = matching.mirrored(left, right)
    assert_array_equal(new_left[..., ::-1], right)
    other = matching.best_disparity(matching.absolute_differences(new_left, new_right, 8))[:, ::-1]
    assert_allclose(other[1, 3:8], 3, atol=0.5)  # the right pixel 3 is seen on the left in column 6


def test_holes_are_filled_from_behind():
    disparity = np.array([[9.0, 5.0, 9.0, 9.0, 2.0, 9.0], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]])
    kept = np.array([[False, True, False, False, True, False], [False] * 6])
    assert_array_equal(matching.fill_from_behind(disparity, kept), [[5, 5, 2, 2, 2, 2], [1, 2, 3, 4, 5, 6]])


def test_scores_by_hand():
    truth = np.array([[1.0, 2.0, 3.0, np.nan]])
    visible = np.array([[True, True, False, False]])
    found = matching.disparity_scores(np.array([[1.5, 4.5, 3.0, 99.0]]), truth, visible, np.array([[True, False, True, True]]))
    assert found == pytest.approx(
        {
            "error": 1.0,
            "off by 1": 1 / 3,
            "off by 2": 1 / 3,
            "error visible": 1.5,
            "off by 1 visible": 0.5,
            "off by 2 visible": 0.5,
            "error kept": 0.25,
            "off by 1 kept": 0.0,
            "off by 2 kept": 0.0,
            "coverage": 2 / 3,
            "visible kept": 0.5,
            "hidden kept": 1.0,
        }
    )
    with pytest.raises(ValueError, match="truth must be known at some pixel"):
        matching.disparity_scores(np.zeros((1, 1)), np.full((1, 1), np.nan), np.zeros((1, 1), bool))


PICTURE = np.zeros((3, 4, 9))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: matching.absolute_differences(PICTURE, PICTURE[:, :3], 2), r"left and right must be \(3, H, W\) both, got"),
        (lambda: matching.absolute_differences(PICTURE, PICTURE, 9), "largest must be a whole number from 0 to 8, got 9"),
        (lambda: matching.census(PICTURE, PICTURE, 2, window=4), "window must be odd, got 4"),
        (lambda: matching.correlation(PICTURE, PICTURE, 2, window=4), "window must be odd, got 4"),
        (lambda: matching.semi_global(np.zeros((2, 2, 2)), -1, 1), "small must be a number of at least 0, got -1"),
        (lambda: matching.semi_global(np.zeros((2, 2, 2)), 2, 1), "large must be a number of at least 2, got 1"),
        (lambda: matching.window_mean(np.zeros((2, 2, 2)), 0), "window must be a whole number of at least 1, got 0"),
    ],
)
def test_bad_arguments_are_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
