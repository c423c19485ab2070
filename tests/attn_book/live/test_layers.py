"""Each layer of the page against torch's, one by one, and the errors that the bound of 1e-4 must see."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from attn_book.live.packing import pack
from attn_utils.attention import MultiHeadAttention
from attn_utils.positions import sincos_2d
from attn_utils.segmentation import NarrowAttention, TwoWayDecoder
from tests.attn_book.live.conftest import chapter, stirred

RIGHT = {"rtol": 0, "atol": 1e-4}


def seeded(*shape, seed=0, scale=1.0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * scale


def layer(module):
    """The module's tensors as the page has them, {"weight": …, "bias": …}, nested as its names are."""
    root = {}
    for name, p in module.state_dict().items():
        *path, last = name.split(".")
        node = root
        for key in path:
            node = node.setdefault(key, {})
        node[last] = p.numpy()
    return root


def rows(picture):
    """(C, H, W) -> (H·W, C)"""
    return picture.flatten(1).T


@pytest.fixture
def layers(javascript):
    return javascript("layers.js")


@pytest.fixture
def pictures(javascript):
    return javascript("convolution.js")


@pytest.mark.parametrize(("n", "inputs", "outputs"), [(7, 5, 11), (2, 3, 4), (1, 1, 1), (13, 17, 3), (4, 2, 8)])
@pytest.mark.parametrize("bias", [True, False])
def test_linear(layers, n, inputs, outputs, bias):
    torch.manual_seed(0)
    module, x = nn.Linear(inputs, outputs, bias=bias), seeded(n, inputs)
    y = layers("linear(x.data, layer)", x=x, layer=layer(module))
    np.testing.assert_allclose(y, module(x).detach().flatten(), atol=1e-6)


def test_gelu_relu_and_erf_on_a_fine_grid(layers):
    x = torch.linspace(-9, 9, 20_001)
    np.testing.assert_allclose(layers("gelu(x.data)", x=x), F.gelu(x.double()), rtol=0, atol=1e-6)
    np.testing.assert_allclose(layers("[...x.data].map(erf)", x=x), torch.erf(x.double()), rtol=0, atol=2e-7)
    np.testing.assert_array_equal(layers("relu(x.data)", x=x), F.relu(x))


@pytest.mark.parametrize("scale", [1.0, 0.01, 1000.0])
def test_layer_norm(layers, scale):
    module, x = nn.LayerNorm(13), seeded(7, 13, scale=scale) + 3 * scale
    nn.init.normal_(module.weight, generator=torch.Generator().manual_seed(1))
    nn.init.normal_(module.bias, generator=torch.Generator().manual_seed(2))
    given = {"x": x, "layer": layer(module)}
    np.testing.assert_allclose(layers("layerNorm(x.data, layer)", **given), module(x).detach().flatten(), **RIGHT)


def test_another_epsilon_is_seen(layers):
    """On rows of small variance, as the first tokens of an image often are, 1e-6 for 1e-5 moves numbers far beyond the bound."""
    module, x = nn.LayerNorm(13), seeded(7, 13, scale=0.01)
    wrong = layers("layerNorm(x.data, layer, 1e-6)", x=x, layer=layer(module))
    assert np.abs(wrong - module(x).detach().flatten().numpy()).max() > 1e-3


def test_batch_norm_as_it_is_packed(layers):
    module = nn.BatchNorm2d(11)
    for seed, p in enumerate([module.weight.data, module.bias.data, module.running_mean]):
        p.copy_(seeded(11, seed=seed))
    module.running_var.copy_(seeded(11, seed=3).abs() + 1e-7)
    x = seeded(11, 3, 5)
    _, rounded = pack(module)
    y = layers("batchNorm(x.data, layer)", x=rows(x), layer=layer(rounded))
    np.testing.assert_allclose(y, rows(rounded(x[None])[0]).detach().flatten(), atol=1e-5)


def test_softmax(layers):
    x = torch.cat([seeded(5, 7), seeded(2, 7, scale=50.0), torch.full((1, 7), -1e4), seeded(1, 7) + 1e4])
    y = layers("softmax(x.data, 7)", x=x)
    np.testing.assert_allclose(y, x.softmax(1).flatten(), atol=1e-6)


@pytest.mark.parametrize("heads", [1, 2, 3])
def test_attention_and_its_weights(layers, heads):
    q, k, v = seeded(5, 6, seed=1), seeded(7, 6, seed=2), seeded(7, 6, seed=3)
    split = lambda x: x.unflatten(1, (heads, -1)).transpose(0, 1)
    weights = (split(q) @ split(k).mT / (6 / heads) ** 0.5).softmax(-1)
    out = (weights @ split(v)).transpose(0, 1).flatten(1)
    script = "((maps) => [...multiHead(q.data, k.data, v.data, { D: 6, heads, record: (w, h) => maps.push([h, ...w]) }), ...maps.flat()])([])"
    found = np.array(layers(script, q=q, k=k, v=v, heads=heads))
    np.testing.assert_allclose(found[:30], out.flatten(), atol=1e-6)
    recorded = found[30:].reshape(heads, 36)
    np.testing.assert_array_equal(recorded[:, 0], range(heads))
    np.testing.assert_allclose(recorded[:, 1:], weights.flatten(1), atol=1e-6)


def test_self_attention(layers):
    torch.manual_seed(0)
    module, x = MultiHeadAttention(12, heads=3), seeded(7, 12)
    y = layers("selfAttention(x.data, layer, { heads: 3 })", x=x, layer=layer(module))
    np.testing.assert_allclose(y, module(x[None]).detach().flatten(), atol=1e-6)


@pytest.mark.parametrize(("H", "W", "D"), [(4, 4, 64), (3, 5, 8)])
def test_positions(layers, H, W, D):
    np.testing.assert_allclose(layers("sincos2d(H, W, D)", H=H, W=W, D=D), sincos_2d(H, W, D).ravel(), atol=1e-7)
    np.testing.assert_allclose(layers("sincos2d(H, W, D, 64)", H=H, W=W, D=D), sincos_2d(H, W, D, base=64.0).ravel(), atol=1e-7)


@pytest.mark.parametrize(("heads", "inner"), [(1, 6), (2, 6), (3, None)])
def test_narrow_attention(javascript, heads, inner):
    torch.manual_seed(0)
    module = NarrowAttention(12, heads=heads, inner=inner)
    q, k, v = seeded(5, 12, seed=1), seeded(7, 12, seed=2), seeded(7, 12, seed=3)
    script = "narrowAttention(q.data, k.data, v.data, layer, heads)"
    y = javascript("two_way.js")(script, q=q, k=k, v=v, layer=layer(module), heads=heads)
    np.testing.assert_allclose(y, module(q[None], k[None], v[None]).detach().flatten(), atol=1e-6)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_two_way_decoder(javascript, depth):
    torch.manual_seed(0)
    module = stirred(TwoWayDecoder(12, heads=2, mlp_dim=7, depth=depth))
    tokens, picture, places = seeded(3, 12, seed=1), seeded(35, 12, seed=2), seeded(35, 12, seed=3)
    with torch.no_grad():
        expected = module(tokens[None], picture[None], places)
    script = "twoWayDecoder(t.data, x.data, places.data, layer, 2).map((rows) => [...rows])"
    found = javascript("two_way.js")(script, t=tokens, x=picture, places=places, layer=layer(module))
    for one, other in zip(found, expected):
        np.testing.assert_allclose(one, other.flatten(), atol=1e-5)


@pytest.mark.parametrize(("H", "W"), [(5, 7), (1, 3), (4, 1)])
def test_enlarging(javascript, H, W):
    x = seeded(3, H, W)
    y = javascript("resizing.js")("enlarged(x.data, W, 3)", x=rows(x), W=W)
    larger = F.interpolate(x[None], scale_factor=2, mode="bilinear", align_corners=False)[0]
    np.testing.assert_allclose(y, rows(larger).flatten(), atol=1e-6)


@pytest.mark.parametrize("step", [2, 3])
def test_pooling(javascript, step):
    x = seeded(5, 2 * step, 3 * step)
    y = javascript("resizing.js")("pooled(x.data, W, 5, step)", x=rows(x), W=3 * step, step=step)
    np.testing.assert_allclose(y, rows(F.avg_pool2d(x, step)).flatten(), atol=1e-6)


@pytest.mark.parametrize(("H", "W"), [(5, 7), (1, 3)])
def test_a_walk(javascript, H, W):
    torch.manual_seed(0)
    walk = stirred(chapter("09_segmentation").Walk(5, dim=3, steps=4))
    maps, start = seeded(1, 5, H, W, scale=2.0), seeded(1, 2, H, W, seed=1)
    with torch.no_grad():
        weights = walk.weights(maps)
        ends = walk(start, weights)
    tree = layer(walk)
    tree["q"]["weight"], tree["k"]["weight"] = (tree[name]["weight"].reshape(3, 5) for name in "qk")
    given = {"map": rows(maps[0]), "start": rows(start[0]), "layer": tree, "W": W}
    found = javascript("walk.js")("walkWeights(map.data, W, layer)", **given)
    np.testing.assert_allclose(found, rows(weights[0]).flatten(), atol=1e-6)
    found = javascript("walk.js")("walked(start.data, W, 2, walkWeights(map.data, W, layer), layer, 4)", **given)
    np.testing.assert_allclose(found, rows(ends[0]).flatten(), atol=1e-6)


def test_columns_and_transpose(layers):
    x = seeded(3, 7)
    np.testing.assert_array_equal(layers("columns(x.data, 7, 2, 4)", x=x), x[:, 2:6].flatten())
    np.testing.assert_array_equal(layers("transpose(x.data, 7)", x=x), x.T.flatten())


@pytest.mark.parametrize("size", [(7, 11), (5, 5)])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation"),
    [
        *[(3, 1, 1, 1), (3, 2, 1, 1), (1, 1, 0, 1), (2, 2, 0, 1), (4, 4, 0, 1), (5, 1, 2, 1), (3, 1, 0, 1), (3, 3, 2, 1)],
        *[(3, 1, 2, 2), (3, 1, 4, 4), (3, 2, 1, 2), (2, 1, 0, 3)],
    ],
)
def test_convolution(pictures, size, kernel, stride, padding, dilation):
    torch.manual_seed(0)
    options = {"kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation}
    module, x = nn.Conv2d(3, 5, kernel, stride=stride, padding=padding, dilation=dilation), seeded(3, *size)
    packed_layout = {"weight": module.weight.permute(0, 2, 3, 1).flatten(1), "bias": module.bias}
    y = pictures("convolution(x.data, width, layer, options)", x=rows(x), width=size[1], layer=packed_layout, options=options)
    np.testing.assert_allclose(y, rows(module(x[None])[0]).detach().flatten(), atol=1e-6)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("size", [(3, 7), (5, 5)])
@pytest.mark.parametrize(("kernel", "stride", "padding"), [(2, 2, 0), (4, 2, 1), (3, 2, 1), (3, 1, 1), (1, 1, 0), (2, 3, 0)])
def test_transposed_convolution(pictures, size, kernel, stride, padding, bias):
    torch.manual_seed(0)
    module, x = nn.ConvTranspose2d(3, 5, kernel, stride=stride, padding=padding, bias=bias), seeded(3, *size)
    packed_layout = {"weight": module.weight.permute(2, 3, 1, 0).flatten(0, 2)} | ({"bias": module.bias} if bias else {})
    options = {"kernel": kernel, "stride": stride, "padding": padding}
    script = "transposedConvolution(x.data, width, layer, options)"
    y = pictures(script, x=rows(x), width=size[1], layer=packed_layout, options=options)
    np.testing.assert_allclose(y, rows(module(x[None])[0]).detach().flatten(), atol=1e-6)


def test_inputs_stay_as_they_are(layers):
    x = seeded(4, 6)
    torch.manual_seed(0)
    norm = {"weight": np.ones(6), "bias": np.ones(6)}
    layers_of_it = {"qkv": layer(nn.Linear(6, 18)), "out": layer(nn.Linear(6, 6))}
    script = "(layerNorm(x.data, norm), softmax(x.data, 6), gelu(x.data), selfAttention(x.data, mixer, { heads: 2 }), x.data)"
    np.testing.assert_array_equal(layers(script, x=x, norm=norm, mixer=layers_of_it), x.flatten())
