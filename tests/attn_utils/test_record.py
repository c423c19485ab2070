"""The recorder sees what the model really did, changes nothing, and never fails silently."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close
from torch.utils.checkpoint import checkpoint

from attn_utils.attention import MultiHeadAttention, attention
from attn_utils.record import record_attention
from attn_utils.vit import Block, ViT

B, N = 2, 15


@pytest.fixture
def model():
    torch.manual_seed(0)
    return ViT(image_size=(6, 10), patch=2, classes=7, dim=12, depth=3, heads=3, readout="mean").double().eval()


@pytest.fixture
def image():
    torch.manual_seed(1)
    return torch.randn(B, 3, 6, 10, dtype=torch.float64)


def hooks(model):
    return sum(len(module._forward_hooks) for module in model.modules())


def test_maps_come_in_forward_order_and_their_rows_sum_to_one(model, image):
    with record_attention(model) as maps:
        model(image)
    assert list(maps) == ["blocks.0.attention", "blocks.1.attention", "blocks.2.attention"]
    for weights in maps.values():
        assert weights.shape == (B, 3, N, N)
        assert not weights.requires_grad
        assert_close(weights.sum(dim=-1), torch.ones(B, 3, N, dtype=torch.float64))


def test_recording_changes_no_output(model, image):
    with record_attention(model):
        recorded = model(image)
    assert_close(recorded, model(image), rtol=0, atol=1e-12)


def test_recorded_weights_are_those_of_the_layer():
    torch.manual_seed(0)
    layer, x = MultiHeadAttention(12, heads=3), torch.randn(B, 5, 12)
    with record_attention(layer) as maps:
        layer(x)
    q, k, v = (t.unflatten(-1, (3, 4)).transpose(1, 2) for t in layer.qkv(x).chunk(3, dim=-1))
    assert_close(maps[""], attention(q, k, v)[1].detach())


def test_masks_are_respected_in_self_and_cross_attention():
    block = Block(12, heads=3, context_dim=12)
    mask, context_mask = torch.ones(5, 5).tril().bool(), torch.rand(5, 7) < 0.5
    with record_attention(block) as maps:
        block(torch.randn(B, 5, 12), mask, torch.randn(B, 7, 12), context_mask)
    assert list(maps) == ["attention", "cross"]
    assert torch.count_nonzero(maps["attention"][..., ~mask]) == 0
    assert torch.count_nonzero(maps["cross"][..., ~context_mask]) == 0


def test_weights_are_recorded_before_dropout():
    layer = MultiHeadAttention(12, heads=3, dropout=0.5).train()
    with record_attention(layer) as maps:
        layer(torch.randn(B, 5, 12))
    assert_close(maps[""].sum(dim=-1), torch.ones(B, 3, 5))


def test_maps_can_be_differentiated(model, image):
    with record_attention(model, grad=True) as maps:
        model(image)[:, 0].sum().backward()
    assert all(weights.grad.abs().sum() > 0 for weights in maps.values())


def checkpointed(model, image, *, use_reentrant):
    """What `model.features` does, with each block in a checkpoint; the picture asks for a gradient, as a reentrant one needs."""
    x = model.embed(image.clone().requires_grad_()) + model.positions
    for block in model.blocks:
        x = checkpoint(block, x, use_reentrant=use_reentrant)
    return model.norm(x)


@pytest.mark.parametrize("use_reentrant", [False, True])
def test_a_checkpointed_model_is_recorded_once_and_its_gradients_stay(model, image, use_reentrant):
    checkpointed(model, image, use_reentrant=use_reentrant).square().sum().backward()
    expected = [parameter.grad.clone() for parameter in model.blocks.parameters()]
    model.zero_grad()
    with record_attention(model) as plain:
        model(image)
    with record_attention(model) as maps:
        checkpointed(model, image, use_reentrant=use_reentrant).square().sum().backward()
    assert list(maps) == list(plain)
    for name in plain:
        assert_close(maps[name], plain[name], rtol=0, atol=0)
    for parameter, gradient in zip(model.blocks.parameters(), expected, strict=True):
        assert_close(parameter.grad, gradient, rtol=1e-9, atol=1e-12)
    assert hooks(model) == 0


def test_maps_of_a_checkpointed_model_can_be_differentiated(model, image):
    with record_attention(model, grad=True) as plain:
        model.features(image).square().sum().backward()
    with record_attention(model, grad=True) as maps:
        checkpointed(model, image, use_reentrant=False).square().sum().backward()
    for name in plain:
        assert_close(maps[name].grad, plain[name].grad, rtol=1e-9, atol=1e-12)


def test_a_reentrant_checkpoint_has_no_maps_to_differentiate(model, image):
    with pytest.raises(RuntimeError, match=r"blocks.2.attention' has no graph: checkpoint it with use_reentrant=False"):
        with record_attention(model, grad=True):
            checkpointed(model, image, use_reentrant=True).square().sum().backward()
    assert hooks(model) == 0


def test_a_second_run_is_an_error_with_checkpoints_too(model, image):
    with pytest.raises(RuntimeError, match="'blocks.0.attention' ran twice"), record_attention(model):
        checkpointed(model, image, use_reentrant=False).sum().backward()
        checkpointed(model, image, use_reentrant=False)


def test_recorders_can_be_nested(model, image):
    with record_attention(model) as outer:
        with record_attention(model.blocks[1]) as inner:
            model(image)
    assert list(inner) == ["attention"]
    assert_close(inner["attention"], outer["blocks.1.attention"], rtol=0, atol=0)
    assert hooks(model) == 0


def test_no_hook_is_left_behind_also_after_an_exception(model, image):
    with pytest.raises(KeyError, match="mine"), record_attention(model):
        model(image)
        raise KeyError("mine")
    assert hooks(model) == 0


def test_nothing_captured_is_an_error(model):
    with pytest.raises(RuntimeError, match="the recorder captured nothing"), record_attention(model):
        pass


def test_a_compiled_model_gives_the_same_and_does_not_fail_to_record_silently():
    layer, x = MultiHeadAttention(12, heads=3), torch.randn(B, 5, 12)
    mask = torch.ones(5, 5).tril().bool()
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")  # one graph: the recorder's question costs nothing
    assert_close(compiled(x, mask=mask), layer(x, mask=mask))
    with pytest.raises(RuntimeError, match="not in compiled form"), record_attention(layer):
        compiled(x, mask=mask)


def test_a_model_without_attention_is_an_error():
    with pytest.raises(ValueError, match="Linear has no attention layer"), record_attention(nn.Linear(2, 2)):
        pass


def test_a_layer_that_runs_twice_is_an_error(model, image):
    with pytest.raises(RuntimeError, match="'blocks.0.attention' ran twice"), record_attention(model):
        model(image)
        model(image)
    assert hooks(model) == 0


def test_nan_in_the_weights_is_an_error(model, image):
    with pytest.raises(RuntimeError, match="hold NaN"), record_attention(model):
        model(image * torch.nan)
