"""What a notebook keeps of a figure: an SVG that stands alone, small, the same every time – whatever the reader's shell says."""

import base64
import io
import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import matplotlib as mpl
import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from PIL import Image

from attn_book.data.material import photograph
from attn_book.figures import common, style
from attn_book.figures.svg import HREF, SVG, smaller_picture, svg_of

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _look():
    with plt.rc_context():
        style.use()
        yield
    plt.close("all")


def href_of(image, **options):
    written = io.BytesIO()
    image.save(written, "png", **options)
    return "data:image/png;base64," + base64.b64encode(written.getvalue()).decode()


def picture_of(href):
    return Image.open(io.BytesIO(base64.b64decode(href.partition(",")[2])))


def test_words_are_text_and_keep_their_digits():
    root = ElementTree.fromstring(svg_of(common.number_grids([[[0.78834, 12.00049]]], ["weights"], fmt="{:.5f}")))
    words = [text.text for text in root.iter(f"{SVG}text")]
    assert words == ["0.78834", "12.00049", "weights"]
    assert {tag.tag.removeprefix(SVG) for tag in root.iter()} <= {
        "svg",
        "rect",
        "g",
        "path",
        "text",
        "defs",
        "use",
        "clipPath",
        "image",
    }


def test_it_says_nothing_of_when_and_with_what_it_was_drawn():
    draw = lambda: svg_of(common.curves({"a": [1, 3, 2]}, xlabel="x", ylabel="y"))
    assert draw() == draw()
    assert not re.search(r"<metadata|matplotlib|\b20\d\d-\d\d", draw())
    assert set(re.findall(r"font-family: ([^;\"]*)", draw())) == {"'DejaVu Sans', sans-serif"}


def test_it_brings_its_own_paper_and_no_rule_for_other_elements():
    root = ElementTree.fromstring(svg_of(common.curves({"a": [1, 3, 2]}, xlabel="x", ylabel="y")))
    paper = root[0]
    assert (paper.get("class"), paper.get("width"), paper.get("height"), paper.get("fill")) == (
        "paper",
        "100%",
        "100%",
        "#ffffff",
    )
    assert list(root.iter(f"{SVG}style")) == []
    assert "stroke-linejoin: round" in root.get("style")


def test_every_id_is_referred_to_and_every_reference_is_there():
    svg = svg_of(
        common.responses(photograph("coffee", size=(48, 72)), np.random.default_rng(0).random((2, 4, 6)), [(0, 0), (3, 5)])
    )
    ids = re.findall(r' id="([^"]+)"', svg)
    assert len(ids) == len(set(ids))
    assert set(ids) == set(re.findall(r'(?:url\(#|href="#)([^)"]+)', svg))


def test_a_picture_keeps_its_own_pixels_and_colours():
    values = np.arange(35.0).reshape(5, 7)
    root = ElementTree.fromstring(svg_of(common.pictures([values], cmap=style.WEIGHTS, cell=3.0)))
    (image,) = root.iter(f"{SVG}image")
    assert "image-rendering: pixelated" in root.get("style") and image.get("style") is None
    drawn = np.asarray(picture_of(image.get(HREF)).convert("RGB"))
    np.testing.assert_array_equal(drawn, (mpl.colormaps[style.WEIGHTS](values / 34, bytes=True))[..., :3])


def test_a_picture_under_several_maps_is_written_once_at_every_place():
    picture = photograph("coffee", size=(48, 72))
    root = ElementTree.fromstring(svg_of(common.responses(picture, np.random.default_rng(0).random((3, 4, 6)), [(0, 0)] * 3)))
    (defined,) = [image for image in root.iter(f"{SVG}image") if image.get("width") == "72"]
    uses = [use for use in root.iter(f"{SVG}use") if use.get(HREF) == f"#{defined.get('id')}"]
    assert defined.get("transform") is None
    assert len({use.get("transform") for use in uses}) == 4


def test_pictures_become_smaller_and_lose_nothing_that_can_be_seen():
    rng = np.random.default_rng(0)
    few = Image.fromarray(rng.choice(200, (60, 60)).astype(np.uint8)).convert("RGB")
    photo = Image.fromarray((photograph("coffee", size=(120, 180)) * 255).astype(np.uint8))
    small = photo.resize((60, 40))
    clear = Image.fromarray(rng.integers(0, 256, (90, 90, 4), dtype=np.uint8))
    for image, kind, loss in ((few, "png", 0), (photo, "jpeg", 3), (small, "png", 0), (clear, "png", 0)):
        before, after = href_of(image), smaller_picture(href_of(image))
        assert after.startswith(f"data:image/{kind};")
        assert len(after) <= len(before)
        difference = np.asarray(image.convert("RGBA"), int) - np.asarray(picture_of(after).convert("RGBA"), int)
        assert np.abs(difference).mean() <= loss
    assert len(smaller_picture(href_of(photo))) < len(href_of(photo)) / 2
    assert picture_of(smaller_picture(href_of(small.convert("RGBA")))).mode == "RGB"  # nothing is said of what is opaque


CELL = """\
from attn_book.figures import common, style
style.use()
fig = common.curves({"a": ([1, 10, 100], [0.1, 1, 10])}, xlabel="x", ylabel="y", logx=True, logy=True)"""


def outputs(folder, env):
    """The outputs of a chapter's first figure, of its second, and of one that is a cell's value, in a kernel with these variables."""
    codes = [CELL, "fig = common.number_grids([[[1, 2]]])", "fig = None\ncommon.number_grids([[[3]]])"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in codes])
    shell = {key: value for key, value in os.environ.items() if not key.startswith(("MPL", "MATPLOTLIB"))}
    client = NotebookClient(notebook, kernel_name="python3", timeout=120, resources={"metadata": {"path": str(folder)}})
    client.execute(env={**shell, "PYTHONPATH": str(ROOT), **env})
    return [[{k: v for k, v in output.items() if k != "execution_count"} for output in cell.outputs] for cell in notebook.cells]


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return outputs(tmp_path_factory.mktemp("plain"), {})


def test_a_figure_is_shown_once_as_svg_alone(plain):
    for shown in plain[:2]:
        (output,) = shown
        assert output["output_type"] == "display_data"
        assert set(output["data"]) == {"image/svg+xml", "text/plain"}
    assert all(set(output["data"]) == {"image/svg+xml", "text/plain"} for output in plain[2])


@pytest.mark.parametrize("backend", ["Agg", "TkAgg", "module://matplotlib_inline.backend_inline"])
def test_the_backend_of_the_shell_changes_nothing(plain, backend, tmp_path):
    assert outputs(tmp_path, {"MPLBACKEND": backend}) == plain


def test_a_matplotlibrc_changes_nothing(plain, tmp_path):
    (tmp_path / "matplotlibrc").write_text(
        "text.usetex: True\nbackend: Agg\nfont.family: serif\naxes.grid: True\nsavefig.dpi: 300\nsvg.fonttype: path\nfont.size: 30\n"
    )
    assert outputs(tmp_path, {"MATPLOTLIBRC": str(tmp_path / "matplotlibrc")}) == plain


def test_outside_a_notebook_the_look_alone_is_set():
    code = "from attn_book.figures import style, common; style.use(); import matplotlib as m; print(m.rcParams['svg.fonttype'])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "MPLBACKEND": "Agg"},
        check=True,
    )
    assert (done.stdout.strip(), done.stderr) == ("none", "")
