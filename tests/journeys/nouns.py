"""Every measure of the log, called the same way: a log of visits and purchases, and options."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

import cxlib
from cxlib.journeys.log import Journeys
from cxlib.journeys.maps import JourneyMap

Noun = Callable[..., pd.DataFrame]
STEPS = ["visit", "buy"]

PLAN = JourneyMap(
    name="Purchase",
    stages=[{"stage": "look", "steps": ["visit"]}, {"stage": "take", "steps": ["buy"]}],
)

NOUNS: dict[str, Noun] = {
    "abandonment": cxlib.abandonment,
    "common_paths": cxlib.common_paths,
    "conversion_times": lambda log, **options: cxlib.conversion_times(log, STEPS, **options),
    "dropoff": cxlib.dropoff,
    "escalation": lambda log, **options: cxlib.escalation(
        log, self_service="visit", human="buy", within="3 hours", **options
    ),
    "flows": cxlib.flows,
    "funnel": lambda log, **options: cxlib.funnel(log, STEPS, within="3 hours", **options),
    "handoffs": cxlib.handoffs,
    "handoffs_per_journey": cxlib.handoffs_per_journey,
    "lifecycle": cxlib.lifecycle,
    "next_steps": lambda log, **options: cxlib.next_steps(log, order=1, min_n=1, **options),
    "ping_pong": cxlib.ping_pong,
    "plan_deviations": lambda log, **options: cxlib.plan_deviations(log, PLAN, **options),
    "planned_vs_actual": lambda log, **options: cxlib.planned_vs_actual(log, PLAN, **options),
    "reentry": lambda log, **options: cxlib.reentry(log, within="3 hours", **options),
    "repeat_contact": lambda log, **options: cxlib.repeat_contact(
        log, contacts="visit", within="3 hours", **options
    ),
    "retention": cxlib.retention,
    "sequence_indicators": cxlib.sequence_indicators,
    "stage_times": lambda log, **options: cxlib.stage_times(log, PLAN, **options),
    "stage_transitions": lambda log, **options: cxlib.stage_transitions(log, PLAN, **options),
    "step_matrix": cxlib.step_matrix,
    "stickiness": cxlib.stickiness,
    "subsequences": lambda log, **options: cxlib.subsequences(log, length=2, **options),
    "summary": cxlib.summary,
    "transitions": cxlib.transitions,
}

UNKNOWN: dict[str, Callable[[Journeys], Any]] = {
    "abandonment": lambda log: cxlib.abandonment(log, "visti"),
    "conversion_times": lambda log: cxlib.conversion_times(log, ["visti", "buy"]),
    "escalation": lambda log: cxlib.escalation(
        log, self_service="visti", human="buy", within="1 day"
    ),
    "escalation human": lambda log: cxlib.escalation(
        log, self_service="visit", human=["buy", "visti"], within="1 day"
    ),
    "handoffs outcome": lambda log: cxlib.handoffs(log, outcome="visti", within="1 day"),
    "next_steps": lambda log: cxlib.next_steps(log, after=["buy", "visti"]),
    "repeat_contact": lambda log: cxlib.repeat_contact(log, contacts="visti", within="1 day"),
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
    "escalation": lambda log, span: cxlib.escalation(
        log, self_service="visit", human="buy", within=span
    ),
    "handoffs": lambda log, span: cxlib.handoffs(log, outcome="buy", within=span),
    "repeat_contact": lambda log, span: cxlib.repeat_contact(log, contacts="visit", within=span),
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
