"""Which small breakages of the package would its tests not notice? Writes results/mutants.json and book/mutants.md.

    python -m tools.mutants          let mutmut make and test all mutants (it goes on where it was stopped), then write both
    python -m tools.mutants --read   test none, only read what mutmut left in mutants/, and write both
    python -m tools.mutants --page   only write the page from the JSON

A mutant is one of four files with one small change. What mutmut is to change and which tests it runs stands in
pyproject.toml. Mutants that survive need a sentence under "why" in the JSON: why no test can see them, or why none has
to. The sentences are kept when the run is repeated, as long as function and change stay the same. Verdicts are kept in
mutants/ from run to run: remove that folder first if tests have changed.
"""

import argparse
import ast
import datetime
import hashlib
import json
import os
import platform
import subprocess
import sys
from collections import Counter
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULT, PAGE = ROOT / "results" / "mutants.json", ROOT / "book" / "mutants.md"
FILES = [f"attn_utils/{name}.py" for name in ("reference", "masks", "positions", "attention", "vit")]
AT_LEAST = 0.90  # share of the mutants of a file that have to be killed
KILLED, SURVIVED, TIMED_OUT = {1, 3}, {0, 5, 33}, {24, -24, 36, 152, 255}  # mutmut's exit codes; 33: no test reaches it


def run(workers):
    """mutmut, on pytest with one plugin, which is this file."""
    tools = os.pathsep.join([str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    quiet = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": "mutants", "PYTHONPATH": tools}
    quiet |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "mutmut", "run", "--max-children", str(workers)]
    subprocess.run(command, cwd=ROOT, env=os.environ | quiet, check=True)


def pytest_collection_modifyitems(items):
    """The plugin: quick tests first. mutmut has measured them, but hands them over in any order."""
    measured = Path("mutmut-stats.json")
    seconds = json.loads(measured.read_text(encoding="utf8"))["duration_by_test"] if measured.exists() else {}
    items.sort(key=lambda item: seconds.get(item.nodeid, 0.0))


def read(folder):
    """What mutmut left in folder/mutants, as the JSON will hold it; sentences come from the JSON that is there."""
    from mutmut.mutation.diff_apply import get_diff_for_mutant

    before = json.loads(RESULT.read_text(encoding="utf8"))["files"] if RESULT.exists() else {}
    known = {(name, s["function"], *s["change"]): s["why"] for name, one in before.items() for s in one["survivors"]}
    os.chdir(folder)
    files = {}
    for name in FILES:
        codes = json.loads(Path("mutants", f"{name}.meta").read_text(encoding="utf8"))["exit_code_by_key"]
        if odd := {key: code for key, code in codes.items() if code not in KILLED | SURVIVED | TIMED_OUT}:
            sys.exit(f"{name}: {len(odd)} mutants without a verdict, e.g. {next(iter(odd.items()))}; run it again")
        survivors = []
        for key, code in codes.items():
            if code in SURVIVED:
                lines = get_diff_for_mutant(key).splitlines()[2:]
                change = [line[0] + " " + line[1:].strip() for line in lines if line[:1] in ("-", "+")]
                function = _function(key)
                survivors.append({"function": function, "change": change, "why": known.get((name, function, *change), "")})
        counts = {"mutants": len(codes), "killed": sum(code in KILLED for code in codes.values())}
        counts |= {"timed out": sum(code in TIMED_OUT for code in codes.values()), "survived": len(survivors)}
        files[name] = {"code": fingerprint(Path(folder, name)), **counts, "survivors": survivors}
    return {"provenance": provenance(), "files": files}


def _function(key):
    """attn_utils.vit.xǁBlockǁforward__mutmut_3 -> Block.forward"""
    return key.rpartition("__mutmut_")[0].rpartition(".")[2].removeprefix("x").strip("ǁ").replace("ǁ", ".").removeprefix("_")


def fingerprint(path):
    """A number that changes with the code of a file, not with its comments and docstrings."""
    source = path.read_text(encoding="utf8")
    kept = dict(enumerate(source.splitlines(), 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None:
            for line in range(node.body[0].lineno, node.body[0].end_lineno + 1):
                kept.pop(line, None)
    lines = [line.partition("  # ")[0].rstrip() for line in kept.values()]
    code = "\n".join(line for line in lines if line and not line.lstrip().startswith("#"))
    return hashlib.sha256(code.encode()).hexdigest()[:16]


def provenance():
    return {
        "written by": "make mutants",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": f"{os.cpu_count()} virtual CPU cores ({platform.machine()}), {platform.system()}",
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in ("mutmut", "pytest", "numpy", "torch")},
    }


def score(one):
    return (one["killed"] + one["timed out"]) / one["mutants"]


# ------------------------------------------------------------------------------------------------------ the page


def page(result):
    """The text of book/mutants.md."""
    files, came = result["files"], result["provenance"]
    total = Counter()
    for one in files.values():
        total.update({key: one[key] for key in ("mutants", "killed", "timed out", "survived")})
    out = [
        "<!-- Written by tools/mutants.py from results/mutants.json: `make mutants`. -->",
        "# What the tests would miss",
        "",
        "A test that passes may test nothing. So we break the package on purpose, in all the small ways that a program can think of: a",
        "`<` for a `<=`, a 1 for a 0, a sum for a difference, an argument left out, the text of an error changed. Each change makes a",
        "**mutant**, the unit tests run on it, and one of them should fail: then the mutant is *killed*. A mutant that *survives* either",
        "behaves like the original, so that no test could tell them apart, or shows something that nobody checks.",
        "",
        "| file | mutants | killed | timed out | survived | score |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, one in {**files, "together": total}.items():
        cells = [one[key] for key in ("mutants", "killed", "timed out", "survived")]
        row = [
            name if name == "together" else f"`{name}`",
            *(f"{count:,}" for count in cells),
            f"{score(one):.1%}".replace("%", " %"),
        ]
        out.append(f"| {' | '.join(row)} |")
    versions = ", ".join(f"{name} {number}" for name, number in came["versions"].items())
    out += [
        "",
        "The changes are made by [mutmut](https://mutmut.readthedocs.io); `make mutants` repeats all of it, and `make test` fails if a",
        f"score falls below {AT_LEAST * 100:.0f} %, if a survivor is not explained, or if one of the files has changed since. {came['date']},",
        f"{came['machine']}; {versions}.",
        "",
        "## The survivors",
        "",
        f"All {total['survived']}, with what was changed and why no test objects.",
    ]
    for name, one in files.items():
        if not one["survivors"]:
            continue
        out += ["", f"### `{name}`"]
        for why in dict.fromkeys(survivor["why"] for survivor in one["survivors"]):
            out += ["", why, "", "```diff"]
            alike = [survivor for survivor in one["survivors"] if survivor["why"] == why]
            for function in dict.fromkeys(survivor["function"] for survivor in alike):
                out += [f"@@ {function} @@"] if out[-1] == "```diff" else ["", f"@@ {function} @@"]
                minus = None
                for survivor in alike:
                    if survivor["function"] == function:
                        lines = survivor["change"]
                        out += lines[1:] if lines[:1] == minus else lines
                        minus = lines[:1] if len(lines) == 2 else None
            out += ["```"]
    return "\n".join(out) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--read", nargs="?", const=ROOT, type=Path, metavar="FOLDER", help="test none, read FOLDER/mutants")
    parser.add_argument("--page", action="store_true", help="only write the page")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="mutants tested at a time")
    options = parser.parse_args()
    if options.page:
        result = json.loads(RESULT.read_text(encoding="utf8"))
    else:
        if options.read is None:
            run(options.workers)
        result = read((options.read or ROOT).resolve())
        RESULT.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf8")
    PAGE.write_text(page(result), encoding="utf8")
    for name, one in result["files"].items():
        print(f"{name:<28}{one['mutants']:5} mutants, {score(one):.1%} killed")
    if unexplained := [survivor for one in result["files"].values() for survivor in one["survivors"] if not survivor["why"]]:
        for survivor in unexplained:
            print("", survivor["function"], *survivor["change"], sep="\n")
        sys.exit(
            f'\n{len(unexplained)} survivors need a sentence under "why" in results/mutants.json, or a test that kills them.'
        )


if __name__ == "__main__":
    main()
