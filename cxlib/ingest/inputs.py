"""What a build reads: every file of every source, with a hash of its content."""

from __future__ import annotations

import glob
import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cxlib.engine.files.sheets import WORKBOOKS, find_sheets
from cxlib.engine.locks import write_lock
from cxlib.errors import CxError
from cxlib.ingest.config import Source, Sources
from cxlib.ingest.fetched import fetch_source

__all__ = [
    "Input",
    "find_files",
    "find_inputs",
    "hash_file",
    "open_inputs",
    "remove_fetched",
]

_FETCHED = ".fetched-"


@dataclass(frozen=True)
class Input:
    """One thing to read: a file, a sheet of one, or a table or query of a database.

    Attributes
    ----------
    source
        Name of its source.
    file
        What it is called in rejects: its place in the exports folder, and the sheet; or the table.
    path
        Where it is.
    sha256
        Hash of its content.
    sheet
        Name of the sheet of a workbook.
    problem
        Why it cannot be read, where that is known before.
    stamp
        Size and time of change, as they were before it was hashed.

    Examples
    --------
    >>> Input("orders", "orders.csv", Path("exports/orders.csv"), "e3b0c442").as_meta()
    {'source': 'orders', 'file': 'orders.csv', 'sha256': 'e3b0c442'}
    """

    source: str
    file: str
    path: Path
    sha256: str
    sheet: str | None = None
    problem: str | None = None
    stamp: tuple[int, int, int] | None = None

    def as_meta(self) -> dict[str, str]:
        """What a snapshot says of it."""
        return {"source": self.source, "file": self.file, "sha256": self.sha256}

    def check_unchanged(self) -> None:
        """Raise where it is no longer what was hashed.

        Raises
        ------
        CxError
            When the file changed, or is gone.
        """
        if self.stamp is None:
            return
        if not self.path.is_file() or (
            _stamp(self.path) != self.stamp and hash_file(self.path) != self.sha256
        ):
            raise CxError(
                f"the file {self.path.name!r} changed while it was read; build again when "
                "whatever writes it is done"
            )


@contextmanager
def open_inputs(config: Sources, exports: Path, workspace: Path) -> Iterator[list[Input]]:
    """Everything that a build reads, to be read within the block.

    Parameters
    ----------
    config
        The workspace's description.
    exports
        Folder of the exports.
    workspace
        The folder that holds ``store/``: rows of databases lie there for as long as the block, in
        a folder that no other user may read.

    Raises
    ------
    CxError
        When a database cannot be read, or a file lies outside the exports folder.

    Examples
    --------
    >>> rule = {"file": "orders.csv", "customer": {"key": "account"}}
    >>> shop = Sources.model_validate({"name": "shop", "sources": {"orders": rule}})
    >>> with open_inputs(shop, Path("nowhere"), Path("nowhere")) as inputs:
    ...     inputs
    []
    """
    if all(rule.database is None for rule in config.sources.values()):
        yield find_inputs(config, exports)
        return
    store = workspace / "store"
    with write_lock(workspace):
        remove_fetched(workspace)
        with tempfile.TemporaryDirectory(prefix=_FETCHED, dir=store) as folder:
            yield find_inputs(config, exports, Path(folder))


def remove_fetched(workspace: Path) -> None:
    """Remove rows of databases that killed builds left; who calls holds the store's lock.

    Examples
    --------
    >>> remove_fetched(Path("data/nowhere"))
    """
    for left in (workspace / "store").glob(f"{_FETCHED}*"):
        shutil.rmtree(left, ignore_errors=True)


def find_inputs(config: Sources, exports: Path, fetched: Path | None = None) -> list[Input]:
    """Files and tables of all sources, source by source and sorted by name.

    Parameters
    ----------
    config
        The workspace's description.
    exports
        Folder of the exports.
    fetched
        Where rows of databases go.

    Returns
    -------
    list of Input
        A source whose file is not there has none.

    Raises
    ------
    CxError
        When a file lies outside the exports folder or may not be read.

    Examples
    --------
    >>> rule = {"file": "orders.csv", "customer": {"key": "account"}}
    >>> shop = Sources.model_validate({"name": "shop", "sources": {"orders": rule}})
    >>> find_inputs(shop, Path("nowhere"))
    []
    """
    inputs: list[Input] = []
    files = {name: find_files(rule, exports) for name, rule in config.sources.items()}
    every = list(dict.fromkeys(path for paths in files.values() for path in paths))
    with ThreadPoolExecutor() as threads:  # to hash a file leaves the interpreter to others
        hashed = dict(zip(every, threads.map(_hashed, every), strict=True))
    for name, rule in config.sources.items():
        if rule.database is not None and fetched is not None:
            found = fetch_source(name, rule, exports, fetched, optional=rule.optional)
            if found is not None:
                inputs.append(Input(name, rule.table or "query", *found))
        for path in files[name]:
            inputs += _parts(name, rule, path, path.relative_to(exports).as_posix(), hashed[path])
    return inputs


def find_files(rule: Source, exports: Path) -> list[Path]:
    """Files of a source, sorted by name.

    Raises
    ------
    CxError
        When the file lies outside the exports folder, or is a link that leads out of it.

    Examples
    --------
    >>> from cxlib.ingest.config import CustomerKey
    >>> find_files(Source(file="none-*.csv", customer=CustomerKey(key="id")), Path("nowhere"))
    []
    """
    if rule.file is None:
        return []
    folder, named = exports.resolve(), Path(rule.file)
    if named.is_absolute() and named.resolve().is_relative_to(folder):
        raise CxError(
            f"the file {rule.file!r} is named by an absolute path; write it relative to the "
            f"exports folder: file: {named.resolve().relative_to(folder).as_posix()}"
        )
    if named.is_absolute() or ".." in named.parts:
        raise CxError(f"the file {rule.file!r} lies outside the exports folder; move it there")
    # A name with brackets may be a pattern, and is first of all a name.
    literal = [rule.file] if (exports / rule.file).is_file() else []
    names = literal or glob.glob(rule.file, root_dir=exports, recursive=True)
    found = sorted(path for name in set(names) if (path := exports / name).is_file())
    for path in found:
        if not path.resolve().is_relative_to(exports.resolve()):
            raise CxError(
                f"the file {path.relative_to(exports).as_posix()!r} is a link that leads outside "
                "the exports folder; put the file itself there"
            )
    return found


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal.

    Raises
    ------
    CxError
        When the file may not be read.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "empty")
    ...     path.touch()
    ...     hash_file(path)[:8]
    'e3b0c442'
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CxError(f"the file {path.name!r} cannot be read: {error.strerror}") from error


def _hashed(path: Path) -> tuple[tuple[int, int, int], str]:
    """How a file was before it was hashed, and its hash."""
    try:
        return _stamp(path), hash_file(path)
    except FileNotFoundError as error:
        raise CxError(f"the file {path.name!r} was removed while it was read") from error


def _parts(
    name: str, rule: Source, path: Path, file: str, hashed: tuple[tuple[int, int, int], str]
) -> Iterator[Input]:
    stamp, digest = hashed
    if path.suffix.lower() not in WORKBOOKS or not stamp[0]:
        yield Input(name, file, path, digest, stamp=stamp)
        return
    try:
        sheets = find_sheets(path, rule.sheet)
        for sheet in sheets:
            label = file if len(sheets) == 1 else f"{file}: {sheet}"
            yield Input(name, label, path, digest, sheet=sheet, stamp=stamp)
        if not sheets:
            yield Input(name, file, path, digest, problem="the file is empty", stamp=stamp)
    except CxError as error:
        yield Input(name, file, path, digest, problem=str(error), stamp=stamp)


def _stamp(path: Path) -> tuple[int, int, int]:
    said = path.stat()
    return said.st_size, said.st_mtime_ns, said.st_ino
