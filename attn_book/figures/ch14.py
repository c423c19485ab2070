"""The figures of chapter 14, what can be left out."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import NullLocator

from attn_book.arrays import as_array
from attn_book.figures.common import as_picture, logarithmic, panels
from attn_book.figures.style import INK, MUTED, PALETTE

MARKS = "osD^vPX*hpd<"


def grouped(pictures, groups, titles, *, columns=2, cell=2.4):
    """Pictures with a line around each group of patches; what was dropped is grey.

    Args:
        pictures: (n, H, W) or as ``as_picture`` takes each.
        groups: (n, h, w) whole numbers: patches of one number belong together; -1 for those that were dropped.
        titles: A title for each.
        columns: Panels in a row.
        cell: Width of one panel in inches.
    """
    fig, axes = panels(len(pictures), columns=columns, cell=cell)
    for ax, picture, group, title in zip(axes, pictures, as_array(groups, "groups"), titles, strict=True):
        picture = as_picture(picture)
        h, w = group.shape
        extent = (0, w, h, 0)
        ax.imshow(1 - picture if picture.ndim == 2 else picture, cmap="gray", vmin=0, vmax=1, extent=extent)
        gone = np.where(group < 0, 1.0, np.nan)
        ax.imshow(gone, cmap="gray", vmin=0, vmax=2, alpha=0.85, extent=extent)
        for x, y in _borders(group):
            ax.plot(x, y, color=PALETTE[5], lw=0.9, solid_capstyle="butt")
        ax.set_title(title)
    return fig


def _borders(group):
    """Lines between patches of different groups, one run of them at a time."""
    for axis in (0, 1):
        turned = group if axis == 0 else group.T
        differ = turned[1:] != turned[:-1]  # (rows - 1, columns)
        for row, line in enumerate(differ, 1):
            edges = np.flatnonzero(np.diff(np.concatenate([[False], line, [False]]).astype(int)))
            for start, end in edges.reshape(-1, 2):
                along, across = [start, end], [row, row]
                yield (along, across) if axis == 0 else (across, along)


def subsets(counts, values, chosen, *, xlabel, ylabel, labels=("every choice", "mean of all", "by importance"), size=(5.4, 3.8)):
    """Every way to leave something out: a dot each, over how many are left out; and what a rule chose among them.

    Args:
        counts: (ways,), how many are left out in each.
        values: (ways,), or (ways, seeds): a dot for each.
        chosen: (steps,) or (steps, seeds): of the rule, for 0, 1, 2, … left out.
        xlabel, ylabel: What the axes show.
        labels: Of the dots, of the line through their means, and of the rule.
        size: Width and height in inches.
    """
    counts, values, chosen = as_array(counts, "counts"), as_array(values, "values"), as_array(chosen, "chosen")
    values, chosen = (x[:, None] if x.ndim == 1 else x for x in (values, chosen))
    fig, ax = plt.subplots(figsize=size)
    spread = np.random.default_rng(0).uniform(-0.16, 0.16, values.shape)
    ax.plot(
        (counts[:, None] + spread).ravel(), values.ravel(), ".", ms=6, color=PALETTE[0], alpha=0.35, mec="none", label=labels[0]
    )
    steps = np.unique(counts)
    ax.plot(steps, [values[counts == step].mean() for step in steps], "--", color=MUTED, lw=1.6, label=labels[1])
    ax.plot(np.arange(len(chosen)), chosen.mean(axis=1), "o-", ms=6, color=PALETTE[5], label=labels[2])
    ax.set(xlabel=xlabel, ylabel=ylabel, xticks=steps)
    ax.legend(loc="best")
    return fig


def left(series, *, xlabel, ylabel, reference=None, reference_label=None, size=(5.4, 3.8)):
    """What is kept of the accuracy over what is left, a line with a band for each way.

    Args:
        series: {name: (x, mean, half-width)}; x falls from left to right.
        xlabel, ylabel: What the axes show.
        reference, reference_label: A level line, and what it is.
        size: Width and height in inches.
    """
    fig, ax = plt.subplots(figsize=size)
    for i, (name, (x, mean, half)) in enumerate(series.items()):
        x, mean, half = (as_array(part, name) for part in (x, mean, half))
        ax.plot(x, mean, f"{MARKS[i]}-", ms=5, color=PALETTE[i], label=name)
        ax.fill_between(x, mean - half, mean + half, color=PALETTE[i], alpha=0.18, lw=0)
    if reference is not None:
        ax.axhline(reference, color=INK, ls="--", lw=1.2, label=reference_label)
    ax.invert_xaxis()
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.legend(loc="lower left")
    return fig


def frontier(families, *, xlabel, ylabel, best=(), size=(5.4, 4.8)):
    """Accuracy (on a logit axis) over a cost, a mark and a colour for each family, a line through those that nothing beats.

    Args:
        families: {name: (cost (n,), accuracy (n,), half-width (n,))}.
        xlabel, ylabel: What the axes show.
        best: Pairs (cost, accuracy) of those that nothing beats, in the order of their cost.
        size: Width and height in inches; the legend stands below.
    """
    fig, ax = plt.subplots(figsize=size)
    if len(best):
        x, y = np.asarray(best, dtype=float).T
        ax.step(x, y, where="post", color=MUTED, lw=1.2, zorder=0)
    for i, (name, (cost, accuracy, half)) in enumerate(families.items()):
        look = {"fmt": MARKS[i % len(MARKS)], "ms": 6, "color": PALETTE[i % 6], "ecolor": MUTED, "elinewidth": 0.8}
        if i >= 6:
            look["mfc"] = "none"
        accuracy, half = as_array(accuracy), as_array(half)
        bars = np.minimum(half, 0.95 * accuracy), np.minimum(half, 0.95 * (1 - accuracy))  # a logit axis has no 0 and no 1
        ax.errorbar(as_array(cost), accuracy, yerr=bars, label=name, **look)
    logarithmic(ax, "x")
    low, high = ax.get_xlim()
    ticks = [digit * 10.0**power for power in range(-4, 4) for digit in (1, 2, 5)]
    ax.set_xticks([tick for tick in ticks if low <= tick <= high])  # a decade or less would have one number
    ax.set_yscale("logit", nonpositive="clip")  # what is nearly always right has room, too
    low, high = ax.get_ylim()
    ax.set_yticks([tick for tick in (0.01, 0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.97, 0.98, 0.99) if low <= tick <= high])
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_minor_locator(NullLocator())
    ax.set(xlabel=xlabel, ylabel=ylabel)
    fig.legend(loc="outside lower center", ncols=2)
    return fig


def counted_and_measured(families, *, size=(5.0, 4.8)):
    """Time over FLOPs, both as shares of the whole network's: on the diagonal what is saved on paper is saved.

    Args:
        families: {name: (share of the FLOPs (n,), share of the time (n,))}.
        size: Width and height in inches; the legend stands below.
    """
    fig, ax = plt.subplots(figsize=size)
    most = 1.1 * max(1.0, *(float(np.max(part)) for pair in families.values() for part in pair))
    ax.plot([0, most], [0, most], "--", color=MUTED, lw=1.2, label="as many seconds as FLOPs")
    for i, (name, (flops, seconds)) in enumerate(families.items()):
        look = {"ms": 6, "color": PALETTE[i % 6]} | ({"mfc": "none"} if i >= 6 else {})
        ax.plot(as_array(flops), as_array(seconds), MARKS[i % len(MARKS)], ls="", label=name, **look)
    ax.set(xlabel="FLOPs, share of the whole", ylabel="time, share of the whole", xlim=(0, most), ylim=(0, most))
    fig.legend(loc="outside lower center", ncols=2)
    return fig
