"""The book on a GPU: the kernels' tests, every chapter's code cells, and training under each option of `fit`.

Each function yields (group, settings, scores).
"""

import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path

import torch
import torch.nn.functional as F

from attn_utils.train import fit
from attn_utils.vit import vit_small
from evidence.recipe import ROOT

TESTS = "tests/attn_utils/test_flash.py"
TOGETHER = max(1, min(8, (os.cpu_count() or 1) // 2))  # chapters at a time
CELL_SECONDS = 120
CHAPTERS = sorted((ROOT / "notebooks").glob("*.ipynb"))
STEPS, BATCH = 40, 128
TRAINING = (  # group, options of `fit`
    ("ViT-S", {"precision": "full"}),
    ("ViT-S", {"precision": "bf16"}),
    ("ViT-S, compiled", {"precision": "bf16"}),
    ("ViT-S, 4 parts", {"precision": "bf16", "accumulate": 4}),
    ("ViT-S, computed again", {"precision": "bf16", "recompute": True}),
)


def kernel_tests():
    """The tests of the kernels, on this GPU: how many passed, and the names of those that failed."""
    workers = min(12, os.cpu_count() or 1)
    together = ["-n", str(workers)] if find_spec("xdist") and workers > 1 else []
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        options = ["-p", "no:nbval", "-p", "no:cacheprovider", "-o", "addopts=--import-mode=importlib", "-q", *together]
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *options, TESTS, f"--junitxml={report}"], cwd=ROOT, capture_output=True, text=True
        )
        seconds = time.perf_counter() - start
        if not report.exists():
            raise RuntimeError(f"the tests of the kernels did not run:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        yield "kernels", *_counts(report, done.stdout, seconds)


def _counts(report, output, seconds):
    cases = list(ElementTree.parse(report).iter("testcase"))
    failed = [case.get("name") for case in cases if case.find("failure") is not None or case.find("error") is not None]
    skipped = sum(case.find("skipped") is not None for case in cases)
    if failed:
        print(output[-6000:])
    scores = {"passed": len(cases) - len(failed) - skipped, "failed": len(failed), "skipped": skipped, "test_seconds": seconds}
    return {"tests": TESTS} | ({"failures": failed} if failed else {}), scores


def chapters(paths=CHAPTERS):
    """Chapters from their first cell to their last, as `make execute` runs them, on CUDA; nothing is written back."""
    with ProcessPoolExecutor(TOGETHER, mp_context=get_context("spawn")) as pool:
        for path, (cells, errors, seconds) in zip(paths, pool.map(run_chapter, paths)):
            settings = {"chapter": path.stem, "device": "cuda", "together": TOGETHER} | ({"errors": errors} if errors else {})
            yield path.stem, settings, {"cells": cells, "failed": len(errors), "chapter_seconds": seconds}


def run_chapter(path):
    """Code cells of a chapter, what failed ("cell 12: ValueError: …", counted over all cells), and seconds."""
    import nbformat
    from nbclient import NotebookClient

    cores = max(1, (os.cpu_count() or 1) // TOGETHER)
    path_of_python = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    told = {"ATTN_DEVICE": "cuda", "ATTN_BOOK_EXECUTE": "1", "ATTN_PROGRESS": "0", "OMP_NUM_THREADS": str(cores)}
    notebook = nbformat.read(path, as_version=4)
    start, errors = time.perf_counter(), []
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        timeout=CELL_SECONDS,
        allow_errors=True,
        resources={"metadata": {"path": str(path.parent)}},
    )
    try:
        client.execute(env=os.environ | told | {"PYTHONPATH": path_of_python})
    except Exception as error:  # a cell that never ended, or a kernel that died, says something of the chapter
        errors.append(f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}")
    code = [(place, cell) for place, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    for place, cell in code:
        for output in cell.outputs:
            if output.output_type == "error":
                errors.append(f"cell {place}: {output.ename}: {(output.evalue.splitlines() or [''])[0][:200]}")
    return len(code), errors, time.perf_counter() - start


def training():
    """Steps a second and most bytes held of ViT-S at 224 pixels with `fit`: in float32 and in bfloat16, then its other options."""
    torch.manual_seed(0)
    images = torch.randn(4 * BATCH, 3, 224, 224, device="cuda")
    labels = torch.randint(1000, (len(images),), device="cuda")
    loss = lambda model, images, labels: F.cross_entropy(model(images), labels)
    for group, options in TRAINING:
        torch.manual_seed(0)
        model = vit_small(image_size=224, patch=16, classes=1000).cuda()
        if group.endswith("compiled"):
            model.compile()
        how = {"batch_size": BATCH, "lr": 1e-3, "progress": False, **options}
        fit(model, (images, labels), loss, steps=5, **how)
        torch.cuda.reset_peak_memory_stats()
        history = fit(model, (images, labels), loss, steps=STEPS, **how)
        scores = {"steps_per_second": STEPS / history.seconds, "peak_bytes": torch.cuda.max_memory_allocated()}
        yield group, {**options, "batch": BATCH, "steps": STEPS}, scores | {"last_loss": history.loss[-1]}
