"""The figures of chapter 17: what arrives nowhere is grey, who leads has a colour, bars are as long as their numbers."""

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex

from attn_book.figures import ch17
from attn_book.figures.style import INK, PALETTE

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def test_fields_are_shares_of_their_largest_and_grey_where_nothing_arrives():
    fig = ch17.fields([[[0.0, 2.0], [20.0, 1e-9]], np.ones((2, 2))], ["a", "b"], centre=(0.5, 1))
    first, second, *_ = fig.axes
    shown = np.ma.filled(first.images[0].get_array(), np.nan)
    np.testing.assert_allclose(shown, [[np.nan, 0.1], [1, 1e-4]])
    np.testing.assert_array_equal(second.images[0].get_array(), np.ones((2, 2)))
    assert first.lines[0].get_xydata().tolist() == [[1, 0.5]]
    assert [ax.get_title() for ax in (first, second)] == ["a", "b"]


def test_who_leads_has_a_colour():
    fig = ch17.leads(["ours", "theirs", "nobody's"], [[0.2, 0.1, 0.3], [-0.2, -0.3, -0.1], [0.1, -0.1, 0.3]])
    dots = [container.lines[0] for container in fig.axes[0].containers]
    assert [to_hex(dot.get_color()) for dot in dots] == [to_hex(colour) for colour in (PALETTE[0], PALETTE[5], INK)]
    assert [dot.get_xydata()[0].tolist() for dot in dots] == [[0.2, 0], [-0.2, 1], [0.1, 2]]
    assert fig.axes[0].yaxis_inverted()


def test_a_task_has_its_picture_and_two_bars():
    fig = ch17.tasks(
        np.zeros((2, 3, 4, 4)), ["one", "two"], ["a asks b", "c asks d"], [[0.9, 0.3], [0.5, 0.6]], np.full((2, 2), 0.1)
    )
    left, right, _, below = fig.axes
    assert left.images[0].get_array().shape == (4, 4, 3)
    assert right.get_title() == "one: a asks b"
    assert [bar.get_width() for bar in right.patches] == [0.9, 0.3]
    assert [bar.get_width() for bar in below.patches] == [0.5, 0.6]


def test_shifts_begin_at_one_pixel_and_shares_at_nothing():
    ax = ch17.over_shifts({"ours": [0.1, 0.2, 0.3], "theirs": [0.2, 0.2, 0.2]}).axes[0]
    assert ax.lines[0].get_xydata().tolist() == [[1, 0.1], [2, 0.2], [3, 0.3]]
    assert ax.get_ylim()[0] == 0
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["ours", "theirs"]


def test_distances_double_beside_the_level_of_guessing():
    ax = ch17.over_distances({"ours": [0.9, 0.8]}, [1, 2], floor=0.3, floor_label="a guess").axes[0]
    assert ax.get_xscale() == "log" and ax.get_ylim() == (0, 1)
    assert ax.lines[0].get_xydata().tolist() == [[1, 0.9], [2, 0.8]]
    assert set(ax.lines[1].get_ydata()) == {0.3}
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["ours", "a guess"]


def test_on_the_way_every_moment_is_a_tick_and_nothing_is_under_the_legend():
    ax = ch17.on_the_way({"ours": [0.7, 0.9], "theirs": [0.2, 0.8]}, [600, 1200]).axes[0]
    assert ax.lines[1].get_xydata().tolist() == [[600, 0.2], [1200, 0.8]]
    assert ax.get_ylim() == (0, 1) and {600, 1200} <= set(ax.get_xticks())
    ax.figure.canvas.draw()
    assert ax.get_legend().get_window_extent().y0 >= ax.get_window_extent().y1
