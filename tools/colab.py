"""Write the chapters as Colab needs them: without outputs, and with a first cell that fetches the book and installs what is missing.

    python -m tools.colab FOLDER

Colab opens a notebook of a GitHub repository alone, without the files beside it. So the workflow puts what this writes on the branch
`colab`, and the buttons of the pages lead there (book/_ext/publishing.py). Nothing is written while `repository.url` in _config.yml
is empty. The first cell calls `set_up` of this very file, in the copy of the repository that it has just fetched.
"""

import argparse
import ast
import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COPY = "attention-book"  # the folder that the first cell makes
PLAIN = "application/papermill.record/text/plain"
GLUED = re.compile(r"\{glue:text\}`(?:[^`]*::)?([\w-]+)(?::[^`]*)?`")

FIRST_CELL = """\
# Fetches the book and installs what is missing here: a minute, once a session.
import os
import subprocess
import sys

if not os.path.isdir("{copy}"):
    fetch = ["git", "clone", "--quiet", "--depth", "1", "--branch", "{branch}"]
    subprocess.run([*fetch, "{url}", "{copy}"], check=True)
sys.path.insert(0, os.path.abspath("{copy}/{folder}"))

from tools.colab import set_up

set_up()"""


def for_colab(notebook, first_cell):
    """A chapter as Colab needs it: numbers in the text as they were measured, no outputs, and the first cell.

    Args:
        notebook: what the chapter's file holds; it is left as it is.
        first_cell: source of the first cell.
    """
    measured, cells = _glued(notebook), []
    for cell in notebook["cells"]:
        cell = dict(cell)
        if cell["cell_type"] == "markdown":
            text = GLUED.sub(lambda name: measured.get(name[1], name[0]), "".join(cell["source"]))
            cell["source"] = text.splitlines(keepends=True)
        else:
            cell |= {"execution_count": None, "outputs": []}
        cells.append(cell)
    first = {
        "cell_type": "code", "execution_count": None, "id": "colab", "metadata": {}, "outputs": [],
        "source": first_cell.splitlines(keepends=True),
    }  # fmt: skip
    return notebook | {"cells": [first, *cells]}


def _glued(notebook):
    """{name: text} of what the chapter's cells reported."""
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", ())]
    named = [(output.get("metadata", {}).get("scrapbook"), output.get("data", {})) for output in outputs]
    return {glue["name"]: str(ast.literal_eval("".join(data[PLAIN]))) for glue, data in named if glue and PLAIN in data}


def write(folder, repository):
    """Write every chapter to folder/notebooks; return their paths.

    Args:
        folder: a `Path`; made if need be.
        repository: what `repository` in _config.yml holds, `url` not empty.
    """
    first_cell = FIRST_CELL.format(
        copy=COPY, url=repository["url"], branch=repository.get("branch") or "main", folder=repository.get("path_to_book") or ""
    )
    paths = [folder / path.relative_to(ROOT) for path in sorted((ROOT / "notebooks").glob("*.ipynb"))]
    (folder / "notebooks").mkdir(parents=True, exist_ok=True)
    for path in paths:
        chapter = json.loads((ROOT / "notebooks" / path.name).read_text(encoding="utf8"))
        text = json.dumps(for_colab(chapter, first_cell), ensure_ascii=False, indent=1)
        path.write_text(text + "\n", encoding="utf8")
    return paths


def wanted():
    """Requirements of the packages and the chapters, as pyproject.toml has them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["project"]
    return project["dependencies"] + project["optional-dependencies"]["book"]


def compare(requirements):
    """What is missing here, and, in words, what is older than the book is tested with."""
    from packaging.requirements import Requirement

    missing, older = [], []
    for text in requirements:
        requirement = Requirement(text)
        try:
            here = version(requirement.name)
        except PackageNotFoundError:
            missing.append(text)
        else:
            if not requirement.specifier.contains(here, prereleases=True):
                older.append(f"{requirement.name} {here} (tested with {requirement.specifier})")
    return missing, older


def set_up():
    """Install what the chapters need and this machine lacks. What is there stays, for Colab itself runs on it."""
    missing, older = compare(wanted())
    if missing:
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *missing], check=True)
    if older:
        print("Older here than what the book is tested with; if a cell fails, this may be why: " + ", ".join(older))
    print("Ready.")


def main():
    import yaml  # not needed in Colab

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    repository = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf8"))["repository"]
    if repository.get("url"):
        print(f"{len(write(folder, repository))} chapters in {folder}")
    else:
        print("repository.url in _config.yml is empty: nothing is written.")


if __name__ == "__main__":
    main()
