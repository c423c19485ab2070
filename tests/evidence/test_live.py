"""The weights that pages load: what they were made with, that they give the recorded scores, and that rounding costs little."""

import json
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from attn_book import live as page
from attn_book.live.cued_search import SKIPPED
from attn_book.live.saved import FOLDER
from attn_utils.train import evaluate
from evidence import live
from evidence.recipe import ROOT, Recipe, namespace
from tests.attn_book.live.conftest import chapter as draft_or_chapter

FILES = sorted(FOLDER.glob("*.json"))
MOST = 0.005  # half a point of accuracy
LESS_IS_BETTER = {"neighbours lit", "synthetic: off by 1 visible", "real: off by 1 visible", "painted"}
SCORED_OTHERWISE = {"ch10", "ch10_twins", "ch12"}  # with another guidance, or on more than the report draws


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def chapter():
    return namespace(Recipe.read("notebooks/07_classification.ipynb"))


@pytest.fixture(scope="module")
def score(chapter):
    """Scores a network for cued search on the 2,000 test scenes that the file's scores are from."""
    settings = read(FOLDER / "ch07.json")["settings"]
    test = chapter.search_data(2_000, settings["scene_seed"], settings["split"])
    return lambda model: evaluate(model, test, chapter.search_scores)


def test_every_chapter_with_a_live_model_has_its_file():
    finished = {chapter for chapter, (recipe, _) in live.MODELS.items() if (ROOT / recipe).is_file()}
    assert {path.stem for path in FILES} == {f"ch{chapter}" for chapter in finished}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_file_says_what_it_was_made_with(path):
    content = read(path)
    assert set(content) == {"provenance", "settings", "scores", "tensors", "text"}
    origin = {"command", "date", "recipe", "machine", "versions", "recipe_sha", "package_sha"}
    assert set(content["provenance"]) == origin
    assert content["settings"]["split"] == "test"
    now = Recipe.read(content["provenance"]["recipe"]).recipe_sha()
    assert content["provenance"]["recipe_sha"] == now, f"the recipe has changed since: {content['provenance']['command']}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_is_a_network_of_the_report(path):
    """Of this seed, with all the settings that a group of results/chNN.json has, and with its scores where they are named alike."""
    settings, scores = (read(path)[part] for part in ("settings", "scores"))
    report = read(FOLDER.parent / f"{path.stem[:4]}.json")["runs"]
    of_seed = [run for run in report if run["seed"] == settings["seed"] and run["settings"].items() <= settings.items()]
    assert of_seed, "trained with settings that the report does not have"
    if path.stem not in SCORED_OTHERWISE:
        for run in of_seed:
            alike = scores["float32"].keys() & run["scores"].keys()
            assert {name: scores["float32"][name] for name in alike} == pytest.approx(
                {name: run["scores"][name] for name in alike}
            )


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_rounding_costs_at_most_half_a_point(path):
    scores = read(path)["scores"]
    assert scores["rounded"].keys() == scores["float32"].keys() != set()
    for name, value in scores["float32"].items():
        cost = value - scores["rounded"][name]
        assert (-cost if name in LESS_IS_BETTER else cost) <= MOST


def test_the_weights_give_the_recorded_scores_again(chapter, score):
    rounded = page.unpack(page.load("ch07"), chapter.build("attention", 0), skip=SKIPPED)
    recorded = read(FOLDER / "ch07.json")["scores"]["rounded"]
    assert recorded["cue"] >= 0.85
    assert score(rounded) == pytest.approx(recorded, abs=0.002)


def test_three_bits_would_cost_more(chapter, score):
    rounded = page.unpack(page.load("ch07"), chapter.build("attention", 0), skip=SKIPPED)
    _, coarse = page.pack(rounded, skip=SKIPPED, steps=3)
    assert score(rounded)["cue"] - score(coarse)["cue"] > MOST


def test_export_writes_all_of_it_once(tmp_path, monkeypatch, capsys):
    def train(recipe):
        torch.manual_seed(0)
        return nn.Linear(5, 3), {"skip": ("bias",), "steps": 30}, {"seed": 0}, lambda model: {"first": model.weight[0, 0].item()}

    monkeypatch.setitem(live.MODELS, "07", ("notebooks/07_classification.ipynb", train))
    path, scores = live.export("07", tmp_path / "live")
    content = read(path)
    assert path == tmp_path / "live" / "ch07.json"
    assert [entry.name for entry in path.parent.iterdir()] == ["ch07.json"]
    assert content["scores"] == scores
    assert 0 < abs(scores["float32"]["first"] - scores["rounded"]["first"]) < 0.01
    packed, _ = page.pack(train(None)[0], skip=("bias",), steps=30)
    assert (content["text"], content["tensors"]) == (packed.text, packed.tensors)
    before = path.read_bytes()
    live.export("07", tmp_path / "live")
    assert path.read_bytes() == before
    monkeypatch.setattr(live, "export", lambda chapter: (path, scores))
    live.main(["07"])
    assert capsys.readouterr().out.splitlines()[0] == f"float32  first {scores['float32']['first']:.4f}"


def test_the_network_that_answers_clicks_is_the_reports(tmp_path, monkeypatch):
    """The chapter's run once more: a few steps of it on a few collages, with a report of such a run in place of results/ch09.json."""
    chapter = draft_or_chapter("09_segmentation")
    recipe = chapter.TASKS["click"]
    few = lambda n, seed, split: recipe[0](12, seed, split)
    monkeypatch.setitem(chapter.TASKS, "click", (few, *recipe[1:]))
    settings = {"task": "click", "kind": "two-way", "steps": 2, "lr": 0.003, "split": "test", "scene_seed": 950}
    scores = chapter.run(live.SEED, **settings)
    monkeypatch.setattr(live, "namespace", lambda recipe: chapter)
    monkeypatch.setattr(live.runs, "load", lambda name: {"click: two-way": SimpleNamespace(settings=settings)})
    model, packing, told, score = live.segmenter(None)
    found = score(model)
    assert found == {name: pytest.approx(scores[name]) for name in found}
    assert len(found) > 3
    assert told == {"seed": live.SEED, **settings}
    packed, rounded = page.pack(model, **packing)
    assert score(rounded).keys() == found.keys()
    assert page.click_to_mask(packed).title == "Click on it"


def test_the_network_that_draws_captions_is_the_reports(monkeypatch):
    """Two steps of it, on a few scenes, with a report of such a run in place of results/ch11.json."""
    chapter = draft_or_chapter("11_synthesis")
    lesson = chapter.lesson
    monkeypatch.setattr(chapter, "lesson", lambda colours, held: lesson(colours, held, 64))
    monkeypatch.setattr(live, "DRAWN", 6)
    settings = {"kind": "cross", "readout": "product", "colours": 7, "steps": 2, "lr": 0.002, "split": "test", "scene_seed": 950}
    monkeypatch.setattr(live, "namespace", lambda recipe: chapter)
    monkeypatch.setattr(live.runs, "load", lambda name: {"captions: product, 7 colours": SimpleNamespace(settings=settings)})
    model, packing, told, score = live.draw_caption(None)
    assert told == {"seed": live.SEED, **settings}
    trained, _ = chapter.train(live.SEED, "cross", "product", 7, "caption", 2, 0.002)
    z, t, captions = torch.rand(2, 3, 28, 28), torch.tensor([0.25, 0.5]), torch.randint(21, (2, 5))
    with torch.no_grad():
        torch.testing.assert_close(model(z, t, captions), trained(z, t, captions))
    packed, rounded = page.pack(model, **packing)
    assert score(rounded).keys() == score(model).keys() == {"seen", "new"}
    assert page.draw_caption(packed).title == "Five words and a scene"


def test_a_chapter_without_a_live_model_is_refused(capsys):
    with pytest.raises(SystemExit):
        live.main(["01"])
    assert "choose from" in capsys.readouterr().err
