"""Sampling at points, and object queries: by hand, against loops, and what they must never do."""

import math

import pytest
import torch
from torch.testing import assert_close

from attn_utils import deformable as detr
from attn_utils.attention import MultiHeadAttention
from attn_utils.cost import count_parameters
from attn_utils.record import record_attention


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def normal(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def lookup_by_loops(picture, x, y):
    """(C, H, W) read at one point, from the definition."""
    C, H, W = picture.shape
    total = torch.zeros(C, dtype=picture.dtype)
    for row in range(H):
        for column in range(W):
            near = max(0.0, 1 - abs(x - column)) * max(0.0, 1 - abs(y - row))
            total = total + near * picture[:, row, column]
    return total


def test_bilinear_lookup_by_hand():
    values = torch.tensor([[[[0.0, 4.0], [8.0, 20.0]]]])
    points = torch.tensor([[[0.0, 0.0], [1.0, 0.0], [0.5, 0.0], [0.0, 0.25], [0.5, 0.5], [1.5, 0.0], [-1.0, 0.0]]])
    assert_close(detr.bilinear_lookup(values, points)[0, :, 0], torch.tensor([0.0, 4.0, 2.0, 2.0, 8.0, 2.0, 0.0]))


def test_bilinear_lookup_equals_loops():
    values, points = normal(2, 3, 5, 7), normal(2, 11, 2) * 3 + 2  # some lie outside
    looked_up = detr.bilinear_lookup(values, points)
    for b in range(2):
        for n in range(11):
            x, y = points[b, n].tolist()
            assert_close(looked_up[b, n], lookup_by_loops(values[b], x, y))


def test_bilinear_lookup_on_a_line_of_pixels():
    """A map one pixel high: nothing is divided by H - 1."""
    values = torch.tensor([[[[1.0, 3.0, 5.0]]]])
    assert_close(detr.bilinear_lookup(values, torch.tensor([[[0.5, 0.0]]])), torch.tensor([[[2.0]]]))


def test_deformable_attention_equals_loops():
    B, heads, d, H, W, N, K = 2, 3, 5, 7, 11, 13, 2
    values, points = normal(B, heads, d, H, W), normal(B, N, heads, K, 2) * 3 + 4
    weights = normal(B, N, heads, K).softmax(-1)
    out = detr.deformable_attention(values, points, weights)
    assert_close(out.shape, torch.Size([B, N, heads * d]))
    for b in range(B):
        for n in range(N):
            for h in range(heads):
                expected = sum(
                    weights[b, n, h, k] * lookup_by_loops(values[b, h], *points[b, n, h, k].tolist()) for k in range(K)
                )
                assert_close(out[b, n, h * d : (h + 1) * d], expected)


def plain_layer(dim=6, heads=2, points=3):
    """Values and output pass through unchanged."""
    layer = detr.DeformableAttention(dim, heads=heads, points=points).double()
    with torch.no_grad():
        for linear in (layer.value, layer.out):
            linear.weight.copy_(torch.eye(dim))
            linear.bias.zero_()
        layer.offsets.bias.zero_()
    return layer


def test_zero_offsets_look_up_the_reference_points():
    layer, x = plain_layer(), normal(2, 5, 7, 6)
    reference = torch.rand(13, 2, dtype=torch.float64) * 6
    out = layer(x, queries=normal(2, 13, 6), reference=reference)
    assert_close(out, detr.bilinear_lookup(x.permute(0, 3, 1, 2), reference.expand(2, -1, -1)))
    assert_close(layer(x), x)  # every pixel at its own place


def test_whole_offsets_move_the_picture():
    layer, x = plain_layer(), normal(2, 5, 7, 6)
    with torch.no_grad():
        layer.offsets.bias.copy_(torch.tensor([2.0, 1.0]).repeat(6))
    expected = torch.zeros_like(x)
    expected[:, :-1, :-2] = x[:, 1:, 2:]
    assert_close(layer(x), expected)


def test_a_new_layer_looks_all_round_with_equal_weights():
    layer = detr.DeformableAttention(8, heads=4, points=2)
    start = layer.offsets.bias.detach().unflatten(0, (4, 2, 2))
    assert_close(start[:, 0], torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]]), atol=1e-6, rtol=0)
    assert_close(start[:, 1], 2 * start[:, 0])
    with record_attention(layer) as maps:
        layer(torch.randn(1, 3, 3, 8))
    assert_close(maps[""], torch.full((1, 9, 4, 2), 0.5))


def test_eight_heads_start_on_the_square_around_the_query():
    start = detr.DeformableAttention(8, heads=8, points=1).offsets.bias.detach().unflatten(0, (8, 2))
    ring = {(1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1)}
    assert {tuple(p) for p in start.round().int().tolist()} == ring
    assert_close(start, start.round(), atol=1e-6, rtol=0)


def random_deformable():
    layer = detr.DeformableAttention(6, heads=2, points=3).double()
    for linear in (layer.offsets, layer.scores):
        torch.nn.init.normal_(linear.weight)
    return layer


def test_deformable_layer_equals_its_formula():
    layer, x, z = random_deformable(), normal(2, 5, 7, 6), normal(2, 11, 6)
    reference = torch.rand(11, 2, dtype=torch.float64) * 5
    out = layer(x, queries=z, reference=reference)
    values = (x @ layer.value.weight.T + layer.value.bias).permute(0, 3, 1, 2)
    for b in range(2):
        for n in range(11):
            offsets = (layer.offsets.weight @ z[b, n] + layer.offsets.bias).reshape(2, 3, 2)
            weights = (layer.scores.weight @ z[b, n] + layer.scores.bias).reshape(2, 3).softmax(-1)
            heads = [
                sum(
                    weights[h, k] * lookup_by_loops(values[b, 3 * h : 3 * h + 3], *(reference[n] + offsets[h, k]).tolist())
                    for k in range(3)
                )
                for h in range(2)
            ]
            assert_close(out[b, n], layer.out(torch.cat(heads)))


def test_gradients():
    layer = random_deformable()
    names = [n for n, _ in layer.named_parameters()]
    values = tuple(p.detach().clone().requires_grad_() for p in layer.parameters())

    def run(x, *values):
        return torch.func.functional_call(layer, dict(zip(names, values, strict=True)), (x,))

    assert torch.autograd.gradcheck(run, (normal(1, 3, 4, 6).requires_grad_(), *values), fast_mode=True)


@pytest.mark.parametrize("make", [random_deformable, lambda: detr.ObjectQueries(6, heads=2, queries=5).double()])
def test_layers_are_batch_independent_and_leave_their_input(make):
    layer = make()
    x = normal(3, 4, 7, 6) if isinstance(layer, detr.DeformableAttention) else normal(3, 28, 6)
    before = x.clone()
    out = layer(x)
    assert_close(x, before, rtol=0, atol=0)
    assert_close(out, torch.cat([layer(x[b : b + 1]) for b in range(3)]))
    with record_attention(layer) as maps:
        assert_close(layer(x), out)
    (weights,) = maps.values()
    assert_close(weights.sum(-1), torch.ones_like(weights[..., 0]))


def test_object_queries_are_cross_attention():
    layer, x = detr.ObjectQueries(6, heads=2, queries=5).double(), normal(2, 7, 6)
    plain = MultiHeadAttention(6, heads=2, context_dim=6).double()
    plain.load_state_dict(layer.attention.state_dict())
    assert_close(layer(x), plain(layer.queries.expand(2, 5, 6), context=x))


def test_object_queries_do_not_care_about_the_order_of_the_tokens():
    layer, x = detr.ObjectQueries(6, heads=2, queries=5).double(), normal(2, 7, 6)
    assert_close(layer(x[:, torch.randperm(7)]), layer(x))


def test_object_query_by_hand():
    """One token carries ln 3 more of what the query asks for: it gets three quarters of the weight."""
    layer = detr.ObjectQueries(1, heads=1, queries=1)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.fill_(1.0)
        for name, parameter in layer.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
    x = torch.tensor([[[math.log(3)], [0.0]]])
    assert_close(layer(x), torch.tensor([[[0.75 * math.log(3)]]]))


def test_pixel_centres():
    assert_close(detr.pixel_centres(2, 3), torch.tensor([[0.0, 0], [1, 0], [2, 0], [0, 1], [1, 1], [2, 1]]))


def test_parameter_counts():
    D, heads, K, Q = 64, 2, 4, 16
    assert_close(count_parameters(detr.DeformableAttention(D, heads=heads, points=K)), 2 * (D * D + D) + 3 * heads * K * (D + 1))
    assert_close(count_parameters(detr.ObjectQueries(D, heads=heads, queries=Q)), Q * D + 4 * D * D + 4 * D)


def test_rejections():
    layer, x = plain_layer(), torch.zeros(1, 4, 6, 6)
    with pytest.raises(ValueError, match="dim must be a multiple of heads, got dim=6 and heads=4"):
        detr.DeformableAttention(6, heads=4)
    with pytest.raises(ValueError, match="points must be an integer of at least 1, got 0"):
        detr.DeformableAttention(6, heads=2, points=0)
    with pytest.raises(ValueError, match="queries must be an integer of at least 1, got 0"):
        detr.ObjectQueries(6, heads=2, queries=0)
    with pytest.raises(ValueError, match="give both or neither"):
        layer(x.double(), queries=torch.zeros(1, 2, 6))
    with pytest.raises(TypeError, match="x must be floating point"):
        layer(x.long())
    with pytest.raises(ValueError, match="x must have width 6, got 5"):
        layer(x[..., :5])
    with pytest.raises(ValueError, match=r"points must have shape \(1, N, 2\), got \(2, 2\)"):
        detr.bilinear_lookup(x, torch.zeros(2, 2))
