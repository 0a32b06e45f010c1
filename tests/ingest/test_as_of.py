"""Nothing later than its date leaks into the single view."""

import csv
import io
import random
from datetime import date, timedelta

import pandas as pd
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import cxlib as cx
from tests.ingest.test_single_view import SOURCES
from tests.ingest.workspaces import build

FIRST = date(2024, 1, 1)
LATER = {"subscriptions": "ended", "tickets": "closed"}
"""Columns whose time comes after that of the row."""


def company_of(seed, n=40):
    """Exports of a company of 12 people, drawn at random, as rows by export."""
    draw = random.Random(seed)

    def day(first=0):
        return (FIRST + timedelta(draw.randrange(first, 60))).isoformat()

    def from_to():
        first = draw.randrange(60)
        return (FIRST + timedelta(first)).isoformat(), one(day(first), "")

    def one(*values):
        return draw.choice(values)

    def mail():
        return f"m{draw.randrange(12)}"

    def account():
        return f"A{draw.randrange(n)}"

    accounts = [
        (mail(), one("pro", "basic", ""), one("yes", "no", ""), one("1990", ""), one(day(), ""))
        for _ in range(n)
    ]
    begun = [
        (account(), one("phone", "tv", ""), one("year", "quarter", ""), *from_to())
        for _ in range(n)
    ]
    asked = [(mail(), *from_to(), one("", "1", "5")) for _ in range(n)]
    renewed = [{"account": account(), "at": day(), "due": one(day(), "")} for _ in range(n)]
    paid = [{"mail": mail(), "at": day(), "amount": one("1", "20", "")} for _ in range(n)]
    return {
        "accounts": _numbered("A", "account mail plan agrees born made", accounts),
        "subscriptions": _numbered("S", "sub account product term begun ended", begun),
        "renewals": renewed,
        "tickets": _numbered("T", "ticket mail opened closed csat", asked),
        "payments": [*paid, {"mail": "m0", "at": FIRST.isoformat(), "amount": "3"}],
    }


def _numbered(letter, columns, given):
    names = columns.split()
    return [dict(zip(names, (f"{letter}{n}", *row), strict=True)) for n, row in enumerate(given)]


def files(company):
    found = {}
    for name, told in company.items():
        text = io.StringIO()
        writer = csv.DictWriter(text, list(told[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(told)
        found[f"{name}.csv"] = text.getvalue()
    return found


def without_later(company, day):
    """The exports as they were: rows, and what single fields told, that came later are gone."""
    kept = {}
    for name, told in company.items():
        if name == "accounts":
            continue
        time = {"subscriptions": "begun", "tickets": "opened"}.get(name, "at")
        later = LATER.get(name)
        kept[name] = [
            {**row, **({later: ""} if later and row[later] >= day else {})}
            for row in told
            if row[time] < day
        ]
    referred = {row["account"] for name in ("subscriptions", "renewals") for row in kept[name]}
    blank = {"plan": "", "agrees": "", "born": "", "made": ""}
    kept["accounts"] = [
        {**row, **(blank if row["made"] >= day else {})}
        for row in company["accounts"]
        if row["made"] < day or row["account"] in referred
    ]
    # A file needs a row that names its columns.
    empty = {name: dict.fromkeys(told[0], "") for name, told in company.items()}
    return {name: kept[name] or [empty[name]] for name in company}


@settings(
    max_examples=2,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],  # an example takes two builds: a failing one is not made smaller
    suppress_health_check=list(HealthCheck),
)
@given(st.integers(0, 10**6), st.integers(10, 50))
def test_what_came_later_changes_no_row_of_the_single_view(tmp_path_factory, seed, days):
    day, company = (FIRST + timedelta(days)).isoformat(), company_of(seed)
    then = without_later(company, day)
    assert all(then[name] != company[name] for name in company)
    whole, earlier = (
        build(tmp_path_factory.mktemp("company"), files(told), SOURCES).snapshot
        for told in (company, then)
    )
    found, expected = (comparable(cx.customers(store, as_of=day)) for store in (whole, earlier))
    pd.testing.assert_frame_equal(found, expected)
    found, expected = (comparable(cx.conflicts(store, as_of=day)) for store in (whole, earlier))
    pd.testing.assert_frame_equal(found, expected)


def comparable(frame):
    """Frame whose lists and missing values compare by what they hold."""
    return frame.astype(object).map(
        lambda value: list(value) if hasattr(value, "__len__") and not isinstance(value, str)
        else None if pd.isna(value) else value
    )  # fmt: skip


VISITS = """
    name: web
    sources:
      visitors:
        file: visitors.csv
        id: visitor
        customer: {key: mail, since: signed_in, otherwise: visitor}
      views:
        file: views.csv
        id: view
        customer: {column: visitor, of: visitors}
        events: [{touchpoint: viewed_page, time: at}]
"""


def test_visits_belong_to_the_visitor_until_it_was_known_who_that_is(tmp_path):
    told = {
        "visitors.csv": "visitor,mail,signed_in\nV1,a,2024-01-10\nV2,,\n",
        "views.csv": "view,visitor,at\n1,V1,2024-01-01\n2,V1,2024-01-11\n3,V2,2024-01-02\n",
    }
    whole = build(tmp_path / "whole", told, VISITS).snapshot
    early = whole.table("early_events").to_pandas()
    assert early[["event_id", "customer_id"]].to_numpy().tolist() == [["views:1", "visitors:V1"]]
    before = {**told, "visitors.csv": "visitor,mail,signed_in\nV1,,\nV2,,\n"}
    before["views.csv"] = "view,visitor,at\n1,V1,2024-01-01\n3,V2,2024-01-02\n"
    then = build(tmp_path / "then", before, VISITS).snapshot

    def events(store, day=None):
        found = cx.customers(store, as_of=day, columns=["events"])
        return dict(zip(found["customer_id"], found["events"], strict=True))

    assert events(whole)["a"] == 2
    assert events(whole, "2024-01-11")["a"] == 1
    # Known from 10 January on, and not yet strictly before it.
    assert "a" not in events(whole, "2024-01-10")
    assert events(whole, "2024-01-10")["visitors:V1"] == 1
    assert list(events(whole, "2024-01-10").values()) == list(events(then).values())
