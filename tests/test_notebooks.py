"""Notebooks are written by the rules, and run on logs that nobody made for them.

They run on the demo company in ``test_end_to_end``.
"""

import ast
import json
import re
import shutil
from pathlib import Path
from typing import Any

import nbformat
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from cxlib import CxError, CxWarning, build_store
from cxlib.publish.parameters import GIVEN, ParameterError
from cxlib.publish.report import render_reports
from tests.journeys.examples import example_workspace

NOTEBOOKS = sorted((Path(__file__).resolve().parent.parent / "notebooks").glob("*.ipynb"))
JOURNEYS = ("02", "03", "04", "05", "06")
SHOP = """
name: Shop
observed_until: 2024-03-01
sources:
  orders:
    file: orders.csv
    id: order
    customer: {key: person}
    events:
      - {touchpoint: {column: what}, time: at, value: sum, currency: {column: money}}
"""


def _stem(path: Path) -> str:
    return path.stem


each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=_stem)


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


@each_notebook
def test_the_title_is_a_question(path: Path) -> None:
    title = read(path).cells[0].source.splitlines()[0]
    assert title.startswith("# ")
    assert title.endswith("?")


@each_notebook
def test_population_period_denominators_and_exclusions_come_first(path: Path) -> None:
    first = read(path).cells[0].source
    for word in ("Population", "Period", "Denominators", "Exclusions"):
        assert f"**{word}:**" in first


@each_notebook
def test_the_first_code_cell_sets_the_parameters_and_does_no_more(path: Path) -> None:
    cell = next(cell for cell in read(path).cells if cell.cell_type == "code")
    assert cell.metadata.tags == ["parameters"]
    statements = ast.parse(cell.source).body
    assert all(isinstance(statement, ast.Assign) for statement in statements)
    values = {one.targets[0].id: ast.literal_eval(one.value) for one in statements}
    assert values["workspace"] == "../data/demo"


@each_notebook
def test_a_notebook_defines_no_long_function(path: Path) -> None:
    for cell in read(path).cells:
        if cell.cell_type == "code":
            for node in ast.walk(ast.parse(cell.source)):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                    assert node.end_lineno - node.lineno < 5, node.name


@each_notebook
def test_a_notebook_says_associated_and_not_drives(path: Path) -> None:
    text = "\n".join(cell.source for cell in read(path).cells).lower()
    for word in (" drives ", " because of the segment", " leads customers to "):
        assert word not in text


@each_notebook
def test_a_notebook_is_committed_without_its_outputs(path: Path) -> None:
    notebook = read(path)
    for cell in notebook.cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
    assert set(notebook.metadata) <= {"kernelspec", "language_info"}


@each_notebook
def test_lines_of_code_fit_a_page(path: Path) -> None:
    for cell in read(path).cells:
        if cell.cell_type == "code":
            assert all(len(line) <= 110 for line in cell.source.splitlines()), cell.id


@pytest.mark.shared
def test_the_notebooks_say_in_a_sentence_what_a_workspace_lacks(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "notebooks").mkdir()
    for path in NOTEBOOKS:
        if path.stem in ("00_tour", "07_churn"):
            shutil.copy(path, tmp_path / "notebooks")
    workspace = example_workspace("ecom", shared)
    monkeypatch.chdir(tmp_path)
    with pytest.warns(CxWarning, match=r"07_churn\.ipynb: there is no touchpoint 'signed_up'"):
        reports = render_reports(workspace, out=tmp_path / "reports")
    (report,) = reports
    html = report.path.read_text("utf-8")
    for name, lacking in (("start", "signed_up"), ("end", "cancelled_subscription")):
        assert f"no touchpoint '{lacking}', so that {name} is not used here" in html
    assert "This section stays empty" in html


@pytest.mark.shared
@pytest.mark.parametrize(
    ("stem", "name", "value"),
    [
        ("00_tour", "end", "cancelled"),
        ("01_single_view", "customer", "nobody"),
        ("02_flows", "around", "nothing"),
        ("03_funnels_and_dropoff", "steps", ["nothing"]),
        ("03_funnels_and_dropoff", "touchpoint", "nothing"),
        ("03_funnels_and_dropoff", "changed_at", "1990-01-01"),
        ("04_handoffs", "opens", ["nothing"]),
        ("04_handoffs", "asides", ["nothing"]),
        ("04_handoffs", "decided", {"nothing": ["x"]}),
        ("04_handoffs", "outcome", "nothing"),
        ("05_planned_vs_actual", "plan", "nothing.yml"),
        ("05_planned_vs_actual", "containing", "nothing"),
        ("05_planned_vs_actual", "by", "nothing"),
        ("07_churn", "start", "nothing"),
        ("08_renewals", "start", ["nothing"]),
        ("09_why_they_leave", "start", ["nothing"]),
        ("10_value", "purchases", "nothing"),
    ],
)
def test_a_notebook_answers_no_other_question_than_the_one_it_was_given(
    stem: str, name: str, value: Any, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = next(path for path in NOTEBOOKS if path.stem == stem)
    monkeypatch.setenv(GIVEN, name)
    with pytest.raises(ParameterError, match=f"^parameter {name}: "):
        last_result(path, example_workspace("helpdesk", shared), monkeypatch, {name: value})


def last_result(
    path: Path,
    workspace: Path,
    monkeypatch: pytest.MonkeyPatch,
    given: dict[str, Any] | None = None,
) -> Any:
    """What the last cell of a notebook gives."""
    return run_cells(path, workspace, monkeypatch, given)[0]


def run_cells(
    path: Path,
    workspace: Path,
    monkeypatch: pytest.MonkeyPatch,
    given: dict[str, Any] | None = None,
    first: int | None = None,
) -> tuple[Any, dict[str, Any]]:
    """What the last of the first code cells gives, and their names, run in this process.

    A kernel takes seconds.
    """
    monkeypatch.chdir(path.parent)
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance()
    result = None
    for cell in [cell for cell in read(path).cells if cell.cell_type == "code"][:first]:
        with capture_output():
            done = shell.run_cell(cell.source)
        done.raise_error()
        result = done.result
        if "parameters" in cell.metadata.get("tags", ()):
            shell.user_ns.update({"workspace": str(workspace), **(given or {})})
    InteractiveShell.clear_instance()
    return result, shell.user_ns


@pytest.mark.shared
@pytest.mark.parametrize("path", [p for p in NOTEBOOKS if p.stem[:2] in JOURNEYS], ids=_stem)
@pytest.mark.parametrize("example", ["ecom", "helpdesk", "receipt", "teleclaims"])
def test_notebooks_on_journeys_run_on_logs_that_nobody_made_for_them(
    example: str, path: Path, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finding = last_result(path, example_workspace(example, shared), monkeypatch).data
    assert "n = " in finding
    assert not re.search(r"\b(nan|None|inf)\b", finding)


@pytest.mark.shared
def test_parameters_make_the_notebooks_answer_for_another_company(
    shared: Path, tmp_path: Path
) -> None:
    parameters = {"end": "churned", "by": "plan_tier"}
    reports = render_reports(
        example_workspace("ravenstack", shared),
        ["tour", "churn"],
        parameters=parameters,
        out=tmp_path,
    )
    for report in reports:
        html = report.path.read_text("utf-8")
        assert "RavenStack · data as of 31 December 2024" in html
        assert "log-rank p = " in html


def build_shop(folder: Path, *money: str, repeated: bool = False) -> Path:
    """A workspace that does not say when a journey ends, with orders in some currencies."""
    visits = (0, 1) if repeated else (0,)
    (folder / "exports").mkdir()
    rows = [
        f"o{who}-{day},c{who},{what},2024-01-{day:02d} 10:00,{total},{money[who % len(money)]}"
        for who in range(12)
        for day, what, total in (
            *((1 + who + later, "looked", "") for later in visits),
            (14 + who, "ordered", 5 + who),
        )
    ]
    header = "order,person,what,at,sum,money"
    (folder / "exports" / "orders.csv").write_text("\n".join([header, *rows]) + "\n")
    (folder / "sources.yml").write_text(SHOP)
    build_store(folder)
    return folder


@pytest.mark.filterwarnings("ignore::cxlib.CxWarning")
@pytest.mark.parametrize(
    "path", [p for p in NOTEBOOKS if p.stem[:2] in ("00", *JOURNEYS)], ids=_stem
)
def test_where_no_journey_has_ended_a_finding_says_what_cannot_be_said(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finding = last_result(path, build_shop(tmp_path, "EUR"), monkeypatch).data
    assert "n = " in finding
    assert not re.search(r"\b(nan|None|inf)\b", finding)
    if path.stem[:2] in ("02", "03"):
        assert "cannot be said**" in finding
        assert "no journey has ended" in finding


@pytest.mark.parametrize(
    ("money", "given", "currency", "orders"),
    [
        (["EUR"], None, "EUR", 12),
        (["EUR", "EUR", "USD"], None, "EUR", 8),
        (["EUR", "EUR", "USD"], "USD", "USD", 4),
        ([""], None, "", 12),
        ([""], "CHF", "CHF", 12),
    ],
)
def test_what_customers_are_worth_is_said_in_the_currency_of_the_log(
    money: list[str],
    given: str | None,
    currency: str,
    orders: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = next(path for path in NOTEBOOKS if path.stem == "10_value")
    options = {"purchases": "ordered", "currency": given}
    _, names = run_cells(path, build_shop(tmp_path, *money), monkeypatch, options, first=2)
    assert names["currency"] == currency
    assert names["histories"].weight.sum() == orders


def test_the_retention_dashboard_asks_for_an_end_that_it_does_not_know(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = NOTEBOOKS[0].parent.parent / "dashboards" / "retention.ipynb"
    _, names = run_cells(path, build_shop(tmp_path, "EUR"), monkeypatch)
    page, curves, medians = names["page"], names["curves"], names["medians"]
    for card in (curves, medians):
        said = json.loads(card.state)
        assert said["kind"] == "error"
        assert said["message"].startswith("None of the usual ends is in these data: choose under")
    page.controls["by"].value, page.controls["end"].value = "", "ordered"
    shown = json.loads(curves.state)
    assert shown["kind"] == "ready", shown["message"]
    assert shown["figure"]["layout"]["title"]["text"] == "How long until customers reach “ordered”"
    # Nobody is left out where there are no groups: rows of durations are none.
    assert "12 customers" in shown["figure"]["layout"]["title"]["subtitle"]["text"]
    assert shown["notes"] == []
    assert json.loads(medians.state)["title"] == "Time after which half have reached it"


def test_the_journeys_dashboard_counts_repeats_as_the_reports_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = NOTEBOOKS[0].parent.parent / "dashboards" / "journeys.ipynb"
    workspace = build_shop(tmp_path, "EUR", repeated=True)
    _, names = run_cells(path, workspace, monkeypatch)
    table = json.loads(names["paths"].state)["table"]
    at = [column["name"] for column in table["columns"]].index("to_touchpoint")
    assert any(row[at - 1] == row[at] == "looked" for row in table["rows"])


@pytest.mark.parametrize("stem", ["00_tour", "01_single_view"])
@pytest.mark.parametrize(
    ("day", "said"),
    [("1990-01-01", "before 1990-01-01; set a later day"), ("soon", "'soon' is not")],
)
def test_a_day_on_which_nothing_was_known_is_said_in_a_sentence(
    day: str, said: str, stem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = next(path for path in NOTEBOOKS if path.stem == stem)
    with pytest.raises(CxError, match=said):
        last_result(path, build_shop(tmp_path, "EUR"), monkeypatch, {"as_of": day})
