"""Chapter 11's network in the page: the reader writes a caption, sees it drawn from noise, and what each word is asked for."""

import copy
import re

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attn_book.data.captions import CORNERS, RELATIONS, SIZE, VOCABULARY, caption, held_out
from attn_book.data.drawing import COLOURS
from attn_book.explorer.packing import data_url, resized
from attn_book.live.packing import Packed, check_matrices, pack, unwoven
from attn_book.live.page import Live, squeezed
from attn_utils.caption_dit import CaptionDiT

CHANNELS = 3
STEPS = 12  # of a drawing
# What the weights do not tell: heads of all attention, what the network predicts, how it is sampled, which layers keep the weights of
# the first caption when a word is changed, and for which share of the steps
EDITS = {"same noise": [], "weights to words kept": ["looks"], "all weights kept": ["looks", "blocks"]}
NETWORK = {"heads": 4, "predicts": "x", "method": "euler", "kept": 0.8}
PACKING = {"steps": 22}  # of a row's largest weight: the most that the page has room for
RANGE = (-1.0, 1.0)  # of the network's numbers: black, and full light
START = {"words": caption("red 3 above blue 7").tolist(), "guidance": 3}
TITLE = "Five words and a scene"
CAPTION = (
    "Write a caption and press Draw. The network begins with noise and draws, step by step; it runs here, on your device. Choose a word,"
    " and see which patches ask it. Then change one word and keep the drawing."
)
SENTENCE = "A scene of two digits is drawn from noise, as a caption says"
ONE = 1.2784645427610738  # SiLU(ONE) = 1


def draw_caption(model, *, held=1, network=None, title=TITLE, caption=CAPTION):
    """A network that draws captions, running in the page.

    Args:
        model: chapter 11's `CaptionDiT` with cross-attention and a read-out that is plain or a product, for scenes of 28 × 28 px; or the
            weights of one that is `tabulated`, as `attn_book.live.load` reads them.
        held: seed of the pairs of colour and digit that its training never saw, as in `attn_book.data.captions.held_out`.
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
    packed = model if isinstance(model, Packed) else pack(tabulated(model, STEPS), **PACKING)[0]
    sizes = _check_sizes(packed)
    out = np.any(list(held_out(seed=held).values()), axis=0)  # (colours, 10)
    payload = {"title": title, "caption": caption, "range": RANGE, **START, **sizes, "ways": list(EDITS)}
    payload |= {"kinds": kinds(), "unseen": out.nonzero()[1].reshape(len(COLOURS), -1).tolist(), "corners": CORNERS.tolist()}
    payload["network"] = {"weights": squeezed(unwoven(packed)), "edits": list(EDITS.values()), **told}
    noise = np.random.default_rng(0).standard_normal((SIZE, SIZE, CHANNELS)).clip(-1, 1) / 2 + 0.5
    still = data_url(resized(noise, 56, 56), 1_800)
    return Live("caption_engine.js", "draw_caption.js", payload, title=title, still=("noise", still), sentence=SENTENCE)


def kinds():
    """The words that a caption may have: {kind: [first place in the vocabulary, words]}."""
    names = {"colour": list(COLOURS), "digit": list("0123456789"), "relation": list(RELATIONS)}
    return {kind: [VOCABULARY.index(words[0]), words] for kind, words in names.items()}


class StepNumber(nn.Module):
    """The number of a step in place of a time, (B,) -> (B, steps): 0 but in one place, where the SiLU is 1.

    Args:
        steps: how many; the times that are known are k / steps for k from 0 to steps - 1.
    """

    def __init__(self, steps: int):
        super().__init__()
        self.steps = steps

    def forward(self, t: Tensor) -> Tensor:
        numbers = (t * self.steps).round()
        if (numbers - t * self.steps).abs().max() > 1e-3 or not (0 <= numbers.min() and numbers.max() < self.steps):
            raise ValueError(f"t: this network knows the times k / {self.steps} below 1 alone, got {t.tolist()}")
        return ONE * F.one_hot(numbers.long(), self.steps).to(t.dtype)


@torch.no_grad()
def tabulated(model: CaptionDiT, steps: int) -> CaptionDiT:
    """The same network for a few times only: what time says to the norms becomes a table, which is smaller than what computes it.

    A drawing asks at the same few times, whatever the caption, and in cross-attention nothing but time steers the norms.

    Args:
        model: with cross-attention; it is not changed.
        steps: of a drawing; it is asked at t = 0, 1 / steps, … below 1.

    Returns:
        A copy for use, on the CPU, which answers as the model does at these times, and raises a ValueError at others.
    """
    table = copy.deepcopy(model).float().cpu().eval()
    condition = F.silu(table.time(torch.arange(steps) / steps))  # (steps, D)
    for module in (*table.blocks, table):
        layer = nn.Linear(steps, module.modulation.out_features, bias=False)
        layer.weight.copy_(module.modulation(condition).T)
        module.modulation = layer
    table.time = StepNumber(steps)
    return table


def _untold(model):
    if not isinstance(model, CaptionDiT):
        raise ValueError(f"model: must be a CaptionDiT, or weights as attn_book.live.load reads them, got {type(model).__name__}")
    if model.how != "cross":
        raise ValueError(f'model: the page shows cross-attention to words, how="cross", got {model.how!r}')
    heads = {module.heads for module in model.modules() if hasattr(module, "heads")}
    if len(heads) != 1:
        raise ValueError(f"model: the page knows networks whose attention has as many heads everywhere, got {sorted(heads)}")
    return {"heads": heads.pop()}


def _check_settings(told):
    for name, choices in {"predicts": ("x", "v"), "method": ("heun", "euler")}.items():
        if told[name] not in choices:
            raise ValueError(f"network: {name} must be one of {', '.join(choices)}, got {told[name]!r}")
    if not 0 <= told["kept"] <= 1:
        raise ValueError(f"network: kept must be a share from 0 to 1, got {told['kept']!r}")
    if unknown := set(told) - set(NETWORK):
        raise ValueError(f"network: knows {', '.join(NETWORK)}, got {', '.join(sorted(unknown))}")


def _check_sizes(packed: Packed):
    """Blocks, patches in a row and steps of the packed network, or a ValueError where it is of another kind."""
    shapes = {name: shape for name, shape, *_ in packed.tensors}
    layers = sum(bool(re.fullmatch(r"looks\.\d+\.q\.weight", name)) for name in shapes)
    D, pixels = shapes.get("words.weight", [0, 0])[1], shapes.get("out.weight", [0])[0]
    steps = shapes.get("modulation.weight", [0, 0])[1]
    patch = next((side for side in range(1, SIZE + 1) if SIZE % side == 0 and side**2 * CHANNELS == pixels), SIZE)
    expected = {
        "words.weight": [len(VOCABULARY) + 1, D],
        "embed.project.weight": [D, patch**2 * CHANNELS],
        "encoder.attention.qkv.weight": [3 * D, D],
        "modulation.weight": [2 * D, steps],
        "out.weight": [patch**2 * CHANNELS, D],
    }
    for i in range(max(layers, 1)):
        expected |= {f"blocks.{i}.modulation.weight": [6 * D, steps], f"looks.{i}.kv.weight": [2 * D, D]}
    check_matrices(packed, expected, f"chapter 11's network, tabulated for {steps} steps")
    if "time.layers.0.weight" in shapes:
        raise ValueError("model: the page draws with the weights of a network that is `tabulated`, got one that knows all times")
    if "more.0.weight" in shapes:
        raise ValueError('model: the page knows a plain read-out and "product", got "deeper"')
    return {"layers": layers, "grid": SIZE // patch, "steps": steps}
