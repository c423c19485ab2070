"""Recipes: read from a chapter or a module, hashed by their code alone, performed with a note of what they were made with."""

import json
import sys

import pytest
import torch

from evidence import recipe as recipes
from evidence.recipe import Recipe, origin, perform

SOURCE = '''
import numpy as np
from attn_book.data.search import cued_search

def run(seed, *, scale):
    """Multiply."""
    return {"product": np.float32(seed * scale / 3), "count": seed}  # a comment
'''


def test_what_changes_the_hash_is_code_alone():
    before = Recipe("a", SOURCE).recipe_sha()
    same = SOURCE.replace("  # a comment", "").replace('    """Multiply."""\n', "").replace('"product"', "'product'")
    assert Recipe("a", same.replace("seed * scale", "(seed\n * scale)")).recipe_sha() == before
    for other in (
        SOURCE.replace("/ 3", "/ 4"),
        SOURCE.replace("scale):", "scale=1):"),
        SOURCE.replace("import numpy", "import torch"),
    ):
        assert Recipe("a", other).recipe_sha() != before


def test_the_hash_is_the_same_in_every_version_of_python():
    assert Recipe("a", SOURCE).recipe_sha() == "46aedea037db"


def test_the_package_is_followed_through_its_imports():
    modules = Recipe("a", SOURCE).package_sha()
    assert {"attn_book.data.search", "attn_book.data.drawing", "attn_book.data.material"} <= modules.keys()
    assert not any(name.startswith("attn_utils") or "numpy" in name for name in modules)


@pytest.fixture
def room(tmp_path, monkeypatch):
    """An empty package that counts as one of ours."""
    (tmp_path / "room").mkdir()
    (tmp_path / "room" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(recipes, "PACKAGES", ("room",))
    yield tmp_path / "room"
    for name in [name for name in sys.modules if name.partition(".")[0] == "room"]:
        del sys.modules[name]


@pytest.mark.parametrize(
    "line", ["import room.a", "from room import a", "from room.a import X", "from room.a import *", "def f():\n    import room.a"]
)
def test_imports_are_followed_in_every_form(room, line):
    for name, text in {"a": "from .b import X", "b": "from . import c", "c": "import room.d", "d": "X = 1"}.items():
        (room / f"{name}.py").write_text(text, encoding="utf-8")
    assert Recipe("a", line).package_sha().keys() - {"room"} == {"room.a", "room.b", "room.c", "room.d"}


def test_only_code_counts_in_the_package(room):
    module, shas = room / "there.py", []
    for text in ('"""One."""\nX = 1\n', '"""Two."""\nX = 1  # one\n', "X = 2\n"):
        module.write_text(text, encoding="utf-8")
        shas.append(Recipe(f"{len(shas)}", "from room.there import X\ndef run(): pass").package_sha()["room.there"])
    assert shas[0] == shas[1] != shas[2]


def test_versions_are_those_of_what_is_imported():
    versions = Recipe("a", SOURCE).versions()
    assert versions["python"] == ".".join(map(str, sys.version_info[:3]))
    assert {"numpy", "scikit-image", "scikit-learn"} <= versions.keys()
    assert "torch" not in versions


def test_a_run_says_what_it_was_made_with():
    recipe = Recipe("a", SOURCE)
    done = perform(recipe, {"part": "report", "group": "g", "seed": 2, "settings": {"scale": 2}})
    assert done["scores"] == {"product": 1.33333, "count": 2}
    assert done["origin"] == origin(recipe)
    assert "torch threads: 1" in done["origin"]["machine"]


def test_what_a_recipe_trains_is_trained_on_the_accelerator(monkeypatch):
    monkeypatch.setattr("attn_utils.device.pick_device", lambda: torch.device("meta"))
    recipe = Recipe("a", "def fit(**how): return how\n\ndef run(seed): return {'there': fit()['device'].type == 'meta'}")
    done = perform(recipe, {"seed": 0, "settings": {}})
    assert done["scores"] == {"there": 1}
    assert done["origin"]["machine"].endswith("; on meta")


def test_a_run_that_diverged_says_so():
    recipe = Recipe("a", "def run(seed):\n    raise FloatingPointError('the loss is nan')\n")
    assert perform(recipe, {"seed": 0, "settings": {}})["scores"] == {"diverged": 1}


def test_a_notebook_gives_its_tagged_cells(tmp_path, monkeypatch):
    monkeypatch.setattr(recipes, "ROOT", tmp_path)
    cells = [([], "1 / 0"), (["recipe"], "a = 1"), (["recipe", "hide-cell"], "def run(seed):\n    return {'a': a}")]
    content = {"cells": [{"metadata": {"tags": tags}, "source": [text]} for tags, text in cells]}
    (tmp_path / "x.ipynb").write_text(json.dumps(content), encoding="utf-8")
    assert perform(Recipe.read("x.ipynb"), {"seed": 0, "settings": {}})["scores"] == {"a": 1}


@pytest.mark.parametrize("text", ["a = 1", "class A:\n    def run(self): pass"])
def test_a_recipe_without_run_is_refused(tmp_path, monkeypatch, text):
    monkeypatch.setattr(recipes, "ROOT", tmp_path)
    (tmp_path / "x.py").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"x\.py must define run\(seed, \*\*settings\)"):
        Recipe.read("x.py")
