"""Claims pass, fail and print as they say; reports reach the page."""

import numpy as np
import pytest
import torch

from attn_book.claims import claim, report


@pytest.mark.parametrize(
    ("value", "bound", "line"),
    [
        (0.93, ">= 0.90", "✓ accuracy ≥ 0.90"),
        (0.90, ">= 0.90", "✓ accuracy ≥ 0.90"),
        (1e-13, "<= 1e-12", "✓ accuracy ≤ 1e-12"),
        (2, "> 1", "✓ accuracy > 1"),
        (-2, "< -1.5", "✓ accuracy < -1.5"),
        (9, "== 9", "✓ accuracy = 9"),
        (0, "!= 9", "✓ accuracy ≠ 9"),
        (0.25, "in [0.2, 0.3]", "✓ accuracy in [0.2, 0.3]"),
        (np.float32(0.25), "in [0.25, 0.25]", "✓ accuracy in [0.25, 0.25]"),
        (torch.tensor([0.5], requires_grad=True), ">= .5", "✓ accuracy ≥ .5"),
        (np.array([[0.5]]), ">= .5", "✓ accuracy ≥ .5"),
        (np.float16(0.5), ">= .5", "✓ accuracy ≥ .5"),
        (np.int8(-2), "< -1.5", "✓ accuracy < -1.5"),
        (torch.tensor(0.5, dtype=torch.bfloat16), ">= .5", "✓ accuracy ≥ .5"),
        (torch.tensor([0.25, 0.5], requires_grad=True).sum().half(), "== 0.75", "✓ accuracy = 0.75"),
        (torch.tensor(7), "== 7", "✓ accuracy = 7"),
        ([torch.tensor(0.5)], ">= .5", "✓ accuracy ≥ .5"),
        (np.True_, None, "✓ accuracy"),
        (torch.tensor(True), None, "✓ accuracy"),
    ],
)
def test_true_claims_print_one_stable_line(capsys, value, bound, line):
    claim("accuracy", value, bound)
    assert capsys.readouterr().out == line + "\n"


@pytest.mark.parametrize(
    ("value", "bound"),
    [
        (0.89, ">= 0.90"),
        (0.91, "<= 0.90"),
        (1, "> 1"),
        (1, "< 1"),
        (8, "== 9"),
        (9, "!= 9"),
        (0.19, "in [0.2, 0.3]"),
        (0.31, "in [0.2, 0.3]"),
    ],
)
def test_false_claims_raise_with_the_measured_value(capsys, value, bound):
    with pytest.raises(AssertionError, match=f"measured: {value:.6g}"):
        claim("accuracy", value, bound)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("nan", [float("nan"), np.float32("nan"), torch.tensor(float("nan"), dtype=torch.bfloat16)], ids=repr)
@pytest.mark.parametrize("bound", [">= 0", "<= 0", "> 0", "< 0", "== 0", "!= 0", "in [0, 1]"])
def test_nan_makes_every_claim_false(bound, nan):
    with pytest.raises(AssertionError, match="measured: nan"):
        claim("accuracy", nan, bound)


@pytest.mark.parametrize("false", [False, np.False_, torch.tensor(False)], ids=repr)
def test_false_truth_value_raises(false):
    with pytest.raises(AssertionError, match="not so"):
        claim("the two agree", false)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_values_on_a_gpu(capsys):
    loss = (torch.ones(2, device="cuda", requires_grad=True) / 4).sum()
    claim("loss", loss, "== 0.5")
    claim("it is small", loss < 1)
    assert capsys.readouterr().out == "✓ loss = 0.5\n✓ it is small\n"


@pytest.mark.parametrize("bound", ["about 3", ">= high", "[0, 1]", "in [0]", ""])
def test_unreadable_bounds_are_rejected(bound):
    with pytest.raises(ValueError, match="bound must look like"):
        claim("accuracy", 1.0, bound)


@pytest.mark.parametrize(
    ("value", "bound"),
    [
        ([1, 2], ">= 0"),
        ("high", ">= 0"),
        (None, ">= 0"),
        (1j, ">= 0"),
        ([[1], [1, 2]], ">= 0"),
        (torch.zeros(2), ">= 0"),
        (1, None),
        ([True], None),
        ("yes", None),
        (torch.ones(()), None),
    ],
)
def test_values_that_are_not_one_number_are_rejected(value, bound):
    with pytest.raises(TypeError, match="must be one real number|takes a truth value|must have one shape"):
        claim("accuracy", value, bound)


def test_report_publishes_the_formatted_number(monkeypatch):
    seen = []
    monkeypatch.setattr("myst_nb.glue", lambda *args, **kwargs: seen.append((args, kwargs)))
    report("ch00-accuracy", 0.91234, "{:.3f}")
    assert seen == [(("ch00-accuracy", "0.912"), {"display": False})]


@pytest.mark.parametrize("value", [torch.zeros(1, device="meta"), torch.zeros(1, 1).to_sparse()], ids=["meta", "sparse"])
def test_tensors_without_a_number_are_rejected(value):
    for bound in (">= 0", None):
        with pytest.raises(TypeError, match="value of the claim 'loss' (is on the meta device|must be a dense tensor)"):
            claim("loss", value, bound)
    with pytest.raises(TypeError, match="value of the report 'ch00-loss' (is on the meta device|must be a dense tensor)"):
        report("ch00-loss", value)


@pytest.mark.parametrize(
    ("value", "fmt", "shown"),
    [
        (torch.tensor(0.25, dtype=torch.bfloat16), "{:.3f}", "0.250"),
        (torch.tensor([0.25], requires_grad=True), "{:.0%}", "25%"),
        (torch.tensor(1200), "{:,d}", "1,200"),
        (np.array([[0.25]]), "{:.1f}", "0.2"),
        (np.int16(1200), "{:,}", "1,200"),
        (np.float32(0.1), "{:g}", "0.1"),
        ("about a third", "{}", "about a third"),
    ],
)
def test_reports_take_scalars_of_every_kind(monkeypatch, value, fmt, shown):
    seen = []
    monkeypatch.setattr("myst_nb.glue", lambda key, text, display: seen.append(text))
    report("ch00-accuracy", value, fmt)
    assert seen == [shown]


@pytest.mark.parametrize("nan", [float("nan"), np.float32("nan"), torch.tensor([float("nan")])], ids=repr)
def test_reports_refuse_nan(nan):
    with pytest.raises(ValueError, match="value of the report 'ch00-accuracy' must be a number, got NaN"):
        report("ch00-accuracy", nan, "{:.3f}")


@pytest.mark.parametrize("many", [torch.zeros(2), np.zeros(0), np.array(["a"])], ids=str)
def test_reports_refuse_arrays_of_other_than_one_number(many):
    with pytest.raises(TypeError, match="value of the report 'ch00-accuracy' must be one real number"):
        report("ch00-accuracy", many)


@pytest.mark.parametrize("key", ["", "  ", 3])
def test_report_needs_a_name(key):
    with pytest.raises(ValueError, match="key must be a name"):
        report(key, 1.0)
