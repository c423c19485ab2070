"""Time our multi-head attention against PyTorch's: forward and backward on the CPU. `make bench` runs it and keeps the result."""

import json
import os
import platform
import statistics
import time
from datetime import date
from pathlib import Path

import torch
from torch import nn

from attn_utils.attention import MultiHeadAttention

SIZES = {"batch": 8, "tokens": 256, "dim": 128, "heads": 4}
RESULT = Path(__file__).parents[2] / "results" / "mha_speed.json"


def compare(repeats=30):
    """Seconds of one forward and backward pass, {"ours": [...], "torch": [...]}, taken in turns so that both meet the same noise."""
    dim, heads = SIZES["dim"], SIZES["heads"]
    torch.manual_seed(0)
    ours, theirs = MultiHeadAttention(dim, heads=heads), nn.MultiheadAttention(dim, heads, batch_first=True)
    x = torch.randn(SIZES["batch"], SIZES["tokens"], dim, requires_grad=True)
    d_out = torch.randn(SIZES["batch"], SIZES["tokens"], dim)
    contestants = {"ours": lambda: ours(x), "torch": lambda: theirs(x, x, x, need_weights=False)[0]}
    seconds = {name: [] for name in contestants}
    for repeat in range(-3, repeats):  # the first three warm up
        for name, forward in contestants.items():
            start = time.perf_counter()
            forward().backward(d_out)
            if repeat >= 0:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def ratio(seconds):
    """Our time in units of PyTorch's: the median over repeats of the ratio of two neighbours in time."""
    return statistics.median(a / b for a, b in zip(seconds["ours"], seconds["torch"], strict=True))


def main():
    result = {"what": "forward + backward of one attention layer, CPU, float32, ours / nn.MultiheadAttention(need_weights=False)"}
    result["sizes"] = SIZES
    result["threads"] = {}
    for threads in sorted({1, os.cpu_count() or 1}):
        torch.set_num_threads(threads)
        seconds = compare(repeats=100)
        result["threads"][str(threads)] = {
            "ratio": round(ratio(seconds), 3),
            "median_ms": {name: round(1e3 * statistics.median(times), 2) for name, times in seconds.items()},
        }
        print(f"{threads} thread(s): {ratio(seconds):.2f} of the time of nn.MultiheadAttention")
    result["versions"] = {"torch": torch.__version__, "python": platform.python_version()}
    result["machine"] = (
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, {torch.backends.cpu.get_cpu_capability()}"
    )
    result["date"] = date.today().isoformat()
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(f"written to {RESULT.relative_to(Path.cwd()) if RESULT.is_relative_to(Path.cwd()) else RESULT}")


if __name__ == "__main__":
    main()
