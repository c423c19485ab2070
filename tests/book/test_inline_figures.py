"""What the book makes of a figure's SVG: no paper, the page's ink, ids and a description of its own."""

import importlib.util
import re
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest

from attn_book.figures import common, style
from attn_book.figures.svg import svg_of

ROOT = Path(__file__).resolve().parents[2]
spec = importlib.util.spec_from_file_location("inline_figures", ROOT / "book" / "_ext" / "inline_figures.py")
inline_figures = importlib.util.module_from_spec(spec)
spec.loader.exec_module(inline_figures)


@pytest.fixture(scope="module")
def drawn():
    with plt.rc_context():
        style.use()
        curve = svg_of(common.curves({"a": [1, 3, 2], "b": [2, 1, 1]}, xlabel="x", ylabel="y", markers=True))
        numbers = svg_of(common.number_grids([np.array([[0.0, 1.0]])]))
        plt.close("all")
    return curve, numbers


def test_the_paper_goes_and_the_ink_is_the_page_s(drawn):
    curve = inline_figures.inlined(drawn[0], "A curve.", "f1-")
    assert 'class="paper"' in drawn[0] and 'class="paper"' not in curve
    assert style.INK in drawn[0] and style.INK not in curve and "currentColor" in curve
    assert "#0072b2" in drawn[0] and "#0072b2" not in curve and "var(--figure-blue)" in curve


def test_the_extension_and_the_figures_mean_the_same_colours():
    assert list(inline_figures.COLOURS) == [style.INK, style.MUTED, style.PALETTE[0].lower()]
    css = (ROOT / "book" / "_static" / "book.css").read_text(encoding="utf8")
    for variable in re.findall(r"var\((--[\w-]+)\)", " ".join(inline_figures.COLOURS.values())):
        assert len(re.findall(rf"^\s*{variable}:", css, re.MULTILINE)) == 2, f"{variable} in the light and in the dark theme"


def test_black_and_white_on_a_picture_stay(drawn):
    """Numbers on coloured cells: white on the dark one, black, which is no attribute at all, on the bright one."""
    words = re.findall(r"<text[^>]*>", inline_figures.inlined(drawn[1], "Numbers.", "f1-"))
    assert ["#ffffff" in word for word in words] == [True, False]
    assert not any("currentColor" in word for word in words)


def test_ids_of_two_figures_of_a_page_differ(drawn):
    first, second = (inline_figures.inlined(drawn[0], "A curve.", f"f{n}-") for n in (1, 2))
    ids = [set(re.findall(r' id="([^"]+)"', svg)) for svg in (first, second)]
    assert ids[0] and not ids[0] & ids[1]
    assert ids[0] == set(re.findall(r'(?:url\(#|href="#)([^)"]+)', first))


def test_it_is_described_for_those_who_cannot_see_it(drawn):
    svg = inline_figures.inlined(drawn[0], 'Rises & falls, "a" <first>', "f1-")
    assert svg.startswith('<svg class="figure" role="img" aria-label="Rises &amp; falls, &quot;a&quot; &lt;first&gt;" ')
