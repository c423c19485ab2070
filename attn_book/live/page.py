"""The page of a live model: its weights, its forward pass and its view as one string of HTML, which needs no network."""

import json
import zlib
from pathlib import Path

from attn_book.explorer.modules import joined
from attn_book.explorer.packing import as_text
from attn_book.explorer.page import self_contained

FOLDER = Path(__file__).with_name("js")
MAX_BYTES = 300_000  # of the whole static form


class Live:
    """A trained model that runs in the page that shows it; as the last expression of a cell it shows.

    Args:
        engine: the module of js/ that runs the model: the functions that it exports answer the view's questions.
        view: the module of js/ that draws the figure, with a function `mountLive(payload, element)`.
        payload: what the view gets besides, the packed weights among it: what JSON can write.
        title: names the figure.
        still: (what it shows, data URL) of a small picture, seen until the script has run, with `sentence` under it.
        sentence: says what the still shows.

    Raises:
        ValueError: all of it together takes more than `MAX_BYTES`.
    """

    def __init__(self, engine, view, payload, *, title, still, sentence):
        self.title, self.sentence = title, sentence
        module = f"{joined(FOLDER, view)}\n{as_function(joined(FOLDER, engine))}"
        self._html = self_contained(module, "mountLive", payload, title, [still], sentence, "allow scripts to try it")
        size = len(self._html.encode())
        if size > MAX_BYTES:
            raise ValueError(f"{title}: takes {size:,} bytes on the page; a live model may take {MAX_BYTES:,}")

    def to_html(self):
        """The static form: a string of HTML with everything in it, ≤ 300 kB, to stand in any page, any number of times."""
        return self._html

    def _repr_html_(self):
        return self._html

    def __repr__(self):
        return f"Live model: {self.title}. {self.sentence}"


def as_function(module):
    """A module with `export default { … };` at its end as `function engine()` that returns these: a worker is made from its text."""
    head, found, functions = module.partition("export default")
    if not found:
        raise ValueError("an engine ends in export default { the functions that the page may call };")
    return f"function engine(){{\n{head}return{functions}\n}}"


def squeezed(value):
    """What JSON can write, deflated, as printable letters: js/squeezed.js reads it back."""
    deflate = zlib.compressobj(
        9, strategy=zlib.Z_FILTERED
    )  # weights hardly ever repeat themselves: code letters, not pieces of text
    text = json.dumps(value, separators=(",", ":")).encode()
    return as_text(deflate.compress(text) + deflate.flush())
