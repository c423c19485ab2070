"""The explorer in Python: what it stores, what it takes and refuses, how it is driven."""

import base64
import io
import re
import zlib

import numpy as np
import pytest
import torch
import traitlets
from PIL import Image
from sklearn.datasets import load_sample_image

from attn_book.explorer import explore
from attn_book.explorer.packing import as_text
from attn_book.explorer.page import MAX_BYTES
from attn_utils.reference import softmax
from tests.attn_book.explorers import PICTURE, grid_view, weights


def stored(view):
    """What the page reads: peaks, effective keys, places of the peaks, and the maps again."""
    Q = view._maps.shape[len(view.selectors)]
    count = Q * int(np.prod([len(options) for options in view.selectors.values()]))
    raw = zlib.decompress(view._data)
    peak, effective = np.frombuffer(raw, "<f4", count), np.frombuffer(raw, "<f4", count, 4 * count)
    best = np.frombuffer(raw, "<u4", count, 8 * count)
    codes = np.frombuffer(raw, "<u1" if view.levels < 256 else "<u2", offset=12 * count).reshape(count, -1)
    return peak, effective, best, codes / view.levels * peak[:, None]


# ---- what is stored


def test_a_case_solved_by_hand():
    view = explore(np.eye(2), [[0.5, 0.5], [0.0, 1.0]], target=["left", "right"], queries=["first", "second"])
    peak, effective, best, maps = stored(view)
    np.testing.assert_allclose(peak, [0.5, 1.0])
    np.testing.assert_allclose(effective, [2.0, 1.0], rtol=1e-6)
    np.testing.assert_array_equal(best, [0, 1])
    np.testing.assert_allclose(maps, [[0.5, 0.5], [0.0, 1.0]])
    assert view.summary == "query “first”; strongest at “left”, weight 0.5"


@pytest.mark.parametrize(("rows", "keys", "levels"), [(5, (3, 11), [65_535]), (67, (23, 29), [31, 63, 127])])
def test_a_stored_value_is_within_half_a_step(rows, keys, levels):
    queries = 7 * rows
    maps = np.random.default_rng(0).random((queries, *keys)) ** 8
    view = explore(np.zeros(keys), maps, queries=(rows, 7))
    assert view.levels in levels
    peak, _, best, again = stored(view)
    flat = maps.reshape(queries, -1)
    np.testing.assert_array_equal(best, flat.argmax(1))
    np.testing.assert_allclose(peak, flat.max(1), rtol=1e-6)
    assert (np.abs(again - flat) <= peak[:, None] * (0.5 / view.levels + 1e-6)).all()


def test_an_empty_response_stays_empty():
    view = explore(PICTURE, np.zeros((4, 2, 2)))
    peak, _, _, maps = stored(view)
    np.testing.assert_array_equal(peak, np.zeros(4))
    np.testing.assert_array_equal(maps, np.zeros((4, 4)))
    assert not view._spec["distribution"]


def test_effective_keys_is_e_to_the_entropy():
    maps = weights(35, 33)
    _, effective, _, _ = stored(explore(PICTURE, maps.reshape(35, 3, 11), queries=(5, 7)))
    np.testing.assert_allclose(effective, np.exp(-(maps * np.log(maps)).sum(1)), rtol=1e-5)


@pytest.mark.parametrize("name", ["china.jpg", "flower.jpg"])
def test_all_768_patches_of_a_photograph_fit(name):
    photograph = load_sample_image(name)[:408, :640] / 255
    patches = photograph.reshape(24, 17, 32, 20, 3).swapaxes(1, 2).reshape(768, -1)
    patches = patches - patches.mean(0)
    patches /= np.linalg.norm(patches, axis=1, keepdims=True)
    view = explore(photograph, softmax(patches @ patches.T / 0.1).reshape(768, 24, 32), queries=(24, 32))
    assert len(view.to_html().encode()) <= MAX_BYTES
    assert "attn-explorer" in view.to_html()
    assert "<img" in view.to_html()


def test_what_cannot_fit_is_refused():
    with pytest.raises(ValueError, match=r"maps: \(1600, 40, 40\) needs [\d,]+ bytes .* Use fewer queries"):
        explore(np.zeros((40, 40)), np.random.default_rng(0).random((1600, 40, 40)), queries=(40, 40))


# ---- how shapes are read


def test_flattened_keys_take_the_grid_of_the_queries():
    view = explore(PICTURE, weights(2, 35, 35), queries=(5, 7), selectors={"head": [1, 2]})
    assert view._spec["keys"] == {"kind": "grid", "rows": 5, "cols": 7}


def test_queries_take_the_grid_of_the_keys_or_a_square():
    assert explore(PICTURE, weights(33, 33).reshape(33, 3, 11))._spec["queries"] == {"kind": "grid", "rows": 3, "cols": 11}
    assert explore(PICTURE, weights(49, 33).reshape(49, 3, 11))._spec["queries"] == {"kind": "grid", "rows": 7, "cols": 7}


def test_words_as_queries_stand_in_either_place():
    maps = weights(2, 33).reshape(2, 3, 11)
    one, other = explore(["red", "seven"], maps, target=PICTURE), explore(PICTURE, maps, queries=["red", "seven"])
    assert one.to_html() == other.to_html()
    assert one._spec["queries"] == {"kind": "words", "words": ["red", "seven"]}


def test_boxes_become_fractions_of_the_picture():
    view = explore(PICTURE, weights(1, 2), queries=[(0, 0, 7, 5)], keys=[(0, 0, 3.5, 2.5), (3.5, 0, 7, 5)])
    assert view._spec["queries"]["boxes"] == [[0, 0, 1, 1]]
    assert view._spec["keys"]["boxes"] == [[0, 0, 0.5, 0.5], [0.5, 0, 1, 1]]


def test_the_input_is_not_modified():
    picture, maps = PICTURE.copy(), weights(35, 33).reshape(35, 3, 11)
    before = maps.copy()
    explore(picture, maps, queries=(5, 7)).to_html()
    np.testing.assert_array_equal(picture, PICTURE)
    np.testing.assert_array_equal(maps, before)


def as_autocast_gives_them(array):
    """A tensor in bfloat16 with a graph."""
    return torch.tensor(array, dtype=torch.float32, requires_grad=True).to(torch.bfloat16)


def test_tensors_are_taken_in_any_precision_with_a_graph():
    maps, picture = as_autocast_gives_them(weights(35, 33).reshape(35, 3, 11)), as_autocast_gives_them(PICTURE)
    boxes = torch.tensor([[0.0, 0.0, 7.0, 5.0]], requires_grad=True) * 1
    view = explore(picture, maps, queries=torch.tensor([5, 7]), target=picture)
    np.testing.assert_array_equal(view._maps, maps.detach().float().numpy())
    assert explore(picture, maps[:1], queries=boxes)._spec["queries"]["boxes"] == [[0, 0, 1, 1]]
    view.update(maps * 2)
    np.testing.assert_array_equal(view.response, 2 * maps[0].detach().float().numpy())


def test_a_sparse_tensor_is_named():
    with pytest.raises(TypeError, match="maps must be a dense tensor"):
        explore(PICTURE, torch.eye(4).to_sparse())


def test_numpy_integers_are_integers():
    maps = weights(35, 33).reshape(35, 3, 11)
    for start in (np.int64(17), np.array(17), (np.int32(2), np.int32(3)), np.array([2, 3])):
        view = explore(PICTURE, maps, queries=(np.int64(5), np.uint8(7)), start=start)
        assert view.query == 17
        assert view.to_html() == explore(PICTURE, maps, queries=(5, 7), start=17).to_html()
    view.query = np.int64(5)
    assert type(view.query) is int
    np.testing.assert_array_equal(view.response, maps[5].astype(np.float32))
    with pytest.raises(traitlets.TraitError, match="int"):
        view.query = 5.0


@pytest.mark.parametrize(("rows", "cols"), [(1, 400), (321, 1), (1, 2)])
def test_extreme_shapes_have_a_still_of_ordinary_size(rows, cols):
    view = explore(np.zeros((rows, cols)), weights(rows * cols, rows * cols).reshape(-1, rows, cols), start=rows * cols - 1)
    stills = re.findall(r'<img src="data:image/\w+;base64,([^"]+)"', view.to_html())
    assert len(stills) == 2
    for still in stills:
        image = Image.open(io.BytesIO(base64.b64decode(still)))
        assert 40 <= image.width <= 480 and image.height == 160
    assert len(set(Image.open(io.BytesIO(base64.b64decode(stills[0]))).convert("RGB").get_flattened_data())) > 1  # query marked


@pytest.mark.parametrize("length", [0, 1, 2, 3, 4, 5, 1000, 1003])
def test_bytes_become_letters_that_nothing_escapes(length):
    data = np.random.default_rng(length).bytes(length)
    text = as_text(data)
    assert not set(text) & set("\"\\<&'\n")
    padded = base64.b85decode(text[1:].translate(str.maketrans(",.", "<&")))
    assert padded[: len(padded) - int(text[0])] == data


NAN = weights(4, 4).reshape(4, 2, 2)
NAN[1, 1, 1] = np.nan


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"maps": NAN}, "maps: holds NaN"),
        ({"maps": -weights(4, 4).reshape(4, 2, 2)}, "maps: expected values ≥ 0; got -"),
        ({"maps": weights(4, 4)[0]}, r"maps: expected shape \(Q, h, w\) or \(Q, M\); got \(4,\)"),
        ({"maps": np.zeros((0, 2, 2))}, "maps: is empty"),
        ({"maps": weights(4, 4).astype(complex)}, "maps: expected real numbers; got dtype complex128"),
        (
            {"selectors": {"head": [1, 2]}},
            r"maps: expected shape \(2 \(head\), Q, h, w\) or \(2 \(head\), Q, M\); got \(4, 2, 2\)",
        ),
        ({"selectors": {"head": [1, 1]}}, "selectors: 'head' needs at least one option and no option twice"),
        ({"queries": (3, 2)}, "queries: a 3 × 2 grid has 6 cells, but maps have 4 queries"),
        ({"queries": np.zeros((4, 4))}, "queries: every box must be finite and have x0 < x1"),
        ({"queries": np.tile([10, 10, 12, 12], (4, 1))}, "queries: a box lies outside the 5 × 7 picture"),
        ({"queries": np.zeros((4, 3))}, r"queries: expected \(rows, cols\), boxes \(4, 4\) or 4 words; got shape \(4, 3\)"),
        ({"maps": weights(5, 4).reshape(5, 2, 2)}, r"queries: 5 of them are no square; say queries=\(rows, cols\)"),
        ({"queries": ["a", "b"]}, "maps: expected 2 queries, one a word; got 4"),
        ({"target": ["a", "b"]}, r"maps: the target is a list of words, so maps must end in \(Q, 2\); got \(4, 2, 2\)"),
        ({"keys": (2, 2)}, r"keys: maps \(4, 2, 2\) already end in a grid"),
        ({"picture": ["a", "b", "c", "d"], "queries": (2, 2)}, "queries: leave it out when picture is a list of words"),
        ({"picture": PICTURE.transpose(2, 0, 1)}, r"picture: .* got shape \(3, 5, 7\); move channels last"),
        ({"picture": PICTURE * 255}, r"picture: expected values in \[0, 1\]; got 0 to 255"),
        ({"picture": PICTURE * np.nan}, "picture: holds NaN"),
        ({"target": PICTURE - 0.5}, r"target: expected values in \[0, 1\]; got -0.5"),
        ({"start": 4}, r"start: must be in 0..3; got 4"),
        ({"start": 1.5}, r"start: expected the index of a query, or \(row, col\) on a grid of queries; got 1.5"),
        ({"queries": (2.5, 2)}, r"queries: expected \(rows, cols\), .* got shape \(2,\) of float64"),
        ({"start": (0, 2)}, r"start: \(0, 2\) lies outside the 2 × 2 grid"),
        ({"query_labels": ["a"]}, "query_labels: expected 4 labels"),
        ({"view": "both"}, "view: expected 'auto', 'overlay' or 'map'; got 'both'"),
        ({"scale": "log"}, "scale: expected 'each' or 'shared'; got 'log'"),
        ({"choice": {"head": 1}}, "choice: no selector is called 'head'"),
    ],
)
def test_bad_input_is_named(arguments, told):
    with pytest.raises(ValueError, match=told):
        explore(**{"picture": PICTURE, "maps": weights(4, 4).reshape(4, 2, 2), **arguments})


# ---- driven from Python


def test_the_response_follows_query_and_choice():
    view = grid_view(start=(2, 3), choice={"head": "b"})
    np.testing.assert_array_equal(view.response, view._maps[0, 1, 17])
    view.query, view.choice = 5, {"layer": 2}
    assert view.choice == {"layer": "2", "head": "b"}
    np.testing.assert_array_equal(view.response, view._maps[1, 1, 5])


@pytest.mark.parametrize(("name", "value"), [("query", 35), ("query", -1), ("choice", {"head": "d"}), ("choice", {"step": "1"})])
def test_a_setting_that_does_not_exist_is_refused(name, value):
    with pytest.raises(ValueError, match=name):
        setattr(grid_view(), name, value)


def test_controls_are_linked_both_ways():
    view = grid_view()
    query, layer, _, told = view.controls().children
    query.value, layer.value = 3, "2"
    assert (view.query, view.choice["layer"]) == (3, "2")
    view.query, view.choice = 7, {"layer": "1"}
    assert (query.value, layer.value) == (7, "1")
    assert told.value == view.summary


def observers(view):
    return sum(len(those) for kinds in view._trait_notifiers.values() for those in kinds.values())


def test_controls_do_not_pile_up_and_let_go_when_closed():
    view = grid_view()
    before = observers(view)
    first = view.controls()
    linked = observers(view)
    assert linked > before
    assert all(view.controls() is first for _ in range(3))
    assert observers(view) == linked
    first.close()
    assert observers(view) == before
    query = first.children[0]
    query.value, view.query = 3, 9
    assert (query.value, view.query) == (3, 9)
    again = view.controls()
    assert again is not first
    assert again.children[0].value == 9
    view.close()
    assert observers(view) == before


def test_new_maps_of_the_same_shape_are_taken_over():
    view = grid_view()
    maps = np.random.default_rng(1).random(view._maps.shape)
    view.update(maps)
    np.testing.assert_allclose(stored(view)[3], maps.reshape(6 * 35, 33), atol=1e-5)
    with pytest.raises(ValueError, match="expected shape"):
        view.update(maps[:, :, :7])


# ---- on the page


def test_a_notebook_gets_the_live_and_the_static_form(monkeypatch):
    monkeypatch.delenv("ATTN_BOOK_EXECUTE", raising=False)
    bundle, _ = grid_view()._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html", "application/vnd.jupyter.widget-view+json"}
    monkeypatch.setenv("ATTN_BOOK_EXECUTE", "1")
    bundle, _ = grid_view()._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html"}


def test_the_static_form_is_the_same_each_time_and_asks_for_nothing():
    page = grid_view().to_html()
    assert page == grid_view().to_html()
    assert not re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}", page.replace("//www.w3.org", ""))


def test_text_cannot_leave_the_script():
    view = grid_view(title="</script><b>&", caption="<!-- <script>")
    page = view.to_html()
    assert page.count("</script") == 1
    assert "<!--" not in page
    assert "&lt;/script&gt;&lt;b&gt;&amp;" in page
