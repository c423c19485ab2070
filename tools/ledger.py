"""Write book/ledger.md: for each numbered equation of the book, what carries it and what checks it.

    python -m tools.ledger

The pairs stand in book/ledger.toml. Everything they name is looked up: labels, functions, tests, and the lines that
`claim` printed in the chapters. If something is missing on either side, nothing is written: the tool says what, and for
an equation without an entry it prints a first draft, made of the code and the claims below the equation.
"""

import ast
import json
import re
import sys
import tomllib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LEDGER, PAGE = ROOT / "book" / "ledger.toml", ROOT / "book" / "ledger.md"
PACKAGES = ("attn_utils", "attn_book", "evidence")
KEYS = {"code", "check", "of", "note"}
LABEL = re.compile(r"\$\$\s*\((eq-[\w-]+)\)|:label:\s*(eq-[\w-]+)")
MENTION = re.compile(r"\beq-[a-z0-9]+(?:-[a-z0-9]+)+\b")
FENCED = re.compile(r"^(`{3,}|~{3,})(\S*).*?^\1", re.DOTALL | re.MULTILINE)
HEADING = re.compile(r"^#{1,4} (.+)$", re.MULTILINE)


@dataclass
class Page:
    """A chapter or a page of prose: its equations in order, the names its code defines, the claims it printed."""

    path: Path
    title: str = ""
    equations: dict = field(default_factory=dict)  # label -> the heading it stands under
    names: dict = field(default_factory=dict)  # name -> the heading under which it is first defined
    claims: list = field(default_factory=list)  # without the ✓
    drafts: dict = field(default_factory=dict)  # label -> (functions, claims) between it and the next equation
    code: str = ""


def read_page(path):
    page, heading, label = Page(path), "", None
    for kind, source, printed in _cells(path):
        if kind == "markdown":
            text = FENCED.sub(lambda block: block[0] if block[2] == "{math}" else "", source)
            marks = [(m.start(), "heading", m[1]) for m in HEADING.finditer(text)]
            marks += [(m.start(), "label", m[1] or m[2]) for m in LABEL.finditer(text)]
            for _, what, value in sorted(marks):
                if what == "heading":
                    heading, page.title = value, page.title or value
                else:
                    page.equations[value], label = heading, value
                    page.drafts[value] = [], []
        else:
            page.code += source + "\n"
            names, claims = _defined(source), [line[2:] for line in printed.splitlines() if line.startswith("✓ ")]
            page.claims += claims
            for name in names:
                page.names.setdefault(name, heading)
            if label:
                page.drafts[label][0].extend(names[:1])
                page.drafts[label][1].extend(claims)
    return page


def _cells(path):
    """(kind, source, what it printed) of each cell; a page of prose is one cell."""
    if path.suffix == ".md":
        return [("markdown", path.read_text(encoding="utf8"), "")]
    cells = json.loads(path.read_text(encoding="utf8"))["cells"]
    return [
        (c["cell_type"], "".join(c["source"]), "".join("".join(o.get("text", "")) for o in c.get("outputs", [])))
        for c in cells
        if c["cell_type"] in ("markdown", "code")
    ]


def _defined(source):
    """Functions first, then the other names that a cell or file gives a value."""
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except SyntaxError:  # a cell with a magic
        return []
    functions = [n.name for n in nodes if isinstance(n, (ast.FunctionDef, ast.ClassDef))]
    return functions + [n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]


@cache
def pages():
    """Every page that may hold an equation, the chapters by their number, the others by their name."""
    chapters = {path.name[:2]: read_page(path) for path in sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))}
    prose = {path.stem: read_page(path) for path in sorted((ROOT / "book").glob("*.md")) if path != PAGE}
    return chapters | prose


@cache
def _functions(path):
    """Names of a Python file; those inside a class as Class.method too."""
    path = ROOT / path
    if not path.exists():
        return frozenset()
    tree = ast.parse(path.read_text(encoding="utf8"))
    found = {n.name for n in tree.body if isinstance(n, (ast.FunctionDef, ast.ClassDef))}
    for one in tree.body:
        if isinstance(one, ast.ClassDef):
            found |= {f"{one.name}.{n.name}" for n in one.body if isinstance(n, ast.FunctionDef)}
    return frozenset(found)


def load():
    return tomllib.loads(LEDGER.read_text(encoding="utf8"))


def problems(ledger):
    """What is not so, in words; empty when every equation has its code and its check, and all that is named exists."""
    known = {label: page for page in pages().values() for label in page.equations}
    wrong = [f"{label}: an equation of {page.path.name} without an entry" for label, page in known.items() if label not in ledger]
    for label, entry in ledger.items():
        if label not in known:
            wrong.append(f"{label}: an entry without an equation")
        wrong += [f"{label}: unknown key {key}" for key in entry.keys() - KEYS]
        if "of" in entry:
            if entry["of"] not in known or "of" in ledger.get(entry["of"], {}):
                wrong.append(f"{label}: is said to belong to {entry['of']}, which is no equation with a check of its own")
            if not entry.get("note"):
                wrong.append(f"{label}: is said to belong to another equation, without a note that says how")
        elif not entry.get("code") or not entry.get("check"):
            wrong.append(f"{label}: needs code and check, or the equation it belongs to (of = ...)")
        wrong += [f"{label}: there is no {one}" for one in entry.get("code", []) if not _is_code(one)]
        wrong += [f"{label}: there is no {one}" for one in entry.get("check", []) if not _is_check(one)]
    files = [p for folder in (*PACKAGES, "tests") for p in (ROOT / folder).rglob("*.py")]
    sources = {p.relative_to(ROOT).as_posix(): p.read_text(encoding="utf8") for p in files}
    del sources["tests/tools/test_ledger.py"]  # it names equations that are not there, to see whether that is noticed
    sources |= {page.path.relative_to(ROOT).as_posix(): page.code for page in pages().values()}
    for name, source in sources.items():
        wrong += [
            f"{name}: speaks of {label}, which is no equation" for label in sorted(set(MENTION.findall(source)) - known.keys())
        ]
    return wrong


def _is_code(text):
    """package.file.name, with subpackages too, or "04: name" for a name that chapter 4 defines."""
    if match := re.fullmatch(r"(\w+): (\w+)", text):
        return match[1] in pages() and match[2] in pages()[match[1]].names
    path, name = _split(text)
    return path is not None and name in _functions(path)


def _split(text):
    """attn_book.data.scenes.Scene.draw -> ("attn_book/data/scenes.py", "Scene.draw"); (None, text) where there is no such file."""
    parts = text.split(".")
    ends = [end for end in range(2, len(parts)) if (ROOT / "/".join(parts[:end])).with_suffix(".py").is_file()]
    if parts[0] not in PACKAGES or not ends:
        return None, text
    return "/".join(parts[: ends[0]]) + ".py", ".".join(parts[ends[0] :])


def _is_check(text):
    """tests/file.py::test_name, or "04: words" for a claim of chapter 4 that begins with these words."""
    if match := re.fullmatch(r"(\w\w): (.+)", text):
        return match[1] in pages() and any(claim.startswith(match[2]) for claim in pages()[match[1]].claims)
    path, _, name = text.partition("::")
    return name.startswith("test_") and name in _functions(path)


# ------------------------------------------------------------------------------------------------------ the page


def page(ledger):
    """The text of book/ledger.md."""
    labels = [label for each in pages().values() for label in each.equations]
    apart = sum("of" in ledger[label] for label in labels)
    out = [
        "<!-- Written by tools/ledger.py from ledger.toml: change that, then `make ledger`. -->",
        "# The ledger of equations",
        "",
        f"The book has {len(labels)} numbered equations. For each of them this page says what carries it in code and what checks that",
        "code: a test of the package, named by its file and, in words, its function, or a claim (✓) of a chapter. `make test` runs both.",
        "A name with a dot leads to the [API](api.md), a bare name to the place in the chapter that defines it.",
        *([f"{apart} of them are steps on the way to another equation, or quoted; their line says to which one they belong."] if apart else []),
        "A test fails if an equation is missing here, or if anything named here does not exist.",
    ]  # fmt: skip
    for each in pages().values():
        if not each.equations:
            continue
        out += ["", f"## {each.title}", "", "```{table}", ":class: ledger", ""]
        out += ["| equation | carried by | checked by |", "|---|---|---|"]
        out += [_row(label, heading, ledger[label]) for label, heading in each.equations.items()]
        out += ["```"]
    return "\n".join(out) + "\n"


def _row(label, heading, entry):
    carried = [_code_link(one) for one in entry.get("code", [])]
    checked = [_check_text(one) for one in entry.get("check", [])]
    if "of" in entry:
        checked.append(f"{entry['note']}: {{eq}}`{entry['of']}`")
    elif "note" in entry:
        checked.append(entry["note"])
    return f"| {{eq}}`{label}` {heading} | {'<br>'.join(carried) or '–'} | {'<br>'.join(checked)} |"


def _code_link(text):
    if text.startswith(tuple(f"{package}." for package in PACKAGES)):
        return f"{{py:obj}}`{text.partition('.')[2]} <{text}>`"
    chapter, name = text.split(": ")
    where = pages()[chapter]
    return f"[`{name}`](../{where.path.relative_to(ROOT).as_posix()}#{_anchor(where.names[name])})"


def _check_text(text):
    if "::" in text:
        path, name = text.split("::")
        return f"`{Path(path).name}` {name.removeprefix('test_').replace('_', ' ')}"
    words = text.split(": ", 1)[1]
    return "✓ " + re.sub(r"([\\`*_{}\[\]<>#|$~])", r"\\\1", words)


def _anchor(heading):
    """The name MyST gives a heading: formulas leave nothing."""
    plain = re.sub(r"\$[^$]*\$|[`*]", "", heading)
    return re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")


def main():
    ledger = load()
    if wrong := problems(ledger):
        drafts = {label: draft for each in pages().values() for label, draft in each.drafts.items() if label not in ledger}
        for label, (functions, claims) in drafts.items():
            number = next(name for name, each in pages().items() if label in each.equations)
            print(f"\n[{label}]")
            print("code = " + json.dumps([f"{number}: {name}" for name in functions[:1]], ensure_ascii=False))
            print("check = " + json.dumps([f"{number}: {words}" for words in claims[:2]], ensure_ascii=False))
        sys.exit(
            "\n"
            + "\n".join(wrong)
            + ("\n\nDrafts for book/ledger.toml stand above; read them, they only guess." if drafts else "")
        )
    PAGE.write_text(page(ledger), encoding="utf8")
    print(f"book/ledger.md: {len(ledger)} equations")


if __name__ == "__main__":
    main()
