"""The figures of the book: functions that take arrays and return a matplotlib Figure."""

import io

import matplotlib.pyplot as plt
import numpy as np
from IPython import get_ipython
from matplotlib.figure import Figure
from PIL import Image

# Okabe & Ito's palette: eight colours that stay apart for every common form of colour blindness.
PALETTE = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000"]
WEIGHTS = "viridis"  # the colour map of every attention weight in the book
SIGNED = "PuOr"  # the colour map of everything that has a sign


def use_style():
    """Set the look of all figures of a chapter; call it once, in the first cell.

    In a notebook figures become PNGs of at most 256 colours, a third of the size, unless that could be seen.
    """
    _show_figures_in_few_colours()
    plt.rcParams.update(
        {
            "figure.dpi": 130,
            "figure.figsize": (6.4, 3.6),
            "figure.constrained_layout.use": True,
            "figure.facecolor": "white",
            "savefig.facecolor": "white",
            "font.size": 11,
            "axes.titlesize": 11,
            "axes.labelsize": 11,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.prop_cycle": plt.cycler(color=PALETTE),
            "axes.grid": False,
            "image.cmap": WEIGHTS,
            "image.interpolation": "nearest",
            "legend.frameon": False,
            "lines.linewidth": 2.0,
        }
    )


def _show_figures_in_few_colours():
    shell = get_ipython()
    if shell is None or not hasattr(shell, "kernel"):
        return
    plt.switch_backend(plt.get_backend())  # the notebook's backend registers its own PNGs first
    shell.display_formatter.formatters["image/png"].for_type(Figure, _png_of_few_colours)


def _png_of_few_colours(fig):
    """The figure as PNG bytes, from an adaptive palette."""
    full, small = io.BytesIO(), io.BytesIO()
    fig.savefig(full, format="png", bbox_inches="tight")
    true = Image.open(full).convert("RGB")
    few = true.quantize(256, dither=Image.Dither.FLOYDSTEINBERG)
    moved = np.abs(np.asarray(true, int) - np.asarray(few.convert("RGB"), int)).mean()
    # A picture lit by weights would lose its rare, strong colours: it keeps them all.
    (few if moved < 1 else true).save(small, "png", optimize=True)
    return small.getvalue()


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
        _draw_numbers(ax, array, one, cmap)
        if titles is not None:
            ax.set_title(titles[i])
    return fig


def _draw_numbers(ax, array, fmt, cmap):
    image = ax.imshow(array, cmap=cmap, aspect="equal")
    for (row, column), value in np.ndenumerate(array):
        red, green, blue, _ = image.cmap(image.norm(value))
        ink = "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else "white"
        ax.text(column, row, fmt.format(value), ha="center", va="center", color=ink)


def weight_matrix(weights, *, title=None, xlabel="key", ylabel="query", label="weight", cmap=WEIGHTS, vmin=0.0, vmax=None):
    """One matrix of weights (N, M) with its colour bar: a row for each query, a column for each key."""
    fig, ax = plt.subplots(figsize=(4.6, 3.8))
    image = ax.imshow(np.asarray(weights), cmap=cmap, vmin=vmin, vmax=vmax, aspect="auto")
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title or "")
    fig.colorbar(image, ax=ax, label=label)
    return fig


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
            array = np.atleast_2d(np.asarray(array, dtype=float))
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
        ax.text(left + column + 0.5, upper + row + 0.5, fmt.format(value), ha="center", va="center", color=ink, fontsize=10.5)


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


def receptive_fields(maps, titles, *, reach, columns=2, cell=2.6):
    """How strongly one output pixel, in the middle, depends on every input pixel.

    Args:
        maps: (maps, H, W), each drawn as a share of its largest value, square-rooted so that the faint part shows.
        titles: A title for each.
        reach: For each, the distance in px beyond which nothing can arrive (drawn as a dashed square), or None.
        columns: Panels in a row.
        cell: Width of one panel in inches.
    """
    rows = -(-len(maps) // columns)
    fig, axes = plt.subplots(rows, columns, figsize=(columns * cell, rows * (cell + 0.3)), squeeze=False)
    for ax in axes.flat:
        ax.axis("off")
    for ax, influence, title, far in zip(axes.flat, maps, titles, reach, strict=False):
        ax.imshow(np.sqrt(influence / influence.max()), cmap="magma", vmin=0, vmax=1)
        if far is not None:
            corner, side = influence.shape[0] // 2 - far - 0.5, 2 * far + 1
            ax.add_patch(plt.Rectangle((corner, corner), side, side, fill=False, ec="white", ls="--", lw=1.2))
        ax.set_title(title)
    return fig


def gains(differences, names, groups, *, xlabel, size=(4.6, 5.4)):
    """Paired differences as dots around zero: one dot for each repetition, gains in blue, losses in vermilion.

    Args:
        differences: (groups, names, repetitions).
        names: What was measured (photographs), from top to bottom in each group.
        groups: Titles of the panels, from top to bottom.
        xlabel: What the difference is, with units.
        size: Width and height in inches.
    """
    fig, axes = plt.subplots(len(groups), 1, figsize=size, sharex=True, squeeze=False)
    for ax, group, rows in zip(axes[:, 0], groups, np.asarray(differences), strict=True):
        for place, values in enumerate(rows):
            colours = [PALETTE[0] if value > 0 else PALETTE[5] for value in values]
            ax.scatter(values, np.full(len(values), place), c=colours, marker="o", s=28, zorder=3, alpha=0.85)
        ax.axvline(0, color="black", lw=1)
        ax.set_yticks(range(len(names)), names)
        ax.set_ylim(len(names) - 0.5, -0.5)
        ax.set_title(group, loc="left")
    axes[-1, 0].set_xlabel(xlabel)
    return fig


def timeline(entries, kinds, *, size=(4.4, 8.6)):
    """A vertical time line, oldest on top, evenly spaced.

    Args:
        entries: (year and month, name, what it brought, kind) for each step; a kind is a key of ``kinds``.
        kinds: ``{kind: index into the palette}``, also the legend.
        size: Width and height in inches.
    """
    fig, ax = plt.subplots(figsize=size)
    ax.plot([0, 0], [-0.4, len(entries) - 0.6], color="0.75", lw=3, zorder=1, solid_capstyle="round")
    for place, (when, name, what, kind) in enumerate(entries):
        colour = PALETTE[kinds[kind]]
        ax.plot(0, place, "o", ms=11, mfc=colour, mec="white", mew=1.5, zorder=2)
        ax.text(-0.45, place, when, ha="right", va="center", color="0.35", fontsize=9)
        ax.text(0.45, place - 0.17, name, ha="left", va="center", fontweight="bold", color="0.1")
        ax.text(0.45, place + 0.24, what, ha="left", va="center", fontsize=9)
    for kind, index in kinds.items():
        ax.plot([], [], "o", ms=9, color=PALETTE[index], label=kind)
    ax.legend(loc="upper center", bbox_to_anchor=(0.45, 0.0), ncols=2, fontsize=9, handletextpad=0.2, columnspacing=1.0)
    ax.set(xlim=(-2.6, 8), ylim=(len(entries) - 0.3, -0.7))
    ax.axis("off")
    return fig


# ----------------------------------------------------------------------------- chapter 04, the formula


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
        below.plot(np.arange(width) + 0.5, values, color=colour, lw=thick, label=name)
    if points is not None:
        below.plot(np.asarray(points[0]) + 0.5, points[1], "o", ms=5, color=PALETTE[7], label=points_label)
    below.set(xlabel="column in pixels", ylabel=ylabel, xlim=(0, width))
    low, high = below.get_ylim()
    below.set_ylim(low, high + 0.32 * (high - low))
    below.legend(ncols=2, loc="upper center", fontsize=9)
    return fig


def channel_gates(names, colours, averages, gates):
    """The average of every channel, and beside it the gates that were made of the averages.

    Args:
        names: A name for each channel.
        colours: A colour for each channel, anything matplotlib takes.
        averages: (C,).
        gates: {title: (C,)}, values in [0, 1].
    """
    fig, axes = plt.subplots(1, 1 + len(gates), figsize=(2.0 + 1.6 * (1 + len(gates)), 0.3 * len(names) + 1.1), sharey=True)
    for ax, values, title in zip(axes, [averages, *gates.values()], ["average", *gates], strict=True):
        ax.barh(range(len(names)), values, color=colours, edgecolor="black", lw=0.8)
        ax.set_title(title)
    axes[0].set_yticks(range(len(names)), names)
    axes[0].invert_yaxis()
    for ax in axes[1:]:
        ax.axvline(0.5, color=PALETTE[7], ls=":", lw=1)
        ax.set_xlim(0, 1)
        ax.set_xticks([0, 0.5, 1], ["0", "½", "1"])
    return fig


def point_paths(picture, paths, reference, *, size=3.6):
    """How sampling points moved: a line for each from where it began (hollow) to where it ended (full).

    Args:
        picture: As ``as_picture`` takes it, H × W pixels.
        paths: (steps, points, 2), x and y in pixels, (0, 0) the centre of the first pixel.
        reference: (2,), x and y of the place the points belong to.
        size: Width in inches.
    """
    picture, paths = as_picture(picture), np.asarray(paths)
    fig, ax = plt.subplots(figsize=(size, size * picture.shape[0] / picture.shape[1]))
    ax.imshow(picture, cmap="gray")
    ax.axis("off")
    ax.plot(paths[..., 0], paths[..., 1], "-", color="white", lw=2.6)
    ax.plot(paths[..., 0], paths[..., 1], "-", color=PALETTE[5], lw=1.4)
    ax.plot(*paths[0].T, "o", ms=7, mfc="none", mec="white", mew=1.8)
    ax.plot(*paths[-1].T, "o", ms=8, mfc=PALETTE[5], mec="white", mew=1.5)
    ax.plot(*reference, "P", ms=12, mfc=PALETTE[6], mec="black", mew=1.2)
    return fig


# ----------------------------------------------------------------------------- chapter 07, classification


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


def heads_by_layer(picture, maps, query, target, *, cell=1.75):
    """A picture with its query and target cells outlined, and one map for each layer (row) and head (column).

    Args:
        picture: As ``as_picture`` takes it.
        maps: (layers, heads, N), the weights of the query over a square grid of N cells; each map spans its own range from 0.
        query: Number of the query's cell, row by row; outlined in white, dashed.
        target: Number of the cell that the weights should find; outlined in vermilion.
        cell: Width of one panel in inches.
    """
    picture, maps = as_picture(picture), np.asarray(maps)
    layers, heads, cells = maps.shape
    side = round(cells**0.5)
    fig, axes = plt.subplots(layers, heads + 1, figsize=((heads + 1) * cell, layers * (cell + 0.3)), squeeze=False)
    for ax in axes.flat:
        ax.axis("off")
    axes[0, 0].imshow(picture, extent=(0, side, side, 0))
    axes[0, 0].set_title("the picture")
    for layer, head in np.ndindex(layers, heads):
        ax = axes[layer, head + 1]
        ax.imshow(maps[layer, head].reshape(side, side), vmin=0, cmap=WEIGHTS, extent=(0, side, side, 0))
        ax.set_title(f"layer {layer + 1}, head {head + 1}")
    for ax in [axes[0, 0], *axes[:, 1:].flat]:
        for where, colour, dash in ((query, "white", "--"), (target, PALETTE[5], "-")):
            corner = where % side, where // side
            ax.add_patch(plt.Rectangle(corner, 1, 1, fill=False, ec=colour, ls=dash, lw=2.2, clip_on=False))
    return fig


def growth_lines(labels, sizes, series, *, xlabel, ylabel, size=(4.8, 4.6)):
    """Costs over sizes, both on logarithmic axes, so that a power law is a straight line.

    Args:
        labels: How the sizes are written at the axis.
        sizes: (sizes,), positive.
        series: {name: (sizes,)}, positive.
        xlabel, ylabel: What the axes show, with units.
        size: Width and height in inches; the legend stands below.
    """
    fig, ax = plt.subplots(figsize=size)
    for i, (name, costs) in enumerate(series.items()):
        ax.plot(sizes, costs, "o-", label=name, color=[*PALETTE[:6], PALETTE[7]][i % 7])
    ax.set(xscale="log", yscale="log", xlabel=xlabel, ylabel=ylabel)
    ax.set_xticks(sizes, labels)
    ax.minorticks_off()
    fig.legend(loc="outside lower center", ncols=2)
    return fig


# ----------------------------------------------------------------------------- chapter 02, core concepts


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
    weights = np.asarray(weights)
    fig, ax = plt.subplots(figsize=size or (0.6 * len(columns) + 1.2, 0.5 * len(rows) + 1.2))
    _draw_numbers(ax, weights, fmt, WEIGHTS)
    ax.set_xticks(range(len(columns)), columns, rotation=40, ha="left", rotation_mode="anchor")
    ax.set_yticks(range(len(rows)), rows)
    ax.xaxis.tick_top()
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return fig


def boxed(images, boxes, colours, *, columns=2, cell=2.6):
    """Pictures with boxes drawn on them.

    Args:
        images: Pictures, each as ``as_picture`` takes it.
        boxes: For each picture (k, 4): x0, y0, x1, y1 in pixels.
        colours: For each picture k colours, anything matplotlib takes.
        columns: Pictures in a row.
        cell: Width of one picture in inches.
    """
    fig = pictures(images, columns=columns, cell=cell)
    for ax, some, inks in zip(fig.axes, boxes, colours, strict=False):
        for (x0, y0, x1, y1), ink in zip(some, inks, strict=True):
            for line, edge in ((3.6, "black"), (1.8, ink)):
                ax.add_patch(plt.Rectangle((x0 - 0.5, y0 - 0.5), x1 - x0, y1 - y0, fill=False, ec=edge, lw=line))
    return fig
