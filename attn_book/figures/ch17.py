"""The figures of chapter 17, the six questions."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LogNorm

from attn_book.arrays import as_array
from attn_book.figures.common import QUERY, as_picture, colour_bar, curves, panels, power_of_ten
from attn_book.figures.style import INK, PALETTE, WEIGHTS

NOTHING = "#c8c8c8"


def fields(maps, titles, *, centre, decades=4, columns=2, cell=2.6):
    """Receptive fields side by side, each as a share of its largest value, in powers of ten; grey where nothing arrives.

    Args:
        maps: (H, W) each, not negative, with something above 0.
        titles: A title for each.
        centre: Row and column of what is asked, in pixels; a cross marks it.
        decades: Powers of ten that have colours of their own; what is less has the darkest.
        columns: Panels in a row.
        cell: Width of one panel in inches.
    """
    norm = LogNorm(10.0**-decades, 1)
    fig, axes = panels(len(maps), columns=columns, cell=cell)
    for ax, field, title in zip(axes, maps, titles, strict=True):
        field = as_array(field, "maps")
        shares = np.where(field > 0, np.maximum(field / field.max(), 10.0**-decades), np.nan)
        ax.imshow(shares, norm=norm, cmap=plt.get_cmap(WEIGHTS).with_extremes(bad=NOTHING))
        ax.plot(centre[1], centre[0], "+", ms=10, mew=3.4, color="white")
        ax.plot(centre[1], centre[0], "+", ms=9, mew=1.6, color=QUERY)
        ax.set_title(title)
    ticks = {10.0**-power: power_of_ten(10.0**-power) for power in range(decades, -1, -1)}
    colour_bar(axes, "gradient, share of the largest", norm=norm, ticks=ticks)
    return fig


def leads(names, differences, *, size=None):
    """A dot and an interval for each comparison, around a line where nobody leads.

    Args:
        names: A name for each comparison, first on top.
        differences: (comparisons, 3): the difference, and the low and high end of its interval.
        size: Width and height in inches; by default as high as the rows need.
    """
    differences = as_array(differences, "differences").astype(float)
    fig, ax = plt.subplots(figsize=size or (5.6, 0.42 * len(names) + 1.1))
    places = np.arange(len(names))
    middle, low, high = differences.T
    for place, value, below, above in zip(places, middle, low, high, strict=True):
        colour = PALETTE[0] if below > 0 else PALETTE[5] if above < 0 else INK
        ax.errorbar(value, place, xerr=[[value - below], [above - value]], fmt="o", ms=6, capsize=3, color=colour)
    ax.axvline(0, color=INK, ls="--", lw=1.2)
    ax.set_yticks(places, names)
    ax.invert_yaxis()
    ax.set_xlabel("lead of attention; below 0 the rival leads")
    return fig


def over_shifts(series, *, size=(5.6, 4.4)):
    """Shares of answers that change, over the pixels by which the picture moves.

    Args:
        series: {name: (shifts,) shares}, for shifts of 1, 2, 3, … px.
        size: Width and height in inches.
    """
    px = np.arange(1, 1 + len(next(iter(series.values()))))
    labels = {"xlabel": "px by which the picture moves", "ylabel": "share of answers that change"}
    fig = curves({name: (px, shares) for name, shares in series.items()}, markers=True, xticks=px, size=size, **labels)
    fig.axes[0].set_ylim(0)
    legend_above(fig.axes[0])
    return fig


def over_distances(series, distances, *, floor, floor_label):
    """Shares of right answers over distances that double, with the level that needs no question as a dashed line.

    Args:
        series: {name: (distances,) shares}.
        distances: Where each range of distances begins; the next is where it ends.
        floor: The level of guessing.
        floor_label: What it is.
    """
    labels = {"xlabel": "places from the square to its digit (from … to twice as many)", "ylabel": "right answers at the cue"}
    lines = {name: (distances, shares) for name, shares in series.items()}
    fig = curves(lines, markers=True, logx=True, xticks=distances, **labels)
    ax = fig.axes[0]
    ax.axhline(floor, color=INK, ls="--", lw=1.2, label=floor_label)
    ax.set_ylim(0, 1)
    legend_above(ax)
    return fig


def legend_above(ax):
    """The legend over the picture, in two columns, where lines leave no room for it."""
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)


def on_the_way(series, steps, *, size=(5.6, 5.0)):
    """Shares of right answers at moments of a training.

    Args:
        series: {name: (moments,) shares}.
        steps: (moments,) training steps.
        size: Width and height in inches.
    """
    labels = {"xlabel": f"steps, of a training of {steps[-1]:,}", "ylabel": "right answers at the cue"}
    fig = curves({name: (steps, shares) for name, shares in series.items()}, markers=True, xticks=steps, size=size, **labels)
    fig.axes[0].set_ylim(0, 1)
    legend_above(fig.axes[0])
    return fig


def tasks(pictures, names, questions, values, intervals, *, size=None):
    """A row for each task: a picture, and two bars between 0 and 1, with attention and without.

    Args:
        pictures: As ``as_picture`` takes each.
        names: Of the tasks.
        questions: Who asks whom, in each.
        values: (tasks, 2), with attention and without.
        intervals: (tasks, 2), half-widths.
        size: Width and height in inches; by default as high as the rows need.
    """
    values, intervals = as_array(values, "values"), as_array(intervals, "intervals")
    fig, axes = plt.subplots(len(pictures), 2, figsize=size or (5.6, 1.75 * len(pictures)), width_ratios=(1, 2.4), squeeze=False)
    rows = zip(axes, pictures, names, questions, values, intervals, strict=True)
    for (left, right), picture, name, question, pair, halves in rows:
        left.imshow(as_picture(picture), cmap="gray")
        left.axis("off")
        whiskers = {"capsize": 3, "lw": 1.2, "ecolor": INK}
        right.barh([0, 1], pair, xerr=halves, color=PALETTE[:2], error_kw=whiskers, height=0.7)
        right.set(xlim=(0, 1.02), ylim=(1.6, -0.6), title=f"{name}: {question}")
        right.set_yticks([0, 1], ["with", "without"])
    return fig
