"""Renewals: how long customers on contract stay, projected beyond the terms seen."""

from cxlib.models.renewals.fitting import fit_bdw, fit_sbg
from cxlib.models.renewals.model import RenewalModel

__all__ = ["RenewalModel", "fit_bdw", "fit_sbg"]
