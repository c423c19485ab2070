"""Any cell can be run again: a name that a cell finds is not given another meaning further down."""

import ast
import symtable
from pathlib import Path

import nbformat
import pytest

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def bound(node):
    """{name: first line} of what is assigned, imported or defined on the cell's own level."""
    lines = {}
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.ClassDef)):
            lines.setdefault(child.name, child.lineno)
        elif not isinstance(child, (*COMPREHENSIONS, ast.Lambda)):
            if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store):
                lines.setdefault(child.id, child.lineno)
            lines = bound(child) | lines
    return lines


def found(source):
    """Names that a cell takes from cells before it: read, in functions too, and not bound on an earlier line."""
    own = bound(ast.parse(source))
    names = set()

    def look(table, top):
        for symbol in table.get_symbols():
            if symbol.is_referenced() and (top or symbol.is_global()):
                names.add(symbol.get_name())
        for child in table.get_children():
            look(child, top=False)

    look(symtable.symtable(source, "cell", "exec"), top=True)
    return {name for name in names if name not in own or first_read(ast.parse(source), name) <= own[name]}


def first_read(node, name):
    """First line that reads a name, comprehensions that have it as their own variable aside."""
    if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load):
        return node.lineno
    if isinstance(node, COMPREHENSIONS) and any(name in bound(generator) for generator in node.generators):
        return float("inf")
    if isinstance(node, (ast.FunctionDef, ast.Lambda)) and name in [argument.arg for argument in node.args.args]:
        return float("inf")
    return min((first_read(child, name) for child in ast.iter_child_nodes(node)), default=float("inf"))


def changed_below(sources, free=()):
    """(cell, name) of every name that a cell finds and a cell from there on binds anew; names in `free` may be."""
    binders = {}
    for cell, source in enumerate(sources):
        for name in bound(ast.parse(source)):
            binders.setdefault(name, []).append(cell)
    return [
        (cell, name)
        for cell, source in enumerate(sources)
        for name in sorted(found(source) - set(free))
        if name in binders and binders[name][0] < cell <= binders[name][-1]
    ]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_any_cell_can_be_run_again(path):
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    tagged = [cell for cell in cells if "parameters" in cell.metadata.get("tags", ())]
    parameters = {name for cell in tagged for name in bound(ast.parse(cell.source))}
    assert not changed_below([cell.source for cell in cells], free=parameters)


@pytest.mark.parametrize(
    ("sources", "faults"),
    [
        (["x = 1", "y = x", "x = 2"], [(1, "x")]),
        (["x = 1", "y = x"], []),
        (["x = 1", "x = x + 1"], [(1, "x")]),
        (["x = 1", "def f():\n    return x", "x = 2"], [(1, "x")]),
        (["x = 1", "def f(x):\n    return x", "x = 2"], []),
        (["for x in 'ab':\n    y = x", "z = [x for x in 'ab']\nfor x in z:\n    y = x"], []),
        (["x = 1", "x = 2\ny = x", "z = x"], []),
    ],
)
def test_the_search_finds_what_changes(sources, faults):
    assert changed_below(sources) == faults
