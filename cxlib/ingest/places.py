"""Where the rows of a source are: the part of `sources.yml` that says so."""

from __future__ import annotations

import codecs
import re
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from cxlib.engine.files.options import FileOptions
from cxlib.engine.files.reading import JSON
from cxlib.engine.files.sheets import WORKBOOKS
from cxlib.ingest.fields import Strict

__all__ = ["FILE_DATABASES", "VARIABLE", "Place"]


def _delimiter(value: str) -> str:
    if len(value) != 1 or value in '"\r\n':
        raise ValueError('write the one character between two fields in quotes, such as ";"')
    return value


def _encoding(value: str) -> str:
    try:
        found = codecs.lookup(value)
    except (LookupError, ValueError) as error:
        raise ValueError(
            f"there is no encoding {value!r}; write cp1252, latin-1, utf-16 or the like"
        ) from error
    # Python keeps changes of bytes to bytes, such as zip, in the same list.
    if not found._is_text_encoding:
        raise ValueError(f"{value!r} is no encoding of text; write cp1252, latin-1 or utf-16")
    return value


def _sheets(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else [value]


VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
"""What the environment says, such as ${CRM_DSN}."""
FILE_DATABASES = {
    **dict.fromkeys((".sqlite", ".sqlite3", ".db"), "sqlite"),
    **dict.fromkeys((".duckdb", ".ddb"), "duckdb"),
}
"""Databases that are a file, by the end of its name."""
_SECRET = re.compile(
    r"://[^/@:]*:(?P<password>[^@]*)@"
    r"|[?&;](?:password|passwd|pwd|token|secret|key|sslpassword)=(?P<option>[^&;]*)",
    re.IGNORECASE,
)


def _database(value: str) -> str:
    for found in _SECRET.finditer(value):
        secret = found.group("password") or found.group("option") or ""
        if VARIABLE.sub("", secret):
            # The message must not say it again.
            raise ValueError(
                "a password does not belong here; keep it in the environment: ${CRM_DSN}"
            )
    if "://" in value or VARIABLE.search(value):
        return value
    path = PurePosixPath(value)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(f"the database {value!r} lies outside the exports folder; move it there")
    if path.suffix.lower() not in FILE_DATABASES:
        raise ValueError(
            f"{value!r} is no database: write ${{NAME}} of the environment, or a file "
            f"({', '.join(FILE_DATABASES)})"
        )
    return value


def _statement(value: Any) -> Any:
    return value.strip().rstrip(";").strip() or None if isinstance(value, str) else value


class Place(Strict):
    """File of a source or part of a database, and what is declared of it.

    Examples
    --------
    >>> Place(file="orders_*.csv", delimiter=";", decimal=",").file_options().delimiter
    ';'
    """

    file: Annotated[str, Field(min_length=1)] | None = None
    database: Annotated[str, AfterValidator(_database)] | None = None
    table: Annotated[str, Field(min_length=1)] | None = None
    query: Annotated[str, BeforeValidator(_statement)] | None = None
    delimiter: Annotated[str, AfterValidator(_delimiter)] | None = None
    encoding: Annotated[str, AfterValidator(_encoding)] | None = None
    decimal: Literal[",", "."] | None = None
    sheet: Annotated[tuple[str, ...], BeforeValidator(_sheets)] = ()

    @model_validator(mode="after")
    def _is_one_place(self) -> Place:
        declared = {
            name: getattr(self, name) for name in ("delimiter", "encoding", "decimal", "sheet")
        }
        if (self.file is None) == (self.database is None):
            raise ValueError("say where the rows are: either file, or database")
        if self.file is not None and (self.table or self.query):
            raise ValueError("table and query are for a database; leave them out beside file")
        if self.database is not None and (self.table is None) == (self.query is None):
            raise ValueError("say what to read from the database: either table, or query")
        if self.database is not None and any(declared.values()):
            word = next(name for name, value in declared.items() if value)
            raise ValueError(f"{word} is for files; leave it out beside database")
        return self

    @model_validator(mode="after")
    def _fits_the_kind_of_file(self) -> Place:
        if self.file is None:
            return self
        suffix = self._suffix
        if self.sheet and suffix not in WORKBOOKS:
            raise ValueError(f"sheet is for workbooks ({', '.join(WORKBOOKS)}); leave it out")
        if self.decimal and not self.takes_decimal:
            raise ValueError(f"the numbers of a {suffix} file have no decimal sign; leave it out")
        return self

    @property
    def _suffix(self) -> str:
        kind = re.search(r"(\.\w+?)(?:\.(?:gz|zst))?$", (self.file or "").lower())
        return kind.group(1) if kind else ""

    @property
    def takes_decimal(self) -> bool:
        """Whether its numbers may have a declared decimal sign.

        Examples
        --------
        >>> Place(file="a.csv.gz").takes_decimal, Place(file="a.parquet").takes_decimal
        (True, False)
        """
        return self.file is not None and self._suffix not in (".parquet", *JSON)

    def file_options(
        self, sheet: str | None = None, unbroken: frozenset[str] = frozenset()
    ) -> FileOptions:
        """What a reader of the file is told.

        Examples
        --------
        >>> Place(file="orders.csv").file_options().delimiter is None
        True
        """
        utf8 = self.encoding and codecs.lookup(self.encoding).name in ("utf-8", "utf-8-sig")
        return FileOptions(
            delimiter=self.delimiter,
            encoding=None if utf8 else self.encoding,
            decimal=self.decimal,
            sheet=sheet,
            unbroken=unbroken,
        )
