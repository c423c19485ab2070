"""Chapter 12's screening, on few pictures: who is let in, and who is led astray, is no matter of the seed. And what its plan yields."""

import pytest

from evidence.plans import ch12
from evidence.recipe import Recipe, namespace

CONTROLS = ("same colour", "contrast", "random")
WEIGHTS = ("attention, last layer", "attention, all layers", "rollout")


@pytest.fixture(scope="module")
def chapter():
    return namespace(Recipe.read(ch12.RECIPE))


@pytest.mark.parametrize("seed", ch12.SEEDS)
def test_every_method_finds_what_is_planted_and_decoys_draw_weights_away(chapter, seed):
    scores = {name: float(score) for name, score in chapter.screen_methods(seed, 6).items()}
    methods = [name.removeprefix("plain: ") for name in scores if name.startswith("plain: ") and not name.endswith(CONTROLS)]
    assert len(methods) == 9
    assert all(scores[f"{kind}: {name}"] == 1 for name in methods for kind in ("plain", "contrary"))
    assert scores["plain: same colour"] == 1 and scores["contrary: same colour"] == 0  # it knows the task, and no network
    assert max(scores[f"plain: {name}"] for name in CONTROLS[1:]) < 0.5
    assert all(scores[f"decoys: {name}"] == 0 for name in WEIGHTS)
    assert all(scores[f"decoys: {name}"] == 1 for name in methods if name not in WEIGHTS)
    assert max(scores[f"two hops: {name}"] for name in ("attention, last layer", "attention, all layers")) < 1
    assert scores["two hops: gradient × attention"] < 1
    assert all(scores[f"two hops: {name}"] == 1 for name in ("rollout", "relevance", "patching"))


def test_every_score_but_with_noise_puts_the_truth_first_and_a_random_map_last(chapter):
    scores = {name: float(score) for name, score in chapter.screen_scores(1, 4).items()}
    kinds = [name.removesuffix(": truth") for name in scores if name.endswith(": truth")]
    assert len(kinds) == 12
    for kind in kinds:
        if kind.endswith("noise"):  # it spoils other cells, too: not let in, see the chapter
            continue
        truth, half, random = (
            scores[f"{kind}: {name}"] * (-1 if kind.startswith("deletion") else 1) for name in ("truth", "half", "random")
        )
        assert truth > half > random, kind


def test_the_twin_as_a_fill_and_what_fills_do_alone(chapter):
    """On the planted model: the twin's cells harm nothing where nothing counts; without the meant digit all is lost."""
    scores = {name: float(score) for name, score in chapter.fill_scores(chapter.planted_subject("plain", 1, 8)).items()}
    assert scores["nothing filled"] > 0.95
    assert scores["rest filled, twin"] > 0.95
    assert max(value for name, value in scores.items() if name.startswith("meant filled") and "noise" not in name) < 0.3


def test_the_plan_tunes_what_is_trained_with_even_weights_and_then_reports():
    done = []
    for _ in range(4):
        entries = list(ch12.plan(done))
        known = [(run["part"], run["group"], run["seed"], run["settings"]) for run in done]
        for entry in entries:
            which = entry["part"], entry["group"], entry["seed"], entry["settings"]
            if which not in known and None not in entry["settings"].values():
                found = 0.3 + 0.1 * (entry["settings"].get("lr") == 0.01) + 0.05 * (entry["settings"].get("weight_decay") == 0.1)
                done.append(entry | {"scores": {"accuracy": found}})
    report = {
        name: [run for run in done if run["part"] == "report" and run["group"] == name]
        for name in ("even weights", "own weights")
    }
    for runs in report.values():
        assert sorted(run["seed"] for run in runs) == sorted(ch12.SEEDS)
        assert {(run["settings"]["lr"], run["settings"]["weight_decay"]) for run in runs} == {(0.01, 0.1)}
        assert {run["settings"]["steps"] for run in runs} == {4 * ch12.TRAINED["steps"]}
    tuning = [run for run in done if run["part"] == "tuning"]
    assert {run["group"] for run in tuning} == {"even weights"}
    assert {run["settings"]["split"] for run in tuning} == {"validation"}
    assert not {run["seed"] for run in tuning} & set(ch12.SEEDS)
