"""All that needs an accelerator, in one go of some minutes, and write results/gpu.json.

    python -m evidence.bench.gpu [--parts tests ceilings kernels lengths training chapters] [--chapters 09 10]

Parts: the tests of the Triton kernels and the chapters' code cells on CUDA (`gpu_book`); what the card can do at most, our kernels
beside PyTorch's, and time and memory over the length of the sequence (`gpu_timing`); training under each option of `fit`.
With --parts only those are done again, and with --chapters only those chapters; the others stay in the file. Nothing else may use
the card meanwhile.

Without CUDA, or without Triton, it says so in a sentence, writes nothing, and its exit code is 1.
"""

import argparse
import datetime
import importlib.util
import subprocess
import sys
import time
from functools import partial

import torch

from evidence.bench import gpu_book, gpu_timing
from evidence.recipe import ROOT, Recipe, origin, short
from evidence.record import Record

RECIPE = "evidence/bench/gpu.py"
PARTS = {  # in this order; what is timed is timed alone
    "tests": gpu_book.kernel_tests,
    "ceilings": gpu_timing.ceilings,
    "kernels": gpu_timing.kernels,
    "lengths": gpu_timing.lengths,
    "training": gpu_book.training,
    "chapters": gpu_book.chapters,
}


def run(seed, *, rule):
    """What a rule costs by count, the same on every machine: pairs of query and key, FLOPs and least bytes forward and backward."""
    return gpu_timing.count(rule)


def whole_recipe():
    """The three files of this program as one, so that what each of them imports is hashed."""
    sources = [(ROOT / "evidence/bench" / f"{name}.py").read_text(encoding="utf-8") for name in ("gpu", "gpu_book", "gpu_timing")]
    return Recipe(RECIPE, "\n\n".join(sources))


def card():
    """The accelerator and its driver, as provenance has them."""
    driver = "unknown driver"
    try:
        query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        driver = f"driver {subprocess.check_output(query, text=True).split()[0]}"
    except (OSError, IndexError, subprocess.SubprocessError):
        pass
    gib = torch.cuda.get_device_properties(0).total_memory / 2**30
    return f"{torch.cuda.get_device_name(0)}, {gib:.0f} GiB, {driver}, CUDA {torch.version.cuda}"


def main():
    """Measure part by part, write after each run, and show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="do these again and keep the others")
    numbers = [path.stem[:2] for path in gpu_book.CHAPTERS]
    parser.add_argument(
        "--chapters", nargs="+", choices=numbers, default=numbers, metavar="NN", help="of the chapters only these"
    )
    options = parser.parse_args()
    parts, again = options.parts, [path for path in gpu_book.CHAPTERS if path.stem[:2] in options.chapters]
    measures = PARTS | {"chapters": partial(gpu_book.chapters, again)}
    if not torch.cuda.is_available():
        sys.exit("There is no accelerator that PyTorch could use through CUDA here: nothing was measured or written.")
    if importlib.util.find_spec("triton") is None:
        sys.exit("Triton is not installed, and the kernels need it (pip install triton): nothing was measured or written.")
    recipe, record = whole_recipe(), Record(ROOT / "results" / "gpu.json", RECIPE)
    stems = {path.stem for path in again}
    record.keep(lambda run: run["part"] not in parts or (run["part"] == "chapters" and run["group"] not in stems))
    made_with = origin(recipe)
    made_with["machine"] += f"; {card()}"
    made_with |= {
        "command": " ".join(["python -m evidence.bench.gpu", *sys.argv[1:]]),
        "date": datetime.date.today().isoformat(),
    }
    beginning = time.perf_counter()
    for part in PARTS:
        if part in parts:
            start = time.perf_counter()
            for group, settings, scores in measures[part]():
                scores = {name: short(score) for name, score in scores.items()}
                seconds = round(time.perf_counter() - start, 1)
                print(f"{part:<9} {group:<22} {settings} {scores}", flush=True)
                entry = {"part": part, "group": group, "seed": 0, "settings": settings, "scores": scores}
                record.add({**entry, "seconds": seconds, "origin": made_with})
                start = time.perf_counter()
    print(f"all: {time.perf_counter() - beginning:.0f} s on {card()}")


if __name__ == "__main__":
    main()
