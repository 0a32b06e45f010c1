"""Every measure of the log, called the same way: a log of visits and purchases, and options."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

import cxlib
from cxlib.journeys.log import Journeys

Noun = Callable[..., pd.DataFrame]
STEPS = ["visit", "buy"]

NOUNS: dict[str, Noun] = {
    "conversion_times": lambda log, **options: cxlib.conversion_times(log, STEPS, **options),
    "dropoff": cxlib.dropoff,
    "flows": cxlib.flows,
    "funnel": lambda log, **options: cxlib.funnel(log, STEPS, within="3 hours", **options),
    "lifecycle": cxlib.lifecycle,
    "reentry": lambda log, **options: cxlib.reentry(log, within="3 hours", **options),
    "retention": cxlib.retention,
    "step_matrix": cxlib.step_matrix,
    "stickiness": cxlib.stickiness,
    "summary": cxlib.summary,
    "transitions": cxlib.transitions,
}

UNKNOWN: dict[str, Callable[[Journeys], Any]] = {
    "conversion_times": lambda log: cxlib.conversion_times(log, ["visti", "buy"]),
    "flows around": lambda log: cxlib.flows(log, around="visti"),
    "funnel": lambda log: cxlib.funnel(log, ["buy", "visti"]),
    "funnel alternatives": lambda log: cxlib.funnel(log, ["buy", {"buy", "visti"}]),
    "funnel exclude": lambda log: cxlib.funnel(log, ["visit", "buy"], exclude="visti"),
    "retention start": lambda log: cxlib.retention(log, start="visti"),
    "retention returning": lambda log: cxlib.retention(log, returning=["buy", "visti"]),
    "step_matrix around": lambda log: cxlib.step_matrix(log, around="visti"),
    "split_journeys start": lambda log: cxlib.split_journeys(log, start="visti"),
    "split_journeys end": lambda log: cxlib.split_journeys(log, end=["visti"]),
    "keep_events": lambda log: cxlib.keep_events(log, touchpoints="visti"),
    "keep_journeys containing": lambda log: cxlib.keep_journeys(log, containing="visti"),
    "keep_journeys starting": lambda log: cxlib.keep_journeys(log, starting_with="visti"),
    "keep_journeys ending": lambda log: cxlib.keep_journeys(log, ending_with="visti"),
    "assign_stages": lambda log: cxlib.assign_stages(log, {"service": ["visti"]}),
}
"""Calls that name a touchpoint that is not in the log."""

SPANS: dict[str, Callable[[Journeys, Any], Any]] = {
    "conversion_times": lambda log, span: cxlib.conversion_times(log, STEPS, within=span),
    "funnel within": lambda log, span: cxlib.funnel(log, STEPS, within=span),
    "funnel within_step": lambda log, span: cxlib.funnel(log, STEPS, within_step=span),
    "funnel at_least": lambda log, span: cxlib.funnel(log, STEPS, at_least=span),
    "reentry": lambda log, span: cxlib.reentry(log, within=span),
    "retention": lambda log, span: cxlib.retention(log, brackets=[span]),
    "split_journeys": lambda log, span: cxlib.split_journeys(log, gap=span),
    "split_journeys closes": lambda log, span: cxlib.split_journeys(
        log, end="buy", closes_after=span
    ),
}
"""Calls that take a span."""
