"""Reading results/: from any folder, with errors that help, as tables and bands."""

import json
import re

import numpy as np
import pytest

from attn_book import runs
from attn_book.runs import Score

SCORE = {"mean": 2.0, "interval": 2.48414, "values": [1.0, 2.0, 3.0]}
TUNING = [
    {"part": "tuning", "group": group, "seed": 0, "settings": {"task": group, "lr": lr, "steps": 9}, "scores": {}, "seconds": 1.0}
    for group, rates in (("a", (0.1, 0.01)), ("b", (0.1, 1.0)))
    for lr in rates
]


@pytest.fixture
def evidence(tmp_path, monkeypatch):
    rows = [
        {"group": group, "settings": {"side": side}, "scores": {"x": SCORE}} for group, side in [("a", 1), ("b", 1), ("b", 2)]
    ]
    content = {"provenance": {"date": "2026-01-02"}, "summary": rows, "runs": TUNING}
    (tmp_path / "chxx.json").write_text(json.dumps(content), encoding="utf-8")
    monkeypatch.setattr(runs, "RESULTS", tmp_path)
    return runs.load("chxx")


def test_results_are_found_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert runs.load("ch07").rows


def test_missing_results_are_said_to_be_missing(evidence):
    with pytest.raises(FileNotFoundError, match=r"results/ch99\.json is not .*; there is chxx\. .*make evidence"):
        runs.load("ch99")


def test_a_row_is_found_by_its_group(evidence):
    assert evidence["a"].settings == {"side": 1}
    assert evidence["a"].scores == {"x": Score(**SCORE)}


@pytest.mark.parametrize(("group", "count"), [("b", 2), ("c", 0)])
def test_a_group_without_one_row_is_refused(evidence, group, count):
    with pytest.raises(KeyError, match=f"'{group}' has {count} rows; the groups are: a, b"):
        evidence[group]


def test_parts_and_the_grid(evidence):
    assert evidence.part("tuning") == TUNING
    assert evidence.part("report") == []
    assert evidence.grid() == {"lr": [0.01, 0.1, 1.0]}
    assert evidence.grid("a") == {"lr": [0.01, 0.1]}
    assert evidence.grid("c") == {}


def test_a_setting_that_some_groups_lack_counts_where_it_was_varied(evidence):
    for depth in (2, 3):
        evidence.runs.append(
            {"part": "tuning", "group": "c", "settings": {"task": "c", "kind": "deep", "lr": 0.1, "depth": depth}}
        )
    assert evidence.grid() == {"lr": [0.01, 0.1, 1.0], "depth": [2, 3]}
    assert evidence.grid("c") == {"depth": [2, 3]}


def test_a_part_says_what_it_was_made_with():
    others = [{"date": "2026-01-04"}, {"date": "2026-01-03"}]
    made = [{"part": "a", "other": 0}, {"part": "a", "other": 1}, {"part": "b"}]
    evidence = runs.Evidence({"date": "2026-01-05", "others": others}, [], made)
    assert [evidence.made_with(part)["date"] for part in "ab"] == ["2026-01-04", "2026-01-05"]


def test_the_interval_of_a_case_solved_by_hand():
    # mean 2, standard deviation 1, three values: 4.302653 / √3
    np.testing.assert_allclose(runs.half_width([1.0, 2.0, 3.0]), 2.484138, rtol=1e-6)


def test_a_mean_with_its_interval_is_written_with_and_without_a_sign():
    assert runs.plus_minus([1.0, 2.0, 3.0]) == "+2.000 ± 2.484"
    assert runs.plus_minus([1.0, 2.0, 3.0], ".1f") == "2.0 ± 2.5"
    assert runs.plus_minus([-1.0, -2.0, -3.0], "+.2f") == "-2.00 ± 2.48"


def test_the_band_of_a_case_solved_by_hand():
    # t is 4.302653 for 95 % and two degrees of freedom; √(1 + 1/3) = 1.154701
    np.testing.assert_allclose(Score(**SCORE).band(0.95), [2 - 4.968275, 2 + 4.968275], rtol=1e-6)


def test_nearly_all_further_runs_lie_in_the_band():
    rng = np.random.default_rng(0)
    samples = rng.normal(3.0, 0.5, (2000, 6))
    inside = 0
    for *five, another in samples.tolist():
        low, high = Score(float(np.mean(five)), None, five).band(0.9)
        inside += low <= another <= high
    assert 0.88 <= inside / 2000 <= 0.92


def test_a_single_run_has_no_band():
    with pytest.raises(ValueError, match="a band takes at least two runs, got 1"):
        Score(1.0, None, [1.0]).band()


def test_a_table_shows_scores_with_their_intervals():
    html = runs.table(
        ["kind", "x", "one", "size"], [["a", Score(**SCORE), Score(0.5, None, [0.5]), Score(131547, 0.0, [131547] * 2)]]
    )
    assert re.findall(r"<t[hd]>([^<]*)<", html.data) == [
        "kind",
        "x",
        "one",
        "size",
        "a",
        "2.000 ± 2.484",
        "0.500",
        "131,547",
    ]
