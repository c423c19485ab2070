"""Other weights in the place of a layer's own: the mix by hand, and nothing left behind."""

import pytest
import torch
from torch.testing import assert_close

from attn_utils.attention import MultiHeadAttention
from attn_utils.edit import edit_attention, use_maps
from attn_utils.record import record_attention
from attn_utils.vit import Block

B, N, M, D, HEADS, WIDTH = 2, 5, 7, 12, 3, 11


def cross():
    torch.manual_seed(0)
    layer = MultiHeadAttention(D, heads=HEADS, context_dim=WIDTH).double()
    return layer, torch.randn(B, N, D, dtype=torch.float64), torch.randn(B, M, WIDTH, dtype=torch.float64)


def test_the_mix_by_hand():
    """Every patch looks at the third word alone: the output is that word's value, projected."""
    layer, x, words = cross()
    only = torch.zeros(B, HEADS, N, M, dtype=torch.float64)
    only[..., 2] = 1
    with edit_attention(layer, lambda name, weights: only):
        out = layer(x, words)
    value = layer.kv(words)[:, 2, D:]  # (B, D), the heads one behind the other
    assert_close(out, layer.out(value)[:, None].expand(B, N, D))


def test_own_weights_change_nothing_and_nothing_is_left_behind():
    layer, x, words = cross()
    before = layer(x, words)
    with record_attention(layer) as maps:
        layer(x, words)
    seen = []
    with edit_attention(layer, lambda name, weights: seen.append(name)):  # returns None
        assert_close(layer(x, words), before)
    with edit_attention(layer, use_maps(maps)):
        assert_close(layer(x, words), before)
    assert seen == [""]
    assert not layer.weights._forward_hooks
    with pytest.raises(ZeroDivisionError), edit_attention(layer, lambda name, weights: 1 / 0):
        layer(x, words)
    assert not layer.weights._forward_hooks
    assert_close(layer(x, words), before)


def test_maps_of_another_caption_with_values_of_this():
    layer, x, words = cross()
    others = torch.randn_like(words)
    with record_attention(layer) as maps:
        layer(x, others)
    with edit_attention(layer, use_maps(maps)):
        out = layer(x, words)
    values = layer.kv(words)[..., D:].unflatten(-1, (HEADS, -1)).transpose(1, 2)
    assert_close(out, layer.out((maps[""] @ values).transpose(1, 2).flatten(2)))


def test_only_named_layers_are_edited_and_gradients_flow():
    torch.manual_seed(0)
    block = Block(D, heads=HEADS, context_dim=WIDTH).double()
    x, words = torch.randn(B, N, D, dtype=torch.float64), torch.randn(B, M, WIDTH, dtype=torch.float64)
    names = []

    def even(name, weights):
        names.append(name)
        return torch.full_like(weights, 1 / M) if name == "cross" else None

    with edit_attention(block, even):
        out = block(x, context=words)
    assert names == ["attention", "cross"]
    assert (out - block(x, context=words)).abs().max() > 1e-3
    out.sum().backward()
    assert block.cross.kv.weight.grad.abs().max() > 0


def test_a_recorder_outside_sees_what_the_model_made_and_one_inside_what_was_used():
    layer, x, words = cross()
    half = lambda name, weights: weights / 2
    with record_attention(layer) as own, edit_attention(layer, half), record_attention(layer) as used:
        layer(x, words)
    assert_close(own[""].sum(-1), torch.ones(B, HEADS, N, dtype=torch.float64))
    assert_close(used[""], own[""] / 2)


def test_what_cannot_be_edited_says_so():
    layer, x, words = cross()
    with pytest.raises(ValueError, match="Linear has no MultiHeadAttention to edit"):
        with edit_attention(torch.nn.Linear(2, 2), lambda name, weights: None):
            pass
    with pytest.raises(RuntimeError, match="no attention ran"):
        with edit_attention(layer, lambda name, weights: None):
            pass
    with pytest.raises(ValueError, match="what edit returns for layer ''"):
        with edit_attention(layer, lambda name, weights: weights[..., :-1]):
            layer(x, words)
