"""Measure every mechanism of chapter 06 and write results/ch06.json.

    python -m evidence.bench.field_guide [--repeats 15]

A run is one mechanism at one side of the feature map: its parameters, FLOPs of one forward pass, peak bytes and
milliseconds of forward + backward, and that time as a multiple of the 3×3 convolution's. Times are medians and quartiles of
processor time on one thread; repeats are interleaved and multiples are taken within a repeat. Best run on a machine that
does nothing else, where it takes a minute or two.
"""

import argparse
import datetime
import os
import time

os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler is to measure, not to report on itself

import numpy as np
import torch
from torch import nn

from attn_utils.attention import MultiHeadAttention
from attn_utils.conv_attention import CBAM, ECA, SE, AttentionGate, NonLocal
from attn_utils.cost import count_parameters, forward_backward, forward_flops, interleaved_seconds, peak_bytes, quartiles
from attn_utils.deformable import DeformableAttention, ObjectQueries
from attn_utils.grid_attention import AxialAttention, GridAttention, RelativeAttention, WindowAttention
from evidence.recipe import ROOT, Recipe, perform
from evidence.record import Record

RECIPE = "evidence/bench/field_guide.py"
SIDES = (16, 32, 64)
CHANNELS, HEADS, WINDOW, POINTS, QUERIES = 64, 2, 8, 4, 16
BASELINE = "3×3 convolution"


def mechanisms(side):
    """{name: (module, its inputs)} for one picture whose feature map has 64 channels and side × side pixels."""
    torch.manual_seed(0)
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


def run(seed, *, mechanism, side):
    """What a mechanism costs by count, the same on every machine."""
    module, inputs = mechanisms(side)[mechanism]
    return {
        "parameters": count_parameters(module),
        "flops": forward_flops(module, inputs),
        "peak_bytes": peak_bytes(module, inputs),
    }


def plan(runs):
    """Every mechanism at every side, and one count to repeat."""
    for mechanism in mechanisms(SIDES[0]):
        for side in SIDES:
            yield {"part": "report", "group": mechanism, "seed": 0, "settings": {"mechanism": mechanism, "side": side}}
    yield {"part": "check", "group": "windows", "seed": 0, "settings": {"mechanism": "windows", "side": 16}}


def time_all(repeats):
    """{(mechanism, side): its times in ms, and as multiples of the convolution's}, to be added to the counts."""
    cases = {(name, side): case for side in SIDES for name, case in mechanisms(side).items()}
    functions = {key: (lambda case=case: forward_backward(*case)) for key, case in cases.items()}
    # Processor time does not count the moments in which other programs had the core.
    seconds = interleaved_seconds(functions, repeats=repeats, clock=time.process_time)
    scores = {}
    for (name, side), taken in seconds.items():
        low, middle, high = quartiles([1e3 * s for s in taken])
        _, multiple, _ = quartiles(np.divide(taken, seconds[BASELINE, side]))
        times = {"milliseconds": middle, "quartile_1": low, "quartile_3": high}
        scores[name, side] = times | {"times_convolution": multiple, "repeats": repeats}
    return scores


def main():
    """Measure, write, and show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=15, help="how often each time is taken")
    repeats = parser.parse_args().repeats
    recipe, record = Recipe.read(RECIPE), Record(ROOT / "results" / "ch06.json", RECIPE)
    record.keep(lambda run: False)
    session = {"command": f"python -m evidence.bench.field_guide --repeats {repeats}", "date": datetime.date.today().isoformat()}
    runs = [perform(recipe, entry) for entry in plan([])]  # leaves one thread
    times = time_all(repeats)
    for one in runs:
        if one["part"] == "report":
            one["scores"] |= times[one["settings"]["mechanism"], one["settings"]["side"]]
        print(one["group"], one["settings"]["side"], one["scores"])
        record.add({**one, "origin": {**session, **one["origin"]}})


if __name__ == "__main__":
    main()
