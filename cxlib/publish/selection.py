"""Which journeys a dashboard counts: those of some customers, in some period."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

import ibis
import pandas as pd

from cxlib.engine.store import Snapshot
from cxlib.errors import unknown_name
from cxlib.journeys.log import Journeys
from cxlib.journeys.verbs import add_customer_columns, keep_journeys
from cxlib.models.segments import rfm_segments
from cxlib.plot.canvas import plain

if TYPE_CHECKING:
    import ibis.expr.types as ir

__all__ = ["LEAST", "Group", "Selection"]

LEAST = 10
"""Customers below which a group is not shown, so that nobody can be recognised."""

PERIODS = {"last 12 months": 365, "last 6 months": 182, "last 3 months": 91, "last month": 30}
"""Periods that a viewer may choose, in days before the end of the data."""

_NOT_GROUPS = {"customer_id", "first_seen_at", "last_seen_at", "events"}
_MOST_VALUES = 12  # of an attribute, in the list of groups
_MOST_DISTINCT = 40  # values of a column that still groups


@dataclass(frozen=True)
class Group:
    """Customers who share the value of an attribute.

    Examples
    --------
    >>> Group("plan", "pro", 1200).text
    'plan: pro (1,200)'
    """

    column: str
    value: Any
    customers: int

    @property
    def text(self) -> str:
        """How it is listed."""
        return f"{plain(self.column)}: {self.value} ({self.customers:,})"


@dataclass(frozen=True)
class Selection:
    """Journeys of a store, and parts of them.

    Parameters
    ----------
    store
        A snapshot.
    whole
        Its log.

    Examples
    --------
    >>> from cxlib import load_journeys, open_store
    >>> store = open_store("data/demo")
    >>> "plan" in Selection(store, load_journeys(store)).attributes
    True
    """

    store: Snapshot
    whole: Journeys

    @cached_property
    def touchpoints(self) -> list[str]:
        """Touchpoints of the log, the most frequent first."""
        counts = self.whole.events.touchpoint.value_counts(name="n").to_pandas()
        ordered = counts.sort_values(["n", "touchpoint"], ascending=[False, True])
        return [str(name) for name in ordered["touchpoint"]]

    @cached_property
    def attributes(self) -> list[str]:
        """Columns of the customers that group them: text or yes/no, with few values."""
        customers = self.store.table("customers")
        schema = customers.schema()
        names = [
            name
            for name in customers.columns
            if name not in _NOT_GROUPS and (schema[name].is_string() or schema[name].is_boolean())
        ]
        if not names:
            return []
        counts = customers.aggregate(**{name: customers[name].nunique() for name in names})
        distinct = counts.to_pandas().iloc[0]
        return [name for name in names if 2 <= distinct[name] <= _MOST_DISTINCT]

    @cached_property
    def groups(self) -> dict[str, Group]:
        """Groups that are large enough to be shown, by a name such as "plan:pro"."""
        found = {}
        customers = self.store.table("customers")
        for column in self.attributes:
            counts = customers[column].value_counts(name="n").to_pandas().dropna()
            counts = counts[counts["n"] >= LEAST]
            counts = counts.sort_values(["n", column], ascending=[False, True]).head(_MOST_VALUES)
            for value, n in zip(counts[column].tolist(), counts["n"].tolist(), strict=True):
                found[f"{column}:{value}"] = Group(column, value, n)
        return found

    @cached_property
    def first_start(self) -> datetime | None:
        """When the first journey started."""
        first = self.whole.journeys.started_at.min().to_pandas()
        return None if pd.isna(first) else pd.Timestamp(first).to_pydatetime()

    @cached_property
    def periods(self) -> list[str]:
        """Periods that are shorter than the data."""
        if self.first_start is None:
            return []
        days = (self.whole.observed_until - self.first_start).days
        return [name for name, length in PERIODS.items() if length < days]

    def journeys(self, group: str | None = None, period: str | None = None) -> Journeys:
        """Journeys of a group that started in a period; of all and ever for unknown names."""
        since = self._since(period)
        return self._kept(self.groups.get(str(group)), since, None)

    def before(self, group: str | None = None, period: str | None = None) -> Journeys | None:
        """The same for the period of equal length before, or None if the data do not go back."""
        since = self._since(period)
        if since is None or self.first_start is None:
            return None
        start = since - (self.whole.observed_until - since)
        if start < self.first_start:
            return None
        return self._kept(self.groups.get(str(group)), start, since)

    def grouped(self, by: str) -> Journeys:
        """The whole log with an attribute of the customers, or their RFM segment, on its events.

        Parameters
        ----------
        by
            One of ``attributes``, or "segment", as it was ``year_before``.
        """
        if by == "segment":
            facts = rfm_segments(self.whole, as_of=self.year_before)
        elif by in self.attributes:
            facts = self.store.table("customers")
        else:
            raise unknown_name("attribute", by, [*self.attributes, "segment"], "of the customers")
        log = self.whole
        if by in log.events.columns:
            # An event may have the fact of its own moment; here the customer's counts.
            log = replace(log, events=log.events.drop(by))
        return add_customer_columns(log, facts, columns=[by])

    @property
    def year_before(self) -> datetime:
        """A year before the end of the data, or their middle where they are shorter than two."""
        until, first = self.whole.observed_until, self.first_start or self.whole.observed_until
        day = until - min(timedelta(days=365), (until - first) / 2)
        return datetime(day.year, day.month, day.day)

    def _since(self, period: str | None) -> datetime | None:
        days = PERIODS.get(str(period))
        return None if days is None else self.whole.observed_until - timedelta(days=days)

    def _kept(
        self, group: Group | None, since: datetime | None, until: datetime | None
    ) -> Journeys:
        if group is None and since is None and until is None:
            return self.whole

        def holds(journeys: ir.Table) -> ir.BooleanValue:
            kept = ibis.literal(True)
            if since is not None:
                kept = kept & (journeys.started_at >= ibis.literal(since, type="timestamp"))
            if until is not None:
                kept = kept & (journeys.started_at < ibis.literal(until, type="timestamp"))
            if group is not None:
                customers = self.store.table("customers")
                members = customers.filter(customers[group.column] == group.value)
                kept = kept & journeys.customer_id.isin(members.customer_id)
            return kept

        return keep_journeys(self.whole, where=holds)
