"""Sphinx extension: the API page from docstrings written as plain text.

Our docstrings are made to be read in the source: Google sections, `names` in single backticks, code in fences, equations such
as |n - m| ≤ radius as they are. Here they become the reStructuredText that autodoc expects, so that no docstring has to carry
markup. And where autodoc stands in for numpy and torch (the book is built without them), annotations with `|` still work.
"""

import inspect
import re
import sys
from typing import Union

from sphinx.ext.autodoc.mock import _MockObject
from sphinx.util.inspect import stringify_signature

CODE = re.compile(r"(``[^`]+``|(?<![:`])`[^`]+`(?!`)|\{[^{}`]*:[^{}`]*\})")  # or a dict, which napoleon would split
MARKUP = re.compile(r"(?<!\\)([|*]|(?<=\w)_(?!\w))")
CLOSING = re.compile(r"(Source|Differs from[^:]*):")


def to_rest(lines):
    """Plain lines to reStructuredText lines; Google sections are left to napoleon, which comes after."""
    rest, lines = [], list(lines)
    while lines:
        line = lines.pop(0)
        indent = line[: len(line) - len(line.lstrip())]
        if line.lstrip().startswith("```"):
            code = _take(lines, lambda following: not following.lstrip().startswith("```"))
            del lines[:1]  # the closing fence
            rest += ["", f"{indent}.. code-block:: python", "", *("    " + each for each in code), ""]
        elif line.lstrip().startswith(">>>"):
            rest += [line, *_take(lines, str.strip)]
        elif CLOSING.match(line):  # "Source: ..." and "Differs from ...:" are paragraphs, however they are indented
            more = _take(lines, lambda each: each.strip() and not CLOSING.match(each))
            rest += ["", _inline(" ".join([line, *map(str.strip, more)])), ""]
        elif line.endswith("::"):
            code = _take(lines, lambda following: True)
            rest += [line, "", *("    " + each for each in code)]
        else:
            text = [line, *_take(lines, _is_prose)]
            rest += _inline("\n".join(text)).split("\n")
            if text[-1].endswith("::"):
                rest += _take(lines, lambda each: not each.strip() or each.startswith(" "))
    return rest


def _is_prose(line):
    return line.strip() and not line.lstrip().startswith(("```", ">>>")) and not CLOSING.match(line)


def _take(lines, wanted):
    taken = []
    while lines and wanted(lines[0]):
        taken.append(lines.pop(0))
    return taken


def _inline(text):
    """Single backticks mean code; bars, stars and underscores mean themselves."""
    parts = CODE.split(text)
    parts[::2] = [MARKUP.sub(r"\\\1", part) for part in parts[::2]]
    parts[1::2] = ["``" + part.strip("`") + "``" for part in parts[1::2]]
    return "".join(parts)


def process(app, what, name, obj, options, lines):
    lines[:] = to_rest(lines)


def class_signature(app, what, name, obj, options, signature, return_annotation):
    """The arguments of a class whose base is a stand-in are those of its own `__init__`."""
    if what == "class" and signature == "(*args, **kwargs)" and "__init__" in vars(obj):
        own = inspect.signature(obj.__init__)
        arguments = list(own.parameters.values())[1:]
        return stringify_signature(own.replace(parameters=arguments), show_annotation=False), ""
    return None


def setup(app):
    sys.path.insert(0, str(app.srcdir))  # attn_utils is not installed where only the pages are built
    _MockObject.__or__ = lambda self, other: Union[self, other]  # noqa: UP007
    _MockObject.__ror__ = lambda self, other: Union[other, self]  # noqa: UP007
    app.connect("autodoc-process-docstring", process, priority=400)  # before napoleon's 500
    app.connect("autodoc-process-signature", class_signature)
    return {"version": "1.0", "parallel_read_safe": True, "parallel_write_safe": True}
