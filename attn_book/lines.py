"""Lines with signs such as ✓ and ≥, on whatever they are printed: a console that lacks a sign must not fail a true claim."""

_PLAIN = str.maketrans({"✓": "[ok]", "✗": "[no]", "…": "...", "≥": ">=", "≤": "<=", "≠": "!=", "−": "-", "×": "x"})


def print_line(line: str) -> None:
    """Print a line; where standard output has no such signs (cp1252, ASCII), in plain ones.

    Args:
        line: any text. On a stream that cannot hold it, ✓ is printed as ``[ok]``, ✗ as ``[no]``, ≥ as ``>=`` and so on,
            and every other sign that is missing as ``?``.
    """
    try:
        print(line)
    except UnicodeEncodeError as error:  # raised before anything is written
        print(line.translate(_PLAIN).encode(error.encoding, "replace").decode(error.encoding))
