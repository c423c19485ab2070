"""Pick a query on the left, see its response map on the right: one view for every chapter.

`explore` takes plain arrays and returns an `Explorer`. As the last expression of a notebook cell it shows twice over:
live, as a widget that follows the reader's clicks and can be driven from Python, and as self-contained HTML, which works
on the static page, from a file and with no network. Both forms run the same `explorer.js`::

    view = explore(photograph, weights, queries=(24, 32), title="Which patches look alike?")
    view                           # last expression of a cell: the figure

In a running notebook::

    view.query = 17                # move the query
    view.choice = {"head": "2"}    # turn a selector
    view.response                  # the map now shown: array (h, w)
    view.observe(print, "query")   # hear of every query that is picked
    HBox([view, view.controls()])  # the same controls as ipywidgets, beside it
"""

import html
import os

import anywidget
import matplotlib
import numpy as np
import traitlets

from attn_book.explorer.packing import FEW_VALUES, FINE_LEVELS, LEVELS, data_url, encode_picture, quantised, resized
from attn_book.explorer.page import MAX_BYTES, SOURCE, STILL_BYTES, static_page
from attn_book.explorer.places import as_words, box, check_maps, check_picture, check_selectors, place_name, places


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
    """Show what each query attends to: click, drag, or use the arrow keys.

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
        picture: what the queries are picked from: an array (H, W) or (H, W, 3) in [0, 1], or a list of words (or steps).
        maps: array (Q, h, w), finite and ≥ 0: what each query sees over an h × w grid laid on the target; or (Q, M) when the
            keys are words, boxes or a flattened grid. One more axis in front for each selector.
        queries: `(rows, cols)`, a grid over the picture, numbered row by row; or boxes (Q, 4), xyxy in pixels of the
            picture; or a list of words (then `picture` is the target). Default: the words, or the grid of the keys when it
            has Q cells, or a square.
        selectors: names the leading axes of `maps`, in order, each with its option labels:
            `{"layer": [1, 2, 3], "temperature": ["0.5", "1", "2"]}`. A few short options become buttons, many a slider.
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
    """
    source_words = as_words(picture)
    if source_words is None and as_words(queries) is not None:  # words as queries over the one picture
        picture, target = queries, picture if target is None else target
        source_words, queries = as_words(queries), None
    if source_words is not None and queries is not None:
        raise ValueError("queries: leave it out when picture is a list of words: the words are the queries")
    if source_words is not None and target is None:
        target = picture
    target_words = source_words if target is None else as_words(target)
    picture = None if source_words is not None else check_picture(picture, "picture")
    shared = target is None
    target = picture if shared else (None if target_words is not None else check_picture(target, "target"))

    selectors = check_selectors(selectors)
    maps = check_maps(maps, selectors)
    flat_keys = maps.ndim == len(selectors) + 2
    Q = maps.shape[len(selectors)]
    grid = None if flat_keys else maps.shape[-2:]

    spec_queries = places("queries", queries, Q, source_words, picture, grid)
    if flat_keys:
        like = spec_queries if spec_queries["kind"] == "grid" else {}
        same = (like["rows"], like["cols"]) if like and maps.shape[-1] == Q else None
        spec_keys = places("keys", keys, maps.shape[-1], target_words, target, same)
    elif target_words is not None:
        raise ValueError(f"maps: the target is a list of words, so maps must end in (Q, {len(target_words)}); got {maps.shape}")
    elif keys is not None:
        raise ValueError(f"keys: maps {maps.shape} already end in a grid (h, w); leave keys out, or flatten the grid")
    else:
        spec_keys = {"kind": "grid", "rows": grid[0], "cols": grid[1]}

    if isinstance(start, (tuple, list)):
        if spec_queries["kind"] != "grid" or len(start) != 2:
            raise ValueError(f"start: (row, col) needs a grid of queries; got {start!r}")
        row, col = (int(i) for i in start)
        if not (0 <= row < spec_queries["rows"] and 0 <= col < spec_queries["cols"]):
            raise ValueError(f"start: {start!r} lies outside the {spec_queries['rows']} × {spec_queries['cols']} grid")
        start = row * spec_queries["cols"] + col
    if not 0 <= int(start) < Q:
        raise ValueError(f"start: must be in 0..{Q - 1}; got {start}")
    if query_labels is not None:
        query_labels = [str(label) for label in query_labels]
        if len(query_labels) != Q:
            raise ValueError(f"query_labels: expected {Q} labels, one a query; got {len(query_labels)}")
    if view not in ("auto", "overlay", "map"):
        raise ValueError(f"view: expected 'auto', 'overlay' or 'map'; got {view!r}")
    if scale not in ("each", "shared"):
        raise ValueError(f"scale: expected 'each' or 'shared'; got {scale!r}")
    if target is None:
        view = "map"
    elif view == "auto":
        pixels = spec_keys["kind"] == "grid" and target.shape[:2] == (spec_keys["rows"], spec_keys["cols"])
        view = "map" if pixels else "overlay"

    spec = {
        "title": str(title),
        "caption": str(caption),
        "value_label": str(value_label),
        "scale": scale,
        "selectors": [[name, options] for name, options in selectors.items()],
        "queries": spec_queries,
        "keys": spec_keys,
        "labels": query_labels,
        "source": encode_picture(picture),
        "target": "source" if shared and picture is not None else encode_picture(target),
    }
    return Explorer(spec, maps, query=int(start), choice=choice or {}, view=view, pictures=(picture, target))


class Explorer(anywidget.AnyWidget):
    """The view that `explore` returns; make it with `explore`, not by hand.

    Three of its traits follow the reader in a running notebook, and can be set and observed from Python: `query`, the index
    of the chosen query, row by row on a grid; `choice`, the chosen option of each selector, as in
    `{"layer": "2", "head": "1"}`, where setting some keeps the others; and `view`, "overlay" or "map".
    """

    _esm = SOURCE
    query = traitlets.Int(0).tag(sync=True)
    choice = traitlets.Dict().tag(sync=True)
    view = traitlets.Enum(("overlay", "map"), "overlay").tag(sync=True)
    _spec = traitlets.Dict().tag(sync=True)
    _data = traitlets.Bytes().tag(sync=True)

    def __init__(self, spec, maps, *, query, choice, view, pictures):
        self._maps, self._pictures = maps, pictures
        self._selectors = dict(spec["selectors"])
        spec, data = self._pack(spec, maps)
        first = {name: options[0] for name, options in self._selectors.items()}
        layout = {"width": "100%", "min_width": "18rem"}  # takes the room beside other widgets, too
        super().__init__(_spec=spec, _data=data, query=query, choice=first, view=view, layout=layout)
        self.choice = choice

    @traitlets.validate("query")
    def _check_query(self, proposal):
        Q = self._maps.shape[len(self._selectors)]
        if not 0 <= proposal["value"] < Q:
            raise ValueError(f"query: must be in 0..{Q - 1}; got {proposal['value']}")
        return proposal["value"]

    @traitlets.validate("choice")
    def _check_choice(self, proposal):
        chosen = {str(name): str(option) for name, option in proposal["value"].items()}
        for name, option in chosen.items():
            if name not in self._selectors:
                raise ValueError(f"choice: no selector is called {name!r}; there are {list(self._selectors)}")
            if option not in self._selectors[name]:
                raise ValueError(f"choice: {name} takes one of {self._selectors[name]}; got {option!r}")
        return {**self.choice, **chosen}

    @property
    def levels(self):
        """Steps between 0 and the largest value of a map, as stored for the page."""
        return self._spec["levels"]

    @property
    def response(self):
        """What the chosen query sees under the chosen options: array (h, w) or (M,), at the precision it was given."""
        index = tuple(options.index(self.choice[name]) for name, options in self._selectors.items())
        return self._maps[(*index, self.query)]

    @property
    def summary(self):
        """One sentence: the query, and where its response is strongest."""
        response = self.response
        best = int(response.argmax())
        chosen = "".join(f"{name} {option}, " for name, option in self.choice.items())
        queries, keys, label = self._spec["queries"], self._spec["keys"], self._spec["value_label"]
        labels = self._spec["labels"]
        query = labels[self.query] if labels else place_name(queries, self.query)
        return f"{chosen}query {query}; strongest at {place_name(keys, best)}, {label} {response.flat[best]:.2g}"

    def update(self, maps):
        """Swap in new maps of the same shape, say after changing a parameter in Python; the view redraws.

        Raises:
            ValueError: as `explore`, or a shape other than the first.
        """
        maps = check_maps(maps, self._selectors)
        if maps.shape != self._maps.shape:
            raise ValueError(f"maps: expected shape {self._maps.shape}, as at first; got {maps.shape}")
        spec, data = self._pack(self._spec, maps)
        self._maps = maps
        with self.hold_sync():
            self._spec, self._data = spec, data

    def controls(self):
        """The same controls as ipywidgets, linked both ways, to show beside it.

        Returns:
            ipywidgets.VBox: a slider for the query, one selection a selector, and a line that tells what is seen.
        """
        import ipywidgets

        last = self._maps.shape[len(self._selectors)] - 1
        query = ipywidgets.IntSlider(value=self.query, min=0, max=max(last, 0), description="query", continuous_update=True)
        traitlets.link((self, "query"), (query, "value"))
        rows = [query]
        for name, options in self._selectors.items():
            row = ipywidgets.SelectionSlider(options=options, value=self.choice[name], description=name)
            row.observe(lambda change, name=name: setattr(self, "choice", {name: change["new"]}), "value")
            self.observe(lambda change, name=name, row=row: setattr(row, "value", change["new"][name]), "choice")
            rows.append(row)
        told = ipywidgets.HTML(value=html.escape(self.summary))
        self.observe(lambda change: setattr(told, "value", html.escape(self.summary)), ["query", "choice", "_data"])
        return ipywidgets.VBox([*rows, told])

    def to_html(self):
        """The static form: a string of HTML with everything in it, ≤ 300 kB, to stand in any page, any number of times."""
        state = {"query": self.query, "choice": self.choice, "view": self.view, "_spec": self._spec}
        page = static_page(state, self._data, self._still(), self.summary)
        return page if len(page.encode()) <= MAX_BYTES else static_page(state, self._data, "", self.summary)

    def _repr_mimebundle_(self, **kwargs):
        live, metadata = super()._repr_mimebundle_(**kwargs)
        bundle = {"text/plain": f"Explorer: {self.summary}", "text/html": self.to_html()}
        if not os.environ.get("ATTN_BOOK_EXECUTE"):  # in committed outputs a model id would point at nothing, and change each run
            bundle = {**live, **bundle}
        return bundle, metadata

    def _still(self):
        """A small still of the start state, for pages where scripts do not run."""
        keys, target = self._spec["keys"], self._pictures[1]
        if keys["kind"] != "grid":
            return ""
        response = self.response.reshape(keys["rows"], keys["cols"])
        height = 160
        width = round(height * (target.shape[1] / target.shape[0] if target is not None else keys["cols"] / keys["rows"]))
        peak = response.max() or 1.0
        shown = response / peak
        heat = matplotlib.colormaps["viridis"](shown)[..., :3]
        if target is not None and self.view == "overlay":
            heat = heat * np.minimum(1, 1.15 * shown[..., None] ** 0.55)
        right = resized(heat, width, height, smooth=False)
        if target is not None and self.view == "overlay":
            grey = resized(target, width, height).mean(-1, keepdims=True) * 0.34
            right = 1 - (1 - grey) * (1 - right)  # blended like light, as explorer.js does
        if self._pictures[0] is None:
            return data_url(right, STILL_BYTES * 2 // 3)
        left = resized(self._pictures[0], width, height).copy()
        x0, y0, x1, y1 = np.rint(np.array(box(self._spec["queries"], self.query)) * [width, height, width, height]).astype(int)
        inside = left[y0 + 2 : y1 - 2, x0 + 2 : x1 - 2].copy()
        left[y0:y1, x0:x1] = (1.0, 0.48, 0.1)
        left[y0 + 2 : y1 - 2, x0 + 2 : x1 - 2] = inside
        return data_url(np.concatenate([left, np.ones((height, 8, 3)), right], axis=1), STILL_BYTES * 2 // 3)

    @staticmethod
    def _pack(spec, maps):
        """Spec and data of the finest quantisation that fits into MAX_BYTES."""
        few = maps.size <= FEW_VALUES
        for levels in (FINE_LEVELS,) if few else LEVELS:
            data, distribution = quantised(maps, len(spec["selectors"]), levels)
            spec = {**spec, "levels": levels, "distribution": distribution}
            state = {"query": 0, "choice": {}, "view": "overlay", "_spec": spec}
            size = len(static_page(state, data, "", "").encode()) + STILL_BYTES
            if size <= MAX_BYTES:
                return spec, data
        raise ValueError(
            f"maps: {maps.shape} needs {size:,} bytes on the page even at {levels} levels; an explorer may take {MAX_BYTES:,}."
            " Use fewer queries, a coarser map (mean over 2 × 2 keys) or fewer options of a selector."
        )
