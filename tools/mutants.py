"""Which small breakages of the package would its tests not notice? Writes book/mutants.json and book/mutants.md.

    python -m tools.mutants              test what a change has touched, then write both
    python -m tools.mutants --list       only say what that would be
    python -m tools.mutants --all        trust no verdict, test everything
    python -m tools.mutants --continue   go on with a run that was stopped
    python -m tools.mutants --page       only write the page from the JSON

A mutant is one function with one small change. Which files mutmut is to change and which tests it runs stands in
pyproject.toml. The JSON holds, for each function, a number made from its code, one from each test that reached it, and
what became of its mutants. These verdicts stand as long as the function's code is the same and none of those tests has
changed or gone: a test more can only kill more. (What a function calls is not followed; each callee is mutated itself.)

Mutants that survive need a sentence under "why": why no test can see them, or why none has to. The sentences are kept
when a function is tested again, as long as function and change stay the same.
"""

import argparse
import ast
import contextlib
import datetime
import hashlib
import io
import json
import os
import platform
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from functools import cache
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULT, PAGE, WORK = ROOT / "book" / "mutants.json", ROOT / "book" / "mutants.md", ROOT / "mutants"
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["tool"]["mutmut"]
FILES, TESTS = SETTINGS["only_mutate"], SETTINGS["pytest_add_cli_args_test_selection"]
AT_LEAST = 0.90  # share of the mutants of a file that have to be killed
KILLED, SURVIVED, TIMED_OUT = {1, 3}, {0, 5, 33}, {24, -24, 36, 152, 255}  # mutmut's exit codes; 33: no test reaches it
COUNTS = ("mutants", "killed", "timed out", "survived")

# ------------------------------------------------------------------------------------- what the verdicts depend on


def functions(path):
    """A number for the code of each function and method of a file: {"Block.forward": "1a2b3c4d"}."""
    source = path.read_text(encoding="utf8")
    found = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef):
            found[node.name] = _number(_code(node, source))
        elif isinstance(node, ast.ClassDef):
            found |= {
                f"{node.name}.{one.name}": _number(_code(one, source)) for one in node.body if isinstance(one, ast.FunctionDef)
            }
    return found


def tests(path):
    """A number for each test of a file, made from its code and all that it uses of that file."""
    source = path.read_text(encoding="utf8")
    code, uses = {}, {}
    for node in ast.parse(source).body:
        names = {node.name} if isinstance(node, (ast.FunctionDef, ast.ClassDef)) else set()
        if isinstance(node, (ast.Assign, ast.AnnAssign)):
            names = {one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}
        for name in names:
            code[name] = _code(node, source)
            uses[name] = {getattr(one, "id", getattr(one, "arg", None)) for one in ast.walk(node)}  # fixtures are arguments

    def reached(name, seen):
        if name in code and name not in seen:
            seen.add(name)
            for other in uses[name]:
                reached(other, seen)
        return seen

    return {
        name: _number("\n".join(code[one] for one in sorted(reached(name, set())))) for name in code if name.startswith("test")
    }


def _code(node, source):
    """The lines of a definition without comments and docstrings."""
    first = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", []))])
    kept = dict(enumerate(source.splitlines()[first - 1 : node.end_lineno], first))
    for one in ast.walk(node):
        if isinstance(one, (ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(one) is not None:
            for line in range(one.body[0].lineno, one.body[0].end_lineno + 1):
                kept.pop(line, None)
    lines = [line.partition("  # ")[0].rstrip() for line in kept.values()]
    return "\n".join(line for line in lines if line and not line.lstrip().startswith("#"))


def _number(code):
    return hashlib.sha256(code.encode()).hexdigest()[:8]


@cache
def here():
    """The functions and tests of this checkout: ({file: {function: number}}, {"tests/file.py::test_name": number})."""
    return (
        {name: functions(ROOT / name) for name in FILES},
        {f"{name}::{test}": number for name in TESTS for test, number in tests(ROOT / name).items()},
    )


def load():
    return json.loads(RESULT.read_text(encoding="utf8")) if RESULT.exists() else {"provenance": {}, "files": {}}


def standing(result):
    """The part of result["files"] whose verdicts still hold."""
    code, current = here()[0], set(here()[1].values())
    return {
        name: {
            function: one
            for function, one in result["files"].get(name, {}).items()
            if code[name].get(function) == one["code"] and set(one["tests"].split()) <= current
        }
        for name in FILES
    }


# ------------------------------------------------------------------------------------------------- testing mutants


def make(keep):
    """Let mutmut write all mutants into mutants/, and mark those of the functions in `keep` as done; count the others."""
    from mutmut.__main__ import copy_also_copy_files, copy_src_dir, create_mutants

    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir()
    with contextlib.redirect_stdout(io.StringIO()):  # it names every file
        copy_src_dir()
        copy_also_copy_files()
        create_mutants(os.cpu_count() or 1)
    to_do = {}
    for name in FILES:
        meta = json.loads(_meta(name).read_text(encoding="utf8"))
        codes = meta["exit_code_by_key"]
        codes |= {key: min(KILLED) for key in codes if _function(key) in keep[name]}
        to_do[name] = Counter(_function(key) for key, code in codes.items() if code is None)
        _meta(name).write_text(json.dumps(meta), encoding="utf8")
    return to_do


def run(workers):
    """mutmut, on pytest with one plugin, which is the copy of this file in mutants/."""
    quiet = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": "tools.mutants", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "mutmut", "run", "--max-children", str(workers)]
    subprocess.run(command, cwd=ROOT, env=os.environ | quiet, check=True)


def pytest_collection_modifyitems(items):
    """The plugin: quick tests first. mutmut has measured them, but hands them over in any order."""
    measured = Path("mutmut-stats.json")
    seconds = json.loads(measured.read_text(encoding="utf8"))["duration_by_test"] if measured.exists() else {}
    items.sort(key=lambda item: seconds.get(item.nodeid, 0.0))


def read(before, keep):
    """What mutmut left in mutants/, as the JSON will hold it; what stands in `keep` is taken as it is."""
    from mutmut.mutation.diff_apply import get_diff_for_mutant

    known = {
        (name, function, *s["change"]): s["why"]
        for name, found in before["files"].items()
        for function, one in found.items()
        for s in one["survivors"]
    }
    reach = json.loads((WORK / "mutmut-stats.json").read_text(encoding="utf8"))["tests_by_mangled_function_name"]
    files = {}
    for name in FILES:
        code, numbers = here()[0][name], here()[1]
        codes = json.loads(_meta(name).read_text(encoding="utf8"))["exit_code_by_key"]
        if odd := {key: exit_code for key, exit_code in codes.items() if exit_code not in KILLED | SURVIVED | TIMED_OUT}:
            sys.exit(f"{name}: {len(odd)} mutants without a verdict, e.g. {next(iter(odd.items()))}; run it with --continue")
        found = {
            function: {"code": number, "tests": "", **dict.fromkeys(COUNTS, 0), "survivors": []}
            for function, number in code.items()
        }
        found = {function: keep[name].get(function, one) for function, one in found.items()}
        for key, nodes in reach.items():
            if key.startswith(_module(name)) and (function := _function(key)) not in keep[name] and function in found:
                found[function]["tests"] = " ".join(sorted({numbers[node.partition("[")[0]] for node in nodes}))
        for key, exit_code in codes.items():
            if (function := _function(key)) in keep[name]:
                continue
            one = found[function]
            one["mutants"] += 1
            one["killed"] += exit_code in KILLED
            one["timed out"] += exit_code in TIMED_OUT
            if exit_code in SURVIVED:
                one["survived"] += 1
                lines = get_diff_for_mutant(key).splitlines()[2:]
                change = [line[0] + " " + line[1:].strip() for line in lines if line[:1] in ("-", "+")]
                one["survivors"].append({"change": change, "why": known.get((name, function, *change), "")})
        files[name] = found
    return {"provenance": provenance(), "files": files}


def _meta(name):
    return WORK / f"{name}.meta"


def _module(name):
    return name.removesuffix(".py").replace("/", ".") + "."


def _function(key):
    """attn_utils.vit.xǁBlockǁforward__mutmut_3 -> Block.forward"""
    return key.partition("__mutmut_")[0].rpartition(".")[2].removeprefix("x").strip("ǁ").replace("ǁ", ".").removeprefix("_")


def provenance():
    return {
        "written by": "make mutants",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": f"{os.cpu_count()} virtual CPU cores ({platform.machine()}), {platform.system()}",
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in ("mutmut", "pytest", "numpy", "torch")},
    }


# ------------------------------------------------------------------------------------------------------ the page


def total(found):
    """The counts of several functions together."""
    return {count: sum(one[count] for one in found.values()) for count in COUNTS}


def score(counts):
    return (counts["killed"] + counts["timed out"]) / counts["mutants"]


def page(result):
    """The text of book/mutants.md."""
    files, came = result["files"], result["provenance"]
    rows = {name.removeprefix("attn_utils/"): total(found) for name, found in files.items()}
    rows["together"] = total(rows)
    versions = ", ".join(f"{name} {number}" for name, number in came["versions"].items())
    out = [
        "<!-- Written by tools/mutants.py from book/mutants.json: `make mutants`. -->",
        "# What the tests would miss",
        "",
        "A test that passes may test nothing. So we break the package on purpose, in all the small ways that a program can think of: a",
        "`<` for a `<=`, a 1 for a 0, a sum for a difference, an argument left out, the text of an error changed. Each change makes a",
        "**mutant**, the unit tests run on it, and one of them should fail: then the mutant is *killed*. A mutant that *survives* either",
        "behaves like the original, so that no test could tell them apart, or shows something that nobody checks.",
        "",
        "| file of `attn_utils` | mutants | killed | timed out | survived | score |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, counts in rows.items():
        cells = [name, *(f"{counts[count]:,}" for count in COUNTS), f"{score(counts):.1%}".replace("%", " %")]
        out.append(f"| {' | '.join(cells)} |")
    out += [
        "",
        "The changes are made by [mutmut](https://mutmut.readthedocs.io). `make mutants` tests those of each function that has changed, or of",
        "which a test has changed or gone, and keeps the other verdicts. `make test` fails if one of these functions has changed since, if",
        f"the score of a file falls below {AT_LEAST * 100:.0f} %, or if a survivor is not explained. Last run: {came['date']},",
        f"{came['machine']}; {versions}.",
        "",
        "## The survivors",
        "",
        f"All {rows['together']['survived']}, with what was changed and why no test objects.",
    ]
    for name, found in files.items():
        if survivors := [(function, s) for function, one in found.items() for s in one["survivors"]]:
            out += ["", f"### `{name}`", *_survivors(survivors)]
    return "\n".join(out) + "\n"


def _survivors(survivors):
    """Those that survive for one reason under that reason, in one block of changes."""
    out = []
    for why in dict.fromkeys(s["why"] for _, s in survivors):
        out += ["", why, "", "```diff"]
        above = None
        for function, s in survivors:
            if s["why"] != why:
                continue
            if function != above:
                out += [f"@@ {function} @@"] if out[-1] == "```diff" else ["", f"@@ {function} @@"]
                above, minus = function, None
            out += s["change"][1:] if s["change"][:1] == minus else s["change"]
            minus = s["change"][:1] if len(s["change"]) == 2 else None
        out += ["```"]
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--list", action="store_true", help="only say which functions would be tested")
    parser.add_argument("--all", action="store_true", help="test all functions")
    parser.add_argument("--continue", dest="go_on", action="store_true", help="go on with a run that was stopped")
    parser.add_argument("--page", action="store_true", help="only write the page")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="mutants tested at a time")
    options = parser.parse_args()
    os.chdir(ROOT)
    result = before = load()
    if not options.page:
        keep = {name: {} for name in FILES} if options.all else standing(before)
        if not options.go_on:
            to_do = make(keep)
            for name, found in to_do.items():
                print(f"{name:<28}{found.total():5} mutants of {len(found)} functions to test: {', '.join(found) or '–'}")
            if options.list:
                return
        run(options.workers)
        result = read(before, keep)
        RESULT.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf8")
    PAGE.write_text(page(result), encoding="utf8")
    for name, found in result["files"].items():
        print(f"{name:<28}{total(found)['mutants']:5} mutants, {score(total(found)):.1%} killed")
    unexplained = [
        (function, *s["change"])
        for found in result["files"].values()
        for function, one in found.items()
        for s in one["survivors"]
        if not s["why"]
    ]
    if unexplained:
        print(*("\n" + "\n".join(one) for one in unexplained), sep="\n")
        sys.exit(f'\n{len(unexplained)} survivors need a sentence under "why" in book/mutants.json, or a test that kills them.')


if __name__ == "__main__":
    main()
