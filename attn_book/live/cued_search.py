"""Chapter 7's network in the page: the reader recolours the cue, moves, swaps and draws digits, and sees what it answers."""

import numpy as np

from attn_book.data import drawing
from attn_book.data.drawing import COLOURS, PALETTE
from attn_book.data.material import digit_scans, generator
from attn_book.explorer.packing import data_url, resized
from attn_book.live.packing import Packed, check_matrices, pack, shares
from attn_book.live.page import Live
from attn_utils.vit import ViT

SIDE, CELLS, CELL = 32, 4, 8  # px of a picture; cells in a row of it; px of a cell
LAYERS, HEADS, CLASSES = 3, 2, 11
HANDS, BACKGROUNDS = 3, 5  # scans of each digit, and crops of photographs, that the page gets
DARKEST = 0.6  # where the values of a background end
TITLE = "Cued search, in your hands"
CAPTION = (
    "The network names the digit that has the colour of the square. It runs here, on your device. Give the cue another colour,"
    " move digits about, draw one; see what it answers and where the cue's cell looks."
)
# The scene at the start: place → (colour,) for the cue, (colour, digit, hand) for a digit
START = {
    0: ("red", 3, 0),
    3: ("cyan", 1, 1),
    5: ("yellow",),
    6: ("blue", 0, 0),
    8: ("white", 4, 2),
    11: ("yellow", 7, 0),
    14: ("green", 5, 1),
}
SKIPPED = ("positions",)  # sines and cosines, which the page computes


def cued_search(model, *, title=TITLE, caption=CAPTION, switches=False):
    """A network for cued search that runs in the page.

    Args:
        model: chapter 7's Vision Transformer for pictures of 32 × 32 px (a `ViT` of 3 blocks with 2 heads, behind the chapter's
            stem, that reads every cell), or its weights as `attn_book.live.load` reads them.
        title: heading of the figure, and its name for a screen reader.
        caption: a sentence under the title: what to try.
        switches: give every head a switch.

    Returns:
        `Live`, which shows as the last expression of a cell.

    Raises:
        ValueError: another kind of network.
    """
    if not isinstance(model, Packed):
        _check_kind(model)
        model, _ = pack(model, skip=SKIPPED)
    _check_sizes(model)
    payload = {"title": title, "caption": caption, "layers": LAYERS, "heads": HEADS, "switches": bool(switches), **ingredients()}
    payload["model"] = {"text": model.text, "tensors": model.tensors}
    still = data_url(resized(start_picture().transpose(1, 2, 0), 192, 192), 8_000)
    return Live("vit_engine.js", "cued_search.js", payload, title=title, still=("the scene", still), sentence=_sentence())


def ingredients():
    """What the page makes its scenes of: colours, scans and backgrounds of the test split, and the scene at the start."""
    scans, labels = digit_scans("test")
    crops = drawing.backgrounds(BACKGROUNDS, SIDE, SIDE, "photo", "test", generator(6, "test"))
    names = list(COLOURS)
    start = [START.get(place) for place in range(CELLS**2)]
    return {
        "colours": [[name, [round(float(share), 2) for share in colour]] for name, colour in COLOURS.items()],
        "hands": [[shares(scan) for scan in scans[labels == digit][:HANDS]] for digit in range(10)],
        "backgrounds": [shares(crop.transpose(1, 2, 0) / DARKEST) for crop in crops],
        "start": [cell and [names.index(cell[0]), *cell[1:]] for cell in start],
    }


def start_picture():
    """(3, 32, 32) float32: the scene at the start, as the page draws it."""
    picture = drawing.backgrounds(BACKGROUNDS, SIDE, SIDE, "photo", "test", generator(6, "test"))[:1]
    scans, labels = digit_scans("test")
    square = np.pad(np.ones((CELL - 2,) * 2, np.float32), 1)
    for place, (colour, *digit) in START.items():
        ink = scans[labels == digit[0]][digit[1]] if digit else square
        corner = np.array([[place % CELLS, place // CELLS]]) * CELL
        drawing.blend(picture, drawing.paste(ink[None], corner, SIDE, SIDE), PALETTE[[list(COLOURS).index(colour)]])
    return picture[0]


def _sentence():
    (cue,) = (colour for colour, *digit in START.values() if not digit)
    (meant,) = (digit for colour, digit, _ in (cell for cell in START.values() if len(cell) == 3) if colour == cue)
    return f"Six digits and a {cue} square: the network should answer {meant}"


def _check_kind(model):
    """What the weights alone do not tell."""
    if not isinstance(model, ViT):
        raise ValueError(f"model: must be a ViT, or weights as attn_book.live.load reads them, got {type(model).__name__}")
    heads = {getattr(getattr(block, "attention", None), "heads", None) for block in model.blocks}
    if heads != {HEADS}:
        raise ValueError(f"model: the page knows blocks of attention with {HEADS} heads, got {heads}")
    if model.readout != "tokens":
        raise ValueError(f'model: the page shows what every cell says, readout="tokens", got {model.readout!r}')
    if model.positions is None or model.positions.requires_grad or model.grid != (CELLS, CELLS):
        raise ValueError(f'model: the page computes positions="sincos" on {CELLS} × {CELLS} cells, got others')


def _check_sizes(packed: Packed):
    shapes = {name: shape for name, shape, *_ in packed.tensors}
    D = shapes.get("norm.weight", [0])[0]
    expected = {"embed.0.weight": [48, 4 * 4 * 3], "embed.3.weight": [D, 3 * 3 * 48], "head.weight": [CLASSES, D]}
    for layer in range(LAYERS):
        block = {"attention.qkv": [3 * D, D], "attention.out": [D, D], "mlp.0": [2 * D, D], "mlp.3": [D, 2 * D]}
        expected |= {f"blocks.{layer}.{name}.weight": shape for name, shape in block.items()}
    check_matrices(packed, expected, "chapter 7's network")
    if f"blocks.{LAYERS}.norm_mlp.weight" in shapes:
        raise ValueError(f"model: the page shows {LAYERS} blocks, got more")
