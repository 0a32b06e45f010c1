"""The single view of a public data set, recounted in plain Python."""

import csv
import gzip
from collections import defaultdict
from datetime import datetime

import pytest

import cxlib as cx
from tests.journeys.examples import example_workspace

AS_OF = "2024-07-01"
_OPENS = {"started_subscription": 1, "started_trial": 1, "ended_subscription": -1}
_TICKETS = {"opened_ticket": 1, "got_ticket_closed": -1}


def read(shared, name):
    path = shared / "data" / "ravenstack" / f"ravenstack_{name}.csv.gz"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def moves_of(shared):
    """Events of every account that open or close something, in order; and what was bought."""
    moves, bought = defaultdict(list), defaultdict(list)
    for row in read(shared, "subscriptions"):
        kind = "started_trial" if row["is_trial"] == "True" else "started_subscription"
        found = [(row["start_date"], f"subscriptions:{row['subscription_id']}:0", kind)]
        if row["end_date"]:
            found.append(
                (row["end_date"], f"subscriptions:{row['subscription_id']}:1", "ended_subscription")
            )
        moves[row["account_id"]] += found
        if kind == "started_subscription" and row["start_date"] < AS_OF:
            bought[row["account_id"]].append((row["start_date"], float(row["mrr_amount"])))
    for row in read(shared, "support_tickets"):
        name = f"support_tickets:{row['ticket_id']}"
        found = [(row["submitted_at"], f"{name}:0", "opened_ticket")]
        if row["closed_at"]:
            found.append((row["closed_at"], f"{name}:2", "got_ticket_closed"))
        moves[row["account_id"]] += found
    ordered = {
        account: sorted((datetime.fromisoformat(at), *rest) for at, *rest in found)
        for account, found in moves.items()
    }
    return ordered, bought


def running(moves, steps):
    level, since = 0, None
    for at, _, touchpoint in moves:
        if at < datetime.fromisoformat(AS_OF) and touchpoint in steps:
            if level == 0 and steps[touchpoint] == 1:
                since = at
            level = max(0, level + steps[touchpoint])
    return level, since


@pytest.mark.shared
def test_the_single_view_of_ravenstack_is_what_a_recount_gives(shared):
    store = cx.open_store(example_workspace("ravenstack", shared))
    columns = ["subscription", "subscribed_at", "open_tickets", "frequency", "monetary"]
    view = cx.customers(store, as_of=AS_OF, columns=columns).set_index("customer_id")
    moves, bought = moves_of(shared)
    accounts = [row for row in read(shared, "accounts") if row["signup_date"] < AS_OF]
    assert {row["account_id"] for row in accounts} <= set(view.index)
    for account, row in view.iterrows():
        found = moves.get(account, [])
        assert row["open_tickets"] == running(found, _TICKETS)[0]
        level, since = running(found, _OPENS)
        state = "active" if level else "ended" if since else None
        assert row["subscription"] == state
        assert not level or row["subscribed_at"] == since
        money = [amount for _, amount in bought[account]]
        assert row["frequency"] == len(money)
        assert row["monetary"] == pytest.approx(sum(money))
    assert (view["subscription"] == "active").sum() > 100
