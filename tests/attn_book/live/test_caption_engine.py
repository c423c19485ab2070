"""The network that draws captions and its sampler in the page equal torch with the same rounded weights; wrong formulas do not."""

import statistics

import numpy as np
import pytest
import torch

from attn_book.data.captions import random_captions
from attn_book.explorer.modules import joined
from attn_book.live.draw_caption import EDITS, NETWORK, PACKING, STEPS, tabulated
from attn_book.live.packing import pack, unwoven
from attn_book.live.page import FOLDER, as_function, squeezed
from attn_utils.caption_dit import CaptionDiT
from attn_utils.edit import edit_attention, use_maps
from attn_utils.flow import sample, velocity_of
from attn_utils.record import record_attention
from tests.attn_book.live.conftest import AS_TEXT, expression, from_text

BOUND = 1e-4
SIZE = 28 * 28 * 3
ENGINE = joined(FOLDER, "caption_engine.js")
KINDS = {  # of networks: patches of both sizes, both read-outs, words with and without places
    "patches of 7, product": {},
    "patches of 4, plain": {"patch": 4, "readout": "plain", "heads": 2},
    "patches of 4, product, unordered": {"patch": 4, "dim": 16, "depth": 1, "ordered": False},
}
CAPTIONS = random_captions(102, seed=3, pairs="all").tolist()
# A hundred captions with guidances and noises, each in two steps
QUESTIONS = [
    {"caption": caption, "other": None, "guidance": (0, 0.5, 1, 1.5, 2, 4)[n % 6], "sample": n}
    for n, caption in enumerate(CAPTIONS)
]
SHORT = 2


def network(*, steps=SHORT, seed=0, **changes):
    """A network without training, with biases and steered norms that are not 0: packed, and as torch has it."""
    torch.manual_seed(seed)
    sizes = {"patch": 7, "dim": 32, "depth": 2, "heads": 4, "readout": "product"} | changes
    model = CaptionDiT(image_size=28, words=21, length=5, **sizes)
    for p in model.parameters():
        p.data = 0.15 * torch.randn_like(p)
    return pack(tabulated(model, steps), **PACKING)


ASK = """(async () => {
  const { load, answer } = engine(), asText = AS_TEXT;
  await load({ weights, ...settings });
  const found = [], times = [];
  for (const question of questions) {
    const start = performance.now(), { drawings } = answer(question);
    times.push(performance.now() - start);
    found.push(...drawings.map(({ states, bound, maps }) => [...states, ...bound, ...maps]));
  }
  return { times, drawings: found.length, numbers: asText(found.flat()) };
})()""".replace("AS_TEXT", AS_TEXT)


def asked(evaluate, packed, questions, **settings):
    """What the page says: for each drawing states (steps + 1, pixels), bound (steps, pixels), maps (steps, …), and milliseconds."""
    settings = {"edits": list(EDITS.values()), **NETWORK, **settings}
    found = evaluate(expression(ASK, weights=squeezed(unwoven(packed)), settings=settings, questions=questions))
    steps = {name: shape for name, shape, *_ in packed.tensors}["modulation.weight"][1]
    cut = np.cumsum([(steps + 1) * SIZE, steps * SIZE])
    numbers = [np.split(one, cut) for one in from_text(found["numbers"], (found["drawings"], -1))]
    return [{"states": a.reshape(-1, SIZE), "bound": b.reshape(-1, SIZE), "maps": c} for a, b, c in numbers], found["times"]


def pixels(z):
    """(1, 3, 28, 28) as the page has it, (28·28·3)."""
    return z[0].permute(1, 2, 0).flatten()


def drawn(rounded, start, caption, guidance, *, kept=(), layers=(), predicts="x", method="euler"):
    """The same of torch, from the page's own noise, and the weights that it kept, one record for each look."""
    steps, states, bound, maps, looks = rounded.time.steps, [], [], [], []
    velocity = velocity_of(rounded, torch.tensor([caption]), predicts=predicts, guidance=guidance)
    leads = iter(kept)

    def led(z, t):
        mine = {name: w for name, w in next(leads, {}).items() if name.startswith(tuple(layers))} if layers else {}
        with record_attention(rounded) as recorded, edit_attention(rounded, use_maps(mine)):
            v = velocity(z, t)
        looks.append(recorded)
        return v

    def watch(t, z, v):
        states.append(pixels(z))
        bound.append(pixels(z + (1 - t) * v))
        words = [w[0].mean(0).T for name, w in looks[-1].items() if name.startswith("looks")]  # (5, N) of each block
        maps.append(torch.stack(words).flatten())

    z = torch.from_numpy(start.copy()).reshape(28, 28, 3).permute(2, 0, 1)[None]
    end = sample(led, z, steps=steps, method=method, on_step=watch)
    found = {"states": torch.stack([*states, pixels(end)]), "bound": torch.stack(bound), "maps": torch.cat(maps)}
    return {name: value.numpy() for name, value in found.items()}, looks


def differences(found, want):
    return {name: np.abs(found[name] - want[name]).max() / max(1, np.abs(want[name]).max()) for name in want}


def worst(rounded, found, questions):
    pairs = zip(found, questions, strict=True)
    each = [differences(one, drawn(rounded, one["states"][0], q["caption"], q["guidance"])[0]) for one, q in pairs]
    return max(max(one.values()) for one in each)


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_equals_torch(run, record_property, kind):
    letters, rounded = network(**KINDS[kind])
    questions = QUESTIONS if kind == next(iter(KINDS)) else QUESTIONS[:12]
    found, times = asked(run(ENGINE), letters, questions, heads=rounded.encoder.attention.heads)
    assert len(QUESTIONS) >= 100
    assert worst(rounded, found, questions) <= BOUND
    maps = np.array([one["maps"] for one in found])
    assert maps.std() > 1e-3 and np.std([one["bound"] for one in found]) > 0.05  # there is something to be wrong about
    record_property(f"book: a guided step of a small network, {kind}, in the page, ms", f"{statistics.median(times) / SHORT:.1f}")


@pytest.mark.parametrize("how", [{}, {"method": "heun", "predicts": "v"}], ids=["euler x", "heun v"])
def test_a_whole_drawing_equals_torchs(run, record_property, how):
    letters, rounded = network(steps=STEPS, dim=64, depth=4)
    question = {"caption": CAPTIONS[0], "other": None, "guidance": 2, "sample": 7}
    (found, *_), times = asked(run(ENGINE), letters, [question] * 3, **how)
    want, _ = drawn(rounded, found["states"][0], CAPTIONS[0], 2, **how)
    assert max(differences(found, want).values()) <= BOUND
    if not how:
        record_property("book: a caption drawn by the chapter's size of network in the page, ms", f"{times[-1]:.0f}")


@pytest.mark.parametrize(("guidance", "kept"), [(2, 0.8), (1, 0.4)])
def test_a_changed_word_is_drawn_as_torch_draws_it_with_kept_weights(run, guidance, kept):
    steps = 5
    letters, rounded = network(steps=steps)
    caption, other = CAPTIONS[0], [(CAPTIONS[0][0] + 1) % 7, *CAPTIONS[0][1:]]
    question = {"caption": caption, "other": other, "guidance": guidance, "sample": 1}
    found, _ = asked(run(ENGINE), letters, [question], kept=kept)
    start = found[0]["states"][0]
    before, looks = drawn(rounded, start, caption, guidance)
    wanted = [before]
    for layers in EDITS.values():
        leads = looks[: round(kept * steps)]
        wanted.append(drawn(rounded, start, other, guidance, kept=leads, layers=layers)[0])
    assert len(found) == len(wanted) == 4
    for one, want in zip(found, wanted, strict=True):
        assert max(differences({**one, "maps": 0}, {**want, "maps": 0}).values()) <= BOUND
    ends = [one["states"][-1] for one in found]
    apart = [np.abs(a - b).max() for i, a in enumerate(ends) for b in ends[:i]]
    assert min(apart) > 20 * BOUND  # four drawings, none like another


def test_firefox_equals_torch(firefox, tmp_path):
    page = tmp_path / "page.html"
    page.write_text(f"<!doctype html><meta charset=utf-8><script>{as_function(ENGINE)}</script>", "utf8")
    firefox.open(page)
    letters, rounded = network()
    found, _ = asked(firefox.evaluate, letters, QUESTIONS[:12])
    assert worst(rounded, found, QUESTIONS[:12]) <= BOUND
    assert firefox.errors == []


MISTAKES = {  # in the engine's text, as it is joined
    "values for keys": ("[0,width].map((start)=>columns(both", "[width,0].map((start)=>columns(both"),
    "the norm before words left out": ("look(layerNorm(x,model.norms[i]),", "look(x,"),
    "places left out": ("model.places?add(words,model.places.data):words", "words"),
    "another step's norms": ("columns(weight.data,steps,step,1)", "columns(weight.data,steps,0,1)"),
    "the word that means any is the first": ("model.words.weight.shape[0] - 1)", "0)"),
    "one term of the product": ("k<terms", "k<1"),
    "channels turned": ("CHANNELS+(i % CHANNELS)]", "CHANNELS+((i+1) % CHANNELS)]"),
    "heads added up": ("+=weight / heads", "+=weight"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_seen(run, mistake):
    before, after = MISTAKES[mistake]
    assert ENGINE.count(before) == 1
    letters, rounded = network()
    found, _ = asked(run(ENGINE.replace(before, after)), letters, QUESTIONS[:6])
    assert worst(rounded, found, QUESTIONS[:6]) > BOUND
