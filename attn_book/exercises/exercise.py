"""The checker: an exercise is a solution, cases to try it on, and a hint for every known wrong answer."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from attn_book.arrays import as_array
from attn_book.lines import print_line


@dataclass(frozen=True)
class Exercise:
    """One exercise. Call it with the reader's function; it prints one line that says where the reader stands.

    Attributes:
        title: What the function should do, in a few words.
        solution: A right answer: one array, or a tuple of them.
        cases: Argument tuples that the functions are compared on.
        mistakes: For each hint, a function that makes just that mistake.
        tolerance: Largest difference (absolute and relative) that still counts as equal.

    Examples:
        >>> mean = Exercise("mean", np.mean, [(np.array([1.0, 2.0, 6.0]),)], {"that is the median": np.median})
        >>> mean(lambda x: x.sum() / len(x))
        ✓ mean
        >>> mean(np.median)
        ✗ mean: that is the median
    """

    title: str
    solution: Callable
    cases: Sequence[tuple]
    mistakes: dict[str, Callable] = field(default_factory=dict)
    tolerance: float = 1e-6

    def __call__(self, attempt):
        """Compare ``attempt`` with the solution on every case and print the verdict.

        Args:
            attempt: The reader's function; it takes the arguments of one case.
        """
        print_line(self.verdict(attempt))

    def verdict(self, attempt) -> str:
        """The line that ``__call__`` prints: it begins with ``✓`` for a right answer, ``…`` for a stub and ``✗`` otherwise."""
        if not callable(attempt):
            return f"✗ {self.title}: pass the function itself, not {type(attempt).__name__} {attempt!r}"
        try:
            results = [_run(attempt, case) for case in self.cases]
        except NotImplementedError:
            return f"… {self.title}: not implemented yet"
        except Exception as error:  # whatever the reader's code raises is an answer, not a failure of the book
            return f"✗ {self.title}: your function raised {type(error).__name__}: {error}"
        expected = [_run(self.solution, case)[0] for case in self.cases]
        if any(changed for _, changed in results):
            return f"✗ {self.title}: your function changes its input; work on a copy"
        got = [result for result, _ in results]
        if self._equal(got, expected):
            return f"✓ {self.title}"
        for hint, wrong in self.mistakes.items():
            if self._equal(got, [_run(wrong, case)[0] for case in self.cases]):
                return f"✗ {self.title}: {hint}"
        return f"✗ {self.title}: {self._first_difference(got, expected)}"

    def _equal(self, got, expected):
        return all(_describe_difference(g, e, self.tolerance) is None for g, e in zip(got, expected, strict=True))

    def _first_difference(self, got, expected):
        for number, (g, e) in enumerate(zip(got, expected, strict=True), start=1):
            if (difference := _describe_difference(g, e, self.tolerance)) is not None:
                return f"on case {number} of {len(expected)}, {difference}"


def _run(function, case):
    """Result of the function on a copy of the case, and whether it changed that copy."""
    arguments = copy.deepcopy(case)
    result = function(*arguments)
    changed = any(not np.array_equal(a, b) for a, b in zip(arguments, case, strict=True))
    return result, changed


def _describe_difference(got, expected, tolerance):
    """None where the two are equal, else what differs, in words; whatever the reader's function returned."""
    if isinstance(expected, tuple):
        if not isinstance(got, tuple) or len(got) != len(expected):
            return f"{len(expected)} results were expected, in a tuple"
        parts = (_describe_difference(g, e, tolerance) for g, e in zip(got, expected, strict=True))
        return next((part for part in parts if part is not None), None)
    if got is None:
        return "nothing came back; is a `return` missing?"
    try:
        numbers = as_array(got, "your result")
    except Exception as error:  # ragged lists, sparse tensors, tensors without values, objects that are no arrays
        return f"an array of numbers was expected: {error}"
    if numbers.dtype.kind not in "biuf":
        return f"real numbers were expected, got {getattr(got, 'dtype', type(got).__name__)}"
    expected = np.asarray(expected)
    if numbers.shape != expected.shape:
        return f"the shape should be {expected.shape}, got {numbers.shape}"
    numbers, expected = numbers.astype(float), expected.astype(float)
    close = np.isclose(numbers, expected, rtol=tolerance, atol=tolerance, equal_nan=True)
    if close.all():
        return None
    with np.errstate(invalid="ignore"):
        gap = np.nan_to_num(np.abs(numbers - expected), nan=np.inf, posinf=np.inf)
    worst = np.unravel_index(np.argmax(np.where(close, -1, gap)), expected.shape)
    where = f" at {tuple(int(i) for i in worst)}" if worst else ""
    return f"the value{where} should be {_as_text(expected[worst], numbers[worst])}"


def _as_text(expected, got):
    """Both numbers with as few digits as tell them apart, four at least."""
    digits = next(d for d in range(4, 18) if d == 17 or f"{expected:.{d}g}" != f"{got:.{d}g}")
    return f"{expected:.{digits}g}, got {got:.{digits}g}"
