"""Cued search: the truth of the cells, read again from the pixels."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from attn_book.data.search import EMPTY, cued_pairs, cued_search


@pytest.fixture(scope="module")
def search():
    return cued_search(400, seed=9, background="black", noise=0.0)


def test_cued_search_shapes(search):
    assert search.images.shape == (400, 3, 32, 32)
    assert search.images.dtype == np.float32
    assert search.cell_labels.shape == (400, 16)
    assert search.target_masks.shape == (400, 32, 32)
    assert search.cue_colours.shape == (400, 3)


def test_the_answer_stands_in_the_target_and_in_the_cue_cell(search):
    rows = np.arange(400)
    assert_array_equal(search.cell_labels[rows, search.target_cell], search.answers)
    assert_array_equal(search.cell_labels[rows, search.cue_cell], search.answers)
    assert (search.cue_cell != search.target_cell).all()
    assert_array_equal((search.cell_labels == EMPTY).sum(1), 9)  # 16 cells, 6 digits, 1 cue


def test_the_target_is_the_one_digit_in_the_colour_of_the_cue(search):
    """Re-derived from the pixels alone: the brightest pixel of each cell tells its colour."""
    cells = search.images.reshape(400, 3, 4, 8, 4, 8).transpose(0, 2, 4, 3, 5, 1).reshape(400, 16, 64, 3)
    brightest = np.take_along_axis(cells, cells.sum(-1).argmax(-1)[..., None, None], 2)[:, :, 0]  # (400, 16, 3)
    hue = brightest / np.maximum(np.linalg.norm(brightest, axis=-1, keepdims=True), 1e-6)
    cue = search.cue_colours / np.linalg.norm(search.cue_colours, axis=-1, keepdims=True)
    likeness = np.einsum("nkc,nc->nk", hue, cue)
    digits = (search.cell_labels != EMPTY) & (np.arange(16) != search.cue_cell[:, None])
    best = np.where(digits, likeness, -1).argmax(1)
    assert (best == search.target_cell).mean() > 0.99


def test_the_cue_is_a_plain_square_in_its_cell(search):
    for image, cell, colour in zip(search.images, search.cue_cell, search.cue_colours, strict=True):
        y, x = 8 * (cell // 4), 8 * (cell % 4)
        assert_array_equal(image[:, y + 2 : y + 6, x + 2 : x + 6], np.broadcast_to(colour[:, None, None], (3, 4, 4)))


def test_the_target_mask_is_where_the_target_is(search):
    for mask, cell in zip(search.target_masks, search.target_cell, strict=True):
        rows, columns = np.nonzero(mask)
        assert 8 * (cell // 4) <= rows.mean() < 8 * (cell // 4 + 1)
        assert 8 * (cell % 4) <= columns.mean() < 8 * (cell % 4 + 1)


def test_cells_colours_and_answers_are_drawn_evenly():
    batch = cued_search(8000, seed=4)
    for cell in (batch.cue_cell, batch.target_cell):
        assert_allclose(np.bincount(cell, minlength=16) / 8000, 1 / 16, atol=0.012)
    assert_allclose(np.bincount(batch.answers, minlength=10) / 8000, 0.1, atol=0.03)


def test_cued_search_is_a_pure_function_of_its_arguments():
    first, again = cued_search(30, seed=6, background="photo"), cued_search(30, seed=6, background="photo")
    for name in first.__dataclass_fields__:
        assert_array_equal(getattr(first, name), getattr(again, name))
    assert (first.images != cued_search(30, seed=7, background="photo").images).any((1, 2, 3)).all()
    assert (first.images != cued_search(30, seed=6, background="photo", split="test").images).any((1, 2, 3)).all()


def cells_of(images):
    """(n, 16, 3, 8, 8)"""
    return images.reshape(-1, 3, 4, 8, 4, 8).transpose(0, 2, 4, 1, 3, 5).reshape(-1, 16, 3, 8, 8)


@pytest.mark.parametrize("change", ["cue", "digit", "other"])
def test_twins_differ_in_one_thing(change):
    first, twins = cued_pairs(200, seed=9, change=change)
    assert_array_equal(first.images, cued_search(200, seed=9, split="test").images)
    rows = np.arange(200)
    for name in ("cue_cell", "target_cell") if change != "cue" else ("cue_cell",):
        assert_array_equal(getattr(twins, name), getattr(first, name))
    others = first.cell_labels.copy(), twins.cell_labels.copy()
    for labels in others:
        labels[rows, first.cue_cell] = EMPTY
    relabelled = others[0] != others[1]
    if change == "other":
        assert_array_equal(twins.answers, first.answers)
        assert not relabelled[rows, first.target_cell].any() and not relabelled[rows, first.cue_cell].any()
    else:
        assert (twins.answers != first.answers).all()
    differs = np.abs(cells_of(first.images) - cells_of(twins.images)).max((2, 3, 4))  # (200, 16)
    if change == "cue":
        assert not relabelled.any()
        allowed = np.arange(16) == first.cue_cell[:, None]
        assert (twins.target_cell != first.target_cell).all() and (differs[allowed] > 0.1).all()
        assert (differs[~allowed] == 0).all()
    else:
        assert_array_equal(relabelled.sum(1), 1)
        changed = np.nonzero(relabelled)[1]
        assert (changed == first.target_cell).all() if change == "digit" else (changed != first.target_cell).all()
        assert (differs[rows, changed] > 0.1).all()
        y, x = np.divmod(np.arange(16), 4)
        near = np.maximum(np.abs(y - y[changed][:, None]), np.abs(x - x[changed][:, None])) <= 1
        assert (differs[~near] == 0).all()  # ink may reach a pixel or so into the next cell
        assert (differs[near & (np.arange(16) != changed[:, None])] > 0.1).mean() < 0.2


def test_twins_that_differ_in_all_but_the_ground():
    first, twins = cued_pairs(200, seed=9, change="all")
    rows = np.arange(200)
    assert_array_equal(first.images, cued_search(200, seed=9, split="test").images)
    assert_array_equal(twins.cue_cell, first.cue_cell)
    empty = first.cell_labels == EMPTY
    assert_array_equal(empty, twins.cell_labels == EMPTY)
    relabelled = first.cell_labels != twins.cell_labels
    relabelled[rows, first.cue_cell] = True  # there stands the answer, which may be the same by chance
    assert_array_equal(relabelled, ~empty)
    assert (first.cue_colours != twins.cue_colours).any(1).all()


def test_pairs_are_refused():
    with pytest.raises(ValueError, match="change must be one of cue, digit, other, all; got 'both'"):
        cued_pairs(2, seed=0, change="both")
    with pytest.raises(ValueError, match="digits must be a whole number of at least 2, got 1"):
        cued_pairs(2, seed=0, digits=1)
    with pytest.raises(ValueError, match="seed=0 gives a picture in which all digits are the same"):
        cued_pairs(500, seed=0, digits=2)
