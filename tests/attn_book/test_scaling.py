"""Power laws with a floor: known ones come back, uncertainty is that of the seeds, and lines cross where they should."""

import numpy as np
import pytest

from attn_book import scaling
from attn_book.scaling import PowerLaw, crossing, fit_power_law, redrawn_means, resampled_laws

SIZES = np.array([512, 1280, 3200, 8000, 20_000, 50_000, 125_000])


def test_a_law_by_hand():
    np.testing.assert_allclose(PowerLaw(8.0, 0.5, 0.25)([4, 16, 64]), [4.25, 2.25, 1.25])


@pytest.mark.parametrize("law", [PowerLaw(5.0, 0.45, 0.02), PowerLaw(1.2, 0.15, 0.0), PowerLaw(300.0, 1.1, 0.05)])
def test_a_law_without_noise_comes_back(law):
    found = fit_power_law(SIZES, law(SIZES))
    np.testing.assert_allclose([found.a, found.b, found.c], [law.a, law.b, law.c], rtol=2e-3, atol=2e-4)


def test_relative_misfit_counts_small_errors_as_much_as_large_ones():
    """With one error wrong by half, the law gives way there alone when that error is the largest, and all the same when it is the least."""
    law = PowerLaw(5.0, 0.5, 0.0)
    off = [fit_power_law(SIZES, law(SIZES) * np.where(np.arange(7) == i, 1.05, 1))(SIZES) / law(SIZES) - 1 for i in (0, 6)]
    assert all(np.abs(change).max() < 0.05 for change in off)


def test_errors_that_do_not_fall_are_all_floor():
    law = fit_power_law(SIZES, np.full(7, 0.3))
    np.testing.assert_allclose(law(SIZES), 0.3, rtol=1e-6)


def test_the_bootstrap_is_narrow_without_noise_and_wide_with_it():
    law, rng = PowerLaw(5.0, 0.4, 0.01), np.random.default_rng(0)
    exact = np.tile(law(SIZES)[:, None], 3)
    noisy = exact * np.exp(0.1 * rng.standard_normal(exact.shape))
    spread = [np.std([one.b for one in resampled_laws(SIZES, errors, draws=40)]) for errors in (exact, noisy)]
    assert spread[0] < 1e-6 < 0.01 < spread[1]


@pytest.mark.parametrize("seeds", [2, 3, 8])
def test_redrawn_means_scatter_as_means_of_new_seeds_would(seeds):
    """Whatever the number of seeds, around the mean of all and with the variance of a mean."""
    errors = 0.3 + 0.01 * np.random.default_rng(1).standard_normal((5, seeds))
    redrawn = redrawn_means(errors, draws=20_000)
    assert redrawn.shape == (20_000, 5)
    np.testing.assert_allclose(redrawn.mean(axis=0), errors.mean(axis=1), atol=3e-4)
    np.testing.assert_allclose(redrawn.var(axis=0), errors.var(axis=1, ddof=1) / seeds, rtol=0.05)


def test_the_bootstrap_repeats_and_draws_within_a_size():
    errors = PowerLaw(5.0, 0.4, 0.01)(SIZES)[:, None] * np.array([[0.9, 1.0, 1.1]])
    first, second = (resampled_laws(SIZES, errors, draws=20, seed=3) for _ in range(2))
    assert first == second
    assert all(errors.min() * 0.9 < one(SIZES).min() and one(SIZES).max() < errors.max() * 1.1 for one in first)


def test_lines_cross_where_they_should_or_nowhere():
    steep, shallow = PowerLaw(10.0, 0.5, 0.0), PowerLaw(1.0, 0.25, 0.0)
    np.testing.assert_allclose(crossing(steep, shallow, 100, 1e6), 1e4, rtol=1e-6)
    np.testing.assert_allclose(crossing(shallow, steep, 100, 1e6), 1e4, rtol=1e-6)
    assert np.isnan(crossing(steep, shallow, 100, 9_000))
    assert np.isnan(crossing(steep, steep, 100, 1e6))


def test_the_first_of_two_crossings_counts():
    wave = lambda n: 1 + 0.1 * np.sin(np.log(n))
    np.testing.assert_allclose(crossing(wave, PowerLaw(0.0, 1.0, 1.0), 10, 1e6), np.exp(np.pi), rtol=1e-6)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda: fit_power_law([1, 2], [0.3, 0.2]), "three different sizes"),
        (lambda: fit_power_law([1, 2, 3], [0.3, 0.2]), "of one length"),
        (lambda: fit_power_law([1, 2, 3], [0.3, 0.2, 0.0]), "above 0"),
        (lambda: fit_power_law([0, 2, 3], [0.3, 0.2, 0.1]), "above 0"),
        (lambda: fit_power_law([1, 2, 3], [0.3, np.nan, 0.1]), "above 0"),
        (lambda: redrawn_means([[0.3], [0.2], [0.1]]), r"two seeds or more, got shape \(3, 1\)"),
        (lambda: crossing(PowerLaw(1, 1, 0), PowerLaw(1, 1, 0), 10, 1), "low and high"),
    ],
)
def test_rejections(function, words):
    with pytest.raises(ValueError, match=words):
        function()


def test_no_exponent_beyond_the_steepest():
    assert fit_power_law([10, 100, 1000], [0.9, 1e-3, 1e-6]).b <= scaling.STEEPEST
