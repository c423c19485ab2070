"""Linear recurrences: the scan equals the loop, forward and backward, and the layer that stands on it knows the past alone."""

import math

import pytest
import torch
from torch.testing import assert_close

from attn_utils.recurrence import MinGRU, linear_loop, linear_scan, memory_biases

B, D = 2, 5
TIGHT = {"rtol": 1e-12, "atol": 1e-12}


def steps(N):
    torch.manual_seed(N)
    a, b = torch.rand(B, N, D, dtype=torch.float64), torch.randn(B, N, D, dtype=torch.float64)
    return a.requires_grad_(), b.requires_grad_()


def test_by_hand():
    """Half is kept: 8, then 4, then 2 and 6 new ones, then nothing is kept and 1 is new."""
    a = torch.tensor([0.5, 0.5, 0.5, 0.0])[None, :, None]
    b = torch.tensor([8.0, 0.0, 6.0, 1.0])[None, :, None]
    for recurrence in (linear_loop, linear_scan):
        assert_close(recurrence(a, b).flatten(), torch.tensor([8.0, 4.0, 8.0, 1.0]))


@pytest.mark.parametrize("N", [1, 2, 3, 7, 8, 9, 31])
def test_scan_equals_loop_forward_and_backward(N):
    a, b = steps(N)
    weights = torch.randn(B, N, D, dtype=torch.float64)
    loop, scan = linear_loop(a, b), linear_scan(a, b)
    assert_close(scan, loop, **TIGHT)
    ours = torch.autograd.grad((weights * scan).sum(), (a, b), materialize_grads=True)  # of one place: a is not used
    theirs = torch.autograd.grad((weights * loop).sum(), (a, b), materialize_grads=True)
    assert_close(ours, theirs, **TIGHT)


def test_gradient_of_the_scan():
    assert torch.autograd.gradcheck(linear_scan, steps(6))


def test_a_long_sequence_neither_overflows_nor_forgets():
    ones = torch.ones(1, 1000, 1, dtype=torch.float64)
    assert_close(linear_scan(ones, ones)[0, :, 0], torch.arange(1, 1001, dtype=torch.float64))
    assert_close(linear_scan(0.1 * ones, ones)[0, -1], torch.tensor([1 / 0.9], dtype=torch.float64))


def test_inputs_are_not_changed():
    a, b = (x.detach() for x in steps(7))
    before = a.clone(), b.clone()
    linear_scan(a, b)
    assert_close((a, b), before, rtol=0, atol=0)


def test_the_layer_is_its_formula():
    torch.manual_seed(0)
    layer, x = MinGRU(3, hidden=D).double(), torch.randn(B, 7, 3, dtype=torch.float64)
    W_z, W_c = layer.project.weight.chunk(2)
    b_z, b_c = layer.project.bias.chunk(2)
    state = torch.zeros(B, D, dtype=torch.float64)
    for n in range(7):
        z = torch.sigmoid(x[:, n] @ W_z.T + b_z)
        state = (1 - z) * state + z * (x[:, n] @ W_c.T + b_c)
        assert_close(layer(x)[:, n], state, **TIGHT)


def test_a_place_knows_what_came_before_it_and_nothing_else():
    torch.manual_seed(0)
    layer, x = MinGRU(3, hidden=D), torch.randn(B, 11, 3, requires_grad=True)
    (gradient,) = torch.autograd.grad(layer(x)[:, 6].sum(), x)
    known = gradient.abs().sum((0, 2)) > 0
    assert known.tolist() == [True] * 7 + [False] * 4


def test_units_forget_as_slowly_as_they_are_asked_to():
    """A unit of bias log(T - 1) keeps (T - 1) / T in each step: after T steps about 1/e is left."""
    biases = memory_biases(4, 32)
    assert_close(1 / (1 - torch.sigmoid(biases)), torch.tensor([2.0, 12.0, 22.0, 32.0]))
    layer = MinGRU(3, hidden=4, longest=32)
    assert_close(layer.project.bias[:4], -biases)
    left = torch.sigmoid(biases[-1]) ** 32
    assert math.isclose(left, math.exp(-1), rel_tol=0.02)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (
            lambda: linear_scan(torch.ones(2, 3, 4), torch.ones(2, 3, 5)),
            ValueError,
            r"b must have shape \(2, 3, 4\), got \(2, 3, 5\)",
        ),
        (lambda: linear_scan(torch.ones(3, 4), torch.ones(3, 4)), ValueError, r"a must have shape \(B, N, D\), got \(3, 4\)"),
        (
            lambda: linear_loop(*[torch.ones(2, 3, 4, dtype=torch.int64)] * 2),
            TypeError,
            "a must be floating point, got torch.int64",
        ),
        (lambda: linear_scan(*[torch.ones(2, 0, 4)] * 2), ValueError, "number of places must be an integer of at least 1, got 0"),
        (lambda: memory_biases(4, 2), ValueError, "longest must be above 2 steps, got 2"),
        (lambda: memory_biases(0, 9), ValueError, "hidden must be an integer of at least 1, got 0"),
        (lambda: MinGRU(3, hidden=2)(torch.ones(1, 5, 4)), ValueError, "x must have width 3, got 4"),
    ],
)
def test_what_is_refused(call, error, words):
    with pytest.raises(error, match=words):
        call()
