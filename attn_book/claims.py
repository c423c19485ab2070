"""Claims that a cell checks, and measured numbers that the prose shows."""

import math
import operator
import re
from numbers import Real

import numpy as np

from attn_book.arrays import as_array
from attn_book.lines import print_line

_NUMBER = r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"
_COMPARISON = re.compile(rf"\s*(>=|<=|==|!=|>|<)\s*{_NUMBER}\s*")
_INTERVAL = re.compile(rf"\s*in\s*\[\s*{_NUMBER}\s*,\s*{_NUMBER}\s*\]\s*")
_OPERATORS = {
    ">=": ("≥", operator.ge),
    "<=": ("≤", operator.le),
    "==": ("=", operator.eq),
    "!=": ("≠", operator.ne),
    ">": (">", operator.gt),
    "<": ("<", operator.lt),
}


def claim(text, value, bound=None):
    """Check a claim and print one line that is the same on every machine.

    Args:
        text: What is claimed, for example ``"test accuracy"``.
        value: The measured value: one real number, or a truth value where ``bound`` is left out. Scalars and arrays of one
            entry will do, of NumPy or torch, on any device, in any precision, with or without a graph.
        bound: ``">= 0.90"``, ``"<= 1e-12"``, ``"> 0"``, ``"< 1"``, ``"== 9"``, ``"!= 0"`` or ``"in [0.2, 0.3]"``. Numbers are
            printed as they are written here, so the line does not move with the last digits of the measurement.

    Raises:
        AssertionError: The claim is false; the message carries the measured value. NaN makes every claim false.
        TypeError: ``value`` is not one number, or not a truth value where ``bound`` is left out.
        ValueError: ``bound`` cannot be read.

    Examples:
        >>> claim("rows of the weights", 9, "== 9")
        ✓ rows of the weights = 9
        >>> claim("the two agree", True)
        ✓ the two agree
    """
    if bound is None:
        _check_truth(text, value)
        return
    number = _scalar(f"value of the claim {text!r}", value)
    if match := _COMPARISON.fullmatch(bound):
        sign, compare = _OPERATORS[match[1]]
        holds, line = compare(number, float(match[2])), f"{text} {sign} {match[2]}"
    elif match := _INTERVAL.fullmatch(bound):
        holds, line = float(match[1]) <= number <= float(match[2]), f"{text} in [{match[1]}, {match[2]}]"
    else:
        raise ValueError(f'bound must look like ">= 0.9" or "in [0.2, 0.3]", got {bound!r}')
    if not holds or math.isnan(number):
        raise AssertionError(f"claimed: {line}; measured: {float(number):.6g}")
    print_line(f"✓ {line}")


def report(key, value, fmt="{}"):
    """Publish a measured number under a name, so that prose can show it and nobody types it.

    Args:
        key: Name of the number, unique in the book, for example ``"ch07-cue-accuracy"``. Prose shows it with
            ``{glue:text}`` and this name.
        value: Anything that ``fmt`` can format; tensors and arrays of one entry too, as in `claim`.
        fmt: Format string with one field, for example ``"{:.3f}"``.

    Raises:
        TypeError: ``value`` is a tensor or an array, and not of one real number.
        ValueError: ``key`` is no name, or ``value`` is NaN.
    """
    if not isinstance(key, str) or not key.strip():
        raise ValueError(f"key must be a name, got {key!r}")
    if hasattr(value, "detach") or isinstance(value, np.ndarray):
        value = _scalar(f"value of the report {key!r}", value)
    if isinstance(value, Real) and math.isnan(value):
        raise ValueError(f"value of the report {key!r} must be a number, got NaN")
    from myst_nb import glue  # takes a second to import, and most chapters make claims long before they report

    glue(key, fmt.format(value), display=False)


def _check_truth(text, value):
    truth = _array(f"value of the claim {text!r}", value)
    if truth.shape != () or truth.dtype != bool:
        raise TypeError(f"a claim without a bound takes a truth value, got {value!r}")
    if not truth:
        raise AssertionError(f"claimed: {text}; measured: not so")
    print_line(f"✓ {text}")


def _scalar(name, value):
    array = _array(name, value)
    if array.size != 1 or array.dtype.kind not in "biuf":
        raise TypeError(f"{name} must be one real number, got {value!r}")
    return array.item()


def _array(name, value):
    try:
        return as_array(value, name)
    except ValueError as error:  # a ragged list, a tensor without values
        raise TypeError(str(error)) from error
