"""The diffusion transformer and its sampler in the page equal torch with the same 8-bit weights; wrong formulas do not."""

import statistics

import numpy as np
import pytest
import torch

from attn_book.explorer.modules import joined
from attn_book.live.draw_digit import NETWORK, PACKING
from attn_book.live.packing import pack, unwoven
from attn_book.live.page import FOLDER, as_function, squeezed
from attn_utils.dit import DiT
from attn_utils.flow import sample, velocity_of
from attn_utils.record import record_attention
from tests.attn_book.live.conftest import AS_TEXT, expression, from_text

BOUND = 1e-4
SIZE = 28 * 28
ENGINE = joined(FOLDER, "dit_engine.js")
# digit, guidance, sample: a hundred of two steps each, all digits and guidances, and one in earnest
QUESTIONS = [(n % 10, (0, 0.5, 1, 1.5, 2, 4)[n % 6], n) for n in range(102)]
SHORT = {**NETWORK, "steps": 2}


def network(*, local=False, seed=0):
    """A network without training, with biases and steered norms that are not 0."""
    torch.manual_seed(seed)
    model = DiT(image_size=28, patch=4, dim=32, depth=3, heads=4, classes=10, mlp_ratio=2, local=local, waves=64)
    for p in model.parameters():
        p.data = 0.12 * torch.randn_like(p)
    return pack(model, **PACKING)


ASK = """(async () => {
  const { load, answer } = engine(), asText = AS_TEXT;
  await load({ weights, ...settings });
  const found = { states: [], bound: [], maps: [] }, times = [];
  for (const [digit, guidance, sample] of questions) {
    const start = performance.now(), one = answer({ digit, guidance, sample });
    times.push(performance.now() - start);
    for (const name of Object.keys(found)) for (const value of one[name]) found[name].push(value);
  }
  return { times, ...Object.fromEntries(Object.entries(found).map(([name, all]) => [name, asText(all)])) };
})()""".replace("AS_TEXT", AS_TEXT)


def asked(evaluate, packed, questions, settings):
    """What the page says: states (n, steps + 1, 784), bound (n, steps, 784), maps (n, steps, layers, 49, 49), and milliseconds."""
    weights, n, steps = squeezed(unwoven(packed)), len(questions), settings["steps"]
    found = evaluate(expression(ASK, weights=weights, settings=settings, questions=questions))
    shapes = {"states": (n, steps + 1, SIZE), "bound": (n, steps, SIZE), "maps": (n, steps, -1, 49, 49)}
    return {name: from_text(found[name], shape) for name, shape in shapes.items()} | {"times": found["times"]}


def expected(rounded, starts, questions, settings):
    """The same of torch, from the page's own noise; one question after the other, as guidances differ."""
    states, bound, maps = [], [], []
    for start, (digit, guidance, _) in zip(starts, questions, strict=True):
        velocity = velocity_of(rounded, torch.tensor([digit]), predicts=settings["predicts"], guidance=guidance)
        path, ends, looks = [], [], []

        def watch(t, z, v, path=path, ends=ends, looks=looks, digit=digit):
            path.append(z.flatten())
            ends.append((z + (1 - t)[:, None, None, None] * v).flatten())
            with torch.no_grad(), record_attention(rounded) as recorded:
                rounded(z, t, torch.tensor([digit]))
            looks.append(torch.stack([weights[0].mean(0) for weights in recorded.values()]))

        z = torch.from_numpy(start.copy()).reshape(1, 1, 28, 28)
        end = sample(velocity, z, steps=settings["steps"], method=settings["method"], on_step=watch)
        states.append(torch.stack([*path, end.flatten()]))
        bound.append(torch.stack(ends))
        maps.append(torch.stack(looks))
    return {"states": torch.stack(states).numpy(), "bound": torch.stack(bound).numpy(), "maps": torch.stack(maps).numpy()}


def differences(found, want):
    return {name: np.abs(found[name] - want[name]).max() / max(1, np.abs(want[name]).max()) for name in want}


def test_the_page_equals_torch(run, record_property):
    letters, rounded = network()
    found = asked(run(ENGINE), letters, QUESTIONS, SHORT)
    want = expected(rounded, found["states"][:, 0], QUESTIONS, SHORT)
    assert len(QUESTIONS) >= 100
    assert max(differences(found, want).values()) <= BOUND
    assert want["maps"].std() > 1e-3 and want["bound"].std() > 0.05  # there is something to be wrong about
    record_property("book: a guided step of a small DiT in the page, ms", f"{statistics.median(found['times'][20:]) / 3:.1f}")


@pytest.mark.parametrize("settings", [NETWORK, {**NETWORK, "method": "euler", "predicts": "v", "steps": 5}])
def test_a_whole_drawing_equals_torchs(run, settings):
    letters, rounded = network(local=True)
    found = asked(run(ENGINE), letters, [(3, 2, 7)], settings)
    want = expected(rounded, found["states"][:, 0], [(3, 2, 7)], settings)
    assert max(differences(found, want).values()) <= BOUND


def test_firefox_equals_torch(firefox, tmp_path):
    page = tmp_path / "page.html"
    page.write_text(f"<!doctype html><meta charset=utf-8><script>{as_function(ENGINE)}</script>", "utf8")
    firefox.open(page)
    letters, rounded = network(local=True)
    found = asked(firefox.evaluate, letters, QUESTIONS[:12], SHORT)
    want = expected(rounded, found["states"][:, 0], QUESTIONS[:12], SHORT)
    assert max(differences(found, want).values()) <= BOUND
    assert firefox.errors == []


MISTAKES = {  # in the engine's text, as it is joined
    "another epsilon": ("variance+1e-6)", "variance+1e-3)"),
    "scale without the one": ("(1+scale[i])*", "scale[i]*"),
    "sine before cosine": ("waves[i]=Math.cos", "waves[i]=Math.sin"),
    "the class that means any is the first": ("any = model.label.weight.shape[0] - 1", "any = 0"),
    "guidance the other way": ("v+w*(of[i]-v)", "v-w*(of[i]-v)"),
    "x taken for a velocity": ("(x-z[i])/(1-t)", "x-z[i]"),
    "patches turned": ("(r%patch)*patch+(c%patch)", "(c%patch)*patch+(r%patch)"),
    "gates exchanged": ("gated(u,mlpGate,", "gated(u,gate,"),
    "taps of the local path turned": ("3*(i+1)+j+1", "3*(j+1)+i+1"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_seen(run, mistake):
    before, after = MISTAKES[mistake]
    text = ENGINE.replace(" ", "")
    compact, other = before.replace(" ", ""), after.replace(" ", "")
    assert text.count(compact) == 1
    letters, rounded = network(local=True)
    found = asked(run(_put(ENGINE, compact, other)), letters, QUESTIONS[:6], SHORT)
    want = expected(rounded, found["states"][:, 0], QUESTIONS[:6], SHORT)
    assert max(differences(found, want).values()) > BOUND


def _put(text, compact, other):
    """`text` with `compact`, which it holds but for spaces, replaced."""
    places = [i for i, letter in enumerate(text) if letter != " "]
    start = text.replace(" ", "").index(compact)
    return text[: places[start]] + other + text[places[start + len(compact) - 1] + 1 :]


def test_noise_is_normal_and_its_seed_decides(javascript):
    noise = np.array(javascript("noise.js")("gaussians(20000, 3)"))
    assert abs(noise.mean()) < 0.03 and abs(noise.std() - 1) < 0.03
    assert abs((np.abs(noise) < 1).mean() - 0.6827) < 0.015
    assert abs(np.corrcoef(noise[:-1], noise[1:])[0, 1]) < 0.03
    again, other = (np.array(javascript("noise.js")(f"gaussians(20000, {seed})")) for seed in (3, 4))
    np.testing.assert_array_equal(noise, again)
    assert abs(np.corrcoef(noise, other)[0, 1]) < 0.03
