"""Chapter 17: what is compared differs in one thing, a scan from one end knows nothing of what comes later, and the bench times all."""

import sys
from collections import Counter

import numpy as np
import pytest
import torch

from attn_book import runs
from attn_utils.cost import count_parameters
from evidence.bench import sequence
from evidence.plans import ch17
from evidence.recipe import Recipe, namespace


@pytest.fixture(scope="module")
def chapter():
    return namespace(Recipe.read(ch17.RECIPE))


def test_all_networks_are_of_one_size(chapter):
    kinds = ("attention", "linear attention", *chapter.GRIDS, *chapter.SCANS)
    sizes = [count_parameters(chapter.searcher(kind, 0, cells=3)) for kind in kinds]
    assert max(sizes) <= 1.02 * min(sizes)
    stems = [
        count_parameters(chapter.reader("attention", 0, stem=stem, positions="sincos")) for stem in ("patches", "convolutions")
    ]
    assert max(stems) <= 1.15 * min(stems)  # the stem that reads more costs more: a control, not a rival


def test_a_scan_from_one_end_knows_what_it_has_read(chapter):
    reached = {}
    for kind in ("minGRU, one way", "minGRU", "GRU, one way", "GRU", "attention", "linear attention"):
        layer = chapter.searcher(kind, 0, cells=3).blocks[0].attention
        x = torch.randn(2, 9, 64, requires_grad=True)
        (gradient,) = torch.autograd.grad(layer(x)[:, 4].sum(), x)
        reached[kind] = (gradient.abs().sum((0, 2)) > 0).tolist()
    before = [True] * 5 + [False] * 4
    assert reached["minGRU, one way"] == reached["GRU, one way"] == before
    assert all(reached[kind] == [True] * 9 for kind in ("minGRU", "GRU", "attention", "linear attention"))


def test_a_gru_begins_with_the_memory_that_it_is_given(chapter):
    """Left alone, with an input of zeros, its units decay as slowly as `longest` asks: T - 1 of T parts are kept."""
    layer = chapter.GRU(3, hidden=4, longest=32)
    with torch.no_grad():
        for weight in (layer.weight_ih_l0, layer.weight_hh_l0):
            weight.zero_()
        layer.bias_hh_l0[8:] = layer.bias_ih_l0[8:] = 0  # the candidate is 0
        _, state = super(chapter.GRU, layer).forward(torch.zeros(1, 1, 3), torch.ones(1, 1, 4))
    np.testing.assert_allclose(state.flatten(), 1 - 1 / np.array([2, 12, 22, 32]), rtol=1e-6)


def test_a_digit_is_whole_however_the_picture_moves(chapter):
    """On black paper: what shows at rest shows after every move."""
    canvas, labels = chapter.digits(40, 3, "test", size=40)
    assert canvas.shape == (40, 3, 40, 40) and len(labels) == 40
    made = chapter.scenes(320, seed=3, split="test", size=40, digits=1, digit_size=(12, 18))
    low, high = made.boxes[:, 0, :2].min(1), made.boxes[:, 0, 2:].max(1)
    assert ((low >= 8) & (high <= 32)).sum() >= 40


def test_nobody_is_seen_before_its_batch_norms_have_seen_a_picture(chapter):
    """Without it the branches of an untrained convolution are too weak for anything to be heard from afar."""
    images = torch.rand(20, 3, 32, 32)
    model = chapter.reader("convolution", 0, stem="patches", positions="none")
    norm = chapter.settled(model, images).blocks[0].module[0]
    tokens = model.embed(images).detach()
    torch.testing.assert_close(norm.running_mean, tokens.mean((0, 1)), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(norm.running_var, tokens.flatten(0, 1).var(0), rtol=1e-4, atol=1e-5)
    assert not norm.training
    assert not model.blocks[0].module[0].running_mean.any()  # the model itself is left as it was


def test_near_marks_first_takes_no_more_steps(chapter, monkeypatch):
    taken = []
    fit = chapter.fit
    monkeypatch.setattr(
        chapter, "fit", lambda model, data, *args, **how: taken.append((data, how)) or fit(model, data, *args, **how)
    )
    train, new = chapter.search_data(300, 1, "train", 3, 3), chapter.search_data(20, 2, "test", 3, 3)
    model = chapter.searcher("attention", 0, cells=3)
    scores = chapter.learn_search(model, 0, train, new, steps=8, near_first=True, lr=0.01, weight_decay=0.1)
    assert [how["steps"] for _, how in taken] == [2, 6]
    (near, _), (everything, _) = taken
    assert near[3].abs().max() == 3 and everything[3].abs().max() > 3
    assert {"cue after 1 / 4", "cue after 3 / 4", "train cue"} <= set(scores)


def test_answers_on_the_way_are_those_nearest_to_each_quarter(chapter):
    watched = [(10, 0.1), (24, 0.2), (49, 0.3), (70, 0.4), (100, 0.9)]
    expected = {"cue after 1 / 4": 0.2, "cue after 2 / 4": 0.3, "cue after 3 / 4": 0.4}
    assert chapter.on_the_way(watched, 100) == expected


def test_the_weights_depend_on_the_seed_alone(chapter):
    """The stem is drawn with the seed, too: no run depends on what was drawn before it."""
    for build in (
        lambda: chapter.searcher("minGRU", 3, cells=3),
        lambda: chapter.reader("attention", 3, stem="convolutions", positions="sincos"),
    ):
        first = build().state_dict()
        torch.rand(7)
        torch.testing.assert_close(build().state_dict(), first, rtol=0, atol=0)


def _tuned(waiting, score):
    """The runs of the tuning among those that wait, with scores; of equals a rate of 0.005 has the lowest loss."""
    return [
        run | {"scores": {"loss": abs(run["settings"]["lr"] - 0.005)} | dict.fromkeys(("cue", "accuracy"), score(run))}
        for run in waiting
        if run["part"] == "tuning"
    ]


def test_every_setting_is_tried_and_the_report_waits_for_it():
    waiting = list(ch17.plan([]))
    assert Counter(run["part"] for run in waiting)["tuning"] == 3 * (len(ch17.SEQUENCE) + len(ch17.PICTURE))
    assert all(run["settings"]["lr"] is None for run in waiting if run["part"] in ("report", "control"))

    def score(run):
        lr = run["settings"]["lr"]
        return 0.9 - 40 * abs(lr - 0.005) if run["settings"]["task"] == "sequence" else 0.5 + 20 * lr

    after = list(ch17.plan(_tuned(waiting, score)))
    rates = {run["group"]: run["settings"]["lr"] for run in after if run["part"] == "report"}
    assert {rate for group, rate in rates.items() if group.startswith("sequence")} == {0.005}
    assert {rate for group, rate in rates.items() if group.startswith("picture")} == {None}  # the best was an edge: wider
    (one_way,) = [run for run in after if run["group"] == "sequence: minGRU, one way"]
    assert one_way["settings"]["kind"] == "minGRU, one way"


def test_what_one_seed_leaves_close_is_raced():
    """All guess alike: every rate is tried with the second seed, which decides."""
    waiting = list(ch17.plan([]))
    even = _tuned(waiting, lambda run: 0.3)
    raced = [run for run in ch17.plan(even) if run["part"] == "tuning" and run["seed"] == ch17.TUNING_SEEDS[1]]
    assert Counter(run["group"] for run in raced) == dict.fromkeys({run["group"] for run in even}, 3)
    decided = even + _tuned(raced, lambda run: 0.9 if run["settings"]["lr"] == 0.005 else 0.3)
    assert {run["settings"]["lr"] for run in ch17.plan(decided) if run["part"] in ("report", "control")} == {0.005}
    decided = even + _tuned(raced, lambda run: 0.9 if run["settings"]["lr"] == 0.01 else 0.3)
    wider = [run["settings"]["lr"] for run in ch17.plan(decided) if run["part"] == "tuning"]
    assert max(wider) > 0.01  # what wins at an edge is no answer yet


def test_scans_and_scenes_of_tuning_and_report_are_apart():
    runs = list(ch17.plan([]))
    used = {
        part: {(run["settings"]["split"], run["settings"]["scene_seed"]) for run in runs if run["part"] == part}
        for part in ("tuning", "report", "control")
    }
    assert used["report"] == used["control"] and not used["report"] & used["tuning"]
    assert not set(ch17.SEEDS) & set(ch17.TUNING_SEEDS)


def test_every_layer_is_timed_at_every_length(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sequence, "ROOT", tmp_path)
    monkeypatch.setattr(sequence, "SIZES", {1: (4, 16), 3: (4,)})
    monkeypatch.setattr(runs, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(sys, "argv", ["bench", "--repeats", "2"])
    sequence.main()
    evidence = runs.load("sequence")
    costs = {(row.group, row.settings["B"], row.settings["N"]): row.scores for row in evidence.rows}
    assert set(costs) == {(name, B, N) for name in sequence.layers() for B, N in ((1, 4), (1, 16), (3, 4))}
    for scores in costs.values():
        for end in ("", "_forward"):
            low, middle, high = (scores[f"{name}{end}"].mean for name in ("quartile_1", "milliseconds", "quartile_3"))
            assert 0 < low <= middle <= high
        assert scores["peak_bytes"].mean > 0
    sizes = [scores["parameters"].mean for (name, *_), scores in costs.items() if name != "convolution"]
    assert max(sizes) <= 1.05 * min(sizes)


def test_one_after_the_other_gives_the_same_as_in_rounds():
    layers = sequence.layers()
    rounds, steps = layers["minGRU"], layers["minGRU, one after the other"]
    steps.load_state_dict(rounds.state_dict())
    x = sequence.sequences(2, 16)
    torch.testing.assert_close(steps(x), rounds(x), rtol=1e-5, atol=1e-5)
