"""Regression of the time to an end on aggregated customers, exact with ties, entries and strata."""

from cxlib.models.regression.fitting import fit_cox
from cxlib.models.regression.model import Cox

__all__ = ["Cox", "fit_cox"]
