"""Networks of chapter 15 whose tokens are alone: what is changed, and that nothing else is."""

from collections import Counter

import pytest
import torch

from evidence.plans import ch15, ch15_alone
from evidence.recipe import Recipe, namespace
from evidence.record import key


@pytest.fixture(scope="module")
def runs():
    """The plan's runs once all are done, when the middle of the grids is best."""
    runs, done = [], set()
    while new := [run for run in ch15_alone.plan(runs) if None not in run["settings"].values() and key(run) not in done]:
        for run in new:
            away = (run["settings"]["lr"] != 0.003) + (run["settings"]["weight_decay"] != 0.1)
            runs.append({**run, "scores": {"accuracy": 0.9 - 0.1 * away}})
        done |= set(map(key, new))
    return runs


def test_a_token_hears_of_no_other_and_the_layer_is_the_same():
    attention = torch.nn.Identity()
    attention.forward = lambda x, mask: mask
    assert ch15_alone.Alone(attention)(torch.zeros(2, 3, 4)).tolist() == torch.eye(3, dtype=torch.bool).tolist()


@pytest.mark.parametrize("kind", ch15_alone.WITH_ATTENTION)
def test_a_run_trains_the_chapters_network_with_tokens_alone(kind, monkeypatch):
    chapter, built = namespace(Recipe.read(ch15.RECIPE)), []

    def only_build(seed, *, kind, **how):
        built.append((chapter.build(kind, seed).eval(), how))

    monkeypatch.setattr(ch15_alone, "namespace", lambda recipe: chapter)
    monkeypatch.setattr(chapter, "run", only_build)
    theirs = chapter.build(ch15_alone.WITH_ATTENTION[kind], 1)
    ch15_alone.run(1, kind=kind, chapter="", steps=5)
    ((network, how),) = built
    assert how == {"steps": 5}
    pairs = zip(network.parameters(), theirs.parameters(), strict=True)
    assert all(torch.equal(ours, its) for ours, its in pairs), "the same weights at first"
    assert chapter.build(ch15_alone.WITH_ATTENTION[kind], 1).blocks[0].attention.__class__ is theirs.blocks[0].attention.__class__
    tokens = torch.randn(2, 16, 64)
    through = lambda x: torch.nn.Sequential(*network.blocks)(x)
    other = tokens.clone()
    other[:, 5] += 1
    changed = (through(other) - through(tokens)).abs().amax((0, 2))
    assert changed[5] > 0.1 and changed.sum() == changed[5]


def test_tuned_as_chapter_15_does_and_reported_at_three_sizes(runs):
    (contest,) = ch15_alone.contests(runs)
    assert contest.faults(runs) == []
    assert {run["group"] for run in runs if run["part"] == "tuning"} == set(contest.best)
    of = Counter((run["group"], run["settings"]["pictures"]) for run in runs if run["part"] == "report")
    assert of == {(kind, size): 3 for kind in ch15_alone.WITH_ATTENTION for size in (512, 8_000, 125_000)}
    assert {run["settings"]["steps"] for run in runs if run["part"] != "check"} == {ch15.STEPS}


def test_another_recipe_of_the_chapter_makes_other_runs(runs):
    assert {run["settings"]["chapter"] for run in runs} == {Recipe.read(ch15.RECIPE).recipe_sha()[:8]}
