"""Small logs whose answers a reader can count by hand."""

from __future__ import annotations

import os
import random
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from heapq import heappop, heappush
from itertools import count
from typing import Any
from weakref import finalize

import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from cxlib.journeys.frames import journeys_from_frame
from cxlib.journeys.log import Journeys
from cxlib.journeys.prepare import journey_table
from cxlib.journeys.verbs import materialize

DAY_ONE = datetime(2024, 1, 1)

EXAMPLES = int(os.environ.get("CXLIB_EXAMPLES", "4"))
"""Examples of a property whose check takes queries; more of them search longer."""

few_examples = settings(
    # A query takes some 50 ms however small its table is, and on Spark (--engine) a second.
    max_examples=min(EXAMPLES, settings.default.max_examples),
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
_NUMBERS = count(1)
_FREE: list[int] = []
"""Numbers of logs that are gone: for tables of equal names the SQL is there (tests/sql.py)."""


def rows_of(paths: dict[str, str], **columns: Any) -> list[dict[str, Any]]:
    """Events of customers: ``{"a": "visit buy@30"}`` has a visit at hour 0 and a purchase at 30.

    Without ``@`` an event is an hour after the one before it. An event id is the customer and the
    position, so that equal times keep the order in which they are written.
    """
    rows = []
    for customer, path in paths.items():
        hour = -1.0
        for position, word in enumerate(path.split()):
            touchpoint, _, at = word.partition("@")
            hour = float(at) if at else hour + 1
            rows.append(
                {
                    "event_id": f"{customer}-{position:03}",
                    "customer_id": customer,
                    "occurred_at": DAY_ONE + timedelta(hours=hour),
                    "touchpoint": touchpoint,
                    **columns,
                }
            )
    return rows


def log_of(
    con,
    rows: dict[str, str] | Iterable[dict[str, Any]],
    observed_until: Any = "2024-03-01",
    closes_after: Any = "7 days",
) -> Journeys:
    """Log on the engine of ``con``."""
    records = rows_of(rows) if isinstance(rows, dict) else list(rows)
    frame = pd.DataFrame(records)
    frame["occurred_at"] = frame["occurred_at"].astype("datetime64[us]")
    empty = [name for name in frame if frame[name].isna().all()]
    # An engine cannot hold a column without a type.
    frame = frame.astype(dict.fromkeys(empty, "string"))
    number = heappop(_FREE) if _FREE else next(_NUMBERS)
    raw, events, journeys = (f"{name}_{number}" for name in ("raw", "events", "journeys"))
    if con.name != "duckdb":
        log = journeys_from_frame(
            con.create_table(raw, frame), observed_until=observed_until, closes_after=closes_after
        )
        # Otherwise the events would be prepared again for each query.
        return materialize(log)
    con.con.register("frame", pa.Table.from_pandas(frame, preserve_index=False))
    table = _hold(con, raw, "FROM frame")
    log = journeys_from_frame(table, observed_until=observed_until, closes_after=closes_after)
    held = _hold(con, events, con.compile(log.events))
    log = replace(log, events=held, journeys=_hold(con, journeys, con.compile(journey_table(held))))
    _free_when_gone(number, log)
    return log


def _hold(con, name: str, query: str) -> ir.Table:
    """Table of what a query gives: to make it by Ibis takes ten times as long."""
    con.raw_sql(f"CREATE OR REPLACE TABLE {name} AS {query}")
    return con.table(name, database=("memory", "main"))


def _free_when_gone(number: int, log: Journeys) -> None:
    """Give the number of a log to another one, once no expression refers to its tables."""
    alive = {"events", "journeys"}

    def gone(name: str) -> None:
        alive.discard(name)
        if not alive:
            heappush(_FREE, number)

    for name in ("events", "journeys"):
        finalize(getattr(log, name).op(), gone, name)


def events_of(log: Journeys, *columns: str) -> list[tuple[Any, ...]]:
    """Events in the order of their ids, as tuples without missing-value marks."""
    frame = log.events.order_by("event_id").select(*columns).to_pandas().astype(object)
    return list(frame.where(frame.notna(), None).itertuples(index=False, name=None))


@st.composite
def random_rows(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Up to a few dozen events of a few customers, many of them at the same time."""
    touchpoints, channels = ["ask", "buy", "visit", "leave"], ["web", "app", None]
    size = draw(st.integers(1, 25))
    rows = []
    for position in range(size):
        rows.append(
            {
                "event_id": f"{position:03}",
                "customer_id": draw(st.sampled_from(["a", "b", "c", "d"])),
                "occurred_at": DAY_ONE + timedelta(hours=draw(st.integers(0, 20))),
                "touchpoint": draw(st.sampled_from(touchpoints)),
                "channel": draw(st.sampled_from(channels)),
            }
        )
    return draw(st.randoms(use_true_random=False).map(lambda r: _shuffled(rows, r)))


def _shuffled(rows: list[dict[str, Any]], generator: random.Random) -> list[dict[str, Any]]:
    return generator.sample(rows, len(rows))


def paths_by_hand(rows: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Each customer's events in order, in plain Python."""
    ordered = sorted(rows, key=lambda row: (row["occurred_at"], row["event_id"]))
    customers = sorted({row["customer_id"] for row in ordered})
    return {name: [row for row in ordered if row["customer_id"] == name] for name in customers}
