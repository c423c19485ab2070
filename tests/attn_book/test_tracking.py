"""Trackers without attention on clips whose answer is known, and scores by hand."""

import pytest
import torch
from torch.testing import assert_close

from attn_book.data.clips import clips
from attn_book.tracking import COMPARE, _cut, _likeness, steady_pace, template_tracker, track_scores


def easy(n=12, **how):
    made = clips(n, **({"seed": 3, "rival": "nothing", "noise": 0.0} | how))
    return made, [torch.from_numpy(x) for x in (made.frames, made.masks, made.centres)]


def test_a_steady_pace_by_hand():
    centres = torch.tensor([[[1.0, 2.0], [2.0, 4.0], [9.0, 9.0], [9.0, 9.0]]])
    assert_close(steady_pace(centres), torch.tensor([[[1.0, 2.0], [2.0, 4.0], [3.0, 6.0], [4.0, 8.0]]]))


def test_a_square_is_cut_around_the_pixel_of_a_centre_with_zeros_outside():
    picture = torch.arange(20.0).reshape(1, 1, 4, 5)
    assert_close(_cut(picture, torch.tensor([[2.5, 1.5]]), 3)[0, 0], picture[0, 0, 0:3, 1:4])
    corner = _cut(picture, torch.tensor([[0.2, 3.9]]), 3)[0, 0]
    assert_close(corner, torch.tensor([[0.0, 10, 11], [0, 15, 16], [0, 0, 0]]))


@pytest.mark.parametrize("compare", COMPARE)
def test_likeness_is_what_its_formula_says(compare):
    torch.manual_seed(0)
    pictures, template = torch.rand(2, 3, 9, 11), torch.rand(2, 3, 5, 5)
    mask = (torch.rand(2, 1, 5, 5) > 0.4).float()
    likeness = _likeness(pictures, template, mask, compare)
    for which in range(2):
        on = mask[which].expand(3, 5, 5) > 0
        window, own = pictures[which, :, 2:7, 4:9][on], template[which][on]
        if compare == "difference":  # up to what is the same at every place
            expected = -((window - own) ** 2).mean() + (own**2).mean()
        else:
            expected = ((window - window.mean()) * (own - own.mean())).mean() / window.std(correction=0)
        assert_close(likeness[which, 4, 6], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("compare", COMPARE)
def test_a_template_follows_a_digit_that_nothing_resembles(compare):
    made, given = easy()
    found = template_tracker(*given, compare=compare, update=0.1)
    assert_close(found[:, :2], given[2][:, :2])
    rivals, crossing = torch.from_numpy(made.rival_centres), torch.from_numpy(made.crossing)
    assert track_scores(found, given[2], rivals, crossing)["after"] > 0.6


def test_it_looks_no_further_than_the_radius():
    _, given = easy()
    for pace in (False, True):
        found = template_tracker(*given, radius=2, pace=pace)
        before = found[:, 1:-1]
        expected = 2 * before - found[:, :-2] if pace else before
        expected = torch.stack([expected[..., 0].clamp(0.5, 39.5), expected[..., 1].clamp(0.5, 39.5)], -1)
        assert (found[:, 2:] - expected).norm(dim=-1).max() <= 2


def test_only_the_first_two_frames_are_told():
    _, (frames, masks, centres) = easy(4)
    told = template_tracker(frames, masks, centres, update=0.2)
    masks[:, 2:], centres[:, 2:] = False, 0
    assert_close(template_tracker(frames, masks, centres, update=0.2), told)


def test_an_update_of_one_takes_what_was_found_as_the_template():
    _, (frames, masks, centres) = easy(3)
    one = template_tracker(frames[:, :3], masks[:, :3], centres[:, :3], update=1.0)
    third = template_tracker(frames[:, :4], masks[:, :4], centres[:, :4], update=1.0)[:, 3]
    seen = torch.cat([frames[:, 1], masks[:, 1:2].float()], 1)
    mask = _cut(seen, centres[:, 1], 15)[:, 3:]
    likeness = _likeness(frames[:, 3], _cut(frames[:, 2], one[:, 2], 15), mask, "difference")
    x, y = (third - 0.5).long().unbind(-1)
    chosen = likeness[torch.arange(3), y, x]
    assert (chosen >= likeness.flatten(1).median(1).values).all()


def test_scores_by_hand():
    target = torch.zeros(1, 6, 2)
    rival = torch.tensor([[[20.0, 0]] * 6])
    found = torch.tensor([[[9.0, 0], [9, 0], [3, 0], [5, 0], [19, 0], [10, 0]]])
    scores = track_scores(found, target, rival, torch.tensor([0]))
    assert scores == pytest.approx({"on target": 1 / 4, "after": 0.0, "on rival": 1 / 3, "lost": 2 / 3})
    close = torch.tensor([[[2.0, 0]] * 6])  # on both: the nearer one counts
    both = track_scores(torch.full((1, 6, 2), 0.5), target, close, torch.tensor([0]))
    assert both["after"] == 1 and both["on rival"] == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"side": 4}, "side must be odd, got 4"),
        ({"compare": "looks"}, "compare must be one of difference, correlation; got 'looks'"),
        ({"update": 2}, "update must be a number from 0 to 1, got 2"),
        ({"radius": 0}, "radius must be a number of at least 1, got 0"),
    ],
)
def test_bad_arguments_are_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        template_tracker(torch.zeros(1, 3, 3, 9, 9), torch.zeros(1, 3, 9, 9), torch.zeros(1, 3, 2), **arguments)


def test_nothing_given_is_changed():
    _, given = easy(2)
    before = [x.clone() for x in given]
    template_tracker(*given, update=0.3)
    for after, as_it_was in zip(given, before, strict=True):
        assert_close(after, as_it_was, rtol=0, atol=0)
