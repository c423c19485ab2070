"""Two processes as torchrun starts them, but forked from this one, which has imported what they need: that takes most of a test's time.

It reads a program a line, as JSON: [module, restarts, arguments]. What the two print comes out, and then a line `DONE`. If one of them
fails for good this process ends, with the reason.
"""

import json
import runpy
import sys
import uuid

import torch.distributed.fsdp  # noqa: F401
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

import evidence.scale.task  # noqa: F401

DONE = "-- done --"
START = "fork" if sys.platform.startswith("linux") else "spawn"  # macOS takes no fork of what runs threads


def program(module, *arguments):
    """`python -m module arguments`, in this process."""
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def main():
    """What `python -m torch.distributed.run --standalone` does, for each line."""
    for line in sys.stdin:
        module, restarts, arguments = json.loads(line)
        meet = {"rdzv_backend": "c10d", "rdzv_endpoint": "localhost:0", "run_id": str(uuid.uuid4())}
        config = LaunchConfig(1, 1, nproc_per_node=2, max_restarts=restarts, start_method=START, **meet)
        elastic_launch(config, program)(module, *arguments)
        print(DONE, flush=True)


if __name__ == "__main__":
    main()
