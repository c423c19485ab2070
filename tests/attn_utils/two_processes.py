"""A program for tests, one of several processes that train together: `python two_processes.py RANK PROCESSES FOLDER`.

It runs the cases below one after another and writes what they return to FOLDER/RANK.pt. `test_train_together.py` compares that
between the processes, and with what CASES return in a single process.
"""

import sys

import torch
import torch.distributed as dist
from torch import nn

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


CASES = {
    "metrics": lambda rank: train(with_metric, rank),
    "clipped": lambda rank: train(squared_error, rank, clip=0.1),
    "twice": lambda rank: train(twice_and_by_name, rank),
    "rare": lambda rank: train(extra_where_rare, rank),
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


def main(rank, processes, folder):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=processes)
    together = {f.__name__: f for f in (batch_norm, nan_in_one, alone_afterwards, interrupted, rejected)}
    results = {name: case(rank) for name, case in (CASES | together).items()}
    torch.save(results, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
