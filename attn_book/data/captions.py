"""Scenes of two handwritten digits that a caption of five words describes: "red 3 above blue 7"."""

from dataclasses import dataclass

import numpy as np

from attn_book.data.checks import check_choice, check_whole
from attn_book.data.drawing import COLOURS, PALETTE
from attn_book.data.mnist import PER_DIGIT
from attn_book.data.twins import SIDE, half_size

RELATIONS = ("above", "below", "left of", "right of")
VOCABULARY = (*COLOURS, *"0123456789", *RELATIONS)  # 21 words; a caption holds their places in this list
PAIRS = ("train", "validation", "test", "all")
MOST = len(COLOURS)
FAINT = 0.25  # ink below this is no part of a mask: strokes can be thinner than a pixel
SIZE = 2 * SIDE  # px, of the square scene
COLOUR, DIGIT, RELATION, OTHER_COLOUR, OTHER_DIGIT = range(5)  # the words of a caption
_DIGITS, _RELATIONS = len(COLOURS), len(COLOURS) + 10  # where these begin in the vocabulary
# Upper left corners in px, row and column, of the first and the second digit named, for each relation.
_HALF = SIDE // 2
_ABOVE, _LEFT = ((0, _HALF), (SIDE, _HALF)), ((_HALF, 0), (_HALF, SIDE))
CORNERS = np.array([_ABOVE, _ABOVE[::-1], _LEFT, _LEFT[::-1]])  # (4, 2, 2)


@dataclass(frozen=True)
class CaptionedScenes:
    """Scenes and what describes them.

    Attributes:
        images: (n, 3, 28, 28) float32 in [0, 1], digits on black.
        captions: (n, 5) int64, places in `VOCABULARY`: colour, digit, relation, colour, digit.
        masks: (n, 2, 28, 28) bool, the pixels of the first and of the second digit named: more than a quarter of its colour.
    """

    images: np.ndarray
    captions: np.ndarray
    masks: np.ndarray

    @property
    def regions(self):
        """(n, 5, 28, 28) bool, what each word is about: colour and digit their own digit, the relation both."""
        first, second = self.masks[:, :1], self.masks[:, 1:]
        return np.concatenate([first, first, first | second, second, second], 1)


def captioned_scenes(captions, *, seed, split="train"):
    """A scene for each caption: two scans of the digits it names, in its colours, side by side or one above the other.

    Args:
        captions: (n, 5) whole numbers, as from `random_captions` or `caption`.
        seed: a whole number of at least 0: which scans are taken.
        split: "train", "judge", "validation" or "test": whose scans, as in `mnist_digits`.

    Returns:
        CaptionedScenes.

    Raises:
        ValueError: for an argument outside its range, or a caption that is none.

    Examples:
        >>> scene = captioned_scenes(caption("red 3 above blue 7")[None], seed=0)
        >>> scene.images.shape, scene.masks.shape, scene.regions.shape
        ((1, 3, 28, 28), (1, 2, 28, 28), (1, 5, 28, 28))
    """
    captions = check_captions(captions)
    check_choice("split", split, tuple(PER_DIGIT))
    rng = np.random.default_rng([check_whole("seed", seed, 0), tuple(PER_DIGIT).index(split)])
    scans, labels = half_size(split)
    of_digit = np.argsort(labels, kind="stable").reshape(10, -1)  # (10, scans of each)
    n = len(captions)
    images, masks = np.zeros((n, 3, SIZE, SIZE), np.float32), np.zeros((n, 2, SIZE, SIZE), bool)
    for k, (colour, digit, corner) in enumerate(objects(captions)):
        ink = scans[of_digit[digit, rng.integers(of_digit.shape[1], size=n)], 0]  # (n, 14, 14)
        rows = corner[:, 0, None, None] + np.arange(SIDE)[:, None]
        columns = corner[:, 1, None, None] + np.arange(SIDE)
        each = np.arange(n)[:, None, None]
        masks[each, k, rows, columns] = ink > FAINT
        for c in range(3):  # slots do not overlap
            images[each, c, rows, columns] = ink * PALETTE[colour, c, None, None]
    return CaptionedScenes(images, captions, masks)


def random_captions(n, *, seed, pairs="train", colours=MOST, held=0):
    """Captions of two digits in two different colours, drawn evenly from all that may come.

    A colour and a digit are a *pair*. Some pairs are held out (`held_out`) and never stand in a caption for training.

    Args:
        n: how many, at least 1.
        seed: a whole number of at least 0.
        pairs: "train" (no pair that is held out), "validation" or "test" (at least one pair held out for this, and none that is held
            out for the other), or "all".
        colours: how many colours there are: the first so many of `COLOURS`, 2 to 7.
        held: seed of which pairs are held out.

    Returns:
        (n, 5) int64, places in `VOCABULARY`.

    Raises:
        ValueError: for an argument outside its range.
    """
    n, rng = check_whole("n", n, 1), np.random.default_rng([check_whole("seed", seed, 0), 5])
    check_choice("pairs", pairs, PAIRS)
    known = every_caption(colours)
    if pairs != "all":
        out = held_out(colours, held)
        wanted = {part: new_objects(known, new) for part, new in out.items()}  # (captions, 2) each
        inside = wanted[pairs].any(1) if pairs in wanted else np.ones(len(known), bool)
        barred = np.any([part.any(1) for name, part in wanted.items() if name != pairs], axis=0)
        known = known[inside & ~barred]
    return known[rng.integers(len(known), size=n)]


def every_caption(colours=MOST):
    """All captions of two digits in two different colours, (colours · (colours − 1) · 400, 5)."""
    colours = check_whole("colours", colours, 2, MOST)
    parts = np.meshgrid(range(colours), range(10), range(4), range(colours), range(10), indexing="ij")
    some = np.stack([part.ravel() for part in parts], 1) + [0, _DIGITS, _RELATIONS, 0, _DIGITS]
    return some[some[:, COLOUR] != some[:, OTHER_COLOUR]]


def held_out(colours=MOST, seed=0):
    """Which pairs of colour and digit training never sees: one digit of each colour for validation, another for the test.

    Args:
        colours: how many colours, 2 to 7.
        seed: a whole number of at least 0; other seeds hold out other pairs.

    Returns:
        {"validation": (colours, 10) bool, "test": (colours, 10) bool}. Within each no digit is taken twice, so that every digit is
        seen in most colours.

    Raises:
        ValueError: for an argument outside its range.
    """
    colours = check_whole("colours", colours, 2, MOST)
    rng = np.random.default_rng([check_whole("seed", seed, 0), 6])
    order, step = rng.permutation(10), rng.integers(1, 10)
    digits = {"validation": order[:colours], "test": np.roll(order, step)[:colours]}
    return {part: np.arange(10) == chosen[:, None] for part, chosen in digits.items()}


def new_objects(captions, pairs):
    """Which of the two digits of each caption are one of some pairs.

    Args:
        captions: (n, 5).
        pairs: (colours, 10) bool, such as one of `held_out`.

    Returns:
        (n, 2) bool, for the first and the second digit named.
    """
    return np.stack([pairs[colour, digit] for colour, digit, _ in objects(captions)], 1)


def objects(captions):
    """What a caption says of its two digits: for each a triple (colour (n,), digit (n,), upper left corner (n, 2) in px).

    The colour is a place in `COLOURS`, the digit 0 to 9, the corner row and column of its 14 × 14 px.
    """
    corners = CORNERS[captions[:, RELATION] - _RELATIONS]  # (n, 2, 2)
    return [
        (captions[:, COLOUR], captions[:, DIGIT] - _DIGITS, corners[:, 0]),
        (captions[:, OTHER_COLOUR], captions[:, OTHER_DIGIT] - _DIGITS, corners[:, 1]),
    ]


def caption(text):
    """The words of a caption as places in `VOCABULARY`, (5,) int64.

    Args:
        text: such as "red 3 above blue 7".

    Raises:
        ValueError: a word that is not in the vocabulary or stands where it may not, or one colour twice; the error names it.

    Examples:
        >>> caption("red 3 left of blue 7").tolist()
        [0, 10, 19, 4, 14]
    """
    found = str(text).replace("left of", "left_of").replace("right of", "right_of").split()
    found = [word.replace("_", " ") for word in found]
    if len(found) != 5:
        raise ValueError(f'text must have five words, such as "red 3 above blue 7", got {text!r}')
    for word in found:
        if word not in VOCABULARY:
            raise ValueError(f"text must be made of {', '.join(VOCABULARY)}; got {word!r}")
    return check_captions(np.array([[VOCABULARY.index(word) for word in found]]))[0]


def sentence(one):
    """A caption (5,) as a sentence."""
    return " ".join(VOCABULARY[word] for word in check_captions(np.asarray(one)[None])[0])


def check_captions(captions):
    """The captions as (n, 5) int64, once each has a colour, a digit, a relation, another colour and a digit in this order."""
    captions = np.asarray(captions)
    if captions.ndim != 2 or captions.shape[1] != 5 or captions.dtype.kind not in "iu":
        raise ValueError(f"captions must be (n, 5) whole numbers, got {captions.dtype} of shape {captions.shape}")
    low = np.array([0, _DIGITS, _RELATIONS, 0, _DIGITS])
    high = np.array([_DIGITS, _RELATIONS, len(VOCABULARY), _DIGITS, _RELATIONS])
    wrong = np.argwhere((captions < low) | (captions >= high))
    if len(wrong):
        row, place = wrong[0]
        kind = ("a colour", "a digit", "a relation", "a colour", "a digit")[place]
        got = captions[row, place]
        word = repr(VOCABULARY[got]) if 0 <= got < len(VOCABULARY) else got
        raise ValueError(f"word {place + 1} of a caption must be {kind}, got {word} in caption {row}")
    same = np.flatnonzero(captions[:, COLOUR] == captions[:, OTHER_COLOUR])
    if len(same):
        raise ValueError(f"the two colours of a caption must differ, got {VOCABULARY[captions[same[0], COLOUR]]!r} twice")
    return captions.astype(np.int64)
