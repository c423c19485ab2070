"""The benchmarks measure what they say and write it down; how fast things are is not for a test to say."""

import sys

import pytest

from attn_book import runs
from evidence.bench import field_guide, mha_speed


@pytest.fixture
def results(tmp_path, monkeypatch):
    """Both write, and the book reads, in a folder of the test's."""
    for module in (field_guide, mha_speed):
        monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(runs, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(sys, "argv", ["bench", "--repeats", "3"])


def test_both_layers_are_the_same_layer():
    scores = mha_speed.run(0)
    assert scores["parameters"] == scores["parameters_torch"]
    assert scores["difference"] <= 1e-5


def test_the_speed_is_written_with_both_spreads_and_shown_beside_the_bar(results, monkeypatch, capsys):
    monkeypatch.setattr(mha_speed, "TOKENS", 16)
    mha_speed.main()
    scores = runs.load("mha_speed")["threads: 1"].scores
    for name in ("ours_ms", "torch_ms", "ratio"):
        assert 0 < scores[f"{name}_quartile_1"].mean <= scores[name].mean <= scores[f"{name}_quartile_3"].mean
    assert scores["repeats"].mean == 3
    assert "the bar is 0.85" in capsys.readouterr().out


def test_every_mechanism_is_counted_and_timed_at_every_side(results, monkeypatch):
    monkeypatch.setattr(field_guide, "SIDES", (8, 16))
    field_guide.main()
    rows = runs.load("ch06").rows
    assert {(row.group, row.settings["side"]) for row in rows} == {
        (name, s) for name in field_guide.mechanisms(8) for s in (8, 16)
    }
    for row in rows:
        scores = {name: score.mean for name, score in row.scores.items()}
        assert 0 < scores["quartile_1"] <= scores["milliseconds"] <= scores["quartile_3"]
        assert min(scores["parameters"], scores["flops"], scores["peak_bytes"]) > 0
        if row.group == field_guide.BASELINE:
            assert scores["times_convolution"] == 1
            assert scores["flops"] == 2 * 9 * 64 * 64 * row.settings["side"] ** 2
