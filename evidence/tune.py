"""Tuning with one grid for all: it is widened until no model's best value lies at an edge of it."""

import itertools
import json
import math
from dataclasses import dataclass, field


def tune(runs, groups, axes, score, *, bounds=None, most=6, margin=None, then=None):
    """The grid that is needed, and the best setting of each group once all of it has been tried.

    The best of many noisy scores is partly luck, all the more where a model has learned nothing. With `margin` and `then`,
    settings that score nearly as well as the best count as equal to it, and something else decides between them.

    Args:
        runs: all runs so far; those of part "tuning" count.
        groups: the groups that are tuned, each by itself and all on the same grid.
        axes: {name of a setting: values to begin with}, at least three each.
        score: function of a run; the highest is the best. A run that diverged is the worst.
        bounds: {name: value or values} that an axis cannot leave, such as a weight decay of 0. What is best there is not at an edge.
        most: values that an axis may come to have; there widening stops.
        margin: function of a score: how far below it another is still as good, such as one standard error.
        then: function of a run; between equals the highest is the best.

    Returns:
        A list of settings, as far as the scores that are known ask for; and {group: its best setting}, in which every value is
        None while a score is missing.

    Raises:
        ValueError: an axis of fewer than three values has no inside.
    """
    axes = {name: sorted(values) for name, values in axes.items()}
    for name, values in axes.items():
        if len(values) < 3:
            raise ValueError(f"axes[{name!r}] must have at least three values, got {values}")
    scores, ties = {group: {} for group in groups}, {group: {} for group in groups}
    for run in runs:
        if run["part"] == "tuning" and run["group"] in scores:
            point = tuple(run["settings"][name] for name in axes)
            scores[run["group"]][point] = -math.inf if "diverged" in run["scores"] else score(run)
            ties[run["group"]][point] = 0.0 if then is None or "diverged" in run["scores"] else then(run)
    while True:
        points = list(itertools.product(*axes.values()))
        grid = [dict(zip(axes, point)) for point in points]
        if any(point not in scores[group] for group in groups for point in points):
            return grid, {group: dict.fromkeys(axes) for group in groups}
        best = {group: dict(zip(axes, _best(points, scores[group], ties[group], margin))) for group in groups}
        wider = {
            name: _widen(values, {setting[name] for setting in best.values()}, (bounds or {}).get(name))
            for name, values in axes.items()
        }
        wider = {name: values if len(values) <= most else axes[name] for name, values in wider.items()}
        if wider == axes:
            return grid, best
        axes = wider


def race(runs, group, grid, score, near, seeds, then=None):
    """The settings of one group that a first seed leaves close together, and the best of them by the mean over more seeds.

    A setting that wins by less than two seeds differ has won nothing. So those near the top are tried again, and only they. Where
    n seeds leave some within 1/√n of that, something less noisy decides, such as the loss in training.

    Args:
        runs: all runs so far; those of part "tuning" count.
        group: whose settings they are.
        grid: settings, as `tune` returns them.
        score: function of a run; the highest is the best. A run that diverged is the worst.
        near: function of the highest score: how far below it another is still close.
        seeds: the first one, which has tried all of the grid, and those that decide.
        then: function of a run; between those that are still close the highest is the best. None leaves it to the mean of `score`.

    Returns:
        A list of the settings that are close, none while the first seed has not tried all of them; and the best setting, in which
        every value is None while a run is missing.
    """
    found = {
        (run["seed"], *(run["settings"][name] for name in grid[0])): run
        for run in runs
        if run["part"] == "tuning" and run["group"] == group
    }
    tried = [[found.get((seed, *setting.values())) for seed in seeds] for setting in grid]
    if any(its[0] is None for its in tried):
        return [], dict.fromkeys(grid[0])
    close = _within(near, range(len(grid)), [_mean(score, its[:1]) for its in tried])
    settings = [grid[i] for i in close]
    if len(close) > 1:
        if any(None in tried[i] for i in close):
            return settings, dict.fromkeys(grid[0])
        closer = lambda top: near(top) / math.sqrt(len(seeds))
        close = _within(closer, close, [_mean(score, its) if None not in its else -math.inf for its in tried])
    return settings, grid[max(close, key=lambda i: _mean(then or score, [run for run in tried[i] if run]))]


def settle(runs, groups, axes, score, near, seeds, *, bounds=None, most=6, margin=None, then=None):
    """Tuning as a chapter's plan does it: a first seed tries one grid for all, more seeds decide between what it leaves close.

    The grid is widened until no winner lies at an edge of it; one that the first seed held for second counts, too.

    Args:
        runs, groups, axes, score, bounds, most, margin, then: see `tune`.
        near, seeds: see `race`.

    Returns:
        A list of the trials that are wanted, (group, seed, setting) each; and {group: its best setting}, in which every value is
        None while a trial is missing.
    """
    first, won = [run for run in runs if run["seed"] == seeds[0]], {}

    def winners_first(run):
        setting = won.get(run["group"])
        return math.inf if setting and setting.items() <= run["settings"].items() else score(run)

    trials = []  # of every grid on the way: without them, what is close on a wider one could not be found again
    while True:
        grid, _ = tune(first, groups, axes, winners_first, bounds=bounds, most=most, margin=margin, then=then)
        races = {group: race(runs, group, grid, score, near, seeds, then) for group in groups}
        for group, (close, _) in races.items():
            again = close if len(close) > 1 else []
            trials += [(group, seeds[0], setting) for setting in grid]
            trials += [(group, seed, setting) for seed in seeds[1:] for setting in again]
        best = {group: winner for group, (_, winner) in races.items()}
        if best == won or any(None in setting.values() for setting in best.values()):
            break
        won, axes = best, {name: tuple(dict.fromkeys(setting[name] for setting in grid)) for name in axes}
    return [trial for i, trial in enumerate(trials) if trial not in trials[:i]], best


@dataclass(frozen=True)
class Contest:
    """Groups that were tuned alike, each by itself: what a plan says of its tuning, and what of that its runs do not bear out.

    Attributes:
        best: {group: its best setting of the axes}.
        axes: names of what was tuned, in this order.
        how: "grid", every value of one axis with every value of the others; "lines", the first axis at one value of the second, then
            the second at the best of the first; "climb", along one axis of `values` after the other, until the best has been passed.
            Grids and lines have the same values for all groups.
        bounds: {name: value or values} that count as inside.
        values: for "climb", {name: all values of an axis in order}.
    """

    best: dict
    axes: tuple
    how: str = "grid"
    bounds: dict = field(default_factory=dict)
    values: dict = field(default_factory=dict)

    def faults(self, runs):
        """What is unfair or at an edge, in words; an empty list where all is as it should be."""
        trials = {group: [r for r in runs if (r["part"], r["group"]) == ("tuning", group)] for group in self.best}
        if missing := [group for group, mine in trials.items() if not mine]:
            return [f"{group} was not tuned" for group in missing]
        if waiting := [group for group, setting in self.best.items() if None in setting.values()]:
            return [f"{group} is not tuned yet" for group in waiting]
        tried = {group: {tuple(run["settings"][name] for name in self.axes) for run in mine} for group, mine in trials.items()}
        wrong = []
        if len({run["settings"].get("steps") for mine in trials.values() for run in mine}) > 1:
            wrong.append(f"{', '.join(self.best)}: not one budget")
        for group, mine in trials.items():
            if len({json.dumps({k: v for k, v in run["settings"].items() if k not in self.axes}) for run in mine}) > 1:
                wrong.append(f"{group}: settings differ in more than {', '.join(self.axes)}")
        if self.how != "climb" and len({self._shape(group, points) for group, points in tried.items()}) > 1:
            wrong.append(f"{', '.join(self.best)}: not the same values for all")
        for group, points in tried.items():
            if self.how != "climb" and self._shape(group, points) is None:
                wrong.append(f"{group}: no {self.how}")
            wrong += [
                f"{group}: {name}={self.best[group][name]} is at an edge"
                for name in self.axes
                if self._at_edge(name, group, points)
            ]
        return wrong

    def _shape(self, group, points):
        """The values of each axis that were tried, as a grid or as lines have them; None where the points are neither."""
        if self.how == "grid":
            values = tuple(frozenset(value) for value in zip(*points, strict=True))
            return values if len(points) == math.prod(map(len, values)) else None
        top = self.best[group][self.axes[0]]
        second = frozenset(b for a, b in points if a == top)
        for start in second:
            first = frozenset(a for a, b in points if b == start)
            if points == {(a, start) for a in first} | {(top, b) for b in second}:
                return first, second
        return None

    def _at_edge(self, name, group, points):
        best, place = self.best[group][name], self.axes.index(name)
        tried, bound = sorted({point[place] for point in points}), self.bounds.get(name)
        if best in (bound if isinstance(bound, tuple) else (bound,)):
            return False
        if self.how == "climb":  # the end of all values cannot be passed
            line = self.values[name]
            at = line.index(best)
            return not set(line[max(at - 1, 0) : at + 2]) <= set(tried)
        return best not in tried[1:-1]


def _mean(score, runs):
    return sum(-math.inf if "diverged" in run["scores"] else score(run) for run in runs) / len(runs)


def _within(near, points, scores):
    """Those of the points whose score is near the highest of them."""
    top = max(scores[i] for i in points)
    return [i for i in points if scores[i] >= (top - near(top) if math.isfinite(top) else top)]


def _best(points, scores, ties, margin):
    """The point of the highest score, or of those within the margin below it the one that `ties` puts first."""
    top = max(points, key=scores.get)
    if margin is None or not math.isfinite(scores[top]):
        return top
    return max((point for point in points if scores[point] >= scores[top] - margin(scores[top])), key=ties.get)


def _widen(values, best, bound):
    """One more value at each end where a best one lies."""
    inside = best - {*bound} if isinstance(bound, tuple) else best - {bound}
    below = [_next(values[1], values[0])] if values[0] in inside else []
    above = [_next(values[-2], values[-1])] if values[-1] in inside else []
    return below + values + above


def _next(inner, outer):
    """The third of a geometric series, to one digit: 0.003, 0.01 → 0.03."""
    return float(f"{outer**2 / inner:.0e}")
