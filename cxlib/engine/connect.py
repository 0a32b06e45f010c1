"""Connections to the engines that hold the data; the only module that names a backend."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cxlib.errors import CxError

if TYPE_CHECKING:
    from ibis.backends import BaseBackend

__all__ = ["connect"]


def connect(url: str = "duckdb://", *, read_only: bool = False) -> BaseBackend:
    """Connection to an engine.

    Parameters
    ----------
    url
        ``"duckdb://"`` for one in memory, ``"duckdb://path/to/file.duckdb"`` for a file, or any
        URL that ``ibis.connect`` takes (``"spark://"``, ``"postgres://…"``).
    read_only
        Open a DuckDB file without the right to change it; any number of readers may do so.

    Returns
    -------
    ibis.backends.BaseBackend
        Its session works in UTC.

    Raises
    ------
    CxError
        When the file is not there (read-only), or the engine cannot be opened.

    Examples
    --------
    >>> connect("duckdb://").list_tables()
    []
    """
    import ibis

    if not url.startswith("duckdb://"):
        try:
            return ibis.connect(url)
        except Exception as error:
            scheme = url.split("://", 1)[0]
            # The rest of the URL may hold a password: it stays out of the message.
            raise CxError(
                f"cannot open the engine {scheme!r} ({type(error).__name__}); "
                "check the URL and that the engine's extra is installed"
            ) from error
    path = url.removeprefix("duckdb://")
    if read_only and not Path(path).is_file():
        raise CxError(f"there is no DuckDB file {path!r}; build the store first")
    con = ibis.duckdb.connect(path or ":memory:", read_only=read_only)
    con.raw_sql("SET TimeZone = 'UTC'")
    # Progress bars and pictures belong to the caller, not to the engine.
    con.raw_sql("SET enable_progress_bar = false")
    return con
