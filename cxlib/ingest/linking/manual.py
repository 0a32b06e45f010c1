"""What people decided on who is who: `identities.yml` beside `sources.yml`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import pandas as pd
from pydantic import AfterValidator, Field

from cxlib.descriptions import read_description
from cxlib.errors import CxError, unknown_name
from cxlib.ingest.fields import Strict

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from cxlib.ingest.sources import StagedSource

__all__ = ["Decisions", "by_hand", "load_decisions", "records_of"]

Record = tuple[str, str]


def _record(value: str) -> str:
    source, colon, record = value.partition(":")
    if not (source.strip() and colon and record.strip()):
        raise ValueError(f"{value!r} names no record; write it as SOURCE:ID, such as crm:C17")
    return value


def _several(value: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(value)) < len(value):
        raise ValueError("a record stands twice in one list; name two or more different ones")
    return value


_Group = Annotated[
    tuple[Annotated[str, AfterValidator(_record)], ...],
    Field(min_length=2),
    AfterValidator(_several),
]


class Decisions(Strict):
    """Records that are one person, and records that are not, whatever the model says.

    Examples
    --------
    >>> decided = Decisions(same=[["crm:C1", "billing:B7"]])
    >>> list(decided.pairs("same"))
    [(('crm', 'C1'), ('billing', 'B7'))]
    """

    same: tuple[_Group, ...] = ()
    different: tuple[_Group, ...] = ()

    def pairs(self, kind: str) -> Iterator[tuple[Record, Record]]:
        """Pairs of records, each as source and id."""
        for group in getattr(self, kind):
            yield from combinations([_parted(text) for text in group], 2)

    def records(self) -> set[Record]:
        """Every record that is named."""
        return {_parted(text) for group in (*self.same, *self.different) for text in group}


def _parted(text: str) -> Record:
    source, _, record = text.partition(":")
    return source.strip(), record.strip()


def load_decisions(path: str | Path, sources: Iterable[str]) -> Decisions:
    """Decisions of a workspace; none where it has no such file.

    Parameters
    ----------
    path
        The file, usually ``identities.yml``.
    sources
        Names of the workspace's sources.

    Raises
    ------
    CxError
        When the file is not as it should be, with the line, or names a source that does not exist.

    Examples
    --------
    >>> load_decisions("nowhere/identities.yml", [])
    Decisions(same=(), different=())
    """
    if not Path(path).is_file():
        return Decisions()
    decided = read_description(
        path, Decisions, says="which records are one person", needs="same or different"
    )
    known = list(sources)
    for source, record in sorted(decided.records()):
        if source not in known:
            raise unknown_name("source", source, known, f"for {record!r} in {Path(path).name}")
    return decided


def records_of(decided: Decisions, staged: Mapping[str, StagedSource]) -> dict[Record, str]:
    """Party of each record that is named.

    Raises
    ------
    CxError
        When no usable row has the id of one.

    Examples
    --------
    >>> records_of(Decisions(), {})
    {}
    """
    found: dict[Record, str] = {}
    wanted = decided.records()
    for source in sorted({source for source, _ in wanted}):
        rows = staged[source].rows
        ids = [record for name, record in wanted if name == source]
        if rows is not None:
            rows = rows.filter(rows.cx_record.isin(ids)).select("cx_record", "cx_party")
            for row in rows.to_pyarrow().to_pylist():
                found[(source, row["cx_record"])] = row["cx_party"]
    for source, record in sorted(wanted):
        if (source, record) not in found:
            raise CxError(
                f"identities.yml names {source}:{record}, which no usable row of {source} has; "
                "correct it, or take it out"
            )
    return found


def by_hand(
    decided: Decisions, parties: Mapping[Record, str], numbered: ir.Table
) -> dict[str, pd.DataFrame]:
    """Numbers of the parties that are one person (``same``) and that are not (``different``).

    Parameters
    ----------
    decided
        The decisions.
    parties
        Party of each record, from ``records_of``.
    numbered
        ``n, party`` of every party.

    Examples
    --------
    >>> import ibis
    >>> numbered = ibis.memtable({"n": [0, 1], "party": ["a", "b"]})
    >>> decided = Decisions(different=[["crm:1", "crm:2"]])
    >>> by_hand(decided, {("crm", "1"): "a", ("crm", "2"): "b"}, numbered)["different"]
       left  right
    0     0      1
    """
    wanted = numbered.filter(numbered.party.isin(sorted(set(parties.values()))))
    number = dict(wanted.select("party", "n").to_pandas().itertuples(index=False))
    made = {}
    for kind in ("same", "different"):
        pairs = [
            sorted((int(number[parties[one]]), int(number[parties[other]])))
            for one, other in decided.pairs(kind)
        ]
        frame = pd.DataFrame(pairs, columns=["left", "right"]).astype("int64")
        # Records that say the same of themselves are one party.
        made[kind] = frame[frame["left"] < frame["right"]].drop_duplicates(ignore_index=True)
    return made
