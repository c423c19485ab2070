"""Chapter 10's network in the page: the reader picks a digit and a guidance, and watches it being drawn from noise."""

import numpy as np

from attn_book.explorer.packing import data_url, resized
from attn_book.live.packing import Packed, check_matrices, pack, unwoven
from attn_book.live.page import Live, squeezed
from attn_utils.dit import DiT

SIDE, PATCH = 28, 4  # px of a picture and of a patch
# What the weights do not tell: heads of an attention, what the network predicts, and how it is sampled
NETWORK = {"heads": 4, "predicts": "x", "steps": 20, "method": "heun"}
PACKING = {"steps": 12}  # of a row's largest weight
RANGE = (-1.0, 1.0)  # of the network's numbers: paper, and ink
START = {"digit": 7, "guidance": 2}
TITLE = "From noise to a digit"
CAPTION = (
    "Pick a digit and a guidance. The network begins with noise and draws, step by step; it runs here, on your device. Scrub through the"
    " steps, and see where a patch looks."
)
SENTENCE = "A digit is drawn from noise, step by step"


def draw_digit(model, *, network=None, title=TITLE, caption=CAPTION):
    """A network that draws digits, running in the page.

    Args:
        model: chapter 10's `DiT` with attention, for pictures of 28 × 28 px in patches of 4 and ten classes, with or without a local
            path; or its weights as `attn_book.live.load` reads them.
        network: what the weights do not tell, beside or in place of `NETWORK`.
        title: heading of the figure, and its name for a screen reader.
        caption: a sentence under the title: what to try.

    Returns:
        `Live`, which shows as the last expression of a cell.

    Raises:
        ValueError: another kind of network, or settings that the page does not know.
    """
    told = NETWORK | ({} if isinstance(model, Packed) else _untold(model)) | (network or {})
    _check_settings(told)
    packed = model if isinstance(model, Packed) else pack(model, **PACKING)[0]
    layers = _check_sizes(packed)
    payload = {"title": title, "caption": caption, "layers": layers, "range": RANGE, **START}
    payload["network"] = {"weights": squeezed(unwoven(packed)), **told}
    noise = np.random.default_rng(0).standard_normal((SIDE, SIDE, 1)).clip(-1, 1) / 2 + 0.5
    still = data_url(resized(noise.repeat(3, 2), 196, 196), 6_000)
    return Live("dit_engine.js", "draw_digit.js", payload, title=title, still=("noise", still), sentence=SENTENCE)


def _untold(model):
    if not isinstance(model, DiT):
        raise ValueError(f"model: must be a DiT, or weights as attn_book.live.load reads them, got {type(model).__name__}")
    heads = {getattr(block.mixer, "heads", None) for block in model.blocks}
    if len(heads) != 1 or None in heads:
        raise ValueError("model: the page knows a DiT whose tokens are mixed by attention, with as many heads in each block")
    return {"heads": heads.pop()}


def _check_settings(told):
    known = {"predicts": ("x", "v"), "method": ("heun", "euler")}
    for name, choices in known.items():
        if told[name] not in choices:
            raise ValueError(f"network: {name} must be one of {', '.join(choices)}, got {told[name]!r}")
    if unknown := set(told) - set(NETWORK):
        raise ValueError(f"network: knows {', '.join(NETWORK)}, got {', '.join(sorted(unknown))}")


def _check_sizes(packed: Packed):
    """The number of blocks of the packed network, or a ValueError where it is of another kind."""
    shapes = {name: shape for name, shape, *_ in packed.tensors}
    layers = sum(name.endswith(".mixer.qkv.weight") for name in shapes)
    D, waves = shapes.get("time.layers.2.weight", [0])[0], shapes.get("time.layers.0.weight", [0, 0])[1]
    expected = {
        "embed.project.weight": [D, PATCH**2],
        "time.layers.0.weight": [D, waves],
        "label.weight": [11, D],
        "modulation.weight": [2 * D, D],
        "out.weight": [PATCH**2, D],
    }
    for i in range(max(layers, 1)):
        expected |= {f"blocks.{i}.modulation.weight": [6 * D, D], f"blocks.{i}.mixer.qkv.weight": [3 * D, D]}
    check_matrices(packed, expected, "chapter 10's network")
    return layers
