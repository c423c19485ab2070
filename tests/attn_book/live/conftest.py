"""What the tests of live models share: the page's layers called from Python, figures in a browser, and chapters' networks."""

import base64
import io
import json
from functools import cache

import numpy as np
import pytest
import torch
from PIL import Image

from attn_book.explorer.modules import joined
from attn_book.live.page import FOLDER, as_function
from evidence.recipe import ROOT, Recipe, namespace
from tests.attn_book.explorers import document

# Arrays are written as {"bytes", "shape"}; in the page they are {data: Float32Array, shape}, as a layer's tensors are.
REVIVED = """(text) => JSON.parse(text, (_, v) => v?.bytes === undefined ? v
  : { data: new Float32Array(Uint8Array.from(atob(v.bytes), (c) => c.charCodeAt(0)).buffer), shape: v.shape })"""


def expression(script, **values):
    """A JavaScript function without arguments that gives the value of `script`, in which the values are known by their names."""
    given = json.dumps(json.dumps(values, default=_array))
    return f"""async () => {{
      const {{ {", ".join(values)} }} = ({REVIVED})({given}), value = await ({script});
      return value instanceof Float32Array ? [...value] : value;
    }}"""


def _array(values):
    values = np.asarray(values.detach() if hasattr(values, "detach") else values, dtype="<f4")
    return {"bytes": base64.b64encode(values.tobytes()).decode(), "shape": values.shape}


# Many numbers as text, which comes back from the page sooner than a list of them
AS_TEXT = """(numbers) => {
  const bytes = new Uint8Array(Float32Array.from(numbers).buffer), pieces = [];
  for (let i = 0; i < bytes.length; i += 30000) pieces.push(String.fromCharCode(...bytes.subarray(i, i + 30000)));
  return btoa(pieces.join(""));
}"""


def from_text(text, shape):
    """The numbers that a page made text of with AS_TEXT."""
    return np.frombuffer(base64.b64decode(text), "<f4").reshape(shape)


@pytest.fixture
def unscripted(browser, figure, tmp_path):
    """A page with the test's figure in a browser that runs no scripts."""
    (tmp_path / "page.html").write_text(document([figure]), "utf-8")
    context = browser.new_context(java_script_enabled=False, offline=True)
    page = context.new_page()
    page.goto((tmp_path / "page.html").as_uri())
    yield page
    context.close()


@pytest.fixture(scope="module")
def javascript(browser):
    """javascript("layers.js") opens an empty page with that module; returns evaluate(script, **values), as `expression`."""
    context = browser.new_context(offline=True)

    @cache
    def load(entry):
        page = context.new_page()
        page.add_script_tag(content=joined(FOLDER, entry).partition("export default")[0])
        return lambda script, **values: page.evaluate(expression(script, **values))

    yield load
    context.close()


@pytest.fixture
def run(browser):
    """run(engine) opens an empty page that knows the engine's text; returns evaluate(script), of what `expression` makes."""
    context = browser.new_context(offline=True)

    def run(engine):
        page = context.new_page()
        page.add_script_tag(content=as_function(engine))
        return page.evaluate

    yield run
    context.close()


@pytest.fixture
def shown(browser, tmp_path, figure):
    """Opens the module's `figure` (or another) from a file with the network refused; at the end nothing may have gone wrong."""
    contexts, troubles = [], []

    def open_page(*, other=None, theme="light", head="", ready=True, **options):
        file = tmp_path / f"page{len(contexts)}.html"
        file.write_text(document([other or figure], theme).replace("<body>", f"{head}<body>"), "utf-8")
        context = browser.new_context(offline=True, reduced_motion="reduce", **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("console", lambda message: troubles.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on(
            "request",
            lambda request: None if request.url.startswith(("file:", "data:", "blob:")) else troubles.append(request.url),
        )
        page.goto(file.as_uri())
        if ready:
            page.locator(".attn-explorer > [data-ready]").wait_for(state="attached")
        page.troubles = troubles
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert troubles == []


def told(page, text):
    """Waits for what a screen reader is told."""
    page.get_by_role("status").filter(has_text=text).wait_for(state="attached")


def go_to_step(page, number, steps):
    """Scrubs to a step of a drawing with the keys."""
    slider = page.get_by_role("slider", name="step")
    slider.focus()
    page.keyboard.press("Home")
    for _ in range(number):
        page.keyboard.press("ArrowRight")
    assert slider.get_attribute("aria-valuetext") == f"{number} of {steps}"


def photographed(stage):
    """What is seen of it."""
    return Image.open(io.BytesIO(stage.screenshot())).convert("RGB")


NO_WORKERS = "<meta http-equiv='Content-Security-Policy' content=\"default-src 'unsafe-inline' data:; worker-src 'none'\">"
FAR_BELOW = "<style>body::before { content: ''; display: block; height: 3000px }</style>"


def chapter(name):
    """The executed recipe of a chapter, which may still be a draft."""
    places = [f"{folder}/{name}.ipynb" for folder in ("notebooks", "drafts")]
    return namespace(Recipe.read(next(place for place in places if (ROOT / place).is_file())))


def stirred(network, seed=0):
    """A new network with biases, norms and statistics that are not all zeros and ones, so that none of them can be left out."""
    g = torch.Generator().manual_seed(seed)
    for name, p in network.state_dict().items():
        if p.is_floating_point() and p.ndim <= 1:
            p.add_(0.3 * torch.randn(p.shape, generator=g))
            if name.endswith("running_var"):
                p.abs_().add_(0.1)
    return network.eval()
