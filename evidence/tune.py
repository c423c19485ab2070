"""Tuning with one grid for all: it is widened until no model's best value lies at an edge of it."""

import itertools
import math


def tune(runs, groups, axes, score, *, bounds=None, most=6, margin=None, then=None):
    """The grid that is needed, and the best setting of each group once all of it has been tried.

    The best of many noisy scores is partly luck, all the more where a model has learned nothing. With `margin` and `then`,
    settings that score nearly as well as the best count as equal to it, and something else decides between them.

    Args:
        runs: all runs so far; those of part "tuning" count.
        groups: the groups that are tuned, each by itself and all on the same grid.
        axes: {name of a setting: values to begin with}, at least three each.
        score: function of a run; the highest is the best. A run that diverged is the worst.
        bounds: {name: value} that an axis cannot leave, such as a weight decay of 0. What is best there is not at an edge.
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


def _best(points, scores, ties, margin):
    """The point of the highest score, or of those within the margin below it the one that `ties` puts first."""
    top = max(points, key=scores.get)
    if margin is None or not math.isfinite(scores[top]):
        return top
    return max((point for point in points if scores[point] >= scores[top] - margin(scores[top])), key=ties.get)


def _widen(values, best, bound):
    """One more value at each end where a best one lies."""
    below = [_next(values[1], values[0])] if values[0] in best - {bound} else []
    above = [_next(values[-2], values[-1])] if values[-1] in best - {bound} else []
    return below + values + above


def _next(inner, outer):
    """The third of a geometric series, to one digit: 0.003, 0.01 → 0.03."""
    return float(f"{outer**2 / inner:.0e}")
