"""The figures of chapter 9, segmentation."""

from matplotlib.lines import Line2D

from attn_book.arrays import as_array
from attn_book.figures.common import QUERY, as_picture, panels
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
