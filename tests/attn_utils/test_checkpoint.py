"""What `fit` saves, it finds again; several processes: test_train_together.py and tests/evidence/test_scale.py."""

import errno
import os
import shutil
import signal
import sys
import threading
import time

import pytest
import torch
from torch import nn
from torch.distributed.checkpoint import FileSystemReader
from torch.testing import assert_close

from attn_utils.checkpoint import asked_to_stop, newest
from attn_utils.train import fit


class Crash(Exception):
    pass


def model(width=8):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, width), nn.GELU(), nn.Dropout(0.2), nn.BatchNorm1d(width), nn.Linear(width, 1))


def data():
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(50, 5, generator=generator)
    return x, x.sum(dim=1, keepdim=True)


def error(m, x, y):
    value = (m(x + 0.1 * torch.randn_like(x)) - y).square().mean()
    return value, {"largest": y.max()}


def run(folder, *, crash_at=None, width=8, **options):
    """The model and history after 20 steps, six a pass; or as far as the crash."""

    def on_step(step, _):
        if step == crash_at:
            raise Crash

    m = model(width)
    options = {"steps": 20, "batch_size": 8, "checkpoint_every": 4, "validate": lambda m: {"bias": m[-1].bias.item()}} | options
    try:
        history = fit(m, data(), error, checkpoint=folder, on_step=on_step, **options)
    except Crash:
        history = None
    return m, history


def assert_same(one, other):
    (model_1, history_1), (model_2, history_2) = one, other
    assert_close(model_1.state_dict(), model_2.state_dict(), rtol=0, atol=0)
    for name in ("loss", "lr", "metrics", "validation"):
        assert getattr(history_1, name) == getattr(history_2, name)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("options", [{}, {"clip": 0.5}, {"precision": "bf16"}, {"accumulate": 2}], ids=str)
def test_a_run_that_crashed_goes_on_to_the_same_bits(tmp_path, options):
    """In the middle of the third pass, with dropout, noise, batch norm, moments, a changing learning rate."""
    whole = run(None, **options)
    run(tmp_path, crash_at=15, **options)
    assert names(tmp_path) == ["step-00000008", "step-00000012"]
    torch.manual_seed(99)
    torch.rand(7)  # where the global random state stands is no matter
    assert_same(run(tmp_path, **options), whole)
    assert names(tmp_path) == ["step-00000016", "step-00000020"]


def test_checkpoints_change_no_bit(tmp_path):
    assert_same(run(tmp_path), run(None))


@pytest.mark.parametrize("forgotten", ["random", "optimizer", "place"])
def test_each_part_of_what_is_saved_is_needed(tmp_path, monkeypatch, forgotten):
    """Controls: without one of them the end is another."""
    from attn_utils import checkpoint, train

    whole = run(None)
    run(tmp_path, crash_at=15)
    if forgotten == "random":
        monkeypatch.setattr(checkpoint, "restore_random", lambda states, device: None)
    elif forgotten == "optimizer":
        monkeypatch.setattr(checkpoint, "_empty_state", lambda there, parameters: {})
    else:
        monkeypatch.setattr(train, "islice", lambda batches, start, stop: batches)
    resumed = run(tmp_path)
    assert resumed[1].loss[:12] == whole[1].loss[:12]
    assert (resumed[0][0].weight - whole[0][0].weight).abs().max() > 1e-5


def test_the_end_is_saved_and_nothing_is_done_twice(tmp_path):
    first = run(tmp_path, checkpoint_every=None)
    steps = []
    m = model()
    history = fit(m, data(), error, steps=20, batch_size=8, checkpoint=tmp_path, on_step=lambda step, _: steps.append(step))
    assert steps == []
    assert names(tmp_path) == ["step-00000018", "step-00000020"]
    assert_same((m, history), first)
    assert history.seconds >= first[1].seconds * 0.5
    assert not m.training


def test_what_is_half_written_does_not_count(tmp_path):
    whole = run(None)
    run(tmp_path, crash_at=15)
    good = newest(tmp_path)
    shutil.copytree(good, tmp_path / "step-00000016.part")  # all of it, but not yet renamed
    (tmp_path / "step-00000019").mkdir()
    shutil.copy(next(good.glob("*.distcp")), tmp_path / "step-00000019")  # of another program: numbers without their table
    (tmp_path / "notes.txt").write_text("mine")
    assert newest(tmp_path) == good
    assert_same(run(tmp_path), whole)
    assert names(tmp_path) == ["notes.txt", "step-00000016", "step-00000019", "step-00000020"]


@pytest.mark.skipif(sys.platform == "win32", reason="limits the size of files in the way of POSIX")
def test_a_disk_that_is_full_in_the_middle_of_a_file(tmp_path):
    """The error says so, the half-written one is gone, the one before is whole, and with room the run goes on."""
    import resource

    whole = run(None, checkpoint_every=5)
    run(tmp_path, crash_at=7, checkpoint_every=5)
    room, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, most))
        with pytest.raises(
            OSError, match=r"written at step 10: OSError: .*File too large.* the last whole one is .*step-00000005"
        ):
            run(tmp_path, checkpoint_every=5)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, most))
    assert names(tmp_path) == ["step-00000005"]
    assert_same(run(tmp_path, checkpoint_every=5), whole)


def test_no_space_from_the_beginning(tmp_path, monkeypatch):
    def full(number):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        OSError, match=r"at step 4: OSError: .*No space left on device \(.* GB are free\); .* holds none before it"
    ):
        run(tmp_path)
    assert names(tmp_path) == []


def test_a_damaged_checkpoint_is_named(tmp_path):
    run(tmp_path, crash_at=15)
    path = next(newest(tmp_path).glob("*.distcp"))
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(OSError, match=r"step-00000012 cannot be read \(.+\): remove it to go on from the one before"):
        run(tmp_path)
    shutil.rmtree(newest(tmp_path))
    assert_same(run(tmp_path), run(None))


def test_a_checkpoint_of_another_model_or_run_is_rejected(tmp_path):
    run(tmp_path)
    with pytest.raises(
        ValueError, match=r"of another model: '0.bias' has shape \(8,\), in the model \(9,\); '0.weight' has .*more"
    ):
        run(tmp_path, width=9)
    with pytest.raises(ValueError, match=r"of another run: lr was 0.002 and is 0.01; seed was 0 and is 1. Name another folder"):
        run(tmp_path, lr=0.01, seed=1)
    with pytest.raises(ValueError, match="steps was 20 and is 21"):
        run(tmp_path, steps=21)
    assert_same(run(tmp_path), run(None))


def test_a_parameter_without_gradient_has_no_state(tmp_path):
    """No moments are made up for it: it begins to learn after the crash, as it would have without one."""
    now = [0]

    def loss(m, x, y):
        value = (m["used"](x) - y).square().mean()
        return value + m["late"](x).square().mean() if now[0] >= 5 else value

    def go(folder, crash_at=None):
        def on_step(step, _):
            now[0] = step
            if step == crash_at:
                raise Crash

        torch.manual_seed(0)
        m = nn.ModuleDict({"used": nn.Linear(5, 1), "late": nn.Linear(5, 1)})
        fit(m, data(), loss, steps=8, batch_size=8, checkpoint=folder, checkpoint_every=2, on_step=on_step)
        return m.state_dict()

    whole, now[0] = go(None), 0
    with pytest.raises(Crash):
        go(tmp_path, crash_at=5)
    saved = FileSystemReader(newest(tmp_path)).read_metadata().state_dict_metadata
    assert {name.split(".")[1] for name in saved if name.startswith("optimizer.")} == {"used"}
    now[0] = 4
    assert_close(go(tmp_path), whole, rtol=0, atol=0)


# --------------------------------------------------------------------------------------------------------- Ctrl-C


def press(at):
    def on_step(step, _):
        if step == at:
            signal.raise_signal(signal.SIGINT)

    return on_step


def test_ctrl_c_saves_the_step_and_keeps_what_was_learned(tmp_path):
    handler = signal.getsignal(signal.SIGINT)
    whole = fit(model(), data(), error, steps=20, batch_size=8)
    m = model()
    history = fit(m, data(), error, steps=20, batch_size=8, checkpoint=tmp_path, on_step=press(7))
    assert history.interrupted
    assert (history.steps, names(tmp_path)) == (8, ["step-00000006", "step-00000008"])  # noticed in the step after
    assert signal.getsignal(signal.SIGINT) is handler
    resumed = fit(m, data(), error, steps=20, batch_size=8, checkpoint=tmp_path)
    assert resumed.loss == whole.loss
    assert not resumed.interrupted


def test_ctrl_c_again_interrupts_at_once():
    with asked_to_stop() as stop:
        assert not stop()
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)  # the same, passed on
        assert stop()
        time.sleep(1.05)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_outside_the_main_thread_there_are_no_signals():
    seen = []

    def inside():
        with asked_to_stop() as stop:
            seen.append(stop())

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert seen == [False]


def test_ctrl_c_while_saving_leaves_the_last_one_whole(tmp_path, monkeypatch):
    """A second one, which does not wait."""
    real, calls = os.fsync, []

    def interrupted(number):
        calls.append(number)
        if len(calls) > 4:
            raise KeyboardInterrupt
        real(number)

    monkeypatch.setattr(os, "fsync", interrupted)
    m = model()
    history = fit(m, data(), error, steps=20, batch_size=8, checkpoint=tmp_path, checkpoint_every=4)
    assert history.interrupted
    monkeypatch.undo()
    assert newest(tmp_path) is not None
    assert fit(model(), data(), error, steps=20, batch_size=8, checkpoint=tmp_path, checkpoint_every=4).loss == run(None)[1].loss
