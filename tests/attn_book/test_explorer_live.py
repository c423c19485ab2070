"""The explorer live in JupyterLab: page and kernel follow each other."""

import contextlib
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import nbformat
import psutil
import pytest
from playwright.sync_api import expect

from tests.attn_book.explorers import at

LIVE = """\
import json, pathlib, numpy as np
from ipywidgets import HBox
from attn_book.explorer import explore

rng = np.random.default_rng(0)
view = explore(rng.random((5, 7)), rng.random((2, 35, 3, 11)), queries=(5, 7), selectors={"head": [1, 2]}, title="Live")

def heard(change):
    pathlib.Path("heard.json").write_text(json.dumps([view.query, view.choice]))
    if view.query == 17:
        view.choice = {"head": 2}  # the kernel answers

view.observe(heard, ["query", "choice"])
HBox([view, view.controls()])
"""


@pytest.fixture
def lab(tmp_path, request):
    """JupyterLab on a free port of this machine, with its own settings, on a folder with one notebook of one cell: its param."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(request.param, id="live")])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    folder = tmp_path / "notebooks"
    folder.mkdir()
    nbformat.write(notebook, folder / "live.ipynb")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {name: str(tmp_path / name) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR")}
    own |= {name: str(tmp_path / name) for name in ("JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR")}
    environment = {**os.environ, **own}
    environment.pop("ATTN_BOOK_EXECUTE", None)
    token = secrets.token_hex(16)
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}"]
    command += ["--ServerApp.port_retries=0", f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={folder}"]
    command += ["--LabApp.news_url=", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    with open(tmp_path / "lab.log", "w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 90
        while True:
            try:
                urllib.request.urlopen(f"{address}/api/status?token={token}", timeout=5).close()
                break
            except (urllib.error.URLError, OSError):
                if server.poll() is not None or time.monotonic() > deadline:
                    pytest.fail("JupyterLab did not start:\n" + (tmp_path / "lab.log").read_text()[-2000:])
                time.sleep(0.2)
        yield f"{address}/lab/tree/live.ipynb?token={token}", folder
    finally:
        started = [server, *psutil.Process(server.pid).children(recursive=True)] if server.poll() is None else []
        server.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(15)
        for process in started:  # kernels, too, that the server did not end
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


@pytest.mark.parametrize("lab", [LIVE], indirect=True, ids=["explorer"])
def test_live_in_jupyterlab_page_and_kernel_follow_each_other(browser, lab):
    address, folder = lab
    context = browser.new_context(viewport={"width": 1400, "height": 1100})
    context.route(re.compile(r"^https?://(?!127\.0\.0\.1)"), lambda route: route.abort())
    page = context.new_page()
    page.set_default_timeout(60_000)
    troubles = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.goto(address)
    page.locator(".jp-Notebook .jp-Cell").first.click()
    page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for(state="attached")
    page.keyboard.press("Control+Enter")
    source = page.get_by_role("slider", name="Query")
    source.wait_for()
    page.locator("[data-ready]").wait_for(state="attached")
    page.set_default_timeout(15_000)

    def heard(wanted):
        deadline = time.monotonic() + 15
        while True:
            file = folder / "heard.json"
            text = file.read_text() if file.exists() else ""
            if text and json.loads(text) == wanted:
                return
            assert time.monotonic() < deadline, f"the kernel has {text}, expected {wanted}"
            time.sleep(0.1)

    source.click(position=at(source, 2, 2, 5, 7))
    heard([16, {"head": "1"}])
    page.keyboard.press("ArrowRight")  # moves the query, not the notebook's selection; the kernel answers with head 2
    heard([17, {"head": "2"}])
    expect(page.get_by_role("radio", name="2", exact=True)).to_be_checked()
    expect(page.locator(".widget-readout").first).to_have_text("17")  # the ipywidgets slider beside it
    page.locator(".widget-hslider .noUi-handle").first.focus()
    page.keyboard.press("ArrowRight")
    heard([18, {"head": "2"}])
    page.get_by_text("row 3, column 5", exact=True).first.wait_for()
    assert troubles == []
    context.close()
