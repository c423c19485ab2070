"""Pixels as tokens: the neighbours they are told to be made of, all of one length, nearer the more alike."""

import numpy as np
import pytest

from attn_book.data.material import photograph
from attn_book.data.pixels import WIDTH, noisy_photograph, pixel_tokens


def test_noise_is_what_was_asked_for():
    clean, noisy = noisy_photograph("coffee", size=(30, 40), noise=0.1)
    np.testing.assert_array_equal(clean, photograph("coffee", size=(30, 40)))
    assert (noisy - clean).std() == pytest.approx(0.1, rel=0.05)
    assert abs((noisy - clean).mean()) < 0.01
    again, other = (noisy_photograph("coffee", size=(30, 40), seed=seed)[1] for seed in (0, 1))
    np.testing.assert_array_equal(again, noisy)
    assert np.abs(other - noisy).max() > 0.1


def test_tokens_by_hand():
    """The middle of a 7 × 7 picture sees its square without corners; the last number makes the length 1."""
    picture = np.random.default_rng(0).random((7, 7, 3)).astype(np.float32)
    tokens, values = pixel_tokens(picture)
    assert tokens.shape == (49, WIDTH)
    np.testing.assert_array_equal(values, picture.reshape(49, 3))
    np.testing.assert_allclose((tokens**2).sum(axis=1), 1, rtol=1e-5)
    square = (picture - picture.mean(axis=(0, 1)))[1:6, 1:6].reshape(25, 3)
    expected = np.delete(square, [0, 4, 20, 24], axis=0).ravel()
    got = tokens[24, :-1]
    np.testing.assert_allclose(got / np.linalg.norm(got), expected / np.linalg.norm(expected), atol=1e-5)


def test_what_looks_alike_is_near():
    picture = np.zeros((6, 12, 3), np.float32)
    picture[:, 6:] = 1
    tokens, _ = pixel_tokens(picture)
    nearness = (tokens @ tokens.T).reshape(6, 12, 6, 12)
    assert nearness[3, 2, 0, 1] == pytest.approx(1, abs=1e-5)
    assert nearness[3, 2, 3, 10] == pytest.approx(-1, abs=1e-5)


def test_a_picture_of_one_colour_has_tokens_too():
    tokens, _ = pixel_tokens(np.full((3, 3, 3), 0.5))
    np.testing.assert_allclose((tokens**2).sum(axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize("shape", [(2, 5, 3), (5, 5), (5, 5, 4)])
def test_pixel_tokens_rejects(shape):
    with pytest.raises(ValueError, match=r"picture must have shape \(H, W, 3\) with at least 3 × 3 pixels"):
        pixel_tokens(np.zeros(shape))


@pytest.mark.parametrize(
    ("kwargs", "text"),
    [
        ({"name": "dog"}, "name must be one of"),
        ({"noise": -1}, "noise must be a number of at least 0"),
        ({"seed": -1}, "seed must be"),
    ],
)
def test_noisy_photograph_rejects(kwargs, text):
    with pytest.raises(ValueError, match=text):
        noisy_photograph(**{"name": "coffee", **kwargs})
