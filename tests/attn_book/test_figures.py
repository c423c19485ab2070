"""The figures: right pictures in, a figure out; wrong shapes are told so."""

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from attn_book.figures import ch01, ch02, ch03, ch04, ch05, ch06, ch07, ch08, ch09, ch10, ch13, common, style

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
    assert [ax.lines[0].get_xydata().tolist() for ax in fig.axes[1:3]] == [[[5.0, 5.0]], [[55.0, 35.0]]]


def test_curves_draw_series_and_bands():
    x = np.arange(3)
    fig = common.curves({"a": x, "b": (x, x, x - 1, x + 1)}, xlabel="x", ylabel="y", markers=True)
    ax = fig.axes[0]
    assert len(ax.lines) == 2 and len(ax.collections) == 1 and ax.get_legend() is not None


def test_bars_put_the_first_on_top():
    fig = common.bars(["first", "second"], [0.2, 0.4], errors=[0.1, 0.1], xlabel="share", reference=0.3, reference_label="chance")
    ax = fig.axes[0]
    assert ax.yaxis_inverted() and [patch.get_width() for patch in ax.patches] == [0.2, 0.4]


def test_gaps_put_the_first_on_top_and_shade_what_is_close():
    ax = ch05.gaps(["first", "second"], [1.0, -7.0], [0.5, 2.0], close=4, xlabel="points").axes[0]
    assert ax.yaxis_inverted() and [text.get_text() for text in ax.get_yticklabels()] == ["first", "second"]
    assert (ax.patches[0].get_x(), ax.patches[0].get_width()) == (-4, 4)
    (marks,) = ax.containers
    assert marks.lines[0].get_xydata().tolist() == [[1, 0], [-7, 1]]
    assert [line[:, 0].tolist() for line in marks.lines[2][0].get_segments()] == [[0.5, 1.5], [-9, -5]]


def test_pictures_return_a_figure():
    assert len(common.pictures([np.zeros((4, 4)), np.zeros((3, 4, 4))], ["a", "b"], columns=1).axes) == 2


def test_query_maps_leave_out_what_may_not_be_asked():
    fig = common.query_maps(np.zeros((6, 8)), [[[np.nan, 2.0], [1.0, 0.0]]], (1, 0), ["a"])
    shown = fig.axes[1].images[0]
    assert shown.get_clim() == (0, 2)
    assert np.ma.getmaskarray(shown.get_array()).tolist() == [[True, False], [False, False]]


@pytest.mark.parametrize(
    ("weights", "note"),
    [
        (np.full((2, 2), 0.25), "max 0.25, 4.0 keys"),
        ([[1.0, 0.0], [np.nan, 0.0]], "max 1, 1.0 keys"),
        (np.full((30, 40), 1 / 1200), "max 0.00083, 1,200 keys"),
        ([[0.5, 0.25, 0.25]], "max 0.5, 2.8 keys"),  # 2 ** 1.5
    ],
)
def test_the_note_says_the_largest_weight_and_the_effective_keys(weights, note):
    assert common.weight_note(np.asarray(weights)) == note


def test_maps_of_weights_of_their_own_scale_say_so():
    maps = np.stack([np.full((2, 3), 1 / 6), np.eye(2, 3) / 2])
    for fig in (
        common.query_maps(np.zeros((4, 6)), maps, (0, 0), ["a", "b"]),
        common.responses(np.zeros((4, 6)), maps, [(0, 0), (1, 1)], titles=["a", "b"]),
    ):
        assert [ax.get_title() for ax in fig.axes[1:3]] == ["a\nmax 0.17, 6.0 keys", "b\nmax 0.5, 2.0 keys"]
        assert [ax.images[-1].get_clim() for ax in fig.axes[1:3]] == [(0, 1 / 6), (0, 0.5)]
        bar = fig.axes[-1]
        assert (bar.get_xlabel(), [text.get_text() for text in bar.get_xticklabels()]) == (
            "weight, in each map from 0 to its largest",
            ["0", "max"],
        )


@pytest.mark.parametrize(("cmap", "low"), [(style.WEIGHTS, 0), (style.SIGNED, -3)])
def test_maps_with_a_label_share_one_scale(cmap, low):
    fig = common.query_maps(np.zeros((4, 6)), [[[0.0, 1.0]], [[-3.0, 2.0]]], None, ["a", "b"], cmap=cmap, label="push")
    assert [ax.images[0].get_clim() for ax in fig.axes[1:3]] == [(low, 3)] * 2
    assert fig.axes[-1].get_xlabel() == "push"
    assert fig.axes[-1].get_xlim() == (low, 3)


def test_pictures_with_a_label_share_one_scale_and_with_several_have_one_each():
    colour, low, high = np.zeros((4, 4, 3)), np.full((4, 4), -1.0), np.eye(4)
    fig = common.pictures([colour, low, high], columns=2, label="numbers")
    assert [ax.images[0].get_clim() for ax in fig.axes[1:3]] == [(-1, 1)] * 2
    assert fig.axes[-1].get_xlabel() == "numbers"
    fig = common.pictures([colour, high, 2 * high], columns=2, label=[None, "one", "two"])
    bars = [ax.child_axes[0] for ax in fig.axes if ax.child_axes]
    assert [(bar.get_xlabel(), bar.get_xlim()) for bar in bars] == [("one", (0, 1)), ("two", (0, 2))]


def test_a_colour_bar_shows_the_colours_of_the_map():
    """Also where colours are no even steps: the bar at 0.25 has the colour that 0.25 has in the panel."""
    fig = ch01.receptive_fields([np.array([[0.25, 1.0]])], ["a"], reach=[None])
    panel, bar = fig.axes[0].images[0], fig.axes[-1].images[0]
    x = round(0.25 * (bar.get_array().size - 1))
    np.testing.assert_allclose(panel.to_rgba(panel.get_array())[0, 0], bar.to_rgba(bar.get_array())[0, x], atol=0.03)


@pytest.mark.parametrize(
    ("value", "text"), [(1e-3, "0.001"), (1, "1"), (1e4, "10,000"), (1e-31, "10⁻³¹"), (1e6, "10⁶"), (0.1, "0.1")]
)
def test_powers_of_ten_are_written_in_one_size(value, text):
    assert common.power_of_ten(value) == text


@pytest.mark.parametrize(
    "draw",
    [
        lambda maps: common.pictures(list(maps), label="weight"),
        lambda maps: common.query_maps(maps[0], maps, (0, 0), ["a", "b"]),
        lambda maps: common.responses(maps[0], maps, [(0, 0), (1, 1)]),
        lambda maps: common.spotlights(maps[:, :, :, None].expand(-1, -1, -1, 3)[0], maps, [(0, 0), (1, 1)]),
        lambda maps: common.number_grids(list(maps)),
        lambda maps: common.curves(
            {"a": maps[0, 0], "b": (maps[0, 0], maps[0, 1], maps[0, 0], maps[0, 1])}, xlabel="x", ylabel="y"
        ),
        lambda maps: common.bars(["a", "b", "c"], maps[0, 0], xlabel="x"),
        lambda maps: ch01.receptive_fields(maps, ["a", "b"], reach=[None, None]),
        lambda maps: ch01.gains(maps, ["a", "b"], ["c", "d"], xlabel="x"),
        lambda maps: ch02.labelled_weights(maps[0], ["a", "b"], ["c", "d", "e"]),
        lambda maps: ch03.array_strips([("", [("a", maps[0], "{:g}")])]),
        lambda maps: ch04.picture_row(maps[0], 0, {"a": maps[0, 0]}),
        lambda maps: ch04.shapes(maps[0], maps[1], maps[0], maps[0][:, :2], maps[0]),
        lambda maps: ch04.coloured_digits({"a": (maps, [0, -1])}),
        lambda maps: ch06.channel_gates(["a", "b", "c"], ["red", "blue", "green"], maps[0, 0], {"SE": maps[0, 1]}),
        lambda maps: ch06.point_paths(maps[0], maps[:, :, :2], (0, 0)),
        lambda maps: ch07.heads_by_layer(maps[0], maps[:, :, [0, 1, 2, 0]], 0, 1),
    ],
)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_figures_take_tensors_of_any_precision_and_with_a_graph(draw, dtype):
    maps = torch.tensor([[[0.5, 0.25, 0.25], [1.0, 0.0, 0.0]]] * 2, dtype=dtype, requires_grad=True) * 1
    assert draw(maps).axes


def test_the_shapes_of_attention_frame_one_query_in_the_four_arrays_that_have_one():
    q, k, v, weights, out = np.ones((5, 4)), np.ones((7, 4)), np.ones((7, 3)), np.ones((5, 7)), np.ones((5, 3))
    ax = ch04.shapes(q, k, v, weights, out, query=2).axes[0]
    cells = [patch for patch in ax.patches if patch.get_fill()]
    frames = [patch for patch in ax.patches if not patch.get_fill()]
    assert len(cells) == 5 * 4 + 4 * 7 + 5 * 7 + 5 * 7 + 7 * 3 + 5 * 3
    assert [frame.get_width() for frame in frames] == [4, 7, 7, 3]  # Q, S, A and Y
    places = {(round(cell.get_x(), 3), round(cell.get_y(), 3)) for cell in cells}
    for frame in frames:
        above = [(round(frame.get_x(), 3), round(frame.get_y() - rows, 3)) in places for rows in (0, 1, 2, 3)]
        assert above == [True, True, True, False], "two rows above the framed one"


def test_coloured_digits_have_the_colour_of_their_number_or_none():
    ink = np.array([[[0.0, 1.0]], [[0.5, 1.0]]])  # two scans of one row
    fig = ch04.coloured_digits({"a": (ink, [5, -1])})
    coloured, grey = (ax.images[0].get_array() for ax in fig.axes)
    assert coloured.tolist() == [[[0.0] * 3, list(matplotlib.colors.to_rgb(style.PALETTE[5]))]]
    assert grey.tolist() == [[[0.5] * 3, [1.0] * 3]]


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


def test_learning_curves_span_0_to_1_and_show_the_floor():
    fig = ch07.learning_curves({"a": np.linspace(0, 1, 5)}, ylabel="y", floor=0.3, floor_label="guess")
    ax = fig.axes[0]
    assert ax.get_ylim() == (0, 1)
    assert [line.get_label() for line in ax.lines] == ["a", "guess"]


def test_heads_by_layer_draws_a_map_for_each_and_outlines_the_two_cells():
    fig = ch07.heads_by_layer(np.zeros((3, 20, 20)), np.random.default_rng(0).random((2, 3, 25)), query=7, target=11)
    drawn = [ax for ax in fig.axes if ax.images]
    assert len(drawn) == 1 + 2 * 3 + 1  # and the bar
    assert {ax.images[0].get_clim() for ax in drawn[1:]} == {drawn[-1].images[0].get_clim()}, "one range of colours"
    assert [tuple(patch.get_xy()) for patch in drawn[1].patches] == [(2, 1), (1, 2)]


def frames(ax):
    """Corners x0, y0, x1, y1 of every rectangle drawn in an axes."""
    return [(*patch.get_xy(), patch.get_x() + patch.get_width(), patch.get_y() + patch.get_height()) for patch in ax.patches]


def test_boxes_stand_where_they_belong_each_with_its_word():
    fig = ch08.boxes_on_pictures(
        np.zeros((2, 3, 20, 30)), truth=[[((1, 2, 5, 9), "7")], []], found=[[((2, 2, 5, 8), "7 .9")], [((0, 0, 30, 20), "1")]]
    )
    assert [frames(ax) for ax in fig.axes[:2]] == [[(1, 2, 5, 9), (2, 2, 5, 8)], [(0, 0, 30, 20)]]
    assert [[text.get_text() for text in ax.texts] for ax in fig.axes[:2]] == [["7", "7 .9"], ["1"]]
    assert fig.axes[0].patches[0].get_edgecolor() != fig.axes[0].patches[1].get_edgecolor()


def test_box_errors_have_a_panel_a_guess():
    fig = ch08.box_errors([0.2, 0.2, 0.5, 0.6], [[0.2, 0.2, 0.5, 0.5], [0.6, 0.6, 0.9, 0.9]], ["one", "two"])
    assert [ax.get_title() for ax in fig.axes] == ["one", "two"]
    assert frames(fig.axes[1])[:2] == pytest.approx([(0.2, 0.2, 0.5, 0.6), (0.6, 0.6, 0.9, 0.9)])


def test_matching_frames_the_chosen_pairs():
    fig = ch08.matching(np.arange(6.0).reshape(3, 2), [(2, 0), (0, 1)], queries=["a", "b", "c"], objects=["x", "y"])
    ax = fig.axes[0]
    middles = [((x0 + x1) / 2, (y0 + y1) / 2) for x0, y0, x1, y1 in frames(ax)]
    assert middles == pytest.approx([(0, 2), (1, 0)])
    assert [text.get_text() for text in ax.texts] == ["0.0", "1.0", "2.0", "3.0", "4.0", "5.0"]


def test_layers_of_a_query_show_its_box_before_and_after():
    boxes = np.array([[0, 0, 4, 4], [1, 1, 5, 5], [2, 2, 6, 6]])
    fig = ch08.layers_of_a_query(np.zeros((3, 20, 20)), np.random.default_rng(0).random((2, 5, 5)), boxes)
    drawn = [frames(ax) for ax in fig.axes[:3]]
    assert drawn == [[(2, 2, 6, 6)], [(0, 0, 4, 4), (1, 1, 5, 5)], [(1, 1, 5, 5), (2, 2, 6, 6)]]


def test_by_overlap_names_its_ranges_and_its_lines():
    fig = ch08.by_overlap({"with": [0.5, 0.6], "without": ([0.2, 0.1], [0.1, 0.1])}, [(0, 0.1), (0.1, 0.4)], ylabel="AP50")
    ax = fig.axes[0]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0–0.1", "0.1–0.4"]
    assert [text.get_text() for text in fig.legends[0].get_texts()] == ["with", "without"]


def test_outlines_run_between_the_pixels_of_a_mask_and_the_click_is_where_it_was():
    masks = np.zeros((2, 2, 9, 12), bool)
    masks[0, 0, 2:5, 3:8] = masks[1, 1, 2:5, 3:8] = True
    fig = ch09.outlined(np.zeros((2, 3, 9, 12)), [(3, 4), (5, 6)], masks, ["a", "b"], names=["part", "whole"])
    assert [ax.lines[0].get_xydata().tolist() for ax in fig.axes] == [[[4, 3]], [[6, 5]]]
    colours = []
    for ax in fig.axes:  # one outline each: the other mask is empty
        (outline,) = ax.collections
        extent = outline.get_paths()[0].get_extents()
        np.testing.assert_allclose([extent.x0, extent.x1, extent.y0, extent.y1], [2.5, 7.5, 1.5, 4.5])
        colours.append(outline.get_edgecolor().tolist())
    assert colours[0] != colours[1]
    assert [text.get_text() for text in fig.legends[0].get_texts()] == ["part", "whole"]


def test_outlines_of_one_mask_each_without_clicks():
    fig = ch09.outlined(np.zeros((1, 9, 12)), None, np.eye(9, 12, dtype=bool)[None])
    assert len(fig.axes[0].collections) == 1
    assert not fig.axes[0].lines
    assert not fig.legends


def test_each_digit_of_a_classified_scene_has_its_numeral_where_it_is():
    truth = np.zeros((12, 12), int)
    truth[1:6, 2:5], truth[8:11, 7:12], truth[0, 11] = 8, 1, 4  # the last is too small for a numeral
    fig = ch09.classified(np.zeros((3, 12, 12)), truth, 0 * truth, np.eye(6))
    assert [ax.get_title() for ax in fig.axes[:4]] == ["the scene", "the truth", "found", "gate, 6 × 6"]
    numerals = {text.get_text(): text.get_position() for text in fig.axes[1].texts}
    assert numerals == {"7": (3, 3), "0": (9, 9)}
    assert not fig.axes[2].texts
    shown = fig.axes[1].images[0].get_array()
    assert shown.mask[0, 0]  # the ground has no digit's colour
    assert not shown.mask[1, 2]


def test_sheets_lay_pictures_out_row_by_row_on_white():
    pictures = np.arange(5)[:, None, None, None] / 10 * np.ones((1, 1, 3, 4))
    fig = ch10.sheets({"real": pictures, "generated": pictures[:3] + 2}, columns=3, margin=2)
    assert [ax.get_title() for ax in fig.axes] == ["real", "generated"]
    sheet = fig.axes[0].images[0].get_array()
    assert sheet.shape == (8, 16)
    np.testing.assert_allclose(sheet[1, [1, 7, 13]], [0, 0.1, 0.2])
    np.testing.assert_allclose(sheet[6, [1, 7, 13]], [0.3, 0.4, 1.0])  # no sixth
    np.testing.assert_allclose(sheet[3:5], 1)
    assert fig.axes[1].images[0].get_array().max() == 1  # cut off
    assert [ax.images[0].get_clim() for ax in fig.axes] == [(0, 1)] * 2
    assert ch10.tile(pictures, 5, 0).shape == (3, 20)


def test_fields_share_one_scale_of_their_arrows():
    places = np.stack(np.meshgrid([0.0, 1.0, 2.0], [0.0, 1.0]), -1).reshape(-1, 2)
    fig = ch10.velocity_fields(places, {"exact": np.ones((6, 2)), "learned": np.full((6, 2), 3.0)})
    arrows = [ax.collections[0] for ax in fig.axes]
    assert arrows[0].scale == arrows[1].scale
    np.testing.assert_allclose([a.U[0] for a in arrows], [1, 3])


def test_journeys_end_in_a_dot_and_show_all_of_every_path():
    path = np.stack([np.zeros((4, 2)), np.ones((4, 2)), np.full((4, 2), -2.0)])
    ax = ch10.journeys({"straight": path}).axes[0]
    assert len(ax.lines) == 4 + 2
    np.testing.assert_allclose(ax.lines[-1].get_xydata(), path[-1])
    np.testing.assert_allclose(ax.lines[-2].get_xydata(), path[0])
    assert ax.get_xlim() == ax.get_ylim() == (-2.1, 2.1)
    assert ch10.journeys({"straight": path}, reach=5).axes[0].get_xlim() == (-5, 5)


def test_a_long_journey_is_drawn_at_some_of_its_times_with_both_ends():
    path = np.arange(101.0)[:, None, None] * np.ones(2)
    line = ch10.journeys({"long": path}).axes[0].lines[0].get_xdata()
    assert len(line) == ch10.DRAWN_TIMES and (line[0], line[-1]) == (0, 100)
    assert set(np.diff(line)) == {2, 3}


def test_a_trade_off_names_its_lines_and_what_was_set():
    fig = ch10.trade_off(
        {"a": ([0.8, 0.9], [9, 5]), "b": ([0.7, 0.8], [8, 6])}, xlabel="x", ylabel="y", notes=["1", "2"], floor=3
    )
    ax = fig.axes[0]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "b", "equally many real ones"]
    assert [(note.get_text(), note.xy) for note in ax.texts] == [("1", (0.8, 9)), ("2", (0.9, 5))]


# ------------------------------------------------------------------------------------------------------- chapter 13


def test_running_shows_every_score_and_each_largest():
    fig = ch13.running([1.0, 2.0, 0.5, 3.0, 1.0], 2, [2.0, 3.0, 3.0], [1.4, 2.0, 2.1])
    above, below = fig.axes
    assert [bar.get_height() for bar in above.patches] == [1.0, 2.0, 0.5, 3.0, 1.0]
    level = [line.get_xydata().tolist() for line in above.lines if line.get_linewidth() == 2.4]
    assert level == [[[-0.5, 2.0], [1.5, 2.0]], [[1.5, 3.0], [3.5, 3.0]], [[3.5, 3.0], [4.5, 3.0]]]
    assert below.lines[0].get_ydata().tolist() == [1.4, 1.4, 2.0, 2.1]


def test_growth_gives_a_curve_one_look_in_all_panels():
    series = {"a": [1, 2, 4], "b": [1, 4, 16]}
    fig = ch13.growth([256, 512, 1024], {"time, ms": series, "memory, MB": {"b": [1, 2, 3]}})
    first, second = fig.axes
    assert [line.get_ydata().tolist() for line in first.lines] == [[1, 2, 4], [1, 4, 16]]
    assert first.lines[1].get_color() == second.lines[0].get_color() != first.lines[0].get_color()
    assert first.get_xscale() == first.get_yscale() == "log"
    assert [text.get_text() for text in fig.legends[0].get_texts()] == ["a", "b"]


def test_a_roof_bends_where_both_limits_meet():
    fig = ch13.roofline(600.0, 3000.0, {"ours": [(2048.0, 300.0)], "copy": [(0.5, 1.0)]})
    roof = fig.axes[0].lines[0].get_xydata()
    np.testing.assert_allclose(roof[1], [200.0, 600.0])
    np.testing.assert_allclose(roof[0, 1] / roof[0, 0], 3.0)
    assert roof[2, 1] == 600.0


def test_better_with_marks_pictures_and_their_mean():
    fig = ch13.better_with(["a", "b"], [[1.0, 3.0], [2.0, 6.0]], 2.5, xlabel="dB", baseline_label="noisy")
    marks = [line.get_xydata().tolist() for line in fig.axes[0].lines]
    assert marks[0] == [[1.0, 0.0], [2.0, 1.0]]
    assert marks[2] == [[2.0, 0.0], [4.0, 1.0]]
