"""The ledger of equations: complete, up to date, and unable to name what is not there."""

import copy

import pytest

from tools import ledger

ENTRIES = ledger.load()


def test_every_equation_has_code_and_check_and_all_that_is_named_exists():
    assert ledger.problems(ENTRIES) == []


def test_the_page_is_what_the_tool_writes():
    assert ledger.PAGE.read_text(encoding="utf8") == ledger.page(ENTRIES), "run `make ledger`"


def test_steps_and_quotations_are_few():
    assert sum("of" in entry for entry in ENTRIES.values()) <= len(ENTRIES) // 10


def test_an_equation_without_an_entry_is_found():
    label = next(iter(ENTRIES))
    entries = {name: entry for name, entry in ENTRIES.items() if name != label}
    assert any(text.startswith(f"{label}: an equation of") for text in ledger.problems(entries))


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ({"code": ["04: softmax"], "check": ["04: gap"]}, "an entry without an equation"),
        ({"code": ["attn_utils.reference.no_such"], "check": ["04: gap"]}, "there is no attn_utils.reference.no_such"),
        ({"code": ["attn_utils.nowhere.softmax"], "check": ["04: gap"]}, "there is no attn_utils.nowhere.softmax"),
        ({"code": ["04: no_such"], "check": ["04: gap"]}, "there is no 04: no_such"),
        ({"code": ["99: softmax"], "check": ["04: gap"]}, "there is no 99: softmax"),
        (
            {"code": ["04: softmax"], "check": ["tests/attn_utils/test_reference.py::test_no_such"]},
            "there is no tests/attn_utils/test_reference.py::test_no",
        ),
        (
            {"code": ["04: softmax"], "check": ["tests/attn_utils/test_reference.py::make_mask"]},
            "there is no tests/attn_utils/test_reference.py::make",
        ),
        (
            {"code": ["04: softmax"], "check": ["tests/test_reference.py::test_loops_numpy_torch_and_sdpa_agree"]},
            "there is no tests/test_reference.py::test_loops",
        ),
        ({"code": ["attn_book.data.scenes.no_such"], "check": ["04: gap"]}, "there is no attn_book.data.scenes.no_such"),
        ({"code": ["attn_book.scenes.make_scenes"], "check": ["04: gap"]}, "there is no attn_book.scenes.make_scenes"),
        ({"code": ["04: softmax"], "check": ["04: a claim nobody made"]}, "there is no 04: a claim nobody made"),
        ({"code": ["04: softmax"]}, "needs code and check"),
        ({"check": ["04: gap"]}, "needs code and check"),
        ({"of": "eq-formula-softmax"}, "without a note"),
        ({"of": "eq-formula-nowhere", "note": "a step of"}, "which is no equation"),
        ({"code": ["04: softmax"], "check": ["04: gap"], "cod": []}, "unknown key cod"),
    ],
)
def test_a_wrong_entry_is_found(entry, text):
    entries = copy.deepcopy(ENTRIES) | {"eq-formula-not-there": entry}
    assert any(found.startswith("eq-formula-not-there: ") and text in found for found in ledger.problems(entries))


@pytest.mark.parametrize(
    "name", ["attn_utils.attention.MultiHeadAttention.forward", "attn_book.claims.claim", "attn_book.data.scenes.scenes"]
)
def test_code_of_every_package_is_found(name):
    assert ledger._is_code(name)
    assert ledger._code_link(name) == f"{{py:obj}}`{name.split('.', 1)[1]} <{name}>`"


def test_an_equation_that_is_gone_is_missed_in_every_file_that_speaks_of_it(monkeypatch, tmp_path):
    for path in ("attn_book/exercises/ch01.py", "attn_book/figures/ch01.py", "evidence/run.py", "tests/tools/test_ledger.py"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(f'"""See eq-{path.split("/")[1].split(".")[0]}-gone."""', encoding="utf8")
    monkeypatch.setattr(ledger, "ROOT", tmp_path)
    monkeypatch.setattr(ledger, "pages", dict)
    assert ledger.problems({}) == [
        "attn_book/exercises/ch01.py: speaks of eq-exercises-gone, which is no equation",
        "attn_book/figures/ch01.py: speaks of eq-figures-gone, which is no equation",
        "evidence/run.py: speaks of eq-run-gone, which is no equation",
    ]


def test_what_is_read_from_a_page(tmp_path):
    path = tmp_path / "page.md"
    path.write_text(
        "# Title\n\n$$ a $$ (eq-x-one)\n\n## Part\n\n```{math}\n:label: eq-x-two\nb\n```\n\n```\n$$ c $$ (eq-x-no)\n```\n\n"
        "$$\nd\n$$ (eq-x-three)\n\nsee {eq}`eq-x-one`\n",
        encoding="utf8",
    )
    page = ledger.read_page(path)
    assert page.title == "Title"
    assert page.equations == {"eq-x-one": "Title", "eq-x-two": "Part", "eq-x-three": "Part"}


def test_labels_that_are_spoken_of_are_found():
    text = 'see (eq-core-attention), eq-formula-x and "eq-why-nlm"; not eq-x or seq-a-b'
    assert ledger.MENTION.findall(text) == ["eq-core-attention", "eq-formula-x", "eq-why-nlm"]
