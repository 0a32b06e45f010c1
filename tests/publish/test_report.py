"""Reports: what is in the page, what is not, and when it is made again."""

import json
import re
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from cxlib import build_store
from cxlib.errors import CxError, CxWarning
from cxlib.publish import report
from cxlib.publish.report import find_notebooks, render_report, render_reports

SOURCES = """
name: Corner & Shop
observed_until: 2024-03-01T12:30:00
journeys: {closes_after: 7 days}
sources:
  visits:
    file: visits.csv
    id: visit
    customer: {key: person}
    events: [{touchpoint: {column: what}, time: at}]
"""
VISITS = "visit,person,what,at\n" + "".join(
    f"v{number}-{day},c{number},{what},2024-01-{day:02d} 10:00\n"
    for number in range(12)
    for day, what in ((1, "looked"), (2, "asked" if number % 3 else "bought"))
)
FIGURE = """\
import cxlib as cx

log = cx.load_journeys(cx.open_store(workspace))
figure = cx.plot.sankey(cx.flows(log))
told = figure.layout.title.text + ' <img src=q onerror="alert(1)">'
figure.update_layout(title_text=told, title_subtitle_text="</script><script>alert(2)</script>")"""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    (folder / "exports").mkdir()
    (folder / "exports" / "visits.csv").write_text(VISITS)
    (folder / "sources.yml").write_text(SOURCES)
    build_store(folder)
    return folder


def write_notebook(path: Path, *code: str, title: str = "# Who <comes>?\n\nFew do.") -> Path:
    parameters = new_code_cell('workspace = "."\ngreeting = "hello"\nrandom_state = 7')
    parameters.metadata["tags"] = ["parameters"]
    cells = [new_markdown_cell(title), parameters, *map(new_code_cell, code)]
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    nbformat.write(new_notebook(cells=cells), path)
    return path


@pytest.fixture(scope="module")
def notebook(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A notebook with a chart, a warning, a table and a parameter."""
    return write_notebook(
        tmp_path_factory.mktemp("notebooks") / "shop.ipynb",
        FIGURE,
        "import warnings\nwarnings.warn('only 4 at risk', cx.CxWarning)\n"
        "warnings.warn('a library says', FutureWarning)",
        "print(greeting, 'to', log.events.count().to_pandas())",
        "cx.summary(log).style.format(precision=1)",
        "cx.summary(log).assign(score=[float('nan')], since=[None])",
    )


@pytest.fixture(scope="module")
def page(notebook: Path, workspace: Path) -> Path:
    return render_report(notebook, workspace, parameters={"greeting": "good day"}).path


@pytest.fixture
def no_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Notebooks are not run, which takes seconds, where their outputs do not matter."""
    monkeypatch.setattr(report, "execute", lambda path, notebook, parameters: (notebook, {}))


def without_plotly(page: str) -> str:
    """The page without plotly's own code, which is long and names addresses that it never calls."""
    return re.sub(
        r"<script>\s*/\*\*?!?\s*\n?\s*\* plotly\.js.*?</script>", "", page, flags=re.DOTALL
    )


def test_a_report_holds_its_figures_its_title_and_the_date_of_the_data(page: Path) -> None:
    html = page.read_text("utf-8")
    assert "<title>Who &lt;comes&gt;?</title>" in html
    assert "Corner &amp; Shop · data as of 1 March 2024, 12:30 UTC" in html
    assert "Few do." in html
    assert html.count('<figure class="chart">') == 1
    assert '"type":"sankey"' in html
    assert "How 12 journeys move" in html


def test_what_exports_say_is_text_and_no_code(page: Path) -> None:
    html = page.read_text("utf-8")
    assert "&lt;img src=q onerror=" in html
    assert "&lt;script&gt;alert(2)" in html
    assert "<img src=q" not in html
    assert "<script>alert(2)" not in html


def test_a_report_fetches_nothing(page: Path) -> None:
    html = page.read_text("utf-8")
    assert "default-src 'none'" in html
    assert "plotly.js v" in html
    for fetched in ("<script src", "<link", "@import", "<iframe", "url(http", "require.js"):
        assert fetched not in html
    config = html[html.index("const config") :]
    assert 'showSendToCloud: false, plotlyServerURL: ""' in config
    assert "displaylogo: false" in config
    assert "http" not in without_plotly(html).replace("http-equiv", "")


def test_a_warning_of_cxlib_becomes_a_note_and_others_stay_out(page: Path) -> None:
    html = page.read_text("utf-8")
    assert '<p class="note">only 4 at risk</p>' in html
    assert "a library says" not in html
    assert "ipykernel" not in html


def test_what_is_not_known_is_a_dash_in_a_table(page: Path) -> None:
    html = without_plotly(page.read_text("utf-8"))
    assert html.count("<td>–</td>") == 2
    assert not re.search(r">\s*(NaN|nan|None|NaT)\s*<", html)


def test_parameters_replace_those_of_the_notebook(page: Path) -> None:
    assert "good day to 24" in page.read_text("utf-8")
    manifest = json.loads(page.with_suffix(".json").read_text("utf-8"))
    assert manifest["parameters"]["greeting"] == "good day"
    assert manifest["seed"] == 7


CHOOSING = """\
import cxlib as cx
from cxlib.publish.parameters import available, known_touchpoints

known = known_touchpoints(cx.load_journeys(cx.open_store(workspace)))
greeting = available("greeting", greeting, known, instead=known[0])"""


@pytest.fixture(scope="module")
def choosing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A notebook whose default is a touchpoint that no log has."""
    return write_notebook(tmp_path_factory.mktemp("choosing") / "chosen.ipynb", CHOOSING)


def test_the_footer_and_the_manifest_say_what_was_used_in_place_of_a_default(
    choosing: Path, workspace: Path, tmp_path: Path
) -> None:
    done = render_report(choosing, workspace, out=tmp_path)
    html = done.path.read_text("utf-8")
    assert "greeting = looked (default hello)" in html
    assert "no touchpoint 'hello', so that greeting is 'looked' here" in html
    manifest = json.loads(done.manifest.read_text("utf-8"))
    assert manifest["used"] == {"greeting": "looked"}
    assert manifest["given"] == []
    assert render_report(choosing, workspace, out=tmp_path).reused


def test_a_given_name_that_the_data_lack_stops_the_report(
    choosing: Path, workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = r"^chosen\.ipynb: parameter greeting: there is no touchpoint 'loked'; .*'looked'"
    with pytest.raises(CxError, match=wanted):
        render_reports(workspace, [choosing], out=tmp_path, parameters={"greeting": "loked"})
    # Also where the notebook was not named, and would be left out if the data lacked a default.
    monkeypatch.setattr(report, "find_notebooks", lambda names: [choosing])
    with pytest.raises(CxError, match=wanted):
        render_reports(workspace, out=tmp_path, parameters={"greeting": "loked"})
    assert not list(tmp_path.iterdir())


def test_what_one_notebook_refuses_and_another_takes_leaves_the_first_out(
    choosing: Path,
    notebook: Path,
    workspace: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(report, "find_notebooks", lambda names: [choosing, notebook])
    with pytest.warns(CxWarning, match=r"left out: chosen\.ipynb: parameter greeting: there is no"):
        (done,) = render_reports(workspace, out=tmp_path, parameters={"greeting": "hi"})
    assert done.path.name == "shop.html"


def test_a_parameter_of_another_type_is_refused_before_the_notebook_runs(
    notebook: Path, workspace: Path, tmp_path: Path
) -> None:
    with pytest.raises(CxError, match=r"^parameter random_state: .abc. was given, and"):
        render_reports(workspace, [notebook], out=tmp_path, parameters={"random_state": "abc"})


def test_a_manifest_says_what_went_in(page: Path, workspace: Path) -> None:
    from cxlib import open_store

    manifest = json.loads(page.with_suffix(".json").read_text("utf-8"))
    assert manifest["snapshot"]["id"] == open_store(workspace).id
    assert manifest["notebook"]["name"] == "shop.ipynb"
    assert {"python", "cxlib", "pandas", "plotly", "lifelines"} <= set(manifest["versions"])
    # Where it was made would differ between two machines.
    assert str(workspace) not in json.dumps(manifest["title"])
    assert not Path(manifest["parameters"]["workspace"]).is_absolute()


@pytest.mark.usefixtures("no_kernel")
def test_code_is_hidden_unless_it_is_wanted(workspace: Path, tmp_path: Path) -> None:
    notebook = write_notebook(tmp_path / "code.ipynb", "answer = 40 + 2\nanswer")
    hidden = render_report(notebook, workspace, out=tmp_path).path.read_text("utf-8")
    shown = render_report(notebook, workspace, out=tmp_path, show_code=True).path.read_text("utf-8")
    assert "answer" not in hidden
    assert '<span class="n">answer</span>' in shown


def test_two_runs_give_the_same_bytes(
    notebook: Path, page: Path, workspace: Path, tmp_path: Path
) -> None:
    again = render_report(
        notebook, workspace, out=tmp_path, parameters={"greeting": "good day"}
    ).path
    assert again.read_bytes() == page.read_bytes()
    assert again.with_suffix(".json").read_bytes() == page.with_suffix(".json").read_bytes()


@pytest.mark.usefixtures("no_kernel")
def test_an_unchanged_report_is_used_again(workspace: Path, tmp_path: Path) -> None:
    notebook = write_notebook(tmp_path / "again.ipynb", "greeting")
    assert not render_report(notebook, workspace, out=tmp_path).reused
    assert render_report(notebook, workspace, out=tmp_path).reused
    assert not render_report(
        notebook, workspace, out=tmp_path, parameters={"greeting": "hi"}
    ).reused


@pytest.mark.usefixtures("no_kernel")
def test_a_changed_notebook_or_a_changed_page_is_made_again(
    workspace: Path, tmp_path: Path
) -> None:
    notebook = write_notebook(tmp_path / "changed.ipynb", "1 + 1")
    made = render_report(notebook, workspace, out=tmp_path)
    made.path.write_text("somebody's edit")
    assert not render_report(notebook, workspace, out=tmp_path).reused
    write_notebook(tmp_path / "changed.ipynb", "1 + 2")
    assert not render_report(notebook, workspace, out=tmp_path).reused


def test_the_notebook_itself_stays_as_it_was(notebook: Path, page: Path) -> None:
    cells = nbformat.read(notebook, as_version=4).cells
    assert [cell.id for cell in cells] == [f"cell-{number}" for number in range(len(cells))]
    assert not any(cell.get("outputs") for cell in cells)
    assert page.exists()


@pytest.mark.usefixtures("no_kernel")
def test_an_index_lists_the_reports(workspace: Path, tmp_path: Path) -> None:
    names = [
        write_notebook(tmp_path / f"{name}.ipynb", "1", title=f"# Why {name}?")
        for name in ("a", "b")
    ]
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "other.json").write_text('{"title": "of somebody else"}')
    (tmp_path / "out" / "broken.json").write_text("{")
    render_reports(workspace, names, out=tmp_path / "out")
    index = (tmp_path / "out" / "index.html").read_text("utf-8")
    assert index.index('<a href="a.html">Why a?</a>') < index.index('<a href="b.html">Why b?</a>')


def test_an_error_names_the_notebook_the_cell_and_the_reason(
    workspace: Path, tmp_path: Path
) -> None:
    notebook = write_notebook(tmp_path / "bad.ipynb", "1 / 0")
    with pytest.raises(CxError, match=r"bad\.ipynb stopped at cell 4 \(ZeroDivisionError: div"):
        render_report(notebook, workspace, out=tmp_path)
    assert not (tmp_path / "bad.html").exists()


def test_a_notebook_that_the_workspace_cannot_answer_is_left_out(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "notebooks").mkdir()
    lacking = "import cxlib as cx\nraise cx.CxError('there is no touchpoint left')"
    write_notebook(tmp_path / "notebooks" / "00_fine.ipynb", "1")
    write_notebook(tmp_path / "notebooks" / "01_lacking.ipynb", lacking)
    monkeypatch.chdir(tmp_path)
    with pytest.warns(CxWarning, match=r"01_lacking\.ipynb: there is no touchpoint left"):
        made = render_reports(workspace, out=tmp_path)
    assert [done.path.name for done in made] == ["00_fine.html"]


def test_a_named_notebook_that_cannot_be_answered_is_an_error(
    workspace: Path, tmp_path: Path
) -> None:
    lacking = write_notebook(
        tmp_path / "lacking.ipynb", "import cxlib as cx\nraise cx.CxError('nobody is at risk')"
    )
    with pytest.raises(CxError, match=r"lacking\.ipynb: nobody is at risk"):
        render_reports(workspace, [lacking], out=tmp_path)


def test_an_unknown_parameter_names_the_known_ones(workspace: Path, tmp_path: Path) -> None:
    notebook = write_notebook(tmp_path / "known.ipynb", "1")
    with pytest.raises(CxError, match=r"no parameter 'greting'.*did you mean 'greeting'"):
        render_reports(workspace, [notebook], out=tmp_path, parameters={"greting": "hi"})


def test_a_file_that_is_no_notebook_says_so(workspace: Path, tmp_path: Path) -> None:
    (tmp_path / "text.ipynb").write_text("hello")
    with pytest.raises(CxError, match="is not a notebook"):
        render_report(tmp_path / "text.ipynb", workspace)


def test_a_workspace_without_a_store_says_how_to_build_it(tmp_path: Path) -> None:
    notebook = write_notebook(tmp_path / "some.ipynb", "1")
    with pytest.raises(CxError, match="run: cxlib build"):
        render_report(notebook, tmp_path / "nowhere")


def test_notebooks_are_found_by_path_name_and_short_name(tmp_path: Path) -> None:
    one, two = (write_notebook(tmp_path / name) for name in ("00_one.ipynb", "01_two.ipynb"))
    assert find_notebooks(folder=tmp_path) == [one, two]
    assert find_notebooks(["two", "00_one", one], folder=tmp_path) == [two, one, one]
    with pytest.raises(CxError, match=r"no notebook 'tow'.*there are '00_one', '01_two'"):
        find_notebooks(["tow"], folder=tmp_path)
    with pytest.raises(CxError, match="no notebooks in"):
        find_notebooks(folder=tmp_path / "empty")


@pytest.mark.browser
def test_charts_stand_offline_on_any_screen_in_both_themes_and_on_paper(
    page: Path, chromium: str
) -> None:
    from playwright.sync_api import sync_playwright

    size = "const box = document.querySelector('.main-svg').getBoundingClientRect(); "
    flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        tab = browser.new_page(viewport={"width": 1280, "height": 900})
        asked, wrong = [], []
        tab.on("request", lambda request: asked.append(request.url))
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        tab.goto(page.as_uri())
        tab.wait_for_selector(".main-svg")
        # A window that changes its size, as a phone that is turned.
        tab.set_viewport_size({"width": 390, "height": 800})
        tab.wait_for_function(f"() => {{ {size} return box.width < 700 && box.height > 200 }}")
        assert tab.evaluate("document.documentElement.scrollWidth") <= 390
        tab.emulate_media(color_scheme="dark")
        ground = "getComputedStyle(document.querySelector('.main-svg')).backgroundColor"
        tab.wait_for_function(f"() => {ground} === 'rgb(23, 28, 36)'")
        # In one go: the browser prints as soon as the event's listeners return.
        printed = f"dispatchEvent(new Event('beforeprint')); {size}"
        paper = tab.evaluate(f"(() => {{ {printed} return [{ground}, box.width, box.height] }})()")
        browser.close()
    assert wrong == []
    assert asked == [page.as_uri()]
    assert paper[0] == "rgb(255, 255, 255)"
    assert 600 < paper[1] <= 700
    assert paper[2] > 150
