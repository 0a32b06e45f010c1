"""The planned journey: stages, touchpoints and targets, from YAML or from code."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from cxlib.descriptions import read_description
from cxlib.spans import parse_span
from cxlib.tables import END, OPEN, OTHER, START

__all__ = ["MAP_COLUMNS", "JourneyMap", "PlannedStage", "PlannedStep", "load_journey_map"]

MAP_COLUMNS = [
    *("stage", "step", "touchpoint", "any_order", "optional", "channels", "departments"),
    *("target_hours", "target_sentiment", "stage_target_hours", "stage_target_sentiment"),
]
_RESERVED = (START, END, OPEN, OTHER)
_LARGEST_GROUP = 8
_HOUR = timedelta(hours=1)
_UNITS = (("week", 604_800), ("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))


def _as_names(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _as_step(value: Any) -> Any:
    return {"touchpoint": value} if isinstance(value, str) else value


def _positive_span(value: Any) -> timedelta:
    span = parse_span(value)
    if not span:
        raise ValueError("a target time of 0 cannot be met; give one such as '2 days'")
    return span


Names = Annotated[tuple[str, ...], BeforeValidator(_as_names)]
Span = Annotated[timedelta, BeforeValidator(_positive_span)]
Sentiment = Annotated[float, Field(ge=-1, le=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    def _given(self) -> dict[str, Any]:
        """Words that were given, as YAML writes them."""
        found = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: _as_yaml(value) for name, value in found.items() if value not in (None, ())}


class PlannedStep(_Strict):
    """One step of a plan: a touchpoint, one of several, or several in any order.

    Parameters
    ----------
    touchpoint, one_of, any_order
        Exactly one of them: a touchpoint, several of which one is enough, or steps whose order
        does not matter.
    optional
        Whether the step may be left out.
    channels, departments
        Where it is meant to happen, and who serves it.
    target_time
        Longest time since the step before ("2 days").
    target_sentiment
        Lowest mean sentiment that is meant, -1 to 1.

    Examples
    --------
    >>> PlannedStep(one_of=("called", "wrote")).label
    'called or wrote'
    """

    touchpoint: str | None = None
    one_of: Names = ()
    any_order: tuple[Annotated[PlannedStep, BeforeValidator(_as_step)], ...] = ()
    optional: bool = False
    channels: Names = ()
    departments: Names = ()
    target_time: Span | None = None
    target_sentiment: Sentiment | None = None

    @property
    def label(self) -> str:
        """Its name: the touchpoint, or the alternatives joined by "or"."""
        return " or ".join(self.touchpoints)

    @property
    def touchpoints(self) -> tuple[str, ...]:
        """Touchpoints of which each fulfils the step."""
        return (self.touchpoint,) if self.touchpoint is not None else self.one_of

    @property
    def members(self) -> tuple[PlannedStep, ...]:
        """What is to be done in the step: itself, or the steps in any order."""
        return self.any_order or (self,)

    @model_validator(mode="after")
    def _is_one_thing(self) -> PlannedStep:
        if (self.touchpoint is not None) + bool(self.one_of) + bool(self.any_order) != 1:
            raise ValueError("give exactly one of touchpoint, one_of and any_order")
        for name in self.touchpoints:
            if not name.strip() or name != name.strip() or name in _RESERVED:
                reserved = ", ".join(_RESERVED)
                raise ValueError(
                    f"no touchpoint may be called {name!r}; give a name without spaces around it, "
                    f"other than {reserved}"
                )
        if self.one_of and len(set(self.one_of)) != max(len(self.one_of), 2):
            raise ValueError("one_of needs two touchpoints or more, each of them once")
        if self.any_order:
            self._check_group()
        return self

    def _check_group(self) -> None:
        words = ("optional", "channels", "departments", "target_time", "target_sentiment")
        given = [word for word in words if getattr(self, word) not in (None, False, ())]
        if given:
            raise ValueError(f"{given[0]!r} stands at the steps in any_order, not at the group")
        if any(step.any_order for step in self.any_order):
            raise ValueError("any_order holds touchpoints and one_of, not a further any_order")
        if not 2 <= len(self.any_order) <= _LARGEST_GROUP:
            raise ValueError(f"any_order holds 2 to {_LARGEST_GROUP} steps; split the group")
        labels = [step.label for step in self.any_order]
        if len(set(labels)) < len(labels):
            raise ValueError("a touchpoint stands twice in one any_order; keep it once")


class PlannedStage(_Strict):
    """One stage of a plan: its name, its steps in order, and its targets.

    Parameters
    ----------
    stage
        Its name.
    steps
        Steps in order; a touchpoint alone may be given as text.
    target_time
        Longest time from entering the stage to leaving it ("14 days").
    target_sentiment
        Lowest mean sentiment that is meant, -1 to 1.

    Examples
    --------
    >>> PlannedStage(stage="onboarding", steps=["received_router", "activated_line"]).stage
    'onboarding'
    """

    stage: Annotated[str, Field(min_length=1)]
    steps: Annotated[
        tuple[Annotated[PlannedStep, BeforeValidator(_as_step)], ...], Field(min_length=1)
    ]
    target_time: Span | None = None
    target_sentiment: Sentiment | None = None


class JourneyMap(_Strict):
    """A planned journey: stages in order, each with its steps.

    Parameters
    ----------
    name
        What the journey is called.
    stages
        At least one.

    Notes
    -----
    A touchpoint may be planned more than once, but within one stage, so that it always has one; a
    touchpoint of a ``one_of`` is planned once.

    Examples
    --------
    >>> plan = JourneyMap(name="First order", stages=[
    ...     {"stage": "choose", "steps": ["viewed_home", {"any_order": ["searched", "compared"]}]},
    ...     {"stage": "buy", "steps": ["paid", {"touchpoint": "rated", "optional": True}]},
    ... ])
    >>> plan
    JourneyMap('First order': choose → buy; 4 steps, 1 of them optional)
    >>> plan.frame()[["stage", "step", "touchpoint", "any_order", "optional"]]
        stage  step   touchpoint  any_order  optional
    0  choose     1  viewed_home      False     False
    1  choose     2     searched       True     False
    2  choose     2     compared       True     False
    3     buy     3         paid      False     False
    4     buy     4        rated      False      True
    """

    name: Annotated[str, Field(min_length=1)]
    stages: Annotated[tuple[PlannedStage, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _names_are_clear(self) -> JourneyMap:
        if len(set(self.stage_names)) < len(self.stages):
            raise ValueError("a stage stands twice; keep it once")
        stages: dict[str, str] = {}
        labels: dict[str, str] = {}
        for stage, member in self._members():
            for name in member.touchpoints:
                if stages.setdefault(name, stage) != stage:
                    raise ValueError(
                        f"the touchpoint {name!r} stands in two stages, {stages[name]!r} and "
                        f"{stage!r}; keep it in one"
                    )
                if labels.setdefault(name, member.label) != member.label:
                    raise ValueError(
                        f"the touchpoint {name!r} is one of several in one step and stands in "
                        "another step too; keep it in one"
                    )
        return self

    @property
    def stage_names(self) -> list[str]:
        """Stages in order."""
        return [stage.stage for stage in self.stages]

    @property
    def stage_of(self) -> dict[str, str]:
        """Stage of each touchpoint."""
        return {name: stage for stage, member in self._members() for name in member.touchpoints}

    @property
    def label_of(self) -> dict[str, str]:
        """Label of the step that each touchpoint fulfils."""
        return {name: step.label for _, step in self._members() for name in step.touchpoints}

    @property
    def steps(self) -> list[PlannedStep]:
        """Steps of all stages, in order."""
        return [step for stage in self.stages for step in stage.steps]

    def _members(self) -> Iterator[tuple[str, PlannedStep]]:
        for stage in self.stages:
            for step in stage.steps:
                yield from ((stage.stage, member) for member in step.members)

    def frame(self) -> pd.DataFrame:
        """The plan as a table, for ``plot.journey_map``.

        Returns
        -------
        pandas.DataFrame
            One row per touchpoint of the plan (alternatives are one), in order: ``stage`` (text),
            ``step`` int64 (from 1; steps in any order share one), ``touchpoint`` (text),
            ``any_order`` and ``optional`` bool, ``channels`` and ``departments`` (text, by comma),
            ``target_hours`` float64 (since the step before), ``target_sentiment`` float64,
            ``stage_target_hours`` and ``stage_target_sentiment`` float64; NaN without a target.

        Examples
        --------
        >>> plan = JourneyMap(name="Call", stages=[{"stage": "call", "target_time": "2 days",
        ...                   "steps": ["called"]}])
        >>> plan.frame()["stage_target_hours"].tolist()
        [48.0]
        """
        rows, number = [], 0
        for stage in self.stages:
            for step in stage.steps:
                number += 1
                rows += [
                    (
                        stage.stage,
                        number,
                        member.label,
                        bool(step.any_order),
                        member.optional,
                        ", ".join(member.channels),
                        ", ".join(member.departments),
                        _hours(member.target_time),
                        member.target_sentiment,
                        _hours(stage.target_time),
                        stage.target_sentiment,
                    )
                    for member in step.members
                ]
        frame = pd.DataFrame(rows, columns=MAP_COLUMNS)
        targets = [name for name in MAP_COLUMNS if "target" in name]
        return frame.astype({"step": "int64", **dict.fromkeys(targets, "float64")})

    def to_yaml(self) -> str:
        """The plan as YAML text, which ``load_journey_map`` reads back to an equal map.

        Returns
        -------
        str
            Words that were not given are left out.

        Examples
        --------
        >>> plan = JourneyMap(name="Call", stages=[{"stage": "call", "steps": ["called"]}])
        >>> print(plan.to_yaml())
        name: Call
        stages:
        - stage: call
          steps:
          - called
        """
        return yaml.safe_dump(self._given(), sort_keys=False, allow_unicode=True, width=100)

    def __repr__(self) -> str:
        """Name, stages and size in one line."""
        optional = sum(all(one.optional for one in step.members) for step in self.steps)
        some = f", {optional} of them optional" if optional else ""
        stages = " → ".join(self.stage_names)
        return f"JourneyMap({self.name!r}: {stages}; {len(self.steps)} steps{some})"

    __str__ = __repr__


def load_journey_map(path: str | Path) -> JourneyMap:
    """Planned journey from a YAML file.

    Parameters
    ----------
    path
        The file; docs/journey-maps.md says what it may hold.

    Returns
    -------
    JourneyMap
        Checked: unknown words, missing ones, wrong types and unclear plans are refused.

    Raises
    ------
    CxError
        When the file is missing, is not YAML, or says something that it may not; the message names
        the file, the line and the mend.

    Examples
    --------
    >>> load_journey_map("nowhere/journey_map.yml")
    Traceback (most recent call last):
    ...
    cxlib.errors.CxError: there is no file 'nowhere/journey_map.yml'; it says how a journey is
    planned
    """
    return read_description(
        path, JourneyMap, says="how a journey is planned", needs="name and stages"
    )


def _hours(span: timedelta | None) -> float | None:
    return None if span is None else span / _HOUR


def _as_yaml(value: Any) -> Any:
    if isinstance(value, timedelta):
        return _phrase(value)
    if isinstance(value, tuple):
        return [_as_yaml(item) for item in value]
    if isinstance(value, PlannedStep):
        given = value._given()
        given.pop("optional", None)
        if value.optional:
            given["optional"] = True
        return value.touchpoint if list(given) == ["touchpoint"] else given
    return value._given() if isinstance(value, _Strict) else value


def _phrase(span: timedelta) -> str:
    """Span as people write it, in the largest unit that holds it whole."""
    seconds = span.total_seconds()
    for unit, size in _UNITS:
        if seconds >= size and seconds % size == 0:
            number = int(seconds // size)
            return f"{number} {unit}" + ("" if number == 1 else "s")
    return f"{seconds:f} seconds"
