"""A snapshot is whole or not there; readers are never disturbed."""

import subprocess
import sys

import ibis
import pytest
from ibis.backends.duckdb import Backend

from cxlib.engine.store import (
    current_snapshot,
    list_snapshots,
    open_store,
    point_to,
    write_snapshot,
)
from cxlib.errors import CxError


def write(folder, name, n):
    with write_snapshot(folder, name, {"n": n}) as con:
        con.create_table("numbers", ibis.memtable({"n": list(range(int(n)))}))


def count(store):
    return store.table("numbers").count().to_pyarrow().as_py()


def test_a_build_makes_its_snapshot_the_current_one(tmp_path):
    write(tmp_path, "one", 1)
    write(tmp_path, "two", 2)
    assert open_store(tmp_path).id == "two"
    assert count(open_store(tmp_path)) == 2


def test_a_reader_keeps_its_snapshot_while_a_newer_one_is_written(tmp_path):
    write(tmp_path, "one", 1)
    reader = open_store(tmp_path)
    assert count(reader) == 1
    write(tmp_path, "two", 2)
    assert count(reader) == 1


def test_two_readers_open_the_same_snapshot_in_two_processes(tmp_path):
    write(tmp_path, "one", 3)
    reader = open_store(tmp_path)
    assert count(reader) == 3
    code = f"""
import cxlib as cx
print(cx.open_store({str(tmp_path)!r}).table("numbers").count().execute())
"""
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == "3"


def test_an_error_in_a_build_leaves_the_store_as_it_was(tmp_path):
    write(tmp_path, "one", 1)
    with pytest.raises(ValueError, match="zero"):
        write(tmp_path, "two", "zero")
    assert open_store(tmp_path).id == "one"
    assert [path.name for path in (tmp_path / "store" / "snapshots").iterdir()] == ["one"]


def test_a_snapshot_whose_data_were_not_written_through_is_not_kept(tmp_path, monkeypatch):
    write(tmp_path, "one", 1)
    original = Backend.raw_sql

    def forgetful(self, query, **options):
        return None if query == "CHECKPOINT" else original(self, query, **options)

    monkeypatch.setattr(Backend, "raw_sql", forgetful)
    with pytest.raises(CxError, match="its last changes were not written through; it is as it was"):
        write(tmp_path, "two", 2)
    monkeypatch.undo()
    assert count(open_store(tmp_path)) == 1
    write(tmp_path, "two", 2)
    assert [path.name for path in (tmp_path / "store/snapshots/two").glob("data*")] == [
        "data.duckdb"
    ]


def test_a_killed_build_leaves_the_store_readable_and_the_next_build_clean(tmp_path):
    write(tmp_path, "one", 1)
    code = f"""
import os, signal, ibis
from cxlib.engine.store import write_snapshot
with write_snapshot({str(tmp_path)!r}, "two", {{}}) as con:
    con.create_table("numbers", ibis.memtable({{"n": [1, 2]}}))
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode != 0
    assert open_store(tmp_path).id == "one"
    write(tmp_path, "two", 2)
    assert count(open_store(tmp_path)) == 2
    assert sorted(path.name for path in (tmp_path / "store" / "snapshots").iterdir()) == [
        "one",
        "two",
    ]


def test_the_same_content_may_be_written_twice(tmp_path):
    write(tmp_path, "one", 1)
    write(tmp_path, "one", 1)
    assert count(open_store(tmp_path)) == 1


def test_a_snapshot_cannot_be_written_to_by_a_reader(tmp_path):
    write(tmp_path, "one", 1)
    with pytest.raises(Exception, match="read-only"):
        open_store(tmp_path).con.create_table("more", ibis.memtable({"n": [1]}))


def test_no_store_says_how_to_build_one(tmp_path):
    with pytest.raises(CxError, match="run: cxlib build"):
        open_store(tmp_path)
    assert current_snapshot(tmp_path) is None


def test_a_pointer_to_nowhere_is_said(tmp_path):
    write(tmp_path, "one", 1)
    (tmp_path / "store" / "CURRENT").write_text("gone\n")
    with pytest.raises(CxError, match="damaged or gone"):
        open_store(tmp_path)
    with pytest.raises(CxError, match="there is no snapshot 'gone'"):
        point_to(tmp_path, "gone")


@pytest.mark.parametrize("name", ["meta.json", "data.duckdb"])
def test_a_damaged_snapshot_is_said_and_the_next_build_takes_its_place(tmp_path, name):
    write(tmp_path, "one", 1)
    write(tmp_path, "two", 2)
    (tmp_path / "store" / "snapshots" / "two" / name).unlink()
    with pytest.raises(CxError, match="'two' is damaged or gone; build it anew: cxlib build "):
        open_store(tmp_path)
    assert [snapshot.id for snapshot in list_snapshots(tmp_path)] == ["one"]
    write(tmp_path, "two", 2)
    assert count(open_store(tmp_path)) == 2
    write(tmp_path, "three", 3)
    assert sorted(path.name for path in (tmp_path / "store" / "snapshots").iterdir()) == [
        "one",
        "three",
        "two",
    ]


def test_an_error_of_a_network_is_not_called_the_stores(tmp_path):
    with pytest.raises(ConnectionError, match="the scorer"), write_snapshot(tmp_path, "one", {}):
        raise ConnectionError("the scorer's service is down")


def test_a_folder_that_duckdb_cannot_name_is_refused(tmp_path):
    with pytest.raises(CxError, match=r"a store cannot stand in .*: rename the"):
        write(tmp_path / "what?", "one", 1)


def test_an_unknown_table_offers_the_known_ones(tmp_path):
    write(tmp_path, "one", 1)
    with pytest.raises(CxError, match=r"no table 'number' .*did you mean 'numbers'"):
        open_store(tmp_path).table("number")


def test_a_store_that_cannot_be_written_says_why_and_stays(tmp_path, monkeypatch):
    write(tmp_path, "one", 1)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.mkdtemp", full)
    with pytest.raises(
        CxError, match=r"store' cannot be written: No space left .*; it is as it was"
    ):
        write(tmp_path, "two", 2)
    assert open_store(tmp_path).id == "one"


def test_pointing_to_the_current_snapshot_writes_nothing(tmp_path):
    write(tmp_path, "one", 1)
    before = (tmp_path / "store" / "CURRENT").stat()
    point_to(tmp_path, "one")
    after = (tmp_path / "store" / "CURRENT").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_a_build_takes_as_much_memory_as_it_is_told(tmp_path, monkeypatch):
    def limit(told):
        monkeypatch.setenv("CXLIB_MEMORY", told)
        with write_snapshot(tmp_path, f"s{told}", {}) as con:
            con.create_table("numbers", ibis.memtable({"n": [1]}))
            return con.raw_sql("SELECT current_setting('memory_limit')").fetchone()[0]

    assert limit("2GiB") == "2.0 GiB"
    free = ibis.duckdb.connect().raw_sql("SELECT current_setting('memory_limit')").fetchone()[0]
    assert float(limit("").split()[0]) == pytest.approx(float(free.split()[0]) * 0.6, abs=0.2)
    with pytest.raises(CxError, match="CXLIB_MEMORY is 'a lot', which is no amount of memory"):
        limit("a lot")
