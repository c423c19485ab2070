"""The committed mutation score: of the code that is here, high enough, with a reason for every survivor."""

import json

import pytest

from tools import mutants

RESULT = json.loads(mutants.RESULT.read_text(encoding="utf8"))


def test_it_is_about_these_four_files():
    assert list(RESULT["files"]) == mutants.FILES


@pytest.mark.parametrize("name", mutants.FILES)
def test_the_code_has_not_changed_since(name):
    assert mutants.fingerprint(mutants.ROOT / name) == RESULT["files"][name]["code"], "run `make mutants`"


@pytest.mark.parametrize("name", mutants.FILES)
def test_nine_of_ten_mutants_are_killed(name):
    one = RESULT["files"][name]
    assert one["mutants"] == one["killed"] + one["timed out"] + one["survived"]
    assert one["mutants"] >= 100
    assert mutants.score(one) >= mutants.AT_LEAST == 0.90


@pytest.mark.parametrize("name", mutants.FILES)
def test_every_survivor_is_explained(name):
    one = RESULT["files"][name]
    assert len(one["survivors"]) == one["survived"]
    for survivor in one["survivors"]:
        assert survivor["function"] and len(survivor["change"]) >= 1
        assert len(survivor["why"].split()) >= 4, f"{survivor['function']}: {survivor['change']}"


def test_where_it_comes_from_is_written_down():
    assert {"date", "machine", "versions", "written by"} <= set(RESULT["provenance"])
    assert {"python", "mutmut", "pytest", "numpy", "torch"} <= set(RESULT["provenance"]["versions"])


def test_the_page_is_what_the_tool_writes():
    assert mutants.PAGE.read_text(encoding="utf8") == mutants.page(RESULT), "run `python tools/mutants.py --page`"


def test_a_fingerprint_sees_code_only(tmp_path):
    def of(source):
        path = tmp_path / "file.py"
        path.write_text(source, encoding="utf8")
        return mutants.fingerprint(path)

    code = of('"""One."""\n\ndef f(x):\n    """Two."""\n    return x + 1  # three\n')
    assert of('"""Another."""\ndef f(x):\n    # four\n    return x + 1\n') == code
    assert of("def f(x):\n    return x + 2\n") != code


@pytest.mark.parametrize(
    ("key", "function"),
    [
        ("attn_utils.masks.x_causal__mutmut_3", "causal"),
        ("attn_utils.masks.x__grid__mutmut_12", "_grid"),
        ("attn_utils.vit.xǁBlockǁ__init____mutmut_1", "Block.__init__"),
    ],
)
def test_names_of_mutants_are_read(key, function):
    assert mutants._function(key) == function
