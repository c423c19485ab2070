"""Leave heads and blocks out of a trained transformer: which of them matter, and the network without the others, its matrices smaller.

    importance = head_importance(model, (images, labels), loss)    # {"blocks.0.attention": (heads,), …}
    smaller = keep_heads(model, {"blocks.0.attention": [1]})

Both ends are measured, not masked: a network without a head has no rows for it, so that its time falls, too.
"""

import copy
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from attn_utils.attention import MultiHeadAttention
from attn_utils.shapes import check_size
from attn_utils.vit import Block, ViT


def head_importance(model: nn.Module, data: Sequence[Tensor], loss: Callable, *, batch_size: int = 100) -> dict[str, Tensor]:
    """How much the loss would change, to first order, if a head's output were scaled a little.

    I_h = mean over samples of |∂L/∂ξ_h| at ξ = 1, where ξ_h multiplies what head h hands to the layer's last projection.

    Args:
        model: a module with layers of `MultiHeadAttention`; it is put in eval mode for the time of the call.
        data: tensors that share axis 0.
        loss: called as loss(model, *batch); returns the mean over the samples of a batch, as for `attn_utils.train.fit`.
        batch_size: samples at a time.

    Returns:
        {name of the layer: (heads,), all ≥ 0}. Between layers they may differ in scale.

    Raises:
        ValueError: a model without such a layer.

    Source: Michel et al. 2019, arXiv:1905.10650, section 4. Scores are as they come, not normalised within a layer.
    """
    layers = {name: layer for name, layer in model.named_modules() if isinstance(layer, MultiHeadAttention)}
    if not layers:
        raise ValueError(f"{type(model).__name__} has no layer of MultiHeadAttention")

    def scaled(layer: MultiHeadAttention, gate: Tensor) -> object:
        def scale(_module: nn.Module, args: tuple) -> Tensor:
            heads = args[0].unflatten(-1, (layer.heads, -1))  # (B, N, heads, d)
            return (heads * gate[:, None, :, None]).flatten(-2)

        return layer.out.register_forward_pre_hook(scale)

    places = [(layer.heads, lambda gate, layer=layer: scaled(layer, gate)) for layer in layers.values()]
    return dict(zip(layers, _sensitivity(model, data, loss, places, batch_size), strict=True))


def block_importance(model: ViT, data: Sequence[Tensor], loss: Callable, *, batch_size: int = 100) -> Tensor:
    """The same for whole blocks: ξ_l multiplies all that block l adds to the tokens.

    Args, Raises: as `head_importance`, for a model with `blocks`.

    Returns:
        (blocks,), all ≥ 0.
    """

    def scaled(block: nn.Module, gate: Tensor) -> object:
        scale = lambda _module, args, out: args[0] + gate[:, :, None] * (out - args[0])
        return block.register_forward_hook(scale)

    places = [(1, lambda gate, block=block: scaled(block, gate)) for block in model.blocks]
    return torch.cat(_sensitivity(model, data, loss, places, batch_size))


def _sensitivity(model: nn.Module, data: Sequence[Tensor], loss: Callable, places: list, batch_size: int) -> list[Tensor]:
    """Mean over samples of |∂L/∂gate| for each place: (how many gates it has, function that hangs a gate (B, gates) in)."""
    batch_size, was_training = check_size("batch_size", batch_size), model.training
    device = next(model.parameters()).device
    totals = [torch.zeros(count, device=device) for count, _ in places]
    model.eval()
    try:
        for start in range(0, len(data[0]), batch_size):
            batch = [tensor[start : start + batch_size].to(device) for tensor in data]
            n = len(batch[0])
            gates = [torch.ones(n, count, device=device, requires_grad=True) for count, _ in places]  # one for each sample
            hooks = [hang(gate) for (_, hang), gate in zip(places, gates, strict=True)]
            try:
                slopes = torch.autograd.grad(n * loss(model, *batch), gates)  # the loss is a mean: n times it is the sum
            finally:
                for hook in hooks:
                    hook.remove()
            for total, slope in zip(totals, slopes, strict=True):
                total += slope.abs().sum(dim=0)
    finally:
        model.train(was_training)
    return [total / len(data[0]) for total in totals]


class PrunedAttention(MultiHeadAttention):
    """`MultiHeadAttention` with some of its heads: projections have rows and columns for these alone.

    Args:
        layer: the layer to take them from; it stays as it is.
        keep: numbers of the heads that stay, rising, at least one.

    Shapes:
        As `MultiHeadAttention`, but without `positions`.

    Raises:
        ValueError: heads that the layer does not have, or none.
    """

    def __init__(self, layer: MultiHeadAttention, keep: Sequence[int]):
        super(MultiHeadAttention, self).__init__()  # no new weights are drawn
        keep = _checked(keep, layer.heads, "heads")
        if not keep:
            raise ValueError("keep must name at least one head; `keep_heads` knows layers without any")
        self.dim, self.context_dim, self.dropout, self.heads = layer.dim, layer.context_dim, layer.dropout, len(keep)
        d = layer.out.in_features // layer.heads
        columns = torch.cat([torch.arange(head * d, (head + 1) * d) for head in keep])
        if layer.context_dim is None:
            self.qkv = _rows(layer.qkv, columns, parts=3)
        else:
            self.q, self.kv = _rows(layer.q, columns, parts=1), _rows(layer.kv, columns, parts=2)
        self.out = _linear(layer.out.weight[:, columns], layer.out.bias)
        self.weights = nn.Identity()

    def _project_with_places(self, *_args: object) -> tuple[Tensor, ...]:
        raise ValueError("a pruned layer takes no positions")

    def extra_repr(self) -> str:
        return f"heads={self.heads}, head_dim={self.out.in_features // self.heads}, dropout={self.dropout}"


class NoHeads(nn.Module):
    """What is left of an attention layer without heads: the bias of its last projection, for every token."""

    def __init__(self, layer: MultiHeadAttention):
        super().__init__()
        bias = torch.zeros(layer.dim) if layer.out.bias is None else layer.out.bias.detach().clone()
        self.bias = nn.Parameter(bias)

    def forward(self, x: Tensor, context: Tensor | None = None, mask: object = None) -> Tensor:
        return self.bias


def keep_heads(model: nn.Module, keep: Mapping[str, Sequence[int]]) -> nn.Module:
    """A copy of the model in which the named layers have only the named heads.

    Args:
        model: it stays as it is.
        keep: {name of a layer of `MultiHeadAttention`: numbers of the heads that stay}; other layers keep all of theirs. A layer of a
            `Block` may lose all: then neither its norm nor its scores are computed.

    Returns:
        The copy. It computes what the model would if the output of each of the other heads were 0.

    Raises:
        ValueError: a name of no such layer, or heads that it does not have.

    Examples:
        >>> from attn_utils.vit import vit_mini
        >>> model = vit_mini(image_size=28, patch=4, classes=10, channels=1)
        >>> smaller = keep_heads(model, {"blocks.0.attention": [1], "blocks.2.attention": []})
        >>> [getattr(block.attention, "heads", 0) for block in smaller.blocks]
        [1, 2, 0]
    """
    smaller = copy.deepcopy(model)
    layers = dict(smaller.named_modules())
    for name, heads in keep.items():
        layer, (above, _, own) = layers.get(name), name.rpartition(".")
        if not isinstance(layer, MultiHeadAttention):
            known = [other for other, module in layers.items() if isinstance(module, MultiHeadAttention)]
            raise ValueError(f"keep names {name!r}, which is no layer of MultiHeadAttention; there are {known}")
        block = layers[above]
        if len(heads) or not isinstance(block, Block):
            setattr(block, own, PrunedAttention(layer, heads))
        else:
            setattr(block, own, NoHeads(layer))
            setattr(block, f"norm_{own}", nn.Identity())
    return smaller


def keep_blocks(model: ViT, keep: Sequence[int]) -> ViT:
    """A copy of the model with some of its blocks, in their order.

    Args:
        model: it stays as it is.
        keep: numbers of the blocks that stay, rising; none may stay.

    Raises:
        ValueError: blocks that the model does not have.
    """
    keep = _checked(keep, len(model.blocks), "blocks")
    smaller = copy.deepcopy(model)
    smaller.blocks = nn.ModuleList(smaller.blocks[number] for number in keep)
    return smaller


def _checked(keep: Sequence[int], count: int, what: str) -> list[int]:
    keep = [int(number) for number in keep]
    if keep != sorted(set(keep)) or not all(0 <= number < count for number in keep):
        raise ValueError(f"keep must name {what} from 0 to {count - 1}, each once and rising, got {keep}")
    return keep


def _rows(layer: nn.Linear, rows: Tensor, parts: int) -> nn.Linear:
    """A layer that makes several things side by side, with some rows of each."""
    weight = torch.cat([part[rows] for part in layer.weight.chunk(parts)])
    bias = None if layer.bias is None else torch.cat([part[rows] for part in layer.bias.chunk(parts)])
    return _linear(weight, bias)


def _linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    """A linear layer with these numbers, its own."""
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, device="meta")
    layer.weight = nn.Parameter(weight.detach().clone())
    if bias is not None:
        layer.bias = nn.Parameter(bias.detach().clone())
    return layer
