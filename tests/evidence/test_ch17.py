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
    kinds = ("attention", *chapter.MIXERS, *chapter.GRIDS, *chapter.SCANS)
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


def test_even_weights_mix_without_comparing_and_no_mixing_does_neither(chapter):
    """Moved about, the tokens leave the mean as it is; where nobody mixes, a token depends on itself alone."""
    x = torch.randn(2, 9, 64, requires_grad=True)
    mixes, alone = (chapter.searcher(kind, 0, cells=3).blocks[0].attention for kind in ("even weights", "no mixing"))
    order = torch.randperm(9)
    torch.testing.assert_close(mixes(x[:, order]), mixes(x), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(mixes(x)[:, 0], mixes(x)[:, 8], rtol=0, atol=0)
    (gradient,) = torch.autograd.grad(alone(x)[:, 4].sum(), x)
    assert (gradient.abs().sum((0, 2)) > 0).tolist() == [place == 4 for place in range(9)]
    torch.testing.assert_close(mixes(x)[:, 0], mixes.network(x).mean(1), rtol=1e-5, atol=1e-6)


def test_no_network_is_taken_for_another(chapter):
    with pytest.raises(ValueError, match="no network called 'atention'"):
        chapter.searcher("atention", 0, cells=3)


def test_what_a_move_costs_stands_beside_what_grain_costs(chapter):
    """A network that knows the brightness of one pixel: nothing is lost by grain that changes no answer, all by a move that takes it away."""

    class OnePixel(torch.nn.Module):
        def features(self, images):
            return images.mean(1)[:, ::4, ::4].flatten(1)[..., None]  # (B, 64, 1)

        def forward(self, images):
            bright = images[:, 0, 16, 16] > 0.5
            return torch.stack([~bright, bright], -1).float()

    canvas = torch.zeros(6, 3, 40, 40)
    canvas[:3, :, 20, 20] = 1.0  # of three pictures the middle one, of the others none
    canvas[:, :, 8, 8] = torch.linspace(0.1, 0.2, 6)[:, None]  # features must differ from place to place
    scores = chapter.shift_scores(OnePixel(), canvas, torch.tensor([1, 1, 0, 0, 0, 0]))  # one is wrong at rest
    assert scores["accuracy"] == pytest.approx(5 / 6)
    assert scores["changed by grain"] == scores["lost by grain"] == 0
    for px in (1, 2, 3, 4):
        assert scores[f"changed at {px} px"] == pytest.approx(3 / 6)
        assert scores[f"lost at {px} px"] == pytest.approx(2 / 5)


def test_tuning_asks_for_right_answers_alone(chapter, monkeypatch):
    draw = chapter.digits
    monkeypatch.setattr(chapter, "digits", lambda n, *which, **size: draw(n // 50, *which, **size))
    how = {
        "task": "picture",
        "kind": "convolution",
        "stem": "patches",
        "positions": "none",
        "steps": 2,
        "lr": 0.01,
        "weight_decay": 0.1,
    }
    scores = chapter.run(0, **how, split="validation", scene_seed=900)
    assert set(scores) == {"accuracy", "train accuracy", "loss", "parameters"}
    assert isinstance(scores["parameters"], int)  # a table shows it as it is


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
    assert {"cue after 1 / 4", "cue after 3 / 4", "cue after 4 / 4", "train cue"} <= set(scores)


def test_answers_on_the_way_are_those_nearest_to_each_quarter(chapter):
    watched = [(10, 0.1), (24, 0.2), (49, 0.3), (70, 0.4), (100, 0.9)]
    expected = {"cue after 1 / 4": 0.2, "cue after 2 / 4": 0.3, "cue after 3 / 4": 0.4, "cue after 4 / 4": 0.9}
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


def _tried(plan, score, loss=lambda settings: 0.0):
    """All that the plan wants when every trial scores as it is told, and the trials."""
    runs = []
    while True:
        wanted = list(plan(runs))
        known = [run["group"] + str(run["settings"]) for run in runs]
        new = [run for run in wanted if run["part"] == "tuning" and run["group"] + str(run["settings"]) not in known]
        if not new:
            return wanted, runs
        for run in new:
            share = score(run["settings"])
            runs.append(run | {"scores": {"loss": loss(run["settings"])} | dict.fromkeys(("cue", "accuracy"), share)})


def _hill(lr, weight_decay):
    """Right answers that fall from a summit of the grid."""
    places = {name: ch17.GRID[name].index for name in ch17.GRID}
    far = lambda name, value, best: abs(places[name](value) - places[name](best))
    return lambda settings: (
        0.9 - 0.1 * far("lr", settings["lr"], lr) - 0.1 * far("weight_decay", settings["weight_decay"], weight_decay)
    )


def test_the_report_waits_for_the_tuning():
    waiting = list(ch17.plan([]))
    assert Counter(run["part"] for run in waiting)["tuning"] == 3 * (len(ch17.SEQUENCE) + len(ch17.PICTURE))
    assert all(run["settings"]["lr"] is None for run in waiting if run["part"] in ("report", "control"))


@pytest.mark.parametrize(
    "summit, trials",
    [
        ((0.003, 1.0), 5),  # the start is the best: two neighbours on each line
        ((0.01, 0.1), 7),
        ((0.01, 0.0), 7),  # nothing lies below no decay
        ((0.001, 10.0), 7),
        ((0.09, 1.0), 7),  # an end of the grid is where it stops, and the chapter's claim fails
    ],
)
def test_tuning_goes_along_two_lines_until_the_best_is_passed(summit, trials):
    wanted, runs = _tried(ch17.plan, _hill(*summit))
    best = dict(zip(ch17.GRID, summit))
    settled = {run["group"]: run["settings"] for run in wanted if run["part"] in ("report", "longer", "shorter", "control")}
    assert all({name: settings[name] for name in best} == best for settings in settled.values())
    tried = Counter(run["group"] for run in runs)
    assert {tried[f"sequence: {kind}"] for kind in ch17.SEQUENCE} == {trials}
    for run in wanted:
        if run["part"] != "check":
            usual = ch17.STEPS[run["settings"]["task"]]
            named = {"longer": 4 * usual, "steps": 800}.get(run["group"].split()[-1], usual)
            assert run["settings"]["steps"] == named, run["group"]


def test_of_what_is_close_the_lowest_loss_wins_and_what_diverged_never_does():
    even = lambda settings: 0.3
    wanted, _ = _tried(
        ch17.plan, even, loss=lambda settings: -settings["lr"] * (settings["lr"] < 0.02) - settings["weight_decay"]
    )
    reported = [run["settings"] for run in wanted if run["part"] == "report"]
    assert {settings["lr"] for settings in reported} == {0.01}
    assert {settings["weight_decay"] for settings in reported} == {100.0}
    good = {"scores": {"cue": 0.5, "loss": 1.0}}
    assert ch17.winner([{"scores": {"diverged": 1}}, good, {"scores": {"cue": 0.4, "loss": 0.1}}]) is good
    assert ch17.winner([{"scores": {"diverged": 1}}] * 2) == {"scores": {"diverged": 1}}


def test_a_variant_has_a_rate_of_its_own_and_the_decay_of_what_it_changes():
    def score(settings):
        best = 0.01 if settings["positions"] == "none" else 0.003
        return _hill(best, 0.1)(settings)

    wanted, runs = _tried(ch17.plan, score)
    by_group = {run["group"]: run["settings"] for run in wanted if run["part"] in ("report", "control")}
    for kind in ch17.PICTURE:
        settings = by_group[f"picture: {kind}, no positions"]
        assert (settings["lr"], settings["weight_decay"], settings["kind"]) == (0.01, 0.1, kind)
        assert by_group[f"picture: {kind}"]["lr"] == 0.003
    decays = {run["settings"]["weight_decay"] for run in runs if run["group"].endswith(f"{kind}, no positions")}
    assert decays == {0.1}


def test_every_sentence_has_three_seeds_but_the_check_of_what_cannot_be_known():
    wanted, _ = _tried(ch17.plan, _hill(0.003, 1.0))
    seeds = Counter(run["group"] for run in wanted if run["part"] in ("report", "longer", "shorter", "control"))
    assert {group for group, count in seeds.items() if count != len(ch17.SEEDS)} == {f"sequence: {name}" for name in ch17.ONCE}
    assert all(None not in run["settings"].values() for run in wanted)
    (one_way,) = [run for run in wanted if run["group"] == "sequence: minGRU, one way"]
    assert one_way["settings"]["kind"] == "minGRU, one way"


def test_scans_and_scenes_of_tuning_and_report_are_apart():
    runs = list(ch17.plan([]))
    used = {
        part: {(run["settings"]["split"], run["settings"]["scene_seed"]) for run in runs if run["part"] == part}
        for part in ("tuning", "report", "longer", "shorter", "control")
    }
    assert used["report"] == used["longer"] == used["shorter"] == used["control"] and not used["report"] & used["tuning"]
    assert ch17.TUNING_SEED not in ch17.SEEDS


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
