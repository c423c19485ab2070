"""Tuning: one grid for all, widened until the best value of every model lies inside it."""

import math

import pytest

from evidence.tune import Contest, race, settle, tune

AXES = {"lr": (0.001, 0.003, 0.01), "decay": (0.0, 0.1, 1.0)}
BOUNDS = {"decay": 0.0}


def explore(peaks, rounds=20, highest=math.inf, **options):
    """Tune models whose score falls with the distance from their peak, (lr, decay) each; above `highest` they diverge."""

    def score(run):
        lr, decay = peaks[run["group"]]
        return -abs(run["settings"]["lr"] - lr) / lr - abs(run["settings"]["decay"] - decay)

    runs = []
    for _ in range(rounds):
        grid, best = tune(runs, list(peaks), AXES, score, bounds=BOUNDS, **options)
        if all(None not in setting.values() for setting in best.values()):
            return grid, best, runs
        assert best == {group: {"lr": None, "decay": None} for group in peaks}
        done = {(run["group"], *run["settings"].values()) for run in runs}
        new = [(group, point) for group in peaks for point in grid if (group, *point.values()) not in done]
        runs += [
            {"part": "tuning", "group": group, "settings": point, "scores": {"diverged": 1} if point["lr"] > highest else {}}
            for group, point in new
        ]
    raise AssertionError("never done")


def test_a_best_value_inside_needs_no_more():
    grid, best, runs = explore({"a": (0.003, 0.1)})
    assert best == {"a": {"lr": 0.003, "decay": 0.1}}
    assert len(grid) == len(runs) == 9


def test_the_grid_is_widened_for_all_when_one_asks_for_it():
    grid, best, runs = explore({"a": (0.003, 0.1), "b": (0.03, 0.1)})
    assert best == {"a": {"lr": 0.003, "decay": 0.1}, "b": {"lr": 0.03, "decay": 0.1}}
    assert sorted({point["lr"] for point in grid}) == [0.001, 0.003, 0.01, 0.03, 0.09]
    assert len(runs) == 2 * len(grid)


def test_it_is_widened_downwards_too():
    _, best, _ = explore({"a": (0.0003, 0.1)})
    assert best == {"a": {"lr": 0.0003, "decay": 0.1}}


def test_a_bound_is_no_edge():
    grid, best, _ = explore({"a": (0.003, 0.0)})
    assert best == {"a": {"lr": 0.003, "decay": 0.0}}
    assert len(grid) == 9


def test_widening_stops():
    grid, best, _ = explore({"a": (10.0, 0.1)}, most=5)
    assert len({point["lr"] for point in grid}) == 5
    assert best["a"]["lr"] == max(point["lr"] for point in grid)


def test_what_diverged_is_the_worst():
    grid, best, _ = explore({"a": (0.03, 0.1)}, highest=0.02)
    assert best == {"a": {"lr": 0.01, "decay": 0.1}}
    assert max(point["lr"] for point in grid) == 0.03


def test_other_parts_do_not_count():
    report = [{"part": "report", "group": "a", "settings": {"lr": lr, "decay": d}} for lr in AXES["lr"] for d in AXES["decay"]]
    _, best = tune(report, ["a"], AXES, lambda run: 1.0)
    assert best == {"a": {"lr": None, "decay": None}}


def test_an_axis_without_an_inside_is_refused():
    with pytest.raises(ValueError, match=r"axes\['lr'\] must have at least three values, got \[1, 2\]"):
        tune([], ["a"], {"lr": (1, 2)}, float)


def test_between_equals_something_else_decides():
    def run(lr, decay, score, loss):
        return {"part": "tuning", "group": "a", "settings": {"lr": lr, "decay": decay}, "scores": {"right": score, "loss": loss}}

    lucky, solid = (0.01, 1.0), (0.003, 0.1)
    runs = [
        run(lr, d, {lucky: 0.264, solid: 0.261}.get((lr, d), 0.2), 0.4 if (lr, d) == solid else 0.5)
        for lr in AXES["lr"]
        for d in AXES["decay"]
    ]
    score, then = (lambda run: run["scores"]["right"]), (lambda run: -run["scores"]["loss"])
    _, best = tune(runs, ["a"], AXES, score, margin=lambda right: 0.01, then=then)
    assert best == {"a": {"lr": 0.003, "decay": 0.1}}
    _, best = tune(runs, ["a"], AXES, score, margin=lambda right: 0.001, then=then, most=3)
    assert best == {"a": {"lr": 0.01, "decay": 1.0}}


GRID = [{"lr": lr} for lr in (0.003, 0.01, 0.03)]
RACE = {
    "group": "a", "grid": GRID, "seeds": (0, 6, 7),
    "score": lambda run: run["scores"]["right"], "near": lambda top: 0.1, "then": lambda run: -run["scores"]["loss"],
}  # fmt: skip


def tried(seed, *scores, losses=(1.0, 1.0, 1.0), part="tuning", group="a"):
    """One run for each learning rate, as far as the scores go; None stands for none."""
    found = [{"right": score, "loss": loss} if score != "diverged" else {"diverged": 1} for score, loss in zip(scores, losses)]
    return [
        {"part": part, "group": group, "seed": seed, "settings": setting, "scores": score}
        for setting, score in zip(GRID, found)
        if score.get("right", 0) is not None
    ]


def test_a_race_waits_for_the_first_seed():
    assert race(tried(0, 0.9, 0.8), **RACE) == ([], {"lr": None})
    assert race(tried(6, 0.9, 0.8, 0.7), **RACE) == ([], {"lr": None})


def test_who_is_ahead_by_far_has_won_the_race():
    assert race(tried(0, 0.5, 0.8, 0.6), **RACE) == ([{"lr": 0.01}], {"lr": 0.01})


def test_those_that_are_close_are_tried_again_and_their_mean_decides():
    runs = tried(0, 0.5, 0.80, 0.78)
    assert race(runs, **RACE) == (GRID[1:], {"lr": None})
    runs += tried(6, None, 0.50, 0.75)
    assert race(runs, **RACE) == (GRID[1:], {"lr": None})
    runs += tried(7, None, 0.82, 0.80)
    assert race(runs, **RACE) == (GRID[1:], {"lr": 0.03})


def test_what_more_seeds_leave_close_together_is_decided_by_the_loss():
    losses = (0.1, 0.5, 0.6)  # the lowest belongs to one that is not close
    runs = [run for seed in (0, 6, 7) for run in tried(seed, 0.5, 0.78, 0.80, losses=losses)]
    assert race(runs, **RACE) == (GRID[1:], {"lr": 0.01})
    assert race(runs, **{**RACE, "then": None}) == (GRID[1:], {"lr": 0.03})
    runs = [run for seed in (0, 6, 7) for run in tried(seed, 0.5, 0.73, 0.80, losses=losses)]  # by more than 0.1 / √3
    assert race(runs, **RACE) == (GRID[1:], {"lr": 0.03})


def test_in_a_race_other_parts_and_groups_do_not_count_and_what_diverged_is_the_worst():
    runs = tried(0, "diverged", 0.8, 0.75) + tried(0, 0.9, 0.1, 0.1, part="report") + tried(0, 0.9, 0.1, 0.1, group="b")
    assert race(runs, **RACE)[0] == GRID[1:]
    runs = tried(0, "diverged", 0.8, 0.75) + tried(6, None, "diverged", 0.1) + tried(7, None, 0.9, 0.1)
    assert race(runs, **RACE)[1] == {"lr": 0.03}
    assert race(tried(0, "diverged", "diverged", "diverged"), **RACE)[0] == GRID


SETTLED = {"groups": ["a"], "axes": {"lr": (0.003, 0.01, 0.03)}, **{name: RACE[name] for name in ("score", "near", "seeds")}}


def explored(right, **options):
    """All runs that `settle` asks for, one round after another, and what is best; `right` is a function of seed and rate."""
    runs = []
    while True:
        trials, best = settle(runs, **SETTLED | options)
        done = {(run["group"], run["seed"], run["settings"]["lr"]) for run in runs}
        new = [trial for trial in trials if (trial[0], trial[1], trial[2]["lr"]) not in done]
        if not new:
            return runs, best
        assert None in best[new[0][0]].values()
        runs += [
            {"part": "tuning", "group": group, "seed": seed, "settings": setting, "scores": {"right": right(seed, setting["lr"])}}
            for group, seed, setting in new
        ]


def test_who_leads_by_far_settles_it_with_one_seed():
    runs, best = explored(lambda seed, lr: {0.003: 0.2, 0.01: 0.9, 0.03: 0.5}[lr])
    assert best == {"a": {"lr": 0.01}}
    assert [run["seed"] for run in runs] == [0, 0, 0]


def test_a_race_won_at_an_edge_widens_the_grid():
    steady = {0.003: 0.2, 0.01: 0.80, 0.03: 0.78, 0.09: 0.3}
    runs, best = explored(lambda seed, lr: 0.5 if (seed, lr) != (0, 0.01) and lr == 0.01 else steady[lr])
    assert best == {"a": {"lr": 0.03}}
    assert sorted({run["settings"]["lr"] for run in runs}) == [0.003, 0.01, 0.03, 0.09]
    assert sorted(run["settings"]["lr"] for run in runs if run["seed"] == 7) == [0.01, 0.03]  # nothing else was close


def test_what_is_new_at_the_edge_may_win():
    rates = {0.003: 0.2, 0.01: 0.80, 0.03: 0.78, 0.09: 0.95, 0.3: 0.1}  # the first seed's second leads to the best
    runs, best = explored(lambda seed, lr: 0.5 if seed and lr == 0.01 else rates[lr])
    assert best == {"a": {"lr": 0.09}}
    assert max(run["settings"]["lr"] for run in runs) == 0.3


def test_what_was_close_on_a_narrower_grid_stays_wanted():
    """On the wider grid it is far behind. But a record that drops it could not be gone through again from the beginning."""
    rates = {0.003: 0.2, 0.01: 0.80, 0.03: 0.78, 0.09: 0.95, 0.3: 0.1}
    runs, best = explored(lambda seed, lr: 0.5 if seed and lr == 0.01 else rates[lr])
    wanted, again = settle(runs, **SETTLED)
    assert again == best == {"a": {"lr": 0.09}}
    assert {(7, 0.01), (7, 0.03)} <= {(seed, setting["lr"]) for _, seed, setting in wanted}
    assert sorted((seed, setting["lr"]) for _, seed, setting in wanted) == sorted((r["seed"], r["settings"]["lr"]) for r in runs)


def test_settling_shares_the_grid_and_stops_at_a_bound():
    def right(seed, lr):
        return {0.003: 0.9, 0.01: 0.5, 0.03: 0.2}[lr]

    runs, best = explored(right, groups=["a", "b"], bounds={"lr": 0.003})
    assert best == {"a": {"lr": 0.003}, "b": {"lr": 0.003}}
    assert len(runs) == 6
    runs, best = explored(lambda seed, lr: lr, bounds={"lr": (0.001, 0.09)})
    assert (max(run["settings"]["lr"] for run in runs), best) == (0.09, {"a": {"lr": 0.09}})
    runs, _ = explored(lambda seed, lr: lr, most=4)
    assert sorted({run["settings"]["lr"] for run in runs}) == [0.003, 0.01, 0.03, 0.09]


def trials_at(group, points, axes=("lr", "decay"), **more):
    return [
        {"part": "tuning", "group": group, "seed": 0, "settings": {"steps": 10} | dict(zip(axes, point, strict=True)) | more}
        for point in points
    ]


LINE_POINTS = [(1, 0.1), (2, 0.1), (3, 0.1), (2, 0.2), (2, 0.05)]
GRID_POINTS = [(a, b) for a in (1, 2, 3) for b in (0.05, 0.1, 0.2)]
FAIR = {
    "grid": Contest({"a": {"lr": 2, "decay": 0.1}, "b": {"lr": 2, "decay": 0.1}}, ("lr", "decay")),
    "lines": Contest(
        {"a": {"lr": 2, "decay": 0.1}, "b": {"lr": 3, "decay": 0.2}}, ("lr", "decay"), "lines", {"lr": 3, "decay": (0.2, 9)}
    ),
    "climb": Contest(
        {"a": {"lr": 2, "decay": 0.1}, "b": {"lr": 3, "decay": 0.2}},
        ("lr", "decay"),
        "climb",
        values={"lr": (1, 2, 3), "decay": (0.05, 0.1, 0.2, 0.4)},
    ),
}
AS_IT_SHOULD_BE = {
    "grid": trials_at("a", GRID_POINTS) + trials_at("b", GRID_POINTS),
    "lines": trials_at("a", LINE_POINTS) + trials_at("b", [(1, 0.1), (2, 0.1), (3, 0.1), (3, 0.2), (3, 0.05)]),
    "climb": trials_at("a", LINE_POINTS) + trials_at("b", [(2, 0.1), (3, 0.1), (3, 0.2), (3, 0.4)]),
}


@pytest.mark.parametrize("how", FAIR)
def test_a_fair_contest_has_no_faults(how):
    assert FAIR[how].faults(AS_IT_SHOULD_BE[how]) == []


@pytest.mark.parametrize(
    ("how", "runs", "fault"),
    [
        ("grid", trials_at("a", GRID_POINTS), "b was not tuned"),
        (
            "grid",
            trials_at("a", GRID_POINTS) + trials_at("b", [*GRID_POINTS, (4, 0.05), (4, 0.1), (4, 0.2)]),
            "a, b: not the same values for all",
        ),
        ("grid", trials_at("a", GRID_POINTS[:-1]) + trials_at("b", GRID_POINTS[:-1]), "a: no grid"),
        ("grid", trials_at("a", GRID_POINTS) + trials_at("b", GRID_POINTS, steps=20), "a, b: not one budget"),
        (
            "grid",
            trials_at("a", GRID_POINTS) + trials_at("b", GRID_POINTS[:-1]) + trials_at("b", GRID_POINTS[-1:], depth=6),
            "b: settings differ in more than lr, decay",
        ),
        ("grid", trials_at("a", GRID_POINTS[3:]) + trials_at("b", GRID_POINTS[3:]), "a: lr=2 is at an edge"),
        ("lines", trials_at("a", LINE_POINTS) + trials_at("b", LINE_POINTS), "b: no lines"),
        ("lines", trials_at("a", [*LINE_POINTS, (3, 0.2)]) + AS_IT_SHOULD_BE["lines"][5:], "a: no lines"),
        ("lines", trials_at("a", [*LINE_POINTS, (2, 0.4)]) + AS_IT_SHOULD_BE["lines"][5:], "a, b: not the same values for all"),
        (
            "lines",
            trials_at("a", [p for p in LINE_POINTS if p[1] <= 0.1]) + trials_at("b", LINE_POINTS),
            "a: decay=0.1 is at an edge",
        ),
        ("climb", trials_at("a", LINE_POINTS) + trials_at("b", [(2, 0.1), (3, 0.1), (3, 0.2)]), "b: decay=0.2 is at an edge"),
        ("climb", trials_at("a", LINE_POINTS) + trials_at("b", [(3, 0.1), (3, 0.2), (3, 0.4)]), "b: lr=3 is at an edge"),
    ],
)
def test_what_is_unfair_is_named(how, runs, fault):
    assert fault in FAIR[how].faults(runs)
