"""A chapter that takes more memory than it promises fails."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tools.kernel_memory import MOST_MB, MemoryWatch, complaint

CONFTEST = Path(__file__).resolve().parent.parent.parent / "conftest.py"


class Anything:
    """An object with the attributes it is given."""

    def __init__(self, **attributes):
        vars(self).update(attributes)


@pytest.mark.parametrize(("peak_mb", "outcome"), [(MOST_MB, "passed"), (MOST_MB + 1, "failed")])
def test_a_cell_fails_when_its_kernel_has_held_too_much(request, monkeypatch, peak_mb, outcome):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    conftest = next(one for one in request.config.pluginmanager.get_plugins() if getattr(one, "__file__", None) == str(CONFTEST))
    report = Anything(outcome="passed", passed=True, longrepr=None, user_properties=[])
    kernel = Anything(memory=Anything(peak_mb=peak_mb))
    hook = conftest.pytest_runtest_makereport(Anything(parent=Anything(kernel=kernel)), Anything(when="call"))
    next(hook)
    with pytest.raises(StopIteration):
        hook.send(report)
    assert (report.outcome, report.longrepr) == (outcome, complaint(peak_mb))
    assert report.user_properties == [("kernel_mb", peak_mb)]


def test_with_cuda_the_libraries_alone_take_more(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert complaint(10 * MOST_MB) is None


def test_the_watch_sees_what_a_process_has_held():
    code = "import sys; block = bytearray(200 * 2**20); print(flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        watch = MemoryWatch(process.pid)
        assert 200 <= watch.look() <= 400
        process.stdin.close()
    watch.join(timeout=5)
    assert not watch.is_alive()
    assert 200 <= watch.peak_mb <= 400
