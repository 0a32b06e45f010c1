"""What differs between two groups or two periods, in any measure that adds up over customers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxlib.errors import CxError, unknown_name
from cxlib.intervals import check_confidence
from cxlib.journeys.comparing.differences import adjust_p_values, differences
from cxlib.journeys.comparing.measures import read_measure, read_options, read_value
from cxlib.journeys.comparing.sums import Sums, count_groups, sum_cells
from cxlib.journeys.log import Journeys, as_list

__all__ = ["compare"]

_COMPARED = [
    *("compared", "a", "b", "difference", "lower", "upper", "p_value", "p_adjusted"),
    *("count_a", "n_a", "count_b", "n_b", "label_a", "label_b"),
]
_COUNTS = ("count_a", "n_a", "count_b", "n_b")
_TESTS = ("bootstrap", "permutation", "analytic")
_CORRECTIONS = ("holm", "benjamini-hochberg")


def compare(
    measure: Callable[..., pd.DataFrame],
    log_a: Journeys,
    log_b: Journeys,
    *,
    labels: Sequence[str] = ("a", "b"),
    value: str | None = None,
    resamples: int = 1_000,
    random_state: int = 0,
    correction: str = "holm",
    test: str = "bootstrap",
    min_count: int = 1,
    confidence: float = 0.95,
    **options: Any,
) -> pd.DataFrame:
    """Difference of a measure between two logs, cell by cell, with interval and test.

    Parameters
    ----------
    measure
        The function itself: ``transitions``, ``flows``, ``step_matrix``, ``common_paths``,
        ``dropoff``, ``funnel``, ``stage_transitions``, ``handoffs``, ``handoffs_per_journey``,
        ``ping_pong``, ``escalation``, ``repeat_contact``, ``planned_vs_actual``, ``retention``,
        ``reentry``, ``stickiness``, ``sequence_indicators`` or ``summary``.
    log_a, log_b
        Two groups or two periods, such as ``keep_journeys(log, where={"plan": "pro"})``, or the
        journeys that began before and after a day. They may share customers.
    labels
        What to call them, in this order.
    value
        The rate to compare. Of ``transitions``: "probability" (the default), "share",
        "probability_in" or "per_journey"; of ``funnel``: "step_conversion_rate" (the default) or
        "entry_conversion_rate"; of ``retention``: "retention" (the default) or
        "revenue_retention"; of ``summary``: "events_per_journey" (the default),
        "journeys_per_customer" or "open_share"; of ``handoffs``: "share" (the default),
        "return_rate", "end_rate", "outcome_rate", "sentiment_before", "sentiment_after" or
        "sentiment_change"; of ``handoffs_per_journey``: "share" (the default), "outcome_rate" or
        "sentiment"; of ``escalation``: "share" (the default), "repeat_rate" or "outcome_rate"; of
        ``planned_vs_actual``: "as_planned_share" (the default) or one of its means. The others
        have one.
    resamples
        Draws of the bootstrap, or permutations.
    random_state
        Seed: the same gives the same result, on every engine.
    correction
        For the many cells: "holm" (the chance of any false alarm) or "benjamini-hochberg" (the
        share of false alarms among the alarms).
    test
        "bootstrap": the difference against its standard error under the hypothesis of no
        difference. "permutation": both sides of each group of customers change places at random;
        p is at least 1 / (resamples + 1). "analytic": interval and test take each of ``n`` as
        independent of the others, which holds where a customer counts once and is in one log.
    min_count
        Cells counted less often than this, on both sides together, are left out before the
        correction; of a value that is no share, cells with fewer cases.
    confidence
        Coverage of the intervals.
    **options
        Of the measure, such as ``by="channel"``, ``steps=`` or ``keep=``.

    Returns
    -------
    pandas.DataFrame
        One row per cell, the smallest p-value first: the ``by`` columns and those that name the
        cell in the measure (``from_touchpoint``, ``step``, …), ``compared`` (text, the rate),
        ``a`` and ``b`` float64 (the rate in each log), ``difference`` float64 (b - a) with
        ``lower`` and ``upper``, ``p_value`` and ``p_adjusted`` float64, ``count_a``, ``n_a``,
        ``count_b``, ``n_b`` (what the rates are made of: int64 of a share, else float64),
        ``label_a``, ``label_b`` (text).

    Raises
    ------
    CxError
        For a measure, value, test or correction that cannot be had, a log without events, and
        what the measure refuses.

    Notes
    -----
    The engine counts the measure once for 256 groups of customers, formed by a hash of their id;
    the bootstrap gives each group a Poisson(1) weight per draw, and rates are ratios of weighted
    sums. A customer of both logs has the same weight in both, so that two periods of the same
    customers are paired, and events of one customer are never taken as independent. Grouping keeps
    the standard error right on average; it is itself known to about 4 %.

    The interval of a share is Newcombe's, with as many cases as tell as much as the bootstrap's
    standard error says and the correlation of both sides; that of another ratio is the t interval.
    A cell that one log does not reach at all (``n`` is 0) has no difference (NaN) and no test; what
    is new there shows in its ``n``. Medians and quantiles do not add up over customers, and are
    not compared.

    In ``retention`` the cohorts are taken together, in the periods that were over. In ``funnel``
    with a window only the attempts whose window had closed count (``censoring="exclude"``).

    References
    ----------
    Chamandy et al. (2012), Estimating uncertainty for massive data streams; Hanley and MacGibbon
    (2006), Computer Methods and Programs in Biomedicine 83, 57-62 (Poisson weights). Korn and
    Graubard (1998), Survey Methodology 24, 193-201 (effective number of cases).

    Examples
    --------
    >>> from cxlib import journeys_from_frame, keep_events, transitions
    >>> log = journeys_from_frame(
    ...     {"customer_id": list("abcdefgh"), "channel": ["web", "app"] * 4,
    ...      "touchpoint": ["visit", "ask", "visit", "ask", "visit", "visit", "visit", "ask"],
    ...      "occurred_at": ["2024-01-01"] * 8},
    ...     observed_until="2024-03-01", closes_after="20 days",
    ... )
    >>> web, app = (keep_events(log, where={"channel": name}) for name in ("web", "app"))
    >>> found = compare(transitions, web, app, labels=["web", "app"])
    >>> columns = ["to_touchpoint", "a", "b", "difference", "p_adjusted", "n_a"]
    >>> found[found.from_touchpoint == "(start)"][columns].round(3)
      to_touchpoint    a     b  difference  p_adjusted  n_a
    0           ask  0.0  0.75        0.75       0.435    4
    1         visit  1.0  0.25       -0.75       0.435    4
    """
    how = read_measure(measure)
    name, ratio = read_value(how, value)
    options = read_options(measure, options)
    _check(labels, test, correction, resamples, min_count, is_share=ratio.is_share)
    check_confidence(confidence)
    by = as_list(options.get("by"))
    frame = count_groups(measure, how, (log_a, log_b), options, random_state)
    sums = sum_cells(frame, how, ratio, by)
    _check_sides(sums, (log_a, log_b), labels)
    # A sum of scores may be negative: there the cases are counted.
    totals = sums.totals() if ratio.is_share else sums.bases.sum(axis=(0, 1))[sums.kind]
    sums = _chosen(sums, totals, min_count, options.get("top", 20) if how.is_cut else None)
    found = differences(
        sums,
        is_share=ratio.is_share,
        resamples=resamples,
        random_state=random_state,
        test=test,
        confidence=confidence,
    )
    found = pd.concat([sums.cells, found], axis=1).assign(
        compared=name, label_a=labels[0], label_b=labels[1]
    )
    found = found[(found["n_a"] > 0) | (found["n_b"] > 0)]
    if ratio.is_share:
        found = found.astype(dict.fromkeys(_COUNTS, "int64"))
    found["p_adjusted"] = adjust_p_values(found["p_value"], correction)
    order = ["p_value", *sums.cells.columns]
    found = found.sort_values(order, ignore_index=True)
    return found[[*sums.cells.columns, *_COMPARED]]


def _chosen(sums: Sums, totals: NDArray[np.float64], min_count: int, top: int | None) -> Sums:
    """Cells that are frequent enough to be compared."""
    wanted = totals >= min_count
    if top is not None:
        # Stable, so that ties are cut in the order of the names.
        wanted &= np.isin(np.arange(len(totals)), np.argsort(-totals, kind="stable")[:top])
    return sums.only(wanted)


def _check(
    labels: Sequence[str],
    test: str,
    correction: str,
    resamples: int,
    min_count: int,
    *,
    is_share: bool,
) -> None:
    if len(as_list(labels)) != 2 or labels[0] == labels[1]:
        raise CxError(f"labels is {labels!r}; give two that differ, such as ('before', 'after')")
    if test not in _TESTS:
        raise unknown_name("test", test, _TESTS)
    if correction not in _CORRECTIONS:
        raise unknown_name("correction", correction, _CORRECTIONS)
    if test == "analytic" and not is_share:
        raise CxError(
            "the analytic test is one of shares, and this value is none; take test='bootstrap'"
        )
    if resamples < 50:
        raise CxError(f"resamples is {resamples}, and must be at least 50")
    if min_count < 0:
        raise CxError(f"min_count is {min_count}, and must be at least 0")


def _check_sides(sums: Sums, logs: tuple[Journeys, Journeys], labels: Sequence[str]) -> None:
    for base, log, label in zip(sums.bases, logs, labels, strict=True):
        if base.sum() != 0:
            continue
        if log.events.limit(1).count().to_pandas() == 0:
            raise CxError(f"the log {label!r} has no events; there is nothing to compare")
        raise CxError(
            f"in the log {label!r} the measure has no case whose outcome is known; there is "
            "nothing to compare"
        )
