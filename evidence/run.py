"""Train a chapter's models over several seeds and write down what came out, beside all that is needed to judge it.

    python results/evidence.py 07_classification [--resume] [--workers 2]

The models, losses and scores are not written a second time: they are the chapter's own cells, those tagged "recipe",
executed as they stand. What is written here is which of them to run: first a small grid of learning rates and weight
decays, the same for every model, judged on validation scenes; then, with the setting that won for each, the runs that
the chapter reports, on scenes of another seed (both drawn with the 597 scans that no training scene holds). With
--resume, runs that stand keep their numbers, and what is written about the machine and the versions is this run's.
Every run is one thread, so that it repeats on a machine of the same kind.
"""

import argparse
import datetime
import itertools
import json
import multiprocessing
import os
import platform
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import lru_cache
from pathlib import Path

import nbformat
import numpy as np
import torch
from scipy import stats

HERE = Path(__file__).resolve().parents[1] / "results"
CHAPTERS = {"07_classification": "classification"}
KINDS = ("attention", "convolution", "MLP-Mixer", "CBAM")
SEEDS = (1, 2, 3, 4, 5)
TUNING_SEED, VALIDATION_SCENES, TEST_SCENES = 0, 900, 950  # seeds; the test scenes play no part in any choice
GRID = [{"lr": lr, "weight_decay": decay} for lr, decay in itertools.product((1e-3, 3e-3), (0.01, 0.1))]
STEPS = 800
TUNING_STEPS = 400
SHORTCUTS = ("told", "voted", "told and voted")

# What was tried to let convolution win at cued search. Each starts from the setting that won for "convolution".
ATTEMPTS = [
    {"attempt": "convolution, longer", "kind": "convolution", "steps": 3200},
    {"attempt": "learning rate 0.01", "kind": "convolution", "lr": 1e-2},
    {"attempt": "twice as deep", "kind": "convolution", "depth": 6},
    {"attempt": "convolution in a transformer block", "kind": "transformer block, convolution"},
    {"attempt": "dilated kernels", "kind": "dilated convolution"},
    {"attempt": "7×7 kernels", "kind": "7×7 kernels"},
    {"attempt": "squeeze-and-excitation", "kind": "squeeze-and-excitation"},
    {"attempt": "summary added to every cell", "kind": "pooled context, added"},
    {"attempt": "summary scales every cell", "kind": "pooled context, scaling"},
    {"attempt": "summary scales every cell, longer", "kind": "pooled context, scaling", "steps": 3200},
    {"attempt": "summary scales every cell, longer", "kind": "pooled context, scaling", "steps": 3200, "seed": 2},
    {"attempt": "summary scales every cell, longer", "kind": "pooled context, scaling", "steps": 3200, "seed": 3},
    {"attempt": "summary added, longer", "kind": "pooled context, added", "steps": 3200},
    {"attempt": "squeeze-and-excitation, longer", "kind": "squeeze-and-excitation", "steps": 3200},
    {"attempt": "CBAM, longer", "kind": "CBAM", "steps": 3200},
    {"attempt": "MLP-Mixer, longer", "kind": "MLP-Mixer", "steps": 3200},
    # 0.003 was the grid's highest rate and the best: what would the next have given the others? And attention itself, longer?
    {"attempt": "MLP-Mixer, learning rate 0.01", "kind": "MLP-Mixer", "lr": 1e-2},
    {"attempt": "CBAM, learning rate 0.01", "kind": "CBAM", "lr": 1e-2},
    {"attempt": "(attention, learning rate 0.01)", "kind": "attention", "lr": 1e-2},
    {"attempt": "(attention, longer)", "kind": "attention", "steps": 3200},
]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("chapter", nargs="?", default="07_classification", choices=CHAPTERS)
    parser.add_argument("--resume", action="store_true", help="keep the runs that stand in results/ and add what is missing")
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1), help="runs at a time, one thread each")
    options = parser.parse_args()
    name = CHAPTERS[options.chapter]
    table = Record(HERE / f"{name}.json", resume=options.resume)
    attempts = Record(HERE / f"{name}_attempts.json", resume=options.resume)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.workers, context, _load_recipe, (options.chapter,)) as pool:
        table.add(pool, tuning_runs())
        best = best_settings(table.runs)
        table.add(pool, report_runs(best))
        attempts.add(pool, attempt_runs(best["search", "convolution"]))
    for record in (table, attempts):
        record.write()


# ----------------------------------------------------------------------------- which runs


def tuning_runs():
    """The same grid for every model."""
    models = [("search", kind) for kind in KINDS] + [("plain", kind) for kind in ("attention", "convolution")]
    for task, kind in models:
        for setting in GRID:
            yield _run("tuning", task, kind, TUNING_SEED, setting, steps=TUNING_STEPS, scenes=VALIDATION_SCENES)


def best_settings(runs):
    """(task, kind) -> the setting with the best score on the validation scenes."""
    tuning = [run for run in runs if run["part"] == "tuning"]
    groups = {(run["task"], run["kind"]) for run in tuning}
    winners = {group: max((r for r in tuning if (r["task"], r["kind"]) == group), key=_score) for group in groups}
    return {group: {"lr": run["lr"], "weight_decay": run["weight_decay"]} for group, run in winners.items()}


def _score(run):
    return run["accuracy"] if run["task"] == "plain" else run["cue"]


def report_runs(best):
    """Five seeds each: cued search, its shortcuts (with the same settings), and plain digits."""
    for seed in SEEDS:
        for kind in KINDS:
            yield _run("report", "search", kind, seed, best["search", kind])
        for kind in ("attention", "convolution"):
            yield _run("report", "plain", kind, seed, best["plain", kind])
            for task in SHORTCUTS:
                yield _run("report", task, kind, seed, best["search", kind])


def attempt_runs(setting):
    for attempt in ATTEMPTS:
        yield _run("attempt", "search", **{"seed": 1, "setting": setting} | attempt)


def _run(part, task, kind, seed, setting, *, steps=STEPS, scenes=TEST_SCENES, depth=3, **extra):
    run = {"part": part, "task": task, "kind": kind, "seed": seed, **setting, "steps": steps, "depth": depth, "scenes": scenes}
    return {**run, **extra}


# ----------------------------------------------------------------------------- one run, in a process of its own

recipe = {}


def _load_recipe(chapter):
    """Execute the chapter's cells that are tagged "recipe"."""
    torch.set_num_threads(1)
    notebook = nbformat.read(HERE.parent / "notebooks" / f"{chapter}.ipynb", as_version=4)
    cells = [cell.source for cell in notebook.cells if "recipe" in cell.metadata.get("tags", [])]
    exec("\n".join(cells), recipe)


@lru_cache(maxsize=3)
def _data(make, n, seed, split):
    return make(n, seed, split)


def train_and_score(run):
    """Train one model from scratch and measure it on scenes made from other scans; returns the run with its measurements."""
    data, sizes, loss, metric = recipe["TASKS"][run["task"]]
    train, test = _data(data, 12_000, 1000 + run["seed"], "train"), _data(data, 2_000, run["scenes"], "test")
    model = recipe["build"](run["kind"], run["seed"], depth=run["depth"], **sizes)
    options = {name: run[name] for name in ("steps", "lr", "weight_decay", "seed")}
    history = recipe["fit"](model, train, loss, **options)
    scores = recipe["evaluate"](model, test, metric)
    parameters = recipe["count_parameters"](model)
    return {**run, "parameters": parameters, **{k: round(v, 4) for k, v in scores.items()}, "seconds": round(history.seconds, 1)}


# ----------------------------------------------------------------------------- the record


class Record:
    """A JSON file of runs; written after every run, so that an interrupted evening is not lost."""

    def __init__(self, path, *, resume):
        self.path = path
        self.runs = json.loads(path.read_text(encoding="utf-8"))["runs"] if resume and path.exists() else []

    def add(self, pool, wanted):
        """Do the wanted runs that are not here yet."""
        missing = [run for run in wanted if not any(run.items() <= done.items() for done in self.runs)]
        for future in as_completed([pool.submit(train_and_score, run) for run in missing]):
            run = future.result()
            self.runs.append(run)
            self.write()
            print(json.dumps(run, ensure_ascii=False), flush=True)

    def write(self):
        order = ("part", "task", "kind", "seed", "steps", "depth", "lr", "weight_decay")
        runs = sorted(self.runs, key=lambda run: [str(run[key]) for key in order])
        content = {"provenance": provenance(), "summary": summary(runs), "runs": runs}
        lines = json.dumps({**content, "runs": None}, indent=1, ensure_ascii=False)
        each = ",\n  ".join(json.dumps(run, ensure_ascii=False) for run in runs)
        self.path.write_text(lines.replace('"runs": null', f'"runs": [\n  {each}\n ]') + "\n", encoding="utf-8")


def provenance():
    import skimage
    import sklearn

    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": f"{os.cpu_count()} virtual CPU cores ({platform.machine()}), no GPU; each run on one thread, beside other work",
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
            "scikit-learn": sklearn.__version__,
            "scikit-image": skimage.__version__,
        },
        "written by": "python results/evidence.py 07_classification",
    }


def summary(runs):
    """Mean over the seeds with the half-width of its 95 % interval (Student's t), for each task and model."""
    rows = []
    groups = sorted({(run["task"], run["kind"]) for run in runs if run["part"] == "report"})
    for task, kind in groups:
        mine = [run for run in runs if (run["part"], run["task"], run["kind"]) == ("report", task, kind)]
        row = {key: mine[0][key] for key in ("task", "kind", "parameters", "steps", "lr", "weight_decay")}
        row["seeds"] = len(mine)
        for score in ("cue", "digits") if task != "plain" else ("accuracy",):
            values = [run[score] for run in mine]
            row[score] = {
                "mean": round(float(np.mean(values)), 4),
                "interval": round(half_width(values), 4) if len(values) > 1 else None,
                "values": values,
            }
        rows.append(row)
    return rows


def half_width(values):
    n = len(values)
    return float(stats.t.ppf(0.975, n - 1) * np.std(values, ddof=1) / np.sqrt(n))


if __name__ == "__main__":
    main()
