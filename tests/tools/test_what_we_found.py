"""What was found: the page is what the results say, and a sentence that they do not bear out is not written."""

import copy
import importlib
import re

import pytest

from tools import what_we_found as found
from tools.what_we_found import Compared

CLAIMS = found.load()
MEASURED = next(claim for claim in CLAIMS if found.is_measured(claim))


def changed(claim, row=0, **entries):
    """The claims with one row of a claim changed; an entry that is None is left out."""
    claims = copy.deepcopy(CLAIMS)
    rows = claims[CLAIMS.index(claim)]["row"]
    rows[row] = {name: value for name, value in (rows[row] | entries).items() if value is not None}
    return claims


def test_every_claim_and_row_is_in_order():
    assert found.problems(CLAIMS) == []


def test_the_page_is_what_the_tool_writes():
    assert found.PAGE.read_text(encoding="utf8") == found.page(CLAIMS), "run `make found`"


def test_the_article_s_five_tasks_and_four_questions_are_there():
    assert {claim["article"] for claim in CLAIMS} >= {f"§2, {n}" for n in range(1, 6)} | {f"§5, {n}" for n in range(1, 5)}
    assert sum(map(found.is_measured, CLAIMS)) >= 4


@pytest.mark.parametrize(
    "claim", [claim for claim in CLAIMS if claim.get("results", "").startswith("ch")], ids=lambda claim: claim["said"]
)
def test_groups_stand_in_the_plan_also_where_nothing_was_run_yet(claim):
    if not (found.ROOT / "evidence" / "plans" / f"{claim['results']}.py").is_file():
        pytest.skip("no plan yet")
    plan = importlib.import_module(f"evidence.plans.{claim['results']}")
    groups = {run["group"] for run in plan.plan([]) if run["part"] not in found.NOT_COMPARED}
    assert {row[side] for row in claim.get("row", ()) for side in ("attention", "other")} <= groups


def test_the_first_page_shows_the_heart():
    index = (found.ROOT / "book" / "index.md").read_text(encoding="utf8")
    start, end = re.search(r'\{include\} what_we_found\.md\n:start-after: "(.+)"\n:end-before: "(.+)"', index).groups()
    heart = found.page(CLAIMS).split(start)[1].split(end)[0]
    assert heart.count("\n| “") == sum(map(found.is_measured, CLAIMS))
    assert "{doc}" in heart


@pytest.mark.parametrize(
    ("entries", "text"),
    [
        ({"expect": "better"}, "expected better, but it is worse: −0."),
        ({"expect": None}, "needs expect: it is worse, −0."),
        ({"attention": "no such group"}, "there is no run of 'no such group'"),
        ({"at": {"steps": 7}}, "there is no run of 'plain: attention' with {'steps': 7}"),
        ({"score": "no such score"}, "has no score 'no such score'; it has accuracy"),
        ({"word": "a slip"}, "unknown key word"),
        ({"called": None}, "needs called"),
        ({"name": "another"}, "{plain.other} is no row"),
    ],
)
def test_a_wrong_row_is_named(entries, text):
    assert any(text in problem for problem in found.problems(changed(MEASURED, **entries)))


def test_several_runs_with_one_seed_are_told_apart_or_refused():
    cost = next(claim for claim in CLAIMS if claim.get("results") == "cost")
    assert any("several runs with one seed" in problem for problem in found.problems(changed(cost, at=None)))


def test_a_number_that_is_typed_is_found():
    claims = copy.deepcopy(CLAIMS)
    claims[0]["answer"] += "It is 0.93."
    assert any("a number is typed: 0.93" in problem for problem in found.problems(claims))


def test_a_measured_claim_needs_its_answer():
    claims = copy.deepcopy(CLAIMS)
    del claims[CLAIMS.index(MEASURED)]["answer"]
    assert f"{MEASURED['said']}: is measured, so it needs answer" in found.problems(claims)


def test_what_is_not_measured_is_listed_and_not_answered():
    page = found.page(CLAIMS)
    for claim in CLAIMS:
        heading, listed = f"## “{claim['said'].rstrip('.')}”", f"- “{claim['said']}”"
        assert (heading in page, listed in page) == (found.is_measured(claim), not found.is_measured(claim))


def test_a_difference_by_hand():
    """Differences 1, 2, 3: mean 2, standard deviation 1, so half of the interval is t(0.975, 2) / √3 = 4.3027 / 1.7321."""
    three = Compared([2.0, 4.0, 6.0], [1.0, 2.0, 3.0], 100, 100)
    assert three.value == pytest.approx(2)
    assert three.interval == pytest.approx(2.4841, abs=1e-4)
    assert three.verdict == "level"
    assert str(three) == "+2.000 ± 2.484"


@pytest.mark.parametrize(
    ("attention", "other", "lower", "verdict"),
    [
        ([0.9, 0.91], [0.5, 0.51], False, "better"),
        ([0.9, 0.91], [0.5, 0.51], True, "worse"),
        ([0.5, 0.51], [0.9, 0.91], False, "worse"),
        ([0.5, 0.51], [0.9, 0.91], True, "better"),
        ([0.5, 0.5], [0.5, 0.5], False, "level"),
        ([0.9], [0.5], False, "one run"),
    ],
)
def test_verdicts(attention, other, lower, verdict):
    assert Compared(attention, other, 1, 1, lower).verdict == verdict
    assert Compared(attention, other, 1, 1, lower).holds(verdict)


def test_ratios_are_held_to_a_bound():
    four = Compared([8.0], [2.0], None, None, ratio=True)
    assert str(four) == "× 4.0"
    assert four.holds(">= 3.9")
    assert not four.holds(">= 4.1")
    assert four.holds("<= 4.1")
    assert not four.holds("better")
