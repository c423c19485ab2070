"""Write book/what_we_found.md: for each claim of the article, whether attention helps, by how much, against what, at which budget.

    python -m tools.what_we_found

The claims and the runs that speak to them stand in book/what_we_found.toml, without a number; all numbers come from results/. If
a sentence is not borne out by them any more (`expect`), or names what is not there, nothing is written and the tool says what.
"""

import operator
import re
import string
import sys
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import mean

from attn_book.runs import half_width, read

ROOT = Path(__file__).resolve().parent.parent
CLAIMS, PAGE, TOC = ROOT / "book" / "what_we_found.toml", ROOT / "book" / "what_we_found.md", ROOT / "_toc.yml"
NOT_COMPARED = ("tuning", "check")  # parts of a plan
CLAIM_KEYS = {"said", "article", "chapter", "results", "answer", "limits", "row"}
ROW_KEYS = {
    "name", "words", "attention", "other", "score", "other_score", "called", "at", "other_at", "lower", "ratio", "expect",
}  # fmt: skip
BOUND = re.compile(r"(>=|<=) ([\d.]+)")


@dataclass(frozen=True)
class Compared:
    """Two groups of runs, seed by seed: lists of scores of equal length, and the steps of each (None: nothing is trained)."""

    attention_scores: list
    other_scores: list
    attention_steps: int | None
    other_steps: int | None
    lower: bool = False
    ratio: bool = False

    @property
    def attention(self):
        return _number(mean(self.attention_scores))

    @property
    def other(self):
        return _number(mean(self.other_scores))

    @property
    def value(self):
        """Mean difference over the seeds, or ratio of the means."""
        if self.ratio:
            return mean(self.attention_scores) / mean(self.other_scores)
        return mean(self._differences)

    @property
    def _differences(self):
        return [a - b for a, b in zip(self.attention_scores, self.other_scores, strict=True)]

    @property
    def interval(self):
        """Half-width of the 95 % interval of the mean difference; None for one run and for a ratio."""
        if self.ratio or len(self._differences) < 2:
            return None
        return half_width(self._differences)

    @property
    def verdict(self):
        if self.interval is None:
            return "one run"
        if abs(self.value) <= self.interval:
            return "level"
        return "better" if (self.value > 0) != self.lower else "worse"

    def holds(self, expect):
        """Whether the runs say what was expected of them."""
        if bound := BOUND.fullmatch(expect) if self.ratio else None:
            compare = {">=": operator.ge, "<=": operator.le}[bound[1]]
            return compare(self.value, float(bound[2]))
        return expect == self.verdict

    def __str__(self):
        if self.ratio:
            return f"× {self.value:.1f}"
        return f"{self.value:+.3f}".replace("-", "−") + (f" ± {self.interval:.3f}" if self.interval is not None else "")


def _number(value):
    return f"{value:,.0f}" if value >= 1000 else f"{value:.1f}" if value >= 10 else f"{value:.3f}"


def load():
    return tomllib.loads(CLAIMS.read_text(encoding="utf8"))["claim"]


def chapter_page(claim):
    """The chapter that measures a claim, as _toc.yml names it; None while it is not in the book."""
    named = re.search(rf"^\s*- file: (notebooks/{claim['chapter']:02d}_\w+)$", TOC.read_text(encoding="utf8"), re.MULTILINE)
    return named and named[1]


def has_results(claim):
    return (ROOT / "results" / f"{claim.get('results')}.json").is_file()


def is_measured(claim):
    return has_results(claim) and chapter_page(claim) is not None


def compare(claim, row):
    """The runs of a row; a `ValueError` says what is not there or does not fit."""
    runs = _runs(claim["results"])
    attention, steps = _scores(runs, row["attention"], row["score"], row.get("at", {}))
    other, other_steps = _scores(runs, row["other"], row.get("other_score", row["score"]), row.get("other_at", {}))
    seeds = sorted(attention.keys() & other.keys())
    if not seeds:
        raise ValueError(f"{row['attention']} and {row['other']} have no seed in common")
    pairs = [attention[seed] for seed in seeds], [other[seed] for seed in seeds]
    return Compared(*pairs, steps, other_steps, row.get("lower", False), row.get("ratio", False))


@cache
def _runs(name):
    """Those of a chapter that may be compared; read once, for many rows ask for them."""
    return [run for run in read(name, "`make evidence`")["runs"] if run["part"] not in NOT_COMPARED]


def _scores(runs, group, score, at):
    """{seed: score} of a group, and its steps."""
    mine = [run for run in runs if run["group"] == group and at.items() <= run["settings"].items()]
    if not mine:
        raise ValueError(f"there is no run of {group!r}" + (f" with {at}" if at else ""))
    if len({run["seed"] for run in mine}) < len(mine):
        raise ValueError(f"{group!r} has several runs with one seed: say which, with `at`")
    if any(score not in run["scores"] for run in mine):
        raise ValueError(f"{group!r} has no score {score!r}; it has {', '.join(sorted(mine[0]['scores']))}")
    return {run["seed"]: run["scores"][score] for run in mine}, mine[0]["settings"].get("steps")


def problems(claims):
    """What is wrong with the claims, in words: each line names the claim or the row."""
    wrong = []
    for claim in claims:
        name, measured = claim.get("said", "?"), {"said", "article", "chapter"} <= claim.keys() and is_measured(claim)
        wrong += [f"{name}: unknown key {key}" for key in claim.keys() - CLAIM_KEYS]
        wrong += [f"{name}: needs {key}" for key in ("said", "article", "chapter") if key not in claim]
        wrong += [
            f"{name}: is measured, so it needs {key}" for key in ("answer", "limits", "row") if measured and key not in claim
        ]
        rows = {row.get("name"): row for row in claim.get("row", ())}
        for row in claim.get("row", ()):
            wrong += [f"{name} {row.get('name')}: {text}" for text in _row_problems(claim, row, measured)]
        wrong += [f"{name}: a row is named twice"] * (len(rows) < len(claim.get("row", ())))
        fields = [field for _, field, _, _ in string.Formatter().parse(claim.get("answer", "")) if field]
        wrong += [f"{name}: {{{field}}} is no row" for field in fields if field.split(".")[0] not in rows]
        wrong += [f"{name}: a number is typed: {found}" for found in re.findall(r"\d*\.\d+", claim.get("answer", ""))]
    return wrong


def _row_problems(claim, row, measured):
    wrong = [f"unknown key {key}" for key in row.keys() - ROW_KEYS]
    wrong += [f"needs {key}" for key in ("name", "words", "attention", "other", "score", "called") if key not in row]
    if wrong or not has_results(claim):
        return wrong
    try:
        compared = compare(claim, row)
    except ValueError as error:
        return [str(error)]
    if "expect" in row and not compared.holds(row["expect"]):
        return [f"expected {row['expect']}, but it is {compared.verdict}: {compared}"]
    return [f"needs expect: it is {compared.verdict}, {compared}"] * ("expect" not in row and measured)


def page(claims):
    """The text of book/what_we_found.md."""
    measured = [claim for claim in claims if is_measured(claim)]
    waiting = [claim for claim in claims if not is_measured(claim)]
    out = [INTRODUCTION.strip(), "", "% heart begins", "| the article says | what we found |", "|---|---|"]
    out += [f"| “{claim['said']}” | {_answer(claim)} {_link(claim)} |" for claim in measured]
    out += ["% heart ends"]
    for claim in measured:
        out += [
            "",
            f"## “{claim['said'].rstrip('.')}”",
            "",
            f"The article says so in {claim['article']}; measured in {_link(claim)}.",
            "",
        ]
        out += ["| compared | attention,<br>other | difference |", "|---|---|---|"]
        out += [_line(row, compare(claim, row)) for row in claim["row"]]
        out += ["", "**When not.** " + " ".join(claim["limits"].split())]
    if waiting:
        out += ["", "## Not measured yet", ""]
        out += [f"- “{claim['said']}” ({claim['article']}): {_link(claim)}" for claim in waiting]
    return "\n".join(out) + "\n"


INTRODUCTION = """
# What we found

The article says of five tasks that attention makes them better, and leaves four questions open. Here is what the runs of this book say to that. This page is written by a program, from the results of
all seeds; none of its numbers was typed, and its sentences are checked against them.

Unless a row says otherwise, the networks compared have the same number of steps and, where both learn, nearly the same size, and they were tuned on the same grid. (A network from which
something was left out is smaller, and pictures without labels, where they come before 100 labels, are had by one side alone.) The *difference* is that of attention less the other, seed by seed: its mean, and half of
the 95 % interval of that mean (Student's t). It is bold where the interval leaves out 0. Of twenty comparisons without any difference one would be bold by chance. A difference without an interval is one run.
"""


def _answer(claim):
    numbers = {row["name"]: compare(claim, row) for row in claim["row"]}
    return " ".join(claim["answer"].split()).format(**numbers)


def _link(claim):
    chapter = chapter_page(claim)
    return f"{{doc}}`../{chapter}`" if chapter else f"chapter {claim['chapter']}, *planned*"


def _line(row, compared):
    steps = [f"{steps:,}" for steps in dict.fromkeys((compared.attention_steps, compared.other_steps)) if steps]
    budget = [" and ".join(steps) + " steps"] if steps else []
    seeds = [f"{len(compared.attention_scores)} seeds"] if compared.interval is not None else []
    difference, _, interval = str(compared).partition(" ±")
    if compared.verdict in ("better", "worse"):
        difference = f"**{difference}**"
    if interval:
        difference += f"<br>±{interval}"
    about = ", ".join([row["called"], *budget, *seeds])
    return f"| {row['words']}<br>*{about}* | {compared.attention}<br>{compared.other} | {difference} |"


def main():
    claims = load()
    if wrong := problems(claims):
        sys.exit("\n".join(wrong))
    PAGE.write_text(page(claims), encoding="utf8")
    print(f"book/what_we_found.md: {sum(map(is_measured, claims))} of {len(claims)} claims are measured")


if __name__ == "__main__":
    main()
