"""What the bench measured, as tables in docs/benchmarks.md.

The page may hold other sections beside these tables; they stay as they are.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.bench.measures import CALLS, MEASURES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"
Others = dict[str, dict[str, dict[str, Any]]]
"""Per tool and measure: seconds, peak memory and version."""
TITLES = {"retentioneering": "Retentioneering", "pm4py": "pm4py"}
_PREAMBLE = """# Benchmarks

`make bench` writes the table of ten million events, `make bench EVENTS=100000000` that of another
size, and `make bench COMPETITORS=1` also times Retentioneering and pm4py, in environments of their
own. A run can be cut into slices: `ARGS="--measures funnel flows"` times these two and leaves the
other rows as they were, `ARGS=--prepare` only lays out what the timing needs.

The log is made up (`tests/bench/company.py`): 40 touchpoints, ten events and 1.8 journeys per
customer in two years, prepared and stored as a build does. Against each measure stands a query
written by hand in DuckDB's SQL (`tests/bench/queries.py`) on the same store, with the same prepared
columns, threads and memory limit; before anything is timed, both answers are compared cell for
cell. Each side runs in processes of its own, in turns, warm; the best time of a side counts. CPU is
the processor time of that run over all threads, which other work on the machine hardly changes.
Memory is the peak of the whole process. What the other tools answer is less than what cxlib
answers, never more; their loading is not in their times.
"""


def keep_results(
    rows: list[dict[str, Any]], others: Others, args: argparse.Namespace
) -> tuple[list[dict[str, Any]], Others]:
    """All rows of this size: these, and where only some were asked for those of earlier runs."""
    kept = args.workspace / f"results-{args.events}.json"
    old = json.loads(kept.read_text()) if args.measures is not None and kept.exists() else {}
    found = {row["measure"]: row for row in [*old.get("rows", []), *rows]}
    every = {
        "rows": [found[measure] for measure in MEASURES if measure in found],
        "others": old.get("others", {}) | others,
    }
    kept.write_text(json.dumps(every, indent=1))
    return every["rows"], every["others"]


def section(rows: list[dict[str, Any]], others: Others, args: argparse.Namespace) -> str:
    """The table of one size."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    tools = [f"{TITLES[name]} {_version(found)}" for name, found in others.items() if found]
    head = ["measure", "cxlib s", "by hand s", "ratio", "cxlib CPU s", "by hand CPU s", "CPU ratio"]
    head += ["peak GB", *(f"{tool} s" for tool in tools)]
    lines = [
        f"## {args.events:,} events, {args.events // 10:,} customers",
        "",
        f"{datetime.now():%d %B %Y}, {args.threads} cores, {memory:.0f} GB of memory, of which "
        f"DuckDB may take {args.memory}; cxlib {version('cxlib')}, DuckDB {version('duckdb')}, "
        f"Ibis {version('ibis-framework')}, Python {sys.version.split()[0]}.",
        "",
        f"| {' | '.join(head)} |",
        f"|{'---|' + '--:|' * (len(head) - 1)}",
        *(f"| {' | '.join(_cells(row, others))} |" for row in rows),
    ]
    for name, found in others.items():
        if "load" in found:
            most = max(line["peak_gb"] for line in found.values())
            seconds = _say(found["load"]["seconds"])
            lines += ["", f"{TITLES[name]} took {seconds} s to load and {most:.1f} GB at its peak."]
    return "\n".join(lines) + "\n"


def _cells(row: dict[str, Any], others: Others) -> list[str]:
    ours, theirs = row["cxlib"], row["sql"]
    cells = [f"`{CALLS[row['measure']]}`", _say(ours["seconds"]), _say(theirs["seconds"])]
    cells += [f"{ours['seconds'] / theirs['seconds']:.2f}", _say(ours["cpu"]), _say(theirs["cpu"])]
    cells += [f"{ours['cpu'] / theirs['cpu']:.2f}", f"{ours['peak_gb']:.1f}"]
    for found in others.values():
        if found:
            other = found.get(row["measure"])
            cells.append(_say(other["seconds"]) if other else "–")
    return cells


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
