"""Which rows of the exports came or went since an earlier snapshot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.types as ir

from cxlib.engine.writing import create_table
from cxlib.ingest.config import Sources
from cxlib.ingest.sources import StagedSource
from cxlib.ingest.staging import StagedFiles

if TYPE_CHECKING:
    from ibis.backends import BaseBackend

__all__ = ["Delta", "delta_of", "stamps_of"]


@dataclass(frozen=True)
class Delta:
    """What differs between the exports and an earlier snapshot of them.

    Attributes
    ----------
    customers
        ``customer_id`` of everyone of whom any row came or went.
    told
        Those among them of whom a row came or went that tells an attribute.
    sources
        Rows of the exports to look at again, by source.
    anew
        Names of the sources that are given whole; the others are given with the rows that came,
        and none of theirs went.
    came
        Rows that came, by source; None where any row went.
    """

    customers: ir.Table
    told: ir.Table
    sources: Mapping[str, StagedSource]
    anew: frozenset[str]
    came: Mapping[str, StagedSource] | None


def stamps_of(
    staged: Mapping[str, StagedSource], kept: StagedFiles, *, linked: bool
) -> dict[str, Any]:
    """What a later build must know of the rows of this one, for the meta data of a snapshot.

    Parameters
    ----------
    staged
        The workspace's sources, by name.
    kept
        Where their rows are.
    linked
        Whether customers are found by comparing records.

    Returns
    -------
    dict
        ``linked``, and ``files``: by source the names of the kept files, as they were written.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     stamps_of({}, StagedFiles(Path(folder, "staged"), "r1"), linked=False)
    {'linked': False, 'files': {}}
    """
    files = {
        name: [kept.stamp(place) for place in item.places.values()] for name, item in staged.items()
    }
    return {"linked": linked, "files": files}


def delta_of(
    con: BaseBackend,
    config: Sources,
    staged: Mapping[str, StagedSource],
    kept: StagedFiles,
    before: Mapping[str, Any],
    now: Mapping[str, Any],
) -> Delta | None:
    """What came and went since an earlier snapshot, where it tells on its own customers only.

    Parameters
    ----------
    con
        The connection that the new snapshot is written through.
    config
        The workspace's description, the same as that of the earlier snapshot.
    staged
        Its sources by name, whose rows know their customer.
    kept
        The rows of both builds.
    before, now
        What ``stamps_of`` gave for the earlier snapshot, and gives for this one.

    Returns
    -------
    Delta or None
        None where a row may tell on customers who have no part in it: records are compared with
        each other, or texts are brought to the scale of all scores; where a preset has other
        tables now; and where the rows of the earlier snapshot are gone or were written again.
    """
    calibrates = config.text.calibrate and any(
        rule.text is not None for source in config.sources.values() for rule in source.events
    )
    if now["linked"] or before["linked"] or calibrates:
        return None
    if before["files"].keys() != now["files"].keys():
        return None
    customers: list[ir.Table] = []
    told: list[ir.Table] = []
    again: dict[str, StagedSource] = {}
    anew: set[str] = set()
    any_went = False
    for name, item in staged.items():
        old, new = before["files"][name], now["files"][name]
        if old == new:
            continue
        gone = [stamp.split("@")[0] for stamp in old if stamp not in new]
        if [kept.stamp(place) for place in gone] != [stamp for stamp in old if stamp not in new]:
            return None
        files = [number for number, place in item.places.items() if kept.stamp(place) not in old]
        again[name] = item.of_files(files)
        any_went = any_went or bool(gone)
        lost = kept.read(con, f"{name}_gone", gone, keep=False)
        theirs = _customers_of(again[name].rows, lost)
        customers += theirs
        told += theirs if item.rule.attributes else []
        if new[: len(old)] != old:
            anew.add(name)
    for name in config.in_order()[::-1]:
        # A record is known since the earliest time in those that refer to it.
        if any(staged[other].rule.customer.of == name for other in {*again, *anew}):
            anew.add(name)
    came = None if any_went else dict(again)
    again |= {name: staged[name] for name in anew}
    changed = create_table(con, "cx_changed", _distinct(customers), temp=True)
    of_them = create_table(con, "cx_told", _distinct(told), temp=True)
    return Delta(changed, of_them, again, frozenset(anew), came)


def _distinct(customers: list[ir.Table]) -> ir.Table:
    if not customers:
        return ibis.memtable({"customer_id": []}, schema={"customer_id": "string"})
    return reduce(ir.Table.union, customers).distinct()


def _customers_of(came: ir.Table | None, gone: ir.Table | None) -> list[ir.Table]:
    """Customers of usable rows that came, and of those that went, who are as their rows say."""
    found = [] if came is None else [came.select(customer_id="cx_customer")]
    if gone is not None:
        found.append(gone.filter(gone.cx_reason.isnull()).select(customer_id="cx_party"))
    return found
