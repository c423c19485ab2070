"""The ways through the book and the cheat sheet: no chapter is left out, nothing is called planned that is there, every place exists."""

import json
import re
from pathlib import Path

import pytest

from tools.ledger import _anchor

ROOT = Path(__file__).resolve().parents[2]
PATHS = (ROOT / "book" / "paths.md").read_text(encoding="utf8")
SHEET = (ROOT / "book" / "cheat_sheet.md").read_text(encoding="utf8")
TOC = set(re.findall(r"- file: (\S+)", (ROOT / "_toc.yml").read_text(encoding="utf8")))
CHAPTERS = {int(name[10:12]) for name in TOC if name.startswith("notebooks/")}
PLANNED = re.compile(r"chapters? ([\d, and]+), \*planned\*")


def part(label):
    """A section of the page on paths."""
    return re.search(rf"^\({label}\)=\n(.*?)(?=^\(paths-|\Z)", PATHS, re.MULTILINE | re.DOTALL)[1]


def chapters_in(text):
    return {int(number) for number in re.findall(r"\{doc\}`(?:[^`<]*<)?\.\./notebooks/(\d\d)_\w+>?`", text)}


def planned_in(text):
    return {int(number) for numbers in PLANNED.findall(text) for number in re.findall(r"\d+", numbers)}


def test_the_course_has_every_chapter_and_calls_none_planned_that_is_there():
    course = part("paths-course")
    assert chapters_in(course) == CHAPTERS, "a chapter of _toc.yml has no week in book/paths.md, or the other way round"
    assert planned_in(course) == set(range(1, 18)) - CHAPTERS
    assert re.findall(r"^\| (\d+) \|", course, re.MULTILINE) == [str(week) for week in range(1, 13)]


def test_chapters_come_in_the_order_of_the_book():
    for label in ("paths-afternoon", "paths-course", "paths-experiments", "paths-mathematics"):
        found = [int(number) for number in re.findall(r"\{doc\}`\.\./notebooks/(\d\d)_", part(label))]
        once = list(dict.fromkeys(found))
        assert len(once) >= 4
        assert once == sorted(once), label


@pytest.mark.parametrize("page", [PATHS, SHEET], ids=["paths", "cheat sheet"])
def test_every_place_that_is_named_exists(page):
    for name in re.findall(r"\{doc\}`(?:[^`<]*<)?([\w./]+)>?`", page):
        assert (f"book/{name}" if "/" not in name else name.removeprefix("../")) in TOC
    for file, anchor in re.findall(r"\]\(\.\./(notebooks/[\w.]+)#([^)]+)\)", page):
        cells = json.loads((ROOT / file).read_text(encoding="utf8"))["cells"]
        text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
        assert anchor in {_anchor(heading) for heading in re.findall(r"^#{2,4} (.+)$", text, re.MULTILINE)}


def test_the_sheet_fits_a_page_and_leads_to_the_chapters():
    formulas = SHEET.split("## Formulas")[1].split("## Choices")[0]
    rows = [row for row in formulas.splitlines() if row.startswith("| ") and row != "| what | formula |"]
    assert [row for row in rows if "{eq}`eq-" not in row] == []
    assert len(SHEET.splitlines()) <= 120
    assert chapters_in(SHEET) >= {1, 2, 5, 6, 7, 8, 9}
