"""Verdicts and claims on a console that lacks ✓: printed in plain signs, and true all the same."""

import contextlib
import io

import numpy as np
import pytest

from attn_book.claims import claim
from attn_book.exercises.exercise import Exercise
from attn_book.lines import print_line


def printed(encoding, *calls):
    """What arrives on a strict standard output with this encoding."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="")
    with contextlib.redirect_stdout(stream):
        for call in calls:
            call()
    stream.flush()
    return stream.buffer.getvalue().decode(encoding)


@pytest.mark.parametrize(
    ("encoding", "lines"),
    [
        ("utf-8", "✓ accuracy ≥ 0.90\n✓ they agree\n"),
        ("cp1252", "[ok] accuracy >= 0.90\n[ok] they agree\n"),
        ("ascii", "[ok] accuracy >= 0.90\n[ok] they agree\n"),
    ],
)
def test_a_true_claim_is_printed_on_every_console(encoding, lines):
    assert printed(encoding, lambda: claim("accuracy", 0.93, ">= 0.90"), lambda: claim("they agree", True)) == lines


@pytest.mark.parametrize(
    ("encoding", "lines"),
    [
        ("utf-8", "✓ √ and ²\n… √ and ²: not implemented yet\n✗ √ and ²: once is too few\n"),
        ("cp1252", "[ok] ? and ²\n... ? and ²: not implemented yet\n[no] ? and ²: once is too few\n"),
        ("ascii", "[ok] ? and ?\n... ? and ?: not implemented yet\n[no] ? and ?: once is too few\n"),
    ],
)
def test_verdicts_are_printed_on_every_console(encoding, lines):
    double = Exercise("√ and ²", lambda x: 2 * x, [(np.ones(2),)], {"once is too few": lambda x: x})

    def stub(x):
        raise NotImplementedError

    assert printed(encoding, *(lambda f=f: double(f) for f in (double.solution, stub, lambda x: x))) == lines


def test_a_line_that_fits_is_left_alone():
    assert printed("cp1252", lambda: print_line("… é × ²")) == "… é × ²\n"
