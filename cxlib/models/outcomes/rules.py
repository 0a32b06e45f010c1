"""Churn dates: which events end a spell, when the end takes effect, and for what cause."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import ibis
import ibis.expr.types as ir

from cxlib.errors import CxError, unknown_name
from cxlib.journeys.clock import moment
from cxlib.journeys.log import Journeys, as_list, check_touchpoints, is_among
from cxlib.journeys.prepare import microseconds_between
from cxlib.spans import parse_span

__all__ = ["ChurnRule"]

ADMINISTRATIVE = "(administrative)"
_MICROSECOND = timedelta(microseconds=1)
_TYPES = {
    "customer_id": "string",
    "event_id": "string",
    "declared": "timestamp",
    "at": "timestamp",
    "event": "boolean",
    "cause": "string",
}
"""A union wants equal types, in which engines name precision and what is never null."""


@dataclass(frozen=True)
class ChurnRule:
    """When a customer counts as gone, beside the events that say so.

    Parameters
    ----------
    contract_end
        Column of the ending events with the moment to which the customer has paid; the end takes
        effect then, and not when it is declared.
    silence
        Span after the last activity at which a customer counts as gone ("90 days"); cause
        "silence".
    activity
        Touchpoints that are activity; every event when empty.
    failed
        Touchpoints of a failed payment.
    settled
        Touchpoints that settle it.
    dunning
        Span within which a failed payment must be settled; the end takes effect after it; cause
        "payment".
    grace
        Span after an end within which a customer who starts again has not left; an end takes effect
        after it.

    Examples
    --------
    >>> print(ChurnRule(silence="90 days"))
    90 days without activity
    """

    contract_end: str | None = None
    silence: str | timedelta | None = None
    activity: str | Sequence[str] = ()
    failed: str | Sequence[str] = ()
    settled: str | Sequence[str] = ()
    dunning: str | timedelta | None = None
    grace: str | timedelta | None = None

    @property
    def is_delayed(self) -> bool:
        """Whether an end takes effect later than it is declared."""
        return bool(self.contract_end) or self.grace is not None

    @property
    def is_counted(self) -> bool:
        """Whether ends follow from what other events leave out."""
        return self.silence is not None or self.dunning is not None

    def __str__(self) -> str:
        """The rule in words, as it is stored with each spell."""
        parts = []
        if self.contract_end:
            parts.append(f"at {self.contract_end}")
        if self.silence is not None:
            of = f" of {' or '.join(as_list(self.activity))}" if self.activity else ""
            parts.append(f"{self.silence} without activity{of}")
        if self.dunning is not None:
            parts.append(f"{self.dunning} after an unsettled {' or '.join(as_list(self.failed))}")
        if self.grace is not None:
            parts.append(f"after {self.grace} of grace")
        return "; ".join(parts) or "at the event"


def read_ends(
    log: Journeys,
    starts: Sequence[str],
    end: str | Sequence[str] | Mapping[str, str | Sequence[str]] | None,
    cause: str | None,
    censor: Mapping[str, str | Sequence[str]],
    rule: ChurnRule,
    until: datetime,
) -> tuple[ir.Table, list[str]]:
    """Everything that may end a spell, and the touchpoints that do.

    Parameters
    ----------
    log
        The log.
    starts
        Touchpoints that start a spell; one within an end's delay makes it void.
    end
        Touchpoints, or touchpoints by cause.
    cause
        Column of the ending events with their cause.
    censor
        Touchpoints that stop observation, by the name of what they are.
    rule
        When an end takes effect, and which silence is one.
    until
        Ends that take effect later have not been seen.

    Returns
    -------
    tuple of ibis.expr.types.Table and list of str
        ``customer_id, at, event_id, event, cause``, and the touchpoints of ``end`` and ``censor``.

    Raises
    ------
    CxError
        For unknown touchpoints or columns, spans without a unit, and rules that lack a part.
    """
    events = log.events.filter(log.events.occurred_at <= moment(until))
    _check(log, end, cause, rule)
    by_cause = _by_cause(log, end)
    by_type = {f"({name})": check_touchpoints(log, as_list(t)) for name, t in censor.items()}
    names = [t for group in (*by_cause.values(), *by_type.values()) for t in group]
    if twice := [name for name in names if names.count(name) > 1]:
        raise CxError(f"the touchpoint {twice[0]!r} ends a spell in two ways; name it once")
    parts = []
    if names:
        parts.append(_declared(events, by_cause, by_type, cause, rule))
    if rule.silence is not None:
        parts.append(_silences(events, rule, log))
    if rule.dunning is not None:
        parts.append(_unsettled(events, rule, log))
    if not parts:
        raise CxError("nothing ends a spell; give end= touchpoints, or a rule with silence=")
    parts = [part.cast(_TYPES) for part in parts]
    ends = ibis.union(*parts) if len(parts) > 1 else parts[0]
    if rule.is_delayed:
        if both := set(starts) & set(names):
            raise CxError(
                f"{min(both)!r} starts and ends spells, so that no end of it can be delayed; "
                "leave grace= and contract_end= out"
            )
        ends = _not_taken_back(ends, events.filter(events.touchpoint.isin(starts)))
    seen = ends.filter(ends.at <= moment(until))
    return seen.select("customer_id", "at", "event_id", "event", "cause"), names


def _check(log: Journeys, end: object, cause: str | None, rule: ChurnRule) -> None:
    columns = log.events.columns
    if cause is not None and isinstance(end, Mapping):
        raise CxError("end= names the causes already; leave cause= out, or give end= as a list")
    for name in (cause, rule.contract_end):
        if name is not None and name not in columns:
            raise unknown_name("column", name, columns, "in the log")
    if rule.contract_end and not log.events[rule.contract_end].type().is_timestamp():
        kind = log.events[rule.contract_end].type()
        raise CxError(f"the column {rule.contract_end!r} is {kind}, and must be a timestamp")
    if (rule.dunning is None) != (not as_list(rule.failed)):
        raise CxError("failed= and dunning= belong together: give the touchpoints and the span")
    if rule.activity and rule.silence is None:
        raise CxError("activity= needs silence=, the span without it")


def _by_cause(log: Journeys, end: object) -> dict[str, list[str]]:
    if isinstance(end, Mapping):
        found = {str(name): check_touchpoints(log, as_list(t)) for name, t in end.items()}
    else:
        found = {name: [name] for name in check_touchpoints(log, as_list(end))}  # type: ignore[arg-type]
    for name in found:
        if name.startswith("("):
            raise CxError(
                f"the cause {name!r} is in parentheses, which tell how observation stopped; "
                "give it another name, or name it in censor="
            )
    return found


def _declared(
    events: ir.Table,
    by_cause: Mapping[str, list[str]],
    by_type: Mapping[str, list[str]],
    cause: str | None,
    rule: ChurnRule,
) -> ir.Table:
    """Events that end a spell, or stop its observation."""
    labels = [(t, name) for name, group in by_cause.items() for t in group]
    stops = [(t, name) for name, group in by_type.items() for t in group]
    found = events.filter(is_among(events.touchpoint, [t for t, _ in (*labels, *stops)]))
    named = found.touchpoint.cases(*labels, *stops)
    is_end = is_among(found.touchpoint, [t for t, _ in labels]) if stops else ibis.literal(True)
    if cause is not None:
        # A cause in parentheses would pass for a type of censoring.
        own = found[cause].cast("string").strip().replace("(", "").replace(")", "")
        named = ibis.ifelse(is_end, own.nullif("").fill_null("unknown"), named)
    effect = found.occurred_at
    if rule.contract_end:
        paid_to = found[rule.contract_end].cast("timestamp")
        effect = ibis.ifelse(is_end, ibis.greatest(effect, paid_to.fill_null(effect)), effect)
    if rule.grace is not None:
        later = effect + ibis.interval(microseconds=parse_span(rule.grace) // _MICROSECOND)
        effect = ibis.ifelse(is_end, later, effect)
    return found.select(
        "customer_id",
        "event_id",
        declared=found.occurred_at,
        at=effect,
        event=is_end,
        cause=named,
    )


def _silences(events: ir.Table, rule: ChurnRule, log: Journeys) -> ir.Table:
    span = parse_span(rule.silence)  # type: ignore[arg-type]
    if not span:
        raise CxError("silence= is empty; give a length of time such as '90 days'")
    if rule.activity:
        events = events.filter(
            events.touchpoint.isin(check_touchpoints(log, as_list(rule.activity)))
        )
    order = ibis.window(group_by="customer_id", order_by=["occurred_at", "event_id"])
    active = events.mutate(_next=events.occurred_at.lead().over(order))
    gap = microseconds_between(active._next, active.occurred_at)
    # > not >=: a silence of exactly the given length does not end a spell.
    quiet = active.filter((gap > span // _MICROSECOND).fill_null(True))
    return quiet.select(
        "customer_id",
        "event_id",
        declared=quiet.occurred_at,
        at=quiet.occurred_at + ibis.interval(microseconds=span // _MICROSECOND),
        event=ibis.literal(True),
        cause=ibis.literal("silence"),
    )


def _unsettled(events: ir.Table, rule: ChurnRule, log: Journeys) -> ir.Table:
    failed = check_touchpoints(log, as_list(rule.failed))
    settled = check_touchpoints(log, as_list(rule.settled))
    span = parse_span(rule.dunning)  # type: ignore[arg-type]
    payments = events.filter(events.touchpoint.isin([*failed, *settled]))
    is_settled = payments.touchpoint.isin(settled) if settled else ibis.literal(False)
    at = ibis.ifelse(is_settled, payments.occurred_at, ibis.null("timestamp"))
    payments = payments.mutate(_settled=at)
    backwards = ibis.window(
        group_by="customer_id",
        order_by=[ibis.desc("occurred_at"), ibis.desc("event_id")],
        preceding=None,
        following=0,
    )
    payments = payments.mutate(_next=payments._settled.min().over(backwards))
    lost = payments.filter(payments.touchpoint.isin(failed))
    wait = microseconds_between(lost._next, lost.occurred_at)
    lost = lost.filter((wait > span // _MICROSECOND).fill_null(True))
    return lost.select(
        "customer_id",
        "event_id",
        declared=lost.occurred_at,
        at=lost.occurred_at + ibis.interval(microseconds=span // _MICROSECOND),
        event=ibis.literal(True),
        cause=ibis.literal("payment"),
    )


def _not_taken_back(ends: ir.Table, starts: ir.Table) -> ir.Table:
    """Ends that no start followed before they took effect."""
    again = starts.select("customer_id", _again=starts.occurred_at)
    met = ends.join(again, "customer_id")
    met = met.filter((met._again > met.declared) & (met._again <= met.at) & met.event)
    return ends.anti_join(met.select("event_id", "cause").distinct(), ["event_id", "cause"])
