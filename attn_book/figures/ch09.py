"""The figures of chapter 9, segmentation."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import patheffects
from matplotlib.lines import Line2D

from attn_book.arrays import as_array
from attn_book.figures.common import QUERY, WEIGHTS, as_picture, colour_bar, panels
from attn_book.figures.style import PALETTE

OUTLINES = (QUERY, PALETTE[4])  # vermilion and sky blue: apart on every photograph of the book


def outlined(images, places, masks, titles=None, *, names=None, columns=2, cell=2.7):
    """Pictures, each with a click and the outlines of one or two masks.

    Args:
        images: Pictures, each as ``as_picture`` takes it, H × W pixels.
        places: (pictures, 2), the click on each as row and column, or None where nobody clicked.
        masks: (pictures, H, W) or (pictures, k, H, W) of bool, k = 1 or 2; the second outline is sky blue and dashed. Empty masks
            show no outline.
        titles: A title for each picture, or None.
        names: What the first and the second outline are, for a legend; or None.
        columns: Pictures in a row.
        cell: Width of one picture in inches.
    """
    images = [as_picture(image) for image in images]
    masks = as_array(masks, "masks")
    masks = masks[:, None] if masks.ndim == 3 else masks
    ratio = images[0].shape[0] / images[0].shape[1]
    fig, axes = panels(len(images), columns=columns, cell=cell, ratio=ratio, lines=0 if titles is None else 1)
    for i, (ax, image) in enumerate(zip(axes, images, strict=True)):
        ax.imshow(image, cmap="gray")
        for mask, colour, dash in zip(masks[i], OUTLINES, ("-", "--"), strict=False):
            if 0 < mask.sum() < mask.size:
                ax.contour(mask, [0.5], colors=[colour], linestyles=[dash], linewidths=2)
        if places is not None:
            ax.plot(places[i][1], places[i][0], "o", ms=7, mfc=QUERY, mec="white", mew=1.5)
        if titles is not None:
            ax.set_title(titles[i])
    if names is not None:
        lines = [Line2D([], [], color=colour, ls=dash) for colour, dash in zip(OUTLINES, ("-", "--"), strict=True)]
        fig.legend(lines[: len(names)], names, loc="outside lower center", ncols=len(names))
    return fig


def classified(image, truth, found, gate, *, cell=2.6, smallest=12):
    """A scene, the digit that each pixel belongs to, what a network found, and a gate; each digit has a colour and a numeral.

    Args:
        image: The scene, as ``as_picture`` takes it.
        truth, found: (H, W) whole numbers, 0 for the ground, 1 + its digit on a digit.
        gate: (h, w) coefficients from 0 to 1.
        cell: Width of one panel in inches.
        smallest: Pixels of a class below which it gets no numeral.
    """
    fig, axes = panels(4, columns=2, cell=cell)
    axes[0].imshow(as_picture(image), cmap="gray")
    for ax, classes in zip(axes[1:3], (truth, found), strict=True):
        classes = as_array(classes, "classes")
        ax.imshow(np.ma.masked_equal(classes, 0), cmap=plt.get_cmap(WEIGHTS).with_extremes(bad="black"), vmin=0, vmax=10)
        for value in np.unique(classes):
            place = np.argwhere(classes == value)
            if value > 0 and len(place) >= smallest:
                row, column = np.median(place, 0)
                numeral = ax.text(column, row, str(value - 1), color="white", ha="center", va="center", weight="bold")
                numeral.set_path_effects([patheffects.withStroke(linewidth=2.5, foreground="black")])
    gate = as_array(gate, "gate")
    axes[3].imshow(gate, cmap=WEIGHTS, vmin=0, vmax=1)
    colour_bar(axes[3], "gate", cmap=WEIGHTS)
    height, width = gate.shape
    for ax, title in zip(axes, ("the scene", "the truth", "found", f"gate, {height} × {width}"), strict=True):
        ax.set_title(title)
    return fig
