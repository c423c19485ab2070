"""Colours that fit: exact where they can be, the control equal to what it names, the rest of the picture left alone."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from attn_book.data.material import photograph
from attn_book.harmonising import WAYS, ellipse, harmonised, looked_at, recoloured

SIZE = 48


def scene():
    return photograph("coffee", size=SIZE), ellipse(SIZE, seed=1)


@pytest.mark.parametrize("way", WAYS)
def test_only_the_piece_changes(way):
    picture, piece = scene()
    pasted = recoloured(picture, piece, seed=2)
    before = pasted.copy()
    made = harmonised(pasted, piece, way=way)
    assert made.shape == picture.shape and made.dtype == np.float32 and 0 <= made.min() and made.max() <= 1
    assert_array_equal(made[~piece], picture[~piece])
    assert_array_equal(pasted, before)
    assert (way == "as pasted") == (made[piece] == pasted[piece]).all()


def test_poisson_undoes_a_shift_of_all_colours_exactly():
    """Where the picture is even at the edge of the piece: that the edge can be passed unseen is all that is assumed."""
    picture, piece = np.full((SIZE, SIZE, 3), 0.4, np.float32), np.zeros((SIZE, SIZE), bool)
    piece[10:30, 12:40] = True
    picture[12:28, 14:38] = 0.2 + 0.5 * photograph("coffee", size=(16, 24))
    pasted = np.where(piece[..., None], picture + np.array([0.1, -0.1, 0.05]), picture).astype(np.float32)
    assert_allclose(harmonised(pasted, piece, way="Poisson"), picture, atol=1e-4)


def test_poisson_at_the_edge_of_the_picture():
    """One row of pixels, the piece at its left end: only the right neighbour outside fixes the colours."""
    picture = np.array([0.9, 0.8, 0.6, 0.3, 0.3], np.float32)[None, :, None].repeat(3, 2)
    piece = np.array([[True, True, True, False, False]])
    assert_allclose(harmonised(picture, piece, way="Poisson")[0, :, 0], [0.6, 0.5, 0.3, 0.3, 0.3], atol=1e-5)


def test_mean_and_spread_are_those_outside():
    picture, piece = 0.3 + 0.2 * scene()[0], scene()[1]
    made = harmonised(picture, piece, way="all pixels alike")
    assert_allclose(made[piece].mean(0), picture[~piece].mean(0), atol=1e-4)
    assert_allclose(made[piece].std(0), picture[~piece].std(0), atol=1e-4)


def test_shares_mean_and_spread_by_hand():
    """Every second pixel of a small picture, weights, mean and spread written out in loops."""
    picture, piece = photograph("coffee", size=12), np.zeros((12, 12), bool)
    piece[3:9, 4:9] = True
    temperature, near = 0.5, 0.3
    grey = np.pad(picture.astype(float).mean(-1), 2, mode="reflect")

    def seen(r, c):
        patch = grey[r : r + 5, c : c + 5].ravel()
        return (patch - patch.mean()) / (patch.std(ddof=1) + 0.01)

    taken = [(r, c) for r in range(0, 12, 2) for c in range(0, 12, 2)]
    asks, answers = ([at for at in taken if piece[at] == inside] for inside in (True, False))
    share = np.zeros(len(answers))
    for n in asks:
        unlike = np.array([((seen(*n) - seen(*m)) ** 2).mean() for m in answers])
        far = np.array([((np.array(n) - m) ** 2).sum() / 12**2 for m in answers])
        looks = np.exp(-unlike / temperature - far / (2 * near**2))
        share += looks / looks.sum() / len(asks)
    colours = np.array([picture[at] for at in answers], float)
    got = looked_at(picture, piece, temperature=temperature, near=near)
    assert_array_equal(got[0], colours.astype(np.float32))
    assert_allclose(got[1], share, rtol=1e-4)
    assert share.max() > 2 * share.min()

    mean = sum(a * x for a, x in zip(share, colours, strict=True))
    spread = np.sqrt(sum(a * (x - mean) ** 2 for a, x in zip(share, colours, strict=True)))
    inside = picture[piece].astype(float)
    expected = mean + spread / inside.std(0) * (inside - inside.mean(0))
    made = harmonised(picture, piece, way="attention", temperature=temperature, near=near)
    assert_allclose(made[piece], expected.clip(0, 1), atol=1e-4)


def test_attention_that_hears_nothing_is_the_control():
    """At a high temperature and with every place near, all pixels outside count alike, of every second one."""
    picture, piece = scene()
    colours, share = looked_at(picture, piece, temperature=1e9, near=1e9)
    assert_allclose(share, 1 / len(share), rtol=1e-3)
    assert_allclose(share.sum(), 1, rtol=1e-5)
    assert len(colours) == len(share) == (~piece[::2, ::2]).sum()
    even = harmonised(picture, piece, way="attention", temperature=1e9, near=1e9)
    assert np.abs(even - harmonised(picture, piece, way="all pixels alike")).max() < 0.05


def test_other_light_does_not_change_who_is_looked_at():
    picture, piece = 0.3 + 0.4 * scene()[0], scene()[1]
    brighter = np.where(piece[..., None], 1.2 * picture + 0.05, picture)
    shares = [looked_at(some, piece, temperature=0.3, near=0.2)[1] for some in (picture, brighter)]
    assert np.abs(shares[0] - shares[1]).sum() < 0.4  # of 2, where nothing is shared; patches at the rim see both lights


def test_attention_finds_what_looks_alike():
    """The piece has fine stripes; outside, half has the same stripes on another colour, half is smooth: the stripes are heard."""
    picture = np.full((SIZE, SIZE, 3), 0.2, np.float32)
    picture[:, ::2] += 0.3
    picture[:, SIZE // 2 :] = np.linspace(0.6, 0.9, SIZE // 2)[None, :, None]
    piece = np.zeros((SIZE, SIZE), bool)
    piece[16:32, 18:30] = True
    picture[16:32, 18:30] = 0.1
    picture[16:32, 18:30:2] = 0.6
    colours, share = looked_at(picture, piece, temperature=0.1, near=10.0)
    striped = (colours == colours[0]).all(1) | (np.abs(colours - 0.2) < 1e-6).all(1) | (np.abs(colours - 0.5) < 1e-6).all(1)
    assert share[striped].sum() > 0.8


@pytest.mark.parametrize("seed", range(8))
def test_ellipses_lie_inside_and_seeds_differ(seed):
    piece = ellipse(SIZE, seed=seed)
    assert 0.03 < piece.mean() < 0.25
    assert not piece[[0, -1]].any() and not piece[:, [0, -1]].any()
    assert (piece != ellipse(SIZE, seed=seed + 1)).any()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda p, e: harmonised(p, e, way="magic"),
            "way must be one of attention, all pixels alike, Poisson, as pasted; got 'magic'",
        ),
        (lambda p, e: harmonised(p[0], e), r"picture must be \(H, W, 3\)"),
        (lambda p, e: harmonised(p, e[1:]), r"piece must be \(48, 48\) of bool"),
        (lambda p, e: harmonised(p, e & ~e), "got 0 of 2304 pixels"),
        (lambda p, e: harmonised(p, e, temperature=0), "temperature must be a number of at least 1e-09"),
        (lambda p, e: recoloured(p, e, seed=-1), "seed must be a whole number of at least 0"),
    ],
)
def test_bad_arguments_are_named(call, words):
    with pytest.raises(ValueError, match=words):
        call(*scene())
