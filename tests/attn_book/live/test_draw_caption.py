"""The drawing of a caption in the page, in a real browser from a file with the network refused: what a reader does, and what is seen."""

import numpy as np
import pytest
import torch
from torch import nn

from attn_book import live
from attn_book.data.captions import VOCABULARY, caption, held_out, sentence
from attn_book.live.draw_caption import CHANNELS, EDITS, NETWORK, PACKING, RANGE, SIZE, START, STEPS, tabulated
from attn_book.live.page import MAX_BYTES, Live, squeezed
from attn_utils.attention import MultiHeadAttention
from attn_utils.caption_dit import CaptionDiT
from attn_utils.dit import DiT
from tests.attn_book.live.conftest import AS_TEXT, NO_WORKERS, from_text, go_to_step, told
from tests.attn_book.live.test_caption_engine import drawn as drawn_by_torch

LAYERS, PATCH = 3, 7
GRID = SIZE // PATCH
FIRST = START["words"]  # red 3 above blue 7
CYAN = [VOCABULARY.index("cyan"), *FIRST[1:]]


def teller(**changes):
    torch.manual_seed(2)
    how = {
        "image_size": 28,
        "patch": PATCH,
        "dim": 32,
        "depth": LAYERS,
        "heads": 2,
        "words": 21,
        "length": 5,
        "readout": "product",
    }
    model = CaptionDiT(**how | changes)
    for p in model.parameters():  # without training, but not the model that hands on nothing
        p.data = p + 0.1 * torch.randn_like(p)
    return model.eval()


@pytest.fixture(scope="module")
def figure():
    return live.draw_caption(teller())


@pytest.fixture(scope="module")
def drawn(javascript):
    """drawn(words, guidance, number, …): what torch says from the page's noise with the page's weights, and what it looked at."""
    rounded = live.pack(tabulated(teller(), STEPS), **PACKING)[1]

    def drawn(words, guidance=START["guidance"], number=0, **how):
        start = np.array(javascript("noise.js")(f"gaussians({SIZE**2 * CHANNELS}, {number})"), np.float32)
        found, looks = drawn_by_torch(rounded, start, words, guidance, **how)
        return {**found, "maps": found["maps"].reshape(STEPS, LAYERS, 5, GRID**2)}, looks

    return drawn


def choose(page, **menus):
    for name, word in menus.items():
        page.get_by_label(name.replace("_", " ")).select_option(label=word)


def press(page, name):
    page.get_by_role("button", name=name, exact=True).click()


def says(words, guidance=START["guidance"], number=0):
    return f"“{sentence(words)}” was drawn in {STEPS} steps with guidance {guidance}, noise {number + 1}."


SEEN = """[...document.querySelector('.attn-explorer > div').shadowRoot.querySelectorAll('SELECTOR')].map((c) => {
  const copy = new OffscreenCanvas(c.width, c.height).getContext('2d', { willReadFrequently: true });
  copy.drawImage(c, 0, 0);
  return (AS_TEXT)(copy.getImageData(0, 0, c.width, c.height).data);
})""".replace("AS_TEXT", AS_TEXT)


def seen(page, selector=".scenes canvas"):
    """Numbers of pictures of 28 × 28 px, 0 to 1, (28·28·3) each."""
    texts = page.evaluate(SEEN.replace("SELECTOR", selector))
    return [from_text(text, (SIZE, SIZE, 4))[..., :CHANNELS].ravel() / 255 for text in texts]


def light(numbers):
    low, high = RANGE
    return ((numbers - low) / (high - low)).clip(0, 1)


ROUNDED = {"atol": 1.1 / 255}  # of what a canvas keeps


@pytest.mark.parametrize("number", [0, 5, STEPS])
def test_each_step_shows_what_torch_has_drawn_and_is_bound_for(shown, drawn, number):
    page = shown()
    told(page, says(FIRST))
    go_to_step(page, number, STEPS)
    want, _ = drawn(FIRST)
    scene, guess = seen(page)
    np.testing.assert_allclose(scene, light(want["states"][number]), **ROUNDED)
    np.testing.assert_allclose(guess, light(want["bound"][min(number, STEPS - 1)]), **ROUNDED)
    assert light(want["bound"][min(number, STEPS - 1)]).std() > 0.05  # there is something to see
    assert page.get_by_role("img", name=f"red 3 above blue 7, step {number} of {STEPS}").count() == 1


def test_a_caption_from_the_menus_is_drawn_when_the_reader_says_so(shown, drawn):
    page = shown()
    told(page, says(FIRST))
    wanted = caption("pink 0 left of white 9").tolist()
    choose(page, first_colour="pink", first_digit="0", relation="left of", second_colour="white", second_digit="9")
    told(page, "Press Draw for “pink 0 left of white 9”.")  # and it is seen
    assert page.locator(".edit > .note").inner_text() == "Press Draw for “pink 0 left of white 9”."
    np.testing.assert_allclose(seen(page)[0], light(drawn(FIRST)[0]["states"][-1]), **ROUNDED)
    press(page, "Draw")
    told(page, says(wanted))
    np.testing.assert_allclose(seen(page)[0], light(drawn(wanted)[0]["states"][-1]), **ROUNDED)
    assert page.locator("dd b").all_inner_texts() == ["pink 0", "white 9", "1"]
    assert page.locator(".words label").all_inner_texts() == ["pink", "0", "left of", "white", "9"]


def test_the_menus_hold_the_vocabulary(shown):
    page = shown()
    found = [
        [option.inner_text() for option in page.get_by_label(name).locator("option").all()]
        for name in ("first colour", "relation")
    ]
    assert [*found[0], *"0123456789", *found[1]] == list(VOCABULARY)


def test_what_training_never_saw_is_named(shown):
    out = held_out(seed=1)
    (never,) = (int(digit) for digit in out["test"][0].nonzero()[0])  # the red digit of the test
    page = shown()
    choose(page, first_digit=str(never))
    press(page, "Draw")
    told(page, f"It has never seen a red {never}.")
    assert page.locator("dd").first.inner_text().split("\n")[0].startswith(f"red {never}")
    assert "never seen" in page.locator("dd").first.inner_text()


def test_one_colour_twice_is_drawn_and_told(shown):
    page = shown()
    told(page, says(FIRST))
    choose(page, second_colour="red")
    told(page, "No caption of its training names one colour twice.")
    assert "one colour twice" in page.locator(".edit > .note").inner_text()
    press(page, "Draw")
    told(page, "“red 3 above red 7” was drawn")


def test_guidance_and_other_noise_are_other_questions(shown, drawn):
    page = shown()
    page.get_by_role("slider", name="guidance").focus()
    page.keyboard.press("Home")
    told(page, says(FIRST, 0))
    page.keyboard.press("ArrowRight")
    press(page, "Other noise")
    told(page, says(FIRST, 0.5, 1))
    np.testing.assert_allclose(seen(page)[0], light(drawn(FIRST, 0.5, 1)[0]["states"][-1]), **ROUNDED)


def maps_named(page, weights):
    """How many of the maps say what (layers, N) weights of a word are."""
    best = [divmod(int(row.argmax()), GRID) for row in weights]
    names = [
        f"layer {layer}: strongest at row {r + 1}, column {c + 1}, weight {row.max():.2f}"
        for layer, (row, (r, c)) in enumerate(zip(weights, best, strict=True), 1)
    ]
    return sum(page.get_by_role("img", name=name, exact=True).count() for name in names)


@pytest.mark.parametrize("number", [1, STEPS])
def test_a_words_maps_say_which_patches_ask_it(shown, drawn, number):
    page = shown()
    told(page, says(FIRST))
    go_to_step(page, number, STEPS)
    weights = drawn(FIRST)[0]["maps"][min(number, STEPS - 1)]  # (layers, 5, N); at the end the last look
    assert maps_named(page, weights[:, 1]) == LAYERS
    chips = page.locator(".words label")
    chips.nth(3).click()
    assert maps_named(page, weights[:, 3]) == LAYERS
    page.keyboard.press("ArrowRight")
    assert maps_named(page, weights[:, 4]) == LAYERS
    chips.nth(0).hover()
    assert maps_named(page, weights[:, 0]) == LAYERS
    page.mouse.move(0, 0)
    assert maps_named(page, weights[:, 4]) == LAYERS


def test_a_tap_chooses_a_word(shown, drawn):
    page = shown(has_touch=True, is_mobile=True, viewport={"width": 390, "height": 844})
    told(page, says(FIRST))
    page.locator(".words label").nth(4).tap()
    assert maps_named(page, drawn(FIRST)[0]["maps"][-1][:, 4]) == LAYERS


def test_the_brightest_colour_is_the_largest_weight_of_the_drawing(shown, drawn):
    page = shown()
    told(page, says(FIRST))
    assert page.locator(".legend span").last.inner_text() == f"{drawn(FIRST)[0]['maps'].max():.2f}"


def test_a_word_is_changed_and_the_weights_are_kept(shown, drawn):
    page = shown()
    told(page, says(FIRST))
    assert page.get_by_role("button", name="Edit the drawing").is_disabled()
    assert not page.locator(".edited .maps").is_visible()
    choose(page, first_colour="cyan")
    press(page, "Edit the drawing")
    told(page, "“red” became “cyan”. The numbers say how far the blue 7 is from before")
    before, looks = drawn(FIRST)
    leads = looks[: round(NETWORK["kept"] * STEPS)]
    wanted = [before, *(drawn(CYAN, kept=leads, layers=layers)[0] for layers in EDITS.values())]
    ends = [light(one["states"][-1]) for one in wanted]
    for picture, end in zip(seen(page, ".edited canvas"), ends, strict=True):
        np.testing.assert_allclose(picture, end, **ROUNDED)
    below = [end.reshape(SIZE, SIZE, CHANNELS)[14:, 7:21] for end in ends]  # where the blue 7 is
    far = [np.abs(other - below[0]).mean() for other in below[1:]]
    numbers = [float(number) for number in page.locator(".edited figcaption b").all_inner_texts()[1:]]
    np.testing.assert_allclose(numbers, far, atol=0.0006)
    assert len(set(numbers)) > 1
    go_to_step(page, 3, STEPS)
    for picture, one in zip(seen(page, ".edited canvas"), wanted, strict=True):
        np.testing.assert_allclose(picture, light(one["states"][3]), **ROUNDED)


def test_an_edit_is_of_one_word_and_ends_with_the_next_drawing(shown):
    page = shown()
    told(page, says(FIRST))
    edit = page.get_by_role("button", name="Edit the drawing")
    choose(page, relation="below")
    assert edit.is_enabled()
    edit.click()
    told(page, "“above” became “below”. The numbers say how far the whole scene is from before")
    press(page, "Other noise")
    told(page, "Noise 2.")
    assert page.locator("dd b").all_inner_texts()[2] == "2"
    choose(page, second_digit="1")
    assert edit.is_disabled()
    press(page, "Draw")
    told(page, says(caption("red 3 below blue 1"), number=1))
    assert not page.locator(".edited .maps").is_visible()


@pytest.mark.parametrize("width", [390, 760])
def test_maps_and_edits_are_read_in_rows_of_two(shown, width):
    page = shown(viewport={"width": width, "height": 844})
    told(page, says(FIRST))
    choose(page, first_colour="cyan")
    press(page, "Edit the drawing")
    told(page, "became")
    for panes in (page.locator(".beside .maps canvas").all(), page.locator(".edited canvas").all()):
        first, second, third = (pane.bounding_box() for pane in panes[:3])
        assert first["y"] == second["y"] < third["y"]
        assert first["x"] == third["x"] < second["x"]
    menus = [menu.bounding_box() for menu in page.get_by_role("combobox").all()]
    assert len({menu["y"] for menu in menus}) == 1 and len(menus) == 5  # on one line, on a phone too
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0


def test_every_control_has_a_size_for_a_finger(shown):
    page = shown(has_touch=True, is_mobile=True, viewport={"width": 390, "height": 844})
    controls = [*page.get_by_role("button").all(), *page.get_by_role("combobox").all(), *page.locator(".words label").all()]
    assert len(controls) == 14
    for control in controls:
        assert control.bounding_box()["height"] >= 44


@pytest.mark.parametrize("head", ["", NO_WORKERS], ids=["worker", "page"])
def test_a_network_that_cannot_run_says_so(shown, figure, head):
    empty = squeezed({"fine": "", "coarse": "", "tensors": []})
    sizes = {"layers": LAYERS, "grid": GRID, "steps": STEPS, "ways": list(EDITS), "corners": [], "unseen": [], "range": RANGE}
    payload = {"title": "Broken", "caption": "", **START, **sizes, "kinds": live_kinds()}
    payload["network"] = {"weights": empty, "edits": [], **NETWORK}
    other = Live("caption_engine.js", "draw_caption.js", payload, title="Broken", still=("it", "data:,"), sentence="")
    page = shown(other=other, head=head, ready=False)
    told(page, "The network could not be run: ")
    assert page.get_by_role("status").filter(has_text="could not be run").is_visible()
    page.troubles[:] = [trouble for trouble in page.troubles if not (head and "worker" in trouble.lower())]


def live_kinds():
    return {"colour": [0, list(VOCABULARY[:7])], "digit": [7, list(VOCABULARY[7:17])], "relation": [17, list(VOCABULARY[17:])]}


def test_without_scripts_noise_is_seen(unscripted):
    assert unscripted.get_by_role("img", name="noise").is_visible()


@pytest.mark.parametrize("patch", [7, 4])
def test_the_chapters_size_takes_at_most_300_kb(record_property, patch):
    size = len(live.draw_caption(teller(patch=patch, dim=64, depth=4, heads=4)).to_html().encode())
    record_property(f"book: a caption drawn in the page, patches of {patch}, kB", f"{size / 1000:.0f}")
    assert size <= MAX_BYTES


def test_weights_that_were_read_from_a_file_give_the_same_page(figure):
    packed, _ = live.pack(tabulated(teller(), STEPS), **PACKING)
    assert live.draw_caption(packed, network={"heads": 2}).to_html() == figure.to_html()


def test_a_tabulated_network_answers_as_before_at_its_times():
    model, z, captions = teller(), torch.randn(4, 3, 28, 28), torch.randint(21, (4, 5))
    table, t = tabulated(model, 8), torch.tensor([0, 3, 5, 7]) / 8
    with torch.no_grad():
        torch.testing.assert_close(table(z, t, captions), model(z, t, captions))
        assert model(z, t, captions).std() > 0.1
    assert sum(p.numel() for p in table.parameters()) < sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("t", [0.1, 1.0, -0.125])
def test_a_tabulated_network_refuses_other_times(t):
    with pytest.raises(ValueError, match=r"t: this network knows the times k / 8 below 1 alone, got"):
        tabulated(teller(), 8)(torch.randn(1, 3, 28, 28), torch.tensor([t]), torch.zeros(1, 5, dtype=torch.long))


@pytest.mark.parametrize(
    ("make", "network", "says"),
    [
        (lambda: nn.Linear(2, 2), {}, "model: must be a CaptionDiT, .* got Linear"),
        (lambda: DiT(image_size=28, patch=7, dim=32, depth=1, heads=2), {}, "model: must be a CaptionDiT, .* got DiT"),
        (lambda: teller(how="pooled"), {}, "how=\"cross\", got 'pooled'"),
        (lambda: teller(readout="deeper"), {}, 'knows a plain read-out and "product", got "deeper"'),
        (lambda: teller(words=20), {}, "chapter 11's network"),
        (lambda: teller(channels=1), {}, "chapter 11's network"),
        (teller, {"predicts": "noise"}, "network: predicts must be one of x, v, got 'noise'"),
        (teller, {"method": "midpoint"}, "network: method must be one of heun, euler, got 'midpoint'"),
        (teller, {"kept": 2}, "network: kept must be a share from 0 to 1, got 2"),
        (teller, {"speed": 2}, "network: knows heads, predicts, method, kept, got speed"),
        (lambda: live.pack(teller())[0], {}, "of a network that is `tabulated`, got one that knows all times"),
    ],
    ids=["linear", "DiT", "pooled", "deeper", "20 words", "grey", "noise", "midpoint", "kept", "speed", "not tabulated"],
)
def test_what_the_page_cannot_draw_with_is_refused(make, network, says):
    with pytest.raises(ValueError, match=says):
        live.draw_caption(make(), network=network)


def test_layers_with_different_heads_are_refused():
    model = teller()
    model.looks[1] = MultiHeadAttention(32, heads=4, context_dim=32)
    with pytest.raises(ValueError, match="as many heads everywhere, got .2, 4."):
        live.draw_caption(model)
