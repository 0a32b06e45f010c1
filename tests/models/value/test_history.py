"""Purchase histories counted in the engine."""

import numpy as np
import pandas as pd
import pytest

from cxlib import purchase_summary, spend_summary
from cxlib.errors import CxError, CxWarning
from tests.journeys.logs import log_of, rows_of

# The log starts on 2024-01-01; a number is hours after that.
DAY = 24


def bought(con, value=10.0):
    rows = rows_of({"a": f"buy@0 buy@{7 * DAY} buy@{7 * DAY + 3} buy@{21 * DAY}"}, value=value)
    rows += rows_of({"b": f"buy@{7 * DAY}", "c": f"buy@{7 * DAY} visit@{9 * DAY}"}, value=value)
    return log_of(con, rows)


def test_equal_histories_are_one_row(con):
    found = purchase_summary(bought(con), as_of="2024-01-30", touchpoints="buy")
    # Two purchases on one day are one; T counts to the day before: 28 days from 1 January.
    assert found[["frequency", "recency", "T", "weight"]].to_numpy().tolist() == [
        [0, 0, 3, 2],
        [2, 3, 4, 1],
    ]
    assert found["mean_money"].iloc[1] == pytest.approx((20 + 10) / 2)
    assert np.isnan(found["mean_money"].iloc[0])


def test_customers_can_be_seen_one_by_one(con):
    found = purchase_summary(
        bought(con), as_of="2024-01-30", touchpoints="buy", unit="days", per_customer=True
    )
    assert found["customer_id"].tolist() == ["a", "b", "c"]
    assert found["T"].tolist() == [28, 21, 21]
    assert found["recency"].tolist() == [21, 0, 0]
    assert found["money"].iloc[0] == pytest.approx(15)


def test_longer_spans_give_opportunities(con):
    found = purchase_summary(
        bought(con), as_of="2024-01-29", touchpoints="buy", resolution="7 days"
    )
    assert found[["frequency", "recency", "T"]].to_numpy().tolist() == [[0, 0, 2], [2, 3, 3]]


def test_spend_is_counted_by_frequency_and_money(con):
    found = spend_summary(bought(con), as_of="2024-01-30", touchpoints="buy")
    assert found.to_numpy().tolist() == [[2, 15.0, 1]]


def test_what_happens_at_the_date_does_not_count(con):
    found = purchase_summary(bought(con), as_of="2024-01-22", touchpoints="buy")
    assert found["frequency"].tolist() == [0, 1]


def test_rows_total_to_a_recount_in_plain_python(con):
    rng = np.random.default_rng(4)
    hours = {f"c{i}": sorted(rng.integers(0, 1_000, rng.integers(1, 9))) for i in range(40)}
    log = log_of(
        con, rows_of({name: " ".join(f"buy@{h}" for h in at) for name, at in hours.items()})
    )
    with pytest.warns(CxWarning, match="purchases have no 'value' and count as purchases of 0"):
        found = purchase_summary(log, as_of="2024-03-01", touchpoints="buy", unit="days")
    counts = {}
    for at in hours.values():
        days = sorted({h // DAY for h in at})
        key = (len(days) - 1, days[-1] - days[0], 59 - days[0])
        counts[key] = counts.get(key, 0) + 1
    recount = [(*key, n) for key, n in sorted(counts.items())]
    columns = ["frequency", "recency", "T", "weight"]
    assert [tuple(row) for row in found[columns].to_numpy().tolist()] == recount


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"touchpoints": "by"}, "no touchpoint 'by' in the log; did you mean 'buy'"),
        ({"value": "valu"}, "no column 'valu' in the log; did you mean 'value'"),
        ({"value": "channel"}, "the column 'channel' is string, and must be a number"),
        ({"unit": "months"}, "no unit 'months'"),
        ({"as_of": "2034-01-01"}, "is after observed_until"),
        ({"as_of": "2024-01-01"}, "nobody has such purchases"),
        ({"resolution": "0 days"}, "the resolution is empty"),
    ],
)
def test_bad_questions_are_named(con, change, message):
    known = {"as_of": "2024-01-30", "touchpoints": "buy"}
    with pytest.raises(CxError, match=message):
        purchase_summary(bought(con), **(known | change))


def test_the_sample_of_cdnow_is_that_of_its_authors(shared, con):
    from cxlib import journeys_from_frame

    folder = shared / "cases/survival/cdnow_bgnbd"
    names = ["all", "customer_id", "day", "discs", "value"]
    sales = pd.read_csv(folder / "transactions.txt", sep=r"\s+", names=names, dtype=str)
    log = journeys_from_frame(
        pd.DataFrame(
            {
                "customer_id": sales["customer_id"],
                "touchpoint": "bought",
                "occurred_at": pd.to_datetime(sales["day"], format="%Y%m%d"),
                "value": sales["value"].astype("float64"),
            }
        ),
        observed_until="1998-07-01",
        closes_after=None,
    )
    found = purchase_summary(
        log, as_of="1997-10-01", touchpoints="bought", per_customer=True
    ).sort_values("customer_id")
    expected = pd.read_csv(folder / "input.csv").sort_values("ID")
    for name in ("frequency", "recency", "T"):
        assert found[name].to_numpy() == pytest.approx(expected[name].to_numpy(), abs=0.006)
