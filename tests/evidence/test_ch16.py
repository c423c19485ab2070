"""Chapter 16's plan and recipe: what would make its comparisons unfair, tried without training."""

import math
from collections import defaultdict

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch.testing import assert_close

from attn_book import matching
from attn_book.data.stereo_pairs import StereoPairs, stereo_pairs
from attn_utils.cost import count_parameters
from evidence.plans import ch16
from evidence.recipe import Recipe, namespace
from evidence.record import key


@pytest.fixture(scope="module")
def chapter():
    return namespace(Recipe.read(ch16.RECIPE))


@pytest.fixture
def all_runs(monkeypatch):
    """This half's runs once all are done, when middling settings are the best."""
    monkeypatch.setattr(ch16.ch16_more, "plan", lambda runs: iter(()))
    good = {"lr": 0.005, "update": 0.0, "radius": 8.0, "sharpness": 300.0, "place": 4.0}
    runs, done = [], set()
    while new := [run for run in ch16.plan(runs) if None not in run["settings"].values() and key(run) not in done]:
        for run in new:
            how = run["settings"]
            miss = sum(abs(math.log((how[name] + 0.1) / (best + 0.1))) for name, best in good.items() if name in how)
            names = ("after", "first and three latest, focused: after")
            runs.append({**run, "scores": {"synthetic: off by 1 visible": miss} | dict.fromkeys(names, -miss)})
        done |= set(map(key, new))
    return runs


def test_all_of_a_task_have_the_same_grid_steps_and_seeds(all_runs):
    tuned, reported = defaultdict(set), defaultdict(set)
    ways = lambda run: tuple(sorted((k, v) for k, v in run["settings"].items() if k not in ("task", "kind")))
    for run in all_runs:
        if run["part"] == "tuning":
            tuned[run["settings"]["task"], run["group"]].add(ways(run))
        elif run["part"] in ("report", "untrained"):
            reported[run["group"]].add(run["seed"])
    for task in ("stereo", "tracking", "rival", "patches"):
        grids = [grid for (of, _), grid in tuned.items() if of == task]
        assert len(grids) > 1 and all(grid == grids[0] and len(grid) >= 3 for grid in grids)
    assert len(reported) == 21 and all(seeds == set(ch16.SEEDS) for seeds in reported.values())


def test_every_setting_of_the_report_is_the_best_of_the_tuning_and_inside_its_grid(all_runs):
    for run in all_runs:
        if run["part"] == "report" and "lr" in run["settings"]:
            assert run["settings"]["lr"] == 0.005
        if run["part"] == "report" and run["settings"]["task"] == "patches":
            assert (run["settings"]["sharpness"], run["settings"]["place"]) == (300.0, 4.0)


def test_tuning_and_report_share_no_scan_and_no_seed(all_runs):
    for run in all_runs:
        tuning = run["part"] in ("tuning", "check")
        assert (run["settings"]["split"], run["settings"]["scene_seed"]) == (("validation", 900) if tuning else ("test", 950))
        assert tuning or run["seed"] in ch16.SEEDS


def test_rivals_have_as_many_parameters(chapter):
    one = count_parameters(chapter.Matcher())
    assert abs(count_parameters(chapter.Stacked()) / one - 1) < 0.05
    deep, wide = (count_parameters(chapter.Matcher(**chapter.MATCHERS[kind])) for kind in ("further layers", "wider"))
    assert abs(deep / wide - 1) < 0.05


@pytest.mark.parametrize("kind", ["one step", "without the key", "further layers", "no matching"])
def test_weights_are_shares_of_keys_that_may_be_the_match(chapter, kind):
    torch.manual_seed(0)
    model = chapter.Stacked() if kind == "no matching" else chapter.Matcher(**chapter.MATCHERS[kind])
    left, right = torch.rand(2, 3, 8, 40), torch.rand(2, 3, 8, 40)
    weights = model(left, right)
    assert weights.shape == (2, 8, 40, 40 if kind == "without the key" else 41)
    assert_close(weights.sum(-1), torch.ones(2, 8, 40))
    step = torch.arange(40)[:, None] - torch.arange(40)
    assert (weights[..., :40][..., (step < 0) | (step > chapter.LARGEST)] == 0).all()
    assert (weights[..., :40][..., (step >= 0) & (step <= chapter.LARGEST)] > 0).all()


def test_the_loss_asks_for_the_true_column_and_for_no_match_where_there_is_none(chapter):
    disparity = torch.full((1, 1, 6), 1.25)
    visible = torch.tensor([[[False, False, True, True, True, True]]])
    right_answer = torch.zeros(1, 1, 6, 7)
    for column in range(6):
        if visible[0, 0, column]:
            right_answer[0, 0, column, column - 2], right_answer[0, 0, column, column - 1] = 0.25, 0.75
        else:
            right_answer[0, 0, column, 6] = 1.0
    pictures = torch.zeros(1, 3, 1, 6)
    loss = lambda weights: chapter.matching_loss(lambda left, right: weights, pictures, pictures, disparity, visible)
    entropy = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75)) * 4 / 6
    assert_close(loss(right_answer), torch.tensor(entropy))
    assert loss(right_answer.roll(1, -1)) > 5
    without = right_answer[..., :6] / right_answer[..., :6].sum(-1, keepdim=True).clamp(min=1e-6)
    assert_close(loss(without), torch.tensor(entropy * 6 / 4))


def test_the_read_out_is_the_mean_around_the_largest_weight(chapter):
    weights = torch.zeros(1, 1, 9, 10)
    weights[0, 0, 8, 3], weights[0, 0, 8, 4], weights[0, 0, 8, 0] = 0.5, 0.25, 0.2
    weights[0, 0, 8, 9] = 0.05  # no match
    weights[0, 0, 0, 0] = 1.0
    disparity, certainty = chapter.read_out(weights)
    assert_close(disparity[0, 0, 8], torch.tensor(8 - (3 * 0.5 + 4 * 0.25) / 0.75))
    assert_close(certainty[0, 0, 8], torch.tensor(0.75))
    assert_close(disparity[0, 0, 0], torch.tensor(0.0))


def test_costs_of_weights_have_their_disparity(chapter):
    weights = np.random.default_rng(0).dirichlet(np.ones(41), size=(3, 40)).astype(np.float32)
    costs = chapter.costs_of(weights)
    assert costs.shape == (3, 40, 25)
    assert_allclose(costs[2, 30, 7], -np.log(weights[2, 30, 23]), rtol=1e-5)
    assert costs[0, 3, 4] == costs.max()


def test_the_mirrored_half_belongs_to_the_right_picture(chapter):
    """With features that tell every column of a scene apart, both directions agree with the truth."""
    pair = stereo_pairs(2, seed=1, shapes=0, noise=0, size=(16, 64))
    for cost in (chapter.classical_costs("census, 7"),):
        ours, theirs = chapter.both_ways(cost, pair.left[0], pair.right[0], 3)
        seen = pair.visible[0]
        assert np.mean(abs(ours - pair.disparity[0])[seen] < 1) > 0.7
        assert matching.left_right_check(ours, theirs)[seen].mean() > 0.6


def test_judging_a_perfect_map(chapter):
    truth = np.array([[[np.nan, 1.0, 1.0, 2.0, 2.0]]])
    visible = np.array([[[False, True, True, True, False]]])
    pairs = StereoPairs(None, None, truth, visible)
    seen, sure = np.nan_to_num(truth), np.array([[[0.0, 0.5, 0.6, 0.7, 0.8]]])
    scores = chapter.judge(pairs, seen, np.full((1, 1, 5), 1.0), sure, 1 - sure)
    assert scores["off by 1"] == scores["off by 1 visible"] == scores["checked, off by 1"] == 0
    assert scores["checked, coverage"] == 1 and scores["named, coverage"] == 1
    assert {f"off at {share:.2f}" for share in chapter.COVERAGES} <= scores.keys()


def test_the_real_pair_is_looked_at_in_the_report_alone(chapter, monkeypatch):
    monkeypatch.setattr(chapter, "stereo_pairs", lambda n, **how: stereo_pairs(2, **how))
    look = lambda pairs: (np.nan_to_num(pairs.disparity), np.nan_to_num(pairs.disparity))
    names = lambda split: {name.partition(":")[0] for name in chapter.judge_sets(look, split, 900)}
    assert names("validation") == {"synthetic"}
    assert names("test") == {"synthetic", "real"}


def test_a_perfect_memory_keeps_the_mask_and_what_is_not_held_is_not_asked(chapter):
    tokens = 30 * torch.eye(400).expand(1, 5, 400, 400)  # every cell like itself alone
    first = torch.rand(1, 1, 400)
    assert_close(chapter.propagate(tokens, first), first.expand(1, 5, 400))
    two = torch.stack([torch.zeros(1, 400), torch.ones(1, 400)], 1)
    assert_close(chapter.propagate(tokens, two, first=1, latest=0)[:, 2:], torch.zeros(1, 3, 400))
    assert_close(chapter.propagate(tokens, two, first=0, latest=1)[:, 2:], torch.ones(1, 3, 400))
    assert_close(chapter.propagate(tokens, two, first=1, latest=1)[:, 2], torch.full((1, 400), 0.5))


def test_the_middle_of_a_mask_is_that_of_its_brighter_blob(chapter):
    mask = torch.zeros(1, 20, 20)
    mask[0, 3:6, 3:6], mask[0, 14:17, 14:17] = 1.0, 0.6
    flat = mask.flatten(1)
    assert_close(chapter.middle(flat), torch.tensor([[9.0, 9.0]]))
    focused = chapter.focused(flat).reshape(20, 20)
    assert focused[14:17, 14:17].sum() == 0 and focused.max() == 1
    wide = torch.zeros(1, 20, 20)
    wide[0, 4, 10] = 1.0
    assert_close(chapter.middle(wide.flatten(1)), torch.tensor([[21.0, 9.0]]))  # x is the column


def test_patches_have_length_one_and_place_adds_to_the_score(chapter):
    frames = torch.rand(1, 2, 3, 40, 40)
    seen = chapter.patches(frames)
    assert_close(seen.norm(dim=-1), torch.ones(1, 2, 400))
    with_place = chapter.with_places(seen, 100.0, 4.0)
    dots = with_place[0, 0] @ with_place[0, 1].T
    alone = 100 * seen[0, 0] @ seen[0, 1].T
    assert_close((dots - alone).diagonal(), torch.full((400,), 4.0), rtol=1e-3, atol=1e-3)
    assert (dots - alone).max() <= 4.001
    unfolded = frames[0, 1, :, 10:16, 20:26] - 0.4  # the cell in row 6, column 11 begins at pixel (12, 22)
    assert_close(seen[0, 1, 6 * 20 + 11, :108], unfolded.flatten() / (0.6 * 108**0.5))


def test_cells_share_a_mask(chapter):
    mask = torch.zeros(1, 1, 40, 40, dtype=torch.bool)
    mask[0, 0, 4, 6:8] = True
    cells = chapter.in_cells(mask)
    assert cells[0, 0, 2 * 20 + 3] == 0.5 and cells.sum() == 0.5


def test_a_tracker_is_judged_on_every_kind_of_rival(chapter):
    right = lambda frames, masks, centres: centres
    scores = chapter.score_tracker(right, "validation", 9, n=6)
    assert scores["after"] == 1
    assert all(scores[f"{rival}: on target"] == 1 for rival in chapter.RIVALS)
    assert_array_equal([scores[f"{rival}, bouncing: on rival"] for rival in chapter.RIVALS], 0)
