"""Frequent subsequences: touchpoints that many journeys have in the same order."""

from __future__ import annotations

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir
import pandas as pd

from cxlib.errors import CxError
from cxlib.intervals import wilson_interval
from cxlib.journeys.log import Journeys, group_columns, named_groups
from cxlib.journeys.patterns import ARROW, path_text

__all__ = ["subsequences"]

_SUBSEQUENCES = [
    *("rank", "sequence", "touchpoints", "journeys", "occurrences", "n", "share"),
    *("lower", "upper"),
]


@named_groups
def subsequences(
    log: Journeys,
    *,
    length: int = 3,
    max_gap: int | None = 0,
    min_share: float = 0.01,
    top: int = 50,
    by: str | Sequence[str] | None = None,
) -> pd.DataFrame:
    """Touchpoints that many journeys have in the same order, wherever they stand in them.

    Parameters
    ----------
    log
        The log.
    length
        Touchpoints of a subsequence.
    max_gap
        How many other touchpoints may lie between one and the next. 0: they follow each other
        directly (n-grams); None: any number.
    min_share
        Smallest share of the journeys of a group that must have a subsequence, above 0. It also
        bounds the work: with gaps, only what begins with a frequent subsequence is extended.
    top
        Subsequences to return, for each group.
    by
        Column or columns of the events to count apart; a journey belongs to the group of its first
        event.

    Returns
    -------
    pandas.DataFrame
        One row per group and subsequence, most frequent first within a group: the ``by`` columns
        (text), ``rank`` int64 (from 1), ``sequence`` (text, the pattern that
        ``keep_journeys(matching=)`` takes to keep just these journeys), ``touchpoints`` (tuple of
        text), ``journeys`` int64 (that have it at least once), ``occurrences`` int64, ``n`` int64
        (journeys of the group, also those that are shorter), ``share`` float64 (of ``n``) with
        ``lower`` and ``upper`` (Wilson, 95 %).

    Raises
    ------
    CxError
        For an unknown ``by`` column, or a number out of its range.

    Notes
    -----
    A journey counts once in ``journeys``, however often it has the subsequence. An occurrence is an
    event that completes it: its last touchpoint, with the others before it as asked. So
    "a a b" has ``a -> * -> b`` once, and "a b b" twice. Subsequences of the same number of journeys
    stand, and are cut at ``top``, in alphabetical order. Events at the same time are taken in the
    order of their ``event_id``; use ``merge_repeats`` first where repeats should not count. Open
    journeys count with what they have so far.

    References
    ----------
    Srikant and Agrawal (1996), Mining sequential patterns: generalizations and performance
    improvements, EDBT.

    Examples
    --------
    >>> from cxlib import journeys_from_frame
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a", "a", "a", "b", "b"],
    ...      "touchpoint": ["visit", "ask", "buy", "visit", "buy"],
    ...      "occurred_at": ["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-01", "2024-01-02"]},
    ...     observed_until="2024-03-01", closes_after="7 days",
    ... )
    >>> subsequences(log, length=2)[["sequence", "journeys", "n", "share"]]
           sequence  journeys  n  share
    0    ask -> buy         1  2    0.5
    1  visit -> ask         1  2    0.5
    2  visit -> buy         1  2    0.5
    >>> subsequences(log, length=2, max_gap=None)[["sequence", "journeys", "share"]].head(1)
                sequence  journeys  share
    0  visit -> * -> buy         2    1.0
    """
    _check(length, max_gap, min_share, top)
    first, groups = group_columns(log.events.filter(log.events.step == 1), by, taken=_SUBSEQUENCES)
    journeys = log.journeys.select("journey_id", _path=log.journeys.path)
    if groups:
        journeys = journeys.join(first.select("journey_id", *groups), "journey_id")
    totals = journeys.aggregate(by=groups, n=journeys.count())
    names = _frequent_touchpoints(journeys, totals, groups, min_share)
    _check_room(len(names), length)
    # Numbers in place of names: many times faster to compare and to count.
    codes = [(name, code) for code, name in enumerate(names)]
    path = journeys._path.map(lambda name: name.cases(*codes, ("", -1), else_=-1))
    coded = journeys.mutate(_path=path)
    if max_gap == 0:
        rows = _runs(coded, length, len(names))
    else:
        rows = _with_gaps(coded, totals, groups, length, len(names), max_gap, min_share)
    counts = _frequent(rows, totals, groups, min_share)
    order = ibis.window(group_by=groups, order_by=[counts.journeys.desc(), counts._key])
    ranked = counts.mutate(rank=ibis.row_number().over(order) + 1)
    frame = ranked.filter(ranked["rank"] <= top).to_pandas()
    return _shares(frame, groups, _decoded(frame["_key"], names, length), max_gap)


def _frequent_touchpoints(
    journeys: ir.Table, totals: ir.Table, groups: list[str], min_share: float
) -> list[str]:
    """Touchpoints that are frequent in some group; the others are in no frequent subsequence."""
    rows = journeys.select(*groups, _key=journeys._path.unique().unnest())
    counts = rows.group_by([*groups, "_key"]).aggregate(journeys=rows.count())
    frequent = _of_totals(counts, totals, groups, min_share)
    return sorted(frequent.select("_key").distinct().to_pandas()["_key"])


def _runs(journeys: ir.Table, length: int, size: int) -> ir.Table:
    """One row per stretch of frequent touchpoints that follow each other directly."""
    # A negative range would count down.
    stretches = ibis.greatest(journeys._path.length() - (length - 1), 0)
    rows = journeys.mutate(_at=ibis.range(0, stretches).unnest())
    codes = [rows._path[rows._at + shift].cast("int64") for shift in range(length)]
    key = codes[0]
    for code in codes[1:]:
        key = key * size + code
    return rows.mutate(_key=key).filter([code >= 0 for code in codes]).drop("_at")


def _with_gaps(
    journeys: ir.Table,
    totals: ir.Table,
    groups: list[str],
    length: int,
    size: int,
    max_gap: int | None,
    min_share: float,
) -> ir.Table:
    """One row per way to have the touchpoints in order; ``_at`` is where the last one stands."""
    start = journeys.mutate(_at=ibis.literal(-1, type="int64"), _key=ibis.literal(0, type="int64"))
    rows = _extend(start, size, None, anywhere=max_gap is not None)
    for place in range(1, length):
        if place > 1:
            # What begins with a rare subsequence is rare itself.
            known = _frequent(rows, totals, groups, min_share).select("_key").to_pandas()
            known = ibis.memtable(known.drop_duplicates(), schema={"_key": "int64"})
            rows = rows.semi_join(known, "_key")
        if max_gap is None:
            # From its earliest completion on, every later event can come next.
            rows = rows.filter(rows._first)
        rows = _extend(rows, size, max_gap, anywhere=max_gap is not None)
    return rows


def _extend(rows: ir.Table, size: int, max_gap: int | None, *, anywhere: bool) -> ir.Table:
    """Rows with each frequent touchpoint that may come next.

    ``_first`` says whether it is the first of its name there; not known where gaps are bounded,
    because then one end is reached in several ways.
    """
    stop = rows._path.length()
    if max_gap is not None:
        stop = ibis.least(rows._at + max_gap + 2, stop)
    rows = rows.mutate(_from=rows._at + 1).mutate(_at=ibis.range(rows._at + 1, stop).unnest())
    rows = rows.mutate(_code=rows._path[rows._at].cast("int64"))
    rows = rows.filter(rows._code >= 0)
    rows = rows.mutate(_key=rows._key * size + rows._code)
    if anywhere:
        return rows.drop("_code", "_from")
    first = ~rows._path[rows._from : rows._at].contains(rows._code)
    return rows.mutate(_first=first).drop("_code", "_from")


def _frequent(rows: ir.Table, totals: ir.Table, groups: list[str], min_share: float) -> ir.Table:
    """Subsequences that are frequent in their group, with the journeys that have them."""
    keys = [*groups, "_key"]
    if "_first" in rows.columns:
        counts = rows.group_by(keys).aggregate(
            journeys=rows._first.cast("int64").sum(), occurrences=rows.count()
        )
    else:
        # With bounded gaps the same end may be reached in several ways: it is one occurrence.
        times = rows._at.nunique() if "_at" in rows.columns else rows.count()
        per_journey = rows.group_by([*keys, "journey_id"]).aggregate(times=times)
        counts = per_journey.group_by(keys).aggregate(
            journeys=per_journey.count(), occurrences=per_journey.times.sum()
        )
    return _of_totals(counts, totals, groups, min_share)


def _of_totals(counts: ir.Table, totals: ir.Table, groups: list[str], min_share: float) -> ir.Table:
    joined = counts.join(totals, groups) if groups else counts.cross_join(totals)
    joined = joined.select(*counts.columns, "n")
    return joined.filter(joined.journeys / joined.n >= min_share)


def _decoded(keys: pd.Series, names: list[str], length: int) -> list[tuple[str, ...]]:
    places = [len(names) ** power for power in reversed(range(length))]
    return [tuple(names[int(key) // place % len(names)] for place in places) for key in keys]


def _shares(
    frame: pd.DataFrame, groups: list[str], paths: list[tuple[str, ...]], max_gap: int | None
) -> pd.DataFrame:
    frame = frame.astype(dict.fromkeys(["rank", "journeys", "occurrences", "n"], "int64"))
    between = [] if max_gap == 0 else ["*"] if max_gap is None else [".?"] * max_gap
    joint = f" {ARROW} ".join(["", *between, ""])
    texts = [joint.join(path_text([name]) for name in path) for path in paths]
    lower, upper = wilson_interval(frame["journeys"], frame["n"])
    frame = frame.assign(
        touchpoints=pd.Series(paths, index=frame.index, dtype="object"),
        sequence=pd.Series(texts, index=frame.index, dtype="object"),
        share=frame["journeys"] / frame["n"],
        lower=lower,
        upper=upper,
    )
    frame = frame.sort_values([*groups, "rank"], ignore_index=True)
    return frame[[*groups, *_SUBSEQUENCES]]


def _check(length: int, max_gap: int | None, min_share: float, top: int) -> None:
    for name, size, smallest in (("length", length, 1), ("top", top, 1), ("max_gap", max_gap, 0)):
        if size is not None and size < smallest:
            raise CxError(f"{name} is {size}, and must be at least {smallest}")
    if not 0 < min_share <= 1:
        raise CxError(f"min_share is {min_share}, and must lie above 0 and not above 1")


def _check_room(size: int, length: int) -> None:
    if size**length >= 2**63:
        raise CxError(
            f"{size:,} touchpoints are frequent, too many to count subsequences of {length}; "
            "raise min_share or take a smaller length"
        )
