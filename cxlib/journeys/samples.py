"""Single events, where a reader must see them: those of one customer, or of a bounded sample."""

from __future__ import annotations

import warnings

import ibis
import pandas as pd

from cxlib.errors import CxError, CxWarning
from cxlib.journeys.log import Journeys

__all__ = ["customer_timeline", "sample_events"]

MOST_EVENTS = 20_000
MOST_CUSTOMERS = 1_000
_SHOWN = [
    *("customer_id", "event_id", "journey_id", "step", "occurred_at", "touchpoint"),
    *("channel", "stage", "department", "product", "layer", "sentiment", "value", "is_open"),
]
_HOUR, _DAY = pd.Timedelta(hours=1), pd.Timedelta(days=1)


def customer_timeline(
    log: Journeys, customer_id: str, *, most_events: int = MOST_EVENTS
) -> pd.DataFrame:
    """Events of one customer, in order.

    Parameters
    ----------
    log
        The log.
    customer_id
        The customer.
    most_events
        Rows to give at most, the latest ones; up to 20,000.

    Returns
    -------
    pandas.DataFrame
        One row per event: ``customer_id``, ``event_id``, ``journey_id`` (text), ``step`` int64 (in
        its journey), ``occurred_at`` (datetime64, UTC), ``touchpoint``, ``channel``, ``stage``,
        ``department``, ``product`` and ``layer`` (text; missing ones are None), ``sentiment`` and
        ``value`` float64, ``is_open`` boolean (its journey goes on at ``observed_until``),
        ``wait_hours`` float64 (hours since the customer's event before; NaN for the first row), and
        ``events`` int64 (those of the customer, whether given or not).

    Raises
    ------
    CxError
        For a customer without events in the log, or more rows than may be given.

    Warns
    -----
    CxWarning
        When the customer has more events than are given.

    Notes
    -----
    This is one of two measures that take single events out of the engine; the other is
    ``sample_events``. Both have a bound.

    Examples
    --------
    >>> from cxlib import journeys_from_frame
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a", "a", "b"], "touchpoint": ["visit", "buy", "visit"],
    ...      "occurred_at": ["2024-01-01T10", "2024-01-01T12", "2024-01-02"]},
    ...     observed_until="2024-03-01", closes_after="7 days",
    ... )
    >>> customer_timeline(log, "a")[["step", "touchpoint", "wait_hours", "events"]]
       step touchpoint  wait_hours  events
    0     1      visit         NaN       2
    1     2        buy         2.0       2
    """
    _check_bound("most_events", most_events, MOST_EVENTS)
    own = log.events.filter(log.events.customer_id == str(customer_id))
    events = int(own.count().to_pandas())
    if not events:
        raise CxError(
            f"there is no customer {customer_id!r} in the log; "
            "take an id from log.journeys.customer_id"
        )
    latest = own.order_by([ibis.desc("occurred_at"), ibis.desc("event_id")]).limit(most_events)
    frame = latest.select(_SHOWN).to_pandas()
    if events > len(frame):
        warnings.warn(
            f"the customer {customer_id!r} has {events:,} events, of which these are the latest "
            f"{len(frame):,}",
            CxWarning,
            stacklevel=2,
        )
    frame = frame.sort_values(["occurred_at", "event_id"], ignore_index=True)
    frame["wait_hours"] = frame["occurred_at"].diff() / _HOUR
    return _typed(frame).assign(events=events)


def sample_events(
    log: Journeys,
    *,
    customers: int = 200,
    random_state: int = 0,
    most_events: int = MOST_EVENTS,
) -> pd.DataFrame:
    """All events of a random sample of customers.

    Parameters
    ----------
    log
        The log.
    customers
        Customers to draw, up to 1,000.
    random_state
        Another number draws other customers.
    most_events
        Events to give at most, up to 20,000: customers are taken whole, in the order of the draw,
        for as long as their events fit.

    Returns
    -------
    pandas.DataFrame
        One row per event, by customer and time: the columns of ``customer_timeline`` up to
        ``is_open``, then ``since_start_days`` float64 (days since the customer's first event),
        ``sampled`` int64 (customers in the sample) and ``customers`` int64 (customers in the log).

    Raises
    ------
    CxError
        For more customers or events than may be drawn, or fewer than one.

    Notes
    -----
    A customer is drawn by a hash of their id and ``random_state``: the same ones on every engine,
    whatever the order of the rows, and largely the same ones after new data. Each customer is
    equally likely to come, unless ``most_events`` ends the draw: then a customer with very many
    events may be the one who did not fit.

    Examples
    --------
    >>> from cxlib import journeys_from_frame
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a", "a", "b"], "touchpoint": ["visit", "buy", "visit"],
    ...      "occurred_at": ["2024-01-01T00", "2024-01-02T12", "2024-01-02"]},
    ...     observed_until="2024-03-01", closes_after="7 days",
    ... )
    >>> columns = ["customer_id", "touchpoint", "since_start_days", "sampled", "customers"]
    >>> sample_events(log, customers=1)[columns]
      customer_id touchpoint  since_start_days  sampled  customers
    0           a      visit               0.0        1          2
    1           a        buy               1.5        1          2
    """
    _check_bound("customers", customers, MOST_CUSTOMERS)
    _check_bound("most_events", most_events, MOST_EVENTS)
    events = log.events
    each = events.group_by("customer_id").aggregate(n=events.count())
    # The engines' own hashes differ; a digest is the same everywhere.
    draw = (ibis.literal(f"{random_state}/") + each.customer_id).hexdigest("md5")
    drawn = each.mutate(draw=draw).order_by(["draw", "customer_id"]).limit(customers).to_pandas()
    fits = drawn["n"].cumsum() <= most_events
    # A single customer with more events than that would leave nothing to see.
    chosen = drawn.loc[fits, "customer_id"].tolist() or drawn["customer_id"].head(1).tolist()
    kept = events.filter(events.customer_id.isin(chosen)) if chosen else events.limit(0)
    frame = kept.select(_SHOWN).order_by(["customer_id", "occurred_at", "event_id"])
    frame = frame.limit(most_events).to_pandas()
    start = frame.groupby("customer_id")["occurred_at"].transform("min")
    frame["since_start_days"] = (frame["occurred_at"] - start) / _DAY
    whole = int(each.count().to_pandas())
    frame = frame.sort_values(["customer_id", "occurred_at", "event_id"], ignore_index=True)
    return _typed(frame).assign(sampled=len(chosen), customers=whole)


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    """Missing text as None and missing numbers as NaN, whatever the engine gave."""
    for name in ("channel", "stage", "department", "product", "layer"):
        frame[name] = [None if pd.isna(value) else value for value in frame[name]]
        frame[name] = frame[name].astype("object")
    return frame.astype({"step": "int64", "sentiment": "float64", "value": "float64"})


def _check_bound(name: str, given: int, most: int) -> None:
    if not 1 <= given <= most:
        raise CxError(f"{name} is {given}, and must be 1 to {most:,}")
