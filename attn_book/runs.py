"""What was measured over several runs: reads results/, for tables with intervals and for "this run lies in the band"."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from IPython.display import HTML
from scipy import stats

RESULTS = Path(__file__).resolve().parents[1] / "results"


@dataclass(frozen=True)
class Score:
    """One score over the seeds of a group.

    Attributes:
        mean: over the seeds; a whole number where all values are the same one.
        interval: half-width of the 95 % interval of the mean (Student's t); None for a single run.
        values: one a seed.
    """

    mean: float | int
    interval: float | None
    values: list[float]

    def __str__(self):
        if isinstance(self.mean, int):
            return f"{self.mean:,}"
        return f"{self.mean:.3f}" + (f" ± {self.interval:.3f}" if self.interval is not None else "")

    def band(self, level: float = 0.999) -> tuple[float, float]:
        """Where one more run like these would lie: the prediction interval of Student's t for normal scores.

        With the mean m and the standard deviation s of n values: m ± t s √(1 + 1/n), t with n − 1 degrees of freedom.

        Args:
            level: probability that it lies there.

        Returns:
            Its ends, low and high.

        Raises:
            ValueError: a single run has no band.
        """
        n = len(self.values)
        if n < 2:
            raise ValueError(f"a band takes at least two runs, got {n}")
        reach = stats.t.ppf((1 + level) / 2, n - 1) * np.std(self.values, ddof=1) * np.sqrt(1 + 1 / n)
        return float(self.mean - reach), float(self.mean + reach)


@dataclass(frozen=True)
class Row:
    """The runs of one group that differ in their seeds only.

    Attributes:
        group: its name.
        settings: what `run` was called with beside the seed.
        scores: {name: `Score`}.
    """

    group: str
    settings: dict
    scores: dict[str, Score]


@dataclass(frozen=True)
class Evidence:
    """One file of results/.

    Attributes:
        provenance: command, date, machine, versions, and the hashes of the code.
        rows: one `Row` for each group and setting.
        runs: every single run, tuning included: dicts with part, group, seed, settings, scores and seconds.
    """

    provenance: dict
    rows: list[Row]
    runs: list[dict]

    def __getitem__(self, group: str) -> Row:
        """The row of a group that has one."""
        found = [row for row in self.rows if row.group == group]
        if len(found) != 1:
            known = ", ".join(sorted({row.group for row in self.rows}))
            raise KeyError(f"{group!r} has {len(found)} rows; the groups are: {known}")
        return found[0]

    def part(self, part: str) -> list[dict]:
        """The runs of one part of the plan, such as "tuning" or "report"."""
        return [run for run in self.runs if run["part"] == part]

    def made_with(self, part: str) -> dict:
        """Command, date, machine, versions and hashes of the latest runs of a part; those of the whole file may be later ones."""
        latest = min(run.get("other", -1) for run in self.part(part))  # `evidence.record` has the latest first
        return self.provenance if latest < 0 else self.provenance["others"][latest]

    def grid(self, task: str | None = None) -> dict[str, list]:
        """{setting: values tried, rising} of the settings that tuning varied within a group; of one task's groups, or of all."""
        tuning, varied = self.part("tuning"), {}
        if task is not None:
            tuning = [run for run in tuning if run["settings"].get("task") == task]
        for name in dict.fromkeys(name for run in tuning for name in run["settings"]):
            tried = {(run["group"], run["settings"].get(name)) for run in tuning}
            if len(tried) > len({group for group, _ in tried}):
                varied[name] = sorted({value for _, value in tried} - {None})
        return varied


def load(name: str) -> Evidence:
    """The evidence of results/, from whatever folder the chapter runs in.

    Args:
        name: of the file, such as "ch07".

    Raises:
        FileNotFoundError: there is no such file; the error says how it is made.
    """
    content = read(name, "`make evidence` and `make bench`")
    rows = [
        Row(row["group"], row["settings"], {name: Score(**score) for name, score in row["scores"].items()})
        for row in content["summary"]
    ]
    return Evidence(content["provenance"], rows, content["runs"])


def read(name: str, made_by: str) -> dict:
    """What a file of results/ holds.

    Args:
        name: of the file, such as "ch07" or "live/ch07".
        made_by: the commands that make such files, for the error.

    Raises:
        FileNotFoundError: there is no such file; the error says how it is made.
    """
    path = RESULTS / f"{name}.json"
    if not path.is_file():
        there = ", ".join(sorted(file.stem for file in path.parent.glob("*.json"))) or "nothing"
        raise FileNotFoundError(
            f"results/{name}.json is not in the checkout that attn_book was imported from ({RESULTS.parent}); there is {there}. "
            f"Results come with a checkout of the book (`pip install -e .` in it) and are made by {made_by}."
        )
    return json.loads(path.read_text(encoding="utf-8"))


def table(head: Sequence[str], rows: Iterable[Sequence]) -> HTML:
    """A table for the page; a `Score` in it shows as mean ± half-width of its interval."""
    frame = pd.DataFrame([[str(entry) for entry in row] for row in rows], columns=list(head))
    return HTML(frame.to_html(index=False, border=0, classes="table", justify="left"))


def half_width(values: Sequence[float]) -> float:
    """Half-width of the 95 % interval of the mean of at least two values, by Student's t."""
    n = len(values)
    return float(stats.t.ppf(0.975, n - 1) * np.std(values, ddof=1) / np.sqrt(n))


def plus_minus(values: Sequence[float], spec: str = "+.3f") -> str:
    """The mean of at least two values ± half-width of its 95 % interval, as text.

    Args:
        values: one a seed; differences within each seed, for two things that were asked about the same pictures.
        spec: how the mean is written, as `format` takes it; the half-width loses its sign.

    Examples:
        >>> plus_minus([0.01, 0.02, 0.03])
        '+0.020 ± 0.025'
    """
    return f"{np.mean(values):{spec}} ± {half_width(values):{spec.lstrip('+')}}"
