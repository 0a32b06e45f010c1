"""The simulated company, written as its systems would export it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from shutil import rmtree
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from cxlib.demo import app, billing, crm, online, support, truth
from cxlib.demo.chunk import CHUNK, Chunk, Export, draw_chunk
from cxlib.demo.columns import where
from cxlib.demo.parameters import PlantedTruth, planted_truth
from cxlib.demo.people import Faults
from cxlib.errors import CxError

__all__ = ["Simulation", "simulate_company"]

_DESCRIPTIONS = ("sources.yml", "journey_map.yml")
_KEY = "customers.key"
_FREE_TEXT = ("support_tickets", "surveys", "customers")
"""Files whose fields are quoted, for the commas in them."""

_DIRTY_TIMES = {
    "billing_invoices": "paid_at",
    "support_tickets": "opened_at",
    "surveys": "answered_at",
    "web_events": "viewed_at",
    "app_events": "opened_at",
}
_DIRTY_KEYS = {
    "billing_invoices": "billing_id",
    "support_ticket_moves": "ticket_id",
    "surveys": "email",
    "web_events": "visitor_id",
    "app_events": "app_user_id",
}
_NO_DATES = ("2023-02-30 10:00:00", "not available", "00/00/0000", "#VALUE!")


@dataclass(frozen=True)
class Simulation:
    """What was simulated, and where it is.

    Attributes
    ----------
    workspace
        The folder.
    customers, seed
        Its size and seed.
    rows
        Rows of each export, by the name of the source.

    Examples
    --------
    >>> Simulation(Path("data/demo"), 10, 7, {"surveys": 3}).rows["surveys"]
    3
    """

    workspace: Path
    customers: int
    seed: int
    rows: dict[str, int] = field(default_factory=dict)


def simulate_company(
    workspace: str | Path,
    *,
    customers: int = 2_000,
    seed: int = 7,
    progress: bool = False,
    parameters: PlantedTruth | None = None,
    faults: Faults | None = None,
) -> Simulation:
    """Exports of a simulated company for home internet and TV, with the truth beside them.

    Parameters
    ----------
    workspace
        Folder that gets ``exports/*.csv``, ``sources.yml``, ``journey_map.yml`` (the planned
        journey) and ``truth/*``; those of an earlier simulation are replaced.
    customers
        Persons who ever subscribe. Half as many again only look.
    seed
        The same seed gives the same bytes. A company of another size has the same first customers.
    progress
        Whether to show a bar on the terminal or in the notebook.
    parameters
        Another truth than ``planted_truth()``.
    faults
        Other shares of mistakes in the exports.

    Returns
    -------
    Simulation
        The folder and the rows of each export.

    Raises
    ------
    CxError
        For fewer than one customer, and for a workspace that holds another company.

    Notes
    -----
    Customers are drawn in chunks of 2,500 that do not know of each other, so memory stays the same
    for any number of them. ``truth/`` holds ``parameters.json`` (each parameter with its unit),
    ``identities.csv`` (which person each record belongs to), ``customers.csv``, ``spells.csv``
    (one row per subscription) and ``person_periods.parquet`` (one row per subscription and billing
    period, with the conditions of the planted hazard and the outcome).

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     company = simulate_company(folder, customers=20)
    ...     sorted(path.name for path in Path(folder).iterdir())
    ['customers.key', 'exports', 'journey_map.yml', 'sources.yml', 'truth']
    >>> company.rows["billing_customers"]
    20
    """
    if customers < 1:
        raise CxError(f"customers is {customers}; a company needs at least one")
    workspace = Path(workspace)
    _refuse_others_work(workspace)
    parameters, faults = parameters or planted_truth(), faults or Faults()
    unfinished = workspace / ".simulating"
    rmtree(unfinished, ignore_errors=True)
    for folder in ("exports", "truth"):
        (unfinished / folder).mkdir(parents=True)
    with ExitStack() as stack:
        writers = _Writers(unfinished, stack)
        for number in _shown(range(-(-customers // CHUNK)), progress):
            chunk = draw_chunk(seed, number, parameters, faults)
            kept = _kept(chunk, customers - number * CHUNK)
            for folder, export in _files_of(chunk):
                writers.write(
                    folder,
                    _spoil(chunk, export, kept)
                    if folder == "exports"
                    else export.table().filter(pa.array(kept[export.person])),
                    export,
                )
    stated = {"customers": customers, "seed": seed, "parameters": parameters.as_dict()}
    (unfinished / "truth/parameters.json").write_text(
        json.dumps(stated, indent=2) + "\n", encoding="utf-8", newline="\n"
    )
    # These people are made up: a key that all know gives the same ids, and reports, everywhere.
    (unfinished / _KEY).write_text(
        f"the demo company is made up, by seed {seed}\n", encoding="utf-8"
    )
    for name in _DESCRIPTIONS:
        (unfinished / name).write_bytes(files("cxlib.demo").joinpath(name).read_bytes())
    for name in ("exports", "truth"):
        rmtree(workspace / name, ignore_errors=True)
        (unfinished / name).replace(workspace / name)
    for name in (*_DESCRIPTIONS, _KEY):
        (unfinished / name).replace(workspace / name)
    unfinished.rmdir()
    return Simulation(workspace, customers, seed, writers.rows["exports"])


def _refuse_others_work(workspace: Path) -> None:
    # The second is what a simulation leaves that was stopped on the way.
    if (workspace / "truth/parameters.json").exists() or (workspace / ".simulating").exists():
        return
    for name in ("exports", *_DESCRIPTIONS):
        if (workspace / name).exists():
            raise CxError(
                f"the workspace {workspace.as_posix()!r} holds {name!r} of another company; "
                "simulate into an empty folder"
            )


def _shown(chunks: range, progress: bool) -> Iterable[int]:
    if not progress:
        return chunks
    from tqdm.auto import tqdm

    return tqdm(chunks, desc="simulating", unit="chunk", leave=False)


def _kept(chunk: Chunk, customers: int) -> np.ndarray:
    """Persons of the chunk who belong to a company of this size."""
    share = min(1.0, customers / CHUNK)
    person = np.arange(len(chunk.people.phone))
    return np.where(
        person < CHUNK, person < customers, person - CHUNK < round(share * chunk.prospects)
    )


def _files_of(chunk: Chunk) -> Iterable[tuple[str, Export]]:
    renewals, installed = billing.draw_renewals(chunk), billing.draw_installations(chunk)
    tickets = support.draw_tickets(chunk)
    answers = support.draw_answers(chunk, tickets, renewals, installed)
    screens = app.draw_screens(chunk, tickets, answers)
    visits = online.draw_visits(chunk, tickets)
    exports = [
        crm.crm_contacts(chunk),
        billing.billing_customers(chunk),
        billing.billing_subscriptions(chunk),
        billing.billing_invoices(chunk),
        billing.billing_renewals(chunk, renewals),
        billing.installations(chunk, installed),
        support.support_tickets(chunk, tickets),
        support.support_ticket_moves(chunk, tickets),
        support.surveys(chunk, answers, tickets),
        online.web_visitors(chunk, visits),
        online.web_events(chunk, visits),
        app.app_users(chunk, screens),
        app.app_events(chunk, screens),
    ]
    yield from (("exports", export) for export in exports)
    yield "truth", truth.true_identities(chunk, exports)
    yield "truth", truth.true_customers(chunk)
    yield "truth", truth.true_spells(chunk)
    yield "truth", truth.true_periods(chunk)


def _spoil(chunk: Chunk, export: Export, kept: np.ndarray) -> pa.Table:
    """Rows of an export, with the few that an import must refuse."""
    rng, faults, size = chunk.stream(f"spoil {export.name}"), chunk.faults, export.person.size
    columns = dict(export.columns)
    time, key = _DIRTY_TIMES.get(export.name), _DIRTY_KEYS.get(export.name)
    bad, empty, again = rng.random((3, size))
    if time is not None:
        columns[time] = where(
            (bad < faults.bad_date) & columns[time].is_valid().to_numpy(zero_copy_only=False),
            pa.array(_NO_DATES).take(pa.array(rng.integers(0, len(_NO_DATES), size))),
            columns[time],
        )
    if key is not None:
        columns[key] = where(empty < faults.no_key, None, columns[key])
    rows = np.flatnonzero(kept[export.person])
    if time is not None or key is not None:
        rows = np.concatenate([rows, rows[again[rows] < faults.repeated_row]])
    return pa.table(columns).take(pa.array(rows))


class _Writers:
    """Files that grow chunk by chunk."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self.stack = folder, stack
        self.open: dict[tuple[str, str], Callable[[pa.Table], Any]] = {}
        self.rows: dict[str, dict[str, int]] = {"exports": {}, "truth": {}}

    def write(self, folder: str, table: pa.Table, export: Export) -> None:
        """Append the rows of a chunk."""
        if (folder, export.name) not in self.open:
            self.open[folder, export.name] = self._start(folder, export.name, table.schema)
        self.open[folder, export.name](table)
        self.rows[folder][export.name] = self.rows[folder].get(export.name, 0) + table.num_rows

    def _start(self, folder: str, name: str, schema: pa.Schema) -> Callable[[pa.Table], Any]:
        path = self.folder / folder / name
        if name == "person_periods":
            parquet = pa.parquet.ParquetWriter(f"{path}.parquet", schema, compression="zstd")
            return self.stack.enter_context(parquet).write_table
        quoting = "needed" if name in _FREE_TEXT else "none"
        options = pa.csv.WriteOptions(quoting_style=quoting)
        writer = pa.csv.CSVWriter(f"{path}.csv", schema, write_options=options)
        return self.stack.enter_context(writer).write_table
