"""Related events: what a customer did before, after and between, added to each event as columns.

Each verb adds columns and never rows. All of them stand on one idea: the events of a touchpoint
are numbered per customer, a relation is a run of these numbers, and first, last, nth and count are
read off its two ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import ibis
import ibis.expr.types as ir

from cxlib.errors import CxError, unknown_name
from cxlib.journeys.log import Journeys, as_list, check_touchpoints

__all__ = ["add_count", "add_first", "add_last", "add_nth", "add_total"]

ORDER = ("occurred_at", "event_id")
RELATIONS = ("ever", "before", "after", "between")
SCOPES = {"customer": "customer_id", "journey": "journey_id"}
COUNTED = ("relation", "ever")

_Number = Callable[[ir.IntegerValue, ir.IntegerValue], ir.IntegerValue]


def add_first(
    log: Journeys,
    touchpoint: str | Sequence[str],
    *,
    when: str = "ever",
    columns: str | Sequence[str] = "occurred_at",
    scope: str = "customer",
    prefix: str | None = None,
) -> Journeys:
    """Log whose events carry the customer's first event of a touchpoint.

    Parameters
    ----------
    log
        The log.
    touchpoint
        The related touchpoint; several count as one.
    when
        Which related events, seen from each event: "ever", "before", "after", or "between" (after
        it, and before the customer's next event of the same touchpoint as itself).
    columns
        Columns of the related event to add.
    scope
        Whose events are related: "customer", or "journey" for those of the same journey.
    prefix
        How the new columns begin; "first_after_<touchpoint>" when not given.

    Returns
    -------
    Journeys
        As many events as before. The new columns are ``<prefix>_<column>``, and ``<prefix>_at`` for
        ``occurred_at``; null where there is no such event.

    Raises
    ------
    CxError
        For an unknown touchpoint, column, relation or scope, or a name that the log has already.

    Notes
    -----
    Before and after are strict, in the order of ``(occurred_at, event_id)``: an event is neither
    before nor after itself, and of two events at the same time the one with the smaller id is
    before the other. "Ever" includes the event itself. Related events after ``observed_until`` have
    not been seen, so a null is not yet a never. To look at some events alone, add the columns
    first and keep the events after that.

    Examples
    --------
    >>> from cxlib import journeys_from_frame
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a", "a", "a"], "touchpoint": ["visit", "buy", "buy"],
    ...      "occurred_at": ["2024-01-01", "2024-01-02", "2024-01-05"], "value": [None, 10., 20.]},
    ...     observed_until="2024-03-01", closes_after="7 days",
    ... )
    >>> log = add_first(log, "buy", when="after", columns=["occurred_at", "value"])
    >>> log.events.order_by("step").select(
    ...     "touchpoint", "first_after_buy_at", "first_after_buy_value").to_pandas()
      touchpoint first_after_buy_at  first_after_buy_value
    0      visit         2024-01-02                   10.0
    1        buy         2024-01-05                   20.0
    2        buy                NaT                    NaN
    """
    relation = _Relation(log, touchpoint, when, scope)
    prefix = prefix or relation.name("first")
    return relation.fetch(lambda low, high: low + 1, columns, prefix)


def add_last(
    log: Journeys,
    touchpoint: str | Sequence[str],
    *,
    when: str = "ever",
    columns: str | Sequence[str] = "occurred_at",
    scope: str = "customer",
    prefix: str | None = None,
) -> Journeys:
    """Log whose events carry the customer's last event of a touchpoint.

    Parameters
    ----------
    log, touchpoint, when, columns, scope, prefix
        As for ``add_first``; the prefix is "last_before_<touchpoint>" when not given.

    Returns
    -------
    Journeys
        As many events as before, with the columns that ``add_first`` describes.

    Raises
    ------
    CxError
        For an unknown touchpoint, column, relation or scope, or a name that the log has already.

    Notes
    -----
    As for ``add_first``. The last event *before* is the latest one, hence the nearest.

    Examples
    --------
    >>> from cxlib import journeys_from_frame
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a", "a"], "touchpoint": ["visit", "buy"],
    ...      "occurred_at": ["2024-01-01", "2024-01-02"], "channel": ["app", "web"]},
    ...     observed_until="2024-03-01", closes_after="7 days",
    ... )
    >>> log = add_last(log, "visit", when="before", columns="channel")
    >>> log.events.order_by("step").last_before_visit_channel.to_list()
    [None, 'app']
    """
    relation = _Relation(log, touchpoint, when, scope)
    prefix = prefix or relation.name("last")
    return relation.fetch(lambda low, high: high, columns, prefix)


def add_nth(
    log: Journeys,
    touchpoint: str | Sequence[str],
    *,
    n: int,
    when: str = "ever",
    counted: str = "relation",
    columns: str | Sequence[str] = "occurred_at",
    scope: str = "customer",
    prefix: str | None = None,
) -> Journeys:
    """Log whose events carry the customer's nth event of a touchpoint.

    Parameters
    ----------
    log, touchpoint, when, columns, scope, prefix
        As for ``add_first``; the prefix is "nth_after_<touchpoint>" with the number for n ("2nd")
        when not given.
    n
        Which one, from 1.
    counted
        "relation": the nth of the events that stand in the relation. "ever": the customer's nth of
        all, and null unless that one stands in the relation, as in ActivitySchema.

    Returns
    -------
    Journeys
        As many events as before, with the columns that ``add_first`` describes.

    Raises
    ------
    CxError
        For an unknown touchpoint, column, relation or scope, a name that the log has already, or
        an ``n`` below 1.

    Examples
    --------
    >>> from cxlib import journeys_from_frame
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a"] * 3, "touchpoint": ["buy", "visit", "buy"],
    ...      "occurred_at": ["2024-01-01", "2024-01-02", "2024-01-03"], "value": [1., None, 2.]},
    ...     observed_until="2024-03-01", closes_after="7 days",
    ... )
    >>> first = add_nth(log, "buy", n=1, when="after", columns="value")
    >>> first.events.order_by("step")["1st_after_buy_value"].to_list()
    [2.0, 2.0, None]
    >>> second = add_nth(log, "buy", n=2, when="after", counted="ever", columns="value")
    >>> second.events.order_by("step")["2nd_after_buy_value"].to_list()
    [2.0, 2.0, None]
    """
    if n < 1:
        raise CxError(f"n is {n}, and must be at least 1")
    if counted not in COUNTED:
        raise unknown_name("way to count", counted, COUNTED)
    relation = _Relation(log, touchpoint, when, scope)
    prefix = prefix or relation.name(_ordinal(n))
    if counted == "ever":
        return relation.fetch(lambda low, high: ibis.literal(n, type="int64"), columns, prefix)
    return relation.fetch(lambda low, high: low + n, columns, prefix)


def add_count(
    log: Journeys,
    touchpoint: str | Sequence[str],
    *,
    when: str = "ever",
    scope: str = "customer",
    name: str | None = None,
) -> Journeys:
    """Log whose events carry how often the customer had a touchpoint.

    Parameters
    ----------
    log, touchpoint, when, scope
        As for ``add_first``.
    name
        Name of the new column; "count_before_<touchpoint>" when not given.

    Returns
    -------
    Journeys
        As many events as before; the new column is int64 and never null.

    Raises
    ------
    CxError
        For an unknown touchpoint, relation or scope, or a name that the log has already.

    Examples
    --------
    >>> from cxlib import journeys_from_frame
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a"] * 4, "touchpoint": ["visit", "buy", "buy", "visit"],
    ...      "occurred_at": ["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04"]},
    ...     observed_until="2024-03-01", closes_after="7 days",
    ... )
    >>> log = add_count(add_count(log, "buy", when="before"), "buy", when="between")
    >>> log.events.order_by("step").select(
    ...     "touchpoint", "count_before_buy", "count_between_buy").to_pandas()
      touchpoint  count_before_buy  count_between_buy
    0      visit                 0                  2
    1        buy                 0                  0
    2        buy                 1                  0
    3      visit                 2                  0
    """
    relation = _Relation(log, touchpoint, when, scope)
    name = name or relation.name("count")
    relation.check_new(name)
    events = relation.placed()
    count = (events._high - events._low).cast("int64")
    return replace(log, events=events.select(*log.events.columns, count.name(name)))


def add_total(
    log: Journeys,
    touchpoint: str | Sequence[str],
    *,
    when: str = "ever",
    column: str = "value",
    scope: str = "customer",
    name: str | None = None,
) -> Journeys:
    """Log whose events carry the sum of a column over the customer's events of a touchpoint.

    Parameters
    ----------
    log, touchpoint, when, scope
        As for ``add_first``.
    column
        The column to sum; it must hold numbers.
    name
        Name of the new column; "total_before_<touchpoint>_<column>" when not given.

    Returns
    -------
    Journeys
        As many events as before; the new column is float64, and 0 where there is no related event.

    Raises
    ------
    CxError
        For an unknown touchpoint, column, relation or scope, a column without numbers, or a name
        that the log has already.

    Notes
    -----
    A missing value counts 0. A total is the difference of two running sums, so it is exact to the
    rounding of float64 at the size of the customer's whole sum.

    Examples
    --------
    >>> from cxlib import journeys_from_frame
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a"] * 3, "touchpoint": ["buy", "visit", "buy"],
    ...      "occurred_at": ["2024-01-01", "2024-01-02", "2024-01-03"], "value": [10., None, 5.]},
    ...     observed_until="2024-03-01", closes_after="7 days",
    ... )
    >>> add_total(log, "buy", when="after").events.order_by("step").total_after_buy_value.to_list()
    [5.0, 5.0, 0.0]
    """
    relation = _Relation(log, touchpoint, when, scope)
    name = name or f"{relation.name('total')}_{column}"
    relation.check_columns([column])
    relation.check_new(name)
    if not log.events[column].type().is_numeric():
        raise CxError(f"the column {column!r} holds no numbers, so it has no total; name another")
    events = relation.placed(column)
    # Where nothing is related, rounding would leave 1e-17.
    total = ibis.ifelse(events._high > events._low, events._high_sum - events._low_sum, 0.0)
    return replace(log, events=events.select(*log.events.columns, total.name(name)))


@dataclass(frozen=True)
class _Relation:
    """Events of a touchpoint, as seen from every event of the log."""

    log: Journeys
    touchpoint: str | Sequence[str]
    when: str
    scope: str

    def __post_init__(self) -> None:
        if self.when not in RELATIONS:
            raise unknown_name("relation", self.when, RELATIONS)
        if self.scope not in SCOPES:
            raise unknown_name("scope", self.scope, SCOPES)
        if not as_list(self.touchpoint):
            raise CxError("no touchpoint is given; name the one to relate to")
        check_touchpoints(self.log, as_list(self.touchpoint))

    def name(self, take: str) -> str:
        return f"{take}_{self.when}_{'_or_'.join(as_list(self.touchpoint))}"

    def check_columns(self, columns: Sequence[str]) -> None:
        for column in columns:
            if column not in self.log.events.columns:
                raise unknown_name("column", column, self.log.events.columns, "to add")

    def check_new(self, name: str) -> None:
        if name in self.log.events.columns:
            raise CxError(f"the log has a column {name!r} already; give the new one another name")

    def fetch(self, number: _Number, columns: str | Sequence[str], prefix: str) -> Journeys:
        """Log with columns of the related event that has the number, if it is in the relation."""
        columns = as_list(columns)
        self.check_columns(columns)
        names = {f"{prefix}_{'at' if name == 'occurred_at' else name}": name for name in columns}
        for name in names:
            self.check_new(name)
        events = self.placed()
        key = SCOPES[self.scope]
        wanted = number(events._low, events._high)
        held = (wanted > events._low) & (wanted <= events._high)
        events = events.mutate(_number=ibis.ifelse(held, wanted, ibis.null("int64")))
        # _seen rises by one with each related event, so that no event finds more than one.
        related = events.filter(events._is_related == 1)
        related = related.select(
            _key=key, _number="_seen", **{new: related[old] for new, old in names.items()}
        )
        met = [events[key] == related._key, events._number == related._number]
        joined = events.left_join(related, met)
        return replace(self.log, events=joined.select(*self.log.events.columns, *names))

    def placed(self, column: str | None = None) -> ir.Table:
        """Events with the related ones numbered: those in the relation are (_low, _high].

        With a column, ``_low_sum`` and ``_high_sum`` are its running sums at these two.
        """
        events = self.log.events
        is_related = events.touchpoint.isin(as_list(self.touchpoint)).cast("int64")
        events = events.mutate(_is_related=is_related)
        events = self._running(events, "_is_related", "_seen", "_low", "_high")
        if column is None:
            return events
        value = ibis.ifelse(events._is_related == 1, events[column].cast("float64"), 0.0)
        events = events.mutate(_value=value.fill_null(0.0))
        return self._running(events, "_value", "_seen_sum", "_low_sum", "_high_sum")

    def _running(self, events: ir.Table, of: str, seen: str, low: str, high: str) -> ir.Table:
        """Events with the running sum of a column, and that at both ends of the relation."""
        key = SCOPES[self.scope]
        so_far = ibis.window(group_by=key, order_by=ORDER, preceding=None, following=0)
        events = events.mutate(events[of].sum().over(so_far).name(seen))
        none, here = ibis.literal(0).cast(events[of].type()), events[seen]
        before = here - events[of]
        if self.when == "before":
            return events.mutate(none.name(low), before.name(high))
        whole = events[of].sum().over(ibis.window(group_by=key))
        if self.when == "ever":
            return events.mutate(none.name(low), whole.name(high))
        if self.when == "after":
            return events.mutate(here.name(low), whole.name(high))
        same = ibis.window(group_by=[key, "touchpoint"], order_by=ORDER)
        until = before.lead().over(same)
        return events.mutate(here.name(low), ibis.coalesce(until, whole).name(high))


def _ordinal(n: int) -> str:
    """Number as it is said: 1st, 2nd, 3rd, 4th, 11th.

    Examples
    --------
    >>> [_ordinal(n) for n in (1, 2, 3, 4, 11, 22)]
    ['1st', '2nd', '3rd', '4th', '11th', '22nd']
    """
    teens = 10 < n % 100 < 20
    return f"{n}{'th' if teens else {1: 'st', 2: 'nd', 3: 'rd'}.get(n % 10, 'th')}"
