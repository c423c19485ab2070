"""Train and evaluate small models, with as little machinery as that takes::

history = fit(model, (images, labels), loss, epochs=5, seed=0)
scores = evaluate(model, (images, labels), metric)
"""

import math
import operator
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from attn_utils.device import seeded
from attn_utils.parallel import WAYS, Alone, here, join, mean_over_processes, recomputed, share_buffers
from attn_utils.schedule import parameter_groups, warmup_cosine


@dataclass
class History:
    """What happened while `fit` ran. With several processes `loss` and `metrics` are means over them, the same on each.

    Attributes:
        loss: the loss of each step's batch, before that step.
        lr: learning rate of each step.
        metrics: {name: one number a step}, what `loss` returned beside the loss.
        validation: (steps done, what `validate` returned), once for each pass through the data and once at the end.
        seconds: how long it took, by the wall clock.
        interrupted: whether Ctrl-C ended it early.
    """

    loss: list[float] = field(default_factory=list)
    lr: list[float] = field(default_factory=list)
    metrics: dict[str, list[float]] = field(default_factory=dict)
    validation: list[tuple[int, dict]] = field(default_factory=list)
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
    precision: str = "full",
    accumulate: int = 1,
    recompute: bool = False,
    parallel: str | None = None,
    checkpoint: Path | str | None = None,
    checkpoint_every: int | None = None,
    on_step: Callable | None = None,
    validate: Callable | None = None,
    progress: bool | None = None,
) -> History:
    """Minimise `loss` over `data` with AdamW, the learning rate rising to `lr` and falling again (`warmup_cosine`).

    Each epoch goes through the data in a new order; a last batch that would be smaller than the others is left out (of that epoch).
    Ctrl-C (the stop button of a notebook) ends training early and keeps what was learned.

    For a given `seed`, device and thread count the result repeats exactly; with another thread count sums are taken in
    another order and runs part after some steps. The random state of PyTorch is left as it was found.

    Modules that the caller put in eval mode in a model that is in train mode, such as a frozen batch norm, stay in eval mode.
    A model that is in eval mode throughout (a new `fit` after a first) is put in train mode throughout. A compiled model
    (`model.compile()`) is trained as any other.

    Several processes train one model when each calls `fit` with the same arguments and `parallel`; `torchrun` starts them. All
    start from the parameters of process 0, each takes its share of every batch, and gradients are averaged (`attn_utils.parallel`).
    When `loss` is a mean over samples, the result is that of one process up to rounding, dropout and batch norm aside: these
    see a share of the batch, and the running statistics are those of process 0. What is wrapped is the whole loss, so `loss` gets
    the model itself here too: it may call it as often as it likes, and use its attributes and methods. With "shard", though, weights
    inside a block can be used through the block alone, every process must use the same ones, and after an error the model is left in
    shards. Ctrl-C is not caught: it ends each process.

    With `checkpoint`, `fit` saves all that it needs to go on, and a later call with the same arguments goes on after the newest
    checkpoint (`attn_utils.checkpoint`): on as many processes it ends with the same bits as a run that was never interrupted, on another
    number with the same up to rounding and dropout. Ctrl-C then waits for the step, which is saved. What `loss` or `on_step` keep for
    themselves (a moving average, a generator of their own) is not saved.

    Args:
        model: the module to train, in place; it is left in eval mode.
        data: tensors that share axis 0; batches are moved to the device one at a time.
        loss: called as loss(model, *batch); returns a scalar tensor, or (scalar tensor, {name: number to keep}), with the
            same names for every part of a batch and on every process.
        epochs, steps: how long to train; exactly one of them.
        batch_size: samples per step, over all processes and parts (and a multiple of their number); above the length of the data it is
            that length.
        lr: highest learning rate.
        weight_decay: of AdamW, for weights alone (`parameter_groups`). β₁ and β₂ stay at 0.9 and 0.999.
        warmup: share of the steps during which the learning rate rises, 0 to 1.
        clip: largest norm of the gradient; None for no limit.
        seed: order of the data, and dropout.
        device: where to train; None means where the model is.
        precision: "full" for that of the model, or "bf16": then `torch.autocast` has the matrix products of `loss` done in bfloat16;
            parameters, gradients and the optimiser stay as they are, and `validate` computes in full.
        accumulate: parts that each process takes its samples of a batch in, one after the other, for the memory of one part; the
            gradient is their mean, so that of the whole batch up to rounding.
        recompute: keep only the inputs of the model's blocks, and compute each a second time in backward (`parallel.recomputed`).
        parallel: None for this process alone (or, where `torch.distributed` is initialised, as "replicate"); "replicate" or "shard" for
            all processes that torchrun started: each holds the whole model (DistributedDataParallel) or its share of it (FSDP2).
        checkpoint: folder for checkpoints, the same on every process; None for none.
        checkpoint_every: steps from one checkpoint to the next; None for one after each pass through the data. The end is saved, too.
        on_step: called as on_step(step, model) after each step, counted from 1. What it changes in weights in shards is lost.
        validate: called as validate(model) after each pass through the data and at the end, in eval mode without
            gradients; returns a dict, kept in `History.validation`.
        progress: show a progress bar; None shows it only when a person is watching (see `person_is_watching`).

    Returns:
        The `History`.

    Raises:
        ValueError: arguments that do not fit, a checkpoint of another model or run, or nothing to train; the error names them.
        FloatingPointError: the loss became NaN or infinite; the error names the step.
        OSError: a checkpoint could not be written, for one because the disk is full (those before it stay), or not be read.

    >>> x = torch.linspace(-1, 1, 64)[:, None]
    >>> model, error = nn.Linear(1, 1), lambda model, x, y: (model(x) - y).square().mean()
    >>> history = fit(model, (x, 3 * x), error, epochs=200, lr=0.1, weight_decay=0.0)
    >>> history.steps, history.loss[-1] < 1e-4
    (200, True)
    """
    n = _common_length(data)
    device = _device(device, model, data)
    if parallel not in (None, *WAYS):
        raise ValueError(f'parallel must be None, "replicate" or "shard", got {parallel!r}')
    rank, processes = join(device) if parallel else here()
    if parallel and processes > 1 and device.type == "cuda":
        device = torch.device("cuda", torch.cuda.current_device())
    batch_size, accumulate = _whole("batch_size", batch_size), _whole("accumulate", accumulate)
    parts = processes * accumulate
    in_parts = f"the {processes} processes" + f" × {accumulate} parts" * (accumulate > 1)
    if batch_size % parts:
        raise ValueError(f"batch_size must be a multiple of {in_parts}, got {batch_size}")
    if n < parts:
        raise ValueError(f"data must hold a sample for each of {in_parts}, got {n}")
    batch_size = min(batch_size, n - n % parts)
    if (epochs is None) == (steps is None):
        raise ValueError(f"give either epochs or steps, got epochs={epochs} and steps={steps}")
    steps_per_epoch = n // batch_size
    steps = _whole("epochs", epochs) * steps_per_epoch if steps is None else _whole("steps", steps)
    every = steps_per_epoch if checkpoint_every is None else _whole("checkpoint_every", checkpoint_every)
    if not 0.0 <= warmup <= 1.0:
        raise ValueError(f"warmup must be a share of the steps, between 0 and 1, got {warmup}")
    if precision not in ("full", "bf16"):
        raise ValueError(f'precision must be "full" or "bf16", got {precision!r}')
    seed = operator.index(seed)
    if not any(p.requires_grad for p in model.parameters()):
        raise ValueError(f"model has nothing to train: no parameter of this {type(model).__name__} requires a gradient")

    model.to(device)
    if not any(module.training for module in model.modules()):
        model.train()
    mixed = partial(torch.autocast, device.type, torch.bfloat16) if precision == "bf16" else nullcontext
    saved, waiting = None, nullcontext(lambda: False)
    if checkpoint is not None:
        from attn_utils.checkpoint import Checkpoints, asked_to_stop  # what they import takes half as long as PyTorch

        settings = {"data": [list(tensor.shape) for tensor in data], "batch_size": batch_size, "steps": steps, "lr": float(lr)}
        settings |= {"weight_decay": float(weight_decay), "warmup": float(warmup), "clip": clip and float(clip)}
        settings |= {"seed": seed, "precision": precision}
        saved, waiting = Checkpoints(checkpoint, settings, rank, processes), asked_to_stop()
    history, before = History(), 0.0
    progress = person_is_watching() if progress is None else progress
    start = time.perf_counter()
    try:
        with (
            tqdm(total=steps, disable=not progress or rank > 0, leave=False) as bar,
            seeded(seed + rank, device),
            recomputed(model) if recompute else nullcontext(),
            waiting as stop_is_asked,
        ):
            team = (WAYS[parallel or "replicate"] if processes > 1 else Alone)(model, loss, device)
            parameters = [p for p in model.parameters() if p.requires_grad]  # after sharding, which makes others of them
            optimizer = torch.optim.AdamW(parameter_groups(model, weight_decay), lr=lr)
            done = 0
            if saved is not None:
                done, kept = saved.restore(model, optimizer, device)
                history = kept or history
                before = history.seconds
                bar.update(done)
            batches = islice(_batches(n, batch_size, seed), done, None)
            for step in range(done + 1, steps + 1):
                for group in optimizer.param_groups:
                    group["lr"] = lr * warmup_cosine(step, steps, warmup)
                optimizer.zero_grad()
                measured = []
                for part, index in enumerate(next(batches)[rank::processes].chunk(accumulate), start=1):
                    batch = [tensor[index.to(tensor.device)].to(device) for tensor in data]
                    with team.part(last=part == accumulate):
                        with mixed():
                            value, numbers = team.compute(*batch)
                        (value / accumulate).backward()
                    measured.append([value.item(), float(stop_is_asked()), *numbers.values()])
                means = measured[0] if accumulate == 1 else [sum(column) / accumulate for column in zip(*measured, strict=True)]
                value, stop, *kept = mean_over_processes(means, processes, device)
                if not math.isfinite(value):
                    raise FloatingPointError(
                        f"the loss is {value} at step {step} of {steps} (lr {group['lr']:.1e}): "
                        "try a lower lr, or clip=1.0, and look for NaN in the data"
                    )
                if clip is not None:
                    nn.utils.clip_grad_norm_(parameters, clip)
                optimizer.step()
                history.loss.append(value)
                history.lr.append(group["lr"])
                for name, number in zip(numbers, kept, strict=True):
                    history.metrics.setdefault(name, []).append(number)
                bar.update()
                if progress and step % 10 == 0:
                    bar.set_postfix(loss=f"{np.mean(history.loss[-50:]):.3f}")
                if on_step is not None:
                    with team.whole():
                        on_step(step, model)
                at_end = step % steps_per_epoch == 0 or step == steps
                to_save = saved is not None and (step % every == 0 or step == steps or stop)
                if processes > 1 and (at_end or to_save):
                    share_buffers(model)
                if at_end and validate is not None:
                    with team.whole(), _evaluating(model):
                        history.validation.append((step, validate(model)))
                if to_save:
                    history.seconds = before + time.perf_counter() - start
                    saved.save(step, model, optimizer, history, device)
                if stop:
                    raise KeyboardInterrupt
            team.finish()
    except KeyboardInterrupt:
        if processes > 1:  # the others may be one step further, and would wait for this one for ever
            raise
        history.interrupted = True
    finally:
        model.eval()
        history.seconds = before + time.perf_counter() - start
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
        model: the module to look at; it and each module in it is left in the mode it was in.
        data: tensors that share axis 0.
        metric: called as metric(model, *batch); returns {name: tensor (B,), one value a sample, or a scalar: the batch's mean}.
        batch_size: samples at a time.
        device: where to compute; None means where the model is (or, if it holds no tensor, the data).

    Returns:
        {name: mean}.

    Raises:
        ValueError: data of unequal lengths, no data, a batch_size below 1, or a metric that is neither (B,) nor a scalar.

    >>> evaluate(nn.Identity(), (torch.eye(3),), lambda model, x: {"largest": model(x).amax(dim=1)})
    {'largest': 1.0}
    """
    n = _common_length(data)
    batch_size = _whole("batch_size", batch_size)
    device = _device(device, model, data)
    model.to(device)
    totals: dict[str, float] = {}
    with _evaluating(model):
        for start in range(0, n, batch_size):
            batch = [tensor[start : start + batch_size].to(device) for tensor in data]
            size = min(batch_size, n - start)
            for name, value in metric(model, *batch).items():
                value = torch.as_tensor(value, device="cpu").double()
                if value.shape not in ((), (size,)):
                    raise ValueError(f"metric {name!r} must be a scalar or have shape ({size},), got {tuple(value.shape)}")
                totals[name] = totals.get(name, 0.0) + value.mean().item() * size
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


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Eval mode and no gradients; afterwards each module is in the mode it was in."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training


def _whole(name: str, value: int) -> int:
    """The number as an int (NumPy's are welcome), after a check that it is a whole number of at least 1."""
    try:
        number = operator.index(value)
    except TypeError:
        number = 0
    if number < 1:
        raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")
    return number


def _device(device: torch.device | str | None, model: nn.Module, data: Sequence[Tensor]) -> torch.device:
    """The device asked for, or where the model is; a model without tensors is where the data are."""
    if device is not None:
        return torch.device(device)
    return next(chain(model.parameters(), model.buffers(), data)).device


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
    generator = torch.Generator("cpu").manual_seed(seed)
    while True:
        order = torch.randperm(n, generator=generator, device="cpu")  # whatever PyTorch's default device is
        yield from order[: n - n % batch_size].split(batch_size)
