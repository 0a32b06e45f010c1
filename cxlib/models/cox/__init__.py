"""Cox regression on aggregated customers: exact with ties, entries, strata and clusters."""

from cxlib.models.cox.fitting import fit_cox
from cxlib.models.cox.model import Cox

__all__ = ["Cox", "fit_cox"]
