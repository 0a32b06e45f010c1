"""A file or column that `sources.yml` names and the exports lack: what was probably meant."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cxlib.ingest.changes import renaming
from cxlib.ingest.config import Source

__all__ = ["no_file", "other_delimiter", "without_columns"]


def no_file(file: str) -> str:
    """Reason for a file that is not there.

    Examples
    --------
    >>> no_file("exports/orders.csv")
    'no such file; write it relative to the exports folder: file: orders.csv'
    """
    first, slash, rest = file.partition("/")
    hint = f"; write it relative to the exports folder: file: {rest}" if first == "exports" else ""
    return f"no such file{hint if slash else ''}"


def without_columns(missing: Sequence[str], columns: Sequence[str], rule: Source) -> str:
    """Reason for a file that lacks columns: another delimiter, close names, or an alias mend it.

    Parameters
    ----------
    missing
        Columns that the rules read and the file lacks.
    columns
        Those that it has.
    rule
        Description of its source.

    Examples
    --------
    >>> from cxlib.ingest.config import CustomerKey
    >>> rule = Source(file="a.csv", customer=CustomerKey(key="acount"))
    >>> without_columns(["acount"], ["account"], rule).partition("? (")[0]
    "no column 'acount'; did you mean 'account'"
    """
    said = f"no column {', '.join(repr(column) for column in missing)}"
    has = f"it has {', '.join(repr(column) for column in columns)}"
    delimiter = other_delimiter(missing, columns, rule)
    if delimiter is not None:
        return (
            f"{said}, since {rule.delimiter!r} does not part its first line; write delimiter: "
            f'"{delimiter}", or leave it out ({has})'
        )
    free = sorted(set(columns) - rule.columns_read())
    likely = {column: other for column in missing if (other := _meant(column, columns, free))}
    if not likely:
        return f"{said} ({has}); name one of these, or add aliases: {{{missing[0]}: [NAME]}}"
    meant = " and ".join(repr(other) for other in likely.values())
    aliases = ", ".join(f"{column}: [{name}]" for column, name in likely.items() if name in free)
    renamed = f"; where it is called so in some files only, add aliases: {{{aliases}}}"
    return f"{said}; did you mean {meant}? ({has}{renamed if aliases else ''})"


def _meant(column: str, columns: Iterable[str], free: Iterable[str]) -> str | None:
    """Column that was most probably meant: a slip first, then one that no rule reads."""
    slip = renaming(column, columns, alike=0.85)
    return slip or renaming(column, free) or renaming(column, columns)


def other_delimiter(missing: Sequence[str], columns: Sequence[str], rule: Source) -> str | None:
    """Delimiter by which a file has the missing columns, where its source declares another one.

    Examples
    --------
    >>> from cxlib.ingest.config import CustomerKey
    >>> rule = Source(file="a.csv", delimiter=",", customer=CustomerKey(key="account"))
    >>> other_delimiter(["account"], ["id;account"], rule)
    ';'
    """
    if rule.delimiter is None:
        return None
    line = rule.delimiter.join(columns).casefold()
    wanted = {column.casefold() for column in missing}
    others = (sign for sign in ",;\t|" if sign != rule.delimiter)
    return next((sign for sign in others if wanted <= set(line.split(sign))), None)
