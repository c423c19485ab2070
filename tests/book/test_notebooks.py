"""What is committed of each chapter: executed in one go, quiet, described for those who cannot see it, and free of hand-typed results.

That the outputs are what the cells give is nbval's part; this looks at what nbval would let through.
"""

import ast
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

MAX_LINES = 45
COLUMNS = 88  # of a line of code, at a width of 1280 px
MAX_BYTES = 1_500_000  # a page loads in a moment
SVG = "image/svg+xml"
PICTURES = {"image/png", SVG, "image/jpeg"}

# Formulas, code, roles and link targets are not prose; in what is left, these look measured: 0.93, 17 %, 3.5%.
NOT_PROSE = re.compile(
    r"\$\$.*?\$\$|\$[^$]*\$|```.*?```|`[^`]*`|\{[^}]*\}|\]\([^)]*\)|<[^>]*>|arXiv[: ]\s*\d{4}\.\d{4,5}|https?://\S+", re.DOTALL
)
MEASURED = re.compile(r"(?<![\d.])0?\.\d{2,}\b|\b\d{1,3}(?:\.\d+)? ?%")
# A folder of one machine, in code or in an output.
ABSOLUTE = re.compile(r"(?<![\w./:])/(?:home|Users|root|work|tmp|opt|mnt|private|var|content)/[\w.-]+|\b[A-Z]:\\\\?\w+")


class Notebook:
    """A chapter as it lies on disk."""

    def __init__(self, path):
        self.path = path
        self.raw = json.loads(path.read_text(encoding="utf8"))
        self.cells = self.raw["cells"]
        self.code = [cell for cell in self.cells if cell["cell_type"] == "code" and _text(cell["source"]).strip()]
        self.markdown = "\n\n".join(_text(cell["source"]) for cell in self.cells if cell["cell_type"] == "markdown")

    def outputs(self):
        for number, cell in enumerate(self.code, 1):
            for output in cell["outputs"]:
                yield number, cell, output


def _text(source):
    return source if isinstance(source, str) else "".join(source)


def measured_in_prose(markdown):
    """Numbers in prose that look like results."""
    return MEASURED.findall(NOT_PROSE.sub(" ", markdown))


@pytest.fixture(scope="module", params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request):
    return Notebook(request.param)


def test_there_are_chapters():
    assert NOTEBOOKS, "notebooks/ holds no chapter"


def test_named_and_numbered(notebook):
    assert re.fullmatch(r"\d\d_[a-z0-9_]+", notebook.path.stem)
    first = notebook.cells[0]
    assert first["cell_type"] == "markdown"
    assert re.match(r"(\([\w-]+\)=\n)?# \S", _text(first["source"])), "the first cell is the chapter's title"
    titles = re.findall(r"^# \S.*$", re.sub(r"```.*?```", "", notebook.markdown, flags=re.DOTALL), flags=re.MULTILINE)
    assert len(titles) == 1, f"one title, got {titles}"
    assert not re.match(r"# (Chapter )?\d", titles[0]), "the number comes from the file name"


def test_executed_top_to_bottom_in_one_go(notebook):
    empty = [n for n, cell in enumerate(notebook.cells) if cell["cell_type"] == "code" and not _text(cell["source"]).strip()]
    assert empty == [], "empty code cells"
    counts = [cell["execution_count"] for cell in notebook.code]
    assert counts == list(range(1, len(counts) + 1))


def test_no_error_and_nothing_on_stderr(notebook):
    assert [n for n, _, output in notebook.outputs() if output["output_type"] == "error"] == []
    assert [n for n, _, output in notebook.outputs() if output.get("name") == "stderr"] == []


def figures(notebook):
    """(number of the cell, its figure options, alt text, output) of each picture that a cell gave."""
    for n, cell, output in notebook.outputs():
        if PICTURES & output.get("data", {}).keys():
            options = cell["metadata"].get("mystnb", {})
            yield n, options.get("figure", {}), options.get("image", {}).get("alt", ""), output


def test_every_figure_is_an_svg_alone(notebook):
    shown = [(n, sorted(output["data"].keys() & PICTURES)) for n, _, _, output in figures(notebook)]
    assert shown, "a chapter without a picture"
    assert [(n, kinds) for n, kinds in shown if kinds != [SVG]] == [], "the chapter was not executed with style.use()"
    numbers = [n for n, _ in shown]
    assert len(numbers) == len(set(numbers)), f"a cell shows one figure, for it has one caption: {numbers}"


def test_every_figure_has_a_name_a_caption_and_alt_text(notebook):
    """The name is what others refer to; the caption is for all readers; alt text is for those who do not see the picture."""
    prefix = f"fig-{notebook.path.stem[:2]}-"
    names = [options.get("name", "") for _, options, _, _ in figures(notebook)]
    assert [name for name in names if not re.fullmatch(rf"{prefix}[a-z0-9-]+", name)] == [], f"names begin with {prefix}"
    assert len(names) == len(set(names))
    assert [n for n, options, _, _ in figures(notebook) if len(options.get("caption", "").split()) < 4] == []
    assert [n for n, options, alt, _ in figures(notebook) if len(alt.split()) < 4 or alt == options.get("caption")] == []
    assert re.findall(r"!\[\s*\]\(", notebook.markdown) == [], "a picture in the text without alt text"


def test_no_repr_of_a_figure_or_widget_is_printed(notebook):
    for n, _, output in notebook.outputs():
        text = _text(output.get("text", "")) + _text(output.get("data", {}).get("text/plain", ""))
        shown = output.get("data", {}).keys() - {"text/plain"}
        assert not re.search(r"<Figure size|<matplotlib\.|<Axes|\bat 0x[0-9a-f]{6,}", text) or shown & PICTURES, (
            f"cell {n}: {text[:80]}"
        )
        assert not re.match(r"tensor\(|array\(", text), f"cell {n} dumps an array: {text[:80]}"


def test_a_cell_is_one_thought(notebook):
    lengths = sorted(len(_text(cell["source"]).splitlines()) for cell in notebook.code)
    assert lengths[-1] <= MAX_LINES
    assert lengths[len(lengths) // 2] <= 10, "half of the cells should be a few lines"


def test_no_table_is_lost(notebook):
    """What `runs.table` returns is shown where it is the last that a cell evaluates, and nowhere else."""
    for n, cell in enumerate(notebook.code, 1):
        statements = ast.parse(_text(cell["source"])).body
        lost = [line for line in statements[:-1] if isinstance(line, ast.Expr) and ast.unparse(line).startswith("runs.table(")]
        assert not lost, f"code cell {n} makes a table that nobody sees"


def test_lines_fit_the_page(notebook):
    for n, cell in enumerate(notebook.code, 1):
        assert [line for line in _text(cell["source"]).splitlines() if len(line) > COLUMNS] == [], f"code cell {n}"


def test_most_cells_are_compared(notebook):
    exempt = [cell for cell in notebook.code if "nbval-ignore-output" in cell["metadata"].get("tags", [])]
    assert len(exempt) <= max(2, len(notebook.code) // 4)
    skipped = [n for n, cell in enumerate(notebook.code, 1) if "nbval-skip" in cell["metadata"].get("tags", [])]
    assert skipped == [], "cells that nobody runs"
    markers = re.compile(r"^\s*#\s*NBVAL_", re.MULTILINE)
    assert [n for n, cell in enumerate(notebook.code, 1) if markers.search(_text(cell["source"]))] == [], "use cell tags"


def test_no_result_is_typed_by_hand(notebook):
    assert measured_in_prose(notebook.markdown) == []
    assert [found for _, options, _, _ in figures(notebook) if (found := measured_in_prose(options.get("caption", "")))] == []


def test_no_path_of_one_machine(notebook):
    for n, cell in enumerate(notebook.cells):
        text = _text(cell["source"])
        for output in cell.get("outputs", []):
            text += _text(output.get("text", "")) + _text(output.get("data", {}).get("text/plain", ""))
        assert ABSOLUTE.findall(text) == [], f"cell {n}"


def test_metadata_is_what_a_diff_should_show(notebook):
    metadata = notebook.raw["metadata"]
    assert metadata["kernelspec"]["name"] == "python3"
    assert "widgets" not in metadata, "widget state"
    assert set(metadata) <= {"kernelspec", "language_info", "mystnb"}, f"metadata {sorted(metadata)}"
    assert "version" not in metadata.get("language_info", {}), "the version of one machine's Python"
    for n, cell in enumerate(notebook.cells):
        assert not {"execution", "ExecuteTime", "papermill", "collapsed"} & cell["metadata"].keys(), (
            f"cell {n}: {sorted(cell['metadata'])}"
        )
    assert (notebook.raw["nbformat"], notebook.raw["nbformat_minor"]) == (4, 5)
    ids = [cell["id"] for cell in notebook.cells]
    assert len(set(ids)) == len(ids)


def test_size(notebook):
    assert notebook.path.stat().st_size <= MAX_BYTES


def test_claims_are_checked(notebook):
    calls = [n for n, cell in enumerate(notebook.code, 1) if re.search(r"^\s*claim\(", _text(cell["source"]), re.MULTILINE)]
    assert len(calls) >= 3, f"cells with a claim: {calls}"
    printed = "".join(_text(output.get("text", "")) for _, _, output in notebook.outputs())
    assert "✓" in printed


def test_exercises_are_checked(notebook):
    assert re.search(r"^## Exercises\s*$", notebook.markdown, re.MULTILINE), "no section Exercises"
    exercises = re.findall(r"^### Exercise \d", notebook.markdown, re.MULTILINE)
    assert len(exercises) >= 2
    checks = [cell for cell in notebook.code if re.search(r"^\s*check\.\w+\(", _text(cell["source"]), re.MULTILINE)]
    printed = ["".join(_text(output.get("text", "")) for output in cell["outputs"]) for cell in checks]
    assert sum("not implemented yet" in text for text in printed) >= len(exercises), "each stub is checked"
    assert sum("✓" in text for text in printed) >= len(exercises), "each solution is checked"
    solutions = [cell for cell, text in zip(checks, printed) if "✓" in text and "not implemented" not in text]
    assert all("hide-cell" in cell["metadata"].get("tags", []) for cell in solutions), "solutions are collapsed on the page"


def test_sources_are_cited(notebook):
    assert re.search(r"^## Further reading\s*$", notebook.markdown, re.MULTILINE), "no section Further reading"
    keys = {key.strip() for group in re.findall(r"\{cite:\w+\}`([^`]+)`", notebook.markdown) for key in group.split(",")}
    known = set(re.findall(r"^@\w+\{([^,\s]+),", (ROOT / "book" / "references.bib").read_text(encoding="utf8"), re.MULTILINE))
    assert keys, "no citation"
    assert keys - known == set(), "not in references.bib"


def test_glued_names_belong_to_their_chapter(notebook):
    prefix = f"ch{notebook.path.stem[:2]}-"
    names = re.findall(r"\breport\(\s*f?\"([^\"]+)\"", "\n".join(_text(cell["source"]) for cell in notebook.code))
    assert [name for name in names if not name.startswith(prefix)] == [], f"names in the book are global: begin with {prefix}"


@pytest.mark.parametrize(
    ("prose", "found"),
    [
        ("It reached 0.93 in the end.", ["0.93"]),
        ("About 17 % of them, then 3.5%.", ["17 %", "3.5%"]),
        ("We got .965 there.", [".965"]),
        ("A learning rate `0.001`, $p = 0.05$ and {glue:text}`ch01-path`.", []),
        ("See arXiv 1706.03762 and [here](https://arxiv.org/abs/1706.03762).", []),
        ("Section 3.2, a 3×3 kernel, 1.5 times.", []),
    ],
)
def test_numbers_that_look_measured_are_found(prose, found):
    assert measured_in_prose(prose) == found
