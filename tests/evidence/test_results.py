"""Every file of results/: in the one schema, complete, tuned and reported as it should be, and still what its code gives."""

import importlib
import json
from collections import defaultdict

import numpy as np
import pytest

from attn_book import runs as book
from evidence.recipe import ROOT, Recipe, perform
from evidence.record import FIELDS, NOT_SUMMARISED, key, read, summary

OTHER = {"gpu", "mutants"}  # records of another kind, which test_gpu and tests/tools look at
FILES = sorted(path for path in (ROOT / "results").glob("*.json") if path.stem not in OTHER)
ORIGIN = {"command", "date", "machine", "versions", "recipe_sha", "package_sha"}


class Results:
    """A file of results/, with the plan that it follows and the recipe that it was made with."""

    def __init__(self, path):
        self.path = path
        self.content = json.loads(path.read_text(encoding="utf-8"))
        self.runs = read(path)
        self.recipe = Recipe.read(self.content["provenance"]["recipe"])
        bench = self.recipe.name.removesuffix(".py").replace("/", ".")
        self.plan = importlib.import_module(bench if self.recipe.name.endswith(".py") else f"evidence.plans.{path.stem}")
        planned = (ROOT / "evidence" / "plans" / path.name).with_suffix(".py").is_file()
        self.command = f"make evidence CHAPTER={path.stem[2:]}" if planned else "make bench"

    def part(self, part):
        return [run for run in self.runs if run["part"] == part]

    def changed(self):
        """What is other code than it was for the runs, in words; "" when all is as it was."""
        now, names = self.recipe.package_sha(), set()
        for run in self.runs:
            was = run["origin"]["package_sha"]
            names |= {name for name in now.keys() | was.keys() if now.get(name) != was.get(name)}
        return ", ".join(sorted(names))


@pytest.fixture(scope="module", params=FILES, ids=lambda path: path.stem)
def results(request):
    return Results(request.param)


def test_there_are_results():
    assert {"ch06", "ch07", "mha_speed"} <= {path.stem for path in FILES}


def test_the_schema(results):
    content, provenance = results.content, results.content["provenance"]
    assert set(content) == {"provenance", "summary", "runs"}
    assert set(provenance) == ORIGIN | {"recipe", "others"}
    assert all(set(origin) == ORIGIN for origin in provenance["others"])
    assert all({"python", "torch"} <= run["origin"]["versions"].keys() for run in results.runs)
    for run in content["runs"]:
        assert set(run) - {"other"} == set(FIELDS)
        assert run["scores"], "a run without scores"
        assert all(isinstance(score, int | float) and np.isfinite(score) for score in run["scores"].values())


def test_the_summary_follows_from_the_runs(results):
    assert summary(results.runs) == results.content["summary"]


def test_all_that_was_planned_was_run_once_and_nothing_else(results):
    planned = sorted(map(key, results.plan.plan(results.runs)))
    assert sorted(map(key, results.runs)) == planned, f"{results.path.name} is not what its plan asks for: {results.command}"
    assert len(set(planned)) == len(planned)


def test_the_recipe_is_the_one_that_gave_the_runs(results):
    now = results.recipe.recipe_sha()
    changed = [run for run in results.runs if run["origin"]["recipe_sha"] != now]
    assert not changed, f"{results.recipe.name} has changed since {len(changed)} runs of {results.path.name}: {results.command}"


def test_a_short_run_gives_the_recorded_numbers_again(results):
    """Within what another processor or linear algebra may change.

    In chapter 7's 40 steps, without oneDNN the loss moves by 3e-5 of itself and shares of right answers by 0.001; no weight
    decay moves the loss by 5e-4, a learning rate 3 % higher by 2e-3.
    """
    checks = results.part("check")
    assert checks, "the plan has no short run that can be repeated"
    changed = results.changed() or "nothing of ours, so it may be another machine or version"
    for recorded in checks:
        again = perform(results.recipe, {"seed": recorded["seed"], "settings": recorded["settings"]})["scores"]
        assert again.keys() == recorded["scores"].keys()
        for name, score in again.items():
            if name.startswith("seconds"):  # how long it takes is the machine's
                continue
            near = {"rtol": 3e-4} if name == "loss" else {"rtol": 0.02, "atol": 0.005}
            message = (
                f"{name} in {results.path.name} is not what the code gives; changed since: {changed}. Re-run: {results.command}"
            )
            np.testing.assert_allclose(score, recorded["scores"][name], **near, err_msg=message)


def test_groups_of_a_task_had_the_same_grid_and_the_best_lies_inside(results):
    tuning = results.part("tuning")
    if not tuning:
        pytest.skip("nothing was tuned")
    evidence, bounds = book.load(results.path.stem), getattr(results.plan, "BOUNDS", {})
    if hasattr(results.plan, "contests"):  # who was tuned alike, where it is not all of a task on one grid
        contests = results.plan.contests(results.runs)
        assert [fault for contest in contests for fault in contest.faults(results.runs)] == []
        assert {run["group"] for run in tuning} == {group for contest in contests for group in contest.best}, "each in a contest"
        return
    tuned = {run["settings"].get("task") for run in tuning}
    for task in tuned:
        axes, grids = evidence.grid(task), defaultdict(set)
        mine = [run for run in tuning if run["settings"].get("task") == task]
        for run in mine:
            its = tuple(name for name in axes if name in run["settings"])  # a control that lacks a part has no setting for it
            grids[its, run["group"]].add(tuple(run["settings"][name] for name in its))
        for its in {its for its, _ in grids}:
            points, *others = [grid for (names, _), grid in grids.items() if names == its]
            assert all(grid == points for grid in others), "a grid for each"
            assert len(points) == np.prod([len(set(values)) for values in zip(*points, strict=True)]), "a full grid"
        assert len({run["settings"].get("steps") for run in mine}) == 1, "a budget for each"
    for run in results.part("report"):
        task = run["settings"].get("task")  # one that was not tuned by itself takes over what was best for another
        for name, values in evidence.grid(task if task in tuned else None).items():
            own = [trial["settings"] for trial in tuning if trial["group"] == run["group"]]
            if own and not any(name in settings for settings in own):  # as above
                assert name not in run["settings"], f"{run['group']} has a {name} that was not tuned"
                continue
            best = run["settings"][name]
            assert best in values[1:-1] or best == bounds.get(name), f"{run['group']}: {name}={best} is an edge of {values}"


def test_what_was_tuned_on_is_not_reported_on(results):
    tuning, reported = results.part("tuning"), [run for run in results.runs if run["part"] not in ("tuning", "check")]
    if not tuning:
        pytest.skip("nothing was tuned")
    seeds = any("scene_seed" in run["settings"] for run in results.runs)
    drawn = seeds or "attn_book.data.drawing" in results.recipe.package_sha()  # chapter 14 reads scans as they are
    for name in ("split", *["scene_seed"] * drawn):
        assert {run["settings"][name] for run in tuning}.isdisjoint(run["settings"][name] for run in reported)
    assert {run["seed"] for run in tuning}.isdisjoint(run["seed"] for run in reported)
    assert all(run["settings"]["split"] != "train" for run in results.runs)


def test_reported_models_of_a_task_have_the_same_size_steps_and_seeds(results):
    tasks = defaultdict(lambda: defaultdict(list))
    for run in results.part("report"):
        if "steps" in run["settings"]:
            tasks[run["settings"].get("task"), run["settings"].get("pictures")][run["group"]].append(run)
    if not tasks:
        pytest.skip("nothing was trained")
    for groups in tasks.values():
        together = [run for group in groups.values() for run in group]
        sizes = [run["scores"].get("parameters") for run in together]
        assert set(sizes) == {None} or max(sizes) <= 1.05 * min(sizes)  # none: one model for all, as in chapter 5
        assert len({run["settings"]["steps"] for run in together}) == 1
        assert len({tuple(sorted(run["seed"] for run in group)) for group in groups.values()}) == 1
        assert all(len({json.dumps(run["settings"]) for run in group}) == 1 for group in groups.values())


def test_the_book_reads_it(results):
    evidence = book.load(results.path.stem)
    assert len(evidence.rows) == len(results.content["summary"]) > 0
    assert {run["part"] for run in evidence.runs} - set(NOT_SUMMARISED)
