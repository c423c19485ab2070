"""What the tests of live models share: the page's layers, called from Python."""

import json
from functools import cache

import numpy as np
import pytest

from attn_book.explorer.modules import joined
from attn_book.live.page import FOLDER

# Arrays are written as {"array", "shape"}; in the page they are {data: Float32Array, shape}, as a layer's tensors are.
REVIVED = "(text) => JSON.parse(text, (_, v) => v?.array ? { data: Float32Array.from(v.array), shape: v.shape } : v)"


def expression(script, **values):
    """A JavaScript function without arguments that gives the value of `script`, in which the values are known by their names."""
    given = json.dumps(json.dumps(values, default=_array))
    return f"""async () => {{
      const {{ {", ".join(values)} }} = ({REVIVED})({given}), value = await ({script});
      return value instanceof Float32Array ? [...value] : value;
    }}"""


def _array(values):
    values = np.asarray(values.detach() if hasattr(values, "detach") else values, dtype=np.float32)
    return {"array": values.ravel().tolist(), "shape": values.shape}


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
