"""One letter for one idea: every letter of a numbered formula stands on the page on notation, for all chapters or for its own."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PAGE = (ROOT / "book" / "notation.md").read_text(encoding="utf8")

DISPLAY = re.compile(r"\$\$(.+?)\$\$(?:\s*\((eq-[\w-]+)\))?", re.DOTALL)
INLINE = re.compile(r"(?<![\\$])\$([^$]+)\$")
WORDS = re.compile(r"\\(?:text|mathrm|operatorname|begin|end)\*?\{[^{}]*\}|\\\\\[\w+\]")  # the last: room between lines
GREEK = re.compile(
    r"alpha|beta|[Gg]amma|[Dd]elta|(?:var)?epsilon|zeta|eta|[Tt]heta|iota|kappa|[Ll]ambda|mu|nu|[Xx]i|[Pp]i|rho|[Ss]igma|tau"
    r"|(?:var)?[Pp]hi|chi|[Pp]si|[Oo]mega|ell"
)
# A letter in another alphabet is another letter; other commands are operators, functions and layout.
SYMBOL = re.compile(r"\\(math(?:cal|bb))\s*\{?\s*([A-Za-z])|\\([A-Za-z]+)|([A-Za-z])")


def letters(formula):
    """The letters of a formula, Greek ones by name; words, functions and accents do not count."""
    found = set()
    for alphabet, other, command, letter in SYMBOL.findall(WORDS.sub(" ", formula)):
        if alphabet:
            found.add(f"{alphabet} {other}")
        elif letter or GREEK.fullmatch(command):
            found.add(letter or command)
    return found


def numbered(path):
    """{label: letters} of the numbered formulas of a chapter, and the letters of all its formulas."""
    cells = json.loads(path.read_text(encoding="utf8"))["cells"]
    prose = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    displayed = DISPLAY.findall(prose)
    inline = INLINE.findall(DISPLAY.sub(" ", prose))
    everywhere = set().union(*map(letters, [formula for formula, _ in displayed] + inline))
    return {label: letters(formula) for formula, label in displayed if label}, everywhere


def listed():
    """Letters that mean the same in every chapter, and {chapter: its own letters}."""
    common, _, own = PAGE.partition("## Letters of one chapter")
    rows = [line.split("|")[1] for line in common.splitlines() if line.startswith("|")]
    indices = re.search(r"^Indices: .*?\n\n", common, re.MULTILINE | re.DOTALL)[0]
    for_all = set().union(*map(letters, INLINE.findall(" ".join([*rows, indices]))))
    chapters = re.findall(r"^\| (\d+) \| (.*) \|$", own, re.MULTILINE)
    return for_all, {int(chapter): set().union(*map(letters, INLINE.findall(text))) for chapter, text in chapters}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_letter_of_a_numbered_formula_is_on_the_page_on_notation(path):
    for_all, own = listed()
    known = for_all | own.get(int(path.stem[:2]), set())
    formulas, _ = numbered(path)
    assert formulas, "a chapter without a numbered formula"
    unknown = {label: sorted(found - known) for label, found in formulas.items() if found - known}
    assert unknown == {}, "take the letter that book/notation.md has for the idea, or list what it means in this chapter there"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_letter_is_listed_that_a_chapter_has_given_up(path):
    own = listed()[1].get(int(path.stem[:2]), set())
    assert own - numbered(path)[1] == set()


@pytest.mark.parametrize(
    ("formula", "found"),
    [
        (r"y_n = \sum_{\delta \in \Delta} K_\delta \, x_{n + \delta}", {"y", "n", "delta", "Delta", "K", "x"}),
        (r"\mathrm{softmax}_m(\hat s) + \log \text{a word}", {"m", "s"}),
        (r"m \in \mathcal{N}(n), \mathcal N_n, \mathbb E[x]", {"m", "n", "x", "mathcal N", "mathbb E"}),
        (r"\begin{aligned} \lVert q \rVert &\le \sqrt d \\ \end{aligned}", {"q", "d"}),
        (r"f^{7 \times 7} * u \\[6pt] &= \varepsilon", {"f", "u", "varepsilon"}),
    ],
)
def test_letters_are_told_from_words_and_commands(formula, found):
    assert letters(formula) == found
