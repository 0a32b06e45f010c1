"""Time the measures against hand-written queries, each in a process of its own.

``python -m tests.bench.run --events 10000000`` writes a section of docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import time
import venv
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cxlib.engine.store import Snapshot
from cxlib.journeys.log import load_journeys
from tests.bench.company import write_store
from tests.bench.measures import CALLS, MEASURES, check_equal
from tests.bench.queries import QUERIES

PROJECT = Path(__file__).resolve().parents[2]
PAGE = PROJECT / "docs" / "benchmarks.md"
COMPETITORS = {"retentioneering": "retentioneering==5.2.4", "pm4py": "pm4py==2.7.*"}
TITLES = {"retentioneering": "Retentioneering", "pm4py": "pm4py"}
_PREAMBLE = """# Benchmarks

`make bench` writes this page; `make bench EVENTS=100000000` the section of another size, and
`make bench COMPETITORS=1` also times Retentioneering and pm4py, in environments of their own.

The log is made up (`tests/bench/company.py`): 40 touchpoints, ten events and 1.8 journeys per
customer in two years, prepared and stored as a build does. Against each measure stands a query
written by hand in DuckDB's SQL (`tests/bench/queries.py`) on the same store, with the same prepared
columns, threads and memory limit; before anything is timed, both answers are compared cell for
cell. Each side runs in processes of its own, in turns, warm; the best time of a side counts. CPU is
the processor time of that run over all threads, which other work on the machine hardly changes.
Memory is the peak of the whole process. What the other tools answer is less than what cxlib
answers, never more; their loading is not in their times.
"""


def time_one(measure: str, side: str, args: argparse.Namespace) -> dict[str, Any]:
    """Best of some runs of one side, in this process."""
    snapshot = write_store(args.workspace, args.events)
    _limit(snapshot, args)
    log, until = load_journeys(snapshot), snapshot.meta["observed_until"]
    runs = []
    for _ in range(args.repeat + 1):
        begin, cpu = time.perf_counter(), time.process_time()
        if side == "cxlib":
            MEASURES[measure](log)
        else:
            QUERIES[measure](snapshot.con.con, until)
        runs.append((time.perf_counter() - begin, time.process_time() - cpu))
    # The first run warms the caches of the system, and is not counted.
    seconds, processor = min(runs[1:])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    return {"seconds": seconds, "cpu": processor, "peak_gb": peak}


def check_one(measure: str, args: argparse.Namespace) -> None:
    """Raise where the measure and its query differ."""
    snapshot = write_store(args.workspace, args.events)
    _limit(snapshot, args)
    theirs = QUERIES[measure](snapshot.con.con, snapshot.meta["observed_until"])
    check_equal(MEASURES[measure](load_journeys(snapshot)), theirs)


def _limit(snapshot: Snapshot, args: argparse.Namespace) -> None:
    snapshot.con.raw_sql(f"SET threads = {args.threads}")
    snapshot.con.raw_sql(f"SET memory_limit = '{args.memory}'")
    snapshot.con.raw_sql(f"SET temp_directory = '{args.workspace / 'spill'}'")


def _spawn(args: argparse.Namespace, *extra: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.bench.run", "--events", str(args.events)]
    command += ["--workspace", str(args.workspace), "--memory", args.memory]
    command += ["--threads", str(args.threads), "--repeat", str(args.repeat), *extra]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def run_bench(args: argparse.Namespace) -> list[dict[str, Any]]:
    """One row per measure."""
    write_store(args.workspace, args.events).con.disconnect()
    rows = []
    for measure in args.measures or MEASURES:
        _spawn(args, "--check", measure)
        best: dict[str, dict[str, Any]] = {}
        for _ in range(args.rounds):
            for side in ("cxlib", "sql"):
                found = _spawn(args, "--one", measure, "--side", side)
                held = best.setdefault(side, found)
                best[side] = {key: min(held[key], found[key]) for key in ("seconds", "cpu")}
                best[side]["peak_gb"] = max(held["peak_gb"], found["peak_gb"])
        ours, theirs = best["cxlib"], best["sql"]
        print(f"{measure}: {ours['seconds']:.2f} s, by hand {theirs['seconds']:.2f} s", flush=True)
        rows.append({"measure": measure, "cxlib": ours, "sql": theirs})
    return rows


def run_competitors(args: argparse.Namespace) -> dict[str, dict[str, dict[str, Any]]]:
    """Per tool and measure: seconds and peak memory."""
    events = args.workspace / f"events-{args.events}.parquet"
    snapshot = write_store(args.workspace, args.events)
    table = snapshot.table("events")
    columns = ["customer_id", "journey_id", "touchpoint", "occurred_at"]
    table.select(columns).to_parquet(events)
    snapshot.con.disconnect()
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for name, requirement in COMPETITORS.items():
        python = _environment(args.workspace / name, requirement)
        command = [str(python), str(Path(__file__).with_name("competitors.py")), name, str(events)]
        done = subprocess.run(command, capture_output=True, text=True)
        lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        found[name] = {line["measure"]: line for line in lines}
        print(name, {line["measure"]: round(line["seconds"], 1) for line in lines}, flush=True)
        if done.returncode:
            print(f"{name} stopped: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
    events.unlink()
    return found


def _environment(folder: Path, requirement: str) -> Path:
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        venv.create(folder, with_pip=True, clear=True)
        install = [str(python), "-m", "pip", "install", "--quiet", requirement, "pyarrow"]
        subprocess.run(install, check=True)
        (folder / "ready").touch()
    return python


def section(
    rows: list[dict[str, Any]],
    others: dict[str, dict[str, dict[str, Any]]],
    args: argparse.Namespace,
) -> str:
    """The table of one size."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    tools = [f"{TITLES[name]} {_version(found)}" for name, found in others.items() if found]
    head = ["measure", "cxlib s", "by hand s", "ratio", "cxlib CPU s", "by hand CPU s", "CPU ratio"]
    head += ["peak GB", *(f"{tool} s" for tool in tools)]
    lines = [
        f"## {args.events:,} events, {args.events // 10:,} customers",
        "",
        f"{datetime.now():%B %Y}, {args.threads} cores, {memory:.0f} GB of memory, of which DuckDB "
        f"may take {args.memory}; cxlib {version('cxlib')}, DuckDB {version('duckdb')}, Ibis "
        f"{version('ibis-framework')}, Python {sys.version.split()[0]}.",
        "",
        f"| {' | '.join(head)} |",
        f"|{'---|' + '--:|' * (len(head) - 1)}",
    ]
    for row in rows:
        ours, theirs = row["cxlib"], row["sql"]
        cells = [f"`{CALLS[row['measure']]}`", _say(ours["seconds"]), _say(theirs["seconds"])]
        cells += [f"{ours['seconds'] / theirs['seconds']:.2f}", _say(ours["cpu"])]
        cells += [_say(theirs["cpu"]), f"{ours['cpu'] / theirs['cpu']:.2f}"]
        cells += [f"{ours['peak_gb']:.1f}"]
        for found in others.values():
            if found:
                other = found.get(row["measure"])
                cells.append(_say(other["seconds"]) if other else "–")
        lines.append(f"| {' | '.join(cells)} |")
    for name, found in others.items():
        if "load" in found:
            most = max(line["peak_gb"] for line in found.values())
            seconds = _say(found["load"]["seconds"])
            lines += ["", f"{TITLES[name]} took {seconds} s to load and {most:.1f} GB at its peak."]
    return "\n".join(lines) + "\n"


def _say(seconds: float) -> str:
    return f"{seconds:.2f}" if seconds < 10 else f"{seconds:.1f}"


def _version(found: dict[str, dict[str, Any]]) -> str:
    return next(iter(found.values()))["version"]


def write_page(text: str, page: Path = PAGE) -> None:
    """Put a section into the page, in place of the one with the same heading.

    Sections of sizes come first, the smallest first; the others keep their order.
    """
    old = page.read_text(encoding="utf-8") if page.exists() else ""
    parts = [*re.findall(r"(?ms)^## .*?(?=^## |\Z)", old), text]
    sections = {part.splitlines()[0]: part for part in parts}
    ordered = sorted(sections, key=_size)
    body = "\n".join(sections[name].rstrip() + "\n" for name in ordered)
    page.write_text(f"{_PREAMBLE}\n{body}", encoding="utf-8")


def _size(heading: str) -> float:
    found = re.match(r"## ([\d,]+) events", heading)
    return float(found[1].replace(",", "")) if found else float("inf")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--workspace", type=Path, default=PROJECT / "data" / "bench")
    parser.add_argument("--rounds", type=int, default=3, help="processes per side")
    parser.add_argument("--repeat", type=int, default=2, help="timed runs per process")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--memory", default="5GB", help="DuckDB's memory limit")
    parser.add_argument("--measures", nargs="*", choices=list(MEASURES))
    parser.add_argument("--competitors", action="store_true")
    parser.add_argument("--one", choices=list(MEASURES), help=argparse.SUPPRESS)
    parser.add_argument("--side", choices=["cxlib", "sql"], help=argparse.SUPPRESS)
    parser.add_argument("--check", choices=list(MEASURES), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.check:
        check_one(args.check, args)
        print("{}")
    elif args.one:
        print(json.dumps(time_one(args.one, args.side, args)))
    else:
        rows = run_bench(args)
        others = run_competitors(args) if args.competitors else {}
        text = section(rows, others, args)
        print(text)
        if not args.measures:
            write_page(text)


if __name__ == "__main__":
    main()
