"""The network that answers clicks equals torch with the same rounded weights, in Chromium and Firefox; wrong formulas do not."""

import copy
import statistics

import numpy as np
import pytest
import torch

from attn_book.data.coins import coin_clicks, coins
from attn_book.data.collage import collages
from attn_book.explorer.modules import joined
from attn_book.live import load, pack, unpack
from attn_book.live.click_to_mask import NETWORK, PACKING
from attn_book.live.packing import unwoven
from attn_book.live.page import FOLDER, as_function, squeezed
from attn_book.live.saved import FOLDER as SAVED
from tests.attn_book.live.conftest import AS_TEXT, chapter, expression, from_text, stirred

BOUND = 1e-4
MOST_MS = 100  # a click
FEW = [0, 29, 39]  # a collage, a picture of noise and a white one
ENGINE = joined(FOLDER, "click_engine.js")


@pytest.fixture(scope="module", params=["stirred", "trained"])
def weights(request):
    """The network for the page, and torch's with the same weights; trained ones from the day that results/live has them."""
    fresh = chapter("09_segmentation").build_click("two-way", 0)
    if request.param == "stirred":
        packed, rounded = pack(stirred(fresh), **PACKING)
        return for_page(packed), rounded
    if not (SAVED / "ch09.json").is_file():
        pytest.skip("there are no trained weights in results/live/ch09.json yet")
    packed = load("ch09")
    return for_page(packed), unpack(packed, fresh, skip=PACKING["skip"])


def for_page(packed):
    return {"weights": squeezed(unwoven(packed)), **NETWORK}


@pytest.fixture(scope="module")
def inputs():
    """Pictures (40, 3, 64, 64) and a click on each (40, 2): collages, coins, and what no picture looks like; corners, too."""
    g = torch.Generator().manual_seed(0)
    made = [collages(20, seed=5, split="test").images, coins().images[:8]]
    images = torch.cat([*map(torch.from_numpy, made), torch.rand(10, 3, 64, 64, generator=g), torch.zeros(1, 3, 64, 64)])
    images = torch.cat([images, torch.ones(1, 3, 64, 64)])
    places = torch.randint(64, (40, 2), generator=g)
    places[20:28] = torch.from_numpy(coin_clicks(1, seed=0)[:8, 0])
    places[[0, 1, 38, 39]] = torch.tensor([[0, 0], [63, 63], [63, 0], [0, 63]])
    return images, places


@pytest.fixture(scope="module")
def expected(weights, inputs):
    """Logits (40, 2, 64, 64) and scores (40, 2), in double precision: torch's own rounding is as large as the page's."""
    exact = copy.deepcopy(weights[1]).double()
    torch.set_default_dtype(torch.float64)
    try:
        with torch.no_grad():
            found = [exact(image[None].double(), place[None, None]) for image, place in zip(*inputs)]
    finally:
        torch.set_default_dtype(torch.float32)
    return torch.cat([logits[:, 0] for logits, _ in found]).numpy(), torch.cat([scores[:, 0] for _, scores in found]).numpy()


ASK = f"""(async () => {{
  const asText = {AS_TEXT}, {{ load, answer }} = engine(), size = 64 * 64 * 3;
  const found = {{ logits: [], scores: [], first: [], again: [] }};
  const pictures = places.map((_, i) => images.data.subarray(i * size, (i + 1) * size));
  await load({{ network, pictures }});
  const timed = (question, times) => {{
    const start = performance.now(), one = answer(question);
    times.push(performance.now() - start);
    return one;
  }};
  places.forEach(([row, col], picture) => {{
    const one = timed({{ picture, row, col }}, found.first);
    if (picture % 4 === 0) timed({{ picture, row: col, col: row }}, found.again);
    found.logits.push(asText(one.logits));
    found.scores.push(asText(one.scores));
  }});
  return found;
}})()"""


def asked(evaluate, network, images, places, at_once=20):
    """What the page answers; evaluate(script) gives the value of a script there."""
    found = {}
    for some in range(0, len(places), at_once):
        few = slice(some, some + at_once)
        script = expression(ASK, network=network, images=images[few].permute(0, 2, 3, 1), places=places[few].tolist())
        for name, values in evaluate(script).items():
            found.setdefault(name, []).extend(values)
    return found


def answers(found):
    """Logits (n, 2, 64, 64) and scores (n, 2) from the page."""
    shapes = {"logits": (2, 64, 64), "scores": (2,)}
    return [np.stack([from_text(text, shape) for text in found[name]]) for name, shape in shapes.items()]


def differences(found, expected):
    return [np.abs(one - want).max() for one, want in zip(answers(found), expected)]


def check(found, expected, record_property, browser):
    """Both answers equal torch's; says how long they took."""
    assert max(differences(found, expected)) <= BOUND
    masks = answers(found)[0] > 0
    assert 0.05 < masks.mean() < 0.95
    np.testing.assert_array_equal(masks, expected[0] > 0)
    for name, times in {"the first click on a picture": found["first"], "another click": found["again"]}.items():
        record_property(f"book: click to mask in the page, ms for {name}{browser}", f"{statistics.median(times[5:]):.1f}")
    assert min(found["again"]) <= MOST_MS  # the fastest, as other programs may have the core most of the time


def test_the_page_equals_torch(run, weights, inputs, expected, record_property):
    assert len(inputs[0]) == 40
    check(asked(run(ENGINE), weights[0], *inputs), expected, record_property, "")


def test_firefox_equals_torch(firefox, tmp_path, weights, inputs, expected, record_property):
    page = tmp_path / "page.html"
    page.write_text(f"<!doctype html><meta charset=utf-8><script>{as_function(ENGINE)}</script>", "utf8")
    firefox.open(page)
    check(asked(firefox.evaluate, weights[0], *inputs), expected, record_property, ", Firefox")
    assert firefox.errors == []


def test_widths_are_those_of_the_weights(run, inputs):
    torch.manual_seed(0)
    network = stirred(chapter("09_segmentation").ClickModel(dim=32, fine=12, middle=20))
    packed, rounded = pack(network, **PACKING)
    few = [one[FEW] for one in inputs]
    with torch.no_grad():
        logits, scores = rounded(few[0], few[1][:, None])
    found = asked(run(ENGINE), for_page(packed), *few)
    assert max(differences(found, (logits[:, 0].numpy(), scores[:, 0].numpy()))) <= BOUND


MISTAKES = {  # in the engine's text, as it is joined
    "no holes": ("{padding:reach,dilation:reach}", "{padding:1}"),
    "the other neighbour": ("(i % 2?1:-1)", "(i % 2?-1:1)"),
    "places in values": ("narrowAttention(placed(t),asking,x,", "narrowAttention(placed(t),asking,asking,"),
    "no places in queries": ("narrowAttention(asking,placed(t),t,", "narrowAttention(x,placed(t),t,"),
    "first tokens added on": ("first?talk:add(t,talk)", "add(t,talk)"),
    "places of another base": ("sincos2d(SIDE,SIDE,D,64)", "sincos2d(SIDE,SIDE,D)"),
    "rows and columns exchanged": ("[1,x,y,x*x", "[1,y,x,x*x"),
    "the click's token first": ("joined(masks.data,click)", "joined(click,masks.data)"),
    "the pixel under the click silent": ("add(part.subarray(M,M+F),same)", "part.subarray(M,M+F)"),
    "a walk from outside": ("return -Infinity", "return 0"),
    "no 1/√d in the walk": ("score / Math.sqrt(d)", "score"),
    "a walk that stays": ("1+Math.exp(-keep", "1+Math.exp(keep"),
    "pictures as they are": ("4*v - 2", "v"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_seen(run, weights, inputs, expected, mistake):
    before, after = MISTAKES[mistake]
    assert ENGINE.count(before) == 1
    found = asked(run(ENGINE.replace(before, after)), weights[0], *(one[FEW] for one in inputs))
    assert differences(found, [want[FEW] for want in expected])[0] > BOUND
