"""The command line: help, exit codes, and one sentence for an error."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cxlib.publish.cli import main
from cxlib.publish.report import Report

SOURCES = """
name: shop
sources:
  orders:
    file: orders.csv
    id: order_id
    customer: {key: account}
    events: [{touchpoint: placed_order, time: at}]
"""
ORDERS = """\
order_id,account,at
1,a,2024-01-01 10:00
2,,2024-01-02 10:00
3,b,yesterday
4,b,2024-01-03 10:00
4,b,2024-01-03 10:00
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    (tmp_path / "exports").mkdir()
    (tmp_path / "exports" / "orders.csv").write_text(ORDERS)
    (tmp_path / "sources.yml").write_text(SOURCES)
    return tmp_path


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """Exit code of the command line, run in this process."""
    monkeypatch.setattr(sys, "argv", ["cxlib", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        main()
    return int(stopped.value.code or 0)


def test_help_lists_the_commands_and_an_example(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "--help") == 0
    text = capsys.readouterr().out
    for command in ("demo", "init", "check", "build", "report", "serve", "--debug"):
        assert command in text
    assert "Example: cxlib demo" in text


@pytest.mark.parametrize("command", ["demo", "build", "report", "serve"])
def test_each_command_has_help_with_an_example(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, command, "--help") == 0
    assert f"Example: cxlib {command}" in capsys.readouterr().out


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['cxlib', '--help']\n"
        "from cxlib.publish.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({name.split('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.splitlines()[-1]
    for heavy in ("pandas", "numpy", "ibis", "plotly", "nbconvert", "lifelines", "rich"):
        assert f"'{heavy}'" not in loaded


def test_the_version_is_that_of_the_package(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import cxlib

    assert run(monkeypatch, "--version") == 0
    assert capsys.readouterr().out == f"cxlib {cxlib.__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("frobnicate",),
        ("build",),
        ("demo", "--customers", "many"),
        ("demo", "--customers", "0"),
        ("serve", "data/demo", "--port", "99999"),
        ("report", "data/demo", "-p", "no sign"),
    ],
)
def test_wrong_usage_exits_with_2(
    arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, *arguments) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_an_error_is_one_sentence_on_stderr_and_exits_with_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "report", tmp_path / "nowhere", "tour") == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    last = printed.err.splitlines()[-1]
    assert last.startswith("cxlib: there is no store in")
    assert "Traceback" not in printed.err


@pytest.mark.parametrize("place", ["before", "after"])
def test_debug_shows_the_traceback_wherever_it_stands(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["build", tmp_path / "nowhere"]
    arguments = ["--debug", *command] if place == "before" else [*command, "--debug"]
    assert run(monkeypatch, *arguments) == 1
    printed = capsys.readouterr().err
    assert "Traceback" in printed
    assert printed.splitlines()[-1].startswith("cxlib: ")


def test_an_unexpected_error_says_how_to_see_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise KeyError("lost\nthings")

    monkeypatch.setattr("cxlib.build.build_store", fail)
    assert run(monkeypatch, "build", tmp_path) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == r"cxlib: KeyError: 'lost\nthings' (add --debug for the traceback)"


def test_build_prints_counts_rejects_and_quality(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "build", workspace) == 0
    text = capsys.readouterr().out
    assert "rows in exports  5 = 2 stored + 3 rejected" in text
    for reason in ("the column 'account' is empty", "unreadable time in 'at'", "stood before"):
        assert reason in text
    assert "1 of 5 fail  ids are unique (orders), such as 4" in text
    assert run(monkeypatch, "build", workspace) == 0
    assert "nothing changed: reused" in capsys.readouterr().out


def test_build_exits_with_1_when_nothing_usable_is_left(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (workspace / "exports" / "orders.csv").write_text("order_id,account,at\n1,,never\n")
    assert run(monkeypatch, "build", workspace) == 1
    assert not (workspace / "store" / "CURRENT").exists()


def test_build_reads_exports_and_their_description_from_elsewhere(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = tmp_path / "new"
    options = ("--sources", workspace / "sources.yml", "--exports", workspace / "exports")
    assert run(monkeypatch, "build", new, *options) == 0
    assert (new / "store" / "CURRENT").exists()


def test_report_hands_on_its_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = []

    def render(*arguments: object, **options: object) -> list[Report]:
        calls.append((arguments, options))
        return [Report("Why?", tmp_path / "a.html", tmp_path / "a.json", reused=True)]

    monkeypatch.setattr("cxlib.publish.report.render_reports", render)
    options = ("--show-code", "--out", tmp_path, "-p", "end=churned", "-p", "smallest=3")
    assert run(monkeypatch, "report", "data/demo", "tour", *options) == 0
    assert calls == [
        (
            (Path("data/demo"), ["tour"]),
            {
                "out": tmp_path,
                "show_code": True,
                "parameters": {"end": "churned", "smallest": 3},
                "progress": True,
            },
        )
    ]
    printed = capsys.readouterr().out
    assert "Why? (unchanged)" in printed
    assert "index.html" in printed


def test_report_lists_the_parameters_and_runs_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "report", "data/nowhere", "flows", "value", "--parameters") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "02_flows"
    assert "10_value" in lines
    assert "  around=used_chatbot  the touchpoint to look around" in "\n".join(lines)
    assert any(line.startswith("  purchases=bought_extra") for line in lines)
    assert not any("workspace=" in line for line in lines)


def test_serve_hands_on_workspace_and_port(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(
        "cxlib.publish.server.serve_dashboards",
        lambda workspace, port: calls.append((workspace, port)),
    )
    assert run(monkeypatch, "serve", "data/demo", "--port", "8080") == 0
    assert calls == [(Path("data/demo"), 8080)]


def test_demo_goes_the_whole_way_and_reuses_the_company(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    monkeypatch.setattr(
        "cxlib.publish.cli._report", lambda workspace: steps.append(f"report {workspace.name}")
    )
    monkeypatch.setattr(
        "cxlib.publish.cli._serve", lambda workspace, port: steps.append(f"serve at {port}")
    )
    workspace = tmp_path / "small"
    options = ("--workspace", workspace, "--customers", 20, "--port", 9000)
    assert run(monkeypatch, "demo", *options) == 0
    assert steps == ["report small", "serve at 9000"]
    assert (workspace / "store" / "CURRENT").exists()
    exports = workspace / "exports" / "billing_customers.csv"
    before = exports.stat().st_mtime_ns
    assert run(monkeypatch, "demo", *options, "--no-serve") == 0
    assert steps[2:] == ["report small"]
    assert exports.stat().st_mtime_ns == before
    monkeypatch.setattr("cxlib.publish.cli._build", lambda workspace: steps.append("build"))
    assert run(monkeypatch, "demo", *options, "--customers", 30, "--no-serve") == 0
    assert steps[3:] == ["build", "report small"]
    stated = json.loads((workspace / "truth" / "parameters.json").read_text("utf-8"))
    assert stated["customers"] == 30


def test_demo_does_not_touch_exports_that_it_did_not_make(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "demo", "--workspace", workspace) == 1
    assert "choose another folder with --workspace" in capsys.readouterr().err
    assert (workspace / "exports" / "orders.csv").read_text() == ORDERS
