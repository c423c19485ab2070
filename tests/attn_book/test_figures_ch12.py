"""The figures of chapter 12 draw the numbers that they are given."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex

from attn_book.figures import ch12
from attn_book.figures.common import QUERY


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def outlines(ax):
    """{(column, row): colour} of the outlined cells."""
    return {tuple(patch.get_xy()): to_hex(patch.get_edgecolor()) for patch in ax.patches}


def test_outlined_cells_stand_where_they_should():
    fig = ch12.outlined(np.zeros((2, 3, 32, 32)), [None, 6], [[1, 15], [4]], ["a", "b"])
    assert outlines(fig.axes[0]) == {(1, 0): "#ffffff", (3, 3): "#ffffff"}
    assert outlines(fig.axes[1]) == {(0, 1): "#ffffff", (2, 1): to_hex(QUERY)}
    assert [ax.get_title() for ax in fig.axes] == ["a", "b"]


def test_a_map_is_drawn_from_0_to_its_largest_without_the_cell_that_asks():
    values = np.arange(16.0) - 4
    fig = ch12.maps_of_one(np.zeros((32, 32, 3)), {"one": values}, 15, [3])
    shown = fig.axes[1].images[-1]
    assert shown.get_clim() == (0, 10)
    assert shown.get_array().mask.sum() == 1 and shown.get_array().mask[3, 3]
    assert shown.get_array()[0, 0] == 0 and shown.get_array()[3, 2] == 10
    assert values[15] == 11  # what was given is left as it is


def test_shares_are_stacked_and_negative_ones_are_none():
    ax = ch12.travelling([[0.25, 0.75], [1.0, -0.5]], ["cue", "rest"], ["stem", "layer 1"]).axes[0]
    assert [bar.get_height() for bar in ax.patches] == [0.25, 1.0, 0.75, 0.0]
    assert [bar.get_y() for bar in ax.patches] == [0, 0, 0.25, 1.0]


def test_points_of_groups():
    ax = ch12.against({"a": [1, 2], "b": [3]}, {"a": [4, 5], "b": [6]}, ["a", "b"], xlabel="x", ylabel="y").axes[0]
    assert [line.get_xydata().tolist() for line in ax.lines] == [[[1, 4], [2, 5]], [[3, 6]]]


def test_agreement_shows_each_number():
    ax = ch12.agreement([[1.0, -0.25], [-0.25, 1.0]], ["a", "b"]).axes[0]
    assert [text.get_text() for text in ax.texts] == ["1.0", "-.2", "-.2", "1.0"]


def test_a_line_for_each_over_named_steps():
    series = {"a": [1.0, 0.5, 0.0], "b": [1.0, 1.0, 0.2]}
    ax = ch12.over_steps(series, ["nothing", "read-out", "block 3"], xlabel="x", ylabel="y").axes[0]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["nothing", "read-out", "block 3"]
    assert [line.get_ydata().tolist() for line in ax.lines] == list(series.values())
