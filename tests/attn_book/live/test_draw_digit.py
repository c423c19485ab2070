"""The drawing of a digit in the page, in a real browser from a file with the network refused: what a reader does, and what is seen."""

import numpy as np
import pytest
import torch
from torch import nn

from attn_book import live
from attn_book.live.draw_digit import NETWORK, PACKING, PATCH, RANGE, SIDE, START
from attn_book.live.page import MAX_BYTES, Live, squeezed
from attn_utils.attention import MultiHeadAttention
from attn_utils.dit import ConvMixer, DiT
from attn_utils.flow import sample, velocity_of
from attn_utils.record import record_attention
from tests.attn_book.explorers import at
from tests.attn_book.live.conftest import AS_TEXT, NO_WORKERS, from_text, go_to_step, told

STEPS, LAYERS, GRID = 8, 3, SIDE // PATCH  # with fewer steps they are buttons, no slider
FIRST = (START["digit"], START["guidance"], 0)  # digit, guidance, sample


def generator(**changes):
    torch.manual_seed(2)
    how = {"image_size": 28, "patch": 4, "dim": 32, "depth": LAYERS, "heads": 4, "classes": 10, "mlp_ratio": 2, "local": True}
    model = DiT(**how | {"waves": 64} | changes)
    for p in model.parameters():  # without training, but not the model that hands on nothing
        p.data = p + 0.1 * torch.randn_like(p)
    return model.eval()


@pytest.fixture(scope="module")
def figure():
    return live.draw_digit(generator(), network={"steps": STEPS})


@pytest.fixture(scope="module")
def drawn(javascript):
    """drawn(digit, guidance, sample): what torch says from the page's noise with the page's weights: states, bound for, maps."""
    rounded = live.pack(generator(), **PACKING)[1]

    def drawn(digit, guidance, number):
        z = torch.tensor(javascript("noise.js")(f"gaussians({SIDE**2}, {number})")).reshape(1, 1, SIDE, SIDE)
        label, states, bound, maps = torch.tensor([digit]), [], [], []

        def watch(t, z, v):
            states.append(z)
            bound.append(z + (1 - t) * v)
            with torch.no_grad(), record_attention(rounded) as seen:
                rounded(z, t, label)
            maps.append([weights[0].mean(0).numpy() for weights in seen.values()])

        velocity = velocity_of(rounded, label, predicts=NETWORK["predicts"], guidance=guidance)
        states.append(sample(velocity, z, steps=STEPS, method=NETWORK["method"], on_step=watch))
        return torch.cat(states)[:, 0].numpy(), torch.cat(bound)[:, 0].numpy(), np.array(maps)

    return drawn


def drawing(page):
    return page.get_by_role("slider", name="Drawing")


def sentence(digit, guidance, number):
    return f"A {digit} was drawn in {STEPS} steps with guidance {guidance}, sample {number + 1}."


SEEN = """[...document.querySelector('.attn-explorer > div').shadowRoot.querySelectorAll('.stage canvas, .guess canvas')].map((c) =>
  [c.width, (AS_TEXT)(c.getContext('2d').getImageData(0, 0, c.width, c.height).data)])""".replace("AS_TEXT", AS_TEXT)


def seen(page):
    """Grey values of both pictures, 0 to 1, in the middle of each of their 28 × 28 pixels."""
    found = []
    for width, text in page.evaluate(SEEN):
        middles = ((np.arange(SIDE) + 0.5) / SIDE * width).astype(int)
        found.append(from_text(text, (width, width, 4))[np.ix_(middles, middles)][..., 0] / 255)
    return found


def grey(numbers):
    low, high = RANGE
    return ((numbers - low) / (high - low)).clip(0, 1)


INSIDE = np.ones((SIDE, SIDE), bool)  # of the drawing: without the lines of its grid and the outline of the patch
INSIDE[::PATCH] = INSIDE[:, ::PATCH] = INSIDE[PATCH - 1 :: PATCH] = INSIDE[:, PATCH - 1 :: PATCH] = False
INSIDE[10:18, 10:18] = False


@pytest.mark.parametrize("number", [0, 2, STEPS])
def test_each_step_shows_what_torch_has_drawn_and_is_bound_for(shown, drawn, number):
    page = shown()
    told(page, sentence(*FIRST))
    go_to_step(page, number, STEPS)
    states, bound, _ = drawn(*FIRST)
    picture, guess = seen(page)
    np.testing.assert_allclose(picture[INSIDE], grey(states[number])[INSIDE], atol=2 / 255)
    np.testing.assert_allclose(guess, grey(bound[min(number, STEPS - 1)]), atol=2 / 255)
    assert grey(bound[min(number, STEPS - 1)]).std() > 0.05  # there is something to see


def test_all_ten_digits_can_be_asked_for(shown, drawn):
    page = shown()
    assert [label.inner_text() for label in page.locator(".segments label").all()] == [str(digit) for digit in range(10)]
    page.get_by_role("radio", name="0").check()
    told(page, sentence(0, FIRST[1], 0))
    assert page.locator("dd").all_inner_texts() == ["0", str(FIRST[1]), "1"]
    np.testing.assert_allclose(seen(page)[0][INSIDE], grey(drawn(0, FIRST[1], 0)[0][-1])[INSIDE], atol=2 / 255)


def test_guidance_and_another_sample_are_other_questions(shown, drawn):
    page = shown()
    page.get_by_role("slider", name="guidance").focus()
    page.keyboard.press("Home")
    told(page, sentence(FIRST[0], 0, 0))
    page.keyboard.press("ArrowRight")
    told(page, sentence(FIRST[0], 0.5, 0))
    page.get_by_role("button", name="Another sample").click()
    told(page, sentence(FIRST[0], 0.5, 1))
    np.testing.assert_allclose(seen(page)[0][INSIDE], grey(drawn(FIRST[0], 0.5, 1)[0][-1])[INSIDE], atol=2 / 255)
    assert page.locator("dd").all_inner_texts() == [str(FIRST[0]), "0.5", "2"]


@pytest.mark.parametrize("number", [1, STEPS])
def test_the_maps_say_where_a_patch_looks(shown, drawn, number):
    page = shown()
    told(page, sentence(*FIRST))
    go_to_step(page, number, STEPS)
    drawing(page).click(position=at(drawing(page), 5, 1, GRID, GRID))
    assert drawing(page).get_attribute("aria-valuetext") == "row 6, column 2"
    maps = drawn(*FIRST)[2][min(number, STEPS - 1)]  # (layers, 49, 49); at the end the last look
    for layer, weights in enumerate(maps, 1):
        row = weights[5 * GRID + 1]
        best = divmod(int(row.argmax()), GRID)
        name = f"layer {layer}: strongest at row {best[0] + 1}, column {best[1] + 1}, weight {row.max():.2f}"
        assert page.get_by_role("img", name=name, exact=True).count() == 1


def test_keys_move_the_patch(shown):
    page = shown()
    drawing(page).focus()
    for key in ("ArrowDown", "ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    assert drawing(page).get_attribute("aria-valuetext") == "row 5, column 6"
    assert page.evaluate("scrollY") == 0


def test_it_plays_from_noise_to_the_end_and_scrubbing_stops_it(shown):
    page = shown()
    told(page, sentence(*FIRST))
    page.emulate_media(reduced_motion="no-preference")
    page.get_by_role("button", name="Play").click()
    says = "document.querySelector('.attn-explorer > div').shadowRoot.querySelector('[aria-label=Step]').ariaValueText"
    was = page.evaluate(says)
    page.wait_for_function(f"{says} === '{STEPS} of {STEPS}'")
    assert was != f"{STEPS} of {STEPS}"
    page.get_by_role("button", name="Play").click()
    go_to_step(page, 2, STEPS)
    page.wait_for_timeout(400)
    assert page.evaluate(says) == f"2 of {STEPS}"


@pytest.mark.parametrize("width", [390, 760])
def test_the_layers_are_read_in_rows(shown, width):
    page = shown(viewport={"width": width, "height": 844})
    first, second, third = (pane.bounding_box() for pane in page.locator(".maps canvas").all())
    assert first["y"] == second["y"] < third["y"]
    assert first["x"] == third["x"] < second["x"]


def test_every_control_has_a_size_for_a_finger(shown):
    page = shown(has_touch=True, is_mobile=True, viewport={"width": 390, "height": 844})
    controls = [*page.get_by_role("button").all(), *page.locator(".segments label").all()]
    assert len(controls) == 12
    for control in controls:
        assert control.bounding_box()["height"] >= 44


@pytest.mark.parametrize("head", ["", NO_WORKERS], ids=["worker", "page"])
def test_a_network_that_cannot_run_says_so(shown, head):
    weights = squeezed({"fine": "", "coarse": "", "tensors": []})
    payload = {
        "title": "Broken",
        "caption": "",
        "layers": LAYERS,
        "range": RANGE,
        **START,
        "network": {"weights": weights, **NETWORK},
    }
    other = Live("dit_engine.js", "draw_digit.js", payload, title="Broken", still=("it", "data:,"), sentence="")
    page = shown(other=other, head=head, ready=False)
    told(page, "The network could not be run: ")
    assert page.get_by_role("status").filter(has_text="could not be run").is_visible()
    page.troubles[:] = [trouble for trouble in page.troubles if not (head and "worker" in trouble.lower())]


def test_without_scripts_noise_is_seen(unscripted):
    assert unscripted.get_by_role("img", name="noise").is_visible()


def test_the_chapters_size_takes_at_most_300_kb(record_property):
    size = len(live.draw_digit(generator(dim=64, depth=4, heads=4)).to_html().encode())
    record_property("book: a digit drawn in the page, kB", f"{size / 1000:.0f}")
    assert size <= MAX_BYTES


def test_weights_that_were_read_from_a_file_give_the_same_page(figure):
    packed, _ = live.pack(generator(), **PACKING)
    assert live.draw_digit(packed, network={"steps": STEPS}).to_html() == figure.to_html()


@pytest.mark.parametrize(
    ("model", "network", "says"),
    [
        (nn.Linear(2, 2), {}, "model: must be a DiT, .* got Linear"),
        (generator(mixer=ConvMixer), {}, "whose tokens are mixed by attention"),
        (generator(), {"predicts": "noise"}, "network: predicts must be one of x, v, got 'noise'"),
        (generator(), {"method": "midpoint"}, "network: method must be one of heun, euler, got 'midpoint'"),
        (generator(), {"speed": 2}, "network: knows heads, predicts, steps, method, got .*speed"),
        (generator(patch=7), {}, "chapter 10's network"),
        (generator(classes=None), {}, "chapter 10's network"),
    ],
    ids=["no DiT", "convolution", "noise", "midpoint", "speed", "patches of 7", "no classes"],
)
def test_what_the_page_cannot_draw_with_is_refused(model, network, says):
    with pytest.raises(ValueError, match=says):
        live.draw_digit(model, network=network)


def test_blocks_with_different_heads_are_refused():
    model = generator()
    model.blocks[1].mixer = MultiHeadAttention(32, heads=2)
    with pytest.raises(ValueError, match="as many heads in each block"):
        live.draw_digit(model)
