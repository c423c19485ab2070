"""Fewer tokens: nothing changes where none go or equal ones are merged, sizes add up, and every reduction does what it says."""

import pytest
import torch
from torch.testing import assert_close

from attn_utils.cost import forward_flops
from attn_utils.fewer_tokens import (
    FewerTokens,
    fold_common,
    merge_similar,
    random_dropping,
    regroup,
    regular_dropping,
    square_pooling,
)
from attn_utils.pruning import keep_heads
from attn_utils.vit import ViT

TIGHT = {"rtol": 1e-10, "atol": 1e-10}
SIDE, N, D = 6, 36, 10


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def vit(**options):
    sizes = {"image_size": 2 * SIDE, "patch": 2, "classes": 7, "channels": 1, "dim": D, "depth": 3, "heads": 2}
    return ViT(**sizes, mlp_ratio=2.0, readout="mean", **options).double().eval()


@pytest.fixture
def images():
    return torch.rand(5, 1, 2 * SIDE, 2 * SIDE, dtype=torch.float64)


@pytest.mark.parametrize("weighted", [True, False])
def test_where_none_go_it_is_the_model(images, weighted):
    model = vit()
    assert_close(FewerTokens(model, merge_similar, [0, 0, 0], weighted=weighted)(images), model(images), **TIGHT)


@pytest.mark.parametrize("reduce", [merge_similar, fold_common])
def test_merging_equal_tokens_changes_nothing(reduce):
    """On a picture of one tint, without positions, all tokens are equal and stay so."""
    model, picture = vit(positions="none"), torch.full((2, 1, 12, 12), 0.3, dtype=torch.float64)
    assert_close(FewerTokens(model, reduce, [18, 9, 4])(picture), model(picture), **TIGHT)


def test_half_of_the_picture_in_one_tint():
    """Two kinds of tokens, 9 and 27 of them: without sizes a merged token would count too little."""
    model, picture = vit(positions="none"), torch.full((1, 1, 12, 12), 0.9, dtype=torch.float64)
    picture[..., :6, :6] = 0.1
    assert_close(FewerTokens(model, merge_similar, [18, 0, 0])(picture), model(picture), **TIGHT)
    plain = FewerTokens(model, merge_similar, [18, 0, 0], weighted=False)(picture)
    assert (plain - model(picture)).abs().max() > 1e-4


def test_weights_of_the_copy_are_its_own(images):
    model = vit()
    fewer, before = FewerTokens(model, merge_similar, [3, 3, 3]), model(images)
    with torch.no_grad():
        for parameter in fewer.parameters():
            parameter.zero_()
    assert_close(model(images), before, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("reduce", "counts", "left", "held"),
    [
        (merge_similar, [10, 7, 5], 14, N),
        (fold_common, [10, 7, 5], 14, N),
        (random_dropping(), [10, 7, 5], 14, 14),
        (regular_dropping, [10, 7, 5], 14, 14),
        (square_pooling(SIDE, SIDE, 3), [32, 0, 0], 4, N),
        (square_pooling(SIDE, SIDE, 2), [0, 27, 0], 9, N),
    ],
)
def test_sizes_and_groups_agree(images, reduce, counts, left, held):
    fewer = FewerTokens(vit(), reduce, counts)
    tokens, sizes = fewer.features(images)
    assert tokens.shape == (5, left, D) and (sizes > 0).all()
    assert_close(sizes.sum(dim=1), torch.full((5,), float(held), dtype=torch.float64))
    if held == N:  # nothing is drawn: asked again, it is the same
        counted = torch.zeros(5, left, dtype=torch.float64).scatter_add(1, fewer.groups(images), torch.ones(5, N).double())
        assert_close(counted, sizes)
    else:
        where = fewer.groups(images)
        assert ((where < left).sum(dim=1) == left).all() and ((where == left).sum(dim=1) == N - left).all()


@pytest.mark.parametrize("reduce", [merge_similar, fold_common, square_pooling(SIDE, SIDE, 3)])
def test_a_batch_is_one_picture_at_a_time(images, reduce):
    counts = [32, 0, 0] if reduce not in (merge_similar, fold_common) else [10, 7, 5]
    fewer = FewerTokens(vit(), reduce, counts)
    assert_close(fewer(images), torch.cat([fewer(image[None]) for image in images]), **TIGHT)


def test_fewer_tokens_take_fewer_flops_and_learn(images):
    model = vit()
    fewer = FewerTokens(model, fold_common, [20, 8, 0])
    assert forward_flops(fewer, [images]) < 0.7 * forward_flops(model, [images])
    fewer(images).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in fewer.parameters() if p.requires_grad)


def test_it_goes_together_with_pruned_heads(images):
    smaller = keep_heads(vit(), {"blocks.0.attention": [1], "blocks.1.attention": []})
    assert_close(FewerTokens(smaller, merge_similar, [0, 0, 0])(images), smaller(images), **TIGHT)
    assert FewerTokens(smaller, merge_similar, [10, 10, 0]).features(images)[0].shape == (5, 16, D)


# ---- reductions


def test_regroup_by_hand():
    x = torch.tensor([[[1.0], [3.0], [10.0], [7.0]]])
    tokens, sizes = regroup(x, torch.tensor([[1.0, 3.0, 2.0, 5.0]]), torch.tensor([[1, 1, 0, 2]]), 2)
    assert_close(tokens, torch.tensor([[[10.0], [2.5]]]))  # (1 · 1 + 3 · 3) / 4
    assert_close(sizes, torch.tensor([[2.0, 4.0]]))


def test_fold_common_takes_what_is_most_alike():
    keys = torch.tensor([[[1.0, 0.1], [0.0, 1.0], [1.0, 0.0], [1.0, -0.1], [-1.0, 0.0]]])
    assert fold_common(keys, 2).tolist() == [[2, 0, 2, 2, 1]]


def test_dropping_repeats_for_a_seed_and_differs_between_pictures():
    keys = torch.rand(3, 20, 4)
    first, again, other = random_dropping(1)(keys, 8), random_dropping(1)(keys, 8), random_dropping(2)(keys, 8)
    assert torch.equal(first, again) and not torch.equal(first, other) and not torch.equal(first[0], first[1])
    assert first[0].unique().tolist() == list(range(13))


@pytest.mark.parametrize(("r", "kept"), [(4, [1, 3, 5, 7]), (2, [0, 2, 3, 4, 6, 7]), (7, [4]), (0, list(range(8)))])
def test_regular_dropping_keeps_tokens_evenly_spaced(r, kept):
    where = regular_dropping(torch.rand(2, 8, 3), r)
    assert where.shape == (2, 8)
    for row in where.tolist():
        assert [place for place, number in enumerate(row) if number < 8 - r] == kept
        assert [row[place] for place in kept] == list(range(8 - r))
        assert set(row) <= {*range(8 - r), 8 - r}


def test_pooling_goes_by_place():
    where = square_pooling(2, 4, 2)(torch.rand(1, 8, 3), 6)
    assert where.tolist() == [[0, 0, 1, 1, 0, 0, 1, 1]]
    with pytest.raises(ValueError, match="2 × 4 tokens become 2: r must be 6, got 5 of 8 tokens"):
        square_pooling(2, 4, 2)(torch.rand(1, 8, 3), 5)
    with pytest.raises(ValueError, match="side must divide height and width"):
        square_pooling(3, 4, 2)


def test_what_it_cannot_do_it_refuses():
    sizes = {"image_size": 4, "patch": 2, "classes": 2, "channels": 1, "dim": 4, "depth": 1, "heads": 1}
    with pytest.raises(ValueError, match="model must have readout=\"mean\", got 'class_token'"):
        FewerTokens(ViT(**sizes), merge_similar, [0])
    with pytest.raises(ValueError, match=r"one number for each of the 3 blocks, got \[1, 2\]"):
        FewerTokens(vit(), merge_similar, [1, 2])
    with pytest.raises(ValueError, match="counts must be an integer of at least 0, got -1"):
        FewerTokens(vit(), merge_similar, [-1, 0, 0])
