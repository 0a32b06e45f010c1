"""Retention by its three names: of customers, of gross revenue, of net revenue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from cxlib.errors import CxError, unknown_name
from cxlib.intervals import check_confidence, wilson_interval
from cxlib.journeys.log import NO_GROUP, as_list

__all__ = ["retention_rates"]

Array = NDArray[Any]

_NEEDED = ("_is_due", "decision", "price_before", "price_after")


def retention_rates(
    terms: ir.Table, *, by: str | Sequence[str] | None = "term", confidence: float = 0.95
) -> pd.DataFrame:
    """Share of customers, of gross and of net revenue kept, of the terms that came due.

    Parameters
    ----------
    terms
        What ``contract_terms`` gives; with ``price=`` for revenue.
    by
        Its columns to count apart; "term" counts by the number of the term, None all together.
    confidence
        Coverage of the intervals.

    Returns
    -------
    pandas.DataFrame
        One row per group: the ``by`` columns; ``eligible`` int64 (terms that came due),
        ``retained`` int64 (renewed); ``customer_retention`` float64 (of ``eligible``) with
        ``_lower`` and ``_upper`` (Wilson), ``customer_churn`` (1 less it); ``revenue_n`` int64
        (eligible terms whose prices are known), ``revenue_due`` (their price before);
        ``gross_revenue_retention`` and ``net_revenue_retention`` float64 (of ``revenue_due``),
        each with ``_lower`` and ``_upper``, and ``gross_revenue_churn`` (1 less the gross one).
        NaN where there is no base.

    Raises
    ------
    CxError
        For an unknown column, or a table that is not of terms.

    Notes
    -----
    - Customer retention: renewed terms of all that came due. A term that was ended early counts
      once its due date has come, as lost, so that it differs from ``renewal_rates``, whose base
      are those who came to a decision.
    - Gross revenue retention: what renewed terms cost, at most their price before, of the price
      before of all that came due. Increases do not count; it is never over 1.
    - Net revenue retention: the same with increases. It may be over 1 while customers leave, and
      says nothing of new ones.

    Intervals of revenue are those of a ratio of sums, by the delta method over terms; with few
    terms, or a few that make up most of the revenue, they are too narrow. Churn is one less
    retention, of the same base: state which.

    References
    ----------
    Cochran (1977), Sampling Techniques, section 2.11 (ratio of sums).

    Examples
    --------
    >>> from cxlib import contract_terms, journeys_from_frame
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a", "a", "b"], "touchpoint": ["signed_up", "renewed", "signed_up"],
    ...      "occurred_at": ["2022-03-01", "2023-02-20", "2022-04-01"],
    ...      "value": [100.0, 120.0, 60.0]},
    ...     observed_until="2023-12-31", closes_after=None,
    ... )
    >>> terms = contract_terms(log, start="signed_up", renewed="renewed", price="value")
    >>> found = retention_rates(terms).iloc[0]
    >>> print(found["customer_retention"], found["gross_revenue_retention"])
    0.5 0.625
    >>> print(found["net_revenue_retention"])
    0.75
    """
    check_confidence(confidence)
    keys = as_list(by)
    for name in _NEEDED:
        if name not in terms.columns:
            raise CxError(
                f"the terms have no column {name!r}; take the table that contract_terms gives, "
                "with all its columns"
            )
    for name in keys:
        if name not in terms.columns:
            raise unknown_name("column", name, terms.columns, "in the terms")
    frame = _sums(terms, keys)
    kept = frame["retained"] / frame["eligible"]
    lower, upper = wilson_interval(frame["retained"], frame["eligible"], confidence)
    found = frame[[*keys, "eligible", "retained"]].assign(
        customer_retention=kept,
        customer_retention_lower=lower,
        customer_retention_upper=upper,
        customer_churn=1 - kept,
        revenue_n=frame["revenue_n"],
        revenue_due=frame["base"],
    )
    for kind in ("gross", "net"):
        rate, below, above = _ratio(frame, kind, confidence)
        name = f"{kind}_revenue_retention"
        found[name], found[f"{name}_lower"], found[f"{name}_upper"] = rate, below, above
    return found.assign(gross_revenue_churn=1 - found["gross_revenue_retention"])


def _sums(terms: ir.Table, keys: list[str]) -> pd.DataFrame:
    """Counts and sums of the terms that came due, in the engine."""
    filled = {
        name: terms[name].fill_null(NO_GROUP) for name in keys if terms[name].type().is_string()
    }
    due = terms.filter(terms._is_due).mutate(**filled) if filled else terms.filter(terms._is_due)
    renewed = due.decision == "renewed"
    # A renewal at an unknown price says nothing of revenue, and neither does a term without one.
    known = due.price_before.notnull() & (~renewed | due.price_after.notnull())
    base = ibis.ifelse(known, due.price_before, 0.0).cast("float64")
    after = ibis.ifelse(known & renewed, due.price_after, 0.0).cast("float64")
    due = due.mutate(_base=base, _net=after, _gross=ibis.least(after, base), _known=known)
    sums = {
        "eligible": due.count(),
        "retained": renewed.sum(),
        "revenue_n": due._known.sum(),
        "base": due._base.sum(),
        "base_square": (due._base * due._base).sum(),
    }
    for kind in ("gross", "net"):
        value = due[f"_{kind}"]
        sums |= {
            kind: value.sum(),
            f"{kind}_square": (value * value).sum(),
            f"{kind}_cross": (value * due._base).sum(),
        }
    frame = (due.group_by(keys) if keys else due).aggregate(**sums).to_pandas()
    counts = dict.fromkeys(("eligible", "retained", "revenue_n"), "int64")
    frame = frame.fillna(dict.fromkeys(counts, 0)).astype(counts)
    frame = frame[frame["eligible"] > 0] if keys else frame
    return frame.sort_values(keys, ignore_index=True) if keys else frame


def _ratio(frame: pd.DataFrame, kind: str, confidence: float) -> tuple[Array, Array, Array]:
    base = frame["base"].where(frame["base"] > 0).to_numpy("float64")
    rate = frame[kind].to_numpy("float64") / base
    squares = frame[f"{kind}_square"] - 2 * rate * frame[f"{kind}_cross"]
    squares = squares + rate**2 * frame["base_square"]
    n = frame["revenue_n"].to_numpy("float64")
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.maximum(squares, 0) / base**2 * np.where(n > 1, n / (n - 1), np.nan)
    reach = special.ndtri(0.5 + confidence / 2) * np.sqrt(variance.to_numpy("float64"))
    above = np.minimum(rate + reach, 1.0) if kind == "gross" else rate + reach
    return rate, np.maximum(rate - reach, 0.0), above
