"""A journey map proposed from what customers do, with the evidence for it."""

from __future__ import annotations

from dataclasses import dataclass

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from cxlib.errors import CxError
from cxlib.journeys.log import Journeys
from cxlib.journeys.maps import JourneyMap

__all__ = ["step_evidence", "suggest_map"]

_EVIDENCE = [
    *("stage", "touchpoint", "journeys", "n", "share", "median_step", "median_place"),
    *("next_touchpoint", "both", "before_next"),
]
_MOST = 60
_LARGEST_GROUP = 8
_WHOLE = "journey"


def suggest_map(
    log: Journeys,
    *,
    name: str = "Suggested journey",
    at_least: float = 0.05,
    optional_below: float = 0.5,
    any_order_within: float = 0.1,
    smallest: int = 10,
) -> JourneyMap:
    """Journey map that the log suggests: to be read, corrected and kept by people.

    Parameters
    ----------
    log
        The log.
    name
        What to call the map.
    at_least
        Smallest share of journeys with a touchpoint for it to be in the map.
    optional_below
        Share of journeys below which a step is optional.
    any_order_within
        Distance from 50:50 up to which neighbours are put in any order: with 0.1, when each comes
        first in 40 to 60 % of the journeys that have both.
    smallest
        Fewest journeys with both touchpoints that say anything about their order.

    Returns
    -------
    JourneyMap
        Stages are those of the events, a touchpoint's most frequent one; without any, one stage
        holds all. ``step_evidence`` gives the shares and orders that it rests on.

    Raises
    ------
    CxError
        For a log without events, a share outside [0, 1], or when no touchpoint is frequent enough.

    Notes
    -----
    What most customers do is not what is good for them, nor what was planned. Touchpoints are
    ordered by the share of the other touchpoints' journeys in which they come first, then by their
    median place; neighbours are swapped as long as most journeys that have both go the other way.
    Stages follow the median place of their touchpoints. Repeated touchpoints stand where
    they come first. At most 60 touchpoints are taken, the most frequent ones.

    Examples
    --------
    >>> from cxlib import journeys_from_frame
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a", "a", "b", "b", "b"],
    ...      "touchpoint": ["visit", "buy", "visit", "ask", "buy"],
    ...      "occurred_at": ["2024-01-01", "2024-01-02", "2024-01-02", "2024-01-03", "2024-01-04"]},
    ...     observed_until="2024-03-01", closes_after="7 days",
    ... )
    >>> print(suggest_map(log, optional_below=0.6, smallest=1).to_yaml())
    name: Suggested journey
    stages:
    - stage: journey
      steps:
      - visit
      - touchpoint: ask
        optional: true
      - buy
    """
    for word, share in (("at_least", at_least), ("optional_below", optional_below)):
        if not 0 <= share <= 1:
            raise CxError(f"{word} is {share}, and must be a share between 0 and 1")
    if not 0 <= any_order_within <= 0.5:
        raise CxError(f"any_order_within is {any_order_within}, and must lie between 0 and 0.5")
    found = _look(log, at_least, smallest)
    stages = []
    for stage in dict.fromkeys(found.stages):
        names = [one for one, its in zip(found.names, found.stages, strict=True) if its == stage]
        groups = _groups(names, found, any_order_within, smallest)
        steps = [_step(group, found, optional_below) for group in groups]
        stages.append({"stage": stage, "steps": steps})
    return JourneyMap.model_validate({"name": name, "stages": stages})


def step_evidence(log: Journeys, *, at_least: float = 0.05, smallest: int = 10) -> pd.DataFrame:
    """What speaks for the order and the steps of a suggested map.

    Parameters
    ----------
    log
        The log.
    at_least, smallest
        As in ``suggest_map``.

    Returns
    -------
    pandas.DataFrame
        One row per touchpoint, in the order of the suggested map: ``stage`` and ``touchpoint``
        (text), ``journeys`` int64 (that have it), ``n`` int64 (all journeys), ``share`` float64
        (of ``n``), ``median_step`` float64 (of its first occurrence), ``median_place`` float64
        (0: the journey's start, 1: its end), ``next_touchpoint`` (text; the next one in the map,
        "(end)" for the last), ``both`` int64 (journeys that have both), ``before_next`` float64
        (of ``both``: where this one comes first; NaN where there are none).

    Raises
    ------
    CxError
        As ``suggest_map``.

    Examples
    --------
    >>> from cxlib import journeys_from_frame
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a", "a"], "touchpoint": ["visit", "buy"],
    ...      "occurred_at": ["2024-01-01", "2024-01-02"]},
    ...     observed_until="2024-03-01", closes_after="7 days",
    ... )
    >>> step_evidence(log)[["touchpoint", "share", "next_touchpoint", "before_next"]]
      touchpoint  share next_touchpoint  before_next
    0      visit    1.0             buy          1.0
    1        buy    1.0           (end)          NaN
    """
    found = _look(log, at_least, smallest)
    frame = found.facts.reset_index()
    following = [*found.names[1:], None]
    pairs = list(zip(found.names, following, strict=True))
    frame["next_touchpoint"] = ["(end)" if name is None else name for name in following]
    both = [0 if b is None else found.both(a, b) for a, b in pairs]
    first = [0 if b is None else found.first(a, b) for a, b in pairs]
    frame["both"] = pd.Series(both, dtype="int64")
    frame["before_next"] = pd.Series(first, dtype="float64") / frame["both"].where(
        frame["both"] > 0
    )
    return frame[_EVIDENCE]


@dataclass(frozen=True)
class _Found:
    """Touchpoints in order with their stages, their facts, and who came before whom."""

    names: list[str]
    stages: list[str]
    facts: pd.DataFrame
    before: pd.DataFrame

    def first(self, one: str, other: str) -> int:
        return int(self.before.to_numpy()[self._at(one), self._at(other)])

    def both(self, one: str, other: str) -> int:
        return self.first(one, other) + self.first(other, one)

    def share_first(self, one: str, other: str) -> float:
        both = self.both(one, other)
        return self.first(one, other) / both if both else np.nan

    def _at(self, name: str) -> int:
        return list(self.before.index).index(name)


def _look(log: Journeys, at_least: float, smallest: int) -> _Found:
    facts = _facts(log, at_least)
    before = _before(log, list(facts.index))
    both = before + before.T
    # Where too few have both, they say nothing about the order.
    first = (before / both.where(both >= smallest)).mean(axis=1).fillna(0.5)
    place = facts["median_place"]
    facts = facts.assign(
        _first=-first.round(9),
        # A stage is as far along as its touchpoints, each as often as it occurs.
        _stage=_weighted(facts, place),
    )
    order = ["_stage", "stage", "_first", "median_place", "touchpoint"]
    facts = facts.reset_index().sort_values(order).set_index("touchpoint")
    names = _swapped([str(name) for name in facts.index], facts["stage"], before, smallest)
    facts = facts.loc[names]
    return _Found(names, facts["stage"].tolist(), facts.drop(columns=["_first", "_stage"]), before)


def _swapped(names: list[str], stage: pd.Series, before: pd.DataFrame, smallest: int) -> list[str]:
    """Names with neighbours of a stage swapped as long as more journeys have them so."""
    names, wins = list(names), before.to_dict("index")
    # Each swap lets more journeys agree with the order, so this ends; the bound is for safety.
    for _ in range(len(names)):
        swaps = 0
        for at in range(len(names) - 1):
            one, other = names[at], names[at + 1]
            for_it, against = wins[other][one], wins[one][other]
            if stage[one] == stage[other] and for_it > against and for_it + against >= smallest:
                names[at], names[at + 1] = other, one
                swaps += 1
        if not swaps:
            break
    return names


def _weighted(facts: pd.DataFrame, place: pd.Series) -> pd.Series:
    weight = facts["journeys"]
    sums = (place * weight).groupby(facts["stage"]).sum() / weight.groupby(facts["stage"]).sum()
    return facts["stage"].map(sums)


def _firsts(log: Journeys) -> ir.Table:
    """First step of each touchpoint in each journey."""
    events = log.events
    return events.group_by("journey_id", "touchpoint").aggregate(at=events.step.min())


def _facts(log: Journeys, at_least: float) -> pd.DataFrame:
    firsts = _firsts(log)
    placed = firsts.join(log.journeys.select("journey_id", "length"), "journey_id")
    place = (placed["at"] - 1) / ibis.greatest(placed.length - 1, 1)
    placed = placed.mutate(place=place)
    counted = placed.group_by("touchpoint").aggregate(
        journeys=placed.count(),
        median_step=placed["at"].median(),
        median_place=placed.place.median(),
    )
    facts = counted.to_pandas()
    n = int(log.journeys.count().to_pandas())
    if not n:
        raise CxError("the log has no events to suggest a journey map from; check the filters")
    facts["n"], facts["share"] = n, facts["journeys"] / n
    top = facts.sort_values(["journeys", "touchpoint"], ascending=[False, True]).head(_MOST)
    kept = top[top["share"] >= at_least].set_index("touchpoint")
    if kept.empty:
        raise CxError(
            f"no touchpoint is in {at_least:.0%} of the journeys; lower at_least, or keep the "
            "journeys of one kind first"
        )
    types = {"journeys": "int64", "median_step": "float64", "median_place": "float64"}
    return kept.astype(types).assign(stage=_stages(log, list(kept.index)))


def _stages(log: Journeys, names: list[str]) -> pd.Series:
    """Most frequent stage of each touchpoint; one stage for all where they have none."""
    events = log.events.filter(log.events.touchpoint.isin(names) & log.events.stage.notnull())
    counted = events.group_by("touchpoint", "stage").aggregate(n=events.count()).to_pandas()
    counted = counted.sort_values(["n", "stage"], ascending=[False, True])
    stage = counted.drop_duplicates("touchpoint").set_index("touchpoint")["stage"]
    return stage.reindex(names).astype("object").fillna(_WHOLE)


def _before(log: Journeys, names: list[str]) -> pd.DataFrame:
    """Journeys in which the touchpoint of the row first occurs before that of the column."""
    firsts = _firsts(log)
    firsts = firsts.filter(firsts.touchpoint.isin(names))
    other = firsts.view()
    pairs = firsts.join(other, [firsts.journey_id == other.journey_id, firsts["at"] < other["at"]])
    counted = pairs.group_by(["touchpoint", "touchpoint_right"]).aggregate(n=pairs.count())
    table = counted.to_pandas().pivot_table(
        index="touchpoint", columns="touchpoint_right", values="n", aggfunc="sum"
    )
    return table.reindex(index=names, columns=names).fillna(0).astype("int64")


def _groups(
    names: list[str], found: _Found, any_order_within: float, smallest: int
) -> list[list[str]]:
    """Neighbours of which none clearly comes before another, together."""
    groups: list[list[str]] = []
    for name in names:
        if groups and len(groups[-1]) < _LARGEST_GROUP:
            near = all(
                found.both(one, name) >= smallest
                and abs(found.share_first(one, name) - 0.5) <= any_order_within
                for one in groups[-1]
            )
            if near:
                groups[-1].append(name)
                continue
        groups.append([name])
    return groups


def _step(group: list[str], found: _Found, optional_below: float) -> object:
    shares = dict(zip(found.facts.index, found.facts["share"], strict=True))
    members = [{"touchpoint": name, "optional": shares[name] < optional_below} for name in group]
    return members[0] if len(members) == 1 else {"any_order": members}
