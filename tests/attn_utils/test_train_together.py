"""Two processes that train together learn what one does, go on where they stopped, stop together, and leave nothing behind."""

import os
import runpy
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

PROGRAM = Path(__file__).with_name("two_processes.py")
CASES = runpy.run_path(str(PROGRAM))
needs_gloo = pytest.mark.skipif(
    not torch.distributed.is_available() or sys.platform == "win32", reason="needs gloo, and a file to meet at"
)


def run_together(program, folder, *, processes=2, timeout=900.0):
    """Exit codes of the processes; when one fails or time is up the others are killed (and none is ever left behind)."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(PROGRAM.parents[2])}
    jobs, end = [], time.monotonic() + timeout
    try:
        for rank in range(processes):
            jobs.append(subprocess.Popen([sys.executable, program, str(rank), str(processes), folder], env=environment))
        while any(job.poll() is None for job in jobs) and not any(job.poll() for job in jobs) and time.monotonic() < end:
            time.sleep(0.05)
    finally:
        for job in jobs:
            job.kill()  # does nothing to one that has ended
    return [job.wait() for job in jobs]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the two work; one process was here before them, and crashed."""
    folder = tmp_path_factory.mktemp("pair")
    assert CASES["run"](folder / "one", crash_at=13, dropout=0.0) is None
    return folder


@pytest.fixture(scope="module")
def pair(folder):
    """What each of two processes found, {case: result} each."""
    assert run_together(PROGRAM, folder) == [0, 0]
    return [torch.load(folder / f"{rank}.pt") for rank in (0, 1)]


@pytest.fixture(scope="module")
def alone():
    """The same on one process: steps of a stack of blocks, and a run that was never interrupted."""
    return CASES["gradients_of_each_step"](CASES["Stack"]()), CASES["run"](None, dropout=0.0)


@needs_gloo
@pytest.mark.parametrize("case", CASES["CASES"])
def test_two_processes_learn_what_one_does(pair, case):
    """Each takes its half of every batch; parameters, losses and metrics are those of one process up to rounding."""
    first, second = (results[case] for results in pair)
    assert_close(first, second, rtol=0, atol=0)
    alone = CASES["CASES"][case](0)
    alone["metrics"].pop("samples", None)
    assert first["metrics"].pop("samples", [4.0] * 20) == [4.0] * 20
    assert_close(first, alone, rtol=1e-4, atol=1e-5)


@needs_gloo
@pytest.mark.parametrize("way", CASES["STACKED"])
def test_gradients_are_those_of_one_process(pair, alone, way):
    """Step after step, whole or in shards, in one part or several, kept or computed again."""
    first, second = (results["stacked"][way] for results in pair)
    assert_close(first, second, rtol=0, atol=0)
    expected, near = alone[0], {"rtol": 1e-5, "atol": 1e-6}
    if "clipped" in way:
        expected = CASES["gradients_of_each_step"](CASES["Stack"](), clip=0.1)
    if "bf16" in way:
        expected, near = CASES["gradients_of_each_step"](CASES["Stack"](), precision="bf16"), {"rtol": 0.05, "atol": 0.05}
    assert len(first["gradients"]) == 6
    assert first["gradients"][0].keys() == expected["gradients"][0].keys()
    assert_close(first, expected, **near)


@needs_gloo
def test_after_sharded_training_the_model_is_an_ordinary_one(pair):
    for rank, results in enumerate(pair):
        found = results["ordinary_again"]
        assert found["sharded inside"] == [3, 3]
        assert found["kinds"] and found["parameters"] and found["tied"] and found["marks"]
        assert found["hooks"] == 0
        assert (found["alone"] is None) == (rank == 1)
        assert found["copied"] == len(list(CASES["Stack"]().parameters()))
        assert found["and again"] == 2


@needs_gloo
@pytest.mark.parametrize("way", ["replicate", "shard"])
def test_a_run_that_crashed_goes_on_to_the_same_bits(pair, way):
    """Dropout, an optimiser with moments, a changing learning rate, the middle of a pass."""
    for results in pair:
        whole, resumed = results[f"resumed, {way}"]
        assert resumed["steps"] == 20
        assert_close(resumed, whole, rtol=0, atol=0)


@needs_gloo
def test_without_the_random_state_the_bits_are_others(pair):
    """The control of the last one: the same, but that it draws its dropout anew."""
    whole, resumed = pair[0]["random state forgotten"]
    assert resumed["lr"] == whole["lr"]
    assert resumed["loss"][:10] == whole["loss"][:10]
    assert resumed["loss"][10:] != whole["loss"][10:]
    assert not all(torch.equal(whole["state"][name], resumed["state"][name]) for name in whole["state"])


@needs_gloo
@pytest.mark.parametrize("way", ["replicate", "shard"])
def test_two_processes_go_on_where_one_stopped(pair, alone, way):
    assert pair[0][f"taken from one, {way}"]["steps"] == 20
    assert_close(pair[0][f"taken from one, {way}"], alone[1], rtol=1e-5, atol=1e-6)


@needs_gloo
def test_one_process_goes_on_where_two_with_shards_stopped(pair, folder, alone):
    assert pair[0]["left for one"] is None
    resumed = CASES["run"](folder / "two", dropout=0.0)
    assert resumed["steps"] == 20
    assert_close(resumed, alone[1], rtol=1e-5, atol=1e-6)


@needs_gloo
def test_a_full_disk_on_one_process_stops_both_and_spares_what_was_there(pair):
    first, second = (results["full on one"] for results in pair)
    assert first == second
    message, left = first
    assert "no checkpoint could be written at step 10: OSError: [Errno 28] No space left on device" in message
    assert message.endswith("step-00000005")
    assert left == ["step-00000005"]


@needs_gloo
def test_two_processes_reject_the_checkpoint_of_another_model(pair):
    first, second = (results["of another model"] for results in pair)
    assert first == second
    assert "step-00000020 is of another model: " in first


@needs_gloo
def test_two_processes_leave_alone_what_has_no_gradient(pair):
    """`extra` plays no part in the loss, only in a number beside it: no decay, and no process waits for its gradient."""
    torch.manual_seed(0)
    before = CASES["Model"](0).extra.weight
    assert_close(pair[0]["metrics"]["state"]["extra.weight"], before, rtol=0, atol=0)


@needs_gloo
def test_two_processes_end_with_the_same_running_statistics(pair):
    first, second = (results["batch_norm"] for results in pair)
    assert len(first["validation"]) == 2
    assert_close(first, second, rtol=0, atol=0)


@needs_gloo
def test_two_processes_stop_at_the_same_nan(pair):
    assert pair[0]["nan_in_one"] == pair[1]["nan_in_one"]
    assert pair[0]["nan_in_one"].startswith("the loss is nan at step 3 of 5")


@needs_gloo
def test_after_training_a_process_may_go_on_alone(pair):
    assert pair[0]["alone_afterwards"].abs().max() > 0
    assert pair[1]["alone_afterwards"] is None


@needs_gloo
def test_interrupting_several_processes_ends_them(pair):
    assert [results["interrupted"] for results in pair] == [True, True]


@needs_gloo
def test_two_processes_reject(pair):
    assert pair[0]["rejected"] == [
        "batch_size must be a multiple of the 2 processes, got 7",
        "data must hold a sample for each of the 2 processes, got 1",
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="asks for a process in the way of POSIX")
def test_no_process_is_left_behind_when_one_fails(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "import os, pathlib, sys, time\n"
        "rank, _, folder = sys.argv[1:]\n"
        "here = pathlib.Path(folder)\n"
        "(here / f'{rank}.part').write_text(str(os.getpid()))\n"
        "(here / f'{rank}.part').rename(here / f'{rank}.pid')\n"
        "while not (here / '1.pid').exists(): time.sleep(0.01)\n"
        "sys.exit(3) if rank == '0' else time.sleep(600)\n"
    )
    start = time.monotonic()
    codes = run_together(program, tmp_path)
    assert codes[0] == 3 and codes[1] < 0
    assert time.monotonic() - start < 120
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "1.pid").read_text()), 0)
