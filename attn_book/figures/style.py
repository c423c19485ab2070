"""The look of every figure: colours, sizes, and how a notebook shows it."""

import matplotlib as mpl
from IPython import get_ipython
from matplotlib.figure import Figure

from attn_book.figures.svg import svg_of

INK = "#1d2733"  # text, axes, lines: the page's own ink, dark on light and light on dark
MUTED = "#566373"  # what stands back: notes, ticks of a time line
# Okabe & Ito's palette, with ink for black: eight colours that stay apart for every common form of colour blindness.
PALETTE = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", INK]
WEIGHTS = "viridis"  # the colour map of every attention weight in the book
SIGNED = "PuOr"  # the colour map of everything that has a sign

LOOK = {
    "figure.figsize": (5.6, 3.4),
    "figure.constrained_layout.use": True,
    "font.sans-serif": ["DejaVu Sans"],  # matplotlib brings it: the layout is the same everywhere; the page sets its own font
    "font.size": 11,
    "axes.titlesize": 11,
    "axes.labelsize": 11,
    "xtick.labelsize": 11,
    "ytick.labelsize": 11,
    "legend.fontsize": 11,
    "text.color": INK,
    "patch.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": mpl.cycler(color=PALETTE),
    "axes.formatter.useoffset": False,
    "image.cmap": WEIGHTS,
    "image.interpolation": "none",  # a picture goes into the SVG with its own pixels
    "image.composite_image": False,
    "legend.frameon": False,
    "lines.linewidth": 2.0,
    "path.simplify": False,  # else the last digit of a number decides how many points a line has
    "svg.fonttype": "none",  # words stay text
    "svg.hashsalt": "attention in computer vision",
}


def use():
    """Set the look of all figures of a chapter, and show them as SVG; call it once, in the first cell.

    Nothing of the reader's shell or matplotlibrc is left: a chapter gives the same figures whatever stands there.
    """
    mpl.rcdefaults()
    mpl.rcParams.update(LOOK)
    shell = get_ipython()
    if hasattr(shell, "kernel"):
        shell.run_line_magic("matplotlib", "inline")  # MPLBACKEND may have named another backend
        formatters = shell.display_formatter.formatters
        for kind in ("image/png", "image/jpeg", "application/pdf"):
            formatters[kind].pop(Figure, None)
        formatters["image/svg+xml"].for_type(Figure, svg_of)
