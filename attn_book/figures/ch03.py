"""The figures of chapter 3, the four steps."""

import matplotlib.pyplot as plt
import numpy as np

from attn_book.arrays import as_array
from attn_book.figures.style import WEIGHTS


def array_strips(rows, *, cell=0.42, cmap=WEIGHTS):
    """Rows of small arrays joined by arrows: what goes into a step on the left, what comes out on its right.

    Args:
        rows: For each row ``(label, stages)``; a stage is ``(title, array, fmt)``: array (rows, columns), fmt the format of
            its numbers. Every array is coloured by its own range.
        cell: Side of a cell in inches, the same for all.
        cmap: Colour map, one for all.
    """
    gap, head, slot = 1.1, 1.25, 2.5  # in cells: room for an arrow, for a title, and the least room for an array
    heights = [max(np.shape(array)[0] for _, array, _ in stages) + head + 0.75 * bool(label) for label, stages in rows]
    widths = [sum(max(np.shape(array)[1], slot) + gap for _, array, _ in stages) - gap for _, stages in rows]
    width, height = max(widths), sum(heights) + 0.45 * (len(rows) - 1)
    fig, ax = plt.subplots(figsize=(width * cell, height * cell), layout="none")
    ax.set_position([0, 0, 1, 1])
    ax.set(xlim=(-0.02 * width, 1.02 * width), ylim=(height + 0.05, -0.05))
    ax.axis("off")
    top = 0.0
    for (label, stages), row_height in zip(rows, heights, strict=True):
        if label:
            ax.text(0, top + 0.35, label, fontweight="bold", va="center")
        middle, x, before = top + row_height - (row_height - head - 0.75 * bool(label)) / 2, 0.0, 0.0
        for i, (title, array, fmt) in enumerate(stages):
            array = np.atleast_2d(as_array(array, title).astype(float))
            room = max(array.shape[1], slot)
            left, upper = x + (room - array.shape[1]) / 2, middle - array.shape[0] / 2
            _draw_array(ax, array, fmt, cmap, left, upper)
            ax.text(x + room / 2, upper - 0.18, title, ha="center", va="bottom", fontsize=11, linespacing=1.05)
            if i:
                ax.annotate("", (left - 0.2, middle), (before + 0.2, middle), arrowprops={"arrowstyle": "->", "lw": 1.3})
            before, x = left + array.shape[1], x + room + gap
        top += row_height + 0.45
    return fig


def _draw_array(ax, array, fmt, cmap, left, upper):
    """One array as coloured cells with numbers, its upper left corner at (left, upper) in data units."""
    low, high = array.min(), array.max()
    for (row, column), value in np.ndenumerate(array):
        shade = plt.get_cmap(cmap)((value - low) / (high - low) if high > low else 0.5)
        ax.add_patch(plt.Rectangle((left + column, upper + row), 1, 1, facecolor=shade, edgecolor="white", lw=1))
        ink = "black" if 0.299 * shade[0] + 0.587 * shade[1] + 0.114 * shade[2] > 0.5 else "white"
        ax.text(left + column + 0.5, upper + row + 0.5, fmt.format(value), ha="center", va="center", color=ink)
