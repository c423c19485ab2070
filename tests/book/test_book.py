"""The built book in a real browser, from disk, with the network refused: what a reader would see and what would bother them."""

import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import pytest

from tests.book.reading import (
    READ_CARDS,
    READ_CONTRAST,
    READ_FIGURES,
    READ_INK,
    READ_OVERFLOW,
    READ_PAGE,
    READ_SIDEWAYS,
    TWO_FRAMES,
)

ROOT = Path(__file__).resolve().parents[2]
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}

SMALLEST_TEXT = 9  # px, in a figure on a phone
ASKED_FOR = ("script", "link", "img", "iframe", "source", "video")  # tags whose address a browser may ask for by itself
HEAVIEST_PAGE = 1_500_000  # bytes of HTML, with its figures and explorers


@dataclass
class Visit:
    """What one page did and showed."""

    requests: int = 0
    foreign: list = field(default_factory=list)
    missing: list = field(default_factory=list)
    errors: list = field(default_factory=list)
    read: dict = field(default_factory=dict)
    overflow: list = field(default_factory=list)
    sideways: list = field(default_factory=list)
    contrast: dict = field(default_factory=dict)
    ink: dict = field(default_factory=dict)
    cards: list = field(default_factory=list)
    figures: dict = field(default_factory=dict)


@contextmanager
def visiting(browser):
    """visit(path) opens one file after the other, with the network refused: as on a desk, then as on a phone, in both themes."""
    context = browser.new_context(viewport=DESK, offline=True, reduced_motion="reduce")
    page, seen = context.new_page(), Visit()  # one tab for all: scripts that every page has are compiled once

    def on_request(request):
        seen.requests += 1
        if urlsplit(request.url).scheme not in ("file", "data", "blob"):
            seen.foreign.append(request.url[:120])

    def visit(path):
        nonlocal seen
        page.goto("about:blank")
        page.set_viewport_size(DESK)
        seen = Visit()
        page.goto(path.as_uri(), wait_until="load")
        look(seen, page.evaluate, lambda: page.set_viewport_size(PHONE))
        return seen

    page.on("request", on_request)
    page.on("requestfailed", lambda request: seen.missing.append(request.url[-120:]))
    page.on("console", lambda message: seen.errors.append(message.text[:200]) if message.type == "error" else None)
    page.on("pageerror", lambda error: seen.errors.append(str(error)[:200]))
    try:
        yield visit
    finally:
        context.close()


def visit_with_firefox(firefox, path):
    """The same in Firefox, which refuses the network too."""
    firefox.open(path, **DESK)
    seen = Visit()
    look(seen, firefox.evaluate, lambda: firefox.resize(**PHONE))
    seen.errors, seen.foreign = list(firefox.errors), list(firefox.requests)
    return seen


def look(seen, evaluate, narrow):
    """Read the open page as it is on a desk, in both themes, then as on a phone with all that is folded unfolded."""
    evaluate(TWO_FRAMES)  # the theme's icons become pictures
    seen.read = evaluate(READ_PAGE)
    for theme in ("light", "dark"):
        seen.contrast[theme] = evaluate(READ_CONTRAST, theme)  # which sets the theme
        seen.ink[theme] = evaluate(READ_INK)
    seen.cards = evaluate(READ_CARDS)
    narrow()
    evaluate("() => { for (const closed of document.querySelectorAll('details:not([open])')) closed.open = true }")
    evaluate(TWO_FRAMES)
    seen.overflow = evaluate(READ_OVERFLOW)
    seen.sideways = evaluate(READ_SIDEWAYS)
    seen.figures = evaluate(READ_FIGURES, SMALLEST_TEXT)


def build(where):
    """`jupyter-book build` with every warning an error, as in `make book`, into another folder."""
    command = shutil.which("jupyter-book", path=str(Path(sys.executable).parent)) or "jupyter-book"
    done = subprocess.run(
        [command, "build", str(ROOT), "--path-output", str(where), "-n", "-W", "--keep-going"],
        capture_output=True, text=True, encoding="utf8", errors="replace", env={**os.environ, "PYTHONUTF8": "1"},
    )  # fmt: skip
    assert done.returncode == 0, f"the book does not build:\n{done.stdout[-3000:]}\n{done.stderr[-5000:]}"
    return where / "_build" / "html"


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    return build(tmp_path_factory.mktemp("a book"))


@pytest.fixture(scope="module")
def pages(book):
    """Every page of the book that a reader can come to."""
    found = sorted(path for path in book.rglob("*.html") if "_static" not in path.relative_to(book).parts)
    return {path.relative_to(book).as_posix(): path for path in found}


class Tags(HTMLParser):
    """All tags of a page with their attributes: (name, {attribute: value})."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


@pytest.fixture(scope="module")
def tags(pages):
    return {name: Tags(path.read_text(encoding="utf8")).found for name, path in pages.items()}


@pytest.fixture(scope="module")
def visits(browser, pages):
    with visiting(browser) as visit:  # index.html only sends the reader on to the first page
        return {name: visit(path) for name, path in pages.items() if name != "index.html"}


@pytest.fixture(scope="module")
def firefox_visits(firefox, pages):
    return {
        name: visit_with_firefox(firefox, path) for name, path in pages.items() if name.startswith(("notebooks/", "book/index"))
    }


def problems(visits, what):
    return {name: found for name, seen in visits.items() if (found := what(seen))}


def test_every_chapter_has_its_page(pages):
    chapters = {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert chapters, "there is no chapter"
    assert chapters == {Path(name).stem for name in pages if name.startswith("notebooks/")}, "_toc.yml and notebooks/ differ"


def test_nothing_is_asked_of_another_host(visits, record_property):
    record_property("book: pages", len(visits))
    record_property("book: requests, all local", sum(seen.requests for seen in visits.values()))
    assert problems(visits, lambda seen: seen.foreign) == {}
    assert problems(visits, lambda seen: seen.missing) == {}


def test_the_console_is_silent(visits):
    assert problems(visits, lambda seen: seen.errors) == {}


def test_every_formula_is_rendered(visits, record_property):
    record_property("book: formulas rendered", sum(seen.read["formulas"] for seen in visits.values()))
    assert problems(visits, lambda seen: seen.read["unrendered"]) == {}


def test_every_picture_is_there_and_has_alt_text(visits, record_property):
    record_property("book: pictures with alt text", sum(seen.read["pictures"] for seen in visits.values()))
    assert problems(visits, lambda seen: seen.read["broken"]) == {}
    assert problems(visits, lambda seen: seen.read["nameless"]) == {}


def test_every_figure_is_in_the_page_numbered_captioned_and_described(visits, record_property):
    record_property("book: figures", sum(seen.figures["figures"] for seen in visits.values()))
    assert problems(visits, lambda seen: seen.figures["bare"]) == {}
    assert problems(visits, lambda seen: seen.figures["loose"]) == {}, "figures that are not drawn into the page"
    assert problems(visits, lambda seen: seen.figures["repeated"]) == {}, "ids that stand twice on a page"
    for name, seen in visits.items():
        chapter = re.match(r"notebooks/(\d\d)_", name)
        numbers = [number.rpartition(".") for number in seen.figures["numbers"]]
        assert [before for before, _, _ in numbers if before != f"Fig. {int(chapter[1])}"] == [] if chapter else numbers == []
        assert [int(number) for _, _, number in numbers] == sorted({int(number) for _, _, number in numbers})


def test_no_text_of_a_figure_is_too_small_on_a_phone(visits):
    assert problems(visits, lambda seen: seen.figures["small"]) == {}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_words_of_figures_are_readable_in_both_themes(visits, theme):
    assert problems(visits, lambda seen: seen.ink[theme]) == {}


def test_no_white_card_lies_on_a_dark_page(visits):
    assert problems(visits, lambda seen: seen.cards) == {}


def test_no_page_is_heavy(pages, record_property):
    weights = {name: path.stat().st_size for name, path in pages.items()}
    record_property("book: heaviest page, kB", max(weights.values()) // 1000)
    assert {name: weight for name, weight in weights.items() if weight > HEAVIEST_PAGE} == {}


def test_firefox_shows_the_same(firefox_visits, visits):
    assert problems(firefox_visits, lambda seen: seen.errors) == {}
    assert problems(firefox_visits, lambda seen: seen.foreign) == {}
    assert problems(firefox_visits, lambda seen: seen.read["unrendered"] + seen.read["nameless"] + seen.read["broken"]) == {}
    assert problems(firefox_visits, lambda seen: seen.overflow) == {}
    assert problems(firefox_visits, lambda seen: seen.contrast["light"]["faint"] + seen.contrast["dark"]["faint"]) == {}
    assert problems(firefox_visits, lambda seen: seen.ink["light"] + seen.ink["dark"] + seen.cards) == {}
    assert problems(firefox_visits, lambda seen: seen.figures["bare"] + seen.figures["small"]) == {}
    for name, seen in firefox_visits.items():
        assert seen.read["formulas"] == visits[name].read["formulas"]
        assert seen.figures["figures"] == visits[name].figures["figures"]


def test_nothing_overflows_a_phone(visits, record_property):
    record_property(f"book: pages within {PHONE['width']} px", sum(not seen.overflow for seen in visits.values()))
    assert problems(visits, lambda seen: seen.overflow) == {}


def test_tables_and_formulas_are_seen_whole_on_a_phone(visits):
    assert problems(visits, lambda seen: seen.sideways) == {}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_is_readable_in_both_themes(visits, theme, record_property):
    record_property(f"book: texts with contrast ≥ 4.5, {theme}", sum(seen.contrast[theme]["pieces"] for seen in visits.values()))
    assert problems(visits, lambda seen: seen.contrast[theme]["faint"]) == {}


def test_every_link_inside_the_book_leads_somewhere(pages, tags, record_property):
    anchors = {name: {attributes["id"] for _, attributes in found if "id" in attributes} for name, found in tags.items()}
    root = next(iter(pages.values())).parents[next(iter(pages)).count("/")]
    dead, followed = [], 0
    for name, found in tags.items():
        for link in (attributes["href"] for tag, attributes in found if tag == "a" and "href" in attributes):
            href, anchor = urldefrag(link)
            if urlsplit(href).scheme or href.startswith("//"):
                continue
            followed += 1
            target = (pages[name].parent / unquote(href)).resolve() if href else pages[name]
            known = target.relative_to(root.resolve()).as_posix() if target.is_relative_to(root.resolve()) else None
            if not target.exists():
                dead.append(f"{name}: {link}")
            elif anchor and known in anchors and unquote(anchor) not in anchors[known]:
                dead.append(f"{name}: {link} (no such place on that page)")
    record_property("book: links inside the book", followed)
    assert dead == []


def test_no_page_names_a_script_or_style_of_another_host(tags):
    """A request that only some readers' browsers would make is found here too."""
    foreign = {}
    for name, found in tags.items():
        for tag, attributes in found:
            address = attributes.get("src") or attributes.get("href") or ""
            if tag in ASKED_FOR and urlsplit(address).netloc and attributes.get("rel") != "canonical":
                foreign.setdefault(name, []).append(address)
    assert foreign == {}


def test_these_checks_see_what_they_are_for(browser, pages, tmp_path):
    """A page on which everything is wrong: each check must object."""
    page = tmp_path / "wrong.html"
    page.write_text(
        """<!doctype html><html><head><style>
        html { --pst-color-background: #fff; background: #fff } html[data-theme=dark] { --pst-color-background: #12181f; color: #dce3ea }
        </style></head><body><article>
        <p style="color:#ccc">faint</p><p>raw $$x^2$$</p><span class="math">never rendered</span>
        <img src="data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA="><img src="gone.png" alt="gone">
        <div style="width:900px;background:#fff">wide</div><div style="width:300px;overflow-x:auto"><table style="width:500px"><tr><td>pushed</td></tr></table></div><div class="cell_output"><img src="data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA=" alt="a loose picture"></div>
        <figure><svg class="figure" role="img" aria-label="twice" viewBox="0 0 800 20" width="800" style="max-width:100%"><g id="same" />
        <text x="9" y="12" style="font-size:11px">tiny</text><text x="99" y="12" style="fill:#111111">dark ink</text></svg></figure>
        <svg class="figure" viewBox="0 0 90 90" width="90"><g id="same" /><rect width="90" height="90" fill="#ffffff" /><text y="20">on paper</text></svg>
        <figure><svg class="figure" role="img" aria-label="right" viewBox="0 0 90 90" width="90"><text y="20" fill="currentColor">right</text></svg>
        <figcaption><span class="caption-number">Fig. 1.1 </span><span class="caption-text">Right.</span></figcaption></figure><script src="https://example.org/x.js"></script>
        <script>console.error("said"); undefined_name();</script></article></body></html>""",
        encoding="utf8",
    )
    with visiting(browser) as visit:
        before, seen, after = (visit(path) for path in (pages["book/index.html"], page, pages["book/index.html"]))
    assert before == after, "what is wrong with one page is said of another"
    assert seen.foreign == ["https://example.org/x.js"]
    assert any(address.endswith("gone.png") for address in seen.missing)
    assert any("said" in text for text in seen.errors)
    assert any("undefined_name" in text for text in seen.errors)
    assert any("never rendered" in text for text in seen.read["unrendered"])
    assert any("raw: raw $$x^2$$" in text for text in seen.read["unrendered"])
    assert len(seen.read["nameless"]) == 1
    assert seen.read["broken"] == ["gone.png"]
    assert any("the page itself" in text for text in seen.overflow)
    assert seen.sideways == ["200 px: pushed"]
    assert any("faint" in text for text in seen.contrast["light"]["faint"])
    assert seen.figures["figures"] == 3
    assert seen.figures["bare"] == ["no number: twice", "no number: no alt text"]
    assert seen.figures["numbers"] == ["", "", "Fig. 1.1"]
    assert [text.split(": ")[1] for text in seen.figures["small"]] == ["tiny"]
    assert seen.figures["repeated"] == ["same"]
    assert len(seen.figures["loose"]) == 1
    assert [text.split(": ")[1] for text in seen.ink["dark"]] == ["tiny", "dark ink"]
    assert seen.ink["light"] == []
    assert seen.cards == ["div.null rgb(255, 255, 255)", "rect.null rgb(255, 255, 255)"]
