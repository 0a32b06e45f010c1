"""Survival from an age on, for every pattern of covariates and age that is needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxlib.errors import CxError, unknown_name

__all__ = ["SurvivalModel", "grid_of", "patterns_of"]

Array = NDArray[Any]

_MOST_CELLS = 20_000_000


class SurvivalModel(Protocol):
    """What ``fit_cox``, ``fit_discrete_hazard`` and ``fit_aft`` give, as far as needed here."""

    @property
    def covariate_columns(self) -> list[str]:
        """Columns that a prediction needs."""

    @property
    def reliable_until(self) -> float:
        """Last time that may be predicted."""

    def predict(self, frame: pd.DataFrame, times: Sequence[float]) -> pd.DataFrame:
        """Survival by row and time."""


def patterns_of(model: SurvivalModel, frame: pd.DataFrame) -> tuple[Array, pd.DataFrame]:
    """Position of each row among the distinct patterns of covariates, and those.

    Parameters
    ----------
    model
        Says which columns count.
    frame
        Rows with them.

    Returns
    -------
    tuple of numpy.ndarray and pandas.DataFrame
        In the order of first appearance.

    Raises
    ------
    CxError
        For a missing column.
    """
    names = model.covariate_columns
    for name in names:
        if name not in frame.columns:
            raise unknown_name("column", name, frame.columns, "among the customers")
    if not names:
        return np.zeros(len(frame), "int64"), frame[[]].iloc[:1].reset_index(drop=True)
    groups = frame.groupby(names, dropna=False, sort=False, observed=True)
    return groups.ngroup().to_numpy(), frame[names].drop_duplicates().reset_index(drop=True)


def grid_of(model: SurvivalModel, patterns: pd.DataFrame, times: Array) -> Array:
    """Survival of each pattern at each time.

    Parameters
    ----------
    model
        A fitted model.
    patterns
        Distinct covariates.
    times
        Ascending.

    Returns
    -------
    numpy.ndarray
        Patterns by times.

    Raises
    ------
    CxError
        Where they are too many, and as the model's own ``predict``.
    """
    if len(patterns) * len(times) > _MOST_CELLS:
        raise CxError(
            f"{len(patterns):,} patterns of covariates times {len(times):,} times are too many; "
            "bin numbers such as the price, or count the time in longer units"
        )
    found = model.predict(patterns, [float(time) for time in times])
    return found["survival"].to_numpy().reshape(len(patterns), len(times))
