"""Batches in parts, blocks that are computed again, compiled models; what needs several processes: test_train_together.py."""

import functools

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn
from torch.optim.optimizer import register_optimizer_step_pre_hook
from torch.testing import assert_close

from attn_utils.cost import peak_bytes_of
from attn_utils.parallel import blocks, here, join, recomputed
from attn_utils.record import record_attention
from attn_utils.train import fit
from attn_utils.vit import vit_mini


def data(n=24):
    generator = torch.Generator().manual_seed(3)
    return torch.rand(n, 3, 8, 8, generator=generator), torch.arange(n) % 5


def small_vit(dropout=0.0, depth=3):
    torch.manual_seed(0)
    return vit_mini(image_size=8, patch=2, classes=5, dim=16, depth=depth, dropout=dropout)


def cross_entropy(model, images, labels):
    logits = model(images)
    return F.cross_entropy(logits, labels), {"right": (logits.argmax(dim=1) == labels).float().mean(), "samples": len(labels)}


def train(model, **options):
    history = fit(model, data(), cross_entropy, **{"steps": 5, "batch_size": 12, "lr": 1e-2} | options)
    return history, model.state_dict()


def losses_and_first_gradients(model, **options):
    """Not the weights: where a gradient is 0 but for rounding, as that of a bias on all keys, Adam makes steps of any size of it."""
    gradients = []
    look = lambda *_: gradients.append([p.grad.clone() for p in model.parameters()])
    watch = register_optimizer_step_pre_hook(look)
    try:
        history, _ = train(model, **options)
    finally:
        watch.remove()
    return history, gradients[0]


# ---------------------------------------------------------------------------------------------------------- parts


@pytest.mark.parametrize("parts", [2, 3, 12])
def test_a_batch_in_parts_is_the_batch(parts):
    whole, gradients = losses_and_first_gradients(small_vit())
    in_parts, other = losses_and_first_gradients(small_vit(), accumulate=parts)
    assert_close(other, gradients, rtol=1e-4, atol=1e-6)
    assert_close(in_parts.loss, whole.loss, rtol=1e-3, atol=1e-3)
    assert_close(in_parts.metrics["right"][0], whole.metrics["right"][0], rtol=1e-5, atol=1e-6)
    assert in_parts.metrics["samples"] == [12 / parts] * 5


def test_parts_need_less_memory():
    peaks = [peak_bytes_of(lambda parts=parts: train(small_vit(), steps=1, accumulate=parts)) for parts in (1, 4)]
    assert peaks[1] < 0.6 * peaks[0]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"accumulate": 5}, "batch_size must be a multiple of the 1 processes × 5 parts, got 12"),
        ({"accumulate": 0}, "accumulate must be a whole number of at least 1, got 0"),
        ({"accumulate": 30, "batch_size": 30}, "data must hold a sample for each of the 1 processes × 30 parts, got 24"),
        ({"parallel": "halves"}, 'parallel must be None, "replicate" or "shard", got \'halves\''),
        ({"checkpoint_every": 0}, "checkpoint_every must be a whole number of at least 1, got 0"),
    ],
)
def test_fit_rejects(options, text):
    with pytest.raises(ValueError, match=text):
        train(small_vit(), **options)


# ----------------------------------------------------------------------------------------------------- once again


def test_what_blocks_are():
    assert blocks(vit := small_vit()) == list(vit.blocks)
    assert blocks(nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))) == []
    inner = nn.ModuleList([nn.Linear(2, 2), nn.GELU()])
    stages = nn.ModuleDict({"stages": nn.ModuleList([inner, nn.ModuleDict({"list": inner}), small_vit()])})
    assert blocks(stages) == [inner[0], stages["stages"][2]], "each once, and what is a list no block"


def test_gradients_of_recomputed_blocks_are_the_same_bits():
    """Dropout, too: it is drawn again as it was."""
    images, labels = data()
    gradients = []
    for context in (lambda model: recomputed(model), lambda model: torch.enable_grad()):
        model = small_vit(dropout=0.3)
        torch.manual_seed(1)
        with context(model):
            cross_entropy(model, images, labels)[0].backward()
        assert all("forward" not in vars(module) for module in model.modules())
        gradients.append([p.grad for p in model.parameters()])
    assert_close(gradients[0], gradients[1], rtol=0, atol=0)


def test_training_with_recomputed_blocks_is_the_same_and_needs_less_memory():
    plain, again = (train(small_vit(dropout=0.3, depth=6), recompute=recompute) for recompute in (False, True))
    assert again[0].loss == plain[0].loss
    assert_close(again[1], plain[1], rtol=0, atol=0)
    peaks = [
        peak_bytes_of(lambda recompute=recompute: train(small_vit(depth=6), steps=1, recompute=recompute))
        for recompute in (False, True)
    ]
    assert peaks[1] < 0.6 * peaks[0]


def test_a_hook_sees_recomputed_blocks_twice_and_the_recorder_keeps_the_first():
    images, labels = data()
    model, calls = small_vit(), []
    model.blocks[1].attention.register_forward_hook(lambda *_: calls.append(torch.is_grad_enabled()))
    with record_attention(model) as plain:
        model(images)
    calls.clear()
    with recomputed(model), record_attention(model) as maps:
        cross_entropy(model, images, labels)[0].backward()
    assert len(calls) == 2
    assert_close(dict(maps), dict(plain), rtol=0, atol=0)

    with record_attention(model) as maps:
        fit(model, data(), cross_entropy, steps=1, batch_size=24, recompute=True)
    assert list(maps) == list(plain)


def test_a_recorder_that_is_closed_before_backward_is_an_error():
    """Without it the weights are computed in another way (by the fused kernel), and torch notices."""

    def recording(m, images, labels):
        with record_attention(m):
            return cross_entropy(m, images, labels)

    with pytest.raises(RuntimeError, match="recomputed"):
        fit(small_vit(), data(), recording, steps=1, batch_size=12, recompute=True)


def test_without_blocks_nothing_can_be_computed_again():
    with pytest.raises(ValueError, match="Linear has no nn.ModuleList of blocks, so there is nothing to compute again"):
        fit(nn.Linear(5, 1), (torch.ones(3, 5),), lambda m, x: m(x).mean(), steps=1, recompute=True)


# ------------------------------------------------------------------------------------------------------- compiled


@functools.cache
def why_not_compiled():
    try:
        torch.compile(lambda x: x.sin() + 1)(torch.ones(2))
    except Exception as error:
        return f"torch.compile does not work here: {str(error).splitlines()[0]}"
    return ""


def test_a_compiled_model_learns_the_same():
    if why_not_compiled():
        pytest.skip(why_not_compiled())
    plain, compiled = small_vit(depth=1), small_vit(depth=1)
    compiled.compile()
    (history, gradients), (other_history, other) = map(losses_and_first_gradients, (plain, compiled))
    assert_close(other, gradients, rtol=1e-3, atol=1e-5)
    assert_close(other_history.loss, history.loss, rtol=1e-3, atol=1e-3)


# ---------------------------------------------------------------------------------------------------------- alone


@pytest.mark.parametrize("parallel", ["replicate", "shard"])
def test_alone_all_ways_are_one(parallel, monkeypatch):
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    assert join() == here() == (0, 1)
    expected, state = train(small_vit())
    history, other = train(small_vit(), parallel=parallel)
    assert history.loss == expected.loss
    assert_close(other, state, rtol=0, atol=0)


@pytest.mark.skipif(not dist.is_available(), reason="needs torch.distributed")
def test_a_restarted_process_finds_nothing_of_the_life_before(monkeypatch):
    """One store of torchrun's serves all lives; the address of a killed process in it would be waited for."""
    kept, given = dist.HashStore(), []
    monkeypatch.setattr(dist, "TCPStore", lambda address, port, is_master: kept)
    monkeypatch.setattr(dist, "init_process_group", lambda backend, **told: given.append({"backend": backend} | told))
    told = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1", "RANK": "1", "WORLD_SIZE": "2", "GROUP_WORLD_SIZE": "1"}
    told |= {"TORCHELASTIC_RUN_ID": "test", "TORCHELASTIC_USE_AGENT_STORE": "True"}
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    for life in ("0", "1"):
        monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", life)
        join()
    first, second = (one.pop("store") for one in given)
    assert given == [{"backend": "gloo", "rank": 1, "world_size": 2}] * 2
    first.set("address of process 0", "somewhere")
    assert first.check(["address of process 0"])
    assert not second.check(["address of process 0"])

    monkeypatch.setenv("GROUP_WORLD_SIZE", "2")  # several machines count restarts each for itself
    join()
    assert given[-1] == {"backend": "gloo", "store": None, "rank": 1, "world_size": 2}
