"""The committed mutation score: of the code that is here, high enough, with a reason for every survivor."""

import json

import pytest

from tools import mutants

RESULT = json.loads(mutants.RESULT.read_text(encoding="utf8"))


def test_it_is_about_the_files_that_are_mutated():
    assert list(RESULT["files"]) == mutants.FILES


@pytest.mark.parametrize("name", mutants.FILES)
def test_every_function_that_is_here_was_tested_as_it_is(name):
    verdicts = {function: one["code"] for function, one in RESULT["files"][name].items()}
    assert verdicts == mutants.functions(mutants.ROOT / name), "run `make mutants`"


def test_no_test_that_a_verdict_stands_on_has_changed_or_gone():
    standing = mutants.standing(RESULT)
    fallen = {name: sorted(found.keys() - standing[name].keys()) for name, found in RESULT["files"].items()}
    assert not any(fallen.values()), f"run `make mutants`: {fallen}"


@pytest.mark.parametrize("name", mutants.FILES)
def test_nine_of_ten_mutants_are_killed(name):
    for function, one in RESULT["files"][name].items():
        assert one["mutants"] == one["killed"] + one["timed out"] + one["survived"], function
    counts = mutants.total(RESULT["files"][name])
    assert counts["mutants"] >= 100
    assert mutants.score(counts) >= mutants.AT_LEAST == 0.90


@pytest.mark.parametrize("name", mutants.FILES)
def test_every_survivor_is_explained(name):
    for function, one in RESULT["files"][name].items():
        assert len(one["survivors"]) == one["survived"], function
        for survivor in one["survivors"]:
            assert survivor["change"]
            assert len(survivor["why"].split()) >= 4, f"{function}: {survivor['change']}"


def test_where_it_comes_from_is_written_down():
    assert {"date", "machine", "versions", "written by"} <= set(RESULT["provenance"])
    assert {"python", "mutmut", "pytest", "numpy", "torch"} <= set(RESULT["provenance"]["versions"])


def test_the_page_is_what_the_tool_writes():
    assert mutants.PAGE.read_text(encoding="utf8") == mutants.page(RESULT), "run `python -m tools.mutants --page`"


@pytest.fixture
def of(tmp_path):
    """A function of the tool on a source given as text."""

    def of(tool, source):
        path = tmp_path / "file.py"
        path.write_text(source, encoding="utf8")
        return tool(path)

    return of


def test_the_number_of_a_function_sees_its_code_only(of):
    first = of(mutants.functions, '"""One."""\nA = 1\n\ndef f(x):\n    """Two."""\n    return x + 1  # three\n')
    same = of(mutants.functions, '"""Another."""\nA = 2\ndef f(x):\n    # four\n    return x + 1\n')
    assert first == same != of(mutants.functions, "def f(x):\n    return x + 2\n")
    assert first.keys() == {"f"}
    assert of(mutants.functions, "class A:\n    def f(self):\n        def g():\n            pass\n").keys() == {"A.f"}
    assert of(mutants.functions, "@a\ndef f():\n    pass\n") != of(mutants.functions, "@b\ndef f():\n    pass\n")


def test_the_number_of_a_test_sees_what_it_uses(of):
    source = (
        "import numpy\nSIZE = 3\nOTHER = 4\n\ndef helper():\n    return SIZE\n\n"
        "def test_a(fixture):\n    assert helper()\n\ndef test_b():\n    assert OTHER\n\ndef fixture():\n    return 1\n"
    )
    before = of(mutants.tests, source)
    assert before.keys() == {"test_a", "test_b"}
    for old, new, changed in [
        ("SIZE = 3", "SIZE = 5", {"test_a"}),
        ("return 1", "return 2", {"test_a"}),
        ("OTHER = 4", "OTHER = 5", {"test_b"}),
        ("assert OTHER", "assert not OTHER", {"test_b"}),
        ("import numpy", "import torch", set()),
        ("def test_b", "def helps():\n    pass\n\ndef test_c():\n    helps()\n\ndef test_b", set()),
    ]:
        after = of(mutants.tests, source.replace(old, new))
        assert {name for name in before if after[name] != before[name]} == changed, new


def test_a_verdict_falls_with_the_code_or_with_a_test_and_stands_beside_a_new_test(monkeypatch):
    name = mutants.FILES[0]
    one = {"code": "c0de", "tests": "aaaa bbbb"}
    others = {other: {} for other in mutants.FILES[1:]}
    for code, current, stands in [
        ("c0de", {"t::a": "aaaa", "t::b": "bbbb"}, True),
        ("c0de", {"t::a": "aaaa", "t::b": "bbbb", "t::new": "cccc"}, True),
        ("c0de", {"t::renamed": "aaaa", "t::b": "bbbb"}, True),
        ("c0de", {"t::a": "aaaa"}, False),
        ("c0de", {"t::a": "aaaa", "t::b": "changed"}, False),
        ("other", {"t::a": "aaaa", "t::b": "bbbb"}, False),
    ]:
        monkeypatch.setattr(mutants, "here", lambda code=code, current=current: ({name: {"f": code}, **others}, current))
        kept = mutants.standing({"files": {name: {"f": one, "gone": one}}})
        assert kept[name] == ({"f": one} if stands else {})


@pytest.mark.parametrize(
    ("key", "function"),
    [
        ("attn_utils.masks.x_causal__mutmut_3", "causal"),
        ("attn_utils.masks.x__grid", "_grid"),
        ("attn_utils.vit.xǁBlockǁ__init____mutmut_1", "Block.__init__"),
    ],
)
def test_names_of_mutants_are_read(key, function):
    assert mutants._function(key) == function
