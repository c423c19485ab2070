"""Train the reader of handwriting, alone or on all processes that torchrun starts; go on where an earlier run stopped.

    python -m evidence.scale.train --steps 60
    python -m torch.distributed.run --standalone --nproc-per-node 2 -m evidence.scale.train --parallel shard
    python -m torch.distributed.run --standalone --nproc-per-node 2 --max-restarts 1 \\
        -m evidence.scale.train --parallel shard --checkpoint FOLDER --every 10 --kill-at 27

The last one loses a process in the middle of its second pass through the data, is started again by torchrun, and ends with the same
weights as the one before, bit for bit. Ctrl-C leaves a checkpoint; the same command goes on from it.
"""

import argparse
import os
import signal
import sys
import time

import torch
import torch.distributed as dist

from attn_utils import checkpoint
from attn_utils.device import pick_device
from attn_utils.parallel import WAYS, join
from attn_utils.train import fit
from evidence.scale.task import cross_entropy, reader, scans


def main(arguments=None):
    """Read the command line, and train."""
    parser = argparse.ArgumentParser(
        prog="python -m evidence.scale.train", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=60, help="how many steps in all (20 are a pass; default: 60)")
    parser.add_argument("--batch-size", type=int, default=50, help="scans a step, over all processes (default: 50)")
    parser.add_argument("--parallel", choices=WAYS, default="replicate", help="what each process holds (default: replicate)")
    parser.add_argument("--accumulate", type=int, default=1, help="parts that a process takes its share of a batch in")
    parser.add_argument("--recompute", action="store_true", help="compute each block a second time in backward")
    parser.add_argument("--precision", choices=("full", "bf16"), default="full", help="of the matrix products")
    parser.add_argument("--device", default="cpu", help='"cpu", "cuda" or "auto" (default: cpu)')
    parser.add_argument("--checkpoint", metavar="FOLDER", help="keep checkpoints there, and go on from the newest")
    parser.add_argument("--every", type=int, help="steps between checkpoints (default: a pass)")
    parser.add_argument("--weights", metavar="FILE", help="write the weights there at the end")
    parser.add_argument("--kill-at", type=int, metavar="STEP", help="the last process kills itself after this step, once")
    parser.add_argument("--forget-random", action="store_true", help="leave out the random state when going on: a control")
    parser.add_argument("--pause", type=float, default=0.0, metavar="SECONDS", help="after each step: time to press Ctrl-C")
    options = parser.parse_args(arguments)

    torch.set_num_threads(1)
    device = pick_device(options.device)
    rank, processes = join(device)
    life = int(os.environ.get("TORCHELASTIC_RESTART_COUNT", 0))
    say = lambda text: print(text, flush=True) if rank == 0 else None
    first = []

    def on_step(step, model):
        if not first:
            first.append(step)
            say(f"{processes} processes, life {life + 1}: the first step is {step}")
        if step == options.kill_at and rank == processes - 1 and life == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(options.pause)

    if options.forget_random:
        checkpoint.restore_random = lambda states, device: None
    model = reader()
    try:
        history = fit(
            model,
            scans(),
            cross_entropy,
            steps=options.steps,
            batch_size=options.batch_size,
            precision=options.precision,
            accumulate=options.accumulate,
            recompute=options.recompute,
            parallel=options.parallel,
            device=device,
            checkpoint=options.checkpoint,
            checkpoint_every=options.every,
            on_step=on_step,
        )
        interrupted = history.interrupted
    except KeyboardInterrupt:
        interrupted = True
    if interrupted:
        say("interrupted" + f"; {checkpoint.newest(options.checkpoint)} is whole" * bool(options.checkpoint))
        sys.exit(128 + signal.SIGINT)
    say(f"step {history.steps}: loss {history.loss[-1]:.6f}, accuracy {history.metrics['accuracy'][-1]:.3f}")
    if options.weights and rank == 0:
        torch.save({name: tensor.cpu() for name, tensor in model.state_dict().items()}, options.weights)
    if processes > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
