"""A matplotlib figure as the text of an SVG: small, the same on every machine, and right wherever it is shown alone."""

import base64
import io
import re
from xml.etree import ElementTree

from PIL import Image

SVG = "{http://www.w3.org/2000/svg}"
GROUP, DEFS = f"{SVG}g", f"{SVG}defs"
HREF = "{http://www.w3.org/1999/xlink}href"
ElementTree.register_namespace("", SVG[1:-1])
ElementTree.register_namespace("xlink", HREF[1:].partition("}")[0])

INHERITED = (  # by all elements, which need not repeat it
    "stroke-linejoin: round",
    "stroke-linecap: butt",
    "image-rendering: pixelated",
    "font-family: 'DejaVu Sans', sans-serif",
)
REPEATED = (
    "font-family: 'DejaVu Sans', sans-serif",
    "font-family: 'DejaVu Sans'",
    "image-rendering:crisp-edges;image-rendering:pixelated",
)
NUMBER = re.compile(r"-?\d+\.\d+(?:e[-+]?\d+)?")
MAX_PNG = 15_000  # bytes: a picture of more than 256 colours that is no larger stays as it is


def svg_of(fig) -> str:
    """The figure as an SVG whose words are text, and whose pictures have the pixels they came with.

    White paper lies under it (class ``paper``), so that its dark ink is readable in a notebook on a dark theme; the book takes it
    away (``book/_ext/inline_figures.py``). Places are rounded to 0.01 pt, photographs become JPEGs, and ids are numbered in order.
    """
    text = io.StringIO()
    unnamed = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    fig.savefig(text, format="svg", bbox_inches="tight", pad_inches=0.05, transparent=True, metadata=unnamed)
    root = ElementTree.fromstring(text.getvalue())
    root.remove(root.find(DEFS))  # a rule for every element of the page it is inlined in
    _drop_unseen(root)
    for element in root.iter():
        shorter = {name: value if name == HREF else _shorter(name, value) for name, value in element.items()}
        element.attrib = {name: value for name, value in shorter.items() if value}
        if element.tag == f"{SVG}image":
            element.set(HREF, smaller_picture(element.get(HREF)))
    root.set("style", "; ".join(INHERITED))
    _write_repeated_pictures_once(root)
    root.insert(0, ElementTree.Element(f"{SVG}rect", {"class": "paper", "width": "100%", "height": "100%", "fill": "#ffffff"}))
    return _number_ids(ElementTree.tostring(root, encoding="unicode"))


def _drop_unseen(element):
    """Take out shapes without fill and stroke, groups that say nothing, and the line breaks between elements."""
    children = []
    for child in element:
        _drop_unseen(child)
        child.tail = None
        if child.tag == GROUP:
            child.attrib.pop("id", None)  # nothing refers to a group
            children += [child] if child.attrib and len(child) else child
        elif child.get("style") != "fill: none" and (len(child) or child.tag != DEFS):
            children.append(child)
    if len(element):
        element.text = None
    element[:] = children


def _shorter(name, value):
    """No more digits than can be seen: places to 0.01, factors (in a transform) to six digits. No style that all elements have."""
    if name == "style":
        return "; ".join(part for part in value.split("; ") if part not in REPEATED)
    if name == "transform":
        value = re.sub(r"\s*rotate\(-?0(?: [^)]*)?\)", "", value)
        return NUMBER.sub(lambda number: f"{float(number[0]):.6g}", value)
    return " ".join(NUMBER.sub(lambda number: f"{float(number[0]):.2f}".rstrip("0").rstrip("."), value).split())


def smaller_picture(href):
    """The same picture in fewer bytes: a palette where 256 colours are enough, a JPEG for an opaque photograph."""
    data = base64.b64decode(href.partition(",")[2])
    image = Image.open(io.BytesIO(data)).convert("RGBA")
    opaque = image.getextrema()[3] == (255, 255)
    written = io.BytesIO()
    if opaque and image.getcolors(256):
        image.convert("RGB").quantize(len(image.getcolors(256))).save(written, "png", optimize=True)
    elif opaque and len(data) > MAX_PNG:
        image.convert("RGB").save(written, "jpeg", quality=75, subsampling=0, optimize=True)
    else:
        (image.convert("RGB") if opaque else image).save(written, "png", optimize=True)
    kind = "jpeg" if written.getvalue()[:2] == b"\xff\xd8" else "png"
    return f"data:image/{kind};base64,{base64.b64encode(written.getvalue()).decode('ascii')}"


def _write_repeated_pictures_once(root):
    """Of a picture that lies under several maps, keep one copy, and refer to it where it is shown."""
    places = {}
    for parent in root.iter():
        for index, child in enumerate(parent):
            if child.tag == f"{SVG}image":
                places.setdefault((child.get(HREF), child.get("width"), child.get("height")), []).append((parent, index, child))
    shared = ElementTree.Element(DEFS)
    for same in (same for same in places.values() if len(same) > 1):
        name = f"picture{len(shared)}"
        for parent, index, image in same:
            how = {key: image.attrib.pop(key) for key in ("transform", "opacity", "x", "y") if key in image.attrib}
            parent[index] = ElementTree.Element(f"{SVG}use", {HREF: f"#{name}", **how})
        image.set("id", name)
        shared.append(image)
    if len(shared):
        root.insert(0, shared)


def _number_ids(svg):
    """Name what is referred to i1, i2, … in order, and nothing else: matplotlib's own ids change with every digit."""
    old = dict.fromkeys(re.findall(r'(?:url\(#|href="#)([^)"]+)', svg))
    names = {name: f"i{number}" for number, name in enumerate(old, 1)}
    svg = re.sub(r' id="([^"]*)"', lambda found: f' id="{names[found[1]]}"' if found[1] in names else "", svg)
    return re.sub(r'(url\(#|href="#)([^)"]+)', lambda found: found[1] + names[found[2]], svg)
