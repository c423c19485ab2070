"""What an answer depends on: how far the gradient reaches in the picture and along the sequence, and what a shift does."""

import numpy as np
import torch

from attn_book.arrays import as_array
from attn_book.data.checks import check_whole


def receptive_field(tokens, images, token, *, seed=0):
    """How strongly one token's features depend on each pixel, averaged over pictures: the effective receptive field.

    The root of the mean over pictures of Σ_c (∂(r · y_token) / ∂image)², with a random direction r of length 1 for each picture.

    Args:
        tokens: called as tokens(images); returns (B, N, D).
        images: (B, C, H, W) tensor; the more pictures, the smoother the map.
        token: number of the token that is asked for.
        seed: of the random directions.

    Returns:
        (H, W) float64 array, not negative, of sum 1.

    Raises:
        ValueError: there is no such token, or nothing depends on the pictures.

    Source: Luo et al. 2016, arXiv:1701.04128, section 1.
    Differs from the paper: several features of the token in random directions, where the paper has a single one.
    """
    gradient = _gradient(tokens, images, token, seed)  # (B, C, H, W)
    field = gradient.square().sum(1).mean(0).sqrt().double().cpu().numpy()
    if not field.sum() > 0:
        raise ValueError("nothing depends on the pictures: the gradient is 0 everywhere")
    return field / field.sum()


def reach(tokens, sequences, token, *, seed=0):
    """How strongly one token's features depend on each place of the sequence, as a share of how they depend on their own place.

    Args:
        tokens: called as tokens(sequences); returns (B, N, D).
        sequences: (B, N, width) tensor.
        token: number of the token that is asked for.
        seed: of the random directions.

    Returns:
        (N,) float64 array: the root of the mean squared gradient at each place, 1 at `token` itself.

    Raises:
        ValueError: there is no such token, or it does not depend on its own place.
    """
    gradient = _gradient(tokens, sequences, token, seed)  # (B, N, width)
    norms = gradient.double().square().sum(-1).mean(0).sqrt().cpu().numpy()
    if not norms[token] > 0:
        raise ValueError(f"token {token} does not depend on its own place")
    return norms / norms[token]


def _gradient(tokens, x, token, seed):
    """Of one token's features in random directions of length 1, by x."""
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        y = tokens(x)  # (B, N, D)
        if not -y.shape[1] <= token < y.shape[1]:
            raise ValueError(f"token must be one of {y.shape[1]}, got {token}")
        direction = torch.randn(y.shape[0], y.shape[2], generator=torch.Generator().manual_seed(seed)).to(y)
        direction = direction / direction.norm(dim=1, keepdim=True)
        (gradient,) = torch.autograd.grad((direction * y[:, token]).sum(), x)
    return gradient


def share_beyond(field, centre, radius):
    """Share of a map's sum that lies farther than `radius` from a place, and the same of an even map.

    Args:
        field: (H, W), not negative.
        centre: row and column, in pixels; 3.5 lies between the fourth and the fifth.
        radius: in pixels.

    Returns:
        Two floats: the map's share, and the share of the pixels.
    """
    field = as_array(field, "field")
    rows, columns = np.indices(field.shape)
    far = np.hypot(rows - centre[0], columns - centre[1]) > radius
    return float(field[far].sum() / field.sum()), float(far.mean())


def pixels_of_half(field):
    """The smallest share of the pixels that holds half of a map's sum: 0.5 for an even map, near 0 for a peak.

    >>> pixels_of_half(np.array([[4.0, 1.0], [2.0, 1.0]]))
    0.25
    """
    falling = np.sort(as_array(field, "field").ravel())[::-1]
    return float((np.searchsorted(np.cumsum(falling), falling.sum() / 2 - 1e-12) + 1) / falling.size)


def moved(canvas, right, down, size):
    """Pictures cut out of larger ones, so that what they show moves and nothing is padded.

    Args:
        canvas: (B, C, H, W), array or tensor, with a margin around the pictures.
        right, down: px by which what is shown moves; negative ones move it to the left and up.
        size: side of the pictures in px.

    Returns:
        (B, C, size, size); `moved(canvas, 0, 0, size)` is the middle of the canvas.

    Raises:
        ValueError: the margin is too small.
    """
    H, W = canvas.shape[-2:]
    top, left = (H - check_whole("size", size, 1)) // 2 - down, (W - size) // 2 - right
    if min(top, left) < 0 or top + size > H or left + size > W:
        raise ValueError(f"a margin of {(H - size) // 2} px is too small to move by {right} px to the right and {down} px down")
    return canvas[..., top : top + size, left : left + size]


def gap_after_shift(before, after, right, down):
    """How far features are from moving with the picture: 0 where they do, about 1.4 where they have nothing in common.

    √(Σ |after[i + down, j + right] − before[i, j]|² / Σ |before[i, j] − mean|²), over the places that both have.

    Args:
        before: (B, h, w, D), features of pictures on a grid.
        after: (B, h, w, D), of the pictures after they moved by whole places of that grid.
        right, down: places by which they moved.

    Returns:
        A float.

    Raises:
        ValueError: nothing of the grid is left, or the features are the same everywhere.
    """
    before, after = as_array(before, "before").astype(float), as_array(after, "after").astype(float)
    h, w = before.shape[1:3]
    if abs(down) >= h or abs(right) >= w:
        raise ValueError(f"a grid of {h} × {w} has nothing in common with itself, {right} to the right and {down} down")
    stay = before[:, max(-down, 0) : h - max(down, 0), max(-right, 0) : w - max(right, 0)]
    come = after[:, max(down, 0) : h + min(down, 0), max(right, 0) : w + min(right, 0)]
    spread = ((stay - stay.mean((0, 1, 2))) ** 2).sum()
    if not spread > 0:
        raise ValueError("before must differ from place to place, got the same features everywhere")
    return float(np.sqrt(((come - stay) ** 2).sum() / spread))
