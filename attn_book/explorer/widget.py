"""Pick a query on the left, see its response map on the right: one view for every chapter.

`explore` takes plain arrays and returns an `Explorer`. As the last expression of a notebook cell it shows twice over:
live, as a widget that follows the reader's clicks and can be driven from Python, and as self-contained HTML, which works
on the static page, from a file and with no network. Both forms run the same module, joined from js/::

    view = explore(photograph, weights, queries=(24, 32), title="Which patches look alike?")
    view                           # last expression of a cell: the figure

In a running notebook::

    view.query = 17                # move the query
    view.choice = {"head": "2"}    # turn a selector
    view.response                  # the map now shown: array (h, w)
    view.observe(print, "query")   # hear of every query that is picked
    HBox([view, view.controls()])  # the same controls as ipywidgets, beside it
"""

import operator
import os

import anywidget
import traitlets

from attn_book.explorer.arguments import checked_labels, checked_maps, checked_selectors, one_of, sides, start_index
from attn_book.explorer.controls import Controls
from attn_book.explorer.modules import joined
from attn_book.explorer.packing import packed_picture
from attn_book.explorer.page import MAX_BYTES, fitted, static_page
from attn_book.explorer.places import place_name, places
from attn_book.explorer.still import stills


def explore(
    picture,
    maps,
    *,
    queries=None,
    selectors=None,
    start=0,
    target=None,
    title="",
    caption="",
    value_label="weight",
    query_labels=None,
    keys=None,
    choice=None,
    view="auto",
    scale="each",
):
    """Show what each query attends to: point, click or tap, or use the arrow keys.

    Each of these is a use of its own::

        # patches of a photograph: weights (768, 24, 32)
        explore(photo, weights, queries=(24, 32))
        # a vision transformer: weights (layers, heads, 16, 16)
        explore(scene, weights, queries=(4, 4), selectors={"layer": [1, 2], "head": [1, 2]})
        # boxes (Q, 4) in pixels: weights (Q, h, w)
        explore(scene, weights, queries=boxes)
        # words ask a picture: weights (3, h, w)
        explore(["a", "red", "seven"], weights, target=scene)
        # an 8 × 8 grid of places asks words: weights (64, 3)
        explore(scene, weights, target=["a", "red", "seven"])

    Args:
        picture: what the queries are picked from: an array (H, W) or (H, W, 3) in [0, 1], or a list of words (or steps). Arrays
            may be tensors, here and below, on any device, of any precision, with or without a graph.
        maps: array (Q, h, w), finite and ≥ 0: what each query sees over an h × w grid laid on the target; or (Q, M) when the
            keys are words, boxes or a flattened grid. One more axis in front for each selector.
        queries: `(rows, cols)`, a grid over the picture, numbered row by row; or boxes (Q, 4), xyxy in pixels of the
            picture; or a list of words (then `picture` is the target). Default: the words, or the grid of the keys when it
            has Q cells, or a square.
        selectors: names the leading axes of `maps`, in order, each with its option labels:
            `{"layer": [1, 2, 3], "temperature": ["0.5", "1", "2"]}`. A few options become buttons, many a slider.
        start: the first query: its index, or `(row, col)` counted from 0 on a grid.
        target: what the response lies over, if not `picture`: another picture, or a list of words.
        title: heading of the view, and its name for a screen reader. Give every explorer one.
        caption: a sentence under the title: what to try.
        value_label: what a value of the map is called.
        query_labels: Q short names. On a small grid they are written into the cells of the picture.
        keys: like `queries`, for the last axis of `maps` (…, Q, M): `(rows, cols)` or boxes (M, 4) in pixels of
            the target. Default: the words, or the queries' grid when M = Q, or a square.
        choice: the options to start from, e.g. `{"layer": 3}`. Default: the first of each.
        view: "overlay" (response over the target), "map" (response alone), or "auto": "map" where every key is one pixel
            of the target, else "overlay". The reader can switch.
        scale: colours span 0 to the largest value of "each" map, or of all maps together ("shared": needed where maps
            should be compared in height, say over temperatures).

    Returns:
        An `Explorer`. Its static form is at most 300 kB. A value is stored in steps of its map's largest: 65,535 of them where
        all maps together hold at most 20,000 values, else the finest of 255, 127, 63, 31, 15 that fits. So a shown value is wrong
        by at most `largest / (2 * explorer.levels)`. The largest value, its place and the effective number of keys
        (e to the entropy, shown where every map sums to 1) are computed before that, at full precision.

    Raises:
        ValueError: shapes that do not fit together, values that are NaN, infinite or negative, a picture outside [0, 1],
            or maps too large for 300 kB at 15 levels.
        TypeError: a sparse tensor.
    """
    (source_words, source), (target_words, target), queries, shared = sides(picture, queries, target)
    selectors = checked_selectors(selectors)
    maps = checked_maps(maps, selectors)
    Q, *keys_shape = maps.shape[len(selectors) :]
    grid = tuple(keys_shape) if len(keys_shape) == 2 else None

    query_places = places("queries", queries, Q, source_words, source, grid)
    if grid is None:
        like = (query_places["rows"], query_places["cols"]) if query_places["kind"] == "grid" else None
        key_places = places("keys", keys, keys_shape[0], target_words, target, like)
    elif target_words is not None:
        raise ValueError(f"maps: the target is a list of words, so maps must end in (Q, {len(target_words)}); got {maps.shape}")
    elif keys is not None:
        raise ValueError(f"keys: maps {maps.shape} already end in a grid (h, w); leave keys out, or flatten the grid")
    else:
        key_places = places("keys", grid, grid[0] * grid[1])

    view = one_of("view", view, ("auto", "overlay", "map"))
    if target is None:
        view = "map"
    elif view == "auto":
        pixels = key_places["kind"] == "grid" and target.shape[:2] == (key_places["rows"], key_places["cols"])
        view = "map" if pixels else "overlay"

    spec = {
        "title": str(title),
        "caption": str(caption),
        "value_label": str(value_label),
        "scale": one_of("scale", scale, ("each", "shared")),
        "selectors": [[name, options] for name, options in selectors.items()],
        "queries": query_places,
        "keys": key_places,
        "labels": checked_labels(query_labels, Q),
        "source": None if source is None else packed_picture(source),
        "target": None if target is None else "source" if shared else packed_picture(target),
    }
    start = start_index(start, query_places, Q)
    return Explorer(spec, maps, query=start, choice=choice or {}, view=view, pictures=(source, target))


class _Index(traitlets.Int):
    """An integer trait that takes NumPy's integers, too."""

    def validate(self, obj, value):
        try:
            value = operator.index(value)
        except TypeError:
            self.error(obj, value)
        return super().validate(obj, value)


class Explorer(anywidget.AnyWidget):
    """The view that `explore` returns; make it with `explore`, not by hand.

    Three of its traits follow the reader in a running notebook, and can be set and observed from Python: `query`, the index
    of the chosen query, row by row on a grid; `choice`, the chosen option of each selector, as in
    `{"layer": "2", "head": "1"}`, where setting some keeps the others; and `view`, "overlay" or "map".
    """

    _esm = joined()
    query = _Index(0).tag(sync=True)
    choice = traitlets.Dict().tag(sync=True)
    view = traitlets.Enum(("overlay", "map"), "overlay").tag(sync=True)
    _spec = traitlets.Dict().tag(sync=True)
    _data = traitlets.Bytes().tag(sync=True)

    def __init__(self, spec, maps, *, query, choice, view, pictures):
        self._maps, self._pictures, self._controls = maps, pictures, None
        self.selectors = dict(spec["selectors"])
        spec, data = fitted(spec, maps)
        first = {name: options[0] for name, options in self.selectors.items()}
        layout = {"width": "100%", "min_width": "18rem"}  # takes the room beside other widgets, too
        super().__init__(_spec=spec, _data=data, query=query, choice=first, view=view, layout=layout)
        self.choice = choice

    @traitlets.validate("query")
    def _check_query(self, proposal):
        if not 0 <= proposal["value"] < self.queries:
            raise ValueError(f"query: must be in 0..{self.queries - 1}; got {proposal['value']}")
        return proposal["value"]

    @traitlets.validate("choice")
    def _check_choice(self, proposal):
        chosen = {str(name): str(option) for name, option in proposal["value"].items()}
        for name, option in chosen.items():
            if name not in self.selectors:
                raise ValueError(f"choice: no selector is called {name!r}; there are {list(self.selectors)}")
            if option not in self.selectors[name]:
                raise ValueError(f"choice: {name} takes one of {self.selectors[name]}; got {option!r}")
        return {**self.choice, **chosen}

    @property
    def queries(self):
        """Number of queries."""
        return self._maps.shape[len(self.selectors)]

    @property
    def levels(self):
        """Steps between 0 and the largest value of a map, as stored for the page."""
        return self._spec["levels"]

    @property
    def response(self):
        """What the chosen query sees under the chosen options: array (h, w) or (M,), float32, not rounded to levels."""
        index = tuple(options.index(self.choice[name]) for name, options in self.selectors.items())
        return self._maps[(*index, self.query)]

    @property
    def summary(self):
        """One sentence: the query, and where its response is strongest."""
        response, spec = self.response, self._spec
        best = int(response.argmax())
        chosen = "".join(f"{name} {option}, " for name, option in self.choice.items())
        query = spec["labels"][self.query] if spec["labels"] else place_name(spec["queries"], self.query)
        seen = f"strongest at {place_name(spec['keys'], best)}, {spec['value_label']} {response.flat[best]:.2g}"
        return f"{chosen}query {query}; {seen}"

    def update(self, maps):
        """Swap in new maps of the same shape, say after changing a parameter in Python; the view redraws.

        Raises:
            ValueError: as `explore`, or a shape other than the first.
        """
        maps = checked_maps(maps, self.selectors)
        if maps.shape != self._maps.shape:
            raise ValueError(f"maps: expected shape {self._maps.shape}, as at first; got {maps.shape}")
        spec, data = fitted(self._spec, maps)
        self._maps = maps
        with self.hold_sync():
            self._spec, self._data = spec, data

    def controls(self):
        """The same controls as ipywidgets, linked both ways, to show beside it: the same ones at each call, until they are closed.

        Returns:
            ipywidgets.VBox: a slider for the query, one selection a selector, and a line that tells what is seen.
        """
        if self._controls is None or not self._controls.linked:
            self._controls = Controls(self)
        return self._controls

    def close(self):
        """Close the view, and its controls."""
        if self._controls is not None:
            self._controls.close()
        super().close()

    def to_html(self):
        """The static form: a string of HTML with everything in it, ≤ 300 kB, to stand in any page, any number of times."""
        state = {"query": self.query, "choice": self.choice, "view": self.view, "_spec": self._spec}
        pictures = stills(self._spec, *self._pictures, self.query, self.response, self.view == "overlay")
        page = static_page(state, self._data, pictures, self.summary)
        return page if len(page.encode()) <= MAX_BYTES else static_page(state, self._data, (), self.summary)

    def _repr_mimebundle_(self, **kwargs):
        live, metadata = super()._repr_mimebundle_(**kwargs)
        bundle = {"text/plain": f"Explorer: {self.summary}", "text/html": self.to_html()}
        if not os.environ.get("ATTN_BOOK_EXECUTE"):  # in committed outputs a model id would point at nothing, and change each run
            bundle = {**live, **bundle}
        return bundle, metadata
