"""Cox regression, against R's figures, textbooks, and sums over every single customer."""

import itertools
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifelines import CoxPHFitter
from lifelines.datasets import load_larynx, load_rossi

from cxlib import CxError, CxWarning, fit_cox, logrank
from cxlib.models.regression.ties import tied_sums

pytestmark = pytest.mark.filterwarnings("ignore::cxlib.CxWarning")

R = 1e-6
"""Relative tolerance that the cases state."""

ROSSI = ["fin", "age", "race", "wexp", "mar", "paro", "prio"]


def case(shared, name, file="input.csv"):
    folder = shared / "cases" / "survival" / name
    expected = json.loads((folder / "expected.json").read_text())
    return pd.read_csv(folder / file), expected["expected"]


def check(model, expected, prefix, names=None):
    """Coefficients, errors and likelihoods of a case that are given under a prefix."""
    summary = model.summary.set_index("covariate")
    columns = {"coef": "coefficient", "se": "standard_error", "robust_se": "robust_standard_error"}
    seen = 0
    for key, value in expected.items():
        if not key.startswith(prefix + "."):
            continue
        kind, _, covariate = key.removeprefix(prefix + ".").partition(".")
        if kind in columns and covariate:
            name = (names or {}).get(covariate, covariate)
            assert summary.loc[name, columns[kind]] == pytest.approx(value, rel=R), key
        elif kind in ("loglik", "loglik_null"):
            found = model.log_likelihood if kind == "loglik" else model.null_log_likelihood
            assert found == pytest.approx(value, rel=R), key
        else:
            continue
        seen += 1
    assert seen > 0


# --- published figures


# Remission in weeks under 6-MP and placebo; Freireich et al. (1963), Blood 21, 699-716, as in
# Gehan (1965). A plus marks a censored time.
REMISSION = {
    "6-MP": "6 6 6 6+ 7 9+ 10 10+ 11+ 13 16 17+ 19+ 20+ 22 23 25+ 32+ 32+ 34+ 35+",
    "placebo": "1 1 2 2 3 4 4 5 5 8 8 8 8 11 11 12 12 15 17 22 23",
}


def remission():
    rows = [
        (drug, int(word.rstrip("+")), not word.endswith("+"))
        for drug, words in REMISSION.items()
        for word in words.split()
    ]
    return pd.DataFrame(rows, columns=["drug", "weeks", "event"])


def aggregated(frame):
    return frame.groupby(list(frame.columns), as_index=False).size().rename(columns={"size": "n"})


def fit_remission(**options):
    options = {"reference": {"drug": "placebo"}} | options
    return fit_cox(
        aggregated(remission()), duration="weeks", event="event", covariates=["drug"], **options
    )


@pytest.mark.parametrize(("ties", "coefficient"), [("breslow", -1.509), ("efron", -1.572)])
def test_remission_has_the_textbook_coefficient(ties, coefficient):
    """Cox (1972) on Freireich's data; to three decimals."""
    model = fit_remission(ties=ties)
    assert model.summary["coefficient"][0] == pytest.approx(coefficient, abs=5e-4)


def test_larynx_is_klein_and_moeschbergers_example():
    """Klein and Moeschberger (1997), example 8.2, Breslow's ties; to four decimals."""
    model = fit_cox(
        load_larynx(),
        duration="time",
        event="death",
        covariates=["Stage_II", "Stage_III", "Stage_IV", "age"],
        ties="breslow",
    )
    assert model.summary["coefficient"].tolist() == pytest.approx(
        [0.1386, 0.6383, 1.6931, 0.0189], abs=5e-5
    )
    assert model.log_likelihood == pytest.approx(-188.179, abs=5e-4)


def test_rossi_is_foxs_appendix():
    """Fox (2002), Cox proportional-hazards regression; to the digits printed there."""
    model = fit_cox(load_rossi(), duration="week", event="arrest", covariates=ROSSI)
    assert model.summary["coefficient"].tolist() == pytest.approx(
        [-0.3794, -0.0574, 0.3139, -0.1498, -0.4337, -0.0849, 0.0915], abs=5e-5
    )
    tests = model.tests.set_index("test")["statistic"]
    assert tests["likelihood_ratio"] == pytest.approx(33.3, abs=0.05)
    assert tests["wald"] == pytest.approx(32.1, abs=0.05)
    assert tests["score"] == pytest.approx(33.5, abs=0.05)


# --- R survival 3.5


def test_rossi_is_that_of_r(shared):
    frame, expected = case(shared, "rossi")
    model = fit_cox(frame, duration="week", event="arrest", covariates=ROSSI)
    check(model, expected, "cox_efron")
    check(model, expected, "cox_robust")
    assert model.tests["statistic"][0] == pytest.approx(expected["lrt"], rel=R)
    concordance = model.concordance()["concordance"][0]
    assert concordance == pytest.approx(expected["cox_efron.concordance"], rel=R)
    found = model.predict(frame.head(3), [10, 26, 52])["survival"].to_numpy().reshape(3, 3).T
    assert found.ravel().tolist() == pytest.approx(
        np.ravel(expected["pred_surv.first3.t10_26_52"]).tolist(), rel=R
    )
    breslow = fit_cox(frame, duration="week", event="arrest", covariates=ROSSI, ties="breslow")
    check(breslow, expected, "cox_breslow")


@pytest.mark.parametrize("transform", ["km", "rank", "identity"])
def test_the_proportionality_of_rossi_is_that_of_r(shared, transform):
    frame, expected = case(shared, "rossi")
    model = fit_cox(frame, duration="week", event="arrest", covariates=ROSSI)
    found = model.proportionality(transform)
    assert found["term"].tolist() == expected["zph.names"]
    assert found["statistic"].tolist() == pytest.approx(expected[f"zph_{transform}.chisq"], rel=R)
    assert found["p_value"].tolist() == pytest.approx(expected[f"zph_{transform}.p"], rel=R)


def test_lung_cancer_is_that_of_r(shared):
    frame, expected = case(shared, "lung")
    frame = frame.assign(event=frame["status"] == 2).dropna(subset=["ph.ecog"])
    model = fit_cox(frame, duration="time", event="event", covariates=["age", "sex", "ph.ecog"])
    check(model, expected, "cox_efron")
    concordance = model.concordance().iloc[0]
    assert concordance["concordance"] == pytest.approx(expected["cox_efron.concordance"], rel=R)
    uno = model.concordance("uno")["concordance"][0]
    assert uno == pytest.approx(expected["cox_efron.uno_concordance"], rel=R)
    error = expected["cox_efron.concordance_se"]
    assert concordance["standard_error"] == pytest.approx(error, rel=R)
    assert model.proportionality()["p_value"].tolist() == pytest.approx(expected["zph_km.p"], rel=R)
    strata = fit_cox(
        frame, duration="time", event="event", covariates=["age", "ph.ecog"], strata="sex"
    )
    check(strata, expected, "cox_strata_sex")


def test_larynx_is_that_of_r(shared):
    frame, expected = case(shared, "larynx")
    names = ["Stage_II", "Stage_III", "Stage_IV", "age"]
    for ties in ("efron", "breslow"):
        model = fit_cox(frame, duration="time", event="death", covariates=names, ties=ties)
        check(model, expected, f"cox_{ties}")


def test_remission_is_that_of_r(shared):
    frame, expected = case(shared, "gehan_6mp")
    for ties in ("efron", "breslow", "exact"):
        model = fit_cox(
            aggregated(frame), duration="weeks", event="event", covariates=["group"], ties=ties
        )
        row = model.summary.iloc[0]
        # R codes 6-MP as 2; the case gives 6-MP against placebo.
        assert row["coefficient"] == pytest.approx(expected[f"cox.{ties}.coef"], rel=R)
        assert row["standard_error"] == pytest.approx(expected[f"cox.{ties}.se"], rel=R)
        assert model.log_likelihood == pytest.approx(expected[f"cox.{ties}.loglik"], rel=R)


def test_heart_transplants_are_those_of_r(shared):
    """Time-varying covariates: rows of (start, stop]."""
    frame, expected = case(shared, "stanford_heart_tvc")
    options = {"duration": "stop", "entry": "start", "event": "event"}
    for ties in ("efron", "breslow"):
        terms = ["age", "year", "surgery", "transplant"]
        check(fit_cox(frame, covariates=terms, ties=ties, **options), expected, f"tvc_{ties}")
    alone = fit_cox(frame, covariates=["transplant"], **options)
    check(alone, expected, "tvc_transplant_only")
    terms = ["age", "surgery", "transplant", "age:transplant", "surgery:transplant"]
    products = fit_cox(frame, covariates=terms, ties="breslow", **options)
    check(products, expected, "kp_breslow")


def test_late_entry_is_that_of_r(shared):
    frame, expected = case(shared, "myeloma_left_truncation")
    frame = frame.assign(yr=frame["year"] / 10)
    options = {"duration": "futime", "event": "death", "covariates": ["yr"]}
    check(fit_cox(frame, entry="entry", **options), expected, "cox_truncated.year_decade")
    check(fit_cox(frame, **options), expected, "cox_NAIVE.year_decade")


def test_telco_is_that_of_r(shared):
    frame, expected = case(shared, "telco_month_to_month")
    names = ["dependents_Yes", "internetService_DSL", "onlineBackup_Yes", "techSupport_Yes"]
    frame = aggregated(frame[["tenure", "churn", *names]])
    model = fit_cox(frame, duration="tenure", event="churn", covariates=names)
    check(model, expected, "cox_efron")
    assert model.summary["hazard_ratio"].tolist() == pytest.approx(expected["cox_efron.hr"], rel=R)
    concordance = model.concordance()["concordance"][0]
    assert concordance == pytest.approx(expected["cox_efron.concordance"], rel=R)
    found = model.proportionality("rank")["p_value"].tolist()
    assert found == pytest.approx(expected["zph_rank.p"], rel=R)
    breslow = fit_cox(frame, duration="tenure", event="churn", covariates=names, ties="breslow")
    check(breslow, expected, "cox_breslow")


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_recurrent_tumours_are_those_of_r(shared, ties):
    frame, expected = case(shared, "bladder_recurrent")
    options = {"covariates": ["rx", "size", "number"], "cluster": "id", "ties": ties}
    options |= {"event": "event"}
    andersen_gill = fit_cox(frame, duration="stop", entry="start", **options)
    check(andersen_gill, expected, f"AG_{ties}")
    total = fit_cox(frame, duration="stop", entry="start", strata="enum", **options)
    check(total, expected, f"PWP_total_{ties}")
    frame = frame.assign(gap=frame["stop"] - frame["start"])
    check(fit_cox(frame, duration="gap", strata="enum", **options), expected, f"PWP_gap_{ties}")


def test_wei_lin_and_weissfelds_table_is_found(shared):
    """Wei, Lin and Weissfeld (1989), JASA 84, table 5: one coefficient for each recurrence."""
    frame, expected = case(shared, "bladder_recurrent", "bladder_wlw.csv")
    frame["enum"] = frame["enum"].astype(str)
    names = ["rx", "size", "number"]
    model = fit_cox(
        frame,
        duration="stop",
        event="event",
        covariates=[*names, *[f"{name}:enum" for name in names]],
        strata="enum",
        cluster="id",
        ties="breslow",
        reference={"enum": "1"},
    )
    chosen = ["rx", "rx:enum=2", "rx:enum=3", "rx:enum=4"]
    sums = np.eye(4)
    sums[:, 0] = 1
    coefficients = model.summary.set_index("covariate")["coefficient"][chosen]
    assert (sums @ coefficients).tolist() == pytest.approx(expected["WLW.rx_by_enum"], rel=R)
    variance = sums @ model.covariance.loc[chosen, chosen].to_numpy() @ sums.T
    assert np.diag(variance).tolist() == pytest.approx(expected["WLW.rx_var_diag"], rel=R)
    assert variance[0].tolist() == pytest.approx(expected["WLW.rx_var_row1"], rel=R)


def test_without_ties_the_score_test_of_two_groups_is_the_logrank_test():
    table = remission().drop_duplicates("weeks").rename(columns={"weeks": "duration_weeks"})
    model = fit_cox(table, duration="duration_weeks", event="event", covariates=["drug"])
    score = model.tests.set_index("test")["statistic"]["score"]
    assert score == pytest.approx(logrank(table, by="drug")["statistic"][0], rel=1e-9)


# --- every single customer


def brute_force(frame, b, efron):
    """Log-likelihood, score and information by loops over customers: columns x, t0, t, e, s."""
    x = np.array(frame["x"].tolist(), dtype="float64")
    loglik, score = 0.0, np.zeros(x.shape[1])
    information = np.zeros((x.shape[1], x.shape[1]))
    for stratum, time in {(s, t) for s, t, e in zip(frame.s, frame.t, frame.e, strict=True) if e}:
        at_risk = ((frame.s == stratum) & (frame.t0 < time) & (frame.t >= time)).to_numpy()
        ended = at_risk & ((frame.t == time) & frame.e).to_numpy()
        risk = np.exp(x @ b)
        for k, row in enumerate(x[ended]):
            share = risk * at_risk - (k / ended.sum() if efron else 0) * risk * ended
            mean = share @ x / share.sum()
            loglik += row @ b - np.log(share.sum())
            score += row - mean
            information += (x * share[:, None]).T @ x / share.sum() - np.outer(mean, mean)
    return loglik, score, information


def crowd(seed=3, rows=40):
    random = np.random.default_rng(seed)
    entry = random.integers(0, 4, rows)
    return pd.DataFrame(
        {
            "plan": random.choice(["basic", "plus", "pro"], rows),
            "age": random.integers(1, 5, rows),
            "region": random.choice(["north", "south"], rows),
            "entry": entry,
            "months": entry + random.integers(1, 6, rows),
            "event": random.random(rows) < 0.6,
            "customer": random.integers(0, 15, rows),
            "n": random.integers(1, 9, rows),
        }
    )


def expanded(frame):
    return frame.loc[frame.index.repeat(frame["n"])].drop(columns="n").reset_index(drop=True)


CROWD = {
    "duration": "months",
    "entry": "entry",
    "event": "event",
    "covariates": ["plan", "age"],
    "strata": "region",
}


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_counts_give_the_likelihood_of_every_single_customer(ties):
    table = crowd()
    model = fit_cox(table, ties=ties, reference={"plan": "basic"}, **CROWD)
    single = expanded(table)
    single = pd.DataFrame(
        {
            "x": list(zip(single.plan == "plus", single.plan == "pro", single.age, strict=True)),
            "t0": single.entry.where(single.entry > 0, -1),
            "t": single.months,
            "e": single.event,
            "s": single.region,
        }
    )
    b = model.summary["coefficient"].to_numpy()
    loglik, score, information = brute_force(single, b, ties == "efron")
    assert model.log_likelihood == pytest.approx(loglik, rel=1e-12)
    assert score == pytest.approx(0, abs=1e-7)
    assert model.covariance.to_numpy() == pytest.approx(np.linalg.inv(information), rel=1e-8)


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10_000))
def test_counted_and_single_customers_give_the_same_answer(seed):
    table = crowd(seed)
    options = CROWD | {"covariates": ["age"], "reference": {"age": 2}}
    try:
        counted = fit_cox(table, **options)
    except CxError:
        return
    single = fit_cox(expanded(table).sample(frac=1, random_state=seed), **options)
    numbers = counted.summary.select_dtypes("number").columns
    assert counted.summary[numbers].to_numpy() == pytest.approx(
        single.summary[numbers].to_numpy(), rel=1e-7
    )
    for transform in ("km", "rank", "log"):
        found, other = (model.proportionality(transform) for model in (counted, single))
        assert found["statistic"].tolist() == pytest.approx(other["statistic"].tolist(), rel=1e-6)
    one, two = (model.concordance().iloc[0].to_numpy() for model in (counted, single))
    assert one == pytest.approx(two, rel=1e-9)
    assert counted.baseline["survival"].tolist() == pytest.approx(
        single.baseline["survival"].tolist(), rel=1e-9
    )


def test_clusters_of_counts_are_those_of_single_customers():
    table = crowd()
    counted = fit_cox(table, cluster="customer", **CROWD)
    single = fit_cox(expanded(table), cluster="customer", **CROWD)
    column = "robust_standard_error"
    assert counted.summary[column].tolist() == pytest.approx(single.summary[column].tolist())
    apart = fit_cox(table, **CROWD)
    assert (counted.summary[column] != apart.summary[column]).all()
    one, two = (model.concordance().iloc[0].tolist() for model in (counted, single))
    assert one == pytest.approx(two)


def test_clusters_are_summed_whole_when_they_are_read_in_parts(monkeypatch):
    whole = fit_cox(crowd(), cluster="customer", **CROWD)
    apart = fit_cox(crowd(), **CROWD)
    monkeypatch.setattr("cxlib.models.regression.likelihood._CHUNK", 7)
    column = "robust_standard_error"
    parts = fit_cox(crowd(), cluster="customer", **CROWD).summary[column].tolist()
    assert parts == pytest.approx(whole.summary[column].tolist(), rel=1e-12)
    parts = fit_cox(crowd(), **CROWD).summary[column].tolist()
    assert parts == pytest.approx(apart.summary[column].tolist(), rel=1e-12)


def test_concordance_is_the_count_of_pairs(monkeypatch):
    monkeypatch.setattr("cxlib.models.regression.concordance._CELLS", 20)
    table = crowd()
    model = fit_cox(table, reference={"plan": "basic"}, **CROWD)
    single = expanded(table)
    b = model.summary["coefficient"].to_numpy()
    eta = (single.plan == "plus") * b[0] + (single.plan == "pro") * b[1] + single.age * b[2]
    counts = [0, 0, 0]
    rows = list(
        zip(single.region, single.entry, single.months, single.event, eta.round(9), strict=True)
    )
    for (s, _, t, e, score), (s2, t0, t2, e2, other) in itertools.product(rows, rows):
        longer = t2 > t or (t2 == t and not e2)
        if e and s == s2 and longer and (t0 < t or t0 == 0):
            counts[0 if score > other else 1 if score < other else 2] += 1
    found = model.concordance().iloc[0]
    assert found[["concordant", "discordant", "tied"]].tolist() == counts


def test_tied_sums_keep_their_digits_wherever_they_come_from():
    """Against the sum itself, in the range of each of the three ways."""
    for a, d in [(7.5, 3), (40.25, 40), (33.0, 33), (130.5, 60), (1e7 + 0.5, 33), (3e8, 2_000)]:
        k = np.arange(d)
        logs, first, second = tied_sums(np.array([a]), np.array([float(d)]))
        assert logs[0] == pytest.approx(np.log(a - k).sum(), rel=1e-13)
        assert first[0] == pytest.approx((1 / (a - k)).sum(), rel=1e-12)
        assert second[0] == pytest.approx((1 / (a - k) ** 2).sum(), rel=1e-12)


def test_single_rows_are_those_of_lifelines():
    """lifelines is right where every row is one customer."""
    frame = load_rossi()
    theirs = CoxPHFitter().fit(frame, "week", "arrest", strata=["wexp"])
    names = [name for name in ROSSI if name != "wexp"]
    ours = fit_cox(frame, duration="week", event="arrest", covariates=names, strata="wexp")
    assert ours.summary["coefficient"].tolist() == pytest.approx(
        theirs.params_[names].tolist(), rel=1e-5
    )
    assert ours.log_likelihood == pytest.approx(theirs.log_likelihood_, rel=1e-9)


# --- what a model gives


def test_the_baseline_is_that_of_the_reference():
    model = fit_remission()
    assert model.reference == {"drug": "placebo"}
    assert model.baseline["at_risk"].iloc[0] == 42
    assert model.baseline["events"].sum() == 30
    predicted = model.predict(pd.DataFrame({"drug": ["placebo"]}), model.baseline["weeks"][:5])
    assert predicted["survival"].tolist() == pytest.approx(model.baseline["survival"][:5].tolist())


def test_the_reference_is_the_most_frequent_level():
    table = crowd()
    model = fit_cox(table, **CROWD)
    assert model.reference["plan"] == table.groupby("plan")["n"].sum().idxmax()
    assert model.reference["age"] == pytest.approx(np.average(table["age"], weights=table["n"]))


def test_the_summary_speaks_of_association():
    words = fit_remission().summary["association"][0]
    assert words == "associated with a rate 79.2 % lower than at drug=placebo"
    frame = load_rossi()
    words = fit_cox(frame, duration="week", event="arrest", covariates=["prio"]).summary
    assert words["association"][0].startswith("associated with a rate 10.")
    assert words["association"][0].endswith("% higher per unit of prio")


def test_robust_errors_are_used_where_clusters_are_given():
    plain, clustered = fit_cox(crowd(), **CROWD), fit_cox(crowd(), cluster="customer", **CROWD)
    assert (plain.summary["standard_error"] == clustered.summary["standard_error"]).all()
    z = clustered.summary["coefficient"] / clustered.summary["robust_standard_error"]
    assert clustered.summary["z"].tolist() == pytest.approx(z.tolist())
    assert "robust_wald" in clustered.tests["test"].tolist()
    assert "robust_wald" not in plain.tests["test"].tolist()


def test_a_cause_is_the_event_and_the_others_are_censored():
    table = crowd().assign(cause=lambda t: np.where(t.event, "price", None))
    table.loc[3, "cause"] = "moved"
    options = CROWD | {"event": "cause"}
    found = fit_cox(table, cause="price", **options)
    expected = fit_cox(table.assign(event=table["cause"] == "price"), **CROWD)
    numbers = expected.summary.columns.drop("association")
    assert found.summary[numbers].equals(expected.summary[numbers])
    assert "a rate of 'price'" in found.summary["association"][0]


def test_survival_is_within_its_bounds_and_falls():
    table = crowd()
    found = fit_cox(table, **CROWD).predict(table.head(4), [4, 5, 6])
    assert ((found["lower"] <= found["survival"]) & (found["survival"] <= found["upper"])).all()
    assert found.index.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert (found.groupby(level=0)["survival"].diff().dropna() <= 0).all()


def test_bounds_of_survival_are_those_of_r():
    """R 4.2 survival 3.5, survfit(coxph(Surv(weeks, event) ~ drug), conf.type = "log-log")."""
    found = fit_remission().predict(pd.DataFrame({"drug": ["6-MP", "placebo"]}), [5, 10])
    expected = {
        "survival": [0.9150404254, 0.8026179883, 0.6520226710, 0.3467618886],
        "lower": [0.8008326560, 0.6190987792, 0.4299687965, 0.1711197912],
        "upper": [0.9651293774, 0.9040893278, 0.8051689327, 0.5297238674],
    }
    for column, values in expected.items():
        assert found[column].tolist() == pytest.approx(values, rel=1e-6)


def test_the_table_is_left_as_it_was():
    table = crowd()
    fit_cox(table, **CROWD)
    pd.testing.assert_frame_equal(table, crowd())


# --- what goes wrong, said


def plain(**columns):
    table = pd.DataFrame(
        {
            "months": [1, 2, 3, 4, 5, 6, 7, 8] * 3,
            "event": [True, False, True, True, False, True, True, True] * 3,
            "price": [5, 9, 4, 7, 7, 3, 8, 6, 5, 9, 4, 7, 4, 6, 9, 3, 8, 5, 7, 4, 9, 3, 6, 5],
        }
    )
    return table.assign(**columns)


def fit_plain(table, covariates=("price",), **options):
    options = {"duration": "months", "event": "event"} | options
    return fit_cox(table, covariates=list(covariates), **options)


@pytest.mark.parametrize(
    ("table", "options", "message"),
    [
        (
            plain(),
            {"covariates": ["prise"]},
            "no column 'prise' in the table; did you mean 'price'",
        ),
        (plain(), {"covariates": []}, "there are no covariates; name"),
        (plain(), {"covariates": ["months"]}, "'months' is a covariate and also says how long"),
        (plain(), {"strata": "price"}, "'price' is a covariate and a stratum"),
        (plain(), {"ties": "exct"}, "no treatment of ties 'exct'"),
        (plain(months=-1), {}, "24 rows have a negative or infinite 'months', such as -1"),
        (plain(months=np.nan), {}, "'months' misses 24 of 24 values; drop those rows"),
        (plain(price=np.nan), {}, "'price' misses 24 of 24 values"),
        (plain(months="long"), {}, "'months' must hold numbers"),
        (plain(start=9), {"entry": "start"}, "24 rows leave .'months'. at or before they enter"),
        (plain(n=0.5), {}, "'n' must hold whole numbers of customers"),
        (plain(event=False), {}, "nobody ended: all 24 customers are censored"),
        (plain(event="price"), {}, "holds price; say which cause is the event with cause='price'"),
        (plain(event=None), {}, "'event' misses 24 of 24 values"),
        (plain(cause="price"), {"event": "cause", "cause": "prize"}, "no cause 'prize'.*'price'"),
        (plain(plan="pro"), {"covariates": ["plan"]}, "'plan' has one level, 'pro'; leave it out"),
        (plain(fee=3), {"covariates": ["price", "fee"]}, "'fee' is the same for everybody"),
        (
            plain(late=plain()["months"] * 2.0),
            {"covariates": ["late"]},
            "'late' is a function of 'months'",
        ),
        (
            plain(band=np.where(plain()["months"] < 4, "new", "old")),
            {"covariates": ["price", "band"]},
            "'band' is a function of 'months'",
        ),
        (
            plain(cents=100 * plain()["price"] + 5),
            {"covariates": ["price", "cents"]},
            "'cents' is a combination of 'price' .collinear.",
        ),
        (
            plain(plan=np.where(plain()["event"] | (plain().index < 12), "pro", "basic")),
            {"covariates": ["plan"]},
            "nobody of 3 with plan=basic ended, so that the hazard ratio is 0 or infinite",
        ),
        (plain(), {"reference": {"prize": 3}}, "no covariate 'prize' to give a reference of"),
        (plain(), {"confidence": 95}, "confidence is 95"),
        (plain().head(0), {}, "the table has no rows"),
        (plain(price=np.inf), {}, "'price' is infinite in some rows"),
    ],
)
def test_bad_input_is_named_and_mended(table, options, message):
    with pytest.raises(CxError, match=message):
        fit_plain(table, **options)


def test_a_noisy_duration_is_no_covariate():
    random = np.random.default_rng(1)
    table = pd.DataFrame({"months": random.exponential(9, 60), "event": True})
    table["spent"] = 20 * table["months"] + random.normal(0, 1e-3, 60)
    with pytest.raises(CxError, match="'spent' is a function of 'months'"):
        fit_plain(table, ["spent"])


def test_rows_that_count_nobody_change_nothing():
    table = crowd()
    nobody = table.head(3).assign(n=0, plan="none", region="west", months=99)
    found = fit_cox(pd.concat([table, nobody]), **CROWD)
    assert found.summary.equals(fit_cox(table, **CROWD).summary)
    assert found.baseline["region"].unique().tolist() == ["north", "south"]


def test_outliers_and_odd_scales_are_fitted():
    random = np.random.default_rng(2)
    table = pd.DataFrame({"months": random.exponential(9, 200), "event": True})
    table["a=b"] = random.normal(0, 1e-9, 200)
    table["year"] = random.integers(2020, 2025, 200)
    found = fit_plain(table, ["a=b", "year"]).summary
    scaled = fit_plain(table.assign(**{"a=b": table["a=b"] * 1e9}), ["a=b", "year"]).summary
    assert found["z"].tolist() == pytest.approx(scaled["z"].tolist(), rel=1e-7)
    table["skewed"] = np.exp(random.normal(0, 4, 200))
    assert np.isfinite(fit_plain(table, ["skewed"]).summary["z"]).all()


def test_an_identity_is_no_covariate():
    table = pd.concat([plain()] * 5, ignore_index=True)
    table["customer"] = [f"c{number}" for number in range(len(table))]
    with pytest.raises(CxError, match=r"'customer' has 120 levels, such as 'c.*strata or cluster"):
        fit_plain(table, ["customer"])


def test_separation_is_named_and_a_penalty_suggested():
    """Who used the service less ended first, always."""
    table = pd.DataFrame(
        {
            "months": [1, 2, 3, 4, 5, 6] * 2,
            "event": True,
            "use": 0,
            "age": [3, 1, 2, 3, 2, 1, 2, 3, 1, 2, 1, 3],
        }
    )
    # Not the same for all who have a duration, so that it is no function of it.
    with pytest.raises(CxError, match=r"'use' separate.*penalty"):
        fit_cox(
            table.assign(use=table["months"] ** 2 + table["age"] / 100),
            duration="months",
            event="event",
            covariates=["use", "age"],
        )


def test_no_convergence_says_what_was_tried(monkeypatch):
    monkeypatch.setattr("cxlib.models.regression.climb._STEPS", 1)
    with pytest.raises(CxError, match=r"no maximum .* in 1 Newton steps from 0 .* halvings"):
        fit_plain(plain())


@pytest.mark.filterwarnings("default::cxlib.CxWarning")
def test_thin_levels_and_few_events_are_warned_of():
    table = plain(plan=["basic", "basic", "pro"] * 8)
    with pytest.warns(CxWarning, match=r"fewer than 10 ended with .*plan=pro \(\d\)"):
        fit_plain(table, ["plan"])
    with pytest.warns(CxWarning, match="18 events are few for 2 coefficients"):
        fit_plain(plain(age=[1, 2, 4] * 8), ["price", "age"])


@pytest.mark.filterwarnings("default::cxlib.CxWarning")
def test_a_thin_start_after_late_entry_is_warned_of():
    table = plain(start=[0] * 2 + [2] * 22, n=20).query("months > start")
    table.loc[0, "n"] = 4
    table.loc[1, "n"] = 4
    with pytest.warns(CxWarning, match="late entry leaves 8 at risk at the early time 1"):
        fit_plain(table, entry="start")


def test_survival_is_not_extrapolated():
    model = fit_remission()
    with pytest.raises(CxError, match=r"at 40 would be extrapolated.*ask for times up to 20"):
        model.predict(pd.DataFrame({"drug": ["placebo"]}), [10, 40])
    table = plain(start=1, n=10).query("months > 1")
    late = fit_plain(table, entry="start")
    with pytest.raises(CxError, match=r"at 0.5 is not known: nobody was at risk before 1"):
        late.predict(table, [0.5])


def test_unknown_levels_and_strata_are_not_predicted():
    with pytest.raises(CxError, match="no level 'placebos' of 'drug'; did you mean 'placebo'"):
        fit_remission().predict(pd.DataFrame({"drug": ["placebos"]}), [3])
    model = fit_cox(crowd(), **CROWD)
    with pytest.raises(CxError, match=r"no stratum {'region': 'west'}"):
        model.predict(crowd().assign(region="west"), [4])
    with pytest.raises(CxError, match=r"no column 'plan' in the frame"):
        model.predict(pd.DataFrame({"age": [3], "region": ["north"]}), [4])


def test_an_unknown_transform_is_named():
    with pytest.raises(CxError, match="no transform 'kn'"):
        fit_remission().proportionality("kn")
    at_zero = fit_plain(plain(months=plain()["months"] - 1))
    with pytest.raises(CxError, match="an event at time 0 has no logarithm"):
        at_zero.proportionality("log")


# --- exact ties, and concordance where customers are censored


def test_exact_ties_compare_with_every_set_of_customers_at_risk():
    """All sets written out, with strata, late entry and counts."""
    frame = crowd(rows=14, seed=5).assign(n=lambda t: t["n"] % 3 + 1)
    model = fit_cox(frame, ties="exact", **CROWD | {"covariates": ["age"]})
    single = expanded(frame)

    def loglik(b):
        total = 0.0
        for (_, time), ended in single[single["event"]].groupby(["region", "months"]):
            same = single["region"] == ended["region"].iloc[0]
            at_risk = single[same & (single["months"] >= time) & (single["entry"] < time)]
            scores = np.exp(b * at_risk["age"].to_numpy())
            sets = itertools.combinations(scores, len(ended))
            total += b * ended["age"].sum() - np.log(sum(np.prod(chosen) for chosen in sets))
        return total

    b = model.summary["coefficient"][0]
    assert model.log_likelihood == pytest.approx(loglik(b), rel=1e-9)
    assert loglik(b) > max(loglik(b - 0.01), loglik(b + 0.01))
    curvature = (loglik(b + 1e-3) - 2 * loglik(b) + loglik(b - 1e-3)) / 1e-6
    assert model.summary["standard_error"][0] == pytest.approx(1 / np.sqrt(-curvature), rel=1e-4)
    assert np.isnan(model.summary["robust_standard_error"][0])


def test_too_many_ties_are_not_taken_exactly():
    table = plain(n=40)
    with pytest.raises(CxError, match=r"ties='exact' would go through .* take ties='efron'"):
        fit_cox(table, duration="months", event="event", covariates=["price"], ties="exact")
    with pytest.raises(CxError, match="ties='exact' has no robust error"):
        fit_cox(table, duration="months", event="event", covariates=["price"], ties="exact",
                robust=True)  # fmt: skip


@pytest.mark.parametrize("until", [None, 4])
def test_unos_concordance_is_that_of_every_pair(until):
    frame = crowd(rows=30).drop(columns="entry").assign(n=lambda t: t["n"] % 3 + 1)
    model = fit_cox(frame, duration="months", event="event", covariates=["age", "plan"])
    single = expanded(frame)
    eta = np.log(-np.log(model.predict(single, [2])["survival"].to_numpy())).round(9)
    months, event = single["months"].to_numpy(), single["event"].to_numpy()

    def uncensored_before(time):
        stops = np.unique(months[~event & (months < time)])
        # Who ended at the time of a censoring ended before it.
        return np.prod(
            [
                1 - (~event & (months == s)).sum() / ((months > s) | (~event & (months == s))).sum()
                for s in stops
            ]
        )

    right = total = 0.0
    for i in np.flatnonzero(event & (months < (until or np.inf))):
        longer = (months > months[i]) | ((months == months[i]) & ~event)
        weight = uncensored_before(months[i]) ** -2
        right += weight * ((eta[longer] < eta[i]) + (eta[longer] == eta[i]) / 2).sum()
        total += weight * longer.sum()
    found = model.concordance("uno", until=until).iloc[0]
    assert found["concordance"] == pytest.approx(right / total, rel=1e-9)
    assert found[["concordant", "discordant", "tied"]].sum() == pytest.approx(total, rel=1e-9)


def test_an_unknown_weighting_is_named():
    with pytest.raises(CxError, match="no weighting 'unos'; did you mean 'uno'"):
        fit_remission().concordance("unos")
    with pytest.raises(CxError, match="no two customers can be compared until 0"):
        fit_remission().concordance(until=0)
