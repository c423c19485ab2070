"""The same network in fewer numbers or fewer bits, and a small network that learns from a large one."""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attn_utils.shapes import check_size


def low_rank(layer: nn.Linear, rank: int) -> nn.Sequential:
    """Two thin layers in the place of one: W ≈ (U √S)(√S Vᵀ), of all products of that rank the nearest to W.

    Args:
        layer: `nn.Linear`, n_in to n_out; it stays as it is.
        rank: R, at most the smaller of n_in and n_out.

    Returns:
        n_in to R without a bias, then R to n_out with the layer's: R (n_in + n_out) weights for n_in · n_out.

    Raises:
        ValueError: another rank.

    Source: Eckart & Young 1936: the best approximation in the sense of the sum of squares keeps the largest singular values.

    Examples:
        >>> layer = nn.Linear(3, 5)
        >>> x = torch.rand(2, 3)
        >>> torch.allclose(low_rank(layer, 3)(x), layer(x), atol=1e-6)
        True
    """
    n_out, n_in = layer.weight.shape
    if check_size("rank", rank) > min(n_in, n_out):
        raise ValueError(f"rank must be at most {min(n_in, n_out)} for a layer from {n_in} to {n_out}, got {rank}")
    U, S, Vt = torch.linalg.svd(layer.weight.detach(), full_matrices=False)
    root = S[:rank].sqrt()
    first = nn.Linear(n_in, rank, bias=False, device=layer.weight.device, dtype=layer.weight.dtype)
    second = nn.Linear(rank, n_out, bias=layer.bias is not None, device=layer.weight.device, dtype=layer.weight.dtype)
    with torch.no_grad():
        first.weight.copy_(root[:, None] * Vt[:rank])
        second.weight.copy_(U[:, :rank] * root)
        if layer.bias is not None:
            second.bias.copy_(layer.bias)
    return nn.Sequential(first, second)


def with_low_rank(model: nn.Module, rank: int) -> nn.Module:
    """A copy of the model with two thin layers for every `nn.Linear` that has more weights than they.

    Args:
        model: it stays as it is.
        rank: R of all of them. A layer from n_in to n_out is left alone where R (n_in + n_out) ≥ n_in · n_out.
    """
    smaller = copy.deepcopy(model)
    for name, layer in list(smaller.named_modules()):
        if isinstance(layer, nn.Linear) and rank * (layer.in_features + layer.out_features) < layer.weight.numel():
            above, _, own = name.rpartition(".")
            setattr(smaller.get_submodule(above), own, low_rank(layer, rank))
    return smaller


def round_rows(weight: Tensor, bits: int) -> Tensor:
    """Each row of a matrix rounded to whole multiples of a step of its own: 2^bits - 1 values around 0, the largest among them.

    step = max |w| / (2^(bits - 1) - 1),   w → step · round(w / step)

    Args:
        weight: (n_out, …): a row is what one output is made with.
        bits: 2 or more.

    Raises:
        ValueError: fewer bits.
    """
    most = 2 ** (check_size("bits", bits, least=2) - 1) - 1
    step = weight.flatten(1).abs().amax(dim=1).div(most).reshape(-1, *[1] * (weight.ndim - 1))
    return (weight / step.masked_fill(step == 0, 1.0)).round() * step


def with_rounded_weights(model: nn.Module, bits: int) -> nn.Module:
    """A copy of the model whose linear layers and convolutions have weights of that many bits, held as ordinary numbers.

    So it shows what rounding does to the answers. It takes neither less memory nor less time: for that the products themselves
    have to be computed in whole numbers.
    """
    rounded = copy.deepcopy(model)
    with torch.no_grad():
        for layer in _layers(rounded):
            layer.weight.copy_(round_rows(layer.weight, bits))
    return rounded


def stored_bytes(model: nn.Module, bits: int = 32) -> int:
    """Bytes of all parameters and buffers, with the weights that `with_rounded_weights` rounds in `bits` bits.

    Below 32 bits each row keeps its step, in 4 bytes.

    >>> stored_bytes(nn.Linear(8, 4)), stored_bytes(nn.Linear(8, 4), bits=8)
    (144, 64)
    """
    tensors = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    total = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    if bits < 32:
        weights = {id(layer.weight): layer.weight for layer in _layers(model)}.values()
        for weight in weights:
            total += -weight.numel() * weight.element_size() + -(-weight.numel() * bits // 8) + 4 * len(weight)
    return total


def _layers(model: nn.Module) -> list[nn.Module]:
    return [layer for layer in model.modules() if isinstance(layer, nn.Linear | nn.Conv2d)]


def distillation_loss(logits: Tensor, of_teacher: Tensor, labels: Tensor, *, temperature: float, weight: float = 0.5) -> Tensor:
    """Learn the right answer, and how a teacher shares its belief out among all answers.

    L = (1 - weight) · CE(z, y) + weight · T² · KL(softmax(z_teacher / T) ‖ softmax(z / T)), means over the samples

    Args:
        logits: z, what the student says, (B, classes).
        of_teacher: z_teacher, (B, classes); no gradient flows to it.
        labels: y, (B,).
        temperature: T > 0; above 1 the small shares count for more. Gradients of the second term shrink as 1/T², hence the T².
        weight: of what the teacher says, 0 to 1.

    Raises:
        ValueError: a temperature that is not positive, or a weight outside 0 to 1.

    Source: Hinton et al. 2015, arXiv:1503.02531, section 2; in this form DeiT, arXiv:2012.12877, equation 2.
    """
    if not temperature > 0:
        raise ValueError(f"temperature must be positive, got {temperature}")
    if not 0.0 <= weight <= 1.0:
        raise ValueError(f"weight must be between 0 and 1, got {weight}")
    told = (of_teacher.detach() / temperature).log_softmax(dim=-1)
    said = (logits / temperature).log_softmax(dim=-1)
    soft = F.kl_div(said, told, reduction="batchmean", log_target=True)
    return (1 - weight) * F.cross_entropy(logits, labels) + weight * temperature**2 * soft
