"""Cued search in the page, in a real browser from a file with the network refused: what a reader does, and what comes of it."""

import re

import numpy as np
import pytest
from torch import nn

from attn_book import live
from attn_book.data.drawing import COLOURS
from attn_book.live.cued_search import SKIPPED, START, ingredients, start_picture
from attn_book.live.page import MAX_BYTES, Live
from attn_utils.vit import vit_mini
from tests.attn_book.explorers import at, document
from tests.attn_book.live.conftest import photographed, told
from tests.attn_book.test_explorer_page import READ_CONTRAST


@pytest.fixture(scope="module")
def figure():
    return live.cued_search(live.load("ch07"))


def scene(page):
    return page.get_by_role("slider", name="Scene")


def value(page):
    return scene(page).get_attribute("aria-valuetext")


def pick(page, place):
    scene(page).click(position=at(scene(page), place // 4, place % 4, 4, 4))


def test_it_starts_with_the_answer_and_says_so(shown):
    page = shown()
    told(page, re.compile(r"^The cue is yellow; the network answers 7, .* %\. The yellow digit: 7, right\.$"))
    assert value(page).startswith("row 2, column 2: the yellow cue, the network says 7, ")
    assert page.locator("dd").all_inner_texts()[2] == "6 of 6"
    maps = page.get_by_role("img", name=re.compile("layer . head .|layer"))
    assert maps.count() == 6
    assert (
        page.get_by_role("img", name="layer 1, head 2")
        .get_attribute("aria-label")
        .startswith("layer 1, head 2: strongest at row 3, column 4")
    )


@pytest.mark.parametrize(("colour", "answer"), [("red", 3), ("cyan", 1), ("blue", 0), ("white", 4), ("green", 5)])
def test_another_colour_of_the_cue_is_another_question(shown, colour, answer):
    page = shown()
    page.get_by_role("radio", name=colour).check()
    told(page, re.compile(rf"The cue is {colour}; the network answers {answer}, .*The {colour} digit: {answer}, right\."))


def test_a_colour_that_no_digit_has_and_one_that_two_have(shown):
    page = shown()
    page.get_by_role("radio", name="pink").check()
    told(page, "Pink digits: none.")
    pick(page, 0)
    page.get_by_role("radio", name="yellow").check()
    pick(page, 5)
    page.get_by_role("radio", name="yellow").check()
    told(page, "Yellow digits: 3 and 7.")


def test_dragging_swaps_two_cells(shown):
    page = shown()
    box = scene(page).bounding_box()
    middle = lambda place: (box["x"] + (place % 4 + 0.5) * box["width"] / 4, box["y"] + (place // 4 + 0.5) * box["height"] / 4)
    page.mouse.move(*middle(11))
    page.mouse.down()
    page.mouse.move(*middle(2), steps=6)
    page.mouse.up()
    assert value(page).startswith("row 1, column 3: a yellow 7")
    page.get_by_role("img", name="layer 1, head 2: strongest at row 1, column 3").wait_for()
    told(page, "The yellow digit: 7, right.")
    pick(page, 11)
    assert value(page).startswith("row 3, column 4: empty")


def test_a_finger_moves_the_chosen_cell_in_every_direction(shown):
    page = shown(has_touch=True, viewport={"width": 390, "height": 844})
    box = scene(page).bounding_box()
    spot = lambda place: {
        "x": box["x"] + (place % 4 + 0.5) * box["width"] / 4,
        "y": box["y"] + (place // 4 + 0.5) * box["height"] / 4,
    }
    page.touchscreen.tap(**spot(3))
    session = page.context.new_cdp_session(page)
    touch = lambda kind, *points: session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": list(points)})
    touch("touchStart", spot(3))
    for place in (7, 11, 15):  # straight down, where a page would scroll
        touch("touchMove", spot(place))
    touch("touchEnd")
    page.wait_for_function(
        "document.querySelector('.attn-explorer > div').shadowRoot.querySelector('.stage').ariaValueText.startsWith('row 4, column 4: a cyan 1')"
    )
    assert page.evaluate("scrollY") == 0


def test_keys_alone_move_recolour_and_rewrite(shown):
    page = shown()
    scene(page).focus()
    for key in ("ArrowUp", "ArrowLeft", "Enter", "ArrowRight", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    assert value(page).startswith("row 1, column 3: a red 3")
    page.keyboard.press("Enter")
    assert page.get_by_role("button", name="Put it here").count() == 1
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Escape")
    assert page.get_by_role("button", name="Move", exact=True).count() == 1
    assert value(page).startswith("row 2, column 3: a blue 0")
    page.keyboard.press("Tab")
    focused = "document.activeElement.shadowRoot.activeElement"
    assert page.evaluate(f"{focused}.closest('fieldset').querySelector('legend').textContent") == "Colour"
    page.keyboard.press("ArrowRight")
    assert value(page).startswith("row 2, column 3: a pink 0")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    assert value(page).startswith("row 2, column 3: a pink 1")
    told(page, "The yellow digit: 7, right.")


def test_the_cue_stays_and_empty_cells_have_no_colour(shown):
    page = shown()
    assert page.get_by_role("radio", name="3", exact=True).is_disabled()
    assert page.get_by_role("radio", name="red").is_enabled()
    pick(page, 1)
    assert page.get_by_role("radio", name="none", exact=True).is_checked()
    assert page.get_by_role("radio", name="red").is_disabled()
    page.get_by_role("radio", name="8", exact=True).check()
    assert value(page).startswith("row 1, column 2: a pink 8")  # the colour that none has
    page.get_by_role("radio", name="none", exact=True).check()
    assert value(page).startswith("row 1, column 2: empty")


def test_another_handwriting_is_another_picture(shown):
    page = shown()
    pick(page, 11)
    looks = set()
    for _ in range(3):
        looks.add(photographed(scene(page)).tobytes())
        page.get_by_role("button", name="Other handwriting").click()
    assert len(looks) == 3
    assert value(page).startswith("row 3, column 4: a yellow 7")


SEVEN = [(0.2, 0.15), (0.8, 0.15), (0.45, 0.9)]


def draw(page, points):
    pad = page.get_by_role("img", name="Pad")
    pad.scroll_into_view_if_needed()
    box = pad.bounding_box()
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=5)
    page.mouse.up()


def test_a_drawn_digit_is_read_and_answered(shown):
    page = shown()
    pick(page, 11)
    page.get_by_role("radio", name="none", exact=True).check()
    told(page, "Yellow digits: none.")
    draw(page, SEVEN)
    assert page.get_by_role("radio", name="drawn").is_checked()
    page.get_by_role("radio", name="yellow").check()
    told(page, re.compile(r"the network answers 7, .*The yellow digit: drawn\."))
    assert value(page).startswith("row 3, column 4: a yellow drawing, the network says 7")
    page.get_by_role("button", name="Clear the pad").click()
    assert page.get_by_role("button", name="Clear the pad").is_disabled()
    pick(page, 5)
    draw(page, SEVEN)  # the cue is no place to draw in
    assert value(page).startswith("row 2, column 2: the yellow cue")


def test_new_scenes_are_scenes(shown):
    page = shown()
    for _ in range(5):
        page.get_by_role("button", name="New scene").click()
        assert re.match(r"row \d, column \d: the \w+ cue", value(page))
        told(page, re.compile(r"^The cue is (\w+); .* The \1 digit: \d, (right|wrong)\.$"))
        assert page.locator("dd").all_inner_texts()[2].endswith("of 6")


def test_attention_of_the_chosen_cell(shown):
    page = shown()
    pick(page, 0)
    of_cue = page.get_by_role("img", name="layer 1, head 1").get_attribute("aria-label")
    page.get_by_role("radio", name="the chosen cell").check()
    assert page.get_by_role("img", name="layer 1, head 1").get_attribute("aria-label") != of_cue
    page.get_by_role("radio", name="the cue").check()
    assert page.get_by_role("img", name="layer 1, head 1").get_attribute("aria-label") == of_cue


def test_the_page_draws_the_scenes_that_python_draws(javascript):
    parts = ingredients()
    found = np.reshape(javascript("scene.js")("new Scene(parts).image()", parts=parts), (32, 32, 3))
    np.testing.assert_allclose(found, start_picture().transpose(1, 2, 0), atol=0.01)  # steps of letters


def test_every_control_has_a_name_and_size_for_a_finger(shown):
    page = shown(has_touch=True, viewport={"width": 390, "height": 844})
    pick(page, 0)
    for button in page.get_by_role("button").all():
        assert button.inner_text()
        assert button.bounding_box()["height"] >= 44
    for radio in page.get_by_role("radio").all():
        if radio.evaluate("e => !e.closest('.quiet')"):
            assert radio.bounding_box()["height"] >= 44


def test_without_scripts_the_scene_is_seen(unscripted):
    assert unscripted.get_by_role("img", name="Cued search, in your hands, the scene").is_visible()
    assert "a yellow square: the network should answer 7. A still: allow scripts" in unscripted.locator("figcaption").inner_text()


def test_firefox_shows_and_answers_like_chromium(firefox, tmp_path, figure):
    (tmp_path / "page.html").write_text(document([figure], "dark"), "utf-8")
    firefox.open(tmp_path / "page.html")
    firefox.wait_for("document.querySelector('.attn-explorer > [data-ready]') !== null")
    root = "document.querySelector('.attn-explorer > div').shadowRoot"
    assert firefox.evaluate("document.querySelector('.attn-explorer > div').dataset.where") == "worker"
    firefox.wait_for(f"{root}.querySelector('[role=status]').textContent.startsWith('The cue is yellow; the network answers 7')")
    box = firefox.evaluate(f"{root}.querySelector('.stage').getBoundingClientRect().toJSON()")
    firefox.click(box["x"] + box["width"] * 0.375, box["y"] + box["height"] * 0.375)
    firefox.press("Tab")
    firefox.press("ArrowLeft")
    firefox.wait_for(f"{root}.querySelector('[role=status]').textContent.startsWith('The cue is red; the network answers 3')")
    assert firefox.evaluate(READ_CONTRAST)["faint"] == []
    assert firefox.errors == []
    assert firefox.requests == []


def test_it_is_small_and_the_same_each_time(figure):
    page = figure.to_html()
    assert len(page.encode()) <= MAX_BYTES == 300_000
    assert page == live.cued_search(live.load("ch07")).to_html() == figure._repr_html_()
    assert repr(figure) == "Live model: Cued search, in your hands. Six digits and a yellow square: the network should answer 7"


def test_a_model_shows_as_its_weights_do():
    model = live.unpack(live.load("ch07"), chapter_model(), skip=SKIPPED)
    packed, _ = live.pack(model, skip=SKIPPED)
    assert live.cued_search(model).to_html() == live.cued_search(packed).to_html()


def chapter_model(**options):
    stem = nn.Sequential(
        nn.Conv2d(3, 48, 4, stride=4),
        nn.BatchNorm2d(48),
        nn.ReLU(),
        nn.Conv2d(48, 64, 3, stride=2, padding=1),
        nn.BatchNorm2d(64),
        nn.ReLU(),
    )
    sizes = {"image_size": 32, "patch": 8, "classes": 11, "readout": "tokens", "positions": "sincos", "stem": stem}
    return vit_mini(**sizes | options)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"heads": 4}, "blocks of attention with 2 heads, got \\{4"),
        ({"depth": 2}, r"needs blocks\.2\.attention\.qkv\.weight as a matrix \[192, 64\]"),
        ({"depth": 4}, "the page shows 3 blocks, got more"),
        ({"classes": 10}, r"needs head\.weight as a matrix \[11, 64\] .*, got \[10, 64\]"),
        ({"stem": None}, r"needs embed\.0\.weight as a matrix \[48, 48\] .*, got None"),
        ({"mlp_ratio": 4.0}, r"needs blocks\.0\.mlp\.0\.weight as a matrix \[128, 64\]"),
        ({"positions": "learned"}, 'computes positions="sincos" on 4 × 4 cells'),
        ({"positions": "none"}, 'computes positions="sincos" on 4 × 4 cells'),
        ({"readout": "mean"}, "readout=\"tokens\", got 'mean'"),
    ],
)
def test_another_network_is_refused(options, told):
    with pytest.raises(ValueError, match=told):
        live.cued_search(chapter_model(**options))


def test_what_is_no_network_is_refused():
    with pytest.raises(ValueError, match="model: must be a ViT, or weights as attn_book.live.load reads them, got Linear"):
        live.cued_search(nn.Linear(2, 3))


def test_a_model_that_is_too_large_is_refused():
    with pytest.raises(ValueError, match=r"Big: takes 3\d\d,\d\d\d bytes on the page; a live model may take 300,000"):
        Live("vit_engine.js", "cued_search.js", {"text": "x" * 300_000}, title="Big", still=("it", "data:,"), sentence="")


def test_there_is_no_file_of_that_name():
    with pytest.raises(
        FileNotFoundError, match=r"results/live/ch99\.json is not .* there is .*ch07.* `python -m evidence\.live 99`"
    ):
        live.load("ch99")


def test_the_start_has_one_question_with_one_answer():
    cues = [colour for colour, *digit in START.values() if not digit]
    digits = [colour for colour, *digit in START.values() if digit]
    assert len(cues) == 1
    assert digits.count(cues[0]) == 1
    assert len(set(digits)) == 6 <= len(COLOURS)


def test_a_head_is_switched_off_and_on_again(shown):
    page = shown(other=live.cued_search(live.load("ch07"), switches=True))
    told(page, "The yellow digit: 7, right.")
    switch = page.get_by_role("group", name="Layer 2").get_by_role("checkbox", name="head 1")
    before = page.get_by_role("img", name="layer 3, head 1").get_attribute("aria-label")
    switch.uncheck()
    told(page, "1 of 6 heads are off.")
    assert page.locator(".maps figure[data-off] figcaption").all_inner_texts()[0].startswith("layer 2, head 1")
    switch.check()
    told(page, re.compile(r"right\.$"))
    assert page.locator(".maps figure[data-off]").count() == 0
    assert page.get_by_role("img", name="layer 3, head 1").get_attribute("aria-label") == before
    for layer in (1, 2, 3):
        for head in (1, 2):
            page.get_by_role("group", name=f"Layer {layer}").get_by_role("checkbox", name=f"head {head}").uncheck()
    told(page, re.compile(r"The yellow digit: 7, wrong\. 6 of 6 heads are off\."))  # no cell knows of any other


def test_without_being_asked_for_there_are_no_switches(shown):
    assert shown().get_by_role("checkbox").count() == 0
