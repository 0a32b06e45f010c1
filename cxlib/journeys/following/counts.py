"""How often each next step followed each context, counted once for all orders."""

from __future__ import annotations

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir
import pandas as pd

from cxlib.errors import CxError
from cxlib.journeys.log import Journeys, group_columns
from cxlib.tables import END, OPEN, START

__all__ = ["NEXT", "check_sizes", "context_columns", "count_moves"]

NEXT = "next_touchpoint"
_HASHES = 16**4


def count_moves(
    log: Journeys,
    depth: int,
    holdout: float,
    random_state: int,
    by: str | Sequence[str] | None = None,
    taken: Sequence[str] = (),
) -> tuple[pd.DataFrame, list[str]]:
    """Times that each next step followed each context of ``depth`` touchpoints."""
    if not 0 < holdout < 1:
        raise CxError(f"holdout is {holdout}, and must lie between 0 and 1, such as 0.2")
    backs = context_columns(depth)
    first, groups = group_columns(
        log.events.filter(log.events.step == 1), by, taken=[*taken, *backs]
    )
    # The same on every engine, unlike an engine's own hash.
    digest = (log.journeys.customer_id + f"/{random_state}").hexdigest("md5")
    journeys = log.journeys.select(
        "journey_id",
        "is_open",
        _path=log.journeys.path,
        _held_out=digest.substr(0, 4) < f"{round(holdout * _HASHES):04x}",
    )
    if groups:
        journeys = journeys.join(first.select("journey_id", *groups), "journey_id")
    rows = journeys.mutate(_at=ibis.range(0, journeys._path.length()).unnest())
    steps = rows.select(*groups, "_held_out", **_context(rows, depth), **{NEXT: _outcome(rows)})
    keys = [*groups, "_held_out", *backs, NEXT]
    frame = steps.group_by(keys).aggregate(count=steps.count()).to_pandas()
    return frame.astype({"count": "int64", "_held_out": "bool"}), groups


def context_columns(depth: int) -> list[str]:
    """Columns of a context, the oldest touchpoint first."""
    return [f"back_{place}" for place in range(depth, 0, -1)]


def _context(rows: ir.Table, depth: int) -> dict[str, ir.StringValue]:
    columns = {}
    for back, name in enumerate(reversed(context_columns(depth))):
        # greatest(), because an engine may look up the place before the start all the same.
        seen = rows._path[ibis.greatest(rows._at - back, 0)]
        columns[name] = ibis.ifelse(rows._at >= back, seen, START)
    return columns


def _outcome(rows: ir.Table) -> ir.StringValue:
    last = rows._path.length() - 1
    following = rows._path[ibis.least(rows._at + 1, last)]
    return ibis.ifelse(rows._at < last, following, ibis.ifelse(rows.is_open, OPEN, END))


def check_sizes(**sizes: int) -> None:
    """Raise for a number below 1, by the name of its parameter."""
    for name, size in sizes.items():
        if size < 1:
            raise CxError(f"{name} is {size}, and must be at least 1")
