"""Time the measures against hand-written queries, each in a process of its own.

``python -m tests.bench.run --events 10000000`` writes a section of docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import venv
from pathlib import Path
from typing import Any

from cxlib.engine.store import Snapshot
from cxlib.journeys.log import load_journeys
from tests.bench.company import write_store
from tests.bench.measures import MEASURES, check_equal
from tests.bench.memory import peak_gb
from tests.bench.page import Others, keep_results, section, write_page
from tests.bench.queries import QUERIES

PROJECT = Path(__file__).resolve().parents[2]
COMPETITORS = {"retentioneering": "retentioneering==5.2.4", "pm4py": "pm4py==2.7.*"}


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
    peak = peak_gb()
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
    for measure in MEASURES if args.measures is None else args.measures:
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


def run_competitors(args: argparse.Namespace) -> Others:
    """What each of the tools asked for took, in a process and an environment of its own."""
    events = _write_events(args)
    found: Others = {}
    for name in args.competitors or COMPETITORS:
        python = _environment(args.workspace / name, COMPETITORS[name])
        command = [str(python), str(Path(__file__).with_name("competitors.py")), name, str(events)]
        done = subprocess.run(command, capture_output=True, text=True)
        lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        found[name] = {line["measure"]: line for line in lines}
        print(name, {line["measure"]: round(line["seconds"], 1) for line in lines}, flush=True)
        if done.returncode:
            print(f"{name} stopped: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
    return found


def prepare(args: argparse.Namespace) -> None:
    """Lay out the store, and for the other tools their environments and the events."""
    write_store(args.workspace, args.events).con.disconnect()
    if args.competitors is not None:
        _write_events(args)
        for name in args.competitors or COMPETITORS:
            _environment(args.workspace / name, COMPETITORS[name])


def _write_events(args: argparse.Namespace) -> Path:
    events = args.workspace / f"events-{args.events}.parquet"
    if not events.exists():
        snapshot = write_store(args.workspace, args.events)
        columns = ["customer_id", "journey_id", "touchpoint", "occurred_at"]
        snapshot.table("events").select(columns).to_parquet(events)
        snapshot.con.disconnect()
    return events


def _environment(folder: Path, requirement: str) -> Path:
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        venv.create(folder, with_pip=True, clear=True)
        install = [str(python), "-m", "pip", "install", "--quiet", requirement, "pyarrow"]
        subprocess.run(install, check=True)
        (folder / "ready").touch()
    return python


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--workspace", type=Path, default=PROJECT / "data" / "bench")
    parser.add_argument("--rounds", type=int, default=3, help="processes per side")
    parser.add_argument("--repeat", type=int, default=2, help="timed runs per process")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--memory", default="5GB", help="DuckDB's memory limit")
    parser.add_argument(
        "--measures",
        nargs="*",
        choices=list(MEASURES),
        help="time these, or none where none is named; the other rows stay as they were",
    )
    parser.add_argument(
        "--competitors", nargs="*", choices=list(COMPETITORS), help="time these tools, or all"
    )
    parser.add_argument("--prepare", action="store_true", help="time nothing, lay out the data")
    parser.add_argument("--one", choices=list(MEASURES), help=argparse.SUPPRESS)
    parser.add_argument("--side", choices=["cxlib", "sql"], help=argparse.SUPPRESS)
    parser.add_argument("--check", choices=list(MEASURES), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.check:
        check_one(args.check, args)
        print("{}")
    elif args.one:
        print(json.dumps(time_one(args.one, args.side, args)))
    elif args.prepare:
        prepare(args)
    else:
        rows = run_bench(args)
        others = run_competitors(args) if args.competitors is not None else {}
        text = section(*keep_results(rows, others, args), args)
        print(text)
        write_page(text)


if __name__ == "__main__":
    main()
