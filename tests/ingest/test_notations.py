"""Times and numbers are told by most of a column's values."""

import pandas as pd
import pytest

from cxlib.ingest.notations import decimal_sign, is_ambiguous, time_format


@pytest.mark.parametrize(
    ("values", "form"),
    [
        (["24.12.2024 10:00"] * 19 + ["31.02.2024 10:00"], "%d.%m.%Y %H:%M"),
        (["24.12.2024 10:00"] * 9 + ["31.02.2024 10:00"], ""),  # one of ten is no small share
        (["12/24/2024"] * 3 + ["01/02/2024"] * 17, "%m/%d/%Y"),  # day first fits 17 of 20
        (["2024-12-24", "2024-12-24T10:00:00+02:00"], None),
        (["720,46"], ""),
        ([], ""),
    ],
)
def test_a_format_must_fit_most_of_the_values_and_the_best_one_counts(values, form):
    assert time_format(pd.Series(values, dtype="str")) == form


def test_a_date_of_no_calendar_tells_nothing_of_day_and_month():
    assert is_ambiguous(pd.Series(["03.02.2024", "31.31.2024"]), "%d.%m.%Y")
    assert not is_ambiguous(pd.Series(["03.02.2024", "31.01.2024"]), "%d.%m.%Y")


@pytest.mark.parametrize(
    ("columns", "sign"),
    [
        ([["720,46", "1.499,13", "7"]], ","),
        ([["720.46", "1,499.13"]], "."),
        ([["720.46", "7"]], None),
        ([["1,499", "2,000"]], "."),
        ([["720,46"] * 19 + ["k.A."]], ","),
        ([["720,46"] * 5 + ["k.A."]], None),
        ([["030 123 456", "040 123 456"]], None),  # apart, and no sign among them
        ([["7", "8"], ["720,46"]], ","),
        ([["24.12.2024"], ["a, b"], []], None),
    ],
)
def test_a_decimal_sign_is_declared_where_only_one_can_read_the_numbers(columns, sign):
    assert decimal_sign(pd.Series(values, dtype="str") for values in columns) == sign
