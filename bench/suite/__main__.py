"""The suite's command line; see docs/benchmarks.md."""

from __future__ import annotations

import argparse
import re
import signal
import sys
import time
from pathlib import Path

from . import export, machine
from .case import Case
from .engines import ENGINES, PRECISIONS
from .harness import ROOT
from .measure import Plan, measure
from .page import write_page
from .store import Store, is_done, key
from .table import all_cases

QUICK = dict(rounds=5, seconds=1.0)
NARROW_GROUPS = ("suite",)  # what is measured in other precisions than f32, too


def chosen_cases(options) -> list[Case]:
    groups = options.group.split(",")
    return [c for c in all_cases() if c.family.group in groups
            and re.search(options.only, c.name)
            and (not options.first or c == c.family.cases()[0])]


def list_cases(options) -> int:
    for case in chosen_cases(options):
        made = "" if export.folder(case).exists() else "(no file yet)"
        print(f"{case.family.group:8} {case.name:44} {' '.join(case.family.tags):24} {made}")
    return 0


def export_cases(options) -> int:
    failed = 0
    for case in chosen_cases(options):
        try:
            print(export.export(case), flush=True)
        except Exception as error:  # one broken network must not hide the others
            print(f"error: {case.name}: {type(error).__name__}: {error}", file=sys.stderr)
            failed += 1
    return 1 if failed else 0


def run(options) -> int:
    store = Store(options.results / machine.name())
    build = machine.build()
    print("measuring the machine", flush=True)
    with machine.alone(options.lock):
        facts = machine.facts(options.note, options.realtime)
    store.write_machine(facts)
    limits = {entry["threads"]: entry for entry in facts["limits"]}
    engines = ("limosa", *(e for e in options.engines.split(",") if e != "limosa"))
    budget = QUICK if options.quick else {}
    plan = Plan(engines, options.rounds or budget.get("rounds", Plan.rounds),
                options.seconds or budget.get("seconds", Plan.seconds), options.start_timeout,
                options.lock, options.realtime)
    end = time.monotonic() + 60 * options.time if options.time else float("inf")
    done = {key(r): r for r in store.load()}
    work = [(case, int(threads), precision) for precision in options.precision.split(",")
            for threads in options.threads.split(",") for case in chosen_cases(options)
            if precision == "f32" or case.family.group in NARROW_GROUPS]
    failed = 0
    for number, (case, threads, precision) in enumerate(work, 1):
        before = done.get((case.name, threads, precision))
        if before and not options.again and is_done(before, build, export.key(case),
                                                    plan.starters(precision)):
            continue
        if time.monotonic() > end:
            print(f"the time is up; {len(work) - number + 1} left for the next run")
            break
        title = f"[{number}/{len(work)}] {case.name}, {threads} thread{'s'[:threads > 1]}"
        title += "" if precision == "f32" else f", {precision}"
        try:
            record = measure(case, threads, precision, plan, build,
                             limits.get(threads, facts["limits"][-1]),
                             lambda what, t=title: _progress(f"{t}: {what}"))
        except Exception as error:  # the other cases are worth their results
            _progress("")
            print(f"{title}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            failed += 1
            continue
        store.append(record)
        _progress("")
        print(f"{title}: {_in_short(record)}", flush=True)
    store.compact()
    path = write_page(store)
    print(f"results: {store.path}\npage:    {path}")
    return 1 if failed else 0


def page(options) -> int:
    folders = [p.parent for p in sorted(options.results.glob("*/results.jsonl"))]
    for folder in folders:
        print(write_page(Store(folder)))
    return 0 if folders else 1


def _progress(text: str) -> None:
    if sys.stdout.isatty():
        print(f"\r\033[K{text[:100]}", end="", flush=True)


def _in_short(record: dict) -> str:
    own = record["engines"].get("limosa", {})
    if "median" not in own:
        return own.get("error", "did not run")
    words = f"{1e3 * own['median']:.3f} ms"
    if "ratio" in record:
        words += (f", {record['fastest']} takes {record['ratio']:.2f} times that "
                  f"({record['low']:.2f} to {record['high']:.2f})")
    if over := record.get("over_f32"):
        words += f", own f32 {over['ratio']:.2f} ({over['low']:.2f} to {over['high']:.2f})"
    return words


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench/run.sh", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for function, name, text in ((run, "run", "measures, and writes results and the page"),
                                 (list_cases, "list", "shows the cases"),
                                 (export_cases, "export", "only writes the model files"),
                                 (page, "page", "writes the pages of the results there are")):
        command = commands.add_parser(name, help=text)
        command.set_defaults(function=function)
        command.add_argument("--results", type=Path, default=ROOT / "bench" / "results")
        if name == "page":
            continue
        command.add_argument("--only", default="", metavar="REGEX", help="cases by name")
        command.add_argument("--group", default="suite,variant,sweep")
        command.add_argument("--first", action="store_true",
                             help="only the first size of each family")
        if name != "run":
            continue
        command.add_argument("--threads", default="2,1")
        command.add_argument("--precision", default=",".join(PRECISIONS),
                             help="other than f32 for the models of the suite only")
        command.add_argument("--engines", default=",".join(ENGINES))
        command.add_argument("--rounds", type=int, help=f"default {Plan.rounds}")
        command.add_argument("--seconds", type=float,
                             help=f"of each engine over all rounds; default {Plan.seconds:g}")
        command.add_argument("--quick", action="store_true",
                             help="{rounds} rounds of {seconds:g} s".format(**QUICK))
        command.add_argument("--time", type=float, metavar="MINUTES",
                             help="begins no case after that; the next run goes on")
        command.add_argument("--again", action="store_true",
                             help="also what this build has results for")
        command.add_argument("--start-timeout", type=float, default=Plan.start_timeout,
                             help="seconds an engine may compile")
        command.add_argument("--lock", default="", metavar="FILE",
                             help="is locked while engines take turns")
        command.add_argument("--realtime", action="store_true",
                             help="puts engines into the real-time class while they take turns")
        command.add_argument("--note", default="", help="is shown on the page")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # engines end, caches are removed
    return options.function(options)


if __name__ == "__main__":
    sys.exit(main())
