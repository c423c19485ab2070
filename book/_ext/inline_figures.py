"""Sphinx extension: a chapter's figures stand in the page itself, in its font and its ink, on its paper, light or dark.

A notebook's SVG shows alone: white paper, dark ink (``attn_book/figures/svg.py``). Here the paper goes, ink becomes ``currentColor``
and a few colours become variables of ``book.css``; what is white or black on a picture stays so.
"""

import re
from html import escape
from pathlib import Path

from docutils import nodes
from sphinx.transforms import SphinxTransform

PAPER = re.compile(r'<rect class="paper"[^>]*/>')
LINKS = re.compile(r'( id="|url\(#|href="#)')
# What attn_book/figures/style.py calls INK, MUTED and the first of PALETTE.
COLOURS = {"#1d2733": "currentColor", "#566373": "var(--figure-muted)", "#0072b2": "var(--figure-blue)"}


class InlineFigures(SphinxTransform):
    """Put the text of each SVG that a cell gave in the place of the image that points to it."""

    default_priority = 400

    def apply(self):
        images = [image for image in self.document.findall(nodes.image) if is_output(image)]
        for number, image in enumerate(images, 1):
            path = self.env.relfn2path(image["uri"], self.env.docname)[1]
            svg = inlined(Path(path).read_text(encoding="utf8"), image.get("alt", ""), f"figure{number}-")
            image.replace_self(nodes.raw("", svg, format="html"))


def is_output(image):
    return image["uri"].endswith(".svg") and "jupyter_execute/" in image["uri"]


def inlined(svg, alt, prefix):
    """The SVG for a page: described, with ids that no other figure of the page has, in colours that follow the theme."""
    svg = PAPER.sub("", svg, count=1)
    svg = LINKS.sub(rf"\g<1>{prefix}", svg)
    for fixed, follows in COLOURS.items():
        svg = svg.replace(fixed, follows)
    return svg.replace("<svg ", f'<svg class="figure" role="img" aria-label="{escape(alt)}" ', 1)


def setup(app):
    app.add_transform(InlineFigures)
    return {"version": "1.0", "parallel_read_safe": True, "parallel_write_safe": True}
