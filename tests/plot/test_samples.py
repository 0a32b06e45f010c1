"""The dotted chart of a sample."""

import pandas as pd
import pytest

from cxlib import CxError, plot


def dotted_frame(customers=3):
    rows = [
        (f"c{number}", pd.Timestamp("2024-01-01") + pd.Timedelta(days=number + day), name, day)
        for number in range(customers)
        for day, name in [(0.0, "visit"), (float(9 - number), "buy")]
    ]
    columns = ["customer_id", "occurred_at", "touchpoint", "since_start_days"]
    return pd.DataFrame(rows, columns=columns).assign(customers=40)


@pytest.mark.parametrize(
    ("sort", "top"),
    [("start", "c0"), ("length", "c0")],
)
def test_customers_are_sorted_by_their_start_or_their_length(sort, top):
    frame = dotted_frame().iloc[::-1]
    figure = plot.dotted(frame, sort=sort)
    first = {text: y for trace in figure.data for text, y in zip(trace.text, trace.y, strict=True)}
    assert {y for text, y in first.items() if f"customer {top}" in text} == {0}
    assert figure.layout.title.subtitle.text == "3 customers, drawn from 40; 6 events"


def test_time_is_the_calendar_or_the_days_since_the_start():
    figure = plot.dotted(dotted_frame(), time="since_start_days")
    assert sorted(x for trace in figure.data for x in trace.x) == [0, 0, 0, 7, 8, 9]
    assert figure.layout.xaxis.title.text == "days since the first event"


def test_rare_touchpoints_are_grey_and_last_in_the_legend():
    frame = pd.concat([dotted_frame(9)] * 2, ignore_index=True)
    frame["touchpoint"] = [f"t{number}" for number in [0, 1, 2, 3, 4, 5] * 5 + [6, 7, 8, 9, 10, 11]]
    figure = plot.dotted(frame)
    assert len(figure.data) == 7
    assert figure.data[0].name == "other"
    assert figure.data[0].legendrank > figure.data[1].legendrank


def test_the_chart_has_a_look_and_a_text_alternative():
    frame = dotted_frame()
    figure = plot.dotted(frame, theme="dark")
    assert figure.layout.template.layout.paper_bgcolor == "#171c24"
    assert figure.layout.meta["description"].endswith(".")
    assert plot.dotted(frame).to_json() == plot.dotted(frame).to_json()
    assert len(figure.layout.title.subtitle.text) <= 57
    empty = plot.dotted(frame.head(0)).layout.meta["description"]
    assert empty == "No events in this selection."


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plot.dotted(dotted_frame(), time="since_start"), "mean 'since_start_days'"),
        (lambda: plot.dotted(dotted_frame(), sort="lenght"), "did you mean 'length'"),
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_says_why(call, message):
    with pytest.raises(CxError, match=message):
        call()
