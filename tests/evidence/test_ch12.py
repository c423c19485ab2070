"""Chapter 12's screening, on few pictures: who is let in, and who is led astray, is no matter of the seed."""

import pytest

from evidence.plans import ch12
from evidence.recipe import Recipe, namespace

CONTROLS = ("contrast", "random")
WEIGHTS = ("attention, last layer", "attention, all layers", "rollout")


@pytest.fixture(scope="module")
def chapter():
    return namespace(Recipe.read(ch12.RECIPE))


@pytest.mark.parametrize("seed", ch12.SEEDS)
def test_every_method_finds_what_is_planted_and_decoys_draw_weights_away(chapter, seed):
    scores = {name: float(score) for name, score in chapter.screen_methods(seed, 6).items()}
    methods = [name.removeprefix("plain: ") for name in scores if name.startswith("plain: ") and not name.endswith(CONTROLS)]
    assert len(methods) == 9
    assert all(scores[f"plain: {name}"] == 1 for name in methods)
    assert max(scores[f"plain: {name}"] for name in CONTROLS) < 0.5
    assert all(scores[f"decoys: {name}"] == 0 for name in WEIGHTS)
    assert all(scores[f"decoys: {name}"] == 1 for name in methods if name not in WEIGHTS)
    assert scores["two hops: attention, last layer"] < 1
    assert all(scores[f"two hops: {name}"] == 1 for name in ("rollout", "relevance", "patching"))


def test_every_score_but_with_noise_puts_the_truth_first_and_a_random_map_last(chapter):
    scores = {name: float(score) for name, score in chapter.screen_scores(1, 4).items()}
    kinds = [name.removesuffix(": truth") for name in scores if name.endswith(": truth")]
    assert len(kinds) == 10
    for kind in kinds:
        if kind.endswith("noise"):  # it spoils other cells, too: not let in, see the chapter
            continue
        truth, half, random = (
            scores[f"{kind}: {name}"] * (-1 if kind.startswith("deletion") else 1) for name in ("truth", "half", "random")
        )
        assert truth > half > random, kind
