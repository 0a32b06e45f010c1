"""The commands on a store say what they found and did."""

import pytest
from typer.testing import CliRunner

from cxlib.errors import CxError
from cxlib.publish.cli import app
from tests.ingest.workspaces import build

HEAD = "order_id,account,at,amount\n1,a,2024-01-01,5\n"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop")
    ids = [
        build(folder, {"orders.csv": HEAD + more}).snapshot.id
        for more in ("2,b,2024-01-02,7\n", "2,b,2024-01-02,8\n")
    ]
    return folder, ids


def run(*arguments):
    result = CliRunner().invoke(app, [str(text) for text in arguments])
    if isinstance(result.exception, CxError):
        raise result.exception
    assert result.exit_code == 0
    return result.output


def test_the_list_marks_the_snapshot_that_is_read(workspace):
    folder, (_, second) = workspace
    lines = run("store", "list", folder).splitlines()
    assert len(lines) == 3
    marked = [line for line in lines if line.startswith("*")]
    assert len(marked) == 1
    assert second in marked[0]
    assert "2024-01-02 00:00" in marked[0]


def test_the_difference_names_inputs_and_counts_rows(workspace):
    folder, (first, second) = workspace
    lines = run("store", "diff", folder, first, second).splitlines()
    assert lines[0] == "changed   orders: orders.csv"
    counts = {line.split()[0]: line.split()[1:] for line in lines[1:]}
    assert counts["events"] == ["2", "2", "0", "0", "1"]
    assert run("store", "diff", folder, first).splitlines() == lines
    assert "nothing differs" in run("store", "diff", folder, second)


def test_a_snapshot_that_is_not_there_is_said(workspace):
    with pytest.raises(CxError, match="there is no snapshot 'nothing'; there are"):
        run("store", "diff", workspace[0], "nothing")


def test_a_name_that_begins_several_is_refused(workspace):
    with pytest.raises(CxError, match=r"'' begins the names of .*; write more of the one you mean"):
        run("store", "diff", workspace[0], "")


def test_old_snapshots_are_removed(tmp_path):
    for day in (1, 2, 3):
        build(tmp_path, {"orders.csv": HEAD + f"2,b,2024-01-0{day},7\n"})
    lines = run("store", "gc", tmp_path, "--keep", "1").splitlines()
    assert len(lines) == 3
    assert lines[-1] == "2 removed, 1 kept"


def test_where_nothing_is_built_each_command_says_how(tmp_path):
    for command in (["list"], ["gc"], ["diff"]):
        arguments = ["a"] if command == ["diff"] else []
        with pytest.raises(CxError, match=r"there is no store in .*; run: cxlib build"):
            run("store", *command, tmp_path, *arguments)
