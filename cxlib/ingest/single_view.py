"""The single view: one row per customer with what was known of them at a date."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import pandas as pd

from cxlib.engine.store import Snapshot
from cxlib.errors import unknown_name
from cxlib.ingest.viewing.known import known_at
from cxlib.ingest.viewing.parts import PARTS, purchases
from cxlib.tables import warn_of_currencies

__all__ = ["conflicts", "customer_table", "customers"]


def customers(
    store: Snapshot | str | Path,
    *,
    as_of: str | date | datetime | None = None,
    rule: str | None = None,
    meaning: Mapping[str, Any] | None = None,
    half_life: str | timedelta = "90 days",
    columns: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Customers with all that was known of them at a date, from every system.

    Parameters
    ----------
    store
        What ``open_store`` gives, or a workspace.
    as_of
        Only what happened and was known strictly before this moment (UTC) counts; everything that
        the store holds when not given.
    rule
        Which record gives an attribute on which a customer's records differ: ``"most_trusted"``
        (the first source in the order of ``trust:``, then of ``sources.yml``), ``"newest"`` or
        ``"most_complete"`` (the record that says most). As ``survivorship:`` in ``sources.yml``
        says when not given; what it says of single attributes stays.
    meaning
        Words of ``meaning:`` in ``sources.yml``, to be used in place of what stands there, such as
        ``{"opens_ticket": ["opened_ticket"], "closes_ticket": ["got_solution"]}``.
    half_life
        Span after which a sentiment counts half.
    columns
        Columns to give, for fewer and quicker ones; all when not given.

    Returns
    -------
    pandas.DataFrame
        One row per customer, by ``customer_id``:

        - ``customer_id`` (text), ``as_of`` (datetime, UTC), ``ids`` (list of text: "source:id" of
          every record, in order);
        - ``first_seen_at``, ``last_seen_at`` (datetime, UTC), ``events`` int64, ``stage`` (text: of
          the latest event that has one);
        - ``subscription`` ("active" or "ended"; missing: never had one), ``subscribed_at``
          (datetime: start of the time without a break that goes on), ``next_renewal_at``
          (datetime), ``tenure_days`` float64, ``products`` (list of text);
        - ``recency_days`` float64 (whole days since the last purchase), ``frequency`` int64
          (purchases), ``monetary`` float64 (sum of their values);
        - ``open_tickets`` Int64;
        - ``latest_sentiment``, ``decayed_sentiment`` float64 (-1 to 1), ``sentiments`` int64
          (events that have one);
        - ``consent`` (text), ``conflicts`` int64 (attributes on which records differ), and a text
          column per attribute (``attribute_stage`` for one that is called as another column);
        - ``last_touchpoint_<department>`` (text) for each department that any customer had met.

    Raises
    ------
    CxError
        For an ``as_of`` after ``observed_until``, and an unknown rule, column or word of
        ``meaning``.

    Notes
    -----
    **Who.** Everybody who has an event or a fact before ``as_of``, or a record; without ``as_of``
    also those of whom no time is known at all.

    **Since when.** An event is known when it happens, a fact from its ``valid_from``, and a record
    from the earliest time that stands in it or in one that refers to it. What has no time is known
    at the end of the records, and not before; attributes that ``survivorship: lasting:`` names are
    known as soon as their record is. A link between records counts from when it was known: before,
    events of a visitor who had not signed in belong to the visitor, who is a row named by source
    and id. Two things are learned from the whole store, and so know more than was known: how
    records of different systems were linked by the model, and the calibration of texts.

    **Subscriptions.** A start opens one, an end closes one that was open; an end with none open is
    ignored. A customer is active while one is open. ``products`` are those with more starts than
    ends in this sense; where no start is named, those of all purchases. ``tenure_days`` counts from
    ``subscribed_at``; where no start is named, from the first event.

    **Renewal.** Terms are counted from ``subscribed_at``, by calendar months: the next renewal is
    the end of the term after the last recorded renewal, so it may lie before ``as_of`` where nobody
    decided. With ``due`` it is counted from the day on which the last renewal was due. Where no
    renewal is named, it is the first end of a term at or after ``as_of``.

    **Tickets.** Opened and closed as subscriptions are. With ``ticket``, a column with the number
    of the ticket, one is open when its last opening comes after its last closing, and events
    without a number are ignored.

    **Sentiment.** The decayed one is the mean of all, weighted by 0.5 to the power of their age in
    half-lives. It does not matter from when ages are counted.

    **Missing.** What ``sources.yml`` gives no meaning is missing, and not 0. Without ``buys`` every
    event counts as a purchase. Values are added up whatever their currency, with a warning where
    there are several.

    Examples
    --------
    >>> from cxlib import open_store
    >>> view = customers(open_store("data/demo"), as_of="2024-07-01",
    ...                  columns=["subscription", "open_tickets"])
    >>> sorted(view.subscription.dropna().unique())
    ['active', 'ended']
    """
    table = customer_table(
        store, as_of=as_of, rule=rule, meaning=meaning, half_life=half_life, columns=columns
    )
    frame = table.order_by("customer_id").to_pandas()
    floats = {name for name in ("tenure_days", "recency_days") if name in frame}
    frame = frame.astype(dict.fromkeys(floats, "float64"))
    return frame.astype({"open_tickets": "Int64"}) if "open_tickets" in frame else frame


def customer_table(
    store: Snapshot | str | Path,
    *,
    as_of: str | date | datetime | None = None,
    rule: str | None = None,
    meaning: Mapping[str, Any] | None = None,
    half_life: str | timedelta = "90 days",
    columns: Sequence[str] | None = None,
) -> ir.Table:
    """Customers with all that was known of them at a date, left in the engine.

    Parameters
    ----------
    store, as_of, rule, meaning, half_life, columns
        As for ``customers``.

    Returns
    -------
    ibis.expr.types.Table
        Lazy, with the rows and columns of ``customers`` in no order: to filter, join or count where
        customers are too many for a frame.

    Raises
    ------
    CxError
        As for ``customers``.

    Examples
    --------
    >>> from cxlib import open_store
    >>> view = customer_table(open_store("data/demo"), as_of="2024-07-01")
    >>> int(view.filter(view.open_tickets > 0).count().to_pandas()) > 0
    True
    """
    known = known_at(store, as_of, rule, meaning, half_life)
    offered = {name: part for part in PARTS for name in part.columns(known)}
    for name in columns or ():
        if name not in ("customer_id", "as_of", *offered):
            raise unknown_name("column", name, offered, "in the single view")
    wanted = [name for name in (offered if columns is None else columns) if name in offered]
    if "monetary" in wanted:
        warn_of_currencies(purchases(known))
    table = known.people()
    for part in dict.fromkeys(offered[name] for name in wanted):
        names = [name for name in part.columns(known) if name in wanted]
        table = part.add(table, known, names)
    moment = ibis.literal(known.moment, type="timestamp")
    return table.select("customer_id", as_of=moment, **{name: table[name] for name in wanted})


def conflicts(
    store: Snapshot | str | Path,
    *,
    as_of: str | date | datetime | None = None,
    rule: str | None = None,
) -> pd.DataFrame:
    """Attributes on which the records of a customer differ, and what was chosen.

    Parameters
    ----------
    store, as_of, rule
        As for ``customers``.

    Returns
    -------
    pandas.DataFrame
        One row per customer and attribute with more than one value, by both: ``customer_id``,
        ``attribute``, ``values`` and ``sources`` (lists of equal length: who says what, the chosen
        one first), ``chosen`` and ``rule`` (text).

    Raises
    ------
    CxError
        For an ``as_of`` after ``observed_until``, and an unknown rule.

    Notes
    -----
    Each record speaks once, with the last that it said. Where the rows of a source are not
    customers' own records (they refer to another source, or have no id), those of a customer
    follow one another: a value that came later is a change, and no conflict.

    Examples
    --------
    >>> from cxlib import open_store
    >>> found = conflicts(open_store("data/demo"))
    >>> bool((found["values"].map(len) > 1).all())
    True
    """
    known = known_at(store, as_of, rule, None, "1 day")
    return known.conflicts().order_by("customer_id", "attribute").to_pandas()
