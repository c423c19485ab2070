"""From attention weights to explanations: how many keys a query looks at, and rollout."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor


def effective_keys(weights: np.ndarray | Tensor) -> np.ndarray | Tensor:
    """The effective number of keys of each query, e to the entropy of its weights: how many equal weights would spread as much.

    effective_keys(a) = exp(-Σ_m a_m ln a_m),   with 0 ln 0 = 0

    Args:
        weights: attention weights (..., M): none negative, and each row sums to 1 over the keys.

    Returns:
        (...), at least float32, an array for an array and a tensor for a tensor: 1 where one key has all the weight, M where all
        share it equally, 0 for a query that may attend to nothing (a row of 0).

    Raises:
        ValueError: a negative weight, or a row that sums neither to 1 nor to 0: are these scores?

    Examples:
        >>> effective_keys(np.array([[1.0, 0.0, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0]])).round(6)
        array([1., 2.])
    """
    given = weights if isinstance(weights, Tensor) else torch.tensor(np.asarray(weights))
    shares = given.to(torch.promote_types(given.dtype, torch.float32))  # (..., M)
    sums = shares.sum(dim=-1)
    fits = ((sums - 1).abs() <= 0.01) | (sums == 0)  # 0.01: what rounding to half precision may add up to
    if not ((shares >= 0).all() and fits.all()):
        raise ValueError("weights must not be negative and must sum to 1 over the last axis, or to 0: are these scores?")
    keys = torch.special.entr(shares).sum(dim=-1).exp() * (sums > 0)
    return keys if isinstance(weights, Tensor) else keys.numpy()


def rollout(maps: Mapping[str, Tensor], *, residual: float = 0.5) -> Tensor:
    """Attention rollout: how much each input token reaches each output token, through all layers and skip connections.

    Ā_l = residual · I + (1 - residual) · mean over heads of A_l,   R = Ā_L ··· Ā_2 Ā_1

    Args:
        maps: what `record_attention` gave for a stack of self-attention layers, in forward order; each (B, heads, N, N).
        residual: share of the skip connection, in [0, 1]; the paper takes one half.

    Returns:
        R, (B, N, N), at least float32: row n says where output token n comes from. Each row sums to 1 over the input tokens; with
        residual = 0 a token that may attend to nothing has a row of 0, and a token that attends to it a row that sums to less.

    Raises:
        ValueError: no maps, maps that are not all of one shape (B, heads, N, N) up to the number of heads, or a residual
            outside [0, 1].

    Source: Abnar & Zuidema 2020, arXiv:2005.00928, section 3 (attention rollout). It takes mixing as if it were linear,
    and looks neither at values nor at the MLPs: read it as a picture of connectivity, not of importance.

    Examples:
        One layer, in which both tokens look at the first:

        >>> rollout({"layer": torch.tensor([[[[1.0, 0.0], [1.0, 0.0]]]])})
        tensor([[[1.0000, 0.0000],
                 [0.5000, 0.5000]]])
    """
    if not maps:
        raise ValueError("maps is empty: record a forward pass first")
    if not 0.0 <= residual <= 1.0:
        raise ValueError(f"residual must be in [0, 1], got {residual}")
    first = next(iter(maps.values()))
    shape = first.shape[:1] + 2 * first.shape[-1:]  # (B, N, N)
    for name, weights in maps.items():
        if weights.ndim != 4 or weights.shape[:1] + weights.shape[2:] != shape:
            raise ValueError(
                f"rollout takes self-attention maps of one size (B, heads, N, N), got {tuple(weights.shape)} for {name!r}"
            )
    dtype = torch.promote_types(first.dtype, torch.float32)  # half precision would lose a little in each layer
    identity = torch.eye(shape[-1], dtype=dtype, device=first.device)
    total = identity.expand(shape)
    for weights in maps.values():
        mixed = residual * identity + (1 - residual) * weights.to(dtype).mean(dim=1)  # (B, N, N)
        sums = mixed.sum(dim=-1, keepdim=True)
        total = mixed / sums.masked_fill(sums == 0, 1.0) @ total
    return total
