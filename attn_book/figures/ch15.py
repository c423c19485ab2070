"""The figures of chapter 15, scale."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Rectangle

from attn_book.arrays import as_array
from attn_book.figures.common import logarithmic
from attn_book.figures.style import INK, MUTED, PALETTE, WEIGHTS

MARKS = "osD^vP"


def falling_errors(sizes, errors, laws, bands=None, *, xlabel, ylabel, size=(5.6, 4.4)):
    """Errors over the number of training pictures on logarithmic axes: a mark for each seed, and the law through their means.

    Args:
        sizes: (sizes,) numbers of pictures.
        errors: {name: (sizes, seeds)}, above 0.
        laws: {name: function of n}, drawn as a line.
        bands: {name: (low, high)}, two functions of n, drawn as a band; None for no bands.
        xlabel, ylabel: What the axes show.
        size: Width and height in inches; the legend stands below.
    """
    sizes = as_array(sizes, "sizes").astype(float)
    fig, ax = plt.subplots(figsize=size)
    n = np.geomspace(sizes[0], sizes[-1], 100)
    for i, (name, values) in enumerate(errors.items()):
        values, colour = as_array(values, name), PALETTE[i]
        ax.plot(sizes, values.mean(axis=1), MARKS[i], ms=7, color=colour, label=name)
        ax.plot(np.repeat(sizes, values.shape[1]), values.ravel(), MARKS[i], ms=3.5, color=colour, alpha=0.5, mec="none")
        ax.plot(n, laws[name](n), color=colour, lw=1.8)
        if bands is not None:
            ax.fill_between(n, *(edge(n) for edge in bands[name]), color=colour, alpha=0.15, lw=0)
    logarithmic(ax, "x")
    logarithmic(ax, "y")
    ax.set_xticks(sizes[::2], [f"{int(s):,}" for s in sizes[::2]])
    ax.minorticks_off()
    low, high = ax.get_ylim()
    ticks = [t for t in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0) if low <= t <= high]
    ax.set_yticks(ticks, [f"{t:g}" for t in ticks])
    ax.set(xlabel=xlabel, ylabel=ylabel)
    fig.legend(loc="outside lower center", ncols=3)
    return fig


def options(names, panels, foretold=None, *, size=None):
    """What options cost, one panel of horizontal bars below the other; what was not measured says so.

    Args:
        names: (rows,) options, first on top.
        panels: {label of the x axis: (values, low, high)}, (rows,) each; NaN where nothing was measured; low and high may be None.
        foretold: {label of the x axis: (rows,)}, what a formula says, drawn as diamonds; None for nothing.
        size: Width and height in inches; by default as high as the bars need.
    """
    fig, axes = plt.subplots(len(panels), 1, figsize=size or (5.6, len(panels) * (0.36 * len(names) + 0.9)), squeeze=False)
    rows = np.arange(len(names))
    for ax, (label, (values, low, high)) in zip(axes.flat, panels.items(), strict=True):
        values = as_array(values, label).astype(float)
        known = np.isfinite(values)
        whiskers = None
        if low is not None:
            whiskers = np.stack([values - as_array(low, "low"), as_array(high, "high") - values])[:, known]
        ax.barh(rows[known], values[known], xerr=whiskers, height=0.62, color=PALETTE[0], error_kw={"ecolor": INK, "capsize": 3})
        for row in rows[~known]:
            ax.text(0.02, row, "not measured", color=MUTED, va="center", transform=ax.get_yaxis_transform())
        if label in (foretold or {}):
            ax.plot(as_array(foretold[label], "foretold"), rows, "D", ms=6, color=PALETTE[1], mec=INK)
        ax.set_yticks(rows, names)
        ax.set_ylim(len(names) - 0.5, -0.5)
        ax.set_xlabel(label)
        if not known.any():
            ax.set_xticks([])
    return fig


def pieces(stages, *, cell=0.42):
    """How many processes each piece of an array holds the sum of, at several moments of an exchange: one colour for one number.

    Args:
        stages: {title: (G, G)}, a row for each process and a column for each piece; numbers from 1 to G.
        cell: Side of a cell in inches.
    """
    G = len(next(iter(stages.values())))
    fig, axes = plt.subplots(1, len(stages), figsize=(len(stages) * (G * cell + 0.15), G * cell + 0.4), squeeze=False)
    for ax, (title, held) in zip(axes.flat, stages.items(), strict=True):
        ax.imshow(as_array(held, title), cmap=WEIGHTS, vmin=1, vmax=G)
        for (process, piece), number in np.ndenumerate(held):
            ax.text(piece, process, f"{number:g}", ha="center", va="center", color="black" if number > 0.6 * G else "white")
        ax.set_title(title)
        ax.axis("off")
    return fig


def kept(ways, *, xlabel, size=None):
    """What each process keeps between two steps, as bars in parts; what lies gathered for a moment is outlined behind them.

    Args:
        ways: {name of a row: ({part: amount}, gathered)}, first on top; gathered is an amount, 0 for none.
        xlabel: What is counted, with units.
        size: Width and height in inches; by default as high as the bars need. The legend stands below.
    """
    fig, ax = plt.subplots(figsize=size or (5.6, 0.5 * len(ways) + 1.6))
    for row, (parts, gathered) in enumerate(ways.values()):
        left = 0.0
        for i, (part, amount) in enumerate(parts.items()):
            ax.barh(row, amount, left=left, height=0.62, color=PALETTE[(0, 1, 2)[i]], label=part if row == 0 else None)
            left += amount
        if gathered:
            frame = Rectangle((left, row - 0.31), gathered, 0.62, fill=False, ec=INK, ls=":", lw=1.4)
            ax.add_patch(frame)
            left += gathered
        ax.set_xlim(0, max(ax.get_xlim()[1], 1.04 * left))
    ax.set_yticks(range(len(ways)), list(ways))
    ax.set_ylim(len(ways) - 0.5, -0.5)
    ax.set_xlabel(xlabel)
    ax.plot([], [], ls=":", color=INK, lw=1.4, label="gathered for a moment")
    fig.legend(loc="outside lower center", ncols=2)
    return fig


def sent(names, needed, measured, *, xlabel, size=None):
    """What a process has to send and what it sent, as pairs of bars.

    Args:
        names: (rows,), first on top.
        needed: (rows,) what the arithmetic asks for.
        measured: (rows,) what left the process; NaN where it cannot be counted.
        xlabel: What is counted, with units.
        size: Width and height in inches; by default as high as the bars need.
    """
    fig, ax = plt.subplots(figsize=size or (5.6, 0.62 * len(names) + 1.3))
    rows = np.arange(len(names))
    ax.barh(rows - 0.19, as_array(needed, "needed"), height=0.34, color=PALETTE[4], label="a ring needs")
    ax.barh(
        rows + 0.19, np.nan_to_num(as_array(measured, "measured").astype(float)), height=0.34, color=PALETTE[5], label="was sent"
    )
    ax.set_yticks(rows, names)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.set_xlabel(xlabel)
    fig.legend(loc="outside lower center", ncols=2)
    return fig


def lives(spans, *, saved, total, size=(5.6, 2.2)):
    """The steps of a training that was interrupted, a row for each life: what counts, and what was done in vain.

    Args:
        spans: [(first step, last step), …], one a life, in order; what a later life does again was in vain in the one before.
        saved: Steps after which there was a checkpoint.
        total: Steps in all.
        size: Width and height in inches; the legend stands below.
    """
    fig, ax = plt.subplots(figsize=size)
    for row, (first, last) in enumerate(spans):
        again = spans[row + 1][0] if row + 1 < len(spans) else last + 1
        ax.barh(row, again - first, left=first - 0.5, height=0.5, color=PALETTE[0], label="counts" if row == 0 else None)
        if again <= last:
            ax.barh(row, last - again + 1, left=again - 0.5, height=0.5, color=PALETTE[1], label="done in vain")
            ax.plot(last + 0.5, row, "X", ms=11, color=PALETTE[5], mec="none", label="a process dies")
    for i, step in enumerate(saved):
        ax.axvline(step + 0.5, color=INK, ls=":", lw=1.4, label="checkpoint" if i == 0 else None)
    ax.set_yticks(range(len(spans)), [f"life {row + 1}" for row in range(len(spans))])
    ax.set_ylim(len(spans) - 0.5, -0.5)
    ax.set(xlabel="step", xlim=(0.5, total + 0.8))
    fig.legend(loc="outside lower center", ncols=2)
    return fig


def lost_time(intervals, formulas, simulated, best, *, size=(5.6, 3.8)):
    """The share of time that is lost over the interval between checkpoints: by formulas, as drawn at random, and the best interval.

    Args:
        intervals: (n,) minutes.
        formulas: {name: (n,) shares of 1}.
        simulated: (n,) shares of 1, drawn as marks.
        best: minutes, where a line stands.
        size: Width and height in inches; the legend stands below.
    """
    fig, ax = plt.subplots(figsize=size)
    for (name, shares), colour, style in zip(formulas.items(), (PALETTE[0], PALETTE[5]), ("-", "--"), strict=False):
        ax.plot(intervals, as_array(shares, name), style, color=colour, label=name)
    ax.plot(intervals, as_array(simulated, "simulated"), "o", ms=6, color=PALETTE[1], label="drawn at random")
    ax.axvline(best, color=INK, ls=":", lw=1.4, label="Young's interval")
    logarithmic(ax, "x")
    ax.set(xlabel="minutes from one checkpoint to the next", ylabel="share of the time lost", ylim=(0, None))
    fig.legend(loc="outside lower center", ncols=2)
    return fig
