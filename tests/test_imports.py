"""Who may import what in attn_utils: arrays at the bottom, layers on them, training and recording on those; leaves take arrays.

A file that is not in the table fails too: decide where it stands before it grows imports.
"""

import ast
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "attn_utils"

MAY_IMPORT = {
    "__init__": set(),
    # arrays
    "reference": {"numpy"},
    "masks": {"numpy"},
    "positions": {"numpy"},
    "scenes": {"numpy", "sklearn", "skimage"},
    # layers
    "layers": {"torch", "numpy", ".masks", ".positions"},
    "conv_attention": {"torch", "einops", ".layers"},
    "efficient": {"torch", "einops", ".layers", ".masks", ".positions"},
    "detr_attention": {"torch", "einops", ".layers", ".efficient"},
    "published": {"torch", ".layers"},
    # what every attention must keep
    "contracts": {"torch"},
    # training and recording
    "train": {"torch", "numpy", "tqdm"},
    "record": {"torch"},
    # what chapters say and ask
    "claims": {"numpy", "torch", "myst_nb"},
    "check": {"numpy", "torch"},
    # leaves
    "plotting": {"numpy", "matplotlib", "IPython", "PIL"},
    "explorer": {"numpy", "matplotlib", "PIL", "anywidget", "ipywidgets", "traitlets"},
}

FILES = sorted(PACKAGE.glob("*.py"))


def imports(path):
    """Top-level names a file imports, wherever in the file; those of this package with a dot before them."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
        if isinstance(node, ast.Import):
            names |= {_name(alias.name) for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level:
            names |= {f".{node.module}"} if node.module else {f".{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            own = node.module == PACKAGE.name
            names |= {f".{alias.name}" for alias in node.names} if own else {_name(node.module)}
    return {name for name in names if name not in sys.stdlib_module_names}


def _name(module):
    first, _, rest = module.partition(".")
    return f".{rest.partition('.')[0]}" if first == PACKAGE.name else first


def test_there_are_files():
    assert FILES


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_arrows_point_one_way(path):
    assert path.stem in MAY_IMPORT, f"{path.name} has no row in the table of this test"
    assert imports(path) - MAY_IMPORT[path.stem] == set(), f"{path.stem} may import {sorted(MAY_IMPORT[path.stem])} only"


def test_the_table_has_no_circle():
    def below(name, above=()):
        assert name not in above, f"circle: {' → '.join([*above, name])}"
        for other in MAY_IMPORT[name]:
            if other.startswith("."):
                below(other[1:], (*above, name))

    for name in MAY_IMPORT:
        below(name)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import numpy.linalg as la", {"numpy"}),
        ("from attn_utils.masks import causal", {".masks"}),
        ("from attn_utils import masks, check", {".masks", ".check"}),
        ("from .layers import Block", {".layers"}),
        ("from . import layers", {".layers"}),
        ("import os, json", set()),
        ("def f():\n    from torch import nn", {"torch"}),
    ],
)
def test_imports_are_read_in_every_form(tmp_path, source, found):
    path = tmp_path / "some.py"
    path.write_text(source, encoding="utf8")
    assert imports(path) == found


def test_no_chapter_is_imported():
    root = PACKAGE.parent
    for path in [*FILES, *(root / "tests").glob("*.py"), *(root / "tools").glob("*.py")]:
        assert "notebooks" not in imports(path), path.name
