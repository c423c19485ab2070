"""Train a model that a chapter looks into or shows live in its page, and write its rounded weights to results/live/.

    python -m evidence.live 07     a minute of one core; 10 takes eight, each of the others three

The chapter only reads the file, so that executing it neither takes those minutes nor writes all the weights anew. With the weights stands what
they were made with, as in results/chNN.json, and what the rounding costs: scores of the trained model and of the rounded one.
"""

import argparse
import datetime
import json
import os
from functools import partial

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
PAIRS = {"seen": "train", "new": "test"}
FINE = {"fine": True}  # of networks that no page runs
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


def detector(recipe):
    """Chapter 08's network that finds digits, as `cued_search`."""
    chapter, settings = namespace(recipe), runs.load("ch08")["DETR"].settings
    train, test = (
        chapter.detection_data(9_000, 1000 + SEED, "train"),
        chapter.detection_data(1_000, settings["scene_seed"], "test"),
    )
    aside = chapter.detection_data(500, 800, "validation")
    model, loss = chapter.build(settings["kind"], SEED)
    rates = {name: settings[name] for name in ("lr", "weight_decay")}
    fit(model, train, loss, steps=settings["steps"], batch_size=32, clip=5.0, seed=SEED, **rates)

    def score(model):
        found = chapter.judged(model, *test, aside)
        return {name: float(found[name]) for name in ("AP", "AP50", "AP75")}

    return model, FINE, {"seed": SEED, **settings}, score


def segmenter(recipe, group="click: two-way", packing=PACKING):
    """A network of chapter 09, the one that answers clicks if no other is named, as `cued_search`."""
    chapter, settings = namespace(recipe), runs.load("ch09")[group].settings
    data, loss, batch_size, n, build, score = chapter.TASKS[settings["task"]]
    train, test = data(n, 1000 + SEED, "train"), data(600, settings["scene_seed"], settings["split"])
    model = build(settings["kind"], SEED)
    fit(model, train, loss, steps=settings["steps"], batch_size=batch_size, lr=settings["lr"], clip=1.0, seed=SEED)
    return model, packing, {"seed": SEED, **settings}, lambda model: score(model, test)


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


def draw_caption(recipe, group="captions: product, 7 colours", packing=TELLING):
    """A network of chapter 11 that draws captions, as `cued_search`; it keeps the times of a drawing's steps alone."""
    chapter = namespace(recipe)
    settings = {"readout": "plain", "colours": chapter.COMMON, **runs.load("ch11")[group].settings}
    kind, readout, colours = (settings[name] for name in ("kind", "readout", "colours"))
    model, _ = chapter.train(SEED, kind, readout, colours, "caption", settings["steps"], settings["lr"])

    def score(model):
        how = {"colours": colours, "held": SEED, "guidance": 3.0, "by": "caption", "seed": settings["scene_seed"], "n": DRAWN}
        return {name: chapter.score(model, pairs, **how)["all"] for name, pairs in PAIRS.items()}

    return tabulated(model, STEPS), packing, {"seed": SEED, **settings}, score


def drawer_of_twins(recipe):
    """Chapter 10's network with attention that draws twins, as `cued_search`."""
    chapter, settings = namespace(recipe), runs.load("ch10")["twins: attention"].settings
    model, pairs = chapter.build_twins(settings["kind"], SEED), chapter.twins(20_000, seed=1000 + SEED)[0]
    loss = partial(chapter.flow_loss, predicts="x", mean=-0.4)
    how = {"steps": settings["steps"], "batch_size": 64, "lr": settings["lr"], "clip": 1.0, "seed": SEED}
    fit(model, (2 * torch.from_numpy(pairs) - 1,), loss, **how)

    def score(model):
        found = chapter.twin_worth(chapter.draw_twins(model, 2_000, settings["scene_seed"]), settings["split"])
        return {name: float(found[name]) for name in ("agreement", "shared")}

    return model, FINE, {"seed": SEED, **settings}, score


def subject(recipe):
    """Chapter 12's network that is looked into, as `cued_search`."""
    chapter, settings = namespace(recipe), runs.load("ch12")["trained"].settings
    model = chapter.learn(SEED, *(settings[name] for name in ("steps", "lr", "weight_decay")))
    where = {name: settings[name] for name in ("split", "scene_seed")}
    score = lambda model: {"accuracy": float(chapter.trained_subject(model, 1_000, change="all", **where)[1])}
    return model, FINE, {"seed": SEED, **settings}, score


def writer(recipe):
    """Chapter 16's decoder of captions, as `cued_search`."""
    chapter, settings = namespace(recipe), runs.load("ch16")["words: decoder"].settings
    model, *_ = chapter.learn_words(settings["kind"], SEED, **{name: settings[name] for name in ("lr", "steps", "order")})
    told = {pairs: chapter.told(1_000, settings["scene_seed"], "test", which, held=SEED) for pairs, which in PAIRS.items()}
    score = lambda model: {pairs: float(chapter.compare(model.write(x[0]), x[1])["exact"].mean()) for pairs, x in told.items()}
    return model, FINE, {"seed": SEED, **settings}, score


def matcher(recipe):
    """Chapter 16's network that matches the two pictures of a stereo pair, as `cued_search`."""
    chapter, settings = namespace(recipe), runs.load("ch16")["stereo: one step"].settings
    model, *_ = chapter.learn_matcher(SEED, *(settings[name] for name in ("kind", "steps", "lr")))

    def score(model):
        look = lambda pairs: chapter.see_depth(model, pairs.left, pairs.right)
        found = chapter.judge_sets(look, settings["split"], settings["scene_seed"])
        return {name: found[name] for name in ("synthetic: off by 1 visible", "real: off by 1 visible")}

    return model, FINE, {"seed": SEED, **settings}, score


def follower(recipe):
    """Chapter 16's network that follows a digit through a clip, as `cued_search`."""
    chapter, settings = namespace(recipe), runs.load("ch16")["tracking: trained"].settings
    model, _ = chapter.learn_follower(SEED, settings["steps"], settings["lr"])

    @torch.no_grad()
    def score(model):
        track = lambda frames, masks, _: chapter.follow(model(frames), masks)[0]
        found = chapter.score_tracker(track, settings["split"], settings["scene_seed"] + SEED)
        return {"as learned: after, no copies": found["after, no copies"]}

    return model, FINE, {"seed": SEED, **settings}, score


def painter(recipe):
    """Chapter 16's Vision Transformer with the decoder that paints what is hidden, as `cued_search`."""
    chapter, settings = namespace(recipe), runs.load("ch16")["labels: attention"].settings
    how = {name: settings[name] for name in ("share", "lr", "steps", "background")}
    _, model, *_ = chapter.pretrain(settings["kind"], SEED, **how)
    scenes = chapter.one_digit(1_000, settings["scene_seed"], settings["split"], settings["background"])[0]
    score = lambda model: {"painted": chapter.painted(model, scenes, settings["share"])}
    return model, FINE, {"seed": SEED, **settings}, score


def digit_reader(recipe):
    """Chapter 14's network that reads digits, as `cued_search`."""
    chapter, settings = namespace(recipe), runs.load("ch14")["left out"].settings
    model = chapter.trained(SEED, settings["lr"], settings["steps"])
    return model, FINE, {"seed": SEED, **settings}, lambda model: {"accuracy": chapter.accuracy(model, chapter.digits("test"))}


def picture_reader(recipe, kind):
    """A network of chapter 17 that names the digit in a picture, as `cued_search`."""
    chapter, settings = namespace(recipe), runs.load("ch17")[f"picture: {kind}"].settings
    how = {name: settings[name] for name in ("stem", "positions", "steps", "lr", "weight_decay")}
    model, _ = chapter.learn_digits(kind, SEED, **how)
    canvas, labels = chapter.digits(1_000, settings["scene_seed"], settings["split"], size=40)
    test = chapter.moved(canvas, 0, 0, 32), labels
    return model, FINE, {"seed": SEED, **settings}, lambda model: evaluate(model, test, chapter.digit_scores)


MODELS = {  # chapter, or chapter and which: recipe, and what trains
    "07": ("notebooks/07_classification.ipynb", cued_search),
    "08": ("notebooks/08_detection.ipynb", detector),
    "09": ("notebooks/09_segmentation.ipynb", segmenter),
    "09_gates": ("notebooks/09_segmentation.ipynb", partial(segmenter, group="semantic: gates", packing=FINE)),
    "10": ("notebooks/10_generation.ipynb", draw_digit),
    "10_twins": ("notebooks/10_generation.ipynb", drawer_of_twins),
    "11": ("notebooks/11_synthesis.ipynb", draw_caption),
    "11_plain": ("notebooks/11_synthesis.ipynb", partial(draw_caption, group="captions: plain", packing=FINE)),
    "12": ("notebooks/12_looking_inside.ipynb", subject),
    "14": ("notebooks/14_simplify.ipynb", digit_reader),
    "16_stereo": ("notebooks/16_beyond.ipynb", matcher),
    "16_clips": ("notebooks/16_beyond.ipynb", follower),
    "16_hidden": ("notebooks/16_beyond.ipynb", painter),
    "16_words": ("notebooks/16_beyond.ipynb", writer),
    "17_convolution": ("notebooks/17_questions.ipynb", partial(picture_reader, kind="convolution")),
    "17_attention": ("notebooks/17_questions.ipynb", partial(picture_reader, kind="attention")),
}


def export(chapter, folder=FOLDER):
    """Train, round and write; returns the file and the scores of both models."""
    torch.set_num_threads(1)
    name, train = MODELS[chapter]
    recipe = Recipe.read(name)
    made_with = origin(recipe)  # before the training, for somebody may be editing the code
    model, packing, settings, score = train(recipe)
    packed, rounded = pack(model, **packing)
    models = {"float32": model, "rounded": rounded}
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
    named = lambda text: text if text in MODELS else text[:2]
    parser.add_argument("chapter", type=named, choices=sorted(MODELS), help=f"one of {', '.join(sorted(MODELS))}")
    path, scores = export(parser.parse_args(arguments).chapter)
    for kind, values in scores.items():
        print(f"{kind:<8}", "  ".join(f"{name} {value:.4f}" for name, value in values.items()))
    print(f"{path.stat().st_size:,} bytes in {path.name}")


if __name__ == "__main__":
    main()
