"""Measures of generated pictures: solved by hand, and against their definition."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy import linalg

from attn_book.generated import diversity, frechet, kernel_distance, nearest, share_nearer


def features(n=211, f=7, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, f)) @ rng.standard_normal((f, f)) + rng.standard_normal(f)


def test_frechet_by_hand():
    """Means 0 and 3, variances 2 and 18 (of two numbers ± 1 and 3 ± 3): 9 + (√18 − √2)² = 9 + 8."""
    assert_allclose(frechet([[-1.0], [1.0]], [[0.0], [6.0]]), 17)


def test_frechet_of_a_shift_a_stretch_and_nothing():
    one = features()
    assert_allclose(frechet(one, one), 0, atol=1e-9)
    assert_allclose(frechet(one, one + np.arange(7)), (np.arange(7) ** 2).sum())
    centred = one - one.mean(0)
    assert_allclose(frechet(centred, 3 * centred), 4 * np.trace(np.cov(one.T)))  # (3 − 1)² times the variances


def test_frechet_is_its_formula_and_symmetric():
    one, other = features(), features(97, seed=1)
    covariance, its = np.cov(one.T), np.cov(other.T)
    root = linalg.sqrtm(covariance @ its).real
    expected = ((one.mean(0) - other.mean(0)) ** 2).sum() + np.trace(covariance + its - 2 * root)
    assert_allclose(frechet(one, other), expected)
    assert_allclose(frechet(other, one), expected)


def test_frechet_of_fewer_pictures_than_features_is_still_a_number():
    one, other = features(5), features(6, seed=1)
    assert frechet(one, other) > 0
    assert_allclose(frechet(one, one), 0, atol=1e-9)


def test_kernel_distance_by_hand():
    """One feature; sets {0, 1} and {2, 3}: within (0·1 + 1)³ = 1 and (6 + 1)³ = 343, across the mean of 1, 1, 27 and 64."""
    assert_allclose(kernel_distance([[0.0], [1.0]], [[2.0], [3.0]]), 1 + 343 - 2 * (1 + 1 + 27 + 64) / 4)


def test_kernel_distance_is_its_double_loop():
    one, other = features(11), features(13, seed=1)
    k = lambda a, b: (a @ b / 7 + 1) ** 3
    within = lambda x: np.mean([k(x[i], x[j]) for i in range(len(x)) for j in range(len(x)) if i != j])
    across = np.mean([k(a, b) for a in one for b in other])
    assert_allclose(kernel_distance(one, other), within(one) + within(other) - 2 * across)


def test_kernel_distance_of_one_distribution_is_0_in_the_mean_however_few_they_are():
    rng = np.random.default_rng(0)
    values = [kernel_distance(*rng.standard_normal((2, 9, 3))) for _ in range(3000)]
    assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(3000)
    assert min(values) < 0


def test_nearest_by_hand():
    pictures, seen = np.zeros((2, 1, 2, 2)), np.ones((3, 1, 2, 2))
    pictures[1] = 5
    seen[1], seen[2] = 4, -0.5
    distances, places = nearest(pictures, torch.tensor(seen))
    assert_allclose(distances, [1, 2])
    assert_array_equal(places, [2, 1])


def test_copies_are_noticed_and_new_pictures_are_not_taken_for_copies():
    rng = np.random.default_rng(0)
    seen, unseen, new = rng.random((3, 400, 6))
    assert share_nearer(seen + 1e-3, seen, unseen) == 1
    assert share_nearer(unseen, seen, unseen) == 0
    assert abs(share_nearer(new, seen, unseen) - 1 / 2) < 4 * 0.025
    assert abs(share_nearer(new, seen, unseen[:100]) - 4 / 5) < 4 * 0.02
    assert share_nearer(np.zeros((2, 1)), np.ones((3, 1)), np.ones((3, 1))) == 0.5


def test_diversity_by_hand():
    """Class 0: three points at mutual distances 3, 4 and 5; class 1: two copies."""
    pictures = np.array([[0.0, 0.0], [3.0, 0.0], [3.0, 4.0], [7.0, 7.0], [7.0, 7.0]])
    assert_allclose(diversity(pictures, [0, 0, 0, 1, 1]), (4 + 0) / 2)
    assert_allclose(diversity(torch.tensor(pictures[:3])[:, None], torch.zeros(3)), 4)


@pytest.mark.parametrize("measure", [frechet, kernel_distance])
@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        (
            np.zeros((3, 2)),
            np.zeros((3, 4)),
            r"both sets must be \(n, F\) with one F and at least two rows, got \(3, 2\) and \(3, 4\)",
        ),
        (np.zeros((1, 2)), np.zeros((3, 2)), r"at least two rows, got \(1, 2\) and \(3, 2\)"),
        (np.zeros((3, 2, 2)), np.zeros((3, 2, 2)), r"both sets must be \(n, F\)"),
        (np.zeros((3, 2)), np.full((3, 2), np.nan), "both sets must be finite, got NaN or infinity"),
    ],
)
def test_sets_that_do_not_fit_are_refused(measure, one, other, words):
    with pytest.raises(ValueError, match=words):
        measure(one, other)


def test_lonely_pictures_are_refused():
    with pytest.raises(ValueError, match="labels must hold at least two of each class, got one of class 5"):
        diversity(np.zeros((3, 2)), [4, 4, 5])
