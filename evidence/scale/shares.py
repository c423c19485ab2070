"""Who keeps and who sends what, in bytes, measured while `fit` runs on all processes that torchrun starts:

    python -m torch.distributed.run --standalone --nproc-per-node 2 -m evidence.scale.shares [--parallel replicate shard]

Process 0 prints one line of JSON: {way: [one dict for each process]} with

    kept        what a process holds between two steps: {parameters, gradients, optimiser: bytes}, as the optimiser sees them
    exchanged   what the processes exchange in a step: {kind of exchange: {calls, bytes}}, bytes of the whole tensors
    gathered    the most bytes of weights that one exchange brings together
    sent        bytes that left this process in a step over TCP (gloo on Linux; None elsewhere)
"""

import argparse
import json
import os
import socket
import struct
import sys
from collections import defaultdict

import torch
import torch.distributed as dist
from torch.distributed.tensor import DTensor
from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.utils._python_dispatch import TorchDispatchMode

from attn_utils.device import pick_device
from attn_utils.parallel import WAYS, join
from attn_utils.train import fit
from evidence.scale.task import cross_entropy, reader, scans

KINDS = {
    "allreduce_": "all-reduce",
    "_allgather_base_": "all-gather",
    "_reduce_scatter_base_": "reduce-scatter",
    "broadcast_": "broadcast",
}
BYTES_ACKED = 120  # where Linux's `struct tcp_info` says how many bytes the other side has received
STEPS = 7


def ring_bytes(kind, size, processes):
    """Bytes that each process of a ring has to send for an exchange of `size` bytes in all.

    An all-reduce is a reduce-scatter and an all-gather, and in each of these every process sends all but one of its P parts.

    Source: Patarasuk and Yuan 2009, "Bandwidth optimal all-reduce algorithms for clusters of workstations", sections 3 and 4.
    """
    rounds = {"all-reduce": 2, "all-gather": 1, "reduce-scatter": 1}[kind]
    return rounds * size * (processes - 1) / processes


class Exchanges(TorchDispatchMode):
    """Counts the exchanges that are asked for inside: {kind: [calls, bytes]}, bytes of the whole tensors."""

    def __init__(self):
        super().__init__()
        self.counted, self.gathered = defaultdict(lambda: [0, 0]), 0

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        if function.namespace == "c10d" and (kind := KINDS.get(function.name().partition("::")[2].partition(".")[0])):
            size = max(map(_bytes, arguments[:2]))  # of an all-gather's result, of what a reduce-scatter starts from
            self.counted[kind][0] += 1
            self.counted[kind][1] += size
            if kind == "all-gather":
                self.gathered = max(self.gathered, size)
        return function(*arguments, **(options or {}))


def measure(parallel=None, *, device="cpu", **options):
    """Train for some steps, and say what this process kept and sent in one: a dict as the module says."""
    exchanges, steps = Exchanges(), []

    def after_step(optimizer, *_):
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        states = [tensor for state in optimizer.state.values() for tensor in state.values()]
        kept = {"parameters": parameters, "gradients": [p.grad for p in parameters if p.grad is not None], "optimiser": states}
        steps.append(
            {
                "kept": {name: sum(map(_local_bytes, tensors)) for name, tensors in kept.items()},
                "exchanged": {kind: tuple(count) for kind, count in exchanges.counted.items()},
                "sent": tcp_bytes(),
            }
        )

    watch = register_optimizer_step_post_hook(after_step)
    try:
        with exchanges:
            fit(reader(), scans(), cross_entropy, steps=STEPS, batch_size=64, parallel=parallel, device=device, **options)
    finally:
        watch.remove()
    second, before, last = steps[1], *steps[-2:]  # what is set up once lies in the first
    exchanged = {
        kind: [now - then for now, then in zip(count, before["exchanged"].get(kind, (0, 0)), strict=True)]
        for kind, count in last["exchanged"].items()
    }
    return {
        "kept": last["kept"],
        "exchanged": {kind: dict(zip(("calls", "bytes"), count, strict=True)) for kind, count in exchanged.items() if count[0]},
        "gathered": exchanges.gathered,
        "sent": None if last["sent"] is None else round((last["sent"] - second["sent"]) / (STEPS - 2)),
    }


def tcp_bytes():
    """Bytes that have left this process so far through its open TCP connections, as Linux counts them; elsewhere None."""
    if not sys.platform.startswith("linux"):
        return None
    total = 0
    for number in os.listdir("/proc/self/fd"):
        try:
            copy = os.dup(int(number))
        except OSError:  # the folder that is being listed
            continue
        try:
            connection = socket.socket(fileno=copy)
        except OSError:  # no socket
            os.close(copy)
            continue
        with connection:
            if connection.type == socket.SOCK_STREAM and connection.family in (socket.AF_INET, socket.AF_INET6):
                info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
                total += struct.unpack_from("=Q", info, BYTES_ACKED)[0]
    return total


def main(arguments=None):
    """Read the command line, measure, and print."""
    parser = argparse.ArgumentParser(
        prog="python -m evidence.scale.shares", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parallel", nargs="+", choices=WAYS, default=list(WAYS), help="one after the other (default: both)")
    parser.add_argument("--accumulate", type=int, default=1, help="parts of a batch")
    parser.add_argument("--recompute", action="store_true", help="compute each block a second time in backward")
    parser.add_argument("--device", default="cpu", help='"cpu", "cuda" or "auto" (default: cpu)')
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    device = pick_device(options.device)
    rank, processes = join(device)
    found = {}
    for way in options.parallel:
        mine = measure(way, device=device, accumulate=options.accumulate, recompute=options.recompute)
        found[way] = [None] * processes
        if processes > 1:
            dist.all_gather_object(found[way], mine)
        else:
            found[way] = [mine]
    if rank == 0:
        print(json.dumps(found), flush=True)
    if processes > 1:
        dist.destroy_process_group()


def _bytes(tensors):
    if isinstance(tensors, torch.Tensor):
        return tensors.nbytes
    return sum(map(_bytes, tensors)) if isinstance(tensors, (list, tuple)) else 0


def _local_bytes(tensor):
    return (tensor.to_local() if isinstance(tensor, DTensor) else tensor).nbytes


if __name__ == "__main__":
    main()
