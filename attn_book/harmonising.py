"""A piece of a picture whose colours do not fit its surroundings, and ways to make them fit: nothing is trained."""

import numpy as np
import torch
import torch.nn.functional as F
from scipy import sparse
from scipy.sparse.linalg import spsolve

from attn_book.arrays import picture_and_region
from attn_book.data.checks import check_number, check_whole

WAYS = ("attention", "all pixels alike", "Poisson", "as pasted")
STRIDE = 2  # every second pixel in each direction asks and answers
AT_ONCE = 2**25


def ellipse(size, *, seed):
    """An ellipse somewhere in a square picture, (size, size) bool; each axis is a quarter to a half of the side."""
    size, rng = check_whole("size", size, 16), np.random.default_rng([check_whole("seed", seed, 0), 12])
    radii = size * rng.uniform(0.125, 0.25, 2)
    centre = [rng.uniform(r + 2, size - r - 2) for r in radii]
    rows, columns = np.indices((size, size)) + 0.5
    return ((rows - centre[0]) / radii[0]) ** 2 + ((columns - centre[1]) / radii[1]) ** 2 <= 1


def recoloured(picture, piece, *, seed):
    """The picture with other light on a piece of it: each channel of it is scaled by .6 to 1.4 and moved by up to .15.

    Args:
        picture: (H, W, 3) in [0, 1].
        piece: (H, W) bool.
        seed: a whole number of at least 0.

    Returns:
        (H, W, 3) float32, cut off at 0 and 1.
    """
    picture, piece = _checked(picture, piece)
    rng = np.random.default_rng([check_whole("seed", seed, 0), 13])
    gain, shift = rng.uniform(0.6, 1.4, 3), rng.uniform(-0.15, 0.15, 3)
    return np.where(piece[..., None], picture * gain + shift, picture).clip(0, 1).astype(np.float32)


def harmonised(picture, piece, *, way="attention", temperature=0.3, near=0.15):
    """The piece with colours that fit: mean and spread of each channel brought to those of pixels outside.

    x' = μ_out + σ_out / σ_in (x − μ_in),   μ_out = Σ_m a_m x_m,   a = mean over the piece's pixels n of A_n

    A_n is how much pixel n of the piece looks at pixel m outside: softmax of −|f_n − f_m|² / τ − |p_n − p_m|² / (2 s²). What is compared
    are patches f of brightness, less their mean and divided by their spread, so that other light does not change them, and places p.
    With an even A this is the colour transfer of Reinhard et al. from all that is outside.

    Args:
        picture: (H, W, 3) in [0, 1].
        piece: (H, W) bool, what does not fit.
        way: one of `WAYS`: "all pixels alike" has an even A; "Poisson" keeps the differences of neighbours and takes the colours at the
            edge from outside (Pérez, Gangnet and Blake 2003, equation 7), across which nothing may change; "as pasted" does nothing.
        temperature: τ, for the mean squared difference of two patches.
        near: s, as a share of the picture's height.

    Returns:
        (H, W, 3) float32 in [0, 1], the picture outside the piece unchanged.

    Raises:
        ValueError: shapes that do not fit, or an unknown way.

    Source: Reinhard et al. 2001 (colour transfer), there in a colour space of its own and not in red, green and blue.
    """
    picture, piece = _checked(picture, piece)
    if way == "as pasted":
        return picture.copy()
    if way == "Poisson":
        return _poisson(picture, piece)
    inside, outside = picture[piece], picture[~piece]
    if way == "all pixels alike":
        mean, spread = outside.mean(0), outside.std(0)
    elif way == "attention":
        temperature, near = check_number("temperature", temperature, 1e-9), check_number("near", near, 1e-9)
        colours, share = looked_at(picture, piece, temperature=temperature, near=near)
        mean = share @ colours
        spread = np.sqrt(share @ (colours - mean) ** 2)
    else:
        raise ValueError(f"way must be one of {', '.join(WAYS)}; got {way!r}")
    fitted = mean + spread / np.maximum(inside.std(0), 1e-6) * (picture - inside.mean(0))
    return np.where(piece[..., None], fitted, picture).clip(0, 1).astype(np.float32)


def looked_at(picture, piece, *, temperature, near, patch=5):
    """How much the piece as a whole looks at each pixel outside, of every second one.

    Returns:
        colours (M, 3) of those pixels, and the shares (M,), which sum to 1.
    """
    picture, piece = _checked(picture, piece)
    H, W = piece.shape
    grey = torch.from_numpy(picture.mean(-1))[None, None]
    patches = F.unfold(F.pad(grey, [patch // 2] * 4, mode="reflect"), patch)[0].T  # (H W, P P)
    patches = (patches - patches.mean(1, keepdim=True)) / (patches.std(1, keepdim=True) + 0.01)
    rows, columns = np.indices((H, W))
    places = torch.from_numpy(np.stack([rows, columns], -1).reshape(-1, 2) / H).float()
    taken = ((rows % STRIDE == 0) & (columns % STRIDE == 0)).ravel()
    asks, answers = np.flatnonzero(taken & piece.ravel()), np.flatnonzero(taken & ~piece.ravel())
    share = torch.zeros(len(answers))
    for some in torch.from_numpy(asks).split(max(1, AT_ONCE // len(answers))):
        unlike = torch.cdist(patches[some], patches[answers]).square() / patch**2
        far = torch.cdist(places[some], places[answers]).square()
        share += (-unlike / temperature - far / (2 * near**2)).softmax(1).sum(0)
    return picture.reshape(-1, 3)[answers], (share / len(asks)).double().numpy()


def _poisson(picture, piece):
    """Neighbours differ as in the piece as pasted; at its edge the colours are those outside. At the picture's edge nothing is asked."""
    H, W = piece.shape
    number = np.full((H, W), -1)
    number[piece] = np.arange(piece.sum())
    at, right = np.argwhere(piece), np.zeros((piece.sum(), 3))
    rows, columns, entries = [], [], []
    degree = np.zeros(len(at))
    for step in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        beside = at + step
        there = ((beside >= 0) & (beside < (H, W))).all(1)
        mine, (r, c) = np.flatnonzero(there), beside[there].T
        degree[mine] += 1
        right[mine] += np.where(piece[r, c][:, None], picture[tuple(at[mine].T)] - picture[r, c], picture[r, c])
        free = piece[r, c]
        rows.append(mine[free])
        columns.append(number[r, c][free])
        entries.append(-np.ones(free.sum()))
    n = len(at)
    rows, columns, entries = (
        np.concatenate([*parts, last]) for parts, last in zip((rows, columns, entries), (range(n), range(n), degree))
    )
    system = sparse.csc_matrix((entries, (rows.astype(int), columns.astype(int))), (n, n))
    made = picture.copy()
    made[piece] = spsolve(system, right).clip(0, 1)
    return made


def _checked(picture, piece):
    return picture_and_region(picture, piece, "piece", "be some of the picture and not all of it")
