"""Re-run chapters in place, each from its first cell in a fresh kernel, and say what that took.

    python -m tools.execute                     every chapter, in order
    python -m tools.execute 07_classification   one of them
    python -m tools.execute --tidy              run nothing, only take out metadata that an editor left

What is written differs from what was there only where the outputs do: no timing, no widget state, no scratch metadata.
"""

import argparse
import os
import sys
import time
from pathlib import Path

import matplotlib.font_manager  # noqa: F401  (builds the font cache here, so that no cell says that it does)
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from tools.kernel_memory import MemoryWatch

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
LANGUAGE = {"file_extension": ".py", "mimetype": "text/x-python", "name": "python", "pygments_lexer": "ipython3"}


def execute(path, *, timeout):
    """Run one notebook and write it back; return the seconds it took and its kernel's peak memory in MB."""
    notebook = nbformat.read(path, as_version=4)
    os.environ["ATTN_BOOK_EXECUTE"] = "1"  # explorers leave out their live form, whose ids are random
    client = NotebookClient(
        notebook, kernel_name="python3", timeout=timeout, record_timing=False, store_widget_state=False,
        resources={"metadata": {"path": str(path.parent)}},
    )  # fmt: skip
    watches = []
    client.on_notebook_start = lambda **_: watches.append(MemoryWatch(client.km.provisioner.pid))
    start = time.perf_counter()
    client.execute()
    seconds = time.perf_counter() - start
    write(notebook, path)
    return seconds, max((watch.peak_mb for watch in watches), default=0)


def write(notebook, path):
    """Write a notebook without what says more about one machine or editor than about the chapter."""
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL, "language_info": LANGUAGE})
    for cell in notebook.cells:
        for noise in ("execution", "ExecuteTime", "collapsed", "jupyter", "lines_to_next_cell"):
            cell.metadata.pop(noise, None)
    nbformat.write(notebook, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("chapters", nargs="*", help="names such as 07_classification; every chapter if none is given")
    parser.add_argument("--timeout", type=float, default=900, help="seconds that one cell may take")
    parser.add_argument("--tidy", action="store_true", help="run nothing, only tidy the metadata")
    options = parser.parse_args()
    paths = [NOTEBOOKS / f"{Path(name).stem}.ipynb" for name in options.chapters] or sorted(NOTEBOOKS.glob("*.ipynb"))
    if missing := [path.name for path in paths if not path.exists()]:
        parser.error(f"not in notebooks/: {', '.join(missing)}")
    for path in paths:
        if options.tidy:
            write(nbformat.read(path, as_version=4), path)
            continue
        print(f"{path.stem:<24}", end="", flush=True)
        try:
            seconds, peak = execute(path, timeout=options.timeout)
        except CellExecutionError as error:
            sys.exit(f"failed; the file is left as it was\n\n{error}")
        print(f"{seconds:6.1f} s  {peak:6.0f} MB")


if __name__ == "__main__":
    main()
