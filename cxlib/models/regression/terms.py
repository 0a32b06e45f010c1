"""Covariates as columns of numbers: levels against a reference, products, and their names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxlib.errors import CxError, unknown_name

__all__ = ["Terms", "read_terms"]

Array = NDArray[np.float64]


_LEVELS = 100
"""Levels beyond which a column is an identity rather than a covariate."""


@dataclass(frozen=True)
class Terms:
    """How covariates become numbers.

    Attributes
    ----------
    names
        Terms as they were given: a column, or columns with ``:`` between them.
    levels
        Levels of each categorical column; the first is its reference.
    reference
        Value of every column at which the baseline stands.
    """

    names: tuple[str, ...]
    levels: dict[str, list[Any]]
    reference: dict[str, Any]

    @property
    def columns(self) -> list[str]:
        """Columns that the terms need, once each."""
        return _columns(self.names)

    @property
    def coefficients(self) -> list[str]:
        """Name of each coefficient, in the order of the matrix."""
        return [name for term in self.names for name in self._labels(term)]

    @property
    def term_of(self) -> NDArray[np.int64]:
        """Position of the term that each coefficient belongs to."""
        sizes = [len(self._labels(term)) for term in self.names]
        return np.repeat(np.arange(len(sizes)), sizes)

    @property
    def of_levels(self) -> NDArray[np.bool_]:
        """Whether each coefficient is that of a level, or of a product with one."""
        levels = [any(part in self.levels for part in name.split(":")) for name in self.names]
        return np.array(levels)[self.term_of]

    def matrix(self, frame: pd.DataFrame) -> Array:
        """Numbers of each row, one column per coefficient.

        Parameters
        ----------
        frame
            Rows with every column of the terms.

        Returns
        -------
        numpy.ndarray
            Rows by coefficients.
        """
        blocks = []
        for term in self.names:
            block = np.ones((len(frame), 1))
            for column in term.split(":"):
                part = self._block(frame[column], column)
                block = (block[:, :, None] * part[:, None, :]).reshape(len(frame), -1)
            blocks.append(block)
        return np.hstack(blocks)

    def _block(self, values: pd.Series, column: str) -> Array:
        if column not in self.levels:
            return values.to_numpy(dtype="float64")[:, None]
        levels = self.levels[column]
        unknown = ~values.isin(levels)
        if unknown.any():
            raise unknown_name("level", values[unknown].iloc[0], levels, f"of {column!r}")
        return np.stack([(values == level).to_numpy("float64") for level in levels[1:]], axis=1)

    def _labels(self, term: str) -> list[str]:
        labels = [""]
        for column in term.split(":"):
            levels = self.levels.get(column)
            own = [column] if levels is None else [f"{column}={level}" for level in levels[1:]]
            labels = [f"{label}:{name}".lstrip(":") for label in labels for name in own]
        return labels


def read_terms(
    frame: pd.DataFrame,
    n: pd.Series,
    covariates: Sequence[str],
    reference: Mapping[str, Any] | None,
) -> Terms:
    """How the covariates of a frame become numbers.

    Parameters
    ----------
    frame
        Rows with the columns of the covariates.
    n
        Customers in each row.
    covariates
        Terms: columns, or products such as "age:plan".
    reference
        Values that replace the default reference of some columns.

    Returns
    -------
    Terms
        With the most frequent level as the reference of a categorical column, 0 for a column of
        zeros and ones, and the mean of any other.

    Raises
    ------
    CxError
        For a reference of an unknown column or level, and a column with one level or over 100.
    """
    columns = _columns(covariates)
    given = dict(reference or {})
    for name in given:
        if name not in columns:
            raise unknown_name("covariate", name, columns, "to give a reference of")
    levels: dict[str, list[Any]] = {}
    at: dict[str, Any] = {}
    for column in columns:
        values = frame[column]
        if pd.api.types.is_bool_dtype(values) or pd.api.types.is_numeric_dtype(values):
            at[column] = given.get(column, _middle(values.astype("float64"), n))
            continue
        counts = n.groupby(values, observed=True).sum().sort_values(ascending=False, kind="stable")
        found = sorted(counts.index, key=str)
        first = given.get(column, counts.index[0])
        if first not in found:
            raise unknown_name("level", first, found, f"of {column!r}")
        if len(found) > _LEVELS:
            raise CxError(
                f"the covariate {column!r} has {len(found):,} levels, such as {first!r}, and the "
                f"most is {_LEVELS}; group them, or take it as strata or cluster"
            )
        if len(found) < 2:
            raise CxError(f"the covariate {column!r} has one level, {first!r}; leave it out")
        levels[column] = [first, *[level for level in found if level != first]]
        at[column] = first
    return Terms(tuple(covariates), levels, at)


def _columns(covariates: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(part for term in covariates for part in term.split(":")))


def _middle(values: pd.Series, n: pd.Series) -> float:
    if values.isin([0, 1]).all():
        return 0.0
    return float(np.average(values, weights=n))
