"""Clips: two digits move, meet and part, and the truth follows them."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from attn_book.data.clips import RIVALS, clips
from attn_book.data.drawing import PALETTE


def middle_of(mask):
    """x and y of the middle of the box around a mask."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return np.array([columns[0] + columns[-1] + 1, rows[0] + rows[-1] + 1]) / 2


@pytest.mark.parametrize("rival", RIVALS)
def test_masks_lie_where_the_centres_say(rival):
    made = clips(30, seed=1, rival=rival)
    apart = np.linalg.norm(made.centres - made.rival_centres, axis=-1) > 14
    off = []
    for masks, centres in ((made.masks, made.centres), (made.rival_masks, made.rival_centres)):
        for clip, frame in zip(*np.nonzero(apart), strict=True):
            off.append(middle_of(masks[clip, frame]) - centres[clip, frame])
    assert abs(np.mean(off, 0)).max() < 0.5
    assert np.quantile(np.linalg.norm(off, axis=-1), 0.95) < 3


def test_they_meet_when_it_is_said_and_are_apart_before_and_after():
    made = clips(100, seed=2, rival="class")
    distance = np.linalg.norm(made.centres - made.rival_centres, axis=-1)
    at = np.arange(100)
    assert distance[at, made.crossing].max() < 4
    assert np.mean(distance[:, 0] > 8) > 0.95 and np.mean(distance[:, -1] > 8) > 0.95
    assert set(made.crossing) == {6, 7, 8}


def test_a_bounce_exchanges_lines():
    for bounces in (0, 1):
        made = clips(50, seed=3, rival="nothing", bounces=bounces)
        assert_array_equal(made.bounced, bool(bounces))
        at, c = np.arange(50), made.crossing
        own = (made.centres[at, c - 1] - made.centres[at, c - 5]) / 4
        others = (made.rival_centres[at, c - 1] - made.rival_centres[at, c - 5]) / 4
        later = (made.centres[at, c + 5] - made.centres[at, c + 1]) / 4
        same = others if bounces else own
        assert abs(later - same).max() < 0.1  # each place is up to 0.1 px off in each direction
        assert np.linalg.norm(own - others, axis=-1).min() > 0.5
    assert 0.3 < clips(200, seed=4, rival="class").bounced.mean() < 0.7


def test_a_bounce_of_copies_is_the_same_film_as_a_passing():
    passing, bounce = (clips(20, seed=6, rival="everything", bounces=share, noise=0.0) for share in (0, 1))
    later = np.arange(16) >= passing.crossing[:, None]
    for own, other in ((passing.centres, bounce.rival_centres), (passing.rival_centres, bounce.centres)):
        assert abs(own - other)[later].max() <= 0.2  # each place is up to 0.1 px off in each direction
    assert abs(passing.centres - bounce.centres)[later].max() > 5
    assert abs(passing.frames - bounce.frames).mean() < 0.005


def test_digits_stay_in_the_frame():
    made = clips(200, seed=5, rival="class")
    for centres in (made.centres, made.rival_centres):
        assert centres.min() > 4 and centres.max() < 36


def seen_colours(frames, masks):
    """Mean colour on each mask, (n, 3)."""
    return np.stack([frame[:, mask].mean(1) for frame, mask in zip(frames[:, 0], masks[:, 0], strict=True)])


@pytest.mark.parametrize(("rival", "same"), [("nothing", False), ("class", False), ("colour", True), ("everything", True)])
def test_colours_are_shared_where_it_is_said(rival, same):
    made = clips(60, seed=6, rival=rival, noise=0)
    nearest = lambda colours: ((colours[:, None] - PALETTE) ** 2).sum(-1).argmin(1)
    target, other = (nearest(seen_colours(made.frames, masks)) for masks in (made.masks, made.rival_masks))
    assert np.mean(target == other) > 0.9 if same else np.mean(target == other) < 0.05


def test_a_copy_looks_the_same_in_every_frame():
    made = clips(40, seed=7, rival="everything", noise=0)
    apart = np.linalg.norm(made.centres - made.rival_centres, axis=-1) > 16
    sizes = [masks.sum((2, 3))[apart] for masks in (made.masks, made.rival_masks)]
    assert np.mean(abs(sizes[0] - sizes[1]) / sizes[0]) < 0.1
    other = clips(40, seed=7, rival="class and colour", noise=0)
    apart = np.linalg.norm(other.centres - other.rival_centres, axis=-1) > 16
    sizes = [masks.sum((2, 3))[apart] for masks in (other.masks, other.rival_masks)]
    assert np.mean(abs(sizes[0] - sizes[1]) / sizes[0]) > 0.1


def test_one_covers_the_other_all_the_way():
    """In a clip, the same one is on top in every frame; over many, each about half the time."""
    made = clips(200, seed=8, rival="nothing")
    at = np.arange(200)
    target = made.masks[at, made.crossing].sum((1, 2))
    whole = made.masks[:, 0].sum((1, 2))
    assert 0.25 < np.mean(target < 0.7 * whole) < 0.75
    assert not (made.masks & made.rival_masks).any()


def test_the_camera_pans_in_whole_pixels():
    made = clips(30, seed=9, rival="nothing", noise=0)
    still = moved = 0
    for film, masks in zip(made.frames, made.masks | made.rival_masks, strict=True):
        free = ~masks.any(0)  # never touched by a mask
        free[:2], free[-2:], free[:, :2], free[:, -2:] = False, False, False, False
        steps = {}
        for down in (-1, 0, 1):
            for right in (-1, 0, 1):
                shifted = np.roll(film[1], (down, right), (1, 2))
                steps[down, right] = np.median(abs(shifted - film[0]).max(0)[free])
        best = min(steps, key=steps.get)
        assert steps[best] < 1e-6
        still, moved = still + (best == (0, 0)), moved + (best != (0, 0))
    assert moved > still > 0


def test_a_pure_function_of_its_arguments_and_splits_differ():
    first = clips(3, seed=3, rival="class")
    again = clips(3, seed=3, rival="class")
    for name in ("frames", "masks", "rival_masks", "centres", "rival_centres", "crossing", "bounced"):
        assert_array_equal(getattr(first, name), getattr(again, name))
    assert (clips(3, seed=4, rival="class").frames != first.frames).any()
    assert (clips(3, seed=3, rival="class", split="test").frames != first.frames).any()
    assert first.frames.dtype == first.centres.dtype == np.float32


def test_noise_is_new_in_every_frame():
    quiet, noisy = (clips(4, seed=0, rival="nothing", noise=noise).frames for noise in (0, 0.02))
    added = (noisy - quiet)[(quiet > 0.1) & (quiet < 0.9)]
    assert_allclose(added.std(), 0.02, rtol=0.05)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"n": 0}, "n must be a whole number of at least 1, got 0"),
        ({"frames": 7}, "frames must be a whole number of at least 8, got 7"),
        ({"size": 20}, "size must be a whole number of at least 24, got 20"),
        ({"digit_size": 5}, "digit_size must be a number of at least 6, got 5"),
        ({"bounces": 2}, "bounces must be a number from 0 to 1, got 2"),
        ({"noise": -1}, "noise must be a number of at least 0, got -1"),
        ({"rival": "twin"}, "rival must be one of nothing, class, colour, class and colour, everything; got 'twin'"),
        ({"split": "all"}, "split must be one of train, test, validation; got 'all'"),
    ],
)
def test_bad_arguments_are_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        clips(**({"n": 2, "seed": 0, "rival": "class"} | arguments))
