"""Customers at risk and renewed, by term: read and checked."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cxlib.errors import CxError, unknown_name

__all__ = ["read_terms", "whole"]

_COUNTS = ["term", "at_risk", "renewed"]


def read_terms(terms: pd.DataFrame, by: list[str], up_to: int | None) -> pd.DataFrame:
    """Counts by term, checked.

    Parameters
    ----------
    terms
        Columns ``term``, ``at_risk``, ``renewed``, and those of ``by``.
    by
        Columns that tell the groups.
    up_to
        Last term to keep.

    Returns
    -------
    pandas.DataFrame
        These columns, the counts as int64.

    Raises
    ------
    CxError
        For missing columns, counts that cannot be, and no rows.
    """
    for name in [*_COUNTS, *by]:
        if name not in terms.columns:
            raise unknown_name("column", name, terms.columns, "in the terms")
    for name in _COUNTS:
        _check_counts(terms[name], name)
    counts = terms[[*by, *_COUNTS]].astype(dict.fromkeys(_COUNTS, "int64"))
    if (wrong := counts["renewed"] > counts["at_risk"]).any():
        row = counts[wrong].iloc[0]
        raise CxError(
            f"{int(wrong.sum()):,} rows of the terms have more renewed than at risk (first: term "
            f"{row['term']} with {row['renewed']:,} of {row['at_risk']:,}); check the counts"
        )
    if (counts["term"] < 1).any():
        raise CxError("the column 'term' has a 0; the first renewal is term 1: number from there")
    if up_to is not None:
        counts = counts[counts["term"] <= whole(up_to, "up_to", 1)]
    if not len(counts):
        raise CxError("the terms have no rows; check the filters and up_to")
    return counts


def _check_counts(column: pd.Series, name: str) -> None:
    if not pd.api.types.is_numeric_dtype(column.dtype):
        raise CxError(f"the column {name!r} is {column.dtype}, and must hold whole numbers")
    wrong = column.isna() | (column < 0) | ~np.isfinite(column) | (column != column.round())
    if wrong.any():
        raise CxError(
            f"{int(wrong.sum()):,} rows of the column {name!r} are missing, negative or no whole "
            f"numbers (first: {column[wrong].iloc[0]}); drop or mend them"
        )


def whole(number: int, name: str, least: int) -> int:
    """A whole number of at least so much, or an error with its name.

    Raises
    ------
    CxError
        For anything else.
    """
    if isinstance(number, bool) or number != int(number) or number < least:
        raise CxError(f"{name} is {number}, and must be a whole number of at least {least}")
    return int(number)
