"""The page's modules: each imports what it uses, from its own folder and the explorer's; they join, and engines close over nothing."""

import re

import pytest

from attn_book.explorer import modules
from attn_book.explorer.modules import joined
from attn_book.live.page import FOLDER, as_function
from tests.attn_book.test_explorer_modules import faults

ENTRIES = (
    "caption_engine.js",
    "click_engine.js",
    "click_to_mask.js",
    "cued_search.js",
    "dit_engine.js",
    "draw_caption.js",
    "draw_digit.js",
    "vit_engine.js",
)
FOR_PAGES = ("mountLive",)  # which the page calls


def test_every_module_imports_what_it_uses(tmp_path):
    for path in [*modules.FOLDER.glob("*.js"), *FOLDER.glob("*.js")]:
        text = path.read_text("utf-8").replace("../../explorer/js/", "./")
        assert not (tmp_path / path.name).exists(), f"{path.name} is in both folders"
        (tmp_path / path.name).write_text(text, "utf-8")
    own = {path.name for path in FOLDER.glob("*.js")}
    found = [fault for fault in faults(tmp_path) if fault.partition(":")[0] in own]
    assert [fault for fault in found if not fault.endswith(tuple(f"exports {name} for nobody" for name in FOR_PAGES))] == []


@pytest.mark.parametrize("entry", ENTRIES)
def test_they_join_into_one(entry):
    text = joined(FOLDER, entry)
    assert not re.search(r"^(import|export (?!default))", text, re.MULTILINE)
    assert len(text.encode()) <= 40_000
    assert ("export default" in text) == entry.endswith("engine.js")


def test_modules_of_two_folders_are_each_there_once():
    text = joined(FOLDER, "cued_search.js")
    for declared in ("function h(", "function stage(", "class Scene{", "function wholeNumbers("):
        assert text.count(declared) == 1


def test_an_import_leads_from_the_file_that_makes_it(tmp_path):
    for name, text in {
        "one/js/a.js": 'import { b } from "../../two/js/b.js";\nconst a = b;\n',
        "two/js/b.js": 'import { c } from "./c.js";\nexport const b = c;\n',
        "two/js/c.js": "export const c = 1;\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    assert joined(tmp_path / "one/js", "a.js").split() == ["const", "c=1;", "const", "b=c;", "const", "a=b;"]
    (tmp_path / "two/js/c.js").write_text('import { b } from "../../two/js/b.js";\nexport const c = b;\n', "utf-8")
    joined.cache_clear()
    with pytest.raises(ValueError, match="imports itself"):
        joined(tmp_path / "one/js", "a.js")
    (tmp_path / "one/js/a.js").write_text('import { b } from "/two/js/b.js";\n', "utf-8")
    joined.cache_clear()
    with pytest.raises(ValueError, match="every import must read"):
        joined(tmp_path / "one/js", "a.js")


def test_modules_are_short_and_say_what_they_are():
    for path in FOLDER.glob("*.js"):
        lines = path.read_text("utf-8").splitlines()
        assert len(lines) < 250, path.name
        assert lines[0].startswith("// "), path.name


def test_an_engine_must_say_what_it_answers():
    assert as_function("const a=1;\nexport default{a};") == "function engine(){\nconst a=1;\nreturn{a};\n}"
    with pytest.raises(ValueError, match="an engine ends in export default"):
        as_function("const a=1;")


@pytest.mark.parametrize(
    ("file", "name"),
    [("live", "LIVE_CSS"), ("cued", "CUED_CSS"), ("click", "CLICK_CSS"), ("draw", "DRAW_CSS"), ("caption", "CAPTION_CSS")],
)
def test_looks_are_on_one_line(javascript, file, name):
    look = javascript(f"{file}_style.js")(name)
    assert "}" in look
    assert "\n" not in look.strip()
