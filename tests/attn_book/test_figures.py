"""The figures: right pictures in, a figure out; wrong shapes are told so."""

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from attn_book.figures import ch02, ch06, ch07, common

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((5, 7), (5, 7)),
        ((3, 5, 7), (5, 7, 3)),
        ((5, 7, 3), (5, 7, 3)),
        ((1, 5, 7), (5, 7)),
        ((5, 7, 1), (5, 7)),
        ((3, 7, 3), (3, 7, 3)),
    ],
)
def test_as_picture_takes_every_layout(shape, expected):
    values = np.linspace(0, 1, np.prod(shape)).reshape(shape)
    assert common.as_picture(values).shape == expected
    assert common.as_picture(torch.tensor(values, requires_grad=True)).shape == expected


def test_as_picture_moves_channels_and_not_pixels():
    image = np.random.default_rng(0).random((3, 5, 7))
    np.testing.assert_array_equal(common.as_picture(image)[2, 4], image[:, 2, 4])


@pytest.mark.parametrize("shape", [(5,), (2, 5, 7), (1, 3, 5, 7)])
def test_as_picture_rejects_what_is_no_picture(shape):
    with pytest.raises(ValueError, match=r"image must be \(H, W\)"):
        common.as_picture(np.zeros(shape))


def test_number_grids_write_every_number():
    fig = common.number_grids([np.arange(6).reshape(2, 3), [[7.25]]], ["a", "b"], fmt=["{:g}", "{:.2f}"])
    written = [text.get_text() for ax in fig.axes for text in ax.texts]
    assert written == ["0", "1", "2", "3", "4", "5", "7.25"]


def test_responses_mark_each_query_on_the_right_cell():
    fig = common.responses(np.zeros((40, 60)), np.zeros((2, 4, 6)), [(0, 0), (3, 5)])
    assert len(fig.axes) == 3
    assert [ax.lines[0].get_xydata().tolist() for ax in fig.axes[1:]] == [[[5.0, 5.0]], [[55.0, 35.0]]]


def test_curves_draw_series_and_bands():
    x = np.arange(3)
    fig = common.curves({"a": x, "b": (x, x, x - 1, x + 1)}, xlabel="x", ylabel="y", markers=True)
    ax = fig.axes[0]
    assert len(ax.lines) == 2 and len(ax.collections) == 1 and ax.get_legend() is not None


def test_bars_put_the_first_on_top():
    fig = common.bars(["first", "second"], [0.2, 0.4], errors=[0.1, 0.1], xlabel="share", reference=0.3, reference_label="chance")
    ax = fig.axes[0]
    assert ax.yaxis_inverted() and [patch.get_width() for patch in ax.patches] == [0.2, 0.4]


def test_pictures_return_a_figure():
    assert len(common.pictures([np.zeros((4, 4)), np.zeros((3, 4, 4))], ["a", "b"], columns=1).axes) == 2


def test_query_maps_leave_out_what_may_not_be_asked():
    fig = common.query_maps(np.zeros((6, 8)), [[[np.nan, 2.0], [1.0, 0.0]]], (1, 0), ["a"], columns=2)
    shown = fig.axes[1].images[0]
    assert shown.get_clim() == (0, 2)
    assert np.ma.getmaskarray(shown.get_array()).tolist() == [[True, False], [False, False]]


def test_channel_gates_draw_a_panel_for_the_averages_and_one_for_each_gate():
    fig = ch06.channel_gates(["a", "b"], ["red", "blue"], [0.1, 0.3], {"SE": [0.2, 0.9]})
    assert [[bar.get_width() for bar in ax.patches] for ax in fig.axes] == [[0.1, 0.3], [0.2, 0.9]]


def test_point_paths_mark_where_points_begin_and_end():
    paths = np.array([[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]]])
    ax = ch06.point_paths(np.zeros((9, 9)), paths, (0.0, 0.0)).axes[0]
    begin, end, reference = ax.lines[-3:]
    assert begin.get_xydata().tolist() == paths[0].tolist()
    assert end.get_xydata().tolist() == paths[1].tolist()
    assert reference.get_xydata().tolist() == [[0.0, 0.0]]


def test_growth_lines_are_logarithmic():
    ax = ch06.growth_lines(["1", "4"], [1, 4], {"a": [1, 2], "b": [1, 8]}, xlabel="x", ylabel="y").axes[0]
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log") and len(ax.lines) == 2


def test_points_lie_at_row_and_column():
    ax = ch02.points(np.zeros((9, 9, 3)), {"one": (2.0, 5.0), "many": [(1.0, 3.0), (4.0, 7.0)]}).axes[0]
    assert [line.get_xydata().tolist() for line in ax.lines] == [[[5.0, 2.0]], [[3.0, 1.0], [7.0, 4.0]]]


def test_labelled_weights_name_rows_and_columns():
    ax = ch02.labelled_weights([[0.25, 0.75]], ["row"], ["left", "right"]).axes[0]
    assert [text.get_text() for text in ax.texts] == ["0.25", "0.75"]
    assert [text.get_text() for text in ax.get_xticklabels()] == ["left", "right"]


def test_boxed_draws_every_box_at_its_place():
    ax = ch02.boxed([np.zeros((9, 9))], [[(1, 2, 4, 8)]], [["red"]]).axes[0]
    assert {patch.get_bbox().bounds for patch in ax.patches} == {(0.5, 1.5, 3.0, 6.0)}  # pixel 1 begins at 0.5


def test_learning_curves_span_0_to_1_and_show_the_floor():
    fig = ch07.learning_curves({"a": np.linspace(0, 1, 5)}, ylabel="y", floor=0.3, floor_label="guess")
    ax = fig.axes[0]
    assert ax.get_ylim() == (0, 1)
    assert [line.get_label() for line in ax.lines] == ["a", "guess"]


def test_heads_by_layer_draws_a_map_for_each_and_outlines_the_two_cells():
    fig = ch07.heads_by_layer(np.zeros((3, 20, 20)), np.random.default_rng(0).random((2, 3, 25)), query=7, target=11)
    drawn = [ax for ax in fig.axes if ax.images]
    assert len(drawn) == 1 + 2 * 3
    assert [tuple(patch.get_xy()) for patch in drawn[1].patches] == [(2, 1), (1, 2)]
