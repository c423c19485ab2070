"""What a module costs: parameters, FLOPs, peak bytes, and how they grow."""

import numpy as np
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode


def count_parameters(model: nn.Module) -> int:
    """Number of trainable parameters; a shared one counts once."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def forward_backward(module, inputs):
    for tensor in (*inputs, *module.parameters()):
        tensor.grad = None
    out = module(*inputs)
    out.backward(torch.ones_like(out))


def forward_flops(module, inputs):
    """FLOPs of matrix products and convolutions, a multiplication and an addition each; nothing else is counted."""
    counter = FlopCounterMode(display=False)
    with counter, sdpa_kernel(SDPBackend.MATH):  # the counter does not see inside the fused kernel of the CPU
        module(*inputs)
    return counter.get_total_flops()


def peak_bytes(module, inputs):
    """Most bytes that one forward + backward holds at a time beyond what it was given, from PyTorch's own allocations."""
    forward_backward(module, inputs)
    for tensor in (*inputs, *module.parameters()):
        tensor.grad = None
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        forward_backward(module, inputs)
    events = [e for e in profiler.profiler.kineto_results.events() if e.name() == "[memory]"]
    events.sort(key=lambda e: e.start_ns())
    return int(np.cumsum([e.nbytes() for e in events]).max())


def exponent(sides, values):
    """p of the least-squares line through (log pixels, log value)."""
    return float(np.polyfit(np.log([side * side for side in sides]), np.log(values), 1)[0])
