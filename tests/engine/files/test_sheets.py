"""Sheets of a workbook become rows of text."""

from datetime import date, datetime

import pandas as pd
import pytest

from cxlib.engine.connect import connect
from cxlib.engine.files.options import FileOptions
from cxlib.engine.files.reading import read_file
from cxlib.engine.files.sheets import find_sheets
from cxlib.errors import CxError
from tests.engine.files.workbooks import write_ods, write_xlsx

ROWS = [
    ["id", "at", "amount", "paid"],
    [1, datetime(2024, 1, 1, 12, 30), 2.5, True],
    [],
    ["two", date(2024, 1, 2), 1e20, None],
    [3, "soon", -0.000001, False],
]


def rows(path, **declared):
    table = read_file(connect(), path, "orders", FileOptions(**declared)).table
    return [tuple(row.values()) for row in table.order_by("cx_row").to_pyarrow().to_pylist()]


def test_cells_become_text_by_their_own_kind(tmp_path):
    book = write_xlsx(tmp_path / "orders.xlsx", {"one": ROWS, "empty": []})
    assert rows(book) == [
        ("1", "2024-01-01 12:30:00", "2.5", "true", 1),
        ("two", "2024-01-02", "1e+20", None, 2),
        ("3", "soon", "-1e-06", "false", 3),
    ]


def test_numbers_get_the_declared_decimal_sign_that_texts_have(tmp_path):
    book = write_xlsx(tmp_path / "orders.xlsx", {"one": [["a"], [1234.5], ["1.234,5"]]})
    assert rows(book, decimal=",") == [("1234,5", 1), ("1.234,5", 2)]


def test_a_sheet_is_chosen_by_its_name(tmp_path):
    book = write_ods(tmp_path / "orders.ods", {"a": [["x"], [1]], "b": [["x"], ["y"]]})
    assert rows(book, sheet="b") == [("y", 1)]
    assert find_sheets(book, ["*"]) == ["a", "b"]
    assert find_sheets(book, ["b"]) == ["b"]


def test_several_sheets_and_none_named_is_asked_for(tmp_path):
    book = write_xlsx(tmp_path / "orders.xlsx", {"2023": [["x"]], "2024": [["x"]]})
    with pytest.raises(CxError, match=r"several sheets \('2023', '2024'\); name those to read"):
        find_sheets(book)
    with pytest.raises(CxError, match=r"no sheet '2022' in the file 'orders.xlsx'; did you mean"):
        find_sheets(book, ["2022"])


def test_what_is_no_workbook_is_said(tmp_path):
    (tmp_path / "orders.xlsx").write_text("id,name\n")
    with pytest.raises(CxError, match=r"'orders\.xlsx' is not a whole workbook"):
        rows(tmp_path / "orders.xlsx")


def test_structs_of_a_parquet_file_become_columns_with_dots(tmp_path):
    frame = pd.DataFrame({"id": [1], "who": [{"key": "a", "at": {"city": "Rome"}}]})
    frame.to_parquet(tmp_path / "orders.parquet")
    table = read_file(connect(), tmp_path / "orders.parquet", "orders").table
    assert table.to_pyarrow().to_pylist() == [
        {"id": "1", "who.at.city": "Rome", "who.key": "a", "cx_row": 1}
    ]
