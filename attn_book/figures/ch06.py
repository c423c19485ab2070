"""The figures of chapter 6, a field guide."""

import matplotlib.pyplot as plt

from attn_book.arrays import as_array
from attn_book.figures.common import as_picture, logarithmic
from attn_book.figures.style import INK, PALETTE


def channel_gates(names, colours, averages, gates):
    """The average of every channel, and beside it the gates that were made of the averages.

    Args:
        names: A name for each channel.
        colours: A colour for each channel, anything matplotlib takes.
        averages: (C,).
        gates: {title: (C,)}, values in [0, 1].
    """
    fig, axes = plt.subplots(1, 1 + len(gates), figsize=(1.2 + 1.5 * (1 + len(gates)), 0.3 * len(names) + 1.1), sharey=True)
    for ax, values, title in zip(axes, [averages, *gates.values()], ["average", *gates], strict=True):
        ax.barh(range(len(names)), as_array(values, title), color=colours, edgecolor=INK, lw=0.8)
        ax.set_title(title)
    axes[0].set_yticks(range(len(names)), names)
    axes[0].invert_yaxis()
    for ax in axes[1:]:
        ax.axvline(0.5, color=PALETTE[7], ls=":", lw=1)
        ax.set_xlim(0, 1)
        ax.set_xticks([0, 0.5, 1], ["0", "½", "1"])
    return fig


def point_paths(picture, paths, reference, *, size=3.6):
    """How sampling points moved: a line for each from where it began (hollow) to where it ended (full).

    Args:
        picture: As ``as_picture`` takes it, H × W pixels.
        paths: (steps, points, 2), x and y in pixels, (0, 0) the centre of the first pixel.
        reference: (2,), x and y of the place the points belong to.
        size: Width in inches.
    """
    picture, paths = as_picture(picture), as_array(paths, "paths")
    fig, ax = plt.subplots(figsize=(size, size * picture.shape[0] / picture.shape[1]))
    ax.imshow(picture, cmap="gray")
    ax.axis("off")
    ax.plot(paths[..., 0], paths[..., 1], "-", color="white", lw=2.6)
    ax.plot(paths[..., 0], paths[..., 1], "-", color=PALETTE[5], lw=1.4)
    ax.plot(*paths[0].T, "o", ms=7, mfc="none", mec="white", mew=1.8)
    ax.plot(*paths[-1].T, "o", ms=8, mfc=PALETTE[5], mec="white", mew=1.5)
    ax.plot(*reference, "P", ms=12, mfc=PALETTE[6], mec="black", mew=1.2)
    return fig


def growth_lines(labels, sizes, series, *, xlabel, ylabel, size=(5.2, 4.6)):
    """Costs over sizes, both on logarithmic axes, so that a power law is a straight line.

    Args:
        labels: How the sizes are written at the axis.
        sizes: (sizes,), positive.
        series: {name: (sizes,)}, positive.
        xlabel, ylabel: What the axes show, with units.
        size: Width and height in inches; the legend stands below.
    """
    fig, ax = plt.subplots(figsize=size)
    for i, (name, costs) in enumerate(series.items()):
        ax.plot(sizes, costs, "o-", label=name, color=[*PALETTE[:6], PALETTE[7]][i % 7])
    logarithmic(ax, "x")
    logarithmic(ax, "y")
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.set_xticks(sizes, labels)
    ax.minorticks_off()
    fig.legend(loc="outside lower center", ncols=2)
    return fig
