"""Interventions: by hand on single layers, on the planted model whose parts are known, and nothing is left behind."""

import math

import pytest
import torch
from scipy.spatial.distance import jensenshannon
from torch.testing import assert_close

from attn_book.planted import planted, planted_twins
from attn_utils.attention import MultiHeadAttention
from attn_utils.edit import edit_attention, use_maps
from attn_utils.patching import (
    edit_heads,
    even_weights,
    jensen_shannon,
    mean_heads,
    other_weights,
    patch_heads,
    patch_tokens,
    recovered,
    shuffled_weights,
    switch_off,
)
from attn_utils.record import record_attention

B, N, D, HEADS = 3, 5, 12, 4
PICTURES = 12
ROWS = torch.arange(PICTURES)


def layer_and_tokens():
    torch.manual_seed(0)
    return MultiHeadAttention(D, heads=HEADS).double().eval(), torch.randn(B, N, D, dtype=torch.float64)


def test_a_head_switched_off_adds_nothing():
    layer, x = layer_and_tokens()
    with record_attention(layer) as maps:
        before = layer(x)
    d = D // HEADS
    values = layer.qkv(x)[..., 2 * D :].unflatten(-1, (HEADS, d)).transpose(1, 2)
    said = (maps[""] @ values)[:, 2] @ layer.out.weight[:, 2 * d : 3 * d].T  # what head 2 adds
    with switch_off(layer, {"": [2]}):
        assert_close(layer(x), before - said)
    with switch_off(layer, {"": range(HEADS)}):
        assert_close(layer(x), layer.out.bias.expand(B, N, D))
    assert_close(layer(x), before)
    assert not layer.out._forward_pre_hooks


def test_a_head_that_says_what_it_always_says():
    layer, x = layer_and_tokens()
    means = mean_heads(layer, x)
    assert means[""].shape == (N, HEADS, D // HEADS)
    alike = x[:1].expand(B, N, D)
    with switch_off(layer, {"": [0, 3]}, means=mean_heads(layer, alike)):
        assert_close(layer(alike), layer.eval()(alike))  # all pictures are alike: nothing changes
    seen = {}
    with switch_off(layer, {"": [1]}, means=means), edit_heads(layer, lambda name, out: seen.update({name: out})):
        layer(x)
    assert_close(seen[""][:, :, 1], means[""][:, 1].expand(B, N, D // HEADS))


@pytest.fixture(scope="module", params=["cue", "digit"])
def pair(request):
    """Planted twins, the model with two hops, and an answer for them: the logit of theirs less that of their twins'."""
    images, others = planted_twins(PICTURES, seed=5, change=request.param)
    model = planted(hops=2, decoys=True, seed=1)
    answer = lambda logits: logits[ROWS, images.answers] - logits[ROWS, others.answers]
    with torch.no_grad():
        ends = answer(model(others.images)), answer(model(images.images))
    return request.param, images, others, model, answer, ends


def test_patching_tokens_follows_the_hops(pair):
    change, images, others, model, answer, ends = pair
    layers = ["embed", "blocks.0", "blocks.1"]
    cells = recovered(patch_tokens(model, ["embed"], images.images, others.images, answer), *ends)  # (B, 1, 16)
    tokens = recovered(patch_tokens(model, layers[1:], images.images, others.images, answer), *ends)  # (B, 2, 17)
    source = images.cue_cell if change == "cue" else images.target_cell
    expected = torch.zeros(PICTURES, 16, dtype=torch.float64)
    expected[ROWS, source] = 1
    assert_close(cells[:, 0], expected, rtol=0, atol=1e-3)  # before layer 1: where they differ
    expected = torch.zeros(PICTURES, 17, dtype=torch.float64)
    expected[ROWS, 1 + images.cue_cell] = 1
    assert_close(tokens[:, 0], expected, rtol=0, atol=1e-3)  # behind layer 1: the cue's cell has fetched the answer
    expected = torch.zeros(PICTURES, 17, dtype=torch.float64)
    expected[:, 0] = 1
    assert_close(tokens[:, 1], expected, rtol=0, atol=1e-3)  # behind layer 2: the class token has it


def test_patching_heads_finds_the_one_that_works(pair):
    *_, images, others, model, answer, ends = pair
    for patched in patch_heads(model, images.images, others.images, answer).values():
        working = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64).expand(PICTURES, 3)
        assert_close(recovered(patched, *ends), working, rtol=0, atol=1e-3)


def test_switching_off_tells_the_working_head_from_decoys(pair):
    *_, images, _, model, _, _ = pair
    names = ["blocks.0.attention", "blocks.1.attention"]
    with torch.no_grad():
        before = model(images.images)
        with switch_off(model, {name: [1, 2] for name in names}):
            assert_close(model(images.images), before)
        for name in names:
            with switch_off(model, {name: [0]}):
                assert_close(model(images.images)[:, :10], torch.zeros_like(before[:, :10]))


def test_recovered_by_hand():
    patched = torch.tensor([[1.0, 3.0, 5.0], [0.0, -2.0, 4.0]])
    assert_close(
        recovered(patched, torch.tensor([1.0, 0.0]), torch.tensor([5.0, -4.0])), torch.tensor([[0, 0.5, 1], [0, 0.5, -1]])
    )


def test_weights_dealt_out_anew():
    layer, x = layer_and_tokens()
    with record_attention(layer) as own, edit_attention(layer, shuffled_weights(torch.Generator().manual_seed(0))):
        with record_attention(layer) as used:
            layer(x)
    assert_close(used[""].sort(-1).values, own[""].sort(-1).values)  # the same weights, row by row
    moved = (used[""] != own[""]).any(-1).double().mean()
    assert moved > 0.9
    orders = used[""].argsort(-1)
    assert (orders[:, 0] != orders[:, 1]).any()  # each row its own order
    with edit_attention(layer, even_weights):
        with record_attention(layer) as even:
            layer(x)
    assert_close(even[""], torch.full_like(own[""], 1 / N))


def test_other_weights_move_the_decoys_and_not_the_head_that_works():
    images, _ = planted_twins(PICTURES, seed=5)
    model = planted(decoys=True, seed=1)
    read = lambda logits: logits[ROWS, images.cue_cell]
    maps, far, tvd = other_weights(model, images.images, read, images.cue_cell, tolerance=0.05, steps=60)
    assert far.shape == (PICTURES, 3)
    assert (far[:, 1:] > 0.9 * math.log(2)).all()  # as far as weights can be apart
    assert far[:, 0].max() < 0.2
    assert tvd.max() < 0.1
    with torch.no_grad(), edit_attention(model, use_maps(maps)):
        changed = read(model(images.images))
    with torch.no_grad(), record_attention(model) as own:
        before = read(model(images.images))
    assert_close(0.5 * (changed.softmax(-1) - before.softmax(-1)).abs().sum(-1), tvd)
    elsewhere = torch.ones(PICTURES, 16, dtype=torch.bool)
    elsewhere[ROWS, images.cue_cell] = False
    for name, weights in own.items():  # the other queries keep theirs
        assert torch.equal(maps[name].transpose(1, 2)[elsewhere], weights.transpose(1, 2)[elsewhere])


def test_jensen_shannon():
    """By hand; against SciPy; symmetric; and with a slope where weights are 0, as a training needs it."""
    one, two = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64), torch.tensor([0.5, 0.5, 0.0], dtype=torch.float64)
    by_hand = -0.75 * math.log(0.75) - 0.25 * math.log(0.25) - 0.5 * math.log(2)  # H(¾, ¼) less half of ln 2
    assert_close(jensen_shannon(one, two), torch.tensor(by_hand, dtype=torch.float64))
    assert_close(jensen_shannon(one, one.roll(1)), torch.tensor(math.log(2), dtype=torch.float64))
    a, b = torch.rand(2, 3, 5, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).softmax(-1)
    expected = torch.from_numpy(jensenshannon(a.numpy(), b.numpy(), axis=-1) ** 2)  # SciPy gives its root
    assert_close(jensen_shannon(a, b), expected)
    assert_close(jensen_shannon(b, a), expected)
    far = torch.tensor([0.0, -300.0, 0.0], requires_grad=True)
    weights = far.softmax(-1)
    assert weights[1] == 0
    jensen_shannon(weights, torch.tensor([0.0, 0.0, 1.0])).backward()
    assert torch.isfinite(far.grad).all() and far.grad[0] > 0


def test_rejections():
    layer, x = layer_and_tokens()
    with pytest.raises(ValueError, match="heads: there is no layer 'b', there is ''"), switch_off(layer, {"b": [0]}):
        pass
    with pytest.raises(ValueError, match=r"heads: '' has heads 0 to 3, got \[4, -1\]"), switch_off(layer, {"": [4, 1, -1]}):
        pass
    with pytest.raises(ValueError, match="Linear has no MultiHeadAttention to edit"), edit_heads(torch.nn.Linear(2, 2), print):
        pass
    with pytest.raises(ValueError, match=r"what edit returns for layer '' must have shape \(3, 5, 4, 3\)"):
        with edit_heads(layer, lambda name, out: out[:1]):
            layer(x)
    stem = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3))
    with pytest.raises(ValueError, match=r"what layer '0' returns must have shape \(B, N, D\), got \(1, 2, 3, 3\)"):
        patch_tokens(stem, ["0"], torch.rand(1, 1, 5, 5), torch.rand(1, 1, 5, 5), lambda out: out.sum((1, 2, 3)))
    with pytest.raises(ValueError, match=r"layers: the model has no module \['c'\]"):
        patch_tokens(layer, ["c"], x, x, lambda out: out.sum((1, 2)))
