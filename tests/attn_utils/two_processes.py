"""A program for tests, one of several processes that train together: `python two_processes.py RANK PROCESSES FOLDER`.

It runs the cases below one after another and writes what they return to FOLDER/RANK.pt. `test_train_together.py` compares that
between the processes, and with what CASES return in a single process.
"""

import copy
import errno
import shutil
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor
from torch.optim.optimizer import register_optimizer_step_pre_hook

from attn_utils import checkpoint
from attn_utils.train import evaluate, fit


def data(n=64):
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(n, 5, generator=generator)
    return x, x @ torch.tensor([[1.0], [-2.0], [0.5], [0.0], [3.0]]) + 0.7


class Model(nn.Module):
    """A small network; `extra` is a second one that only some losses use, and some of those only for some samples."""

    def __init__(self, seed):
        super().__init__()
        torch.manual_seed(seed)
        self.layers = nn.Sequential(nn.Linear(5, 8), nn.GELU(), nn.Linear(8, 1))
        self.extra = nn.Linear(5, 1)
        self.scale = 2.0

    def forward(self, x):
        return self.layers(x)

    def scaled(self, x):
        return self.scale * self(x)


def squared_error(model, x, y):
    return (model(x) - y).square().mean()


def with_metric(model, x, y):
    value = squared_error(model, x, y)
    return value, {"mean of y": y.mean(), "extra": model.extra(x).mean(), "samples": len(x)}


def twice_and_by_name(model, x, y):
    return (model(x) - y).square().mean() + (model.scaled(-x) - y).square().mean() + model.layers[0].weight.square().mean()


def extra_where_rare(model, x, y):
    """In most batches one process has no sample for `extra`."""
    rare, value = x[:, 0] > 1.2, squared_error(model, x, y)
    return value + model.extra(x[rare]).square().sum() / len(x) if rare.any() else value


def train(loss, rank, **options):
    model = Model(seed=rank)  # the others begin elsewhere: fit must not mind
    history = fit(model, data(), loss, **{"steps": 20, "batch_size": 8, "weight_decay": 0.5} | options)
    return {"state": model.state_dict(), "loss": history.loss, "metrics": history.metrics}


class Stack(nn.Module):
    """Blocks that can be sharded one by one, one parameter in two places, sizes that two processes cannot share evenly, dropout, a frozen
    parameter."""

    def __init__(self, dropout=0.0):
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Linear(5, 7)
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(7, 7), nn.GELU(), nn.Dropout(dropout)) for _ in range(3))
        self.again = nn.Linear(7, 7)
        self.again.weight = self.embed_twice = nn.Parameter(torch.randn(7, 7) / 3)
        self.shift = nn.Parameter(torch.ones(7), requires_grad=False)
        self.head = nn.Linear(7, 1)
        self.unused = nn.Linear(3, 1)

    def forward(self, x):
        x = self.embed(x) @ self.embed_twice + self.shift
        for block in self.blocks:
            x = x + block(x)
        return self.head(self.again(x))


def gradients_of_each_step(model, **options):
    """{name: gradient} of each step, as the optimiser gets them, and the history."""
    seen = []

    def look(optimizer, *_):
        whole = lambda gradient: (gradient.full_tensor() if isinstance(gradient, DTensor) else gradient).clone()
        seen.append({name: whole(p.grad) for name, p in model.named_parameters() if p.grad is not None})

    watch = register_optimizer_step_pre_hook(look)
    try:
        history = fit(model, data(), squared_error, **{"steps": 6, "batch_size": 8, "lr": 1e-2} | options)
    finally:
        watch.remove()
    return {"gradients": seen, "loss": history.loss, "state": model.state_dict()}


STACKED = {
    "replicate": {"parallel": "replicate"},
    "shard": {"parallel": "shard"},
    "shard, clipped": {"parallel": "shard", "clip": 0.1},
    "shard, in parts": {"parallel": "shard", "accumulate": 2},
    "shard, computed again": {"parallel": "shard", "recompute": True},
    "shard, watched": {"parallel": "shard", "on_step": lambda step, model: model(data()[0]), "validate": lambda model: {}},
    "shard, bf16": {"parallel": "shard", "precision": "bf16"},
    "replicate, in parts": {"parallel": "replicate", "accumulate": 4},
    "replicate, computed again": {"parallel": "replicate", "recompute": True},
}

CASES = {
    "metrics": lambda rank: train(with_metric, rank),
    "clipped": lambda rank: train(squared_error, rank, clip=0.1),
    "twice": lambda rank: train(twice_and_by_name, rank),
    "rare": lambda rank: train(extra_where_rare, rank),
    "metrics, sharded": lambda rank: train(with_metric, rank, parallel="shard"),
    "twice, sharded": lambda rank: train(twice_and_by_name, rank, parallel="shard"),
}


def batch_norm(rank):
    """Running statistics, and what `validate` measures with them."""
    torch.manual_seed(rank)
    model = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Linear(8, 1))
    validate = lambda m: evaluate(m, data(), lambda m, x, y: {"mean": m(x)[:, 0]})
    history = fit(model, data(), squared_error, epochs=2, batch_size=8, validate=validate)
    return {"state": model.state_dict(), "validation": history.validation}


def nan_in_one(rank):
    """The error of both when the loss is NaN in process 1 alone."""
    steps = []

    def loss(model, x, y):
        steps.append(0)
        return squared_error(model, x, y) * (torch.nan if rank == 1 and len(steps) == 3 else 1.0)

    try:
        fit(Model(0), data(), loss, steps=5, batch_size=8)
    except FloatingPointError as error:
        return str(error)


def alone_afterwards(rank):
    """After training one process may take gradients by itself: nothing waits for the other."""
    model = Model(0)
    fit(model, data(), squared_error, steps=2, batch_size=8)
    model.zero_grad()
    if rank == 0:
        squared_error(model, *data()).backward()
    return model.layers[0].weight.grad


def interrupted(rank):
    def stop(step, model):
        raise KeyboardInterrupt

    try:
        fit(Model(0), data(), squared_error, steps=2, batch_size=8, on_step=stop)
    except KeyboardInterrupt:
        return True


def rejected(rank):
    errors = []
    for samples, batch_size in ((64, 7), (1, 8)):
        try:
            fit(Model(0), data(samples), squared_error, steps=1, batch_size=batch_size)
        except ValueError as error:
            errors.append(str(error))
    return errors


def ordinary_again(rank):
    """After sharded training: kinds of module, hooks, marks, and whether parameters are the objects that they were."""
    model = Stack()
    kinds, parameters = [type(module) for module in model.modules()], list(model.parameters())
    marks = [set(vars(module)) for module in model.modules()]
    inside = []
    fit(
        model,
        data(),
        squared_error,
        steps=2,
        batch_size=8,
        parallel="shard",
        on_step=lambda step, m: inside.append(sum(isinstance(module, FSDPModule) for module in m.modules())),
    )
    return {
        "sharded inside": inside,
        "kinds": kinds == [type(module) for module in model.modules()],
        "parameters": all(a is b for a, b in zip(parameters, model.parameters(), strict=True)),
        "tied": model.again.weight is model.embed_twice,
        "marks": marks == [set(vars(module)) for module in model.modules()],
        "hooks": sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules()),
        "alone": model(data()[0]).mean().item() if rank == 0 else None,
        "copied": len(list(copy.deepcopy(model).parameters())),
        "and again": fit(model, data(), squared_error, steps=2, batch_size=8, parallel="shard").steps,
    }


class Crash(Exception):
    """What ends a run in the middle of its second pass."""


def crash(at):
    def on_step(step, model):
        if step == at:
            raise Crash

    return on_step


def run(folder, *, crash_at=None, dropout=0.2, **options):
    """Twenty steps, eight a pass; or as far as the crash."""
    model = Stack(dropout)
    options = {"steps": 20, "batch_size": 8, "lr": 1e-2, "checkpoint": folder, "checkpoint_every": 5} | options
    try:
        history = fit(model, data(), squared_error, on_step=crash_at and crash(crash_at), **options)
    except Crash:
        return None
    return {"state": model.state_dict(), "loss": history.loss, "lr": history.lr, "steps": history.steps}


def resumed(folder, parallel, *, forget=False):
    """A run that was never interrupted, and one that crashed after step 13 and went on after step 10."""
    whole = run(None, parallel=parallel)
    run(folder, parallel=parallel, crash_at=13)
    restore = checkpoint.restore_random
    if forget:
        checkpoint.restore_random = lambda states, device: None
    try:
        return whole, run(folder, parallel=parallel)
    finally:
        checkpoint.restore_random = restore


def left_for_one(folder, rank):
    """Crashed under FSDP2: one process shall go on."""
    return run(folder, parallel="shard", crash_at=13, dropout=0.0)


def taken_from_one(folder, rank, parallel):
    """One process had crashed: two go on."""
    mine = folder.with_name(f"{folder.name} {parallel}")
    if rank == 0:
        shutil.copytree(folder, mine)
    dist.barrier()
    return run(mine, parallel=parallel, dropout=0.0)


def full_on_one(folder, rank):
    """The disk of process 1 is full at step 10: what both say, and what is in the folder."""

    def fsync(number):
        raise OSError(errno.ENOSPC, "No space left on device")

    from torch.distributed.checkpoint import filesystem

    real = filesystem.os.fsync

    def fill(step, model):
        if step == 10 and rank == 1:
            filesystem.os.fsync = fsync

    try:
        fit(Stack(), data(), squared_error, steps=20, batch_size=8, checkpoint=folder, checkpoint_every=5, on_step=fill)
    except OSError as error:
        dist.barrier()
        return str(error), sorted(path.name for path in folder.iterdir())
    finally:
        filesystem.os.fsync = real


def of_another_model(folder, rank):
    """The errors of both."""
    try:
        fit(Model(0), data(), squared_error, steps=20, batch_size=8, lr=1e-2, checkpoint=folder, checkpoint_every=5)
    except ValueError as error:
        return str(error)


def main(rank, processes, folder):
    torch.set_num_threads(1)
    folder = Path(folder)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=processes)
    together = {f.__name__: f for f in (batch_norm, nan_in_one, alone_afterwards, interrupted, rejected, ordinary_again)}
    results = {name: case(rank) for name, case in (CASES | together).items()}
    results["stacked"] = {name: gradients_of_each_step(Stack(), **options) for name, options in STACKED.items()}
    for parallel in ("replicate", "shard"):
        results[f"resumed, {parallel}"] = resumed(folder / f"resumed {parallel}", parallel)
        results[f"taken from one, {parallel}"] = taken_from_one(folder / "one", rank, parallel)
    results["random state forgotten"] = resumed(folder / "forgotten", "replicate", forget=True)
    results["of another model"] = of_another_model(folder / "resumed shard", rank)
    results["left for one"] = left_for_one(folder / "two", rank)
    results["full on one"] = full_on_one(folder / "full", rank)
    torch.save(results, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
