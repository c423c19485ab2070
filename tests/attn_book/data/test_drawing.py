"""Drawing against its definition, pixel by pixel; colours that everyone can tell apart."""

import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from skimage.color import deltaE_ciede2000, rgb2lab

from attn_book.data import drawing, material
from attn_book.data.drawing import COLOURS
from attn_book.data.material import digit_scans


def test_colours_stay_apart_for_the_colour_blind():
    """CIEDE2000 distance of every pair, as seen normally and with simulated protanopia and deuteranopia (Machado et al. 2009)."""
    seen = {
        "normal": np.eye(3),
        "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
        "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    }
    rgb = np.array(list(COLOURS.values()))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    for vision, matrix in seen.items():
        light = np.clip(linear @ np.transpose(matrix), 0, 1)
        lab = rgb2lab(np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)[None])[0]
        for a, b in itertools.combinations(range(len(rgb)), 2):
            distance = deltaE_ciede2000(lab[a], lab[b])
            assert distance > 15, f"{list(COLOURS)[a]} and {list(COLOURS)[b]} with {vision}: {distance:.1f}"


def draw_slowly(scan, side, angle, shift, S):
    """One digit, pixel by pixel, from the definition: turn, scale, bilinear interpolation between the centres of 8×8 pixels."""
    ink = np.zeros((S, S))
    for i, j in itertools.product(range(S), repeat=2):
        x, y = j + 0.5 - S / 2 - shift[0], i + 0.5 - S / 2 - shift[1]
        u = (np.cos(angle) * x + np.sin(angle) * y) * 8 / side + 3.5
        v = (np.cos(angle) * y - np.sin(angle) * x) * 8 / side + 3.5
        for row, column in itertools.product(range(8), repeat=2):
            ink[i, j] += scan[row, column] * max(0, 1 - abs(u - column)) * max(0, 1 - abs(v - row))
    return ink


@pytest.mark.parametrize("case", range(4))
def test_drawing_equals_the_definition_pixel_by_pixel(case):
    rng = np.random.default_rng(case)
    scan = digit_scans("test")[0][[case]]
    side, angle, shift = rng.uniform(7, 15, 1), rng.uniform(-0.5, 0.5, 1), rng.uniform(-0.5, 0.5, (1, 2))
    fast = drawing.rotate_and_scale(scan, side, angle, shift)[0]
    assert_allclose(fast, draw_slowly(scan[0], side[0], angle[0], shift[0], len(fast)), atol=2e-6)


def test_a_scan_of_8_px_that_is_not_turned_is_copied_exactly():
    """The case that can be solved by hand: no turn, no enlargement, no shift."""
    scans = digit_scans("train")[0][:5]
    ink = drawing.rotate_and_scale(scans, np.full(5, 8.0), np.zeros(5), np.zeros((5, 2)))
    margin = (ink.shape[1] - 8) // 2
    assert_allclose(ink[:, margin:-margin, margin:-margin], scans, atol=1e-6)
    assert_allclose(ink.sum(), scans.sum(), rtol=1e-6)


def test_every_scan_can_be_drawn_at_the_smallest_size():
    for split in material.SPLITS:
        scans = digit_scans(split)[0]
        m = len(scans)
        ink = drawing.rotate_and_scale(scans, np.full(m, 6.0), np.full(m, 0.3), np.full((m, 2), 0.5))
        assert (ink > 0.5).any((1, 2)).all()


def test_pasting_cuts_off_what_falls_outside():
    window = np.arange(1.0, 10.0).reshape(1, 3, 3)
    assert_array_equal(drawing.paste(window, np.array([[-1, -2]]), 2, 4)[0], [[8, 9, 0, 0], [0, 0, 0, 0]])
    assert_array_equal(drawing.paste(window, np.array([[3, 1]]), 2, 4)[0], [[0, 0, 0, 0], [0, 0, 0, 1]])


def test_backgrounds_show_the_strip_of_their_split_alone(monkeypatch):
    """Photographs that grow brighter from left to right, so that each pixel tells its column."""
    ramp = np.broadcast_to(np.linspace(0, 1, 600, dtype=np.float32)[None, :, None], (300, 600, 3))
    monkeypatch.setattr(material, "_whole_photograph", lambda name: ramp)
    monkeypatch.setattr(drawing, "_darkened_strip", drawing._darkened_strip.__wrapped__)  # uncached
    for split, (left, right) in {"train": (0, 1 / 2), "validation": (1 / 2, 2 / 3), "test": (2 / 3, 1)}.items():
        seen = drawing.backgrounds(40, 32, 32, "photo", split, np.random.default_rng(0)) / 0.6
        assert left - 0.01 <= seen.min() < seen.max() <= right + 0.01
        assert np.ptp(seen) > 0.8 * (right - left)


def test_rows_without_repetition():
    drawn = drawing.without_repetition(2000, 3, 5, np.random.default_rng(0))
    assert drawn.shape == (2000, 3)
    assert all(len(set(row)) == 3 for row in drawn.tolist())
    for column in drawn.T:
        assert_allclose(np.bincount(column, minlength=5) / 2000, 1 / 5, atol=0.04)


def test_blending_by_hand():
    image = np.array([0.2, 0.4, 0.6], np.float32).reshape(1, 3, 1, 1) * np.ones((1, 1, 1, 3), np.float32)
    drawing.blend(image, np.array([0, 0.5, 1], np.float32).reshape(1, 1, 3), np.array([[1.0, 0.0, 0.6]], np.float32))
    assert_allclose(image[0, :, 0], [[0.2, 0.6, 1.0], [0.4, 0.2, 0.0], [0.6, 0.6, 0.6]], atol=1e-6)


def test_boxes_that_cannot_be_placed_are_not_tried_for_ever():
    extents, present = np.full((1, 2, 2), 8), np.ones((1, 2), bool)
    with pytest.raises(ValueError, match="2 digits in 8×8 px with max_overlap=0 did not"):
        drawing.random_corners(extents, present, 8, 8, 0, np.random.default_rng(0))
    alone = drawing.random_corners(extents, np.array([[True, False]]), 8, 8, 0, np.random.default_rng(0))
    assert_array_equal(alone, np.zeros((1, 2, 2)))  # one that is not there is in nobody's way
