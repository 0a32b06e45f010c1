"""One writer at a time, and never a dead one."""

import subprocess
import sys
import threading

import pytest

from cxlib.engine.locks import write_lock
from cxlib.errors import CxError

HOLD = """
import sys, time
from cxlib.engine.locks import write_lock
with write_lock(sys.argv[1], doing="builds"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def writer(tmp_path):
    """Another process that holds the lock."""
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_writer_is_told_who_builds(tmp_path, writer):
    said = (
        rf"process {writer.pid} on .* since .* UTC builds the store .*; try again when it has ended"
    )
    with pytest.raises(CxError, match=said), write_lock(tmp_path, wait="0 seconds"):
        pass


def test_a_killed_writer_holds_no_lock(tmp_path, writer):
    writer.kill()
    writer.wait()
    with write_lock(tmp_path, wait="0 seconds"):
        pass


def test_a_second_writer_waits_for_the_first_to_end(tmp_path, writer):
    threading.Timer(0.3, writer.kill).start()
    with write_lock(tmp_path, wait="20 seconds"):
        assert writer.wait() != 0


def test_a_block_may_stand_within_another(tmp_path):
    with write_lock(tmp_path, doing="builds"):
        with write_lock(tmp_path, doing="points"):
            pass
        assert (tmp_path / "store" / "WRITER").read_text().endswith("builds\n")


def test_two_threads_are_two_writers(tmp_path):
    said = []

    def other():
        try:
            with write_lock(tmp_path, wait="0 seconds"):
                said.append("held")
        except CxError as error:
            said.append(str(error))

    with write_lock(tmp_path):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert len(said) == 1
    assert "try again when it has ended" in said[0]


def test_a_folder_that_cannot_be_made_says_why(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(CxError, match=r"store' cannot be written: Not a directory; it is as it was"),
        write_lock(tmp_path / "file"),
    ):
        pass
