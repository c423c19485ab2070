"""The record: written whole or not at all, each run once, and honest about what each was made with."""

import json
import os

import pytest

from evidence.record import Record, read, summary

ORIGIN = {"command": "c", "date": "2026-01-02", "machine": "m", "versions": {}, "recipe_sha": "r", "package_sha": {"a": "1"}}


def a_run(seed, score=1.0, *, part="report", group="g", origin=ORIGIN, **settings):
    scores = {"score": score, "parameters": 12}
    return {"part": part, "group": group, "seed": seed, "settings": settings, "scores": scores, "seconds": 0.1, "origin": origin}


def test_what_is_written_is_read(tmp_path):
    record = Record(tmp_path / "new" / "a.json", "x.py")
    runs = [a_run(seed, seed, lr=0.1) for seed in (1, 2, 3)]
    for run in runs:
        record.add(run)
    assert Record(record.path, "x.py").runs == read(record.path) == runs


def test_a_run_is_taken_once(tmp_path):
    record = Record(tmp_path / "a.json", "x.py")
    record.add(a_run(1, 0.5, lr=0.1, depth=3))
    record.add(a_run(1, 0.7, depth=3, lr=0.1))
    assert [run["scores"]["score"] for run in read(record.path)] == [0.5]
    assert record.missing([a_run(1, lr=0.1, depth=3), a_run(1, lr=0.2, depth=3)]) == [a_run(1, lr=0.2, depth=3)]


def test_mixed_origins_stay_with_their_runs(tmp_path):
    record = Record(tmp_path / "a.json", "x.py")
    later = {**ORIGIN, "date": "2026-01-03", "package_sha": {"a": "2"}}
    runs = [a_run(1, origin=later), a_run(2), a_run(3, origin=later)]
    for run in runs:
        record.add(run)
    content = json.loads(record.path.read_text(encoding="utf-8"))
    assert content["provenance"] == {"recipe": "x.py", **later, "others": [ORIGIN]}
    assert [run.get("other") for run in content["runs"]] == [None, 0, None]
    assert read(record.path) == runs


def test_an_interrupted_write_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    record = Record(tmp_path / "a.json", "x.py")
    record.add(a_run(1))
    before = record.path.read_bytes()
    monkeypatch.setattr(os, "replace", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        record.add(a_run(2))
    assert record.path.read_bytes() == before


def test_the_summary_of_a_case_solved_by_hand():
    runs = [a_run(seed, float(seed), lr=0.1) for seed in (3, 1, 2)] + [a_run(0, 9.0, part="tuning"), a_run(1, 9.0, part="check")]
    (row,) = summary(runs)
    assert row["group"] == "g"
    assert row["settings"] == {"lr": 0.1}
    # mean 2, standard deviation 1, three values: 4.302653 / √3
    assert row["scores"] == {
        "score": {"mean": 2.0, "interval": 2.48414, "values": [1.0, 2.0, 3.0]},
        "parameters": {"mean": 12, "interval": 0.0, "values": [12, 12, 12]},
    }


def test_a_single_run_has_no_interval():
    assert summary([a_run(1, 0.5)])[0]["scores"]["score"] == {"mean": 0.5, "interval": None, "values": [0.5]}
