"""Measure how long one layer takes along longer and longer sequences, for chapter 17, and write results/sequence.json.

    python -m evidence.bench.sequence [--repeats 15]

Attention, linear attention, the two scans of the chapter (each from both ends), the minGRU computed one place after the other, and a
convolution on the grid, with as many parameters and of width 64. One sequence at a time, and 64: with one, short operations cost little more
than being called, and a loop in Python looks slower than its arithmetic is; with 64 the arithmetic counts. PyTorch's GRU is a
compiled loop in any case. Milliseconds of processor time on one thread, forward and for a step (forward and backward), medians and
quartiles of interleaved repeats; the most bytes held beyond the sequence. Best run on a machine that does nothing else, where it takes a
few minutes.
"""

import argparse
import datetime
import functools
import os
import time

os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler is to measure, not to report on itself

import torch
from torch import nn

from attn_utils import recurrence
from attn_utils.attention import MultiHeadAttention
from attn_utils.cost import count_parameters, forward_backward, interleaved_seconds, peak_bytes, quartiles
from evidence.plans.ch17 import RECIPE as CHAPTER
from evidence.recipe import ROOT, Recipe, namespace, origin, short, timed
from evidence.record import Record

RECIPE = "evidence/bench/sequence.py"
WIDTH = 64
SIZES = {1: (16, 64, 256, 1024, 4096), 64: (16, 64, 256)}  # sequences at a time: tokens of each


@functools.cache
def chapter():
    """What the chapter's recipe defines."""
    return namespace(Recipe.read(CHAPTER))


class OneAfterTheOther(recurrence.MinGRU):
    """The same layer, its places computed one after the other."""

    def forward(self, x):
        gate, candidate = self.project(x).chunk(2, dim=-1)
        return recurrence.linear_loop(torch.sigmoid(-gate), torch.sigmoid(gate) * candidate)


class OnGrid(nn.Module):
    """A 3 × 3 convolution over the tokens of a square picture."""

    def __init__(self, width):
        super().__init__()
        self.convolution = nn.Conv2d(width, width, 3, padding="same", groups=2)

    def forward(self, x):
        side = round(x.shape[1] ** 0.5)
        return self.convolution(x.mT.unflatten(2, (side, side))).flatten(2).mT


def layers():
    """{name: layer (B, N, 64) -> (B, N, 64)}, of about 16,640 parameters each (the convolution has 18,496)."""
    torch.manual_seed(0)
    scan, scans = chapter().Scan, chapter().SCANS
    one_after = {**scans["minGRU"], "cell": OneAfterTheOther}
    return {
        "attention": MultiHeadAttention(WIDTH, heads=2),
        "linear attention": chapter().LinearAttention(WIDTH),
        "minGRU": scan(**scans["minGRU"], longest=64),
        "minGRU, one after the other": scan(**one_after, longest=64),
        "GRU": scan(**scans["GRU"], longest=64),
        "convolution": OnGrid(WIDTH),
    }


def sequences(B, N):
    """B sequences, (B, N, 64), that ask for a gradient as tokens in the middle of a network do."""
    return torch.randn(B, N, WIDTH, generator=torch.Generator().manual_seed(N)).requires_grad_()


def run(seed, *, layer, N, B):
    """What a layer costs by count: the same on every machine."""
    made = layers()[layer]
    return {"parameters": count_parameters(made), "peak_bytes": peak_bytes(made, [sequences(B, N)])}


def plan(runs):
    """Every layer at every length, and counts to repeat."""
    for B, N in sizes():
        for name in layers():
            yield {"part": "report", "group": name, "seed": 0, "settings": {"layer": name, "N": N, "B": B}}
    for name in ("attention", "minGRU"):
        yield {"part": "check", "group": name, "seed": 0, "settings": {"layer": name, "N": 16, "B": 1}}


def sizes():
    """Every (B, N) that is measured."""
    return [(B, N) for B, tokens in SIZES.items() for N in tokens]


def time_all(repeats):
    """{(name, B, N): scores}: milliseconds of a step, and of the forward pass alone, each with its quartiles."""
    scores = {}
    for B, N in sizes():
        made, x = layers(), sequences(B, N)
        for end, call in (("", _step), ("_forward", _forward)):
            cases = {name: functools.partial(call, layer, x) for name, layer in made.items()}
            # Processor time does not count the moments in which other programs had the core.
            taken = interleaved_seconds(cases, repeats=repeats, warmup=2, clock=time.process_time)
            for name, seconds in taken.items():
                low, middle, high = quartiles([1e3 * s for s in seconds])
                mine = {f"milliseconds{end}": middle, f"quartile_1{end}": low, f"quartile_3{end}": high}
                scores[name, B, N] = scores.get((name, B, N), {"repeats": repeats}) | mine
    return scores


def _step(layer, x):
    forward_backward(layer, [x])


def _forward(layer, x):
    with torch.no_grad():
        layer(x)


def main():
    """Measure, write, and show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=15, help="how often each time is taken")
    repeats = parser.parse_args().repeats
    recipe, record = Recipe.read(RECIPE), Record(ROOT / "results" / "sequence.json", RECIPE)
    record.keep(lambda run: False)
    session = {"command": f"python -m evidence.bench.sequence --repeats {repeats}", "date": datetime.date.today().isoformat()}
    torch.set_num_threads(1)
    made_with = {**session, **origin(recipe)}  # once: looking up the versions takes longer than most runs
    runs = [{**timed(run, entry), "origin": made_with} for entry in plan([])]
    measured = time_all(repeats)
    for one in runs:
        if one["part"] == "report":
            B, N = one["settings"]["B"], one["settings"]["N"]
            mine = measured[one["group"], B, N]
            one["scores"] = {name: short(score) for name, score in (one["scores"] | mine).items()}
            print(one["group"], B, N, one["scores"])
    record.runs = runs
    record.write()


if __name__ == "__main__":
    main()
