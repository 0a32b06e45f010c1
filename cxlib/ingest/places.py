"""Where the rows of a source are: the part of `sources.yml` that says so."""

from __future__ import annotations

import codecs
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from cxlib.engine.files.options import FileOptions
from cxlib.engine.files.reading import JSON
from cxlib.engine.files.sheets import WORKBOOKS
from cxlib.ingest.fields import Strict

__all__ = ["Place"]


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


class Place(Strict):
    """File of a source, and what is declared of it.

    Examples
    --------
    >>> Place(file="orders_*.csv", delimiter=";", decimal=",").file_options().delimiter
    ';'
    """

    file: str = Field(min_length=1)
    delimiter: Annotated[str, AfterValidator(_delimiter)] | None = None
    encoding: Annotated[str, AfterValidator(_encoding)] | None = None
    decimal: Literal[",", "."] | None = None
    sheet: Annotated[tuple[str, ...], BeforeValidator(_sheets)] = ()

    @model_validator(mode="after")
    def _fits_the_kind_of_file(self) -> Place:
        kind = re.search(r"(\.\w+?)(?:\.(?:gz|zst))?$", self.file.lower())
        suffix = kind.group(1) if kind else ""
        if self.sheet and suffix not in WORKBOOKS:
            raise ValueError(f"sheet is for workbooks ({', '.join(WORKBOOKS)}); leave it out")
        if self.decimal and suffix in (".parquet", *JSON):
            raise ValueError(f"the numbers of a {suffix} file have no decimal sign; leave it out")
        return self

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
