"""Charts: each takes a DataFrame and returns a plotly figure.

Every figure carries a sentence for readers who cannot see it in
``figure.layout.meta["description"]``.
"""

from cxlib.plot.bars import dropoff
from cxlib.plot.comparison import comparison
from cxlib.plot.curves import survival
from cxlib.plot.funnels import funnel
from cxlib.plot.graph import transition_graph
from cxlib.plot.matrix import transitions
from cxlib.plot.retention import cohorts, lifecycle
from cxlib.plot.ribbons import sankey
from cxlib.plot.steps import step_matrix
from cxlib.plot.template import figure_template, touchpoint_colour, touchpoint_colours

__all__ = [
    "cohorts",
    "comparison",
    "dropoff",
    "figure_template",
    "funnel",
    "lifecycle",
    "sankey",
    "step_matrix",
    "survival",
    "touchpoint_colour",
    "touchpoint_colours",
    "transition_graph",
    "transitions",
]
