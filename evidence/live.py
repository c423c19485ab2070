"""Train the model that a chapter shows live in its page, and write its 8-bit weights to results/live/.

    python -m evidence.live 07     a minute of one core; 09 takes three, 10 eight, 11 three

The chapter only reads the file, so that executing it again does not write all the weights anew. With the weights stands what
they were made with, as in results/chNN.json, and what the rounding costs: scores of the trained model and of the rounded one.
"""

import argparse
import datetime
import json
import os

import torch

from attn_book import runs
from attn_book.live.click_to_mask import PACKING
from attn_book.live.cued_search import SKIPPED
from attn_book.live.draw_caption import PACKING as TELLING
from attn_book.live.draw_caption import STEPS, tabulated
from attn_book.live.draw_digit import PACKING as DRAWING
from attn_book.live.packing import pack
from attn_book.live.saved import FOLDER
from attn_utils.train import evaluate, fit
from evidence.recipe import Recipe, namespace, origin, short

SEED = 1
DRAWN = 4_000  # captions of chapter 11 that a score is of


def cued_search(recipe):
    """Chapter 07's network with attention: the run of the report with this seed, once more.

    Returns:
        The trained model, how it is packed, its settings, and a function that scores such a model on the test scenes.
    """
    chapter, settings = namespace(recipe), runs.load("ch07")["search: attention"].settings
    test = chapter.search_data(2_000, settings["scene_seed"], settings["split"])
    model = chapter.build("attention", SEED, depth=settings["depth"])
    train = chapter.search_data(12_000, 1000 + SEED, "train")
    rates = {name: settings[name] for name in ("lr", "weight_decay")}
    fit(model, train, chapter.search_loss, steps=settings["steps"], seed=SEED, **rates)
    return model, {"skip": SKIPPED}, {"seed": SEED, **settings}, lambda model: evaluate(model, test, chapter.search_scores)


def click_to_mask(recipe):
    """Chapter 09's network that answers clicks, as `cued_search`."""
    chapter, settings = namespace(recipe), runs.load("ch09")["click: two-way"].settings
    data, loss, batch_size, n, build, score = chapter.TASKS[settings["task"]]
    train, test = data(n, 1000 + SEED, "train"), data(600, settings["scene_seed"], settings["split"])
    model = build(settings["kind"], SEED)
    fit(model, train, loss, steps=settings["steps"], batch_size=batch_size, lr=settings["lr"], clip=1.0, seed=SEED)
    return model, PACKING, {"seed": SEED, **settings}, lambda model: score(model, test)


def draw_digit(recipe):
    """Chapter 10's network that draws digits: the run with four times the steps, once more."""
    chapter, settings = namespace(recipe), runs.load("ch10")["digits: attention + local path, longer"].settings
    model, labels = chapter.build(settings["kind"], SEED), torch.arange(10).repeat(100)
    how = {"steps": settings["steps"], "batch_size": 64, "lr": settings["lr"], "clip": 1.0, "seed": SEED}
    fit(model, chapter.digits("train"), chapter.loss_of("flow x"), **how)

    def score(model):
        made = chapter.draw(model, labels, guidance=2.0, seed=settings["scene_seed"])
        found = chapter.likeness(made, labels, settings["split"])
        return {name: float(found[name]) for name in ("accuracy", "diversity")}

    return model, DRAWING, {"seed": SEED, **settings}, score


def draw_caption(recipe):
    """Chapter 11's network that draws captions, as `cued_search`; it keeps the times of a drawing's steps alone."""
    chapter, settings = namespace(recipe), runs.load("ch11")["captions: product, 7 colours"].settings
    kind, readout, colours = (settings[name] for name in ("kind", "readout", "colours"))
    model, _ = chapter.train(SEED, kind, readout, colours, "caption", settings["steps"], settings["lr"])

    def score(model):
        how = {"colours": colours, "held": SEED, "guidance": 3.0, "by": "caption", "seed": settings["scene_seed"], "n": DRAWN}
        return {name: chapter.score(model, pairs, **how)["all"] for name, pairs in {"seen": "train", "new": "test"}.items()}

    return tabulated(model, STEPS), TELLING, {"seed": SEED, **settings}, score


MODELS = {  # chapter: recipe, and what trains
    "07": ("notebooks/07_classification.ipynb", cued_search),
    "09": ("notebooks/09_segmentation.ipynb", click_to_mask),
    "10": ("notebooks/10_generation.ipynb", draw_digit),
    "11": ("notebooks/11_synthesis.ipynb", draw_caption),
}


def export(chapter, folder=FOLDER):
    """Train, round and write; returns the file and the scores of both models."""
    torch.set_num_threads(1)
    name, train = MODELS[chapter]
    recipe = Recipe.read(name)
    made_with = origin(recipe)  # before the training, for somebody may be editing the code
    model, packing, settings, score = train(recipe)
    packed, rounded = pack(model, **packing)
    models = {"float32": model, "8 bit": rounded}
    scores = {kind: {name: short(value) for name, value in score(of).items()} for kind, of in models.items()}
    session = {"command": f"python -m evidence.live {chapter}", "date": datetime.date.today().isoformat(), "recipe": name}
    content = {"provenance": session | made_with, "settings": settings, "scores": scores}
    path = folder / f"ch{chapter}.json"
    path.parent.mkdir(exist_ok=True)
    text = json.dumps({**content, "tensors": None, "text": packed.text}, indent=1, ensure_ascii=False)
    each = ",\n  ".join(map(json.dumps, packed.tensors))
    beside = path.with_suffix(".part")
    beside.write_text(text.replace('"tensors": null', f'"tensors": [\n  {each}\n ]') + "\n", encoding="utf-8")
    os.replace(beside, path)
    return path, scores


def main(arguments=None):
    """Read the command line, export, and show what the rounding costs."""
    parser = argparse.ArgumentParser(
        prog="python -m evidence.live", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("chapter", type=lambda text: text[:2], choices=sorted(MODELS), help=f"one of {', '.join(sorted(MODELS))}")
    path, scores = export(parser.parse_args(arguments).chapter)
    for kind, values in scores.items():
        print(f"{kind:<8}", "  ".join(f"{name} {value:.4f}" for name, value in values.items()))
    print(f"{path.stat().st_size:,} bytes in {path.name}")


if __name__ == "__main__":
    main()
