"""The figures of chapter 11, synthesis."""

import matplotlib.pyplot as plt
import numpy as np

from attn_book.arrays import as_array
from attn_book.figures.common import as_picture, panels
from attn_book.figures.style import INK, MUTED, PALETTE


def strips(rows, *, titles=None, cell=1.25):
    """Small pictures in named rows: one row for each way of drawing them, one column for each scene.

    Args:
        rows: ``{name: pictures}``, as many in each, as ``as_picture`` takes them.
        titles: A title for each column, or None.
        cell: Width of one picture in inches.
    """
    columns = {len(pictures) for pictures in rows.values()}
    if len(columns) != 1:
        raise ValueError(f"rows must be of one length, got {', '.join(str(len(p)) for p in rows.values())} pictures")
    (columns,) = columns
    height = len(rows) * (cell + 0.25) + (0.4 if titles else 0.1)
    fig, axes = plt.subplots(len(rows), columns, figsize=(columns * cell, height), squeeze=False)
    for line, (name, pictures) in zip(axes, rows.items(), strict=True):
        for ax, picture in zip(line, pictures, strict=True):
            ax.imshow(as_picture(picture), cmap="gray", vmin=0, vmax=1)
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_visible(False)
        line[0].set_title(name, loc="left")
    if titles is not None:
        for ax, title in zip(axes[-1], titles, strict=True):
            ax.set_xlabel(title)
    return fig


def pairs_seen(out, colours, *, size=(4.6, 3.2)):
    """Which colour meets which digit in training, and which pairs are kept for later.

    Args:
        out: ``{"validation": (colours, 10) bool, "test": (colours, 10) bool}``.
        colours: ``{name: (red, green, blue)}``, at least as many as there are rows.
        size: Width and height in inches.
    """
    validation, test = as_array(out["validation"], "validation"), as_array(out["test"], "test")
    fig, ax = plt.subplots(figsize=size)
    names = list(colours)[: len(test)]
    for row, name in enumerate(names):
        for digit in range(10):
            held = validation[row, digit] or test[row, digit]
            face = "none" if held else colours[name]
            box = plt.Rectangle((digit - 0.42, row - 0.42), 0.84, 0.84, facecolor=face, edgecolor=MUTED, lw=1)
            ax.add_patch(box)
            if held:
                ax.text(digit, row, "t" if test[row, digit] else "v", ha="center", va="center", color=INK)
    ax.set(xlim=(-0.6, 9.6), ylim=(len(names) - 0.4, -0.6), xticks=range(10), yticks=range(len(names)), xlabel="digit")
    ax.set_yticklabels(names)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return fig


def seen_and_new(names, seen, new, *, xlabel, reference=None, size=None):
    """Two dots on each line, one for pairs seen in training and one for new pairs, with their intervals.

    Args:
        names: A name for each line, first on top.
        seen, new: For each line (mean, half-width of the interval; None for a single run).
        xlabel: What the dots show.
        reference: Where to draw a dashed line (what real scenes reach), or None.
        size: Width and height in inches; by default as high as the lines need.
    """
    fig, ax = plt.subplots(figsize=size or (5.6, 0.5 * len(names) + 1.3))
    at = np.arange(len(names))
    for values, label, colour, marker, lift in (
        (seen, "pairs seen in training", PALETTE[0], "o", -0.1),
        (new, "new pairs", PALETTE[5], "s", 0.1),
    ):
        mean, half = zip(*((m, h or 0) for m, h in values), strict=True)
        ax.errorbar(mean, at + lift, xerr=half, fmt=marker, color=colour, label=label, capsize=3)
    if reference is not None:
        ax.axvline(reference, color=PALETTE[7], ls="--", lw=1.2, label="real scenes")
    ax.set(yticks=at, ylim=(len(names) - 0.5, -0.5), xlabel=xlabel)
    ax.set_yticklabels(names)
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    return fig


def word_maps(picture, maps, words, *, columns=3, cell=1.8):
    """A scene, and for each word of its caption the patches that look at it; all maps on one scale.

    Args:
        picture: The scene, as ``as_picture`` takes it.
        maps: (words, h, w), the weight of each word at each patch: over all words they sum to 1.
        words: The words.
        columns: Panels in a row, the scene included.
        cell: Width of one panel in inches.
    """
    maps = as_array(maps, "maps")
    fig, axes = panels(len(maps) + 1, columns=columns, cell=cell)
    axes[0].imshow(as_picture(picture))
    axes[0].set_title("scene")
    for ax, word, weights in zip(axes[1:], words, maps, strict=True):
        shown = ax.imshow(weights, vmin=0, vmax=maps.max())
        ax.set_title(f"{word}: max {weights.max():.2f}")
    fig.colorbar(shown, ax=list(axes), label="weight of the word", shrink=0.6, orientation="horizontal")
    return fig


def before_and_after(pictures, *, columns=2, cell=2.7, box=None):
    """Photographs side by side, with a frame around what was filled in.

    Args:
        pictures: ``{title: picture}``, as ``as_picture`` takes them.
        columns: Panels in a row.
        cell: Width of one panel in inches.
        box: (row, column, height, width) of the frame in px, or None.
    """
    fig, axes = panels(len(pictures), columns=columns, cell=cell)
    for ax, (title, picture) in zip(axes, pictures.items(), strict=True):
        ax.imshow(as_picture(picture).clip(0, 1))
        ax.set_title(title)
        if box is not None:
            row, column, height, width = box
            ax.add_patch(plt.Rectangle((column - 0.5, row - 0.5), width, height, fill=False, edgecolor="white", lw=1))
    return fig
