"""The benchmarks measure what they say and write it down; how fast things are is not for a test to say."""

import sys

import pytest
import torch

from attn_book import runs
from attn_utils.attention import attention
from attn_utils.masks import shifted_window
from evidence.bench import cost, field_guide, mha_speed, simplify


@pytest.fixture
def results(tmp_path, monkeypatch):
    """All write, and the book reads, in a folder of the test's."""
    for module in (cost, field_guide, mha_speed, simplify):
        monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(runs, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(sys, "argv", ["bench", "--repeats", "3"])


def test_both_layers_are_the_same_layer():
    scores = mha_speed.run(0)
    assert scores["parameters"] == scores["parameters_torch"]
    assert scores["difference"] <= 1e-5


def test_the_speed_is_written_with_both_spreads_and_shown_beside_the_bar(results, monkeypatch, capsys):
    monkeypatch.setattr(mha_speed, "BATCH", 1)
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


@pytest.fixture
def small(results, monkeypatch):
    for name, value in {
        "SIZES": (256, 512),
        "SIDE": 16,
        "SHARPNESS": (3, 30),
        "PHOTOGRAPHS": ("coffee",),
        "MORE_FEATURES": (8,),
    }.items():
        monkeypatch.setattr(cost, name, value)


def test_every_attention_is_timed_at_every_size_and_its_error_measured(small, capsys):
    cost.main()
    evidence = runs.load("cost")
    costs = {(row.group, row.settings["N"]): row.scores for row in evidence.rows if "N" in row.settings}
    assert set(costs) == {(name, N) for name in (*cost.in_torch(256), *cost.IN_NUMPY) for N in (256, 512)}
    for (name, _), scores in costs.items():
        for way in ("forward",) if name in cost.IN_NUMPY else ("forward", "both"):
            low, middle, high = (scores[f"{kind}_{way}"].mean for kind in ("quartile_1", "milliseconds", "quartile_3"))
            assert 0 < low <= middle <= high
            assert scores[f"peak_bytes_{way}"].mean > 0
    for row in evidence.rows:
        if "photograph" in row.settings:
            error = row.scores["error"].mean
            assert error <= 1e-4 if row.group.startswith("exact") else error > 1e-4
    spelt_out, tiles = (costs[name, 512]["peak_bytes_forward"].mean for name in ("spelt out, NumPy", "tiles, NumPy"))
    assert tiles < spelt_out


@pytest.mark.parametrize("name", [*cost.in_torch(256), *cost.IN_NUMPY])
def test_exact_attentions_agree_and_the_others_do_not(name):
    exact = cost.calls("SDPA", 256)["forward"]()[0, 0]
    other = torch.as_tensor(cost.calls(name, 256)["forward"]()).reshape(256, -1)
    close = torch.allclose(exact, other, atol=1e-5)
    assert close == (name in ("SDPA", "spelt out", "stripes", "tiles", "spelt out, NumPy", "tiles, NumPy"))


def test_windows_are_attention_under_their_mask():
    q, k, v = (x.detach().double() for x in cost.inputs(256))
    mask = shifted_window(16, 16, cost.SQUARE)
    for scale in (None, 3.0):
        expected = attention(q, k, v, mask=mask, scale=scale)[0]
        torch.testing.assert_close(cost.windows(q, k, v, 16, 16, scale), expected)


@pytest.mark.parametrize(("N", "sides"), [(256, (16, 16)), (512, (16, 32)), (16384, (128, 128))])
def test_grids(N, sides):
    assert cost.grid(N) == sides


# ---- what is left out of a trained network


def test_everything_left_out_is_counted_and_timed(results, monkeypatch):
    for name, value in {"PICTURES": 4, "STEPS": 2, "STEP_BATCH": 4}.items():
        monkeypatch.setattr(simplify, name, value)
    monkeypatch.setattr(simplify, "chosen_rate", lambda: 0.004)
    made, digits = simplify.makers, simplify.chapter().digits
    monkeypatch.setattr(simplify.chapter(), "digits", lambda split: tuple(tensor[:100] for tensor in digits(split)))
    few = (
        "whole",
        "heads −1",
        "heads −6",
        "merged 16",
        "merged 48",
        "merged 98",
        "8 bits",
        "4 bits",
        "student",
        *simplify.OTHERS,
    )
    monkeypatch.setattr(simplify, "makers", lambda model: {name: made(model)[name] for name in few})
    monkeypatch.setattr(sys, "argv", ["bench", "--repeats", "1"])
    simplify.main()
    evidence = runs.load("simplify")
    found = {row.group: {name: score.mean for name, score in row.scores.items()} for row in evidence.rows}
    assert set(found) == set(few) | {f"a step: {kind}" for kind in simplify.LEARNING}
    for name in few:
        for end in ("", "_one"):
            assert 0 < found[name][f"quartile_1{end}"] <= found[name][f"milliseconds{end}"] <= found[name][f"quartile_3{end}"]
        assert min(found[name][count] for count in ("flops", "peak_bytes", "stored_bytes")) > 0
    assert found["whole"]["of_whole_quartile_2"] == 1
    assert found["heads −6"]["flops"] < found["heads −1"]["flops"] < found["whole"]["flops"]
    assert found["merged 98"]["flops"] < found["merged 16"]["flops"]
    assert found["4 bits"]["stored_bytes"] < found["8 bits"]["stored_bytes"] < 0.4 * found["whole"]["stored_bytes"]
    assert found["8 bits"]["flops"] == found["whole"]["flops"]
    assert found["a step: student"]["of_student_quartile_2"] == 1 < found["a step: taught student"]["of_student_quartile_2"]
    assert found["a step: 1 block"]["milliseconds"] < found["a step: whole"]["milliseconds"]
    assert all(0 <= found[name]["accuracy"] <= 1 for name in ("whole", *simplify.OTHERS))
    planned = sorted(run["group"] for run in simplify.plan([]))
    assert sorted(run["group"] for run in evidence.runs) == planned


def test_a_table_that_anybody_can_compute_is_not_stored():
    whole = simplify.chapter().build(0)
    assert simplify.fixed_bytes(whole) == 196 * 64 * 4
    assert simplify.fixed_bytes(simplify.makers(whole)["bfloat16"]()) == 196 * 64 * 2
    assert simplify.fixed_bytes(simplify.makers(whole)["convolution"]()) == 0
    stored = simplify.run(0, network="whole")["stored_bytes"]
    kept = [p for p in (*whole.parameters(), *whole.buffers()) if p.requires_grad or p.shape != (196, 64)]
    assert stored == sum(p.numel() * p.element_size() for p in kept)


def test_networks_in_fewer_bits_answer_much_as_the_whole():
    whole, images = simplify.chapter().build(3).eval(), simplify.pictures(5)
    expected = whole(images)
    for name in simplify.OTHERS:
        off = (simplify.makers(whole)[name]()(images) - expected).norm() / expected.norm()
        assert 0 < off < 0.1
