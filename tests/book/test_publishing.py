"""With an address in _config.yml the pages lead to the repository, to Colab and to Binder, and what they lead to is there; without, nothing."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
import pytest
from bs4 import BeautifulSoup
from sphinx.errors import ConfigError

from tools import colab

ROOT = Path(__file__).resolve().parents[2]
spec = importlib.util.spec_from_file_location("publishing", ROOT / "book" / "_ext" / "publishing.py")
publishing = importlib.util.module_from_spec(spec)
spec.loader.exec_module(publishing)

ADDRESS = "https://github.com/someone/attention"
CHAPTER = "notebooks/03_four_steps.ipynb"
PAGES = ("book/how_to_use.html", CHAPTER.replace(".ipynb", ".html"))
SETTING = re.compile(r'^(  url: )".*"', re.MULTILINE)


def build(where, address):
    """A book of one page and one chapter, with the settings of ours but for the address; the HTML folder."""
    source = where / "book's copy"
    settings, places = SETTING.subn(rf'\g<1>"{address}"', (ROOT / "_config.yml").read_text(encoding="utf8"))
    assert places == 1, "the address is set in one place"
    for folder in ("book/_ext", "book/_static"):
        shutil.copytree(ROOT / folder, source / folder)
    for file in ("book/how_to_use.md", "book/references.bib", CHAPTER):
        (source / file).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / file, source / file)
    (source / "_config.yml").write_text(settings, encoding="utf8")
    toc = f"format: jb-book\nroot: book/how_to_use\nchapters:\n  - file: {CHAPTER.removesuffix('.ipynb')}\n"
    (source / "_toc.yml").write_text(toc, encoding="utf8")
    command = shutil.which("jupyter-book", path=str(Path(sys.executable).parent)) or "jupyter-book"
    done = subprocess.run(
        [command, "build", str(source)],
        capture_output=True, text=True, encoding="utf8", errors="replace", env={**os.environ, "PYTHONUTF8": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    html = source / "_build" / "html"
    return {page: BeautifulSoup((html / page).read_text(encoding="utf8"), "html.parser") for page in PAGES}


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    return build(tmp_path_factory.mktemp("published"), ADDRESS)


@pytest.fixture(scope="module")
def unpublished(tmp_path_factory):
    return build(tmp_path_factory.mktemp("unpublished"), "")


@pytest.fixture(scope="module")
def for_colab(tmp_path_factory):
    """What the workflow puts on the branch for Colab."""
    folder = tmp_path_factory.mktemp("colab")
    colab.write(folder, {"url": ADDRESS, "branch": "main"})
    return folder


def buttons(soup):
    """{text: address} of the links in the bar above a page."""
    return {link.text.strip(): link["href"] for link in soup.select(".article-header-buttons a[href]")}


def foreign(soup):
    """What a browser would ask of another host by itself."""
    tags = soup.find_all(["script", "link", "img", "iframe", "source", "video"])
    addresses = [tag.get("src") or tag.get("href") or "" for tag in tags]
    return [address for address in addresses if urlsplit(address).netloc]


def test_without_an_address_there_is_no_button_and_no_request(unpublished):
    for soup in unpublished.values():
        assert not any(urlsplit(address).netloc for address in buttons(soup).values())
        assert not soup.select(".dropdown-launch-buttons, .dropdown-source-buttons")
        assert foreign(soup) == []


def test_with_an_address_every_page_leads_to_its_source(published):
    for page, soup in published.items():
        links = buttons(soup)
        assert links["Repository"] == ADDRESS
        assert links["Open an issue"] == f"{ADDRESS}/issues/new"
        source = links["Source of this page"].removeprefix(f"{ADDRESS}/blob/main/")
        assert (ROOT / source).is_file()
        assert source.rpartition(".")[0] == page.removesuffix(".html")


def test_even_then_a_page_asks_nothing_of_another_host(published):
    assert {page: found for page, soup in published.items() if (found := foreign(soup))} == {}


def test_only_chapters_can_be_run(published):
    prose, chapter = (buttons(published[page]).keys() & {"Colab", "Binder"} for page in PAGES)
    assert prose == set()
    assert chapter == {"Colab", "Binder"}


def test_binder_opens_a_chapter_that_is_there(published):
    link = urlsplit(buttons(published[PAGES[1]])["Binder"])
    assert (link.netloc, link.path) == ("mybinder.org", "/v2/gh/someone/attention/main")
    assert link.query == f"urlpath=lab/tree/{CHAPTER}"
    assert (ROOT / CHAPTER).is_file()


def test_colab_opens_a_chapter_that_the_tool_writes(published, for_colab):
    address = buttons(published[PAGES[1]])["Colab"]
    start = f"https://colab.research.google.com/github/someone/attention/blob/{publishing.COLAB_BRANCH}/"
    assert address.startswith(start)
    chapter = nbformat.read(for_colab / unquote(address.removeprefix(start)), as_version=4)
    nbformat.validate(chapter)
    assert "set_up()" in chapter.cells[0].source
    assert f'"{ADDRESS}"' in chapter.cells[0].source


def test_the_chapters_for_colab_are_ours_with_one_cell_more(for_colab):
    names = {path.name for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert {path.name for path in (for_colab / "notebooks").iterdir()} == names
    for name in names:
        ours, theirs = (json.loads((root / "notebooks" / name).read_text(encoding="utf8")) for root in (ROOT, for_colab))
        assert [cell["id"] for cell in theirs["cells"]] == ["colab", *(cell["id"] for cell in ours["cells"])]
        code = [("".join(cell["source"]), cell["outputs"]) for cell in theirs["cells"] if cell["cell_type"] == "code"]
        assert [source for source, _ in code[1:]] == ["".join(cell["source"]) for cell in ours["cells"] if "outputs" in cell]
        assert all(outputs == [] for _, outputs in code)


def test_numbers_stand_in_the_text_for_colab_as_they_were_measured(for_colab):
    left = {
        path.name: re.findall(r"\{glue:text\}`[^`]*`", path.read_text(encoding="utf8")) for path in for_colab.rglob("*.ipynb")
    }
    elsewhere = {name: [role for role in roles if "::" not in role] for name, roles in left.items()}
    assert {name: roles for name, roles in elsewhere.items() if roles} == {}
    chapter = {
        "cells": [
            {"cell_type": "markdown", "source": ["It is {glue:text}`ch03-a:s`,\n", "not {glue:text}`ch03-b`."]},
            {
                "cell_type": "code",
                "source": ["1"],
                "outputs": [{"data": {colab.PLAIN: "'0.93'"}, "metadata": {"scrapbook": {"name": "ch03-a"}}}],
            },
        ]
    }
    assert colab.for_colab(chapter, "")["cells"][1]["source"] == ["It is 0.93,\n", "not {glue:text}`ch03-b`."]
    assert chapter["cells"][1]["outputs"], "what was given is left as it is"


@pytest.mark.skipif(shutil.which("git") is None, reason="no git")
def test_the_first_cell_fetches_the_book_and_finds_its_packages(tmp_path):
    origin, session = tmp_path / "origin", tmp_path / "session"
    for name in ("tools/__init__.py", "tools/colab.py", "attn_utils/__init__.py", "pyproject.toml"):
        (origin / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, origin / name)
    git = ["git", "-C", str(origin), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for command in (["init", "--quiet", "--initial-branch", "main"], ["add", "."], ["commit", "--quiet", "--message", "A book"]):
        subprocess.run([*git, *command], check=True)
    session.mkdir()
    cell = colab.FIRST_CELL.format(copy=colab.COPY, url=origin.as_uri(), branch="main", folder="")
    look = "\nimport importlib.util; print(importlib.util.find_spec('attn_utils').origin)"
    for _ in range(2):  # a cell may be run again
        done = subprocess.run([sys.executable, "-c", cell + look], cwd=session, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        *_, ready, found = done.stdout.splitlines()
        assert ready == "Ready."
        assert Path(found) == session.resolve() / colab.COPY / "attn_utils" / "__init__.py"


def test_what_is_missing_is_installed_and_what_is_there_stays(monkeypatch, capsys):
    commands = []
    monkeypatch.setattr(colab, "wanted", lambda: ["pytest>=1", "no-such-package>=2.1", "numpy>=900"])
    monkeypatch.setattr(colab.subprocess, "run", lambda command, check: commands.append(command))
    colab.set_up()
    assert commands == [[sys.executable, "-m", "pip", "install", "--quiet", "no-such-package>=2.1"]]
    assert re.search(r"numpy \S+ \(tested with >=900\)", capsys.readouterr().out)


def test_colab_gets_what_the_chapters_import():
    assert colab.compare(colab.wanted()) == ([], []), "pyproject.toml asks for more than is installed here"


@pytest.mark.parametrize(
    ("settings", "source", "binder", "runs_on_colab"),
    [
        (
            {"url": "https://github.com/a/b.git", "branch": "v 2/x", "path_to_book": "docs/"},
            "https://github.com/a/b/blob/v%202/x/docs/notebooks/1.ipynb",
            "gh/a/b/v%202%2Fx?urlpath=lab/tree/docs/notebooks/1.ipynb",
            True,
        ),
        (
            {"url": "https://gitlab.com/a/group/b/"},
            "https://gitlab.com/a/group/b/-/blob/main/notebooks/1.ipynb",
            "gl/a%2Fgroup%2Fb/main?urlpath=lab/tree/notebooks/1.ipynb",
            False,
        ),
        (
            {"url": "https://gitlab.example.org/a/b"},
            "https://gitlab.example.org/a/b/-/blob/main/notebooks/1.ipynb",
            "git/https%3A%2F%2Fgitlab.example.org%2Fa%2Fb/main?urlpath=lab/tree/notebooks/1.ipynb",
            False,
        ),
        (
            {"url": "https://git.example.org/a/b"},
            None,
            "git/https%3A%2F%2Fgit.example.org%2Fa%2Fb/main?urlpath=lab/tree/notebooks/1.ipynb",
            False,
        ),
    ],
)
def test_addresses_on_four_kinds_of_servers(settings, source, binder, runs_on_colab):
    repository = publishing.Repository.of(settings)
    assert repository.source("notebooks/1.ipynb") == source
    assert repository.binder("notebooks/1.ipynb") == f"https://mybinder.org/v2/{binder}"
    assert (repository.colab("notebooks/1.ipynb") is not None) == runs_on_colab
    links = [link["url"] for menu in publishing.buttons(repository, "notebooks/1.ipynb") for link in menu["buttons"]]
    assert all(links)
    assert settings["url"].rstrip("/").removesuffix(".git") in links


@pytest.mark.parametrize("address", ["github.com/a/b", "https://github.com/a", "git@github.com:a/b"])
def test_what_is_no_address_is_refused(address):
    with pytest.raises(ConfigError, match=r"repository\.url takes an address like .*, got "):
        publishing.Repository.of({"url": address})


@pytest.mark.parametrize("settings", [{}, {"url": ""}, {"url": None}])
def test_no_address_is_no_repository(settings):
    assert publishing.Repository.of(settings) is None
