"""The figures of chapter 16's second half: learning without labels, and a scene in words."""

import matplotlib.pyplot as plt
import numpy as np

from attn_book.arrays import as_array
from attn_book.figures.common import as_picture, colour_bar, draw_numbers
from attn_book.figures.style import WEIGHTS


def maps_beside(pictures, maps, masks, *, cell=1.6):
    """Pictures, and under each a map of weights with the outline of what it should find; all maps on one scale.

    Args:
        pictures: As many as there are maps, each as ``as_picture`` takes it, H × W pixels.
        maps: (n, h, w), weights.
        masks: (n, H, W) bool, whose outline is drawn.
        cell: Width of one panel in inches.
    """
    maps, masks = as_array(maps, "maps"), as_array(masks, "masks")
    fig, axes = plt.subplots(2, len(maps), figsize=(len(maps) * cell, 2 * cell + 0.7), squeeze=False, layout="compressed")
    for column, (picture, weights, mask) in enumerate(zip(pictures, maps, masks, strict=True)):
        height, width = mask.shape
        axes[0, column].imshow(as_picture(picture), cmap="gray", vmin=0, vmax=1)
        axes[1, column].imshow(weights, vmin=0, vmax=maps.max(), extent=(0, width, height, 0))
        axes[1, column].contour(np.arange(width) + 0.5, np.arange(height) + 0.5, mask, [0.5], colors="white", linewidths=1)
    for ax in axes.flat:
        ax.axis("off")
    colour_bar(list(axes.flat), "weight", high=float(maps.max()))
    return fig


def words_by_step(shares, vocabulary, written, *, least=0.05, size=None):
    """The probability of words at each step of writing a caption.

    Args:
        shares: (steps, words), each row sums to 1.
        vocabulary: The words.
        written: What was written at each step.
        least: Words that have less at every step are left out.
        size: Width and height in inches; by default as high as the words need.
    """
    shares = as_array(shares, "shares")
    kept = np.flatnonzero(shares.max(0) >= least)
    fig, ax = plt.subplots(figsize=size or (5.0, 0.42 * len(kept) + 1.0))
    draw_numbers(ax, shares[:, kept].T, "{:.2f}", WEIGHTS)
    ax.set_aspect("auto")
    ax.set_xticks(range(len(written)), written)
    ax.set_yticks(range(len(kept)), [vocabulary[word] for word in kept])
    ax.set(xlabel="written", ylabel="word")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return fig


def kept_words(kept, names):
    """A table: which words stay when something is done to one step.

    Args:
        kept: (steps, steps), the share of the words at each step (columns) that stays when this is done to another (rows).
        names: A name for each step.
    """
    kept = as_array(kept, "kept")
    fig, ax = plt.subplots(figsize=(5.0, 3.6))
    draw_numbers(ax, kept, "{:.2f}", WEIGHTS)
    ax.set_aspect("auto")
    ax.set_xticks(range(len(names)), names)
    ax.set_yticks(range(len(names)), names)
    ax.set(xlabel="word", ylabel="step that looks evenly")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return fig
