"""What the makers of pictures take and refuse: the error names the argument, what it takes and what it got."""

import re

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from attn_book.data.material import crop_and_resize, digit_scans, generator, photograph, photograph_strip
from attn_book.data.own import folder_per_class, read_picture
from attn_book.data.scenes import scenes
from attn_book.data.search import cued_search

GREY = np.full((9, 9, 3), 0.5, np.float32)
# Every argument that is a whole number, in every public function: a call that takes it, and a value that is right.
WHOLE = {
    "scenes: n": (lambda x: scenes(x, seed=1), 3),
    "scenes: seed": (lambda x: scenes(3, seed=x), 3),
    "scenes: size": (lambda x: scenes(3, seed=1, size=x), 100),  # twice a uint8 or int8 of this size does not fit
    "scenes: size of a pair": (lambda x: scenes(3, seed=1, size=(30, x)), 100),
    "scenes: digits": (lambda x: scenes(3, seed=1, digits=x), 2),
    "scenes: digits of a pair": (lambda x: scenes(3, seed=1, digits=(1, x)), 2),
    "cued_search: n": (lambda x: cued_search(x, seed=1), 3),
    "cued_search: seed": (lambda x: cued_search(3, seed=x), 3),
    "cued_search: size": (lambda x: cued_search(3, seed=1, size=x), 100),
    "cued_search: cells": (lambda x: cued_search(3, seed=1, size=96, cells=x), 12),
    "cued_search: digits": (lambda x: cued_search(3, seed=1, digits=x), 2),
    "generator: seed": (lambda x: generator(x, "train"), 3),
    "photograph: size": (lambda x: photograph("coffee", size=x), 100),
    "crop_and_resize: size": (lambda x: crop_and_resize(GREY, (x, 9)), 100),
}


def _content(made):
    if isinstance(made, np.random.Generator):
        return made.random(3)
    return made if isinstance(made, np.ndarray) else made.images


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int64])
@pytest.mark.parametrize("name", WHOLE)
def test_numpy_integers_are_whole_numbers(name, kind):
    call, right = WHOLE[name]
    assert_array_equal(_content(call(kind(right))), _content(call(right)))


@pytest.mark.parametrize("wrong", [True, np.True_, 3.0, np.float32(3), np.nan, -1, "3", [3]], ids=repr)
@pytest.mark.parametrize("name", WHOLE)
def test_what_is_no_whole_number_is_refused(name, wrong):
    argument = name.split(": ")[1].split(" ")[0]
    with pytest.raises(ValueError, match=f"^{argument} must be (a whole number|one number or a pair)"):
        WHOLE[name][0](wrong)


@pytest.mark.parametrize("wrong", [True, np.nan, np.inf, -0.1, "1", None], ids=repr)
@pytest.mark.parametrize(
    "call",
    [
        lambda x: scenes(3, seed=1, digit_size=x),
        lambda x: scenes(3, seed=1, digit_size=(9, x)),
        lambda x: scenes(3, seed=1, rotation=x),
        lambda x: scenes(3, seed=1, max_overlap=x),
        lambda x: cued_search(3, seed=1, noise=x),
    ],
    ids=["digit_size", "digit_size of a pair", "rotation", "max_overlap", "noise"],
)
def test_what_is_no_number_is_refused(call, wrong):
    with pytest.raises(ValueError, match=r"must be a number (of at least|from)"):
        call(wrong)


def test_arrays_of_two_are_pairs():
    assert scenes(3, seed=1, size=np.array([30, 41], np.uint8)).images.shape == (3, 3, 30, 41)


def test_one_number_stands_for_both_ends():
    assert_array_equal(scenes(3, seed=1, digit_size=np.float32(12)).images, scenes(3, seed=1, digit_size=(12, 12)).images)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: scenes(0, seed=1), "n must be a whole number of at least 1, got 0"),
        (lambda: scenes(3, seed=1, size=5), "size must be a whole number of at least 6, got 5"),
        (lambda: scenes(3, seed=1, size=(32, 32, 3)), "size must be one number or a pair of them, got (32, 32, 3)"),
        (lambda: scenes(3, seed=1, split="val"), "split must be one of train, test, validation; got 'val'"),
        (lambda: scenes(3, seed=1, split=np.array(["train"])), "split must be one of train, test, validation; got array"),
        (lambda: scenes(3, seed=1, background="snow"), "background must be one of photo, tint, black; got 'snow'"),
        (lambda: scenes(3, seed=1, digits=-1), "digits must be a whole number from 0 to 7, got -1"),
        (lambda: scenes(3, seed=1, digits=(3, 2)), "digits must be a whole number from 3 to 7, got 2"),
        (lambda: scenes(3, seed=1, digits=8), "digits must be a whole number from 0 to 7, got 8"),
        (lambda: scenes(3, seed=1, digit_size=(4, 9)), "digit_size must be a number from 6 to 32, got 4"),
        (lambda: scenes(3, seed=1, digit_size=(9, 50)), "digit_size must be a number from 9 to 32, got 50"),
        (lambda: scenes(3, seed=1, max_overlap=1.5), "max_overlap must be a number from 0 to 1, got 1.5"),
        (lambda: scenes(3, seed=1, rotation=-1), "rotation must be a number from 0 to 180, got -1"),
        (lambda: scenes(3, seed=1, digits=7, digit_size=(20, 20), max_overlap=0), "did not: use fewer or smaller digits"),
        (lambda: cued_search(3, seed=1, digits=9), "digits must be a whole number from 1 to 7, got 9"),
        (lambda: cued_search(3, seed=1, cells=2, digits=4), "digits must be a whole number from 1 to 3, got 4"),
        (lambda: cued_search(3, seed=1, size=30), "size must be a multiple of cells=4"),
        (lambda: cued_search(3, seed=1, size=16), "cells of at least 8 px, got 16"),
        (lambda: cued_search(3, seed=1, noise=-0.1), "noise must be a number of at least 0, got -0.1"),
        (lambda: cued_search(3, seed=1, background="snow"), "background must be one of photo, tint, black; got 'snow'"),
        (lambda: digit_scans("all"), "split must be one of train, test, validation; got 'all'"),
        (lambda: generator(1, "all"), "split must be one of train, test, validation; got 'all'"),
        (lambda: photograph_strip("coffee", "all"), "split must be one of train, test, validation; got 'all'"),
        (lambda: photograph_strip("mona lisa", "test"), "name must be one of china"),
        (lambda: photograph("mona lisa"), "name must be one of china"),
        (lambda: photograph("china", size=0), "size must be a whole number of at least 1, got 0"),
        (lambda: folder_per_class(".", size=(8, 8)), "size must be a whole number of at least 1, got (8, 8)"),
        (lambda: read_picture("any.png", size=0.5), "size must be a whole number of at least 1, got 0.5"),
    ],
)
def test_rejections_name_the_argument_and_what_it_takes(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()
