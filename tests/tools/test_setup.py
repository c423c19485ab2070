"""Setting up: `make` notices a checkout that has moved, and one range of Pythons is meant everywhere."""

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parent.parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["project"]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf8")
PYTHONS = [f"3.{minor}.{micro}" for minor in range(9, 17) for micro in range(12)]

# Stands in for Python in a folder of its own: what Make asks it, it answers; what it is told to do, it only writes down.
STAND_IN = """#!/bin/sh
case "$*" in
  *"-m venv"*) mkdir -p .venv/bin && cp "$0" .venv/bin/python && echo venv >> log ;;
  "-m pip install"*) echo install >> log ;;
  "-m pip"*) ;;
  *) exec {python} "$@" ;;
esac
"""

needs_make = pytest.mark.skipif(shutil.which("make") is None or os.name == "nt", reason="no make")


@pytest.fixture
def checkout(tmp_path):
    """A checkout with our Makefile, whose folder has a space in its name, and how to run make in one."""
    folder = tmp_path / "my book's (1)"
    (folder / "book").mkdir(parents=True)
    (folder / "Makefile").write_text(MAKEFILE, encoding="utf8")
    for name in ("requirements.txt", "constraints.txt", "book/requirements.txt", "pyproject.toml"):
        (folder / name).touch()
    stand_in = tmp_path / "python"
    stand_in.write_text(STAND_IN.format(python=shlex.quote(sys.executable)), encoding="utf8")
    stand_in.chmod(0o755)

    def make(folder):
        """What was done: a list of "venv" and "install"."""
        log = folder / "log"
        log.unlink(missing_ok=True)
        command = ["make", ".venv/.ready", f"PYTHON={stand_in}"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return log.read_text().split() if log.exists() else []

    return folder, make


@needs_make
def test_a_checkout_is_set_up_once(checkout):
    folder, make = checkout
    assert make(folder) == ["venv", "install"]
    assert make(folder) == []


@needs_make
def test_new_requirements_are_installed_into_what_is_there(checkout):
    folder, make = checkout
    make(folder)
    os.utime(folder / "requirements.txt", (2**32, 2**32))
    assert make(folder) == ["install"]


@needs_make
def test_a_moved_checkout_is_set_up_again(checkout):
    folder, make = checkout
    make(folder)
    moved = folder.rename(folder.with_name("another"))
    assert make(moved) == ["venv", "install"]
    assert make(moved) == []


@needs_make
def test_a_copied_checkout_is_set_up_again_and_the_first_one_stays(checkout):
    folder, make = checkout
    make(folder)
    copy = shutil.copytree(folder, folder.with_name("a copy"))
    assert make(copy) == ["venv", "install"]
    assert make(folder) == []


@needs_make
def test_a_dead_or_replaced_python_is_noticed(checkout):
    folder, make = checkout
    make(folder)
    (folder / ".venv" / "bin" / "python").unlink()
    assert make(folder) == ["venv", "install"]
    ready = folder / ".venv" / ".ready"
    ready.write_text(ready.read_text().replace("Python 3.", "Python 2."))
    assert make(folder) == ["venv", "install"]


@needs_make
def test_what_someone_put_into_a_fresh_venv_stays(checkout):
    folder, make = checkout
    make(folder)
    (folder / ".venv" / ".ready").unlink()  # as after `python -m venv .venv` and an install of torch without CUDA
    assert make(folder) == ["install"]


def test_make_and_pyproject_ask_for_the_same_pythons():
    condition = re.search(r"^SUPPORTED := (.+)$", MAKEFILE, re.MULTILINE)[1]

    class Sys:
        version_info = ()

    for python in PYTHONS:
        Sys.version_info = (*map(int, python.split(".")), "final", 0)
        assert eval(condition, {"sys": Sys}) == (python in SpecifierSet(PROJECT["requires-python"])), python


def test_the_pins_install_on_exactly_these_pythons():
    texts = [
        (ROOT / name).read_text(encoding="utf8") for name in ("requirements.txt", "book/requirements.txt", "constraints.txt")
    ]
    pins = [Requirement(line.split(" #")[0]) for text in texts for line in text.splitlines() if re.match(r"[A-Za-z]", line)]
    here = []
    for pin in pins:
        with contextlib.suppress(PackageNotFoundError):  # not needed on this system
            here.append(distribution(pin.name))
    wanted = {one.name: SpecifierSet(one.metadata.get("Requires-Python", "")) for one in here}
    allowed = [python for python in PYTHONS if python in SpecifierSet(PROJECT["requires-python"])]
    assert {name: text for name, text in wanted.items() for python in allowed if python not in text} == {}
    # Not tighter than the pins either; from 3.15 on it is wheels that are missing, which no metadata tells.
    below = [python for python in PYTHONS if python not in allowed and not python.startswith(("3.15", "3.16"))]
    assert [python for python in below if all(python in text for text in wanted.values())] == []


@pytest.mark.parametrize("name", ["README.md", "book/how_to_use.md"])
def test_the_pages_name_the_oldest_and_the_newest_of_them(name):
    assert re.search(r"Python 3\.11\.5 to 3\.14\b", (ROOT / name).read_text(encoding="utf8"))
