"""The figures of chapter 14: a line where groups part, every way a dot, what nothing beats on a line."""

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest

from attn_book.figures import ch14

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def lines(ax):
    return sorted(
        (line.get_xdata().tolist() if hasattr(line.get_xdata(), "tolist") else list(line.get_xdata()), list(line.get_ydata()))
        for line in ax.lines
    )


def test_lines_stand_between_groups_and_nowhere_else():
    groups = np.array([[0, 0, 1], [0, 0, 1], [2, 2, 1]])
    ax = ch14.grouped([np.zeros((6, 6))], groups[None], ["three"]).axes[0]
    assert [[int(v) for v in x] + [int(v) for v in y] for x, y in lines(ax)] == [[0, 2, 2, 2], [2, 2, 0, 3]]
    assert ax.get_title() == "three"


def test_what_was_dropped_is_grey():
    ax = ch14.grouped([np.zeros((4, 4))], [[[0, -1], [1, 2]]], ["a"]).axes[0]
    shown = np.ma.filled(ax.images[1].get_array(), np.nan)
    np.testing.assert_array_equal(np.isnan(shown), [[True, False], [True, True]])


def test_ink_is_black_on_paper():
    ax = ch14.grouped([np.eye(4)], np.zeros((1, 2, 2), dtype=int), ["a"]).axes[0]
    np.testing.assert_array_equal(ax.images[0].get_array(), 1 - np.eye(4))


def test_every_way_is_a_dot_beside_the_mean_and_the_rule():
    ax = ch14.subsets(
        [0, 1, 1, 2],
        [[0.9, 0.8], [0.7, 0.7], [0.5, 0.5], [0.1, 0.1]],
        [[0.9, 0.8], [0.7, 0.7], [0.1, 0.1]],
        xlabel="gone",
        ylabel="right",
    ).axes[0]
    dots, mean, rule = ax.lines
    assert len(dots.get_xdata()) == 8 and np.abs(dots.get_xdata() - np.repeat([0, 1, 1, 2], 2)).max() < 0.2
    np.testing.assert_allclose(mean.get_ydata(), [0.85, 0.6, 0.1])
    np.testing.assert_allclose(rule.get_xydata(), [[0, 0.85], [1, 0.7], [2, 0.1]])


def test_fewer_tokens_go_to_the_right():
    fig = ch14.left(
        {"merged": ([196, 100, 50], [0.9, 0.9, 0.8], [0.01, 0.01, 0.02])},
        xlabel="tokens",
        ylabel="right",
        reference=0.91,
        reference_label="whole",
    )
    ax = fig.axes[0]
    assert ax.xaxis_inverted() and len(ax.lines) == 2 and len(ax.collections) == 1
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["merged", "whole"]


def test_a_frontier_has_a_mark_for_each_and_a_line_for_the_best():
    families = {f"family {i}": ([1.0 + i], [0.8], [0.01]) for i in range(8)}
    ax = ch14.frontier(families, xlabel="ms", ylabel="right", best=[(1.0, 0.8), (3.0, 0.9)]).axes[0]
    assert {1.0, 2.0, 5.0} <= set(ax.get_xticks())
    assert ax.get_xscale() == "log" and len(ax.containers) == 8
    np.testing.assert_allclose(ax.lines[0].get_xydata(), [[1.0, 0.8], [3.0, 0.9]])


def test_the_diagonal_is_where_paper_and_clock_agree():
    ax = ch14.counted_and_measured({"merged": ([0.5, 0.3], [0.9, 1.3])}).axes[0]
    assert ax.get_xlim() == ax.get_ylim() and ax.get_xlim()[1] == pytest.approx(1.43)
    np.testing.assert_allclose(ax.lines[1].get_xydata(), [[0.5, 0.9], [0.3, 1.3]])
