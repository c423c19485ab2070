"""Curves to move along: what they are given is checked, and in a browser the slider and the buttons do what they say."""

import numpy as np
import pytest

from attn_book.explorer import Curves
from attn_book.explorer.page import MAX_BYTES
from tests.attn_book.explorers import alone

SIZES = [256, 1024, 4096]
QUANTITIES = {
    "time": ("ms", {"spelt out": [1.0, 16.0, 256.0], "linear": [2.0, 8.0, 32.0]}),
    "memory": ("MB", {"spelt out": [0.5, 8.0, 128.0]}),
}
COLOURS = {"spelt out": "#0072B2", "linear": "#E69F00"}


def curves(**changes):
    options = {"colours": COLOURS, "axis": "tokens", "title": "What it costs", "caption": "Move the slider."}
    return Curves(**{"sizes": SIZES, "quantities": QUANTITIES, **options, **changes})


def test_a_sentence_stands_in_for_the_picture():
    assert curves().summary == "time, tokens 4,096: least linear, 32 ms; most spelt out, 256 ms"
    assert "<strong>What it costs</strong> – Time, tokens 4,096: least linear" in curves().to_html()
    assert repr(curves()) == f"Curves: {curves().summary}"


def test_it_needs_no_network_and_little_room():
    html = curves()._repr_html_()
    assert len(html.encode()) < MAX_BYTES / 5
    assert "http" not in html.replace("http://www.w3.org/2000/svg", "")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"sizes": [256]}, "sizes must be two or more numbers above 0 that rise"),
        ({"sizes": [256, 256, 512]}, "sizes must be two or more numbers above 0 that rise"),
        ({"sizes": [0, 256, 512]}, "sizes must be two or more numbers above 0 that rise"),
        ({"quantities": {"time": ("ms", {"linear": [1, 2]})}}, "linear must have 3 values above 0"),
        ({"quantities": {"time": ("ms", {"linear": [1, 2, 0]})}}, "linear must have 3 values above 0"),
        ({"quantities": {"time": ("ms", {"linear": [1, 2, np.nan]})}}, "linear must have 3 values above 0"),
        ({"colours": {}}, "colours must have one for 'spelt out'"),
    ],
)
def test_it_rejects(changes, text):
    with pytest.raises(ValueError, match=text):
        curves(**changes)


@pytest.fixture
def page(browser, tmp_path):
    with alone(browser, tmp_path / "page.html", curves()) as page:
        yield page


def rows(page):
    return [item.inner_text().split("\n") for item in page.get_by_role("listitem").all()]


def test_the_slider_moves_along_the_curves(page):
    assert rows(page) == [["linear", "32 ms"], ["spelt out", "256 ms"]]
    slider = page.get_by_role("slider", name="Tokens")
    slider.focus()
    page.keyboard.press("Home")
    assert rows(page) == [["spelt out", "1.0 ms"], ["linear", "2.0 ms"]]
    assert slider.get_attribute("aria-valuetext") == "256"
    for _ in range(4):  # an octave: half of the way to 1,024
        page.keyboard.press("ArrowRight")
    assert rows(page) == [["spelt out", "4.0 ms"], ["linear", "4.0 ms"]]


def test_another_quantity_is_chosen(page):
    page.get_by_role("radio", name="memory").check()
    assert rows(page) == [["spelt out", "128 MB"]]
    assert page.locator("p[role=status]").inner_text() == "Tokens 4,096: least spelt out, 128 MB; most spelt out, 128 MB"


def test_it_fits_a_phone(page):
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
