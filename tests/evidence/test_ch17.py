"""Chapter 17: what is compared differs in one thing, a scan from one end knows nothing of what comes later, and the bench times all."""

import sys
from collections import Counter

import numpy as np
import pytest
import torch

from attn_book import runs
from attn_utils.cost import count_parameters
from evidence.bench import sequence
from evidence.plans import ch17
from evidence.recipe import Recipe, namespace


@pytest.fixture(scope="module")
def chapter():
    return namespace(Recipe.read(ch17.RECIPE))


def test_all_networks_are_of_one_size(chapter):
    kinds = ("attention", "convolution", *chapter.SCANS)
    sizes = [count_parameters(chapter.searcher(kind, 0, cells=3)) for kind in kinds]
    assert max(sizes) <= 1.02 * min(sizes)
    stems = [
        count_parameters(chapter.reader("attention", 0, stem=stem, positions="sincos")) for stem in ("patches", "convolutions")
    ]
    assert max(stems) <= 1.15 * min(stems)  # the stem that reads more costs more: a control, not a rival


def test_a_scan_from_one_end_knows_what_it_has_read(chapter):
    reached = {}
    for kind in ("minGRU, one way", "minGRU", "GRU, one way", "GRU", "attention"):
        layer = chapter.searcher(kind, 0, cells=3).blocks[0].attention
        x = torch.randn(2, 9, 64, requires_grad=True)
        (gradient,) = torch.autograd.grad(layer(x)[:, 4].sum(), x)
        reached[kind] = (gradient.abs().sum((0, 2)) > 0).tolist()
    before = [True] * 5 + [False] * 4
    assert reached["minGRU, one way"] == reached["GRU, one way"] == before
    assert all(reached[kind] == [True] * 9 for kind in ("minGRU", "GRU", "attention"))


def test_a_gru_begins_with_the_memory_that_it_is_given(chapter):
    """Left alone, with an input of zeros, its units decay as slowly as `longest` asks: T - 1 of T parts are kept."""
    layer = chapter.GRU(3, hidden=4, longest=32)
    with torch.no_grad():
        for weight in (layer.weight_ih_l0, layer.weight_hh_l0):
            weight.zero_()
        layer.bias_hh_l0[8:] = layer.bias_ih_l0[8:] = 0  # the candidate is 0
        _, state = super(chapter.GRU, layer).forward(torch.zeros(1, 1, 3), torch.ones(1, 1, 4))
    np.testing.assert_allclose(state.flatten(), 1 - 1 / np.array([2, 12, 22, 32]), rtol=1e-6)


def test_a_digit_is_whole_however_the_picture_moves(chapter):
    """On black paper: what shows at rest shows after every move."""
    canvas, labels = chapter.digits(40, 3, "test", size=40)
    assert canvas.shape == (40, 3, 40, 40) and len(labels) == 40
    made = chapter.scenes(320, seed=3, split="test", size=40, digits=1, digit_size=(12, 18))
    low, high = made.boxes[:, 0, :2].min(1), made.boxes[:, 0, 2:].max(1)
    assert ((low >= 8) & (high <= 32)).sum() >= 40


def test_every_setting_is_tried_and_the_report_waits_for_it():
    waiting = list(ch17.plan([]))
    assert Counter(run["part"] for run in waiting)["tuning"] == 3 * (len(ch17.SEQUENCE) + len(ch17.PICTURE))
    assert all(run["settings"]["lr"] is None for run in waiting if run["part"] in ("report", "longer", "control"))
    scored = [
        run | {"scores": {"cue": 0.9 - 20 * abs(lr - 0.005), "accuracy": 0.5 + 20 * lr, "loss": 1.0}}
        for run in waiting
        for lr in [run["settings"]["lr"]]
        if run["part"] == "tuning"
    ]
    after = list(ch17.plan(scored))
    rates = {run["group"]: run["settings"]["lr"] for run in after if run["part"] == "report"}
    assert {rate for group, rate in rates.items() if group.startswith("sequence")} == {0.005}
    assert {rate for group, rate in rates.items() if group.startswith("picture")} == {None}  # the best was an edge: wider
    one_way = [run for run in after if run["group"] == "sequence: GRU, one way"]
    assert {run["settings"]["kind"] for run in one_way} == {"GRU, one way"} and len(one_way) == 3


def test_every_layer_is_timed_at_every_length(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sequence, "ROOT", tmp_path)
    monkeypatch.setattr(sequence, "TOKENS", (4, 16))
    monkeypatch.setattr(runs, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(sys, "argv", ["bench", "--repeats", "2"])
    sequence.main()
    evidence = runs.load("sequence")
    costs = {(row.group, row.settings["N"]): row.scores for row in evidence.rows}
    assert set(costs) == {(name, N) for name in sequence.layers() for N in (4, 16)}
    for scores in costs.values():
        for end in ("", "_forward"):
            low, middle, high = (scores[f"{name}{end}"].mean for name in ("quartile_1", "milliseconds", "quartile_3"))
            assert 0 < low <= middle <= high
        assert scores["peak_bytes"].mean > 0
    sizes = [scores["parameters"].mean for (name, _), scores in costs.items() if name != "convolution"]
    assert max(sizes) <= 1.05 * min(sizes)


def test_one_after_the_other_gives_the_same_as_in_rounds():
    layers = sequence.layers()
    rounds, steps = layers["minGRU"], layers["minGRU, one after the other"]
    steps.load_state_dict(rounds.state_dict())
    x = sequence.sequence(16)
    torch.testing.assert_close(steps(x), rounds(x), rtol=1e-5, atol=1e-5)
