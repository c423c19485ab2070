"""Look at attention weights without changing the model that makes them::

with record_attention(model) as maps:
    model(images)
maps["blocks.0.attention"]                # (B, heads, N, M)
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


@contextmanager
def record_attention(model: nn.Module, *, grad: bool = False) -> Iterator[dict[str, Tensor]]:
    """Collect the weights of every attention layer that runs inside the `with` block.

    A layer can be recorded if it has a submodule `weights` (an `nn.Identity`) and calls it on its weights while that
    submodule has a hook; `attn_utils.layers.MultiHeadAttention` does. Outputs do not change. Recorders can be nested, and leave no hook
    behind, also after an exception. Of a model that went through `torch.compile`, record the original.

    Args:
        model: any module; its attention layers are found by themselves.
        grad: keep the graph, so that the maps can be differentiated (and `maps[name].grad` read after `backward()`).

    Yields:
        A dict that fills as the model runs, {module name: weights (B, heads, N, M)}, in the order in which the layers ran; "" is
        the name if the model itself is the layer. Weights are taken before dropout: rows sum to 1 over the keys, or are 0 where
        a mask left nothing. Detached, unless `grad`.

    Raises:
        ValueError: the model has no attention layer that can be recorded.
        RuntimeError: nothing ran inside the block, a layer ran twice (which run is meant? open one recorder per pass),
            or the weights hold NaN.
    """
    layers = {name: layer for name, layer in model.named_modules() if isinstance(getattr(layer, "weights", None), nn.Identity)}
    if not layers:
        raise ValueError(f"{type(model).__name__} has no attention layer that can be recorded")
    maps: dict[str, Tensor] = {}

    def keep(name: str, weights: Tensor) -> None:
        if name in maps:
            raise RuntimeError(f"layer {name!r} ran twice inside one recorder: open a new one for each pass")
        if grad and weights.requires_grad:
            weights.retain_grad()
        maps[name] = weights if grad else weights.detach()

    hooks = [
        layer.weights.register_forward_hook(lambda _module, _args, weights, name=name: keep(name, weights))
        for name, layer in layers.items()
    ]
    try:
        yield maps
    finally:
        for hook in hooks:
            hook.remove()
    if not maps:
        raise RuntimeError("the recorder captured nothing: run the model inside the `with` block, and not in compiled form")
    for name, weights in maps.items():
        if weights.isnan().any():
            raise RuntimeError(f"the weights of layer {name!r} hold NaN: look at the input and the parameters")


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
