"""What is counted once when a log is stored, so that distinct customers and journeys are sums."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from cxlib.tables import CONTRACTS

__all__ = ["COUNTED", "OF_STEPS", "count_ahead", "count_on", "drop_counted", "is_counted"]

COUNTED = tuple(CONTRACTS["counted_events"])
OF_STEPS = ("cx_alone", "cx_new_to_journey", "cx_new_to_customer")
"""Those that hold while every event keeps its step."""
_OF_CUSTOMERS = ("cx_new_to_customer",)


def count_ahead(events: ir.Table, *, first_number: int = 1, consecutive: bool = False) -> ir.Table:
    """Events of a log to be stored, with what makes distinct customers and journeys a sum.

    Parameters
    ----------
    events
        What ``prepare_events`` gives.
    first_number
        Number of the first customer, for a log that is written in parts. Customers who have a
        number (``cx_customer``) keep it.
    consecutive
        Whether the journeys of a customer follow one another, as numbered ones do: moves are then
        new in the order of time, so that later events leave this as it was.

    Returns
    -------
    ibis.expr.types.Table
        One row per event, with the columns of the contract "counted_events" that it lacked:
        ``cx_customer`` int64, ``cx_alone``, ``cx_new_to_journey`` and
        ``cx_new_to_customer`` boolean.

    Notes
    -----
    A move is a touchpoint with the one that follows it. To count the customers who make a move,
    count its rows that are new to their customer. This holds while customers are whole; the verbs
    drop what no longer holds, and a measure that finds nothing counts the ids.

    Examples
    --------
    >>> from datetime import datetime
    >>> from cxlib.journeys.prepare import prepare_events
    >>> events = ibis.memtable({
    ...     "event_id": ["1", "2", "3"], "customer_id": ["a"] * 3, "touchpoint": ["x", "x", "x"],
    ...     "occurred_at": [datetime(2024, 1, day) for day in (1, 2, 3)],
    ... })
    >>> events = prepare_events(events, observed_until=datetime(2024, 2, 1), closes_after=None)
    >>> counted = count_ahead(events).order_by("cx_place")
    >>> counted.select("step", "next_touchpoint", "cx_customer", "cx_new_to_journey").to_pandas()
       step next_touchpoint  cx_customer  cx_new_to_journey
    0     1               x            1               True
    1     2               x            1              False
    2     3          (open)            1               True
    """
    if "cx_customer" not in events.columns:
        customers = events.select("customer_id").distinct()
        number = ibis.row_number().over(ibis.window(order_by="customer_id")) + first_number
        numbers = customers.mutate(cx_customer=number.cast("int64"))
        events = events.join(numbers, "customer_id")
    # Journeys that overlap are taken one by one.
    order = ["cx_place"] if consecutive else ["journey_id", "step"]
    move = ["cx_customer", "touchpoint", "next_touchpoint"]
    in_turn = ibis.window(group_by=move, order_by=order)
    before = events.journey_id.lag().over(in_turn)
    same_step = ibis.window(group_by=["cx_customer", "step"])
    return events.mutate(
        cx_alone=events.count().over(same_step) == 1,
        cx_new_to_journey=(before != events.journey_id).fill_null(True),
        cx_new_to_customer=before.isnull(),
    )


def count_on(counted: ir.Table, longest_before: ir.Table, moves_before: ir.Table) -> ir.Table:
    """What ``count_ahead`` says of a customer's last journeys, where others went before them.

    Parameters
    ----------
    counted
        What ``count_ahead`` gives for the last journeys of each customer, which are consecutive.
    longest_before
        ``cx_customer`` and ``cx_longest``: the length of the customer's longest journey before.
    moves_before
        ``cx_customer``, ``touchpoint``, ``next_touchpoint``: each move that the customer made
        before, once.

    Returns
    -------
    ibis.expr.types.Table
        The same rows, with ``cx_alone`` and ``cx_new_to_customer`` as in the whole log.

    Examples
    --------
    >>> counted = ibis.memtable({
    ...     "cx_customer": [1, 1], "step": [1, 2], "touchpoint": ["x", "y"],
    ...     "next_touchpoint": ["y", "(end)"], "cx_alone": [True] * 2,
    ...     "cx_new_to_customer": [True] * 2,
    ... })
    >>> longest = ibis.memtable({"cx_customer": [1], "cx_longest": [1]})
    >>> moves = ibis.memtable({"cx_customer": [1], "touchpoint": ["x"], "next_touchpoint": ["y"]})
    >>> on = count_on(counted, longest, moves).order_by("step")
    >>> on.select("cx_alone", "cx_new_to_customer").to_pandas()
       cx_alone  cx_new_to_customer
    0     False               False
    1      True                True
    """
    before = moves_before.mutate(cx_made=True)
    rows = counted.left_join(longest_before, "cx_customer").drop("cx_customer_right")
    rows = rows.left_join(before, ["cx_customer", "touchpoint", "next_touchpoint"])
    return rows.select(
        **{name: rows[name] for name in counted.columns}
        | {
            "cx_alone": rows.cx_alone & (rows.step > rows.cx_longest.fill_null(0)),
            "cx_new_to_customer": rows.cx_new_to_customer & rows.cx_made.isnull(),
        }
    )


def drop_counted(events: ir.Table) -> ir.Table:
    """Events without what holds only while all journeys of a customer are there.

    Parameters
    ----------
    events
        Events from which whole journeys were taken.

    Returns
    -------
    ibis.expr.types.Table
        The same rows.

    Examples
    --------
    >>> drop_counted(ibis.memtable({"step": [1], "cx_new_to_customer": [True]})).columns
    ('step',)
    """
    return events.drop(*(name for name in _OF_CUSTOMERS if name in events.columns))


def is_counted(events: ir.Table) -> bool:
    """Whether events have every column that ``count_ahead`` adds.

    Parameters
    ----------
    events
        Events of a log.

    Returns
    -------
    bool
        False where a verb has changed what they count.

    Examples
    --------
    >>> is_counted(ibis.memtable({"step": [1]}))
    False
    """
    return all(name in events.columns for name in COUNTED)
