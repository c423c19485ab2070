"""Scenes: exact truth, a pure function of the arguments, fast, and strict about them."""

import itertools
import time

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from attn_book.data import drawing, material
from attn_book.data.drawing import COLOURS
from attn_book.data.scenes import scenes
from attn_book.data.search import cued_search

FIELDS = ["images", "labels", "boxes", "masks", "colours"]


@pytest.fixture(scope="module")
def batch():
    return scenes(300, seed=5, size=(37, 53), digits=(1, 4), digit_size=(9, 13), max_overlap=0.3)


def test_shapes_types_and_ranges(batch):
    assert batch.images.shape == (300, 3, 37, 53)
    assert batch.images.dtype == np.float32
    assert batch.images.min() >= 0
    assert batch.images.max() <= 1
    assert batch.labels.shape == batch.colours.shape == (300, 4)
    assert batch.boxes.shape == (300, 4, 4)
    assert batch.masks.shape == (300, 4, 37, 53)
    assert batch.masks.dtype == bool
    assert len(batch.captions) == 300


def test_the_number_of_digits_covers_the_range(batch):
    count = (batch.labels >= 0).sum(1)
    assert set(count) == {1, 2, 3, 4}
    assert_array_equal(batch.colours >= 0, batch.labels >= 0)
    # present digits come first
    assert_array_equal(batch.labels >= 0, np.arange(4) < count[:, None])


def test_the_colours_of_a_scene_differ(batch):
    for colours in batch.colours:
        present = colours[colours >= 0]
        assert len(set(present)) == len(present)


def test_boxes_lie_in_the_picture_and_overlap_no_more_than_allowed(batch):
    for boxes, labels in zip(batch.boxes, batch.labels, strict=True):
        boxes = boxes[labels >= 0]
        assert (boxes[:, :2] >= 0).all()
        assert (boxes[:, 2:] <= (53, 37)).all()
        assert (boxes[:, 2:] > boxes[:, :2]).all()
        for a, b in itertools.combinations(boxes, 2):
            shared = np.prod(np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None))
            assert shared <= 0.3 * min(np.prod(a[2:] - a[:2]), np.prod(b[2:] - b[:2])) + 1e-9


def test_without_overlap_every_box_is_tight_around_its_mask():
    batch = scenes(100, seed=3, size=41, digits=(2, 3), max_overlap=0)
    for boxes, masks, labels in zip(batch.boxes, batch.masks, batch.labels, strict=True):
        for box, mask in zip(boxes[labels >= 0], masks[labels >= 0], strict=True):
            rows, columns = np.nonzero(mask)
            assert_array_equal(box, [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])


def test_masks_never_share_a_pixel_and_stay_in_their_box(batch):
    assert batch.masks.sum(1).max() == 1
    for boxes, masks in zip(batch.boxes, batch.masks, strict=True):
        for (x0, y0, x1, y1), mask in zip(boxes.astype(int), masks, strict=True):
            assert mask.sum() == mask[y0:y1, x0:x1].sum()


def test_the_picture_shows_what_the_truth_says():
    """On black, with one digit, a pixel is in the mask exactly where it is nearer to the digit's colour than to black."""
    batch = scenes(50, seed=2, digits=1, background="black")
    palette = np.array(list(COLOURS.values()))
    for image, masks, colours in zip(batch.images, batch.masks, batch.colours, strict=True):
        colour = palette[colours[0]][:, None, None]
        nearer = np.linalg.norm(image, axis=0) - np.linalg.norm(image - colour, axis=0)
        clear = np.abs(nearer) > 1e-5  # scans hold sixteenths: where two neighbours are 8/16, rounding decides
        assert_array_equal(nearer[clear] > 0, masks[0][clear])
        assert (~clear).sum() < 10


def test_captions_say_what_the_boxes_say(batch):
    names = list(COLOURS)
    for caption, labels, boxes, colours in zip(batch.captions, batch.labels, batch.boxes, batch.colours, strict=True):
        parts = caption.split(",")
        count = (labels >= 0).sum()
        assert len(parts) == max(count - 1, 1)
        assert caption.startswith(f"a {names[colours[0]]} {labels[0]}")
        for k in range(1, count):
            assert parts[k - 1].endswith(f"a {names[colours[k]]} {labels[k]}")
            before, after = ((b[:2] + b[2:]) / 2 for b in (boxes[k - 1], boxes[k]))
            across = abs(after[0] - before[0]) > abs(after[1] - before[1])
            said = [word for word in ("left of", "right of", "above", "below") if word in parts[k - 1]]
            if across:
                assert said == ["left of" if before[0] < after[0] else "right of"]
            else:
                assert said == ["above" if before[1] < after[1] else "below"]


def test_scenes_without_a_digit():
    some = scenes(60, seed=4, digits=(0, 2), size=(29, 31))
    empty = (some.labels < 0).all(1)
    assert 5 < empty.sum() < 40
    assert {some.captions[i] for i in np.flatnonzero(empty)} == {"nothing"}
    assert not some.masks[empty].any() and not some.boxes[empty].any()
    assert (some.colours[empty] == -1).all()
    for make in (
        lambda: scenes(3, seed=1, digits=0),
        lambda: scenes(1, seed=int(np.flatnonzero(_first_is_empty())[0]), digits=(0, 1)),
    ):
        none = make()
        assert (none.labels < 0).all() and set(none.captions) == {"nothing"}
        assert (none.images.std((2, 3)) > 0).all()  # the photograph is there
    assert scenes(3, seed=1, digits=0).boxes.shape == (3, 0, 4)


def _first_is_empty():
    """Of the first seeds, those whose one scene has no digit."""
    return [scenes(1, seed=seed, digits=(0, 1)).labels[0, 0] < 0 for seed in range(20)]


@pytest.mark.parametrize("background", drawing.BACKGROUNDS)
def test_a_pure_function_of_its_arguments(background):
    first = scenes(20, seed=11, background=background)
    again, other = scenes(20, seed=11, background=background), scenes(20, seed=12, background=background)
    for name in FIELDS:
        assert_array_equal(getattr(first, name), getattr(again, name))
    assert first.captions == again.captions
    assert (first.images != other.images).any((1, 2, 3)).all()


@pytest.mark.parametrize("make", [scenes, cued_search])
def test_scenes_of_two_splits_with_the_same_seed_differ(make):
    for one, other in itertools.combinations(material.SPLITS, 2):
        assert (make(20, seed=1, split=one).images != make(20, seed=1, split=other).images).any((1, 2, 3)).all()


def test_backgrounds():
    black = scenes(20, seed=0, digits=1, background="black")
    assert black.images[:, :, 0, 0].max() == 0
    tint = scenes(20, seed=0, digits=1, background="tint")
    corners = tint.images[:, :, [0, 0, -1, -1], [0, -1, 0, -1]]
    assert (np.ptp(corners, axis=2).max(1) == 0).mean() > 0.5  # a plain colour wherever no digit reaches the corner
    photo = scenes(20, seed=0, digits=1, background="photo")
    assert (photo.images.std((2, 3)) > 0).all()


@pytest.mark.parametrize("make", [scenes, cued_search])
def test_thousands_of_scenes_a_second(make):
    make(10, seed=0)  # reads the scans and photographs
    best = 0.0
    for _ in range(3):  # a busy machine may slow one try, not all
        start = time.process_time()
        make(2000, seed=1, size=32)
        best = max(best, 2000 / (time.process_time() - start))
    assert best > 2000, f"{best:.0f} scenes a second"
