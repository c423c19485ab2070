"""Clips: a digit moves across a photograph, and a rival meets it half-way, unlike it, like it, or its exact copy."""

from dataclasses import dataclass

import numpy as np

from attn_book.data import drawing
from attn_book.data.checks import check_choice, check_number, check_size, check_whole
from attn_book.data.drawing import PALETTE
from attn_book.data.material import SPLITS, digit_scans, generator

# What the rival shares with the target
RIVALS = ("nothing", "class", "colour", "class and colour", "everything")
TURN, GROW = 2.0, 0.006  # of a digit, in one frame: degrees at most, and share of its size


@dataclass(frozen=True)
class Clips:
    """A batch of clips and their truth.

    Attributes:
        frames: (n, T, 3, H, W) float32 in [0, 1].
        masks, rival_masks: (n, T, H, W) bool, the visible pixels of the target and of the rival.
        centres, rival_centres: (n, T, 2) float32 px, x and y of their middles; covered or not.
        crossing: (n,) int64, the frame in which the two meet.
        bounced: (n,) bool: whether each then went on along the other's line, instead of its own.
    """

    frames: np.ndarray
    masks: np.ndarray
    rival_masks: np.ndarray
    centres: np.ndarray
    rival_centres: np.ndarray
    crossing: np.ndarray
    bounced: np.ndarray


def clips(n, *, seed, rival, split="train", size=40, frames=16, digit_size=12.0, bounces=0.5, noise=0.02):
    """n clips in which two digits meet, one covering the other, and part again.

    Both move at a steady pace, turn and grow or shrink a little; the camera pans. Where they meet they pass through each other, or
    bounce: then each goes on along the other's line. A passing and a bounce of two exact copies are the same film.

    Args:
        n: number of clips, at least 1.
        seed: a whole number of at least 0; the same arguments give the same clips.
        rival: what the rival shares with the target, one of `RIVALS`: "class" is another scan of its digit in another colour,
            "everything" an exact copy, which turns and grows as the target does.
        split: "train", "validation" or "test": which scans, and which strip of each photograph.
        size: side of a square frame in px, or (height, width); at least twice the digits' size.
        frames: T, at least 8. They meet a little before the middle or in it.
        digit_size: px, side of a whole scan; at least 6.
        bounces: share of the clips in which they bounce.
        noise: standard deviation, in every frame anew; the pictures' own numbers lie in [0, 1].

    Returns:
        Clips.

    Raises:
        ValueError: for an argument outside its range.

    Examples:
        >>> made = clips(3, seed=0, rival="class", frames=10)
        >>> made.frames.shape, made.masks.shape, made.centres.shape
        ((3, 10, 3, 40, 40), (3, 10, 40, 40), (3, 10, 2))
    """
    n, T = check_whole("n", n, 1), check_whole("frames", frames, 8)
    check_choice("rival", rival, RIVALS)
    check_choice("split", split, SPLITS)
    digit_size = check_number("digit_size", digit_size, 6)
    height, width = check_size("size", size, int(np.ceil(2 * digit_size)))
    bounces, noise = check_number("bounces", bounces, 0, 1), check_number("noise", noise, 0)
    rng = generator(seed, split)

    scans, colours = _cast(n, rival, split, rng)  # (n, 2, P, P), (n, 2): target and rival
    crossing = rng.integers((3 * T) // 8, T // 2 + 1, n)
    bounced = rng.random(n) < bounces
    centres = _paths(n, T, height, width, digit_size, crossing, bounced, rng)  # (n, T, 2, 2)
    sides, angles = _sizes_and_turns(n, T, digit_size, rival, rng)  # (n, T, 2)

    whole = np.round(centres).astype(np.int64)
    drawn = drawing.rotate_and_scale(
        np.repeat(scans[:, None], T, 1).reshape(-1, *scans.shape[2:]),
        sides.ravel(),
        angles.ravel(),
        (centres - whole).reshape(-1, 2),
    )
    corners = whole.reshape(-1, 2) - drawn.shape[-1] // 2
    inks = drawing.paste(drawn, corners, height, width).reshape(n, T, 2, height, width)

    film = _panned(n, T, height, width, split, rng)
    masks = np.zeros((n, T, 2, height, width), bool)
    behind = rng.integers(2, size=n)  # which of the two the other covers
    for who in (behind, 1 - behind):
        ink = inks[np.arange(n), :, who]  # (n, T, H, W)
        colour = PALETTE[colours[np.arange(n), who]]
        drawing.blend(film.reshape(-1, 3, height, width), ink.reshape(-1, height, width), np.repeat(colour, T, 0))
        covers = ink > 0.5
        masks &= ~covers[:, :, None]
        masks[np.arange(n), :, who] = covers
    film = np.clip(film + noise * rng.standard_normal(film.shape, dtype=np.float32), 0, 1)
    centres = centres.astype(np.float32)
    return Clips(film, masks[:, :, 0], masks[:, :, 1], centres[:, :, 0], centres[:, :, 1], crossing, bounced)


def _cast(n, rival, split, rng):
    """Scans (n, 2, P, P) and numbers of colours (n, 2) of target and rival."""
    scans, labels = digit_scans(split)
    target = rng.integers(len(scans), size=n)
    if rival == "everything":
        other = target
    else:
        alike = labels[target][:, None] == labels  # (n, scans)
        alike[np.arange(n), target] = False
        allowed = alike if rival.startswith("class") else labels[target][:, None] != labels
        other = np.where(allowed, rng.random(alike.shape), -1).argmax(1)
    colours = drawing.without_repetition(n, 2, len(PALETTE), rng)
    if rival in ("colour", "class and colour", "everything"):
        colours[:, 1] = colours[:, 0]
    return scans[np.stack([target, other], 1)], colours


def _paths(n, T, height, width, digit_size, crossing, bounced, rng):
    """(n, T, 2, 2) px: x and y of the target and of the rival in each frame."""
    middle = np.array([width, height]) / 2
    room = min(height, width) / 2 - digit_size / 2  # from the middle to where a digit touches the edge
    meeting = middle + rng.uniform(-0.15, 0.15, (n, 2)) * room
    longest = np.maximum(crossing, T - 1 - crossing)
    pace = rng.uniform(0.75, 0.95, (n, 2)) * room / longest[:, None]  # px a frame; target and rival
    direction = 2 * np.pi * rng.random(n)
    apart = np.pi * rng.uniform(1 / 3, 1, n) * rng.choice([-1, 1], n)  # from one direction to the other
    angle = np.stack([direction, direction + apart], 1)
    velocity = pace[..., None] * np.stack([np.cos(angle), np.sin(angle)], -1)  # (n, 2 digits, 2)
    offset = rng.uniform(-1, 1, (n, 2, 2))  # so that they need not cover each other wholly
    time = np.arange(T) - crossing[:, None]  # (n, T)
    line = meeting[:, None, None] + offset[:, None] + velocity[:, None] * time[..., None, None]  # (n, T, 2 digits, 2)
    swapped = bounced[:, None] & (time >= 0)  # each then goes on along the other's line
    line = np.where(swapped[..., None, None], line[:, :, ::-1], line)
    return line + rng.uniform(-0.1, 0.1, line.shape)


def _sizes_and_turns(n, T, digit_size, rival, rng):
    """Sides in px and angles in rad, (n, T, 2) each."""
    time = np.arange(T)[None, :, None] - (T - 1) / 2
    grow, turn = rng.uniform(-GROW, GROW, (n, 1, 2)), np.radians(rng.uniform(-TURN, TURN, (n, 1, 2)))
    side, start = digit_size * rng.uniform(0.9, 1.1, (n, 1, 2)), np.radians(rng.uniform(-15, 15, (n, 1, 2)))
    if rival == "everything":
        for numbers in (grow, turn, side, start):
            numbers[..., 1] = numbers[..., 0]
    return side * (1 + grow * time), start + turn * time


def _panned(n, T, height, width, split, rng):
    """(n, T, 3, height, width) float32: a window that glides over a photograph, up to a pixel a frame."""
    still = drawing.backgrounds(n, height + T, width + T, "photo", split, rng)
    steps = rng.integers(-1, 2, (n, 2))
    corner = np.where(steps < 0, T - 1, 0)[:, None] + steps[:, None] * np.arange(T)[:, None]  # (n, T, 2)
    row = corner[..., :1, None] + np.arange(height)[:, None]
    column = corner[..., 1:, None] + np.arange(width)
    which = np.arange(n)[:, None, None, None]
    return np.moveaxis(still[which, :, row, column], -1, 2)
