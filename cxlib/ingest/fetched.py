"""Rows of a database as an input of a build: fetched into a file, with a hash of its content."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import ibis

from cxlib.engine.databases.fetching import NoTableError, fetch_rows
from cxlib.engine.functions import connect_scratch
from cxlib.errors import CxError
from cxlib.ingest.places import FILE_DATABASES, VARIABLE, Place

__all__ = ["database_url", "fetch_source", "hash_rows"]


def fetch_source(
    name: str, rule: Place, exports: Path, folder: Path, *, optional: bool = False
) -> tuple[Path, str] | None:
    """Parquet file with the rows of a source that lie in a database, and a hash of them.

    Parameters
    ----------
    name, rule
        The source and where its rows are.
    exports
        Folder of the exports, in which a database that is a file lies.
    folder
        Where the file goes.
    optional
        Whether the table may be missing; there are no rows then, and None is given.

    Raises
    ------
    CxError
        When the database cannot be read, or has no such table.

    Examples
    --------
    >>> fetch_source("orders", Place(database="shop.db", table="orders"), Path("."), Path("."))
    Traceback (most recent call last):
    ...
    cxlib.errors.CxError: there is no database 'shop.db' in the exports folder; put it there
    """
    url = database_url(name, str(rule.database), exports)
    path = folder / f"{name}.parquet"
    try:
        fetch_rows(url, path, whose=name, table=rule.table, query=rule.query)
    except NoTableError:
        if optional:
            return None
        raise
    return path, hash_rows(path)


def database_url(
    name: str, text: str, exports: Path, environment: Mapping[str, str] = os.environ
) -> str:
    """URL of a database, with what the environment says in place of ``${NAME}``.

    Examples
    --------
    >>> database_url("orders", "${DSN}", Path("."), {"DSN": "postgresql://shop@db/shop"})
    'postgresql://shop@db/shop'
    """
    if "://" not in text and not VARIABLE.search(text):
        return _url_of_file(text, exports)
    missing = [found for found in VARIABLE.findall(text) if not environment.get(found)]
    if missing:
        raise CxError(
            f"the environment has no {missing[0]}, which says where the database of the source "
            f"{name!r} is; set it and build again"
        )
    url = VARIABLE.sub(lambda found: environment[found.group(1)], text)
    if not re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", url):
        # Whatever it is, it may hold a password.
        raise CxError(
            f"the database of the source {name!r} is no URL; write it as "
            "postgresql://USER:PASSWORD@HOST/DATABASE"
        )
    return url


def hash_rows(path: Path) -> str:
    """Hash of the names and rows of a Parquet file, in whatever order the rows stand.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> import pyarrow as pa
    >>> import pyarrow.parquet as pq
    >>> with TemporaryDirectory() as folder:
    ...     path, other = Path(folder, "a.parquet"), Path(folder, "b.parquet")
    ...     pq.write_table(pa.table({"id": ["1", "2"]}), path)
    ...     pq.write_table(pa.table({"id": ["2", "1"]}), other)
    ...     hash_rows(path) == hash_rows(other)
    True
    """
    # A database gives its rows in another order from time to time: these are the same rows.
    with connect_scratch() as con:
        rows = con.read_parquet(path)
        row = ibis.struct({name: rows[name] for name in rows.columns}).hash()
        counted = rows.aggregate(
            n=rows.count(), total=row.cast("decimal(38, 0)").sum(), either=row.bit_xor()
        )
        found = counted.to_pyarrow().to_pylist()[0]
    content = [list(rows.columns), *map(str, found.values())]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _url_of_file(text: str, exports: Path) -> str:
    path = exports / text
    if not path.is_file():
        raise CxError(f"there is no database {text!r} in the exports folder; put it there")
    if not path.resolve().is_relative_to(exports.resolve()):
        raise CxError(
            f"the database {text!r} is a link that leads outside the exports folder; put the file "
            "itself there"
        )
    return f"{FILE_DATABASES[path.suffix.lower()]}:///{quote(path.resolve().as_posix())}"
