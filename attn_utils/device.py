"""Where to compute, and how to make it repeat: device, seeds, threads."""

import random

import numpy as np
import torch


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and PyTorch (CPU, CUDA and MPS). Results repeat on one machine with one thread count."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def pick_device(name: str = "auto") -> torch.device:
    """The device to compute on: "auto" takes CUDA, else MPS, else the CPU; a named device must be there.

    Raises:
        ValueError: an unknown name, or a device that this machine or this PyTorch lacks.
    """
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(kind for kind, there in present.items() if there)
    if name.split(":")[0] not in present:
        raise ValueError(f'device must be "auto", "cpu", "cuda" or "mps", got {name!r}')
    if not present[name.split(":")[0]]:
        raise ValueError(f"device {name!r} is not available here; there is {', '.join(k for k in present if present[k])}")
    return torch.device(name)
