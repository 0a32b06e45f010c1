"""Which measures can be compared, and of which sums their rates are made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from cxlib.errors import CxError, unknown_name
from cxlib.tables import START

__all__ = ["GROUP", "SIDE", "Measure", "Ratio", "read_measure", "read_options", "read_value"]

SIDE, GROUP = "cx_side", "cx_group"


@dataclass(frozen=True)
class Ratio:
    """A rate as the ratio of two sums over customers.

    Parameters
    ----------
    count
        Column of the measure's frame that is counted.
    base
        Column whose sum is the denominator.
    over
        Cell columns that the denominator keeps apart; it is summed over the others.
    is_share
        Whether the rate lies between 0 and 1, a share of cases that each have or have not.
    """

    count: str
    base: str
    over: tuple[str, ...]
    is_share: bool = True


@dataclass(frozen=True)
class Measure:
    """How the frame of a measure is read.

    Parameters
    ----------
    cells
        Columns that name a cell.
    ratios
        What can be compared, by the name of its column; the first is the default.
    is_joint
        Whether what is named depends on the whole log (``keep=``), so that both logs must be
        counted in one.
    prepare
        Adds the columns that the ratios need; it gets the frame and the columns of its groups.
    is_cut
        Whether the measure gives only the ``top`` rows of a group, which must be chosen from both
        logs together.
    """

    cells: tuple[str, ...]
    ratios: dict[str, Ratio]
    is_joint: bool = False
    prepare: Callable[[pd.DataFrame, list[str]], pd.DataFrame] | None = None
    is_cut: bool = False


def _starts(frame: pd.DataFrame, groups: list[str]) -> pd.DataFrame:
    """Transitions with the journeys that they belong to: each has one move from the start."""
    return frame.assign(cx_journeys=frame["count"].where(frame["from_touchpoint"] == START, 0))


def _taken(frame: pd.DataFrame, groups: list[str]) -> pd.DataFrame:
    """Funnel with whole numbers behind its rates."""
    taken = (frame["step_conversion_rate"].fillna(0) * frame["n"]).round()
    second = frame[frame["step"] == 2].drop_duplicates(groups).set_index(groups)["n"]
    entered = second.reindex(pd.MultiIndex.from_frame(frame[groups])).to_numpy()
    return frame.assign(cx_taken=taken, cx_entered=entered)


def _whole(frame: pd.DataFrame, groups: list[str]) -> pd.DataFrame:
    """Retention in the cells that were over, with the value of period 0."""
    first = frame.groupby([*groups, "cohort"])["value"].transform("first")
    frame = frame.assign(cx_first=first)
    return frame[frame["complete"].astype(bool) & frame["observed"].astype(bool)]


def _sums_of(**means: str) -> Callable[[pd.DataFrame, list[str]], pd.DataFrame]:
    """Adds ``cx_<mean>``, the sum behind a mean, from the column of its cases."""

    def add(frame: pd.DataFrame, groups: list[str]) -> pd.DataFrame:
        sums = {
            f"cx_{mean}": frame[mean].fillna(0) * frame[n]
            for mean, n in means.items()
            if mean in frame
        }
        return frame.assign(**sums)

    return add


_PAIR = ("from_touchpoint", "to_touchpoint")
_DEPARTMENTS = ("from_department", "to_department")
_SCORES = {"sentiment_before": "n_before", "sentiment_after": "n_after",
           "sentiment_change": "n_change"}  # fmt: skip
_PLAN = ("mean_fitness", "mean_deviations", "mean_skipped", "mean_inserted", "mean_repeated",
         "mean_out_of_order")  # fmt: skip
_MEASURES = {
    "transitions": Measure(
        _PAIR,
        {
            "probability": Ratio("count", "count", ("from_touchpoint",)),
            "share": Ratio("count", "count", ()),
            "probability_in": Ratio("count", "count", ("to_touchpoint",)),
            "per_journey": Ratio("count", "cx_journeys", (), is_share=False),
        },
        prepare=_starts,
    ),
    "flows": Measure(
        ("step", *_PAIR), {"of_step": Ratio("journeys", "journeys", ("step",))}, is_joint=True
    ),
    "step_matrix": Measure(
        ("step", "touchpoint"), {"share": Ratio("journeys", "journeys", ("step",))}, is_joint=True
    ),
    "dropoff": Measure(("touchpoint",), {"dropoff_rate": Ratio("ended", "n", ("touchpoint",))}),
    "funnel": Measure(
        ("step", "touchpoint"),
        {
            "step_conversion_rate": Ratio("cx_taken", "n", ("step", "touchpoint")),
            "entry_conversion_rate": Ratio("cx_taken", "cx_entered", ("step", "touchpoint")),
        },
        prepare=_taken,
    ),
    "retention": Measure(
        ("period", "label"),
        {
            "retention": Ratio("customers", "n", ("period", "label")),
            "revenue_retention": Ratio("value", "cx_first", ("period", "label"), is_share=False),
        },
        prepare=_whole,
    ),
    "stickiness": Measure(("active_periods",), {"share": Ratio("customers", "customers", ())}),
    "common_paths": Measure(("path",), {"share": Ratio("journeys", "journeys", ())}, is_cut=True),
    "stage_transitions": Measure(
        ("from_stage", "to_stage", "direction"),
        {"probability": Ratio("count", "count", ("from_stage",))},
    ),
    "handoffs": Measure(
        _DEPARTMENTS,
        {
            "share": Ratio("handoffs", "handoffs", ()),
            "return_rate": Ratio("returned", "n", _DEPARTMENTS),
            "end_rate": Ratio("ended", "n", _DEPARTMENTS),
            "outcome_rate": Ratio("outcomes", "outcome_n", _DEPARTMENTS),
            **{
                name: Ratio(f"cx_{name}", n, _DEPARTMENTS, is_share=False)
                for name, n in _SCORES.items()
            },
        },
        prepare=_sums_of(**_SCORES),
    ),
    "ping_pong": Measure(_DEPARTMENTS, {"return_rate": Ratio("returned", "n", _DEPARTMENTS)}),
    "handoffs_per_journey": Measure(
        ("handoffs", "label"),
        {
            "share": Ratio("journeys", "journeys", ()),
            "outcome_rate": Ratio("outcomes", "outcome_n", ("handoffs", "label")),
            "sentiment": Ratio("cx_sentiment", "n_sentiment", ("handoffs", "label"), False),
        },
        prepare=_sums_of(sentiment="n_sentiment"),
    ),
    "escalation": Measure(
        ("result",),
        {
            "share": Ratio("attempts", "n", ("result",)),
            "repeat_rate": Ratio("repeats", "repeat_n", ("result",)),
            "outcome_rate": Ratio("outcomes", "outcome_n", ("result",)),
        },
    ),
    "repeat_contact": Measure(("reason",), {"repeat_rate": Ratio("repeats", "n", ("reason",))}),
    "planned_vs_actual": Measure(
        (),
        {
            "as_planned_share": Ratio("as_planned", "n", ()),
            **{name: Ratio(f"cx_{name}", "n", (), is_share=False) for name in _PLAN},
        },
        prepare=_sums_of(**dict.fromkeys(_PLAN, "n")),
    ),
    "sequence_indicators": Measure(
        ("indicator",),
        {"mean": Ratio("cx_mean", "n", ("indicator",), is_share=False)},
        is_joint=True,
        prepare=_sums_of(mean="n"),
    ),
    "reentry": Measure(_PAIR, {"share": Ratio("journeys", "journeys", ("from_touchpoint",))}),
    "summary": Measure(
        (),
        {
            "events_per_journey": Ratio("events", "journeys", (), is_share=False),
            "journeys_per_customer": Ratio("journeys", "customers", (), is_share=False),
            "open_share": Ratio("open", "journeys", ()),
        },
    ),
}


def read_measure(function: Callable[..., pd.DataFrame]) -> Measure:
    """How the frame of a measure is read.

    Parameters
    ----------
    function
        A noun of cxlib, such as ``cxlib.transitions``.

    Returns
    -------
    Measure
        Its cells and rates.

    Raises
    ------
    CxError
        For a function that cannot be compared, with those that can.

    Examples
    --------
    >>> read_measure(print)
    Traceback (most recent call last):
    ...
    cxlib.errors.CxError: print cannot be compared; compare takes common_paths, dropoff, escalation,
    flows, funnel, handoffs, handoffs_per_journey, ping_pong, planned_vs_actual, reentry,
    repeat_contact, retention, sequence_indicators, stage_transitions, step_matrix, stickiness,
    summary, transitions, whose counts add up over customers
    """
    name = getattr(function, "__name__", repr(function))
    if name in _MEASURES and getattr(function, "__module__", "").startswith("cxlib.journeys."):
        return _MEASURES[name]
    raise CxError(
        f"{name} cannot be compared; compare takes {', '.join(sorted(_MEASURES))}, whose counts "
        "add up over customers"
    )


def read_value(measure: Measure, name: str | None) -> tuple[str, Ratio]:
    """The rate to compare, by the name of its column; the first one when none is given.

    Examples
    --------
    >>> read_value(_MEASURES["dropoff"], None)[0]
    'dropoff_rate'
    """
    if name is None:
        return next(iter(measure.ratios.items()))
    if name not in measure.ratios:
        raise unknown_name("value", name, measure.ratios, "to compare; medians do not add up")
    return name, measure.ratios[name]


def read_options(function: Callable[..., pd.DataFrame], options: dict[str, Any]) -> dict[str, Any]:
    """Options of the measure, with those that make its counts add up over customers.

    Examples
    --------
    >>> from cxlib import funnel
    >>> read_options(funnel, {"within": "7 days"})["censoring"]
    'exclude'
    """
    if function.__name__ != "funnel":
        return options
    if options.get("over") is not None:
        raise CxError("a funnel over periods is a trend; to compare, cut two logs instead of over=")
    if options.get("censoring") == "kaplan_meier":
        raise CxError(
            "an estimate does not add up over customers, so censoring='kaplan_meier' cannot be "
            "compared; give censoring='exclude', which is what compare takes by default"
        )
    windowed = options.get("within") is not None or options.get("within_step") is not None
    return {"censoring": "exclude", **options} if windowed else options
