"""All rejections: sizes, tokens, maps, grids, masks, heads – one wording for one fault.

`masks` and `positions`, which know no torch, reject with the same words as the layers: so nothing but NumPy is imported here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

# ---------------------------------------------------------------------------------------------- sizes and choices


def check_size(name: str, size: int, *, least: int = 1, multiple_of: int = 1) -> int:
    """The size as a Python integer (NumPy's are welcome, bool and float are not).

    Raises:
        ValueError: no integer, below `least`, or not a multiple of `multiple_of`.
    """
    if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < least or size % multiple_of:
        wanted = f"an integer of at least {least}" if multiple_of == 1 else f"a multiple of {multiple_of} above 0"
        raise ValueError(f"{name} must be {wanted}, got {size!r}")
    return int(size)


def check_odd(name: str, size: int) -> int:
    """The size of a kernel that has a middle: odd, as a Python integer; else ValueError."""
    if check_size(name, size) % 2 == 0:
        raise ValueError(f"{name} must be odd, got {size}")
    return int(size)


def check_divides(part_name: str, part: int, whole_name: str, whole: int) -> tuple[int, int]:
    """The part and the whole as Python integers; ValueError unless the part goes evenly into the whole."""
    part, whole = check_size(part_name, part), check_size(whole_name, whole)
    if whole % part:
        raise ValueError(f"{whole_name} must be a multiple of {part_name}, got {whole_name}={whole} and {part_name}={part}")
    return part, whole


def check_heads(dim: int, heads: int) -> tuple[int, int]:
    """`dim` and `heads` as Python integers; ValueError unless the heads share the width evenly."""
    heads, dim = check_divides("heads", heads, "dim", dim)
    return dim, heads


def check_shift(shift: int, window: int) -> int:
    """The shift of windows as a Python integer, 0 ≤ shift < window; else ValueError."""
    if check_size("shift", shift, least=0) >= window:
        raise ValueError(f"shift must be below window = {window}, got {shift}")
    return int(shift)


def check_tiles(name: str, side: int, H: int, W: int) -> None:
    """ValueError unless squares of this side (of a patch, of a window) tile an H × W rectangle."""
    if H % side or W % side:
        raise ValueError(f"{name} must divide height and width, got {name}={side} for {H} × {W}")


def check_rate(name: str, rate: float) -> None:
    """ValueError unless the rate (of dropout) lies in [0, 1)."""
    if not 0.0 <= rate < 1.0:
        raise ValueError(f"{name} must be in [0, 1), got {rate}")


def check_choice(name: str, choice: str, choices: Sequence[str]) -> None:
    """ValueError unless the choice is one of the choices."""
    if choice not in choices:
        quoted = [f'"{one}"' for one in choices]
        raise ValueError(f"{name} must be {', '.join(quoted[:-1])} or {quoted[-1]}, got {choice!r}")


# --------------------------------------------------------------------------------------------------------- tensors


def check_float(name: str, x: Tensor | np.ndarray) -> None:
    """TypeError unless x holds floating-point numbers."""
    if not (x.is_floating_point() if hasattr(x, "is_floating_point") else np.issubdtype(x.dtype, np.floating)):
        raise TypeError(f"{name} must be floating point, got {x.dtype}")


def check_shape(name: str, x: Tensor, shape: tuple[int | str, ...]) -> None:
    """ValueError unless x has this shape; a letter stands for any size, the same letter for the same size."""
    sizes: dict[int | str, int] = {}
    if x.ndim != len(shape) or any(
        got != (sizes.setdefault(want, got) if isinstance(want, str) else want) for got, want in zip(x.shape, shape, strict=True)
    ):
        wanted = ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "")
        raise ValueError(f"{name} must have shape ({wanted}), got {tuple(x.shape)}")


def check_qkv(q: Tensor, k: Tensor, v: Tensor) -> None:
    """TypeError or ValueError unless q (..., N, d), k (..., M, d) and v (..., M, d_v) are floats that fit, with M ≥ 1."""
    for name, tensor in (("q", q), ("k", k), ("v", v)):
        check_float(name, tensor)
        if tensor.ndim < 2:
            raise ValueError(f"{name} must have at least two axes (tokens, width), got shape {tuple(tensor.shape)}")
    if q.shape[-1] != k.shape[-1]:
        raise ValueError(f"q and k must have the same width, got {q.shape[-1]} and {k.shape[-1]}")
    if k.shape[-2] != v.shape[-2]:
        raise ValueError(f"k and v must have the same number of tokens, got {k.shape[-2]} and {v.shape[-2]}")
    _check_keys("k", k)


def check_mask(mask: Tensor, shape: tuple[int, ...]) -> None:
    """TypeError unless the mask is boolean, ValueError unless it broadcasts to `shape`, that of the scores."""
    if str(mask.dtype) not in ("torch.bool", "bool"):
        raise TypeError(f"mask must be boolean with True = may attend, got {mask.dtype}")
    if mask.ndim > len(shape) or any(a not in (1, b) for a, b in zip(mask.shape[::-1], shape[::-1], strict=False)):
        raise ValueError(f"mask of shape {tuple(mask.shape)} does not broadcast to {tuple(shape)}")


def check_tokens(name: str, x: Tensor, width: int) -> None:
    """TypeError or ValueError unless x holds floating-point tokens, (B, N, width)."""
    check_float(name, x)
    if x.ndim != 3:
        raise ValueError(f"{name} must have the three axes (batch, tokens, width), got shape {tuple(x.shape)}")
    _check_width(name, x, width)


def check_sources(x: Tensor, context: Tensor | None, dim: int, context_dim: int | None) -> None:
    """TypeError or ValueError unless a layer has what its queries and keys are made from.

    Args:
        x: tokens (B, N, dim).
        context: tokens (B, M, context_dim), M ≥ 1; must be None where context_dim is: then keys come from x, N ≥ 1.
        dim, context_dim: widths that the layer was built for.
    """
    check_tokens("x", x, dim)
    if context_dim is None:
        check_no_context(context)
        _check_keys("x", x)
        return
    if context is None:
        raise ValueError("this is a cross-attention layer: call it with a context")
    check_tokens("context", context, context_dim)
    if context.shape[0] != x.shape[0]:
        raise ValueError(f"x and context must have the same batch size, got {x.shape[0]} and {context.shape[0]}")
    _check_keys("context", context)


def check_no_context(context: object) -> None:
    """ValueError where a layer without cross-attention is given a context, or something that belongs to one."""
    if context is not None:
        raise ValueError("this layer has no cross-attention: give context_dim=... to attend to a context")


def check_grid(name: str, x: Tensor, dim: int) -> None:
    """TypeError or ValueError unless x is a floating-point grid of tokens (B, H, W, dim) with nothing empty."""
    check_float(name, x)
    if x.ndim != 4 or 0 in x.shape[1:]:
        raise ValueError(f"{name} must have the four axes (batch, row, column, width), none empty, got shape {tuple(x.shape)}")
    _check_width(name, x, dim)


def check_map(name: str, x: Tensor, channels: int | None = None) -> None:
    """TypeError or ValueError unless x is a floating-point map (B, channels, H, W) with nothing empty."""
    check_float(name, x)
    if x.ndim != 4 or 0 in x.shape[1:]:
        raise ValueError(f"{name} must have the four axes (batch, channel, row, column), none empty, got shape {tuple(x.shape)}")
    if channels is not None and x.shape[1] != channels:
        raise ValueError(f"{name} must have {channels} channels, got {x.shape[1]}")


def _check_width(name: str, x: Tensor, width: int) -> None:
    if x.shape[-1] != width:
        raise ValueError(f"{name} must have width {width}, got {x.shape[-1]}")


def _check_keys(name: str, x: Tensor) -> None:
    if x.shape[-2] == 0:
        raise ValueError(f"the set of keys is empty: {name} has no tokens")
