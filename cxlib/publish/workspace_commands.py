"""The commands `cxlib check` and `cxlib init`: is sources.yml right, and how does one begin?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cxlib.errors import CxError

if TYPE_CHECKING:
    from cxlib.ingest.checking import SourcesCheck

__all__ = ["add_workspace_commands"]

Workspace = Annotated[
    Path, typer.Argument(help="Folder with sources.yml and exports.", show_default=False)
]
Exports = Annotated[
    Path | None, typer.Option(help="Folder of the exports; default WORKSPACE/exports.")
]


def add_workspace_commands(app: typer.Typer) -> None:
    """Add the commands to the program.

    Examples
    --------
    >>> app = typer.Typer()
    >>> add_workspace_commands(app)
    >>> [command.callback.__name__ for command in app.registered_commands]
    ['init', 'check']
    """
    app.command(epilog="Example: cxlib init downloads/shop")(init)
    app.command(epilog="Example: cxlib check data/shop --rows 100000")(check)


def init(
    folder: Annotated[
        Path,
        typer.Argument(help="Workspace with a folder exports, or a folder of exports itself."),
    ],
    force: Annotated[
        bool, typer.Option("--force", help="Write over a sources.yml that is there.")
    ] = False,
) -> None:
    """Write a sources.yml by looking at a folder of exports.

    Guesses what each file holds, tries it out, and says what is left to decide. Exports of known
    vendors are read by their presets.
    """
    from cxlib.ingest.guessing import guess_sources

    target = folder / "sources.yml"
    exports = folder / "exports" if (folder / "exports").is_dir() else folder
    if target.exists() and not force:
        raise CxError(f"there is a {target.as_posix()!r} already; write over it with --force")
    if not exports.is_dir():
        raise CxError(f"there is no folder {folder.as_posix()!r}; put the exports there")
    guess = guess_sources(exports)
    target.write_text(guess.text, encoding="utf-8")
    typer.echo(f"{target.as_posix()}  written")
    for line in guess.notes:
        typer.echo(f"  {line}")
    if guess.found is not None:
        _show(guess.found)
    more = "" if exports != folder else f" --exports {folder.as_posix()}"
    typer.echo(f"Next: read {target.as_posix()}, then cxlib check {folder.as_posix()}{more}")


def check(
    workspace: Workspace,
    sources: Annotated[
        Path | None,
        typer.Option(help="Description of the exports; default WORKSPACE/sources.yml."),
    ] = None,
    exports: Exports = None,
    rows: Annotated[int, typer.Option(help="Rows to look at in each file.", min=1)] = 10_000,
) -> None:
    """Say what sources.yml makes of the exports, without a build.

    Looks at the first rows of each file and shows ten events. Exits with 1 where a build would stop
    or no row of a source can be used. What looks wrong and may be bad luck of these rows is a
    warning and exits with 0: most rows of a source are rejected, no row meets a condition, or no
    row gives a touchpoint that is named.
    """
    from cxlib.ingest.checking import check_sources
    from cxlib.ingest.config import load_sources

    folder = exports or workspace / "exports"
    config = load_sources(sources or workspace / "sources.yml", exports=folder)
    if not folder.is_dir() and any(rule.file for rule in config.sources.values()):
        raise CxError(f"there is no folder {folder.as_posix()!r}; put the exports there")
    if not any(rule.events for rule in config.sources.values()):
        raise CxError("no source has events; add events: [{touchpoint: NAME, time: COLUMN}] to one")
    found = check_sources(config, folder, rows=rows)
    _show(found)
    if found.useless:
        named = ", ".join(repr(name) for name in found.useless)
        raise CxError(f"no row of {named} can be used; the reasons stand above")
    for doubt in found.doubts:
        typer.echo(f"warning: {doubt}")
    if not found.doubts:
        typer.echo("sources.yml is right")
        return
    count = f"{len(found.doubts)} warning{'s' if len(found.doubts) > 1 else ''}"
    typer.echo(
        f"sources.yml can be built, with {count}: mend it, or look at more than the first "
        f"{rows:,} rows with --rows"
    )


def _show(found: SourcesCheck) -> None:
    width = max((len(name) for name in found.sources["source"]), default=6)
    typer.echo(f"{'source':<{width}}  {'rows seen':>9}  {'events':>9}  {'rejected':>9}")
    for row in found.sources.to_dict("records"):
        why = f"  {'such as ' if row['rejected'] > 1 else ''}{row['reason']}"
        typer.echo(
            f"{row['source']:<{width}}  {row['rows']:>9,}  {row['events']:>9,}  "
            f"{row['rejected']:>9,}{why}".rstrip()
        )
    if not len(found.examples):
        return
    typer.echo("Events:")
    wide = max(len(name) for name in found.examples["touchpoint"])
    for event in found.examples.to_dict("records"):
        money = (
            ""
            if event["value"] != event["value"]
            else f"{event['value']:,.2f} {event['currency'] or ''}"
        )
        typer.echo(
            f"  {str(event['occurred_at'])[:19]}  {event['touchpoint']:<{wide}}  "
            f"{event['customer_id']}  ({event['source']})  {money}".rstrip()
        )
