"""Processes that torchrun starts: one is killed and nothing is lost; Ctrl-C; their gradients; and the bytes that each keeps and sends.

torchrun itself starts those that are killed or interrupted. Their control, and those that run to their end, are forked: see forked.py.
"""

import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from attn_book import runs
from attn_utils.checkpoint import newest
from attn_utils.train import fit
from evidence.recipe import ROOT
from evidence.scale import gradients, launch, measure, shares, train
from evidence.scale.task import cross_entropy, reader, scans

pytestmark = pytest.mark.skipif(
    not torch.distributed.is_available() or sys.platform == "win32", reason="needs gloo, and signals in the way of POSIX"
)
STEPS, EVERY, KILLED = 30, 10, 27  # 20 steps are a pass: both lie in the middle of the second


FORKED = Path(__file__).with_name("forked.py")


@pytest.fixture(scope="module")
def forked():
    """forked(module, *arguments, restarts=0): what two processes print that run this program."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    done = runpy.run_path(str(FORKED))["DONE"] + "\n"
    with subprocess.Popen([sys.executable, FORKED], env=environment, **pipes) as server:

        def run(module, *arguments, restarts=0):
            print(json.dumps([module, restarts, [*map(str, arguments)]]), file=server.stdin, flush=True)
            printed = []
            while (line := server.stdout.readline()) not in (done, ""):
                printed.append(line)
            assert line, "".join(printed)
            return "".join(printed)

        watch = threading.Timer(900, server.kill)
        watch.start()
        try:
            yield run
        finally:
            watch.cancel()
            server.stdin.close()  # it ends then


def go(start, *arguments, weights, **options):
    """What the training program printed, and the weights that it wrote."""
    how = ["--steps", STEPS, "--parallel", "shard", "--weights", weights]
    return start("evidence.scale.train", *how, *arguments, **options), torch.load(weights)


@pytest.fixture(scope="module")
def uninterrupted(forked, tmp_path_factory):
    return go(forked, weights=tmp_path_factory.mktemp("whole") / "weights.pt")[1]


@pytest.mark.parametrize("forget", [False, True])
def test_one_of_two_is_killed_and_the_weights_are_the_same_bits(tmp_path, forked, uninterrupted, forget):
    """torchrun starts both again, and they go on; the control, without the random state, ends elsewhere."""
    keep = ["--checkpoint", tmp_path, "--every", EVERY, "--kill-at", KILLED, *["--forget-random"] * forget]
    start = forked if forget else launch.torchrun
    printed, weights = go(start, *keep, restarts=1, weights=tmp_path / "weights.pt")
    assert "2 processes, life 1: the first step is 1\n" in printed
    assert f"2 processes, life 2: the first step is {KILLED - KILLED % EVERY + 1}\n" in printed
    assert f"step {STEPS}: loss" in printed
    same = [torch.equal(weights[name], uninterrupted[name]) for name in uninterrupted]
    assert all(same) != forget


def test_ctrl_c_on_two_leaves_a_checkpoint_and_one_goes_on(tmp_path):
    """torchrun passes it on; both finish the step and save it. There is no other checkpoint here."""
    program = launch.start(
        "evidence.scale.train", "--checkpoint", tmp_path, "--every", 10_000, "--steps", 10_000, "--pause", 0.02
    )
    watch = threading.Timer(900, program.kill)
    watch.start()
    try:
        for line in program.stdout:
            if "first step is 1" in line:
                break
        printed = launch.stop(program, by=signal.SIGINT)
    finally:
        watch.cancel()
    saved = newest(tmp_path)
    assert saved is not None, printed
    assert f"interrupted; {saved} is whole" in printed
    assert [path.name for path in tmp_path.iterdir()] == [saved.name]
    first, done = [], int(saved.name.partition("-")[2])

    def stop_soon(step, model):
        first.append(step)
        raise KeyboardInterrupt

    fit(reader(), scans(), cross_entropy, steps=10_000, batch_size=50, checkpoint=tmp_path, on_step=stop_soon)
    assert first == [done + 1]


def test_alone_the_program_trains_too(tmp_path, capsys):
    train.main(["--steps", "2", "--weights", str(tmp_path / "weights.pt"), "--accumulate", "5", "--recompute"])
    assert "1 processes, life 1: the first step is 1\nstep 2: loss" in capsys.readouterr().out
    model = reader()
    fit(model, scans(), cross_entropy, steps=2, batch_size=50, accumulate=5)
    assert_close(torch.load(tmp_path / "weights.pt"), model.state_dict(), rtol=0, atol=0)


@pytest.mark.parametrize("module", [train, gradients, shares, measure])
def test_programs_say_what_they_do(module, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["program", "--help"])
    with pytest.raises(SystemExit, match="0"):
        runpy.run_path(module.__file__, run_name="__main__")
    assert f"usage: python -m {module.__name__}" in capsys.readouterr().out


def test_the_program_knows_two_ways(capsys):
    with pytest.raises(SystemExit, match="2"):
        train.main(["--parallel", "halves"])
    assert "invalid choice: 'halves'" in capsys.readouterr().err


def test_a_program_that_fails_is_reported_with_what_it_printed():
    """One of Python's own, which starts at once."""
    with pytest.raises(RuntimeError, match=r"(?s)json.tool ended with code .*unrecognized arguments: --halves"):
        launch.torchrun("json.tool", "--halves", processes=1)


# ------------------------------------------------------------------------------------------------------ gradients


def by_autograd(size):
    """Of the first batch: `fit` draws its order from the seed."""
    images, labels = scans()
    first = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))[:size]
    model = reader(dropout=0.0)
    cross_entropy(model, images[first], labels[first])[0].backward()
    return {name: parameter.grad for name, parameter in model.named_parameters()}


def test_alone_gradients_are_those_of_autograd():
    assert_close(gradients.first_gradients(batch_size=48), by_autograd(48), rtol=1e-5, atol=1e-6)


def test_the_program_writes_gradients_of_both_ways(tmp_path):
    gradients.main([str(tmp_path / "found.pt")])
    found = torch.load(tmp_path / "found.pt")
    assert list(found) == ["replicate", "shard"]
    assert_close(found["shard"], by_autograd(64), rtol=1e-5, atol=1e-6)


def test_on_two_processes_gradients_are_those_of_one(tmp_path, forked):
    forked("evidence.scale.gradients", tmp_path / "found.pt")
    for found in torch.load(tmp_path / "found.pt").values():
        assert_close(found, by_autograd(64), rtol=1e-4, atol=1e-5)


# ---------------------------------------------------------------------------------------------------------- bytes


@pytest.fixture(scope="module")
def two(forked):
    """{way: what each of two processes keeps and sends}."""
    return json.loads(forked("evidence.scale.shares").splitlines()[-1])


def test_alone_a_process_keeps_all_and_sends_nothing():
    found = shares.measure()
    size = 4 * sum(p.numel() for p in reader().parameters())
    tensors = len(list(reader().parameters()))
    assert found["kept"] == {"parameters": size, "gradients": size, "optimiser": 2 * size + 4 * tensors}
    assert (found["exchanged"], found["gathered"], found["sent"] or 0) == ({}, 0, 0)


def test_replicas_keep_all_and_exchange_the_gradients(two):
    size = 4 * sum(p.numel() for p in reader().parameters())
    for one in two["replicate"]:
        assert one["kept"] == shares.measure()["kept"]
        assert set(one["exchanged"]) == {"all-reduce"}
        assert size <= one["exchanged"]["all-reduce"]["bytes"] < 1.01 * size  # and the loss, and which parameters were used
        assert one["gathered"] == 0


def test_shards_keep_half_and_gather_a_block_at_a_time(two):
    model = reader()
    bytes_of = lambda module: 4 * sum(p.numel() for p in module.parameters())
    size, block, tensors = bytes_of(model), bytes_of(model.blocks[0]), len(list(model.parameters()))
    kept = {name: sum(one["kept"][name] for one in two["shard"]) for name in ("parameters", "gradients", "optimiser")}
    assert kept == {"parameters": size, "gradients": size, "optimiser": 2 * size + 2 * 4 * tensors}
    for one in two["shard"]:
        assert one["kept"]["parameters"] < 0.51 * size
        exchanged = {kind: count["calls"] for kind, count in one["exchanged"].items()}
        outside = size - 2 * block
        assert exchanged["all-gather"] == 1 + 2 * 2, "what is outside of blocks once, each block forward and backward"
        assert exchanged["reduce-scatter"] == 3
        assert one["exchanged"]["all-gather"]["bytes"] == pytest.approx(outside + 2 * 2 * block, rel=0.02)
        assert one["exchanged"]["reduce-scatter"]["bytes"] == pytest.approx(size, rel=0.02)
        assert one["gathered"] == pytest.approx(max(block, outside), rel=0.02)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux counts what a connection has sent")
def test_what_leaves_a_process_is_at_least_what_a_ring_needs(two):
    for way, found in two.items():
        exchanges = [
            (kind, count)
            for kind, count in found[0]["exchanged"].items()
            if kind in ("all-reduce", "all-gather", "reduce-scatter")
        ]
        needed = sum(shares.ring_bytes(kind, count["bytes"], 2) for kind, count in exchanges)
        for one in found:
            assert 0.95 * needed < one["sent"] < 2.5 * needed, way


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux counts what a connection has sent")
def test_tcp_bytes_are_those_that_were_sent():
    server = socket.create_server(("127.0.0.1", 0))
    with server, socket.create_connection(server.getsockname()) as there, server.accept()[0] as here:
        before = shares.tcp_bytes()
        there.sendall(b"x" * 10_000)
        received = 0
        while received < 10_000:
            received += len(here.recv(65536))
        assert shares.tcp_bytes() - before == 10_000


def test_ring_bytes_by_hand():
    """Four processes, 8 bytes: three rounds of 2 bytes, twice for an all-reduce."""
    assert shares.ring_bytes("all-gather", 8, 4) == shares.ring_bytes("reduce-scatter", 8, 4) == 6
    assert shares.ring_bytes("all-reduce", 8, 4) == 12


# ----------------------------------------------------------------------------------------------- what options cost


def test_what_is_measured_is_written_and_planned(tmp_path, monkeypatch):
    """The program from end to end, on almost nothing, and with the processes left out."""
    monkeypatch.setattr(measure, "ROOT", tmp_path)
    monkeypatch.setattr(runs, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(measure, "share", lambda way, processes: {"parameters": processes})
    monkeypatch.setattr(measure, "BATCH", 8)
    monkeypatch.setattr(measure, "cannot_compile", lambda: "it would take too long")
    small = measure.cases
    monkeypatch.setattr(measure, "cases", lambda device: small(device, width=8, depth=2, side=8))
    measure.main(["--repeats", "1"])
    written = runs.load("scale").runs
    assert {(run["part"], run["group"]) for run in written} == {
        (entry["part"], entry["group"]) for entry in measure.plan([]) if "compiled" not in entry["group"]
    }
    options = {run["group"]: run["scores"] for run in written if run["part"] == "options"}
    assert options["as it is"]["ratio"] == 1
    assert options["4 parts"]["bytes"] < options["as it is"]["bytes"]
    assert options["computed again"]["bytes"] < options["as it is"]["bytes"]


def test_a_machine_without_a_compiler_says_why(monkeypatch):
    def broken(function):
        raise RuntimeError("no C++ compiler\nand much more")

    monkeypatch.setattr(torch, "compile", broken)
    assert measure.cannot_compile() == "RuntimeError: no C++ compiler"
