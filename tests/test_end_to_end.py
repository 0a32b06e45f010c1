"""One command goes the whole way in a copy of the checkout; the second time takes seconds."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).resolve().parent.parent / "notebooks").glob("*.ipynb"))
CUSTOMERS = 1_000  # fewer would be too few for the models of renewal and value


@pytest.fixture(scope="module")
def checkout(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that belong to the project, committed or about to be, and no others."""
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    copy = tmp_path_factory.mktemp("checkout")
    folders = ("cxlib", "notebooks", "dashboards", "data/examples")
    for name in folders:
        shutil.copytree(
            project / name,
            copy / name,
            ignore=shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints"),
        )
    for name in ("Makefile", "pyproject.toml", "requirements.lock", "README.md", "LICENSE"):
        shutil.copy(project / name, copy / name)
    return copy


def make_demo(checkout: Path) -> tuple[str, float]:
    """Output of `make demo SERVE=0` and the seconds that it took."""
    begin = time.monotonic()
    done = subprocess.run(
        [
            *("make", "demo", "SERVE=0", f"CUSTOMERS={CUSTOMERS}"),
            f"VENV_BIN={Path(sys.executable).parent}",
        ],
        cwd=checkout,
        # The environment has another checkout installed: the copy's own package comes first.
        env={**os.environ, "PYTHONPATH": str(checkout)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout, time.monotonic() - begin


@pytest.fixture(scope="module")
def first(checkout: Path) -> tuple[str, float]:
    return make_demo(checkout)


def test_demo_leaves_a_store_and_every_report(checkout: Path, first: tuple[str, float]) -> None:
    workspace = checkout / "data" / "demo"
    assert (workspace / "store" / "CURRENT").is_file()
    assert (workspace / "truth" / "parameters.json").is_file()
    notebooks = sorted(path.stem for path in (checkout / "notebooks").glob("*.ipynb"))
    reports = workspace / "reports"
    assert sorted(path.stem for path in reports.glob("*.html")) == [*notebooks, "index"]
    assert sorted(path.stem for path in reports.glob("*.json")) == notebooks


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_report_has_charts_and_ends_with_a_finding(
    path: Path, checkout: Path, first: tuple[str, float]
) -> None:
    html = (checkout / "data/demo/reports" / f"{path.stem}.html").read_text("utf-8")
    finding = html[html.rindex("<h2") : html.index("</main>")]
    assert "Finding" in finding
    assert "n = " in finding
    assert "95% interval" in finding
    assert not re.search(r"\b(nan|None|inf)\b", finding)
    assert '<figure class="chart">' in html


def test_demo_prints_the_counts_and_where_the_reports_are(
    checkout: Path, first: tuple[str, float]
) -> None:
    printed, _ = first
    assert re.search(r"rows in exports +[\d,]+ = [\d,]+ stored \+ [\d,]+ rejected", printed)
    assert "00_tour.html" in printed
    assert "index.html" in printed
    assert "(unchanged)" not in printed


def test_a_second_run_reuses_everything_and_is_quick(
    checkout: Path, first: tuple[str, float]
) -> None:
    before = {path: path.read_bytes() for path in (checkout / "data" / "demo").rglob("*.html")}
    exports = sorted((checkout / "data" / "demo" / "exports").iterdir())
    written = [path.stat().st_mtime_ns for path in exports]
    printed, seconds = make_demo(checkout)
    assert "nothing changed: reused" in printed
    reports = [line for line in printed.splitlines() if ".html  " in line and "index" not in line]
    assert reports
    assert all(line.endswith("(unchanged)") for line in reports)
    assert [path.stat().st_mtime_ns for path in exports] == written
    assert {path: path.read_bytes() for path in before} == before
    # Against the first run and not against the clock: other tests share the machine.
    assert seconds < first[1] / 2


def test_what_is_made_stays_out_of_git(project: Path) -> None:
    ignored = (project / ".gitignore").read_text("utf-8").splitlines()
    assert {".venv/", "data/*", "!data/examples/", "!data/README.md"} <= set(ignored)
    assert {"data/examples/*/store/", "data/examples/*/reports/"} <= set(ignored)
