"""Two thin layers are the nearest of their rank, rounded rows are within half a step, and the distillation loss is its formula."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.testing import assert_close

from attn_utils.compress import distillation_loss, low_rank, round_rows, stored_bytes, with_low_rank, with_rounded_weights
from attn_utils.cost import count_parameters, forward_flops

TIGHT = {"rtol": 1e-12, "atol": 1e-12}


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.mark.parametrize("bias", [True, False])
def test_at_full_rank_it_is_the_layer(bias):
    layer, x = nn.Linear(5, 7, bias=bias).double(), torch.randn(3, 5, dtype=torch.float64)
    assert_close(low_rank(layer, 5)(x), layer(x), **TIGHT)


def test_below_it_what_is_missing_are_the_small_singular_values():
    layer = nn.Linear(5, 7).double()
    first, second = low_rank(layer, 2)
    missing = layer.weight - second.weight @ first.weight
    assert_close(missing.square().sum(), torch.linalg.svdvals(layer.weight)[2:].square().sum(), **TIGHT)
    assert torch.linalg.matrix_rank(second.weight @ first.weight) == 2
    assert_close(first.weight.norm(dim=1), second.weight.norm(dim=0), **TIGHT)  # shared out evenly


def test_only_layers_that_shrink_are_replaced():
    model = nn.Sequential(nn.Linear(12, 12), nn.Sequential(nn.GELU(), nn.Linear(12, 3)))
    smaller = with_low_rank(model, 5)  # 5 · 24 < 144, but 5 · 15 > 36
    assert isinstance(smaller[0], nn.Sequential) and isinstance(smaller[1][1], nn.Linear)
    x = torch.randn(2, 12)
    assert count_parameters(smaller) == count_parameters(model) - 144 + 120
    assert forward_flops(smaller, [x]) == forward_flops(model, [x]) - 2 * 2 * (144 - 120)
    assert isinstance(model[0], nn.Linear)


@pytest.mark.parametrize("rank", [0, 6])
def test_a_rank_that_cannot_be(rank):
    with pytest.raises(ValueError, match="rank must be"):
        low_rank(nn.Linear(5, 7), rank)


def test_rounding_by_hand():
    weight = torch.tensor([[3.0, -1.1, 0.4], [0.0, 0.0, 0.0], [0.7, -6.0, 2.9]])
    expected = torch.tensor([[3.0, -1.0, 0.0], [0.0, 0.0, 0.0], [0.0, -6.0, 2.0]])  # 3 bits: -3 to 3 steps, of 1 and of 2
    assert_close(round_rows(weight, 3), expected)


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("shape", [(7, 5), (7, 3, 2, 2)])
def test_a_rounded_weight_is_within_half_a_step_of_its_row(bits, shape):
    weight = torch.randn(shape, dtype=torch.float64) * torch.arange(1, 8).view(-1, *[1] * (len(shape) - 1))
    rounded = round_rows(weight, bits)
    step = weight.flatten(1).abs().amax(dim=1) / (2 ** (bits - 1) - 1)
    assert ((rounded - weight).flatten(1).abs() <= step[:, None] / 2 + 1e-12).all()
    assert_close(
        (rounded.flatten(1) / step[:, None]).frac().abs().minimum(torch.tensor(1e-9)),
        torch.zeros(7, rounded[0].numel()).double(),
        rtol=0,
        atol=1e-9,
    )
    with pytest.raises(ValueError, match="bits must be an integer of at least 2, got 1"):
        round_rows(weight, 1)


def test_all_matrices_of_a_model_are_rounded_and_nothing_else():
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 3))
    rounded = with_rounded_weights(model, 4)
    for before, after in zip(model.parameters(), rounded.parameters(), strict=True):
        expected = round_rows(before, 4) if before.ndim > 1 else before
        assert_close(after, expected)
    assert not torch.equal(model[3].weight, rounded[3].weight)


def test_bytes_by_hand():
    model = nn.Sequential(nn.Linear(8, 4), nn.LayerNorm(4))
    assert stored_bytes(model) == 4 * (32 + 4 + 8)
    assert stored_bytes(model, bits=8) == 32 + 4 * 4 + 4 * (4 + 8)
    assert stored_bytes(model, bits=4) == 16 + 4 * 4 + 4 * (4 + 8)
    model.append(model[0])  # shared: held once
    assert stored_bytes(model) == 4 * (32 + 4 + 8)
    assert stored_bytes(model, bits=8) == 32 + 4 * 4 + 4 * (4 + 8)


def test_distillation_is_its_formula():
    z, told, labels = torch.randn(3, 4).double(), torch.randn(3, 4).double(), torch.tensor([0, 3, 1])
    p, q = (told / 2.5).softmax(-1), (z / 2.5).softmax(-1)
    expected = 0.3 * F.cross_entropy(z, labels) + 0.7 * 2.5**2 * (p * (p / q).log()).sum(-1).mean()
    assert_close(distillation_loss(z, told, labels, temperature=2.5, weight=0.7), expected, **TIGHT)
    assert_close(distillation_loss(z, told, labels, temperature=9.0, weight=0.0), F.cross_entropy(z, labels), **TIGHT)
    assert abs(distillation_loss(told, told, labels, temperature=3.0, weight=1.0)) <= 1e-12


def test_at_high_temperature_gradients_keep_their_size():
    """Without T² that of the teacher's part would shrink as 1/T²."""
    sizes = []
    for temperature in (20.0, 40.0):
        z = torch.tensor([[1.0, -2.0, 0.5]], dtype=torch.float64, requires_grad=True)
        told = torch.tensor([[0.0, 1.0, 3.0]], dtype=torch.float64)
        distillation_loss(z, told, torch.tensor([0]), temperature=temperature, weight=1.0).backward()
        sizes.append(z.grad.norm().item())
    assert sizes[1] / sizes[0] == pytest.approx(1, abs=0.1)


def test_the_teacher_learns_nothing():
    z, told = torch.randn(2, 3, requires_grad=True), torch.randn(2, 3, requires_grad=True)
    distillation_loss(z, told, torch.tensor([0, 1]), temperature=2.0).backward()
    assert told.grad is None and z.grad is not None


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"temperature": 0.0}, "temperature must be positive"),
        ({"temperature": 1.0, "weight": 1.5}, "weight must be between 0 and 1"),
    ],
)
def test_distillation_rejects(options, text):
    with pytest.raises(ValueError, match=text):
        distillation_loss(torch.zeros(1, 2), torch.zeros(1, 2), torch.tensor([0]), **options)
