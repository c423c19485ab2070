"""What of a picture speaks for an answer, by gradients: of attention weights, of features (Grad-CAM), and along a path of pictures.

An `answer` picks from what the model returns the one number a picture that is to be explained::

    seven = lambda logits: logits[:, 7]                       # (B, classes) -> (B,)
    maps, gradients = attention_gradients(model, images, seven)
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from attn_utils.record import record_attention
from attn_utils.shapes import check_map, check_size, check_tiles

Answer = Callable[[Tensor], Tensor]  # what the model returns -> (B,)


def attention_gradients(model: nn.Module, images: Tensor, answer: Answer) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The weights of every attention layer, and the gradient of the answer by each of them.

    Args:
        model: a module with attention layers that `attn_utils.record` can record, in eval mode.
        images: (B, ...) floating point, what the model takes.
        answer: what the model returns -> (B,).

    Returns:
        maps and gradients, {layer: (B, heads, N, M)} in the order in which the layers ran, detached. The gradient is 0 for a layer that
        the answer does not depend on. It is the gradient by a weight alone: that a row must sum to 1 is not respected.

    Raises:
        ValueError: the model is in training mode, or answer returns another shape.
    """
    inputs = _tracked(model, images)
    with torch.enable_grad(), record_attention(model, grad=True) as maps:
        y = _answered(model, inputs, answer)
    found = torch.autograd.grad(y.sum(), list(maps.values()), allow_unused=True, materialize_grads=True)
    return {name: weights.detach() for name, weights in maps.items()}, dict(zip(maps, found))


def grad_cam(model: nn.Module, layer: nn.Module, images: Tensor, answer: Answer) -> Tensor:
    """Grad-CAM: where the features of a layer that speak for the answer are strong.

    α_k = mean over places of ∂y/∂F_k,   map_n = max(0, Σ_k α_k F_kn)

    Args:
        model: in eval mode.
        layer: the module of it whose output F is looked at: tokens (B, N, D), or maps (B, D, H, W). Of a Transformer that reads its
            answer from one token, no later than what the last block is given: behind it other tokens have no gradient.
        images: (B, ...) floating point.
        answer: what the model returns -> (B,).

    Returns:
        (B, N) or (B, H, W), nowhere negative.

    Raises:
        ValueError: the model is in training mode, answer returns another shape, or the layer's output has other axes.
        RuntimeError: the layer did not run, or the answer does not depend on it.

    Source: Selvaraju et al. 2017, arXiv:1610.02391, equations 1 and 2, there for convolutions.
    """
    outputs: list[Tensor] = []
    hook = layer.register_forward_hook(lambda _module, _args, out: outputs.append(out))
    try:
        with torch.enable_grad():
            y = _answered(model, _tracked(model, images), answer)
    finally:
        hook.remove()
    if not outputs:
        raise RuntimeError("the layer did not run: is it a module of this model?")
    F = outputs[-1]
    if F.ndim not in (3, 4):
        raise ValueError(f"layer must return tokens (B, N, D) or maps (B, D, H, W), got {tuple(F.shape)}")
    (gradient,) = torch.autograd.grad(y.sum(), F, allow_unused=True)
    if gradient is None:
        raise RuntimeError("the answer does not depend on the layer")
    channel, places = (2, (1,)) if F.ndim == 3 else (1, (2, 3))
    weights = gradient.mean(dim=places, keepdim=True)
    return (weights * F).sum(dim=channel).clamp(min=0).detach()


def integrated_gradients(
    model: nn.Module, images: Tensor, answer: Answer, *, baseline: Tensor | float = 0.0, steps: int = 32
) -> Tensor:
    """Integrated gradients: the gradient added up along the straight line from a baseline to the picture.

    IG_i = (x_i - b_i) ∫₀¹ ∂y/∂x_i (b + α (x - b)) dα

    Args:
        model: in eval mode.
        images: x, (B, ...) floating point.
        answer: what the model returns -> (B,).
        baseline: b, the picture without content: a number, or a tensor that broadcasts to the shape of images.
        steps: of the integral, by Gauss-Legendre quadrature: exact where the gradient is a polynomial of degree 2 · steps - 1 in α.

    Returns:
        (B, ...) of the shape of images. The sum over a picture is y(x) - y(b), as far as the steps are enough (completeness).

    Raises:
        ValueError: the model is in training mode, answer returns another shape, or steps is no whole number of at least 1.

    Source: Sundararajan et al. 2017, arXiv:1703.01365, equation 1; equal to captum's `IntegratedGradients`.
    """
    nodes, shares = np.polynomial.legendre.leggauss(check_size("steps", steps))
    start = torch.as_tensor(baseline, dtype=images.dtype, device=images.device).expand(images.shape)
    total = torch.zeros_like(images)
    for node, share in zip(nodes, shares):
        inputs = _tracked(model, start + (1 + node) / 2 * (images - start))  # nodes lie in [-1, 1]
        with torch.enable_grad():
            y = _answered(model, inputs, answer)
        (gradient,) = torch.autograd.grad(y.sum(), inputs)
        total += share / 2 * gradient
    return (images - start) * total


def per_cell(values: Tensor, patch: int) -> Tensor:
    """Values of pixels added up in each patch, channels too: (B, C, H, W) -> (B, N), N = (H/patch)(W/patch), row by row."""
    check_map("values", values)
    check_tiles("patch", check_size("patch", patch), *values.shape[-2:])
    return values.unfold(2, patch, patch).unfold(3, patch, patch).sum(dim=(1, 4, 5)).flatten(1)


def _tracked(model: nn.Module, images: Tensor) -> Tensor:
    """The images as a leaf that gradients reach, once the model is one whose answers can be explained one by one."""
    if model.training:
        raise ValueError("model must be in eval mode: in training, batch normalisation and dropout mix one picture with others")
    return images.detach().clone().requires_grad_()


def _answered(model: nn.Module, inputs: Tensor, answer: Answer) -> Tensor:
    y = answer(model(inputs))
    if y.shape != inputs.shape[:1]:
        raise ValueError(f"answer must return one number a picture, ({len(inputs)},), got {tuple(y.shape)}")
    return y
