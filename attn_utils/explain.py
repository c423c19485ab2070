"""From attention weights to explanations: rollout."""

from collections.abc import Mapping

import torch
from torch import Tensor


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
