"""Why two records are one customer, or are not: the decisions that lead from one to the other."""

from __future__ import annotations

from collections import deque
from pathlib import Path

import pandas as pd

from cxlib.engine.store import Snapshot, open_store
from cxlib.errors import CxError, unknown_name

__all__ = ["explain_identity"]

_COLUMNS = [
    "left_source",
    "left_id",
    "right_source",
    "right_id",
    "decision",
    "rule",
    "match_weight",
    "probability",
    "evidence",
    "known_at",
]
_Node = tuple[str, str]


def explain_identity(store: Snapshot | str | Path, a: str, b: str) -> pd.DataFrame:
    """Decisions by which two records are one customer, or the one that keeps them apart.

    Parameters
    ----------
    store
        A snapshot, or the workspace whose current one is asked.
    a, b
        The records, each as ``"SOURCE:ID"``, such as ``"crm_contacts:C17"``.

    Returns
    -------
    pandas.DataFrame
        One row per decision, from ``a`` to ``b`` by the fewest steps: ``left_source, left_id,
        right_source, right_id, decision, rule, match_weight`` (bits), ``probability, evidence``
        (level and weight in bits of each field), ``known_at``. Where they are not one customer: the
        decisions on the pair itself, or no row where nothing was found that speaks for it.
        A record that tells the same as an earlier one of its source stands for it.

    Raises
    ------
    CxError
        When a record is not written as ``SOURCE:ID``, or does not exist.

    Examples
    --------
    >>> explain_identity("data/nowhere", "crm:C1", "billing:B1")
    Traceback (most recent call last):
    ...
    cxlib.errors.CxError: there is no store in 'data/nowhere'; run: cxlib build data/nowhere
    """
    snapshot = open_store(store)
    one, other = (_known(snapshot, text) for text in (a, b))
    same = one["customer_id"] == other["customer_id"]
    ends = [(row["source"], row["record_id"]) for row in (one, other)]
    merges = snapshot.table("merges")
    if not same:
        frame = merges.filter(
            merges.left_id.isin([ends[0][1], ends[1][1]]),
            merges.right_id.isin([ends[0][1], ends[1][1]]),
        ).to_pandas()
        of_both = [row.Index for row in frame.itertuples() if _pair(row) == set(ends)]
        return frame.loc[of_both, _COLUMNS].reset_index(drop=True)
    known = snapshot.table("identities")
    mine = known.filter(known.customer_id == one["customer_id"]).select("source", "record_id")
    joined = merges.semi_join(
        mine, [merges.left_source == mine["source"], merges.left_id == mine.record_id]
    )
    frame = joined.filter(joined.decision.isin(["manual", "key", "model"])).to_pandas()
    frame = frame.sort_values(["decision", "left_id", "right_id"], ignore_index=True)
    return frame.loc[_path(frame, *ends), _COLUMNS].reset_index(drop=True)


def _known(snapshot: Snapshot, text: str) -> dict[str, str]:
    source, colon, record = text.partition(":")
    if not (source and colon and record):
        raise CxError(f"{text!r} names no record; write it as 'SOURCE:ID', such as 'crm:C17'")
    known = snapshot.table("identities")
    sources = known.select("source").distinct().to_pyarrow()["source"].to_pylist()
    if source not in sources:
        raise unknown_name("source", source, sources, "that names customers")
    rows = known.filter(known["source"] == source, known.record_id == record)
    found = rows.limit(1).to_pyarrow().to_pylist()
    if not found:
        raise CxError(f"the source {source!r} has no usable record {record!r}; check its id")
    return dict(found[0])


def _pair(row: object) -> set[_Node]:
    return {
        (row.left_source, row.left_id),  # type: ignore[attr-defined]
        (row.right_source, row.right_id),  # type: ignore[attr-defined]
    }


def _path(frame: pd.DataFrame, start: _Node, end: _Node) -> list[int]:
    """Numbers of the rows on the shortest way from one record to another."""
    steps: dict[_Node, list[tuple[_Node, int]]] = {}
    for number, row in enumerate(frame[_COLUMNS[:4]].astype(str).to_numpy().tolist()):
        left, right = (row[0], row[1]), (row[2], row[3])
        steps.setdefault(left, []).append((right, number))
        steps.setdefault(right, []).append((left, number))
    came: dict[_Node, tuple[_Node, int] | None] = {start: None}
    queue = deque([start])
    while queue and end not in came:
        node = queue.popleft()
        for neighbour, number in steps.get(node, []):
            if neighbour not in came:
                came[neighbour] = (node, number)
                queue.append(neighbour)
    path: list[int] = []
    while (before := came.get(end)) is not None:
        end = before[0]
        path.append(before[1])
    return path[::-1]
