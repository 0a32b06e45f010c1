"""Stripe and Shopify, on tables as a connector lands them."""

import sqlite3
from contextlib import closing

import pytest

import cxlib as cx
from tests.ingest.presets.exports import (
    build_preset,
    check_counts,
    event,
    hidden,
    reasons,
    recounted,
    rows_of,
    times,
)

pytestmark = pytest.mark.shared
STRIPE = ("customer", "subscription", "invoice", "charge", "refund", "dispute", "credit_note")
SHOPIFY = (
    *("customer", "order", "transaction", "fulfillment", "fulfillment_event"),
    *("abandoned_checkout", "customer_visit"),
)


@pytest.fixture(scope="module")
def stripe(seeds, tmp_path_factory):
    return build_preset(tmp_path_factory.mktemp("stripe"), seeds, "stripe", folder="stripe")


@pytest.fixture(scope="module")
def shopify(seeds, tmp_path_factory):
    return build_preset(tmp_path_factory.mktemp("shopify"), seeds, "shopify", folder="shopify")


def test_every_row_of_stripe_is_stored_or_rejected(stripe, seeds):
    check_counts(stripe, seeds / "stripe", {table: f"{table}_data.csv" for table in STRIPE})


def test_stripes_times_are_those_of_its_tables(stripe, seeds):
    charges, refunds = seeds / "stripe" / "charge_data.csv", seeds / "stripe" / "refund_data.csv"
    declined = recounted(charges, "created", lambda row: row["status"] == "failed")
    assert times(stripe, "had_payment_declined") == declined
    assert times(stripe, "got_refund") == recounted(refunds, "created")
    subscriptions = seeds / "stripe" / "subscription_data.csv"
    assert times(stripe, "ended_subscription") == recounted(subscriptions, "ended_at")


def test_stripes_tables_in_a_database_give_what_their_files_give(stripe, seeds, tmp_path):
    (tmp_path / "exports").mkdir()
    with closing(sqlite3.connect(tmp_path / "exports" / "warehouse.db")) as con:
        for table in STRIPE:
            rows = rows_of(seeds / "stripe" / f"{table}_data.csv")
            columns = ", ".join(f'"{name}"' for name in rows[0])
            con.execute(f"CREATE TABLE {table} ({columns})")
            marks = ", ".join("?" for _ in rows[0])
            values = [[value or None for value in row.values()] for row in rows]
            con.executemany(f"INSERT INTO {table} VALUES ({marks})", values)
        con.commit()
    found = build_preset(tmp_path, tmp_path / "exports", "stripe", database="warehouse.db")
    for name in ("events", "customers"):
        first, second = (
            result.snapshot.table(name).to_pandas().drop(columns="cx_customer", errors="ignore")
            for result in (stripe, found)
        )
        key = list(first.columns[:2])
        order = {"by": key, "ignore_index": True}
        assert len(first) > 10
        assert first.sort_values(**order).equals(second.sort_values(**order)), name
    sources = found.snapshot.table("sources").to_pandas()["source"]
    assert set(sources) == {f"v_{table}" for table in STRIPE}  # the tables that are not there


def test_a_declined_charge_of_stripe_is_read_field_by_field(stripe):
    assert event(stripe, "v_charge:ch_0IMDAfig6peNXzgDJYQKfT3B:1") == {
        "customer_id": "v_customer:cus_IRb688lkE0TnTM",  # customers.csv does not have it
        "occurred_at": "2021-02-18 14:07:57",
        "touchpoint": "had_payment_declined",
        "channel": "billing",
        "stage": "service",
        "department": "billing",
        "layer": "relationship",
        "owned": True,
        "failure_code": "card_declined",
        "failure_message": "Your card was declined.",
    }


def test_a_refund_of_stripe_is_negative_and_in_units(stripe):
    assert event(stripe, "v_refund:re_0IMJuLig6peNXzgDSLN6dNzl") == {
        "customer_id": "v_charge:ch_0IBft2ig6peNXzgDv3vdM6nM",
        "occurred_at": "2021-02-18 21:19:33",
        "touchpoint": "got_refund",
        "channel": "billing",
        "stage": "service",
        "department": "billing",
        "layer": "relationship",
        "owned": True,
        "value": -6750.0,  # 675000 cents
        "currency": "USD",
        "reason": "duplicate",
    }


def test_a_subscription_of_stripe_is_read_field_by_field(stripe):
    assert event(stripe, "v_subscription:sdgfs4536:1") == {
        "customer_id": "v_customer:sdf6547",
        "occurred_at": "2021-02-18 14:16:37",
        "touchpoint": "started_subscription",
        "channel": "billing",
        "stage": "purchase",
        "department": "billing",
        "layer": "product",
        "owned": True,
        "status": "active",
        "quantity": "4",
        "current_period_end": "2021-02-19 14:16:37",
    }


def test_stripes_subscriptions_give_spells(stripe):
    log = cx.load_journeys(stripe.snapshot)
    found = cx.spells(log, **cx.load_preset("stripe").spells, window_start=None).table.to_pandas()
    found = found.sort_values("customer_id")
    assert found["customer_id"].tolist() == ["v_customer:123fsdf", "v_customer:sdf6547"]
    assert found["exit_days"].tolist() == [1.0, 1.0]
    assert found["cause"].tolist() == ["ended_subscription"] * 2


def test_stripes_customers_have_their_facts(stripe, seeds):
    facts = stripe.snapshot.table("facts").to_pandas()
    deleted = facts[facts["attribute"] == "is_deleted_in_stripe"]
    raw = rows_of(seeds / "stripe" / "customer_data.csv")
    assert (deleted["value"] == "yes").sum() == sum(row["is_deleted"] == "TRUE" for row in raw)
    assert deleted["source"].eq("v_customer").all()


def test_subscriptions_may_come_as_their_history(seeds, tmp_path):
    tables = {"subscription_history": {}}
    history = build_preset(
        tmp_path, seeds, "stripe", folder="stripe", only=["subscription_history"], tables=tables
    )
    assert reasons(history, "subscription_history") == {
        "left out: '_fivetran_active' is 'false'": 1
    }
    assert times(history, "started_subscription")[0] == 1


def test_every_row_of_shopify_is_stored_or_rejected(shopify, seeds):
    files = {table: f"shopify_{table}_data.csv" for table in SHOPIFY}
    files["customer_visit"] = "shopify_gql_customer_visit_data.csv"  # there is no older one
    check_counts(shopify, seeds / "shopify", files)


def test_shopifys_times_are_those_of_its_tables(shopify, seeds):
    orders = seeds / "shopify" / "shopify_order_data.csv"
    assert times(shopify, "placed_order") == recounted(orders, "created_at")
    scans = seeds / "shopify" / "shopify_fulfillment_event_data.csv"
    way = recounted(scans, "happened_at", lambda row: row["status"] != "delivered")
    assert times(shopify, "had_parcel_scanned") == way


def test_an_order_of_shopify_is_read_field_by_field(shopify):
    assert event(shopify, "v_order:2674098602081:0") == {
        "customer_id": hidden("021cb20b5c78751fc7ddc091b6b69b3e"),  # by customers.csv
        "occurred_at": "2020-09-11 19:35:42",
        "touchpoint": "placed_order",
        "channel": "app",
        "stage": "purchase",
        "department": "shop",
        "layer": "product",
        "owned": True,
        "value": 2.8,
        "currency": "GBP",
        "financial_status": "paid",
    }


def test_a_delivery_of_shopify_is_read_field_by_field(shopify):
    assert event(shopify, "v_fulfillment_event:451435") == {
        "customer_id": "v_fulfillment:40495",
        "occurred_at": "2022-08-29 20:52:39",
        "touchpoint": "got_delivery",
        "channel": "delivery",
        "stage": "service",
        "department": "logistics",
        "layer": "product",
        "owned": True,
        "status": "delivered",
    }


def test_a_checkout_left_behind_is_read_field_by_field(shopify):
    assert event(shopify, "v_abandoned_checkout:12111:0") == {
        "customer_id": "v_customer:121",
        "occurred_at": "2020-11-12 10:06:50.111111",
        "touchpoint": "abandoned_checkout",
        "channel": "shop",
        "stage": "selection",
        "department": "shop",
        "layer": "product",
        "owned": True,
    }


def test_the_graphql_tables_of_shopify_are_read_by_the_names_of_the_older_ones(seeds, tmp_path):
    files = "shopify_gql_{table}_data.csv"
    result = build_preset(tmp_path, seeds, "shopify", folder="shopify", files=files)
    check_counts(result, seeds / "shopify", {t: files.format(table=t) for t in SHOPIFY})
    raw = rows_of(seeds / "shopify" / "shopify_gql_order_data.csv")
    kept = [row for row in raw if "TRUE" not in (row["test"], row["_fivetran_deleted"])]
    orders = result.snapshot.table("events").to_pandas()
    orders = orders[orders["touchpoint"] == "placed_order"]
    assert orders["value"].sum() == pytest.approx(
        sum(float(row["total_price_set_shop_amount"]) for row in kept)
    )
    assert event(result, "v_transaction:10005")["value"] == -120.0
    facts = result.snapshot.table("facts").to_pandas()
    consent = facts[facts["attribute"] == "marketing_consent"].set_index("record_id")
    assert consent.loc["1001", "value"] == "yes"
    assert str(consent.loc["1001", "valid_from"]) == "2025-07-18 11:00:00"
