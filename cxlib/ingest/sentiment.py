"""Scores that customers give, as a sentiment from -1 (worst) to 1 (best)."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from cxlib.errors import unknown_name

__all__ = ["SCALES", "score_sentiment"]

SCALES = {
    "nps": (0.0, 7.5, 10.0),
    "csat": (1.0, 3.0, 5.0),
    "ces": (1.0, 4.0, 7.0),
}
"""Worst, neutral and best score of each scale: recommendation, satisfaction, ease."""


def score_sentiment(score: ir.NumericValue, scale: str) -> ir.FloatingValue:
    """Sentiment of a score: linear from worst to neutral (0), and from neutral to best.

    Parameters
    ----------
    score
        The score, in the units of its scale.
    scale
        ``"nps"`` (0 to 10, neutral 7.5), ``"csat"`` (1 to 5, neutral 3) or ``"ces"`` (1 to 7,
        neutral 4; 7 is easiest).

    Returns
    -------
    ibis.expr.types.FloatingValue
        From -1 to 1; null where the score is null or outside its scale.

    Raises
    ------
    CxError
        For an unknown scale.

    Examples
    --------
    >>> [score_sentiment(ibis.literal(s), "nps").execute() for s in (0.0, 7.5, 10.0)]
    [-1.0, 0.0, 1.0]
    >>> score_sentiment(ibis.literal(3.75), "nps").execute()
    -0.5
    """
    if scale not in SCALES:
        raise unknown_name("scale", scale, SCALES)
    worst, neutral, best = SCALES[scale]
    below = (score - neutral) / (neutral - worst)
    above = (score - neutral) / (best - neutral)
    inside = score.between(worst, best)
    return ibis.cases((inside & (score < neutral), below), (inside, above), else_=None)
