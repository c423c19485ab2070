"""What a click's figure takes: the chapter's network and no other, and pictures in few colours."""

import numpy as np
import pytest
from torch import nn

from attn_book import live
from attn_book.data.coins import coins
from attn_book.data.collage import collages
from attn_book.live.click_to_mask import COLLAGES, NETWORK, default_pictures, in_few_colours
from attn_book.live.packing import shares
from tests.attn_book.live.conftest import chapter


@pytest.fixture
def network():
    return chapter("09_segmentation").ClickModel()


def test_the_page_knows_the_chapters_network(network):
    heads = {module.heads for module in network.modules() if hasattr(module, "heads")}
    assert {"heads": heads.pop(), "steps": network.walk.steps} == NETWORK


@pytest.mark.parametrize(
    ("break_it", "told"),
    [
        (lambda m: nn.Linear(2, 3), "as many heads everywhere, got none"),
        (lambda m: "ch09", "must be chapter 9's ClickModel, or weights as attn_book.live.load reads them, got str"),
        (lambda m: setattr(m.decoder.last_look, "heads", 1), r"as many heads everywhere, got \[1, 2\]"),
        (lambda m: setattr(m.spread[1].look, "dilation", (3, 3)), "'spread.1': 2}, got {.*'spread.1': 3}"),
        (lambda m: setattr(m, "walk", None), "networks that walk, got one without"),
        (lambda m: setattr(m.prompt, "places", m.prompt.places + 1), "sines and cosines of 64 × 64 px and base 64, got others"),
        (
            lambda m: setattr(m, "up", nn.ConvTranspose2d(64, 32, 4, stride=4)),
            r"up.weight as a matrix \[128, 64\] \(chapter 9's network\), got \[512, 64\]",
        ),
        (lambda m: setattr(m, "same", nn.Identity()), r"encoder.fine.0.weight as a matrix \[0, 27\]"),
    ],
)
def test_another_network_is_refused(network, break_it, told):
    with pytest.raises(ValueError, match=told):
        live.click_to_mask(break_it(network) or network)


def test_other_heads_and_steps_are_taken_from_the_model(network):
    network.walk.steps = 3
    assert '"heads":2,"steps":3' in live.click_to_mask(network).to_html()


@pytest.mark.parametrize(
    ("pictures", "told"),
    [
        ([], "pictures: must be at least one, got none"),
        ([("mine", np.zeros((3, 32, 64)), (0, 0))], r"mine must be \(3, 64, 64\) in \[0, 1\], got \(3, 32, 64\) in \[0, 0\]"),
        ([("mine", np.full((3, 64, 64), 255), (0, 0))], r"mine must be .* in \[255, 255\]"),
        ([("mine", np.full((3, 64, 64), np.nan), (0, 0))], r"mine must be .* in \[nan, nan\]"),
        ([("mine", np.zeros((3, 64, 64)), (0, 64))], r"the first click on mine must be \(row, column\) below 64, got \(0, 64\)"),
        ([("mine", np.zeros((3, 64, 64)), (1,))], r"the first click on mine must be \(row, column\) below 64, got \(1,\)"),
    ],
)
def test_other_pictures_are_refused(network, pictures, told):
    with pytest.raises(ValueError, match=told):
        live.click_to_mask(network, pictures=pictures)


def test_too_many_pictures_do_not_fit(network):
    noise = np.random.default_rng(0).random((3, 64, 64))
    with pytest.raises(ValueError, match="Click on it: takes .* bytes on the page; a live model may take 300,000"):
        live.click_to_mask(network, pictures=[(f"noise {n}", noise, (0, 0)) for n in range(12)])


def test_few_colours_are_enough(javascript):
    for name, image, _ in default_pictures():
        colours, pixels = in_few_colours(image)
        assert len(colours) <= 89
        error = np.abs(colours[pixels].transpose(2, 0, 1) - image)
        assert error.mean() < 0.02 and error.max() < 0.12, name  # the collages' own grain is 0.03
    packed = {"colours": shares(colours), "pixels": shares(pixels / 88)}
    found = np.reshape(javascript("pixels.js")("pixelsOf(packed)", packed=packed), (64, 64, 3))
    np.testing.assert_allclose(found, colours[pixels], atol=1e-6)


def test_the_first_click_on_badges_has_two_right_answers():
    name, image, (row, col) = default_pictures()[2]
    made = collages(1, split="test", **COLLAGES[name])
    np.testing.assert_array_equal(image, made.images[0])
    assert 0 != made.wholes[0, row, col] != made.parts[0, row, col] != 0


def test_the_first_click_on_coins_is_on_a_coin():
    masks = {tuple(image.ravel()): mask for image, mask in zip(coins().images, coins().masks)}
    for _, image, place in default_pictures()[:2]:
        assert masks[tuple(image.ravel())][place]
