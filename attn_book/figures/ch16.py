"""The figures of chapter 16, beyond: disparities, surfaces, tracks through clips, maps, and words."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_rgb

from attn_book.arrays import as_array
from attn_book.figures.common import QUERY, as_picture, colour_bar, draw_numbers, panels
from attn_book.figures.style import PALETTE, WEIGHTS

UNKNOWN = "#808080"
MARK = PALETTE[1]  # orange, on grey pictures


def disparities(pictures, maps, *, columns=2, cell=2.9):
    """Pictures of a pair, and maps of their disparities that share one range of colours.

    Args:
        pictures: ``{title: picture}``, each as ``as_picture`` takes it, H × W pixels.
        maps: ``{title: (H, W) px}``; NaN is drawn grey. The range is that of the first.
        columns: Panels in a row.
        cell: Width of one panel in inches.
    """
    pictures = {title: as_picture(picture) for title, picture in pictures.items()}
    maps = {title: as_array(values, title) for title, values in maps.items()}
    first = next(iter(maps.values()))
    low, high = np.nanmin(first), np.nanmax(first)
    fig, axes = panels(len(pictures) + len(maps), columns=columns, cell=cell, ratio=first.shape[0] / first.shape[1])
    colours = plt.get_cmap(WEIGHTS).with_extremes(bad=UNKNOWN)
    for ax, (title, shown) in zip(axes, (pictures | maps).items(), strict=True):
        if title in maps:  # forty colours: the eye cannot tell, and the page is lighter
            shown = low + (high - low) / 40 * np.round(40 * (shown - low) / (high - low))
        ax.imshow(shown, cmap=colours, vmin=low, vmax=high)  # colours and range are for maps alone
        ax.set_title(title)
    colour_bar(axes, "disparity (px)", cmap=WEIGHTS, low=low, high=high)
    return fig


def training_pair(left, right, disparity, visible, *, cell=2.9):
    """The two views of a pair, its disparities, and what of the left view has no match.

    Args:
        left, right: As ``as_picture`` takes them, H × W pixels.
        disparity: (H, W) px.
        visible: (H, W) bool.
        cell: Width of one panel in inches.
    """
    left, disparity = as_picture(left), as_array(disparity, "disparity")
    fig, axes = panels(4, columns=2, cell=cell, ratio=left.shape[0] / left.shape[1])
    low, high = disparity.min(), disparity.max()
    axes[2].imshow(disparity, cmap=WEIGHTS, vmin=low, vmax=high)
    for ax, shown in ((axes[0], left), (axes[1], as_picture(right)), (axes[3], overlaid(left, ~as_array(visible, "visible")))):
        ax.imshow(shown)
    for ax, title in zip(axes, ("left", "right", "disparity", "no match"), strict=True):
        ax.set_title(title)
    colour_bar(axes, "disparity (px)", cmap=WEIGHTS, low=low, high=high)
    return fig


def marked(picture, masks, *, columns=2, cell=2.9):
    """A picture in grey, once for each mask, with its pixels in orange.

    Args:
        picture: As ``as_picture`` takes it, H × W pixels.
        masks: ``{title: (H, W) bool}``.
        columns: Panels in a row.
        cell: Width of one panel in inches.
    """
    picture = as_picture(picture)
    fig, axes = panels(len(masks), columns=columns, cell=cell, ratio=picture.shape[0] / picture.shape[1])
    for ax, (title, mask) in zip(axes, masks.items(), strict=True):
        ax.imshow(overlaid(picture, as_array(mask, title)))
        ax.set_title(title)
    return fig


def overlaid(picture, mask):
    """A picture (H, W, 3) in light grey with the pixels of a mask (H, W) in orange; (H, W, 3)."""
    grey = 0.3 + 0.6 * np.round(10 * picture.mean(-1, keepdims=True)) / 10  # few greys: a lighter page
    return np.where(mask[..., None], to_rgb(MARK), np.broadcast_to(grey, picture.shape))


def coverage(lines, points, *, size=(5.6, 3.6)):
    """Error over the share of pixels that is kept.

    Args:
        lines: ``{name: (shares kept, shares of them that are off)}``.
        points: ``{name: (share kept, share of them that is off)}``, each with its name beside it in the legend.
        size: Width and height in inches.
    """
    fig, ax = plt.subplots(figsize=size)
    for (name, (kept, off)), colour in zip(lines.items(), PALETTE, strict=False):
        ax.plot(kept, off, "-", color=colour, label=name)
    for (name, (kept, off)), colour, sign in zip(points.items(), PALETTE[len(lines) :], "osD^vP", strict=False):
        ax.plot(kept, off, sign, color=colour, ms=8, ls="none", label=name)
    ax.set(xlabel="known pixels that are kept (share)", ylabel="of them off by > 1 px (share)")
    ax.set_ylim(bottom=0)
    ax.legend()
    return fig


def from_elsewhere(picture, depths, *, columns=2, cell=2.9, **camera):
    """A picture as a surface in space, seen from somewhere else.

    Args:
        picture: As ``as_picture`` takes it, H × W pixels.
        depths: ``{title: (H, W) m}``, how far away each pixel is; NaN leaves it out.
        columns: Panels in a row.
        cell: Width of one panel in inches.
        camera: As ``rendered`` takes them.
    """
    picture = as_picture(picture)
    fig, axes = panels(len(depths), columns=columns, cell=cell, ratio=picture.shape[0] / picture.shape[1])
    for ax, (title, depth) in zip(axes, depths.items(), strict=True):
        ax.imshow(rendered(picture, as_array(depth, title), **camera))
        ax.set_title(title)
    return fig


def rendered(picture, depth, *, focal=332.0, right=0.8, up=0.35, dot=1):
    """What a second camera sees that stands to the right of the first and above it, and looks at the middle of the same scene.

    Args:
        picture: (H, W, 3) in [0, 1].
        depth: (H, W) m; NaN leaves a pixel out.
        focal: Focal length of both cameras in px.
        right, up: Where the second stands, in m.
        dot: px by which each point is widened to the right and down, so that the surface has fewer cracks.

    Returns:
        (H, W, 3); black where no point falls. Of points that fall on one pixel the nearest is seen.
    """
    H, W = depth.shape
    rows, columns = np.indices(depth.shape)
    known = np.isfinite(depth)
    z = depth[known]
    points = np.stack([(columns[known] - W / 2) * z / focal, (rows[known] - H / 2) * z / focal, z], -1)
    place, aim = np.array([right, -up, 0.0]), np.array([0.0, 0.0, np.median(z)])
    forward = (aim - place) / np.linalg.norm(aim - place)
    across = np.cross([0.0, 1.0, 0.0], forward)
    across /= np.linalg.norm(across)
    axes = np.stack([across, np.cross(forward, across), forward])
    x, y, away = ((points - place) @ axes.T).T
    far_first = np.argsort(-away)
    column, row = (np.round(focal * one / away + side / 2).astype(int)[far_first] for one, side in ((x, W), (y, H)))
    seen, colours = np.zeros(picture.shape), picture[known][far_first]
    for down in range(dot + 1):
        for aside in range(dot + 1):
            i, j = row + down, column + aside
            inside = (i >= 0) & (i < H) & (j >= 0) & (j < W)
            seen[i[inside], j[inside]] = colours[inside]  # of several, the last is kept: the nearest
    return seen


def film(frames, masks, moments, track=None, *, cell=2.4):
    """Some frames of a clip with a mask: its outline where it is a mask, light where it is shares of cells.

    Args:
        frames: (T, 3, H, W).
        masks: (T, H, W) bool, or (T, h, w) in [0, 1].
        moments: The frames that are shown.
        track: (T, 2) px, x and y of a dot in each frame, or None.
        cell: Width of one frame in inches.
    """
    frames, masks = as_array(frames, "frames"), as_array(masks, "masks")
    fig, axes = panels(len(moments), columns=2, cell=cell)
    for ax, t in zip(axes, moments, strict=True):
        picture = as_picture(frames[t])
        if masks.dtype == bool:
            ax.imshow(picture)
            if masks[t].any():
                ax.contour(masks[t], [0.5], colors=[QUERY], linewidths=2)
        else:
            light = masks[t] / max(masks[t].max(), 1e-6)
            times = picture.shape[0] // light.shape[0], picture.shape[1] // light.shape[1]
            light = np.kron(light, np.ones(times))[..., None]
            grey = 0.25 * picture.mean(-1, keepdims=True)
            ax.imshow(picture * light + grey * (1 - light))
        if track is not None:
            x, y = as_array(track[t], "track") - 0.5  # the middle of a pixel is a whole number for imshow
            ax.plot(x, y, "o", ms=7, mfc=QUERY, mec="white", mew=1.5)
        ax.set_title(f"frame {t + 1}")
    return fig


def maps_beside(pictures, maps, masks, *, cell=1.4):
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
