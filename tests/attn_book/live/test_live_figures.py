"""What every live model keeps: it runs in a worker or without one, starts on first view, follows the theme and fits a phone."""

import pytest

from attn_book import live
from attn_utils.caption_dit import CaptionDiT
from attn_utils.dit import DiT
from tests.attn_book.live.conftest import FAR_BELOW, NO_WORKERS, chapter, stirred, told
from tests.attn_book.test_explorer_page import READ_CONTRAST, SURFACE
from tests.book.reading import TWO_FRAMES

FIGURES = {  # what makes it, what it says at the start, how many pieces of text it has at least
    "cued search": (lambda: live.cued_search(live.load("ch07")), "the network answers 7", 40),
    "click to mask": (
        lambda: live.click_to_mask(chapter("09_segmentation").build_click("two-way", 0).eval()),
        "the part covers",
        15,
    ),
    "draw digit": (lambda: live.draw_digit(untrained_generator(), network={"steps": 2}), "A 7 was drawn in 2 steps", 15),
    "draw caption": (lambda: live.draw_caption(untrained_teller()), "“red 3 above blue 7” was drawn in 12 steps", 15),
}
OTHER_THEME = "document.documentElement.dataset.theme = document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark'"
HOST = ".attn-explorer > div"


def untrained_generator():
    return stirred(DiT(image_size=28, patch=4, dim=32, depth=2, heads=2, classes=10, mlp_ratio=2, waves=64))


def untrained_teller():
    return stirred(CaptionDiT(image_size=28, patch=7, dim=32, depth=2, heads=2, words=21, length=5))


@pytest.fixture(scope="module", params=FIGURES)
def case(request):
    make, says, pieces = FIGURES[request.param]
    return make(), says, pieces


@pytest.fixture
def figure(case):
    return case[0]


def test_it_runs_in_the_page_where_workers_are_refused(shown, case):
    page = shown(head=NO_WORKERS)
    told(page, case[1])
    assert page.locator(HOST).get_attribute("data-where") == "page"
    assert all("worker" in trouble.lower() for trouble in page.troubles)  # the browser notes that it refused
    page.troubles.clear()


def test_it_runs_in_a_worker(shown, case):
    page = shown()
    told(page, case[1])
    assert page.locator(HOST).get_attribute("data-where") == "worker"


def test_it_starts_on_first_view(shown):
    page = shown(head=FAR_BELOW, ready=False)
    page.wait_for_timeout(300)
    assert page.locator(".attn-explorer > [data-ready]").count() == 0
    page.get_by_role("slider").first.scroll_into_view_if_needed()
    page.locator(".attn-explorer > [data-ready]").wait_for(state="attached")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_follows_the_theme_and_fits_a_phone(shown, case, theme):
    page = shown(theme=theme, viewport={"width": 390, "height": 844})
    for width in (390, 760):
        page.set_viewport_size({"width": width, "height": 844})
        page.evaluate(TWO_FRAMES)
        assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
        page.get_by_role("slider").first.click(position={"x": 20, "y": 20})
        read = page.evaluate(READ_CONTRAST)
        assert read["pieces"] > case[2]
        assert read["faint"] == []
        before = page.evaluate(SURFACE)
        page.evaluate(OTHER_THEME)
        page.wait_for_function(f"{SURFACE} !== '{before}'")
        assert page.evaluate(READ_CONTRAST)["faint"] == []


@pytest.mark.parametrize(("finger", "asked", "spared"), [(True, "Tap a", "keys"), (False, "Click", "Tap")])
def test_the_hint_names_what_the_reader_has(shown, finger, asked, spared):
    hint = shown(has_touch=finger, is_mobile=finger).locator("#hint").inner_text()
    assert hint.startswith(asked)
    assert spared not in hint
