"""What a chapter says that it needs: only chapters before it, and, directly or through them, each whose ideas it takes up."""

import json
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"\{doc\}`(?:[^`<]*<)?(\d\d)_\w+>?`|\]\((\d\d)_\w+\.ipynb")
NEEDS = re.compile(r"\*\*You need\*\*(.*?)\*\*It takes\*\*", re.DOTALL)


def read(path):
    cells = json.loads(path.read_text(encoding="utf8"))["cells"]
    return "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


TEXTS = {int(path.stem[:2]): read(path) for path in sorted((ROOT / "notebooks").glob("*.ipynb"))}
DEFINED = {label: number for number, text in TEXTS.items() for label in re.findall(r"\$\$\s*\((eq-[\w-]+)\)", text)}


def linked(text):
    return {int(one or other) for one, other in LINK.findall(text)}


def taken_up(number):
    """Earlier chapters that a chapter's text links to, or whose equations it cites."""
    text = TEXTS[number]
    cited = {DEFINED[label] for label in re.findall(r"\{eq\}`(eq-[\w-]+)`", text) if label in DEFINED}
    return {other for other in linked(text) | cited if other < number}


@cache
def needed(number):
    """The chapters that one needs, and those that these need."""
    direct = linked(NEEDS.search(TEXTS[number])[1])
    return frozenset(direct.union(*(needed(other) for other in direct if other < number)))


@pytest.mark.parametrize("number", TEXTS)
def test_a_chapter_says_what_it_needs_and_how_long_it_takes(number):
    assert len(NEEDS.findall(TEXTS[number])) == 1


@pytest.mark.parametrize("number", TEXTS)
def test_it_needs_only_chapters_before_it(number):
    assert {other for other in needed(number) if other >= number} == set()


@pytest.mark.parametrize("number", TEXTS)
def test_it_needs_every_chapter_that_it_takes_something_from(number):
    assert taken_up(number) - needed(number) == set(), "name it after 'You need', or do without"
