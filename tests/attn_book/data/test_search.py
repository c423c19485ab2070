"""Cued search: the truth of the cells, read again from the pixels."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from attn_book.data.search import EMPTY, cued_search


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
