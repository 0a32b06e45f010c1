"""A build that is killed at any moment leaves the old snapshot readable and the next build clean.

A process of its own imports cxlib once and forks a child for each build, so that twenty builds can
be killed in the time of a few. It builds once before, so that Ibis does not write the SQL anew in
each child; it has no database open when it forks.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ingest.workspaces import build

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system forks no processes")

HEAD = "order_id,account,at,amount\n"
POINTS = 20

KILLER = """
import os, signal, sys, time, traceback
from pathlib import Path
import ibis, duckdb, pandas, tqdm.auto, sqlglot  # once, and not in every child
import cxlib.build, cxlib.engine.store as store
from tests.sql import remembered_sql

folder, points = Path(sys.argv[1]), int(sys.argv[2])
exports = folder / "exports" / "orders.csv"

def in_child(work):
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return child

def change(n):
    rows = [f"{k},c{k % 7},2024-01-{1 + k % 28:02},{k}" for k in range(40)]
    rows[n % 40] = f"{n % 40},c1,2024-01-01,{1000 + n}"
    exports.write_text("order_id,account,at,amount\\n" + "\\n".join(rows) + "\\n")

def build():
    cxlib.build.build_store(folder)

def check(n):
    # The current snapshot is whole, and holds the rows of change n.
    snapshot = store.open_store(folder)
    with duckdb.connect(str(snapshot.data), read_only=True) as con:
        found = con.sql("SELECT count(*), count(value), max(value) FROM events").fetchone()
        assert found == (40, 40, 1000 + n), (found, n)
        assert con.sql("SELECT count(*) FROM journeys").fetchone() == (7,)

def wait(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

def current():
    return (folder / "store" / "CURRENT").read_text().strip()

def main():
    change(-3)
    build()
    took = []
    for n in (1, 2):
        change(-n)
        began = time.perf_counter()
        assert wait(in_child(build)) == 0
        took.append(time.perf_counter() - began)

    held = -n
    for point in range(points):
        change(point)
        before = current()
        child = in_child(build)
        time.sleep(min(took) * (point + 0.5) / points)
        os.kill(child, signal.SIGKILL)
        code = wait(child)
        assert current() != before or code == -9, point
        held = point if current() != before else held
        assert wait(in_child(lambda: check(held))) == 0, point
        print("killed" if code == -9 else "ended", flush=True)
        if point % 5 == 4:
            assert wait(in_child(build)) == 0, point
            held = point
            names = sorted(path.name for path in (folder / "store" / "snapshots").iterdir())
            assert current() in names
            assert not [name for name in names if name.startswith(".")], names
            assert not list((folder / "store" / "staged").glob(".writing-*"))

with remembered_sql():
    main()
"""


def test_a_build_killed_at_twenty_points_leaves_the_store_whole(tmp_path):
    rows = "".join(f"{k},c{k % 7},2024-01-{1 + k % 28:02},{k}\n" for k in range(40))
    build(tmp_path, {"orders.csv": HEAD + rows})
    done = subprocess.run(
        [sys.executable, "-c", KILLER, str(tmp_path), str(POINTS)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
        cwd=Path(__file__).resolve().parents[1],  # so that it finds the package of the tests
    )
    assert done.returncode == 0, done.stderr
    ends = done.stdout.split()
    assert len(ends) == POINTS
    assert ends.count("killed") >= POINTS // 2


def test_a_kill_between_the_rename_and_the_pointer_keeps_the_old_snapshot(tmp_path):
    first = build(tmp_path, {"orders.csv": HEAD + "1,a,2024-01-01,5\n"}).snapshot.id
    (tmp_path / "exports" / "orders.csv").write_text(HEAD + "1,a,2024-01-01,6\n")
    code = """
import os, signal, sys
import cxlib.engine.store as store
from cxlib.build import build_store
store.point_to = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
build_store(sys.argv[1])
"""
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True)
    assert killed.returncode == -9
    current = Path(tmp_path, "store", "CURRENT")
    assert current.read_text().strip() == first
    # What stood there whole is found and pointed to.
    again = build(tmp_path, {})
    assert again.reused
    assert current.read_text().strip() == again.snapshot.id != first
