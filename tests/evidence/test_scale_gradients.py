"""The gradients that a step is taken with: alone those of autograd, on two processes the same in both ways of sharing."""

import sys

import pytest
import torch
from torch.testing import assert_close

from evidence.scale import gradients, launch
from evidence.scale.task import cross_entropy, reader, scans


def by_autograd(size):
    """Of the first batch: `fit` draws its order from the seed."""
    images, labels = scans()
    first = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))[:size]
    model = reader(dropout=0.0)
    cross_entropy(model, images[first], labels[first])[0].backward()
    return {name: parameter.grad for name, parameter in model.named_parameters()}


def test_alone_they_are_those_of_autograd():
    assert_close(gradients.first_gradients(batch_size=48), by_autograd(48), rtol=1e-5, atol=1e-6)


def test_the_program_writes_both_ways(tmp_path):
    gradients.main([str(tmp_path / "found.pt")])
    found = torch.load(tmp_path / "found.pt")
    assert list(found) == ["replicate", "shard"]
    assert_close(found["shard"], by_autograd(64), rtol=1e-5, atol=1e-6)


@pytest.mark.skipif(not torch.distributed.is_available() or sys.platform == "win32", reason="needs gloo")
def test_on_two_processes_they_are_those_of_one(tmp_path):
    launch.torchrun("evidence.scale.gradients", tmp_path / "found.pt")
    for found in torch.load(tmp_path / "found.pt").values():
        assert_close(found, by_autograd(64), rtol=1e-4, atol=1e-5)


def test_the_program_says_what_it_does(capsys):
    with pytest.raises(SystemExit, match="0"):
        gradients.main(["--help"])
    assert "usage: python -m evidence.scale.gradients" in capsys.readouterr().out
