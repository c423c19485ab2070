"""Explorers that several tests look at, and where to point at them."""

from contextlib import contextmanager

import numpy as np

from attn_book.explorer import explore
from attn_utils.reference import softmax

PICTURE = np.linspace(0, 1, 5 * 7 * 3).reshape(5, 7, 3)


def weights(*shape, seed=0):
    """Rows that sum to 1."""
    return softmax(np.random.default_rng(seed).normal(size=shape))


def grid_view(**options):
    """A 5 × 7 grid of queries, two selectors, a 3 × 11 grid of keys: every size another prime."""
    maps = weights(2, 3, 35, 33).reshape(2, 3, 35, 3, 11)
    return explore(PICTURE, maps, queries=(5, 7), selectors={"layer": [1, 2], "head": ["a", "b", "c"]}, **options)


@contextmanager
def alone(browser, file, view):
    """A page of phone width with one figure, once it is ready; at the end nothing may have been printed in its console."""
    troubles = []
    file.write_text(f"<!doctype html><meta charset=utf-8><body>{view.to_html()}</body>", "utf-8")
    context = browser.new_context(offline=True, viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.on("console", lambda message: troubles.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.goto(file.as_uri())
    page.locator(".attn-explorer > [data-ready]").wait_for(state="attached")
    yield page
    context.close()
    assert troubles == []


def document(views, theme=""):
    """A page with the static forms of explorers, each in the box that the book's theme puts behind outputs."""
    head = f'<!doctype html><html lang="en" {theme and f"data-theme={theme}"}><meta charset="utf-8"><title>t</title>'
    head += '<meta name="viewport" content="width=device-width, initial-scale=1"><style>' + THEME + "</style><body>"
    return head + "\n".join(f'<div class="text_html">{view.to_html()}</div>' for view in views) + "</body></html>"


# As in pydata-sphinx-theme: boxes behind outputs and pictures; as in VS Code: white behind widgets.
THEME = """html[data-theme=dark] { background: #12181f; color: #dce3ea }
html[data-theme=dark] .text_html:not(:has(table.dataframe)), html[data-theme=dark] img { background: #ced6dd; color: #1a222b; padding: .5rem }
.cell-output-ipywidget-background { background: #fff !important }"""


def at(stage, row, col, rows, cols):
    """The middle of a cell, in pixels of the stage."""
    box = stage.bounding_box()
    return {"x": (col + 0.5) / cols * box["width"], "y": (row + 0.5) / rows * box["height"]}
