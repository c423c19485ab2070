"""Collages and clicks: exact truth, a pure function of the arguments, splits that share nothing, and fast."""

import itertools
import re
import time

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import ndimage

from attn_book.data import collage, material
from attn_book.data.collage import clicks, collages


@pytest.fixture(scope="module")
def batch():
    return collages(300, seed=5, size=(40, 56), badges=0.5)


@pytest.fixture(scope="module")
def asked(batch):
    return clicks(batch.parts, 6, seed=7, wholes=batch.wholes, smallest=30)


def test_shapes_types_and_ranges(batch):
    assert batch.images.shape == (300, 3, 40, 56)
    assert batch.images.dtype == np.float32
    assert batch.images.min() >= 0
    assert batch.images.max() <= 1
    assert batch.parts.shape == batch.wholes.shape == (300, 40, 56)
    assert batch.parts.dtype == batch.wholes.dtype == np.uint8


def test_at_most_so_many_shapes_and_at_least_some():
    made = collages(200, seed=1, shapes=(3, 4), alike=0, badges=0)
    laid = [len(np.unique(parts[parts > 0])) for parts in made.parts]
    assert set(laid) <= {1, 2, 3, 4}  # a shape can be covered
    assert np.mean(np.array(laid) >= 3) > 0.8
    assert_array_equal(made.parts, made.wholes)


def test_a_badge_lies_within_its_shape(batch):
    """Where the two numberings differ there is a badge; it never touches the ground that its shape does not touch."""
    differs = 0
    for parts, wholes in zip(batch.parts, batch.wholes, strict=True):
        assert_array_equal(parts > 0, wholes > 0)
        for badge in np.unique(parts[parts != wholes]):
            carriers = np.unique(wholes[parts == badge])
            assert len(carriers) == 1
            assert carriers[0] != badge
            differs += 1
    assert differs > 100


def test_what_is_alike_lies_apart_and_looks_alike():
    made = collages(200, seed=2, alike=1, badges=0, noise=0, shapes=(3, 5))
    beside = ndimage.generate_binary_structure(2, 2)
    several = 0
    for parts in made.parts:
        pieces = np.unique(parts[parts > 0])
        several += len(pieces) > 2
        for one, other in itertools.combinations(pieces, 2):
            assert not (ndimage.binary_dilation(parts == one, beside) & (parts == other)).any()
        if len(pieces) > 1:
            sizes = np.array([np.ptp(np.argwhere(parts == piece), axis=0).max() for piece in pieces])
            assert sizes.max() < 64 * 0.28 * 1.2 * 2 + 2
    assert several > 60


def test_a_collage_of_one_texture_shows_it_in_every_shape():
    """Without light on the shapes the picture inside all of them is one crop: it fits together like a window's panes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(collage, "_shading", lambda n, height, width, rng: np.zeros((n, 1, height, width), np.float32))
        alike = collages(40, seed=3, alike=1, badges=0, noise=0, shapes=5)
        patch.setattr(collage, "_opacity", lambda outline, centres, *_: np.ones((len(centres), 64, 64), np.float32))
        texture = collages(40, seed=3, alike=1, badges=0, noise=0, shapes=5)
    for shown, whole, parts in zip(alike.images, texture.images, alike.parts, strict=True):
        core = ndimage.binary_erosion(parts > 0, iterations=2)
        assert_allclose(shown[:, core], whole[:, core], atol=1e-5)


def test_the_truth_is_what_was_drawn():
    """White shapes on black: a pixel belongs to a shape exactly where it is more than half white."""
    with pytest.MonkeyPatch.context() as patch:
        shades = itertools.cycle([1.0, 0.0, 1.0, 1.0])  # texture, ground, and each of two shapes' own
        ours = lambda n, height, width, *_: np.full((n, 3, height, width), next(shades), np.float32)
        patch.setattr(collage, "_crops", ours)
        patch.setattr(collage, "_shading", lambda n, height, width, rng: np.zeros((n, 1, height, width), np.float32))
        made = collages(200, seed=4, shapes=1, badges=0, noise=0)
    clear = np.abs(made.images[:, 0] - 0.5) > 1e-4
    assert_array_equal((made.images[:, 0] > 0.5)[clear], (made.parts > 0)[clear])
    assert 0.01 < (made.parts > 0).mean() < 0.3


def test_shapes_of_every_kind():
    """How much of the smallest disc around it a shape fills tells ellipse, rectangle and blob apart on average."""
    rng = np.random.default_rng(0)
    shares = []
    for kind in range(3):
        outline = collage._outlines(50, np.full(50, kind), rng)
        opacity = collage._opacity(outline, np.full((50, 2), 32.0), np.full(50, 24.0), np.ones(50), 64, 64)
        assert opacity.min() == 0
        assert opacity.max() == 1
        far = np.hypot(*(np.mgrid[:64, :64] + 0.5 - 32)) > 26.5
        assert not (opacity[:, far] > 0.5).any()
        shares.append((opacity > 0.5).sum((1, 2)).mean() / (np.pi * 24**2))
    assert shares[0] > shares[1] > 0.4
    assert 0.35 < shares[2] < shares[0]


def test_a_pure_function_of_its_arguments():
    first, again, other = (collages(20, seed=seed) for seed in (11, 11, 12))
    for name in ("images", "parts", "wholes"):
        assert_array_equal(getattr(first, name), getattr(again, name))
    assert (first.images != other.images).any((1, 2, 3)).all()


def test_no_split_sees_the_photographs_of_another(monkeypatch):
    """Photographs that grow brighter from left to right, so that each pixel tells its column."""
    ramp = np.broadcast_to(np.linspace(0, 1, 600, dtype=np.float32)[None, :, None], (300, 600, 3))
    monkeypatch.setattr(material, "_whole_photograph", lambda name: ramp)
    monkeypatch.setattr(collage, "_strip", collage._strip.__wrapped__)  # uncached
    for split, (left, right) in {"train": (0, 1 / 2), "validation": (1 / 2, 2 / 3), "test": (2 / 3, 1)}.items():
        strips = [collage._strip("china", split, side) for side in (96, 160, 256)]
        assert all(left - 0.02 <= strip.min() < strip.max() <= right + 0.02 for strip in strips)
    asked_for = []
    monkeypatch.setattr(collage, "_strip", lambda name, split, side: asked_for.append(split) or np.zeros((3, side, side)))
    collages(5, seed=1, split="validation")
    assert set(asked_for) == {"validation"}


def test_collages_of_two_splits_with_the_same_seed_differ():
    for one, other in itertools.combinations(material.SPLITS, 2):
        assert (collages(9, seed=1, split=one).parts != collages(9, seed=1, split=other).parts).any((1, 2)).all()


def test_hundreds_of_collages_a_second():
    collages(10, seed=0)  # reads the photographs
    best = 0.0
    for _ in range(3):  # a busy machine may slow one try, not all
        start = time.process_time()
        made = collages(300, seed=1)
        clicks(made.parts, 4, seed=1, wholes=made.wholes)
        best = max(best, 300 / (time.process_time() - start))
    assert best > 250, f"{best:.0f} collages a second"


# ------------------------------------------------------------------ clicks


def test_a_click_lies_on_what_it_means(batch, asked):
    assert asked.places.shape == (300, 6, 2)
    assert asked.parts.shape == asked.wholes.shape == (300, 6, 40, 56)
    doubtful = 0
    for i, p in np.ndindex(300, 6):
        row, column = asked.places[i, p]
        assert asked.parts[i, p, row, column]
        assert_array_equal(asked.parts[i, p], batch.parts[i] == batch.parts[i, row, column])
        assert_array_equal(asked.wholes[i, p], batch.wholes[i] == batch.wholes[i, row, column])
        doubtful += (asked.parts[i, p] != asked.wholes[i, p]).any()
    assert doubtful > 300


def test_where_there_is_one_numbering_part_and_whole_are_the_same(batch):
    once = clicks(batch.parts, 2, seed=7)
    assert_array_equal(once.parts, once.wholes)


def test_all_pieces_and_all_their_pixels_are_clicked_on_alike():
    parts = np.zeros((1, 20, 20), np.uint8)
    parts[0, :2, :5], parts[0, 10:, 10:] = 1, 4  # ten pixels and a hundred
    places = clicks(parts, 4000, seed=1, smallest=10).places[0]
    on_first = places[:, 0] < 5
    assert abs(on_first.mean() - 0.5) < 0.04
    seen = np.zeros((20, 20))
    np.add.at(seen, tuple(places.T), 1)
    assert (seen[parts[0] == 1] > 120).all()
    assert (seen[parts[0] == 4] > 4).all()
    assert seen[parts[0] == 0].sum() == 0


def test_small_pieces_are_left_alone_unless_there_is_no_other():
    parts = np.zeros((2, 20, 20), np.uint8)
    parts[0, :3, :3], parts[0, 10:, 10:] = 1, 2
    parts[1, :3, :3], parts[1, 10:12, 10:12] = 1, 2
    places = clicks(parts, 50, seed=1, smallest=60).places
    assert (places[0] >= 10).all()
    assert (places[1] < 3).all()


def test_clicks_are_a_pure_function_too(batch, asked):
    again = clicks(batch.parts, 6, seed=7, wholes=batch.wholes, smallest=30)
    other = clicks(batch.parts, 6, seed=8, wholes=batch.wholes, smallest=30)
    for name in ("places", "parts", "wholes"):
        assert_array_equal(getattr(asked, name), getattr(again, name))
    assert (asked.places != other.places).any((1, 2)).mean() > 0.95


PARTS = np.ones((2, 8, 8), np.uint8)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: collages(0, seed=1), "n must be a whole number of at least 1, got 0"),
        (lambda: collages(3, seed=-1), "seed must be a whole number of at least 0, got -1"),
        (lambda: collages(3, seed=1, split="val"), "split must be one of train, test, validation; got 'val'"),
        (lambda: collages(3, seed=1, size=31), "size must be a whole number of at least 32, got 31"),
        (lambda: collages(3, seed=1, shapes=0), "shapes must be a whole number from 1 to 20, got 0"),
        (lambda: collages(3, seed=1, shapes=(4, 3)), "shapes must be a whole number from 4 to 20, got 3"),
        (lambda: collages(3, seed=1, alike=1.5), "alike must be a number from 0 to 1, got 1.5"),
        (lambda: collages(3, seed=1, badges="all"), "badges must be a number from 0 to 1, got 'all'"),
        (lambda: collages(3, seed=1, noise=-0.1), "noise must be a number of at least 0, got -0.1"),
        (lambda: clicks(PARTS, 0, seed=1), "per_picture must be a whole number of at least 1, got 0"),
        (lambda: clicks(PARTS, 1, seed=0.5), "seed must be a whole number of at least 0, got 0.5"),
        (lambda: clicks(PARTS, 1, seed=1, smallest=0), "smallest must be a whole number of at least 1, got 0"),
        (lambda: clicks(PARTS[0], 1, seed=1), "parts must be (n, H, W) whole numbers, got uint8 of shape (8, 8)"),
        (lambda: clicks(PARTS / 2, 1, seed=1), "parts must be (n, H, W) whole numbers, got float64 of shape (2, 8, 8)"),
        (
            lambda: clicks(PARTS, 1, seed=1, wholes=PARTS[:1]),
            "wholes must be whole numbers of the shape (2, 8, 8) that parts has, got uint8 of shape (1, 8, 8)",
        ),
        (
            lambda: clicks(PARTS * np.array([1, 0])[:, None, None], 1, seed=1),
            "parts must show a piece in every picture; picture 1 is all ground",
        ),
        (lambda: clicks(PARTS * 0, 1, seed=1), "parts must show a piece in every picture; picture 0 is all ground"),
    ],
)
def test_rejections_name_the_argument_and_what_it_takes(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()
