"""The explorer's ES modules: each imports what it uses, and they join into one."""

import re
import shutil
import tomllib
from pathlib import Path

import pytest

from attn_book.explorer import Explorer
from attn_book.explorer.modules import DECLARATION, ENTRY, EXPORT, FOLDER, IMPORT, imports, joined

TEXT = re.compile(r'"[^"]*"|`[^`]*`|//.*')
IDENTIFIER = re.compile(r"(?:(?<![\w$.])|(?<=\.\.\.))[A-Za-z_$][\w$]*(?![\w$]*:)")  # no property, no key


def used(source):
    """Names that a module speaks of outside its imports, texts and comments."""
    inside = lambda text: " ".join(re.findall(r"\$\{([^}]*)\}", text[0])) if text[0][0] == "`" else " "
    return set(IDENTIFIER.findall(TEXT.sub(inside, IMPORT.sub("", source))))


def faults(folder):
    """What is imported and not used, used and not imported, or exported for nobody."""
    sources = {path.name: path.read_text("utf-8") for path in sorted(folder.glob("*.js"))}
    exported = {name: file for file, source in sources.items() for name in EXPORT.findall(source)}
    found, wanted = [], {"mountStatic", "stroke"}  # the page calls the one, live models the other
    for file, source in sources.items():
        imported = {name for name, _ in imports(source)}
        needed = (used(source) & set(exported)) - set(DECLARATION.findall(source))
        found += [f"{file}: uses {name} of {exported[name]} and does not import it" for name in sorted(needed - imported)]
        found += [f"{file}: imports {name} and does not use it" for name in sorted(imported - needed)]
        wanted |= imported
    return found + [f"{exported[name]}: exports {name} for nobody" for name in sorted(set(exported) - wanted)]


@pytest.fixture
def copy(tmp_path):
    """The modules, where a test may change them."""
    return Path(shutil.copytree(FOLDER, tmp_path / "js"))


def edit(file, before, after):
    text = file.read_text("utf-8")
    assert before in text
    file.write_text(text.replace(before, after), "utf-8")


def test_every_module_imports_what_it_uses():
    assert faults(FOLDER) == []


@pytest.mark.parametrize("file", sorted(path.name for path in FOLDER.glob("*.js")))
def test_each_missing_import_is_seen(copy, file):
    lines = IMPORT.findall((copy / file).read_text("utf-8"))
    for names, origin in lines:
        line = f'import {{ {names} }} from "./{origin}";\n'
        edit(copy / file, line, "")
        missing = [f"{file}: uses {name} of {origin} and does not import it" for name in sorted(names.split(", "))]
        assert faults(copy)[: len(missing)] == missing
        (copy / file).write_text((FOLDER / file).read_text("utf-8"), "utf-8")


@pytest.mark.parametrize(
    ("file", "before", "after", "told"),
    [
        ("stage.js", "import { h, set }", "import { h, st }", "stage.js: imports st, which dom.js does not export"),
        (
            "dom.js",
            "export function set",
            "function set",
            "controls.js|readout.js|stage.js: imports set, which dom.js does not export",
        ),
        ("maps.js", "./places.js", "./place.js", "maps.js: there is no place.js"),
        (
            "places.js",
            "export const NOWHERE",
            'import { h } from "./dom.js";\nexport const capital',
            "places.js: capital is declared in dom.js, too",
        ),
        (
            "dom.js",
            "export function h",
            'import { render } from "./view.js";\nexport function h',
            "dom.js|view.js: imports itself",
        ),
        ("view.js", "import { newState }", "import newState", "view.js: every import must read"),
        ("view.js", '"./state.js"', '"https://example.org/state.js"', "view.js: every import must read"),
    ],
)
def test_what_cannot_be_joined_is_refused(copy, file, before, after, told):
    edit(copy / file, before, after)
    with pytest.raises(ValueError, match=told):
        joined(copy)


def test_the_joined_module_is_one_and_the_same_for_widget_and_page():
    module = joined()
    assert Explorer._esm == module
    assert not re.search(r"^(import|export (?!default))", module, re.MULTILINE)
    assert module.rstrip().endswith("export default{render};")
    assert len(module.encode()) <= 32_500  # as much as before it was split


def test_joining_leaves_texts_alone():
    module = joined()
    for source in (path.read_text("utf-8") for path in FOLDER.glob("*.js")):
        for text in re.findall(
            r'"[^"]*"', re.sub(r"^\s*//.*|  // .*|^export const CSS = `[^`]*`;", "", source, flags=re.MULTILINE)
        ):
            assert text in module or text.startswith('"./'), text


def test_modules_are_short_and_say_what_they_are():
    for path in FOLDER.glob("*.js"):
        lines = path.read_text("utf-8").splitlines()
        assert len(lines) < 250, path.name
        assert lines[0].startswith("// "), path.name


def test_every_module_is_in_the_wheel():
    root = FOLDER.parents[2]
    data = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["package-data"]
    folders = {package: root / package.replace(".", "/") for package in data}
    taken = {path for package, patterns in data.items() for pattern in patterns for path in folders[package].glob(pattern)}
    assert FOLDER / ENTRY in taken
    assert {path for path in FOLDER.rglob("*") if path.is_file()} - taken == set()
