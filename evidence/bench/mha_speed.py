"""Time our multi-head attention against PyTorch's, forward + backward on the CPU, and write results/mha_speed.json.

    python -m evidence.bench.mha_speed [--repeats 200]

Both layers hold the same weights and give the same output. Repeats are interleaved, and the ratio is taken within a repeat. Best
run on a machine that does nothing else, where it takes half a minute.
"""

import argparse
import datetime
import os
import time

import numpy as np
import torch
from torch import nn

from attn_utils.attention import MultiHeadAttention
from attn_utils.cost import count_parameters, interleaved_seconds, quartiles
from evidence.recipe import ROOT, Recipe, origin, perform, short
from evidence.record import Record

RECIPE = "evidence/bench/mha_speed.py"
BATCH, TOKENS, DIM, HEADS = 8, 256, 128, 4
BAR = 0.85  # our time in units of PyTorch's: the speed that the book promises


def layers():
    """Ours and PyTorch's with the same weights."""
    torch.manual_seed(0)
    ours, theirs = MultiHeadAttention(DIM, heads=HEADS), nn.MultiheadAttention(DIM, HEADS, batch_first=True)
    weights = theirs.state_dict()
    ours.load_state_dict(
        {
            "qkv.weight": weights["in_proj_weight"],
            "qkv.bias": weights["in_proj_bias"],
            "out.weight": weights["out_proj.weight"],
            "out.bias": weights["out_proj.bias"],
        }
    )
    x = torch.randn(BATCH, TOKENS, DIM, requires_grad=True)
    return ours, theirs, x


def run(seed):
    """What must be so for the comparison to be fair: as many parameters, and the same output."""
    ours, theirs, x = layers()
    difference = ours(x) - theirs(x, x, x, need_weights=False)[0]
    return {
        "parameters": count_parameters(ours),
        "parameters_torch": count_parameters(theirs),
        "difference": difference.abs().max().item(),
    }


def compare(repeats):
    """Scores: milliseconds of one forward + backward of each, with quartiles, and ours in units of PyTorch's."""
    ours, theirs, x = layers()
    d_out = torch.randn_like(x)
    cases = {
        "ours": lambda: ours(x).backward(d_out),
        "torch": lambda: theirs(x, x, x, need_weights=False)[0].backward(d_out),
    }
    seconds = interleaved_seconds(cases, repeats=repeats, warmup=5, clock=time.perf_counter)
    spreads = {f"{name}_ms": quartiles([1e3 * s for s in taken]) for name, taken in seconds.items()}
    spreads["ratio"] = quartiles(np.divide(seconds["ours"], seconds["torch"]))
    places = {"": 1, "_quartile_1": 0, "_quartile_3": 2}
    scores = {name + end: short(spread[place]) for name, spread in spreads.items() for end, place in places.items()}
    return scores | {"repeats": repeats}


def plan(runs):
    """One thread, all cores, and the check that both layers do the same."""
    for threads in sorted({1, os.cpu_count() or 1}):
        yield {"part": "report", "group": f"threads: {threads}", "seed": 0, "settings": {"threads": threads}}
    yield {"part": "check", "group": "same layer", "seed": 0, "settings": {}}


def main():
    """Measure, write, and show both sides and the bar."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=200, help="how often each time is taken")
    repeats = parser.parse_args().repeats
    recipe, record = Recipe.read(RECIPE), Record(ROOT / "results" / "mha_speed.json", RECIPE)
    record.keep(lambda run: False)
    session = {"command": f"python -m evidence.bench.mha_speed --repeats {repeats}", "date": datetime.date.today().isoformat()}
    for entry in plan([]):
        if entry["part"] == "check":
            done = perform(recipe, entry)
        else:
            torch.set_num_threads(entry["settings"]["threads"])
            start = time.perf_counter()
            scores = compare(repeats)
            seconds = round(time.perf_counter() - start, 1)
            done = {**entry, "scores": scores, "seconds": seconds, "origin": origin(recipe)}
            _show(entry["group"], scores)
        record.add({**done, "origin": {**session, **done["origin"]}})


def _show(group, scores):
    for name, unit in (("ours_ms", "ms"), ("torch_ms", "ms"), ("ratio", f"(the bar is {BAR})")):
        low, high = scores[f"{name}_quartile_1"], scores[f"{name}_quartile_3"]
        print(f"{group}  {name:<9}{scores[name]:8.3f} {unit}, half of the repeats in [{low:.3f}, {high:.3f}]")
    print(f"{group}  {'within' if scores['ratio'] <= BAR else 'ABOVE'} the bar")


if __name__ == "__main__":
    main()
