"""Whether a figure that is drawn again is the committed one: words and structure exactly, places and pixels within a tolerance.

An SVG compared as text would fail on another processor, whose sums differ in the last digit; not compared at all, a figure could change
unseen. `teach_nbval` makes nbval compare figures this way when it re-executes the chapters.
"""

import base64
import io
import re
from xml.etree import ElementTree

import numpy as np
from nbformat import NotebookNode
from PIL import Image

SVG = "image/svg+xml"
PLACE = 0.1  # pt, a fifth of a thin line; figures are rounded to 0.01
FACTOR = 2e-3  # of a number in a transform, which scales all that is in it
COLOUR = 3  # of 255: a value next to the border of two colours of a map
PIXEL = {"png": 4, "jpeg": 24}  # of 255: such a step too, and what JPEG makes of it
MEAN_PIXEL = 1.0  # of 255, over the whole picture
TOKEN = re.compile(r"#[0-9a-f]{6}\b|(?<![\w#.])-?\d+(?:\.\d+)?(?:e[-+]?\d+)?")


def differences(committed: str, drawn: str) -> list[str]:
    """What a reader could see change from one SVG to the other, a line for each; empty when nothing."""
    return [
        line for pair in _pairs(ElementTree.fromstring(committed), ElementTree.fromstring(drawn)) for line in _differences(*pair)
    ]


def _pairs(a, b):
    """Elements at the same place in two trees; where the trees part, the two that differ and nothing below."""
    yield a, b
    if [child.tag for child in a] == [child.tag for child in b]:
        for children in zip(a, b, strict=True):
            yield from _pairs(*children)


def _differences(a, b):
    name = a.tag.rpartition("}")[2]
    if [child.tag for child in a] != [child.tag for child in b]:
        yield f"{name}: {len(a)} elements became {len(b)}, or others"
    if (a.text or "") != (b.text or ""):
        yield f"{name}: {a.text!r} became {b.text!r}"
    if a.attrib.keys() != b.attrib.keys():
        yield f"{name}: attributes {sorted(a.attrib)} became {sorted(b.attrib)}"
        return
    for key in a.attrib:
        same = _same_picture if a.get(key).startswith("data:image/") else _same_value
        if a.get(key) != b.get(key) and not same(key, a.get(key), b.get(key)):
            yield f"{name} {key.rpartition('}')[2]}: {a.get(key)[:60]} became {b.get(key)[:60]}"


def _same_value(key, a, b):
    if TOKEN.sub("", a) != TOKEN.sub("", b):
        return False
    return all(_same_token(key, *pair) for pair in zip(TOKEN.findall(a), TOKEN.findall(b), strict=True))


def _same_token(key, a, b):
    if a[0] == "#" or b[0] == "#":
        return a[0] == b[0] and max(abs(x - y) for x, y in zip(bytes.fromhex(a[1:]), bytes.fromhex(b[1:]))) <= COLOUR
    if key == "style":  # widths of lines, sizes of text, opacities
        return float(a) == float(b)
    allowed = FACTOR * max(1, abs(float(a))) if key == "transform" else PLACE
    return abs(float(a) - float(b)) <= allowed


def _same_picture(_, a, b):
    allowed = PIXEL["jpeg" if "image/jpeg" in a[:20] + b[:20] else "png"]
    a, b = (np.asarray(Image.open(io.BytesIO(base64.b64decode(href.partition(",")[2]))).convert("RGBA"), int) for href in (a, b))
    return a.shape == b.shape and np.abs(a - b).max() <= allowed and np.abs(a - b).mean() <= MEAN_PIXEL


class Figure(str):
    """The text of an SVG, equal to that of another which shows the same."""

    __hash__ = None

    def __eq__(self, other):
        return not differences(self, other)

    def __ne__(self, other):
        return not self == other


def teach_nbval():
    """Let nbval compare the figures of outputs by what they show; everything else as before."""
    from nbval.plugin import IPyNbCell

    compare = IPyNbCell.compare_outputs
    IPyNbCell.compare_outputs = lambda cell, test, ref, skip_compare=None: compare(cell, _seen(test), _seen(ref), skip_compare)


def _seen(outputs):
    return [
        NotebookNode({**output, "data": {**output["data"], SVG: Figure(output["data"][SVG])}})
        if SVG in output.get("data", {})
        else output
        for output in outputs
    ]
