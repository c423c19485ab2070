"""Measure what training costs in time and memory under each of its options, and who keeps and sends what; write results/scale.json.

    python -m evidence.scale.measure [--repeats 15] [--device cpu]

Options: a ViT of 1.2 million parameters on 64 patches, batches of 64, one thread; milliseconds of a step (of processor time; on a GPU by
the wall clock), medians and quartiles of interleaved repeats, and the most bytes held beyond the model. Shares: `evidence.scale.shares` on 1, 2
and 4 processes of this machine. Best run on a machine that does nothing else, where it takes six minutes.
"""

import argparse
import datetime
import json
import os
import time

os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler is to measure, not to report on itself

import torch
import torch.nn.functional as F

from attn_utils.cost import interleaved_seconds, peak_bytes_of, quartiles
from attn_utils.device import pick_device
from attn_utils.train import fit
from attn_utils.vit import ViT
from evidence.recipe import ROOT, Recipe, origin, perform, short
from evidence.record import Record
from evidence.scale.launch import torchrun
from evidence.scale.task import cross_entropy, reader, scans

RECIPE = "evidence/scale/measure.py"
OPTIONS = {
    "as it is": {},
    "bf16": {"precision": "bf16"},
    "compiled": {},
    "compiled, bf16": {"precision": "bf16"},
    "4 parts": {"accumulate": 4},
    "computed again": {"recompute": True},
    "4 parts, computed again": {"accumulate": 4, "recompute": True},
}
SHARED = (("replicate", 1), ("replicate", 2), ("shard", 2), ("replicate", 4), ("shard", 4))
BATCH, STEPS = 64, 4  # of one timed call; what `fit` sets up each time is in it


def run(seed, *, steps=40):
    """A short training on one process: what must come out again."""
    history = fit(reader(), scans(), cross_entropy, steps=steps, batch_size=50, seed=seed)
    return {"loss": sum(history.loss[-10:]) / 10}


def plan(runs):
    """Each option, each way to share, and the short training."""
    for name in OPTIONS:
        yield {"part": "options", "group": name, "seed": 0, "settings": {"batch": BATCH}}
    for way, processes in SHARED:
        group = f"{way}, {processes}" if processes > 1 else "alone"
        yield {"part": "shares", "group": group, "seed": 0, "settings": {"way": way, "processes": processes}}
    yield {"part": "check", "group": "reader", "seed": 0, "settings": {"steps": 40}}


def cannot_compile():
    """Why `torch.compile` does not work here; "" when it does."""
    try:
        torch.compile(lambda x: x.sin() + 1)(torch.ones(2))
    except Exception as error:
        return f"{type(error).__name__}: {str(error).splitlines()[0]}"
    return ""


def cases(device, *, width=128, depth=6, side=32):
    """{option: function that trains for some steps}; those that this machine cannot compile are left out."""
    generator = torch.Generator().manual_seed(0)
    images, labels = torch.rand(BATCH, 3, side, side, generator=generator), torch.arange(BATCH) % 10
    data = images.to(device), labels.to(device)
    compiler = not cannot_compile()
    found = {}
    for name, options in OPTIONS.items():
        if name.startswith("compiled") and not compiler:
            continue
        torch.manual_seed(0)
        model = ViT(image_size=side, patch=4, classes=10, dim=width, depth=depth, heads=4, readout="mean")
        if name.startswith("compiled"):
            model.compile()
        found[name] = lambda steps=STEPS, model=model, options=options: fit(
            model, data, loss, steps=steps, batch_size=BATCH, device=device, progress=False, **options
        )
    return found


def loss(model, images, labels):
    """Cross-entropy."""
    return F.cross_entropy(model(images), labels)


def time_options(device, repeats, **size):
    """{option: scores}: milliseconds of a step, the share of what it takes as it is, and the most bytes held beyond the model."""
    functions = cases(device, **size)
    clock = time.process_time if device.type == "cpu" else _cuda_clock
    seconds = interleaved_seconds(functions, repeats=repeats, warmup=2, clock=clock)
    scores = {}
    for name, function in functions.items():
        low, middle, high = quartiles([1e3 * s / STEPS for s in seconds[name]])
        ratio = quartiles([one / base for one, base in zip(seconds[name], seconds["as it is"], strict=True)])[1]
        scores[name] = {
            "ms": middle,
            "ms_quartile_1": low,
            "ms_quartile_3": high,
            "ratio": ratio,
            "bytes": _peak(device, function),
        }
    return scores


def share(way, processes):
    """What the processes keep, exchange and send: means over them, and of what is kept the most."""
    found = json.loads(torchrun("evidence.scale.shares", "--parallel", way, processes=processes).splitlines()[-1])[way]
    scores = {name: max(one["kept"][name] for one in found) for name in found[0]["kept"]}
    for kind, count in found[0]["exchanged"].items():
        scores |= {f"{kind}, calls": count["calls"], f"{kind}, bytes": count["bytes"]}
    scores["gathered"] = found[0]["gathered"]
    if found[0]["sent"] is not None:
        scores["sent"] = sum(one["sent"] for one in found) / processes
    return scores


def main(arguments=None):
    """Measure, write, and show."""
    parser = argparse.ArgumentParser(
        prog="python -m evidence.scale.measure", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=15, help="how often each time is taken (default: 15)")
    parser.add_argument("--device", default="cpu", help='where the options are timed: "cpu" (default), "cuda" or "auto"')
    options = parser.parse_args(arguments)
    device = pick_device(options.device)
    torch.set_num_threads(1)
    recipe, record = Recipe.read(RECIPE), Record(ROOT / "results" / "scale.json", RECIPE)
    record.keep(lambda run: False)
    session = {
        "command": f"python -m evidence.scale.measure --repeats {options.repeats}",
        "date": datetime.date.today().isoformat(),
    }
    made_with = {**session, **origin(recipe)}  # once: looking up the versions takes longer than most runs
    start = time.perf_counter()
    times = time_options(device, options.repeats)
    each = round((time.perf_counter() - start) / len(times), 1)
    for entry in plan([]):
        start, seconds = time.perf_counter(), None
        if entry["part"] == "check":
            record.runs.append({**perform(recipe, entry), "origin": made_with})
            continue
        if entry["part"] == "options":
            if entry["group"] not in times:
                print(f"{entry['group']}: left out, for this machine cannot compile ({cannot_compile()})")
                continue
            scores, seconds = times[entry["group"]], each
        else:
            scores = share(**entry["settings"])
        seconds = round(time.perf_counter() - start, 1) if seconds is None else seconds
        scores = {name: short(value) for name, value in scores.items()}
        record.runs.append({**entry, "scores": scores, "seconds": seconds, "origin": made_with})
        print(entry["group"], scores)
    record.write()


def _cuda_clock():
    torch.cuda.synchronize()
    return time.perf_counter()


def _peak(device, function):
    if device.type == "cpu":
        return peak_bytes_of(lambda: function(steps=1))
    function(steps=1)
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    function(steps=1)
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before


if __name__ == "__main__":
    main()
