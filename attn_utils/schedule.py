"""What a step of training may do: the learning rate of each, and which parameters decay."""

import math

from torch import nn


def warmup_cosine(step: int, steps: int, warmup: float) -> float:
    """Learning rate of a step as a share of the highest: a cosine up, then a cosine down.

    With the peak at step p = max(1, round(warmup · steps)), where it is 1::

        (1 − cos(π step / p)) / 2                        up to p
        (1 + cos(π (step − p) / (steps + 1 − p))) / 2    after it

    It would be 0 one step before the first and one after the last, so that no step is wasted, however few there are.

    Args:
        step: counted from 1.
        steps: how many there are.
        warmup: share of the steps up to the peak, 0 to 1.

    Returns:
        A number between 0 and 1.

    Source: the cosine of SGDR, arXiv:1608.03983, equation 5, without restarts, after a warm-up. Close to PyTorch's
    `OneCycleLR`, which begins at 1/25 and ends at 4·10⁻⁶ of the highest rate, and moves β₁ the other way.
    """
    peak = max(1, round(warmup * steps))
    angle = 1 - step / peak if step <= peak else (step - peak) / (steps + 1 - peak)
    return (1 + math.cos(math.pi * angle)) / 2


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict]:
    """The trainable parameters in two groups for an optimiser: weights, which decay, and all others, which are spared.

    A weight is what multiplies the input of a layer: a parameter of two or more axes with "weight" in its name, outside
    norms and embeddings. So the rest is spared: biases, scales of norms, and what stands in a model as a bare parameter or
    as an embedding (class tokens, queries, positions, tables of relative positions). Decay would pull those towards 0
    where that makes nothing simpler.

    Source: the usual rule for vision transformers. google-research/big_vision decays what is called "kernel" alone; timm
    spares one-axis parameters and those that a model names in `no_weight_decay` (positions, class token, tables).
    """
    no_weight = (nn.Embedding, nn.EmbeddingBag, nn.LayerNorm, nn.RMSNorm)  # other norms have one axis
    weights = {
        id(parameter)
        for module in model.modules()
        for name, parameter in module.named_parameters(recurse=False)
        if "weight" in name and parameter.ndim > 1 and not isinstance(module, no_weight)
    }
    trained = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trained if id(p) in weights], "weight_decay": weight_decay},
        {"params": [p for p in trained if id(p) not in weights], "weight_decay": 0.0},
    ]
