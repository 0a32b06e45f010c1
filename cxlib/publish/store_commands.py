"""The commands of `cxlib store`: what a store holds, what it need not keep, what has changed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cxlib.errors import CxError, unknown_name

if TYPE_CHECKING:
    from cxlib.engine.store import Snapshot

__all__ = ["store_app"]

store_app = typer.Typer(
    help="List, compare and clean up the snapshots of a store.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Workspace = Annotated[
    Path, typer.Argument(help="Folder that cxlib build was given.", show_default=False)
]


@store_app.command("list", epilog="Example: cxlib store list data/demo")
def list_(workspace: Workspace) -> None:
    """List the snapshots, the newest first; * marks the one that is read."""
    from cxlib.engine.store import list_snapshots, open_store

    current = open_store(workspace)
    typer.echo(
        f"  {'snapshot':<16}  {'built (UTC)':<16}  {'observed until':<16}  {'events':>13}  MB"
    )
    for snapshot in list_snapshots(workspace):
        until = str(snapshot.meta.get("observed_until", ""))[:16].replace("T", " ")
        built = snapshot.built_at[:16].replace("T", " ")
        events = snapshot.meta.get("counts", {}).get("events", 0)
        mark = "*" if snapshot.id == current.id else " "
        typer.echo(
            f"{mark} {snapshot.id:<16}  {built:<16}  {until:<16}  {events:>13,}  "
            f"{snapshot.size_bytes / 1024**2:,.1f}"
        )


@store_app.command(epilog="Example: cxlib store gc data/demo --keep 3 --younger-than '7 days'")
def gc(
    workspace: Workspace,
    keep: Annotated[int, typer.Option(help="Newest snapshots to keep.", min=1)] = 3,
    younger_than: Annotated[
        str | None, typer.Option(help="Keep those built within this time too, such as '7 days'.")
    ] = None,
) -> None:
    """Remove old snapshots, but never the current one or one that a reader has open."""
    from cxlib.engine.garbage import collect_garbage
    from cxlib.engine.store import list_snapshots, open_store

    open_store(workspace)
    removed = collect_garbage(workspace, keep=keep, younger_than=younger_than)
    for snapshot in removed:
        typer.echo(f"removed {snapshot.id}, built {snapshot.built_at[:16].replace('T', ' ')}")
    typer.echo(f"{len(removed)} removed, {len(list_snapshots(workspace))} kept")


@store_app.command(epilog="Example: cxlib store diff data/demo 52f1 9c03")
def diff(
    workspace: Workspace,
    before: Annotated[str, typer.Argument(metavar="A", help="Snapshot, or the start of its name.")],
    after: Annotated[
        str, typer.Argument(metavar="B", help="Snapshot to compare with; default the current one.")
    ] = "",
) -> None:
    """Say which inputs changed from snapshot A to B, and how many rows of each table."""
    from cxlib.engine.differences import compare_snapshots
    from cxlib.engine.store import list_snapshots, open_store

    known = list_snapshots(workspace)
    current = open_store(workspace)
    found = compare_snapshots(_named(before, known), _named(after, known) if after else current)
    for row in found.inputs.itertuples():
        typer.echo(f"{row.change:<8}  {row.source}: {row.file}")
    typer.echo(
        f"{'table':<14}{'before':>13}{'after':>13}{'added':>12}{'removed':>12}{'changed':>12}"
    )
    for row in found.tables.itertuples():
        typer.echo(
            f"{row.table:<14}{row.before:>13,}{row.after:>13,}{row.added:>12,}{row.removed:>12,}"
            f"{row.changed:>12,}  {row.columns}".rstrip()
        )
    if found.is_empty:
        typer.echo("nothing differs")


def _named(text: str, known: list[Snapshot]) -> Snapshot:
    """The snapshot whose name begins so."""
    found = [snapshot for snapshot in known if snapshot.id.startswith(text)]
    if not found:
        raise unknown_name("snapshot", text, [snapshot.id for snapshot in known])
    if len(found) > 1:
        names = ", ".join(repr(snapshot.id) for snapshot in found)
        raise CxError(f"{text!r} begins the names of {names}; write more of the one you mean")
    return found[0]
