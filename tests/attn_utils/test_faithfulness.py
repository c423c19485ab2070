"""Scores of maps: by hand, against slower ways to the same number, and on the planted model, where the right order is known."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch.testing import assert_close

from attn_book.planted import planted, planted_scenes
from attn_utils.faithfulness import (
    NEIGHBOURS,
    blur_fill,
    mass_in_mask,
    mean_fill,
    pointing_game,
    randomised,
    rank_agreement,
    removal_curve,
    road_fill,
    truth_first,
)
from attn_utils.vit import ViT

MAPS = torch.tensor([[0.1, 0.6, 0.3, 0.0], [0.5, 0.5, 0.0, -1.0], [0.0, 0.0, 0.0, 0.0]])
MASKS = torch.tensor([[False, True, True, False], [False, True, False, True], [True, False, False, False]])


def test_scores_against_a_mask_by_hand():
    assert_close(pointing_game(MAPS, MASKS), torch.tensor([1.0, 0.5, 0.25]))
    assert_close(mass_in_mask(MAPS, MASKS), torch.tensor([0.9, 0.5, 0.25]))
    assert_close(truth_first(MAPS, MASKS), torch.tensor([1.0, 0.5, 0.25]))
    upside_down = truth_first(torch.tensor([[3.0, 2.0, 1.0, 0.0]]), torch.tensor([[False, False, True, True]]))
    assert_close(upside_down, torch.tensor([0.0]))


def test_chance_is_what_a_random_map_gets():
    maps = torch.rand(4000, 16, generator=torch.Generator().manual_seed(0))
    masks = torch.zeros(4000, 16, dtype=torch.bool)
    masks[:, 2:5] = True
    for score in (pointing_game, truth_first, mass_in_mask):
        assert score(maps, masks).mean().item() == pytest.approx(3 / 16, abs=0.02)


def corner(*removed, size=(4, 5)):
    gone = torch.zeros(1, *size, dtype=torch.bool)
    for place in removed:
        gone[(0, *place)] = True
    return gone


def test_road_solved_by_hand():
    """One pixel inside: the weighted mean of all eight. One in a corner: of its three neighbours, which weigh 1/6, 1/6 and 1/12."""
    picture = torch.arange(20.0).reshape(1, 1, 4, 5) ** 2
    inside = road_fill(picture, corner((1, 2)), noise=0)[0, 0, 1, 2]
    sides, corners = 2**2 + 6**2 + 8**2 + 12**2, 1 + 3**2 + 11**2 + 13**2
    assert inside.item() == pytest.approx(sides / 6 + corners / 12)
    in_corner = road_fill(picture, corner((0, 0)), noise=0)[0, 0, 0, 0]
    assert in_corner.item() == pytest.approx((1 / 6 + 5**2 / 6 + 6**2 / 12) / (5 / 12))


def test_road_of_a_hole_is_what_averaging_again_and_again_comes_to():
    generator = torch.Generator().manual_seed(0)
    pictures = torch.rand(3, 2, 7, 6, generator=generator, dtype=torch.float64)
    removed = torch.rand(3, 7, 6, generator=generator) < 0.7
    found = road_fill(pictures, removed, noise=0)
    assert_close(found[~removed[:, None].expand_as(found)], pictures[~removed[:, None].expand_as(found)])
    slow, means = pictures.numpy().copy(), []  # NumPy, for small numbers in a loop
    for b, y, x in removed.nonzero().tolist():
        near = [(y + v, x + u, w) for (v, u), w in NEIGHBOURS.items() if 0 <= y + v < 7 and 0 <= x + u < 6]
        v, u, w = map(np.array, zip(*near))
        means.append(((b, slice(None), y, x), (b, slice(None), v, u), w / w.sum()))
    for _ in range(600):
        for pixel, neighbours, weights in means:
            slow[pixel] = weights @ slow[neighbours]
    assert_close(found, torch.from_numpy(slow), rtol=0, atol=1e-8)


def test_road_keeps_a_slope_and_adds_the_noise_it_is_told():
    slope = torch.linspace(0, 1, 16, dtype=torch.float64).expand(1, 3, 16, 16)
    hole = corner(*[(y, x) for y in range(4, 12) for x in range(5, 11)], size=(16, 16))
    assert_close(road_fill(slope, hole, noise=0), slope)
    noisy = road_fill(slope, hole, noise=0.1, generator=torch.Generator().manual_seed(0)) - slope
    assert noisy[:, :, hole[0]].std().item() == pytest.approx(0.1, rel=0.25)
    assert (noisy[:, :, ~hole[0]] == 0).all()


def test_nothing_left_is_filled_with_the_mean():
    picture = torch.rand(1, 3, 4, 4, dtype=torch.float64)
    all_of_it = torch.ones(1, 4, 4, dtype=torch.bool)
    mean = picture.mean((2, 3), keepdim=True).expand_as(picture)
    assert_close(road_fill(picture, all_of_it, noise=0), mean)
    assert_close(mean_fill(picture, all_of_it), mean)


def test_blur_by_hand():
    flat = torch.full((1, 2, 8, 9), 0.3, dtype=torch.float64)
    everything = torch.ones(1, 8, 9, dtype=torch.bool)
    assert_close(blur_fill(flat, everything), flat)
    point = torch.zeros(1, 1, 21, 21, dtype=torch.float64)
    point[..., 10, 10] = 1
    blurred = blur_fill(point, torch.ones(1, 21, 21, dtype=torch.bool), sigma=2.0)[0, 0]
    assert blurred.sum().item() == pytest.approx(1)
    ratio = blurred[10, 12] / blurred[10, 10]  # two px away, one sigma
    assert ratio.item() == pytest.approx(torch.exp(torch.tensor(-0.5)).item())
    assert_close(blurred, blurred.T)


@pytest.mark.parametrize(
    "fill", [mean_fill, blur_fill, lambda x, gone: road_fill(x, gone, noise=0)], ids=["mean", "blur", "road"]
)
def test_fills_leave_the_rest_and_the_input_as_they_are(fill):
    pictures = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    removed = torch.zeros(2, 8, 8, dtype=torch.bool)
    removed[0, :4, :4] = True
    before = pictures.clone()
    filled = fill(pictures, removed)
    assert torch.equal(pictures, before)
    assert torch.equal(filled[1], pictures[1])
    assert torch.equal(filled[0, :, ~removed[0]], pictures[0, :, ~removed[0]])
    assert (filled[0, :, removed[0]] != pictures[0, :, removed[0]]).any()
    with pytest.raises(TypeError, match="removed must be boolean"):
        fill(pictures, removed.float())


def test_removal_by_hand():
    """The score counts the cells that are left, by their worth; a cell that is gone is worth nothing."""
    worth = torch.tensor([[5.0, 1.0, 3.0, 2.0]])
    images = worth.reshape(1, 1, 2, 2).repeat_interleave(2, 2).repeat_interleave(2, 3)
    score = lambda x: x.mean((1, 2, 3))
    nothing = lambda x, gone: x * ~gone[:, None]
    curve = removal_curve(score, images, worth, nothing, patch=2)
    assert_close(curve, torch.tensor([[11.0, 6.0, 3.0, 1.0, 0.0]]) / 4)
    curve = removal_curve(score, images, worth, nothing, patch=2, how="insertion")
    assert_close(curve, torch.tensor([[0.0, 5.0, 8.0, 10.0, 11.0]]) / 4)
    kept = torch.tensor([[True, False, False, False]])
    curve = removal_curve(score, images, worth, nothing, patch=2, kept=kept)
    assert_close(curve, torch.tensor([[11.0, 8.0, 6.0, 5.0]]) / 4)
    curve = removal_curve(score, images, worth, nothing, patch=2, kept=kept, how="insertion")
    assert_close(curve, torch.tensor([[5.0, 8.0, 10.0, 11.0]]) / 4)


def test_on_the_planted_model_two_removals_take_the_answer_and_two_give_it():
    scenes, model = planted_scenes(10, seed=3), planted(hops=2)
    rows = torch.arange(10)
    score = lambda x: model(x)[rows, scenes.answers]
    truth = scenes.causal.double()
    black = lambda x, gone: x * ~gone[:, None]
    with torch.no_grad():
        deleted = removal_curve(score, scenes.images, truth, black, patch=8)
        put_back = removal_curve(score, scenes.images, truth, black, patch=8, how="insertion")
    assert (deleted[:, 2] < 4).all() and (deleted[:, 0] > 9.9).all()
    assert (put_back[:, 2] > 9.9).all() and (put_back[:, 0] < 4).all()


def test_rank_agreement_is_spearmans():
    g = torch.Generator().manual_seed(0)
    first, second = torch.rand(4, 9, generator=g), torch.randint(0, 4, (4, 9), generator=g).float()  # the second with ties
    expected = [spearmanr(a.numpy(), b.numpy()).statistic for a, b in zip(first, second)]
    assert_close(rank_agreement(first, second), torch.tensor(expected, dtype=torch.float64))
    assert_close(rank_agreement(first, first**3), torch.ones(4, dtype=torch.float64))
    assert_close(rank_agreement(first, torch.zeros(4, 9)), torch.zeros(4, dtype=torch.float64))


def test_what_a_model_is_made_to_forget():
    torch.manual_seed(0)
    model = ViT(image_size=8, patch=4, classes=5, dim=8, depth=2, heads=2)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    model.head.weight.data += 1
    other = randomised(model, ["head", "blocks.1"], seed=3)
    changed = {
        name.split(".weight")[0] for name, value in other.state_dict().items() if not torch.equal(value, model.state_dict()[name])
    }
    assert "head" in changed and "blocks.1.attention.qkv" in changed
    assert not any(name.startswith(("embed", "blocks.0", "positions")) for name in changed)
    assert torch.equal(model.head.weight, state["head.weight"] + 1)  # the model itself forgets nothing
    again = randomised(model, ["head", "blocks.1"], seed=3)
    assert all(torch.equal(a, b) for a, b in zip(other.state_dict().values(), again.state_dict().values()))
    place = torch.get_rng_state()
    randomised(model, ["head"], seed=4)
    assert torch.equal(torch.get_rng_state(), place)


def test_rejections():
    images, maps = torch.rand(2, 3, 8, 8), torch.rand(2, 4)
    with pytest.raises(ValueError, match=r"maps must have shape \(2, 4\), got \(2, 3\)"):
        removal_curve(None, images, maps[:, :3], mean_fill, patch=4)
    with pytest.raises(ValueError, match='how must be "deletion" or "insertion"'):
        removal_curve(None, images, maps, mean_fill, patch=4, how="erasing")
    with pytest.raises(ValueError, match="kept must keep as many cells in each picture"):
        removal_curve(None, images, maps, mean_fill, patch=4, kept=torch.tensor([[True, False, False, False], [False] * 4]))
    with pytest.raises(TypeError, match="masks must be boolean"):
        pointing_game(maps, maps)
    with pytest.raises(ValueError, match=r"masks must have shape \(2, 4\)"):
        mass_in_mask(maps, torch.ones(2, 3, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"names: the model has no module \['lost'\]"):
        randomised(torch.nn.Linear(2, 2), ["lost"])
    with pytest.raises(ValueError, match="can be drawn anew"):
        randomised(torch.nn.Sequential(torch.nn.GELU()), ["0"])
