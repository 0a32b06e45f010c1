"""How long customers are silent between two of their events, and what silence ends a journey."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import ibis
import ibis.expr.types as ir

from cxlib.spans import parse_span

__all__ = ["Silences", "propose_silence", "silences_of"]

_SPANS = (
    *("30 minutes", "1 hour", "6 hours", "12 hours", "1 day", "2 days", "3 days", "7 days"),
    *("14 days", "30 days", "60 days", "90 days", "180 days", "365 days", "730 days"),
)
"""Spans that a person would write."""
_USUAL = "30 days"
_FEWEST = 5
"""Customers who came back, below whom nine of ten of them say nothing."""


@dataclass(frozen=True)
class Silences:
    """How long customers were silent before they came back.

    Attributes
    ----------
    customers
        Customers with events at two times or more.
    longest
        Nine of ten of them were never silent for longer; None where there are none.
    observed
        Time from the first event of all to the last one.

    Examples
    --------
    >>> Silences(0, None, timedelta(0)).longest is None
    True
    """

    customers: int
    longest: timedelta | None
    observed: timedelta


def silences_of(events: ir.Table) -> Silences:
    """How long the customers of a log were silent between two of their events.

    Parameters
    ----------
    events
        ``customer_id`` and ``occurred_at``.

    Notes
    -----
    Each customer counts once, with the longest silence: many events in one hour do not outweigh
    the month before them. The silence after the last event is none of them, since nobody knows
    whether it has ended.

    Examples
    --------
    >>> days = ["2024-01-01", "2024-01-02", "2024-01-11", "2024-01-05"]
    >>> rows = ibis.memtable({"customer_id": ["a", "a", "a", "b"], "occurred_at": days})
    >>> silences_of(rows.mutate(occurred_at=rows.occurred_at.cast("timestamp")))
    Silences(customers=1, longest=datetime.timedelta(days=9), observed=datetime.timedelta(days=10))
    """
    seconds = events.occurred_at.truncate("s").epoch_seconds()
    own = ibis.window(group_by=events.customer_id, order_by=events.occurred_at)
    gaps = events.select("customer_id", gap=seconds - seconds.lag().over(own))
    gaps = gaps.filter(gaps.gap > 0)
    longest = gaps.group_by("customer_id").aggregate(gap=gaps.gap.max())
    came = longest.aggregate(n=longest.count(), gap=longest.gap.quantile(0.9))
    whole = events.aggregate(seconds=seconds.max() - seconds.min())
    (back,), (seen,) = came.to_pyarrow().to_pylist(), whole.to_pyarrow().to_pylist()
    gap = None if back["gap"] is None else timedelta(seconds=round(back["gap"]))
    return Silences(back["n"], gap, timedelta(seconds=seen["seconds"] or 0))


def propose_silence(found: Silences | None) -> tuple[str, str]:
    """Silence after which a journey counts as ended, and how it was chosen, in words.

    Parameters
    ----------
    found
        What was seen; None where nothing was.

    Returns
    -------
    tuple of str and str
        Of the spans that people write the shortest that nine of ten customers who came back never
        exceeded; not above a third of the observed time, or hardly any journey had ended.

    Examples
    --------
    >>> propose_silence(Silences(280, timedelta(days=41), timedelta(days=700)))[0]
    '60 days'
    >>> propose_silence(Silences(280, timedelta(days=41), timedelta(days=100)))[0]
    '30 days'
    """
    if found is None or found.longest is None or found.customers < _FEWEST:
        return _capped(_USUAL, found), "too few customers came back in the first rows to tell more"
    longest = found.longest
    span = next((text for text in _SPANS if parse_span(text) >= longest), _SPANS[-1])
    why = (
        f"nine of ten of the {found.customers:,} customers who came back in the first rows had "
        f"been silent for at most {_spelled(longest)}"
    )
    capped = _capped(span, found)
    if capped != span:
        why += "; no more than a third of the time in these rows, or few journeys had ended"
    return capped, why


def _capped(span: str, found: Silences | None) -> str:
    if found is None or not found.observed:
        return span
    most = max(found.observed / 3, parse_span(_SPANS[0]))
    return [text for text in _SPANS if parse_span(text) <= min(most, parse_span(span))][-1]


def _spelled(span: timedelta) -> str:
    for unit, seconds in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        n = -(-int(span.total_seconds()) // seconds)
        if span.total_seconds() > seconds:
            return f"{n} {unit}s"
    return "a minute"
