"""Regression of the time to an end on aggregated customers, exact with ties, entries and strata."""

from cxlib.models.regression.competing import FineGray, fit_fine_gray
from cxlib.models.regression.cure import CureModel, fit_cure
from cxlib.models.regression.discrete import DiscreteHazard, fit_discrete_hazard
from cxlib.models.regression.fitting import fit_cox
from cxlib.models.regression.model import Cox
from cxlib.models.regression.parametric import AcceleratedFailure, fit_aft
from cxlib.models.regression.penalized import fit_penalized_cox

__all__ = [
    "AcceleratedFailure",
    "Cox",
    "CureModel",
    "DiscreteHazard",
    "FineGray",
    "fit_aft",
    "fit_cox",
    "fit_cure",
    "fit_discrete_hazard",
    "fit_fine_gray",
    "fit_penalized_cox",
]
