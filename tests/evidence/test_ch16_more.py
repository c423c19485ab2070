"""The plan of chapter 16's second half: it comes to an end, gives the recipe what it takes, and has every row that the draft shows."""

import ast
from collections import Counter

import pytest

from evidence.plans import ch16_more
from evidence.recipe import Recipe


def done(run, best):
    """Made-up scores: the higher the nearer a setting is to the `best` one."""
    far = sum(abs(run["settings"][name] / value - 1) for name, value in best.items() if run["settings"].get(name))
    return {**run, "scores": {"probe": 1 - far / 9, "tuned": 1 - far / 9, "seen: exact": 1 - far / 9, "loss": 1.0}}


def complete(best):
    runs = []
    for _ in range(20):
        known = [{name: run[name] for name in ("part", "group", "seed", "settings")} for run in runs]
        missing = [run for run in ch16_more.plan(runs) if run not in known]
        if not missing:
            return runs
        ready = [run for run in missing if None not in run["settings"].values()]
        assert ready
        runs += [done(run, best) for run in ready]
    raise AssertionError("the plan wants ever more")


@pytest.fixture(scope="module")
def runs():
    return complete({"lr": 0.002, "share": 0.75, "tune_lr": 0.001})


def test_no_run_is_wanted_twice(runs):
    assert max(Counter((run["part"], run["group"], run["seed"], str(run["settings"])) for run in runs).values()) == 1


def test_the_best_settings_are_reported(runs):
    report = {run["group"]: run["settings"] for run in runs if run["part"] == "report"}
    assert {name: report["labels: convolution"][name] for name in ("lr", "share", "tune_lr")} == {
        "lr": 0.002,
        "share": 0.75,
        "tune_lr": 0.001,
    }
    assert report["words: classifier"]["lr"] == report["words: classifier, one order"]["lr"] == 0.002


def test_grids_are_widened():
    wide = complete({"lr": 0.02, "share": 0.2, "tune_lr": 0.0001})
    tried = {name: {run["settings"].get(name) for run in wide if run["part"] == "tuning"} for name in ("lr", "share", "tune_lr")}
    assert max(tried["lr"]) > 0.02 and min(tried["share"] - {None, 0.0}) < 0.2 and min(tried["tune_lr"] - {None, 0.0}) < 0.0002


def test_from_scratch_gets_as_many_steps_as_both_trainings(runs):
    for longer in ("", ", longer"):
        steps = {
            group: {
                run["settings"]["steps"] + run["settings"]["tune_steps"]
                for run in runs
                if run["group"] == group and run["part"] in ("report", "longer")
            }
            for group in (f"labels: attention{longer}", f"labels: attention, from scratch{longer}")
        }
        assert len(set.union(*steps.values())) == 1


def test_the_recipe_takes_these_settings(runs):
    functions = {
        node.name: {one.arg for one in (*node.args.args, *node.args.kwonlyargs)} - {"seed"}
        for node in ast.parse(Recipe.read(ch16_more.RECIPE).source).body
        if isinstance(node, ast.FunctionDef)
    }
    for run in runs:
        settings = dict(run["settings"])
        assert functions["run_" + settings.pop("task")] == set(settings)


def test_tuning_and_report_share_no_scenes(runs):
    where = {(run["part"] == "tuning", run["settings"]["split"], run["settings"]["scene_seed"]) for run in runs}
    assert where == {(True, "validation", 900), (False, "test", 950)}


def test_every_row_of_the_draft_is_run(runs):
    groups = {run["group"] for run in runs if run["part"] not in ("tuning", "check")}
    labels = (
        "attention",
        "blanked",
        "convolution",
        "no mixing",
        "attention, from scratch",
        "convolution, from scratch",
        "pixels",
    )
    assert {f"labels: {name}" for name in labels} <= groups
    assert {f"labels: {kind}, {share:.2f} hidden" for kind in ch16_more.FROM_SCRATCH for share in ch16_more.SHARES} <= groups
    four = ("attention", "convolution", "attention, from scratch", "convolution, from scratch")
    assert {f"labels: {name}, longer" for name in four} | {f"photographs: {name}" for name in four} <= groups
    assert {f"words: {kind}" for kind in (*ch16_more.WRITERS, "decoder, untrained")} <= groups
    assert {f"words: {kind}, one order" for kind in ch16_more.ONE_ORDER} <= groups
    assert {f"words: {kind}, longer" for kind in ch16_more.LONGER} <= groups
