"""Notebooks run from top to bottom in a kernel of their own, with the parameters of a run."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cxlib.errors import CxError
from cxlib.publish.parameters import GIVEN, Parameter, ParameterError, read_parameters

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = [
    "SLOW_TO_IMPORT",
    "NotAnswerableError",
    "execute",
    "parameters_of",
    "read_notebook",
]

_KERNEL_ENVIRONMENT = {
    "PLOTLY_RENDERER": "plotly_mimetype",  # figures as data: the others call a CDN
    "PYTHONHASHSEED": "0",
    "TQDM_DISABLE": "1",
}

SLOW_TO_IMPORT = "rfc3987_syntax"
"""Part of Jupyter's check of web addresses: to load it takes two seconds, and nothing here needs it
(jsonschema goes on without it). Python imports no module that is set to None."""


class NotAnswerableError(CxError):
    """A notebook says itself, by a CxError, that this workspace lacks what it needs.

    Examples
    --------
    >>> issubclass(NotAnswerableError, CxError)
    True
    """


def read_notebook(path: Path) -> NotebookNode:
    """A notebook of a file.

    Raises
    ------
    CxError
        When it is not there, or not a notebook.

    Examples
    --------
    >>> read_notebook(Path("nowhere.ipynb"))
    Traceback (most recent call last):
    ...
    cxlib.errors.CxError: there is no notebook 'nowhere.ipynb'
    """
    import nbformat

    if not path.is_file():
        raise CxError(f"there is no notebook '{path}'")
    try:
        return nbformat.read(path, as_version=4)
    except Exception as error:
        raise CxError(f"'{path}' is not a notebook; give an .ipynb file of format 4") from error


def parameters_of(notebook: NotebookNode) -> dict[str, Parameter]:
    """Parameters of a notebook, by name: what its cell tagged ``parameters`` sets.

    Examples
    --------
    >>> list(parameters_of(read_notebook(Path("notebooks/02_flows.ipynb"))))[:2]
    ['workspace', 'steps']
    """
    index = _parameters_at(notebook)
    return read_parameters("" if index is None else notebook.cells[index].source)


def execute(
    path: Path, notebook: NotebookNode, parameters: dict[str, Any]
) -> tuple[NotebookNode, dict[str, Any]]:
    """The notebook with its outputs, and without any trace of when and where it ran.

    Parameters
    ----------
    path
        Its file, in whose folder it runs.
    notebook
        What the file holds.
    parameters
        Values for this run.

    Returns
    -------
    tuple of NotebookNode and dict
        A copy with outputs, and the values that its parameters had in the end.

    Raises
    ------
    NotAnswerableError
        When it says itself what the workspace lacks.
    ParameterError
        When the data lack what a parameter of this run names.
    CxError
        When it stops with another error.

    Examples
    --------
    >>> path = Path("notebooks/00_tour.ipynb")
    >>> execute(path, read_notebook(path), {"workspace": "../data/demo"})  # doctest: +SKIP
    """
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    ready = _with_parameters(notebook, parameters)
    ready.cells.append(_asking_what_was_used([*parameters_of(notebook)]))
    client = NotebookClient(
        ready,
        timeout=None,
        kernel_name="python3",
        record_timing=False,
        shutdown_kernel="immediate",  # it only reads; to let it say goodbye takes seconds
        extra_arguments=[
            "--HistoryManager.enabled=False",
            "--log-level=ERROR",
            f"--IPKernelApp.exec_lines=__import__('sys').modules['{SLOW_TO_IMPORT}'] = None",
        ],
        resources={"metadata": {"path": str(path.parent)}},
    )
    try:
        client.execute(env={**os.environ, **_KERNEL_ENVIRONMENT, GIVEN: ",".join(parameters)})
    except CellExecutionError as error:
        number = 1 + next(
            index
            for index, cell in enumerate(ready.cells)
            if any(output.output_type == "error" for output in cell.get("outputs", []))
        )
        if error.ename == ParameterError.__name__:
            name, _, reason = error.evalue.removeprefix("parameter ").partition(": ")
            raise ParameterError(name, reason, notebook=path.name) from error
        if error.ename == CxError.__name__:
            raise NotAnswerableError(f"{path.name}: {error.evalue}") from error
        raise CxError(
            f"the notebook {path.name} stopped at cell {number} "
            f"({error.ename}: {error.evalue}); open it in JupyterLab to look"
        ) from error
    said = ready.cells.pop()["outputs"]
    text = next(output["text"] for output in said if output.get("name") == "stdout")
    return ready, json.loads(text)


def _parameters_at(notebook: NotebookNode) -> int | None:
    """Place of the cell tagged ``parameters``, as papermill tags it."""
    tagged = (
        index
        for index, cell in enumerate(notebook.cells)
        if cell.cell_type == "code" and "parameters" in cell.metadata.get("tags", [])
    )
    return next(tagged, None)


def _with_parameters(notebook: NotebookNode, parameters: dict[str, Any]) -> NotebookNode:
    """A copy with one more cell, below the parameters cell, that sets the values of this run."""
    from nbformat.v4 import new_code_cell

    ready = copy.deepcopy(notebook)
    lines = [f"{name} = {value!r}" for name, value in parameters.items()]
    cell = new_code_cell("\n".join(lines), id="parameters-of-this-run")
    ready.cells.insert(1 + (_parameters_at(notebook) or 0), cell)
    return ready


def _asking_what_was_used(names: list[str]) -> NotebookNode:
    """A cell that comes last: a notebook may put other values in place of its parameters."""
    from nbformat.v4 import new_code_cell

    wanted = [name for name in names if name != "workspace"]
    return new_code_cell(
        "from cxlib.publish.parameters import used_values\n"
        f"print(used_values(globals(), {wanted!r}))"
    )
