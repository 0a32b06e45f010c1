"""Sums over several currencies do not pass in silence."""

import warnings

import pytest

import cxlib as cx
from cxlib.errors import CxWarning
from cxlib.tables import currencies


@pytest.fixture
def log():
    rows = {
        "customer_id": ["a", "a", "b", "b"],
        "touchpoint": ["bought"] * 4,
        "occurred_at": ["2024-01-01", "2024-02-10", "2024-01-08", "2024-02-20"],
        "value": [5.0, 20.0, 40.0, None],
        "currency": ["EUR", "EUR", "USD", "GBP"],  # an event without a value mixes nothing
    }
    return cx.journeys_from_frame(rows, observed_until="2024-03-31", closes_after=None)


@pytest.mark.parametrize(
    "measure",
    [
        lambda log: cx.retention(log),
        lambda log: cx.rfm_segments(log, as_of="2024-03-01"),
        lambda log: cx.purchase_summary(log, as_of="2024-03-01", touchpoints="bought"),
    ],
    ids=["retention", "rfm_segments", "purchase_summary"],
)
def test_a_sum_over_two_currencies_warns_and_names_them(log, measure):
    said = r"the values are in EUR and USD: .* keep_events\(log, where=\{'currency': 'EUR'\}\)"
    with pytest.warns(CxWarning, match=said):
        measure(log)


def test_one_currency_is_no_reason_to_warn(log):
    euros = cx.keep_events(log, where={"currency": "EUR"})
    with warnings.catch_warnings():
        warnings.simplefilter("error", CxWarning)
        assert cx.retention(euros)["value"].sum() == 25.0


def test_currencies_are_those_of_values_and_the_most_frequent_first(log):
    assert currencies(log.events) == ["EUR", "USD"]
    assert currencies(log.events.drop("currency")) == []
