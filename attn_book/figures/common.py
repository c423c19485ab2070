"""Figures that several chapters draw: functions that take arrays and return a matplotlib Figure."""

import matplotlib.pyplot as plt
import numpy as np

from attn_book.figures.style import PALETTE, SIGNED, WEIGHTS


def as_picture(image):
    """Bring (3, H, W), (H, W, 3), (1, H, W) or (H, W) values to what ``imshow`` takes.

    Raises:
        ValueError: The array is none of these.
    """
    image = np.asarray(image.detach().cpu() if hasattr(image, "detach") else image)
    if image.ndim == 3 and image.shape[0] in (1, 3) and image.shape[-1] != 3:
        image = np.moveaxis(image, 0, -1)
    if image.ndim == 3 and image.shape[-1] == 1:
        image = image[..., 0]
    if image.ndim != 2 and not (image.ndim == 3 and image.shape[-1] == 3):
        raise ValueError(f"image must be (H, W), (H, W, 3) or (3, H, W), got shape {image.shape}")
    return np.clip(image, 0, 1) if image.ndim == 3 else image


def pictures(images, titles=None, *, columns=None, cmap="gray", cell=2.0, vmin=None, vmax=None):
    """Pictures side by side, without axes.

    Args:
        images: Pictures, each as ``as_picture`` takes it.
        titles: A title for each, or None.
        columns: How many in a row; all by default, at most 4 is readable on a phone.
        cmap: Colour map of the pictures that have no colour of their own.
        cell: Width of one picture in inches.
        vmin, vmax: Range of the colour map; of each picture's own values by default.
    """
    images = [as_picture(image) for image in images]
    columns = columns or len(images)
    rows = -(-len(images) // columns)
    ratio = max(image.shape[0] / image.shape[1] for image in images)
    height = rows * (cell * ratio + (0.35 if titles is not None else 0.05))
    fig, axes = plt.subplots(rows, columns, figsize=(columns * cell, height), squeeze=False)
    for ax in axes.flat:
        ax.axis("off")
    for i, image in enumerate(images):
        ax = axes.flat[i]
        ax.imshow(image, cmap=cmap, vmin=vmin, vmax=vmax)
        if titles is not None:
            ax.set_title(titles[i])
    return fig


def number_grids(arrays, titles=None, *, fmt="{:g}", cmap=WEIGHTS, cell=0.62, columns=None):
    """Small arrays drawn as grids, each cell coloured by its value and carrying its number.

    Args:
        arrays: Arrays of shape (rows, columns).
        titles: A title for each, or None.
        fmt: Format of the numbers, one for all or a list with one for each array.
        cmap: Colour map, one for all.
        cell: Side of a cell in inches.
        columns: How many grids in a row; all by default.
    """
    arrays = [np.atleast_2d(np.asarray(array, dtype=float)) for array in arrays]
    formats = [fmt] * len(arrays) if isinstance(fmt, str) else list(fmt)
    columns = columns or len(arrays)
    rows = -(-len(arrays) // columns)
    width = columns * max(max(array.shape[1] for array in arrays) * cell, 1.5)
    height = rows * (max(array.shape[0] for array in arrays) * cell + (0.5 if titles is not None else 0.1))
    fig, axes = plt.subplots(rows, columns, figsize=(width, height), squeeze=False)
    for ax in axes.flat:
        ax.axis("off")
    for i, (array, one) in enumerate(zip(arrays, formats, strict=True)):
        ax = axes.flat[i]
        draw_numbers(ax, array, one, cmap)
        if titles is not None:
            ax.set_title(titles[i])
    return fig


def draw_numbers(ax, array, fmt, cmap):
    image = ax.imshow(array, cmap=cmap, aspect="equal")
    for (row, column), value in np.ndenumerate(array):
        red, green, blue, _ = image.cmap(image.norm(value))
        ink = "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else "white"
        ax.text(column, row, fmt.format(value), ha="center", va="center", color=ink)


def responses(picture, maps, queries, *, titles=None, columns=None, cmap=WEIGHTS, cell=2.1, alpha=0.75):
    """Where each of a few queries looks: the picture with the query marked, then its map laid over the picture.

    Args:
        picture: As ``as_picture`` takes it, H × W pixels.
        maps: (Q, h, w), the weights of each query over a grid of h × w keys.
        queries: (Q, 2), the query's place on that grid as row and column.
        titles: A title for each map, or None.
        columns: How many panels in a row, the picture with the queries included; all by default, at most 4 is readable on a phone.
        cmap: Colour map of the weights.
        cell: Width of one panel in inches.
        alpha: How strongly the map covers the picture.
    """
    picture, maps = as_picture(picture), np.asarray(maps)
    height, width = picture.shape[:2]
    key_rows, key_columns = maps.shape[1:]
    across = columns or len(maps) + 1
    down = -(-(len(maps) + 1) // across)
    fig, axes = plt.subplots(down, across, figsize=(across * cell, down * (cell * height / width + 0.35)), squeeze=False)
    axes = axes.ravel()
    for ax in axes:
        ax.axis("off")
    for ax in axes[: len(maps) + 1]:
        ax.imshow(picture, cmap="gray", extent=(0, width, height, 0))
    for i, (weights, (row, column)) in enumerate(zip(maps, queries, strict=True)):
        x, y = (column + 0.5) * width / key_columns, (row + 0.5) * height / key_rows
        colour = PALETTE[5]
        axes[0].text(
            x,
            y,
            str(i + 1),
            color="white",
            ha="center",
            va="center",
            fontweight="bold",
            bbox={"boxstyle": "circle,pad=0.25", "fc": colour, "ec": "white"},
        )
        axes[i + 1].imshow(weights, cmap=cmap, alpha=alpha, extent=(0, width, height, 0))
        axes[i + 1].plot(x, y, "o", ms=8, mfc=colour, mec="white")
        axes[i + 1].set_title(titles[i] if titles is not None else f"query {i + 1}")
    axes[0].set_title("queries")
    return fig


def curves(series, *, xlabel, ylabel, title=None, logx=False, logy=False, markers=False, xticks=None, size=(6.4, 3.6)):
    """Lines with a legend.

    Args:
        series: ``{name: y}``, ``{name: (x, y)}`` or ``{name: (x, y, low, high)}``; low and high draw a band.
        xlabel, ylabel: What the axes show, with units.
        title: Title, or None.
        logx, logy: Logarithmic axes.
        markers: Mark each point.
        xticks: Where to write numbers on the x axis; matplotlib chooses by default.
        size: Width and height in inches.
    """
    fig, ax = plt.subplots(figsize=size)
    for i, (name, values) in enumerate(series.items()):
        x, y, *band = values if isinstance(values, tuple) else (np.arange(len(values)), values)
        ax.plot(x, y, "o-" if markers else "-", label=name, color=PALETTE[i % len(PALETTE)])
        if band:
            ax.fill_between(x, *band, color=PALETTE[i % len(PALETTE)], alpha=0.2, lw=0)
    if logx:
        ax.set_xscale("log")
    if logy:
        ax.set_yscale("log")
    if xticks is not None:
        ax.set_xticks(xticks, xticks)
        ax.set_xticks([], minor=True)
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title or "")
    if len(series) > 1:
        ax.legend()
    return fig


def bars(names, values, *, errors=None, xlabel, reference=None, reference_label=None, size=None):
    """Horizontal bars, first on top, with error bars and a reference line.

    Args:
        names: A name for each bar.
        values: A value for each bar.
        errors: Half-widths, or (2, bars) lower and upper ones, or None.
        xlabel: What the bars show, with units.
        reference: Where to draw a dashed line (chance, floor), or None.
        reference_label: What the line is.
        size: Width and height in inches; by default as high as the bars need.
    """
    fig, ax = plt.subplots(figsize=size or (6.4, 0.45 * len(names) + 1.0))
    places = np.arange(len(names))
    ax.barh(places, values, xerr=errors, color=PALETTE[0], error_kw={"capsize": 3, "lw": 1.2}, height=0.65)
    ax.set_yticks(places, names)
    ax.invert_yaxis()
    ax.set_xlabel(xlabel)
    if reference is not None:
        ax.axvline(reference, color=PALETTE[7], ls="--", lw=1.2, label=reference_label)
        if reference_label:
            ax.legend(loc="lower right")
    return fig


def spotlights(picture, maps, places, *, titles=None, lighten=1.0, columns=2, cell=2.6):
    """The picture lit by weights, once for each map: in colour where a query looks, dark grey where it does not.

    Args:
        picture: As ``as_picture`` takes it, H × W pixels.
        maps: (maps, H, W), weights over the pixels; None in place of a map shows the picture as it is. The light is
            the square root of a weight, as a share of the map's 99th percentile.
        places: For each map the dots to draw, (2,) or (dots, 2): row and column in pixels.
        titles: A title for each map, or None.
        lighten: Exponent of the lit pixels; below 1 it shows dark things, such as leaves, lighter than they are.
        columns: Panels in a row.
        cell: Width of one panel in inches.
    """
    picture = as_picture(picture)
    bright = picture**lighten
    dark = 0.2 * bright.mean(-1, keepdims=True)
    height, width = picture.shape[:2]
    rows = -(-len(maps) // columns)
    fig, axes = plt.subplots(rows, columns, figsize=(columns * cell, rows * (cell * height / width + 0.3)), squeeze=False)
    for ax in axes.flat:
        ax.axis("off")
    for i, (ax, weights, dots) in enumerate(zip(axes.flat, maps, places, strict=False)):
        if weights is None:
            ax.imshow(picture)
        else:
            light = np.sqrt(np.clip(weights / max(np.quantile(weights, 0.99), 1e-12), 0, 1))[..., None]
            ax.imshow(bright * light + dark * (1 - light))
        dots = np.atleast_2d(dots)
        ax.plot(dots[:, 1], dots[:, 0], "o", ms=7, mfc=PALETTE[5], mec="white", mew=1.5)
        ax.set_title(titles[i] if titles is not None else "")
    return fig


def query_maps(picture, maps, query, titles, *, columns=3, cmap=WEIGHTS, cell=2.15, shared=False):
    """A picture with one query marked on it, then several maps of that query on the same grid.

    Args:
        picture: As ``as_picture`` takes it, H × W pixels.
        maps: (K, h, w), one map for each title; NaN marks keys that the query may not ask, drawn grey.
        query: Its place on the grid as row and column, or None where the maps belong to no query.
        titles: A title for each map.
        columns: Panels in a row, the picture included.
        cmap: Colour map; with ``SIGNED`` each map spans its range evenly around 0.
        cell: Width of one panel in inches.
        shared: One range of colours for all maps instead of one for each.
    """
    picture, maps = as_picture(picture), np.asarray(maps)
    height, width = picture.shape[:2]
    rows = -(-(len(maps) + 1) // columns)
    fig, axes = plt.subplots(rows, columns, figsize=(columns * cell, rows * (cell * height / width + 0.32)), squeeze=False)
    for ax in axes.flat:
        ax.axis("off")
    axes.flat[0].imshow(picture, cmap="gray", extent=(0, width, height, 0))
    axes.flat[0].set_title("the picture" if query is None else "the query")
    for ax, one, title in zip(axes.flat[1:], maps, titles):
        of = maps if shared else one
        top = np.nanmax(np.abs(of))
        colours = plt.get_cmap(cmap).with_extremes(bad="#c8c8c8")
        ax.imshow(one, cmap=colours, vmin=-top if cmap == SIGNED else 0, vmax=top, extent=(0, width, height, 0))
        ax.set_title(title)
    if query is not None:
        x, y = (query[1] + 0.5) * width / maps.shape[2], (query[0] + 0.5) * height / maps.shape[1]
        for ax in axes.flat[: len(maps) + 1]:
            ax.plot(x, y, "o", ms=9, mfc="none", mec="white", mew=3)
            ax.plot(x, y, "o", ms=9, mfc="none", mec=PALETTE[5], mew=1.5)
    return fig
