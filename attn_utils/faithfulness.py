"""How good is a map that claims to say where an answer comes from? Scores against a mask, by removal, and of one map with another."""

import copy
from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from scipy.sparse import coo_matrix
from scipy.sparse.linalg import spsolve
from scipy.stats import rankdata
from torch import Tensor, nn

from attn_utils.shapes import check_choice, check_map, check_shape, check_size

Fill = Callable[[Tensor, Tensor], Tensor]  # (images, what is removed) -> images

# ------------------------------------------------------------------------------------------------ against a mask


def pointing_game(maps: Tensor, masks: Tensor) -> Tensor:
    """Does the largest value of each map lie in the mask?

    Args:
        maps: (B, N).
        masks: (B, N) bool.

    Returns:
        (B,) 1 or 0; where several places share the largest value, the share of them that lie in the mask.

    Source: Zhang et al. 2016, arXiv:1608.00507 (there over pixels, with a margin).
    """
    return _share_of_top(maps, masks, torch.ones(len(maps), dtype=torch.long, device=maps.device))


def truth_first(maps: Tensor, masks: Tensor) -> Tensor:
    """Of as many top places as the mask has, the share that lies in it: 1 where the map ranks the mask before all else.

    Args:
        maps: (B, N).
        masks: (B, N) bool, no row empty.

    Returns:
        (B,) in [0, 1]; places that share a value share their luck.
    """
    return _share_of_top(maps, masks, masks.sum(dim=1))


def mass_in_mask(maps: Tensor, masks: Tensor) -> Tensor:
    """The share of a map's positive values that lies in the mask, (B,); of a map without any, that of an even map."""
    _check_pair("masks", maps, masks)
    positive = maps.clamp(min=0)
    positive = torch.where(positive.sum(dim=1, keepdim=True) > 0, positive, torch.ones_like(positive))
    return (positive * masks).sum(dim=1) / positive.sum(dim=1)


def _share_of_top(maps: Tensor, masks: Tensor, count: Tensor) -> Tensor:
    """Of the `count` largest values of each row, the share in the mask; the last of them may be one of several that are equal."""
    _check_pair("masks", maps, masks)
    last = maps.sort(dim=1, descending=True).values.gather(1, (count - 1)[:, None])  # (B, 1)
    sure, tied = maps > last, maps == last
    left = count - sure.sum(dim=1)
    return ((sure & masks).sum(dim=1) + left * (tied & masks).sum(dim=1) / tied.sum(dim=1)) / count


# --------------------------------------------------------------------------------------------------- by removal


def mean_fill(images: Tensor, removed: Tensor) -> Tensor:
    """The picture's mean colour in place of what is removed; images (B, C, H, W), removed (B, H, W) bool."""
    _check_removed(images, removed)
    return torch.where(removed[:, None], images.mean(dim=(2, 3), keepdim=True), images)


def blur_fill(images: Tensor, removed: Tensor, *, sigma: float = 4.0) -> Tensor:
    """The picture out of focus in place of what is removed: a Gaussian of `sigma` px, the picture reflected at its border."""
    _check_removed(images, removed)
    C, reach = images.shape[1], min(round(3 * sigma), min(images.shape[2:]) - 1)
    bell = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, device=images.device) / sigma) ** 2).to(images.dtype)
    bell = (bell / bell.sum()).expand(C, 1, -1)
    padded = F.pad(images, (reach,) * 4, mode="reflect")
    blurred = F.conv2d(F.conv2d(padded, bell[:, :, None], groups=C), bell[..., None], groups=C)
    return torch.where(removed[:, None], blurred, images)


# A missing pixel is the weighted mean of its eight neighbours: those beside it count 1/6, those at its corners 1/12.
NEIGHBOURS = {(y, x): 1 / 6 if 0 in (y, x) else 1 / 12 for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)}


def road_fill(images: Tensor, removed: Tensor, *, noise: float = 0.01, generator: torch.Generator | None = None) -> Tensor:
    """ROAD's noisy linear imputation: each removed pixel is the weighted mean of its neighbours, removed ones too, plus noise.

    x_p = Σ_q w_pq x_q over the eight neighbours q in the picture, with weights that sum to 1: a linear system for all removed pixels

    Args:
        images: (B, C, H, W).
        removed: (B, H, W) bool. Of a picture of which nothing is left, its mean colour takes the place of all.
        noise: standard deviation of what is added.
        generator: of the noise, on the CPU; without one, that of torch.

    Returns:
        (B, C, H, W), what is not removed untouched.

    Source: Rong et al. 2022, arXiv:2202.00449 (ROAD); the weights 1/6 and 1/12, their renormalisation at the border and the noise of
    0.01 are those of its published code.
    """
    _check_removed(images, removed)
    filled = torch.where(removed.all(dim=(1, 2))[:, None, None, None], images.mean(dim=(2, 3), keepdim=True), images)
    for picture, gaps in zip(filled, removed):
        if gaps.any() and not gaps.all():
            solved = _harmonic(picture.detach().cpu().numpy().astype(np.float64), gaps.cpu().numpy())
            picture[:, gaps] = torch.from_numpy(solved).to(picture)
    grain = torch.randn(images.shape, generator=generator).to(images)
    return torch.where(removed[:, None], filled + noise * grain, images)


def _harmonic(picture: np.ndarray, gaps: np.ndarray) -> np.ndarray:
    """(C, gaps) values: those that are the weighted means of their neighbours; picture (C, H, W), gaps (H, W) bool."""
    H, W = gaps.shape
    number = np.cumsum(gaps).reshape(H, W) - 1  # of each gap
    y, x = np.nonzero(gaps)
    totals, known = np.zeros(len(y)), np.zeros((len(y), len(picture)))
    rows, columns, values = [], [], []
    for (down, right), weight in NEIGHBOURS.items():
        inside = np.flatnonzero((y + down >= 0) & (y + down < H) & (x + right >= 0) & (x + right < W))
        v, u = y[inside] + down, x[inside] + right
        totals[inside] += weight
        gap = gaps[v, u]
        np.add.at(known, inside[~gap], weight * picture[:, v[~gap], u[~gap]].T)
        rows.append(inside[gap])
        columns.append(number[v[gap], u[gap]])
        values.append(np.full(gap.sum(), -weight))
    rows.append(np.arange(len(y)))
    columns.append(np.arange(len(y)))
    values.append(totals)
    system = coo_matrix((np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), shape=(len(y),) * 2)
    return np.atleast_2d(spsolve(system.tocsc(), known).reshape(len(y), -1).T)


def removal_curve(
    score: Callable[[Tensor], Tensor],
    images: Tensor,
    maps: Tensor,
    fill: Fill,
    *,
    patch: int,
    how: str = "deletion",
    kept: Tensor | None = None,
) -> Tensor:
    """The score of a picture while its cells are removed, or put back, the most important ones first.

    Args:
        score: images -> (B,).
        images: (B, C, H, W).
        maps: (B, N), how important each cell is claimed to be, row by row.
        fill: what takes the place of removed pixels: `mean_fill`, `blur_fill`, `road_fill`, or your own.
        patch: side of a cell in px.
        how: "deletion" begins with the whole picture, "insertion" with nothing of it.
        kept: (B, N) bool, cells that are never removed, as many in each picture; by default none.

    Returns:
        (B, steps + 1): the score with 0, 1, … cells removed (or put back). Of a good map it falls fast, or rises fast. The mean over a
        curve is what such curves are compared by.

    Source: Petsiuk et al. 2018, arXiv:1806.07421, section 3.2 (deletion and insertion, there over pixels).
    """
    check_map("images", images)
    check_choice("how", how, ("deletion", "insertion"))
    down, across = (size // check_size("patch", patch) for size in images.shape[-2:])
    check_shape("maps", maps, (len(images), down * across))
    kept = torch.zeros_like(maps, dtype=torch.bool) if kept is None else kept
    _check_pair("kept", maps, kept)
    if len(set(kept.sum(dim=1).tolist())) > 1:
        raise ValueError("kept must keep as many cells in each picture")
    steps = maps.shape[1] - int(kept[0].sum())
    order = maps.masked_fill(kept, -torch.inf).argsort(dim=1, descending=True, stable=True)
    rank = order.argsort(dim=1)  # (B, N): when each cell's turn comes
    scores = []
    for step in range(steps + 1):
        gone = (rank < step) if how == "deletion" else (rank >= step) & ~kept
        pixels = gone.unflatten(1, (down, across)).repeat_interleave(patch, 1).repeat_interleave(patch, 2)
        scores.append(score(fill(images, pixels)))
    return torch.stack(scores, dim=1)


# ------------------------------------------------------------------------------------- of one map with another


def rank_agreement(first: Tensor, second: Tensor) -> Tensor:
    """Spearman's rank correlation of two maps, row by row: (B, N) twice -> (B,), 0 where a map is the same everywhere."""
    check_shape("second", second, tuple(first.shape))
    ranks = [rankdata(maps.detach().cpu().double().numpy(), axis=1) for maps in (first, second)]
    a, b = (r - r.mean(axis=1, keepdims=True) for r in ranks)
    norm = np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    return torch.from_numpy((a * b).sum(axis=1) / np.where(norm > 0, norm, 1.0))


def randomised(model: nn.Module, names: Sequence[str], *, seed: int = 0) -> nn.Module:
    """A copy of a model in which some modules, and all within them, have the weights of an untrained one.

    A map that does not change when the model is made to forget what it learned shows something else than what it learned.

    Args:
        model: any module.
        names: of modules, as in `model.named_modules()`; from the last to the first, more and more of them ("cascading").
        seed: of the new weights.

    Raises:
        ValueError: a name that is no module, or modules without weights that can be drawn anew (`reset_parameters`).

    Source: Adebayo et al. 2018, arXiv:1810.03292, section 3.
    """
    other = copy.deepcopy(model)
    modules = dict(other.named_modules())
    if unknown := [name for name in names if name not in modules]:
        raise ValueError(f"names: the model has no module {unknown}")
    drawn = 0
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for name in names:
            for module in modules[name].modules():
                if hasattr(module, "reset_parameters"):
                    module.reset_parameters()
                    drawn += 1
    if not drawn:
        raise ValueError(f"names: nothing in {list(names)} can be drawn anew")
    return other


def _check_pair(name: str, maps: Tensor, masks: Tensor) -> None:
    check_shape("maps", maps, ("B", "N"))
    check_shape(name, masks, tuple(maps.shape))
    if masks.dtype != torch.bool:
        raise TypeError(f"{name} must be boolean, got {masks.dtype}")


def _check_removed(images: Tensor, removed: Tensor) -> None:
    check_map("images", images)
    check_shape("removed", removed, (images.shape[0], *images.shape[2:]))
    if removed.dtype != torch.bool:
        raise TypeError(f"removed must be boolean, got {removed.dtype}")
