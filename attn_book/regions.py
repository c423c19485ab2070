"""Do weights lie where they should? Maps against the regions that they are about."""

import numpy as np

from attn_book.arrays import as_array


def pointing_game(maps, regions):
    """Does the largest value of each map lie inside its region?

    Args:
        maps: (..., H, W).
        regions: (..., H, W) bool.

    Returns:
        (...) float64, 1 or 0; where several places share the largest value, the share of them that lies inside.

    Raises:
        ValueError: shapes that differ, or regions that are not boolean.

    Source: Zhang et al. 2016, arXiv:1608.00507.
    """
    maps, regions = _fitting(maps, regions)
    largest = maps == maps.max((-2, -1), keepdims=True)
    return (largest & regions).sum((-2, -1)) / largest.sum((-2, -1))


def mass_inside(maps, regions):
    """Share of each map's weight that lies inside its region.

    Args:
        maps: (..., H, W), not negative.
        regions: (..., H, W) bool.

    Returns:
        (...) float64 in [0, 1]; 0 for a map without weight. An even map gives the region's share of the area: chance.

    Raises:
        ValueError: shapes that differ, regions that are not boolean, or negative weights.
    """
    maps, regions = _fitting(maps, regions)
    if maps.size and maps.min() < 0:
        raise ValueError(f"maps must not be negative, got {maps.min():g}")
    total = maps.sum((-2, -1))
    return np.where(total > 0, (maps * regions).sum((-2, -1)) / np.where(total > 0, total, 1), 0.0)


def to_patches(regions, patch):
    """Which patches hold a pixel of each region, (..., H, W) -> (..., H / patch, W / patch) bool.

    Raises:
        ValueError: patches that do not tile the regions.
    """
    regions = as_array(regions, "regions")
    H, W = regions.shape[-2:]
    if H % patch or W % patch:
        raise ValueError(f"patch must divide height and width, got patch={patch} for {H} × {W}")
    return regions.reshape(*regions.shape[:-2], H // patch, patch, W // patch, patch).any((-3, -1))


def _fitting(maps, regions):
    maps, regions = as_array(maps, "maps").astype(np.float64), as_array(regions, "regions")
    if regions.dtype != bool:
        raise ValueError(f"regions must be boolean, got {regions.dtype}")
    if maps.shape != regions.shape or maps.ndim < 2:
        raise ValueError(f"maps and regions must have one shape (..., H, W), got {maps.shape} and {regions.shape}")
    return maps, regions
