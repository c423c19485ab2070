"""The explorer: what it stores, what it refuses, and both its forms in a real browser."""

import io
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zlib

import nbformat
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect
from sklearn.datasets import load_sample_image

from attn_book.explorer import explore
from attn_book.explorer.page import MAX_BYTES
from attn_utils.reference import softmax

PICTURE = np.linspace(0, 1, 5 * 7 * 3).reshape(5, 7, 3)


def weights(*shape, seed=0):
    return softmax(np.random.default_rng(seed).normal(size=shape))


def grid_view(**options):
    """A 5 × 7 grid of queries, two selectors, a 3 × 11 grid of keys: every size another prime."""
    maps = weights(2, 3, 35, 33).reshape(2, 3, 35, 3, 11)
    return explore(PICTURE, maps, queries=(5, 7), selectors={"layer": [1, 2], "head": ["a", "b", "c"]}, **options)


def stored(view):
    """What the page reads: peaks, effective keys, places of the peaks, and the maps again."""
    Q = view._maps.shape[len(view.selectors)]
    count = Q * int(np.prod([len(options) for options in view.selectors.values()]))
    raw = zlib.decompress(view._data)
    peak, effective = np.frombuffer(raw, "<f4", count), np.frombuffer(raw, "<f4", count, 4 * count)
    best = np.frombuffer(raw, "<u4", count, 8 * count)
    codes = np.frombuffer(raw, "<u1" if view.levels < 256 else "<u2", offset=12 * count).reshape(count, -1)
    return peak, effective, best, codes / view.levels * peak[:, None]


# ---- what is stored


def test_a_case_solved_by_hand():
    view = explore(np.eye(2), [[0.5, 0.5], [0.0, 1.0]], target=["left", "right"], queries=["first", "second"])
    peak, effective, best, maps = stored(view)
    np.testing.assert_allclose(peak, [0.5, 1.0])
    np.testing.assert_allclose(effective, [2.0, 1.0], rtol=1e-6)
    np.testing.assert_array_equal(best, [0, 1])
    np.testing.assert_allclose(maps, [[0.5, 0.5], [0.0, 1.0]])
    assert view.summary == "query “first”; strongest at “left”, weight 0.5"


@pytest.mark.parametrize(("rows", "keys", "levels"), [(5, (3, 11), [65_535]), (67, (23, 29), [31, 63, 127])])
def test_a_stored_value_is_within_half_a_step(rows, keys, levels):
    queries = 7 * rows
    maps = np.random.default_rng(0).random((queries, *keys)) ** 8
    view = explore(np.zeros(keys), maps, queries=(rows, 7))
    assert view.levels in levels
    peak, _, best, again = stored(view)
    flat = maps.reshape(queries, -1)
    np.testing.assert_array_equal(best, flat.argmax(1))
    np.testing.assert_allclose(peak, flat.max(1), rtol=1e-6)
    assert (np.abs(again - flat) <= peak[:, None] * (0.5 / view.levels + 1e-6)).all()


def test_an_empty_response_stays_empty():
    view = explore(PICTURE, np.zeros((4, 2, 2)))
    peak, _, _, maps = stored(view)
    np.testing.assert_array_equal(peak, np.zeros(4))
    np.testing.assert_array_equal(maps, np.zeros((4, 4)))
    assert not view._spec["distribution"]


def test_effective_keys_is_e_to_the_entropy():
    maps = weights(35, 33)
    _, effective, _, _ = stored(explore(PICTURE, maps.reshape(35, 3, 11), queries=(5, 7)))
    np.testing.assert_allclose(effective, np.exp(-(maps * np.log(maps)).sum(1)), rtol=1e-5)


@pytest.mark.parametrize("name", ["china.jpg", "flower.jpg"])
def test_all_768_patches_of_a_photograph_fit(name):
    photograph = load_sample_image(name)[:408, :640] / 255
    patches = photograph.reshape(24, 17, 32, 20, 3).swapaxes(1, 2).reshape(768, -1)
    patches = patches - patches.mean(0)
    patches /= np.linalg.norm(patches, axis=1, keepdims=True)
    view = explore(photograph, softmax(patches @ patches.T / 0.1).reshape(768, 24, 32), queries=(24, 32))
    assert len(view.to_html().encode()) <= MAX_BYTES
    assert "attn-explorer" in view.to_html()
    assert "<img" in view.to_html()


def test_what_cannot_fit_is_refused():
    with pytest.raises(ValueError, match=r"maps: \(1600, 40, 40\) needs [\d,]+ bytes .* Use fewer queries"):
        explore(np.zeros((40, 40)), np.random.default_rng(0).random((1600, 40, 40)), queries=(40, 40))


# ---- how shapes are read


def test_flattened_keys_take_the_grid_of_the_queries():
    view = explore(PICTURE, weights(2, 35, 35), queries=(5, 7), selectors={"head": [1, 2]})
    assert view._spec["keys"] == {"kind": "grid", "rows": 5, "cols": 7}


def test_queries_take_the_grid_of_the_keys_or_a_square():
    assert explore(PICTURE, weights(33, 33).reshape(33, 3, 11))._spec["queries"] == {"kind": "grid", "rows": 3, "cols": 11}
    assert explore(PICTURE, weights(49, 33).reshape(49, 3, 11))._spec["queries"] == {"kind": "grid", "rows": 7, "cols": 7}


def test_words_as_queries_stand_in_either_place():
    maps = weights(2, 33).reshape(2, 3, 11)
    one, other = explore(["red", "seven"], maps, target=PICTURE), explore(PICTURE, maps, queries=["red", "seven"])
    assert one.to_html() == other.to_html()
    assert one._spec["queries"] == {"kind": "words", "words": ["red", "seven"]}


def test_boxes_become_fractions_of_the_picture():
    view = explore(PICTURE, weights(1, 2), queries=[(0, 0, 7, 5)], keys=[(0, 0, 3.5, 2.5), (3.5, 0, 7, 5)])
    assert view._spec["queries"]["boxes"] == [[0, 0, 1, 1]]
    assert view._spec["keys"]["boxes"] == [[0, 0, 0.5, 0.5], [0.5, 0, 1, 1]]


def test_the_input_is_not_modified():
    picture, maps = PICTURE.copy(), weights(35, 33).reshape(35, 3, 11)
    before = maps.copy()
    explore(picture, maps, queries=(5, 7)).to_html()
    np.testing.assert_array_equal(picture, PICTURE)
    np.testing.assert_array_equal(maps, before)


NAN = weights(4, 4).reshape(4, 2, 2)
NAN[1, 1, 1] = np.nan


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"maps": NAN}, "maps: holds NaN"),
        ({"maps": -weights(4, 4).reshape(4, 2, 2)}, "maps: expected values ≥ 0; got -"),
        ({"maps": weights(4, 4)[0]}, r"maps: expected shape \(Q, h, w\) or \(Q, M\); got \(4,\)"),
        ({"maps": np.zeros((0, 2, 2))}, "maps: is empty"),
        ({"maps": weights(4, 4).astype(complex)}, "maps: expected real numbers; got dtype complex128"),
        (
            {"selectors": {"head": [1, 2]}},
            r"maps: expected shape \(2 \(head\), Q, h, w\) or \(2 \(head\), Q, M\); got \(4, 2, 2\)",
        ),
        ({"selectors": {"head": [1, 1]}}, "selectors: 'head' needs at least one option and no option twice"),
        ({"queries": (3, 2)}, "queries: a 3 × 2 grid has 6 cells, but maps have 4 queries"),
        ({"queries": np.zeros((4, 4))}, "queries: every box must be finite and have x0 < x1"),
        ({"queries": np.tile([10, 10, 12, 12], (4, 1))}, "queries: a box lies outside the 5 × 7 picture"),
        ({"queries": np.zeros((4, 3))}, r"queries: expected \(rows, cols\), boxes \(4, 4\) or 4 words; got shape \(4, 3\)"),
        ({"maps": weights(5, 4).reshape(5, 2, 2)}, r"queries: 5 of them are no square; say queries=\(rows, cols\)"),
        ({"queries": ["a", "b"]}, "maps: expected 2 queries, one a word; got 4"),
        ({"target": ["a", "b"]}, r"maps: the target is a list of words, so maps must end in \(Q, 2\); got \(4, 2, 2\)"),
        ({"keys": (2, 2)}, r"keys: maps \(4, 2, 2\) already end in a grid"),
        ({"picture": ["a", "b", "c", "d"], "queries": (2, 2)}, "queries: leave it out when picture is a list of words"),
        ({"picture": PICTURE.transpose(2, 0, 1)}, r"picture: .* got shape \(3, 5, 7\); move channels last"),
        ({"picture": PICTURE * 255}, r"picture: expected values in \[0, 1\]; got 0 to 255"),
        ({"picture": PICTURE * np.nan}, "picture: holds NaN"),
        ({"target": PICTURE - 0.5}, r"target: expected values in \[0, 1\]; got -0.5"),
        ({"start": 4}, r"start: must be in 0..3; got 4"),
        ({"start": (0, 2)}, r"start: \(0, 2\) lies outside the 2 × 2 grid"),
        ({"query_labels": ["a"]}, "query_labels: expected 4 labels"),
        ({"view": "both"}, "view: expected 'auto', 'overlay' or 'map'; got 'both'"),
        ({"scale": "log"}, "scale: expected 'each' or 'shared'; got 'log'"),
        ({"choice": {"head": 1}}, "choice: no selector is called 'head'"),
    ],
)
def test_bad_input_is_named(arguments, told):
    with pytest.raises(ValueError, match=told):
        explore(**{"picture": PICTURE, "maps": weights(4, 4).reshape(4, 2, 2), **arguments})


# ---- driven from Python


def test_the_response_follows_query_and_choice():
    view = grid_view(start=(2, 3), choice={"head": "b"})
    np.testing.assert_array_equal(view.response, view._maps[0, 1, 17])
    view.query, view.choice = 5, {"layer": 2}
    assert view.choice == {"layer": "2", "head": "b"}
    np.testing.assert_array_equal(view.response, view._maps[1, 1, 5])


@pytest.mark.parametrize(("name", "value"), [("query", 35), ("query", -1), ("choice", {"head": "d"}), ("choice", {"step": "1"})])
def test_a_setting_that_does_not_exist_is_refused(name, value):
    with pytest.raises(ValueError, match=name):
        setattr(grid_view(), name, value)


def test_controls_are_linked_both_ways():
    view = grid_view()
    query, layer, _, told = view.controls().children
    query.value, layer.value = 3, "2"
    assert (view.query, view.choice["layer"]) == (3, "2")
    view.query, view.choice = 7, {"layer": "1"}
    assert (query.value, layer.value) == (7, "1")
    assert told.value == view.summary


def test_new_maps_of_the_same_shape_are_taken_over():
    view = grid_view()
    maps = np.random.default_rng(1).random(view._maps.shape)
    view.update(maps)
    np.testing.assert_allclose(stored(view)[3], maps.reshape(6 * 35, 33), atol=1e-5)
    with pytest.raises(ValueError, match="expected shape"):
        view.update(maps[:, :, :7])


# ---- on the page


def test_a_notebook_gets_the_live_and_the_static_form(monkeypatch):
    monkeypatch.delenv("ATTN_BOOK_EXECUTE", raising=False)
    bundle, _ = grid_view()._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html", "application/vnd.jupyter.widget-view+json"}
    monkeypatch.setenv("ATTN_BOOK_EXECUTE", "1")
    bundle, _ = grid_view()._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html"}


def test_the_static_form_is_the_same_each_time_and_asks_for_nothing():
    page = grid_view().to_html()
    assert page == grid_view().to_html()
    assert not re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}", page.replace("//www.w3.org", ""))


def test_text_cannot_leave_the_script():
    view = grid_view(title="</script><b>&", caption="<!-- <script>")
    page = view.to_html()
    assert page.count("</script") == 1
    assert "<!--" not in page
    assert "&lt;/script&gt;&lt;b&gt;&amp;" in page


@pytest.fixture
def shown(browser, tmp_path):
    """Opens explorers from a file with the network refused; at the end nothing may have gone wrong."""
    contexts, troubles = [], []

    def open_page(*views, theme="light", reduced_motion="reduce", **options):
        head = '<!doctype html><html lang="en" data-theme="{}"><meta charset="utf-8"><title>t</title>'
        head += '<meta name="viewport" content="width=device-width, initial-scale=1"><body>'
        file = tmp_path / f"page{len(contexts)}.html"
        file.write_text(head.format(theme) + "\n".join(view.to_html() for view in views) + "</body></html>", "utf-8")
        context = browser.new_context(offline=True, reduced_motion=reduced_motion, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda message: troubles.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("request", lambda request: None if request.url.startswith(("file:", "data:")) else troubles.append(request.url))
        page.goto(file.as_uri())
        for i in range(len(views)):
            page.locator(".attn-explorer > [data-ready]").nth(i).wait_for(state="attached")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert troubles == []


def at(stage, row, col, rows, cols):
    """The middle of a cell, in pixels of the stage."""
    box = stage.bounding_box()
    return {"x": (col + 0.5) / cols * box["width"], "y": (row + 0.5) / rows * box["height"]}


def told(page):
    """What a screen reader is told once the reader has settled."""
    status = page.get_by_role("status").first
    page.wait_for_timeout(400)
    return status.inner_text()


def test_a_click_chooses_and_says_what_is_seen(shown):
    view = grid_view(title="Looking")
    page = shown(view)
    source = page.get_by_role("slider", name="Query")
    source.click(position=at(source, 2, 3, 5, 7))
    view.query = 17
    assert told(page) == view.summary.removeprefix("layer 1, head a, ")
    assert source.get_attribute("aria-valuetext") == "row 3, column 4"
    assert page.get_by_role("group", name="Looking").count() == 1


def test_hovering_previews_and_leaving_returns(shown):
    page = shown(grid_view())
    source, where = page.get_by_role("slider", name="Query"), page.locator(".where")
    source.hover(position=at(source, 4, 6, 5, 7))
    assert where.inner_text() == "row 5, column 7"
    assert source.get_attribute("aria-valuetext") == "row 1, column 1"
    page.mouse.move(0, 0)
    assert where.inner_text() == "row 1, column 1"


def test_dragging_moves_the_query(shown):
    page = shown(grid_view())
    source = page.get_by_role("slider", name="Query")
    box = source.bounding_box()
    page.mouse.move(box["x"] + 3, box["y"] + 3)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.5, steps=5)
    page.mouse.up()
    assert source.get_attribute("aria-valuetext") == "row 3, column 4"


def test_keys_move_the_query_and_read_the_response(shown):
    page = shown(grid_view())
    source, target = page.get_by_role("slider", name="Query"), page.get_by_role("slider", name="Response")
    source.focus()
    for key, place in [
        ("ArrowRight", "row 1, column 2"),
        ("ArrowDown", "row 2, column 2"),
        ("End", "row 2, column 7"),
        ("ArrowRight", "row 2, column 7"),
        ("Control+End", "row 5, column 7"),
        ("ArrowUp", "row 4, column 7"),
        ("Home", "row 4, column 1"),
        ("Control+Home", "row 1, column 1"),
    ]:
        page.keyboard.press(key)
        assert source.get_attribute("aria-valuetext") == place, key
    target.focus()
    page.keyboard.press("Control+Home")
    assert target.get_attribute("aria-valuetext").startswith("row 1, column 1: weight 0.0")
    page.keyboard.press("Escape")
    assert target.get_attribute("aria-valuetext").endswith(", the strongest")


def test_tab_walks_through_selectors_and_panes(shown):
    page = shown(grid_view())
    names = []
    for _ in range(5):
        page.keyboard.press("Tab")
        names.append(page.evaluate("document.activeElement.shadowRoot.activeElement.closest('fieldset, .stage').ariaLabel"))
    assert names[2:] == ["Query", None, "Response"]
    ring = page.evaluate("getComputedStyle(document.activeElement.shadowRoot.activeElement).outlineStyle")
    assert ring == "solid"


def test_selectors_change_the_map(shown):
    view = grid_view()
    page = shown(view)
    page.get_by_role("radio", name="b", exact=True).check()
    page.get_by_role("radio", name="2", exact=True).check()
    view.choice = {"layer": 2, "head": "b"}
    assert told(page) == view.summary.replace("layer 2, head b, ", "layer 2; head b; ")


def test_many_options_become_a_slider(shown):
    maps = weights(9, 4, 4).reshape(9, 4, 2, 2)
    page = shown(explore(PICTURE, maps, selectors={"step": [f"t = {i}" for i in range(9)]}))
    slider = page.get_by_role("slider", name="Step")
    slider.focus()
    page.keyboard.press("End")
    assert slider.get_attribute("aria-valuetext") == "t = 8"


def colour(stage, x, y):
    """What is seen at a place given as fractions of the sides."""
    image = Image.open(io.BytesIO(stage.screenshot())).convert("RGB")
    return image.getpixel((int(x * image.width), int(y * image.height)))


def test_the_colours_are_those_of_the_values(shown):
    maps = np.array([[[0.0, 1.0], [0.0, 0.0]]])
    page = shown(explore(np.ones((8, 8)), maps, queries=(1, 1), view="overlay"))
    target = page.get_by_role("slider", name="Response")
    assert colour(target, 0.1, 0.8) == pytest.approx((87, 87, 87), abs=2)  # the white picture, dimmed
    page.get_by_role("radio", name="Map").check()
    assert colour(target, 0.1, 0.8) == (68, 1, 84)  # viridis' two ends
    assert colour(target, 0.6, 0.2) == (253, 231, 37)


def test_a_gliding_change_arrives(shown):
    page = shown(explore(np.ones((2, 2)), np.eye(4), queries=(2, 2)), reduced_motion="no-preference")
    source, target = page.get_by_role("slider", name="Query"), page.get_by_role("slider", name="Response")
    source.focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowLeft")
    page.keyboard.press("Control+End")
    page.wait_for_timeout(500)
    assert [colour(target, x, y) for x, y in [(0.1, 0.1), (0.6, 0.6)]] == [(68, 1, 84), (253, 231, 37)]


def test_touch_chooses_and_reads(shown):
    page = shown(grid_view(), has_touch=True, viewport={"width": 390, "height": 844})
    source, target = page.get_by_role("slider", name="Query"), page.get_by_role("slider", name="Response")
    source.tap(position=at(source, 1, 5, 5, 7))
    assert source.get_attribute("aria-valuetext") == "row 2, column 6"
    target.tap(position=at(target, 2, 10, 3, 11))
    assert target.get_attribute("aria-valuetext").startswith("row 3, column 11: weight")


def test_words_are_radio_buttons_and_bars(shown):
    maps = np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]])
    page = shown(explore(["seven", "two"], maps, target=["left", "middle", "right"]))
    page.get_by_role("radio", name="two").check()
    assert told(page) == "query “two”; strongest at “right”, weight 0.8"
    assert page.get_by_role("listitem").all_inner_texts()[2].split() == ["right", "0.800"]


def test_the_smallest_box_under_the_pointer_is_taken(shown):
    boxes = [(0, 0, 7, 5), (2, 1, 5, 4)]
    page = shown(explore(PICTURE, weights(2, 33).reshape(2, 3, 11), queries=boxes))
    source = page.get_by_role("slider", name="Query")
    source.click()
    assert source.get_attribute("aria-valuetext") == "box 2"
    source.click(position={"x": 5, "y": 5})
    assert source.get_attribute("aria-valuetext") == "box 1"


def test_two_on_one_page_keep_apart_even_if_equal(shown):
    page = shown(grid_view(), grid_view())
    first, second = page.get_by_role("slider", name="Query").all()
    second.click(position=at(second, 2, 3, 5, 7))
    page.get_by_role("radio", name="b", exact=True).nth(1).check()
    assert second.get_attribute("aria-valuetext") == "row 3, column 4"
    assert first.get_attribute("aria-valuetext") == "row 1, column 1"
    assert page.get_by_role("radio", name="a", exact=True).first.is_checked()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_follows_the_theme_and_fits_a_phone(shown, theme):
    words = ["a", "rather-long-word-for-a-narrow-page", "seven"]
    views = [
        grid_view(title="A title that is long enough to need a second line on a phone", caption="A caption, " * 12),
        explore(words, weights(3, 33).reshape(3, 3, 11), target=PICTURE),
        explore(PICTURE, weights(35, 3), queries=(5, 7), target=words),
    ]
    page = shown(*views, theme=theme, viewport={"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
    contrast = """() => [...document.querySelectorAll(".attn-explorer > div")].flatMap((host) => {
      const card = host.shadowRoot.querySelector(".card"), light = (c) => c.match(/[\\d.]+/g).slice(0, 3).map((v) => v / 255)
        .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)).reduce((s, v, i) => s + v * [0.2126, 0.7152, 0.0722][i], 0);
      const back = light(getComputedStyle(card).backgroundColor);
      return [...card.querySelectorAll("p, b, dt, dd span, legend, .where")].map((node) => {
        const [a, b] = [back, light(getComputedStyle(node).color)].sort((x, y) => y - x);
        return (a + 0.05) / (b + 0.05);
      });
    })"""
    assert min(page.evaluate(contrast)) >= 4.5
    surface = "getComputedStyle(document.querySelector('.attn-explorer > div').shadowRoot.querySelector('.card')).backgroundColor"
    before = page.evaluate(surface)
    page.evaluate("document.documentElement.dataset.theme = document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark'")
    page.wait_for_function(f"{surface} !== '{before}'")
    panes = page.locator(".stage").first.bounding_box(), page.locator(".stage").nth(1).bounding_box()
    assert panes[1]["y"] > panes[0]["y"] + panes[0]["height"]


def test_without_scripts_a_still_and_a_sentence_remain(browser, tmp_path):
    view = grid_view(title="Looking")
    (tmp_path / "page.html").write_text(view.to_html(), "utf-8")
    context = browser.new_context(java_script_enabled=False, offline=True)
    page = context.new_page()
    page.goto((tmp_path / "page.html").as_uri())
    assert page.get_by_role("img", name="Looking, at the start").is_visible()
    assert "strongest at" in page.locator("figcaption").inner_text()
    context.close()


# ---- live


LIVE = """\
import json, pathlib, numpy as np
from ipywidgets import HBox
from attn_book.explorer import explore

rng = np.random.default_rng(0)
view = explore(rng.random((5, 7)), rng.random((2, 35, 3, 11)), queries=(5, 7), selectors={"head": [1, 2]}, title="Live")

def heard(change):
    pathlib.Path("heard.json").write_text(json.dumps([view.query, view.choice]))
    if view.query == 17:
        view.choice = {"head": 2}  # the kernel answers

view.observe(heard, ["query", "choice"])
HBox([view, view.controls()])
"""


@pytest.fixture
def lab(tmp_path):
    """JupyterLab on a free port of this machine, with its own settings, on a folder with one notebook."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(LIVE, id="live")])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    folder = tmp_path / "notebooks"
    folder.mkdir()
    nbformat.write(notebook, folder / "live.ipynb")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {name: str(tmp_path / name) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR")}
    own |= {name: str(tmp_path / name) for name in ("JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR")}
    environment = {**os.environ, **own}
    environment.pop("ATTN_BOOK_EXECUTE", None)
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}"]
    command += ["--ServerApp.port_retries=0", "--IdentityProvider.token=book", f"--ServerApp.root_dir={folder}"]
    command += ["--LabApp.news_url=", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    with open(tmp_path / "lab.log", "w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 90
        while True:
            try:
                urllib.request.urlopen(f"{address}/api/status?token=book", timeout=5).close()
                break
            except (urllib.error.URLError, OSError):
                if server.poll() is not None or time.monotonic() > deadline:
                    pytest.fail("JupyterLab did not start:\n" + (tmp_path / "lab.log").read_text()[-2000:])
                time.sleep(0.2)
        yield f"{address}/lab/tree/live.ipynb?token=book", folder
    finally:
        server.terminate()
        try:
            server.wait(15)
        except subprocess.TimeoutExpired:
            server.kill()


def test_live_in_jupyterlab_page_and_kernel_follow_each_other(browser, lab):
    address, folder = lab
    context = browser.new_context(viewport={"width": 1400, "height": 1100})
    context.route(re.compile(r"^https?://(?!127\.0\.0\.1)"), lambda route: route.abort())
    page = context.new_page()
    page.set_default_timeout(60_000)
    troubles = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.goto(address)
    page.locator(".jp-Notebook .jp-Cell").first.click()
    page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for(state="attached")
    page.keyboard.press("Control+Enter")
    source = page.get_by_role("slider", name="Query")
    source.wait_for()
    page.locator("[data-ready]").wait_for(state="attached")
    page.set_default_timeout(15_000)

    def heard(wanted):
        deadline = time.monotonic() + 15
        while True:
            file = folder / "heard.json"
            text = file.read_text() if file.exists() else ""
            if text and json.loads(text) == wanted:
                return
            assert time.monotonic() < deadline, f"the kernel has {text}, expected {wanted}"
            time.sleep(0.1)

    source.click(position=at(source, 2, 2, 5, 7))
    heard([16, {"head": "1"}])
    page.keyboard.press("ArrowRight")  # moves the query, not the notebook's selection; the kernel answers with head 2
    heard([17, {"head": "2"}])
    expect(page.get_by_role("radio", name="2", exact=True)).to_be_checked()
    expect(page.locator(".widget-readout").first).to_have_text("17")  # the ipywidgets slider beside it
    page.locator(".widget-hslider .noUi-handle").first.focus()
    page.keyboard.press("ArrowRight")
    heard([18, {"head": "2"}])
    page.get_by_text("row 3, column 5", exact=True).first.wait_for()
    assert troubles == []
    context.close()
