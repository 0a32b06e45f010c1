"""What changed in the exports and their columns since the last build."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING

from cxlib.errors import CxWarning

if TYPE_CHECKING:
    from cxlib.ingest.config import Sources
    from cxlib.ingest.sources import StagedSource

__all__ = ["column_changes", "columns_of", "renaming", "warn_of_changes"]


def columns_of(staged: Mapping[str, StagedSource]) -> dict[str, list[str]]:
    """Columns of each source, as its files have them, also of files that cannot be used.

    Examples
    --------
    >>> columns_of({})
    {}
    """
    found: dict[str, list[str]] = {}
    for name, item in staged.items():
        columns: dict[str, str] = {}
        for file in item.files:
            names = file.get("columns")
            for column in names if isinstance(names, list) else ():
                columns.setdefault(column.casefold(), column)
        found[name] = list(columns.values())
    return found


def column_changes(
    before: Mapping[str, Sequence[str]],
    now: Mapping[str, Sequence[str]],
    needed: Mapping[str, Iterable[str]],
) -> list[str]:
    """Sentences on sources that are gone, and on columns that are gone, new, or probably renamed.

    Parameters
    ----------
    before, now
        Columns by source; a source that was not there or could not be read has none.
    needed
        Columns that the description reads, by source.

    Examples
    --------
    >>> print(*column_changes({"orders": ["id", "at"]}, {"orders": ["id", "on"]}, {}))
    orders: the column 'at' is gone; 'on' is new: if it is the same, add aliases: {at: [on]}
    """
    said = []
    for name in now:
        old = {column.casefold(): column for column in before.get(name, ())}
        new = {column.casefold(): column for column in now[name]}
        if old and not new:
            said.append(f"{name}: nothing can be read any more, so the store has none of its rows")
        if not old or not new:
            continue
        gone = [old[key] for key in old if key not in new]
        come = [new[key] for key in new if key not in old]
        for column in gone:
            read = column in set(needed.get(name, ()))
            like = renaming(column, come) or (come[0] if len(gone) == len(come) == 1 else None)
            come = [other for other in come if other != like]
            said.append(f"{name}: {_gone(column, read)}{_new(column, like)}")
        said += [f"{name}: the column {column!r} is new" for column in come]
    return said


def warn_of_changes(
    before: Mapping[str, Sequence[str]], now: Mapping[str, Sequence[str]], config: Sources
) -> None:
    """Warn of sources and columns that are not those of the last build.

    Examples
    --------
    >>> from cxlib.ingest.config import Sources
    >>> rule = {"file": "orders.csv", "customer": {"key": "account"}}
    >>> shop = Sources.model_validate({"name": "shop", "sources": {"orders": rule}})
    >>> warn_of_changes({"orders": ["account"]}, {"orders": ["account"]}, shop)
    """
    needed = {name: rule.columns_read() for name, rule in config.sources.items()}
    for change in column_changes(before, now, needed):
        warnings.warn(f"since the last build, in {change}", CxWarning, stacklevel=4)


def renaming(column: str, others: Iterable[str], *, alike: float = 0.6) -> str | None:
    """Name among others that a column most probably has now; None where none is like it.

    Parameters
    ----------
    column
        The name that is sought.
    others
        Names that there are; case does not count.
    alike
        Share of the letters, in order, that two names must have in common.

    Examples
    --------
    >>> renaming("created_at", ["id", "createdAt"])
    'createdAt'
    """
    names = {other.casefold(): other for other in others}
    close = get_close_matches(column.casefold(), names, n=1, cutoff=alike)
    return names[close[0]] if close else None


def _gone(column: str, read: bool) -> str:
    return f"the column {column!r}{', which sources.yml reads,' if read else ''} is gone"


def _new(column: str, like: str | None) -> str:
    if like is None:
        return ""
    return f"; {like!r} is new: if it is the same, add aliases: {{{column}: [{like}]}}"
