"""Planted truth: hazard ratios and causes of 50,000 simulated customers are found again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import special

from cxlib import (
    contract_terms,
    fit_discrete_hazard,
    fit_sbg,
    keep_events,
    load_journeys,
    open_store,
    planted_truth,
    renewal_rates,
)
from cxlib.demo.chunk import CHUNK, draw_chunk
from cxlib.demo.people import Faults
from cxlib.demo.truth import true_periods
from cxlib.intervals import wilson_interval
from cxlib.models.regression import DiscreteHazard

TRUTH = planted_truth()
CUSTOMERS = 50_000
FLAGS = ["annual_contract", "returned", "rescheduled_installation", "failed_payment"]
FLAGS += ["two_handoffs", "low_sentiment"]
PATTERN = [*FLAGS, "channel", "price_tier"]
REFERENCE = dict.fromkeys(FLAGS, 0) | {"channel": "web", "price_tier": "low"}
SEEN = ["period", "churned", "cause", "exposure", *PATTERN]


@pytest.fixture(scope="module")
def periods() -> pd.DataFrame:
    """Customers' billing periods of which the window shows the whole risk, counted by pattern."""
    parts = []
    for number in range(CUSTOMERS // CHUNK):
        chunk = draw_chunk(7, number, TRUTH, Faults())
        frame = true_periods(chunk).table().select(SEEN).to_pandas()
        frame = frame[frame["exposure"] == 1].drop(columns="exposure")
        names = ["cause", "channel", "price_tier"]
        parts.append(frame.astype(dict.fromkeys(names, "string")))
    rows = pd.concat(parts, ignore_index=True)
    rows["cause"] = rows["cause"].fillna("(stays)")
    keys = [name for name in SEEN if name != "exposure"]
    counted = rows.groupby(keys, observed=True).size().reset_index(name="n")
    return counted.assign(duration=counted["period"] + 1)


@pytest.fixture(scope="module")
def hazards(periods: pd.DataFrame) -> DiscreteHazard:
    """The hazard is constant within a period: the complementary log-log of periods is exact."""
    return fit_discrete_hazard(
        periods,
        duration="duration",
        event="churned",
        covariates=PATTERN,
        entry="period",
        reference=REFERENCE,
    )


def joint(number: int) -> float:
    """Width in standard errors at which all of so many 95 % intervals hold at once (Bonferroni)."""
    return float(special.ndtri(1 - 0.025 / number))


def named(covariate: str) -> str:
    """Condition of the planted truth that a coefficient stands for."""
    return covariate.replace("price_tier=", "tier_").replace("=", "_")


def test_planted_hazard_ratios_are_recovered(hazards: DiscreteHazard) -> None:
    found = hazards.summary.set_index("covariate")
    planted = {name: np.log(TRUTH.hazard_ratios[named(name)]) for name in found.index}
    assert len(planted) == len(TRUTH.hazard_ratios) - 1  # the decoy is no condition of a period
    off = (found["coefficient"] - pd.Series(planted)).abs() / found["standard_error"]
    assert (off < joint(len(off))).all(), off.round(2).to_dict()
    assert (off < 1.96).mean() > 0.8
    assert (found["standard_error"] < 0.06).all()
    assert hazards.events > 10_000


def test_the_planted_baseline_is_recovered(hazards: DiscreteHazard) -> None:
    seen = hazards.baseline[hazards.baseline["duration"] <= 36]
    bands = pd.cut(seen["duration"], [0, 3, 12, 24, 36], labels=list(TRUTH.baseline_hazard))
    for since, rows in seen.groupby(bands, observed=True):
        found = np.average(-np.log1p(-rows["hazard"]), weights=rows["at_risk"])
        # Within the error of as many ends, and that of the reference itself (about 3 %).
        error = np.sqrt(1 / rows["events"].sum() + 0.03**2)
        assert abs(np.log(found / TRUTH.baseline_hazard[since])) < joint(4) * error, since


def test_planted_odds_of_causes_are_recovered(periods: pd.DataFrame) -> None:
    """Who leaves for one cause rather than for another: exact odds, whatever the hazard."""
    left = periods[periods["churned"] == 1].assign(once=1)
    off = []
    for cause, other in (("payment", "moved"), ("service", "moved"), ("price", "payment")):
        model = fit_discrete_hazard(
            left[left["cause"].isin([cause, other])].assign(is_it=left["cause"] == cause),
            duration="once",
            event="is_it",
            covariates=PATTERN,
            reference=REFERENCE,
            link="logit",
        )
        for _, row in model.summary.iterrows():
            odds = TRUTH.cause_odds.get(named(row["covariate"]), {})
            planted = np.log(odds.get(cause, 1.0) / odds.get(other, 1.0))
            off.append(abs(row["coefficient"] - planted) / row["standard_error"])
    assert max(off) < joint(len(off))
    assert np.mean(np.array(off) < 1.96) > 0.85


def test_planted_shares_of_causes_are_recovered(periods: pd.DataFrame) -> None:
    usual = (periods[FLAGS] == 0).all(axis=1) & (periods["price_tier"] != "high")
    left = periods[usual & (periods["churned"] == 1)]
    n = left["n"].sum()
    counts = left.groupby("cause")["n"].sum()
    for cause, share in TRUTH.cause_shares.items():
        lower, upper = wilson_interval(counts[cause], n, confidence=0.9875)
        assert lower < share < upper, cause
    assert n > 2_000


def test_planted_renewals_are_recovered_from_the_log(demo_workspace: Path) -> None:
    store = open_store(demo_workspace)
    log = load_journeys(store)
    on_contract = keep_events(
        log, where=lambda event: event.contract.fill_null("annual") == "annual"
    )
    terms = contract_terms(
        on_contract,
        start=["signed_up", "restarted_subscription"],
        renewed="renewed_contract",
        declined="declined_renewal",
        ended="cancelled_subscription",
        due="due_at",
        term="term",
    )
    rates = renewal_rates(terms)
    # A term of the demo has 360 days; by the calendar alone it would be due five days too late.
    assert rates["missed"].sum() <= 0.01 * rates["at_risk"].sum()
    summary = fit_sbg(rates[rates["at_risk"] > 0]).summary.set_index("parameter")
    for name, planted in zip(("alpha", "beta"), TRUTH.renewal_beta, strict=True):
        assert summary.loc[name, "lower"] < planted < summary.loc[name, "upper"], name
    for row in rates[rates["at_risk"] >= 30].itertuples():
        lower, upper = wilson_interval(row.renewed, row.at_risk, confidence=0.99)
        assert lower < TRUTH.renewal_rate(row.term) < upper, row.term
