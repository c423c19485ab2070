"""What Binder installs: the Python that the outputs come from, what the chapters import, at the versions that are tested."""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parent.parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["project"]
SCRIPT = ROOT / ".binder" / "postBuild"

# Stands in for Python: writes down what it is told, and the limits on versions that it is given.
STAND_IN = """#!/bin/sh
echo "$@" >> "$LOG"
while [ $# -gt 0 ]; do if [ "$1" = -c ] && [ "$2" != constraints.txt ]; then cat "$2" > "$LOG.pins"; fi; shift; done
"""


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """The commands of .binder/postBuild in a copy of what it reads, and the pins that it uses."""
    if os.name == "nt" or shutil.which("bash") is None:
        pytest.skip("no bash")
    if "\ntorch==" not in (ROOT / "requirements.txt").read_text(encoding="utf8"):
        pytest.skip("the pins are out of requirements.txt: tools/unpin.py")
    folder = tmp_path_factory.mktemp("binder")
    copy = folder / "repository"
    (copy / "book").mkdir(parents=True)
    for name in ("requirements.txt", "book/requirements.txt"):
        shutil.copy(ROOT / name, copy / name)
    (folder / "bin").mkdir()
    python = folder / "bin" / "python"
    python.write_text(STAND_IN, encoding="utf8")
    python.chmod(0o755)
    environment = os.environ | {"PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}", "LOG": str(folder / "log")}
    subprocess.run([SCRIPT], cwd=copy, env=environment, check=True)
    return (folder / "log").read_text().splitlines(), (folder / "log.pins").read_text().splitlines()


def test_it_is_a_program_and_the_root_is_left_alone():
    assert os.access(SCRIPT, os.X_OK)
    assert sorted(path.name for path in SCRIPT.parent.iterdir()) == ["postBuild", "runtime.txt"]


def test_the_python_is_that_of_the_outputs():
    runtime = (SCRIPT.parent / "runtime.txt").read_text(encoding="utf8").strip()
    minor = re.fullmatch(r"python-3\.(\d+)", runtime)[1]
    assert SpecifierSet(PROJECT["requires-python"]).contains(f"3.{minor}.14")
    assert f"the committed outputs come from 3.{minor}" in (ROOT / "Makefile").read_text(encoding="utf8")


def test_torch_comes_first_and_without_cuda(done):
    commands, _ = done
    torch = next(index for index, line in enumerate(commands) if " torch==" in line)
    assert "--torch-backend cpu" in commands[torch]
    assert re.search(r" torch==\d+\.\d+\.\d+$", commands[torch])
    assert torch < next(index for index, line in enumerate(commands) if ".[book]" in line)


def test_every_package_that_the_chapters_import_has_the_tested_version(done):
    commands, pins = done
    assert commands[-1].endswith("-c constraints.txt -e .[book] jupyterlab")
    versions = {Requirement(pin.split(" #")[0]).name: Requirement(pin.split(" #")[0]).specifier for pin in pins}
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf8")
    for text in (*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["book"]):
        wanted = Requirement(text)
        pinned = str(versions.get(wanted.name, "")).removeprefix("==") or _constraint(constraints, wanted.name)
        assert pinned, f"{wanted.name} has no version in requirements.txt or constraints.txt"
        assert wanted.specifier.contains(pinned), text


def _constraint(constraints, name):
    found = re.search(rf"^{name}==(\S+)", constraints, re.IGNORECASE | re.MULTILINE)
    return found and found[1]
