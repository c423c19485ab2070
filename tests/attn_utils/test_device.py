"""Devices are picked by name, by object and by environment; seeds repeat and leave no trace elsewhere."""

import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from attn_utils.device import pick_device, seed_everything, seeded

# ------------------------------------------------------------------------------------------------------ pick_device


def machine(monkeypatch, cuda=0, mps=False):
    """Pretend that these accelerators are here, and that ATTN_DEVICE is not set."""
    monkeypatch.delenv("ATTN_DEVICE", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


@pytest.mark.parametrize(
    ("here", "device"), [({}, "cpu"), ({"mps": True}, "mps"), ({"cuda": 1}, "cuda"), ({"cuda": 2, "mps": True}, "cuda")]
)
def test_auto_takes_the_fastest(monkeypatch, here, device):
    machine(monkeypatch, **here)
    assert pick_device() == pick_device("auto") == torch.device(device)


@pytest.mark.parametrize("device", ["cpu", "cpu:0", "mps", "cuda", "cuda:1"])
def test_a_named_device_or_a_torch_device(monkeypatch, device):
    machine(monkeypatch, cuda=2, mps=True)
    assert pick_device(device) == pick_device(torch.device(device)) == torch.device(device)


def test_the_environment_decides_for_auto_alone(monkeypatch):
    machine(monkeypatch, mps=True)
    monkeypatch.setenv("ATTN_DEVICE", "cpu")
    assert pick_device("auto") == torch.device("cpu")
    assert pick_device("mps") == torch.device("mps")
    for unset in ("", "auto"):
        monkeypatch.setenv("ATTN_DEVICE", unset)
        assert pick_device("auto") == torch.device("mps")
    monkeypatch.setenv("ATTN_DEVICE", "gpu")
    with pytest.raises(ValueError, match=r'ATTN_DEVICE must be "auto", "cpu", "cuda" or "mps".*, got \'gpu\''):
        pick_device("auto")
    monkeypatch.setenv("ATTN_DEVICE", "cuda")
    with pytest.raises(ValueError, match="ATTN_DEVICE 'cuda' is not available here; there is 1 × mps, 1 × cpu"):
        pick_device("auto")


@pytest.mark.parametrize("device", ["tpu", "cpu:x", "cuda:-1", "", "meta", None])
def test_pick_device_rejects_what_is_no_name(device):
    with pytest.raises(
        ValueError, match=f'device must be "auto", "cpu", "cuda" or "mps", with or without an index, got {device!r}'
    ):
        pick_device(device)


@pytest.mark.parametrize("device", ["mps", "cuda:2", torch.device("cuda:2"), "cpu:1"])
def test_pick_device_rejects_what_is_not_here(monkeypatch, device):
    machine(monkeypatch, cuda=2)
    with pytest.raises(ValueError, match=f"device '{device}' is not available here; there is 2 × cuda, 1 × cpu"):
        pick_device(device)


# ------------------------------------------------------------------------------------------------------------ seeds


def test_seed_everything_repeats():
    draws = []
    for seed in (11, 11, np.int64(11), np.uint8(11)):
        seed_everything(seed)
        draws.append((random.random(), np.random.rand(), torch.rand(()).item()))
    assert draws == draws[:1] * 4


@pytest.mark.parametrize("seed", [5, np.int64(5)])
def test_seeded_repeats_and_leaves_no_trace(seed):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    with pytest.raises(KeyError), seeded(seed):
        assert_close(torch.rand(7), torch.rand(7, generator=torch.Generator().manual_seed(5)), rtol=0, atol=0)
        raise KeyError
    assert_close(torch.get_rng_state(), before, rtol=0, atol=0)


class Accelerator:
    """Stands for `torch.cuda` or `torch.mps`: a random state for each device, which here is simply a number."""

    def __init__(self):
        self.states = {}

    def get_rng_state(self, device):
        return self.states.get(device, "as found")

    def set_rng_state(self, state, device):
        self.states[device] = state


@pytest.mark.parametrize("name", ["mps", "cuda", "cuda:1"])
def test_seeded_seeds_and_restores_the_device_it_is_given(monkeypatch, name):
    """Against a stand-in, for machines without an accelerator."""
    module, device = Accelerator(), torch.device(name)
    generator = lambda device: SimpleNamespace(manual_seed=lambda seed: SimpleNamespace(get_state=lambda: f"{device} {seed}"))
    monkeypatch.setattr(torch, "get_device_module", lambda device: module)
    monkeypatch.setattr(torch, "Generator", generator)
    with seeded(5, name):
        assert module.states == {device: f"{name} 5"}
    assert module.states == {device: "as found"}


@pytest.mark.skipif(pick_device().type == "cpu", reason="needs CUDA or MPS")
def test_seeded_on_the_accelerator():
    device = pick_device()
    torch.rand(3, device=device)
    before = torch.get_device_module(device).get_rng_state(device)
    with seeded(5, device):
        first = torch.rand(3, device=device)
    assert_close(torch.get_device_module(device).get_rng_state(device), before, rtol=0, atol=0)
    with seeded(5, device):
        assert_close(torch.rand(3, device=device), first, rtol=0, atol=0)
    with seeded(5):  # on the CPU: what the accelerator draws is none of its business
        assert_close(torch.get_device_module(device).get_rng_state(device), before, rtol=0, atol=0)
