"""The exercises: a stub, the right answer and every named wrong answer each get the line they should."""

import numpy as np
import pytest
import torch

from attn_book.exercises import ch01, ch02, ch03, ch04, ch05, ch06, ch07
from attn_book.exercises.exercise import Exercise

CHAPTERS = (ch01, ch02, ch03, ch04, ch05, ch06, ch07)
EXERCISES = {name: value for chapter in CHAPTERS for name, value in vars(chapter).items() if isinstance(value, Exercise)}


def _share(x):
    return x / x.sum()


share = Exercise(
    "share out",
    _share,
    [(np.array([1.0, 3.0]),), (np.array([2.0, 2.0, 4.0]),)],
    {"divide by the sum, not by the largest": lambda x: x / x.max()},
)


def _stub(*arguments):
    raise NotImplementedError


def test_the_book_has_exercises():
    assert EXERCISES, "attn_book.exercises defines no exercise"


@pytest.mark.parametrize("name", EXERCISES)
def test_stub_is_told_so(name):
    exercise = EXERCISES[name]
    assert exercise.verdict(_stub) == f"… {exercise.title}: not implemented yet"


@pytest.mark.parametrize("name", EXERCISES)
def test_solution_is_right(name):
    exercise = EXERCISES[name]
    assert exercise.verdict(exercise.solution) == f"✓ {exercise.title}"


@pytest.mark.parametrize("name", EXERCISES)
def test_every_exercise_names_a_wrong_answer(name):
    assert EXERCISES[name].mistakes


@pytest.mark.parametrize(("name", "hint"), [(name, hint) for name, e in EXERCISES.items() for hint in e.mistakes])
def test_each_named_mistake_gets_its_hint(name, hint):
    exercise = EXERCISES[name]
    assert exercise.verdict(exercise.mistakes[hint]) == f"✗ {exercise.title}: {hint}"


@pytest.mark.parametrize(
    ("attempt", "words"),
    [
        (lambda x: x, "the value at (1,) should be 0.75, got 3"),
        (lambda x: None, "is a `return` missing?"),
        (lambda x: x[0], "the shape should be (2,), got ()"),
        (lambda x: "half", "numbers were expected"),
        (lambda x: x * np.nan, "got nan"),
        (lambda x: np.divide(x, x.sum(), out=x), "changes its input"),
        (lambda x: 1 / 0, "raised ZeroDivisionError: division by zero"),
        (3, "pass the function itself, not int 3"),
    ],
)
def test_other_wrong_answers_get_a_useful_line(attempt, words):
    verdict = share.verdict(attempt)
    assert verdict.startswith("✗ share out: ") and words in verdict


def test_torch_answers_are_compared_too(capsys):
    share(lambda x: torch.tensor(x / x.sum(), requires_grad=True))
    assert capsys.readouterr().out == "✓ share out\n"


def test_several_results_are_compared_one_by_one():
    both = Exercise("both", lambda x: (x, 2 * x), [(np.arange(3.0),)])
    assert both.verdict(lambda x: (x, 2 * x)) == "✓ both"
    assert "2 results were expected" in both.verdict(lambda x: x)
    assert "should be 4, got 6" in both.verdict(lambda x: (x, 3 * x))
