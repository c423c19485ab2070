"""What needs an accelerator: the form of what was measured, and that without one nothing is."""

import json
import sys

import nbformat
import numpy as np
import pytest
import torch

from attn_book import runs
from evidence.bench import gpu, gpu_book, gpu_timing
from evidence.record import FIELDS, read, summary

FILE = gpu.ROOT / "results" / "gpu.json"


@pytest.fixture(scope="module")
def content():
    if not FILE.exists():
        pytest.skip("nothing was measured on an accelerator")
    return json.loads(FILE.read_text(encoding="utf-8"))


def test_the_form_of_what_was_measured(content):
    assert set(content) == {"provenance", "summary", "runs"}
    origin = {"command", "date", "machine", "versions", "recipe_sha", "package_sha", "recipe", "others"}
    assert set(content["provenance"]) == origin
    assert content["provenance"]["recipe"] == gpu.RECIPE
    assert {"torch", "triton", "python"} <= content["provenance"]["versions"].keys()
    assert {"attn_utils.kernels.flash", "attn_utils.kernels.tiles", "attn_utils.train"} <= content["provenance"][
        "package_sha"
    ].keys()
    for word in ("NVIDIA", "driver", "CUDA"):
        assert word in content["provenance"]["machine"]
    for run in content["runs"]:
        assert set(run) - {"other"} == set(FIELDS)
        assert run["part"] in gpu.PARTS
        assert run["scores"]
        assert all(isinstance(score, int | float) and np.isfinite(score) for score in run["scores"].values())
    assert summary(read(FILE)) == content["summary"]


def test_what_was_measured_is_complete(content):
    assert {run["part"] for run in content["runs"]} == set(gpu.PARTS)
    assert len(runs.load("gpu").rows) == len(content["runs"])
    timed = [run for run in content["runs"] if run["part"] == "kernels" and "milliseconds" in run["scores"]]
    for rule in gpu_timing.RULES:
        for direction in gpu_timing.DIRECTIONS:
            groups = {
                run["group"] for run in timed if (run["settings"]["rule"], run["settings"]["direction"]) == (rule, direction)
            }
            assert {"ours", "SDPA"} <= groups
    for run in timed:
        scores = run["scores"]
        assert 0 < scores["quartile_1"] <= scores["milliseconds"] <= scores["quartile_3"]
        assert 0 < scores["share_of_product"] < 1
        assert scores["error"] < 0.05


def test_the_kernels_passed_their_tests_there(content):
    (run,) = (run for run in content["runs"] if run["part"] == "tests")
    assert run["scores"]["failed"] == 0
    assert run["scores"]["passed"] > 100


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is an accelerator")
def test_without_an_accelerator_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu, "ROOT", tmp_path)
    monkeypatch.setattr(sys, "argv", ["gpu"])
    with pytest.raises(SystemExit, match="There is no accelerator .* nothing was measured or written"):
        gpu.main()
    assert not list(tmp_path.iterdir())


def test_a_chapter_that_is_not_there_is_refused(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["gpu", "--chapters", "01", "99"])
    with pytest.raises(SystemExit):
        gpu.main()
    assert "invalid choice: '99'" in capsys.readouterr().err


def test_what_a_rule_costs_is_counted(monkeypatch):
    assert gpu.run(0, rule="full") == {"pairs": 4096**2, "flops": 4 * 64 * 4096**2, "bytes": 4 * 4096 * 64 * 2}
    assert gpu.run(0, rule="causal")["pairs"] == 4096 * 4097 // 2
    along = 7 * 64 - 2 * (1 + 2 + 3)  # of a row of 64, each sees three to both sides, less at the ends
    assert gpu.run(0, rule="square 3")["pairs"] == along**2


def test_a_report_of_the_tests_is_read(tmp_path, capsys):
    report = tmp_path / "report.xml"
    report.write_text(
        "<testsuites><testsuite><testcase name='a'/><testcase name='b'><failure/></testcase>"
        "<testcase name='c'><skipped/></testcase><testcase name='d'><error/></testcase></testsuite></testsuites>"
    )
    settings, scores = gpu_book._counts(report, "what pytest said", 1.5)
    assert settings == {"tests": gpu_book.TESTS, "failures": ["b", "d"]}
    assert scores == {"passed": 1, "failed": 2, "skipped": 1, "test_seconds": 1.5}
    assert "what pytest said" in capsys.readouterr().out


def test_cells_that_fail_are_named(tmp_path):
    cells = ["import os, attn_utils", "1 / 0", "assert os.environ['ATTN_DEVICE'] == 'cuda'"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("#"), *map(nbformat.v4.new_code_cell, cells)])
    nbformat.write(notebook, tmp_path / "chapter.ipynb")
    number, errors, seconds = gpu_book.run_chapter(tmp_path / "chapter.ipynb")
    assert (number, errors) == (3, ["cell 2: ZeroDivisionError: division by zero"])
    assert seconds > 0
