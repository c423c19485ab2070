"""What a module costs: parameters, FLOPs, seconds, peak bytes, and how they grow with size."""

import os
import random
import time
from collections.abc import Callable, Hashable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode


def count_parameters(model: nn.Module) -> int:
    """Number of trainable parameters; a shared one counts once.

    >>> count_parameters(nn.Linear(3, 5))
    20
    """
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def forward_flops(module: nn.Module, inputs: Sequence[Tensor]) -> int:
    """FLOPs of one forward pass: of matrix products and convolutions, a multiplication and an addition each.

    Nothing else is counted: neither softmax, norms and activations, nor pooling, nor reading between pixels. Fused
    attention counts as the products that it stands for.

    Args:
        module: called as module(*inputs), in the mode it is in.
        inputs: its arguments, in a list or tuple.

    >>> forward_flops(nn.Linear(3, 5), [torch.ones(2, 3)])  # 2 · (2 · 3 · 5)
    60

    Source: `torch.utils.flop_counter`.
    """
    _check_inputs(inputs)
    counter = FlopCounterMode(display=False)
    with counter, sdpa_kernel(SDPBackend.MATH):  # the counter does not see inside the fused kernel of the CPU
        module(*inputs)
    return counter.get_total_flops()


def forward_backward(module: nn.Module, inputs: Sequence[Tensor]) -> None:
    """One forward and one backward pass, of the sum of the output: what is timed, and whose memory is measured.

    Gradients that parameters and inputs held before are dropped, not added to.

    Args:
        module: called as module(*inputs); it returns one tensor.
        inputs: its arguments, in a list or tuple; those that require a gradient get one.
    """
    _check_inputs(inputs)
    _drop_gradients(module, inputs)
    out = module(*inputs)
    out.backward(torch.ones_like(out))


def peak_bytes(module: nn.Module, inputs: Sequence[Tensor]) -> int:
    """Most bytes that `forward_backward` holds at a time, beyond the module and its inputs.

    Summed from PyTorch's own allocations on the CPU: what a kernel takes from the system by itself is not seen. A first
    pass goes unmeasured, so that what a module keeps for later (a cached mask) is there already.

    Raises:
        ValueError: an input that is not on the CPU (for CUDA there is `torch.cuda.max_memory_allocated`).
    """
    _check_inputs(inputs)
    if elsewhere := {tensor.device.type for tensor in inputs} - {"cpu"}:
        raise ValueError(f"inputs must be on the CPU, where peak_bytes measures, got {', '.join(sorted(elsewhere))}")
    forward_backward(module, inputs)
    _drop_gradients(module, inputs)  # the profiler complains about memory that is freed but was taken before it began
    return _peak(lambda: forward_backward(module, inputs))


def peak_bytes_of(call: Callable[[], object]) -> int:
    """Most bytes that a call holds at a time, what it returns among them; as `peak_bytes`, for any function without arguments.

    A first call goes unmeasured. Nothing that was there before should be freed by the call: gradients, for one.

    >>> x = torch.ones(1000)
    >>> peak_bytes_of(lambda: x + x)
    4000
    """
    call()
    return _peak(call)


def _peak(call: Callable[[], object]) -> int:
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler is to measure, not to report on itself
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        call()
    events = [event for event in profiler.profiler.kineto_results.events() if event.name() == "[memory]"]
    events.sort(key=lambda event: event.start_ns())
    return int(np.cumsum([event.nbytes() for event in events]).max(initial=0))


def interleaved_seconds(
    cases: Mapping[Hashable, Callable[[], object]],
    *,
    repeats: int,
    warmup: int = 1,
    clock: Callable[[], float] = time.perf_counter,
    seed: int = 0,
) -> dict[Hashable, list[float]]:
    """Seconds that each case takes, again and again: in every repeat each runs once, in random order.

    So all meet the same noise: another program, a processor that slows down as it warms up. Report `quartiles` of each
    case and, for two, of the ratios within one repeat: `quartiles(np.divide(seconds["ours"], seconds["theirs"]))`.

    Args:
        cases: {name: function without arguments}.
        repeats: how many measurements to keep of each.
        warmup: rounds that go before and are not kept.
        clock: returns the time in seconds. `time.process_time` leaves out what other programs took, and adds up the
            threads of this one; for CUDA give a clock that calls `torch.cuda.synchronize` first.
        seed: of the order.

    Returns:
        {name: one number for each repeat}, in the order of the repeats.

    Raises:
        ValueError: no case, no repeat, or a negative warmup.
    """
    if not cases or repeats < 1 or warmup < 0:
        raise ValueError(f"there must be cases, repeats ≥ 1 and warmup ≥ 0, got {len(cases)} cases, {repeats} and {warmup}")
    seconds = {name: [] for name in cases}
    order, shuffle = list(cases), random.Random(seed).shuffle
    for repeat in range(-warmup, repeats):
        shuffle(order)
        for name in order:
            start = clock()
            cases[name]()
            end = clock()
            if repeat >= 0:
                seconds[name].append(end - start)
    return seconds


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """(lower quartile, median, upper quartile): a middle and a spread that a few disturbed measurements do not move.

    >>> quartiles([4.0, 1.0, 2.0, 3.0, 99.0])
    (2.0, 3.0, 4.0)
    """
    low, median, high = np.quantile(values, [0.25, 0.5, 0.75]).tolist()
    return low, median, high


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """p of the power law value = c · sizeᵖ that fits best: the slope of the least-squares line through the logarithms.

    Args:
        sizes: what grows, such as the number of pixels or of tokens; at least two different ones, above 0.
        values: the cost at each size, above 0.

    Raises:
        ValueError: sizes and values that are not of one length, not positive, or without two different sizes.

    >>> round(exponent([1, 2, 4], [3, 12, 48]), 6)
    2.0
    """
    sizes, values = np.asarray(sizes, dtype=float), np.asarray(values, dtype=float)
    if sizes.ndim != 1 or sizes.shape != values.shape or len(set(sizes)) < 2:
        raise ValueError(f"sizes and values must be of one length, with two different sizes; got {sizes} and {values}")
    if not (sizes > 0).all() or not (values > 0).all():
        raise ValueError(f"sizes and values must be above 0, got {sizes} and {values}")
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def _check_inputs(inputs: Sequence[Tensor]) -> None:
    if not isinstance(inputs, list | tuple):
        raise TypeError(f"inputs must be a list or tuple, one item for each argument, got {type(inputs).__name__}")


def _drop_gradients(module: nn.Module, inputs: Sequence[Tensor]) -> None:
    for tensor in (*inputs, *module.parameters()):
        tensor.grad = None
