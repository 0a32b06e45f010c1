"""Indicators of sequences: how mixed, how changeable and how far from good a journey is."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, islice, pairwise

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from cxlib.errors import CxError, unknown_name
from cxlib.intervals import mean_interval
from cxlib.journeys.log import MOST_GROUPS, Journeys, as_list, group_columns, named_groups

__all__ = ["add_indicators", "sequence_indicators"]

INDICATORS = ("entropy", "complexity", "turbulence", "volatility")
# Ritschard, Bussi and O'Reilly (2018): weight of the start, exponent of the correction.
_START_WEIGHT, _CORRECTION_POWER = 0.2, 1.2
_COLUMNS = ["indicator", "journeys", "open", "n", "mean", "lower", "upper", "p10", "median", "p90"]


@named_groups
def sequence_indicators(
    log: Journeys,
    *,
    on: str = "touchpoint",
    order: Sequence[str] | None = None,
    by: str | Sequence[str] | None = None,
) -> pd.DataFrame:
    """How mixed, changeable and far from good journeys are, on average and at both ends.

    Parameters
    ----------
    log
        The log.
    on
        Column of the events whose values make the sequence: "touchpoint", "stage", "department",
        "channel" or any other. Events without a value are passed over.
    order
        Values of that column from the best to the worst, for ``precarity``; values that are not
        named can be compared with none, and are passed over by it.
    by
        Column or columns of the events to count apart; a journey is in the group of its first
        event.

    Returns
    -------
    pandas.DataFrame
        One row per group and indicator: the ``by`` columns and ``indicator`` (text), ``journeys``
        int64 (of the group), ``open`` int64 (of these, still open: their path so far is taken),
        ``n`` int64 (journeys with a value), ``mean`` float64 with ``lower`` and ``upper``
        (Student's t, 95 %), ``p10``, ``median`` and ``p90`` float64 (smallest value that so many
        of the journeys do not exceed).

    Raises
    ------
    CxError
        For an unknown column or value, a column with too many values, or an order with repeats.

    Notes
    -----
    A journey is a sequence x of l values, one per event, from an alphabet of a: the values that
    the log has. Runs of one value are spells; t is their lengths, d their number, and q = d - 1
    the changes.

    - ``entropy``: -Σ p log p over the shares p of the values in x, of log a. 0 to 1.
    - ``complexity``: the geometric mean of entropy and q / (l - 1). 0 to 1.
    - ``turbulence``: log2 of φ (s²max + 1) / (s² + 1), with φ the distinct subsequences of the
      spells (the empty one too), s² the variance of t, and s²max = (d - 1)(1 - l / d)². From 1,
      without a bound; it grows with the length.
    - ``volatility``: the mean of (visited values - 1) / (a - 1) and q / (l - 1). 0 to 1.
    - ``precarity``: 0.2 u + 0.8 (1 + r)^1.2 times complexity, with u the rank of the first value
      (0 the best, 1 the worst) and r the changes for the worse less those for the better, of all
      changes between values that are ranked. Only with ``order``.

    One value in the alphabet, or one event, has no entropy and no change: 0. Weights of changes by
    their rarity, which TraMineR applies to precarity, are not used. The indicators say nothing
    about time: an event counts one, however long it lasted.

    References
    ----------
    Gabadinho, Ritschard, Studer and Müller (2010), Extraction et gestion des connaissances, 61-66.
    Elzinga and Liefbroer (2007), European Journal of Population 23, 225-250.
    Brzinsky-Fay (2007), Schmollers Jahrbuch 127, 11-23.
    Ritschard, Bussi and O'Reilly (2018), An index of precarity, in Sequence Analysis and Related
    Approaches, 279-295.
    Ritschard (2021), Measuring the nature of individual sequences, Sociological Methods & Research.

    Examples
    --------
    >>> from cxlib import journeys_from_frame
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a", "a", "a", "b"], "touchpoint": ["visit", "buy", "visit", "visit"],
    ...      "occurred_at": ["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-01"]},
    ...     observed_until="2024-03-01", closes_after="7 days",
    ... )
    >>> sequence_indicators(log)[["indicator", "n", "mean", "median"]].round(3)
        indicator  n   mean  median
    0     entropy  2  0.459     0.0
    1  complexity  2  0.479     0.0
    2  turbulence  2  1.904     1.0
    3  volatility  2  0.500     0.0
    """
    ranks = _ranks(log, on, order)
    events, groups = group_columns(log.events, by, taken=_COLUMNS)
    paths, size = _paths(log, on)
    first = events.filter(events.step == 1).select("journey_id", *groups)
    rows = paths.join(first, "journey_id") if groups else paths
    counted = rows.group_by([*groups, "path"]).aggregate(
        journeys=rows.count(), open=rows.is_open.cast("int64").sum()
    )
    frame = counted.to_pandas()
    found = frame["path"].map(tuple)
    table = _measure(found.drop_duplicates(), size, ranks)
    place = {path: number for number, path in enumerate(table.index)}
    measured = table.iloc[[place[path] for path in found]].reset_index(drop=True)
    frame = frame.drop(columns="path").join(measured)
    names = [name for name in (*INDICATORS, "precarity") if name in frame]
    rows_of = (
        {**dict(zip(groups, key, strict=True)), **row}
        for key, part in _parts(frame, groups)
        for row in _summaries(part, names)
    )
    return pd.DataFrame(rows_of, columns=[*groups, *_COLUMNS]).astype(_kinds())


def add_indicators(
    log: Journeys, *, on: str = "touchpoint", order: Sequence[str] | None = None
) -> Journeys:
    """Log whose journeys carry their indicators, so that they can be kept or compared by them.

    Parameters
    ----------
    log, on, order
        As for ``sequence_indicators``.

    Returns
    -------
    Journeys
        ``journeys`` has the columns ``entropy``, ``complexity``, ``turbulence``, ``volatility``,
        and with ``order`` also ``precarity``, float64; the events stay as they were. Verbs that
        change events make the table of journeys anew, without them.

    Raises
    ------
    CxError
        As for ``sequence_indicators``, or when the journeys have one of these columns already.

    Notes
    -----
    The engine groups equal paths; each distinct one is measured once and joined back.

    Examples
    --------
    >>> from cxlib import journeys_from_frame, keep_journeys
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a", "a", "b"], "touchpoint": ["visit", "buy", "visit"],
    ...      "occurred_at": ["2024-01-01", "2024-01-02", "2024-01-01"]},
    ...     observed_until="2024-03-01", closes_after="7 days",
    ... )
    >>> mixed = keep_journeys(add_indicators(log), where=lambda row: row.complexity > 0.5)
    >>> mixed.journeys.select("journey_id", "complexity").to_pandas()
      journey_id  complexity
    0          a         1.0
    """
    ranks = _ranks(log, on, order)
    names = [*INDICATORS, *(["precarity"] if ranks else [])]
    for name in names:
        if name in log.journeys.columns:
            raise CxError(f"the journeys have a column {name!r} already; drop it first")
    paths, size = _paths(log, on)
    distinct = paths.select("path").distinct().to_pandas()["path"]
    table = _measure(distinct.map(tuple), size, ranks)
    key = pd.Series([_SEPARATOR.join(path) for path in table.index], dtype="object")
    table = table.reset_index(drop=True).assign(_key=key)
    measured = ibis.memtable(table, schema={**dict.fromkeys(names, "float64"), "_key": "string"})
    keyed = paths.select(_journey="journey_id", _key=paths.path.join(_SEPARATOR))
    values = keyed.join(measured, "_key").select("_journey", *names)
    journeys = log.journeys.left_join(values, log.journeys.journey_id == values._journey)
    return replace(log, journeys=journeys.select(*log.journeys.columns, *names))


_SEPARATOR = "\x1f"  # the unit separator of ASCII, which no name has


@dataclass(frozen=True)
class _Spells:
    """Values of a path without repeats in a row, and how many events each lasted."""

    states: tuple[str, ...]
    lengths: tuple[int, ...]

    @classmethod
    def of(cls, path: Sequence[str]) -> _Spells:
        runs = [(value, sum(1 for _ in run)) for value, run in groupby(path)]
        return cls(tuple(value for value, _ in runs), tuple(length for _, length in runs))


def _paths(log: Journeys, on: str) -> tuple[ir.Table, int]:
    """One row per journey with its sequence, and the number of values that the log has."""
    journeys = log.journeys.select("journey_id", "is_open", "path")
    size = int(log.events[on].nunique().to_pandas())
    if on == "touchpoint":
        return journeys, size
    if size > MOST_GROUPS:
        raise CxError(
            f"the column {on!r} has {size:,} values, too many for a sequence; bin it into at most "
            f"{MOST_GROUPS:,} first"
        )
    known = log.events.filter(log.events[on].notnull())
    placed = ibis.struct({"step": known.step, "value": known[on].cast("string")})
    paths = known.group_by("journey_id").aggregate(path=placed.collect())
    paths = paths.mutate(path=paths.path.sort().map(lambda event: event.value))
    joined = journeys.drop("path").join(paths, "journey_id")
    # Selected first: a join that goes on from this one could not be on a computed column.
    return joined.select("journey_id", "is_open", "path"), size


def _ranks(log: Journeys, on: str, order: Sequence[str] | None) -> dict[str, float]:
    """Undesirableness of each value, from 0 to 1."""
    if on not in log.events.columns:
        raise unknown_name("column", on, log.events.columns, "in the log")
    names = as_list(order)
    if not names:
        return {}
    if len(set(names)) < len(names) or len(names) < 2:
        raise CxError(
            f"the order {names!r} does not rank; give two values or more, each once, from the "
            "best to the worst"
        )
    held = log.events.select(value=log.events[on].cast("string")).distinct()
    held = held.limit(MOST_GROUPS).to_pandas()["value"].dropna()
    for name in names:
        if name not in set(held):
            raise unknown_name(on, name, held, "in the log")
    return {name: place / (len(names) - 1) for place, name in enumerate(names)}


def _measure(paths: Iterable[tuple[str, ...]], size: int, ranks: dict[str, float]) -> pd.DataFrame:
    """One row per path, which is the index."""
    distinct = list(dict.fromkeys(paths))
    rows = [_measure_path(path, size, ranks) for path in distinct]
    index = pd.Index(distinct, tupleize_cols=False)
    names = [*INDICATORS, *(["precarity"] if ranks else [])]
    return pd.DataFrame(rows, index=index, columns=names, dtype="float64")


def _measure_path(path: tuple[str, ...], size: int, ranks: dict[str, float]) -> dict[str, float]:
    spells, counts = _Spells.of(path), Counter(path)
    shares = [count / len(path) for count in counts.values()]
    entropy = -sum(p * math.log(p) for p in shares) / math.log(size) if size > 1 else 0.0
    changes = (len(spells.states) - 1) / (len(path) - 1) if len(path) > 1 else 0.0
    visited = (len(counts) - 1) / (size - 1) if size > 1 else 0.0
    entropy = max(0.0, entropy)  # not -0.0
    complexity = math.sqrt(entropy * changes)
    row = {
        "entropy": entropy,
        "complexity": complexity,
        "turbulence": _turbulence(spells),
        "volatility": (visited + changes) / 2,
    }
    return row | ({"precarity": _precarity(spells, complexity, ranks)} if ranks else {})


def _turbulence(spells: _Spells) -> float:
    """Elzinga and Liefbroer (2007), with the variance as TraMineR takes it (type 1)."""
    number = len(spells.lengths)
    mean = sum(spells.lengths) / number
    variance = sum((length - mean) ** 2 for length in spells.lengths) / number
    most = (number - 1) * (1 - mean) ** 2
    return math.log2(_subsequences(spells.states)) + math.log2((most + 1) / (variance + 1))


def _subsequences(values: Sequence[str]) -> int:
    """Distinct subsequences, the empty one included.

    Examples
    --------
    >>> _subsequences("aba")  # nothing, a, b, aa, ab, ba, aba
    7
    """
    # Each value doubles what there is, but for what its last occurrence had made already.
    total, before = 1, dict[str, int]()
    for value in values:
        total, before[value] = 2 * total - before.get(value, 0), total
    return total


def _precarity(spells: _Spells, complexity: float, ranks: dict[str, float]) -> float:
    """Ritschard, Bussi and O'Reilly (2018), each change between ranked values counting one."""
    places = [ranks[value] for value in spells.states if value in ranks]
    if not places:
        return math.nan
    moves = [later - earlier for earlier, later in pairwise(places) if later != earlier]
    worse = sum(1 if move > 0 else -1 for move in moves) / len(moves) if moves else 0.0
    corrected = (1 + worse) ** _CORRECTION_POWER * complexity
    return _START_WEIGHT * places[0] + (1 - _START_WEIGHT) * corrected


def _parts(
    frame: pd.DataFrame, groups: list[str]
) -> Iterator[tuple[tuple[object, ...], pd.DataFrame]]:
    """Each group with its rows; the whole without groups, if there is any."""
    if groups:
        yield from ((key, part) for key, part in frame.groupby(groups, sort=True))
    else:
        yield from islice([((), frame)], min(len(frame), 1))


def _summaries(part: pd.DataFrame, names: list[str]) -> Iterator[dict[str, object]]:
    """Mean, interval and quantiles of each indicator, paths weighted by their journeys."""
    for name in names:
        known = part[part[name].notna()].sort_values(name)
        value, weight = known[name].to_numpy(), known["journeys"].to_numpy()
        n = int(weight.sum())
        mean = float(np.average(value, weights=weight)) if n else math.nan
        squares = float(np.sum(weight * (value - mean) ** 2)) if n else math.nan
        lower, upper = mean_interval(mean, math.sqrt(squares / max(n - 1, 1)), n)
        reached = np.cumsum(weight)
        quantiles = {
            label: float(value[np.searchsorted(reached, share * n)]) if n else math.nan
            for label, share in (("p10", 0.1), ("median", 0.5), ("p90", 0.9))
        }
        yield {
            "indicator": name,
            "journeys": int(part["journeys"].sum()),
            "open": int(part["open"].sum()),
            **{"n": n, "mean": mean, "lower": float(lower), "upper": float(upper)},
            **quantiles,
        }


def _kinds() -> dict[str, str]:
    counts = dict.fromkeys(("journeys", "open", "n"), "int64")
    return counts | dict.fromkeys(_COLUMNS[4:], "float64")
