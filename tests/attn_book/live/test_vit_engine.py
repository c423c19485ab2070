"""The Vision Transformer in the page equals torch with the same 8-bit weights, in Chromium and Firefox; wrong formulas do not."""

import statistics

import numpy as np
import pytest
import torch

from attn_book.data.search import cued_search
from attn_book.explorer.modules import joined
from attn_book.live import load, unpack
from attn_book.live.cued_search import SKIPPED
from attn_book.live.page import FOLDER, as_function
from attn_utils.patching import switch_off
from attn_utils.record import record_attention
from tests.attn_book.live.conftest import AS_TEXT, chapter, expression, from_text

BOUND = 5e-5
FEW = [*range(0, 120, 8), 118, 119]
ENGINE = joined(FOLDER, "vit_engine.js")
NUMBERS = ["logits", "maps", "probabilities"]


@pytest.fixture(scope="module")
def model():
    """The network of results/live, in torch."""
    return unpack(load("ch07"), chapter("07_classification").build("attention", 0), skip=SKIPPED)


@pytest.fixture(scope="module")
def inputs():
    """(120, 3, 32, 32): scenes, on photographs and on black, and what no scene looks like."""
    g = torch.Generator().manual_seed(0)
    scenes = [cued_search(n, seed=5, split="test", background=kind).images for n, kind in ((60, "photo"), (20, "black"))]
    noise = torch.rand(38, 3, 32, 32, generator=g)
    return torch.cat([*map(torch.from_numpy, scenes), noise, torch.zeros(1, 3, 32, 32), torch.ones(1, 3, 32, 32)])


@pytest.fixture(scope="module")
def expected(model, inputs):
    """Logits (120, 16, 11) and attention weights (120, layers, heads, 16, 16)."""
    with torch.no_grad(), record_attention(model) as recorded:
        logits = model(inputs)
    return logits.numpy(), torch.stack(list(recorded.values()), 1).numpy()


ASK = """(() => {
  const { load, answer } = engine(), asText = AS_TEXT;
  load({ text, tensors });
  const size = 32 * 32 * 3, found = { logits: [], maps: [], probabilities: [], times: [] };
  for (let i = 0; i < images.data.length; i += size) {
    const start = performance.now(), one = answer(images.data.subarray(i, i + size), off);
    found.times.push(performance.now() - start);
    for (const name of NUMBERS) found[name].push(...one[name]);
  }
  return { times: found.times, ...Object.fromEntries(NUMBERS.map((name) => [name, asText(found[name])])) };
})()""".replace("AS_TEXT", AS_TEXT).replace("NUMBERS", str(NUMBERS))


def asked(evaluate, inputs, off=()):
    """What the page answers; evaluate(script) gives the value of a script there."""
    packed = load("ch07")
    pixels = inputs.permute(0, 2, 3, 1)  # rows of pixels with their channels
    found = evaluate(expression(ASK, text=packed.text, tensors=packed.tensors, images=pixels, off=list(off)))
    return {name: from_text(found[name], -1) for name in NUMBERS} | {"times": found["times"]}


def largest_differences(found, expected):
    return [np.abs(np.reshape(found[name], want.shape) - want).max() for name, want in zip(("logits", "maps"), expected)]


def test_the_page_equals_torch(run, inputs, expected, record_property):
    found = asked(run(ENGINE), inputs)
    assert len(inputs) >= 100
    assert max(largest_differences(found, expected)) <= BOUND
    probabilities = torch.from_numpy(expected[0]).softmax(-1).numpy()
    np.testing.assert_allclose(np.reshape(found["probabilities"], probabilities.shape), probabilities, atol=BOUND)
    milliseconds = statistics.median(found["times"][20:])
    record_property("book: cued search in the page, ms a forward pass", f"{milliseconds:.1f}")
    assert milliseconds <= 100


@pytest.mark.parametrize("off", [[0], [1, 4], [0, 1, 2, 3, 4, 5]])
def test_heads_that_are_off_say_nothing(run, model, inputs, expected, off):
    """As in torch; their own maps, and those of their layer, are what they were."""
    heads = {f"blocks.{layer}.attention": [number - 2 * layer for number in off if number // 2 == layer] for layer in range(3)}
    few = inputs[FEW]
    with torch.no_grad(), record_attention(model) as recorded, switch_off(model, heads):
        logits = model(few).numpy()
    maps = torch.stack(list(recorded.values()), 1).numpy()
    found = asked(run(ENGINE), few, off)
    assert max(largest_differences(found, (logits, maps))) <= BOUND
    assert np.abs(logits - expected[0][FEW]).max() > 100 * BOUND  # the switch does something
    first = min(off) // 2
    np.testing.assert_allclose(np.reshape(found["maps"], maps.shape)[:, first], expected[1][FEW][:, first], atol=BOUND)


def test_firefox_equals_torch(firefox, tmp_path, inputs, expected, record_property):
    page = tmp_path / "page.html"
    page.write_text(f"<!doctype html><meta charset=utf-8><script>{as_function(ENGINE)}</script>", "utf8")
    firefox.open(page)
    found = asked(firefox.evaluate, inputs)
    assert max(largest_differences(found, expected)) <= BOUND
    record_property("book: cued search in the page, ms a forward pass, Firefox", f"{statistics.median(found['times'][20:]):.1f}")
    assert firefox.errors == []


MISTAKES = {  # in the engine's text, as it is joined
    "another epsilon": ("epsilon=1e-5", "epsilon=1e-6"),
    "variance over n - 1": ("**2 / D", "**2 / (D - 1)"),
    "no 1/√d": ("x / Math.sqrt(d)", "x"),
    "1/√d of the whole width": ("x / Math.sqrt(d)", "x / Math.sqrt(D)"),
    "gelu by tanh": ("(1+erf(v / Math.SQRT2))", "(1+Math.tanh(0.7978845608*(v+0.044715*v**3)))"),
    "sin and cos exchanged": ("table[at+i]=Math.sin", "table[at+i]=Math.cos"),
    "rows and columns exchanged": ("wave(r,(r*W+c)*D)", "wave(c,(r*W+c)*D)"),
    "keys for values": ("[0,D,2*D].map", "[0,D,D].map"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_seen(run, inputs, expected, mistake):
    before, after = MISTAKES[mistake]
    assert ENGINE.count(before) == 1
    found = asked(run(ENGINE.replace(before, after)), inputs[FEW])
    assert largest_differences(found, [want[FEW] for want in expected])[0] > BOUND
