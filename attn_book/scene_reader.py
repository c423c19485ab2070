"""What a scene of two coloured digits shows, read without its caption's help; and whether that is what the caption says.

Colours and places need no classifier: the palette and the slots are known. Digits are read by `attn_book.judges`, from ink alone, so
that no colour can tell it what digit to expect.
"""

from dataclasses import dataclass

import numpy as np
import torch

from attn_book.arrays import as_array
from attn_book.data.captions import SIDE, SIZE, check_captions, objects
from attn_book.data.drawing import COLOURS, PALETTE
from attn_book.judges import digit_judge

INSIDE = 0.85  # share of all ink that must lie in the two slots that the caption names
LITTLE = 4.0  # a slot with less ink than so many full pixels is empty


@dataclass(frozen=True)
class Reading:
    """What stands in the two slots that each caption names.

    Attributes:
        colours: (n, 2) int64, places in `COLOURS`; -1 where a slot is empty.
        digits: (n, 2) int64; -1 where a slot is empty.
        inside: (n,) float64, share of all ink that lies in the two slots.
        sure: (n, 2) float64, what probability the judge gives to the digit that it read; 0 where a slot is empty.
    """

    colours: np.ndarray
    digits: np.ndarray
    inside: np.ndarray
    sure: np.ndarray


def read_scenes(images, captions):
    """Look into the two slots that each caption names.

    The colour of a slot is what most of its ink is nearest to, by direction; the digit is what the judge reads from the ink.

    Args:
        images: (n, 3, 28, 28) in [0, 1], arrays or tensors; cut off outside.
        captions: (n, 5), as in `attn_book.data.captions`; only the relation is looked at.

    Returns:
        A `Reading`.

    Raises:
        ValueError: other shapes, or captions that are none.
    """
    images = np.clip(as_array(images, "images"), 0, 1).astype(np.float32)
    captions = check_captions(as_array(captions, "captions"))
    n = len(captions)
    if images.shape != (n, 3, SIZE, SIZE):
        raise ValueError(f"images must be ({n}, 3, {SIZE}, {SIZE}), one for each caption; got {images.shape}")
    each, judge = np.arange(n)[:, None, None], digit_judge(SIDE)
    colours, digits, inked, sure = [], [], [], []
    for _, _, corner in objects(captions):
        rows = corner[:, 0, None, None] + np.arange(SIDE)[:, None]
        columns = corner[:, 1, None, None] + np.arange(SIDE)
        slot = images[each, :, rows, columns].transpose(0, 3, 1, 2)  # (n, 3, 14, 14)
        colour, amount = _colour(slot)
        paint = PALETTE[colour]
        ink = np.einsum("nchw, nc -> nhw", slot, paint) / (paint**2).sum(1)[:, None, None]  # 1 in the full colour
        chances, found = judge(torch.from_numpy(ink[:, None].clip(0, 1).astype(np.float32))).softmax(1).max(1)
        empty = ink.sum((1, 2)) < LITTLE
        colours.append(np.where(empty, -1, colour))
        digits.append(np.where(empty, -1, found.numpy()))
        sure.append(np.where(empty, 0.0, chances.numpy()))
        inked.append(amount)
    share = np.sum(inked, 0) / np.maximum(images.max(1).sum((1, 2)), 1e-6)
    return Reading(np.stack(colours, 1), np.stack(digits, 1), share, np.stack(sure, 1))


def follows(reading, captions):
    """Is what was read what the captions say? One answer for each scene, and where scenes err, how.

    Args:
        reading: a `Reading`.
        captions: (n, 5), those that were asked for.

    Returns:
        {name: (n,) bool}: "places" (the ink lies in the slots named), "colours" and "digits" (both right), "relation" (the places,
        and not with the two colours exchanged), "all"; the errors "colours exchanged" and "digits exchanged" (each has the other's).
    """
    (first, digit, _), (second, other, _) = objects(check_captions(as_array(captions, "captions")))
    colours, digits = np.stack([first, second], 1), np.stack([digit, other], 1)
    right = (reading.colours == colours).all(1), (reading.digits == digits).all(1)
    exchanged = (reading.colours == colours[:, ::-1]).all(1)
    places = reading.inside >= INSIDE
    return {
        "places": places,
        "colours": right[0],
        "digits": right[1],
        "relation": places & ~exchanged,
        "all": places & right[0] & right[1],
        "colours exchanged": exchanged,
        "digits exchanged": (reading.digits == digits[:, ::-1]).all(1) & (digits[:, 0] != digits[:, 1]),
    }


def _colour(slot):
    """The colour nearest to most of the ink of each slot (n, 3, h, w), and how much ink there is, in full pixels: (n,) each."""
    amount = slot.max(1)  # (n, h, w)
    directions = PALETTE / np.linalg.norm(PALETTE, axis=1, keepdims=True)
    nearest = np.einsum("nchw, kc -> nkhw", slot, directions).argmax(1)  # the length of a pixel is the same for all
    votes = np.stack([(amount * (nearest == k)).sum((1, 2)) for k in range(len(COLOURS))], 1)
    return votes.argmax(1), amount.sum((1, 2))
