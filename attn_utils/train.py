"""Train and evaluate small models, with as little machinery as that takes::

history = fit(model, (images, labels), loss, epochs=5, seed=0)
scores = evaluate(model, (images, labels), metric)
"""

import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from tqdm.auto import tqdm


@dataclass
class History:
    """What happened while `fit` ran; every list has one entry a step."""

    loss: list[float] = field(default_factory=list)
    lr: list[float] = field(default_factory=list)
    metrics: dict[str, list[float]] = field(default_factory=dict)  # what `loss` returned beside the loss
    validation: list[tuple[int, dict]] = field(default_factory=list)  # (steps done, what `validate` returned)
    seconds: float = 0.0
    interrupted: bool = False

    @property
    def steps(self) -> int:
        """Number of steps taken."""
        return len(self.loss)


def fit(
    model: nn.Module,
    data: Sequence[Tensor],
    loss: Callable,
    *,
    epochs: int | None = None,
    steps: int | None = None,
    batch_size: int = 64,
    lr: float = 2e-3,
    weight_decay: float = 0.05,
    warmup: float = 0.15,
    clip: float | None = None,
    seed: int = 0,
    device: torch.device | str | None = None,
    on_step: Callable | None = None,
    validate: Callable | None = None,
    progress: bool | None = None,
) -> History:
    """Minimise `loss` over `data` with AdamW, the learning rate rising to `lr` and falling to nearly 0 (one cycle).

    Each epoch goes through the data in a new order; a last batch that would be smaller than the others is left out (of that epoch).
    Ctrl-C (the stop button of a notebook) ends training early and keeps what was learned.

    For a given `seed`, device and thread count the result repeats exactly; with another thread count sums are taken in
    another order and runs part after some steps. The global random state is left as it was found.

    Under `torch.distributed` (an initialised process group) every process calls `fit` with the same arguments: all start
    from the parameters of process 0, each takes its share of every batch, and gradients are averaged, so that the
    result is that of one process up to rounding (dropout and batch statistics aside).

    Args:
        model: the module to train, in place; it is left in eval mode.
        data: tensors that share axis 0; batches are moved to the device one at a time.
        loss: called as loss(model, *batch); returns a scalar tensor, or (scalar tensor, {name: number to keep}).
        epochs, steps: how long to train; exactly one of them.
        batch_size: samples per step, over all processes.
        lr: highest learning rate.
        weight_decay: of AdamW.
        warmup: share of the steps during which the learning rate rises.
        clip: largest norm of the gradient; None for no limit.
        seed: order of the data, and dropout.
        device: where to train; None means where the model is.
        on_step: called as on_step(step, model) after each step, counted from 1.
        validate: called as validate(model) after each pass through the data and at the end, in eval mode without
            gradients; returns a dict, kept in `History.validation`.
        progress: show a progress bar; None shows it only when a person is watching (see `person_is_watching`).

    Returns:
        The `History`.

    Raises:
        ValueError: arguments that do not fit; the error names them.
        FloatingPointError: the loss became NaN or infinite; the error names the step.
    """
    n = _common_length(data)
    rank, processes = (dist.get_rank(), dist.get_world_size()) if _distributed() else (0, 1)
    batch_size = min(batch_size, n)
    if batch_size < 1 or batch_size % processes:
        raise ValueError(f"batch_size must be positive and a multiple of the {processes} process(es), got {batch_size}")
    if (epochs is None) == (steps is None):
        raise ValueError(f"give either epochs or steps, got epochs={epochs} and steps={steps}")
    steps_per_epoch = n // batch_size
    steps = epochs * steps_per_epoch if steps is None else steps
    if steps < 1:
        raise ValueError(f"there must be at least one step, got epochs={epochs} and steps={steps}")
    if not 0.0 < warmup < 1.0:
        raise ValueError(f"warmup must be a share of the steps, between 0 and 1, got {warmup}")
    device = next(model.parameters()).device if device is None else torch.device(device)

    model.to(device).train()
    if processes > 1:
        for tensor in (*model.parameters(), *model.buffers()):
            dist.broadcast(tensor.data, src=0)
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=lr, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=lr, total_steps=steps, pct_start=warmup)
    history = History()
    batches = _batches(n, batch_size, seed)
    progress = person_is_watching() if progress is None else progress
    start = time.perf_counter()
    with (
        tqdm(total=steps, disable=not progress or rank > 0, leave=False) as bar,
        torch.random.fork_rng(devices=[device] if device.type == "cuda" else []),
    ):
        torch.manual_seed(seed + rank)
        try:
            for step in range(1, steps + 1):
                index = next(batches)[rank::processes]
                batch = [tensor[index.to(tensor.device)].to(device) for tensor in data]
                result = loss(model, *batch)
                value, numbers = result if isinstance(result, tuple) else (result, {})
                optimizer.zero_grad()
                value.backward()
                if processes > 1:
                    _average_over_processes([value.data, *(_gradient(p) for p in parameters)])
                if not math.isfinite(value.item()):
                    raise FloatingPointError(
                        f"the loss is {value.item()} at step {step} of {steps} (lr {schedule.get_last_lr()[0]:.1e}): "
                        "try a lower lr, or clip=1.0, and look for NaN in the data"
                    )
                if clip is not None:
                    nn.utils.clip_grad_norm_(parameters, clip)
                optimizer.step()
                history.loss.append(value.item())
                history.lr.append(schedule.get_last_lr()[0])
                for name, number in numbers.items():
                    history.metrics.setdefault(name, []).append(torch.as_tensor(number).item())
                schedule.step()
                bar.update()
                if progress and step % 10 == 0:
                    bar.set_postfix(loss=f"{np.mean(history.loss[-50:]):.3f}")
                if on_step is not None:
                    on_step(step, model)
                if validate is not None and (step % steps_per_epoch == 0 or step == steps):
                    model.eval()
                    with torch.no_grad():
                        history.validation.append((step, validate(model)))
                    model.train()
        except KeyboardInterrupt:
            history.interrupted = True
    history.seconds = time.perf_counter() - start
    model.eval()
    return history


def evaluate(
    model: nn.Module,
    data: Sequence[Tensor],
    metric: Callable,
    *,
    batch_size: int = 500,
    device: torch.device | str | None = None,
) -> dict[str, float]:
    """Means over all samples of what `metric` measures, in eval mode and without gradients.

    Args:
        model: the module to look at; it is left in the mode it was in.
        data: tensors that share axis 0.
        metric: called as metric(model, *batch); returns {name: tensor (B,), one value a sample, or a scalar: the mean of the batch}.
        batch_size: samples at a time.
        device: where to compute; None means where the model is.

    Returns:
        {name: mean}.

    Raises:
        ValueError: data of unequal lengths, no data, or a metric that is neither (B,) nor a scalar.
    """
    n = _common_length(data)
    device = next(model.parameters()).device if device is None else torch.device(device)
    was_training = model.training
    model.to(device).eval()
    totals: dict[str, float] = {}
    try:
        with torch.no_grad():
            for start in range(0, n, batch_size):
                batch = [tensor[start : start + batch_size].to(device) for tensor in data]
                size = min(batch_size, n - start)
                for name, value in metric(model, *batch).items():
                    value = torch.as_tensor(value).detach().cpu().double()
                    if value.shape not in ((), (size,)):
                        raise ValueError(f"metric {name!r} must be a scalar or have shape ({size},), got {tuple(value.shape)}")
                    totals[name] = totals.get(name, 0.0) + value.mean().item() * size
    finally:
        model.train(was_training)
    return {name: total / n for name, total in totals.items()}


def person_is_watching() -> bool:
    """Whether someone sees the output as it comes: a terminal, or a notebook that someone runs by hand.

    A notebook front end tells the kernel with each cell whether it could answer a question (`input()`). JupyterLab, VS Code and Colab
    can; the tools that execute notebooks (nbclient, and with it papermill and Jupyter Book; nbval) cannot. So no
    progress bar ends up in committed outputs. The environment variable ATTN_PROGRESS=0 or =1 overrules this.
    """
    if (wish := os.environ.get("ATTN_PROGRESS")) is not None:
        return wish == "1"
    if "IPython" in sys.modules:
        shell = sys.modules["IPython"].get_ipython()
        if hasattr(shell, "kernel"):
            return bool(getattr(shell.kernel, "_allow_stdin", False))
    return sys.stderr.isatty()


def _common_length(data: Sequence[Tensor]) -> int:
    """Length of axis 0 that all tensors share."""
    if isinstance(data, Tensor) or not all(isinstance(tensor, Tensor) for tensor in data):
        raise ValueError("data must be a tuple of tensors, such as (images, labels)")
    lengths = [len(tensor) for tensor in data]
    if len(set(lengths)) != 1 or lengths[0] == 0:
        raise ValueError(f"data must be tensors of one length, above 0; got lengths {lengths}")
    return lengths[0]


def _batches(n: int, batch_size: int, seed: int) -> Iterator[Tensor]:
    """Index sets of one batch each, without end: a new order for every pass, the same on every process."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        order = torch.randperm(n, generator=generator)
        yield from order[: n - n % batch_size].split(batch_size)


def _distributed() -> bool:
    return dist.is_available() and dist.is_initialized()


def _gradient(parameter: nn.Parameter) -> Tensor:
    """The gradient, made of zeros where this process had none (all processes must send the same tensors)."""
    if parameter.grad is None:
        parameter.grad = torch.zeros_like(parameter)
    return parameter.grad


def _average_over_processes(tensors: list[Tensor]) -> None:
    for tensor in tensors:
        dist.all_reduce(tensor)
        tensor /= dist.get_world_size()
