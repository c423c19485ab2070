"""The committed evidence of chapter 07: complete, honest in its set-up, and its summary follows from its runs."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
spec = importlib.util.spec_from_file_location("evidence", ROOT / "evidence" / "run.py")
evidence = importlib.util.module_from_spec(spec)
spec.loader.exec_module(evidence)

TABLE = json.loads((ROOT / "results" / "classification.json").read_text(encoding="utf-8"))
ATTEMPTS = json.loads((ROOT / "results" / "classification_attempts.json").read_text(encoding="utf-8"))
REPORTED = [run for run in TABLE["runs"] if run["part"] == "report"]
TUNING = [run for run in TABLE["runs"] if run["part"] == "tuning"]
GROUPS = sorted({(run["task"], run["kind"]) for run in REPORTED})


@pytest.mark.parametrize("group", GROUPS, ids=" ".join)
def test_each_row_has_its_five_seeds_once(group):
    seeds = [run["seed"] for run in REPORTED if (run["task"], run["kind"]) == group]
    assert sorted(seeds) == list(evidence.SEEDS)


def test_all_that_was_planned_was_run():
    assert all(any(run.items() <= done.items() for done in TABLE["runs"]) for run in evidence.tuning_runs())
    best = evidence.best_settings(TABLE["runs"])
    assert all(any(run.items() <= done.items() for done in TABLE["runs"]) for run in evidence.report_runs(best))
    planned = list(evidence.attempt_runs(best["search", "convolution"]))
    assert all(any(run.items() <= done.items() for done in ATTEMPTS["runs"]) for run in planned)
    assert len(planned) == len(ATTEMPTS["runs"])


def test_what_was_tuned_on_is_not_reported_on():
    assert {run["scenes"] for run in TUNING}.isdisjoint(run["scenes"] for run in REPORTED)
    assert {run["seed"] for run in TUNING}.isdisjoint(run["seed"] for run in REPORTED)


def test_every_model_had_the_same_grid():
    grids = {}
    for run in TUNING:
        grids.setdefault((run["task"], run["kind"]), set()).add((run["lr"], run["weight_decay"], run["steps"]))
    assert len({frozenset(grid) for grid in grids.values()}) == 1


@pytest.mark.parametrize("task", sorted({task for task, _ in GROUPS}))
def test_parameters_and_steps_are_matched(task):
    runs = [run for run in REPORTED if run["task"] == task]
    sizes = [run["parameters"] for run in runs]
    assert max(sizes) <= 1.05 * min(sizes)
    assert len({run["steps"] for run in runs}) == 1


def test_the_summary_follows_from_the_runs():
    assert evidence.summary(TABLE["runs"]) == TABLE["summary"]


def test_the_interval_of_a_case_solved_by_hand():
    # mean 2, standard deviation 1, three values: 4.302653 / √3
    np.testing.assert_allclose(evidence.half_width([1.0, 2.0, 3.0]), 2.484138, rtol=1e-6)


@pytest.mark.parametrize("record", [TABLE, ATTEMPTS], ids=["table", "attempts"])
def test_where_it_comes_from_is_written_down(record):
    assert {"date", "machine", "versions", "written by"} <= set(record["provenance"])
    assert {"python", "torch", "numpy", "scikit-learn", "scikit-image"} <= set(record["provenance"]["versions"])
