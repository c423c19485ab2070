"""Small still pictures of an explorer's start, for pages where scripts do not run."""

import matplotlib
import numpy as np

from attn_book.explorer.packing import data_url, resized
from attn_book.explorer.page import STILL_BYTES
from attn_book.explorer.places import box

HEIGHT = 160  # pixels
WIDTHS = (40, 480)  # pixels: narrowest and widest, whatever the shape of a picture
QUERY = (1.0, 0.48, 0.1)  # the colour of the query's outline, as in js/colours.js


def stills(spec, source, target, query, response, overlay):
    """Pairs (what it shows, data URL): the picture with its query, where there is one, and the response over a grid.

    Args:
        spec: the explorer's, with its places.
        source: picture (H, W, 3) of the queries, or None.
        target: picture (H, W, 3) under the response, or None.
        query: index of the query shown.
        response: array of what it sees, ≥ 0.
        overlay: whether the response lies over the target.
    """
    if spec["keys"]["kind"] != "grid":
        return []
    pictures = [("at the start", _answered(response.reshape(spec["keys"]["rows"], -1), target, overlay))]
    if source is not None:
        pictures.insert(0, ("the query", _asked(source, spec["queries"], query)))
    most = STILL_BYTES * 2 // 3 // len(pictures)  # base64 adds a third
    return [(what, data_url(picture, most)) for what, picture in pictures]


def _width(rows, cols):
    return int(np.clip(round(HEIGHT * cols / rows), *WIDTHS))


def _asked(source, queries, query):
    picture = resized(source, _width(*source.shape[:2]), HEIGHT).copy()
    x0, y0, x1, y1 = np.multiply(box(queries, query), [picture.shape[1], HEIGHT] * 2).astype(int)
    x1, y1 = max(x1, x0 + 3), max(y1, y0 + 3)
    inside = picture[y0 + 2 : y1 - 2, x0 + 2 : x1 - 2].copy()
    picture[y0:y1, x0:x1] = QUERY
    picture[y0 + 2 : y1 - 2, x0 + 2 : x1 - 2] = inside
    return picture


def _answered(response, target, overlay):
    width = _width(*(response.shape if target is None else target.shape[:2]))
    shown = response / (response.max() or 1.0)
    heat = matplotlib.colormaps["viridis"](shown)[..., :3]
    if not overlay or target is None:
        return resized(heat, width, HEIGHT, smooth=False)
    light = resized(heat * np.minimum(1, 1.15 * shown[..., None] ** 0.55), width, HEIGHT, smooth=False)
    grey = resized(target, width, HEIGHT).mean(-1, keepdims=True) * 0.34
    return 1 - (1 - grey) * (1 - light)  # blended like light, as js/pictures.js does
