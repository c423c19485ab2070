"""The three rooms: every file is read in five minutes, says what it is, and nothing of it is left out when they are installed."""

import ast
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("attn_utils", "attn_book", "evidence")
FILES = sorted(path for room in ROOMS for kind in ("*.py", "*.js") for path in (ROOT / room).rglob(kind))


def named(path):
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", FILES, ids=named)
def test_a_file_is_short_and_says_what_it_is(path):
    text = path.read_text(encoding="utf8")
    assert len(text.splitlines()) <= 400
    if path.suffix == ".py":
        assert ast.get_docstring(ast.parse(text)), "its first line says what it is"
    else:
        assert text.startswith(("//", "/*")), "its first line says what it is"


def test_all_of_them_are_installed(tmp_path):
    source = tmp_path / "source"
    for room in ROOMS:
        shutil.copytree(ROOT / room, source / room, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "LICENSE-text"):
        shutil.copy(ROOT / name, source)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        tmp_path,
        source,
    ]
    subprocess.run(command, check=True)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        packed = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert packed == {named(path) for path in FILES}
