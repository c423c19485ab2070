"""Weights of a torch model as text for a page, one printable letter a weight, and the same weights back in torch."""

import copy
import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

# Printable ASCII without space, quotes, backslash and "<": such text stands in a script as it is. js/weights.js reads it.
LETTERS = "".join(chr(code) for code in range(33, 127) if chr(code) not in "\"'`\\<")
LEVELS = len(LETTERS)  # 89: a letter is a whole number from -44 to 44
HALF = LEVELS // 2
FINE = HALF * LEVELS + HALF  # 3960: two letters are one from -3960 to 3960


@dataclass(frozen=True)
class Packed:
    """The weights of a model, as a page loads them.

    Attributes:
        text: letters of `LETTERS`, tensor after tensor.
        tensors: [name, shape, rows, unit] of each: its name as in torch's `state_dict`; its shape in the page; how many scales it
            has, one a row (0: it is written finely, without scales); the unit of all that is written in two letters.
    """

    text: str
    tensors: list


@torch.no_grad()
def pack(model: nn.Module, *, skip: tuple[str, ...] = (), steps: int = HALF, fine: bool = False) -> tuple[Packed, nn.Module]:
    """Weights as text, and the model that a page runs with them.

    A matrix is written row by row: weight ≈ step · scale, with a whole step of -44…44 (or fewer), one letter, and a scale for each row.
    Scales, and tensors of one axis, are whole multiples of a unit, two letters each. A convolution's weight is laid out as the
    page reads it, as a matrix for patches (O, k·k·C), a transposed convolution's as (k·k·O, C); of a batch normalisation, which
    in use is one factor and one offset a channel, only these are written.

    Args:
        model: any module; it is not changed.
        skip: tensors that the page computes by itself, by their names in the `state_dict`.
        steps: how many a row's largest weight has, 1 to 44. Fewer make no shorter text, but one that deflates better.
        fine: write matrices as tensors of one axis, for torch alone: twice the text, and weights to one part in 4,000 of the largest.

    Returns:
        The weights for the page, and a copy of the model with just these rounded weights, on the CPU, in float32, for use.

    Raises:
        ValueError: steps outside their range; a name of `skip` that the model does not have; a weight that is NaN or infinite;
            a convolution in groups of several channels, or a batch normalisation without scale, offset or running statistics.

    Examples:
        >>> packed, rounded = pack(nn.Linear(3, 2))
        >>> packed.tensors[0][:3], len(packed.text)  # 2 rows: 2 scales of 2 letters, 6 weights; then 2 biases of 2 letters
        (['weight', [2, 3], 2], 14)
    """
    if steps not in range(1, HALF + 1):
        raise ValueError(f"steps: must be a whole number from 1 to {HALF}, got {steps!r}")
    rounded = copy.deepcopy(model).float().cpu().eval()
    text, tensors = [], []
    for name, p, axes in _entries(rounded, skip):
        if not torch.isfinite(p).all():
            raise ValueError(f"model: {name} holds NaN or infinite weights")
        if axes and not fine:
            largest = p.abs().amax(tuple(range(axes, p.ndim)), keepdim=True)
            unit, letters, scales = _finely(largest / steps, _up)  # no weight lies beyond so many steps
            values = (p / scales.clamp(min=torch.finfo().tiny)).round().long()
            p.copy_(values * scales)
            text += [*letters, *(LETTERS[value + HALF] for value in values.flatten().tolist())]
            tensors.append([name, [scales.numel(), p.numel() // scales.numel()], scales.numel(), unit])
        else:
            unit, letters, values = _finely(p, torch.round)
            p.copy_(values)
            text += letters
            tensors.append([name, list(p.shape), 0, unit])
    return Packed("".join(text), tensors), rounded


@torch.no_grad()
def unpack(packed: Packed, model: nn.Module, *, skip: tuple[str, ...] = ()) -> nn.Module:
    """The packed weights put into a model of the kind that was packed, in place.

    Its batch normalisations are then one factor and one offset a channel (see `pack`), which is the same in eval mode alone: to train the
    model further, leave them in eval mode.

    Args:
        packed: what `pack` returned.
        model: a module of the same layers and sizes.
        skip: as in `pack`.

    Returns:
        The model, equal to the rounded one of `pack` where what is skipped is equal.

    Raises:
        ValueError: a model with other tensors than were packed.
    """
    model, at = model.eval(), 0
    numbers = [LETTERS.index(letter) for letter in packed.text]
    entries = list(_entries(model, skip))
    if [name for name, _, _ in entries] != [name for name, *_ in packed.tensors]:
        raise ValueError(f"model: packed were {[name for name, *_ in packed.tensors]}, it has {[name for name, _, _ in entries]}")
    for (name, p, axes), (_, shape, rows, unit) in zip(entries, packed.tensors, strict=True):
        fits = bool(axes) and p.numel() == torch.Size(shape).numel() if rows else list(p.shape) == shape
        if not fits:
            raise ValueError(f"model: packed was {name} of shape {shape} in the page, it has {list(p.shape)}")
        fine = numbers[at : at + 2 * (rows or p.numel())]
        at += len(fine)
        values = torch.tensor([unit * (LEVELS * a + b - FINE) for a, b in zip(fine[::2], fine[1::2])])
        if rows:
            letters = torch.tensor(numbers[at : at + p.numel()]) - HALF
            at += p.numel()
            values = letters.reshape(rows, -1) * values[:, None]
        p.copy_(values.reshape(p.shape))
    return model


def unwoven(packed: Packed) -> dict:
    """The weights as {"fine", "coarse", "tensors"}: letters of numbers in two letters, and of those in one, which deflate better apart.

    js/letters.js weaves them together again.
    """
    fine, coarse, at = [], [], 0
    for _, shape, rows, _ in packed.tensors:
        size = math.prod(shape)
        end = at + 2 * (rows or size)
        fine.append(packed.text[at:end])
        at = end + (size if rows else 0)
        coarse.append(packed.text[end:at])
    return {"fine": "".join(fine), "coarse": "".join(coarse), "tensors": packed.tensors}


def shares(values) -> str:
    """Numbers from 0 to 1 in 88 steps, one letter each; js/letters.js reads them."""
    return "".join(LETTERS[round(float(value) * (LEVELS - 1))] for value in np.ravel(values))


def check_matrices(packed: Packed, expected: dict[str, list[int]], network: str):
    """Raise ValueError where a matrix is missing or of another shape, which the page would find out too late.

    Args:
        packed: the weights.
        expected: {name: shape in the page}.
        network: what they should be the weights of.
    """
    shapes = {name: shape for name, shape, *_ in packed.tensors}
    for name, shape in expected.items():
        if shapes.get(name) != shape:
            raise ValueError(f"model: the page needs {name} as a matrix {shape} ({network}), got {shapes.get(name)}")


def _entries(model: nn.Module, skip: tuple[str, ...]):
    """(name, tensor, leading axes that count rows, or 0) of each tensor to write: a view of the model's own, laid out for the page."""
    if unknown := set(skip) - set(model.state_dict()):
        raise ValueError(f"skip: the model has no {', '.join(sorted(unknown))}")
    for path, module in model.named_modules():
        batch_norm = isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d)
        if batch_norm:
            _fold(path, module)
        for key, p in module.state_dict().items():
            name = f"{path}.{key}".lstrip(".")
            own = "." not in key and p.is_floating_point() and not (batch_norm and key.startswith("running"))
            if own and name not in skip:
                yield name, *_layout(path, module, key, p)


def _layout(path: str, module: nn.Module, key: str, p: Tensor) -> tuple[Tensor, int]:
    if key == "weight" and isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        depthwise = isinstance(module, nn.Conv2d) and module.groups == module.in_channels == module.out_channels
        if module.groups != 1 and not depthwise:
            raise ValueError(
                f"model: {path} is a convolution in {module.groups} groups; the page knows those of one group, or a channel a group"
            )
        if isinstance(module, nn.Conv2d):
            return p.permute(0, 2, 3, 1), 1  # (O, C, k, k) -> (O, k, k, C)
        return p.permute(2, 3, 1, 0), 3  # (C, O, k, k) -> (k, k, O, C)
    return p, max(p.ndim - 1, 0)


def _fold(path: str, module: nn.Module):
    """γ (x − μ) / √(σ² + ε) + β as factor · x + offset, in weight and bias; the statistics become those that change nothing."""
    if module.weight is None or module.running_mean is None:
        raise ValueError(
            f"model: {path or 'it'} is a batch normalisation without scale and offset, or without running statistics"
        )
    factor = module.weight.double() / (module.running_var.double() + module.eps).sqrt()
    module.bias.copy_(module.bias.double() - module.running_mean.double() * factor)
    module.weight.copy_(factor)
    module.running_mean.zero_()
    module.running_var.fill_(1 - module.eps)


def _up(values: Tensor) -> Tensor:
    """The next whole number, but for one that is whole up to float32's rounding: packing twice changes nothing."""
    return (values - 1e-3).ceil()


def _finely(values: Tensor, to_whole) -> tuple[float, list[str], Tensor]:
    """The unit, two letters a value, and the values that these stand for."""
    unit = float((values.abs().amax() / FINE).float().clamp(min=torch.finfo().tiny))
    steps = to_whole(values.double() / unit).clamp(-FINE, FINE).long()
    letters = [LETTERS[s // LEVELS] + LETTERS[s % LEVELS] for s in (steps + FINE).flatten().tolist()]
    return unit, letters, (steps.double() * unit).float()
