"""What deviating from the plan is associated with."""

from __future__ import annotations

from datetime import timedelta

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from scipy import special

from cxlib.errors import CxError
from cxlib.intervals import check_confidence, wilson_interval
from cxlib.journeys.log import Journeys, check_touchpoints
from cxlib.journeys.maps import JourneyMap
from cxlib.journeys.planned.paths import PATH, Rules, align_frame, deviating, planned_paths
from cxlib.journeys.prepare import microseconds_between
from cxlib.spans import parse_span

__all__ = ["deviation_outcomes"]

_OUTCOMES = [
    *("kind", "touchpoint", "stage", "outcome", "n", "value", "n_others", "value_others"),
    *("difference", "lower", "upper"),
]
_SUMS = ["n", "sum", "square"]
_DAY = 86_400_000_000
_MEANS = ("sentiment", "duration_days")


def deviation_outcomes(
    log: Journeys,
    journey_map: JourneyMap,
    *,
    outcome: str,
    within: str | timedelta | None = None,
    followed_in: Journeys | None = None,
    open_journeys: str = "so_far",
    outside: str = "inserted",
    smallest: int = 10,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Outcome of journeys with each deviation from the plan, against those without it.

    Parameters
    ----------
    log
        The log.
    journey_map
        The plan.
    outcome
        A touchpoint: the share of journeys that have it. "sentiment": the mean of a journey's
        events that have one. "duration_days": days from the first to the last event of an ended
        journey.
    within
        For a touchpoint: count it where the customer comes to it after the journey, at most so long
        after its last event ("180 days").
    followed_in
        With ``within``: the log in which customers are followed. It is the whole one, also where
        ``log`` has some of its journeys only; else what they did later would be out of sight.
    open_journeys, outside
        As in ``add_fitness``.
    smallest
        Fewest journeys that a row needs with the deviation, and without it.
    confidence
        Coverage of the intervals.

    Returns
    -------
    pandas.DataFrame
        One row per deviation, the largest difference first: ``kind``, ``touchpoint`` and ``stage``
        (text, as in ``plan_deviations``; the first rows compare the kind "any" with journeys as
        planned), ``outcome`` (text), ``n`` int64 and ``value`` float64 (journeys with the deviation
        whose outcome is known, and their share or mean), ``n_others`` and ``value_others`` (those
        without it), ``difference`` float64 (``value - value_others``) with ``lower`` and ``upper``.

    Raises
    ------
    CxError
        For an unknown rule or outcome, a span without unit, ``within`` for a mean, or one of
        ``within`` and ``followed_in`` without the other.

    Notes
    -----
    Journeys that deviate differ in other ways too: what is shown is an association. With
    ``within``, only journeys count that ended at least so long before ``observed_until``, and that
    did not have the outcome themselves; so the deviation comes first, and everybody is watched for
    as long. Without it the outcome may come before the deviation. A deviation that speaks of the
    outcome's own touchpoint is left out. Intervals are Newcombe's for shares and Welch's, in normal
    approximation, for means; they hold for one row each, not for all rows together, and take
    journeys as independent.

    References
    ----------
    Newcombe (1998), Statistics in Medicine 17, 873-890, method 10.

    Examples
    --------
    >>> from cxlib import journeys_from_frame
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a", "a", "b", "b"], "touchpoint": ["visit", "buy", "ask", "buy"],
    ...      "occurred_at": ["2024-01-01", "2024-01-02", "2024-01-02", "2024-01-06"]},
    ...     observed_until="2024-03-01", closes_after="7 days",
    ... )
    >>> plan = JourneyMap(name="Order", stages=[{"stage": "all", "steps": ["visit", "buy"]}])
    >>> found = deviation_outcomes(log, plan, outcome="duration_days", smallest=1)
    >>> found[["kind", "touchpoint", "n", "value", "n_others", "value_others", "difference"]]
           kind touchpoint  n  value  n_others  value_others  difference
    0       any      (any)  1    4.0         1           1.0         3.0
    1  inserted        ask  1    4.0         1           1.0         3.0
    2   skipped      visit  1    4.0         1           1.0         3.0
    """
    check_confidence(confidence)
    rules = Rules(journey_map, open_journeys, outside)
    paths, _ = planned_paths(log, rules)
    paths = _with_outcome(log, paths, outcome, within, followed_in)
    known = paths.filter(paths._y.notnull())
    counted = known.group_by([*PATH, "inserted"]).aggregate(**_sums(known)).to_pandas()
    rows = [*_of_plan(counted, rules)]
    if outside == "inserted":
        rows += _outside(log, known, rules)
    frame = pd.DataFrame(rows, columns=["kind", "touchpoint", "stage", *_SUMS])
    alternatives = frame["touchpoint"].str.split(" or ")
    frame = frame[[outcome not in names for names in alternatives]]
    frame = _compare(frame, counted[_SUMS].sum(), confidence, share=outcome not in _MEANS)
    frame = frame[(frame["n"] >= smallest) & (frame["n_others"] >= smallest)]
    frame = frame.assign(
        outcome=outcome, _any=frame["kind"] != "any", _size=-frame["difference"].abs()
    )
    order = ["_any", "_size", "kind", "touchpoint"]
    return frame.sort_values(order, ignore_index=True)[_OUTCOMES]


def _sums(table: ir.Table) -> dict[str, ir.Value]:
    y = table._y
    return {"n": table.count(), "sum": y.sum(), "square": (y * y).sum()}


def _with_outcome(
    log: Journeys,
    paths: ir.Table,
    outcome: str,
    within: str | timedelta | None,
    followed_in: Journeys | None,
) -> ir.Table:
    """Journeys with their outcome as a number, null where it is not known."""
    if outcome in _MEANS and within is not None:
        raise CxError(f"within= counts a touchpoint after the journey; {outcome!r} is none")
    if (within is None) != (followed_in is None):
        raise CxError(
            "within= and followed_in= belong together: give followed_in= the log with all journeys "
            "of the customers, so that what they did later is seen"
        )
    if outcome == "duration_days":
        days = microseconds_between(paths.ended_at, paths.started_at) / _DAY
        return paths.mutate(_y=ibis.ifelse(paths.is_open, ibis.null("float64"), days))
    if outcome == "sentiment":
        scored = log.events.group_by("journey_id").aggregate(_y=log.events.sentiment.mean())
        return paths.join(scored, "journey_id")
    check_touchpoints(followed_in or log, outcome)
    own = log.events.filter(log.events.touchpoint == outcome)
    own = own.select("journey_id").distinct().mutate(_had=True)
    paths = paths.left_join(own, "journey_id").drop("journey_id_right")
    had = paths._had.fill_null(False)
    if within is None or followed_in is None:
        return paths.mutate(_y=had.cast("float64"))
    span = parse_span(within)
    last = ibis.literal(log.observed_until - span, type="timestamp")
    paths = paths.filter(~had & ~paths.is_open & (paths.ended_at <= last))
    came = _came_back(paths, followed_in, outcome, span).mutate(_came=True)
    paths = paths.left_join(came, "journey_id").drop("journey_id_right")
    return paths.mutate(_y=paths._came.fill_null(False).cast("float64"))


def _came_back(paths: ir.Table, log: Journeys, outcome: str, span: timedelta) -> ir.Table:
    """Journeys after which their customer came to the touchpoint, within the span."""
    later = log.events.filter(log.events.touchpoint == outcome)
    later = later.select("customer_id", _at="occurred_at")
    pairs = paths.select("journey_id", "customer_id", "ended_at").join(later, "customer_id")
    wait = microseconds_between(pairs._at, pairs.ended_at)
    in_time = (wait >= 0) & (wait <= span // timedelta(microseconds=1))
    return pairs.filter(in_time).select("journey_id").distinct()


def _of_plan(counted: pd.DataFrame, rules: Rules) -> list[tuple[object, ...]]:
    """Sums of the journeys with each deviation that the path as the plan sees it shows."""
    aligned, found = align_frame(counted, rules)
    plan, planned = rules.plan, rules.journey_map
    stages = {planned.label_of[name]: stage for name, stage in planned.stage_of.items()}
    costs = counted.merge(aligned, on=PATH, validate="many_to_one")
    off = costs["missing"] + costs["extra"] + costs["inserted"] > 0
    rows: list[tuple[object, ...]] = [("any", "(any)", "(any)", *costs.loc[off, _SUMS].sum())]
    for kind, counts in deviating(plan, found).items():
        for at, label in enumerate(plan.labels):
            who = aligned.loc[counts[:, at] > 0, PATH]
            if len(who):
                sums = counted.merge(who, on=PATH)[_SUMS].sum()
                rows.append((kind, label, stages[label], *sums))
    return rows


def _outside(log: Journeys, known: ir.Table, rules: Rules) -> list[tuple[object, ...]]:
    others = log.events.filter(~log.events.touchpoint.isin(list(rules.journey_map.stage_of)))
    met = others.select("journey_id", "touchpoint").distinct()
    met = met.join(known.select("journey_id", "_y"), "journey_id")
    counted = met.group_by("touchpoint").aggregate(**_sums(met)).to_pandas()
    return [
        ("inserted", name, "(none)", *sums)
        for name, *sums in counted[["touchpoint", *_SUMS]].itertuples(index=False)
    ]


def _compare(
    frame: pd.DataFrame, total: pd.Series, confidence: float, *, share: bool
) -> pd.DataFrame:
    """Value with and without each deviation, and the interval of their difference."""
    frame = frame.astype(dict.fromkeys(_SUMS, "float64"))
    one, other = frame[_SUMS], total.astype("float64") - frame[_SUMS]
    values = [part["sum"] / part["n"].where(part["n"] > 0) for part in (one, other)]
    difference = values[0] - values[1]
    if share:
        (low, high), (other_low, other_high) = (
            wilson_interval(part["sum"], part["n"], confidence) for part in (one, other)
        )
        down = np.sqrt((values[0] - low) ** 2 + (other_high - values[1]) ** 2)
        up = np.sqrt((high - values[0]) ** 2 + (values[1] - other_low) ** 2)
    else:
        spread = sum(_mean_variance(part) for part in (one, other))
        down = up = special.ndtri(0.5 + confidence / 2) * np.sqrt(spread)
    return frame[["kind", "touchpoint", "stage"]].assign(
        n=one["n"].astype("int64"),
        value=values[0],
        n_others=other["n"].astype("int64"),
        value_others=values[1],
        difference=difference,
        lower=difference - down,
        upper=difference + up,
    )


def _mean_variance(part: pd.DataFrame) -> pd.Series:
    n = part["n"].where(part["n"] > 1)
    spread = (part["square"] - part["sum"] ** 2 / n).clip(lower=0)
    return spread / (n - 1) / n
