"""Holes filled from the rest of the picture: by hand where a texture repeats, and the rest left alone."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from attn_book import inpainting
from attn_book.data.material import photograph
from attn_book.inpainting import METHODS, biharmonic, fill, filled_by, hole_scores, random_hole


def stripes(size=48, period=6):
    picture = np.zeros((size, size, 3), np.float32)
    picture[:, np.arange(size) % period < period // 2] = [0.9, 0.3, 0.1]
    return picture


def test_copying_goes_on_with_stripes_and_smooth_filling_does_not():
    picture, hole = stripes(), random_hole(48, 12, seed=1)
    copied, smooth = fill(picture, hole, temperature=0, levels=1), biharmonic(picture, hole)
    assert_allclose(copied, picture, atol=1e-6)
    assert np.abs(smooth - picture)[hole].max() > 0.3


def test_one_round_is_attention_by_hand():
    """A patch of one pixel in the hole, weights written out in a loop."""
    rng = np.random.default_rng(0)
    picture = rng.random((9, 8, 3)).astype(np.float32)
    hole = np.zeros((9, 8), bool)
    hole[4, 4] = True
    got = inpainting._round(picture, hole, 0.02, 3, stride=1)
    corners = [(r, c) for r in range(7) for c in range(6)]
    patch = lambda r, c: picture[r : r + 3, c : c + 3].astype(float)
    touches = [(r, c) for r, c in corners if hole[r : r + 3, c : c + 3].any()]
    whole = [corner for corner in corners if corner not in touches]
    said = []
    for r, c in touches:
        scores = np.array([-((patch(r, c) - patch(*k)) ** 2).mean() / 0.02 for k in whole])
        weights = np.exp(scores - scores.max())
        weights /= weights.sum()
        out = sum(w * patch(*k) for w, k in zip(weights, whole, strict=True))
        said.append(out[4 - r, 4 - c])
    assert len(said) == 9
    assert_allclose(got[4, 4], np.mean(said, 0), rtol=1e-4)
    assert_array_equal(got[~hole], picture[~hole])


def test_a_low_temperature_is_copying_and_a_high_one_the_mean():
    rng = np.random.default_rng(1)
    picture, hole = rng.random((24, 24, 3)).astype(np.float32), random_hole(24, 6, seed=0)
    one = inpainting._round(picture, hole, 0.0, 5, stride=1)
    assert_allclose(inpainting._round(picture, hole, 1e-6, 5, stride=1), one, atol=1e-4)
    even = inpainting._round(picture, hole, 1e6, 5, stride=1)[hole]
    assert np.ptp(even, axis=0).max() < 0.1 and abs(even.mean() - 0.5) < 0.05


def test_memory_does_not_change_the_answer(monkeypatch):
    rng = np.random.default_rng(2)
    picture, hole = rng.random((20, 20, 3)).astype(np.float32), random_hole(20, 6, seed=0)
    before = inpainting._round(picture, hole, 0.01, 5, stride=2)
    monkeypatch.setattr(inpainting, "AT_ONCE", 100)
    assert_allclose(inpainting._round(picture, hole, 0.01, 5, stride=2), before, rtol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_fills_the_hole_alone_and_does_not_look_into_it(method):
    picture, hole = photograph("chelsea", size=64), random_hole(64, 12, seed=3)
    before = picture.copy()
    made = filled_by(method, picture, hole, temperature=1e-3)
    assert made.shape == picture.shape and made.dtype == np.float32 and np.isfinite(made).all()
    assert_array_equal(made[~hole], picture[~hole])
    assert_array_equal(picture, before)
    other = np.where(hole[..., None], 0.5, picture)
    assert_allclose(filled_by(method, other, hole, temperature=1e-3), made, atol=1e-5)


def test_rounds_are_shown_and_grow():
    sizes = []
    fill(stripes(), random_hole(48, 8, seed=0), temperature=1e-3, on_round=lambda p: sizes.append(p.shape[0]))
    assert sizes == [12] * 6 + [24] * 3 + [48] * 2


def test_halving_by_hand():
    picture = np.arange(16, dtype=np.float32).reshape(4, 4, 1).repeat(3, 2)
    hole = np.zeros((4, 4), bool)
    hole[0, 0] = hole[3, 3] = True
    half, missing = inpainting._half(picture, hole)
    assert_allclose(half[..., 0], [[(1 + 4 + 5) / 3, 4.5], [10.5, (10 + 11 + 14) / 3]], rtol=1e-6)
    assert_array_equal(missing, [[True, False], [False, True]])


def test_scores_by_hand():
    rng = np.random.default_rng(0)
    truth = rng.random((16, 16, 3)).astype(np.float32) / 2
    hole = random_hole(16, 6, seed=0)
    same = hole_scores(truth + 1e-6, truth, hole)
    assert same["SSIM"] == pytest.approx(1, abs=1e-4) and same["detail"] == pytest.approx(1, abs=1e-3) and same["PSNR"] > 100
    made = np.where(hole[..., None], truth + 0.1, truth)
    assert hole_scores(made, truth, hole)["PSNR"] == pytest.approx(20, abs=1e-4)
    flat = np.full_like(truth, 0.25)
    assert hole_scores(flat, truth, hole)["detail"] == pytest.approx(0, abs=1e-5)
    seam = np.where(hole[..., None], flat, truth)  # rough at the rim alone
    assert hole_scores(seam, truth, hole)["detail"] == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("seed", range(20))
def test_holes_lie_inside(seed):
    hole = random_hole(64, 20, seed=seed)
    rows, columns = np.nonzero(hole)
    assert hole.sum() == 400
    assert min(rows.min(), columns.min()) >= 10 and max(rows.max(), columns.max()) < 54


PICTURE, HOLE = np.zeros((20, 20, 3), np.float32), random_hole(20, 6, seed=0)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: fill(PICTURE[..., 0], HOLE, temperature=0), r"picture must be \(H, W, 3\), got \(20, 20\)"),
        (lambda: fill(PICTURE, HOLE[1:], temperature=0), r"hole must be \(20, 20\) of bool"),
        (lambda: fill(PICTURE, ~HOLE & HOLE, temperature=0), "got 0 of 400 pixels"),
        (lambda: fill(PICTURE, HOLE, temperature=-1), "temperature must be a number of at least 0, got -1"),
        (lambda: fill(PICTURE, HOLE, temperature=0, patch=4), "patch must be odd, got 4"),
        (lambda: fill(PICTURE, HOLE, temperature=0, levels=4), "levels must be a whole number from 1 to 3, got 4"),
        (lambda: fill(PICTURE, HOLE, temperature=0, patch=15, levels=1), "must hold a patch of 15 × 15 px without a hole"),
        (lambda: filled_by("magic", PICTURE, HOLE, temperature=0), "method must be one of attention, copying, biharmonic"),
        (lambda: random_hole(20, 11, seed=0), "size must be a whole number of at least 22, got 20"),
    ],
)
def test_bad_arguments_are_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_tensors_are_welcome():
    picture, hole = torch.from_numpy(stripes(24)), torch.from_numpy(random_hole(24, 6, seed=0))
    assert_allclose(fill(picture, hole, temperature=0, levels=1), stripes(24), atol=1e-6)
