"""The figures of chapter 4, the formula."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_rgb

from attn_book.arrays import as_array
from attn_book.figures.common import QUERY, as_picture
from attn_book.figures.style import INK, MUTED, PALETTE, SIGNED, WEIGHTS


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


def shapes(q, k, v, weights, out, *, query=1, cell=0.23):
    """Attention as five arrays with their shapes: Q Kᵀ makes scores, the softmax of each row weights, these mix V into Y.

    Args:
        q: (N, d).
        k: (M, d).
        v: (M, d_v).
        weights: (N, M).
        out: (N, d_v).
        query: The query whose row is framed in all arrays that have one.
        cell: Side of one number in inches.
    """
    q, k, v, weights, out = (as_array(array) for array in (q, k, v, weights, out))
    (N, d), M = q.shape, len(v)
    rows = [
        [("Q", "N × d", q, True), ("·", "Kᵀ", "d × M", k.T, False), ("÷ √d =", "scores S", "N × M", q @ k.T, True)],
        [("weights A", "N × M", weights, True), ("·", "V", "M × dᵥ", v, False), ("=", "out Y", "N × dᵥ", out, True)],
    ]
    signs, between, lines = {"": 0.0, "·": 1.4, "=": 1.8, "÷ √d =": 4.0}, 2.6, 2.6  # in cells: room for a sign, rows, a name
    tall = [max(N, d), max(N, M)]
    width, height = 1.0 + d + signs["·"] + M + signs["÷ √d ="] + M, sum(tall) + 2 * lines + between
    fig, ax = plt.subplots(figsize=(width * cell, height * cell), layout="none")
    ax.set_position([0, 0, 1, 1])
    ax.set(xlim=(0, width), ylim=(height, 0))
    ax.axis("off")
    top = lines
    for stages, most in zip(rows, tall, strict=True):
        x = 0.5
        for *sign, name, shape, array, has_query in stages:
            sign = sign[0] if sign else ""
            ax.text(x + signs[sign] / 2, top + most / 2, sign, ha="center", va="center", fontsize=14)
            x += signs[sign]
            upper = top + (most - len(array)) / 2
            _coloured_cells(ax, array, x, upper, WEIGHTS if array is weights else SIGNED)
            ax.text(x + array.shape[1] / 2, upper - 1.35, name, ha="center", va="bottom", fontsize=12, fontweight="bold")
            ax.text(x + array.shape[1] / 2, upper - 0.25, shape, ha="center", va="bottom", color=MUTED)
            if has_query:
                frame = {"fill": False, "ec": QUERY, "lw": 2.5, "zorder": 3}
                ax.add_patch(plt.Rectangle((x, upper + query), array.shape[1], 1, **frame))
            x += array.shape[1]
        top += most + between + lines
    arrow = {"arrowstyle": "->", "lw": 1.5, "color": INK, "connectionstyle": "arc3,rad=0.12"}
    start, end = (width - 0.5 - M / 2, lines + tall[0] + 0.3), (0.7 * M, lines + tall[0] + between + 0.6)
    ax.annotate("", end, start, arrowprops=arrow)
    ax.text(width - 0.5, start[1] + 0.5, "softmax of each row", ha="right", va="top")
    return fig


def _coloured_cells(ax, array, left, upper, cmap):
    """A small array as coloured cells, without numbers; a signed map spans evenly around 0."""
    high = np.abs(array).max() or 1.0
    low = -high if cmap == SIGNED else 0.0
    for (row, column), value in np.ndenumerate(array):
        colour = plt.get_cmap(cmap)((value - low) / (high - low))
        ax.add_patch(plt.Rectangle((left + column, upper + row), 1, 1, facecolor=colour, edgecolor="white", lw=0.8))


def coloured_digits(rows, *, cell=0.68):
    """Rows of small scans, each in a colour of its own or in grey.

    Args:
        rows: ``{title: (scans, colours)}``: scans (n, H, W) in [0, 1], 1 = ink; colours the place of each in the palette, or -1
            for grey.
        cell: Width of one scan in inches.
    """
    columns = max(len(scans) for scans, _ in rows.values())
    fig, axes = plt.subplots(len(rows), columns, figsize=(columns * cell, len(rows) * (cell + 0.3)), squeeze=False)
    for ax in axes.flat:
        ax.axis("off")
    for line, (title, (scans, colours)) in zip(axes, rows.items(), strict=True):
        line[0].set_title(title, loc="left")
        for ax, scan, colour in zip(line, as_array(scans, title), as_array(colours, title)):
            ink = np.array(to_rgb(PALETTE[colour] if colour >= 0 else "white"))
            ax.imshow(scan[..., None] * ink, vmin=0, vmax=1)
    return fig
