"""What looks wrong in `sources.yml` by a sample of the exports, and may be its bad luck."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from difflib import get_close_matches

import ibis.expr.types as ir
import pandas as pd

from cxlib.ingest.config import EventRule, Sources
from cxlib.ingest.rules import applies
from cxlib.ingest.sources import StagedSource

__all__ = ["find_doubts"]

_MOST_VALUES = 1_000
"""Values of a column among which one is sought that a condition may have meant."""


def find_doubts(
    config: Sources,
    staged: Mapping[str, StagedSource],
    counts: pd.DataFrame,
    touchpoints: Collection[str],
    elsewhere: Callable[[str, str], bool] = lambda source, text: False,
) -> list[str]:
    """What looks wrong, in sentences.

    Parameters
    ----------
    config
        The workspace's description.
    staged
        Its sources, by name, with the rows that were looked at.
    counts
        One row per source: ``source``, ``rows``, ``rejected`` and ``reason``.
    touchpoints
        Those of the events that these rows give.
    elsewhere
        Whether further rows of a source, by its name, hold a text: then it is no doubt that these
        rows lack it.

    Returns
    -------
    list of str
        On sources most of whose rows are rejected, event rules whose ``when`` and ``unless`` no
        usable row meets, values of a map that rows spell in another case, and touchpoints that
        ``journeys``, ``spells`` or ``meaning`` name and no row gives. A rule is passed over where
        its columns may be lacking (``may_lack``), as in presets, which describe more than most
        exports hold.

    Examples
    --------
    >>> rule = {"file": "orders.csv", "customer": {"key": "account"}}
    >>> shop = Sources.model_validate({"name": "shop", "sources": {"orders": rule}})
    >>> counted = {"source": "orders", "rows": 9, "rejected": 8, "reason": "no id"}
    >>> find_doubts(shop, {}, pd.DataFrame([counted]), [])
    ['orders: 8 of 9 rows rejected, such as no id']
    """
    said = [
        f"{row['source']}: {row['rejected']:,} of {row['rows']:,} rows rejected, such as "
        f"{row['reason']}"
        for row in counts.to_dict("records")
        if row["rows"] / 2 < row["rejected"] < row["rows"]
    ]
    unmet: set[str] = set()
    for item in staged.values():
        for rule in _unmet(item):
            if not _met_elsewhere(item, rule, elsewhere):
                said.append(f"{item.name}: {_unmet_said(item, rule)}")
            unmet |= {rule.touchpoint} if isinstance(rule.touchpoint, str) else set()
        said += [
            f"{item.name}: {text}" for rule in item.rule.events for text in _spelled(item, rule)
        ]
    for name, where in _named(config):
        if name not in touchpoints and name not in unmet and not _given(config, name, elsewhere):
            likely = _likely(name, touchpoints)
            said.append(f"no row gives {name!r}, which {where} names{likely}")
    return said


def _unmet(item: StagedSource) -> list[EventRule]:
    """Event rules with conditions that no usable row meets."""
    rows = item.rows
    rules = {
        f"n_{number}": rule
        for number, rule in enumerate(item.rule.events)
        if (rule.when or rule.unless) and not {*rule.when, *rule.unless} <= set(item.rule.may_lack)
    }
    if rows is None or not rules:
        return []
    met = {name: rows.count(where=applies(rows, rule)) for name, rule in rules.items()}
    (counted,) = rows.aggregate(n=rows.count(), **met).to_pyarrow().to_pylist()
    return [rule for name, rule in rules.items() if counted["n"] and not counted[name]]


def _met_elsewhere(
    item: StagedSource, rule: EventRule, elsewhere: Callable[[str, str], bool]
) -> bool:
    conditions = rule.when.values()
    return bool(conditions) and all(
        any(elsewhere(item.name, value) for value in values) for values in conditions
    )


def _given(config: Sources, name: str, elsewhere: Callable[[str, str], bool]) -> bool:
    """Whether further rows hold a text that a column gives as this touchpoint."""
    for source, rule in config.sources.items():
        columns = [one.touchpoint for one in rule.events if not isinstance(one.touchpoint, str)]
        for column in columns:
            texts = [said for said, meant in column.map.items() if meant == name]
            texts += [name] if column.other == "keep" else []
            if any(elsewhere(source, text) for text in texts):
                return True
    return False


def _unmet_said(item: StagedSource, rule: EventRule) -> str:
    named = rule.touchpoint if isinstance(rule.touchpoint, str) else rule.touchpoint.column
    said = f"no row gives {named!r}, since none meets its when and unless"
    if item.rows is None:
        return said
    for column, values in rule.when.items():
        seen = _values(item.rows, column)
        if not set(values) & set(seen):
            wanted = " or ".join(repr(value) for value in values)
            hint = _likely(values[0], seen) or f"; there are {_listed(seen)}"
            return f"no row gives {named!r}: {column!r} is nowhere {wanted}{hint}"
    return said


def _spelled(item: StagedSource, rule: EventRule) -> list[str]:
    """What is said of values of a map that stand in the rows in another case only."""
    named = rule.touchpoint
    if isinstance(named, str) or item.rows is None:
        return []
    seen = _values(item.rows, named.column)
    alike = {value.casefold(): value for value in seen}
    return [
        f"{named.column!r} is nowhere {value!r}; did you mean {alike[value.casefold()]!r}?"
        for value in named.map
        if value not in seen and value.casefold() in alike
    ]


def _values(rows: ir.Table, column: str) -> list[str]:
    found = rows.select(value=rows[column]).distinct().limit(_MOST_VALUES)
    return sorted(value for value in found.to_pyarrow()["value"].to_pylist() if value is not None)


def _named(config: Sources) -> Iterator[tuple[str, str]]:
    """Touchpoints that are named beside the sources, each once, and where."""
    named: dict[str, str] = {}
    for word, names in (("start", config.journeys.start), ("end", config.journeys.end)):
        named |= {name: f"journeys: {word}" for name in names if name not in named}
    for spell, rule in config.spells.items():
        named |= {name: f"spells: {spell}" for name in rule.touchpoints() if name not in named}
    named |= {name: "meaning" for name in config.meaning.touchpoints() if name not in named}
    yield from named.items()


def _likely(name: str, known: Collection[str]) -> str:
    close = get_close_matches(name, sorted(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


def _listed(values: list[str], most: int = 6) -> str:
    if not values:
        return "no values"
    return ", ".join(map(repr, values[:most])) + (", …" if len(values) > most else "")
