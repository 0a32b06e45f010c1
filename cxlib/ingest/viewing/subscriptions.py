"""Subscriptions of a customer: whether one runs, since when, of what, until when."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from cxlib.ingest.meaning import TermColumn
from cxlib.ingest.viewing.counting import count_running, steps_of
from cxlib.ingest.viewing.known import Known

__all__ = ["TERMS", "read_products", "read_terms"]

_DAY = 86_400
TERMS = {
    "subscription": "string",
    "subscribed_at": "timestamp",
    "next_renewal_at": "timestamp",
    "tenure_days": "float64",
}
"""Columns of ``read_terms``, with their Ibis types."""


def read_terms(known: Known) -> ir.Table:
    """State, start, next renewal and tenure of subscriptions, one row per customer.

    Examples
    --------
    >>> from cxlib import open_store
    >>> from cxlib.ingest.viewing.known import known_at
    >>> known = known_at(open_store("data/demo"), "2024-07-01", None, None, "1 day")
    >>> sorted(read_terms(known).subscription.value_counts().to_pandas().dropna().subscription)
    ['active', 'ended']
    """
    meaning, events = known.meaning, known.events
    if not meaning.starts_subscription:
        first = events.group_by("customer_id").aggregate(cx_first=events.occurred_at.min())
        return first.select(
            "customer_id",
            subscription=ibis.null("string"),
            subscribed_at=ibis.null("timestamp"),
            next_renewal_at=ibis.null("timestamp"),
            tenure_days=_days(known, first.cx_first),
        )
    keys = ["customer_id"]
    steps = steps_of(events, meaning.starts_subscription, meaning.ends_subscription, keys)
    steps = steps.mutate(cx_months=_months(steps, known))
    begins = (steps.cx_step == 1) & (steps.cx_running == 1)
    state = steps.group_by(keys).aggregate(
        cx_running=steps.cx_running.argmax(steps.cx_place),
        cx_place=steps.cx_place.max(where=begins),
        cx_begun=steps.occurred_at.argmax(steps.cx_place, where=begins),
        cx_months=steps.cx_months.argmax(steps.cx_place, where=begins & steps.cx_months.notnull()),
    )
    runs = state.cx_running > 0
    begun = ibis.ifelse(runs, state.cx_begun.cast("timestamp"), ibis.null("timestamp"))
    state = state.mutate(
        subscription=ibis.ifelse(runs, "active", "ended"),
        subscribed_at=begun,
        tenure_days=_days(known, begun),
    )
    return _with_renewal(state, known).select("customer_id", *TERMS)


def read_products(known: Known) -> ir.Table:
    """Products that a customer has, as a list in order, one row per customer who has one.

    Examples
    --------
    >>> from cxlib import open_store
    >>> from cxlib.ingest.viewing.known import known_at
    >>> known = known_at(open_store("data/demo"), "2024-07-01", None, None, "1 day")
    >>> read_products(known).columns
    ('customer_id', 'products')
    """
    meaning = known.meaning
    events = known.events.filter(known.events["product"].notnull())
    keys = ["customer_id", "product"]
    if meaning.starts_subscription:
        steps = steps_of(events, meaning.starts_subscription, meaning.ends_subscription, keys)
        running = count_running(steps, keys)
        held = running.filter(running.running > 0)
    else:
        if meaning.buys:
            events = events.filter(events.touchpoint.cast("string").isin(list(meaning.buys)))
        held = events.select(*keys).distinct()
    products = held["product"].collect(order_by=held["product"])
    return held.group_by("customer_id").aggregate(products=products)


def _days(known: Known, since: ir.TimestampValue) -> ir.FloatingValue:
    moment = ibis.literal(known.moment, type="timestamp")
    return (moment.epoch_seconds() - since.epoch_seconds()) / _DAY


def _months(events: ir.Table, known: Known) -> ir.IntegerValue:
    """Length of the term that an event begins, in months."""
    term = known.meaning.term_months
    if isinstance(term, TermColumn):
        return events[term.column].cases(*term.map.items()).cast("int64")
    return ibis.null("int64") if term is None else ibis.literal(term, "int64")


def _with_renewal(state: ir.Table, known: Known) -> ir.Table:
    """Add ``next_renewal_at``, null where nothing runs or a term has no length."""
    if not known.meaning.renews:
        moment = ibis.literal(known.moment, type="timestamp")
        since = state.subscribed_at
        whole = (moment.year() - since.year()) * 12 + moment.month() - since.month()
        terms = ibis.greatest((whole / state.cx_months).floor().cast("int64"), 1)
        ends = _later(since, terms * state.cx_months)
        after = _later(since, (terms + 1) * state.cx_months)
        return state.mutate(next_renewal_at=ibis.ifelse(ends < moment, after, ends))
    events = known.events
    renewals = events.filter(events.touchpoint.cast("string").isin(list(known.meaning.renews)))
    due = known.meaning.due
    told = renewals.select(
        "customer_id",
        cx_at="cx_place",
        cx_due=ibis.null("timestamp") if due is None else renewals[due].try_cast("timestamp"),
    )
    joined = state.left_join(told, "customer_id").drop("customer_id_right")
    joined = joined.filter((joined.cx_at > joined.cx_place) | joined.cx_at.isnull())
    counted = joined.group_by("customer_id").aggregate(
        cx_terms=joined.cx_at.count(), cx_due=joined.cx_due.argmax(joined.cx_at)
    )
    state = state.left_join(counted, "customer_id").drop("customer_id_right")
    planned = _later(state.subscribed_at, (state.cx_terms.fill_null(0) + 1) * state.cx_months)
    after = ibis.ifelse(
        state.subscribed_at.notnull(), _later(state.cx_due, state.cx_months), ibis.null("timestamp")
    )
    return state.mutate(next_renewal_at=ibis.coalesce(after, planned))


def _later(moment: ir.TimestampValue, months: ir.IntegerValue) -> ir.TimestampValue:
    return (moment + months.as_interval("M")).cast("timestamp")
