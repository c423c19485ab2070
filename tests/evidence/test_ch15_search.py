"""The plan of chapter 15 for chapter 7's task: tuned where pictures are few and where they are many, the same pictures for both networks."""

from collections import Counter

import pytest

from evidence.plans import ch07, ch15, ch15_search
from evidence.recipe import Recipe, namespace
from evidence.record import key


def all_runs(best=0.003):
    """The plan's runs once all are done, when one learning rate is best for all."""
    runs, done = [], set()
    while new := [run for run in ch15_search.plan(runs) if None not in run["settings"].values() and key(run) not in done]:
        runs += [{**run, "scores": {"cue": 0.9 - 0.1 * (run["settings"]["lr"] != best)}} for run in new]
        done |= set(map(key, new))
    return runs


def test_both_are_tuned_alike_and_the_best_lies_inside():
    runs = all_runs(best=0.01)
    (contest,) = ch15_search.contests(runs)
    assert contest.faults(runs) == []
    assert contest.best == {f"{kind}, {amount}": {"lr": 0.01} for kind in ("attention", "summary") for amount in ("few", "many")}
    assert {run["group"] for run in runs if run["part"] == "tuning"} == set(contest.best)


def test_each_seed_has_every_size_for_both_networks():
    reported = [run for run in all_runs() if run["part"] == "report"]
    of = Counter((run["group"], run["settings"]["pictures"]) for run in reported)
    assert of == {(kind, size): 3 for kind in ch15_search.KINDS for size in ch15_search.SIZES}
    assert {run["settings"]["steps"] for run in reported} == {ch15.STEPS} == {4 * ch07.STEPS}
    assert not {run["seed"] for run in reported} & set(ch15.TUNING_SEEDS)


@pytest.mark.parametrize("kind", ch15_search.KINDS.values())
def test_its_networks_are_those_of_chapter_7(kind):
    chapter = namespace(Recipe.read(ch15_search.RECIPE))
    sizes = {name: chapter.count_parameters(chapter.build(name, 0)) for name in ("attention", kind)}
    assert max(sizes.values()) <= 1.03 * min(sizes.values())
