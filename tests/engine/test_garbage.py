"""Old snapshots go, but never the current one, nor one that is read."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import ibis
import pytest

from cxlib.engine.garbage import collect_garbage
from cxlib.engine.store import list_snapshots, open_store, point_to, write_snapshot
from cxlib.errors import CxError


def write(folder, name, days_ago):
    built = datetime.now(UTC) - timedelta(days=days_ago)
    with write_snapshot(folder, name, {"built_at": built.isoformat()}) as con:
        con.create_table("numbers", ibis.memtable({"n": [days_ago]}))


@pytest.fixture
def store(tmp_path):
    for days_ago, name in ((4, "a"), (3, "b"), (2, "c"), (1, "d")):
        write(tmp_path, name, days_ago)
    return tmp_path


def names(found):
    return [snapshot.id for snapshot in found]


def test_snapshots_are_listed_the_newest_first(store):
    assert names(list_snapshots(store)) == ["d", "c", "b", "a"]


def test_the_newest_stay(store):
    assert names(collect_garbage(store, keep=2)) == ["b", "a"]
    assert names(list_snapshots(store)) == ["d", "c"]
    assert {path.name for path in (store / "store" / "snapshots").iterdir()} == {"c", "d"}


def test_the_current_one_stays_whatever_its_age(store):
    point_to(store, "a")
    assert names(collect_garbage(store, keep=1)) == ["c", "b"]
    assert open_store(store).id == "a"


def test_those_within_a_span_stay(store):
    assert names(collect_garbage(store, keep=1, younger_than="60 hours")) == ["b", "a"]


def test_one_that_this_process_reads_stays(store):
    reader = list_snapshots(store)[3]
    assert reader.table("numbers").n.to_list() == [4]
    assert names(collect_garbage(store, keep=1)) == ["c", "b"]
    reader.con.disconnect()
    assert names(collect_garbage(store, keep=1)) == ["a"]


READ = """
import sys
from cxlib.engine.store import find_snapshot
reader = find_snapshot(sys.argv[1], "a")
print(reader.table("numbers").n.to_list(), flush=True)
sys.stdin.read()
"""


def test_one_that_another_process_reads_stays(store):
    command = [sys.executable, "-c", READ, str(store)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as reader:
        assert reader.stdout.readline() == "[4]\n"
        assert names(collect_garbage(store, keep=1)) == ["c", "b"]
    assert names(collect_garbage(store, keep=1)) == ["a"]


def test_to_keep_none_is_refused(store):
    with pytest.raises(CxError, match="keep=0 would leave no snapshot; keep at least 1"):
        collect_garbage(store, keep=0)
