"""A watched store follows its exports, survives a bad one, and ends when asked to."""

import os
import queue
import signal
import subprocess
import sys
import threading

import pytest
from typer.testing import CliRunner

from cxlib.engine.locks import write_lock
from cxlib.engine.store import open_store
from cxlib.errors import CxError
from cxlib.publish.cli import app
from cxlib.watch import watch_store
from tests.ingest.workspaces import write

HEAD = "order_id,account,at,amount\n"


def put(workspace, text):
    new = workspace / "orders.csv"
    new.write_text(text)
    os.replace(new, workspace / "exports" / "orders.csv")


@pytest.fixture
def watched(tmp_path):
    """A workspace that a thread watches, and the lines that it says."""
    workspace = write(tmp_path, {"orders.csv": HEAD + "1,a,2024-01-01,5\n"})
    lines, stop = queue.Queue(), threading.Event()
    options = {"every": "0.1 seconds", "say": lines.put, "stop": stop}
    thread = threading.Thread(target=watch_store, args=(workspace,), kwargs=options)
    thread.start()
    yield workspace, lines
    stop.set()
    thread.join()


def test_each_change_is_built_and_said_once(watched):
    workspace, lines = watched
    assert "shop: 1 events of 1 customers, 0 rows rejected" in lines.get(timeout=60)
    put(workspace, HEAD + "1,a,2024-01-01,5\n2,b,2024-01-02,5\nx,c,soon,1\n")
    assert "shop: 2 events of 2 customers, 1 rows rejected" in lines.get(timeout=60)
    assert open_store(workspace).meta["counts"]["events"] == 2
    assert lines.empty()


def test_a_bad_export_keeps_the_store_and_the_next_one_mends_it(watched):
    workspace, lines = watched
    lines.get(timeout=60)
    first = open_store(workspace).id
    put(workspace, HEAD)
    assert "the store stays as it was: no export gives a single event" in lines.get(timeout=60)
    assert open_store(workspace).id == first
    put(workspace, HEAD + "1,a,2024-01-01,6\n")
    assert "shop: 1 events" in lines.get(timeout=60)
    assert open_store(workspace).id != first


def test_a_decision_on_who_is_who_is_built(watched):
    workspace, lines = watched
    lines.get(timeout=60)
    first = open_store(workspace).id
    (workspace / "identities.yml").write_text("same: []\n")
    assert "shop: 1 events" in lines.get(timeout=60)
    assert open_store(workspace).id != first


def test_what_another_process_held_up_is_built_when_it_has_ended(tmp_path):
    workspace = write(tmp_path, {"orders.csv": HEAD + "1,a,2024-01-01,5\n"})
    lines, stop = queue.Queue(), threading.Event()
    options = {"every": "0.1 seconds", "wait": "0 seconds", "say": lines.put, "stop": stop}
    thread = threading.Thread(target=watch_store, args=(workspace,), kwargs=options)
    with write_lock(workspace):
        thread.start()
        assert "builds the store" in lines.get(timeout=60)
    try:
        assert "shop: 1 events" in lines.get(timeout=60)
    finally:
        stop.set()
        thread.join()


def test_a_full_build_is_not_watched(tmp_path):
    result = CliRunner().invoke(app, ["build", str(tmp_path), "--full", "--watch", "1s"])
    assert result.exit_code == 2
    assert "it builds once; leave out --watch" in result.output


def test_a_span_that_is_too_short_is_refused(tmp_path):
    with pytest.raises(CxError, match="the span '0 seconds' is too short to watch in; give '1 sec"):
        watch_store(tmp_path, every="0 seconds")


def test_an_interrupt_ends_the_command_with_0(tmp_path):
    workspace = write(tmp_path, {"orders.csv": HEAD + "1,a,2024-01-01,5\n"})
    command = [sys.executable, "-m", "cxlib.publish.cli", "build", str(workspace)]
    before = signal.getsignal(signal.SIGINT)
    # Tests that run in the background may ignore it, and a process ignores what its parent does.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(
            [*command, "--watch", "0.2s"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
    finally:
        signal.signal(signal.SIGINT, before)
    with process:
        try:
            assert "shop: 1 events" in process.stdout.readline()
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=60) == 0
            assert "Traceback" not in process.stderr.read()
        finally:
            process.kill()
