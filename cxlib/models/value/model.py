"""A fitted model of purchases, and what it forecasts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxlib.errors import CxError
from cxlib.likelihood import Estimate
from cxlib.models.value.families import Family
from cxlib.models.value.rows import Rows, read_rows
from cxlib.spans import parse_span

__all__ = ["PurchaseModel"]

Array = NDArray[Any]


@dataclass(frozen=True)
class PurchaseModel:
    """A model of how often customers buy and when they leave.

    Parameters
    ----------
    family
        Which one.
    estimate
        Its parameters.
    period
        Length of a unit of time.
    unit
        Its name.

    Examples
    --------
    >>> from cxlib import fit_nbd
    >>> histories = pd.DataFrame(
    ...     {"frequency": [0, 1, 5], "recency": [0, 9, 30], "T": [39, 39, 39],
    ...      "weight": [50, 20, 10]})
    >>> model = fit_nbd(histories).at(r=0.5, alpha=10.0)
    >>> model.expected_purchases(["1 week", "4 weeks"])
       horizon_weeks  expected_purchases
    0            1.0                0.05
    1            4.0                0.20
    """

    family: Family
    estimate: Estimate
    period: timedelta | None
    unit: str

    @property
    def summary(self) -> pd.DataFrame:
        """Parameters with 95 % intervals.

        Returns
        -------
        pandas.DataFrame
            One row per parameter: ``parameter`` (text), ``estimate``, ``standard_error``,
            ``lower``, ``upper`` float64. The interval is symmetric on the log scale.
        """
        return self.estimate.summary()

    @property
    def log_likelihood(self) -> float:
        """Log-likelihood at the estimates."""
        return self.estimate.log_likelihood

    def at(self, **values: float) -> PurchaseModel:
        """The same model at given parameters, such as published ones.

        Parameters
        ----------
        **values
            A value for each parameter.

        Returns
        -------
        PurchaseModel
            Without standard errors (NaN).
        """
        return PurchaseModel(self.family, self.estimate.at(**values), self.period, self.unit)

    def predict(self, histories: pd.DataFrame, *, horizon: str | timedelta | int) -> pd.DataFrame:
        """Chance that customers are still active, and their purchases to come.

        Parameters
        ----------
        histories
            As given to the fit, or one row per customer.
        horizon
            How far ahead, from the end of each history: a span ("26 weeks"), or for the BG/BB
            the number of opportunities.

        Returns
        -------
        pandas.DataFrame
            The rows as given, with ``probability_alive`` (at the end of the history; for the BG/BB
            at the next opportunity) and ``expected_purchases`` (within the horizon, of one customer
            of the row, who may have left) float64.
        """
        rows = read_rows(histories, discrete=self.family.discrete)
        alive, purchases = self.forecast(self.estimate.values, rows, [self.time_of(horizon)])
        return histories.assign(probability_alive=alive, expected_purchases=purchases[0])

    def expected_purchases(self, horizons: Sequence[str | timedelta | int]) -> pd.DataFrame:
        """Repeat purchases of a new customer, of whom nothing else is known.

        Parameters
        ----------
        horizons
            Times since the first purchase, as in ``predict``.

        Returns
        -------
        pandas.DataFrame
            One row per horizon: ``horizon_<unit>`` and ``expected_purchases`` float64 (the first
            purchase not counted).
        """
        times = np.array([self.time_of(horizon) for horizon in horizons], dtype="float64")
        found = self.family.from_start(self.estimate.values, times)
        return pd.DataFrame({f"horizon_{self.unit}": times, "expected_purchases": found})

    def forecast(
        self, parameters: Array, rows: Rows, times: Sequence[float]
    ) -> tuple[Array, list[Array]]:
        """Chance to be active and expected purchases, as arrays, at any parameters.

        Parameters
        ----------
        parameters
            Values in the order of the summary.
        rows
            Histories.
        times
            How far ahead, in the unit of the model.

        Returns
        -------
        tuple of numpy.ndarray and list of numpy.ndarray
            One value per row; one array per time.
        """
        alive = np.exp(self.family.log_alive(parameters, rows))
        return alive, [alive * self.family.purchases(parameters, rows, time) for time in times]

    def time_of(self, horizon: str | timedelta | int) -> float:
        """A horizon in the unit of the model.

        Parameters
        ----------
        horizon
            As in ``predict``.

        Returns
        -------
        float
            Whole for the BG/BB.

        Raises
        ------
        CxError
            For a bare number where a span is meant, and the other way round.
        """
        if not self.family.discrete:
            span = parse_span(horizon)  # type: ignore[arg-type]
            assert self.period is not None
            return span / self.period
        if isinstance(horizon, int) and not isinstance(horizon, bool) and horizon >= 0:
            return float(horizon)
        raise CxError(
            f"the horizon is {horizon!r}, and the BG/BB model counts purchase opportunities; give "
            "a whole number of them, such as 5"
        )
