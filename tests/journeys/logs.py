"""Small logs whose answers a reader can count by hand."""

from __future__ import annotations

import os
import random
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from typing import Any

import pandas as pd
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
_TABLES = count(1)
_SQL: dict[tuple[Any, ...], tuple[str, str, Journeys]] = {}
"""SQL that Ibis wrote for logs of the same columns: to write it takes longer than the query."""


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
    name = f"events_{next(_TABLES)}"
    table = con.create_table(name, frame)
    log = partial(
        journeys_from_frame, table, observed_until=observed_until, closes_after=closes_after
    )
    if con.name != "duckdb":
        # Otherwise the events would be prepared again for each query.
        return materialize(log())
    key = (table.schema(), observed_until, closes_after)
    if key not in _SQL:
        lazy = log()
        prepared = con.create_table(f"{name}_prepared", lazy.events)
        queries = (con.compile(lazy.events), con.compile(journey_table(prepared)))
        _SQL[key] = (*(query.replace(name, "events_0") for query in queries), lazy)
        con.drop_table(f"{name}_prepared")
    return _held(con, name, *_SQL[key])


def _held(con, name: str, events: str, journeys: str, like: Journeys) -> Journeys:
    """Log that an engine has written by the SQL of another one with the same columns."""
    tables = {"events": f"{name}_prepared", "journeys": f"{name}_journeys"}
    for (part, table), query in zip(tables.items(), (events, journeys), strict=True):
        con.raw_sql(f"CREATE TABLE {table} AS {query.replace('events_0', name)}")
        tables[part] = con.table(table)
    return replace(like, **tables)


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
