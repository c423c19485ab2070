"""A recipe: the code that defines `run(seed=..., **settings) -> scores`, what it imports, and what one run of it gives."""

import ast
import functools
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import subprocess
import sys
import time
import types
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("attn_utils", "attn_book")


@dataclass(frozen=True)
class Recipe:
    """The source that every run executes: a chapter's cells tagged `recipe`, or a module of `evidence`.

    Attributes:
        name: its place in the repository, such as "notebooks/07_classification.ipynb".
        source: Python source that defines `run`.
    """

    name: str
    source: str

    @classmethod
    def read(cls, name):
        """The recipe at a place in the repository.

        Raises:
            ValueError: a notebook without a cell tagged `recipe`, or source that defines no `run`.
        """
        text = (ROOT / name).read_text(encoding="utf-8")
        if name.endswith(".ipynb"):
            cells = json.loads(text)["cells"]
            tagged = [cell for cell in cells if "recipe" in cell["metadata"].get("tags", [])]
            text = "\n\n".join("".join(cell["source"]) for cell in tagged)
        if not any(isinstance(node, ast.FunctionDef) and node.name == "run" for node in ast.parse(text).body):
            raise ValueError(f"{name} must define run(seed, **settings){' in a cell tagged recipe' * name.endswith('.ipynb')}")
        return cls(name, text)

    def recipe_sha(self):
        """A hash of the code alone: comments, docstrings and layout do not count."""
        return _sha(self.source)

    def package_sha(self):
        """{module of our packages: hash of its code} for all that the recipe imports, directly or not."""
        return {name: _sha(source) for name, source in sorted(self._modules()[0].items())}

    def versions(self):
        """Versions of Python and of every distribution that the recipe imports, directly or through our packages."""
        used = {distribution for name in self._modules()[1] for distribution in _distributions().get(name, [])}
        return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in sorted(used)}

    @functools.cache  # noqa: B019 (a handful of recipes in a process)
    def _modules(self):
        """Sources of our modules by name, and the top-level names of everything else that is imported."""
        ours, others, todo = {}, set(), [(self.source, "")]
        while todo:
            for name in _imports(*todo.pop()):
                if name.partition(".")[0] not in PACKAGES:
                    others.add(name.partition(".")[0])
                elif name not in ours and (path := _file(name)) is not None:
                    ours[name] = path.read_text(encoding="utf-8")
                    todo.append((ours[name], name if path.stem == "__init__" else name.rpartition(".")[0]))
        return ours, others - {"evidence"}


def perform(recipe, run):
    """Do one run here, on one thread, and say what it was done with.

    Args:
        recipe: the `Recipe`.
        run: dict with "seed" and "settings", and whatever else shall stay beside the result.

    Returns:
        The run with "scores", "seconds", and "origin": machine, versions and hashes of the code as they are where it ran. A
        training that diverged (`fit` raises FloatingPointError) has the one score "diverged".
    """
    import torch

    from attn_utils.device import pick_device

    torch.set_num_threads(1)
    torch.backends.cudnn.allow_tf32 = False  # convolutions in single precision, as matrix products are
    made_with = origin(recipe)  # before the modules are imported, for somebody may be editing them
    if (device := pick_device()).type != "cpu":
        made_with["machine"] += f"; on {torch.cuda.get_device_name(device) if device.type == 'cuda' else device.type}"
    return {**timed(namespace(recipe).run, run), "origin": made_with}


def timed(function, run):
    """The run with what function(seed=…, **settings) scores and the seconds that it takes; see `perform`."""
    start = time.perf_counter()
    try:
        scores = function(seed=run["seed"], **run["settings"])
    except FloatingPointError:
        scores = {"diverged": 1}
    seconds = round(time.perf_counter() - start, 1)
    return {**run, "scores": {name: short(value) for name, value in scores.items()}, "seconds": seconds}


def origin(recipe):
    """What a result depends on beside its settings, measured in this process."""
    return {
        "machine": machine(),
        "versions": recipe.versions(),
        "recipe_sha": recipe.recipe_sha(),
        "package_sha": recipe.package_sha(),
    }


def machine():
    """System, processor, cores that this process may use, and the threads of torch."""
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{platform.system()} {platform.machine()}, {_processor()}, {cores} cores, torch threads: {torch.get_num_threads()}"


@functools.cache
def _distributions():
    """{top-level name: the distributions that it comes from}; to look through all that is installed takes half a second."""
    return importlib.metadata.packages_distributions()


@functools.cache
def _processor():
    try:
        if sys.platform == "darwin":
            return subprocess.check_output(["sysctl", "-n", "machdep.cpu.brand_string"], text=True).strip()
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration, subprocess.SubprocessError):
        return platform.processor() or "unknown processor"


@functools.cache
def namespace(recipe):
    """The executed recipe, as a module (some of what it may define, dataclasses for one, look for theirs).

    Where there is an accelerator (`pick_device`), its `fit` trains there, whether or not the recipe says so.
    """
    from attn_utils.device import pick_device

    module = types.ModuleType("recipe_" + recipe.recipe_sha())
    sys.modules[module.__name__] = module
    exec(compile(recipe.source, recipe.name, "exec"), module.__dict__)
    if (device := pick_device()).type != "cpu" and hasattr(module, "fit"):
        module.fit = functools.partial(module.fit, device=device)
    return module


def short(value):
    """A number as it is written down: whole numbers as they are, others to six digits."""
    return value if isinstance(value, int) else float(f"{float(value):.6g}")


@functools.cache
def _sha(source):
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return hashlib.sha256(repr(_plain(tree)).encode()).hexdigest()[:12]


def _plain(node):
    """The tree as lists, without what is empty: `ast.dump` writes other fields in other versions of Python."""
    if isinstance(node, ast.AST):
        return [type(node).__name__, *((name, _plain(value)) for name, value in ast.iter_fields(node) if value not in (None, []))]
    return [_plain(one) for one in node] if isinstance(node, list) else repr(node)


def _imports(source, package):
    """Every module that source inside a package imports, wherever in it; `from package import name` may mean a module, too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def _file(name):
    """The file of one of our modules, or None where the name is no module. Nothing but its package is imported for that."""
    package, *rest = name.split(".")
    place = Path(importlib.util.find_spec(package).origin).parent.joinpath(*rest)
    return next((path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()), None)
