"""The measures of the bench, cell for cell against the queries written by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

import cxlib
from cxlib.journeys.log import Journeys
from tests.bench.queries import STEPS, WITHIN_DAYS

MEASURES: dict[str, Callable[[Journeys], pd.DataFrame]] = {
    "transitions": lambda log: cxlib.transitions(log),
    "flows": lambda log: cxlib.flows(log, steps=10),
    "step_matrix": lambda log: cxlib.step_matrix(log, steps=10),
    "funnel": lambda log: cxlib.funnel(log, STEPS, within=f"{WITHIN_DAYS} days"),
    "common_paths": lambda log: cxlib.common_paths(log, steps=10, top=20),
    "retention": lambda log: cxlib.retention(log, period="month", periods=12),
}
CALLS = {
    "transitions": "transitions(log)",
    "flows": "flows(log, steps=10)",
    "step_matrix": "step_matrix(log, steps=10)",
    "funnel": f'funnel(log, four steps, within="{WITHIN_DAYS} days")',
    "common_paths": "common_paths(log, steps=10, top=20)",
    "retention": 'retention(log, period="month", periods=12)',
}


def check_equal(ours: pd.DataFrame, theirs: pd.DataFrame) -> None:
    """Raise where two answers differ in any cell; floats to 9 digits, the order of sums is free."""
    assert set(ours.columns) == set(theirs.columns), set(ours.columns) ^ set(theirs.columns)
    assert len(ours) == len(theirs), (len(ours), len(theirs))
    for name in ours.columns:
        one, other = ours[name].to_numpy(), theirs[name].to_numpy()
        if pd.api.types.is_float_dtype(ours[name]):
            np.testing.assert_allclose(one, other.astype("float64"), 1e-9, 1e-9, err_msg=name)
        else:
            assert (one == other).all(), name
