"""The command line: from exports to a store, reports and dashboards."""

from __future__ import annotations

import json
import sys
import traceback
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from cxlib import __version__
from cxlib.errors import CxError, CxWarning
from cxlib.publish.execution import SLOW_TO_IMPORT
from cxlib.publish.store_commands import store_app
from cxlib.publish.workspace_commands import add_workspace_commands

if TYPE_CHECKING:
    from cxlib.engine.store import Snapshot

__all__ = ["app", "main"]

app = typer.Typer(
    name="cxlib",
    help="Customer journeys: from exports to a store, reports and dashboards.",
    epilog="Example: cxlib demo --customers 500",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(store_app, name="store")
add_workspace_commands(app)

Workspace = Annotated[
    Path, typer.Argument(help="Folder with sources.yml and exports.", show_default=False)
]
Port = Annotated[int, typer.Option(help="Port of the dashboards.", min=1, max=65535)]


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"cxlib {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Print the traceback of an error.")
    ] = False,
) -> None:
    """Customer journeys: from exports to a store, reports and dashboards."""


@app.command(epilog="Example: cxlib demo --customers 500 --no-serve")
def demo(
    workspace: Annotated[Path, typer.Option(help="Folder of the demo company.")] = Path(
        "data/demo"
    ),
    customers: Annotated[int, typer.Option(help="Customers to simulate.", min=1)] = 2000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same company.")] = 7,
    serve: Annotated[
        bool, typer.Option("--serve/--no-serve", help="Serve the dashboards at the end.")
    ] = True,
    port: Port = 8866,
) -> None:
    """Go the whole way on a simulated company.

    Simulates its exports, builds the store, writes the reports and serves the dashboards. What is
    there already and has not changed is used again.
    """
    _simulate(workspace, customers, seed)
    _build(workspace)
    _report(workspace)
    if serve:
        _serve(workspace, port)


@app.command(epilog="Example: cxlib build data/examples/ravenstack --exports downloads/ravenstack")
def build(
    workspace: Workspace,
    sources: Annotated[
        Path | None,
        typer.Option(help="Description of the exports; default WORKSPACE/sources.yml."),
    ] = None,
    exports: Annotated[
        Path | None, typer.Option(help="Folder of the exports; default WORKSPACE/exports.")
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Read and prepare everything again.")
    ] = False,
    watch: Annotated[
        str | None,
        typer.Option(metavar="SPAN", help="Look again every so often, such as 30s; Ctrl-C ends."),
    ] = None,
    wait: Annotated[
        str, typer.Option(metavar="SPAN", help="How long to wait for another build to end.")
    ] = "10 seconds",
) -> None:
    """Build the store of a workspace.

    Reads the exports that sources.yml describes, and says what was kept, what was not, and why.
    Exports that have not changed are not read again; with --watch the store follows them.
    """
    if watch is not None:
        if full:
            raise typer.BadParameter("it builds once; leave out --watch", param_hint="--full")
        _watch(workspace, watch, sources=sources, exports=exports, wait=wait)
    else:
        _build(workspace, sources=sources, exports=exports, full=full, wait=wait)


@app.command(epilog="Example: cxlib forget data/demo crm_contacts:C00000000")
def forget(
    workspace: Workspace,
    customer: Annotated[
        str, typer.Argument(help="customer_id, or SOURCE:ID of one of their records.")
    ],
) -> None:
    """Remove a person from every snapshot, and show by a search that nothing is left.

    The next build of the same exports leaves them out. The exports themselves and reports that
    were written are not touched.
    """
    from cxlib.forget import forget_customer

    done = forget_customer(workspace, customer)
    typer.echo(f"{'snapshot':<22}{'table':<16}{'rows changed':>14}{'rows found now':>16}")
    for row in done.tables.itertuples():
        typer.echo(f"{row.snapshot:<22}{row.table:<16}{row.rows_changed:>14,}{row.rows_found:>16,}")
    typer.echo("No table of any snapshot names the customer.")


@app.command(epilog="Example: cxlib report data/demo tour churn --show-code")
def report(
    workspace: Workspace,
    notebooks: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NOTEBOOK",
            help="Notebooks, by path or name; default all of the folder notebooks.",
            show_default=False,
        ),
    ] = None,
    show_code: Annotated[
        bool, typer.Option("--show-code", help="Show the code above its results.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the reports; default WORKSPACE/reports.")
    ] = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option("--parameter", "-p", help="NAME=VALUE, a parameter of the notebooks."),
    ] = None,
    list_parameters: Annotated[
        bool,
        typer.Option("--parameters", help="List the parameters of the notebooks, and run none."),
    ] = False,
) -> None:
    """Run notebooks and write them as HTML.

    Each report is one file that needs no network. One whose data, notebook, parameters and
    versions have not changed is used again. --parameters says what -p may set.
    """
    if list_parameters:
        for line in _listed_parameters(notebooks or []):
            typer.echo(line)
        return
    _report(
        workspace,
        notebooks or [],
        out=out,
        show_code=show_code,
        parameters=dict(_assignment(text) for text in parameter or []),
    )


@app.command(epilog="Example: cxlib serve data/demo --port 8080")
def serve(workspace: Workspace, port: Port = 8866) -> None:
    """Serve the dashboards until Ctrl-C."""
    _serve(workspace, port)


def main() -> None:
    """Run the command line and exit with its code: 0, 1 for an error, 2 for wrong usage.

    Examples
    --------
    >>> import sys
    >>> sys.argv = ["cxlib", "--version"]
    >>> main()
    Traceback (most recent call last):
    ...
    SystemExit: 0
    """
    arguments = sys.argv[1:]
    debug = "--debug" in arguments
    warnings.showwarning = _show_warning
    sys.modules.setdefault(SLOW_TO_IMPORT, None)  # type: ignore[arg-type]
    try:
        # An option of the program is understood before and after the command.
        app([*["--debug"] * debug, *(text for text in arguments if text != "--debug")])
    except Exception as error:
        if debug:
            traceback.print_exc()
        expected = isinstance(error, CxError)
        what = str(error) if expected else f"{type(error).__name__}: {error}"
        hint = "" if expected or debug else " (add --debug for the traceback)"
        typer.echo(f"cxlib: {' '.join(what.split())}{hint}", err=True)
        sys.exit(1)


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """One sentence for what the user should know; other libraries' warnings stay out."""
    if issubclass(category, CxWarning):
        from tqdm import tqdm

        tqdm.write(f"cxlib: {message}", file=sys.stderr)  # above a bar, not into it


def _simulate(workspace: Path, customers: int, seed: int) -> None:
    from cxlib.demo import planted_truth, simulate_company

    wanted = {"customers": customers, "seed": seed, "parameters": planted_truth().as_dict()}
    truth = workspace / "truth" / "parameters.json"
    if truth.is_file():
        if json.loads(truth.read_text("utf-8")) == json.loads(json.dumps(wanted)):
            return
    elif (workspace / "exports").exists() or (workspace / "sources.yml").exists():
        raise CxError(
            f"'{workspace}' holds other exports than the demo company's; "
            "choose another folder with --workspace"
        )
    simulate_company(workspace, customers=customers, seed=seed, progress=True)


def _watch(workspace: Path, every: str, **options: Any) -> None:
    from cxlib.watch import watch_store

    try:
        watch_store(workspace, every=every, say=lambda line: print(line, flush=True), **options)
    except KeyboardInterrupt:
        return


def _build(workspace: Path, **options: Any) -> None:
    from cxlib.build import build_store

    result = build_store(workspace, progress=True, **options)
    typer.echo(result.summary())
    for line in [*_rejected(result.snapshot), *_doubtful(result.snapshot)]:
        typer.echo(line)


def _rejected(store: Snapshot) -> list[str]:
    """Why rows could not be used, the most frequent kind of reason first."""
    rejects = store.table("rejects")
    # Reasons that differ in a value or a row number alone are of one kind.
    kind = rejects.reason.re_replace(r"'[^']*'|[0-9]+", "")
    kinds = rejects.group_by("source", kind=kind).aggregate(
        rows=rejects.rows.sum(), reason=rejects.reason.min()
    )
    frame = kinds.to_pandas().sort_values(["rows", "source", "kind"], ascending=[False, True, True])
    lines = [
        f"  {row.rows:>7,}  {row.source}: {'such as ' if row.rows > 1 else ''}{row.reason}"
        for row in frame.itertuples()
    ]
    return ["Rejected rows (table rejects):", *_shortened(lines)] if lines else []


def _doubtful(store: Snapshot) -> list[str]:
    """Where the exports contradict themselves."""
    frame = store.table("quality").to_pandas()
    frame = frame[frame["failing"] > 0].sort_values(["failing", "check"], ascending=[False, True])
    lines = [
        f"  {row.failing:>7,} of {row.n:,} fail  {row.check} ({row.source}), such as {row.examples}"
        for row in frame.itertuples()
    ]
    title = "Data quality (table quality; the data are kept as they are):"
    return [title, *_shortened(lines)] if lines else []


def _shortened(lines: list[str], most: int = 12) -> list[str]:
    more = len(lines) - most
    return lines if more <= 0 else [*lines[:most], f"           and {more} more kinds"]


def _report(workspace: Path, notebooks: list[str] | None = None, **options: Any) -> None:
    from cxlib.publish.report import render_reports

    reports = render_reports(workspace, notebooks or [], progress=True, **options)
    for done in reports:
        typer.echo(f"{done.path}  {done.title}{' (unchanged)' if done.reused else ''}")
    typer.echo(f"{reports[0].path.parent / 'index.html'}  lists the reports")


def _listed_parameters(notebooks: list[str]) -> list[str]:
    """The notebooks with their parameters, as -p takes them, and what each one means."""
    from cxlib.publish.report import find_notebooks, notebook_parameters

    lines = []
    for path in find_notebooks(notebooks):
        found = notebook_parameters(path)
        wide = min(max((len(one.line) for one in found), default=0), 40)
        lines.append(path.stem)
        lines += [f"  {one.line:<{wide}}  {one.note}".rstrip() for one in found]
    return lines


def _serve(workspace: Path, port: int) -> None:
    from cxlib.publish.server import serve_dashboards

    serve_dashboards(workspace, port=port)


def _assignment(text: str) -> tuple[str, Any]:
    """Name and value of ``NAME=VALUE``; the value is read as YAML, so that 3 is a number."""
    import yaml

    name, sign, value = text.partition("=")
    if not sign or not name.isidentifier():
        raise typer.BadParameter(f"{text!r} is not NAME=VALUE", param_hint="--parameter")
    try:
        return name, yaml.safe_load(value)
    except yaml.YAMLError:
        return name, value


if __name__ == "__main__":
    main()
