"""Cox regression with a penalty, against lifelines on single customers and conditions by hand."""

import numpy as np
import pandas as pd
import pytest
from lifelines import CoxPHFitter
from lifelines.datasets import load_rossi

from cxlib import CxError, fit_cox, fit_penalized_cox
from tests.models.test_cox import ROSSI, aggregated, crowd, remission

pytestmark = pytest.mark.filterwarnings("ignore")
RULES = {"duration": "week", "event": "arrest", "covariates": ROSSI}


def test_the_ridge_is_that_of_lifelines_on_single_customers():
    """lifelines takes the spread of a sample, with n - 1, which changes the penalty by as much."""
    rossi = load_rossi()
    share = len(rossi) / (len(rossi) - 1)
    found = fit_penalized_cox(rossi, penalizer=0.1 * share, **RULES).summary["coefficient"]
    theirs = CoxPHFitter(penalizer=0.1)
    theirs.fit(rossi[["week", "arrest", *ROSSI]], "week", "arrest", fit_options={"precision": 1e-9})
    assert found.tolist() == pytest.approx(theirs.params_[ROSSI].tolist(), rel=1e-6)


def test_counts_give_what_single_customers_give_with_ties():
    single = pd.concat([remission()] * 3, ignore_index=True)
    options = {"duration": "weeks", "event": "event", "covariates": ["drug"], "penalizer": 0.05}
    for ratio in (0.0, 0.5):
        one, other = (
            fit_penalized_cox(table, l1_ratio=ratio, **options).summary
            for table in (single, aggregated(single))
        )
        pd.testing.assert_frame_equal(one, other)


def test_a_small_penalty_leaves_the_estimate_and_a_large_one_nothing():
    rossi = load_rossi()
    plain = fit_cox(rossi, **RULES).summary["coefficient"].tolist()
    little = fit_penalized_cox(rossi, penalizer=1e-9, **RULES)
    assert little.summary["coefficient"].tolist() == pytest.approx(plain, rel=1e-4)
    much = fit_penalized_cox(rossi, penalizer=10, l1_ratio=1, **RULES)
    assert (much.summary["coefficient"] == 0).all()
    assert much.log_likelihood == pytest.approx(much.null_log_likelihood)


def test_the_lasso_meets_the_conditions_of_its_maximum():
    """The slope is the penalty where a coefficient is not 0, and at most that where it is."""
    rossi = load_rossi()
    model = fit_penalized_cox(rossi, penalizer=0.02, l1_ratio=1, **RULES)
    fitted = model._fitted
    slope = fitted.end.gradient / len(rossi)
    kept = fitted.b != 0
    assert 0 < kept.sum() < len(kept)
    assert slope[kept].tolist() == pytest.approx(
        (0.02 * np.sign(fitted.b[kept])).tolist(), rel=1e-5
    )
    assert (np.abs(slope[~kept]) <= 0.02).all()
    assert model.summary["lower"].isna().all()
    assert model.tests.empty


def test_what_separates_or_is_collinear_is_no_obstacle():
    table = remission().assign(
        event=lambda t: t["event"] & (t["drug"] == "placebo"), twice=lambda t: 2.0 * t.index
    )
    table["again"] = table["twice"] * 2
    model = fit_penalized_cox(
        table, duration="weeks", event="event", covariates=["drug", "twice", "again"], penalizer=0.1
    )
    assert np.isfinite(model.summary["coefficient"]).all()
    with pytest.raises(CxError, match="fit_penalized_cox"):
        fit_cox(table, duration="weeks", event="event", covariates=["drug"])


def test_survival_can_be_predicted_without_bounds():
    table = crowd()
    model = fit_penalized_cox(
        table, duration="months", entry="entry", event="event", covariates=["age"], penalizer=0.1,
        strata="region",
    )  # fmt: skip
    found = model.predict(table.head(2), [4])
    assert found["survival"].between(0, 1).all()
    assert found["lower"].isna().all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"penalizer": 0}, "penalizer=0 must be more than 0; without one take fit_cox"),
        ({"penalizer": 1, "l1_ratio": 2}, "l1_ratio=2 must be from 0"),
        ({"penalizer": 1, "ties": "exact"}, "no treatment of ties 'exact'"),
        ({"penalizer": 1, "covariates": []}, "there are no covariates"),
    ],
)
def test_what_cannot_be_read_is_refused(change, message):
    with pytest.raises(CxError, match=message):
        fit_penalized_cox(load_rossi(), **RULES | change)
