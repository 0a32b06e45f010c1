"""Workspaces built through a preset from a vendor's tables, and recounts of these."""

import csv
import hashlib
import hmac
import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from cxlib.build import BuildResult, build_store

Row = dict[str, str]
PREPARED = ("event_id", "journey_id", "step", "next_touchpoint", "next_at", "is_open", "source")


def build_preset(workspace: Path, exports: Path, name: str, **words: Any) -> BuildResult:
    """Build the tables of a vendor, named v_<table>."""
    description = {"name": name, "sources": {"v": {"preset": name, **words}}}
    workspace.mkdir(parents=True, exist_ok=True)
    (workspace / "sources.yml").write_text(yaml.safe_dump(description), encoding="utf-8")
    return build_store(workspace, exports=exports)


def rows_of(path: Path) -> list[Row]:
    """Rows of a raw file, read by Python's own reader."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def hidden(value: str) -> str:
    """What stands for a personal value."""
    key = hashlib.sha256(os.environ["CXLIB_KEY"].encode()).hexdigest()
    return "c_" + hmac.new(key.encode(), value.lower().encode(), hashlib.sha256).hexdigest()[:16]


def check_counts(result: BuildResult, folder: Path, files: dict[str, str]) -> None:
    """Every row of every file is stored or rejected, and there is no other source."""
    counts = result.snapshot.table("sources").to_pandas().set_index("source")
    assert sorted(counts.index) == sorted(f"v_{table}" for table in files)
    for table, file in files.items():
        found = counts.loc[f"v_{table}"]
        assert found["rows_read"] == len(rows_of(folder / file)), table
        assert found["rows_stored"] + found["rows_rejected"] == found["rows_read"], table


def times(result: BuildResult, touchpoint: str) -> tuple[int, datetime, datetime]:
    """How many events a touchpoint has, the first and the last."""
    frame = result.snapshot.table("events").to_pandas()
    at = frame.loc[frame["touchpoint"] == touchpoint, "occurred_at"]
    return len(at), at.min().to_pydatetime(), at.max().to_pydatetime()


def recounted(
    path: Path, column: str, where: Callable[[Row], bool] = lambda row: True
) -> tuple[int, datetime, datetime]:
    """The same from the raw file."""
    at = [
        datetime.fromisoformat(row[column]) for row in rows_of(path) if row[column] and where(row)
    ]
    return len(at), min(at), max(at)


def event(result: BuildResult, event_id: str) -> dict[str, Any]:
    """What an event says, without what is null or made of its journey."""
    table = result.snapshot.table("events")
    (row,) = table.filter(table.event_id == event_id).to_pandas().to_dict("records")
    row["occurred_at"] = str(row["occurred_at"])
    return {
        name: value
        for name, value in row.items()
        if value is not None and value == value and name not in PREPARED and name[:3] != "cx_"
    }


def reasons(result: BuildResult, table: str) -> dict[str, int]:
    """Why rows of a table could not be used, and how many."""
    frame = result.snapshot.table("rejects").to_pandas()
    frame = frame[frame["source"] == f"v_{table}"]
    return {str(k): int(v) for k, v in frame.groupby("reason")["rows"].sum().items()}
