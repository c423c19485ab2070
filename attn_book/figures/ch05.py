"""The figures of chapter 5, from one head to a block."""

import matplotlib.pyplot as plt

from attn_book.arrays import as_array
from attn_book.figures.style import INK, MUTED, PALETTE


def gaps(names, middle, half, *, close, xlabel, size=(5.8, 6.6)):
    """How far each of many models lies from one that all are compared with, at 0; a row a model, first on top.

    Args:
        names: A name for each model.
        middle: (models,), the gaps.
        half: (models,), half-widths of their intervals.
        close: Gaps from -close to 0 are shaded.
        xlabel: What a gap is, with units.
        size: Width and height in inches.
    """
    fig, ax = plt.subplots(figsize=size)
    places = range(len(names))
    ax.axvspan(-close, 0, color=PALETTE[2], alpha=0.25, lw=0)
    ax.axvline(0, color=MUTED, ls="--", lw=1.2)
    ax.errorbar(as_array(middle, "middle"), places, xerr=as_array(half, "half"), fmt="o", color=PALETTE[0], ecolor=INK, lw=1.4)
    ax.set_yticks(places, names)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.grid(axis="y", lw=0.4, alpha=0.5)
    ax.set_xlabel(xlabel)
    return fig
