"""Chapter 10's plan and recipe: what would make its comparisons unfair, tried without training."""

import math
from collections import defaultdict

import pytest
import torch
from torch.testing import assert_close

from attn_book.data.mnist import mnist_digits
from attn_book.data.twins import both_ends, half_size
from attn_book.generated import nearest
from attn_utils.cost import count_parameters
from evidence.plans import ch10
from evidence.recipe import Recipe, namespace
from evidence.record import key


@pytest.fixture(scope="module")
def chapter():
    return namespace(Recipe.read(ch10.RECIPE))


def all_runs(best_lr):
    """The plan's runs once all are done, when best_lr(task) is the learning rate that serves a task best."""

    def scores(run):
        miss = abs(math.log(run["settings"].get("lr", 1) / best_lr(run["settings"]["task"])))
        return {"loss": miss, "Fréchet": miss, "error of v": miss, "shared": 0.9 - 0.1 * miss}

    runs, done = [], set()
    while new := [run for run in ch10.plan(runs) if None not in run["settings"].values() and key(run) not in done]:
        runs += [{**run, "scores": scores(run)} for run in new]
        done |= set(map(key, new))
    return runs


def test_every_network_of_a_task_has_the_same_grid_steps_and_seeds():
    runs, tuned, reported = all_runs(lambda task: 0.01), defaultdict(set), defaultdict(set)
    for run in runs:
        how = run["settings"]
        if run["part"] == "tuning":
            tuned[how["task"], run["group"]].add((how["lr"], how["steps"]))
        elif run["part"] == "report" and "steps" in how:
            reported[how["task"], run["group"]].add((run["seed"], how["steps"], how["lr"]))
    for kind in (tuned, reported):
        for task in {task for task, _ in kind}:
            assert len({frozenset(of) for (its, _), of in kind.items() if its == task}) == 1, task
    assert len(reported["digits", f"digits: {ch10.BEST}"]) == len(ch10.SEEDS) == 5


def test_a_task_that_needs_a_wider_grid_widens_no_other():
    runs = [run["settings"] for run in all_runs(lambda task: 0.03 if task == "plane" else 0.01) if run["part"] == "tuning"]
    grids = {task: sorted({how["lr"] for how in runs if how["task"] == task}) for task in ch10.STEPS}
    assert grids.pop("plane") == [0.003, 0.01, 0.03, 0.09]
    assert all(grid == [0.003, 0.01, 0.03] for grid in grids.values())


def test_whoever_is_compared_at_four_times_the_steps_has_its_control_there():
    assert {f"digits: {kind}" for kind in ("attention", ch10.BEST, "convolution", "local path alone")} <= set(ch10.LONGER)
    assert set(ch10.LONGER) <= ch10.models().keys()


def test_all_that_is_planned_can_be_built_and_is_of_one_size(chapter):
    sizes = defaultdict(list)
    for group, how in ch10.models().items():
        if how["task"] == "plane":
            chapter.PointNet(how["size"], skip="skip" in how["kind"])
        elif how["task"] == "twins":
            sizes["twins"].append(count_parameters(chapter.build_twins(how["kind"], 0)))
        elif how["task"] != "peer":
            part = how["task"] if how["task"] == "patches" else "digits"
            sizes[part, how.get("size")].append(count_parameters(chapter.build(how["kind"], 0, how.get("size", 4))))
            chapter.loss_of(how.get("learns", "flow x"))
        assert group.partition(":")[0] in ("digits", "patches", "twins", "plane")
    for of in sizes.values():
        assert max(of) <= 1.05 * min(of)


def test_diffusers_network_begins_as_the_papers_and_is_of_our_size_and_depth(chapter):
    pytest.importorskip("diffusers", reason="diffusers is not installed: pip install diffusers")
    theirs, ours = chapter.build("diffusers", 0), chapter.build("attention", 0)
    assert len(theirs.net.transformer_blocks) == len(ours.blocks)
    assert 1 <= count_parameters(theirs) / count_parameters(ours) <= 1.1
    z, t, labels = torch.randn(2, 1, 28, 28), torch.rand(2), torch.tensor([3, 10])
    assert_close(theirs.train()(z, t, labels), torch.zeros_like(z), rtol=0, atol=0)
    with torch.no_grad():  # and it hears time and class as soon as anything is learned
        theirs.net.proj_out_2.weight.normal_()
        theirs.net.proj_out_1.weight.normal_()
        first = theirs(z, t, labels)
        assert (theirs(z, t, labels.flip(0)) - first).abs().max() > 0.1
        assert (theirs(z, t.flip(0), labels) - first).abs().max() > 0.1
    blocks = theirs.net.transformer_blocks
    x = torch.randn(2, 49, 52)
    assert_close(blocks[0](x, timestep=1000 * t, class_labels=labels), x, rtol=0, atol=0)


@pytest.mark.parametrize(("peak", "best", "tried"), [(1.6, 1.5, 5), (5.0, 4.5, 7), (100, 3 * 1.5**3, 8), (0.8, 0.75, 7)])
def test_the_chosen_guidance_is_no_edge_of_those_tried(chapter, monkeypatch, peak, best, tried):
    monkeypatch.setattr(chapter, "draw", lambda model, labels, *, guidance, **how: guidance)
    monkeypatch.setattr(chapter, "likeness", lambda made, labels, split: {"Fréchet": abs(made - peak)})
    chosen, found = chapter.over_guidance(None, "flow x", 900)
    assert (chosen, len(found)) == (best, tried)
    assert set(chapter.GUIDANCE) <= found.keys()
    assert peak == 100 or min(found) < chosen < max(found)  # somewhere it has to end


def test_pictures_are_compared_with_a_whole_split_which_has_as_many_of_each_digit(chapter, monkeypatch):
    seen = []
    monkeypatch.setattr(
        chapter, "looked_at", lambda pictures, side=28: (torch.ones(len(pictures), 64), torch.zeros(len(pictures)))
    )
    monkeypatch.setattr(chapter, "frechet", lambda one, other: seen.append((len(one), len(other))) or 0.0)
    made, labels = chapter.some_scans(5, 0)
    chapter.likeness(made / 2 + 0.5, labels, "validation")
    assert seen == [(50, 500), (50, 500)]
    assert torch.equal(labels, torch.arange(10).repeat_interleave(5))


def judged(chapter, monkeypatch, kind):
    """What `run_untrained` hands over to be judged."""
    monkeypatch.setattr(chapter, "worth", lambda *handed: handed)
    return chapter.run_untrained(1, kind, "validation")


def test_the_memory_copies_scans_of_the_digit_that_was_asked_for_as_many_of_each(chapter, monkeypatch):
    made, labels, split = judged(chapter, monkeypatch, "memory")
    scans, known = mnist_digits("train")
    distances, places = nearest(made, scans)
    assert distances.max() < 1e-4
    assert_close(torch.from_numpy(known[places]), labels, rtol=0, atol=0)
    assert split == "validation"
    assert torch.equal(labels.bincount(), torch.full((10,), 50))


def test_moved_scans_are_scans_a_pixel_to_the_right(chapter, monkeypatch):
    made, _, _ = judged(chapter, monkeypatch, "moved scans")
    still, _, _ = judged(chapter, monkeypatch, "real scans")
    assert_close(made[..., 1:], still[..., :-1], rtol=0, atol=0)


def test_real_twins_share_no_scan_with_what_they_are_compared_to(chapter, monkeypatch):
    monkeypatch.setattr(chapter, "twin_worth", lambda pictures, split: (pictures, split))
    pictures, split = chapter.run_twins(1, "real twins", None, None, "test", 950)
    reference = {scan.tobytes() for scan in half_size(split)[0]}
    for end in both_ends(pictures):
        assert not any(scan.numpy().tobytes() in reference for scan in end.contiguous())


def test_twins_that_agree_and_twins_that_do_not(chapter, monkeypatch):
    """Of six pairs, four agree; of the four that can be read, three."""
    a, b = torch.tensor([0, 1, 2, 3, 4, 5]), torch.tensor([0, 1, 2, 7, 4, 8])
    sure = torch.tensor([20.0, 20.0, 20.0, 20.0, 0.1, 0.1])

    class Judge:
        unit, head = 1.0, staticmethod(lambda features: features)

    read = iter([(sure[:, None] * torch.eye(10)[a], a), (sure[:, None] * torch.eye(10)[b], b)])
    monkeypatch.setattr(chapter, "judge", lambda side: Judge)
    monkeypatch.setattr(chapter, "looked_at", lambda pictures, side: next(read, (torch.randn(9, 10), None)))
    found = chapter.twin_worth(torch.zeros(6, 1, 14, 56), "validation")
    assert_close(found["agreement"], torch.tensor(4 / 6))
    assert_close(found["clear"], torch.tensor(4 / 6))
    assert_close(found["clear and agreeing"], torch.tensor(3 / 6))


def test_a_drawing_network_with_a_skip_has_one_number_for_each_time(chapter):
    plain, net = chapter.build(ch10.BEST, 0, 14), chapter.build(f"{ch10.BEST}, skip", 0, 14)
    assert count_parameters(net) <= 1.01 * count_parameters(plain)
    z, t, labels = torch.randn(3, 1, 28, 28), torch.tensor([0.1, 0.5, 0.5]), torch.tensor([3, 5, 10])
    assert_close(net(z, t, labels), torch.zeros_like(z), rtol=0, atol=0)  # begins as the others do
    torch.nn.init.normal_(net.skip[-1].weight)
    factor = net(z, t, labels) / z
    assert_close(factor, factor[..., :1, :1].expand_as(z))
    assert_close(factor[1], factor[2])
    assert (factor[0] - factor[1]).abs().min() > 1e-4


def test_a_skip_carries_the_point_past_the_network(chapter):
    net = chapter.PointNet(5, skip=True)
    torch.nn.init.zeros_(net.rest[-1].weight)
    torch.nn.init.zeros_(net.rest[-1].bias)
    z, t = torch.randn(3, 5), torch.tensor([0.1, 0.5, 0.5])
    factor = net(z, t) / z
    assert_close(factor, factor[:, :1].expand(-1, 5))
    assert_close(factor[1], factor[2])
    assert (factor[0] - factor[1]).abs().min() > 1e-4
