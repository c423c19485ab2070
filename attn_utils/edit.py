"""Change the attention weights of a model while it runs, and leave the model as it was."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

from torch import Tensor, nn

from attn_utils.attention import MultiHeadAttention
from attn_utils.shapes import check_shape


@contextmanager
def edit_attention(model: nn.Module, edit: Callable[[str, Tensor], Tensor | None]) -> Iterator[None]:
    """Mix the values with other weights than the model's own, inside the `with` block.

    `edit` sees the weights of each `MultiHeadAttention` as it runs, and returns those to use, or None to leave them. A recorder
    (`attn_utils.record`) that was opened before sees the weights as the model made them, one opened inside as they were used.

    Args:
        model: a module with attention layers.
        edit: called as edit(name, weights), weights (B, heads, N, M), name as in `model.named_modules()`.

    Raises:
        ValueError: the model has no such layer, or `edit` returned another shape.
        RuntimeError: no attention ran inside the block.

    Source: exchanging attention maps between two captions is prompt-to-prompt, Hertz et al. 2022, arXiv:2208.01626.

    Examples:
        >>> import torch
        >>> layer = MultiHeadAttention(8, heads=2)
        >>> x = torch.rand(1, 3, 8)
        >>> with edit_attention(layer, lambda name, weights: torch.zeros_like(weights)):
        ...     out = layer(x)
        >>> torch.equal(out, layer.out.bias.expand(1, 3, 8))  # nothing was looked at
        True
    """
    layers, ran = attention_layers(model), []

    def change(name: str, weights: Tensor) -> Tensor | None:
        ran.append(name)
        new = edit(name, weights)
        if new is not None:
            check_shape(f"what edit returns for layer {name!r}", new, tuple(weights.shape))
        return new

    with ExitStack() as hooks:  # a hook is a context manager that removes it
        for name, layer in layers.items():
            hooks.enter_context(
                layer.weights.register_forward_hook(lambda _module, _args, weights, name=name: change(name, weights))
            )
        yield
    if not ran:
        raise RuntimeError("no attention ran inside the block: run the model there, and not in compiled form")


def attention_layers(model: nn.Module) -> dict[str, MultiHeadAttention]:
    """{name: layer} of the attention in a model.

    Raises:
        ValueError: it has none.
    """
    layers = {name: layer for name, layer in model.named_modules() if isinstance(layer, MultiHeadAttention)}
    if not layers:
        raise ValueError(f"{type(model).__name__} has no MultiHeadAttention to edit")
    return layers


def use_maps(maps: Mapping[str, Tensor]) -> Callable[[str, Tensor], Tensor | None]:
    """An edit for `edit_attention` that puts recorded weights in the place of the layers' own, and leaves other layers alone."""
    return lambda name, weights: maps.get(name)
