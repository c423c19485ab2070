"""Pictures and maps as few bytes, and bytes as text for a page."""

import base64
import io
import math
import zlib

import numpy as np
from PIL import Image

LEVELS = (255, 127, 63, 31, 15)  # grey levels of a map, from fine to coarse; the first that fits is taken
FINE_LEVELS = 65_535  # used where all maps together hold few values, so that written numbers are right
FEW_VALUES = 20_000
PICTURE_BYTES = 36_000  # of a picture before it is written as text, and
LONG_SIDE = 560  # pixels of its longer side, after which it is scaled down


def packed_maps(maps, axes, levels):
    """zlib of, for each map: peak (f4), effective number of keys (f4), place of the peak (u4); then all values as u1 or u2.

    Args:
        maps: array (one axis a selector, Q, h, w) or (…, Q, M).
        axes: number of selectors.
        levels: steps between 0 and a map's peak.

    Returns:
        The bytes, and whether every map sums to 1.
    """
    flat = maps.reshape(math.prod(maps.shape[: axes + 1]), -1)
    peak, total = flat.max(1), flat.sum(1, dtype=np.float64)
    share = flat / np.where(total > 0, total, 1)[:, None]
    entropy = -(share * np.log(np.where(share > 0, share, 1))).sum(1)
    codes = np.rint(flat / np.where(peak > 0, peak, 1)[:, None] * levels)
    parts = [peak.astype("<f4"), np.exp(entropy).astype("<f4"), flat.argmax(1).astype("<u4")]
    parts.append(codes.astype("<u1" if levels < 256 else "<u2"))
    return zlib.compress(b"".join(part.tobytes() for part in parts), 9), bool(np.allclose(total, 1, atol=1e-3))


def as_text(data):
    """Bytes as printable letters, 5 for 4 of them, none of which a script or JSON escapes; js/text.js reads them back.

    A digit comes first: how many zero bytes were added to fill the last four.
    """
    letters = base64.b85encode(data, pad=True).translate(bytes.maketrans(b"<&", b",."))
    return f"{-len(data) % 4}{letters.decode()}"


def resized(picture, width, height, smooth=True):
    """The picture, values in [0, 1], at another size in pixels; small pictures keep their pixels as blocks."""
    image = Image.fromarray(np.uint8(np.rint(picture * 255)))
    small = min(picture.shape[:2]) <= 64 and picture.shape[1] <= width
    how = Image.Resampling.BOX if small else Image.Resampling.LANCZOS
    return np.asarray(image.resize((width, height), how if smooth else Image.Resampling.NEAREST), dtype=np.float32) / 255


def packed_picture(picture):
    """The picture as a data URL with its sides in pixels."""
    height, width = picture.shape[:2]
    if max(height, width) > LONG_SIDE:
        ratio = LONG_SIDE / max(height, width)
        picture = resized(picture, max(1, round(width * ratio)), max(1, round(height * ratio)))
    return {"url": data_url(picture, PICTURE_BYTES), "width": width, "height": height}


def data_url(picture, most):
    """The picture as PNG where that takes at most `most` bytes, else as the best JPEG that does."""
    image = Image.fromarray(np.uint8(np.rint(picture * 255)))
    for kind, quality in (("png", None), ("jpeg", 85), ("jpeg", 75), ("jpeg", 60), ("jpeg", 45)):
        image.save(buffer := io.BytesIO(), kind, **({"quality": quality} if quality else {}), optimize=True)
        if len(buffer.getvalue()) <= most:
            break
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
