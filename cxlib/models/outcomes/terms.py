"""Terms of contracts: when each was due, what was decided and when, and the rate of renewal."""

from __future__ import annotations

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir
import pandas as pd

from cxlib.engine.zones import after_months
from cxlib.errors import CxError, refuse_taken, unknown_name
from cxlib.intervals import wilson_interval
from cxlib.journeys.clock import moment
from cxlib.journeys.log import NO_GROUP, Journeys, as_list, check_touchpoints
from cxlib.journeys.prepare import microseconds_between

__all__ = ["contract_terms", "renewal_rates"]

_DAY = 86_400_000_000
_DECISIONS = ("renewed", "declined", "missed")
_RATES = [
    *("at_risk", *_DECISIONS, "ended", "open", "renewal_rate", "lower", "upper"),
    "median_days_early",
]


def contract_terms(
    log: Journeys,
    *,
    start: str | Sequence[str],
    renewed: str | Sequence[str],
    declined: str | Sequence[str] = (),
    ended: str | Sequence[str] = (),
    length_months: int = 12,
    due: str | None = None,
    term: str | None = None,
    price: str | None = None,
    columns: str | Sequence[str] = (),
) -> ir.Table:
    """One row per term of a contract, in the engine.

    Parameters
    ----------
    log
        The log.
    start
        Touchpoints with which a contract begins.
    renewed, declined
        Touchpoints of the decision at the end of a term.
    ended
        Touchpoints that end a contract without such a decision.
    length_months
        Calendar months of a term.
    due
        Column of the deciding events with the moment at which the term was due; counted from the
        start, in terms of ``length_months``, where it is missing.
    term
        Column of the deciding events with the number of the term, for contracts that began before
        the log; counted where it is missing.
    price
        Column with the price, of the start and of renewals.
    columns
        Columns of the event that began the term to carry along.

    Returns
    -------
    ibis.expr.types.Table
        One row per term: ``customer_id``; ``contract`` int64 (the customer's first is 1, 0 began
        before the log); ``term`` int64 (1 for the first); ``length_months`` int64; ``opened_at``
        and ``due_at`` timestamp; ``decision`` ("renewed", "declined", "ended" before any decision,
        "missed": due without one, "open": not due yet at ``observed_until``); ``decided_at``
        timestamp; ``days_early`` float64 (decided before it was due; negative when late);
        ``price_before``, ``price_after`` and ``price_change`` float64 (of a renewal; a share of the
        price before); and the ``columns``.

    Raises
    ------
    CxError
        For unknown touchpoints or columns, and a length that is none.

    Examples
    --------
    >>> from cxlib import journeys_from_frame
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a", "a"], "touchpoint": ["signed_up", "renewed_contract"],
    ...      "occurred_at": ["2022-03-01", "2023-02-20"], "value": [10.0, 11.0]},
    ...     observed_until="2023-12-31", closes_after=None,
    ... )
    >>> terms = contract_terms(log, start="signed_up", renewed="renewed_contract", price="value")
    >>> terms.order_by("term").select("term", "decision", "days_early", "price_change").to_pandas()
       term decision  days_early  price_change
    0     1  renewed         9.0           0.1
    1     2     open         NaN           NaN
    """
    if length_months < 1:
        raise CxError(f"length_months is {length_months}, and must be 1 or more")
    kinds = {"start": start, "renewed": renewed, "declined": declined, "ended": ended}
    names = {kind: check_touchpoints(log, as_list(given)) for kind, given in kinds.items()}
    _check(log, names, (due, term, price), as_list(columns))
    placed = _placed(log, names, due, term, price, as_list(columns))
    decided = placed.filter(placed._kind.isin([*_DECISIONS, "ended"]))
    # What comes after the end of a contract and before another start belongs to no term.
    decided = decided.filter(
        decided._before_kind.isnull() | decided._before_kind.isin(["start", "renewed"])
    )
    running = placed.filter(placed._last & placed._kind.isin(["start", "renewed"]))
    rows = ibis.union(_decided(decided, as_list(columns)), _running(running, as_list(columns)))
    return _dated(rows, log, length_months, as_list(columns))


def renewal_rates(terms: ir.Table, *, by: str | Sequence[str] | None = None) -> pd.DataFrame:
    """Share of contracts renewed, by the number of the term.

    Parameters
    ----------
    terms
        What ``contract_terms`` gives.
    by
        Its columns to count apart.

    Returns
    -------
    pandas.DataFrame
        One row per group and term: the ``by`` columns (text), ``term`` int64, ``at_risk`` int64
        (due and over: renewed, declined or missed), ``renewed``, ``declined``, ``missed``,
        ``ended`` and ``open`` int64, ``renewal_rate`` float64 (of ``at_risk``) with ``lower`` and
        ``upper`` (Wilson, 95 %), and ``median_days_early`` float64 (of renewals).

    Raises
    ------
    CxError
        For an unknown column.

    Notes
    -----
    A term counts once it was due at ``observed_until``, whatever was decided: to count early
    renewals of terms that are not due yet, and not those who still think, would flatter. Such terms
    are ``open``, as are those without a decision. ``fit_sbg`` and ``fit_bdw`` take this frame.

    Examples
    --------
    >>> from cxlib import journeys_from_frame
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a", "a", "b"], "touchpoint": ["signed_up", "renewed", "signed_up"],
    ...      "occurred_at": ["2022-03-01", "2023-02-20", "2022-04-01"]},
    ...     observed_until="2023-12-31", closes_after=None,
    ... )
    >>> terms = contract_terms(log, start="signed_up", renewed="renewed")
    >>> renewal_rates(terms)[["term", "at_risk", "renewed", "missed", "open", "renewal_rate"]]
       term  at_risk  renewed  missed  open  renewal_rate
    0     1        2        1       1     0           0.5
    1     2        0        0       0     1           NaN
    """
    groups = as_list(by)
    for name in groups:
        if name not in terms.columns:
            raise unknown_name("column", name, terms.columns, "in the terms")
    refuse_taken(groups, ["term", *_RATES])
    table = terms.mutate(**{n: terms[n].cast("string").fill_null(NO_GROUP) for n in groups})
    over = table._is_due
    counts = {
        kind: ((table.decision == kind) & (over | (kind == "ended"))).sum().cast("int64")
        for kind in (*_DECISIONS, "ended")
    }
    early = ibis.ifelse(
        over & (table.decision == "renewed"), table.days_early, ibis.null("float64")
    )
    keys = [*groups, "term"]
    frame = (
        table.group_by(keys)
        .aggregate(**counts, _n=table.count(), median_days_early=early.median())
        .order_by(keys)
        .to_pandas()
    )
    frame["at_risk"] = frame[list(_DECISIONS)].sum(axis=1).astype("int64")
    frame["open"] = frame["_n"] - frame["at_risk"] - frame["ended"]
    frame["renewal_rate"] = (frame["renewed"] / frame["at_risk"]).where(frame["at_risk"] > 0)
    frame["lower"], frame["upper"] = wilson_interval(frame["renewed"], frame["at_risk"])
    return frame[[*keys, *_RATES]].astype({"median_days_early": "float64"})


def _check(
    log: Journeys,
    names: dict[str, list[str]],
    given: tuple[str | None, ...],
    columns: list[str],
) -> None:
    for kind in ("start", "renewed"):
        if not names[kind]:
            raise CxError(f"{kind}= names no touchpoint; name at least one")
    every = [name for group in names.values() for name in group]
    if twice := [name for name in every if every.count(name) > 1]:
        raise CxError(f"the touchpoint {twice[0]!r} stands for two things; name it once")
    for name in (*(name for name in given if name), *columns):
        if name not in log.events.columns:
            raise unknown_name("column", name, log.events.columns, "in the log")


def _placed(
    log: Journeys,
    names: dict[str, list[str]],
    due: str | None,
    term: str | None,
    price: str | None,
    columns: list[str],
) -> ir.Table:
    """Events of contracts with what came before them in the same one."""
    pairs = [(name, kind) for kind, group in names.items() for name in group]
    events = log.events.filter(
        log.events.touchpoint.isin([name for name, _ in pairs])
        & (log.events.occurred_at <= moment(log.observed_until))
    )
    events = events.select(
        "customer_id",
        "event_id",
        _at=events.occurred_at.cast("timestamp"),
        _kind=events.touchpoint.cases(*pairs),
        _due=events[due].cast("timestamp") if due else ibis.null("timestamp"),
        _term=events[term].cast("int64") if term else ibis.null("int64"),
        _price=events[price].cast("float64") if price else ibis.null("float64"),
        **{name: events[name] for name in columns},
    )
    order = ["_at", "event_id"]
    so_far = ibis.window(group_by="customer_id", order_by=order, preceding=None, following=0)
    is_start = (events._kind == "start").cast("int64")
    # By way of int32, because an engine's sum of int64 may be wider than Ibis thinks it is.
    contract = is_start.sum().over(so_far).cast("int32").cast("int64")
    events = events.mutate(contract=contract)
    inside = ibis.window(group_by=["customer_id", "contract"], order_by=order)
    earlier = ibis.window(
        group_by=["customer_id", "contract"], order_by=order, preceding=None, following=0
    )
    renewals = (events._kind == "renewed").cast("int64")
    begun = ibis.ifelse(events._kind == "start", events._at, ibis.null("timestamp"))
    lagged = {
        f"_before{name}": events[name].lag().over(inside)
        for name in ("_kind", "_at", "_price", "_due", *columns)
    }
    return events.mutate(
        **lagged,
        _renewals=renewals.sum().over(earlier).cast("int32").cast("int64"),
        _begun=begun.min().over(earlier),
        _last=events._kind.lead().over(inside).isnull(),
    )


def _decided(events: ir.Table, columns: list[str]) -> ir.Table:
    counted = events._renewals + (events._kind != "renewed").cast("int64")
    return events.select(
        "customer_id",
        "contract",
        "_begun",
        "_due",
        term=events._term.fill_null(counted),
        opened_at=ibis.coalesce(events._before_due, events._before_at),
        decision=events._kind,
        decided_at=events._at,
        price_before=events._before_price,
        price_after=ibis.ifelse(events._kind == "renewed", events._price, ibis.null("float64")),
        **{name: events[f"_before{name}"] for name in columns},
    )


def _running(events: ir.Table, columns: list[str]) -> ir.Table:
    return events.select(
        "customer_id",
        "contract",
        "_begun",
        _due=ibis.null("timestamp"),
        term=(events._term + 1).fill_null(events._renewals + 1),
        opened_at=ibis.coalesce(events._due, events._at),
        decision=ibis.null("string"),
        decided_at=ibis.null("timestamp"),
        price_before=events._price,
        price_after=ibis.null("float64"),
        **{name: events[name] for name in columns},
    )


def _dated(rows: ir.Table, log: Journeys, length_months: int, columns: list[str]) -> ir.Table:
    planned = after_months(rows._begun, rows.term * length_months, log.timezone)
    after = after_months(rows.opened_at, ibis.literal(length_months), log.timezone)
    # Without its start a contract's next term is counted from the end of the one before.
    rows = rows.mutate(due_at=ibis.coalesce(rows._due, planned, after))
    is_due = (rows.due_at <= moment(log.observed_until)).fill_null(rows.decision.notnull())
    rows = rows.mutate(_is_due=is_due)
    early = microseconds_between(rows.due_at, rows.decided_at) / _DAY
    change = (rows.price_after - rows.price_before) / rows.price_before.nullif(0.0)
    return rows.select(
        "customer_id",
        "contract",
        "term",
        "opened_at",
        "due_at",
        "decided_at",
        "price_before",
        "price_after",
        *columns,
        "_is_due",
        length_months=ibis.literal(length_months, type="int64"),
        decision=rows.decision.fill_null(ibis.ifelse(rows._is_due, "missed", "open")),
        days_early=ibis.ifelse(rows.decision == "ended", ibis.null("float64"), early),
        price_change=change,
    )
