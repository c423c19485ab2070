"""The API page has every file of the two packages, but for those that only serve a neighbour."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
INNER = {
    "attn_book.lines",  # prints for claims and checkers
    "attn_book.data.checks",
    "attn_book.explorer.arguments",
    "attn_book.explorer.modules",
    "attn_book.explorer.packing",
    "attn_book.explorer.page",
    "attn_book.explorer.places",
    "attn_book.explorer.still",
    "attn_book.figures.svg",
    "attn_book.live.page",
}
OF_ONE_CHAPTER = re.compile(r"attn_book\.(figures|exercises)\.ch\d\d")


def test_every_file_is_on_the_page_once():
    page = (ROOT / "book" / "api.md").read_text(encoding="utf8")
    shown = re.findall(r"automodule:: ([\w.]+)", page)
    files = [path for package in ("attn_utils", "attn_book") for path in (ROOT / package).rglob("*.py")]
    modules = {".".join(path.relative_to(ROOT).with_suffix("").parts) for path in files if path.name != "__init__.py"}
    assert len(shown) == len(set(shown))
    assert set(shown) == {name for name in modules - INNER if not OF_ONE_CHAPTER.match(name)}
    assert modules >= INNER
