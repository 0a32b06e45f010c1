"""The rules of a funnel: read once from what the user wrote, and refused where they contradict."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import timedelta
from functools import reduce
from itertools import combinations
from operator import and_
from typing import Any, TypedDict

import ibis
import ibis.expr.types as ir

from cxlib.errors import CxError, unknown_name
from cxlib.journeys.log import Journeys, as_list, check_touchpoints, is_among
from cxlib.spans import parse_span

__all__ = ["Plan", "Rules", "Step", "StepLike", "Steps", "read_plan"]

StepLike = (
    str
    | Sequence[str]
    | AbstractSet[str]
    | Mapping[str, Any]
    | Callable[[ir.Table], ir.BooleanValue]
)
Steps = Sequence[StepLike] | Mapping[str, StepLike]

MOST_STEPS = 20
_MICROSECOND = timedelta(microseconds=1)
_CHOICES = {
    "order": ("ordered", "strict", "any"),
    "entry": ("first", "last", "best"),
    "count": ("customers", "journeys", "attempts"),
    "on_exclude": ("drop_at_step", "drop_whole"),
    "ties": ("order", "either"),
    "censoring": ("exclude", "as_failed", "kaplan_meier"),
}


class Rules(TypedDict, total=False):
    """Keywords that ``funnel`` and ``conversion_times`` share; ``funnel`` says what they mean."""

    order: str
    optional: int | str | Sequence[int | str]
    within: str | timedelta | None
    within_step: str | timedelta | None
    at_least: str | timedelta | None
    entry: str
    count: str
    exclude: StepLike | None
    exclude_between: tuple[int, int] | None
    on_exclude: str
    hold: str | Sequence[str]
    ties: str
    censoring: str | None


@dataclass(frozen=True)
class Step:
    """One step, or what must not happen between two of them.

    Parameters
    ----------
    label
        What a reader calls it.
    touchpoints
        Of which one fulfils it; None where a condition does.
    condition
        From the events to a boolean.
    """

    label: str
    touchpoints: frozenset[str] | None
    condition: Callable[[ir.Table], ir.BooleanValue] | None = None

    def holds(self, events: ir.Table) -> ir.BooleanValue:
        """Whether each event fulfils the step."""
        if self.condition is not None:
            return self.condition(events).fill_null(False)
        return is_among(events.touchpoint, sorted(self.touchpoints or ()))


@dataclass(frozen=True)
class Plan:
    """A funnel whose rules agree with one another; spans are whole microseconds.

    Parameters
    ----------
    steps
        In their order.
    required
        Indexes of the steps that cannot be skipped.
    exclude_between
        Numbers among the required steps between which ``exclude`` must not happen.
    """

    steps: tuple[Step, ...]
    required: tuple[int, ...]
    order: str
    within: int | None
    within_step: int | None
    at_least: int
    entry: str
    count: str
    exclude: Step | None
    exclude_between: tuple[int, int]
    on_exclude: str
    hold: tuple[str, ...]
    ties: str
    censoring: str

    @property
    def last(self) -> int:
        """Number of the last required step."""
        return len(self.required)

    @property
    def horizon(self) -> int | None:
        """Time from the first step after which no attempt is open."""
        links = None if self.within_step is None else self.within_step * (self.last - 1)
        spans = [span for span in (self.within, links) if span is not None]
        return min(spans, default=None)

    def skipped_from(self, rank: int) -> list[int]:
        """Indexes of the optional steps between a required step and the next one."""
        low, high = self.required[rank - 1], self.required[rank]
        return list(range(low + 1, high))


def read_plan(log: Journeys, steps: Steps, rules: Rules) -> Plan:
    """Rules as a plan.

    Parameters
    ----------
    log
        The log; its touchpoints and columns are checked.
    steps
        What ``funnel`` takes.
    rules
        The keywords of ``funnel``, all of them or some.

    Returns
    -------
    Plan
        Ready to run.

    Raises
    ------
    CxError
        For what does not exist or cannot be answered.
    """
    choice = {name: str(rules.get(name) or known[0]) for name, known in _CHOICES.items()}
    for name, known in _CHOICES.items():
        if choice[name] not in known:
            raise unknown_name(name, choice[name], known)
    read, unwanted = _read_steps(log, steps), rules.get("exclude")
    exclude = None if unwanted is None else _read_step(log, unwanted, None, 0)
    asked = [*read] if exclude is None else [*read, exclude]
    # All at once, because each look at the log is a scan.
    check_touchpoints(log, [name for step in asked for name in sorted(step.touchpoints or ())])
    optional = _read_optional(read, rules.get("optional", ()))
    required = tuple(number for number in range(len(read)) if number not in optional)
    within, within_step = (
        _microseconds(rules.get("within")),
        _microseconds(rules.get("within_step")),
    )
    hold = tuple(as_list(rules.get("hold", ())))
    for name in hold:
        if name not in log.events.columns:
            raise unknown_name("column", name, log.events.columns, "to hold")
    windowed = within is not None or within_step is not None
    if rules.get("censoring") is None:
        choice["censoring"] = "kaplan_meier" if windowed else "as_failed"
    plan = Plan(
        steps=read,
        required=required,
        within=within,
        within_step=within_step,
        at_least=_microseconds(rules.get("at_least")) or 0,
        exclude=exclude,
        exclude_between=_read_between(required, rules.get("exclude_between")),
        hold=hold,
        **choice,
    )
    _refuse(plan, between=rules.get("exclude_between"))
    _refuse_overlap(log, plan)
    return plan


def _read_steps(log: Journeys, steps: Steps) -> tuple[Step, ...]:
    if isinstance(steps, str) or not isinstance(steps, (Sequence, Mapping)):
        raise CxError(
            f"the steps are {steps!r}; give them in a list, such as ['signed_up', 'paid_invoice']"
        )
    if isinstance(steps, Mapping):
        named: list[tuple[str | None, Any]] = list(steps.items())
    else:
        named = [(None, step) for step in steps]
    if not 2 <= len(named) <= MOST_STEPS:
        raise CxError(f"a funnel has 2 to {MOST_STEPS} steps, and this one {len(named)}")
    pairs = enumerate(named, start=1)
    return tuple(_read_step(log, step, label, number) for number, (label, step) in pairs)


def _read_step(log: Journeys, step: Any, label: str | None, number: int) -> Step:
    if callable(step):
        name = getattr(step, "__name__", "")
        known = name if name and not name.startswith("<") else f"step {number}"
        return Step(label or known, None, step)
    if isinstance(step, Mapping):
        for name in step:
            if name not in log.events.columns:
                raise unknown_name("column", name, log.events.columns, "for a step")
        known = ", ".join(f"{name} = {value}" for name, value in step.items())
        return Step(label or known, None, lambda events: _equal(events, step))
    if not isinstance(step, (str, list, tuple, set, frozenset)) or not step:
        raise CxError(
            f"the step {step!r} is no touchpoint, no set of touchpoints and no condition; "
            "give for example 'signed_up', {'called', 'wrote'} or {'channel': 'web'}"
        )
    touchpoints = as_list(step)
    if not isinstance(step, (list, tuple)):
        touchpoints = sorted(touchpoints)
    return Step(label or " or ".join(touchpoints), frozenset(touchpoints))


def _equal(events: ir.Table, values: Mapping[str, Any]) -> ir.BooleanValue:
    conditions = []
    for name, value in values.items():
        wanted = list(value) if isinstance(value, (list, tuple, set, frozenset)) else [value]
        one = events[name].isin([item for item in wanted if item is not None]).fill_null(False)
        conditions.append(one | events[name].isnull() if None in wanted else one)
    return reduce(and_, conditions, ibis.literal(True))


def _read_optional(steps: tuple[Step, ...], given: Any) -> set[int]:
    names = [given] if isinstance(given, (int, str)) else list(given)
    labels = [step.label for step in steps]
    found = set()
    for name in names:
        if isinstance(name, str):
            if name not in labels:
                raise unknown_name("step", name, labels, "to be optional")
            found |= {number for number, label in enumerate(labels) if label == name}
        elif 1 <= name <= len(steps):
            found.add(name - 1)
        else:
            raise CxError(f"there is no step {name} to be optional; steps are 1 to {len(steps)}")
    if found & {0, len(steps) - 1}:
        raise CxError(
            "the first and the last step cannot be optional; leave such a step out of the funnel"
        )
    return found


def _read_between(required: tuple[int, ...], given: tuple[int, int] | None) -> tuple[int, int]:
    if given is None:
        return 1, len(required)
    first, last = given
    for number in given:
        if number - 1 not in required:
            raise CxError(
                f"exclude_between names step {number}, which is not among the steps that must be "
                f"taken; give two of {[index + 1 for index in required]}"
            )
    if first >= last:
        raise CxError(f"exclude_between is {given}, and must name an earlier step and a later one")
    return required.index(first - 1) + 1, required.index(last - 1) + 1


def _microseconds(span: str | timedelta | None) -> int | None:
    return None if span is None else parse_span(span) // _MICROSECOND


def _refuse(plan: Plan, between: tuple[int, int] | None) -> None:
    """Raise where two rules cannot hold at once."""
    strict, any_order = plan.order == "strict", plan.order == "any"
    optional, either = len(plan.required) < len(plan.steps), plan.ties == "either"
    shortest = None if plan.within_step is None else plan.within_step
    refusals = {
        "nothing lies between the steps of a strict funnel, so exclude= has no meaning there; "
        "drop it, or use order='ordered'": strict and plan.exclude is not None,
        "a strict funnel reads the order of the events, which ties='either' leaves open; "
        "use ties='order'": strict and either,
        "optional steps need order='ordered'; leave them out of the funnel": optional
        and plan.order != "ordered",
        "at_least needs steps in a given order; use order='ordered'": any_order
        and plan.at_least > 0,
        "attempts follow one another in the order of events, which ties='either' leaves open; "
        "use ties='order'": plan.count == "attempts" and either,
        "every attempt counts with count='attempts', so entry= has nothing to choose; "
        "use entry='first'": plan.count == "attempts" and plan.entry != "first",
        "at_least is longer than within_step, so no step can follow another; shorten it": shortest
        is not None
        and plan.at_least > shortest,
        f"without within= or within_step= no window is open, so censoring={plan.censoring!r} has "
        "nothing to work on; give a window": plan.horizon is None and plan.censoring != "as_failed",
        "exclude_between says where exclude= holds, which is not given; give it too": plan.exclude
        is None
        and between is not None,
    }
    for sentence, wrong in refusals.items():
        if wrong:
            raise CxError(sentence)


def _refuse_overlap(log: Journeys, plan: Plan) -> None:
    """Raise where one event would count twice and the rules do not say for which step."""
    optional = set(range(len(plan.steps))) - set(plan.required)
    apart = plan.order == "any" or plan.ties == "either"
    pairs = [
        (one, other)
        for (i, one), (j, other) in combinations(enumerate(plan.steps), 2)
        if apart or {i, j} & optional
    ]
    if plan.exclude is not None:
        pairs += [(step, plan.exclude) for step in plan.steps]
    unsure = []
    for one, other in pairs:
        if one.touchpoints is None or other.touchpoints is None:
            unsure.append((one, other))
        elif one.touchpoints & other.touchpoints:
            raise _overlap(one, other)
    if not unsure:
        return
    events = log.events
    both = {
        f"pair_{number}": (one.holds(events) & other.holds(events)).any().fill_null(False)
        for number, (one, other) in enumerate(unsure)
    }
    found = events.aggregate(**both).to_pandas().iloc[0]
    for number, (one, other) in enumerate(unsure):
        if found[f"pair_{number}"]:
            raise _overlap(one, other)


def _overlap(one: Step, other: Step) -> CxError:
    return CxError(
        f"an event can be {one.label!r} and {other.label!r} at once, and order='any', "
        "ties='either', optional= and exclude= need them apart; make the two disjoint"
    )
