"""The look of every figure: colours, sizes, and what a notebook keeps of them."""

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


def use():
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
