"""Look at attention weights without changing the model that makes them::

with record_attention(model) as maps:
    model(images)
maps["blocks.0.attention"]                # (B, heads, N, M)
"""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn
from torch.utils.module_tracker import ModuleTracker


@contextmanager
def record_attention(model: nn.Module, *, grad: bool = False) -> Iterator[dict[str, Tensor]]:
    """Collect the weights of every attention layer that runs inside the `with` block.

    A layer can be recorded if it has a submodule `weights` (an `nn.Identity`) and calls it on its weights while that
    submodule has a hook; `attn_utils.attention.MultiHeadAttention` does. Outputs do not change. Recorders can be nested, and leave no hook
    behind, also after an exception. Of a model that went through `torch.compile`, record the original. Under activation
    checkpointing (`torch.utils.checkpoint`) the first run is recorded, and what backward computes again is not; keep backward
    inside the block too, since what is computed again must be computed in the same way.

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
            the weights hold NaN, or `grad` meets a checkpoint with use_reentrant=True, whose first run has no graph.

    Examples:
        >>> import torch
        >>> from attn_utils.vit import vit_mini
        >>> model = vit_mini(image_size=32, patch=8, classes=10).eval()
        >>> with record_attention(model) as maps:
        ...     logits = model(torch.rand(1, 3, 32, 32))
        >>> {name: tuple(weights.shape) for name, weights in maps.items()}["blocks.0.attention"]
        (1, 2, 17, 17)
    """
    layers = {name: layer for name, layer in model.named_modules() if isinstance(getattr(layer, "weights", None), nn.Identity)}
    if not layers:
        raise ValueError(f"{type(model).__name__} has no attention layer that can be recorded")
    maps: dict[str, Tensor] = {}
    tracker = ModuleTracker()

    def keep(name: str, weights: Tensor) -> None:
        if tracker.is_bw:  # a checkpoint computes again, within backward, what it did not store
            if grad and name in maps and weights.requires_grad and not maps[name].requires_grad:
                raise RuntimeError(f"the map of layer {name!r} has no graph: checkpoint it with use_reentrant=False")
            return
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
