"""Values in units of their currency, which stands beside them."""

import pytest

from tests.ingest.workspaces import build, rejects

PAID = """
    name: shop
    sources:
      orders:
        file: orders.csv
        customer: {key: account}
        events: [{touchpoint: paid, time: at, VALUE}]
"""


def paid(tmp_path, value, rows):
    header = "account,at,sum,money\n"
    return build(tmp_path, {"orders.csv": header + rows}, PAID.replace("VALUE", value))


def money(result):
    frame = result.snapshot.table("events").to_pandas().sort_values("event_id")
    return list(zip(frame["value"], frame["currency"], strict=True))


def test_a_constant_currency_stands_beside_each_value(tmp_path):
    result = paid(tmp_path, "value: sum, currency: EUR", "a,2024-01-01,5,\n")
    assert money(result) == [(5.0, "EUR")]


def test_cents_become_units_by_the_currency_of_the_row(tmp_path):
    value = "value: {column: sum, minor_units: true}, currency: {column: money}"
    result = paid(tmp_path, value, "a,2024-01-01,1050,usd\na,2024-01-02,1050,JPY\n")
    assert money(result) == [(10.5, "USD"), (1050.0, "JPY")]


def test_a_refund_is_negative(tmp_path):
    value = "value: {column: sum, negative: true}, currency: {column: money}"
    assert money(paid(tmp_path, value, "a,2024-01-01,5,EUR\n")) == [(-5.0, "EUR")]


@pytest.mark.parametrize(
    ("value", "row", "said"),
    [
        ("value: sum, currency: {column: money}", "5,euro", "no currency in 'money': 'euro'"),
        (
            "value: {column: sum, minor_units: true}, currency: {column: money}",
            "5,",
            "no currency in 'money': ''",
        ),
    ],
)
def test_an_amount_whose_currency_cannot_be_told_is_rejected(tmp_path, value, row, said):
    result = paid(tmp_path, value, f"a,2024-01-01,1,EUR\na,2024-01-02,{row}\n")
    assert rejects(result) == [(2, said)]


def test_currencies_side_by_side_are_counted_in_quality(tmp_path):
    rows = "a,2024-01-01,5,EUR\na,2024-01-02,7,USD\na,2024-01-03,9,EUR\na,2024-01-04,,\n"
    result = paid(tmp_path, "value: sum, currency: {column: money}", rows)
    found = result.snapshot.table("quality").to_pandas().set_index("check")
    mixed = found.loc["values are in one currency"]
    assert (mixed["n"], mixed["failing"]) == (3, 1)
    assert mixed["note"] == (
        "EUR 2, USD 1; do not add them up: keep_events(log, where={'currency': 'EUR'})"
    )
