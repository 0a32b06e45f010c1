"""Notebooks run on a workspace and published as self-contained HTML, the same bytes every time."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cxlib.errors import CxError, CxWarning, unknown_name
from cxlib.publish.execution import NotAnswerableError, execute, parameters_of, read_notebook
from cxlib.publish.parameters import Parameter, ParameterError

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from cxlib.engine.store import Snapshot

__all__ = [
    "Report",
    "find_notebooks",
    "notebook_parameters",
    "render_report",
    "render_reports",
]

# Whatever may change a number or a byte of the report is part of its manifest.
_PACKAGES = (
    "duckdb",
    "ibis-framework",
    "jinja2",
    "lifelines",
    "mistune",
    "nbclient",
    "nbconvert",
    "numpy",
    "pandas",
    "plotly",
    "pyarrow",
    "pygments",
    "scikit-learn",
    "scipy",
    "sqlglot",
)


@dataclass(frozen=True)
class Report:
    """Where a report is, and whether it had to be made.

    Parameters
    ----------
    title
        The notebook's question.
    path
        The HTML file.
    manifest
        The JSON file beside it: snapshot, notebook, parameters, seed and versions.
    reused
        True when nothing that goes into the report had changed.

    Examples
    --------
    >>> Report("Who leaves?", Path("churn.html"), Path("churn.json"), reused=False).path.name
    'churn.html'
    """

    title: str
    path: Path
    manifest: Path
    reused: bool


def find_notebooks(names: Sequence[str | Path] = (), *, folder: Path | None = None) -> list[Path]:
    """Paths of the named notebooks, or of all in the folder.

    Parameters
    ----------
    names
        Paths, or names without their number and ending: ``"tour"`` finds ``00_tour.ipynb``.
        Empty: every notebook of the folder.
    folder
        Default: ``notebooks`` in the working directory, else beside the package.

    Returns
    -------
    list of pathlib.Path
        In the order of the names; sorted when there are none.

    Raises
    ------
    CxError
        When there is no such notebook, or no folder of notebooks.

    Examples
    --------
    >>> [path.name for path in find_notebooks(["tour"])]
    ['00_tour.ipynb']
    """
    beside = Path(__file__).resolve().parents[2] / "notebooks"
    here = Path("notebooks")
    folder = folder or (here if here.is_dir() else beside)
    known = {path.stem: path for path in sorted(folder.glob("*.ipynb"))}
    short = {re.sub(r"^\d+_", "", stem): path for stem, path in known.items()}
    if not names:
        if not known:
            raise CxError(f"there are no notebooks in '{folder}'; name one by its path")
        return list(known.values())
    found = []
    for name in names:
        stem = Path(name).stem
        path = Path(name) if Path(name).is_file() else known.get(stem, short.get(stem))
        if path is None:
            raise unknown_name("notebook", str(name), known, f"in '{folder}'")
        found.append(path)
    return found


def notebook_parameters(notebook: str | Path) -> list[Parameter]:
    """Parameters that a person may set for a notebook, in their order.

    Parameters
    ----------
    notebook
        Its path.

    Returns
    -------
    list of Parameter
        Without ``workspace``, which a report sets itself.

    Raises
    ------
    CxError
        When it is not a notebook.

    Examples
    --------
    >>> notebook_parameters("notebooks/02_flows.ipynb")[0]
    Parameter(name='steps', default=5, note='steps to follow from the start')
    """
    found = parameters_of(read_notebook(Path(notebook))).values()
    return [parameter for parameter in found if parameter.name != "workspace"]


def render_reports(
    workspace: str | Path,
    notebooks: Iterable[str | Path] = (),
    *,
    out: str | Path | None = None,
    show_code: bool = False,
    parameters: Mapping[str, Any] | None = None,
    progress: bool = False,
) -> list[Report]:
    """Reports of several notebooks on one workspace, and an index page that lists them.

    Parameters
    ----------
    workspace
        Folder with a built store.
    notebooks
        Paths or names as `find_notebooks` takes them; empty for all.
    out
        Folder for the HTML files; default ``WORKSPACE/reports``.
    show_code
        Show the code cells above what they give.
    parameters
        Values for the notebooks' parameters; each notebook takes those that it has.
    progress
        Show a bar on stderr.

    Returns
    -------
    list of Report
        One per notebook, in order.

    Raises
    ------
    CxError
        When the workspace has no store, a notebook is not there or stops with an error, no
        notebook has a parameter of that name, or one was given what it does not take or the data
        do not have: in a notebook that was named, or in all that have the parameter.

    Warns
    -----
    CxWarning
        When a notebook that was not named itself raises CxError, which says that the workspace
        lacks what it needs, or what a parameter names: it is left out.

    Examples
    --------
    >>> reports = render_reports("data/demo", ["tour"])  # doctest: +SKIP
    >>> reports[0].path  # doctest: +SKIP
    PosixPath('data/demo/reports/00_tour.html')
    """
    from tqdm.auto import tqdm

    from cxlib.publish.page import index_page

    names = list(notebooks)
    paths = find_notebooks(names)
    chosen = dict(parameters or {})
    taken = {path: set(parameters_of(read_notebook(path))) for path in paths}
    for name in chosen:
        known = set().union(*taken.values()) - {"workspace"}
        if name not in known:
            raise unknown_name("parameter", name, known, "in these notebooks")
    reports: list[Report] = []
    refused: dict[str, ParameterError] = {}
    used: set[str] = set()
    with tqdm(total=len(paths), desc="Reports", unit="report", disable=not progress) as bar:
        for path in paths:
            bar.set_postfix_str(path.stem)
            mine = {name: value for name, value in chosen.items() if name in taken[path]}
            try:
                reports.append(
                    render_report(path, workspace, out=out, show_code=show_code, parameters=mine)
                )
                used |= mine.keys()
            except (NotAnswerableError, ParameterError) as error:
                if names:
                    raise
                if isinstance(error, ParameterError):
                    refused.setdefault(error.name, error)
                warnings.warn(f"left out: {error}", CxWarning, stacklevel=2)
            bar.update()
    for name in refused.keys() - used:
        raise refused[name]
    if not reports:
        raise CxError(f"no notebook can be answered from '{workspace}'; the warnings say why")
    folder = reports[0].path.parent
    _write(folder / "index.html", index_page(_manifests(folder)))
    return reports


def render_report(
    notebook: str | Path,
    workspace: str | Path,
    *,
    out: str | Path | None = None,
    show_code: bool = False,
    parameters: Mapping[str, Any] | None = None,
) -> Report:
    """One notebook, run on a workspace and written as HTML that needs no network.

    Parameters
    ----------
    notebook
        Path; its first code cell is tagged ``parameters`` and sets ``workspace``.
    workspace
        Folder with a built store.
    out
        Folder for the HTML file; default ``WORKSPACE/reports``.
    show_code
        Show the code cells above what they give.
    parameters
        Values that replace those of the parameters cell. They are of the types of those.

    Returns
    -------
    Report
        ``reused`` when snapshot, notebook, parameters and versions are those of the report that
        is there already.

    Raises
    ------
    CxError
        When the workspace has no store, the notebook lacks a parameter, one was given what it does
        not take or the data do not have, or the notebook stops with an error.

    Notes
    -----
    Where a notebook puts another value in place of a default that the data do not have, the
    manifest says under ``used`` which one, and ``given`` names the parameters set for this run.

    The notebook runs in its own folder, so that a relative workspace means the same as in
    JupyterLab. Warnings of cxlib become notes in the report; all other text on stderr stays out.

    Examples
    --------
    >>> render_report("notebooks/00_tour.ipynb", "data/demo").title  # doctest: +SKIP
    'How do our customers move, and how long do they stay?'
    """
    from cxlib.engine.store import open_store
    from cxlib.publish.page import report_page

    path = Path(notebook)
    content = read_notebook(path)
    known = parameters_of(content)
    given = {"workspace": _relative(Path(workspace), path.parent), **(parameters or {})}
    for name in given:
        if name not in known:
            raise unknown_name("parameter", name, known, f"in the notebook {path.name}")
    given = {name: known[name].take(value) for name, value in given.items()}
    defaults = {name: parameter.default for name, parameter in known.items()}
    folder = Path(out) if out else Path(workspace) / "reports"
    target, manifest = folder / f"{path.stem}.html", folder / f"{path.stem}.json"
    inputs = {
        **_inputs(path, content, open_store(workspace), {**defaults, **given}, show_code),
        "given": sorted(parameters or {}),
    }
    if _unchanged(target, manifest, inputs):
        return Report(inputs["title"], target, manifest, reused=True)
    executed, used = execute(path, content, given)
    other = {name: used[name] for name in used if used[name] != inputs["parameters"][name]}
    page = report_page(executed, {**inputs, "used": other})
    _write(target, page)
    result = {"used": other, "html_sha256": _sha256(page)}
    _write(manifest, json.dumps({**inputs, **result}, indent=2, sort_keys=True) + "\n")
    return Report(inputs["title"], target, manifest, reused=False)


def _manifests(folder: Path) -> list[dict[str, Any]]:
    """What is said of the reports of a folder, in which other files may lie."""
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            manifest = json.loads(path.read_text("utf-8"))
        except ValueError:
            continue
        if isinstance(manifest, dict) and manifest.get("report") == f"{path.stem}.html":
            found.append(manifest)
    return found


def _title(notebook: NotebookNode, default: str) -> str:
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            heading = re.search(r"^# +(.+)$", cell.source, flags=re.MULTILINE)
            if heading:
                return heading[1].strip()
    return default


def _inputs(
    path: Path,
    notebook: NotebookNode,
    store: Snapshot,
    parameters: dict[str, Any],
    show_code: bool,
) -> dict[str, Any]:
    """Everything that decides what the report says; equal inputs, equal bytes."""
    cells = [[cell.cell_type, cell.source] for cell in notebook.cells]
    return {
        "title": _title(notebook, path.stem),
        "report": f"{path.stem}.html",
        "notebook": {"name": path.name, "sha256": _sha256(json.dumps(cells))},
        "parameters": parameters,
        "seed": parameters.get("random_state"),
        "show_code": show_code,
        "snapshot": {
            "id": store.id,
            "name": store.meta.get("name"),
            "observed_until": str(store.meta["observed_until"]),
        },
        "code_sha256": _code_sha256(),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("cxlib", *_PACKAGES)},
        },
    }


def _code_sha256() -> str:
    """Hash of cxlib's own files: its version stays while it is being developed."""
    root = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _unchanged(target: Path, manifest: Path, inputs: dict[str, Any]) -> bool:
    try:
        before = json.loads(manifest.read_text("utf-8"))
        before.pop("used", None)  # comes of the rest
        return before == {**inputs, "html_sha256": _sha256(target.read_text("utf-8"))}
    except (OSError, ValueError, AttributeError):
        return False


def _relative(workspace: Path, folder: Path) -> str:
    """The workspace as seen from the notebook, so that no absolute path gets into a report."""
    try:
        return Path(os.path.relpath(workspace, folder)).as_posix()
    except ValueError:  # on Windows, two drives have no relative path
        return workspace.resolve().as_posix()


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _write(path: Path, text: str) -> None:
    """Write all or nothing: a reader never sees half a report."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, "utf-8", newline="\n")
    partial.replace(path)
