"""The figures of chapter 4, the formula."""

import matplotlib.pyplot as plt
import numpy as np

from attn_book.arrays import as_array
from attn_book.figures.common import as_picture
from attn_book.figures.style import PALETTE


def picture_row(picture, row, series, *, points=None, points_label=None, ylabel="brightness"):
    """A row of pixels marked on its picture, and below it curves over that row.

    Args:
        picture: As ``as_picture`` takes it, W pixels wide.
        row: Which row is marked.
        series: ``{name: (W,) values}``; the first is drawn in grey, as the truth.
        points: (x, y) of known points, or None.
        points_label: What they are.
        ylabel: What the curves show.
    """
    picture = as_picture(picture)
    height, width = picture.shape[:2]
    fig, (above, below) = plt.subplots(
        2, 1, figsize=(4.8, 4.8 * height / width + 2.9), sharex=True, height_ratios=[4.5 * height / width, 2.7]
    )
    above.imshow(picture, cmap="gray", extent=(0, width, height, 0), aspect="auto")
    above.axhline(row + 0.5, color=PALETTE[5], lw=2)
    above.axis("off")
    for i, (name, values) in enumerate(series.items()):
        colour, thick = ("0.6", 3.5) if i == 0 else (PALETTE[[0, 5, 2, 3][i - 1]], 1.8)
        below.plot(np.arange(width) + 0.5, as_array(values, name), color=colour, lw=thick, label=name)
    if points is not None:
        below.plot(np.asarray(points[0]) + 0.5, points[1], "o", ms=5, color=PALETTE[7], label=points_label)
    below.set(xlabel="column in pixels", ylabel=ylabel, xlim=(0, width))
    low, high = below.get_ylim()
    below.set_ylim(low, high + 0.32 * (high - low))
    below.legend(ncols=2, loc="upper center", fontsize=10)
    return fig
