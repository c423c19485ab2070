"""The figures of chapter 12, looking inside."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patheffects import withStroke

from attn_book.arrays import as_array
from attn_book.figures.common import QUERY, as_picture, colour_bar, curves, panels
from attn_book.figures.style import INK, PALETTE, SIGNED, WEIGHTS

DARK = [withStroke(linewidth=3.8, foreground="black")]  # seen on bright cells, too


def outlined(pictures, asked, found, titles, *, columns=2, cell=2.4):
    """Pictures of 4 × 4 cells with the cell that asks dashed, and those that the answer comes from in white.

    Args:
        pictures: Pictures as ``as_picture`` takes them.
        asked: For each the number of the cell that asks, row by row, or None.
        found: For each the numbers of the cells that the answer comes from.
        titles: A title for each.
        columns: How many in a row.
        cell: Width of one picture in inches.
    """
    fig, axes = panels(len(pictures), columns=columns, cell=cell)
    for ax, picture, asker, cells, title in zip(axes, pictures, asked, found, titles, strict=True):
        ax.imshow(as_picture(picture), extent=(0, 4, 4, 0))
        _outline(ax, asker, cells)
        ax.set_title(title)
    return fig


def maps_of_one(picture, maps, asked, found, *, columns=2, cell=2.4):
    """One picture, and several maps that claim to say where its answer comes from.

    Each map is coloured from 0 to its own largest value; what is below 0 is coloured as 0.

    Args:
        picture: As ``as_picture`` takes it.
        maps: {name: (16,)}, values of the cells, row by row.
        asked: The number of the cell that asks; it is no part of what is to be found, and left grey. None where no cell asks.
        found: Numbers of the cells that a map should find, outlined in white.
        columns, cell: As in ``outlined``.
    """
    fig, axes = panels(len(maps) + 1, columns=columns, cell=cell)
    axes[0].imshow(as_picture(picture), extent=(0, 4, 4, 0))
    axes[0].set_title("the picture")
    for ax, (name, values) in zip(axes[1:], maps.items(), strict=True):
        values = as_array(values, name).astype(float).clip(0)
        if asked is not None:
            values[asked] = np.nan
        shown = np.ma.masked_invalid(values.reshape(4, 4))
        ax.imshow(np.full((1, 1), 0.5), cmap="gray", vmin=0, vmax=1, extent=(0, 4, 4, 0))
        ax.imshow(shown, vmin=0, vmax=max(shown.max(), 1e-12), cmap=WEIGHTS, extent=(0, 4, 4, 0))
        ax.set_title(name)
    for ax in axes:
        _outline(ax, asked, found)
    colour_bar(axes, "in each map from 0 to its largest value", ticks={0: "0", 1: "max"})
    return fig


def travelling(shares, places, layers):
    """How much of a difference each place carries, behind each layer: stacked bars.

    Args:
        shares: (layers, places), parts of 1.
        places: A name for each place.
        layers: A name for each layer.
    """
    shares = as_array(shares, "shares")
    fig, ax = plt.subplots(figsize=(5.6, 3.4))
    at, below = np.arange(len(shares)), np.zeros(len(shares))
    for number, place in enumerate(places):
        ax.bar(at, shares[:, number].clip(0), 0.65, bottom=below, color=PALETTE[number], label=place)
        below += shares[:, number].clip(0)
    ax.set_xticks(at, layers)
    ax.set(xlabel="patched behind", ylabel="share of the difference")
    ax.axhline(1, color=INK, lw=0.8, ls=":")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, 1.2), ncol=len(places))
    return fig


def against(x, y, groups, *, xlabel, ylabel):
    """Points of several groups: one number of each against another.

    Args:
        x, y: {group: values}, one a point.
        groups: Names, in the order of the legend.
        xlabel, ylabel: What the axes show.
    """
    fig, ax = plt.subplots(figsize=(5.6, 3.8))
    for number, group in enumerate(groups):
        ax.plot(as_array(x[group]), as_array(y[group]), "os^Dv"[number], color=PALETTE[number], label=group, alpha=0.8)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.legend()
    return fig


def over_steps(series, steps, *, xlabel, ylabel):
    """Several numbers at a few named steps, a line for each.

    Args:
        series: {name: values}, one a step.
        steps: Names of the steps.
        xlabel, ylabel: What the axes show.
    """
    lines = {name: (np.arange(len(values)), values) for name, values in series.items()}
    fig = curves(lines, xlabel=xlabel, ylabel=ylabel, markers=True)
    ax = fig.axes[0]
    ax.set_xticks(np.arange(len(steps)), steps)
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.02), ncol=2)
    return fig


def agreement(matrix, names):
    """Rank correlations of all pairs, each cell with its number.

    Args:
        matrix: (n, n), from -1 to 1.
        names: A name for each row and column.
    """
    matrix = as_array(matrix, "matrix")
    fig, ax = plt.subplots(figsize=(5.6, 5.2), layout="compressed")
    ax.imshow(matrix, cmap=SIGNED, vmin=-1, vmax=1)
    for (row, column), value in np.ndenumerate(matrix):
        number = f"{value:z.1f}".replace("0.", ".")  # short, for many names
        ax.text(column, row, number, ha="center", va="center", color="black" if abs(value) < 0.6 else "white")
    ax.set_xticks(np.arange(len(names)), names, rotation=45, ha="right")
    ax.set_yticks(np.arange(len(names)), names)
    ax.tick_params(length=0)
    colour_bar([ax], "rank correlation", cmap=SIGNED, low=-1, high=1)
    return fig


def _outline(ax, asked, found):
    places = [(number, "white", "-") for number in found]
    for number, colour, dash in [*places, *([] if asked is None else [(asked, QUERY, "--")])]:
        corner = int(number) % 4, int(number) // 4
        edge = {"fill": False, "ec": colour, "ls": dash, "lw": 2.2, "clip_on": False}
        ax.add_patch(plt.Rectangle(corner, 1, 1, path_effects=DARK, **edge))
