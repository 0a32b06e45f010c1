"""The silence that ends a journey is chosen from the silences of those who came back."""

from datetime import timedelta

import ibis
import pandas as pd
import pytest

from cxlib.ingest.silences import Silences, propose_silence, silences_of


def events_of(times):
    rows = [(customer, text) for customer, texts in times.items() for text in texts]
    frame = pd.DataFrame(rows, columns=["customer_id", "occurred_at"])
    return ibis.memtable(frame.astype({"occurred_at": "datetime64[us]"}))


def test_each_customer_counts_with_the_longest_silence():
    times = {
        "a": ["2024-01-01 10:00", "2024-01-01 10:05", "2024-01-01 10:06:00.5", "2024-01-21 10:06"],
        "b": ["2024-01-31", "2024-01-01"],
        "once": ["2024-02-10"],
        "at one time": ["2024-01-05", "2024-01-05"],
    }
    found = silences_of(events_of(times))
    # 20 and 30 days; nine tenths of the way between them are 29.
    assert (found.customers, found.longest) == (2, timedelta(days=29))
    assert found.observed == timedelta(days=40)


@pytest.mark.parametrize(
    ("longest", "observed", "span"),
    [
        (timedelta(days=41), 700, "60 days"),
        (timedelta(days=60), 700, "60 days"),
        (timedelta(minutes=12), 700, "30 minutes"),
        (timedelta(days=4_000), 9_000, "730 days"),
        (timedelta(days=41), 100, "30 days"),  # a third of 100 days
        (timedelta(days=2), 1, "6 hours"),
    ],
)
def test_the_span_is_one_that_people_write_and_leaves_time_to_end(longest, observed, span):
    assert propose_silence(Silences(9, longest, timedelta(days=observed)))[0] == span


@pytest.mark.parametrize(
    "found", [None, Silences(0, None, timedelta(0)), Silences(4, timedelta(1), timedelta(900))]
)
def test_where_few_came_back_the_usual_span_is_said_to_be_a_guess(found):
    span, why = propose_silence(found)
    assert span == "30 days"
    assert "too few customers came back" in why


def test_how_it_was_chosen_is_said():
    why = propose_silence(Silences(1_280, timedelta(days=41), timedelta(days=100)))[1]
    assert "of the 1,280 customers who came back" in why
    assert "silent for at most 41 days; no more than a third of the time" in why
