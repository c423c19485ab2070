"""The figures of chapter 11: every picture in its place, every number where it should be."""

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest

from attn_book.data.captions import held_out
from attn_book.data.drawing import COLOURS
from attn_book.figures import ch11

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def test_strips_have_a_row_for_each_way_and_a_column_for_each_scene():
    rows = {"drawn": np.full((3, 3, 28, 28), 0.5), "scans": np.zeros((3, 3, 28, 28))}
    fig = ch11.strips(rows, titles=["a", "b", "c"])
    assert len(fig.axes) == 6
    assert [ax.get_title("left") for ax in fig.axes] == ["drawn", "", "", "scans", "", ""]
    assert [ax.get_xlabel() for ax in fig.axes[3:]] == ["a", "b", "c"]
    np.testing.assert_allclose(fig.axes[1].images[0].get_array(), 0.5)
    with pytest.raises(ValueError, match="rows must be of one length, got 3, 2 pictures"):
        ch11.strips({"drawn": rows["drawn"], "scans": rows["scans"][:2]})


def test_pairs_that_are_held_out_are_empty_and_named():
    out = held_out(4, 1)
    ax = ch11.pairs_seen(out, COLOURS).axes[0]
    assert len(ax.patches) == 40
    assert sum(patch.get_facecolor()[3] == 0 for patch in ax.patches) == 8
    noted = {(int(text.get_position()[1]), int(text.get_position()[0])): text.get_text() for text in ax.texts}
    kept = {part: {(r, d) for (r, d), letter in noted.items() if letter == part[0]} for part in out}
    assert kept == {part: set(map(tuple, np.argwhere(pairs).tolist())) for part, pairs in out.items()}
    assert [label.get_text() for label in ax.get_yticklabels()] == list(COLOURS)[:4]


def test_seen_and_new_lie_on_one_line_with_their_intervals():
    fig = ch11.seen_and_new(
        ["plain", "product"], [(0.9, 0.01), (0.95, None)], [(0.6, 0.05), (0.9, 0.02)], xlabel="x", reference=0.92
    )
    ax = fig.axes[0]
    dots = [container[0].get_xdata().tolist() for container in ax.containers]
    assert dots == [[0.9, 0.95], [0.6, 0.9]]
    bars = ax.containers[1][2][0].get_segments()
    np.testing.assert_allclose([bar[:, 0].tolist() for bar in bars], [[0.55, 0.65], [0.88, 0.92]])
    assert [label.get_text() for label in ax.get_yticklabels()] == ["plain", "product"]
    assert {text.get_text() for text in ax.get_legend().get_texts()} == {"pairs seen in training", "new pairs", "real scenes"}


def test_maps_of_words_share_one_scale():
    maps = np.stack([np.full((4, 4), 0.1), np.full((4, 4), 0.6)])
    fig = ch11.word_maps(np.zeros((3, 28, 28)), maps, ["red", "3"])
    assert [ax.get_title() for ax in fig.axes[:3]] == ["scene", "red: max 0.10", "3: max 0.60"]
    assert {ax.images[0].get_clim() for ax in fig.axes[1:3]} == {(0, 0.6)}


def test_a_frame_stands_around_what_was_filled_in():
    fig = ch11.before_and_after({"a": np.zeros((20, 20, 3)), "b": np.full((20, 20, 3), 2.0)}, box=(4, 6, 8, 5))
    frame = fig.axes[0].patches[0]
    assert (frame.get_x(), frame.get_y(), frame.get_width(), frame.get_height()) == (5.5, 3.5, 5, 8)
    assert fig.axes[1].images[0].get_array().max() == 1
