"""Moves a draft into the book: python drafts/land.py 15, in a clean tree, 17 before 15 before 16. What is said around it stands in drafts/15_side.toml.

Left to do by hand: results/, `python -m tools.execute`, `python -m tools.ledger`, rows of book/what_we_found.toml where the side file has none, `python -m
tools.what_we_found`, sentences in brackets, all tests.
"""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

DRAFTS = Path("drafts")


def replace(page, old, new):
    """Put `new` in the place of `old`, which must stand there once."""
    text = Path(page).read_text(encoding="utf8")
    if text.count(old) != 1:
        raise SystemExit(f"{page}: {text.count(old)} times {old[:60]!r}")
    Path(page).write_text(text.replace(old, new), encoding="utf8")


def append(page, text):
    with Path(page).open("a", encoding="utf8") as file:
        file.write("\n" + text.strip() + "\n")


def add_term(name, chinese, words):
    """A term of the glossary, in its place in the alphabet."""
    page = Path("book/glossary.md")
    lines = page.read_text(encoding="utf8").split("\n")
    terms = [i for i, line in enumerate(lines) if " – " in line and not line.startswith(" ")]
    after = next(i for i in terms if lines[i].lower() > name.lower())
    lines[after:after] = [f"{name} – {chinese}", f"  {words}", ""]
    page.write_text("\n".join(lines), encoding="utf8")


def notation_row(number):
    """The row that waits in drafts/README.md, which goes; what is said of the draft there goes, too."""
    page = DRAFTS / "README.md"
    text = page.read_text(encoding="utf8")
    waiting = re.search(rf"The row of `book/notation.md` for chapter {number}:\n\n```\n(.*?)\n```\n\n?", text, re.S)
    text = re.sub(rf"^\| \[{number} .*\n", "", text.replace(waiting[0], ""), flags=re.M)
    page.write_text(text, encoding="utf8")
    return waiting[1]


def land(number):
    side = tomllib.loads((DRAFTS / f"{number}_side.toml").read_text(encoding="utf8"))
    (draft,) = DRAFTS.glob(f"{number}_*.ipynb")
    notebook = f"notebooks/{draft.name}"
    replace(f"evidence/plans/ch{number}.py", f"drafts/{draft.name}", notebook)
    append("book/references.bib", (DRAFTS / f"{number}_references.bib").read_text(encoding="utf8"))
    rows = re.findall(r"^\| \d+ \|.*\n", Path("book/notation.md").read_text(encoding="utf8"), re.M)
    before = [row for row in rows if int(row.split()[1]) < number][-1]
    replace("book/notation.md", before, f"{before}{notation_row(number)}\n")
    append("book/ledger.toml", side["ledger"])
    if "found" in side:
        waiting = f'chapter = {number}\nresults = "ch{number}"\n'
        replace("book/what_we_found.toml", waiting, waiting + side["found"].lstrip())
    for term in side["terms"]:
        add_term(*term)
    for page, old, new in side["pages"]:
        replace(page, old, new)
    subprocess.run(["git", "mv", draft, notebook], check=True)
    subprocess.run(["git", "rm", "-q", *sorted(DRAFTS.glob(f"{number}_*"))], check=True)


if __name__ == "__main__":
    land(int(sys.argv[1]))
