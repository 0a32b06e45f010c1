"""What lies ahead of every customer today: the chance to stay, and the time expected."""

from __future__ import annotations

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from cxlib.errors import CxError, unknown_name
from cxlib.models.prediction.survivals import SurvivalModel, grid_of

__all__ = ["score_customers"]

_MOST_PATTERNS = 200_000


def score_customers(
    model: SurvivalModel,
    customers: ir.Table | pd.DataFrame,
    *,
    age: str,
    ahead: Sequence[int] = (1, 3, 12),
    unit: str = "months",
) -> ir.Table | pd.DataFrame:
    """Each customer's chance to stay, and time expected to remain, from today on.

    Parameters
    ----------
    model
        What ``fit_cox``, ``fit_discrete_hazard`` or ``fit_aft`` gives.
    customers
        One row per customer who is still there, in the engine or a frame, with the covariates of
        today.
    age
        Column of the time since the origin, in the unit of the model's duration; whole units that
        are over count.
    ahead
        Whole units from today for which the chance to stay is wanted.
    unit
        Name of that unit, for the names of columns.

    Returns
    -------
    ibis.expr.types.Table or pandas.DataFrame
        The rows as they were, of the same kind, with ``stays_<k>_<unit>`` float64 for each of
        ``ahead`` (chance to stay that much longer; null where it would be extrapolated),
        ``expected_<unit>`` float64 (mean of the time that remains, up to the next column),
        ``expected_within_<unit>`` float64 (time from today to the last reliable one).

    Raises
    ------
    CxError
        For missing columns or values, columns that exist already, ``ahead`` that is not whole, and
        patterns that are too many.

    Notes
    -----
    The chance to stay is S(age + k) / S(age) of the customer's covariates, held at their value of
    today. The expected time is the area under it up to the model's last reliable time and not
    beyond: a lower bound of the whole, comparable between customers of one age only. It is null
    for those who are past that time. The model is asked once for each pattern of covariates, and
    the engine joins the answers to the customers.

    Examples
    --------
    >>> from cxlib import fit_discrete_hazard
    >>> table = pd.DataFrame({
    ...     "plan": ["basic", "basic", "basic", "pro", "pro", "pro"],
    ...     "duration_months": [1, 2, 2, 1, 2, 2],
    ...     "event": [True, True, False, True, True, False],
    ...     "n": [40, 30, 60, 10, 15, 45],
    ... })
    >>> model = fit_discrete_hazard(
    ...     table, duration="duration_months", event="event", covariates=["plan"])
    >>> customers = pd.DataFrame({"customer_id": ["a", "b", "c"], "plan": ["basic", "pro", "pro"],
    ...                           "age_months": [0, 0, 1]})
    >>> score_customers(model, customers, age="age_months", ahead=[1])[
    ...     ["customer_id", "stays_1_months", "expected_months", "expected_within_months"]].round(2)
      customer_id  stays_1_months  expected_months  expected_within_months
    0           a            0.71             1.71                     2.0
    1           b            0.83             1.83                     2.0
    2           c            0.79             1.00                     1.0
    """
    if not ahead or any(k != int(k) or k < 1 for k in ahead):
        raise CxError(f"ahead={list(ahead)} must be whole {unit} of 1 and more")
    steps = sorted({int(k) for k in ahead})
    given = (
        customers
        if isinstance(customers, ir.Table)
        else ibis.memtable(customers.assign(_row=np.arange(len(customers))))
    )
    own = [f"stays_{k}_{unit}" for k in steps]
    own += [f"expected_{unit}", f"expected_within_{unit}"]
    _check(given, [age, *model.covariate_columns], own)
    names = model.covariate_columns
    # Age decides together with the covariates; who is past the end shares one row.
    last = int(np.floor(model.reliable_until))
    aged = given.mutate(_age=ibis.least(given[age].floor().cast("int64"), last + 1))
    scores = _scores(model, aged, names, last, steps, own)
    joined = aged.left_join(ibis.memtable(scores), ["_age", *names])
    result = joined.select(*given.columns, *own)
    if isinstance(customers, ir.Table):
        return result
    frame = result.to_pandas().sort_values("_row").drop(columns="_row")
    # The kinds of columns are those that were given, whatever the engine makes of them.
    return customers.assign(**{name: frame[name].to_numpy() for name in own})


def _check(given: ir.Table, needed: list[str], own: list[str]) -> None:
    for name in needed:
        if name not in given.columns:
            raise unknown_name("column", name, given.columns, "among the customers")
    for name in own:
        if name in given.columns:
            raise CxError(f"the customers have a column {name!r} already; rename or drop it")
    counts = given.aggregate(
        **{name: given[name].isnull().sum() for name in needed},
        _young=(given[needed[0]] < 0).sum(),
    )
    row = counts.to_pandas().iloc[0].fillna(0)
    for name in needed:
        if row[name]:
            raise CxError(
                f"{int(row[name]):,} customers miss a value of {name!r}; leave them out, or fit "
                "and score with a level such as 'unknown'"
            )
    if row["_young"]:
        raise CxError(f"{int(row['_young']):,} customers have a negative {needed[0]!r}; check it")


def _scores(
    model: SurvivalModel,
    aged: ir.Table,
    names: list[str],
    last: int,
    steps: list[int],
    own: list[str],
) -> pd.DataFrame:
    """One row per pattern and age that occurs."""
    found = aged.select("_age", *names).distinct().limit(_MOST_PATTERNS + 1).to_pandas()
    if len(found) > _MOST_PATTERNS:
        raise CxError(
            f"customers have over {_MOST_PATTERNS:,} patterns of age and covariates; bin numbers "
            "such as the price, before the fit too"
        )
    patterns = found[names].drop_duplicates().reset_index(drop=True)
    place = np.zeros(len(found), "int64")
    if names:
        order = patterns.assign(_place=np.arange(len(patterns)))
        place = found[names].merge(order, on=names, how="left")["_place"].to_numpy()
    else:
        patterns = pd.DataFrame(index=[0])
    first = int(min(found["_age"].min(), last)) if len(found) else 0
    times = np.arange(first, last + 1)
    survival = grid_of(model, patterns, times.astype("float64"))
    # Area from each time on, under a curve that falls at whole units.
    area = np.cumsum(survival[:, ::-1], axis=1)[:, ::-1] - survival[:, -1:]
    at = found["_age"].to_numpy() - first
    known = at < len(times)
    here = np.where(known, at, 0)
    left = np.where(known, survival[place, here], np.nan)
    left = np.where(left > 0, left, np.nan)
    columns = []
    for k in steps:
        reached = known & (here + k < len(times))
        columns.append(
            np.where(reached, survival[place, np.where(reached, here + k, 0)], np.nan) / left
        )
    columns += [area[place, here] / left, np.where(known, last - found["_age"], np.nan)]
    scored = found.assign(**dict(zip(own, columns, strict=True)))
    # A missing number is a null in the engine, not a NaN that sorts as the largest.
    return scored.astype(dict.fromkeys(own, "Float64"))
