"""The explorer's static form in a real browser, from a file, with the network refused."""

import io
import types

import numpy as np
import pytest
from PIL import Image

from attn_book.explorer import explore
from tests.attn_book.explorers import PICTURE, at, document, grid_view, weights


@pytest.fixture
def shown(browser, tmp_path):
    """Opens explorers from a file with the network refused; at the end nothing may have gone wrong."""
    contexts, troubles = [], []

    def open_page(*views, theme="light", reduced_motion="reduce", **options):
        file = tmp_path / f"page{len(contexts)}.html"
        file.write_text(document(views, theme), "utf-8")
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


def test_maps_of_any_length_in_bytes_arrive(shown):
    views = {}
    for seed in range(40):
        view = explore(PICTURE, weights(35, 33, seed=seed), queries=(5, 7), keys=(3, 11))
        views.setdefault(len(view._data) % 4, view)
    assert sorted(views) == [0, 1, 2, 3]
    shown(*views.values())


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


def test_many_options_become_a_slider_with_its_ends_named(shown):
    maps = weights(9, 4, 4).reshape(9, 4, 2, 2)
    page = shown(explore(PICTURE, maps, selectors={"step": [f"t = {i}" for i in range(9)]}))
    slider = page.get_by_role("slider", name="Step")
    slider.focus()
    page.keyboard.press("End")
    assert slider.get_attribute("aria-valuetext") == "t = 8"
    assert page.locator(".ends span").all_inner_texts() == ["t = 0", "t = 8"]


def test_a_few_long_options_are_all_in_sight_on_a_phone(shown):
    options = ["sin-cos 1-D", "sin-cos 2-D", "rotary 2-D", "random (learned, before training)"]
    page = shown(explore(PICTURE, weights(4, 4, 4), selectors={"positions": options}), viewport={"width": 390, "height": 844})
    for option in options:
        label = page.get_by_text(option, exact=True)
        box = label.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= 390
        assert label.evaluate("e => e.scrollWidth <= e.clientWidth")
    page.get_by_role("radio", name=options[3]).check()
    assert told(page).startswith("positions random (learned, before training); ")


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
        explore(PICTURE, weights(20, 4, 4), selectors={"step": range(20)}),
    ]
    page = shown(*views, theme=theme, viewport={"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
    read = page.evaluate(READ_CONTRAST)
    assert read["pieces"] > 60
    assert read["faint"] == []
    before = page.evaluate(SURFACE)
    page.evaluate("document.documentElement.dataset.theme = document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark'")
    page.wait_for_function(f"{SURFACE} !== '{before}'")
    assert page.evaluate(READ_CONTRAST)["faint"] == []
    panes = page.locator(".stage").first.bounding_box(), page.locator(".stage").nth(1).bounding_box()
    assert panes[1]["y"] > panes[0]["y"] + panes[0]["height"]


SURFACE = "getComputedStyle(document.querySelector('.attn-explorer > div').shadowRoot.querySelector('.card')).backgroundColor"
WHITE, DARK = "rgb(255, 255, 255)", "rgb(23, 31, 40)"

# WCAG contrast of each visible piece of text in the explorers against the first opaque background behind it.
READ_CONTRAST = """() => {
  const parse = (c) => { const n = c.match(/[\\d.]+/g).map(Number); return n.length > 3 ? n : [...n, 1]; };
  const light = (c) => c.slice(0, 3).map((v) => v / 255).map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const colour = parse(getComputedStyle(e).backgroundColor);
      if (colour[3] > 0.95) return colour;
    }
    return null;
  };
  let pieces = 0;
  const faint = [];
  for (const host of document.querySelectorAll(".attn-explorer > div")) {
    const walker = document.createTreeWalker(host.shadowRoot.querySelector(".card"), NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const e = walker.currentNode.parentElement, text = walker.currentNode.data.trim();
      if (!text || e.closest(".sr") || !e.checkVisibility()) continue;
      const [a, b] = [light(behind(e)), light(parse(getComputedStyle(e).color))].sort((x, y) => y - x);
      pieces++;
      if ((a + 0.05) / (b + 0.05) < 4.5) faint.push(`${text}: ${(a + 0.05) / (b + 0.05)}`);
    }
  }
  return { pieces, faint };
}"""


@pytest.mark.parametrize(
    ("says", "surface"),
    [
        ("document.documentElement.dataset.theme = 'dark'", DARK),
        ("document.documentElement.dataset.theme = 'light'", WHITE),
        ("document.body.dataset.jpThemeLight = 'false'", DARK),
        ("document.body.dataset.jpThemeLight = 'true'", WHITE),
        ("document.body.className = 'vscode-dark'", DARK),
        ("document.body.className = 'vscode-high-contrast'", DARK),
        ("document.body.className = 'vscode-light'", WHITE),
        ("document.body.className = 'vscode-high-contrast-light vscode-high-contrast'", WHITE),
    ],
)
def test_the_page_decides_over_the_system(shown, says, surface):
    scheme = "light" if surface == DARK else "dark"
    page = shown(grid_view(), theme="", color_scheme=scheme)
    assert page.evaluate(SURFACE) == (WHITE if scheme == "light" else DARK)  # the page says nothing: as the system
    page.evaluate(says)
    page.wait_for_function(f"{SURFACE} === '{surface}'")


def test_no_light_box_stays_behind_it_in_the_dark(shown):
    page = shown(grid_view(), theme="dark")
    box = "(({ backgroundColor, padding }) => [backgroundColor, padding])(getComputedStyle(document.querySelector('.text_html')))"
    assert page.evaluate(box) == ["rgba(0, 0, 0, 0)", "0px"]


def test_vs_code_puts_no_white_behind_it(shown):
    inside = f'<div class="cell-output-ipywidget-background">{grid_view().to_html()}</div>'
    page = shown(types.SimpleNamespace(to_html=lambda: inside), theme="")
    box = page.locator(".cell-output-ipywidget-background")
    assert box.evaluate("e => getComputedStyle(e).backgroundColor") == "rgba(0, 0, 0, 0)"


@pytest.mark.parametrize("viewport", [{"width": 1280, "height": 900}, {"width": 390, "height": 844}])
@pytest.mark.parametrize(("rows", "cols"), [(1, 400), (321, 1)])
def test_extreme_shapes_keep_usable_panels(shown, rows, cols, viewport):
    last = rows * cols - 1
    maps = weights(rows * cols, rows * cols).reshape(-1, rows, cols)
    page = shown(explore(np.zeros((rows, cols)), maps, queries=(rows, cols), start=last), viewport=viewport)
    for name in ("Query", "Response"):
        stage = page.get_by_role("slider", name=name)
        box = stage.bounding_box()
        assert min(box["width"], box["height"]) >= 60
        assert box["height"] <= 460
        assert box["width"] <= viewport["width"]
    source = page.get_by_role("slider", name="Query")
    assert source.get_attribute("aria-valuenow") == str(last + 1)
    ink = (255, 122, 26)  # the outline of the last query is there, within the panel
    image = Image.open(io.BytesIO(source.screenshot())).convert("RGB")
    assert sum(np.abs(np.int64(pixel) - ink).max() < 30 for pixel in image.get_flattened_data()) > 40
    source.focus()
    page.keyboard.press("Control+Home")
    assert source.get_attribute("aria-valuenow") == "1"


def test_without_scripts_stills_and_a_sentence_remain_without_a_light_box(browser, tmp_path):
    (tmp_path / "page.html").write_text(document([grid_view(title="Looking")], "dark"), "utf-8")
    context = browser.new_context(java_script_enabled=False, offline=True)
    page = context.new_page()
    page.goto((tmp_path / "page.html").as_uri())
    for name in ("Looking, the query", "Looking, at the start"):
        still = page.get_by_role("img", name=name)
        assert still.is_visible()
        assert still.evaluate("e => getComputedStyle(e).backgroundColor") == "rgba(0, 0, 0, 0)"
    caption = page.locator("figcaption")
    assert "strongest at" in caption.inner_text()
    assert caption.evaluate("e => getComputedStyle(e).color") == "rgb(220, 227, 234)"  # the page's ink
    assert page.locator(".text_html").evaluate("e => getComputedStyle(e).backgroundColor") == "rgba(0, 0, 0, 0)"
    context.close()


@pytest.mark.parametrize(
    ("touch", "grid", "words"),
    [
        (
            False,
            "Point at a place to preview; click to choose, or use the arrow keys.",
            "Point at a word to preview; click to choose.",
        ),
        (True, "Tap a place to choose it.", "Tap a word to choose it."),
    ],
)
def test_the_hint_names_what_the_reader_has(shown, touch, grid, words):
    views = grid_view(), explore(["a", "b"], weights(2, 35).reshape(2, 5, 7), target=PICTURE)
    page = shown(*views, has_touch=touch, is_mobile=touch)
    assert page.locator(".hint").all_inner_texts() == [grid, words]


def test_firefox_shows_and_answers_like_chromium(firefox, tmp_path):
    view = grid_view(title="Looking")
    (tmp_path / "page.html").write_text(document([view], "dark"), "utf-8")
    firefox.open(tmp_path / "page.html")
    root = "document.querySelector('.attn-explorer > div').shadowRoot"
    firefox.wait_for("document.querySelector('.attn-explorer > [data-ready]') !== null")
    box = firefox.evaluate(f"{root}.querySelector('.stage').getBoundingClientRect().toJSON()")
    firefox.click(box["x"] + 3.5 / 7 * box["width"], box["y"] + 2.5 / 5 * box["height"])
    view.query = 17
    firefox.wait_for(f"{root}.querySelector('[role=status]').textContent !== ''")
    spoken = f"{root}.querySelector('[role=status]').textContent"
    assert firefox.evaluate(spoken) == view.summary.removeprefix("layer 1, head a, ")
    firefox.press("ArrowRight")
    assert firefox.evaluate(f"{root}.querySelector('.stage').ariaValueText") == "row 3, column 5"
    assert firefox.evaluate(SURFACE) == DARK
    assert firefox.evaluate(READ_CONTRAST)["faint"] == []
    stage = firefox.evaluate(f"{root}.querySelectorAll('.stage')[1].getBoundingClientRect().toJSON()")
    image = Image.open(io.BytesIO(firefox.screenshot())).convert("RGB")
    area = [int(n) for n in (stage["left"] + 8, stage["top"] + 8, stage["right"] - 8, stage["bottom"] - 8)]
    assert len(image.crop(area).getcolors(1 << 20)) > 20  # the response is painted
    assert firefox.errors == []
    assert firefox.requests == []
