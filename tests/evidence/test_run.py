"""Doing the runs of a plan: here, again after an interruption, and on a cluster that loses a worker midway."""

import os
import sys
import types
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from evidence import recipe as recipes
from evidence import run as runner
from evidence.recipe import Recipe, perform
from evidence.record import Record, read

SESSION = {"command": "c", "date": "2026-01-02"}
SOURCE = """
import os
import time
from pathlib import Path

def run(seed, *, folder, factor):
    started = Path(folder) / f"{os.getpid()}-{seed}-{factor}-{time.monotonic_ns()}"
    started.touch()
    time.sleep(0.3 + 0.1 * (seed % 3))
    assert seed != 13
    return {"product": seed * factor, "pid": os.getpid()}
"""
RECIPE = Recipe("toy.py", SOURCE)


@pytest.fixture(scope="module")
def pool():
    """Two processes of this machine, for all tests: each takes seconds to start."""
    with runner._workers(2, None) as pool:
        yield pool


def plan_of(seeds, folder):
    """A plan of two parts: the factor of the second is the sum of what the first gave."""

    def plan(runs):
        first = [run["scores"]["product"] for run in runs if run["part"] == "first"]
        factor = sum(first) if len(first) == len(seeds) else None
        for part, value in (("first", 1), ("second", factor)):
            for seed in seeds:
                settings = {"folder": str(folder), "factor": value}
                yield {"part": part, "group": "g", "seed": seed, "settings": settings}

    return plan


def started(folder):
    """(process, seed, factor) of every run that was begun."""
    return [tuple(map(int, file.name.split("-")[:3])) for file in folder.iterdir()]


def test_later_parts_take_what_earlier_ones_gave_and_nothing_is_done_again(tmp_path, pool):
    folder = tmp_path / "started"
    folder.mkdir()
    for seeds in ((1, 2), (1, 2), (1, 2, 3)):
        record = Record(tmp_path / "a.json", RECIPE.name)
        runner.complete(record, plan_of(seeds, folder), RECIPE, pool, SESSION)
    products = {(run["part"], run["seed"], run["settings"]["factor"]): run["scores"]["product"] for run in read(record.path)}
    assert products == {(part, seed, f): seed * f for part, f, many in [("first", 1, 3), ("second", 3, 2), ("second", 6, 3)]
                        for seed in range(1, many + 1)}  # fmt: skip
    assert len(started(folder)) == len(products)
    assert os.getpid() not in {process for process, _, _ in started(folder)}


def test_a_run_that_fails_is_named_and_the_others_are_kept(tmp_path, pool):
    """Those beside it, and those that begin after it."""
    folder = tmp_path / "started"
    folder.mkdir()
    record = Record(tmp_path / "a.json", RECIPE.name)
    with pytest.raises(SystemExit, match="1 runs failed.*\nfirst, g, seed 13: AssertionError"):
        runner.complete(record, plan_of((13, 1, 2, 3), folder), RECIPE, pool, SESSION)
    assert sorted(run["seed"] for run in read(record.path)) == [1, 2, 3]


def test_a_worker_with_other_code_is_refused(tmp_path, pool):
    (tmp_path / "started").mkdir()
    record = Record(tmp_path / "a.json", RECIPE.name)
    here = Recipe("toy.py", SOURCE + "\nfrom attn_book import claims\n")
    with pytest.raises(SystemExit, match="a worker has other code than this process: the recipe"):
        runner.complete(record, plan_of((1,), tmp_path / "started"), here, Swapped(pool), SESSION)
    assert record.runs == []


class Swapped:
    """A pool whose workers have another recipe."""

    def __init__(self, pool):
        self.pool = pool

    def submit(self, function, recipe, run):
        return self.pool.submit(function, RECIPE, run)


class Murderous(Record):
    """Kills, once, a worker that is in the middle of a run."""

    folder, victim = None, None

    def add(self, run):
        super().add(run)
        if self.victim is None:
            done = {(r["seed"], r["settings"]["factor"]) for r in self.runs}
            busy = [process for process, *which in started(self.folder) if tuple(which) not in done]
            if len(self.runs) >= 3 and busy:
                self.victim = busy[0]
                psutil.Process(self.victim).kill()


def test_a_cluster_that_loses_a_worker_loses_no_run_and_does_none_twice(tmp_path):
    distributed = pytest.importorskip("distributed")
    record = Murderous(tmp_path / "a.json", RECIPE.name)
    record.folder = tmp_path / "started"
    record.folder.mkdir()
    seeds = range(8)
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        runner._workers(None, cluster.scheduler_address) as pool,
    ):
        runner.complete(record, plan_of(seeds, record.folder), RECIPE, pool, SESSION)
    begun = started(record.folder)
    assert record.victim in {process for process, _, _ in begun}
    assert len(begun) > 16, "the victim had begun a run that another took over"
    wanted = sorted([("first", seed, seed) for seed in seeds] + [("second", seed, 28 * seed) for seed in seeds])
    assert sorted((run["part"], run["seed"], run["scores"]["product"]) for run in read(record.path)) == wanted


@pytest.fixture
def command_line(tmp_path, monkeypatch):
    """`python -m evidence.run` on a chapter 99 of two tuning runs and a report, in one thread; returns what is in its file then."""
    for folder in ("evidence/plans", "results"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "evidence" / "plans" / "ch99.py").touch()
    (tmp_path / "toy.py").write_text("def run(seed, *, x):\n    return {'score': seed + x}\n", encoding="utf-8")
    plan = types.ModuleType("evidence.plans.ch99")
    plan.RECIPE, plan.xs = "toy.py", (1, 2)
    plan.plan = lambda runs: [
        {"part": "report" if x == 2 else "tuning", "group": "g", "seed": 0, "settings": {"x": x}} for x in plan.xs
    ]
    monkeypatch.setitem(sys.modules, plan.__name__, plan)
    monkeypatch.setattr(runner, "ROOT", tmp_path)
    monkeypatch.setattr(recipes, "ROOT", tmp_path)
    performed = []
    monkeypatch.setattr(runner, "perform", lambda recipe, run: performed.append(run["settings"]["x"]) or perform(recipe, run))
    monkeypatch.setattr(runner, "_workers", lambda *_: ThreadPoolExecutor(1))

    def call(*arguments):
        performed.clear()
        runner.main(["99", *arguments])
        path = tmp_path / "results" / "ch99.json"
        return sorted(performed), [run["settings"]["x"] for run in read(path)] if path.exists() else []

    call.plan, call.recipe = plan, tmp_path / "toy.py"
    return call


def test_what_is_there_is_kept_and_what_is_missing_is_added(command_line):
    assert command_line("--only", "report") == ([2], [2])
    assert command_line() == ([1], [2, 1])
    assert command_line() == ([], [2, 1])
    command_line.plan.xs = (1, 3)
    assert command_line() == ([3], [1, 3])
    assert command_line("--fresh") == ([1, 3], [1, 3])


def test_runs_of_another_recipe_are_made_again_unless_asked(command_line, capsys):
    command_line()
    command_line.recipe.write_text("def run(seed, *, x):\n    return {'score': seed - x}\n", encoding="utf-8")
    assert command_line("--keep-changed") == ([], [2, 1])
    assert command_line("--dry-run") == ([], [2, 1])
    assert "2 runs were made with other code" in capsys.readouterr().out
    assert command_line() == ([1, 2], [2, 1])


def test_a_dry_run_counts(command_line, capsys):
    assert command_line("--dry-run") == ([], [])
    assert "1 runs planned so far,   1 to be done" in capsys.readouterr().out


def test_a_part_that_waits_for_another_says_so(command_line):
    command_line.plan.xs = (None,)
    with pytest.raises(SystemExit, match="waiting for runs that are not wanted"):
        command_line("--only", "tuning")


def test_an_unknown_chapter_is_refused(command_line, capsys):
    with pytest.raises(SystemExit):
        runner.main(["42"])
    assert "invalid choice: '42'" in capsys.readouterr().err
