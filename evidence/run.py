"""Do the runs that a chapter's plan names, here or on a cluster, and keep them in results/.

    python -m evidence.run 07                              all cores of this machine, one thread a run
    python -m evidence.run 07 --dry-run                    what would be run
    python -m evidence.run 07 --scheduler tcp://host:8786  on the workers of a Dask scheduler

An interrupted evening is not lost: runs that are in the file stay, and what is missing is added. Not kept are runs that were
made with another recipe (the chapter's cells tagged "recipe") or with other code of our packages, for they would be numbers of
another program; --keep-changed keeps them, and the file says what each run was made with. Workers of a cluster need this
checkout, installed with `pip install -e .`.
"""

import argparse
import datetime
import functools
import importlib
import multiprocessing
import os
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager

from tqdm import tqdm

from evidence.recipe import ROOT, Recipe, perform
from evidence.record import Record, key

SHAS = ("recipe_sha", "package_sha")


def main(arguments=None):
    """Read the command line, and run."""
    chapters = sorted(path.stem[2:] for path in (ROOT / "evidence" / "plans").glob("ch*.py"))
    parser = argparse.ArgumentParser(
        prog="python -m evidence.run", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "chapter",
        type=lambda text: text if text in chapters else text[:2],
        choices=chapters,
        help=f"one of {', '.join(chapters)}",
    )
    parser.add_argument("--fresh", action="store_true", help="forget the runs that are in the file")
    parser.add_argument("--keep-changed", action="store_true", help="keep runs that were made with another recipe or package")
    parser.add_argument("--only", metavar="PART", help="only this part of the plan, such as tuning, report or check")
    parser.add_argument("--dry-run", action="store_true", help="count what would be run, and stop")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="runs at a time on this machine (default: all cores)")
    parser.add_argument(
        "--scheduler", metavar="ADDRESS", help="a Dask scheduler, such as tcp://host:8786, instead of this machine"
    )
    options = parser.parse_args(arguments)

    plan = importlib.import_module(f"evidence.plans.ch{options.chapter}")
    recipe = Recipe.read(plan.RECIPE)
    record = Record(ROOT / "results" / f"ch{options.chapter}.json", plan.RECIPE)
    if options.fresh:
        record.keep(lambda run: False)
    elif not options.keep_changed:
        code = {"recipe_sha": recipe.recipe_sha(), "package_sha": recipe.package_sha()}
        if dropped := record.keep(lambda run: {sha: run["origin"][sha] for sha in SHAS} == code):
            print(f"{dropped} runs were made with other code and are made again (--keep-changed keeps them).")
    wanted = functools.partial(_wanted, plan, options.only)
    if options.dry_run:
        _show(record, wanted(record.runs))
        return
    command = " ".join(["python -m evidence.run", *(sys.argv[1:] if arguments is None else arguments)])
    with _workers(options.workers, options.scheduler) as pool:
        complete(record, wanted, recipe, pool, {"command": command, "date": datetime.date.today().isoformat()})
    if options.only is None:  # whatever the plan does not name any more goes
        planned = {key(run) for run in wanted(record.runs)}
        record.keep(lambda run: key(run) in planned)
        record.write()
    print(f"{len(record.runs)} runs in {record.path.relative_to(ROOT).as_posix()}")


def complete(record, plan, recipe, pool, session):
    """Do all runs that the plan wants and the record lacks, until the plan wants no more.

    Args:
        record: the `Record` to fill; it is written after every run.
        plan: called as plan(runs done); yields the wanted runs, with None for settings that wait for others.
        recipe: the `Recipe` that all runs execute.
        pool: a `concurrent.futures.Executor`.
        session: what to note beside each run: {"command", "date"}.

    Raises:
        SystemExit: a run failed, or a worker has other code than this process. What is done is kept.
    """
    code = {"recipe_sha": recipe.recipe_sha(), "package_sha": recipe.package_sha()}
    with tqdm(unit="step", smoothing=0, mininterval=1 if sys.stderr.isatty() else 60, desc=recipe.name) as bar:
        while missing := record.missing(plan(record.runs)):
            ready = sorted((run for run in missing if None not in run["settings"].values()), key=_cost, reverse=True)
            if not ready:
                sys.exit(f"waiting for runs that are not wanted: {Counter(run['part'] for run in missing)}; leave out --only")
            bar.total = bar.n + sum(map(_cost, missing))
            failed = []
            for future in as_completed(futures := {pool.submit(perform, recipe, run): run for run in ready}):
                run = futures[future]
                if error := future.exception():
                    failed.append(f"{run['part']}, {run['group']}, seed {run['seed']}: {error!r}")
                    continue
                done = future.result()
                if {sha: done["origin"][sha] for sha in SHAS} != code:
                    sys.exit(f"a worker has other code than this process: {_differences(done['origin'], code)}")
                record.add({**done, "origin": {**session, **done["origin"]}})
                bar.update(_cost(run))
                bar.write(f"{run['part']}  {run['group']}  seed {run['seed']}  {done['scores']}  {done['seconds']} s")
            if failed:
                sys.exit("\n".join([f"{len(failed)} runs failed; the others are kept:", *failed]))


@contextmanager
def _workers(count, scheduler):
    """An executor: processes of this machine, or a Dask cluster, which gives a run to another worker when one dies."""
    if scheduler is None:
        pool = ProcessPoolExecutor(count, multiprocessing.get_context("spawn"))
        try:
            yield pool
        finally:
            pool.shutdown(cancel_futures=True)
    else:
        from distributed import Client

        with Client(scheduler) as client:
            yield client.get_executor(pure=False, retries=3)


def _wanted(plan, part, runs):
    return [run for run in plan.plan(runs) if part in (None, run["part"])]


def _cost(run):
    return run["settings"].get("steps", 1)


def _differences(one, other):
    changed = [name for name in one["package_sha"] if one["package_sha"][name] != other["package_sha"].get(name)]
    return ", ".join(["the recipe"] * (one["recipe_sha"] != other["recipe_sha"]) + changed)


def _show(record, wanted):
    missing = record.missing(wanted)
    for part in dict.fromkeys(run["part"] for run in wanted):
        all_of_it, left = (sum(run["part"] == part for run in runs) for runs in (wanted, missing))
        print(f"{part:<10}{all_of_it:4} runs planned so far,{left:4} to be done")
    steps = sum(map(_cost, missing))
    if known := sum(run["settings"].get("steps", 0) for run in record.runs):
        hours = sum(run["seconds"] for run in record.runs) / known * steps / 3600
        print(f"about {hours:.1f} hours of one core")


if __name__ == "__main__":
    main()
