"""The figures of chapter 7, classification."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patheffects import withStroke

from attn_book.arrays import as_array
from attn_book.figures.common import QUERY, as_picture, colour_bar, curves, panels
from attn_book.figures.style import PALETTE, WEIGHTS


def learning_curves(series, *, ylabel, floor, floor_label, xlabel="training steps"):
    """Accuracies between 0 and 1 against training steps, with the level that needs no learning as a dashed line.

    Args:
        series: As in ``curves``.
        ylabel, xlabel: What the axes show.
        floor: The level of guessing.
        floor_label: What it is.
    """
    fig = curves(series, xlabel=xlabel, ylabel=ylabel)
    ax = fig.axes[0]
    ax.axhline(floor, color=PALETTE[7], ls="--", lw=1.2, label=floor_label)
    ax.set_ylim(0, 1)
    ax.legend(loc="center right")
    return fig


def heads_by_layer(picture, maps, query, target, *, cell=2.4):
    """A picture with its query and target cells outlined, then one map for each layer (row) and head (column).

    Args:
        picture: As ``as_picture`` takes it.
        maps: (layers, heads, N), the weights of the query over a square grid of N cells; all share one range of colours, from 0.
        query: Number of the query's cell, row by row; outlined in the vermilion of every query, dashed.
        target: Number of the cell that the weights should find; outlined in white.
        cell: Width of one panel in inches.
    """
    picture, maps = as_picture(picture), as_array(maps, "maps")
    layers, heads, cells = maps.shape
    side = round(cells**0.5)
    fig, axes = panels((layers + 1) * heads, columns=heads, cell=cell)
    axes[0].imshow(picture, extent=(0, side, side, 0))
    axes[0].set_title("the picture")
    for ax, (layer, head) in zip(axes[heads:], np.ndindex(layers, heads), strict=True):
        ax.imshow(maps[layer, head].reshape(side, side), vmin=0, vmax=maps.max(), cmap=WEIGHTS, extent=(0, side, side, 0))
        ax.set_title(f"layer {layer + 1}, head {head + 1}")
    for ax in [axes[0], *axes[heads:]]:
        for where, colour, dash in ((query, QUERY, "--"), (target, "white", "-")):
            corner = where % side, where // side
            dark = [withStroke(linewidth=3.8, foreground="black")]  # seen on bright cells, too
            ax.add_patch(plt.Rectangle(corner, 1, 1, fill=False, ec=colour, ls=dash, lw=2.2, clip_on=False, path_effects=dark))
    colour_bar(axes, "weight", high=maps.max())
    return fig
