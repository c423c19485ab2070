"""Chapter 14's plan and recipe: what would make its comparisons unfair, tried without training."""

import json
import math
from collections import defaultdict
from contextlib import contextmanager

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from attn_book import runs as book
from attn_utils.cost import count_parameters
from evidence.bench import simplify
from evidence.plans import ch14
from evidence.recipe import ROOT, Recipe, namespace
from evidence.record import key


@pytest.fixture(scope="module")
def chapter():
    return namespace(Recipe.read(ch14.RECIPE))


@contextmanager
def without_training(chapter):
    """The chapter on four digits of each split; a list of networks and how they would have been trained."""
    learned, digits, history = [], chapter.digits, type("History", (), {"loss": [1.0]})
    few = {split: tuple(tensor[:4] for tensor in digits(split)) for split in ("train", "validation", "test")}

    def learn(model, objective, **how):
        learned.append((model, all(module.training for module in model.modules()), how))
        model.eval()
        return history

    chapter.trained.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chapter, "digits", few.get)
        patch.setattr(chapter, "learn", learn)
        yield learned
    chapter.trained.cache_clear()


@pytest.fixture
def untrained(chapter):
    """The chapter without training, and a list of what would have been trained."""
    with without_training(chapter) as learned:
        yield chapter, learned


@pytest.fixture(scope="module")
def all_left_out(chapter):
    """Scores of a run with all that is left out, and the rates of what is healed in it."""
    with without_training(chapter) as learned:
        chapter.opened(3, 0.002, 5)
        learned.clear()  # the whole is there already
        scores = chapter.run(3, task="left out", lr=0.002, steps=5, split="test", what="all", lr_little=0.001, lr_much=0.003)
        return scores, [how["lr"] for *_, how in learned]


def all_runs(best, noise=lambda run: 0.0):
    """The plan's runs once all are done, when best = {setting: the value that serves best}."""

    def scores(run):
        miss = sum(
            abs(math.log((run["settings"][name] + 0.01) / (value + 0.01)))
            for name, value in best.items()
            if name in run["settings"]
        )
        return {"accuracy": 0.95 - 0.1 * miss + noise(run), "loss": miss}

    runs, done = [], set()
    while new := [run for run in ch14.plan(runs) if None not in run["settings"].values() and key(run) not in done]:
        runs += [{**run, "scores": scores(run)} for run in new]
        done |= set(map(key, new))
    assert len(done) == len(list(ch14.plan(runs))) == len(runs)
    return runs


BEST = {"lr": 0.006, "lr_little": 0.001, "lr_much": 0.003, "smoothing": 0.0, "temperature": 2.0}


def test_every_network_of_a_task_has_the_same_grid_and_what_is_reported_has_the_same_steps_and_seeds():
    runs, tuned, reported = all_runs(BEST), defaultdict(set), defaultdict(set)
    axes = {group: names for _, groups, names in ch14.TUNED for group in groups}
    for run in runs:
        how = run["settings"]
        if run["part"] == "tuning":
            its = axes[run["group"]]
            tuned[how["task"], run["group"]].add((how["steps"], *((name, how[name]) for name in its)))
        elif run["part"] == "report":
            reported[how["task"], run["group"]].add((run["seed"], how["steps"]))
    for task in {task for task, _ in reported}:
        assert len({frozenset(of) for (its, _), of in reported.items() if its == task}) == 1, task
    for task, groups, _ in ch14.TUNED:
        assert len({frozenset(tuned[task, group]) for group in groups}) == 1, groups
    assert len(tuned["student", "student"]) == len(tuned["taught", "taught"]) == 15  # as many settings with a teacher as without
    assert {len(of) for of in reported.values()} == {len(ch14.SEEDS)}


def test_a_race_that_is_won_at_an_edge_widens_the_grid():
    """The first seed puts the edge second, within what scans cannot tell apart; the others prefer it."""

    def noise(run):
        first = run["seed"] == ch14.TUNING_SEEDS[0]
        edge = run["group"] == "student" and run["settings"]["lr"] == 0.02 and run["part"] == "tuning"
        return edge * (0.045 if first else 0.09)

    grid = sorted(
        {run["settings"]["lr"] for run in all_runs(BEST, noise) if run["part"] == "tuning" and run["group"] == "student"}
    )
    assert grid == [0.004, 0.008, 0.02, 0.05]
    reported = [run["settings"]["lr"] for run in all_runs(BEST, noise) if run["group"] == "student" and run["part"] == "report"]
    assert set(reported) == {0.02}


def test_as_long_is_as_long_on_the_clock():
    cost = {row.group: row.scores for row in book.load("simplify").rows}
    step = {kind: cost[f"a step: {kind}"]["of_student_quartile_2"].mean for kind in simplify.LEARNING}
    long_taught = ch14.STEPS * step["taught student"]
    assert ch14.AS_LONG == pytest.approx(long_taught, rel=0.02)
    assert ch14.WITH_TEACHER == pytest.approx(long_taught + ch14.STEPS * step["whole"], rel=0.02)


def test_who_is_healed_has_a_rival_that_was_small_from_the_start_with_as_many_steps_in_one_training():
    runs = all_runs(BEST)
    small = {
        (run["settings"]["kind"], run["settings"]["steps"])
        for run in runs
        if run["part"] == "small" and not run["group"].endswith(ch14.SMOOTHED)
    }
    kinds = {*ch14.ALONE, ch14.CONVOLUTION}
    fresh = {(kind, ch14.MORE) for kind in ch14.FRESH}  # the same shape with the healing alone
    assert small == fresh | {(kind, ch14.STEPS + ch14.MORE) for kind in kinds} | {
        (kind, ch14.STEPS) for kind in kinds - {"whole"}
    }
    healed = [run["settings"] for run in runs if run["group"] == "left out" and run["part"] == "report"]
    assert {(how["lr_little"], how["lr_much"]) for how in healed} == {(0.001, 0.003)}


def test_six_blocks_without_attention_are_tried_at_half_their_rate_too():
    half = [run for run in all_runs(BEST) if run["group"] == ch14.MATCHED + ch14.HALF]
    best = next(run for run in all_runs(BEST) if run["group"] == ch14.MATCHED and run["part"] == "small")["settings"]
    assert {run["seed"] for run in half} == set(ch14.SEEDS)
    assert all(run["settings"] == best | {"lr": best["lr"] / 2} for run in half)


def test_others_are_tried_with_the_students_smoothing_too():
    runs = all_runs(BEST)
    budgets = {ch14.STEPS: (ch14.SEEDS, ch14.ALSO_SMOOTHED), ch14.PATIENT * ch14.STEPS: (ch14.FEWER, ch14.SMOOTHED_FOR_LONGER)}
    for steps, (seeds, kinds) in budgets.items():
        for kind in kinds:
            plain = [r["settings"] for r in runs if r["group"] == f"{kind}, {ch14.STEPS + ch14.MORE} steps"]
            tried = [r for r in runs if r["group"].startswith(kind + ch14.SMOOTHED) and r["settings"]["steps"] == steps]
            assert {run["seed"] for run in tried} == set(seeds)
            assert all(run["settings"]["smoothing"] == BEST["smoothing"] for run in tried)
            assert {run["settings"]["lr"] for run in tried} == {how["lr"] for how in plain}


def test_labels_as_they_are_stand_beside_smoothed_ones_and_a_teacher():
    hard = [run for run in all_runs(BEST) if run["group"].startswith(ch14.HARD)]
    assert all("smoothing" not in run["settings"] and run["settings"]["kind"] == "student" for run in hard)
    assert {(run["part"], run["settings"]["steps"]) for run in hard} == {
        ("tuning", ch14.STEPS),
        ("report", ch14.STEPS),
        ("longer", ch14.AS_LONG),
    }


def test_a_teacher_learns_for_as_many_steps_as_its_student():
    taught = [run["settings"] for run in all_runs(BEST) if run["settings"]["task"] == "taught" and run["part"] != "check"]
    assert {how["steps"] for how in taught} == {ch14.STEPS, ch14.AS_LONG}
    assert all(how["teacher_steps"] == how["steps"] for how in taught)


def test_networks_that_are_compared_are_of_one_size(chapter):
    whole = count_parameters(chapter.start(0, "whole"))
    assert count_parameters(chapter.start(0, ch14.MATCHED)) == pytest.approx(whole, rel=0.05)
    assert count_parameters(chapter.start(0, "convolution")) <= whole
    assert count_parameters(chapter.start(0, "no attention")) == count_parameters(
        chapter.without_heads(chapter.start(0, "whole"), chapter.HEADS)
    )
    for kind in (*ch14.ALONE, ch14.CONVOLUTION):
        chapter.start(0, kind)(torch.rand(2, 1, 28, 28))


def test_all_that_is_healed_learns_in_the_same_mode(untrained):
    """`fit` puts a model in training mode only if no part of it is: batch norms would stay in eval mode beside parts that are new."""
    chapter, learned = untrained
    _, networks, _ = chapter.opened(3, 0.002, 5)
    learned.clear()
    chapter.tuned(networks, chapter.TUNED + chapter.BLIND, "test", lr=0.001, seed=3)
    assert len(learned) == len(chapter.TUNED) + 1 + 2 + 3  # two draws of what is dropped, and of heads; three of blocks
    assert all(training for _, training, _ in learned)
    assert len({json.dumps(how, sort_keys=True) for *_, how in learned}) == 1
    assert all(any(isinstance(m, nn.BatchNorm2d) for m in model.modules()) for model, *_ in learned)


def test_a_teacher_that_is_opened_later_is_trained_once(untrained):
    chapter, learned = untrained
    teacher = {"teacher_kind": "whole", "teacher_lr": 0.002, "teacher_steps": 5}
    chapter.run(3, task="taught", kind="student", lr=0.004, steps=5, split="test", temperature=2.0, **teacher)
    chapter.opened(3, 0.002, 5)
    assert len(learned) == 2  # the teacher and its student


def test_healing_changes_no_network_but_the_copy(untrained, monkeypatch):
    chapter, _ = untrained
    model, networks, _ = chapter.opened(3, 0.002, 5)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}

    def spoil(network, *_args, **_how):
        with torch.no_grad():
            for tensor in network.parameters():
                tensor.zero_()

    monkeypatch.setattr(chapter, "learn", spoil)
    chapter.tuned(networks, chapter.TUNED + chapter.BLIND, "test", lr=0.001, seed=3)
    for name, tensor in model.state_dict().items():
        assert_close(tensor, before[name])


def test_all_that_is_left_out_is_scored_on_scans_to_choose_and_on_others(untrained, all_left_out):
    (chapter, _), (scores, _) = untrained, all_left_out
    names = {kind: {name.removeprefix(kind) for name in scores if name.startswith(kind)} for kind in ("validation: ", "test: ")}
    assert names["validation: "] == names["test: "]
    model = chapter.build(0)
    made = {"whole", *chapter.variants(model, chapter.HEADS, [0, 1, 2]), *chapter.together(model, chapter.HEADS, [0, 1, 2])}
    assert made | {f"{name}, tuned" for name in chapter.TUNED} < names["test: "]
    assert sum(name.startswith("heads ") and set(name[6:]) <= set("01") for name in names["test: "]) == 2**6 - 1
    few = chapter.run(3, task="left out", lr=0.002, steps=5, split="test", what="few")
    assert {f"test: {name}" for name in chapter.FEW} < set(few) <= set(scores)
    for what, names in {"little": chapter.LITTLE, "much": chapter.MUCH}.items():
        how = {"split": "validation", "what": what, f"lr_{what}": 0.001}
        tuning = chapter.run(3, task="left out", lr=0.002, steps=5, **how)
        assert {name for name in tuning if name != "mean"} == {f"validation: {name}, tuned" for name in names}


def test_what_lost_much_is_healed_at_a_rate_of_its_own(chapter, all_left_out):
    _, rates = all_left_out
    assert rates.count(0.001) == len(chapter.LITTLE) + 1  # two draws of what is dropped
    assert rates.count(0.003) == len(chapter.MUCH) + 2 + 3 == len(rates) - rates.count(0.001)


def test_what_is_timed_is_what_is_scored(chapter):
    """The bench knows no importance: where times depend on which heads or blocks go, the chapter must not choose others."""
    model = chapter.build(0).eval()
    heads, blocks = list(reversed(chapter.HEADS)), [2, 1, 0]
    ours = chapter.variants(model, heads, blocks) | chapter.together(model, heads, blocks)
    timed = simplify.makers(model)
    for name in chapter.together(model, heads, blocks):
        assert simplify.forward_flops(ours[name](), [torch.zeros(1, 1, 28, 28)]) == simplify.forward_flops(
            timed[name](), [torch.zeros(1, 1, 28, 28)]
        ), name
    for name in ("heads −1", "heads −3", "heads −6", "blocks −1"):
        flops = [simplify.forward_flops(made[name](), [torch.zeros(1, 1, 28, 28)]) for made in (ours, timed)]
        assert flops[0] == pytest.approx(flops[1], rel=0.01)


def test_results_have_a_time_for_all_that_is_drawn(chapter):
    content = json.loads((ROOT / "results" / "simplify.json").read_text(encoding="utf-8"))
    planned = {run["group"] for run in simplify.plan([])}
    assert planned == {row["group"] for row in content["summary"]}


@pytest.mark.parametrize("r", [1, 40, 98, 147])
def test_blind_merging_loses_nobody_and_looks_at_nothing(chapter, r):
    keys = torch.rand(3, 196, 8)
    where = chapter.blind_merging(5)(keys, r)
    sizes = torch.zeros(3, 196 - r).scatter_add(1, where, torch.ones(3, 196))
    assert (sizes >= 1).all() and (sizes.sum(dim=1) == 196).all()
    assert_close(where, chapter.blind_merging(5)(keys.flip(1), r))
    assert not torch.equal(where, chapter.blind_merging(6)(keys, r))
    assert not torch.equal(where[0], where[1])  # drawn anew for every picture


def test_the_size_of_a_head_is_that_of_what_it_adds(chapter):
    model = chapter.build(0)
    sizes = chapter.sizes_of_heads(model)
    layer = model.blocks[1].attention
    values = layer.qkv.weight.chunk(3)[2].unflatten(0, (2, 32))[1]
    assert sizes["blocks.1.attention", 1] == pytest.approx((layer.out.weight.unflatten(1, (2, 32))[:, 1] @ values).norm().item())
