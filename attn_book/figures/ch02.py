"""The figures of chapter 2, core concepts."""

import matplotlib.pyplot as plt
import numpy as np

from attn_book.arrays import as_array
from attn_book.figures.common import as_picture, draw_numbers
from attn_book.figures.style import PALETTE, WEIGHTS


def points(picture, groups, *, size=4.6):
    """Groups of places on a picture: many as dots, one by one as larger marks, with a legend below.

    Args:
        picture: As ``as_picture`` takes it.
        groups: ``{name: places}``, each (2,) or (n, 2): row and column in pixels.
        size: Width in inches.
    """
    picture = as_picture(picture)
    fig, ax = plt.subplots(figsize=(size, size * picture.shape[0] / picture.shape[1] + 0.8))
    ax.imshow(picture, cmap="gray", extent=(0, picture.shape[1], picture.shape[0], 0))
    ax.axis("off")
    for (name, places), marker, colour in zip(groups.items(), "osD^v", [PALETTE[i] for i in (4, 5, 6, 3, 2)], strict=False):
        places = np.atleast_2d(places)
        side = 6 if len(places) > 1 else 11
        ax.plot(places[:, 1], places[:, 0], marker, ms=side, mfc=colour, mec="black", mew=1.2, ls="none", label=name)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=2, fontsize=10, handletextpad=0.3)
    return fig


def labelled_weights(weights, rows, columns, *, fmt="{:.2f}", size=None):
    """A small matrix of weights with a name for each row and column and the number in each cell.

    Args:
        weights: (rows, columns).
        rows, columns: Their names.
        fmt: Format of the numbers.
        size: Width and height in inches.
    """
    weights = as_array(weights, "weights")
    fig, ax = plt.subplots(figsize=size or (0.55 * len(columns) + 1.1, 0.5 * len(rows) + 1.2))
    draw_numbers(ax, weights, fmt, WEIGHTS)
    ax.set_xticks(range(len(columns)), columns, rotation=40, ha="left", rotation_mode="anchor")
    ax.set_yticks(range(len(rows)), rows)
    ax.xaxis.tick_top()
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return fig
