"""The built book in a real browser, from disk, with the network refused: what a reader would see and what would bother them."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import pytest
from bs4 import BeautifulSoup

ROOT = Path(__file__).resolve().parents[2]
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}

# Waits for MathJax, then reads the page. Formulas: Sphinx marks each with class "math"; MathJax puts a container in it.
READ_PAGE = r"""
async () => {
  if (window.MathJax && MathJax.startup) await MathJax.startup.promise;
  const article = document.querySelector("article") || document.body;
  const seen = [...article.querySelectorAll(".math")]
    .filter(e => !e.closest("mjx-container, [aria-hidden=true], [role=presentation]"));
  const unrendered = seen.filter(e => !e.querySelector("mjx-container")).map(e => e.textContent.slice(0, 60));
  for (const e of document.querySelectorAll("mjx-merror, [data-mjx-error]")) {
    const holder = e.closest("mjx-container");
    unrendered.push("error: " + (e.getAttribute("data-mjx-error") || holder && holder.textContent || e.textContent).slice(0, 80));
  }
  const walker = document.createTreeWalker(article, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.data;
    if (/\$\$|\\\(|\\\[|\\begin\{/.test(text) && !walker.currentNode.parentElement.closest("pre, code, script, style, textarea, mjx-container"))
      unrendered.push("raw: " + text.trim().slice(0, 60));
  }
  const pictures = [...document.querySelectorAll("img, svg[role=img], canvas")]
    .filter(e => !e.closest("mjx-container, [aria-hidden=true], [role=presentation]"));
  const named = e => ["alt", "aria-label", "aria-labelledby"].map(name => e.getAttribute(name) || "").join("").trim() || e.querySelector("title");
  const nameless = pictures.filter(e => !named(e));
  return {
    formulas: article.querySelectorAll("mjx-container").length,
    unrendered,
    pictures: pictures.length,
    nameless: nameless.map(e => e.outerHTML.slice(0, 90)),
    broken: [...document.images].filter(e => e.complete && !e.naturalWidth && e.getAttribute("src")).map(e => e.getAttribute("src").slice(0, 90)),
  };
}
"""

# Whatever reaches past the right edge of the window and cannot be scrolled inside a box of its own.
READ_OVERFLOW = r"""
() => {
  const width = document.documentElement.clientWidth, wide = [];
  if (document.documentElement.scrollWidth > width) wide.push(`the page itself: ${document.documentElement.scrollWidth} px`);
  for (const e of document.querySelectorAll("article *")) {
    const box = e.getBoundingClientRect();
    if (box.right <= width + 1 || box.width < 2 || box.height < 2) continue;
    if (e.closest("svg") && e.tagName !== "svg" || e.closest("mjx-assistive-mml")) continue;
    let inside = false;
    for (let p = e.parentElement; p && p.tagName !== "ARTICLE"; p = p.parentElement) {
      if (/auto|scroll/.test(getComputedStyle(p).overflowX) && p.getBoundingClientRect().right <= width + 1) { inside = true; break; }
    }
    if (!inside) wide.push(`${e.tagName.toLowerCase()}.${e.className}: ${Math.round(box.right)} px`.slice(0, 90));
  }
  return wide.slice(0, 5);
}
"""

# WCAG contrast of each visible piece of text against the first opaque background behind it.
READ_CONTRAST = r"""
theme => {
  document.documentElement.dataset.theme = document.documentElement.dataset.mode = theme;
  const parse = c => { const n = (c.match(/[\d.]+/g) || []).map(Number); return n.length > 3 ? n : [...n, 1]; };
  const light = ([r, g, b]) => [r, g, b].map(v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = e => {
    for (; e; e = e.parentElement) {
      const style = getComputedStyle(e), colour = parse(style.backgroundColor);
      if (style.backgroundImage !== "none") return null;
      if (colour[3] > 0.95) return colour;
    }
    return [255, 255, 255];
  };
  const faint = new Set(), article = document.querySelector("article") || document.body;
  const walker = document.createTreeWalker(article, NodeFilter.SHOW_TEXT);
  let pieces = 0;
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || e.closest("svg, script, style, mjx-container, .headerlink, button, [aria-hidden=true], option, noscript")) continue;
    if (!e.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
    const back = behind(e), ink = parse(getComputedStyle(e).color);
    if (!back || ink[3] < 0.95) continue;
    const [a, b] = [light(back), light(ink)].sort((x, y) => y - x), ratio = (a + 0.05) / (b + 0.05);
    pieces += 1;
    if (ratio < 4.5) faint.add(`${ratio.toFixed(1)} ${e.tagName.toLowerCase()}.${e.className} in ${e.parentElement.className}: ${walker.currentNode.data.trim().slice(0, 30)}`);
  }
  return { pieces, faint: [...faint].slice(0, 8) };
}
"""


@dataclass
class Visit:
    """What one page did and showed."""

    requests: int = 0
    foreign: list = field(default_factory=list)
    missing: list = field(default_factory=list)
    errors: list = field(default_factory=list)
    read: dict = field(default_factory=dict)
    overflow: list = field(default_factory=list)
    contrast: dict = field(default_factory=dict)


def visit(browser, path):
    """Open one file with the network refused, first as on a desk, then as on a phone, then in both themes."""
    seen = Visit()
    context = browser.new_context(viewport=DESK, offline=True, reduced_motion="reduce")
    try:
        page = context.new_page()

        def on_request(request):
            seen.requests += 1
            if urlsplit(request.url).scheme not in ("file", "data", "blob"):
                seen.foreign.append(request.url[:120])

        page.on("request", on_request)
        page.on("requestfailed", lambda request: seen.missing.append(request.url[-120:]))
        page.on("console", lambda message: seen.errors.append(message.text[:200]) if message.type == "error" else None)
        page.on("pageerror", lambda error: seen.errors.append(str(error)[:200]))
        page.goto(path.as_uri(), wait_until="load")
        seen.read = page.evaluate(READ_PAGE)
        seen.contrast = {theme: page.evaluate(READ_CONTRAST, theme) for theme in ("light", "dark")}
        page.set_viewport_size(PHONE)
        page.wait_for_timeout(100)
        page.evaluate("for (const closed of document.querySelectorAll('details:not([open])')) closed.open = true")
        seen.overflow = page.evaluate(READ_OVERFLOW)
    finally:
        context.close()
    return seen


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


@pytest.fixture(scope="module")
def visits(browser, pages):
    # index.html only sends the reader on to the first page
    return {name: visit(browser, path) for name, path in pages.items() if name != "index.html"}


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


def test_nothing_overflows_a_phone(visits, record_property):
    record_property(f"book: pages within {PHONE['width']} px", sum(not seen.overflow for seen in visits.values()))
    assert problems(visits, lambda seen: seen.overflow) == {}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_is_readable_in_both_themes(visits, theme, record_property):
    record_property(f"book: texts with contrast ≥ 4.5, {theme}", sum(seen.contrast[theme]["pieces"] for seen in visits.values()))
    assert problems(visits, lambda seen: seen.contrast[theme]["faint"]) == {}


def test_every_link_inside_the_book_leads_somewhere(pages, record_property):
    soups = {name: BeautifulSoup(path.read_text(encoding="utf8"), "html.parser") for name, path in pages.items()}
    anchors = {name: {tag["id"] for tag in soup.find_all(id=True)} for name, soup in soups.items()}
    root = next(iter(pages.values())).parents[next(iter(pages)).count("/")]
    dead, followed = [], 0
    for name, soup in soups.items():
        for link in soup.find_all("a", href=True):
            href, anchor = urldefrag(link["href"])
            if urlsplit(href).scheme or href.startswith("//"):
                continue
            followed += 1
            target = (pages[name].parent / unquote(href)).resolve() if href else pages[name]
            known = target.relative_to(root.resolve()).as_posix() if target.is_relative_to(root.resolve()) else None
            if not target.exists():
                dead.append(f"{name}: {link['href']}")
            elif anchor and known in anchors and unquote(anchor) not in anchors[known]:
                dead.append(f"{name}: {link['href']} (no such place on that page)")
    record_property("book: links inside the book", followed)
    assert dead == []


def test_no_page_names_a_script_or_style_of_another_host(pages):
    """A request that only some readers' browsers would make is found here too."""
    foreign = {}
    for name, path in pages.items():
        soup = BeautifulSoup(path.read_text(encoding="utf8"), "html.parser")
        for tag in soup.find_all(["script", "link", "img", "iframe", "source", "video"]):
            address = tag.get("src") or tag.get("href") or ""
            if urlsplit(address).netloc and tag.get("rel") != ["canonical"]:
                foreign.setdefault(name, []).append(address)
    assert foreign == {}


def test_these_checks_see_what_they_are_for(browser, tmp_path):
    """A page on which everything is wrong: each check must object."""
    page = tmp_path / "wrong.html"
    page.write_text(
        """<!doctype html><html><body style="background:#fff"><article>
        <p style="color:#ccc">faint</p><p>raw $$x^2$$</p><span class="math">never rendered</span>
        <img src="data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA="><img src="gone.png" alt="gone">
        <div style="width:900px">wide</div><script src="https://example.org/x.js"></script>
        <script>console.error("said"); undefined_name();</script></article></body></html>""",
        encoding="utf8",
    )
    seen = visit(browser, page)
    assert seen.foreign == ["https://example.org/x.js"]
    assert any(address.endswith("gone.png") for address in seen.missing)
    assert any("said" in text for text in seen.errors)
    assert any("undefined_name" in text for text in seen.errors)
    assert any("never rendered" in text for text in seen.read["unrendered"])
    assert any("raw: raw $$x^2$$" in text for text in seen.read["unrendered"])
    assert len(seen.read["nameless"]) == 1
    assert seen.read["broken"] == ["gone.png"]
    assert any("the page itself" in text for text in seen.overflow)
    assert any("faint" in text for text in seen.contrast["light"]["faint"])
