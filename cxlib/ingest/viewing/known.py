"""What was known at a date: events, facts and records, each with the customer of that date."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
from pydantic import ValidationError

from cxlib.engine.store import Snapshot, open_store
from cxlib.errors import CxError, unknown_name
from cxlib.ingest.facts import conflicts_among, known_by, ranked
from cxlib.ingest.meaning import RULES, Meaning, Survivorship
from cxlib.spans import parse_moment, parse_span

__all__ = ["Known", "known_at"]

_MOST_DEPARTMENTS = 100


@dataclass(frozen=True)
class Known:
    """What a store knew at a moment.

    Attributes
    ----------
    store
        The snapshot.
    moment
        As of when, UTC.
    cut
        What is not strictly before it does not count; None: everything counts.
    meaning, rules
        How touchpoints are read, and which records are believed.
    half_life
        Span after which a sentiment counts half.
    """

    store: Snapshot
    moment: datetime
    cut: datetime | None
    meaning: Meaning
    rules: Survivorship
    half_life: timedelta

    @property
    def attributes(self) -> list[str]:
        """Names of the attributes, in order."""
        return list(self.store.meta["single_view"]["attributes"])

    @cached_property
    def departments(self) -> list[str]:
        """Departments that any customer had met, in order."""
        met = self.events.select("department").distinct().limit(_MOST_DEPARTMENTS + 1)
        names = met.to_pandas()["department"].dropna().tolist()
        if len(names) > _MOST_DEPARTMENTS:
            raise CxError(
                f"the events have more than {_MOST_DEPARTMENTS} departments, and each would be a "
                "column; map them to fewer in sources.yml"
            )
        return sorted(names)

    @cached_property
    def events(self) -> ir.Table:
        """Events before the moment, with the customer that they had then."""
        events = self._before(self.store.table("events"), "occurred_at")
        if self.cut is None:
            return events
        early = self.store.table("early_events")
        late = early.filter(early.known_at >= self._literal())
        late = late.select("event_id", cx_then="customer_id")
        return self._then(events.left_join(late, "event_id").drop("event_id_right"))

    @cached_property
    def identities(self) -> ir.Table:
        """Records that stood in a system, with the customer that they had then."""
        records = self._before(self.store.table("identities"), "recorded_at")
        if self.cut is None:
            return records
        own = records.source + ":" + records.record_id
        late = records.known_at >= self._literal()
        return self._then(records.mutate(cx_then=ibis.ifelse(late, own, ibis.null("string"))))

    @cached_property
    def said(self) -> ir.Table:
        """What each record said of its customer, and how it ranks."""
        facts = known_by(self.store.table("facts"), self.cut, self.rules.lasting)
        if self.cut is not None:
            own = self.store.table("identities")
            own = own.filter(own.known_at >= self._literal())
            own = own.select("source", "record_id", cx_then=own.source + ":" + own.record_id)
            joined = facts.left_join(own, ["source", "record_id"])
            facts = self._then(joined.drop("source_right", "record_id_right"))
        view = self.store.meta["single_view"]
        return ranked(facts, self.rules, view["sources"], view["registers"])

    def conflicts(self) -> ir.Table:
        """Attributes on which the records of a customer differ."""
        return conflicts_among(self.said)

    def people(self) -> ir.Table:
        """Everybody who was known, once."""
        dated = self.said.valid_from.notnull()
        said = self.said if self.cut is None else self.said.filter(dated)
        tables = [table.select("customer_id") for table in (self.events, self.identities, said)]
        return ibis.union(*tables, distinct=True)

    def _before(self, table: ir.Table, time: str) -> ir.Table:
        # < not <=: what happens at the moment belongs to the time after it.
        return table if self.cut is None else table.filter(table[time] < self._literal())

    def _then(self, table: ir.Table) -> ir.Table:
        customer = ibis.coalesce(table.cx_then, table.customer_id)
        return table.mutate(customer_id=customer).drop("cx_then")

    def _literal(self) -> ir.TimestampScalar:
        return ibis.literal(self.moment, type="timestamp")


def known_at(
    store: Snapshot | str | Path,
    as_of: str | date | datetime | None,
    rule: str | None,
    meaning: Mapping[str, Any] | None,
    half_life: str | timedelta,
) -> Known:
    """What a store knew at a moment, by the rules of its ``sources.yml`` or by others.

    Parameters
    ----------
    store, as_of, rule, meaning, half_life
        As for ``customers``.

    Returns
    -------
    Known
        Lazy: nothing has been read yet.

    Raises
    ------
    CxError
        As for ``customers``.

    Examples
    --------
    >>> from cxlib import open_store
    >>> known_at(open_store("data/demo"), "2024-07-01", None, None, "90 days").cut
    datetime.datetime(2024, 7, 1, 0, 0)
    """
    store = open_store(store)
    until = parse_moment(store.meta["observed_until"])
    cut = None if as_of is None else parse_moment(as_of)
    if cut is not None and cut > until:
        raise CxError(
            f"as_of {cut.isoformat()} is after observed_until {until.isoformat()}: "
            "what happened between is not known; give an earlier one"
        )
    if "single_view" not in store.meta:
        raise CxError(f"an older cxlib built the snapshot {store.id!r}; build the store again")
    view = store.meta["single_view"]
    rules = Survivorship.model_validate(view["survivorship"])
    if rule is not None:
        if rule not in RULES:
            raise unknown_name("rule", rule, RULES, "of survivorship")
        rules = rules.model_copy(update={"rule": rule})
    span = parse_span(half_life)
    if not span:
        raise CxError("the half-life is empty; give a length of time such as '90 days'")
    read = _read(view["meaning"], meaning or {}, view["attributes"], store)
    return Known(store, cut or until, cut, read, rules, span)


def _read(
    stored: Mapping[str, Any], given: Mapping[str, Any], attributes: list[str], store: Snapshot
) -> Meaning:
    for word in given:
        if word not in Meaning.model_fields:
            raise unknown_name("word", word, Meaning.model_fields, "of meaning")
    try:
        read = Meaning.model_validate({**stored, **given})
    except ValidationError as error:
        said = error.errors()[0]
        where = ".".join(str(part) for part in said["loc"])
        message = said["msg"].removeprefix("Value error, ")
        raise CxError(f"meaning{': ' + where if where else ''}: {message}") from error
    if given:
        events = store.table("events")
        found = events.touchpoint.cast("string").name("touchpoint")
        known = events.select(found).distinct().to_pandas()["touchpoint"].tolist()
        read.check(attributes, events.columns, known)
    return read
