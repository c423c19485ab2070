"""What carries an answer, by intervention: put what a network computed on one picture into its run on another, or switch it off."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn

from attn_utils.edit import attention_layers, edit_attention
from attn_utils.record import record_attention
from attn_utils.shapes import check_shape

Answer = Callable[[Tensor], Tensor]  # what the model returns -> (B,)


@contextmanager
def edit_heads(model: nn.Module, edit: Callable[[str, Tensor], Tensor | None]) -> Iterator[None]:
    """See what each head mixed, and go on with something else, inside the `with` block.

    Args:
        model: a module with `MultiHeadAttention` layers.
        edit: called as edit(name, out), out (B, N, heads, d) before the projection that joins the heads, name as in
            `model.named_modules()`; returns what to go on with, or None.

    Raises:
        ValueError: the model has no such layer, or `edit` returned another shape.
    """
    layers = attention_layers(model)

    def change(name: str, heads: int, joined: Tensor) -> tuple[Tensor] | None:
        out = joined.unflatten(-1, (heads, -1))  # (B, N, heads, d)
        new = edit(name, out)
        if new is None:
            return None
        check_shape(f"what edit returns for layer {name!r}", new, tuple(out.shape))
        return (new.flatten(-2),)

    with ExitStack() as hooks:  # a hook is a context manager that removes it
        for name, layer in layers.items():
            hooks.enter_context(
                layer.out.register_forward_pre_hook(lambda _out, args, name=name, heads=layer.heads: change(name, heads, *args))
            )
        yield


@contextmanager
def switch_off(
    model: nn.Module, heads: Mapping[str, Sequence[int]], *, means: Mapping[str, Tensor] | None = None
) -> Iterator[None]:
    """Heads that say nothing, or always the same, inside the `with` block.

    Args:
        model: a module with `MultiHeadAttention` layers.
        heads: {layer: numbers of its heads}.
        means: {layer: (N, heads, d)} from `mean_heads`, to put in place of what these heads say; 0 by default.

    Raises:
        ValueError: a layer or a head that is not there.

    Source: Michel et al. 2019, arXiv:1905.10650 (a head masked by 0).
    """
    layers = {name: layer.heads for name, layer in attention_layers(model).items()}
    for name, numbers in heads.items():
        if name not in layers:
            raise ValueError(f"heads: there is no layer {name!r}, there is {', '.join(map(repr, layers))}")
        if wrong := [number for number in numbers if number not in range(layers[name])]:
            raise ValueError(f"heads: {name!r} has heads 0 to {layers[name] - 1}, got {wrong}")

    def silence(name: str, out: Tensor) -> Tensor | None:
        if not heads.get(name):
            return None
        new, which = out.clone(), list(heads[name])
        new[:, :, which] = 0.0 if means is None else means[name][:, which].to(out)
        return new

    with edit_heads(model, silence):
        yield


@torch.no_grad()
def mean_heads(model: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """What each head says on the average of the pictures, {layer: (N, heads, d)}."""
    return {name: out.mean(dim=0) for name, out in _heads(model, images).items()}


@torch.no_grad()
def patch_heads(model: nn.Module, images: Tensor, others: Tensor, answer: Answer) -> dict[str, Tensor]:
    """The answer on the other pictures, once one head at a time says what it said on these.

    Args:
        model: a module with `MultiHeadAttention` layers, in eval mode.
        images, others: (B, ...), pair by pair alike but for one thing.
        answer: what the model returns -> (B,).

    Returns:
        {layer: (B, heads)}; `recovered` makes shares of it.

    Source: Vig et al. 2020, arXiv:2004.12265 (interventions on single heads); Zhang & Nanda 2023, arXiv:2309.16042.
    """
    said = _heads(model, images)
    patched = {}
    for layer, own in said.items():
        answers = []
        for head in range(own.shape[2]):

            def put(name: str, out: Tensor, layer=layer, own=own, head=head) -> Tensor | None:
                return out.index_copy(2, torch.tensor([head], device=out.device), own[:, :, [head]]) if name == layer else None

            with edit_heads(model, put):
                answers.append(answer(model(others)))
        patched[layer] = torch.stack(answers, dim=1)  # (B, heads)
    return patched


@torch.no_grad()
def patch_tokens(model: nn.Module, layers: Sequence[str], images: Tensor, others: Tensor, answer: Answer) -> Tensor:
    """The answer on the other pictures, once one token at a time is, behind one layer, what it was on these.

    Args:
        model: in eval mode.
        layers: names of modules that return tokens (B, N, D), as in `model.named_modules()`, such as "blocks.0".
        images, others: (B, ...), pair by pair alike but for one thing.
        answer: what the model returns -> (B,).

    Returns:
        (B, layers, N); `recovered` makes shares of it. It takes layers · N passes.

    Raises:
        ValueError: a name that is no module, or a module that returns something else than tokens.

    Source: Meng et al. 2022, arXiv:2202.05262, section 2.1, there with noise for the other run; with a second input that stays within
    the distribution, as here, Zhang & Nanda 2023, arXiv:2309.16042 (symmetric token replacement).
    """
    modules = dict(model.named_modules())
    if unknown := [name for name in layers if name not in modules]:
        raise ValueError(f"layers: the model has no module {unknown}")
    kept: dict[str, Tensor] = {}
    with _hooked({modules[name]: lambda out, name=name: kept.update({name: out}) for name in layers}):
        model(images)
    rows = []
    for name in layers:
        check_shape(f"what layer {name!r} returns", kept[name], ("B", "N", "D"))
        answers = []
        for n in range(kept[name].shape[1]):
            at = torch.tensor([n], device=kept[name].device)
            with _hooked({modules[name]: lambda out, at=at, own=kept[name]: out.index_copy(1, at, own[:, at])}):
                answers.append(answer(model(others)))
        rows.append(torch.stack(answers, dim=1))  # (B, N)
    return torch.stack(rows, dim=1)


def recovered(patched: Tensor, start: Tensor, goal: Tensor) -> Tensor:
    """How far a patch takes the answer from one run to the other: 0 where it stays at `start`, 1 where it comes to `goal`.

    Args:
        patched: (B, ...) answers with a patch.
        start: (B,) answers of the run that is patched.
        goal: (B,) answers of the run that the patch comes from.

    Returns:
        (patched - start) / (goal - start), (B, ...); below 0 or above 1 where a patch does more than that.
    """
    shape = (-1, *[1] * (patched.ndim - 1))
    return (patched - start.reshape(shape)) / (goal - start).reshape(shape)


def even_weights(_name: str, weights: Tensor) -> Tensor:
    """An edit for `attn_utils.edit.edit_attention`: all keys get the same weight. Source: Wiegreffe & Pinter 2019, arXiv:1908.04626 (uniform)."""
    return torch.full_like(weights, 1 / weights.shape[-1])


def shuffled_weights(generator: torch.Generator) -> Callable[[str, Tensor], Tensor]:
    """An edit that deals the weights of each query out to other keys, at random. Source: Jain & Wallace 2019, arXiv:1902.10186 (permutation)."""

    def shuffle(_name: str, weights: Tensor) -> Tensor:
        order = torch.rand(weights.shape, generator=generator).argsort(dim=-1).to(weights.device)
        return weights.gather(-1, order)

    return shuffle


def other_weights(
    model: nn.Module,
    images: Tensor,
    read: Answer,
    query: Tensor,
    *,
    tolerance: float = 0.05,
    steps: int = 100,
    lr: float = 0.3,
    penalty: float = 50.0,
    seed: int = 0,
) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    """Weights of one query that are as far from the model's own as can be found, and leave its answer nearly as it is.

    largest Σ JSD(A, A'),   while   TVD(p, p') = ½ Σ_k |p_k - p'_k| ≤ tolerance

    as a search by gradient, for every layer and head at once; more than the tolerance costs `penalty` times the excess.

    Args:
        model: a module with `MultiHeadAttention` layers, in eval mode.
        images: (B, ...).
        read: what the model returns -> logits (B, K), whose softmax is p.
        query: (B,) whose weights may change, a number of a token; all others keep theirs.
        tolerance: how much of the probability may move to other answers.
        steps, lr, penalty, seed: of the search (Adam).

    Returns:
        maps {layer: (B, heads, N, M)} for `attn_utils.edit.use_maps`; JSD (B, layers · heads) in nats, 0 to ln 2; TVD (B,).

    Source: Jain & Wallace 2019, arXiv:1902.10186 (adversarial attention), there for the one layer of a recurrent network.
    """
    rows = torch.arange(len(images), device=images.device)
    with torch.no_grad(), record_attention(model) as own:
        p = read(model(images)).softmax(dim=-1)
    first = {name: weights[rows, :, query] for name, weights in own.items()}  # (B, heads, M)
    generator = torch.Generator().manual_seed(seed)
    free = {
        name: (a.clamp(min=1e-6).log() + torch.randn(a.shape, generator=generator, dtype=a.dtype).to(a.device)).requires_grad_()
        for name, a in first.items()
    }
    optimiser = torch.optim.Adam(free.values(), lr=lr)

    def put(name: str, weights: Tensor) -> Tensor:
        new = weights.clone()
        new[rows, :, query] = free[name].softmax(dim=-1)
        return new

    for _ in range(steps):
        with torch.enable_grad(), edit_attention(model, put):
            tvd = 0.5 * (read(model(images)).softmax(dim=-1) - p).abs().sum(dim=-1)
        far = torch.cat([jensen_shannon(first[name], scores.softmax(dim=-1)) for name, scores in free.items()], dim=1)
        loss = penalty * (tvd - tolerance).clamp(min=0) - far.sum(dim=1)
        gradients = torch.autograd.grad(loss.sum(), list(free.values()))
        for scores, gradient in zip(free.values(), gradients):
            scores.grad = gradient
        optimiser.step()
    with torch.no_grad(), edit_attention(model, put):
        tvd = 0.5 * (read(model(images)).softmax(dim=-1) - p).abs().sum(dim=-1)
        far = torch.cat([jensen_shannon(first[name], scores.softmax(dim=-1)) for name, scores in free.items()], dim=1)
        return {name: put(name, weights) for name, weights in own.items()}, far, tvd


def jensen_shannon(a: Tensor, b: Tensor) -> Tensor:
    """How far two attentions are apart: the entropy of their mean less the mean of their entropies.

    JSD(a, b) = H(½ (a + b)) - ½ H(a) - ½ H(b),   H(a) = -Σ_m a_m ln a_m

    Args:
        a, b: weights (..., M), each row with the sum 1.

    Returns:
        (...), in nats: 0 for equal weights, ln 2 for weights that share no key. Its gradient is finite where a weight is 0.

    Source: Lin 1991, doi:10.1109/18.61115; between attentions, Jain & Wallace 2019, arXiv:1902.10186.

    Examples:
        >>> a, b = torch.tensor([0.5, 0.5, 0.0, 0.0]), torch.tensor([0.0, 0.0, 1.0, 0.0])
        >>> torch.stack([jensen_shannon(a, a), jensen_shannon(a, b)])
        tensor([0.0000, 0.6931])
    """
    least = torch.finfo(a.dtype).tiny  # the slope of the entropy is infinite at 0
    entropy = lambda weights: torch.special.entr(weights.clamp(min=least)).sum(dim=-1)
    return entropy((a + b) / 2) - (entropy(a) + entropy(b)) / 2


def _heads(model: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """What each head mixes, {layer: (B, N, heads, d)}."""
    said: dict[str, Tensor] = {}
    with edit_heads(model, lambda name, out: said.update({name: out})):  # update returns None
        model(images)
    return said


@contextmanager
def _hooked(edits: Mapping[nn.Module, Callable[[Tensor], Tensor | None]]) -> Iterator[None]:
    hooks = [module.register_forward_hook(lambda _m, _args, out, edit=edit: edit(out)) for module, edit in edits.items()]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
