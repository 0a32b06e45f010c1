"""Models of purchases: published figures, integrals by brute force, planted parameters."""

import json
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

from cxlib import fit_bg_bb, fit_bg_nbd, fit_mbg_nbd, fit_nbd, fit_pareto_nbd
from cxlib.errors import CxError
from cxlib.models.value.families import BG_BB, BG_NBD, MBG_NBD, PARETO_NBD
from cxlib.models.value.rows import Rows

# Donations of 11,104 people in six years: Fader, Hardie and Shang (2010), Marketing Science 29,
# 1086-1108, table 1, as lifetimes (MIT) has it: frequency, recency, customers.
DONATIONS = [
    *((0, 0, 3464), (1, 1, 1091), (1, 2, 277), (1, 3, 129), (1, 4, 78), (1, 5, 119), (1, 6, 129)),
    *((2, 2, 613), (2, 3, 255), (2, 4, 155), (2, 5, 173), (2, 6, 234), (3, 3, 322), (3, 4, 181)),
    *((3, 5, 225), (3, 6, 357), (4, 4, 240), (4, 5, 284), (4, 6, 512), (5, 5, 335), (5, 6, 728)),
    (6, 6, 1203),
]


@pytest.fixture(scope="module")
def donations():
    frame = pd.DataFrame(DONATIONS, columns=["frequency", "recency", "weight"])
    return frame.assign(T=6)


@pytest.fixture(scope="module")
def gifts(donations):
    return fit_bg_bb(donations, period="365 days")


@pytest.fixture(scope="module")
def histories():
    """300 customers of a BG/NBD, in days."""
    return simulate_bg_nbd(300, seed=3)


@pytest.fixture(scope="module")
def cdnow(shared):
    return pd.read_csv(shared / "cases/survival/cdnow_bgnbd/input.csv")


def values(model):
    return model.summary["estimate"].tolist()


def simulate_bg_nbd(n, seed, r=0.8, alpha=6.0, a=0.9, b=2.5, modified=False):
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(n):
        rate, leaving = rng.gamma(r, 1 / alpha), rng.beta(a, b)
        end, x, last, time = rng.uniform(30, 60), 0, 0.0, 0.0
        active = not (modified and rng.random() < leaving)
        while active and (time := time + rng.exponential(1 / rate)) < end:
            x, last = x + 1, time
            active = rng.random() >= leaving
        rows.append((x, last, end))
    return pd.DataFrame(rows, columns=["frequency", "recency", "T"])


def simulate_pareto_nbd(n, seed, r=0.8, alpha=6.0, s=0.9, beta=15.0):
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(n):
        end = rng.uniform(30, 60)
        leaves = min(rng.exponential(1 / rng.gamma(s, 1 / beta)), end)
        times = np.sort(rng.uniform(0, leaves, rng.poisson(rng.gamma(r, 1 / alpha) * leaves)))
        rows.append((len(times), times[-1] if len(times) else 0.0, end))
    return pd.DataFrame(rows, columns=["frequency", "recency", "T"])


def test_donations_have_the_parameters_published(gifts):
    assert values(gifts) == pytest.approx([1.204, 0.750, 0.657, 2.783], abs=6e-4)
    assert gifts.log_likelihood == pytest.approx(-33225.6, abs=0.05)


def test_donors_to_come_are_those_published(gifts, donations):
    found = gifts.predict(donations, horizon=5)
    # Hardie, note 010: all gifts of the next five years; the paper, table 6: the chances.
    assert found["weight"] @ found["expected_purchases"] == pytest.approx(12884.2, abs=0.5)
    alive = found.set_index(["frequency", "recency"])["probability_alive"]
    assert alive[(0, 0)] == pytest.approx(0.11, abs=0.005)
    assert alive[(2, 4)] == pytest.approx(0.59, abs=0.005)
    assert alive[(6, 6)] == pytest.approx(0.93, abs=0.005)


def test_every_key_of_the_donations_is_met(shared, gifts, donations):
    case = json.loads((shared / "cases/survival/donations_bgbb/expected.json").read_text())
    found = gifts.predict(donations, horizon=5)
    alive = found.set_index(["frequency", "recency"])["probability_alive"]
    computed = dict(zip(["alpha", "beta", "gamma", "delta"], values(gifts), strict=True)) | {
        "n_customers": gifts.estimate.n,
        "n_rows": len(donations),
        "loglik": gifts.log_likelihood,
        "p_alive_next[x=0,tx=0]": alive[(0, 0)],
        "p_alive_next[x=2,tx=4]": alive[(2, 4)],
        "p_alive_next[x=6,tx=6]": alive[(6, 6)],
        "cond_expected_total_5_periods": found["weight"] @ found["expected_purchases"],
    }
    assert computed == pytest.approx(case["expected"], rel=case["rtol_vs_computed"])


def test_every_key_of_cdnow_is_met(shared, cdnow):
    case = json.loads((shared / "cases/survival/cdnow_bgnbd/expected.json").read_text())
    never, model = fit_nbd(cdnow), fit_bg_nbd(cdnow)
    published = model.at(r=0.243, alpha=4.414, a=0.793, b=2.426)
    assert values(model) == pytest.approx([0.243, 4.414, 0.793, 2.426], abs=6e-4)
    one = pd.DataFrame({"frequency": [2], "recency": [30.43], "T": [38.86]})
    scored = published.predict(one, horizon="39 weeks").iloc[0]
    times = [timedelta(weeks=t) for t in (0.1429, 1, 3, 31.8571, 32, 78)]
    aggregated = cdnow.groupby(["frequency", "recency", "T"]).size().reset_index(name="weight")
    assert values(fit_bg_nbd(aggregated)) == pytest.approx(values(model), rel=1e-9)
    computed = dict(zip(["r", "alpha", "a", "b"], values(model), strict=True)) | {
        "n": model.estimate.n,
        "loglik": model.log_likelihood,
        "nbd.r": values(never)[0],
        "nbd.alpha": values(never)[1],
        "nbd.loglik": never.log_likelihood,
        "cond_expected[t=39,x=2,tx=30.43,T=38.86]@published": scored["expected_purchases"],
        "p_alive[x=2,tx=30.43,T=38.86]@published": scored["probability_alive"],
        "E[X(t)]@mle t=.1429,1,3,31.8571,32,78": expected(model, times),
        "E[X(t)]@published": expected(published, times),
        "unique_rows_after_aggregation": len(aggregated),
    }
    assert set(computed) == set(case["expected"])
    for key, value in case["expected"].items():
        assert computed[key] == pytest.approx(value, rel=case["rtol_vs_computed"]), key


def test_pareto_nbd_of_cdnow_is_that_published(cdnow):
    # Fader, Hardie and Lee (2005), Marketing Science 24, table 2.
    model = fit_pareto_nbd(cdnow)
    assert values(model) == pytest.approx([0.553, 10.578, 0.606, 11.669], rel=5e-4)
    assert model.log_likelihood == pytest.approx(-9595.0, abs=0.05)


def expected(model, times):
    return model.expected_purchases(times)["expected_purchases"].tolist()


# --- witnesses: integrals over the customers by brute force ----------------------------------

X, LAST, END, AHEAD = 3, 11.0, 20.0, 8.0
ROW = Rows(np.array([X]), np.array([LAST]), np.array([END]), np.ones(1))


def integral(function, rate, leaving):
    """Mean of a function of two traits over their distributions."""
    low, high = rate.ppf([1e-12, 1 - 1e-12])
    first, last = leaving.ppf([1e-12, 1 - 1e-12])
    one, w1 = np.polynomial.legendre.leggauss(200)

    def nodes(begin, end):
        # Squared, since densities may be infinite at 0.
        root = np.sqrt(begin) + (np.sqrt(end) - np.sqrt(begin)) * (one + 1) / 2
        return root**2, w1 * root * (np.sqrt(end) - np.sqrt(begin))

    x, wx = nodes(low, high)
    y, wy = nodes(first, last)
    grid = function(x[:, None], y[None, :]) * rate.pdf(x)[:, None] * leaving.pdf(y)[None, :]
    return wx @ grid @ wy


def bg_witness(modified):
    first = 1 if modified else 0

    def active(rate, p):
        return (1 - p) ** (X + first) * rate**X * np.exp(-rate * END)

    def gone(rate, p):
        return p * (1 - p) ** (X - 1 + first) * rate**X * np.exp(-rate * LAST)

    def ahead(rate, p):
        return active(rate, p) * -np.expm1(-rate * p * AHEAD) / p

    return active, gone, ahead


def pareto_witness():
    def active(rate, leaving):
        return rate**X * np.exp(-(rate + leaving) * END)

    def gone(rate, leaving):
        both = rate + leaving
        return leaving * rate**X * (np.exp(-both * LAST) - np.exp(-both * END)) / both

    def ahead(rate, leaving):
        return active(rate, leaving) * rate * -np.expm1(-leaving * AHEAD) / leaving

    return active, gone, ahead


@pytest.mark.parametrize(
    ("family", "parameters", "witness"),
    [
        (BG_NBD, [1.3, 5.0, 1.4, 2.4], bg_witness(modified=False)),
        (MBG_NBD, [1.3, 5.0, 1.4, 2.4], bg_witness(modified=True)),
        (PARETO_NBD, [1.3, 12.0, 1.6, 9.0], pareto_witness()),
        (PARETO_NBD, [1.3, 5.0, 1.6, 9.0], pareto_witness()),
    ],
)
def test_a_customer_is_the_integral_over_all_they_may_be(family, parameters, witness):
    rate = stats.gamma(parameters[0], scale=1 / parameters[1])
    leaving = (
        stats.gamma(parameters[2], scale=1 / parameters[3])
        if family is PARETO_NBD
        else stats.beta(*parameters[2:])
    )
    active, gone, ahead = (integral(function, rate, leaving) for function in witness)
    given = np.array(parameters)
    likelihood = np.exp(family.log_likelihood(given, ROW)[0])
    assert likelihood == pytest.approx(active + gone, rel=1e-6)
    alive = np.exp(family.log_alive(given, ROW)[0])
    assert alive == pytest.approx(active / (active + gone), rel=1e-6)
    assert family.purchases(given, ROW, AHEAD)[0] == pytest.approx(ahead / active, rel=1e-6)


def test_a_donor_is_the_integral_over_all_they_may_be():
    given = np.array([1.3, 1.7, 1.4, 2.4])
    buying, leaving = stats.beta(*given[:2]), stats.beta(*given[2:])
    row = Rows(np.array([2]), np.array([3]), np.array([5]), np.ones(1))

    def history(p, theta, further=0):
        return p**2 * (1 - p) ** 3 * (1 - theta) ** (5 + further)

    def whole(p, theta):
        left = sum(p**2 * (1 - p) ** (1 + i) * theta * (1 - theta) ** (3 + i) for i in (0, 1))
        return history(p, theta) + left

    likelihood = integral(whole, buying, leaving)
    assert np.exp(BG_BB.log_likelihood(given, row)[0]) == pytest.approx(likelihood, rel=1e-6)
    alive = integral(lambda p, t: history(p, t, 1), buying, leaving) / likelihood
    assert np.exp(BG_BB.log_alive(given, row)[0]) == pytest.approx(alive, rel=1e-6)
    ahead = integral(lambda p, t: p * sum(history(p, t, k) for k in (1, 2, 3)), buying, leaving)
    found = alive * BG_BB.purchases(given, row, 3)[0]
    assert found == pytest.approx(ahead / likelihood, rel=1e-6)


@pytest.mark.parametrize("size", [1e3, 1e7, 1e14])
def test_where_all_leave_alike_the_forecast_is_that_of_one_chance(size):
    """A beta of a and b that grow together is one chance, a / (a + b), for everybody."""
    chance, shape, z = 0.02, 0.8 + 5, 26.0 / (8.0 + 40.0 + 26.0)
    row = Rows(*(np.array([value]) for value in (5.0, 38.0, 40.0, 1.0)))
    given = np.array([0.8, 8.0, chance * size, (1 - chance) * size])
    found = BG_NBD.purchases(given, row, 26.0)[0]
    made = stats.nbinom(shape, 1 - z).sf(np.arange(400))
    witness = (made * (1 - chance) ** np.arange(400)).sum()
    assert found == pytest.approx(witness, rel=0.2 / size**0.5 + 1e-9)


def test_many_histories_give_the_maximum_that_few_lead_to(histories, monkeypatch):
    whole = fit_bg_nbd(histories)
    monkeypatch.setattr("cxlib.models.value.purchases._ENOUGH", 20)
    found = fit_bg_nbd(histories)
    assert values(found) == pytest.approx(values(whole), rel=1e-6)
    assert found.log_likelihood == pytest.approx(whole.log_likelihood, abs=1e-6)


@pytest.mark.parametrize("x", [0, 5, 3000])
@pytest.mark.parametrize("a", [0.3, 1.0 + 1e-9, 4.0])
def test_frequent_buyers_and_poles_leave_the_forecast_finite(x, a):
    r, alpha, b, time = 0.3, 4.0, 0.7, 30.0
    row = Rows(*(np.array([value], "float64") for value in (x, 39.0 * (x > 0), 39.0, 1)))
    found = BG_NBD.purchases(np.array([r, alpha, a, b]), row, time)[0]
    # The rate of purchase at time u, of a customer who may have left by then, summed over u.
    p = stats.beta(a, b + x)

    def rate_at(u):
        power = -(r + x + 1)
        inner = integrate.quad(
            lambda q: (1 + p.ppf(q) * u / (alpha + 39)) ** power, 0, 1, epsabs=1e-9, limit=200
        )[0]
        return (r + x) / (alpha + 39) * inner

    nodes, weights = np.polynomial.legendre.leggauss(6)
    witness = sum(
        w * time / 2 * rate_at(time * (node + 1) / 2)
        for node, w in zip(nodes, weights, strict=True)
    )
    assert found == pytest.approx(witness, rel=2e-5)


def test_pareto_nbd_is_finite_for_frequent_buyers():
    rows = Rows(np.array([2000.0, 2000]), np.array([99.0, 60]), np.array([100.0, 100]), np.ones(2))
    for parameters in ([0.5, 10, 0.6, 12], [0.5, 10, 0.6, 1e4], [0.5, 1e4, 1.0, 0.1]):
        given = np.array(parameters)
        assert np.isfinite(PARETO_NBD.log_likelihood(given, rows)).all()
        alive = np.exp(PARETO_NBD.log_alive(given, rows))
        assert 0 <= alive[1] < 0.01
        assert 0 < alive[0] <= 1


# --- planted parameters -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fit", "data", "planted"),
    [
        (fit_bg_nbd, simulate_bg_nbd(3_000, 1), [0.8, 6.0, 0.9, 2.5]),
        (fit_mbg_nbd, simulate_bg_nbd(3_000, 2, modified=True), [0.8, 6.0, 0.9, 2.5]),
        (fit_pareto_nbd, simulate_pareto_nbd(3_000, 3), [0.8, 6.0, 0.9, 15.0]),
    ],
)
def test_planted_parameters_are_recovered(fit, data, planted):
    tenths = np.ceil(data[["recency", "T"]] * 10) / 10
    found = fit(tenths.assign(frequency=data["frequency"]))
    errors = (found.summary["estimate"] - planted) / found.summary["standard_error"]
    assert (errors.abs() < 3).all()


def test_weights_count_customers(histories):
    few = histories.head(60)
    twice = fit_nbd(few.assign(weight=2))
    assert values(twice) == pytest.approx(values(fit_nbd(pd.concat([few, few]))), rel=1e-6)
    ratio = fit_nbd(few).summary["standard_error"] / twice.summary["standard_error"]
    assert ratio.tolist() == pytest.approx([2**0.5] * 2, rel=1e-3)


def test_the_unit_changes_times_and_not_answers(histories):
    weeks = fit_bg_nbd(histories)
    days = fit_bg_nbd(histories * [1, 7, 7], unit="days")
    assert values(days) == pytest.approx(np.multiply(values(weeks), [1, 7, 1, 1]), rel=1e-3)
    one = days.predict(histories.head(3) * [1, 7, 7], horizon="4 weeks")["expected_purchases"]
    other = weeks.predict(histories.head(3), horizon="28 days")["expected_purchases"]
    assert one.tolist() == pytest.approx(other.tolist(), rel=1e-3)


# --- bad input --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frequency": [-1, 0, 1]}, r"1 rows have a negative frequency \(first: row 0\)"),
        ({"recency": [3, None, 5]}, r"1 rows have a missing recency \(first: row 1\)"),
        ({"T": [9, np.inf, 9]}, "1 rows have an infinite T"),
        ({"T": [2, 9, 9]}, r"1 rows have a recency after T \(first: row 0 with 3.0 after 2.0\)"),
        ({"frequency": [1.5, 0, 1]}, "a frequency that is no whole number"),
        ({"recency": [3, 2, 5]}, r"\(first: row 1\) have no repeat purchase and yet a recency"),
        ({"recency": [0, 0, 5]}, "have repeat purchases and a recency of 0"),
        ({"weight": [1, 2.5, 1]}, r"a weight that is no count of customers \(first: row 1 with"),
        ({"weight": [1, -2, 1]}, "1 rows have a negative weight"),
        ({"weight": 0}, "every weight is 0"),
        ({"T": ["a", "b", "c"]}, "the column 'T' is object, and must hold numbers"),
        ({"frequency": 0, "recency": 0}, "none of the 3 customers bought again"),
    ],
)
def test_impossible_histories_are_named(change, message):
    rows = pd.DataFrame({"frequency": [2, 0, 1], "recency": [3.0, 0, 5], "T": [9.0, 9, 9]})
    with pytest.raises(CxError, match=message):
        fit_bg_nbd(rows.assign(**change))


def test_an_unknown_column_or_unit_has_a_close_match(histories):
    with pytest.raises(CxError, match=r"no column 'recency' .*; did you mean .*'recency_weeks'"):
        fit_bg_nbd(histories.rename(columns={"recency": "recency_weeks"}))
    with pytest.raises(CxError, match="no unit 'week'; did you mean 'weeks'"):
        fit_bg_nbd(histories, unit="week")
    with pytest.raises(CxError, match="there are no purchase histories"):
        fit_bg_nbd(histories.head(0))


def test_a_horizon_names_its_unit(histories, gifts, donations):
    with pytest.raises(CxError, match="the span 4 has no unit"):
        fit_nbd(histories).predict(histories, horizon=4)
    with pytest.raises(CxError, match="counts purchase opportunities; give a whole number"):
        gifts.predict(donations, horizon="5 weeks")


def test_opportunities_are_whole_and_hold_one_purchase_each(donations):
    with pytest.raises(CxError, match="a T that is no whole number"):
        fit_bg_bb(donations.assign(T=6.5))
    with pytest.raises(CxError, match="more purchases than opportunities"):
        fit_bg_bb(donations.tail(3).assign(frequency=7))


def test_customers_who_are_too_alike_do_not_converge():
    rows = pd.DataFrame({"frequency": [3] * 5, "recency": [9.0] * 5, "T": [12.0] * 5})
    with pytest.raises(CxError, match=r"the BG/NBD model found no maximum .* from 3 starts"):
        fit_bg_nbd(rows)
