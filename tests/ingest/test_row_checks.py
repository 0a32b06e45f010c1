"""Checks of single rows are counted once for each file, and add up to those of the source."""

import pytest

from cxlib.build import build_store
from cxlib.ingest import row_checks
from tests.ingest.workspaces import write

SOURCES = """
    name: shop
    sources:
      orders:
        file: orders*.csv
        id: id
        customer: {key: account}
        events: [{touchpoint: placed_order, time: at, value: amount}]
"""
FILES = {
    "orders-1.csv": "id,account,at,amount\nd,x,2024-01-01,1\nd,x,2024-01-02,\nd,x,2024-01-03,2\n"
    "c,x,2024-01-04 10:00,\n",
    "orders-2.csv": "id,account,at,amount\nd,x,2024-01-01,1\nc,y,2024-01-02,1\nb,y,2024-01-02,\n"
    "b,y,2024-01-03,1\na,y,2024-01-04,\na,z,2024-01-04,\n0,z,2024-01-05,1\n",
}
LATER = "id,account,at,amount\n0,z,2024-02-01,1\ne,z,2024-02-02,\n"


def findings(workspace):
    """Rows checked, rows that fail and examples, by check."""
    snapshot = build_store(workspace).snapshot
    frame = snapshot.table("quality").to_pandas()
    snapshot.con.disconnect()
    rows = frame[["check", "n", "failing", "examples"]].itertuples(index=False)
    return {check: tuple(told) for check, *told in rows}


@pytest.fixture
def workspace(tmp_path):
    return write(tmp_path, FILES, SOURCES)


def test_counts_and_examples_of_several_files_add_up(workspace):
    found = findings(workspace)
    # d stands four times, c, b and a twice; of the five rows that are used one has a time of day.
    assert found["ids are unique"] == (11, 6, "a, b, c")
    assert found["at has a time of day"] == (5, 4, "0, a, b")
    assert found["amount is filled"] == (5, 3, "a, b, c")


def test_only_rows_of_new_files_are_counted(workspace, monkeypatch):
    counted = []
    original = row_checks._count

    def spy(judged, item, files):
        counted.append(list(files))
        return original(judged, item, files)

    monkeypatch.setattr(row_checks, "_count", spy)
    findings(workspace)
    (workspace / "exports" / "orders-3.csv").write_text(LATER)
    found = findings(workspace)
    assert counted == [[0, 1], [2]]
    assert found["ids are unique"] == (13, 7, "0, a, b")
    assert found["amount is filled"] == (6, 4, "a, b, c")
    # What stands before them makes other rows repeated: all are judged and counted again.
    (workspace / "exports" / "orders-0.csv").write_text(LATER)
    assert findings(workspace)["ids are unique"] == (15, 9, "0, a, b")
    assert counted[2:] == [[0, 1, 2, 3]]
