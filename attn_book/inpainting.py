"""Holes in photographs, filled by attention over the rest of the photograph: nothing is trained."""

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from skimage import metrics, restoration

from attn_book.arrays import picture_and_region
from attn_book.data.checks import check_number, check_whole

METHODS = ("attention", "copying", "biharmonic", "mean colour")
ROUNDS = (2, 3, 6)  # how often a level is filled anew, from the finest to the coarsest
AT_ONCE = 2**25  # weights that are held at a time


def random_hole(size, side, *, seed):
    """A square hole somewhere in a square picture, at least its own half away from the edges.

    Args:
        size: side of the picture in px, at least twice that of the hole.
        side: side of the hole in px.
        seed: a whole number of at least 0.

    Returns:
        (size, size) bool, True where the picture is missing.
    """
    side = check_whole("side", side, 2)
    size, rng = check_whole("size", size, 2 * side), np.random.default_rng([check_whole("seed", seed, 0), 11])
    row, column = rng.integers(side // 2, size - side - side // 2 + 1, size=2)
    hole = np.zeros((size, size), bool)
    hole[row : row + side, column : column + side] = True
    return hole


def fill(picture, hole, *, temperature, patch=7, levels=3, on_round=None):
    """Fill a hole from the rest of its picture: every patch that touches the hole asks, patches without a hole answer.

    weights = softmax_m(−mean((q_n − k_m)²) / τ),   out = weights k

    Each missing pixel takes the mean of what the patches that cover it say. That is repeated: patches ask with what is there by now.
    It begins on a small copy of the picture, whose hole is first filled smoothly, and goes on at twice the size each time.

    Args:
        picture: (H, W, 3) in [0, 1]; what stands in the hole is not looked at.
        hole: (H, W) bool, True where the picture is missing.
        temperature: τ, in squared differences of colour; 0 copies the nearest patch whole.
        patch: side of a patch in px, odd.
        levels: how many sizes, each half the one before.
        on_round: called as on_round(picture) after each round, with the picture as it is at that size.

    Returns:
        (H, W, 3) float32, the picture outside the hole unchanged.

    Raises:
        ValueError: shapes that do not fit, a picture without a hole or without a patch that is whole.

    Source: contextual attention, Yu et al. 2018, arXiv:1801.07892, section 4.1; coarse to fine with a mean of overlapping patches as
    Wexler, Shechtman and Irani 2007, whose nearest patch PatchMatch (Barnes et al. 2009) finds by chance and propagation.
    Differs from them: attention between pixels and not features of a network; the nearest patch by looking at every second one in
    each direction on the two finer levels.

    Examples:
        Stripes go on behind a hole:

        >>> stripes = np.zeros((32, 32, 3), np.float32)
        >>> stripes[:, ::4] = 1
        >>> hole = random_hole(32, 8, seed=0)
        >>> bool(np.abs(fill(stripes, hole, temperature=0, levels=1) - stripes).max() < 1e-6)
        True
    """
    picture, hole = _checked(picture, hole)
    temperature = check_number("temperature", temperature, 0)
    patch, levels = check_whole("patch", patch, 3), check_whole("levels", levels, 1, len(ROUNDS))
    if patch % 2 == 0:
        raise ValueError(f"patch must be odd, got {patch}")
    sizes = [(picture, hole)]
    for _ in range(levels - 1):
        sizes.append(_half(*sizes[-1]))
    now = biharmonic(*sizes[-1])
    for level in reversed(range(levels)):
        there, missing = sizes[level]
        if now.shape != there.shape:
            now = np.where(missing[..., None], _twice(now, there.shape), there)
        for _ in range(ROUNDS[level]):
            now = _round(now, missing, temperature, patch, stride=1 if level == levels - 1 and level else 2 - (levels == 1))
            if on_round is not None:
                on_round(now)
    return now


def biharmonic(picture, hole):
    """A hole filled smoothly (scikit-image's `inpaint_biharmonic`): (H, W, 3) float32."""
    picture, hole = _checked(picture, hole)
    return (
        restoration.inpaint_biharmonic(np.where(hole[..., None], 0, picture), hole, channel_axis=-1).clip(0, 1).astype(np.float32)
    )


def filled_by(method, picture, hole, *, temperature):
    """A hole filled by one of `METHODS`; "copying" is attention at temperature 0.

    Raises:
        ValueError: an unknown method.
    """
    if method == "attention":
        return fill(picture, hole, temperature=temperature)
    if method == "copying":
        return fill(picture, hole, temperature=0)
    if method == "biharmonic":
        return biharmonic(picture, hole)
    if method == "mean colour":
        picture, hole = _checked(picture, hole)
        return np.where(hole[..., None], picture[~hole].mean(0), picture)
    raise ValueError(f"method must be one of {', '.join(METHODS)}; got {method!r}")


def hole_scores(made, truth, hole):
    """PSNR in dB, SSIM and detail of what was filled in, on the pixels of the hole alone.

    Args:
        made, truth: (H, W, 3) in [0, 1].
        hole: (H, W) bool.

    Returns:
        {"PSNR": float, "SSIM": float, "detail": float}. The first two are scikit-image's, and ask for the very pixels that are missing;
        the windows of SSIM, 7 px wide, also see what is around the hole. Detail asks only whether there is as much texture: the spread
        of the Laplacian, as a share of that of the truth; 0 for something smooth. It leaves out two pixels along the rim (where the hole
        is that wide), for a seam is no texture.
    """
    truth, hole = _checked(truth, hole)
    made = _checked(made, hole)[0]
    _, likeness = metrics.structural_similarity(truth, made, channel_axis=-1, data_range=1.0, full=True)
    inner = ndimage.binary_erosion(hole, iterations=2)
    inner = inner if inner.any() else hole
    return {
        "PSNR": float(metrics.peak_signal_noise_ratio(truth[hole], made[hole], data_range=1.0)),
        "SSIM": float(likeness[hole].mean()),
        "detail": float(_rough(made)[inner].std() / max(_rough(truth)[inner].std(), 1e-6)),
    }


def _rough(picture):
    """The Laplacian of the brightness, (H, W)."""
    return ndimage.laplace(picture.mean(-1))


def _round(picture, hole, temperature, patch, stride):
    """Every patch that touches the hole asks once; the hole is filled with the mean of the answers."""
    H, W = hole.shape
    image = torch.from_numpy(picture).permute(2, 0, 1)[None]
    missing = torch.from_numpy(hole.astype(np.float32))[None, None]
    patches = F.unfold(image, patch)[0].T  # (patches, 3 P P), by their upper left corners
    touches = F.unfold(missing, patch)[0].amax(0) > 0
    rows, columns = H - patch + 1, W - patch + 1
    corner = torch.arange(rows * columns)
    sparse = (corner // columns % stride == 0) & (corner % columns % stride == 0)
    asking = torch.nonzero(touches)[:, 0]
    keys = patches[~touches & sparse]  # (M, 3 P P)
    if not len(keys):
        raise ValueError(f"picture must hold a patch of {patch} × {patch} px without a hole, got {H} × {W} px")
    lengths = keys.square().sum(1) / 2
    answers = []
    for some in asking.split(max(1, AT_ONCE // len(keys))):
        scores = 2 / patches.shape[1] * (patches[some] @ keys.T - lengths)  # less |q|², the same for all keys
        if temperature == 0:
            answers.append(keys[scores.argmax(1)])
        else:
            answers.append((scores / temperature).softmax(1) @ keys)
    said, votes = torch.zeros_like(patches), torch.zeros_like(patches)
    said[asking], votes[asking] = torch.cat(answers), 1.0
    together = [F.fold(some.T[None], (H, W), patch)[0].permute(1, 2, 0).numpy() for some in (said, votes)]
    return np.where(hole[..., None], together[0] / np.maximum(together[1], 1), picture)


def _half(picture, hole):
    """At half the size: colours are means of the known pixels of 2 × 2, and what has a missing pixel is missing."""
    H, W = (side // 2 * 2 for side in hole.shape)
    picture, known = picture[:H, :W], ~hole[:H, :W, None]
    blocks = lambda x: x.reshape(H // 2, 2, W // 2, 2, -1)
    mean = blocks(picture * known).sum((1, 3)) / np.maximum(blocks(known).sum((1, 3)), 1)
    return mean.astype(np.float32), ~blocks(known).all((1, 3))[..., 0]


def _twice(picture, shape):
    """Enlarged to a shape, smoothly."""
    image = torch.from_numpy(picture).permute(2, 0, 1)[None]
    return F.interpolate(image, size=shape[:2], mode="bilinear", align_corners=False)[0].permute(1, 2, 0).numpy()


def _checked(picture, hole):
    return picture_and_region(picture, hole, "hole", "leave some of the picture and miss some")
