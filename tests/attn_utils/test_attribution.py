"""Gradients of weights, Grad-CAM and integrated gradients: cases by hand, completeness, and captum."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from attn_utils.attribution import attention_gradients, grad_cam, integrated_gradients, per_cell
from attn_utils.explain import cross_relevance
from attn_utils.vit import Block, ViT

B, CLASSES = 3, 7


@pytest.fixture(scope="module")
def vit():
    torch.manual_seed(0)
    model = ViT(image_size=(6, 10), patch=2, classes=CLASSES, dim=12, depth=2, heads=3, readout="mean").double().eval()
    for parameter in model.parameters():  # larger weights: an untrained network hardly bends
        parameter.data = 2 * torch.randn_like(parameter) / parameter.shape[-1] ** 0.5
    return model


@pytest.fixture(scope="module")
def convolutions():
    torch.manual_seed(1)
    net = nn.Sequential(nn.Conv2d(3, 5, 3), nn.GELU(), nn.Conv2d(5, 7, 3), nn.GELU(), nn.Flatten(), nn.Linear(7 * 2 * 6, CLASSES))
    return net.double().eval()


@pytest.fixture
def images():
    return torch.rand(B, 3, 6, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


def fifth(logits):
    return logits[:, 5]


def test_the_gradient_of_a_weight_is_what_the_answer_gains_by_it(vit, images):
    """A weight of the last layer made a little larger, by hand."""
    from attn_utils.edit import edit_attention

    maps, gradients = attention_gradients(vit, images, fifth)
    assert list(maps) == ["blocks.0.attention", "blocks.1.attention"]
    step, at = 1e-6, (slice(None), 1, 4, 9)  # head 1, query 4, key 9

    def nudged(sign):
        def edit(name, weights):
            new = weights.clone()
            if name == "blocks.1.attention":
                new[at] += sign * step
            return new

        with torch.no_grad(), edit_attention(vit, edit):
            return fifth(vit(images))

    assert_close(gradients["blocks.1.attention"][at], (nudged(1) - nudged(-1)) / (2 * step), rtol=1e-5, atol=1e-8)
    assert not any(weights.requires_grad for weights in [*maps.values(), *gradients.values()])


def test_a_layer_that_does_not_count_has_gradient_zero(images):
    torch.manual_seed(0)
    model = ViT(image_size=(6, 10), patch=2, classes=CLASSES, dim=12, depth=1, heads=3, readout="mean").double().eval()
    _, gradients = attention_gradients(model, images, lambda logits: 0 * images.sum((1, 2, 3)) + model.head.bias[0])
    assert_close(gradients["blocks.0.attention"], torch.zeros(B, 3, 15, 15, dtype=torch.float64))


class Asks(nn.Module):
    """Tokens that attend to themselves and then to a fixed context."""

    def __init__(self):
        super().__init__()
        self.block = Block(12, heads=3, context_dim=4)
        self.context = nn.Parameter(torch.randn(1, 7, 4))

    def forward(self, x):
        return self.block(x, context=self.context.expand(len(x), 7, 4))


def test_relevance_of_a_context():
    """A block with cross-attention: what the context counts for, from recorded maps; gradients of one answer only reach its own token."""
    torch.manual_seed(0)
    model, x = Asks().double().eval(), torch.randn(B, 5, 12, dtype=torch.float64)
    maps, gradients = attention_gradients(model, x, lambda out: out[:, 2, 0])
    assert list(maps) == ["block.attention", "block.cross"]
    streams = {"block.attention": ("tokens", "tokens"), "block.cross": ("tokens", "context")}
    R = cross_relevance(maps, gradients, streams)
    asked = (maps["block.cross"] * gradients["block.cross"]).clamp(min=0).mean(1)  # (B, 5, 7)
    assert (asked[:, [0, 1, 3, 4]] == 0).all() and (asked[:, 2].amax(1) > 0).all()
    own = R["tokens", "tokens"] - torch.eye(5, dtype=torch.float64)
    share = own / own.sum(-1, keepdim=True).clamp(min=1e-30)
    assert_close(R["tokens", "context"], asked + share.mT @ asked)
    assert_close(R["context", "context"], torch.eye(7, dtype=torch.float64).expand(B, 7, 7))


def test_grad_cam_solved_by_hand():
    """Two features at three tokens; the answer is twice the first less the second, averaged over the tokens."""
    tokens = torch.tensor([[[1.0, 0.0], [3.0, 1.0], [0.0, 5.0]]])
    model = nn.Sequential(nn.Identity()).eval()
    answer = lambda out: (2 * out[..., 0] - out[..., 1]).mean(1)
    assert_close(grad_cam(model, model[0], tokens, answer), torch.tensor([[2.0, 5.0, 0.0]]) / 3)
    as_map = tokens.mT.unflatten(2, (1, 3))  # (1, 2, 1, 3): the same as a feature map
    answer = lambda out: (2 * out[:, 0] - out[:, 1]).mean((1, 2))
    assert_close(grad_cam(model, model[0], as_map, answer), torch.tensor([[[2.0, 5.0, 0.0]]]) / 3)


def test_integrated_gradients_solved_by_hand():
    """y = x0 · x1²: the integral of α² is a third, of 2 α² two thirds. Two nodes are exact for a square."""
    x = torch.tensor([[3.0, 2.0], [1.0, -1.0]], dtype=torch.float64)
    product = lambda out: out[:, 0] * out[:, 1] ** 2
    found = integrated_gradients(nn.Identity().eval(), x, product, steps=2)
    assert_close(found, product(x)[:, None] * torch.tensor([[1 / 3, 2 / 3]], dtype=torch.float64))
    from_one = integrated_gradients(nn.Identity().eval(), x, lambda out: out[:, 0] ** 2, baseline=1.0, steps=1)
    assert_close(from_one, torch.tensor([[8.0, 0.0], [0.0, 0.0]], dtype=torch.float64))


def test_integrated_gradients_add_up_to_what_the_picture_adds(vit, images):
    baseline = images.mean((2, 3), keepdim=True)
    found = integrated_gradients(vit, images, fifth, baseline=baseline, steps=64)
    with torch.no_grad():
        gained = fifth(vit(images)) - fifth(vit(baseline.expand_as(images)))
    assert_close(found.sum((1, 2, 3)), gained, rtol=1e-3, atol=1e-6)
    few = integrated_gradients(vit, images, fifth, baseline=baseline, steps=1)
    assert (few.sum((1, 2, 3)) - gained).abs().max() > 1e-3  # so the test above can fail


def test_equal_to_captum(vit, convolutions, images):
    captum = pytest.importorskip("captum.attr", reason="captum is not installed: nothing to compare with")
    for model in (vit, convolutions):
        theirs = captum.IntegratedGradients(model).attribute(images, baselines=0.25, target=5, n_steps=9)
        assert_close(
            integrated_gradients(model, images, fifth, baseline=0.25, steps=9), theirs, rtol=1e-6, atol=1e-8
        )  # their nodes have fewer digits
    layer = convolutions[2]
    theirs = captum.LayerGradCam(convolutions, layer).attribute(images, target=5, relu_attributions=True)
    assert theirs.abs().max() > 0
    assert_close(grad_cam(convolutions, layer, images, fifth), theirs[:, 0])


def test_one_picture_at_a_time_gives_the_same(vit, images):
    for method in (
        lambda x: grad_cam(vit, vit.blocks[0], x, fifth),
        lambda x: integrated_gradients(vit, x, fifth, steps=3),
        lambda x: attention_gradients(vit, x, fifth)[1]["blocks.0.attention"],
    ):
        before = images.clone()
        assert_close(method(images), torch.cat([method(image[None]) for image in images]))
        assert torch.equal(images, before) and not images.requires_grad


def test_pixels_of_a_cell_are_added_up():
    values = torch.zeros(2, 3, 4, 6)
    values[1, :, 1, 5] = torch.tensor([1.0, 2.0, 4.0])  # upper right of 2 × 3 cells of 2 × 2 px
    values[0, 0, 2, 0] = 5.0  # lower left
    assert_close(per_cell(values, 2), torch.tensor([[0.0, 0, 0, 5, 0, 0], [0, 0, 7, 0, 0, 0]]))


def test_rejections(vit, images):
    with pytest.raises(ValueError, match=r"answer must return one number a picture, \(3,\), got \(3, 7\)"):
        integrated_gradients(vit, images, lambda logits: logits)
    with pytest.raises(ValueError, match="steps must be an integer of at least 1, got 0"):
        integrated_gradients(vit, images, fifth, steps=0)
    with pytest.raises(RuntimeError, match="the layer did not run"):
        grad_cam(vit, nn.Linear(2, 2), images, fifth)
    with pytest.raises(ValueError, match=r"layer must return tokens \(B, N, D\) or maps \(B, D, H, W\), got \(3, 7\)"):
        grad_cam(vit, vit.head, images, fifth)
    with pytest.raises(RuntimeError, match="the answer does not depend on the layer"):
        grad_cam(vit, vit.blocks[0], images, lambda logits: 0 * images.sum((1, 2, 3)) + vit.head.bias[0])
    training = ViT(image_size=6, patch=2, classes=2, dim=4, depth=1, heads=1)
    with pytest.raises(ValueError, match="model must be in eval mode"):
        attention_gradients(training, torch.rand(1, 3, 6, 6), fifth)
