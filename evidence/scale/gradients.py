"""The gradients of the first step, from `fit` itself, on one process or on all that torchrun starts:

    python -m torch.distributed.run --standalone --nproc-per-node 2 -m evidence.scale.gradients FILE

Process 0 writes FILE: {way: {parameter: gradient}}, one way after the other. There is no dropout: each process would draw its own.
"""

import argparse

import torch
import torch.distributed as dist
from torch.distributed.tensor import DTensor
from torch.optim.optimizer import register_optimizer_step_pre_hook

from attn_utils.parallel import WAYS, join
from attn_utils.train import fit
from evidence.scale.task import cross_entropy, reader, scans


def first_gradients(parallel=None, *, batch_size=64, **options):
    """{parameter: gradient} of the first batch, with what `fit` takes beside it; the same on every process."""
    model, found = reader(dropout=0.0), {}

    def before_step(*_):
        for name, parameter in model.named_parameters():
            whole = parameter.grad.full_tensor() if isinstance(parameter.grad, DTensor) else parameter.grad
            found[name] = whole.detach().clone()

    watch = register_optimizer_step_pre_hook(before_step)
    try:
        fit(model, scans(), cross_entropy, steps=1, batch_size=batch_size, parallel=parallel, **options)
    finally:
        watch.remove()
    return found


def main(arguments=None):
    """Train one step in each way, and write."""
    parser = argparse.ArgumentParser(
        prog="python -m evidence.scale.gradients", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", metavar="FILE", help="where the gradients go")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    rank, processes = join()
    gradients = {way: first_gradients(way) for way in WAYS}
    if rank == 0:
        torch.save(gradients, options.file)
    if processes > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
