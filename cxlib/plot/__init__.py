"""Charts: each takes a DataFrame and returns a plotly figure.

Every figure carries a sentence for readers who cannot see it in
``figure.layout.meta["description"]``.
"""

from cxlib.plot.bars import abandonment, dropoff
from cxlib.plot.calibrated import calibration
from cxlib.plot.causes import cumulative_incidence
from cxlib.plot.comparison import comparison
from cxlib.plot.counts import handoffs_per_journey
from cxlib.plot.curves import survival
from cxlib.plot.customer import timeline
from cxlib.plot.departments import handoff_chord, handoffs
from cxlib.plot.deviations import deviation_outcomes, plan_deviations
from cxlib.plot.fitness import planned_vs_actual
from cxlib.plot.following import next_steps
from cxlib.plot.funnels import conversion_times, funnel
from cxlib.plot.graph import transition_graph
from cxlib.plot.indicators import sequence_indicators
from cxlib.plot.maps import journey_map
from cxlib.plot.matrix import transitions
from cxlib.plot.paths import common_paths
from cxlib.plot.ratios import hazard_ratios
from cxlib.plot.retention import cohorts, lifecycle
from cxlib.plot.returns import reentry
from cxlib.plot.ribbons import sankey
from cxlib.plot.samples import dotted
from cxlib.plot.shares import (
    escalation,
    ping_pong,
    repeat_contact,
    stickiness,
    subsequences,
)
from cxlib.plot.stages import stage_times, stage_transitions
from cxlib.plot.steps import step_matrix
from cxlib.plot.template import figure_template, touchpoint_colour, touchpoint_colours
from cxlib.plot.terms import renewals
from cxlib.plot.worth import value

__all__ = [
    "abandonment",
    "calibration",
    "cohorts",
    "common_paths",
    "comparison",
    "conversion_times",
    "cumulative_incidence",
    "deviation_outcomes",
    "dotted",
    "dropoff",
    "escalation",
    "figure_template",
    "funnel",
    "handoff_chord",
    "handoffs",
    "handoffs_per_journey",
    "hazard_ratios",
    "journey_map",
    "lifecycle",
    "next_steps",
    "ping_pong",
    "plan_deviations",
    "planned_vs_actual",
    "reentry",
    "renewals",
    "repeat_contact",
    "sankey",
    "sequence_indicators",
    "stage_times",
    "stage_transitions",
    "step_matrix",
    "stickiness",
    "subsequences",
    "survival",
    "timeline",
    "touchpoint_colour",
    "touchpoint_colours",
    "transition_graph",
    "transitions",
    "value",
]
