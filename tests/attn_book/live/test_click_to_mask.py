"""Click to mask in the page, in a real browser from a file with the network refused: what a reader does, and what comes of it."""

import copy
import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from attn_book import live, masks
from attn_book.live.click_to_mask import NETWORK, PACKING, default_pictures, in_few_colours
from attn_book.live.page import MAX_BYTES, Live, squeezed
from tests.attn_book.explorers import at, document
from tests.attn_book.live.conftest import AS_TEXT, FAR_BELOW, NO_WORKERS, chapter, from_text, photographed, stirred, told


@pytest.fixture(scope="module")
def network():
    """A network without training: its masks are blots, but of the page everything can be seen."""
    return stirred(chapter("09_segmentation").build_click("two-way", 0), seed=1)


@pytest.fixture(scope="module")
def figure(network):
    return live.click_to_mask(network)


@pytest.fixture(scope="module")
def answer(network):
    """answer(picture, row, col): what torch says with the weights and the picture of the page."""
    _, rounded = live.pack(network, **PACKING)
    pictures = []
    for _, image, _ in default_pictures():
        colours, pixels = in_few_colours(image)
        pictures.append(torch.from_numpy(colours[pixels].transpose(2, 0, 1)))

    def answer(picture, row, col):
        with torch.no_grad():
            logits, scores = rounded(pictures[picture][None], torch.tensor([[[row, col]]]))
        inside = logits[0, 0].numpy() > 0
        return SimpleNamespace(inside=inside, scores=scores[0, 0].clamp(0, 1).tolist(), overlap=float(masks.iou(*inside)))

    return answer


def area(inside):
    percent = 100 * inside.mean()
    return "nothing" if percent == 0 else "< 1 %" if percent < 1 else f"{int(percent + 0.5)} %"


def sentence(found, row, col):
    (part, whole), (first, second) = map(area, found.inside), found.scores
    verdict = "No answer" if not found.inside.any() else "One answer" if found.overlap > 0.75 else "Two answers"
    return (
        f"Row {row + 1}, column {col + 1}: the part covers {part} of the picture, score {first:.2f};"
        f" the whole {whole}, score {second:.2f}. {verdict}."
    )


def picture(page):
    return page.get_by_role("slider", name="Picture")


def value(page):
    return picture(page).get_attribute("aria-valuetext")


def click(page, row, col):
    picture(page).click(position=at(picture(page), row, col, 64, 64))


def test_it_starts_with_an_answer_that_is_torchs(shown, answer):
    page, (_, _, start) = shown(), default_pictures()[0]
    told(page, sentence(answer(0, *start), *start))
    assert value(page) == f"row {start[0] + 1}, column {start[1] + 1}, clicked"


@pytest.mark.parametrize("place", [(20, 41), (0, 63)])
def test_a_click_is_answered_as_torch_does(shown, answer, place):
    page = shown()
    click(page, *place)
    told(page, sentence(answer(0, *place), *place))
    found = answer(0, *place)
    for kind, inside, score in zip(["Part", "Whole"], found.inside, found.scores):
        assert page.get_by_role("img", name=f"{kind}: {area(inside)} of the picture, score {score:.2f}").count() == 1
    verdict = "one answer" if found.overlap > 0.75 else "two answers"
    assert page.locator("dd").all_inner_texts() == [
        *(f"{area(inside)} of the picture" for inside in found.inside),
        f"{found.overlap:.2f} {verdict}",
    ]


ROOT = "document.querySelector('.attn-explorer > div').shadowRoot"
PANES = (
    f"[...{ROOT}.querySelectorAll('.maps canvas')].map((c) => ({AS_TEXT})(c.getContext('2d').getImageData(0, 0, 256, 256).data))"
)


def test_each_pane_leaves_its_mask_bright_and_the_rest_dark(shown, answer):
    page = shown()
    click(page, 20, 41)
    found = answer(0, 20, 41)
    told(page, sentence(found, 20, 41))
    colours, pixels = in_few_colours(default_pictures()[0][1])
    bright = np.round(255 * colours[pixels])
    dark = 0.34 * (bright @ [0.2126, 0.7152, 0.0722])[..., None]
    for text, inside in zip(page.evaluate(PANES), found.inside):
        seen = from_text(text, (256, 256, 4))[2::4, 2::4, :3]  # the middle of each pixel of the picture
        padded = np.pad(inside, 1, mode="edge")
        around = np.stack([padded[r : r + 64, c : c + 64] for r in range(3) for c in range(3)])
        clear = (around == inside).all(0)  # no outline beside it
        clear[[0, -1]] = clear[:, [0, -1]] = False
        assert clear[inside].any() and clear[~inside].any()
        np.testing.assert_allclose(seen[clear], np.where(inside[..., None], bright, dark)[clear], atol=1)


def test_outlines_and_the_click_are_on_the_picture(shown, answer):
    page = shown()
    click(page, 20, 41)
    told(page, sentence(answer(0, 20, 41), 20, 41))
    seen = np.asarray(photographed(picture(page)))
    height, width, _ = seen.shape
    np.testing.assert_allclose(seen[int(20.5 / 64 * height), int(41.5 / 64 * width)], (255, 122, 26), atol=6)
    count = lambda colour: (np.abs(seen.astype(int) - colour).max(-1) < 10).sum()
    for inside, colour in zip(answer(0, 20, 41).inside, [(255, 122, 26), (86, 180, 233)]):
        edges = (inside[1:] != inside[:-1]).sum() + (inside[:, 1:] != inside[:, :-1]).sum()
        assert count(colour) > edges * width / 64 / 4  # px along the outline, of which the other one covers some


def test_another_picture_is_another_question(shown, answer):
    page = shown()
    for number, (name, _, start) in enumerate(default_pictures()):
        page.get_by_role("radio", name=name).check()
        told(page, sentence(answer(number, *start), *start))


def test_keys_move_the_cross_and_enter_clicks(shown, answer):
    page = shown()
    row, col = default_pictures()[0][2]
    before = sentence(answer(0, row, col), row, col)
    told(page, before)
    picture(page).focus()
    for key in ("ArrowUp", "ArrowLeft", "ArrowLeft", "PageUp", "Home"):
        page.keyboard.press(key)
    row = max(row - 17, 0)
    assert value(page) == f"row {row + 1}, column 1, press Enter to click"
    page.wait_for_timeout(400)
    told(page, before)  # nothing was asked yet
    page.keyboard.press("Enter")
    assert value(page) == f"row {row + 1}, column 1, clicked"
    told(page, sentence(answer(0, row, 0), row, 0))
    page.keyboard.press("ArrowRight")
    page.keyboard.press(" ")
    told(page, sentence(answer(0, row, 1), row, 1))
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Escape")
    assert value(page) == f"row {row + 1}, column 2, clicked"
    assert page.evaluate("scrollY") == 0


def test_everything_is_reached_by_tab(shown, answer):
    page = shown()
    picture(page).focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")  # the second picture
    start = default_pictures()[1][2]
    told(page, sentence(answer(1, *start), *start))
    picture(page).focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # the button
    told(page, sentence(answer(1, start[0] + 1, start[1]), start[0] + 1, start[1]))
    assert page.get_by_role("button", name="Click at the cross").is_disabled()


def test_a_finger_taps_and_scrolls(shown, answer):
    page = shown(has_touch=True, viewport={"width": 390, "height": 500})
    box = picture(page).bounding_box()
    spot = lambda row, col: {"x": box["x"] + (col + 0.5) / 64 * box["width"], "y": box["y"] + (row + 0.5) / 64 * box["height"]}
    page.touchscreen.tap(**spot(30, 12))
    told(page, sentence(answer(0, 30, 12), 30, 12))
    session = page.context.new_cdp_session(page)
    touch = lambda kind, *points: session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": list(points)})
    touch("touchStart", spot(50, 40))
    for row in (40, 30, 20, 10):  # up, which scrolls the page
        touch("touchMove", spot(row, 40))
    touch("touchEnd")
    page.wait_for_function("scrollY > 0")
    page.wait_for_timeout(400)
    assert value(page) == "row 31, column 13, clicked"
    told(page, sentence(answer(0, 30, 12), 30, 12))


def test_of_many_clicks_the_last_is_told(shown, answer):
    page = shown()
    for col in range(10, 50, 4):
        click(page, 33, col)
    told(page, sentence(answer(0, 33, 46), 33, 46))


def test_empty_masks_are_told_as_such(shown, network):
    other = copy.deepcopy(network)
    with torch.no_grad():
        other.to_query[2].bias[-6] -= 10_000  # the constant of the conic: no pixel is inside
        other.to_score[2].bias -= 10
    page = shown(other=live.click_to_mask(other))
    told(page, re.compile(r"the part covers nothing of the picture, score 0\.00; the whole nothing, score 0\.00\. No answer\.$"))
    assert page.locator("dd").all_inner_texts()[2] == "– no answer"
    for kind in ("Part", "Whole"):
        assert page.get_by_role("img", name=f"{kind}: nothing of the picture, score 0.00").count() == 1


def broken(weights):
    """The figure with other weights than it should have."""
    colours, pixels = "!" * 9, "!" * 4096
    payload = {"title": "Broken", "caption": "", "network": {"weights": weights, **NETWORK}}
    payload["pictures"] = [{"name": "dark", "colours": colours, "pixels": pixels, "start": [3, 4]}]
    return Live("click_engine.js", "click_to_mask.js", payload, title="Broken", still=("it", "data:,"), sentence="")


@pytest.mark.parametrize("head", ["", NO_WORKERS], ids=["worker", "page"])
@pytest.mark.parametrize("weights", ["0!!!!!", squeezed({"fine": "", "coarse": "", "tensors": []})], ids=["garbage", "nothing"])
def test_a_network_that_cannot_run_says_so(shown, weights, head):
    page = shown(other=broken(weights), head=head, ready=False)
    told(page, "The network could not be run: ")
    assert page.get_by_role("status").is_visible()
    assert page.get_by_role("status").bounding_box()["height"] > 10
    for kind in ("Part", "Whole"):
        assert page.get_by_role("img", name=f"{kind}: no answer yet").count() == 1
    assert page.locator("dd").count() == 0
    page.troubles[:] = [trouble for trouble in page.troubles if not (head and "worker" in trouble.lower())]


def test_before_the_first_view_there_is_no_answer(shown):
    page = shown(head=FAR_BELOW, ready=False)
    page.wait_for_timeout(300)
    assert page.get_by_role("img", name="Part: no answer yet").count() == 1
    assert page.locator("dd").count() == 0


@pytest.mark.parametrize("width", [390, 760])
def test_the_two_masks_are_side_by_side(shown, width):
    page = shown(viewport={"width": width, "height": 844})
    first, second = (pane.bounding_box() for pane in page.locator(".maps canvas").all())
    assert first["y"] == second["y"]


def test_every_control_has_a_name_and_size_for_a_finger(shown):
    page = shown(has_touch=True, viewport={"width": 390, "height": 844})
    for control in [*page.get_by_role("button").all(), *page.get_by_role("radio").all()]:
        assert control.bounding_box()["height"] >= 44
    assert [label.inner_text() for label in page.locator(".segments label").all()] == [
        "coins 1",
        "coins 2",
        "badges",
        "alike",
        "unlike",
    ]


def test_without_scripts_a_picture_is_seen(unscripted):
    assert unscripted.get_by_role("img", name="Click on it, coins 1").is_visible()
    assert (
        "two masks, of the part and of the whole, and a score for each. A still: allow scripts"
        in unscripted.locator("figcaption").inner_text()
    )


def test_firefox_shows_and_answers_like_chromium(firefox, tmp_path, figure, answer):
    (tmp_path / "page.html").write_text(document([figure], "dark"), "utf-8")
    firefox.open(tmp_path / "page.html")
    firefox.wait_for("document.querySelector('.attn-explorer > [data-ready]') !== null", 30)
    assert firefox.evaluate("document.querySelector('.attn-explorer > div').dataset.where") == "worker"
    spoken = lambda text: firefox.wait_for(f"{ROOT}.querySelector('[role=status]').textContent === {text!r}", 30)
    start = default_pictures()[0][2]
    spoken(sentence(answer(0, *start), *start))
    box = firefox.evaluate(f"{ROOT}.querySelector('.stage').getBoundingClientRect().toJSON()")
    firefox.click(box["x"] + box["width"] * 41.5 / 64, box["y"] + box["height"] * 20.5 / 64)
    spoken(sentence(answer(0, 20, 41), 20, 41))
    for key in ("ArrowUp", "Home", "Enter"):
        firefox.press(key)
    spoken(sentence(answer(0, 19, 0), 19, 0))
    assert firefox.errors == []
    assert firefox.requests == []


def test_it_takes_at_most_300_kb(figure, record_property):
    size = len(figure.to_html().encode())
    record_property("book: click to mask in the page, kB", f"{size / 1000:.0f}")
    assert size <= MAX_BYTES


def test_weights_that_were_read_from_a_file_give_the_same_page(network, figure):
    packed, _ = live.pack(network, **PACKING)
    assert live.click_to_mask(packed).to_html() == figure.to_html()


def test_ones_own_pictures_are_shown(shown, network):
    page = shown(other=live.click_to_mask(network, pictures=[("my cat", np.full((3, 64, 64), 0.5), (9, 8))], title="My own"))
    told(page, re.compile("^Row 10, column 9: "))
    assert page.get_by_role("radio", name="my cat").is_checked()
    assert page.get_by_role("group", name="My own").count() == 1
