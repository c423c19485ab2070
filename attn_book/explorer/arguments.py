"""What `explore` is given, checked: words, pictures, selectors, maps, and where to start."""

import operator

import numpy as np

from attn_book.arrays import as_array


def word_list(value):
    """The list of words, or None where value is something else."""
    if isinstance(value, (list, tuple)) and value and all(isinstance(word, str) for word in value):
        return list(value)
    return None


def sides(picture, queries, target):
    """What asks and what answers, whichever way it was said.

    Returns:
        Two pairs (words, picture), of which one is None, for the source and the target; the queries that are left to be placed; and
        whether the target is the source. Both of a pair are None where words ask one another.
    """
    if word_list(picture) is None and word_list(queries) is not None:  # words as queries over the one picture
        picture, target, queries = queries, picture if target is None else target, None
    source_words = word_list(picture)
    if source_words is not None and queries is not None:
        raise ValueError("queries: leave it out when picture is a list of words: the words are the queries")
    source = (source_words, None if source_words else checked_picture(picture, "picture"))
    if target is None:
        return source, source, queries, True
    target_words = word_list(target)
    return source, (target_words, None if target_words else checked_picture(target, "target")), queries, False


def checked_picture(value, name):
    """The picture as a float32 array (H, W, 3) in [0, 1]."""
    picture = as_array(value, name)
    if picture.ndim not in (2, 3) or (picture.ndim == 3 and picture.shape[2] != 3) or picture.size == 0:
        hint = "; move channels last" if picture.ndim == 3 and picture.shape[0] in (1, 3) else ""
        raise ValueError(f"{name}: expected an array (H, W) or (H, W, 3), or a list of words; got shape {picture.shape}{hint}")
    if picture.dtype.kind not in "fbiu":
        raise ValueError(f"{name}: expected numbers in [0, 1]; got dtype {picture.dtype}")
    picture = picture.astype(np.float32)
    if not np.isfinite(picture).all():
        raise ValueError(f"{name}: holds NaN or infinite values")
    low, high = float(picture.min()), float(picture.max())
    if low < -1e-6 or high > 1 + 1e-6:
        raise ValueError(f"{name}: expected values in [0, 1]; got {low:.3g} to {high:.3g}: rescale it first")
    picture = np.clip(picture, 0, 1)
    return np.repeat(picture[..., None], 3, axis=2) if picture.ndim == 2 else picture


def checked_selectors(selectors):
    """The selectors with their options as strings."""
    named = {}
    for name, options in (selectors or {}).items():
        options = [str(option) for option in options]
        if not options or len(set(options)) < len(options):
            raise ValueError(f"selectors: {name!r} needs at least one option and no option twice; got {options}")
        named[str(name)] = options
    return named


def checked_maps(maps, selectors):
    """The maps as a float32 array (one axis a selector, Q, h, w) or (…, Q, M), finite and ≥ 0."""
    maps = as_array(maps, "maps")
    if maps.dtype.kind not in "fbiu":
        raise ValueError(f"maps: expected real numbers; got dtype {maps.dtype}")
    lead = [len(options) for options in selectors.values()]
    wanted = ", ".join([*(f"{n} ({name})" for name, n in zip(selectors, lead, strict=True)), "Q"])
    if maps.ndim - len(lead) not in (2, 3) or list(maps.shape[: len(lead)]) != lead:
        raise ValueError(f"maps: expected shape ({wanted}, h, w) or ({wanted}, M); got {maps.shape}")
    if maps.size == 0:
        raise ValueError(f"maps: is empty; got shape {maps.shape}")
    maps = maps.astype(np.float32)
    if not np.isfinite(maps).all():
        raise ValueError("maps: holds NaN or infinite values")
    if maps.min() < 0:
        raise ValueError(f"maps: expected values ≥ 0; got {maps.min():.3g}: clip or shift them, or take their softmax, first")
    return maps


def start_index(start, queries, Q):
    """The index of the first query, from an index or from `(row, col)` on a grid."""
    try:
        indices = [operator.index(i) for i in np.ravel(as_array(start, "start"))]
    except TypeError:
        indices = []
    if len(indices) == 1:
        if not 0 <= indices[0] < Q:
            raise ValueError(f"start: must be in 0..{Q - 1}; got {start}")
        return indices[0]
    if len(indices) != 2 or queries["kind"] != "grid":
        raise ValueError(f"start: expected the index of a query, or (row, col) on a grid of queries; got {start!r}")
    (row, col), rows, cols = indices, queries["rows"], queries["cols"]
    if not (0 <= row < rows and 0 <= col < cols):
        raise ValueError(f"start: {start!r} lies outside the {rows} × {cols} grid")
    return row * cols + col


def checked_labels(labels, Q):
    """The names of the queries as strings, or None."""
    if labels is None:
        return None
    labels = [str(label) for label in labels]
    if len(labels) != Q:
        raise ValueError(f"query_labels: expected {Q} labels, one a query; got {len(labels)}")
    return labels


def one_of(name, value, options):
    """The value, if it is one of the options."""
    if value not in options:
        raise ValueError(f"{name}: expected {', '.join(map(repr, options[:-1]))} or {options[-1]!r}; got {value!r}")
    return value
