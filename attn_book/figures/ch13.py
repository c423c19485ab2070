"""The figures of chapter 13, what attention costs."""

import matplotlib.pyplot as plt
import numpy as np

from attn_book.arrays import as_array
from attn_book.figures.common import logarithmic
from attn_book.figures.style import INK, MUTED, PALETTE

MARKS = "osD^vPX*hpd<"


def running(scores, tile, largest, totals):
    """The scores of one query as bars, a tile at a time, and what is kept after each tile: the largest so far, and the sum.

    Args:
        scores: (M,).
        tile: keys in a tile.
        largest: (tiles,), the largest score seen after each.
        totals: (tiles,), the sum of the exponentials after each, with the largest so far taken off.
    """
    scores, largest, totals = (as_array(x, name) for x, name in ((scores, "scores"), (largest, "largest"), (totals, "totals")))
    fig, (above, below) = plt.subplots(2, 1, figsize=(5.4, 4.2), sharex=True, height_ratios=[3, 2])
    keys, ends = np.arange(len(scores)), np.minimum(np.arange(1, len(largest) + 1) * tile, len(scores))
    colours = [PALETTE[0] if m // tile % 2 == 0 else PALETTE[4] for m in keys]
    above.bar(keys, scores, color=colours, width=0.8)
    above.axhline(0, color=INK, lw=0.8)
    starts = ends - np.diff(ends, prepend=0)
    for i, (start, end) in enumerate(zip(starts, ends, strict=True)):
        label = "largest so far" if i == 0 else None
        above.plot([start - 0.5, end - 0.5], [largest[i]] * 2, color=PALETTE[5], lw=2.4, label=label)
    above.set(ylabel="score", ylim=(min(0, scores.min()), 1.3 * scores.max()))
    above.legend(loc="upper left")
    below.step(np.concatenate([[-0.5], ends - 0.5]), np.concatenate([totals[:1], totals]), color=PALETTE[2], where="pre")
    below.set(xlabel="key", ylabel="sum so far", ylim=(0, None))
    for ax in (above, below):
        for end in ends[:-1]:
            ax.axvline(end - 0.5, color=MUTED, ls=":", lw=1)
    return fig


def colours(names):
    """{name: colour}, eight of them, all visible on light and on dark; beyond the eighth they come again."""
    cycle = [*PALETTE[:6], "#8a8f98", "#8b5fbf"]
    return {name: cycle[i % len(cycle)] for i, name in enumerate(names)}


def growth(sizes, panels, *, xlabel="tokens", size=(5.4, 8.2)):
    """Costs over sizes on logarithmic axes, one panel below the other; a curve has one colour and one mark in all of them.

    Args:
        sizes: (sizes,), above 0.
        panels: {label of the y axis: {name: (sizes,) values above 0}}.
        xlabel: What the sizes are.
        size: Width and height in inches; the legend stands below.
    """
    fig, axes = plt.subplots(len(panels), 1, figsize=size, sharex=True, squeeze=False)
    names = list(dict.fromkeys(name for series in panels.values() for name in series))
    looks = {name: {"color": colour, "marker": MARKS[i % len(MARKS)]} for i, (name, colour) in enumerate(colours(names).items())}
    drawn = {}
    for ax, (label, series) in zip(axes.flat, panels.items(), strict=True):
        for name, values in series.items():
            (drawn[name],) = ax.plot(sizes, as_array(values, name), ms=5, lw=1.6, **looks[name])
        logarithmic(ax, "x")
        logarithmic(ax, "y")
        ax.set_ylabel(label)
    axes.flat[-1].set_xlabel(xlabel)
    axes.flat[-1].set_xticks(sizes[::2], [f"{n:,}" for n in sizes[::2]])
    axes.flat[-1].minorticks_off()
    fig.legend(drawn.values(), drawn, loc="outside lower center", ncols=2)
    return fig


def roofline(ceiling, bandwidth, points, *, size=(5.4, 4.4)):
    """The most that a card can do for each number of operations per byte, and what kernels do.

    Args:
        ceiling: the most operations a second, in 10¹² (TFLOP/s).
        bandwidth: bytes a second, in 10⁹ (GB/s).
        points: {name: [(operations per byte, TFLOP/s), …]}.
        size: Width and height in inches; the legend stands below.
    """
    fig, ax = plt.subplots(figsize=size)
    places = [x for pairs in points.values() for x, _ in pairs]
    bend = 1e3 * ceiling / bandwidth
    left, right = min([*places, bend]) / 3, max([*places, bend]) * 3
    roof = np.array([left, bend, right])
    ax.plot(roof, np.minimum(ceiling, roof * bandwidth / 1e3), color=INK, lw=2)
    for i, (name, pairs) in enumerate(points.items()):
        ax.plot(*zip(*pairs, strict=True), MARKS[i % len(MARKS)], ms=8, color=PALETTE[i % len(PALETTE)], label=name)
    logarithmic(ax, "x")
    logarithmic(ax, "y")
    ax.set(xlabel="operations per byte that has to be moved", ylabel="TFLOP/s")
    fig.legend(loc="outside lower center", ncols=2)
    return fig


def better_with(names, values, baseline, *, xlabel, baseline_label, size=None):
    """A row for each name with a mark for each of several pictures, and a line at a baseline.

    Args:
        names: (rows,), first on top.
        values: (rows, pictures).
        baseline: where the line is.
        xlabel: what is shown, with units.
        baseline_label: what the line is.
        size: Width and height in inches; by default as high as the rows need.
    """
    values = as_array(values, "values")
    fig, ax = plt.subplots(figsize=size or (5.4, 0.42 * len(names) + 1.2))
    rows = np.arange(len(names))
    for i, picture in enumerate(values.T):
        ax.plot(picture, rows, MARKS[i], ms=6, color=PALETTE[0], alpha=0.55, mec="none")
    ax.plot(values.mean(axis=1), rows, "|", ms=18, mew=3, color=PALETTE[5])
    ax.axvline(baseline, color=INK, ls="--", lw=1.2, label=baseline_label)
    ax.set_yticks(rows, names)
    ax.invert_yaxis()
    ax.set_xlabel(xlabel)
    ax.legend(loc="best")
    return fig
