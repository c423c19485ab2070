"""Two captions are true of every scene, "red 3 above blue 7" and "blue 7 below red 3": what a written caption is worth."""

import numpy as np

from attn_book.arrays import as_array
from attn_book.data.captions import COLOUR, DIGIT, OTHER_COLOUR, OTHER_DIGIT, RELATION, RELATIONS, VOCABULARY, check_captions

_FIRST = VOCABULARY.index(RELATIONS[0])  # above, below, left of, right of: each beside its opposite
PARTS = {"colours": [COLOUR, OTHER_COLOUR], "digits": [DIGIT, OTHER_DIGIT], "relation": [RELATION]}


def other_way(captions):
    """The same scenes, told from the other digit: "red 3 above blue 7" becomes "blue 7 below red 3".

    Args:
        captions: (n, 5), as in `attn_book.data.captions`.

    Returns:
        (n, 5) int64; told the other way twice, a caption is what it was.

    Raises:
        ValueError: captions that are none.
    """
    captions = check_captions(as_array(captions, "captions"))
    turned = captions[:, [OTHER_COLOUR, OTHER_DIGIT, RELATION, COLOUR, DIGIT]]
    turned[:, RELATION] = _FIRST + ((turned[:, RELATION] - _FIRST) ^ 1)
    return turned


def from_above_or_left(captions):
    """The one of the two true captions that begins with the upper or the left digit, (n, 5) int64.

    Raises:
        ValueError: captions that are none.
    """
    captions = check_captions(as_array(captions, "captions"))
    begins = (captions[:, RELATION] - _FIRST) % 2 == 0
    return np.where(begins[:, None], captions, other_way(captions))


def compare(written, captions):
    """How much of each written caption is true of its scene: held against the one of the two true captions that it agrees with more.

    Args:
        written: (n, 5) whole numbers, any words of the vocabulary in any order.
        captions: (n, 5), one true caption of each scene.

    Returns:
        {name: (n,) float64 in [0, 1]}: "exact" (all five words), "words" (the share that is right), and the share among "colours",
        "digits" and "relation".

    Raises:
        ValueError: captions that are none, or written ones of another shape.
    """
    captions, written = check_captions(as_array(captions, "captions")), as_array(written, "written")
    if written.shape != captions.shape:
        raise ValueError(f"written must be {captions.shape}, one caption a scene; got {written.shape}")
    agree = np.stack([written == captions, written == other_way(captions)])  # (2, n, 5)
    right = np.where((agree[0].sum(1) >= agree[1].sum(1))[:, None], *agree)  # (n, 5)
    shares = {name: right[:, places].mean(1) for name, places in PARTS.items()}
    return {"exact": right.all(1).astype(float), "words": right.mean(1), **shares}
