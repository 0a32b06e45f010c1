"""Models of renewal.

Survivors of the Regular and High End segments: printed in Fader and Hardie (2007), J. Interactive
Marketing 21, 76-90, table 1, from Berry and Linoff (2004); per 1,000 customers.
"""

import json

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

from cxlib import fit_bdw, fit_sbg
from cxlib.errors import CxError

SURVIVORS = {
    "regular": [1000, 631, 468, 382, 326, 289, 262, 241, 223, 207, 194, 183, 173],
    "high_end": [1000, 869, 743, 653, 593, 551, 517, 491, 468, 445, 427, 409, 394],
}


def terms_of(*segments):
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "segment": name,
                    "term": range(1, 13),
                    "at_risk": SURVIVORS[name][:-1],
                    "renewed": SURVIVORS[name][1:],
                }
            )
            for name in segments
        ],
        ignore_index=True,
    )


@pytest.fixture(scope="module")
def both():
    return terms_of("regular", "high_end")


def values(model):
    return model.summary["estimate"].tolist()


@pytest.mark.parametrize(
    ("segment", "up_to", "published"),
    [
        ("high_end", 7, [0.668, 3.806]),  # Fader and Hardie (2007)
        ("regular", 7, [0.704, 1.182]),
        ("regular", 4, [0.764, 1.296]),  # Fader et al. (2018)
        ("high_end", 4, [1.281, 7.790]),
    ],
)
def test_parameters_are_those_published(segment, up_to, published):
    model = fit_sbg(terms_of(segment), up_to=up_to)
    assert values(model) == pytest.approx(published, abs=6e-4)


def test_segments_fitted_apart_are_those_fitted_alone(both):
    model = fit_bdw(both, by="segment", up_to=4)
    assert model.summary["segment"].tolist() == ["high_end"] * 3 + ["regular"] * 3
    # Fader et al. (2018); the first of the regular ones is printed too.
    assert values(model)[:4] == pytest.approx([0.259, 1.722, 1.584, 0.523], abs=7e-4)
    assert fit_bdw(terms_of("high_end"), up_to=4).log_likelihood == pytest.approx(-1222.7493)


def test_discounted_lifetimes_are_those_published(both):
    # Fader et al. (2018), a discount rate of 10 %, from the models of four years.
    model = fit_sbg(both, by="segment", up_to=4)
    new = model.discounted_lifetime(discount_rate=0.1, timing="before_renewal")
    assert new["discounted_terms"].tolist() == pytest.approx([5.46, 3.62], abs=0.005)
    assert (new["lower"] < new["discounted_terms"]).all()
    left = model.discounted_residual_lifetime(
        discount_rate=0.1, timing="before_renewal", renewals=4
    )
    assert left["discounted_terms"].tolist() == pytest.approx([5.87, 5.68], abs=0.005)


def test_after_the_renewal_the_next_payment_is_a_term_away(both):
    model = fit_sbg(both)
    known = {"discount_rate": 0.1, "renewals": 3}
    before = model.discounted_residual_lifetime(timing="before_renewal", **known)
    after = model.discounted_residual_lifetime(timing="after_renewal", **known)
    expected = before["discounted_terms"] / 1.1
    assert after["discounted_terms"].tolist() == pytest.approx(expected.tolist(), rel=1e-9)
    whole = model.discounted_lifetime(discount_rate=0.1, timing="before_renewal")
    rest = model.discounted_lifetime(discount_rate=0.1, timing="after_renewal")
    assert (whole - rest)["discounted_terms"].tolist() == pytest.approx([1.0])


def test_timing_must_be_said(both):
    with pytest.raises(TypeError, match="timing"):
        fit_sbg(both).discounted_lifetime(discount_rate=0.1)
    with pytest.raises(CxError, match="no timing 'before'; did you mean 'before_renewal'"):
        fit_sbg(both).discounted_lifetime(discount_rate=0.1, timing="before")
    with pytest.raises(CxError, match="discount_rate is 0, and must be more than 0"):
        fit_sbg(both).discounted_lifetime(discount_rate=0, timing="before_renewal")


def test_every_key_of_the_case_is_met(shared, both):
    case = json.loads((shared / "cases/survival/sbg_two_segments/expected.json").read_text())
    close = {"rel": case["rtol_vs_computed"]}
    models = {
        (segment, years, kind): fit(terms_of(segment), up_to=int(years.removesuffix("y")))
        for segment in SURVIVORS
        for years in ("4y", "7y", "12y")
        for kind, fit in (("sbg", fit_sbg), ("bdw", fit_bdw))
    }
    for key, expected in case["expected"].items():
        if "DERL_before_8th" in key:
            at = fit_sbg(both).at(alpha=0.668, beta=3.806)
            found = at.discounted_residual_lifetime(
                discount_rate=0.1, timing="before_renewal", renewals=7
            )["discounted_terms"].iloc[0]
            assert found == pytest.approx(expected, **close), key
            continue
        segment, years, kind, what = key.split(".", 3)
        model = models[segment, years, kind]
        if what.startswith("alpha"):
            found = values(model)
        elif what == "loglik":
            found = model.log_likelihood
        elif what.startswith("projected"):
            found = model.predict(terms=12)["survival"].tolist()
        elif what == "DEL_d10":
            found = model.discounted_lifetime(discount_rate=0.1, timing="before_renewal")
            found = found["discounted_terms"].iloc[0]
        else:
            found = model.discounted_residual_lifetime(
                discount_rate=0.1, timing="before_renewal", renewals=4
            )["discounted_terms"].iloc[0]
        assert found == pytest.approx(expected, **close), key


def test_survival_is_the_mean_over_customers(both):
    model = fit_bdw(both).at(alpha=0.7, beta=1.2, c=1.3)
    found = model.predict(terms=4)
    witness = [
        integrate.quad(lambda p, t=t: (1 - p) ** (t**1.3) * stats.beta.pdf(p, 0.7, 1.2), 0, 1)[0]
        for t in (1, 2, 3, 4)
    ]
    assert found["survival"].tolist() == pytest.approx(witness, rel=1e-7)
    assert found["retention"].tolist()[1] == pytest.approx(witness[1] / witness[0], rel=1e-7)


def test_what_was_held_out_is_compared(both):
    model = fit_sbg(both, by="segment", up_to=7)
    found = model.predict(terms=12, observed=both)
    assert found["learnt"].sum() == 14
    row = found[(found["segment"] == "regular") & (found["term"] == 12)].iloc[0]
    assert row["observed_survival"] == pytest.approx(0.173)
    assert row["error"] == pytest.approx(0.1700 - 0.173, abs=1e-4)
    error = model.holdout_error(both)
    assert error["terms"].tolist() == [5, 5]
    by_hand = found[(found["segment"] == "regular") & (found["term"] > 7)]["error"].abs().mean()
    assert error["survival_mae"].iloc[1] == pytest.approx(by_hand)
    assert fit_sbg(terms_of("regular"), up_to=7).holdout_error(both)["terms"].tolist() == [5]


def test_an_error_in_sample_is_not_a_holdout_error(both):
    with pytest.raises(CxError, match="learnt from every term up to 12, so that none is held out"):
        fit_sbg(both).holdout_error(both)


def simulated_cohorts(seed):
    rng = np.random.default_rng(seed)
    rows = []
    for cohort in range(3):
        left = rng.geometric(rng.beta(0.9, 3.0, size=5_000))
        for term in range(1, 8 - cohort):
            rows.append((term, (left >= term).sum(), (left > term).sum()))
    return pd.DataFrame(rows, columns=["term", "at_risk", "renewed"])


@pytest.mark.parametrize(("fit", "planted"), [(fit_sbg, [0.9, 3.0]), (fit_bdw, [0.9, 3.0, 1.0])])
def test_cohorts_of_different_ages_recover_what_was_planted(fit, planted):
    found = [fit(simulated_cohorts(seed)).summary for seed in range(8)]
    covered = sum((each["lower"] < planted) & (each["upper"] > planted) for each in found)
    # Of 8 intervals of 95 %, 6 or more cover the truth with a probability of 0.994.
    assert (covered >= 6).all()


def test_the_interval_covers_and_the_order_of_rows_does_not_matter(both):
    model = fit_sbg(both)
    assert values(model) == pytest.approx(values(fit_sbg(both.sample(frac=1, random_state=1))))
    found = model.predict(terms=20)
    assert found["lower"].between(0, found["survival"]).all()
    assert found["upper"].between(found["survival"], 1).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"renewed": [5, 3, 11]}, "1 rows of the terms have more renewed than at risk"),
        ({"renewed": [5, -3, 1]}, r"'renewed' are missing, negative or no whole numbers \(first:"),
        ({"renewed": [5, None, 1]}, "1 rows of the column 'renewed' are missing"),
        ({"at_risk": [10, 9.5, 9]}, "the column 'at_risk' are missing, negative or no whole"),
        ({"at_risk": ["a", "b", "c"]}, "'at_risk' is object, and must hold whole numbers"),
        ({"term": [0, 1, 2]}, "the first renewal is term 1"),
        ({"term": [1, 1, 1]}, "has 2 parameters and data on 1 terms"),
        ({"renewed": [10, 9, 8]}, r"everybody renewed \(27 of 27\)"),
        ({"renewed": [0, 0, 0]}, "nobody renewed"),
        ({"renewed": [9, 5, 1]}, "model found no maximum of the likelihood of 10 customers"),
    ],
)
def test_bad_counts_are_named(change, message):
    terms = pd.DataFrame({"term": [1, 2, 3], "at_risk": [10, 9, 8], "renewed": [5, 6, 7]})
    with pytest.raises(CxError, match=message):
        fit_sbg(terms.assign(**change))


def test_a_missing_column_has_a_close_match(both):
    with pytest.raises(CxError, match="no column 'renewed' in the terms; did you mean 'renews'"):
        fit_sbg(both.rename(columns={"renewed": "renews"}))
    with pytest.raises(CxError, match="the terms have no rows"):
        fit_sbg(both.head(0))
    with pytest.raises(CxError, match=r"up_to is 2\.5, and must be a whole number of at least 1"):
        fit_sbg(both, up_to=2.5)
