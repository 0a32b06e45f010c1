"""Rows that were read before: what an unchanged export gave is kept, and not read again."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ibis.expr.types as ir

from cxlib.engine.functions import connect_scratch
from cxlib.engine.writing import create_table
from cxlib.ingest.forgotten import Forgotten
from cxlib.ingest.inputs import Input

if TYPE_CHECKING:
    from ibis.backends import BaseBackend

__all__ = ["KeptFile", "StagedFiles", "parties_of", "with_personal"]

_PERSONAL = ("cx_text_", "cx_id_")
"""How the columns begin that say in clear who somebody is, or what they wrote."""

_PLACE = ["cx_file", "cx_row"]
"""What tells the rows of a source apart."""


@dataclass(frozen=True)
class KeptFile:
    """What is kept of one file of a source.

    Attributes
    ----------
    file
        What it is called in rejects.
    counts
        Rows read, and those of them that were put together from several lines.
    columns
        Columns of its records; None where no record could be used.
    rejects
        Unusable lines, or the file as a whole: rows of the table ``rejects``.

    Examples
    --------
    >>> KeptFile("orders.csv", {"rows_read": 3}, ["account"], []).has_rows
    True
    """

    file: str
    counts: dict[str, int]
    columns: list[str] | None
    rejects: list[dict[str, Any]]

    @property
    def has_rows(self) -> bool:
        """Whether there are records to judge."""
        return self.columns is not None

    def without(self, source: str, n: int) -> KeptFile:
        """The same, with some rows left out because their customers were forgotten."""
        row = {"source": source, "file": self.file, "row_number": None, "rows": n, "record": None}
        said = {**row, "reason": "the customer was forgotten (cxlib forget)"}
        return replace(self, rejects=[*self.rejects, said])


@dataclass
class StagedFiles:
    """The folders that keep judged rows and what is personal in them, one file for each input.

    Attributes
    ----------
    folder
        Where the rows are; made where it is missing, and closed to other users. What is personal
        and still needed in clear stands in ``personal`` beside it, closed in the same way.
    recipe
        Name of everything but the inputs that the rows depend on: code and description.
    anew
        Whether to read every input again, whatever is kept.
    forgotten
        Whose rows to leave out.
    key
        Secret that personal values are hashed with; None for a plain hash.
    used
        Files of the folder that this build wrote or read.

    Notes
    -----
    What a row is judged to be depends on its file, on the files of its source before it (an id may
    have stood there) and on the sources that it refers to. A judged file is named by all of these;
    where only what lies around it has changed, its rows are judged again and not read again.

    Of personal columns the rows hold hashes. Two things are needed in clear by later builds: the
    fields by which records are compared, and texts whose sentiment is read. These, and nothing
    else, stand in the personal table, which only ``ingest`` opens.

    Two JSON files stand beside the rows of a file: a ``KeptFile``, named by the input alone, and
    what checks counted in the rows, named as they are.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     files = StagedFiles(Path(folder, "staged"), "r1")
    ...     inputs = [Input("orders", "orders.csv", Path("orders.csv"), "e3b0c442")]
    ...     first = files.place("orders", inputs)
    ...     again = files.place("orders", inputs, around="other accounts")
    >>> [one.split("-")[0] == other.split("-")[0] for one, other in zip(first, again)]
    [True]
    >>> first == again
    False
    """

    folder: Path
    recipe: str
    anew: bool = False
    forgotten: Forgotten | None = None
    key: str | None = field(default=None, repr=False)
    used: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Make the folder, and remove what a killed build was writing."""
        for folder in (self.folder, self.personal):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            for leftover in folder.glob("*" if self.anew else ".writing-*"):
                leftover.unlink()

    @property
    def personal(self) -> Path:
        """Folder of the personal table."""
        return self.folder.with_name("personal")

    def place(self, source: str, inputs: Sequence[Input], around: str = "") -> list[str]:
        """Names under which the judged rows of a source's inputs are kept."""
        names, before = [], _digest(self.recipe, source, around)
        for number, item in enumerate(inputs):
            own = _digest(self.recipe, source, item.file, item.sha256)
            before = _digest(before, own, str(number))
            names.append(f"{own}-{before}")
        return names

    def find(self, place: str) -> KeptFile | None:
        """What is kept of a file, whatever was around it; None where it must be read."""
        path = self.folder / f"{place.split('-')[0]}.json"
        try:
            kept = KeptFile(**json.loads(path.read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError, TypeError):
            return None
        if kept.has_rows and self._any_rows(place) is None:
            return None
        self.used.add(path.name)
        return kept

    def keep(self, place: str, kept: KeptFile) -> KeptFile:
        """Keep what was found in a file, beside its rows."""
        self._write_json(self.folder / f"{place.split('-')[0]}.json", kept.__dict__)
        return kept

    def checked(self, place: str) -> list[dict[str, Any]] | None:
        """What checks counted in the judged rows of a file; None where they did not."""
        path = self._checked(place)
        try:
            counts = json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        self.used.add(path.name)
        return counts

    def keep_checked(self, place: str, counts: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Keep what checks counted in the judged rows of a file, beside them."""
        self._write_json(self._checked(place), counts)
        return counts

    def is_judged(self, place: str) -> bool:
        """Whether the rows of a file need not be judged again."""
        kept = self.find(place)
        return kept is not None and (not kept.has_rows or self._rows(place).is_file())

    def stamp(self, place: str) -> str | None:
        """Name of the judged rows of a file as they were written; None where they are gone."""
        try:
            return f"{place}@{self._rows(place).stat().st_mtime_ns}"
        except FileNotFoundError:
            return None

    def unjudged(self, con: BaseBackend, place: str, kept: KeptFile) -> ir.Table | None:
        """Rows of a file that was read before, as they were before they were judged."""
        path = self._any_rows(place)
        if path is None or not kept.has_rows:
            return None
        rows = con.read_parquet(path)
        own = {column.casefold() for column in kept.columns or ()}
        rows = rows.select("cx_row", *(name for name in rows.columns if name.casefold() in own))
        beside = self.personal / path.name
        if not beside.is_file():
            return rows
        return rows.left_join(con.read_parquet(beside).drop("cx_file"), "cx_row").drop(
            "cx_row_right"
        )

    def write(self, con: BaseBackend, place: str, rows: ir.Table) -> None:
        """Keep the judged rows of a file."""
        personal = [name for name in rows.columns if name.startswith(_PERSONAL)]
        if personal:
            rows = create_table(con, "cx_judged", rows, temp=True)
            told = rows.select(*_PLACE, *personal)
            _write(con, told, self.personal / self._rows(place).name)
        _write(con, rows.drop(*personal), self._rows(place))

    def read(
        self, con: BaseBackend, name: str, places: Sequence[str], *, keep: bool = True
    ) -> ir.Table | None:
        """Judged rows of the files of a source, one after another; None where there are none."""
        if not places:
            return None
        paths = [self._rows(place) for place in places]
        if keep:
            self.used.update(path.name for path in paths)
        rows = con.read_parquet(paths, table_name=name, union_by_name=True)
        return rows.mutate(cx_file=rows.cx_file.cast("int64"))

    def read_personal(self, con: BaseBackend, name: str, places: Sequence[str]) -> ir.Table | None:
        """What is personal in these rows, by ``cx_file`` and ``cx_row``; None where nothing is."""
        paths = [self.personal / self._rows(place).name for place in places]
        paths = [path for path in paths if path.is_file()]
        if not paths:
            return None
        rows = con.read_parquet(paths, table_name=name, union_by_name=True)
        return rows.mutate(cx_file=rows.cx_file.cast("int64"))

    def texts(self) -> Path:
        """File of the sentiments of texts that were read before."""
        path = self.folder / f"texts-{_digest(self.recipe)}.parquet"
        self.used.add(path.name)
        return path

    def remove_unused(self) -> None:
        """Remove what this build did not use: its inputs are gone or have changed."""
        for path in (*self.folder.iterdir(), *self.personal.iterdir()):
            if path.name not in self.used:
                path.unlink()

    def _write_json(self, path: Path, content: object) -> None:
        new = path.with_name(f".writing-{path.name}")
        new.write_text(json.dumps(content), encoding="utf-8")
        os.chmod(new, 0o600)
        os.replace(new, path)
        self.used.add(path.name)

    def _checked(self, place: str) -> Path:
        return self.folder / f"{place}.json"

    def _rows(self, place: str) -> Path:
        return self.folder / f"{place}.parquet"

    def _any_rows(self, place: str) -> Path | None:
        if self._rows(place).is_file():
            return self._rows(place)
        return next(iter(sorted(self.folder.glob(f"{place.split('-')[0]}-*.parquet"))), None)


def parties_of(folder: Path, records: Iterable[tuple[str, str]]) -> frozenset[str]:
    """Names that kept rows give to the parties of records, before these are linked.

    Parameters
    ----------
    folder
        Where rows are kept (``store/staged``).
    records
        Source and id of each record.

    Examples
    --------
    >>> parties_of(Path("data/nowhere"), [("crm", "17")])
    frozenset()
    """
    parts = [path for path in folder.glob("*-*.parquet") if "texts" not in path.name]
    listed = [f"{source}:{record}" for source, record in sorted(records)]
    if not parts or not listed:
        return frozenset()
    with connect_scratch() as con:
        rows = con.read_parquet(parts, union_by_name=True)
        named = (rows.cx_source + ":" + rows.cx_record).isin(listed)
        found = rows.filter(named, rows.cx_party.notnull()).select("cx_party").distinct()
        return frozenset(found.to_pyarrow()["cx_party"].to_pylist())


def with_personal(rows: ir.Table, personal: ir.Table | None) -> ir.Table:
    """Rows of a source with what is personal in them.

    Examples
    --------
    >>> import ibis
    >>> rows = ibis.memtable({"cx_file": [0], "cx_row": [7]})
    >>> told = ibis.memtable({"cx_file": [0], "cx_row": [7], "cx_text_0": ["Help!"]})
    >>> with_personal(rows, told).columns
    ('cx_file', 'cx_row', 'cx_text_0')
    """
    if personal is None:
        return rows
    return rows.left_join(personal, _PLACE).drop("cx_file_right", "cx_row_right")


def _write(con: BaseBackend, rows: ir.Table, path: Path) -> None:
    new = path.with_name(f".writing-{path.name}")
    con.to_parquet(rows, new)
    os.chmod(new, 0o600)
    os.replace(new, path)


def _digest(*parts: str) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]
