"""The figures of chapter 1, why attention."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import PowerNorm

from attn_book.arrays import as_array
from attn_book.figures.common import colour_bar, panels
from attn_book.figures.style import INK, MUTED, PALETTE


def receptive_fields(maps, titles, *, reach, columns=2, cell=2.7):
    """How strongly one output pixel, in the middle, depends on every input pixel.

    Args:
        maps: (maps, H, W), each drawn as a share of its largest value, in steps of the square root so that the faint part shows.
        titles: A title for each.
        reach: For each, the distance in px beyond which nothing can arrive (drawn as a dashed square), or None.
        columns: Panels in a row.
        cell: Width of one panel in inches.
    """
    fig, axes = panels(len(maps), columns=columns, cell=cell)
    roots = PowerNorm(0.5, 0, 1)
    for ax, influence, title, far in zip(axes, maps, titles, reach, strict=True):
        influence = as_array(influence, "maps")
        ax.imshow(influence / influence.max(), cmap="magma", norm=roots)
        if far is not None:
            corner, side = influence.shape[0] // 2 - far - 0.5, 2 * far + 1
            ax.add_patch(plt.Rectangle((corner, corner), side, side, fill=False, ec="white", ls="--", lw=1.2))
        ax.set_title(title)
    shares = {0: "0", 0.05: "0.05", 0.25: "0.25", 1: "1"}
    colour_bar(axes, "influence, as a share of the panel's largest", cmap="magma", ticks=shares, norm=roots)
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
    for ax, group, rows in zip(axes[:, 0], groups, as_array(differences, "differences"), strict=True):
        for place, values in enumerate(rows):
            colours = [PALETTE[0] if value > 0 else PALETTE[5] for value in values]
            ax.scatter(values, np.full(len(values), place), c=colours, marker="o", s=28, zorder=3, alpha=0.85)
        ax.axvline(0, color=INK, lw=1)
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
    ax.plot([0, 0], [-0.4, len(entries) - 0.6], color="0.6", lw=3, zorder=1, solid_capstyle="round")
    for place, (when, name, what, kind) in enumerate(entries):
        colour = PALETTE[kinds[kind]]
        ax.plot(0, place, "o", ms=11, mfc=colour, mec="white", mew=1.5, zorder=2)
        ax.text(-0.45, place, when, ha="right", va="center", color=MUTED, fontsize=9)
        ax.text(0.45, place - 0.17, name, ha="left", va="center", fontweight="bold")
        ax.text(0.45, place + 0.24, what, ha="left", va="center", fontsize=9)
    for kind, index in kinds.items():
        ax.plot([], [], "o", ms=9, color=PALETTE[index], label=kind)
    ax.legend(loc="upper center", bbox_to_anchor=(0.45, 0.0), ncols=2, fontsize=9, handletextpad=0.2, columnspacing=1.0)
    ax.set(xlim=(-2.6, 8), ylim=(len(entries) - 0.3, -0.7))
    ax.axis("off")
    return fig
