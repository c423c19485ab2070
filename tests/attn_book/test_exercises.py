"""The exercises: a stub, the right answer, every named wrong answer and every odd one each get the line they should."""

import importlib
import pkgutil

import numpy as np
import pytest
import torch

from attn_book import exercises
from attn_book.exercises import ch03, ch04
from attn_book.exercises.exercise import Exercise

CHAPTERS = [name for _, name, _ in pkgutil.iter_modules(exercises.__path__) if name.startswith("ch")]
EXERCISES = {
    f"{chapter}.{name}": value
    for chapter in CHAPTERS
    for name, value in vars(importlib.import_module(f"attn_book.exercises.{chapter}")).items()
    if isinstance(value, Exercise)
}


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
    assert {name.split(".")[0] for name in EXERCISES} == set(CHAPTERS) >= {f"ch{number:02d}" for number in range(1, 9)}


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
        (lambda x: "half", "real numbers were expected, got str"),
        (lambda x: x / x.sum() + 0j, "real numbers were expected, got complex128"),
        (lambda x: x * np.nan, "the value at (0,) should be 0.25, got nan"),
        (lambda x: x / x.sum() + 1e-5, "the value at (0,) should be 0.25, got 0.25001"),
        (lambda x: np.array([0.25, np.inf]), "the value at (1,) should be 0.75, got inf"),
        (lambda x: (x, x[:1]), "on case 1 of 2, an array of numbers was expected: the parts of your result must have one shape"),
        (lambda x: torch.tensor(x).to_sparse(), "your result must be a dense tensor, got layout torch.sparse_coo"),
        (lambda x: torch.tensor(x, device="meta"), "your result is on the meta device and has no values"),
        (lambda x: torch.tensor(x / x.sum()).bfloat16() + 0.125, "the value at (0,) should be 0.25, got 0.375"),
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


class Treacherous:
    """An object that is no array and says so rudely."""

    def __array__(self, *arguments, **keywords):
        raise RuntimeError("not an array")

    def __eq__(self, other):
        raise RuntimeError("not comparable")

    __hash__ = None


def _endless():
    endless = []
    endless.append(endless)
    return endless


# What a reader's function may return besides a right or a slightly wrong array, made of the right answer.
ODD = {
    "ragged tuple": lambda right: (right, np.zeros((2, 3, 4, 5))),
    "ragged nested lists": lambda right: [[1.0, 2.0], [3.0]],
    "tuple with None": lambda right: (right, None),
    "list in itself": lambda right: _endless(),
    "bfloat16": lambda right: torch.tensor(right).bfloat16() + 0.4,
    "float8": lambda right: torch.tensor(right).float().to(torch.float8_e4m3fn).unsqueeze(-1),
    "sparse": lambda right: torch.ones(2, 2).to_sparse(),
    "sparse of the right shape": lambda right: torch.tensor(np.atleast_1d(right)).to_sparse(),
    "meta": lambda right: torch.tensor(right, device="meta"),
    "nested": lambda right: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)], layout=torch.jagged),
    "complex": lambda right: np.asarray(right) + 1j,
    "complex tensor": lambda right: torch.tensor(right) + 1j,
    "one axis too many": lambda right: np.asarray(right)[None],
    "empty": lambda right: np.zeros(0),
    "NaN": lambda right: np.asarray(right) * np.nan,
    "infinite": lambda right: np.full(np.shape(right), -np.inf),
    "beyond float32": lambda right: np.full(np.shape(right), 1e300),
    "text": lambda right: "softmax",
    "array of text": lambda right: np.full(np.shape(right), "a"),
    "bytes": lambda right: b"softmax",
    "dates": lambda right: np.full(np.shape(right), np.datetime64("2020-01-01")),
    "objects": lambda right: np.full(np.shape(right), None),
    "records": lambda right: np.zeros(np.shape(right), [("a", float), ("b", int)]),
    "dictionary": lambda right: {"out": right},
    "set": lambda right: {1.0, 2.0},
    "generator": lambda right: (x for x in [right]),
    "function": lambda right: np.sum,
    "module": lambda right: np,
    "nothing": lambda right: None,
    "no array": lambda right: Treacherous(),
    "list of no arrays": lambda right: [Treacherous(), torch.ones(2)],
}


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("name", EXERCISES)
def test_an_odd_answer_gets_a_line_and_no_error(name, kind):
    exercise = EXERCISES[name]
    verdict = exercise.verdict(lambda *arguments: ODD[kind](exercise.solution(*arguments)))
    assert verdict.startswith(f"✗ {exercise.title}: ")
    assert "\n" not in verdict


@pytest.mark.parametrize("kind", [np.asarray, torch.tensor, lambda x: np.asarray(x).tolist(), lambda x: np.asarray(x, order="F")])
@pytest.mark.parametrize("name", EXERCISES)
def test_a_right_answer_is_right_in_every_wrapping(name, kind):
    exercise = EXERCISES[name]
    verdict = exercise.verdict(lambda *arguments: kind(np.array(exercise.solution(*arguments))))
    assert verdict == f"✓ {exercise.title}"


@pytest.mark.parametrize("name", [name for name, e in EXERCISES.items() if any(isinstance(x, np.ndarray) for x in e.cases[0])])
def test_a_changed_input_is_noticed(name):
    exercise = EXERCISES[name]

    def careless(*arguments):
        right = exercise.solution(*arguments)
        next(argument for argument in arguments if isinstance(argument, np.ndarray))[...] = 0
        return right

    assert exercise.verdict(careless) == f"✗ {exercise.title}: your function changes its input; work on a copy"


def test_a_convolution_of_another_size_is_told_which_size_is_meant():
    from scipy.signal import convolve2d

    for mode, words in [("full", "this is the full convolution, larger than the picture"), ("same", "as large as the picture")]:
        assert words in ch03.true_convolution.verdict(lambda x, k, mode=mode: convolve2d(x, k, mode=mode))
    assert ch03.true_convolution.verdict(lambda x, k: convolve2d(x, k, mode="valid")).startswith("✓")


def test_a_temperature_that_is_never_changed_is_noticed():
    assert "this is always 1" in ch04.temperature_for_keys.verdict(lambda scores, keys: 1)
