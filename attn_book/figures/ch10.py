"""The figures of chapter 10, generation."""

import matplotlib.pyplot as plt
import numpy as np

from attn_book.arrays import as_array
from attn_book.figures.common import panels
from attn_book.figures.style import INK, MUTED, PALETTE

DRAWN_TIMES = 41  # on each way of `journeys`: more would not be seen, and the page would have to carry them


def sheets(sets, *, columns=10, margin=2, width=5.4):
    """Many small grey pictures, one sheet for each set, below each other; all from 0 = black to 1 = white.

    Args:
        sets: ``{title: pictures}``, pictures (n, 1, H, W) or (n, H, W) in [0, 1], cut off outside.
        columns: Pictures in a row of a sheet.
        margin: Pixels between two.
        width: Width of a sheet in inches.
    """
    tiled = [tile(pictures, columns, margin) for pictures in sets.values()]
    ratio = max(sheet.shape[0] / sheet.shape[1] for sheet in tiled)
    fig, axes = panels(len(tiled), columns=1, cell=width, ratio=ratio)
    for ax, title, sheet in zip(axes, sets, tiled, strict=True):
        ax.imshow(sheet, cmap="gray", vmin=0, vmax=1)
        ax.set_title(title)
    return fig


def tile(pictures, columns, margin):
    """Pictures in rows of so many, white between them: one array (rows · (H + margin) − margin, …); where they end, white."""
    pictures = as_array(pictures, "pictures")
    pictures = pictures[:, 0] if pictures.ndim == 4 else pictures
    n, H, W = pictures.shape
    rows = -(-n // columns)
    sheet = np.ones((rows, H + margin, columns, W + margin), np.float32)
    for number, picture in enumerate(pictures):
        sheet[number // columns, :H, number % columns, :W] = picture.clip(0, 1)
    return sheet.reshape(rows * (H + margin), -1)[: -margin or None, : -margin or None]


def velocity_fields(places, fields, *, cell=2.7):
    """Arrows of velocities at places in a plane, one panel for each field, all drawn to one scale.

    Args:
        places: (n, 2), x and y.
        fields: ``{title: (n, 2)}``.
        cell: Width of one panel in inches.
    """
    places, fields = as_array(places, "places"), {title: as_array(v, title) for title, v in fields.items()}
    fastest = max(np.linalg.norm(v, axis=1).max() for v in fields.values())
    spacing = np.ptp(places[:, 0]) / (len(np.unique(places[:, 0])) - 1)
    fig, axes = panels(len(fields), columns=2, cell=cell)
    for ax, (title, v) in zip(axes, fields.items(), strict=True):
        arrows = {"angles": "xy", "scale_units": "xy", "scale": fastest / (1.6 * spacing), "width": 0.006}
        ax.quiver(*places.T, *v.T, color=PALETTE[0], **arrows)
        ax.set(aspect="equal", title=title)
    return fig


def journeys(paths, *, cell=2.7, reach=None):
    """Where points of a plane go on the way from noise to data: a line for each, from a grey ring to a dot.

    Args:
        paths: ``{title: (times, n, 2)}``. Of more than `DRAWN_TIMES` times evenly many are drawn, the first and the last among them.
        cell: Width of one panel in inches.
        reach: All panels show x and y from -reach to reach; by default as far as any path goes.
    """
    paths = {title: as_array(path, title) for title, path in paths.items()}
    reach = reach or 1.05 * max(np.abs(path).max() for path in paths.values())
    fig, axes = panels(len(paths), columns=2, cell=cell)
    for ax, (title, path) in zip(axes, paths.items(), strict=True):
        drawn = path[np.linspace(0, len(path) - 1, min(len(path), DRAWN_TIMES)).round().astype(int)]
        ax.plot(drawn[..., 0], drawn[..., 1], color=PALETTE[4], lw=0.8)
        ax.plot(*path[0].T, "o", ms=4, mfc="none", mec=MUTED)
        ax.plot(*path[-1].T, "o", ms=4, color=PALETTE[5])
        ax.set(aspect="equal", xlim=(-reach, reach), ylim=(-reach, reach), title=title)
    return fig


def trade_off(series, *, xlabel, ylabel, notes, floor=None, size=(5.6, 3.6)):
    """Two scores against each other along a setting: a line for each model, and what the setting was at each point.

    Args:
        series: ``{name: (x, y)}``.
        xlabel, ylabel: What the axes show.
        notes: The setting's values, one for each point, written beside those of the first line.
        floor: Where real pictures lie, a dashed line at this y, or None.
        size: Width and height in inches.
    """
    fig, ax = plt.subplots(figsize=size)
    for i, (name, (x, y)) in enumerate(series.items()):
        ax.plot(as_array(x), as_array(y), "o-", label=name, color=PALETTE[i])
    x, y = next(iter(series.values()))
    for one, other, note in zip(x, y, notes, strict=True):
        ax.annotate(note, (one, other), xytext=(5, 5), textcoords="offset points", color=INK)
    if floor is not None:
        ax.axhline(floor, color=PALETTE[7], ls="--", lw=1.2, label="equally many real ones")
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.legend()
    return fig
