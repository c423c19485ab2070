"""What makes a figure another one when a chapter is re-executed, and what does not."""

import os
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest

from attn_book.data.material import photograph
from attn_book.figures import common, style
from attn_book.figures.svg import svg_of
from tools.figure_compare import Figure, differences

ROOT = Path(__file__).resolve().parents[2]
X = np.linspace(0, 1, 7)
Y = np.sin(3 * X)


@pytest.fixture(autouse=True)
def _look():
    with plt.rc_context():
        style.use()
        yield
    plt.close("all")


def line(y=Y, **labels):
    return svg_of(common.curves({"measured": (X, y)}, **{"xlabel": "steps", "ylabel": "loss"} | labels))


def moved(point, by):
    y = Y.copy()
    y[point] += by
    return y


def test_the_same_figure_is_the_same():
    assert differences(line(), line()) == []


@pytest.mark.parametrize("by", [1e-9, -1e-9])
def test_the_last_digits_of_numbers_may_differ(by):
    assert differences(line(), line(Y + by * np.random.default_rng(0).random(7))) == []


@pytest.mark.parametrize("point", [1, 2, 4, 5])  # 3 is the highest: it would move the axis too
def test_one_moved_point_is_seen(point):
    (only,) = differences(line(), line(moved(point, 0.01)))
    assert only.startswith("path d: ")


def test_a_changed_word_is_seen():
    assert differences(line(), line(xlabel="epochs")) == ["text: 'steps' became 'epochs'"]


def test_a_tick_that_carries_another_number_is_seen():
    found = differences(line(), line(10 * Y))
    assert any(text.startswith("text: '0.2' became") for text in found)


def test_one_point_more_or_one_line_more_is_seen():
    assert differences(line(), svg_of(common.curves({"measured": (X[1:], Y[1:])}, xlabel="steps", ylabel="loss")))
    two = svg_of(common.curves({"measured": (X, Y), "other": (X, Y)}, xlabel="steps", ylabel="loss"))
    assert any("elements became" in text for text in differences(line(), two))


def test_another_colour_and_another_width_are_seen(monkeypatch):
    assert any("#0072b2" in text for text in differences(line(), line().replace("#0072b2", "#d55e00")))
    assert differences(line(), line().replace("stroke-width: 2", "stroke-width: 2.05"))


@pytest.mark.parametrize("picture", [photograph("coffee", size=(96, 96)), np.arange(64.0).reshape(8, 8)], ids=["JPEG", "PNG"])
def test_pixels_may_differ_a_little_and_no_more(picture):
    show = lambda values: svg_of(common.pictures([values], vmin=0, vmax=63))
    rounded, changed = picture * (1 + 1e-7), picture.copy()
    changed[5, 5] = picture.max() - changed[5, 5]
    kind = "image/jpeg" if picture.ndim == 3 else "image/png"
    assert kind in show(picture)
    assert differences(show(picture), show(rounded)) == []
    (only,) = differences(show(picture), show(changed))
    assert only.startswith("image href: ")


def test_a_picture_of_another_size_is_seen():
    small, large = (svg_of(common.pictures([np.eye(n)])) for n in (4, 8))
    assert any(text.startswith("image") for text in differences(small, large))


def test_figures_compare_as_nbval_compares():
    assert Figure(line()) == Figure(line(Y + 1e-9))
    assert Figure(line()) != Figure(line(moved(2, 0.01)))


def test_nbval_objects_to_a_moved_point_and_not_to_a_last_digit(tmp_path):
    """The whole way: a committed figure, its cell executed again in a kernel, nbval's verdict and what it says."""
    code = (
        "import numpy as np\nfrom attn_book.figures import common, style\nstyle.use()\n"
        f"x, y = np.linspace(0, 1, 7), np.array({Y.tolist()})\n"
        "fig = common.curves({'measured': (x, y)}, xlabel='steps', ylabel='loss')"
    )
    size = plt.rcParams["figure.figsize"]
    for name, figure in {"same": line(Y + 1e-9), "moved": line(moved(2, 0.01))}.items():
        data = {"image/svg+xml": figure, "text/plain": f"<Figure size {size[0] * 100:.0f}x{size[1] * 100:.0f} with 1 Axes>"}
        cell = nbformat.v4.new_code_cell(code, outputs=[nbformat.v4.new_output("display_data", data)], execution_count=1)
        nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / f"{name}.ipynb")
    command = [sys.executable, "-m", "pytest", "-p", "conftest", "-c", str(ROOT / "pyproject.toml"), "--rootdir", str(tmp_path)]
    run = subprocess.run(
        [*command, "-p", "no:cacheprovider", "--color=no", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, encoding="utf8",
        env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=120,
    )  # fmt: skip
    assert "1 failed, 1 passed" in run.stdout, run.stdout[-3000:] + run.stderr[-2000:]
    assert "moved.ipynb::Cell 0" in run.stdout
    assert "the figure differs from the committed one" in run.stdout
    assert "path d: " in run.stdout
