"""Start a module on several processes with torchrun, as a program of its own: from a notebook, a test, or another program.

Processes that a notebook forks or spawns hang or import the notebook again; a program that is started does not.
"""

import os
import signal
import subprocess
import sys

from evidence.recipe import ROOT

PATIENCE = 120  # seconds that processes have to end in when they are asked to


def command(module, *arguments, processes=2, restarts=0):
    """The command line that runs a module on some processes of this machine, as a list."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", processes]
    return [*map(str, [*launcher, "--max-restarts", restarts, "-m", module, *arguments])]


def start(module, *arguments, processes=2, restarts=0):
    """The running program (`subprocess.Popen`), a thread each, its output and errors as text in one pipe."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.Popen(
        command(module, *arguments, processes=processes, restarts=restarts),
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": path, "TORCH_ELASTIC_SHUTDOWN_TIMEOUT": str(PATIENCE)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def torchrun(module, *arguments, processes=2, restarts=0, timeout=900):
    """Run a module to its end, and return what it printed.

    Raises:
        RuntimeError: it failed, or took longer than `timeout` seconds; none of its processes is left behind.
    """
    program = start(module, *arguments, processes=processes, restarts=restarts)
    try:
        printed, _ = program.communicate(timeout=timeout)
    except BaseException as error:
        printed = stop(program)
        if not isinstance(error, subprocess.TimeoutExpired):
            raise
        raise RuntimeError(f"{module} took more than {timeout} s:\n{printed[-4000:]}") from error
    if program.returncode:
        raise RuntimeError(f"{module} ended with code {program.returncode}:\n{printed[-4000:]}")
    return printed


def stop(program, by=signal.SIGTERM):
    """End a program that `start` returned, and return what it printed: torchrun passes the signal on, and waits for its processes."""
    program.send_signal(by)
    try:
        return program.communicate(timeout=2 * PATIENCE)[0]
    except subprocess.TimeoutExpired:
        program.kill()
        return program.communicate()[0]
