"""Chapter 9's network in the page: the reader clicks on a coin or a collage and sees two masks, of the part and of the whole."""

import numpy as np
from PIL import Image
from torch import nn

from attn_book.data.coins import coins
from attn_book.data.collage import collages
from attn_book.explorer.packing import data_url, resized
from attn_book.live.packing import LEVELS, Packed, check_matrices, pack, shares, unwoven
from attn_book.live.page import Live, squeezed
from attn_utils.positions import sincos_2d
from attn_utils.segmentation import NarrowAttention

SIDE = 64  # px
NETWORK = {"heads": 2, "steps": 24}  # of the decoder's attentions, and of the walk in the chapter's network: weights do not tell
BASE = 64.0  # of the waves that say where a click is
# Sines and cosines are computed in the page. With 12 steps for a row's largest weight network and pictures fit into it; 44 would be
# the finest.
PACKING = {"skip": ("prompt.places",), "steps": 12}
STILL_BYTES = 3_000
COINS = (7, 14)
COLLAGES = {
    "badges": {"seed": 31, "alike": 0, "badges": 1, "shapes": 2},
    "alike": {"seed": 39, "alike": 1, "badges": 0, "shapes": 5},
    "unlike": {"seed": 41, "alike": 0, "badges": 0, "shapes": 3},
}
TITLE = "Click on it"
CAPTION = (
    "Click on a thing, and the network draws two masks: of the part and of the whole that you may have meant, each with the score"
    " that it gives itself. It runs here, on your device."
)
SENTENCE = "Each click is answered by two masks, of the part and of the whole, and a score for each"


def click_to_mask(model, *, pictures=None, title=TITLE, caption=CAPTION):
    """A network that answers clicks, running in the page.

    Args:
        model: chapter 9's `ClickModel` with two-way attention, or its weights as `attn_book.live.load` reads them.
        pictures: what the reader may click on: tuples (name, picture, first click), each picture (3, 64, 64) in [0, 1], each click
            (row, column). None takes two coins and three collages. The page shows a picture, to the network and to the reader,
            in 89 colours.
        title: heading of the figure, and its name for a screen reader.
        caption: a sentence under the title: what to try.

    Returns:
        `Live`, which shows as the last expression of a cell.

    Raises:
        ValueError: another kind of network; no pictures, or some of another kind; more of them than fit into the page.
    """
    network = NETWORK if isinstance(model, Packed) else _untold(model)
    packed = model if isinstance(model, Packed) else pack(model, **PACKING)[0]
    _check_sizes(packed)
    pictures = default_pictures() if pictures is None else list(pictures)
    if not pictures:
        raise ValueError("pictures: must be at least one, got none")
    payload = {"title": title, "caption": caption, "pictures": [_written(*picture) for picture in pictures]}
    payload["network"] = {"weights": squeezed(unwoven(packed)), **network}
    name, first, _ = pictures[0]
    still = data_url(resized(np.asarray(first).transpose(1, 2, 0), 192, 192), STILL_BYTES)
    return Live("click_engine.js", "click_to_mask.js", payload, title=title, still=(name, still), sentence=SENTENCE)


def default_pictures():
    """Two coins, and three collages of the test split: with a badge that the first click is on, alike, and unlike each other."""
    coin = coins()
    found = [(f"coins {n + 1}", coin.images[i], tuple(map(int, coin.centres[i]))) for n, i in enumerate(COINS)]
    for name, settings in COLLAGES.items():
        made = collages(1, split="test", **settings)
        on_badge = made.parts[0] != made.wholes[0]
        inside = np.argwhere(on_badge if on_badge.any() else made.parts[0] == 1)
        found.append((name, made.images[0], tuple(map(int, inside[len(inside) // 2]))))
    return found


def in_few_colours(image):
    """A picture as the page has it.

    Args:
        image: (3, 64, 64) in [0, 1].

    Returns:
        (at most 89, 3) float32 colours in [0, 1], in 88 steps each, and (64, 64) uint8, which of them a pixel has.
    """
    picture = Image.fromarray(np.uint8(np.rint(255 * np.asarray(image, np.float32).transpose(1, 2, 0))))
    few = picture.quantize(LEVELS, method=Image.Quantize.MAXCOVERAGE, kmeans=5, dither=Image.Dither.NONE)
    colours = np.float32(few.getpalette()).reshape(-1, 3) / 255
    return np.round(colours * (LEVELS - 1)) / (LEVELS - 1), np.asarray(few)


def _written(name, image, click):
    """A picture for js/pixels.js, and where it is clicked first."""
    image = np.asarray(image, np.float32)
    if image.shape != (3, SIDE, SIDE) or not (0 <= image.min() <= image.max() <= 1):
        raise ValueError(
            f"pictures: {name} must be (3, {SIDE}, {SIDE}) in [0, 1], got {image.shape} in [{image.min():g}, {image.max():g}]"
        )
    if len(click) != 2 or not all(place in range(SIDE) for place in click):
        raise ValueError(f"pictures: the first click on {name} must be (row, column) below {SIDE}, got {click}")
    colours, pixels = in_few_colours(image)
    return {
        "name": name,
        "colours": shares(colours),
        "pixels": shares(pixels / (LEVELS - 1)),
        "start": [int(place) for place in click],
    }


def _untold(model):
    """What the weights alone do not tell: NETWORK for a model, and whether the page knows models of its kind."""
    if not isinstance(model, nn.Module):
        raise ValueError(
            f"model: must be chapter 9's ClickModel, or weights as attn_book.live.load reads them, got {type(model).__name__}"
        )
    heads = {module.heads for module in model.modules() if type(module) is NarrowAttention}
    if len(heads) != 1:
        raise ValueError(f"model: the page knows two-way attention with as many heads everywhere, got {sorted(heads) or 'none'}")
    reach = {name.removesuffix(".look"): part.dilation[0] for name, part in model.named_modules() if name.endswith(".look")}
    doubling = {
        name: 2 ** (int(name[-1]) - name.startswith("encoder")) for name in reach
    }  # encoder.coarse.1 is the first, as spread.0
    if not reach or reach != doubling:
        raise ValueError(
            f"model: the page knows convolutions that reach {doubling or 'twice as far, one after the other'}, got {reach or 'none'}"
        )
    if not hasattr(getattr(model, "walk", None), "steps"):
        raise ValueError("model: the page knows networks that walk, got one without")
    places = model.prompt.places
    if not np.array_equal(places.cpu(), np.float32(sincos_2d(SIDE, SIDE, places.shape[1], BASE))):
        raise ValueError(
            f"model: the page computes prompt.places as sines and cosines of {SIDE} × {SIDE} px and base {BASE:g}, got others"
        )
    return {"heads": heads.pop(), "steps": model.walk.steps}


def _check_sizes(packed: Packed):
    shapes = {name: shape for name, shape, *_ in packed.tensors}
    D, F, M, d = (shapes.get(f"{layer}.weight", [0])[0] for layer in ("cell_places", "same", "beside", "walk.q"))
    expected = {
        "encoder.fine.0": [F, 9 * 3],
        "encoder.middle.0.0": [M, 9 * F],
        "encoder.middle.1.0": [M, 9 * M],
        "encoder.coarse.0.0": [D, 9 * M],
        "encoder.down": [F, M],
        "encoder.detail.2": [F, 9 * F],
        "prompt.from_place": [D, D],
        "prompt.from_here": [D, F + M + D],
        "cell_places": [D, D],
        "up": [4 * M, D],
        "beside": [M, M],
        "same": [F, F],
        "walk.q": [d, M],
        "walk.k": [d, M],
        "to_query.2": [M + F + 6, D],
        "to_score.2": [1, D],
    }
    check_matrices(packed, {f"{layer}.weight": shape for layer, shape in expected.items()}, "chapter 9's network")
