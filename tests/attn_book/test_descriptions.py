"""Captions that are true of one scene: told the other way they draw the same scene, and either may be written."""

import numpy as np
import pytest

from attn_book.data.captions import caption, objects, random_captions, sentence
from attn_book.descriptions import compare, from_above_or_left, other_way

SOME = random_captions(300, seed=1, pairs="all")


def test_told_the_other_way():
    assert sentence(other_way(caption("red 3 above blue 7")[None])[0]) == "blue 7 below red 3"
    assert sentence(other_way(caption("red 3 right of blue 7")[None])[0]) == "blue 7 left of red 3"
    np.testing.assert_array_equal(other_way(other_way(SOME)), SOME)


def test_both_tell_of_the_same_digits_at_the_same_places():
    for one, other in zip(objects(SOME), objects(other_way(SOME))[::-1], strict=True):
        for mine, yours in zip(one, other, strict=True):
            np.testing.assert_array_equal(mine, yours)


def test_the_one_order_begins_above_or_left():
    ordered = from_above_or_left(SOME)
    assert {sentence(one).split()[2] for one in ordered} == {"above", "left"}
    same = (ordered == SOME).all(1)
    assert 100 < same.sum() < 200
    np.testing.assert_array_equal(ordered[~same], other_way(SOME)[~same])


def test_either_caption_is_right():
    for written in (SOME, other_way(SOME)):
        assert all((share == 1).all() for share in compare(written, SOME).values())


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        ("red 3 above blue 8", {"exact": 0, "words": 0.8, "colours": 1, "digits": 0.5, "relation": 1}),
        ("blue 7 below red 4", {"exact": 0, "words": 0.8, "colours": 1, "digits": 0.5, "relation": 1}),
        ("red 7 above blue 3", {"exact": 0, "words": 0.6, "colours": 1, "digits": 0, "relation": 1}),
        ("blue 7 above red 3", {"exact": 0, "words": 0.8, "colours": 1, "digits": 1, "relation": 0}),
    ],
)
def test_what_is_wrong_is_named(written, wanted):
    found = compare(caption(written)[None], caption("red 3 above blue 7")[None])
    assert {name: float(share[0]) for name, share in found.items()} == pytest.approx(wanted)


def test_written_words_need_be_no_caption():
    assert compare(np.zeros((1, 5), int), caption("red 3 above blue 7")[None])["words"][0] == pytest.approx(0.2)


def test_rejections():
    with pytest.raises(ValueError, match=r"written must be \(300, 5\)"):
        compare(SOME[:1], SOME)
    with pytest.raises(ValueError, match="word 1 of a caption must be a colour"):
        other_way(np.full((1, 5), 20))
