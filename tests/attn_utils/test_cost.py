"""Costs that can be worked out by hand, and clocks that go as they are told."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from attn_utils.attention import MultiHeadAttention
from attn_utils.cost import (
    count_parameters,
    exponent,
    forward_backward,
    forward_flops,
    interleaved_seconds,
    peak_bytes,
    peak_bytes_of,
    quartiles,
)


class Exponential(nn.Module):
    def forward(self, x):
        return x.exp()


def test_count_parameters_counts_shared_ones_once_and_frozen_ones_not():
    model = nn.ModuleDict({"a": nn.Linear(3, 5), "b": nn.Linear(3, 5)})
    model["b"].weight = model["a"].weight
    model["b"].bias.requires_grad_(False)
    assert count_parameters(model) == 15 + 5


# ------------------------------------------------------------------------------------------------------------ FLOPs


def test_flops_by_hand():
    assert forward_flops(nn.Conv2d(3, 5, 3, padding=1), [torch.ones(2, 3, 7, 11)]) == 2 * (2 * 7 * 11) * (3 * 3 * 3) * 5
    assert forward_flops(Exponential(), [torch.ones(3)]) == 0


def test_flops_of_fused_attention_are_those_of_its_products():
    B, N, D = 3, 7, 16
    layer, inputs = MultiHeadAttention(D, heads=2), [torch.ones(B, N, D)]
    assert forward_flops(layer, inputs) == B * (8 * N * D**2 + 4 * N**2 * D)
    with torch.no_grad():
        assert forward_flops(layer, inputs) == B * (8 * N * D**2 + 4 * N**2 * D)


@pytest.mark.parametrize("measure", [forward_flops, forward_backward, peak_bytes])
def test_a_bare_tensor_is_no_list_of_inputs(measure):
    with pytest.raises(TypeError, match="inputs must be a list or tuple, one item for each argument, got Tensor"):
        measure(Exponential(), torch.ones(3))


# ----------------------------------------------------------------------------------------------------------- memory


@pytest.mark.parametrize("n", [1000, 4096])
def test_peak_by_hand(n, capfd):
    """The output, which is kept for the backward pass, its gradient of ones, and the gradient of x: three times 4 n bytes."""
    assert peak_bytes(Exponential(), [torch.ones(n, requires_grad=True)]) == 3 * 4 * n
    assert "Memory block of unknown size" not in capfd.readouterr().err


def test_peak_knows_the_weights_of_explicit_attention():
    class Explicit(nn.Module):
        def forward(self, x):
            return (x @ x.mT).softmax(dim=-1) @ x

    N, D = 128, 2
    peak = peak_bytes(Explicit(), [torch.randn(N, D, requires_grad=True)])
    assert 3 * 4 * N * N <= peak <= 4 * 4 * N * N  # weights, their gradient and the scores' gradient; the rest is small


def test_peak_of_a_call_by_hand():
    """Two intermediate results at a time, and what it returns; nothing where nothing is taken."""
    x = torch.ones(1000)
    assert peak_bytes_of(lambda: x + x) == 4000
    assert peak_bytes_of(lambda: (x.exp() + x.sin())[:500].exp()) == 3 * 4000
    assert peak_bytes_of(lambda: None) == 0


def test_the_profiler_says_nothing_of_itself():
    code = "import torch; from attn_utils.cost import peak_bytes_of; x = torch.ones(9); print(peak_bytes_of(lambda: x + x))"
    environment = {name: value for name, value in os.environ.items() if name != "KINETO_LOG_LEVEL"}
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert (ran.stdout.strip(), ran.stderr) == ("36", "")


def test_peak_is_measured_on_the_cpu_alone():
    with pytest.raises(ValueError, match="inputs must be on the CPU, where peak_bytes measures, got meta"):
        peak_bytes(Exponential(), [torch.ones(3, device="meta", requires_grad=True)])


def test_forward_backward_leaves_the_gradients_of_one_pass():
    layer, x = nn.Linear(3, 1, bias=False), torch.ones(2, 3, requires_grad=True)
    for _ in range(2):
        forward_backward(layer, (x,))
        assert layer.weight.grad.tolist() == [[2.0, 2.0, 2.0]]
        torch.testing.assert_close(x.grad, layer.weight.detach().expand(2, 3))


# ------------------------------------------------------------------------------------------------------------- time


def test_interleaved_seconds_measures_each_case_once_a_repeat():
    now, ran = [0.0], []

    def case(name, seconds):
        def run():
            ran.append(name)
            now[0] += seconds * (100 if len(ran) <= 4 else 1)  # the two warm-up rounds are slow

        return run

    cases = {"a": case("a", 1.0), ("b", 16): case(("b", 16), 3.0)}
    seconds = interleaved_seconds(cases, repeats=20, warmup=2, clock=lambda: now[0])
    assert seconds == {"a": [1.0] * 20, ("b", 16): [3.0] * 20}
    rounds = [tuple(ran[i : i + 2]) for i in range(0, len(ran), 2)]
    assert len(rounds) == 22
    assert set(rounds) == {("a", ("b", 16)), (("b", 16), "a")}, "in both orders, and never one twice in a round"


def test_interleaved_seconds_by_the_wall_clock():
    (seconds,) = interleaved_seconds({"nothing": lambda: None}, repeats=3).values()
    assert len(seconds) == 3
    assert 0 <= min(seconds) <= max(seconds) < 1


@pytest.mark.parametrize(("cases", "repeats", "warmup"), [({}, 1, 0), ({"a": print}, 0, 0), ({"a": print}, 1, -1)])
def test_interleaved_seconds_rejects(cases, repeats, warmup):
    with pytest.raises(ValueError, match=f"got {len(cases)} cases, {repeats} and {warmup}"):
        interleaved_seconds(cases, repeats=repeats, warmup=warmup)


def test_quartiles():
    assert quartiles([5.0, 1.0, 4.0, 2.0, 3.0]) == (2.0, 3.0, 4.0)
    assert quartiles(np.divide([2.0, 3.0], [1.0, 1.0])) == (2.25, 2.5, 2.75)


# ------------------------------------------------------------------------------------------------------------ growth


@pytest.mark.parametrize("p", [0.0, 1.0, 1.5, 2.0])
def test_exponent_of_an_exact_power(p):
    sizes = np.array([16, 32, 64]) ** 2
    assert exponent(sizes, 7.0 * sizes**p) == pytest.approx(p, abs=1e-12)


@pytest.mark.parametrize(
    ("sizes", "values", "text"),
    [
        ([1, 2], [1, 2, 3], "one length, with two different sizes"),
        ([2, 2], [1, 2], "one length, with two different sizes"),
        ([1, 2], [0, 1], "above 0"),
        ([0, 2], [1, 1], "above 0"),
        ([1, 2], [1, float("nan")], "above 0"),
    ],
)
def test_exponent_rejects(sizes, values, text):
    with pytest.raises(ValueError, match=text):
        exponent(sizes, values)
