"""Time a full build and an update by a million new events, from made-up exports.

``python -m tests.bench.build --events 10000000`` writes a section of docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import duckdb

from cxlib.build import build_store
from tests.bench.memory import peak_gb
from tests.bench.page import write_page

PROJECT = Path(__file__).resolve().parents[2]
FILE_EVENTS = 5_000_000
SOURCES = """
name: Bench
timezone: UTC
journeys: {split_after: 30 days, closes_after: 60 days}
sources:
  accounts:
    file: accounts.parquet
    id: account_id
    customer: {key: account_id}
    attributes: [plan, country]
    events: [{touchpoint: signed_up, time: created_at, stage: onboarding}]
  activity:
    file: activity-*.FORMAT
    id: activity_id
    customer: {key: account_id}
    events:
      - touchpoint: {column: what}
        time: at
        channel: {column: channel}
        value: amount
"""
_DRAW = "CREATE MACRO draw(n, seed, most) AS (hash(n, seed) % most)::BIGINT"
_ACCOUNTS = """
SELECT 'a' || lpad(n::VARCHAR, 9, '0') AS account_id,
    ['basic', 'pro', 'team'][1 + draw(n, 0, 3)] AS plan,
    ['it', 'de', 'fr', 'es'][1 + draw(n, 1, 4)] AS country,
    (TIMESTAMP '2023-01-01' + to_seconds(draw(n, 2, 31536000)))::VARCHAR AS created_at
FROM range($1::BIGINT) AS t(n)
"""
_ACTIVITY = """
SELECT 'e' || lpad(n::VARCHAR, 10, '0') AS activity_id,
    'a' || lpad(draw(n, 3, $1)::VARCHAR, 9, '0') AS account_id,
    (TIMESTAMP '2024-01-01' + to_seconds($2::BIGINT + draw(n, 4, $3)))::VARCHAR AS at,
    'did_' || floor(40 * power(draw(n, 5, 1000) / 1000.0, 2))::INT::VARCHAR AS what,
    ['web', 'app', 'phone', 'store'][1 + draw(n, 6, 4)] AS channel,
    CASE WHEN draw(n, 7, 20) = 0 THEN (20 + draw(n, 8, 400))::VARCHAR END AS amount
FROM range($4::BIGINT, $5::BIGINT) AS t(n)
"""
_YEAR_SECONDS = 365 * 86_400


def write_exports(folder: Path, events: int, kind: str) -> None:
    """Exports of a year: one account in ten events, in files of five million events."""
    exports = folder / "exports"
    exports.mkdir(parents=True, exist_ok=True)
    (folder / "sources.yml").write_text(SOURCES.replace("FORMAT", kind))
    _copy(_ACCOUNTS, [events // 10], exports / "accounts.parquet")
    for number, begin in enumerate(range(0, events, FILE_EVENTS)):
        end = min(begin + FILE_EVENTS, events)
        values = [events // 10, 0, _YEAR_SECONDS, begin, end]
        _copy(_ACTIVITY, values, exports / f"activity-{number:03}.{kind}")


def add_day(folder: Path, events: int, more: int, kind: str) -> None:
    """One more file: the day after."""
    values = [events // 10, _YEAR_SECONDS, 86_400, events, events + more]
    _copy(_ACTIVITY, values, folder / "exports" / f"activity-999.{kind}")


def _copy(query: str, values: list[int], path: Path) -> None:
    if path.exists():
        return
    with duckdb.connect() as con:
        con.execute(_DRAW)
        con.execute(f"COPY ({query}) TO '{path}'", values)


def time_build(folder: Path) -> dict[str, Any]:
    """One build in this process."""
    began, cpu = time.perf_counter(), time.process_time()
    result = build_store(folder)
    found = {
        "seconds": time.perf_counter() - began,
        "cpu": time.process_time() - cpu,
        "peak_gb": peak_gb(),
        "events": result.counts["events"],
        "built": result.snapshot.meta["built"],
        "prepared_again": result.snapshot.meta.get("prepared_again"),
        "store_gb": result.snapshot.size_bytes / 1024**3,
    }
    return found


def _spawn(args: argparse.Namespace) -> dict[str, Any]:
    os.sync()  # what was written to prepare this is on the disk, as it would be a day later
    command = [sys.executable, "-m", "tests.bench.build", "--one", str(args.workspace)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def section(args: argparse.Namespace, full: dict[str, Any], update: dict[str, Any]) -> str:
    """What was measured, as a part of the page."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    lines = [
        f"## Building a store of {args.events:,} events",
        "",
        f"{datetime.now():%B %Y}, {os.cpu_count()} cores, {memory:.0f} GB of memory; cxlib "
        f"{version('cxlib')}, DuckDB {version('duckdb')}, Ibis {version('ibis-framework')}, Python "
        f"{sys.version.split()[0]}. `python -m tests.bench.build --events {args.events}` makes up "
        f"{args.kind} exports (one account for ten events), builds a store of them, adds a file of "
        f"{args.more:,} events of the next day, and builds again.",
        "",
        "| build | seconds | CPU s | peak GB | events | prepared again | store GB |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for name, found in (("full", full), ("update", update)):
        again = found["prepared_again"]
        lines.append(
            f"| {name} | {found['seconds']:.0f} | {found['cpu']:.0f} | {found['peak_gb']:.1f} | "
            f"{found['events']:,} | {'all' if again is None else f'{again:,}'} | "
            f"{found['store_gb']:.1f} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Make the exports, build twice, write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--more", type=int, default=1_000_000)
    parser.add_argument("--kind", choices=["csv", "parquet"], default="csv")
    parser.add_argument("--workspace", type=Path, default=PROJECT / "data" / "bench-build")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one is not None:
        print(json.dumps(time_build(args.one)))
        return
    shutil.rmtree(args.workspace / "store", ignore_errors=True)
    for old in (args.workspace / "exports").glob("*"):
        old.unlink()
    write_exports(args.workspace, args.events, args.kind)
    full = _spawn(args)
    print(full, flush=True)
    add_day(args.workspace, args.events, args.more, args.kind)
    update = _spawn(args)
    print(update, flush=True)
    write_page(section(args, full, update))


if __name__ == "__main__":
    main()
