"""The figures of chapter 15: a mark for each seed, rows that were not measured, parts end to end, lives, what is sent and lost."""

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest

from attn_book.figures import ch15

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def legend(fig):
    return [text.get_text() for text in fig.legends[0].get_texts()]


def test_each_seed_has_a_mark_and_each_network_a_line_and_a_band():
    sizes, errors = [500, 5_000, 50_000], {"a": [[0.4, 0.3], [0.2, 0.1], [0.06, 0.04]], "b": [[0.5, 0.5], [0.4, 0.4], [0.3, 0.3]]}
    laws = {"a": lambda n: n**-0.25, "b": lambda n: 0.4 + 0 * n}
    bands = {name: (lambda n, law=law: 0.9 * law(n), lambda n, law=law: 1.1 * law(n)) for name, law in laws.items()}
    fig = ch15.falling_errors(sizes, errors, laws, bands, xlabel="pictures", ylabel="wrong")
    ax = fig.axes[0]
    assert (ax.get_xscale(), ax.get_yscale(), legend(fig), len(ax.collections)) == ("log", "log", ["a", "b"], 2)
    means, seeds, line = ax.lines[:3]
    np.testing.assert_allclose(means.get_ydata(), [0.35, 0.15, 0.05])
    np.testing.assert_allclose(seeds.get_xydata()[:3], [[500, 0.4], [500, 0.3], [5_000, 0.2]])
    np.testing.assert_allclose(line.get_ydata(), np.asarray(line.get_xdata()) ** -0.25)
    assert [text.get_text() for text in ax.get_xticklabels()] == ["500", "50,000"]


def test_without_bands_there_are_none():
    fig = ch15.falling_errors([1, 2, 4], {"a": [[0.4], [0.2], [0.1]]}, {"a": lambda n: 0.4 / n}, xlabel="x", ylabel="y")
    assert not fig.axes[0].collections


def test_what_was_not_measured_says_so_and_has_no_bar():
    panels = {"ms": ([1.0, np.nan, 3.0], [0.9, np.nan, 2.0], [1.2, np.nan, 3.5]), "MB": ([np.nan] * 3, None, None)}
    fig = ch15.options(["as it is", "compiled", "bf16"], panels, {"ms": [1.1, 2.0, 2.9]})
    times, memory = fig.axes
    assert [tuple(line.get_xdata()) for line in times.lines if line.get_marker() == "D"] == [(1.1, 2.0, 2.9)]
    assert not any(line.get_marker() == "D" for line in memory.lines)
    assert [bar.get_width() for bar in times.patches] == [1.0, 3.0]
    assert [(text.get_text(), text.get_position()[1]) for text in times.texts] == [("not measured", 1)]
    assert len(memory.patches) == 0 and len(memory.texts) == 3
    assert times.get_ylim()[0] > times.get_ylim()[1], "the first option is on top"


def test_one_number_has_one_colour_at_every_moment():
    fig = ch15.pieces({"at first": np.ones((3, 3)), "in the end": np.full((3, 3), 3.0)})
    first, last = (ax.images[0] for ax in fig.axes)
    assert first.get_clim() == last.get_clim() == (1, 3)
    assert [{text.get_text() for text in ax.texts} for ax in fig.axes] == [{"1"}, {"3"}]
    assert [ax.get_title() for ax in fig.axes] == ["at first", "in the end"]


def test_parts_stand_end_to_end_and_what_is_gathered_behind_them():
    parts = {"parameters": 2.0, "gradients": 2.0, "optimiser": 4.0}
    fig = ch15.kept({"alone": (parts, 0), "shard": ({name: x / 2 for name, x in parts.items()}, 1.5)}, xlabel="kB")
    ax = fig.axes[0]
    bars = [(bar.get_x(), bar.get_width()) for bar in ax.patches]
    assert bars == [(0, 2), (2, 2), (4, 4), (0, 1), (1, 1), (2, 2), (4, 1.5)]
    assert set(legend(fig)) == {*parts, "gathered for a moment"}
    assert ax.get_xlim()[1] > 8


def test_what_cannot_be_counted_has_no_length():
    ax = ch15.sent(["replicas", "shards"], [70.0, 100.0], [75.0, np.nan], xlabel="kB").axes[0]
    assert [bar.get_width() for bar in ax.patches] == [70, 100, 75, 0]


def test_steps_after_the_last_checkpoint_were_in_vain():
    fig = ch15.lives([(1, 27), (21, 30)], saved=(10, 20), total=30)
    ax = fig.axes[0]
    assert [(bar.get_x(), bar.get_width()) for bar in ax.patches] == [(0.5, 20), (20.5, 7), (20.5, 10)]
    assert [line.get_xdata()[0] for line in ax.lines] == [27.5, 10.5, 20.5]
    assert set(legend(fig)) == {"counts", "done in vain", "a process dies", "checkpoint"}


def test_the_best_interval_has_a_line():
    ax = ch15.lost_time([10, 20, 40], {"exact": [0.3, 0.2, 0.25], "Young": [0.29, 0.2, 0.26]}, [0.31, 0.2, 0.24], 22.0).axes[0]
    assert ax.get_xscale() == "log" and len(ax.lines) == 4
    np.testing.assert_allclose(ax.lines[1].get_ydata(), [0.29, 0.2, 0.26])
    assert set(ax.lines[3].get_xdata()) == {22.0}
