"""IBM's sample of telecommunication customers, read as it is: the published figures.

IBM, telco-customer-churn-on-icp4d, data/Telco-Customer-Churn.csv (Apache-2.0). The file is a
snapshot: a row per customer with the months of tenure, and no date. Made into a log it would need
an anchor that it does not have, and would say something else: its customers left within the last
month, so that a log would see them at risk from then on only, and not from their sign-up. The
published figures take tenure as followed from the start, and so does this test.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from cxlib import fit_cox, median_survival, survival_curves

pytestmark = pytest.mark.shared

COVARIATES = ["Dependents", "InternetService", "OnlineBackup", "TechSupport"]
PUBLISHED = {
    "Dependents=Yes": 0.72,
    "InternetService=DSL": 0.80,
    "OnlineBackup=Yes": 0.46,
    "TechSupport=Yes": 0.53,
}
"""Databricks, survival-analysis accelerator, 03_cox_proportional_hazards and its reproductions;
the fourth as R's survival 3.5.3 computes it."""


@pytest.fixture(scope="module")
def customers(shared: Path) -> pd.DataFrame:
    frame = pd.read_csv(shared / "data" / "telco_ibm" / "Telco-Customer-Churn.csv.gz")
    return frame.assign(event=frame["Churn"] == "Yes", duration_months=frame["tenure"])


@pytest.fixture(scope="module")
def monthly(customers: pd.DataFrame) -> pd.DataFrame:
    """Customers with internet who may leave at the end of any month, as the accelerator takes."""
    at_will = customers["Contract"] == "Month-to-month"
    return customers[at_will & (customers["InternetService"] != "No")]


def test_of_7043_customers_a_quarter_have_left(customers: pd.DataFrame) -> None:
    assert len(customers) == 7_043
    assert customers["event"].sum() == 1_869
    assert customers["event"].mean() == pytest.approx(0.2654, abs=5e-5)


def test_half_of_those_who_can_leave_any_month_stay_34_months(monthly: pd.DataFrame) -> None:
    columns = ["duration_months", "event"]
    counted = monthly.groupby(columns).size().reset_index(name="n")
    assert (counted["n"].sum(), counted.loc[counted["event"], "n"].sum()) == (3_351, 1_556)
    median = median_survival(counted).iloc[0]
    assert (median["median_months"], median["lower"], median["upper"]) == (34, 31, 37)
    curve = survival_curves(counted).set_index("duration_months")
    assert curve.loc[12, "survival"] == pytest.approx(0.695, abs=5e-4)


def test_the_four_hazard_ratios_are_the_published_ones(monthly: pd.DataFrame) -> None:
    columns = ["duration_months", "event", *COVARIATES]
    counted = monthly.groupby(columns).size().reset_index(name="n")
    reference = {"Dependents": "No", "InternetService": "Fiber optic"}
    reference |= {"OnlineBackup": "No", "TechSupport": "No"}
    model = fit_cox(
        counted,
        duration="duration_months",
        event="event",
        covariates=COVARIATES,
        reference=reference,
    )
    found = model.summary.set_index("covariate")["hazard_ratio"]
    assert set(found.index) == set(PUBLISHED)
    for name, ratio in PUBLISHED.items():
        assert found[name] == pytest.approx(ratio, abs=0.005), name
