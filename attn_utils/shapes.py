"""All rejections of the torch layers: tokens, maps, grids, masks, heads – one wording for one fault."""

import torch
from torch import Tensor


def check_qkv(q: Tensor, k: Tensor, v: Tensor) -> None:
    for name, tensor in (("q", q), ("k", k), ("v", v)):
        if not tensor.is_floating_point():
            raise TypeError(f"{name} must be floating point, got {tensor.dtype}")
        if tensor.ndim < 2:
            raise ValueError(f"{name} must have at least two axes (tokens, width), got shape {tuple(tensor.shape)}")
    if q.shape[-1] != k.shape[-1]:
        raise ValueError(f"q and k must have the same width, got {q.shape[-1]} and {k.shape[-1]}")
    if k.shape[-2] != v.shape[-2]:
        raise ValueError(f"k and v must have the same number of tokens, got {k.shape[-2]} and {v.shape[-2]}")
    if k.shape[-2] == 0:
        raise ValueError("the set of keys is empty: a query has nothing to attend to")


def check_mask(mask: Tensor, shape: tuple[int, ...], device: torch.device) -> Tensor:
    """The mask as a boolean tensor on `device` (NumPy masks are welcome), after a check that it broadcasts to `shape`."""
    mask = torch.as_tensor(mask, device=device)
    if mask.dtype != torch.bool:
        raise TypeError(f"mask must be boolean with True = may attend, got {mask.dtype}")
    if mask.ndim > len(shape) or any(a not in (1, b) for a, b in zip(mask.shape[::-1], shape[::-1], strict=False)):
        raise ValueError(f"mask of shape {tuple(mask.shape)} does not broadcast to {tuple(shape)}")
    return mask


def check_tokens(name: str, x: Tensor, width: int) -> None:
    if not x.is_floating_point():
        raise TypeError(f"{name} must be floating point, got {x.dtype}")
    if x.ndim != 3:
        raise ValueError(f"{name} must have the three axes (batch, tokens, width), got shape {tuple(x.shape)}")
    if x.shape[-1] != width:
        raise ValueError(f"{name} must have width {width}, got {x.shape[-1]}")


def check_grid(name: str, x: Tensor, dim: int) -> None:
    """Raise TypeError or ValueError unless x is a floating-point grid of tokens (B, H, W, dim) with nothing empty."""
    if not x.is_floating_point():
        raise TypeError(f"{name} must be floating point, got {x.dtype}")
    if x.ndim != 4 or 0 in x.shape[1:]:
        raise ValueError(f"{name} must have the four axes (batch, row, column, width), none empty, got shape {tuple(x.shape)}")
    if x.shape[-1] != dim:
        raise ValueError(f"{name} must have width {dim}, got {x.shape[-1]}")


def check_map(name: str, x: Tensor, channels: int | None = None) -> None:
    if not x.is_floating_point():
        raise TypeError(f"{name} must be floating point, got {x.dtype}")
    if x.ndim != 4 or 0 in x.shape[1:]:
        raise ValueError(f"{name} must have the four axes (batch, channel, row, column), none empty, got shape {tuple(x.shape)}")
    if channels is not None and x.shape[1] != channels:
        raise ValueError(f"{name} must have {channels} channels, got {x.shape[1]}")


def check_heads(dim: int, heads: int) -> None:
    """Raise ValueError unless `heads` heads share the width `dim` evenly."""
    if heads < 1 or dim % heads:
        raise ValueError(f"dim must be a multiple of heads, got dim={dim} and heads={heads}")
