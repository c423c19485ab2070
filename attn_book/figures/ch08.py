"""The figures of chapter 8, detection."""

import matplotlib.pyplot as plt
import numpy as np

from attn_book.arrays import as_array
from attn_book.figures.common import QUERY, as_picture, draw_numbers, own_scale_bar, panels, weight_note
from attn_book.figures.style import INK, PALETTE, WEIGHTS

TRUTH, FOUND = PALETTE[4], PALETTE[1]  # sky blue and orange: apart for every eye, on dark photographs too


def boxes_on_pictures(pictures, truth=None, found=None, *, titles=None, columns=2, cell=2.7):
    """Pictures with boxes: the truth in blue, dashed, what was found in orange, with a word at each.

    Args:
        pictures: As ``as_picture`` takes them.
        truth: For each picture a list of ``(box, word)``, boxes as x0, y0, x1, y1 in px; or None.
        found: Likewise.
        titles: A title for each, or None.
        columns: Pictures in a row.
        cell: Width of one in inches.
    """
    pictures = [as_picture(picture) for picture in pictures]
    height, width = pictures[0].shape[:2]
    lines = 0 if titles is None else 1
    fig, axes = panels(len(pictures), columns=columns, cell=cell, ratio=height / width, lines=lines)
    for i, (ax, picture) in enumerate(zip(axes, pictures, strict=True)):
        ax.imshow(picture, cmap="gray", extent=(0, width, height, 0))
        for boxes, colour, dash, below in ((truth, TRUTH, "--", False), (found, FOUND, "-", True)):
            for box, word in [] if boxes is None else boxes[i]:
                draw_box(ax, box, colour, word, dash=dash, below=below)
        if titles is not None:
            ax.set_title(titles[i])
    return fig


def draw_box(ax, box, colour, word="", *, dash="-", below=False):
    """One box in px with a word at its upper or lower left corner."""
    x0, y0, x1, y1 = as_array(box, "box")
    ax.add_patch(plt.Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, ec=colour, ls=dash, lw=2))
    if word:
        badge = {"boxstyle": "square,pad=0.1", "fc": colour, "ec": "none"}
        place = (x0, y1, "top") if below else (x0, y0, "bottom")
        ax.text(*place[:2], word, va=place[2], ha="left", color="black", bbox=badge, clip_on=False)


def box_errors(target, guesses, numbers, *, side=1.0, cell=2.7):
    """A target box and one guess a panel, with numbers under each: what a loss says of it.

    Args:
        target: x0, y0, x1, y1.
        guesses: Boxes, one for each panel.
        numbers: For each panel a text of two lines at most.
        side: Side of the square that the boxes lie in.
        cell: Width of one panel in inches.
    """
    fig, axes = panels(len(guesses), columns=2, cell=cell, lines=2)
    for ax, guess, text in zip(axes, guesses, numbers, strict=True):
        draw_box(ax, target, PALETTE[0], dash="--")
        draw_box(ax, guess, PALETTE[5])
        ax.set(xlim=(0, side), ylim=(side, 0), aspect="equal", title=text)
        ax.add_patch(plt.Rectangle((0, 0), side, side, fill=False, ec=INK, lw=0.8))
    return fig


def matching(cost, pairs, *, queries, objects, cell=0.8):
    """Costs as a table, queries down and objects across, with the chosen pairs framed.

    Args:
        cost: (N, K).
        pairs: (query, object) of each pair.
        queries: A name for each row.
        objects: A name for each column.
        cell: Side of a cell in inches.
    """
    cost = as_array(cost, "cost")
    N, K = cost.shape
    fig, ax = plt.subplots(figsize=(min(6.0, K * cell + 1.9), N * cell * 0.62 + 0.7))
    draw_numbers(ax, cost, "{:.1f}", WEIGHTS)
    ax.set_aspect("auto")
    for query, which in pairs:
        ax.add_patch(plt.Rectangle((which - 0.46, query - 0.44), 0.92, 0.88, fill=False, ec=QUERY, lw=3))
    ax.set_xticks(range(K), objects)
    ax.set_yticks(range(N), queries)
    ax.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
    ax.spines[:].set_visible(False)
    return fig


def layers_of_a_query(picture, maps, boxes, *, columns=2, cell=2.7):
    """What one query looked at in each layer of the decoder, with the box that it had going in and the one that came out.

    Args:
        picture: As ``as_picture`` takes it, H × W px.
        maps: (layers, h, w), weights over a grid of keys, each drawn from 0 to its own largest.
        boxes: (layers + 1, 4) px, the query's box before the first layer and after each.
        columns: Panels in a row, the picture with its last box included.
        cell: Width of one panel in inches.
    """
    picture, maps = as_picture(picture), as_array(maps, "maps")
    height, width = picture.shape[:2]
    fig, axes = panels(len(maps) + 1, columns=columns, cell=cell, ratio=height / width, lines=2)
    extent = (0, width, height, 0)
    axes[0].imshow(picture, extent=extent)
    axes[0].set_title("box after the last layer")
    draw_box(axes[0], boxes[-1], FOUND)
    for number, (ax, weights) in enumerate(zip(axes[1:], maps, strict=True), 1):
        ax.imshow(picture, extent=extent)
        ax.imshow(weights, cmap=WEIGHTS, alpha=0.75, vmin=0, extent=extent)
        draw_box(ax, boxes[number - 1], "white", dash=":")
        draw_box(ax, boxes[number], FOUND)
        ax.set_title(f"layer {number}\n{weight_note(weights)}")
    own_scale_bar(axes)
    return fig


def by_overlap(series, edges, *, ylabel, size=(5.6, 4.2)):
    """A score against the overlap of a pair, a line for each detector.

    Args:
        series: ``{name: values}`` or ``{name: (values, half-widths)}``, one value for each range of overlap.
        edges: ``[(low, high), …]`` of the ranges.
        ylabel: What the score is.
        size: Width and height in inches.
    """
    fig, ax = plt.subplots(figsize=size)
    x = np.arange(len(edges))
    for i, (name, values) in enumerate(series.items()):
        values, half = values if isinstance(values, tuple) else (values, None)
        dash = "--" if "without" in name else "-"
        ax.errorbar(x, values, yerr=half, fmt="o", ls=dash, capsize=3, label=name, color=PALETTE[i % len(PALETTE)])
    ax.set_xticks(x, [f"{low:g}–{high:g}" for low, high in edges])
    ax.set(xlabel="IoU of the pair's boxes", ylabel=ylabel)
    fig.legend(loc="outside lower center", ncols=2)  # no place within is free of lines for sure
    return fig
