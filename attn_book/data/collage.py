"""Collages: shapes cut out of photographs, laid on a photograph, and clicks on them with the masks that can be meant."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from skimage import transform

from attn_book.data.checks import check_number, check_size, check_span, check_whole
from attn_book.data.material import PHOTOGRAPHS, TEXTURES, generator, photograph_strip

MATERIAL = PHOTOGRAPHS + TEXTURES
GAP = 2  # px at least between shapes that lie apart
CHUNK = 500  # collages drawn at a time, so that memory does not grow with n


@dataclass(frozen=True)
class Collages:
    """A batch of collages and their truth.

    A shape may carry a badge, a smaller shape of another texture. Whoever clicks on it may mean the badge or the whole: hence
    two numberings, which differ on badges alone.

    Attributes:
        images: (n, 3, H, W) float32 in [0, 1].
        parts: (n, H, W) uint8, the piece that shows at each pixel: 0 for the ground, then a number of its own for each shape,
            and for each badge.
        wholes: (n, H, W) uint8, the same with every badge counted to the shape that carries it.
    """

    images: np.ndarray
    parts: np.ndarray
    wholes: np.ndarray


@dataclass(frozen=True)
class Clicks:
    """Clicks on the pieces of collages (or of any pictures with numbered pieces), P on each picture.

    Attributes:
        places: (n, P, 2) int64 px, row and column.
        parts: (n, P, H, W) bool, the piece at that place.
        wholes: (n, P, H, W) bool, the shape that it belongs to: the same where there is no badge.
    """

    places: np.ndarray
    parts: np.ndarray
    wholes: np.ndarray


def collages(n, *, seed, split="train", size=64, shapes=(2, 5), alike=0.5, badges=0.2, noise=0.03):
    """n collages of shapes cut out of photographs, on a photograph, with exact truth.

    Shapes are ellipses, rectangles and wavy blobs with edges one or two pixels wide. In some collages each has a texture of its
    own and later ones may cover earlier ones. In the others (`alike`) all have one texture and about one size, and lie close
    together but apart: only their places tell them from each other.

    Args:
        n: number of collages, at least 1.
        seed: a whole number of at least 0; the same arguments give the same collages.
        split: "train", "validation" or "test": which strip of each photograph.
        size: side of the square picture in px, or (height, width); at least 32.
        shapes: how many shapes are laid on a collage: a number, or (fewest, most), both included; 1 to 20. Where shapes lie
            apart, one that finds no room is left out.
        alike: share of collages with one texture for all shapes.
        badges: share of shapes that carry a badge.
        noise: standard deviation of the grain added to every pixel and channel.

    Returns:
        Collages.

    Raises:
        ValueError: for an argument outside its range.

    Examples:
        >>> some = collages(4, seed=0, shapes=3)
        >>> some.images.shape, some.parts.shape
        ((4, 3, 64, 64), (4, 64, 64))
    """
    n = check_whole("n", n, 1)
    height, width = check_size("size", size, 32)
    shapes = check_span(check_whole, "shapes", shapes, 1, 20)
    alike = check_number("alike", alike, 0, 1)
    badges = check_number("badges", badges, 0, 1)
    noise = check_number("noise", noise, 0)
    rng = generator(seed, split)
    images = np.empty((n, 3, height, width), np.float32)
    parts, wholes = np.empty((2, n, height, width), np.uint8)
    for start in range(0, n, CHUNK):
        chunk = slice(start, start + CHUNK)
        _draw(images[chunk], parts[chunk], wholes[chunk], split, shapes, alike, badges, rng)
        if noise:
            images[chunk] += noise * rng.standard_normal(images[chunk].shape, dtype=np.float32)
    np.clip(images, 0, 1, out=images)
    return Collages(images, parts, wholes)


def clicks(parts, per_picture, *, seed, wholes=None, smallest=100):
    """Clicks on random pixels of random pieces: first a piece of the picture, all alike, then a pixel of it, all alike.

    Args:
        parts: (n, H, W) whole numbers, the piece at each pixel, 0 for the ground, as in `Collages`.
        per_picture: P, clicks on each picture.
        seed: a whole number of at least 0.
        wholes: (n, H, W), the other numbering; None where there is only one.
        smallest: px, the least visible area of a piece that is clicked on; where a picture has none, its largest piece is.

    Returns:
        Clicks.

    Raises:
        ValueError: for an argument outside its range, numberings that do not fit, or a picture without any piece.
    """
    per_picture = check_whole("per_picture", per_picture, 1)
    smallest = check_whole("smallest", smallest, 1)
    parts = _numbering("parts", parts)
    wholes = parts if wholes is None else _numbering("wholes", wholes, parts.shape)
    rng = np.random.default_rng(check_whole("seed", seed, 0))
    n, _, width = parts.shape
    area = np.stack([(parts == piece).sum((1, 2)) for piece in range(1, int(parts.max()) + 1)] or [np.zeros(n, int)], 1)
    if not area.any(1).all():
        raise ValueError(f"parts must show a piece in every picture; picture {int(area.any(1).argmin())} is all ground")
    large = area >= np.minimum(smallest, area.max(1, keepdims=True))  # (n, pieces)
    places = np.empty((n, per_picture, 2), np.int64)
    on_part, on_whole = np.empty((2, n, per_picture, *parts.shape[1:]), bool)
    for p in range(per_picture):
        piece = 1 + np.where(large, rng.random(area.shape), -1).argmax(1)
        on_part[:, p] = parts == piece[:, None, None]
        pixel = np.where(on_part[:, p], rng.random(parts.shape, dtype=np.float32), -1).reshape(n, -1).argmax(1)
        places[:, p] = np.stack(np.divmod(pixel, width), -1)
        on_whole[:, p] = wholes == wholes.reshape(n, -1)[np.arange(n), pixel][:, None, None]
    return Clicks(places, on_part, on_whole)


def _draw(images, parts, wholes, split, shapes, alike, badges, rng):
    """Fill the three arrays with collages."""
    n, _, height, width = images.shape
    one_texture = rng.random(n) < alike
    texture, ground = (_crops(n, height, width, split, rng) for _ in range(2))  # the texture that is shared
    images[:], parts[:], wholes[:] = ground, 0, 0
    fewest, most = shapes
    count = rng.integers(fewest, most + 1, n)
    typical = rng.uniform(0.12, 0.28, n)  # of the shorter side
    centres, radii, laid = np.zeros((most, n, 2)), np.zeros((most, n)), np.zeros((most, n), bool)
    kind = rng.integers(3, size=n)  # of the shapes that are alike
    for k in range(most):
        free = rng.uniform(0.1, 0.36, n)
        radii[k] = min(height, width) * np.where(one_texture, typical * rng.uniform(0.8, 1.2, n), free)
        centres[k] = _centre(centres[:k], radii[: k + 1], laid[:k], one_texture, height, width, rng)
        apart = _gaps(centres[: k + 1], radii[: k + 1], laid[:k]) >= GAP
        laid[k] = (k < count) & (apart | ~one_texture)
        outline = _outlines(n, np.where(one_texture, kind, rng.integers(3, size=n)), rng)
        edge = rng.uniform(0.8, 2, n)
        own = _crops(n, height, width, split, rng, laid[k] & ~one_texture)
        own = np.where(one_texture[:, None, None, None], texture, own) + _shading(n, height, width, rng)
        offset = np.zeros((n, 2))
        for badge in (False, True):
            if badge:
                laid_now = laid[k] & (rng.random(n) < badges)
                own = _crops(n, height, width, split, rng, laid_now)
                offset = radii[k][:, None] * rng.uniform(-0.25, 0.25, (n, 2))
                radius = radii[k] * rng.uniform(0.35, 0.6, n)
            else:
                laid_now, radius = laid[k], radii[k]
            on = np.flatnonzero(laid_now)
            opacity = _opacity(outline.of(on), (centres[k] + offset)[on], radius[on], edge[on], height, width)
            if badge:
                opacity *= wholes[on] == k + 1  # what covers the shape covers its badge, and none sticks out
            shown = np.zeros(wholes.shape, bool)
            shown[on] = opacity > 0.5
            images[on] += opacity[:, None] * (own[on] - images[on])
            parts[shown] = k + 1 + badge * most
            wholes[shown] = k + 1


def _centre(centres, radii, laid, apart, height, width, rng, tries=12):
    """(n, 2) px, row and column of the next shape's centre: where shapes lie apart, the random place with the least gap that will do."""
    n = len(apart)
    places = rng.uniform(0.04, 0.96, (tries, n, 2)) * (height, width)
    gaps = np.stack([_gaps(np.concatenate([centres, place[None]]), radii, laid) for place in places])
    narrowest = np.where(gaps >= GAP, gaps, np.inf).argmin(0)
    return places[np.where(apart, narrowest, 0), np.arange(n)]


def _gaps(centres, radii, laid):
    """(n,) px between the last of the shapes and the nearest of those before it that are laid, were they all discs."""
    distance = np.linalg.norm(centres[:-1] - centres[-1], axis=-1) - radii[:-1] - radii[-1]
    return np.where(laid, distance, np.inf).min(0, initial=np.inf)


@dataclass(frozen=True)
class _Outlines:
    """A kind (ellipse, rectangle, blob), turn, aspect and waves for each of n shapes."""

    kind: np.ndarray
    angle: np.ndarray
    aspect: np.ndarray
    waves: np.ndarray

    def of(self, some):
        return _Outlines(self.kind[some], self.angle[some], self.aspect[some], self.waves[:, some])


def _outlines(n, kind, rng):
    amplitude = np.array([0.2, 0.15, 0.08])[:, None]  # of two, three and five waves around
    waves = amplitude * np.exp(2j * np.pi * rng.random((3, n)))
    return _Outlines(kind, rng.uniform(0, np.pi, n), rng.uniform(0.65, 1, n), waves.astype(np.complex64))


def _opacity(outline, centres, radii, edges, height, width):
    """(n, height, width) float32: 1 inside, 0 outside, between them an edge of so many px. No shape reaches beyond its radius."""
    cos, sin = (f(outline.angle).astype(np.float32)[:, None, None] for f in (np.cos, np.sin))
    y = (np.arange(height) + 0.5 - centres[:, :1]).astype(np.float32)[:, :, None]
    x = (np.arange(width) + 0.5 - centres[:, 1:]).astype(np.float32)[:, None, :]
    u, v = cos * x + sin * y, (cos * y - sin * x) / outline.aspect.astype(np.float32)[:, None, None]
    inside = np.empty(u.shape, np.float32)  # px from the outline, roughly
    radii = radii.astype(np.float32)[:, None, None]
    for kind in range(3):
        mine = outline.kind == kind
        a, b, r = u[mine], v[mine], radii[mine]
        if kind == 0:
            inside[mine] = r - np.hypot(a, b)
        elif kind == 1:
            inside[mine] = r * np.float32(0.75) - np.maximum(np.abs(a), np.abs(b))
        else:
            distance = np.hypot(a, b)
            turn = (a + 1j * b) / np.maximum(distance, 1e-3)  # e^(iθ), complex64
            first, second, third = outline.waves[:, mine, None, None]
            square = turn * turn
            wave = (first * square + second * square * turn + third * square * square * turn).real
            inside[mine] = r * np.float32(0.75) * (1 + wave) - distance
    return np.clip(inside / edges.astype(np.float32)[:, None, None] + np.float32(0.5), 0, 1)


def _crops(n, height, width, split, rng, wanted=True):
    """(n, 3, height, width) float32, about [0, 1]: crops of photographs, some grey, some mixed with one colour, lighter or darker.

    Those that are not wanted, (n,) bool, hold no photograph; the others are what they would be if all were.
    """
    out = np.zeros((n, 3, height, width), np.float32)
    which, zoom, at = rng.integers(len(MATERIAL), size=n), rng.integers(3, size=n), rng.random((n, 2))
    for number, name in enumerate(MATERIAL):
        for z, factor in enumerate((1.5, 2.5, 4)):
            strip = _strip(name, split, round(factor * max(height, width)))
            mine = np.flatnonzero((which == number) & (zoom == z) & wanted)
            top, left = (at[mine] * (np.array(strip.shape[1:]) - (height, width) + 1)).astype(np.int64).T
            out[mine] = sliding_window_view(strip, (height, width), (1, 2))[:, top, left].swapaxes(0, 1)
    grey = rng.random(n) < 0.3
    out[grey] = out[grey].mean(1, keepdims=True)
    plain = rng.random(n) < 0.3
    colour = rng.random((n, 3, 1, 1), dtype=np.float32)
    out[plain] = 0.4 * out[plain] + 0.6 * np.where(grey[plain, None, None, None], colour[plain, :1], colour[plain])
    gain, shift = rng.uniform(0.7, 1.3, n).astype(np.float32), rng.uniform(-0.15, 0.15, n).astype(np.float32)
    out *= gain[:, None, None, None]
    out += shift[:, None, None, None]
    return out


def _shading(n, height, width, rng):
    """(n, 1, height, width) float32: light that grows across some of the shapes."""
    slope = (rng.random(n) < 0.4)[:, None] * rng.normal(0, 0.2, (n, 2))
    down, across = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)
    light = slope[:, :1, None] * down + slope[:, 1:, None] * across
    return light.astype(np.float32)[:, None]


@lru_cache(maxsize=128)
def _strip(name, split, short_side):
    strip = photograph_strip(name, split)
    scale = short_side / min(strip.shape[:2])
    shape = [round(side * scale) for side in strip.shape[:2]]
    return transform.resize(strip, shape, anti_aliasing=True).astype(np.float32).transpose(2, 0, 1)


def _numbering(name, numbers, shape=None):
    numbers = np.asarray(numbers)
    if numbers.ndim != 3 or numbers.dtype.kind not in "iu" or (shape is not None and numbers.shape != shape):
        wanted = "(n, H, W) whole numbers" if shape is None else f"whole numbers of the shape {shape} that parts has"
        raise ValueError(f"{name} must be {wanted}, got {numbers.dtype} of shape {numbers.shape}")
    return numbers
