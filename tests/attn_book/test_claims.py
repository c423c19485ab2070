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
        (np.True_, None, "✓ accuracy"),
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


@pytest.mark.parametrize("bound", [">= 0", "<= 0", "> 0", "< 0", "== 0", "!= 0", "in [0, 1]"])
def test_nan_makes_every_claim_false(bound):
    with pytest.raises(AssertionError, match="measured: nan"):
        claim("accuracy", float("nan"), bound)


def test_false_truth_value_raises():
    with pytest.raises(AssertionError, match="not so"):
        claim("the two agree", False)


@pytest.mark.parametrize("bound", ["about 3", ">= high", "[0, 1]", "in [0]", ""])
def test_unreadable_bounds_are_rejected(bound):
    with pytest.raises(ValueError, match="bound must look like"):
        claim("accuracy", 1.0, bound)


@pytest.mark.parametrize(("value", "bound"), [([1, 2], ">= 0"), ("high", ">= 0"), (1j, ">= 0"), (1, None), ([True], None)])
def test_values_that_are_not_one_number_are_rejected(value, bound):
    with pytest.raises(TypeError, match="must be one real number|takes a truth value"):
        claim("accuracy", value, bound)


def test_report_publishes_the_formatted_number(monkeypatch):
    seen = []
    monkeypatch.setattr("myst_nb.glue", lambda *args, **kwargs: seen.append((args, kwargs)))
    report("ch00-accuracy", 0.91234, "{:.3f}")
    assert seen == [(("ch00-accuracy", "0.912"), {"display": False})]


@pytest.mark.parametrize("key", ["", "  ", 3])
def test_report_needs_a_name(key):
    with pytest.raises(ValueError, match="key must be a name"):
        report(key, 1.0)
