"""Measure every mechanism of chapter 06 and write results/field_guide.json.

    python results/field_guide.py [--repeats 15] [--threads 1] [--sides 16 32 64] [--out results/field_guide.json]

One row per mechanism: parameters, FLOPs of one forward pass, seconds and peak memory of forward + backward, at several
sides of the feature map, and the exponent p of a fit `value ~ pixels^p`. Repeats are interleaved (every mechanism and
side once, in random order, then again), medians are kept, and times are also given as multiples of the 3×3
convolution's, measured in the same repeat. With one thread the clock is processor time. Best run on a machine that does
nothing else, where it takes a minute or two.
"""

import argparse
import datetime
import json
import os
import platform
import random
import statistics
import sys
import time
from pathlib import Path

os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler is to measure, not to report on itself

import torch
from torch import nn

from attn_utils.attention import MultiHeadAttention
from attn_utils.conv_attention import CBAM, ECA, SE, AttentionGate, NonLocal
from attn_utils.cost import count_parameters, exponent, forward_backward, forward_flops, peak_bytes
from attn_utils.deformable import DeformableAttention, ObjectQueries
from attn_utils.grid_attention import AxialAttention, GridAttention, RelativeAttention, WindowAttention

CHANNELS, HEADS, WINDOW, POINTS, QUERIES = 64, 2, 8, 4, 16
BASELINE = "3×3 convolution"


def mechanisms(side):
    """{name: (module, its inputs)} for one picture whose feature map has 64 channels and side × side pixels."""
    channels_first = torch.randn(1, CHANNELS, side, side, requires_grad=True)
    coarse = torch.randn(1, 2 * CHANNELS, side // 2, side // 2, requires_grad=True)
    grid = torch.randn(1, side, side, CHANNELS, requires_grad=True)
    tokens = torch.randn(1, side * side, CHANNELS, requires_grad=True)
    size = {"dim": CHANNELS, "heads": HEADS}
    return {
        BASELINE: (nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1), [channels_first]),
        "SE": (SE(CHANNELS), [channels_first]),
        "ECA": (ECA(CHANNELS), [channels_first]),
        "CBAM": (CBAM(CHANNELS), [channels_first]),
        "attention gate": (AttentionGate(CHANNELS, gate_channels=2 * CHANNELS), [channels_first, coarse]),
        "non-local": (NonLocal(CHANNELS), [channels_first]),
        "global, explicit": (GridAttention(**size), [grid]),
        "global, fused": (MultiHeadAttention(**size), [tokens]),
        "relative positions": (RelativeAttention(**size, height=side, width=side), [grid]),
        "windows": (WindowAttention(**size, window=WINDOW), [grid]),
        "shifted windows": (WindowAttention(**size, window=WINDOW, shift=WINDOW // 2), [grid]),
        "axial": (AxialAttention(**size), [grid]),
        "deformable": (DeformableAttention(**size, points=POINTS), [grid]),
        "object queries": (ObjectQueries(**size, queries=QUERIES), [tokens]),
    }


def measure(sides, repeats, clock):
    cases = {(name, side): case for side in sides for name, case in mechanisms(side).items()}
    seconds = {key: [] for key in cases}
    for case in cases.values():
        forward_backward(*case)  # warm up
    order = list(cases)
    for _ in range(repeats):
        random.shuffle(order)
        for key in order:
            start = clock()
            forward_backward(*cases[key])
            seconds[key].append(clock() - start)

    rows = {}
    pixels = [side * side for side in sides]
    for name in mechanisms(sides[0]):
        median = [statistics.median(seconds[name, side]) for side in sides]
        ratios = [
            statistics.median(a / b for a, b in zip(seconds[name, side], seconds[BASELINE, side], strict=True)) for side in sides
        ]
        flops = [forward_flops(*cases[name, side]) for side in sides]
        memory = [peak_bytes(*cases[name, side]) for side in sides]
        rows[name] = {
            "parameters": [count_parameters(cases[name, side][0]) for side in sides],
            "flops": flops,
            "milliseconds": [1e3 * s for s in median],
            "times_convolution": ratios,
            "peak_bytes": memory,
            "exponents": {
                "flops": exponent(pixels, flops) if min(flops) > 0 else None,
                "time": exponent(pixels, median),
                "memory": exponent(pixels, memory),
            },
        }
    return rows


def machine():
    """The machine in words: its processor and how many cores this process may use."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        processor = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        processor = platform.processor() or "unknown processor"
    return f"{platform.system()}, {platform.machine()}, {processor}, {torch.get_num_threads()} of its cores used"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--sides", type=int, nargs="+", default=[16, 32, 64])
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    arguments = parser.parse_args()

    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    random.seed(0)
    start = time.perf_counter()
    # One thread's processor time does not count the moments in which other programs had the core.
    clock = time.process_time if arguments.threads == 1 else time.perf_counter
    rows = measure(arguments.sides, arguments.repeats, clock)
    record = {
        "what": "one picture, 64 channels, forward + backward, float32 on the CPU",
        "sides": arguments.sides,
        "settings": {"channels": CHANNELS, "heads": HEADS, "window": WINDOW, "points": POINTS, "queries": QUERIES},
        "provenance": {
            "command": " ".join(["python", "results/field_guide.py", *sys.argv[1:]]),
            "date": datetime.date.today().isoformat(),
            "machine": machine(),
            "threads": arguments.threads,
            "clock": clock.__name__,
            "repeats": arguments.repeats,
            "seconds": round(time.perf_counter() - start),
            "python": platform.python_version(),
            "torch": torch.__version__,
        },
        "rows": rows,
    }
    arguments.out.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    for name, row in rows.items():
        print(f"{name:20}", row["parameters"], [round(m, 2) for m in row["milliseconds"]], row["exponents"])


if __name__ == "__main__":
    main()
