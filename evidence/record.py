"""The record of what was run: one JSON file in results/, written anew after every run and never half.

    {provenance: {command, date, recipe, machine, versions, recipe_sha, package_sha, others},
     summary: [{group, settings, scores: {name: {mean, interval, values}}}],
     runs: [{part, group, seed, settings, scores, seconds}]}

`provenance` says with what the latest run was made, as it was measured where it ran. A run that was made with something
else (another day, machine, version or code) carries "other": the place of what it was made with in `others`.
"""

import json
import os
import statistics
from pathlib import Path

from attn_book.runs import half_width
from evidence.recipe import short

FIELDS = ("part", "group", "seed", "settings", "scores", "seconds")
NOT_SUMMARISED = ("tuning", "check")


class Record:
    """Runs with what each was made with, and the file that they are kept in.

    Args:
        path: the JSON file; what it holds already is read.
        recipe: its name, such as "notebooks/07_classification.ipynb".

    Attributes:
        runs: list of dicts with `FIELDS` and "origin": {command, date, machine, versions, recipe_sha, package_sha}.
    """

    def __init__(self, path, recipe):
        self.path, self.recipe = Path(path), recipe
        self.runs = read(self.path) if self.path.exists() else []

    def missing(self, wanted):
        """Those of the wanted runs that are not here."""
        here = {key(run) for run in self.runs}
        return [run for run in wanted if key(run) not in here]

    def keep(self, condition):
        """Drop all runs but those for which condition(run) holds; returns how many were dropped."""
        before = len(self.runs)
        self.runs = [run for run in self.runs if condition(run)]
        return before - len(self.runs)

    def add(self, run):
        """Take in a finished run and write the file. A run that is here already is not taken twice."""
        if self.missing([run]):
            self.runs.append(run)
            self.write()

    def write(self):
        """Write all, beside the file first and then in its place."""
        origins = sorted((run["origin"] for run in self.runs), key=lambda origin: origin["date"])
        main, *others = {json.dumps(origin, sort_keys=True): origin for origin in reversed(origins)}.values()
        runs = [
            {name: run[name] for name in FIELDS} | ({} if run["origin"] == main else {"other": others.index(run["origin"])})
            for run in sorted(self.runs, key=key)
        ]
        provenance = {"recipe": self.recipe, **main, "others": others}
        text = json.dumps({"provenance": provenance, "summary": summary(runs), "runs": None}, indent=1, ensure_ascii=False)
        each = ",\n  ".join(json.dumps(run, ensure_ascii=False) for run in runs)
        self.path.parent.mkdir(exist_ok=True)
        beside = self.path.with_suffix(".part")
        beside.write_text(text.replace('"runs": null', f'"runs": [\n  {each}\n ]') + "\n", encoding="utf-8")
        os.replace(beside, self.path)


def read(path):
    """The runs of a file, each with its origin."""
    content = json.loads(Path(path).read_text(encoding="utf-8"))
    others = content["provenance"]["others"]
    main = {name: value for name, value in content["provenance"].items() if name not in ("recipe", "others")}
    return [
        {**{name: run[name] for name in FIELDS}, "origin": others[run["other"]] if "other" in run else main}
        for run in content["runs"]
    ]


def key(run):
    """What makes a run this run and no other."""
    return run["part"], run["group"], run["seed"], json.dumps(run["settings"], sort_keys=True)


def summary(runs):
    """For each group and setting, over its seeds: mean, half-width of the 95 % interval of the mean (Student's t), and values."""
    groups = {}
    for run in sorted(runs, key=key):
        if run["part"] not in NOT_SUMMARISED:
            groups.setdefault((run["group"], json.dumps(run["settings"])), []).append(run)
    return [
        {
            "group": group,
            "settings": mine[0]["settings"],
            "scores": {name: _over_seeds([run["scores"][name] for run in mine]) for name in mine[0]["scores"]},
        }
        for (group, _), mine in groups.items()
    ]


def _over_seeds(values):
    interval = short(half_width(values)) if len(values) > 1 else None
    return {"mean": short(statistics.mean(values)), "interval": interval, "values": values}
