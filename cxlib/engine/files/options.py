"""What a reader of files is told, and what it hands back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd

from cxlib.errors import CxError

if TYPE_CHECKING:
    import ibis.expr.types as ir

__all__ = ["FileOptions", "FileRows", "distinct_names", "refuse_reserved"]


@dataclass(frozen=True)
class FileOptions:
    """What is declared of a file.

    Attributes
    ----------
    delimiter
        What stands between two fields of delimited text; found from the file when None.
    encoding
        How text was turned into bytes; UTF-8 when None.
    decimal
        What stands before the decimals, where numbers of a sheet become text.
    sheet
        Name of the sheet of a workbook to read.
    unbroken
        Columns that never hold a line break: no record is put together inside one of them.

    Examples
    --------
    >>> FileOptions(delimiter=";").encoding is None
    True
    """

    delimiter: str | None = None
    encoding: str | None = None
    decimal: str | None = None
    sheet: str | None = None
    unbroken: frozenset[str] = frozenset()


def _nothing_unreadable() -> pd.DataFrame:
    return pd.DataFrame(columns=["row_number", "reason", "record"])


@dataclass(frozen=True)
class FileRows:
    """Records of a file.

    Attributes
    ----------
    table
        The file's columns as text, empty ones null, and ``cx_row`` (from 1, in the file's order,
        unreadable records counted and blank lines not).
    unreadable
        One row per record that cannot be read: ``row_number``, ``reason``, ``record`` (its text).
    joined
        Records that a line break without quotes had split, and that were put together.

    Examples
    --------
    >>> import ibis
    >>> FileRows(ibis.memtable({"cx_row": [1]})).joined
    0
    """

    table: ir.Table
    unreadable: pd.DataFrame = field(default_factory=_nothing_unreadable)
    joined: int = 0


def distinct_names(header: Iterable[str]) -> list[str]:
    """Names of columns, none empty and none twice.

    Notes
    -----
    A name that stands twice, in whatever case, means neither column: both get their place in the
    line behind it.

    Examples
    --------
    >>> distinct_names(["id", " plan ", "", "PLAN"])
    ['id', 'plan_2', 'column3', 'PLAN_4']
    """
    names = [name.strip() or f"column{place}" for place, name in enumerate(header, start=1)]
    often = Counter(name.casefold() for name in names)
    return [
        f"{name}_{place}" if often[name.casefold()] > 1 else name
        for place, name in enumerate(names, start=1)
    ]


def refuse_reserved(file: str, names: Iterable[str]) -> None:
    """Raise where a column has a name that cxlib adds itself.

    Raises
    ------
    CxError
        When a name begins with ``cx_``.

    Examples
    --------
    >>> refuse_reserved("orders.csv", ["id", "plan"])
    """
    for name in names:
        if name.casefold().startswith("cx_"):
            raise CxError(
                f"the file {file!r} has a column {name!r}; names that begin with cx_ are "
                "cxlib's own: rename it"
            )
