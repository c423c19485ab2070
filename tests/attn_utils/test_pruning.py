"""What is left out is gone: a smaller network computes what the whole one does with the others' outputs at 0."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.testing import assert_close

from attn_utils.attention import MultiHeadAttention
from attn_utils.cost import count_parameters, forward_flops
from attn_utils.pruning import NoHeads, PrunedAttention, block_importance, head_importance, keep_blocks, keep_heads
from attn_utils.record import record_attention
from attn_utils.vit import ViT

TIGHT = {"rtol": 1e-12, "atol": 1e-12}
HEADS, d, D = 3, 5, 15


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.fixture
def model():
    sizes = {"image_size": 8, "patch": 4, "classes": 7, "channels": 1}
    return ViT(**sizes, dim=D, depth=2, heads=HEADS, mlp_ratio=2.0, readout="mean").double().eval()


@pytest.fixture
def data():
    return torch.rand(11, 1, 8, 8, dtype=torch.float64), torch.arange(11) % 7


def loss(model, images, labels):
    return F.cross_entropy(model(images), labels)


def silenced(layer, head):
    """The layer's own output with what one head says set to 0."""

    def silence(_module, args):
        return args[0].unflatten(-1, (HEADS, d)).index_fill(2, torch.tensor([head]), 0.0).flatten(-2)

    return layer.out.register_forward_pre_hook(silence)


@pytest.mark.parametrize("context_dim", [None, 4])
def test_a_pruned_layer_is_the_layer_with_the_others_silent(context_dim):
    layer = MultiHeadAttention(D, heads=HEADS, context_dim=context_dim).double()
    x = torch.randn(2, 6, D, dtype=torch.float64)
    inputs = (x,) if context_dim is None else (x, torch.randn(2, 8, context_dim, dtype=torch.float64))
    pruned = PrunedAttention(layer, [0, 2])
    with silenced(layer, 1):
        assert_close(pruned(*inputs), layer(*inputs), **TIGHT)
    assert count_parameters(pruned) < count_parameters(layer)
    assert forward_flops(pruned, inputs) < forward_flops(layer, inputs)


def test_all_heads_kept_is_the_same_layer_with_weights_of_its_own():
    layer = MultiHeadAttention(D, heads=HEADS, bias=False).double()
    x = torch.randn(2, 6, D, dtype=torch.float64)
    pruned = PrunedAttention(layer, range(HEADS))
    assert_close(pruned(x), layer(x), **TIGHT)
    with torch.no_grad():
        pruned.qkv.weight.zero_()
    assert layer.qkv.weight.abs().min() > 0


def test_masks_and_recorders_work_on_what_is_left():
    layer = MultiHeadAttention(D, heads=HEADS).double()
    x, mask = torch.randn(2, 6, D, dtype=torch.float64), torch.eye(6, dtype=torch.bool)
    pruned = PrunedAttention(layer, [2])
    with record_attention(pruned) as maps:
        pruned(x, mask=mask)
    assert_close(maps[""], torch.eye(6, dtype=torch.float64).expand(2, 1, 6, 6), **TIGHT)
    with record_attention(layer) as whole:
        layer(x)
    with record_attention(pruned) as maps:
        pruned(x)
    assert_close(maps[""], whole[""][:, 2:], **TIGHT)


@pytest.mark.parametrize("keep", [[3], [-1], [1, 0], [1, 1], []])
def test_heads_that_are_not_there_are_refused(keep):
    with pytest.raises(ValueError, match="keep must name"):
        PrunedAttention(MultiHeadAttention(D, heads=HEADS), keep)


def test_positions_are_refused():
    pruned = PrunedAttention(MultiHeadAttention(D, heads=HEADS), [1])
    with pytest.raises(ValueError, match="takes no positions"):
        pruned(torch.rand(1, 4, D), positions=lambda tokens, project: project(tokens))


def test_keep_heads_leaves_the_model_as_it_was(model, data):
    before = copy.deepcopy(model.state_dict())
    smaller = keep_heads(model, {"blocks.0.attention": [2], "blocks.1.attention": []})
    assert [getattr(block.attention, "heads", 0) for block in smaller.blocks] == [1, 0]
    with silenced(model.blocks[0].attention, 0), silenced(model.blocks[0].attention, 1):
        hooks = [silenced(model.blocks[1].attention, head) for head in range(HEADS)]
        assert_close(smaller(data[0]), model(data[0]), **TIGHT)
        for hook in hooks:
            hook.remove()
    assert_close(dict(model.state_dict()), dict(before), rtol=0, atol=0)


def test_a_layer_without_heads_costs_neither_norm_nor_scores(model):
    smaller = keep_heads(model, {"blocks.0.attention": []})
    block = smaller.blocks[0]
    assert isinstance(block.attention, NoHeads) and isinstance(block.norm_attention, nn.Identity)
    x = torch.rand(2, 4, D, dtype=torch.float64)
    assert forward_flops(block, [x]) == forward_flops(block.mlp, [x])


def test_a_name_of_no_layer_is_refused(model):
    with pytest.raises(ValueError, match=r"'blocks.0', which is no layer .* \['blocks.0.attention', 'blocks.1.attention'\]"):
        keep_heads(model, {"blocks.0": [1]})


def test_keep_blocks_computes_what_is_left(model, data):
    smaller = keep_blocks(model, [1])
    model.blocks[0].forward = lambda x: x
    assert_close(smaller(data[0]), model(data[0]), **TIGHT)
    assert len(model.blocks) == 2 and len(keep_blocks(model, []).blocks) == 0
    with pytest.raises(ValueError, match="keep must name blocks from 0 to 1"):
        keep_blocks(model, [2])


def test_importance_is_the_mean_slope_of_the_loss_over_samples(model, data):
    """Against differences: each head's columns of the last projection a little longer and a little shorter, one sample at a time."""
    found, eps = head_importance(model, data, loss, batch_size=4), 1e-5
    for name, importance in found.items():
        weight = model.get_submodule(name).out.weight
        for head in range(HEADS):
            columns = slice(head * d, (head + 1) * d)
            slopes = []
            for image, label in zip(*data, strict=True):
                ends = []
                for scale in (1 + eps, 1 - eps):
                    with torch.no_grad():
                        kept = weight[:, columns].clone()
                        weight[:, columns] *= scale
                        ends.append(loss(model, image[None], label[None]).item())
                        weight[:, columns] = kept
                slopes.append(abs(ends[0] - ends[1]) / (2 * eps))
            assert importance[head].item() == pytest.approx(sum(slopes) / len(slopes), rel=1e-5)


def test_a_head_that_is_not_listened_to_has_no_importance(model, data):
    with torch.no_grad():
        model.blocks[1].attention.out.weight[:, d : 2 * d] = 0
    importance = head_importance(model, data, loss)["blocks.1.attention"]
    assert importance[1] == 0 and importance[0] > 0 and importance[2] > 0


def test_importance_of_a_block_is_the_slope_along_what_it_adds(model, data):
    found, eps = block_importance(model, data, loss, batch_size=3), 1e-5
    for number, block in enumerate(model.blocks):
        slopes = []
        for image, label in zip(*data, strict=True):
            ends = []
            for scale in (1 + eps, 1 - eps):
                stretch = lambda _module, args, out, scale=scale: args[0] + scale * (out - args[0])
                hook = block.register_forward_hook(stretch)
                ends.append(loss(model, image[None], label[None]).item())
                hook.remove()
            slopes.append(abs(ends[0] - ends[1]) / (2 * eps))
        assert found[number].item() == pytest.approx(sum(slopes) / len(slopes), rel=1e-5)


def test_asking_for_importance_changes_nothing(model, data):
    model.train()
    before = model(data[0])
    head_importance(model, data, loss)
    block_importance(model, data, loss)
    assert model.training and all(p.grad is None for p in model.parameters())
    assert_close(model(data[0]), before, **TIGHT)


def test_a_model_without_attention_has_no_heads(data):
    with pytest.raises(ValueError, match="Linear has no layer of MultiHeadAttention"):
        head_importance(nn.Linear(2, 2), data, loss)
