"""Sphinx extension: the API page from docstrings written as plain text.

Our docstrings are made to be read in the source: Google sections, names in single backticks, equations such as
``|n - m| ≤ radius`` as they are. Here they become the reStructuredText that autodoc expects, so that no docstring has to carry
markup. And where autodoc stands in for numpy and torch (the book is built without them), annotations with ``|`` still work.
"""

import re
from typing import Union

from sphinx.ext.autodoc.mock import _MockObject

CODE = re.compile(r"(``[^`]+``|(?<![:`])`[^`]+`(?!`))")
CLOSING = re.compile(r"(Source|Differs from[^:]*|See also):")
EXAMPLE = re.compile(r"\s*(>>>|\.\.\. |\.\.\.$)")


def join_closing_lines(app, what, name, obj, options, lines):
    """Before napoleon: "Source: ..." and "Differs from ...:" become paragraphs of their own, however they are indented."""
    joined, closing = [], False
    for line in lines:
        if CLOSING.match(line):
            joined += ["", line]
            closing = True
        elif closing and line.startswith(" "):
            joined[-1] += " " + line.strip()
        else:
            joined.append(line)
            closing = False
    lines[:] = joined


def to_rest(app, what, name, obj, options, lines):
    """After napoleon: single backticks mean code, and the bars of an absolute value mean themselves."""
    example = False
    for i, line in enumerate(lines):
        example = bool(EXAMPLE.match(line)) or (example and bool(line.strip()))
        if not example:
            parts = CODE.split(line)
            parts[::2] = [re.sub(r"(?<!\\)\|", r"\\|", part) for part in parts[::2]]
            parts[1::2] = ["``" + part.strip("`") + "``" for part in parts[1::2]]
            lines[i] = "".join(parts)


def setup(app):
    _MockObject.__or__ = lambda self, other: Union[self, other]  # noqa: UP007
    _MockObject.__ror__ = lambda self, other: Union[other, self]  # noqa: UP007
    app.connect("autodoc-process-docstring", join_closing_lines, priority=400)
    app.connect("autodoc-process-docstring", to_rest, priority=600)
    return {"version": "1.0", "parallel_read_safe": True, "parallel_write_safe": True}
