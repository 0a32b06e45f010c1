"""Rows of purchase histories, checked once before anything is computed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxlib.errors import CxError, unknown_name

__all__ = ["Rows", "check_numbers", "read_rows", "read_weights"]

Array = NDArray[Any]


@dataclass(frozen=True)
class Rows:
    """Purchase histories as arrays.

    Parameters
    ----------
    x
        Repeat purchases.
    last
        Time of the last purchase since the first, 0 without repeat purchases.
    end
        Time observed since the first purchase.
    weight
        Customers with this history.

    Examples
    --------
    >>> history = read_rows(pd.DataFrame({"frequency": [2], "recency": [3], "T": [9]}))
    >>> history.n
    1
    """

    x: Array
    last: Array
    end: Array
    weight: Array

    @property
    def n(self) -> int:
        """Customers."""
        return int(self.weight.sum())

    @cached_property
    def counts(self) -> tuple[Array, Array]:
        """Distinct numbers of purchases, and which of them each row has."""
        return np.unique(self.x, return_inverse=True)

    @cached_property
    def moments(self) -> tuple[Array, Array, Array, Array]:
        """Distinct pairs of purchases and time, and which a row has at its last and end."""
        pairs = np.column_stack([np.tile(self.x, 2), np.concatenate([self.last, self.end])])
        distinct, which = np.unique(pairs, axis=0, return_inverse=True)
        which = which.ravel()
        return distinct[:, 0], distinct[:, 1], which[: len(self.x)], which[len(self.x) :]

    def distinct(self) -> tuple[Rows, Array]:
        """The distinct histories, each once, and which of them each row has."""
        whole = np.column_stack([self.x, self.last, self.end])
        found, which = np.unique(whole, axis=0, return_inverse=True)
        once = Rows(found[:, 0], found[:, 1], found[:, 2], np.ones(len(found)))
        return once, which.ravel()


def read_rows(frame: pd.DataFrame, *, discrete: bool = False) -> Rows:
    """Purchase histories of a frame, once they are known to be possible.

    Parameters
    ----------
    frame
        Columns ``frequency``, ``recency``, ``T`` and, where rows stand for several customers,
        ``weight``.
    discrete
        Times are counts of purchase opportunities, with at most one purchase each.

    Returns
    -------
    Rows
        In the order of the frame.

    Raises
    ------
    CxError
        For a missing column, or rows that no customer can have.

    Examples
    --------
    >>> read_rows(pd.DataFrame({"frequency": [2], "recency": [12.0], "T": [9.0]}))
    Traceback (most recent call last):
    ...
    cxlib.errors.CxError: 1 rows have a recency after T (first: row 0 with 12.0 after 9.0); both
    count from the first purchase
    """
    for name in ("frequency", "recency", "T"):
        check_numbers(frame, name)
    if not len(frame):
        raise CxError("there are no purchase histories; check the filters")
    x, last, end = (frame[name].to_numpy("float64") for name in ("frequency", "recency", "T"))
    rows = Rows(x, last, end, read_weights(frame))
    first = _first(rows.last > rows.end)
    if first is not None:
        raise CxError(
            f"{int((rows.last > rows.end).sum()):,} rows have a recency after T (first: row "
            f"{first} with {rows.last[first]} after {rows.end[first]}); both count from the first "
            "purchase"
        )
    _check_whole(rows.x, "frequency", "repeat purchases")
    if discrete:
        _check_whole(rows.last, "recency", "purchase opportunities")
        _check_whole(rows.end, "T", "purchase opportunities")
    _check_possible(rows, discrete)
    return rows


def read_weights(frame: pd.DataFrame) -> Array:
    """Customers that each row stands for: the column ``weight``, or 1.

    Parameters
    ----------
    frame
        Any rows.

    Returns
    -------
    numpy.ndarray
        Counts.

    Raises
    ------
    CxError
        For weights that are not counts.

    Examples
    --------
    >>> read_weights(pd.DataFrame({"frequency": [1, 2]}))
    array([1., 1.])
    """
    if "weight" not in frame.columns:
        return np.ones(len(frame))
    check_numbers(frame, "weight")
    weight = frame["weight"].to_numpy("float64")
    wrong = weight != np.round(weight)
    if wrong.any():
        raise CxError(
            f"{int(wrong.sum()):,} rows have a weight that is no count of customers (first: row "
            f"{_first(wrong)} with {weight[wrong][0]}); a weight of w must stand for w customers"
        )
    return weight


def check_numbers(frame: pd.DataFrame, name: str) -> None:
    """Raise where a column is not there, or holds anything but finite numbers from 0 on.

    Parameters
    ----------
    frame
        Any rows.
    name
        The column.

    Raises
    ------
    CxError
        With the number of wrong rows and the first of them.

    Examples
    --------
    >>> check_numbers(pd.DataFrame({"freq": [1]}), "frequency")
    Traceback (most recent call last):
    ...
    cxlib.errors.CxError: there is no column 'frequency' in the purchase histories; did you mean
    'freq'?
    """
    if name not in frame.columns:
        raise unknown_name("column", name, frame.columns, "in the purchase histories")
    column = frame[name]
    if not pd.api.types.is_numeric_dtype(column.dtype):
        raise CxError(f"the column {name!r} is {column.dtype}, and must hold numbers")
    values = column.to_numpy("float64", na_value=np.nan)
    for wrong, what in (
        (np.isnan(values), "a missing"),
        (np.isinf(values), "an infinite"),
        (values < 0, "a negative"),
    ):
        if wrong.any():
            raise CxError(
                f"{int(wrong.sum()):,} rows have {what} {name} (first: row {_first(wrong)}); "
                "mend or drop them"
            )


def _check_whole(values: Array, name: str, what: str) -> None:
    wrong = values != np.round(values)
    if wrong.any():
        raise CxError(
            f"{int(wrong.sum()):,} rows have a {name} that is no whole number (first: row "
            f"{_first(wrong)} with {values[wrong][0]}); it must count {what}"
        )


def _check_possible(rows: Rows, discrete: bool) -> None:
    checks = [
        (
            (rows.x == 0) & (rows.last > 0),
            "no repeat purchase and yet a recency; it is 0 without one",
        ),
        (
            (rows.x > 0) & (rows.last == 0),
            "repeat purchases and a recency of 0; purchases at one time are one",
        ),
    ]
    if discrete:
        checks.append(
            (rows.x > rows.last, "more purchases than opportunities up to the last of them")
        )
    for wrong, what in checks:
        if wrong.any():
            raise CxError(f"{int(wrong.sum()):,} rows (first: row {_first(wrong)}) have {what}")


def _first(wrong: Array) -> int | None:
    return int(np.argmax(wrong)) if wrong.any() else None
