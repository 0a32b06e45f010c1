"""What two snapshots differ in, counted by hand."""

import ibis
import pytest

from cxlib.engine.differences import compare_snapshots
from cxlib.engine.store import find_snapshot, write_snapshot
from tests.ingest.workspaces import build

HEAD = "order_id,account,at,amount\n"


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pair")
    first = build(folder, {"orders.csv": HEAD + "1,a,2024-01-01,5\n2,b,2024-01-02,7\n"})
    # Order 1 is corrected, order 2 is gone, order 3 is new, and order x cannot be read.
    files = {"orders.csv": HEAD + "1,a,2024-01-01,6\n3,c,2024-01-03,7\nx,c,soon,7\n"}
    return first.snapshot, build(folder, files).snapshot


def test_rows_are_added_removed_and_changed(pair):
    found = compare_snapshots(*pair).tables.set_index("table")
    counts = ["before", "after", "added", "removed", "changed"]
    # The journey of customer a went on before, and is over in neither: it is the same.
    assert found.loc["events", counts].tolist() == [2, 2, 1, 1, 1]
    assert found.loc["customers", counts].tolist() == [2, 2, 1, 1, 0]
    assert found.loc["rejects", counts].tolist() == [0, 1, 1, 0, 0]


def test_inputs_that_changed_are_named(pair):
    assert compare_snapshots(*pair).inputs.to_dict("records") == [
        {"source": "orders", "file": "orders.csv", "change": "changed"}
    ]


def test_a_snapshot_does_not_differ_from_itself(pair):
    assert compare_snapshots(pair[0], pair[0]).is_empty
    assert not compare_snapshots(*pair).is_empty


def test_tables_and_columns_that_came_and_went_are_said(tmp_path):
    with write_snapshot(tmp_path, "one", {"inputs": [{"source": "s", "file": "f"}]}) as con:
        con.create_table("old", ibis.memtable({"n": [1, 2]}))
        con.create_table("kept", ibis.memtable({"n": [1, 1], "old": [1, 1]}))
    with write_snapshot(tmp_path, "two", {}) as con:
        con.create_table("new", ibis.memtable({"n": [1]}))
        con.create_table("kept", ibis.memtable({"n": [1, 2], "new": [1, 1]}))
    found = compare_snapshots(find_snapshot(tmp_path, "one"), find_snapshot(tmp_path, "two"))
    assert found.tables.values.tolist() == [
        ["kept", 2, 2, 1, 1, 0, "+new -old"],
        ["new", 0, 1, 1, 0, 0, ""],
        ["old", 2, 0, 0, 2, 0, ""],
    ]
    assert found.inputs.values.tolist() == [["s", "f", "removed"]]
