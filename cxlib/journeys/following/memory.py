"""How many of the last touchpoints tell what comes next."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cxlib.errors import CxError
from cxlib.journeys.following.counts import NEXT, check_sizes, context_columns, count_moves
from cxlib.journeys.log import Journeys
from cxlib.tables import OPEN

__all__ = ["best_order", "path_memory", "score_orders"]

_MEMORY = [
    *("order", "contexts", "steps", "log_likelihood_per_step", "perplexity", "gain_over_first"),
    "chosen",
]
_WORTH = 0.01
"""Gain per step, in log-likelihood, that a longer context must bring."""


def path_memory(
    log: Journeys, *, max_order: int = 3, holdout: float = 0.2, random_state: int = 0
) -> pd.DataFrame:
    """How well the last touchpoints predict the next one in customers not learned from, by order.

    Parameters
    ----------
    log
        The log.
    max_order
        Most touchpoints to look back at, at least 1.
    holdout
        Share of the customers to test on, between 0 and 1.
    random_state
        Seed of the choice of these customers.

    Returns
    -------
    pandas.DataFrame
        One row per order from 0 (what follows is the same wherever a customer stands):
        ``order`` int64, ``contexts`` int64 (different contexts learned from), ``steps`` int64
        (held-out steps predicted), ``log_likelihood_per_step`` float64 (natural logarithm, nearer
        to 0 is better), ``perplexity`` float64 (as hard as guessing among so many equally likely
        next steps), ``gain_over_first`` float64 (log-likelihood per step above that of order 1),
        ``chosen`` bool (the lowest order from 1 on that comes within 0.01 of the best
        log-likelihood per step: a higher one must lower the perplexity by more than 1 %).

    Raises
    ------
    CxError
        For a number out of its range, or where no customer is left to learn from or to test on.

    Notes
    -----
    Customers are split by a hash of their id and the seed, the same on every engine; only counts
    of contexts leave the engine. A probability of order k is interpolated with that of order k - 1
    (Witten and Bell): (count + T p) / (n + T), with p the lower order's probability and T the
    number of different next steps of the context; below order 0 all outcomes are equally likely. So
    a context not seen before falls back to its shorter one. Steps of which the outcome is not known
    yet, those to ``(open)``, are left out.

    References
    ----------
    Witten and Bell (1991), The zero-frequency problem, IEEE Transactions on Information Theory 37,
    1085-1094.

    Examples
    --------
    >>> from cxlib import journeys_from_frame
    >>> rows = [(str(n), name, f"2024-01-0{day}") for n in range(60)
    ...         for day, name in enumerate(["home", "a" if n % 2 else "b", "help",
    ...                                     "buy" if n % 2 else "leave"], 1)]
    >>> log = journeys_from_frame(
    ...     dict(zip(["customer_id", "touchpoint", "occurred_at"], zip(*rows))),
    ...     observed_until="2024-03-01", closes_after="7 days",
    ... )
    >>> path_memory(log).loc[lambda frame: frame["chosen"], ["order", "contexts"]]
       order  contexts
    2      2         7
    """
    check_sizes(max_order=max_order)
    scores = score_orders(count_moves(log, max_order, holdout, random_state)[0], max_order)
    if not len(scores) or not scores["steps"].iloc[0]:
        raise CxError(
            "there are too few customers to learn from some and test on the others; "
            "take another share with holdout=, or more customers"
        )
    return scores.assign(chosen=scores["order"] == best_order(scores))[_MEMORY]


def score_orders(moves: pd.DataFrame, max_order: int) -> pd.DataFrame:
    """Held-out log-likelihood per step of each order.

    Parameters
    ----------
    moves
        What ``count_moves`` gives.
    max_order
        Highest order to try.

    Returns
    -------
    pandas.DataFrame
        One row per order, with the columns of ``path_memory`` but ``chosen``.

    Examples
    --------
    >>> moves = pd.DataFrame({NEXT: ["b", "b"], "_held_out": [False, True], "count": [3, 1]})
    >>> score_orders(moves, 0)[["order", "steps", "perplexity"]]
       order  steps  perplexity
    0      0      1         1.0
    """
    moves = moves[moves[NEXT] != OPEN]
    outcomes = moves[NEXT].nunique()
    learned, tested = moves[~moves["_held_out"]], moves[moves["_held_out"]]
    n = tested["count"].to_numpy()
    probability = np.full(len(tested), 1 / max(outcomes, 1))
    rows = []
    for order in range(max_order + 1 if len(learned) else 0):
        context = context_columns(order)
        counts = learned.groupby([*context, NEXT], as_index=False).agg({"count": "sum"})
        totals = _totals(counts, context)
        found = tested[[*context, NEXT]].merge(counts, "left", validate="many_to_one")
        # Two constant columns join what has no context of its own.
        found = found.assign(_one=1).merge(
            totals.assign(_one=1), "left", on=[*context, "_one"], validate="many_to_one"
        )
        found = found.fillna({"count": 0, "n": 0, "kinds": 0})
        weight, known = found["kinds"].to_numpy(), found["n"].to_numpy() > 0
        mixed = found["count"].to_numpy() + weight * probability
        size = np.where(known, found["n"].to_numpy() + weight, 1)
        probability = np.where(known, mixed / size, probability)
        mean = float((n * np.log(probability)).sum() / n.sum()) if len(n) else np.nan
        rows.append((order, len(totals), int(n.sum()), mean))
    frame = pd.DataFrame(rows, columns=_MEMORY[:4])
    likelihood = frame["log_likelihood_per_step"]
    first = likelihood[frame["order"] == 1].sum()
    return frame.assign(perplexity=np.exp(-likelihood), gain_over_first=likelihood - first)


def _totals(counts: pd.DataFrame, context: list[str]) -> pd.DataFrame:
    """Times that each context was seen, and in how many ways it went on."""
    keys = counts[context] if context else pd.DataFrame(index=counts.index)
    keyed = keys.assign(_one=1, n=counts["count"], kinds=1)
    return keyed.groupby([*context, "_one"], as_index=False).sum().drop(columns="_one")


def best_order(scores: pd.DataFrame) -> int:
    """The lowest order from 1 on that predicts about best; 1 where nothing could be tested.

    Parameters
    ----------
    scores
        What ``score_orders`` gives.

    Returns
    -------
    int
        A higher order must gain more than 0.01 per step.

    Examples
    --------
    >>> likelihood = [-2, -1.0, -0.995]
    >>> best_order(pd.DataFrame({"order": [0, 1, 2], "log_likelihood_per_step": likelihood}))
    1
    """
    tried = scores[(scores["order"] >= 1) & scores["log_likelihood_per_step"].notna()]
    if tried.empty:
        return 1
    likelihood = tried["log_likelihood_per_step"]
    return int(tried.loc[likelihood >= likelihood.max() - _WORTH, "order"].min())
