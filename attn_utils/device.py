"""Where to compute, and how to make it repeat: device, seeds, random state."""

import operator
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and PyTorch (CPU, CUDA and MPS). Results repeat on one machine with one thread count.

    Args:
        seed: a whole number from 0 to 2³² − 1, of Python or of NumPy.
    """
    seed = operator.index(seed)
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


@contextmanager
def seeded(seed: int, device: torch.device | str = "cpu") -> Iterator[None]:
    """Inside, PyTorch's random numbers on the CPU and on `device` start from `seed`; afterwards they go on as if none had been drawn.

    No other device is touched, unlike `torch.manual_seed`, which seeds all there are and of which
    `torch.random.fork_rng` restores one kind.

    >>> with seeded(0):
    ...     first = torch.rand(3)
    >>> with seeded(0):
    ...     torch.equal(first, torch.rand(3))
    True
    """
    seed, device = operator.index(seed), torch.device(device)
    others = [] if device.type == "cpu" else [device]
    # Torch 2.11 wants a device type even for no devices; that of "cuda" touches none then, and is there without CUDA, too.
    with torch.random.fork_rng(devices=others, device_type=device.type if others else "cuda"):
        torch.default_generator.manual_seed(seed)
        for other in others:
            state = torch.Generator(other).manual_seed(seed).get_state()
            torch.get_device_module(other).set_rng_state(state, other)
        yield


def pick_device(device: str | torch.device = "auto") -> torch.device:
    """The device to compute on; one that is named must be there.

    Args:
        device: "cpu", "cuda" or "mps", with or without an index ("cuda:1"), or a `torch.device`. "auto" takes what the
            environment variable ATTN_DEVICE names or, where it is not set, CUDA, else MPS, else the CPU.

    Raises:
        ValueError: an unknown name, or a device that this machine or this PyTorch lacks.
    """
    count = {
        "cuda": torch.cuda.device_count() if torch.cuda.is_available() else 0,
        "mps": int(torch.backends.mps.is_available()),
        "cpu": 1,
    }
    source, wish = "device", device
    if device == "auto" and os.environ.get("ATTN_DEVICE"):
        source, wish = "ATTN_DEVICE", os.environ["ATTN_DEVICE"]
    if wish == "auto":
        wish = next(kind for kind in count if count[kind])
    try:
        found = torch.device(wish)
    except (RuntimeError, TypeError):
        found = None
    if found is None or found.type not in count:
        raise ValueError(f'{source} must be "auto", "cpu", "cuda" or "mps", with or without an index, got {wish!r}')
    if (found.index or 0) >= count[found.type]:
        there = ", ".join(f"{number} × {kind}" for kind, number in count.items() if number)
        raise ValueError(f"{source} {str(found)!r} is not available here; there is {there}")
    return found
