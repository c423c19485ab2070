"""The checker: an exercise is a solution, cases to try it on, and a hint for every known wrong answer."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Exercise:
    """One exercise. Call it with the reader's function; it prints one line that says where the reader stands.

    Attributes:
        title: What the function should do, in a few words.
        solution: A right answer.
        cases: Argument tuples that the functions are compared on.
        mistakes: For each hint, a function that makes just that mistake.
        tolerance: Largest difference (absolute and relative) that still counts as equal.
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
        print(self.verdict(attempt))

    def verdict(self, attempt):
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
    changed = any(_describe_difference(a, b, 0.0) is not None for a, b in zip(arguments, case, strict=True))
    return result, changed


def _describe_difference(got, expected, tolerance):
    """None where the two are equal, else what differs, in words."""
    if isinstance(expected, tuple):
        if not isinstance(got, tuple) or len(got) != len(expected):
            return f"{len(expected)} results were expected, in a tuple"
        parts = (_describe_difference(g, e, tolerance) for g, e in zip(got, expected, strict=True))
        return next((part for part in parts if part is not None), None)
    if expected is None or callable(expected) or isinstance(expected, str):
        return None if got is expected or got == expected else f"{expected!r} was expected, got {got!r}"
    if got is None:
        return "nothing came back; is a `return` missing?"
    got, expected = _to_array(got), _to_array(expected)
    if got.dtype == object or got.dtype.kind in "US":
        return f"numbers were expected, got {got.dtype}"
    if got.shape != expected.shape:
        return f"the shape should be {expected.shape}, got {got.shape}"
    if np.allclose(got, expected, rtol=tolerance, atol=tolerance, equal_nan=True):
        return None
    worst = np.unravel_index(np.argmax(_gap(got, expected)), expected.shape)
    where = f" at {tuple(int(i) for i in worst)}" if worst else ""
    return f"the value{where} should be {expected[worst]:.4g}, got {got[worst]:.4g}"


def _gap(got, expected):
    """Distance of each pair of entries; where only one of the two is not finite it is infinite."""
    with np.errstate(invalid="ignore"):
        gap = np.abs(got.astype(float) - expected.astype(float))
    same = (got == expected) | (np.isnan(got.astype(float)) & np.isnan(expected.astype(float)))
    return np.where(same, 0.0, np.where(np.isnan(gap), np.inf, gap))


def _to_array(value):
    return np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
