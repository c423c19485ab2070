"""Chapter 17's even weights behind a linear map: what is changed, and that the rest is the chapter's."""

from collections import Counter

import pytest
import torch

from evidence.plans import ch17, ch17_linear
from evidence.recipe import Recipe, namespace
from evidence.record import key


@pytest.fixture(scope="module")
def runs():
    """The plan's runs once all are done, when the start of the lines is best."""
    runs, done = [], set()
    while new := [run for run in ch17_linear.plan(runs) if None not in run["settings"].values() and key(run) not in done]:
        for run in new:
            away = sum(run["settings"][name] != value for name, value in ch17.START.items())
            runs.append({**run, "scores": {"cue": 0.9 - 0.1 * away, "loss": 1.0}})
        done |= set(map(key, new))
    return runs


def test_all_hear_the_mean_of_a_linear_map():
    layer, x, y = ch17_linear.EvenLinear(8), torch.randn(2, 5, 8), torch.randn(2, 5, 8)
    heard = layer(x)
    assert heard.shape == x.shape and torch.equal(heard, heard[:, :1].expand_as(heard))
    torch.testing.assert_close(heard[:, 0], layer.map(x.mean(1)))
    zero = layer(torch.zeros(2, 5, 8))
    torch.testing.assert_close(layer(x + y) - zero, (layer(x) - zero) + (layer(y) - zero))


def test_a_run_trains_the_chapters_network_with_the_linear_map(monkeypatch):
    chapter, built = namespace(Recipe.read(ch17.RECIPE)), []
    monkeypatch.setattr(ch17_linear, "namespace", lambda recipe: chapter)
    monkeypatch.setattr(chapter, "run", lambda seed, *, kind, **how: built.append((chapter.searcher(kind, seed, cells=4), how)))
    ch17_linear.run(1, kind=ch17_linear.KIND, chapter="", steps=5)
    ((network, how),) = built
    assert how == {"steps": 5}
    assert all(isinstance(block.attention, ch17_linear.EvenLinear) for block in network.blocks)
    bent = chapter.searcher("even weights", 1, cells=4)
    assert sum(p.numel() for p in network.parameters()) == sum(p.numel() for p in bent.parameters())


def test_tuned_as_the_chapters_networks_are_and_trained_for_longer_too(runs):
    (contest,) = ch17_linear.contests(runs)
    assert contest.faults(runs) == []
    assert Counter(run["part"] for run in runs) == {"tuning": 5, "report": 3, "longer": 3, "check": 1}
    assert {run["settings"]["steps"] for run in runs if run["part"] == "longer"} == {9_600}
    assert len({run["settings"]["chapter"] for run in runs}) == 1
