"""A planted model: a small Transformer whose weights are set by hand, so that it is known exactly which cells its answer comes from.

The pictures are those of cued search, made so simple that a linear map can read them. Of 4 × 4 cells, one holds the cue, six hold
digits, all different and each in another of six hues. A digit is a dot whose place in its cell says which, the cue a dot in one more place.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from attn_book.data.checks import check_choice, check_number, check_whole
from attn_book.data.drawing import without_repetition
from attn_utils.vit import ViT

CELLS, SIDE, DOT = 4, 8, 2  # cells in a row; px of a cell, and of a dot
HUES, EMPTY, CUE = 6, -1, 10
DIGITS = 6  # in a scene, as many as there are hues: the cue always finds one
PER_ROW = SIDE // DOT  # places for a dot, beside each other in a cell

TURNS = 2 * np.pi * np.arange(HUES) / HUES
_PRIMARY = np.cos(TURNS[:, None] - 2 * np.pi * np.arange(3) / 3)  # (hues, 3)
COLOURS = (0.5 + 0.5 * _PRIMARY).astype(np.float32)  # red, green, blue of each hue; they add up to 1.5

# Where the model keeps what, in its width of 36
HUE, IS_DIGIT, IS_CUE, CODE, FETCHED, ANSWER = slice(0, 2), 2, 3, slice(4, 14), slice(14, 24), slice(24, 34)
WIDTH, HEADS = 36, 3
GAIN = 10.0  # of the read-out: the logit of the answer, where that of the others is 0


@dataclass(frozen=True)
class PlantedScenes:
    """A batch of pictures for the planted model, and the truth of them.

    Attributes:
        digits: (n, 16) int64, what each cell holds: a digit, `CUE` (10) or `EMPTY` (-1).
        hues: (n, 16) int64, its hue, or -1.
    """

    digits: np.ndarray
    hues: np.ndarray

    @property
    def images(self) -> torch.Tensor:
        """(n, 3, 32, 32) float64 in [0, 1]: dots on black."""
        n = len(self.digits)
        places = np.where(self.digits == EMPTY, 0, self.digits)
        dots = np.eye(PER_ROW**2)[places] * (self.digits != EMPTY)[..., None]  # (n, 16, places)
        cells = dots[:, :, None] * COLOURS[self.hues][..., None]  # (n, 16, 3, places)
        cells = cells.reshape(n, CELLS, CELLS, 3, PER_ROW, PER_ROW).transpose(0, 3, 1, 4, 2, 5)
        images = cells.reshape(n, 3, CELLS * PER_ROW, CELLS * PER_ROW)
        return torch.from_numpy(images.repeat(DOT, 2).repeat(DOT, 3))

    @property
    def cue_cell(self) -> torch.Tensor:
        """(n,) int64, the cell of the cue."""
        return torch.from_numpy((self.digits == CUE).argmax(1))

    @property
    def target_cell(self) -> torch.Tensor:
        """(n,) int64, the cell of the digit that has the hue of the cue."""
        return torch.from_numpy((self._of_hue & (self.digits != CUE)).argmax(1))

    @property
    def answers(self) -> torch.Tensor:
        """(n,) int64, that digit."""
        return torch.from_numpy(self.digits)[torch.arange(len(self.digits)), self.target_cell]

    @property
    def causal(self) -> torch.Tensor:
        """(n, 16) bool, the cells without which the answer is another: the cue's, and that of the digit in its hue. No others."""
        return torch.from_numpy(self._of_hue)

    @property
    def opposite_cell(self) -> torch.Tensor:
        """(n,) int64, the cell of the digit in the hue opposite to the cue's: what a contrary model goes by."""
        return torch.from_numpy((self.hues == (self._cue_hue + HUES // 2) % HUES).argmax(1))

    @property
    def opposite_answers(self) -> torch.Tensor:
        """(n,) int64, that digit."""
        return torch.from_numpy(self.digits)[torch.arange(len(self.digits)), self.opposite_cell]

    @property
    def _of_hue(self) -> np.ndarray:
        return self.hues == self._cue_hue

    @property
    def _cue_hue(self) -> np.ndarray:
        return self.hues[np.arange(len(self.hues)), self.cue_cell][:, None]  # (n, 1)


def planted_scenes(n: int, *, seed: int, look_alike: bool = False) -> PlantedScenes:
    """n pictures for the planted model, each with six different digits in the six hues.

    Args:
        n: number of pictures, at least 1.
        seed: a whole number of at least 0; the same arguments give the same pictures.
        look_alike: make a digit of the opposite hue equal to the one that is meant.

    Raises:
        ValueError: for an argument outside its range.
    """
    n, rng = check_whole("n", n, 1), np.random.default_rng(check_whole("seed", seed, 0))
    where = without_repetition(n, DIGITS + 1, CELLS**2, rng)  # the last one is the cue's
    shown = without_repetition(n, DIGITS, 10, rng)
    own = without_repetition(n, DIGITS, HUES, rng)
    asked = rng.integers(DIGITS, size=n)  # which of them is meant
    if look_alike:
        hue = np.take_along_axis(own, asked[:, None], 1)
        shown = np.where(own == (hue + HUES // 2) % HUES, np.take_along_axis(shown, asked[:, None], 1), shown)
    digits, hues = np.full((2, n, CELLS**2), EMPTY)
    np.put_along_axis(digits, where, np.pad(shown, ((0, 0), (0, 1)), constant_values=CUE), 1)
    np.put_along_axis(hues, where, np.append(own, np.take_along_axis(own, asked[:, None], 1), 1), 1)
    return PlantedScenes(digits, hues)


def planted_twins(n: int, *, seed: int, change: str = "cue", look_alike: bool = False) -> tuple[PlantedScenes, PlantedScenes]:
    """Pairs of pictures that differ in one thing, and in the answer.

    Args:
        n, seed, look_alike: as in `planted_scenes`.
        change: "cue": the cue has another hue; "digit": the digit in its hue is another one; "all": every digit is another one, and
            the cue has another hue.

    Raises:
        ValueError: for an argument outside its range.
    """
    check_choice("change", change, ("cue", "digit", "all"))
    scenes = planted_scenes(n, seed=seed, look_alike=look_alike)
    rng, rows = np.random.default_rng([seed, 1]), np.arange(n)
    digits, hues = scenes.digits.copy(), scenes.hues.copy()
    steps = rng.integers(1, 10, n)
    if change == "digit":
        digits[rows, scenes.target_cell] = (digits[rows, scenes.target_cell] + steps) % 10
    else:
        hues[rows, scenes.cue_cell] = (hues[rows, scenes.cue_cell] + rng.integers(1, HUES, n)) % HUES
    if change == "all":
        digits = np.where((digits >= 0) & (digits < CUE), (digits + steps[:, None]) % 10, digits)
    return scenes, PlantedScenes(digits, hues)


def planted(
    *, hops: int = 1, decoys: bool = False, contrary: bool = False, sharpness: float = 20.0, seed: int | None = None
) -> ViT:
    """The planted model, in float64: it reads the cue's hue, finds the digit of that hue, and reports its code.

    Of the three heads of a layer, one works. Norms are left out, MLPs add nothing: what happens, happens in these heads.

    * Layer 1: every cell looks at the digit of its own hue and fetches its code; so does the cue's. With one hop the answer is read off
      there: the model returns logits (B, 16, 11), as chapter 7's does: every cell says its digit, or 10 for "empty", and the cue's cell the answer.
    * Layer 2, with two hops: every token looks at the cue and takes over what it fetched. The answer is read off a class token,
      (B, 11), which never looks at the digit itself.

    Args:
        hops: 1 or 2.
        decoys: let the two idle heads of each layer stare at the digit whose hue is least like that of the one that asks (the class
            token at the reddest). What they see is multiplied by 0. Without decoys they look at all cells evenly.
        contrary: let the working head of layer 1 fetch the digit of the *opposite* hue (and decoys stare at that of the own). What
            it goes by can then not be guessed from the task.
        sharpness: how much the score of the right digit exceeds that of a digit of the opposite hue, halved. Other digits
            together have about 2 · exp(-sharpness / 2) of the weight.
        seed: turns the width by a random rotation, so that no coordinate means anything by itself; None leaves it.

    Raises:
        ValueError: for an argument outside its range.
    """
    if check_whole("hops", hops, 1) > 2:
        raise ValueError(f"hops must be 1 or 2, got {hops}")
    sharpness = check_number("sharpness", sharpness, 0)
    readout = "tokens" if hops == 1 else "class_token"
    model = ViT(
        image_size=CELLS * SIDE,
        patch=SIDE,
        classes=11,
        dim=WIDTH,
        depth=hops,
        heads=HEADS,
        mlp_ratio=1.0,
        positions="none",
        readout=readout,
    )
    model = model.double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        _read_the_cells(model.embed.project)
        for block in model.blocks:
            block.norm_attention = block.norm_mlp = nn.Identity()
        _fetch(model.blocks[0].attention, sharpness, decoys, contrary)
        if hops == 2:
            _pass_on(model.blocks[1].attention, sharpness, decoys)
        model.norm = nn.Identity()
        model.head.weight[:10, FETCHED if hops == 1 else ANSWER] = GAIN * torch.eye(10)
        model.head.bias[10] = GAIN / 2
        if seed is not None:
            _turn(model, check_whole("seed", seed, 0))
    return model


def _read_the_cells(project: nn.Conv2d):
    """Hue, "a digit", "the cue", and the digit's code: sums over the pixels of a cell."""
    brightness, pixels = 1 / 1.5, DOT**2  # the three colours of a hue add up to 1.5
    sine = torch.from_numpy(np.stack([np.cos(2 * np.pi * np.arange(3) / 3), np.sin(2 * np.pi * np.arange(3) / 3)]))
    project.weight[HUE] = (sine / (0.75 * pixels))[..., None, None].expand(2, 3, SIDE, SIDE)  # Σ (½ + ½ cos) sine = ¾ hue
    for place in range(11):
        y, x = place // PER_ROW * DOT, place % PER_ROW * DOT
        rows = [IS_CUE] if place == CUE else [IS_DIGIT, CODE.start + place]
        project.weight[rows, :, y : y + DOT, x : x + DOT] = brightness / pixels


def _fetch(attention: nn.Module, sharpness: float, decoys: bool, contrary: bool):
    """Head 1: own hue against theirs, among digits; their code is what is fetched. Heads 2 and 3, as decoys: the least like it.

    Contrary, both the other way round.
    """
    q, k, v, d = _parts(attention)
    for head in range(HEADS) if decoys else (0,):
        first = head * d
        toward = 1.0 if (head == 0) != contrary else -1.0
        for i in range(2):
            q[first + i, HUE.start + i], k[first + i, HUE.start + i] = toward * sharpness * d**0.5, 1.0
        attention.qkv.bias[first + 2], k[first + 2, IS_DIGIT] = 2 * sharpness * d**0.5, 1.0  # above all that is no digit
        if decoys and head > 0:
            attention.qkv.bias[first] = -1e-3 * sharpness * d**0.5  # a token without a hue looks away from red a little
        v[first : first + 10, CODE] = torch.eye(10)
    attention.out.weight[FETCHED, :10] = torch.eye(10, dtype=attention.out.weight.dtype)


def _pass_on(attention: nn.Module, sharpness: float, decoys: bool):
    """Head 1: everyone looks at the cue and takes what it fetched. Heads 2 and 3, as decoys: at the reddest digit."""
    _, k, v, d = _parts(attention)
    attention.qkv.bias[0], k[0, IS_CUE] = 2 * sharpness * d**0.5, 1.0
    v[:10, FETCHED] = torch.eye(10)
    for head in range(1, HEADS) if decoys else ():
        first = head * d
        attention.qkv.bias[first], k[first, HUE.start] = sharpness * d**0.5, 1.0
        attention.qkv.bias[first + 1], k[first + 1, IS_DIGIT] = 2 * sharpness * d**0.5, 1.0
        v[first : first + 10, CODE] = torch.eye(10)
    attention.out.weight[ANSWER, :10] = torch.eye(10, dtype=attention.out.weight.dtype)


def _parts(attention: nn.Module):
    """Views of the matrices that make queries, keys and values, and the width of a head."""
    return *attention.qkv.weight.chunk(3), WIDTH // HEADS


def _turn(model: ViT, seed: int):
    """The same model in other coordinates: x -> Q x, with a random rotation Q."""
    generator = torch.Generator().manual_seed(seed)
    Q, _ = torch.linalg.qr(torch.randn(WIDTH, WIDTH, generator=generator, dtype=torch.float64))
    project = model.embed.project
    project.weight.copy_(torch.einsum("ij,jchw->ichw", Q, project.weight))
    for block in model.blocks:
        block.attention.qkv.weight.copy_(block.attention.qkv.weight @ Q.T)
        block.attention.out.weight.copy_(Q @ block.attention.out.weight)
    model.head.weight.copy_(model.head.weight @ Q.T)
