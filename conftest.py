"""What all tests share: threads, a browser, how figures are compared, and a line for each chapter as it is re-executed.

It stands here and not in tests/ because the notebooks, which nbval collects from notebooks/, are tests too.
"""

import json
import os
import shutil
from collections import defaultdict
from pathlib import Path

import pytest

# Workers share the cores; a kernel inherits this from the worker that starts it.
if "PYTEST_XDIST_WORKER" in os.environ:
    threads = max(1, (os.cpu_count() or 1) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"]))
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(variable, str(threads))

# Triton runs in its interpreter where there is no GPU. It asks when it is first imported, and other libraries import it, too.
if shutil.which("nvidia-smi") is None:
    os.environ.setdefault("TRITON_INTERPRET", "1")


def pytest_configure(config):
    if config.pluginmanager.hasplugin("nbval"):
        from tools.figure_compare import teach_nbval

        teach_nbval()
    if not hasattr(config, "workerinput"):
        import matplotlib.font_manager  # noqa: F401  (builds the font cache before a cell would say that it does)

        config.pluginmanager.register(Chapters(config), "chapters")


def pytest_assertrepr_compare(op, left, right):
    """Of two figures that differ, say in what, not their whole text."""
    if op == "==" and all(isinstance(side, str) and side.startswith("<svg") for side in (left, right)):
        from tools.figure_compare import differences

        return ["the figure differs from the committed one:", *differences(left, right)[:8]]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Each notebook cell's report carries the peak memory of the kernel so far, and the cell fails when that is too much."""
    report = yield
    kernel = getattr(item.parent, "kernel", None)
    if kernel is not None and call.when == "setup":
        from tools.kernel_memory import MemoryWatch

        if not hasattr(kernel, "memory"):
            kernel.memory = MemoryWatch(kernel.km.provisioner.pid)
    elif kernel is not None and call.when == "call":
        from tools.kernel_memory import complaint

        report.user_properties.append(("kernel_mb", kernel.memory.peak_mb))
        if report.passed and (text := complaint(kernel.memory.peak_mb)):
            report.outcome, report.longrepr = "failed", text
    return report


class Chapters:
    """One line as a chapter is through; at the end the table of them all, and what the page test counted."""

    def __init__(self, config):
        self.config = config
        self.seconds = defaultdict(float)
        self.peak_mb = defaultdict(float)
        self.done = defaultdict(set)
        self.failed = defaultdict(set)
        self.counts = {}

    def pytest_runtest_logreport(self, report):
        self.counts.update({name: value for name, value in report.user_properties if name.startswith("book: ")})
        path, _, cell = report.nodeid.partition("::")
        if not path.endswith(".ipynb"):
            return
        self.seconds[path] += report.duration
        self.peak_mb[path] = max([self.peak_mb[path], *(value for name, value in report.user_properties if name == "kernel_mb")])
        if report.failed:
            self.failed[path].add(cell)
        if report.when == "teardown":
            self.done[path].add(cell)
            if len(self.done[path]) == _code_cells(self.config.rootpath / path):
                reporter = self.config.pluginmanager.get_plugin("terminalreporter")
                reporter.ensure_newline()
                reporter.write_line(self._line(path))

    def _line(self, path):
        failed = len(self.failed[path])
        verdict = f"{failed} of {len(self.done[path])} cells FAILED" if failed else f"{len(self.done[path])} cells agree"
        return f"{Path(path).stem:<24}{self.seconds[path]:7.1f} s {self.peak_mb[path]:7.0f} MB   {verdict}"

    def pytest_terminal_summary(self, terminalreporter):
        if self.done:
            terminalreporter.section("chapters: seconds, peak memory of the kernel, cells that gave their committed output again")
            for path in sorted(self.done):
                terminalreporter.write_line(self._line(path))
        if self.counts:
            terminalreporter.section("the built book in a browser")
            width = max(map(len, self.counts)) - len("book: ")
            for name, value in self.counts.items():
                terminalreporter.write_line(f"{name.removeprefix('book: '):<{width}}  {value}")


def _code_cells(path):
    notebook = json.loads(path.read_text(encoding="utf8"))
    return sum(cell["cell_type"] == "code" for cell in notebook["cells"])


@pytest.fixture(scope="session")
def browser():
    """Headless Chromium. Where there is none the tests that need it are skipped; with CI set they fail."""
    from playwright.sync_api import Error, sync_playwright

    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    with sync_playwright() as playwright:
        arguments = ["--disable-gpu", "--disable-background-networking"]
        if getattr(os, "geteuid", lambda: 1)() == 0:
            arguments.append("--no-sandbox")  # Chromium refuses to run as root with it
        try:
            where = {"executable_path": found} if found else {"channel": "chrome"}
            launched = playwright.chromium.launch(args=arguments, **where)
        except Error as error:
            reason = f"no Chromium or Chrome to look at the pages with: {str(error).splitlines()[0]}"
            if os.environ.get("CI"):
                pytest.fail(reason)
            pytest.skip(reason)
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def firefox():
    """Headless Firefox, see tests/firefox.py. Where there is none the tests that need it are skipped."""
    from tests.firefox import Firefox, find_firefox

    program = find_firefox()
    if program is None:
        pytest.skip("no Firefox to look at the pages with")
    with Firefox(program) as launched:
        yield launched
