"""SE, ECA, CBAM, the non-local block and the attention gate: by hand, against loops, and what they must never do."""

import math
import re

import pytest
import torch
from torch.testing import assert_close

from attn_utils import conv_attention as conv
from attn_utils.attention import MultiHeadAttention
from attn_utils.cost import count_parameters
from attn_utils.record import record_attention

LN3 = math.log(3)  # σ(ln 3) = 3/4, σ(2 ln 3) = 9/10
B, C, H, W = 2, 3, 5, 7


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def normal(*shape):
    return torch.randn(*shape, dtype=torch.float64)


# -------------------------------------------------------------------------------------------------- by hand


def test_squeeze_excite_by_hand():
    x = torch.tensor([[[[0.0, 2.0]], [[3.0, 3.0]]]])  # means 1 and 3
    reduce = torch.tensor([[1.0, -1.0], [-1.0, 1.0]])  # -2 and 2; ReLU: 0 and 2
    expand = torch.tensor([[5.0, 0.0], [0.0, LN3 / 2]])  # 0 and ln 3
    out, weights = conv.squeeze_excite(x, reduce, expand)
    assert_close(weights, torch.tensor([[0.5, 0.75]]))
    assert_close(out, torch.tensor([[[[0.0, 1.0]], [[2.25, 2.25]]]]))


def test_efficient_channel_by_hand():
    x = torch.tensor([0.0, LN3, 0.0])[None, :, None, None].expand(1, 3, 2, 2)
    out, weights = conv.efficient_channel(x, torch.tensor([1.0, 0.0, 2.0]))  # 2 z_1, z_0 + 2 z_2, z_1
    assert_close(weights, torch.tensor([[0.9, 0.5, 0.75]]))
    assert_close(out[0, 1], torch.full((2, 2), 0.5 * LN3))


def test_channel_gate_by_hand():
    x = torch.tensor([0.0, LN3 * 2 / 3])[None, None, None]  # mean ln 3 / 3, maximum 2 ln 3 / 3
    _, weights = conv.channel_gate(x, torch.ones(1, 1), torch.ones(1, 1))
    assert_close(weights, torch.tensor([[0.75]]))


def test_spatial_gate_by_hand():
    x = torch.tensor([[[[0.0, LN3]], [[0.0, -LN3]]]])  # over the channels: mean 0 0, maximum 0 ln 3
    kernel = torch.zeros(2, 3, 3)
    kernel[1, 1, 2] = 1.0  # the maximum of the right-hand neighbour
    _, weights = conv.spatial_gate(x, kernel)
    assert_close(weights, torch.tensor([[[[0.75, 0.5]]]]))


def test_embedded_gaussian_by_hand():
    theta = torch.tensor([1.0, 0.0])[None, None, None]  # two pixels
    phi = torch.tensor([LN3, 0.0])[None, None, None]
    g = torch.tensor([4.0, 8.0])[None, None, None]
    y, weights = conv.embedded_gaussian(theta, phi, g)
    assert_close(weights, torch.tensor([[[0.75, 0.25], [0.5, 0.5]]]))
    assert_close(y, torch.tensor([[[[5.0, 6.0]]]]))


def test_attention_gate_by_hand():
    """ReLU(x - g) + ReLU(g - x) = |x - g|: a gate that opens where the two agree."""
    x = torch.tensor([0.0, 1.0, 2.0])[None, None, None]
    out, weights = conv.attention_gate(
        x,
        torch.ones(1, 1, 1, 1),
        W_x=torch.tensor([[1.0], [-1.0]]),
        W_g=torch.tensor([[-1.0], [1.0]]),
        b_g=torch.zeros(2),
        psi=torch.tensor([-LN3, -LN3]),
        b_psi=torch.tensor(LN3),
    )
    assert_close(weights, torch.tensor([[[[0.5, 0.75, 0.5]]]]))
    assert_close(out, torch.tensor([[[[0.0, 0.75, 1.0]]]]))


@pytest.mark.parametrize("channels, size", [(1, 1), (2, 1), (8, 3), (64, 3), (128, 5), (256, 5), (512, 5), (2048, 7)])
def test_eca_kernel_size(channels, size):
    assert_close(conv.eca_kernel_size(channels), size)


# ------------------------------------------------------------------------------------------- against loops


def test_channel_functions_equal_loops():
    x, reduce, expand, kernel = normal(B, C, H, W), normal(2, C), normal(C, 2), normal(3)
    _, se = conv.squeeze_excite(x, reduce, expand)
    _, cbam = conv.channel_gate(x, reduce, expand)
    _, eca = conv.efficient_channel(x, kernel)
    for b in range(B):
        mean = [x[b, c].mean() for c in range(C)]
        peak = [x[b, c].max() for c in range(C)]
        hidden = [[max(sum(reduce[i, c] * z[c] for c in range(C)), 0.0) for i in range(2)] for z in (mean, peak)]
        for c in range(C):
            score, score_peak = (sum(expand[c, i] * h[i] for i in range(2)) for h in hidden)
            near = sum(kernel[j] * mean[c + j - 1] for j in range(3) if 0 <= c + j - 1 < C)
            assert_close(se[b, c], torch.sigmoid(torch.as_tensor(score)))
            assert_close(cbam[b, c], torch.sigmoid(torch.as_tensor(score + score_peak)))
            assert_close(eca[b, c], torch.sigmoid(torch.as_tensor(near)))


def test_spatial_gate_equals_loops():
    x, kernel = normal(B, C, H, W), normal(2, 3, 3)
    out, weights = conv.spatial_gate(x, kernel)
    for b, r, c in torch.cartesian_prod(torch.arange(B), torch.arange(H), torch.arange(W)).tolist():
        score = torch.zeros((), dtype=torch.float64)
        for i in range(3):
            for j in range(3):
                row, column = r + i - 1, c + j - 1
                if 0 <= row < H and 0 <= column < W:
                    pixel = x[b, :, row, column]
                    score = score + kernel[0, i, j] * pixel.mean() + kernel[1, i, j] * pixel.max()
        assert_close(weights[b, 0, r, c], torch.sigmoid(score))
    assert_close(out, x * weights)


def test_embedded_gaussian_equals_loops():
    theta, phi, g = normal(B, 3, 2, 5), normal(B, 3, 2, 5), normal(B, 7, 2, 5)
    y, weights = conv.embedded_gaussian(theta, phi, g)
    for b in range(B):
        for n in range(10):
            f = [torch.exp(theta[b, :, n // 5, n % 5] @ phi[b, :, m // 5, m % 5]) for m in range(10)]
            mixed = sum(f[m] * g[b, :, m // 5, m % 5] for m in range(10)) / sum(f)
            assert_close(y[b, :, n // 5, n % 5], mixed)
            assert_close(weights[b, n], torch.stack(f) / sum(f))


def test_attention_gate_equals_loops_on_one_grid():
    x, g = normal(B, C, H, W), normal(B, 2, H, W)
    W_x, W_g, b_g, psi, b_psi = normal(5, C), normal(5, 2), normal(5), normal(5), normal(1)
    out, weights = conv.attention_gate(x, g, W_x, W_g, b_g, psi, b_psi)
    for b in range(B):
        for r in range(H):
            for c in range(W):
                score = psi @ torch.relu(W_x @ x[b, :, r, c] + W_g @ g[b, :, r, c] + b_g) + b_psi[0]
                assert_close(weights[b, 0, r, c], torch.sigmoid(score))
    assert_close(out, x * weights)


def test_attention_gate_enlarges_the_coarse_map():
    """Enlarging after the linear map, as the code does, equals enlarging before it, as the formula says."""
    x, g = normal(B, C, 4, 6), normal(B, 2, 2, 3)
    parameters = normal(5, C), normal(5, 2), normal(5), normal(5), normal(1)
    fine = torch.nn.functional.interpolate(g, size=(4, 6), mode="bilinear", align_corners=False)
    assert_close(conv.attention_gate(x, g, *parameters), conv.attention_gate(x, fine, *parameters))


# ------------------------------------------------------------------------------------------------ invariants


def modules():
    return {
        "SE": conv.SE(6, reduction=2),
        "ECA": conv.ECA(6, kernel_size=3),
        "CBAM": conv.CBAM(6, reduction=2, kernel_size=3),
        "NonLocal": non_local(6),
        "AttentionGate": gate(6),
    }


def non_local(channels):
    block = conv.NonLocal(channels)
    torch.nn.init.normal_(block.z.weight)
    return block


class gate(conv.AttentionGate):
    """The gate with one input, its coarse map made from the same picture."""

    def __init__(self, channels):
        super().__init__(channels, gate_channels=channels, hidden=5)

    def forward(self, x):
        return super().forward(x, torch.nn.functional.avg_pool2d(x, 2, ceil_mode=True))


@pytest.mark.parametrize("name", list(modules()))
def test_module_is_batch_independent_and_leaves_its_input(name):
    module, x = modules()[name].double(), normal(3, 6, H, W)
    before = x.clone()
    out = module(x)
    assert_close(out.shape, x.shape)
    assert_close(x, before, rtol=0, atol=0)
    assert_close(out, torch.cat([module(x[b : b + 1]) for b in range(3)]))


@pytest.mark.parametrize("name", list(modules()))
def test_gradients(name):
    module = modules()[name].double()
    x = normal(1, 6, 3, 2).requires_grad_()
    values = tuple(p.detach().clone().requires_grad_() for p in module.parameters())
    names = [n for n, _ in module.named_parameters()]

    def run(x, *values):
        return torch.func.functional_call(module, dict(zip(names, values, strict=True)), (x,))

    assert torch.autograd.gradcheck(run, (x, *values))


@pytest.mark.parametrize("name", list(modules()))
def test_recording_changes_nothing_and_weights_are_in_range(name):
    module, x = modules()[name].double(), normal(2, 6, H, W)
    with record_attention(module) as maps:
        out = module(x)
    assert_close(out, module(x), rtol=0, atol=0)
    weights = maps[""]
    assert ((weights > 0) & (weights < 1)).all()
    if name == "NonLocal":
        assert_close(weights.sum(-1), torch.ones(2, H * W, dtype=torch.float64))


def test_channel_weights_do_not_know_where_a_pixel_is():
    x = normal(B, C, H, W)
    shuffled = x.flatten(2)[..., torch.randperm(H * W)].unflatten(2, (H, W))
    reduce, expand, kernel = normal(2, C), normal(C, 2), normal(3)
    for function, parameters in (
        (conv.squeeze_excite, (reduce, expand)),
        (conv.channel_gate, (reduce, expand)),
        (conv.efficient_channel, (kernel,)),
    ):
        assert_close(function(x, *parameters)[1], function(shuffled, *parameters)[1])


def test_non_local_is_equivariant_to_the_order_of_pixels():
    block, order = non_local(C).double(), torch.randperm(H * W)
    x = normal(B, C, H, W)

    def shuffle(t):
        return t.flatten(2)[..., order].unflatten(2, (H, W))

    assert_close(block(shuffle(x)), shuffle(block(x)))


def test_a_new_non_local_block_is_the_identity():
    x = normal(B, C, H, W)
    assert_close(conv.NonLocal(C).double()(x), x, rtol=0, atol=0)


def test_non_local_equals_one_head_of_self_attention():
    dim = 6
    layer, block = MultiHeadAttention(dim, heads=1).double(), conv.NonLocal(dim, inner=dim).double()
    q, k, v = layer.qkv.weight.chunk(3)
    b_q, b_k, b_v = layer.qkv.bias.chunk(3)
    with torch.no_grad():
        for convolution, weight, bias in (
            (block.theta, q * dim**-0.5, b_q * dim**-0.5),
            (block.phi, k, b_k),
            (block.g, v, b_v),
            (block.z, layer.out.weight, layer.out.bias),
        ):
            convolution.weight.copy_(weight[..., None, None])
            convolution.bias.copy_(bias)
    x = normal(B, dim, H, W)
    tokens = x.flatten(2).transpose(1, 2)
    assert_close(block(x), (tokens + layer(tokens)).transpose(1, 2).unflatten(2, (H, W)))


def test_large_scores_stay_finite():
    theta, phi, g = 1e4 * normal(1, 2, 2, 2), normal(1, 2, 2, 2), normal(1, 2, 2, 2)
    y, weights = conv.embedded_gaussian(theta, phi, g)
    assert y.isfinite().all() and weights.isfinite().all()


@pytest.mark.parametrize("name", list(modules()))
def test_half_precision_overflows_nowhere(name):
    module, x = modules()[name], 50 * normal(2, 6, H, W)
    with torch.no_grad():
        expected = module.double()(x)
        out = module.half()(x.half())
    assert_close(out.double(), expected, rtol=0.02, atol=2.0)


def test_large_channels_in_half_precision_saturate_the_gate():
    """Scores beyond the range of float16 become infinite, and their sigmoid 0 or 1: no NaN."""
    x = torch.full((1, 4, 2, 2), 3e4).half()
    for sign in (1, -1):
        out, weights = conv.squeeze_excite(x, torch.ones(2, 4).half(), sign * torch.ones(4, 2).half())
        assert_close(weights, torch.full((1, 4), (1 + sign) / 2).half())
        assert out.isfinite().all()


def test_parameter_counts():
    assert_close(count_parameters(conv.SE(64, reduction=16)), 2 * 64 * 64 // 16)
    assert_close(count_parameters(conv.ECA(64)), 3)
    assert_close(count_parameters(conv.CBAM(64, reduction=16)), 2 * 64 * 64 // 16 + 2 * 49)
    assert_close(count_parameters(conv.NonLocal(64)), 4 * 64 * 32 + 3 * 32 + 64)
    assert_close(count_parameters(conv.AttentionGate(64, gate_channels=128, hidden=32)), 32 * (64 + 128 + 2) + 1)


# ------------------------------------------------------------------------------------------------ rejections


def test_rejections():
    x = torch.zeros(1, 6, 4, 4)
    with pytest.raises(TypeError, match="x must be floating point, got torch.int64"):
        conv.SE(6, reduction=2)(x.long())
    with pytest.raises(ValueError, match=r"x must have the four axes .* got shape \(6, 4, 4\)"):
        conv.ECA(6)(x[0])
    with pytest.raises(ValueError, match="none empty"):
        conv.ECA(6)(x[..., :0])
    with pytest.raises(ValueError, match="x must have 6 channels, got 5"):
        conv.CBAM(6, reduction=2)(x[:, :5])
    with pytest.raises(ValueError, match="x must have 6 channels, got 5"):
        conv.NonLocal(6)(x[:, :5])
    with pytest.raises(ValueError, match="g must have 3 channels, got 2"):
        conv.AttentionGate(6, gate_channels=3)(x, x[:, :2])
    with pytest.raises(ValueError, match="channels must be a multiple of reduction, got channels=6 and reduction=4"):
        conv.SE(6, reduction=4)
    with pytest.raises(ValueError, match="kernel_size must be odd, got 4"):
        conv.ECA(6, kernel_size=4)
    with pytest.raises(ValueError, match="kernel_size must be odd, got 4"):
        conv.CBAM(6, reduction=2, kernel_size=4)
    with pytest.raises(ValueError, match="the k of kernel must be odd, got 2"):
        conv.efficient_channel(x, torch.zeros(2))
    with pytest.raises(ValueError, match=r"kernel must have shape \(k,\), got \(2, 3\)"):
        conv.efficient_channel(x, torch.zeros(2, 3))
    with pytest.raises(ValueError, match="the k of kernel must be odd, got 4"):
        conv.spatial_gate(x, torch.zeros(2, 4, 4))
    for shape in ((2, 3, 5), (1, 3, 3), (3, 3)):
        with pytest.raises(ValueError, match=rf"kernel must have shape \(2, k, k\), got {re.escape(str(shape))}"):
            conv.spatial_gate(x, torch.zeros(shape))
    with pytest.raises(ValueError, match="channels must be an integer of at least 1, got 0"):
        conv.eca_kernel_size(0)
    with pytest.raises(ValueError, match="inner must be an integer of at least 1, got 0"):
        conv.NonLocal(1)
