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
        R, (B, N, N): row n says where output token n comes from; each row sums to 1 over the input tokens.

    Raises:
        ValueError: no maps, or maps that are not all of one shape (B, heads, N, N) up to the number of heads.

    Source: Abnar & Zuidema 2020, arXiv:2005.00928, section 3 (attention rollout). It takes mixing as if it were linear,
    and looks neither at values nor at the MLPs: read it as a picture of connectivity, not of importance.
    """
    if not maps:
        raise ValueError("maps is empty: record a forward pass first")
    if not 0.0 <= residual <= 1.0:
        raise ValueError(f"residual must be in [0, 1], got {residual}")
    layers = [weights.mean(dim=1) for weights in maps.values()]  # (B, N, N) each
    shape = layers[0].shape
    for name, layer in zip(maps, layers, strict=True):
        if layer.shape != shape or layer.shape[-1] != layer.shape[-2]:
            raise ValueError(f"rollout takes self-attention maps of one size, got {tuple(maps[name].shape)} for {name!r}")
    identity = torch.eye(shape[-1], dtype=layers[0].dtype, device=layers[0].device)
    total = identity.expand(shape)  # (B, N, N)
    for layer in layers:
        mixed = residual * identity + (1 - residual) * layer
        total = mixed / mixed.sum(dim=-1, keepdim=True) @ total
    return total
