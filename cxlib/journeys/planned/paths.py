"""Paths as a plan sees them: its own touchpoints in order, grouped where equal, aligned once."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from cxlib.errors import CxError, CxWarning, unknown_name
from cxlib.journeys.log import Journeys, group_columns
from cxlib.journeys.maps import JourneyMap
from cxlib.journeys.planned.alignment import Alignment, Plan, align_paths, read_plan

__all__ = ["COUNTS", "PATH", "Rules", "align_frame", "deviating", "fitness_of", "planned_paths"]

COUNTS = ["skipped", "inserted", "repeated", "out_of_order"]
PATH = ["_codes", "_so_far"]
"""Columns that say which alignment a journey has."""

_OPEN = ("so_far", "whole", "exclude")
_OUTSIDE = ("inserted", "ignored")


@dataclass(frozen=True)
class Rules:
    """How paths are held against the plan, checked.

    Parameters
    ----------
    journey_map
        The plan.
    open_journeys
        "so_far", "whole" or "exclude".
    outside
        "inserted" or "ignored".

    Examples
    --------
    >>> plan = JourneyMap(name="x", stages=[{"stage": "s", "steps": ["a"]}])
    >>> Rules(plan, "so_far", "inserted").plan.labels
    ('a',)
    """

    journey_map: JourneyMap
    open_journeys: str
    outside: str

    def __post_init__(self) -> None:
        """Refuse rules that do not exist."""
        if self.open_journeys not in _OPEN:
            raise unknown_name("rule", self.open_journeys, _OPEN, "for open_journeys")
        if self.outside not in _OUTSIDE:
            raise unknown_name("rule", self.outside, _OUTSIDE, "for outside")

    @property
    def plan(self) -> Plan:
        """The plan, ready to be aligned."""
        return read_plan(self.journey_map)


def planned_paths(
    log: Journeys, rules: Rules, by: str | Sequence[str] | None = None, taken: Sequence[str] = ()
) -> tuple[ir.Table, list[str]]:
    """Journeys that are compared, with their path as the plan sees it.

    Parameters
    ----------
    log
        The log.
    rules
        How paths are compared.
    by, taken
        As in ``group_columns``; a journey belongs to the group of its first event.

    Returns
    -------
    tuple of ibis.expr.types.Table and list of str
        The journeys with ``_codes`` (positions of its planned touchpoints in the plan's labels, in
        order, as text), ``_so_far`` (whether it is compared with a part of the plan only) and
        ``inserted`` int64 (events whose touchpoint is not planned); and the group columns.

    Examples
    --------
    >>> from cxlib import journeys_from_frame
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a", "a"], "touchpoint": ["visit", "buy"],
    ...      "occurred_at": ["2024-01-01", "2024-01-02"]},
    ...     observed_until="2024-03-01", closes_after="7 days",
    ... )
    >>> rules = Rules(JourneyMap(name="x", stages=[{"stage": "s", "steps": ["buy"]}]),
    ...               "so_far", "inserted")
    >>> planned_paths(log, rules)[0].select("_codes", "_so_far", "inserted").to_pandas()
      _codes  _so_far  inserted
    0      0    False         1
    """
    _warn_of_unknown(log, rules.journey_map)
    label_of, labels = rules.journey_map.label_of, rules.plan.labels
    codes = [(name, str(labels.index(label))) for name, label in label_of.items()]
    journeys = log.journeys
    if rules.open_journeys == "exclude":
        journeys = journeys.filter(~journeys.is_open)
    first, groups = group_columns(log.events.filter(log.events.step == 1), by, taken=taken)
    if groups:
        journeys = journeys.join(first.select("journey_id", *groups), "journey_id")
    path = journeys.path.filter(lambda name: name.isin(list(label_of)))
    so_far = journeys.is_open if rules.open_journeys == "so_far" else ibis.literal(False)
    none = ibis.literal(0, type="int64")
    others = (journeys.length - path.length()).cast("int64")
    return journeys.mutate(
        _codes=path.map(lambda name: name.cases(*codes, else_="")).join(" ").fill_null(""),
        _so_far=so_far,
        inserted=none if rules.outside == "ignored" else others,
    ), groups


def _warn_of_unknown(log: Journeys, journey_map: JourneyMap) -> None:
    """Say which steps nobody took although all must; raise when nothing planned ever happened."""
    known = set(log.events.select("touchpoint").distinct().to_pandas()["touchpoint"])
    members = [one for step in journey_map.steps for one in step.members]
    unmet = [one for one in members if known.isdisjoint(one.touchpoints)]
    if not known or not unmet:
        return
    if len(unmet) == len(members):
        reason = unknown_name("touchpoint", unmet[0].touchpoints[0], known, "in the log")
        raise CxError(f"no touchpoint of the plan {journey_map.name!r} is in the log: {reason}")
    due = [one for one in unmet if not one.optional]
    if due:
        reason = unknown_name("touchpoint", due[0].touchpoints[0], known, "in the log")
        more = f" (and for {len(due) - 1} more steps)" if len(due) > 1 else ""
        warnings.warn(
            f"everybody skipped a step of the plan {journey_map.name!r}: {reason}{more}",
            CxWarning,
            stacklevel=5,
        )


def align_frame(paths: pd.DataFrame, rules: Rules) -> tuple[pd.DataFrame, Alignment]:
    """Distinct paths with what each did of the plan.

    Parameters
    ----------
    paths
        ``_codes`` and ``_so_far``; each pair is aligned once.
    rules
        How paths are compared.

    Returns
    -------
    tuple of pandas.DataFrame and Alignment
        One row per distinct path, sorted: ``_codes, _so_far, matched`` and ``missing`` float64
        (steps), ``extra`` int64 (planned touchpoints at another place), ``skipped``, ``repeated``
        and ``out_of_order`` int64.

    Examples
    --------
    >>> rules = Rules(JourneyMap(name="x", stages=[{"stage": "s", "steps": ["a", "b"]}]),
    ...               "so_far", "inserted")
    >>> paths = pd.DataFrame({"_codes": ["1 0"], "_so_far": [False]})
    >>> align_frame(paths, rules)[0].T[0].to_dict()  # doctest: +NORMALIZE_WHITESPACE
    {'_codes': '1 0', '_so_far': False, 'matched': 1.0, 'missing': 1.0, 'extra': 1, 'skipped': 0,
     'repeated': 0, 'out_of_order': 1}
    """
    plan = rules.plan
    distinct = paths[PATH].drop_duplicates().sort_values(PATH, ignore_index=True)
    distinct["_so_far"] = distinct["_so_far"].astype(bool)
    coded = [[int(code) for code in text.split()] for text in distinct["_codes"]]
    found = align_paths(plan, coded, distinct["_so_far"].tolist())
    kinds = deviating(plan, found)
    totals = {kind: counts.sum(axis=1) for kind, counts in kinds.items()}
    return distinct.assign(
        matched=found.matched / plan.unit,
        missing=found.missing / plan.unit,
        extra=found.extra,
        **totals,
    ), found


def deviating(plan: Plan, found: Alignment) -> dict[str, np.ndarray]:
    """How often each path skipped, repeated or misplaced each label of the plan.

    Parameters
    ----------
    plan
        The plan.
    found
        Aligned paths.

    Returns
    -------
    dict of str to numpy.ndarray
        "skipped", "repeated" and "out_of_order", each with a row per path and a column per label.

    Notes
    -----
    An event outside the plan is out of order when its touchpoint is missing elsewhere in the plan,
    and else a repeat. What was done out of order is not skipped.

    Examples
    --------
    >>> plan = read_plan(JourneyMap(name="x", stages=[{"stage": "s", "steps": ["a", "b"]}]))
    >>> deviating(plan, align_paths(plan, [(0, 0)], [False]))["repeated"].tolist()
    [[1, 0]]
    """
    shape = found.unmatched.shape
    due, undone = np.zeros(shape, "int64"), np.zeros(shape, "int64")
    for slot, (step, at) in enumerate(plan.slots):
        label = plan.members[step][at]
        undone[:, label] += ~found.done[:, slot]
        due[:, label] += ~found.done[:, slot] & found.due[:, slot]
    out_of_order = np.minimum(found.unmatched, undone)
    return {
        "skipped": due - np.minimum(due, out_of_order),
        "repeated": found.unmatched - out_of_order,
        "out_of_order": out_of_order,
    }


def fitness_of(matched: pd.Series, deviations: pd.Series) -> pd.Series:
    """Share of the steps of path and plan that agree; missing where there is nothing to compare.

    Parameters
    ----------
    matched
        Steps done at their place.
    deviations
        Steps missing, and events outside the plan.

    Returns
    -------
    pandas.Series
        ``1 - deviations / (|path| + |plan|)``, where ``|path| + |plan|`` is what agrees in both and
        what does not: ``2 * matched + deviations``.

    Examples
    --------
    >>> fitness_of(pd.Series([2.0, 0.0]), pd.Series([1.0, 0.0])).tolist()
    [0.8, nan]
    """
    steps = 2 * matched + deviations
    return 1 - deviations / steps.where(steps > 0)
