"""Small logs over days, and how tests of periods look at them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from cxlib.journeys.log import Journeys
from tests.journeys.logs import DAY_ONE, log_of, rows_of

DAYS = {"a": "join@1 buy@2 buy@25 buy@73", "b": "join@3 buy@80", "c": "join@30"}
"""a buys in days 0, 1 and 3, b in day 3, and c joins in day 1."""


def posthog_case(
    con, shared: Path, name: str, observed_until: str
) -> tuple[Journeys, dict[str, Any]]:
    """Log and answers of one of PostHog's cases."""
    folder = shared / "cases" / "journeys"
    frame = pd.read_csv(folder / f"{name}.csv", parse_dates=["timestamp"])
    frame = frame.rename(columns={"event": "touchpoint", "timestamp": "occurred_at"})
    frame["event_id"] = [f"{position:02}" for position in range(len(frame))]
    log = log_of(con, frame.to_dict("records"), observed_until=observed_until)
    return log, json.loads((folder / f"{name}.json").read_text())


def days_log(con, **columns: Any) -> Journeys:
    """Log of ``DAYS``: a purchase is worth 10, and the last day is half over."""
    rows = rows_of(DAYS, **columns)
    for row in rows:
        row["value"] = 10.0 if row["touchpoint"] == "buy" else None
    return log_of(con, rows, observed_until="2024-01-04T12:00:00")


def spread(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows over 20 days instead of 20 hours."""
    return [{**row, "occurred_at": DAY_ONE + 24 * (row["occurred_at"] - DAY_ONE)} for row in rows]


def cells(frame: pd.DataFrame, *columns: str) -> list[tuple[Any, ...]]:
    """Rows of some columns, as tuples."""
    return list(frame[list(columns)].itertuples(index=False, name=None))
