"""One row per customer at a date: counted by hand, and blind to what came later."""

import math
import warnings

import pandas as pd
import pytest

import cxlib as cx
from cxlib.errors import CxError, CxWarning
from tests.ingest.workspaces import build

SOURCES = """
    name: shop
    observed_until: 2024-12-31
    sources:
      accounts:
        file: accounts.csv
        id: account
        customer: {key: mail}
        valid_from: made
        attributes: [plan, {column: agrees, name: consent}, {column: born}]
        events: []
      subscriptions:
        file: subscriptions.csv
        id: sub
        customer: {column: account, of: accounts}
        events:
          - {touchpoint: subscribed, time: begun, department: sales, stage: purchase,
             product: {column: product}, columns: [term]}
          - {touchpoint: left, time: ended, optional: true, department: sales, stage: renewal,
             product: {column: product}}
      renewals:
        file: renewals.csv
        customer: {column: account, of: accounts}
        events: [{touchpoint: renewed, time: at, columns: [due]}]
      tickets:
        file: tickets.csv
        id: ticket
        customer: {key: mail}
        events:
          - {touchpoint: asked, time: opened, department: support, stage: service,
             columns: [ticket]}
          - {touchpoint: solved, time: closed, optional: true, department: support,
             columns: [ticket], score: {column: csat, scale: csat}}
      payments:
        file: payments.csv
        customer: {key: mail}
        events: [{touchpoint: paid, time: at, value: amount}]
    meaning:
      buys: paid
      starts_subscription: subscribed
      ends_subscription: left
      renews: renewed
      due: due
      term_months: {column: term, map: {year: 12, quarter: 3}}
      opens_ticket: asked
      closes_ticket: solved
    survivorship: {attributes: {plan: newest}, lasting: [consent]}
"""
FILES = {
    "accounts.csv": (
        "account,mail,plan,agrees,born,made\n"
        "A1,a,basic,yes,1990,2024-01-01\nA2,a,pro,,1991,2024-03-01\nB1,b,pro,no,,2024-02-01\n"
        "C1,c,pro,,,\n"
    ),
    "subscriptions.csv": (
        "sub,account,product,term,begun,ended\n"
        "S1,A1,phone,year,2024-01-10,2024-02-10\n"
        "S2,A1,phone,quarter,2024-03-01,\n"
        "S3,A2,tv,year,2024-04-01,2024-06-01\n"
        "S4,B1,tv,year,2024-02-05,2024-05-01\n"
    ),
    "renewals.csv": "account,at,due\nA1,2024-05-20,2024-06-01\n",
    "tickets.csv": (
        "ticket,mail,opened,closed,csat\n"
        "T1,a,2024-03-10,2024-03-12,5\nT2,a,2024-03-11,,\nT3,a,2024-04-10,2024-07-01,1\n"
        "T4,b,2024-03-01,2024-03-02,3\n"
    ),
    "payments.csv": (
        "mail,at,amount\na,2024-01-31,10\na,2024-04-30,20\na,2024-08-31,40\nb,2024-03-01,5\n"
    ),
}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return build(tmp_path_factory.mktemp("shop"), FILES, SOURCES).snapshot


def view(store, as_of=None, **more):
    return cx.customers(store, as_of=as_of, **more).set_index("customer_id")


def test_there_is_a_row_for_everybody_who_was_known_at_the_date(store):
    def known(day):
        return view(store, day, columns=[]).index.tolist()

    assert known("2024-01-01") == []  # strictly before
    assert known("2024-02-01") == ["a"]
    assert known("2024-12-01") == ["a", "b"]
    # Nothing says since when C1 is an account.
    assert known(None) == ["a", "b", "c"]


def test_the_ids_are_those_of_records_that_stood_in_a_system(store):
    assert list(view(store, "2024-02-01", columns=["ids"]).loc["a", "ids"]) == ["accounts:A1"]
    assert list(view(store, "2024-03-11", columns=["ids"]).loc["a", "ids"]) == [
        *("accounts:A1", "accounts:A2"),
        "tickets:T1",
    ]
    assert list(view(store, columns=["ids"]).loc["c", "ids"]) == ["accounts:C1"]


def test_attributes_are_those_believed_at_the_date(store):
    plans = {
        day: view(store, day, columns=["plan"]).loc["a", "plan"]
        for day in ("2024-02-01", "2024-03-02")
    }
    assert plans == {"2024-02-01": "basic", "2024-03-02": "pro"}
    at_the_end = view(store)
    assert at_the_end.loc["a", ["plan", "consent", "born"]].tolist() == ["pro", "yes", "1991"]
    assert at_the_end["conflicts"].tolist() == [2, 0, 0]
    assert view(store, "2024-02-01", columns=["conflicts"]).loc["a", "conflicts"] == 0


def test_another_rule_of_survivorship_can_be_asked_for(store):
    # A1 says three things, A2 two; of one source the newest counts.
    assert view(store, rule="most_trusted", columns=["plan", "born"]).loc[
        "a", ["plan", "born"]
    ].tolist() == ["pro", "1991"]
    assert view(store, rule="most_complete", columns=["plan", "born"]).loc[
        "a", ["plan", "born"]
    ].tolist() == ["pro", "1990"]
    found = cx.conflicts(store, rule="most_complete").set_index("attribute")
    assert found["chosen"].to_dict() == {"born": "1990", "plan": "pro"}
    assert found["rule"].to_dict() == {"born": "most_complete", "plan": "newest"}


def test_the_stored_conflicts_are_those_at_the_end(store):
    asked = cx.conflicts(store)
    pd.testing.assert_frame_equal(asked, store.table("conflicts").to_pandas()[asked.columns])
    assert asked["values"].map(list).tolist() == [["1991", "1990"], ["pro", "basic"]]
    assert cx.conflicts(store, as_of="2024-02-15").empty


def test_subscriptions_run_from_the_start_of_the_time_without_a_break(store):
    columns = ["subscription", "subscribed_at", "tenure_days", "next_renewal_at"]

    def at(day, customer):
        return view(store, day, columns=columns).loc[customer, columns].tolist()

    jan, mar = pd.Timestamp("2024-01-10"), pd.Timestamp("2024-03-01")
    assert at("2024-02-01", "a") == ["active", jan, 22.0, pd.Timestamp("2025-01-10")]
    state, *rest = at("2024-02-20", "a")
    assert (state, pd.isna(rest).all()) == ("ended", True)
    # The second product does not restart the time of the first one, nor does its end end it.
    assert at("2024-05-10", "a") == ["active", mar, 70.0, pd.Timestamp("2024-06-01")]
    # Renewed on 20 May for the term that was due on 1 June.
    assert at("2024-07-10", "a") == ["active", mar, 131.0, pd.Timestamp("2024-09-01")]
    assert at("2024-05-01", "b")[0] == "active"  # the end is not strictly before
    assert at("2024-05-02", "b")[0] == "ended"
    assert pd.isna(view(store, columns=["subscription"]).loc["c", "subscription"])


def test_without_a_due_date_terms_are_counted_from_the_start(store):
    counted = view(store, "2024-07-10", meaning={"due": None}, columns=["next_renewal_at"])
    assert counted.loc["a", "next_renewal_at"] == pd.Timestamp("2024-09-01")
    # Without a touchpoint of renewal it is the first end of a term at or after the date.
    for day, renewal in (("2024-06-01", "2024-06-01"), ("2024-10-05", "2024-12-01")):
        silent = view(store, day, meaning={"renews": (), "due": None}, columns=["next_renewal_at"])
        assert silent.loc["a", "next_renewal_at"] == pd.Timestamp(renewal)


def test_products_are_those_of_running_subscriptions(store):
    assert list(view(store, "2024-05-10", columns=["products"]).loc["a", "products"]) == [
        "phone",
        "tv",
    ]
    assert list(view(store, "2024-07-10", columns=["products"]).loc["a", "products"]) == ["phone"]
    assert view(store, "2024-07-10", columns=["products"]).loc["b", "products"] is None


def test_recency_frequency_and_money_count_purchases(store):
    columns = ["recency_days", "frequency", "monetary"]
    assert view(store, "2024-05-10", columns=columns).loc["a", columns].tolist() == [10.0, 2, 30.0]
    assert view(store, columns=columns).loc["a", columns].tolist() == [122.0, 3, 70.0]
    recency, *rest = view(store, columns=columns).loc["c", columns].tolist()
    assert (math.isnan(recency), rest) == (True, [0, 0.0])


def test_tickets_are_open_until_as_many_are_closed(store):
    days = ("2024-03-11", "2024-03-12", "2024-03-13", "2024-04-11", "2024-07-02")
    assert [
        view(store, day, columns=["open_tickets"]).loc["a", "open_tickets"] for day in days
    ] == [1, 2, 1, 2, 1]
    assert view(store, "2024-07-02", columns=["open_tickets"]).loc["b", "open_tickets"] == 0
    unasked = view(store, meaning={"opens_ticket": (), "closes_ticket": ()})
    assert unasked["open_tickets"].isna().all()


def test_tickets_with_a_number_are_open_after_their_last_opening(tmp_path):
    again = FILES["tickets.csv"].replace("T2,a,2024-03-11,,", "T2,a,2024-03-11,2024-03-10,")
    store = build(tmp_path, {**FILES, "tickets.csv": again}, SOURCES).snapshot
    # T2 was closed before it was opened again, when nothing else was open.
    by_number = view(store, "2024-03-13", meaning={"ticket": "ticket"})
    assert by_number.loc["a", "open_tickets"] == 1


def test_the_last_touchpoint_of_each_department_is_there(store):
    columns = ["last_touchpoint_sales", "last_touchpoint_support"]
    assert view(store, "2024-05-10", columns=columns).loc["a", columns].tolist() == [
        "subscribed",
        "asked",
    ]
    assert view(store, "2024-07-10", columns=columns).loc["a", columns].tolist() == [
        "left",
        "solved",
    ]
    # Nobody had met support by then.
    assert "last_touchpoint_support" not in view(store, "2024-02-20")


def test_old_sentiment_counts_less(store):
    columns = ["latest_sentiment", "decayed_sentiment", "sentiments"]
    assert view(store, "2024-05-10", columns=columns).loc["a", columns].tolist() == [1.0, 1.0, 1]
    # +1 on 12 March and -1 on 1 July, 111 days later.
    last, decayed, n = view(store, half_life="111 days", columns=columns).loc["a", columns]
    assert (last, n) == (-1.0, 2)
    assert decayed == pytest.approx((0.5 - 1) / 1.5)
    assert view(store, half_life="1 day", columns=columns).loc["a", columns[1]] == pytest.approx(-1)


def test_what_has_no_meaning_is_missing_and_tenure_then_counts_from_the_first_event(store):
    bare = dict.fromkeys(("buys", "starts_subscription", "ends_subscription", "renews"), ())
    row = view(store, "2024-02-20", meaning={**bare, "due": None, "term_months": None}).loc["a"]
    assert (row["tenure_days"], row["frequency"]) == (41.0, 3)
    assert pd.isna([row["subscription"], row["next_renewal_at"]]).all()
    assert list(row["products"]) == ["phone"]


def test_columns_can_be_chosen_and_the_table_stays_in_the_engine(store):
    few = cx.customers(store, columns=["open_tickets", "plan"])
    assert few.columns.tolist() == ["customer_id", "as_of", "open_tickets", "plan"]
    table = cx.customer_table(store, as_of="2024-05-10", columns=["monetary"])
    assert table.monetary.sum().to_pandas() == 35.0


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"as_of": "2025-02-01"}, "as_of 2025-02-01T00:00:00 is after observed_until"),
        ({"rule": "oldest"}, "there is no rule 'oldest' of survivorship"),
        ({"columns": ["tenure"]}, "no column 'tenure' in the single view; did you mean 'tenure_d"),
        ({"half_life": "0 days"}, "the half-life is empty"),
        ({"meaning": {"buyes": ["paid"]}}, "no word 'buyes' of meaning; did you mean 'buys'"),
        ({"meaning": {"buys": ["payed"]}}, "no touchpoint 'payed' in any source"),
        ({"meaning": {"opens_ticket": ()}}, "meaning: closes_ticket means nothing without"),
    ],
)
def test_a_question_that_cannot_be_answered_says_why(store, asked, said):
    with pytest.raises(CxError, match=said):
        cx.customers(store, **asked)


def test_an_attribute_with_the_name_of_another_column_gets_a_longer_one(tmp_path):
    taken = SOURCES.replace("{column: born}", "{column: born, name: stage}")
    row = view(build(tmp_path, FILES, taken).snapshot).loc["a"]
    assert (row["stage"], row["attribute_stage"]) == ("renewal", "1991")


def test_a_sum_of_two_currencies_is_warned_of(tmp_path):
    sources = SOURCES.replace("value: amount}]", "value: amount, currency: {column: money}}]")
    paid = "mail,at,amount,money\na,2024-01-31,10,EUR\na,2024-04-30,20,USD\n"
    store = build(tmp_path, {**FILES, "payments.csv": paid}, sources).snapshot
    with pytest.warns(CxWarning, match="the values are in EUR and USD"):
        assert view(store, columns=["monetary"]).loc["a", "monetary"] == 30
    with warnings.catch_warnings():
        warnings.simplefilter("error", CxWarning)
        view(store, "2024-04-01", columns=["monetary"])
        view(store, columns=["frequency"])
