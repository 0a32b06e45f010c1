"""Counted customers, checked: how long, whether they ended, and which covariates they had."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxlib.errors import CxError, unknown_name

__all__ = ["Columns", "Rows", "check_table", "count_rows"]

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Columns:
    """Which column of a table is what."""

    duration: str
    event: str
    cause: Any
    terms: tuple[str, ...]
    weights: str | None
    entry: str | None
    strata: tuple[str, ...]
    cluster: str | None

    @property
    def covariates(self) -> list[str]:
        """Columns of the terms, once each."""
        return list(dict.fromkeys(part for term in self.terms for part in term.split(":")))


@dataclass(frozen=True)
class Rows:
    """Customers counted by stratum, covariate pattern, entry, exit, event and cluster.

    ``pattern`` is the position in ``patterns`` (the covariates' columns, each combination once),
    ``stratum`` that in ``strata`` (the strata's columns). An entry of minus infinity is from the
    start.
    """

    pattern: Ints
    stratum: Ints
    entry: Array
    exit: Array
    event: NDArray[np.bool_]
    n: Array
    cluster: Ints | None
    patterns: pd.DataFrame
    strata: pd.DataFrame

    @property
    def n_patterns(self) -> Array:
        """Customers of each pattern."""
        return np.bincount(self.pattern, self.n, len(self.patterns)).astype("float64")

    @property
    def event_patterns(self) -> Array:
        """Events of each pattern."""
        found = np.bincount(self.pattern, self.n * self.event, len(self.patterns))
        return found.astype("float64")


def check_table(table: pd.DataFrame, columns: Columns) -> None:
    """Raise where a table cannot be read.

    Parameters
    ----------
    table
        Rows of customers.
    columns
        Which column is what.

    Raises
    ------
    CxError
        For missing columns or values, times that cannot be, counts that are not whole, an event
        column that does not say which of several causes is meant, and no event at all.
    """
    named = [columns.duration, columns.event, *columns.covariates, *columns.strata]
    named += [name for name in (columns.weights, columns.entry, columns.cluster) if name]
    for name in named:
        if name not in table.columns:
            raise unknown_name("column", name, table.columns, "in the table")
    if not len(table):
        raise CxError("the table has no rows; check the filters")
    own = [columns.duration, columns.event, columns.entry, columns.cluster, columns.weights]
    if both := [name for name in columns.covariates if name in own]:
        raise CxError(
            f"{both[0]!r} is a covariate and also says how long, whether or how often; "
            "leave it out of the covariates"
        )
    if both := [name for name in columns.terms if name in columns.strata]:
        raise CxError(
            f"{both[0]!r} is a covariate and a stratum; it is one or the other, because "
            "customers are compared within strata only"
        )
    # A cause is missing for those who have not ended.
    holes = table[[name for name in dict.fromkeys(named) if name != columns.event]].isna().sum()
    if holes.any():
        name = str(holes.idxmax())
        raise CxError(
            f"the column {name!r} misses {holes[name]:,} of {len(table):,} values; drop those "
            "rows, or give a missing level a name such as 'unknown'"
        )
    _check_times(table, columns)
    for name in columns.covariates:
        if pd.api.types.is_float_dtype(table[name]) and np.isinf(table[name]).any():
            raise CxError(f"the covariate {name!r} is infinite in some rows; cap it or drop them")
    if columns.weights:
        n = table[columns.weights]
        if not pd.api.types.is_numeric_dtype(n) or (n < 0).any() or (n != n.round()).any():
            raise CxError(
                f"the column {columns.weights!r} must hold whole numbers of customers; "
                "a weight that is no count has no place here"
            )


def _check_times(table: pd.DataFrame, columns: Columns) -> None:
    for name in (columns.duration, columns.entry):
        if name is None:
            continue
        if not pd.api.types.is_numeric_dtype(table[name]):
            raise CxError(f"the column {name!r} must hold numbers, and holds {table[name].dtype}")
        wrong = ~((table[name] >= 0) & np.isfinite(table[name].astype("float64")))
        if wrong.any():
            raise CxError(
                f"{int(wrong.sum()):,} rows have a negative or infinite {name!r}, such as "
                f"{table[name][wrong].iloc[0]}; check the dates that it was counted from"
            )
    if columns.entry:
        late = (table[columns.entry] >= table[columns.duration]) & (table[columns.entry] > 0)
        if late.any():
            raise CxError(
                f"{int(late.sum()):,} rows leave ({columns.duration!r}) at or before they enter "
                f"({columns.entry!r}), so that they are never at risk; drop them"
            )


def _events(table: pd.DataFrame, columns: Columns) -> NDArray[np.bool_]:
    values = table[columns.event]
    if columns.cause is not None:
        if columns.cause not in set(values.dropna().unique()):
            known = sorted(map(str, values.dropna().unique()))
            raise unknown_name("cause", columns.cause, known, f"in {columns.event!r}")
        return (values == columns.cause).fillna(False).to_numpy("bool")
    if missing := int(values.isna().sum()):
        raise CxError(
            f"the column {columns.event!r} misses {missing:,} of {len(values):,} values; "
            "it must be True (ended) or False (censored)"
        )
    if not values.isin([0, 1]).all():
        found = sorted(map(str, values.unique()))[:5]
        raise CxError(
            f"the column {columns.event!r} must be True (ended) or False (censored) and holds "
            f"{', '.join(found)}; say which cause is the event with cause={found[0]!r}, and the "
            "others are censored"
        )
    return values.to_numpy("bool")


def count_rows(table: pd.DataFrame, columns: Columns) -> Rows:
    """Customers of a checked table, counted by what a likelihood needs.

    Parameters
    ----------
    table
        Rows that ``check_table`` has let pass.
    columns
        Which column is what.

    Returns
    -------
    Rows
        Rows without customers are left out.

    Raises
    ------
    CxError
        When nobody ended, or the cause is unknown.
    """
    if columns.weights:
        table = table[table[columns.weights] > 0]
    pattern, patterns = _codes(table, columns.covariates)
    stratum, strata = _codes(table, columns.strata)
    entry = table[columns.entry].to_numpy("float64") if columns.entry else np.zeros(len(table))
    frame = pd.DataFrame(
        {
            "stratum": stratum,
            "pattern": pattern,
            "entry": np.where(entry > 0, entry, -np.inf),
            "exit": table[columns.duration].to_numpy("float64"),
            "event": _events(table, columns),
            "n": table[columns.weights].to_numpy("float64") if columns.weights else 1.0,
        }
    )
    if columns.cluster:
        frame["cluster"] = pd.factorize(table[columns.cluster])[0]
    if not frame["event"].any():
        raise CxError(
            f"nobody ended: all {frame['n'].sum():,.0f} customers are censored; "
            "follow them for longer, or check the column of the event"
        )
    keys = [name for name in frame.columns if name != "n"]
    counted = frame.groupby(keys, as_index=False, sort=False)
    frame = counted.agg({"n": "sum"})
    return Rows(
        pattern=frame["pattern"].to_numpy("int64"),
        stratum=frame["stratum"].to_numpy("int64"),
        entry=frame["entry"].to_numpy(),
        exit=frame["exit"].to_numpy(),
        event=frame["event"].to_numpy(),
        n=frame["n"].to_numpy(),
        cluster=frame["cluster"].to_numpy("int64") if columns.cluster else None,
        patterns=patterns,
        strata=strata,
    )


def _codes(table: pd.DataFrame, names: Sequence[str]) -> tuple[Ints, pd.DataFrame]:
    """Position of each row among the distinct combinations, and those."""
    if not names:
        return np.zeros(len(table), "int64"), pd.DataFrame(index=[0])
    # Sorted, so that the order of the rows shows nowhere.
    coded = pd.DataFrame({name: pd.factorize(table[name], sort=True)[0] for name in names})
    codes = coded.groupby(list(names)).ngroup().to_numpy().astype("int64")
    first = np.unique(codes, return_index=True)[1]
    return codes, table[list(names)].iloc[first].reset_index(drop=True)
