"""Parts of the single view: each gives some of its columns, one row per customer it knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import ibis
import ibis.expr.types as ir

from cxlib.ingest.customers import believed
from cxlib.ingest.viewing.counting import count_running, steps_of
from cxlib.ingest.viewing.known import Known
from cxlib.ingest.viewing.subscriptions import TERMS, read_products, read_terms

__all__ = ["PARTS", "Part", "purchases"]

_DAY = 86_400
_LAST = "last_touchpoint_"


@dataclass(frozen=True, eq=False)
class Part:
    """Some columns of the single view.

    Attributes
    ----------
    types
        Ibis types of the columns, by name, or what gives them.
    read
        Table with ``customer_id`` and these columns; None where nothing says what they mean.
    empty
        Values of those that are not missing for a customer whom the table does not have.
    """

    types: Mapping[str, str] | Callable[[Known], Mapping[str, str]]
    read: Callable[[Known], ir.Table | None]
    empty: Mapping[str, int | float] = field(default_factory=dict)

    def columns(self, known: Known) -> Mapping[str, str]:
        """Names of the columns, with their types."""
        return self.types(known) if callable(self.types) else self.types

    def add(self, table: ir.Table, known: Known, names: list[str]) -> ir.Table:
        """Customers with these of the columns; as many rows."""
        found = self.read(known)
        types = self.columns(known)
        if found is None:
            return table.mutate(**{name: ibis.null(types[name]) for name in names})
        own = found.select(cx_customer="customer_id", **{name: found[name] for name in names})
        joined = table.left_join(own, table.customer_id == own.cx_customer).drop("cx_customer")
        filled = {name: value for name, value in self.empty.items() if name in names}
        return joined.mutate(**{name: joined[name].fill_null(v) for name, v in filled.items()})


def _ids(known: Known) -> ir.Table:
    records = known.identities
    named = records.mutate(cx_id=records.source + ":" + records.record_id)
    ids = named.cx_id.collect(order_by=named.cx_id)
    return named.group_by("customer_id").aggregate(ids=ids)


def _seen(known: Known) -> ir.Table:
    events = known.events
    return events.group_by("customer_id").aggregate(
        first_seen_at=events.occurred_at.min(),
        last_seen_at=events.occurred_at.max(),
        events=events.count(),
        stage=events.stage.argmax(events.cx_place, where=events.stage.notnull()),
    )


def purchases(known: Known) -> ir.Table:
    """Events that count as purchases: all of them where nothing says which do."""
    events = known.events
    if not known.meaning.buys:
        return events
    return events.filter(events.touchpoint.cast("string").isin(list(known.meaning.buys)))


def _purchases(known: Known) -> ir.Table:
    events = purchases(known)
    counted = events.group_by("customer_id").aggregate(
        cx_last=events.occurred_at.max(),
        frequency=events.count(),
        monetary=events["value"].sum().fill_null(0.0),
    )
    moment = ibis.literal(known.moment, type="timestamp")
    seconds = moment.epoch_seconds() - counted.cx_last.epoch_seconds()
    return counted.mutate(recency_days=(seconds / _DAY).floor().cast("float64"))


def _tickets(known: Known) -> ir.Table | None:
    meaning = known.meaning
    if not meaning.opens_ticket:
        return None
    keys = ["customer_id"] if meaning.ticket is None else ["customer_id", meaning.ticket]
    events = known.events
    if meaning.ticket is not None:
        events = events.filter(events[meaning.ticket].notnull())
    steps = steps_of(events, meaning.opens_ticket, meaning.closes_ticket, keys)
    if meaning.ticket is None:
        return count_running(steps, keys).rename(open_tickets="running")
    last = steps.group_by(keys).aggregate(cx_step=steps.cx_step.argmax(steps.cx_place))
    is_open = (last.cx_step == 1).cast("int64")
    return last.group_by("customer_id").aggregate(open_tickets=is_open.sum())


def _sentiment(known: Known) -> ir.Table:
    events = known.events.filter(known.events.sentiment.notnull())
    last = events.occurred_at.max().over(ibis.window(group_by="customer_id"))
    # From the customer's last one on: all weights shrink alike after it, and may not vanish.
    seconds = (last.epoch_seconds() - events.occurred_at.epoch_seconds()).cast("float64")
    half_lives = seconds / known.half_life.total_seconds()
    events = events.mutate(cx_weight=ibis.literal(0.5) ** half_lives)
    return events.group_by("customer_id").aggregate(
        latest_sentiment=events.sentiment.argmax(events.cx_place),
        decayed_sentiment=(events.sentiment * events.cx_weight).sum() / events.cx_weight.sum(),
        sentiments=events.count(),
    )


def _conflicts(known: Known) -> ir.Table:
    differ = known.conflicts()
    return differ.group_by("customer_id").aggregate(conflicts=differ.count())


def _attribute_types(known: Known) -> dict[str, str]:
    return {"consent": "string", **dict.fromkeys(_attribute_columns(known), "string")}


def _attribute_columns(known: Known) -> dict[str, str]:
    """Columns of the attributes: their names, where no other column has these."""
    others = {name for part in PARTS if not callable(part.types) for name in part.types}
    others |= {"customer_id", "as_of"} | ({"consent"} if known.meaning.consent else set())
    own = known.meaning.consent
    return {
        f"attribute_{name}" if name in others and name != own else name: name
        for name in known.attributes
    }


def _attributes(known: Known) -> ir.Table | None:
    if not known.attributes:
        return None
    table = believed(known.said, known.attributes)
    consent = known.meaning.consent
    columns = {column: table[name] for column, name in _attribute_columns(known).items()}
    given = ibis.null("string") if consent is None else table[consent]
    return table.select("customer_id", **{"consent": given, **columns})


def _department_types(known: Known) -> dict[str, str]:
    return {f"{_LAST}{name}": "string" for name in known.departments}


def _departments(known: Known) -> ir.Table:
    events = known.events
    name = events.touchpoint.cast("string")
    last = {
        f"{_LAST}{one}": name.argmax(events.cx_place, where=events.department == one)
        for one in known.departments
    }
    return events.group_by("customer_id").aggregate(**last)


PARTS = (
    Part({"ids": "array<string>"}, _ids),
    Part(
        {"first_seen_at": "timestamp", "last_seen_at": "timestamp", "events": "int64",
         "stage": "string"}, _seen, {"events": 0},
    ),
    Part(TERMS, read_terms),
    Part({"products": "array<string>"}, read_products),
    Part(
        {"recency_days": "float64", "frequency": "int64", "monetary": "float64"},
        _purchases, {"frequency": 0, "monetary": 0.0},
    ),
    Part({"open_tickets": "int64"}, _tickets, {"open_tickets": 0}),
    Part(
        {"latest_sentiment": "float64", "decayed_sentiment": "float64", "sentiments": "int64"},
        _sentiment, {"sentiments": 0},
    ),
    Part({"conflicts": "int64"}, _conflicts, {"conflicts": 0}),
    Part(_attribute_types, _attributes),
    Part(_department_types, _departments),
)  # fmt: skip
"""All of them, in the order of their columns."""
