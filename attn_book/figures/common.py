"""Figures that several chapters draw: functions that take arrays and return a matplotlib Figure."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from attn_book.arrays import as_array
from attn_book.figures.style import INK, PALETTE, SIGNED, WEIGHTS
from attn_utils.explain import effective_keys

QUERY = PALETTE[5]  # the vermilion of every query in the book
SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def as_picture(image):
    """Bring (3, H, W), (H, W, 3), (1, H, W) or (H, W) values to what ``imshow`` takes.

    Raises:
        ValueError: The array is none of these.
    """
    image = as_array(image, "image")
    if image.ndim == 3 and image.shape[0] in (1, 3) and image.shape[-1] != 3:
        image = np.moveaxis(image, 0, -1)
    if image.ndim == 3 and image.shape[-1] == 1:
        image = image[..., 0]
    if image.ndim != 2 and not (image.ndim == 3 and image.shape[-1] == 3):
        raise ValueError(f"image must be (H, W), (H, W, 3) or (3, H, W), got shape {image.shape}")
    return np.clip(image, 0, 1) if image.ndim == 3 else image


def panels(count, *, columns, cell, ratio=1.0, lines=1):
    """A figure with room for pictures side by side.

    Args:
        count: How many pictures.
        columns: How many in a row; two are what a phone can show well.
        cell: Width of one in inches.
        ratio: Height of a picture, as a share of its width.
        lines: Lines of text above each.

    Returns:
        The figure, and its ``count`` axes in reading order, without ticks and frames.
    """
    rows = -(-count // columns)
    size = columns * cell, rows * (cell * ratio + 0.19 * lines + 0.1)
    fig, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="compressed")
    for ax in axes.flat:
        ax.axis("off")
    return fig, list(axes.flat[:count])


def colour_bar(axes, label, *, cmap=WEIGHTS, low=0.0, high=1.0, ticks=None, norm=None):
    """A bar below `axes` (one, or a list of several) that says which colour is which number.

    Args:
        axes: Axes of one figure.
        label: What the number is, with units.
        cmap: Colour map of the pictures.
        low, high: Range of the colours.
        ticks: ``{place: text}``; by default matplotlib chooses a few numbers.
        norm: Where colours are no even steps of the number, in place of low and high.
    """
    norm = norm or Normalize(low, high)
    if np.ndim(axes):
        where = {"ax": axes, "location": "bottom", "shrink": 0.7, "aspect": 28, "pad": 0.03}
    else:  # inside its own axes, so that panels in a row stay of one size
        where = {"cax": axes.inset_axes([0.1, -0.13, 0.8, 0.06]), "orientation": "horizontal"}
    bar = np.ravel(axes)[0].figure.colorbar(ScalarMappable(norm, cmap), **where)
    bar.solids.remove()  # 256 rectangles; a picture of one row says the same
    extent = (norm.vmin, norm.vmax, 0, 1)
    bar.ax.imshow(np.linspace(norm.vmin, norm.vmax, 256)[None], cmap=cmap, norm=norm, extent=extent, aspect="auto")
    bar.outline.set_visible(False)
    bar.set_label(label)
    if ticks is None:
        bar.ax.locator_params(axis="x", nbins=4 if np.ndim(axes) else 2)
    else:
        bar.set_ticks(list(ticks), labels=list(ticks.values()))


def own_scale_bar(axes, cmap=WEIGHTS):
    """The bar of maps of weights that are each coloured from 0 to their own largest weight."""
    colour_bar(axes, "weight, in each map from 0 to its largest", cmap=cmap, ticks={0: "0", 1: "max"})


def weight_note(weights):
    """The largest weight and the effective number of keys, exp of the entropy; NaN marks keys that may not be asked."""
    weights = np.ravel(weights)[np.isfinite(np.ravel(weights))]
    keys = float(effective_keys(weights / (weights.sum() or 1)))
    return f"max {weights.max():.2g}, {keys:,.{keys < 10:d}f} keys"


def pictures(images, titles=None, *, columns=None, cmap="gray", cell=2.0, vmin=None, vmax=None, label=None):
    """Pictures side by side, without axes.

    Args:
        images: Pictures, each as ``as_picture`` takes it.
        titles: A title for each, or None.
        columns: How many in a row; all by default. Two are what a phone can show well.
        cmap: Colour map of the pictures that have no colour of their own.
        cell: Width of one picture in inches.
        vmin, vmax: Range of the colour map; of each picture's own values by default, of all where they share a bar.
        label: What the colours of the map are: one text for a bar that all share, a list with a text (or None) for a bar under
            each; None where a colour is brightness and no number.
    """
    images = [as_picture(image) for image in images]
    mapped = [image for image in images if image.ndim == 2]
    if isinstance(label, str):
        vmin = min(np.nanmin(image) for image in mapped) if vmin is None else vmin
        vmax = max(np.nanmax(image) for image in mapped) if vmax is None else vmax
    ratio = max(image.shape[0] / image.shape[1] for image in images)
    fig, axes = panels(len(images), columns=columns or len(images), cell=cell, ratio=ratio, lines=0 if titles is None else 1)
    for i, (ax, image) in enumerate(zip(axes, images, strict=True)):
        shown = ax.imshow(image, cmap=cmap, vmin=vmin, vmax=vmax)
        if titles is not None:
            ax.set_title(titles[i])
        if label is not None and not isinstance(label, str) and label[i] is not None:
            colour_bar(ax, label[i], cmap=cmap, low=shown.norm.vmin, high=shown.norm.vmax)
    if isinstance(label, str):
        colour_bar(axes, label, cmap=cmap, low=vmin, high=vmax)
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
    arrays = [np.atleast_2d(as_array(array).astype(float)) for array in arrays]
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
    """`array` as coloured cells, each with its number in black or white, whichever can be read on it."""
    image = ax.imshow(array, cmap=cmap, aspect="equal")
    for (row, column), value in np.ndenumerate(array):
        red, green, blue, _ = image.cmap(image.norm(value))
        ink = "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else "white"
        ax.text(column, row, fmt.format(value), ha="center", va="center", color=ink)


def responses(picture, maps, queries, *, titles=None, columns=2, cmap=WEIGHTS, cell=2.7, alpha=0.75):
    """Where each of a few queries looks: the picture with the queries marked, then the map of each laid over the picture.

    Each map is coloured from 0 to its largest weight, which stands above it with the map's effective number of keys.

    Args:
        picture: As ``as_picture`` takes it, H × W pixels.
        maps: (Q, h, w), the weights of each query over a grid of h × w keys.
        queries: (Q, 2), the query's place on that grid as row and column.
        titles: A title for each map, or None.
        columns: How many panels in a row, the picture with the queries included.
        cmap: Colour map of the weights.
        cell: Width of one panel in inches.
        alpha: How strongly the map covers the picture.
    """
    picture, maps = as_picture(picture), as_array(maps, "maps")
    height, width = picture.shape[:2]
    down, across = height / maps.shape[1], width / maps.shape[2]  # pixels a key
    titles = titles if titles is not None else [f"query {i + 1}" for i in range(len(maps))]
    fig, axes = panels(len(maps) + 1, columns=columns, cell=cell, ratio=height / width, lines=2)
    for ax in axes:
        ax.imshow(picture, cmap="gray", extent=(0, width, height, 0))
    axes[0].set_title("queries")
    badge = {"boxstyle": "circle,pad=0.25", "fc": QUERY, "ec": "white"}
    for i, (ax, weights, (row, column), title) in enumerate(zip(axes[1:], maps, queries, titles, strict=True), 1):
        x, y = (column + 0.5) * across, (row + 0.5) * down
        axes[0].text(x, y, str(i), color="white", ha="center", va="center", fontweight="bold", bbox=badge)
        ax.imshow(weights, cmap=cmap, alpha=alpha, vmin=0, extent=(0, width, height, 0))
        ax.plot(x, y, "o", ms=8, mfc=QUERY, mec="white")
        ax.set_title(f"{title}\n{weight_note(weights)}")
    own_scale_bar(axes, cmap)
    return fig


def spotlights(picture, maps, places, *, titles=None, lighten=1.0, columns=2, cell=2.7, weights=True):
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
        weights: The maps are weights: write the largest and the effective number of keys above each.
    """
    picture = as_picture(picture)
    bright = picture**lighten
    dark = 0.2 * bright.mean(-1, keepdims=True)
    titles = titles if titles is not None else [""] * len(maps)
    fig, axes = panels(
        len(maps), columns=columns, cell=cell, ratio=picture.shape[0] / picture.shape[1], lines=2 if weights else 1
    )
    for ax, light, dots, title in zip(axes, maps, places, titles, strict=True):
        if light is None:
            ax.imshow(picture)
        else:
            light = as_array(light, "maps")
            title = f"{title}\n{weight_note(light)}" if weights else title
            light = np.sqrt(np.clip(light / max(np.quantile(light, 0.99), 1e-12), 0, 1))[..., None]
            ax.imshow(bright * light + dark * (1 - light))
        dots = np.atleast_2d(dots)
        ax.plot(dots[:, 1], dots[:, 0], "o", ms=7, mfc=QUERY, mec="white", mew=1.5)
        ax.set_title(title)
    return fig


def query_maps(picture, maps, query, titles, *, columns=2, cmap=WEIGHTS, cell=2.7, label=None):
    """A picture with one query marked on it, then several maps of that query on the same grid.

    Args:
        picture: As ``as_picture`` takes it, H × W pixels.
        maps: (K, h, w), one map for each title; NaN marks keys that the query may not ask, drawn grey.
        query: Its place on the grid as row and column, or None where the maps belong to no query.
        titles: A title for each map.
        columns: Panels in a row, the picture included.
        cmap: Colour map; with ``SIGNED`` the colours span evenly around 0.
        cell: Width of one panel in inches.
        label: What the maps show, where all share one range of colours. By default they are weights, each coloured from 0 to its
            largest, which stands above it with the effective number of keys.
    """
    picture, maps = as_picture(picture), as_array(maps, "maps")
    height, width = picture.shape[:2]
    extent = (0, width, height, 0)
    fig, axes = panels(len(maps) + 1, columns=columns, cell=cell, ratio=height / width, lines=1 if label else 2)
    axes[0].imshow(picture, cmap="gray", extent=extent)
    axes[0].set_title("the picture" if query is None else "the query")
    colours = plt.get_cmap(cmap).with_extremes(bad="#c8c8c8")
    for ax, one, title in zip(axes[1:], maps, titles, strict=True):
        high = np.nanmax(np.abs(maps if label else one))
        low = -high if cmap == SIGNED else 0
        ax.imshow(one, cmap=colours, vmin=low, vmax=high, extent=extent)
        ax.set_title(title if label else f"{title}\n{weight_note(one)}")
    if label:
        colour_bar(axes, label, cmap=cmap, low=low, high=high)
    else:
        own_scale_bar(axes, cmap)
    if query is not None:
        x, y = (query[1] + 0.5) * width / maps.shape[2], (query[0] + 0.5) * height / maps.shape[1]
        for ax in axes:
            ax.plot(x, y, "o", ms=9, mfc="none", mec="white", mew=3)
            ax.plot(x, y, "o", ms=9, mfc="none", mec=QUERY, mew=1.5)
    return fig


def curves(series, *, xlabel, ylabel, title=None, logx=False, logy=False, markers=False, xticks=None, size=(5.6, 3.4)):
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
        parts = values if isinstance(values, tuple) else (np.arange(len(values)), values)
        x, y, *band = (as_array(part, name) for part in parts)
        ax.plot(x, y, "o-" if markers else "-", label=name, color=PALETTE[i % len(PALETTE)])
        if band:
            ax.fill_between(x, *band, color=PALETTE[i % len(PALETTE)], alpha=0.2, lw=0)
    if logx:
        logarithmic(ax, "x")
    if logy:
        logarithmic(ax, "y")
    if xticks is not None:
        ax.set_xticks(xticks, xticks)
        ax.set_xticks([], minor=True)
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title or "")
    if len(series) > 1:
        ax.legend()
    return fig


def logarithmic(ax, which):
    """Make the x or y axis logarithmic, with powers of ten in one size of text: matplotlib's small exponents vanish on a phone."""
    axis = {"x": ax.xaxis, "y": ax.yaxis}[which]
    ax.set(**{f"{which}scale": "log"})
    axis.set_major_formatter(lambda value, _: power_of_ten(value))
    axis.set_minor_formatter(lambda value, _: "")


def power_of_ten(value):
    """0.01, 1, 100, 10,000, and beyond them 10⁻⁵ or 10⁶."""
    return f"{value:,g}" if 1e-3 <= value <= 1e5 else "10" + f"{np.log10(value):.0f}".translate(SUPERSCRIPT)


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
    fig, ax = plt.subplots(figsize=size or (5.6, 0.45 * len(names) + 1.0))
    places = np.arange(len(names))
    whiskers = {"capsize": 3, "lw": 1.2, "ecolor": INK}
    ax.barh(places, as_array(values), xerr=errors, color=PALETTE[0], error_kw=whiskers, height=0.65)
    ax.set_yticks(places, names)
    ax.invert_yaxis()
    ax.set_xlabel(xlabel)
    if reference is not None:
        ax.axvline(reference, color=PALETTE[7], ls="--", lw=1.2, label=reference_label)
        if reference_label:
            ax.legend(loc="lower right")
    return fig
