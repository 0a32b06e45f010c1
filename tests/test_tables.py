import ibis
import pandas as pd
import pytest

from cxlib.errors import CxError
from cxlib.tables import CONTRACTS, check_contract


def customers(**changes):
    frame = pd.DataFrame(
        {
            "customer_id": ["a", "b"],
            "first_seen_at": pd.to_datetime(["2024-01-01", None]).astype("datetime64[us]"),
            "last_seen_at": pd.to_datetime(["2024-01-02", None]).astype("datetime64[us]"),
            "events": [2, 0],
        }
    )
    return ibis.memtable(frame.assign(**changes))


def test_a_table_that_keeps_its_contract_passes(con):
    check_contract(con.create_table("customers", customers()), "customers")


def test_a_table_may_have_more_columns_than_its_contract():
    check_contract(customers(plan=["x", None]), "customers")


def test_a_missing_column_is_named_with_those_that_exist():
    with pytest.raises(CxError, match=r"no column .events. \(it has .customer_id."):
        check_contract(customers().drop("events"), "customers")


def test_a_wrong_type_is_named_with_the_right_one():
    with pytest.raises(CxError, match=r"column .events. .* is string, and must be int64"):
        check_contract(customers(events=["2", "0"]), "customers")


def test_a_repeated_key_is_counted():
    with pytest.raises(CxError, match="1 rows repeat a 'customer_id'"):
        check_contract(customers(customer_id=["a", "a"]), "customers")


def test_a_missing_value_breaks_the_contract():
    with pytest.raises(CxError, match="customer_id"):
        check_contract(customers(customer_id=["a", None]), "customers")


def test_a_value_out_of_range_breaks_the_contract():
    with pytest.raises(CxError, match="events"):
        check_contract(customers(events=[-1, 0]), "customers")


def test_every_column_says_what_it_means():
    assert all(column.meaning for columns in CONTRACTS.values() for column in columns.values())
