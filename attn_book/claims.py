"""Claims that a cell checks, and measured numbers that the prose shows."""

import operator
import re

import numpy as np

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
        value: The measured value: one real number (a NumPy or torch scalar will do), or a truth value where ``bound`` is left out.
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
    number = _scalar(text, value)
    if match := _COMPARISON.fullmatch(bound):
        sign, compare = _OPERATORS[match[1]]
        holds, line = compare(number, float(match[2])), f"{text} {sign} {match[2]}"
    elif match := _INTERVAL.fullmatch(bound):
        holds, line = float(match[1]) <= number <= float(match[2]), f"{text} in [{match[1]}, {match[2]}]"
    else:
        raise ValueError(f'bound must look like ">= 0.9" or "in [0.2, 0.3]", got {bound!r}')
    if not holds or np.isnan(number):
        raise AssertionError(f"claimed: {line}; measured: {number:.6g}")
    print(f"✓ {line}")


def report(key, value, fmt="{}"):
    """Publish a measured number under a name, so that prose can show it and nobody types it.

    Args:
        key: Name of the number, unique in the book, for example ``"ch07-cue-accuracy"``. Prose shows it with
            ``{glue:text}`` and this name.
        value: Anything that ``fmt`` can format.
        fmt: Format string with one field, for example ``"{:.3f}"``.
    """
    if not isinstance(key, str) or not key.strip():
        raise ValueError(f"key must be a name, got {key!r}")
    from myst_nb import glue  # takes a second to import, and most chapters make claims long before they report

    glue(key, fmt.format(value), display=False)


def _check_truth(text, value):
    if np.shape(value) != () or np.asarray(value).dtype != bool:
        raise TypeError(f"a claim without a bound takes a truth value, got {value!r}")
    if not value:
        raise AssertionError(f"claimed: {text}; measured: not so")
    print(f"✓ {text}")


def _scalar(text, value):
    array = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
    if array.size != 1 or array.dtype.kind not in "biuf":
        raise TypeError(f"value of the claim {text!r} must be one real number, got {value!r}")
    return float(array.item())
