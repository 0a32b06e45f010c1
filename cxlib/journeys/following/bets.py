"""Next steps: what usually follows, given the last touchpoints."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from cxlib.errors import unknown_name
from cxlib.intervals import wilson_interval
from cxlib.journeys.following.counts import NEXT, check_sizes, context_columns, count_moves
from cxlib.journeys.following.memory import best_order, score_orders
from cxlib.journeys.log import Journeys, as_list, check_touchpoints, named_groups
from cxlib.journeys.patterns import path_text
from cxlib.tables import OPEN, START

__all__ = ["next_steps"]

_NEXT_STEPS = [
    *("context", "order", "rank", NEXT, "count", "n", "open", "probability", "lower", "upper"),
    *("first_order_probability", "lift"),
]
_ANY = "(any)"


@named_groups
def next_steps(
    log: Journeys,
    *,
    after: str | Sequence[str] | None = None,
    order: str | int = "auto",
    max_order: int = 3,
    top: int = 5,
    min_n: int = 30,
    holdout: float = 0.2,
    random_state: int = 0,
    by: str | Sequence[str] | None = None,
) -> pd.DataFrame:
    """Ranked best bets for the next step of a customer, with probabilities.

    Parameters
    ----------
    log
        The log.
    after
        The last touchpoints of the customer, oldest first; ``(start)`` may stand before them. None:
        every context of the chosen order that was seen ``min_n`` times.
    order
        How many of the last touchpoints count: a number, or "auto" for the number that predicts
        held-out customers best, as ``path_memory`` shows.
    max_order
        Highest order that "auto" tries.
    top
        Next steps to return for each context.
    min_n
        Fewest known outcomes of a context; below them the oldest touchpoint of ``after`` is
        dropped, as long as one is left.
    holdout
        Share of the customers that "auto" tests on.
    random_state
        Seed of the choice of these customers.
    by
        Column or columns of the events to count apart; a journey belongs to the group of its first
        event. The order is chosen once, for all groups together.

    Returns
    -------
    pandas.DataFrame
        One row per group, context and next step, the most frequent context and the best bet first:
        the ``by`` columns (text), ``context`` (text, the touchpoints used, as a pattern; "(any)"
        for none), ``order`` int64 (places looked back at), ``rank`` int64 (from 1),
        ``next_touchpoint`` (text; ``(end)`` when the journey ends), ``count`` int64 (times it
        followed), ``n`` int64 (times that the context had a known outcome), ``open`` int64 (times
        that it is the latest of a journey still open), ``probability`` float64 (count of ``n``)
        with ``lower`` and ``upper`` (Wilson, 95 %), ``first_order_probability`` float64 (given the
        last touchpoint alone), ``lift`` float64 (probability / first_order_probability).

    Raises
    ------
    CxError
        For an unknown touchpoint or ``by`` column, or a number out of its range.

    Notes
    -----
    A context counts wherever it stands in a journey. What comes after the latest event of an open
    journey has not been seen yet: such visits are in ``open`` and in no denominator. A context that
    reaches back to the start of the journey has ``(start)`` in it. Where even the last touchpoint
    alone has no known outcome, the context is "(any)": the next step from wherever a journey
    stands, with no first-order probability (NaN). Next steps of the same count are ranked by name.
    The interval takes the visits as independent: where a few customers make most of them it is too
    narrow. A probability says what customers did, not what an offer would make them do.

    Examples
    --------
    >>> from cxlib import journeys_from_frame
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a", "a", "a", "b", "b", "c"],
    ...      "touchpoint": ["visit", "ask", "buy", "visit", "ask", "visit"],
    ...      "occurred_at": ["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-01", "2024-01-02",
    ...                      "2024-02-28"]},
    ...     observed_until="2024-03-01", closes_after="7 days",
    ... )
    >>> bets = next_steps(log, after=["visit", "ask"], order=2, min_n=1)
    >>> bets[["context", "next_touchpoint", "count", "n", "probability", "lift"]]
            context next_touchpoint  count  n  probability  lift
    0  visit -> ask           (end)      1  2          0.5   1.0
    1  visit -> ask             buy      1  2          0.5   1.0
    >>> next_steps(log, after="visit", min_n=1)[["next_touchpoint", "count", "n", "open"]]
      next_touchpoint  count  n  open
    0             ask      2  2     1
    """
    check_sizes(max_order=max_order, top=top, min_n=min_n)
    if order != "auto" and not isinstance(order, int):
        raise unknown_name("order", order, ["auto", "1", "2", "3"])
    wanted = as_list(after)
    check_touchpoints(log, [name for place, name in enumerate(wanted) if place or name != START])
    if isinstance(order, int):
        check_sizes(order=order)
        depth = order
    else:
        depth = best_order(
            score_orders(count_moves(log, max_order, holdout, random_state)[0], max_order)
        )
    moves, groups = count_moves(log, depth, holdout, random_state, by, _NEXT_STEPS)
    if after is None:
        used = _outcomes(moves, groups, depth)
        used = used[used["n"] >= min_n]
    else:
        used = _backed_off(moves, groups, wanted[-depth:], min_n)
    return _ranked(used, _outcomes(moves, groups, 1), groups, top)


def _outcomes(moves: pd.DataFrame, groups: list[str], order: int) -> pd.DataFrame:
    """Known outcomes per context of ``order`` touchpoints, with how many are not known yet."""
    context = context_columns(order)
    counts = moves.groupby([*groups, *context, NEXT], as_index=False)["count"].sum()
    counts = counts.assign(_open=counts["count"].where(counts[NEXT] == OPEN, 0))
    keys = [*groups, *context]
    grouped = counts.groupby(keys) if keys else counts.groupby(lambda _: 0)
    whole, later = grouped["count"].transform("sum"), grouped["_open"].transform("sum")
    counts = counts.assign(n=whole - later, open=later, order=order)
    texts = [_text(path) for path in counts[context].itertuples(index=False, name=None)]
    named = pd.Series(texts if order else _ANY, index=counts.index, dtype="object")
    counts = counts.assign(context=named)
    return counts[counts[NEXT] != OPEN].drop(columns="_open")


def _text(context: tuple[str, ...]) -> str:
    """A context as a pattern; before the start there is nothing more."""
    starts = sum(name == START for name in context)
    return path_text(context[max(starts - 1, 0) :])


def _backed_off(
    moves: pd.DataFrame, groups: list[str], wanted: list[str], min_n: int
) -> pd.DataFrame:
    """Outcomes after the longest end of ``wanted`` that was seen often enough, for each group."""
    chosen: list[pd.DataFrame] = []
    for order in range(len(wanted), -1, -1):
        found = _outcomes(moves, groups, order)
        last = wanted[len(wanted) - order :]
        for name, touchpoint in zip(context_columns(order), last, strict=True):
            found = found[found[name] == touchpoint]
        # The last touchpoint alone says more than none, however rare it is.
        found = found[found["n"] >= (min_n if order > 1 else 1)].assign(back_1=wanted[-1])
        for earlier in chosen:
            found = found[~_rows_in(found, earlier, groups)]
        chosen.append(found)
    return pd.concat(chosen, ignore_index=True)


def _rows_in(frame: pd.DataFrame, other: pd.DataFrame, groups: list[str]) -> pd.Series:
    if not groups:
        return pd.Series(len(other) > 0, index=frame.index)
    keys = pd.MultiIndex.from_frame(frame[groups])
    return pd.Series(keys.isin(pd.MultiIndex.from_frame(other[groups])), index=frame.index)


def _ranked(used: pd.DataFrame, first: pd.DataFrame, groups: list[str], top: int) -> pd.DataFrame:
    keys = [*groups, "back_1", NEXT]
    alone = first.assign(first_order_probability=first["count"] / first["n"])
    alone = alone[[*keys, "first_order_probability"]]
    frame = used.merge(alone, "left", on=keys, validate="many_to_one")
    order = [*groups, "n", "context", "count", NEXT]
    ascending = [name not in ("n", "count") for name in order]
    frame = frame.sort_values(order, ascending=ascending, ignore_index=True)
    frame["rank"] = frame.groupby([*groups, "context"]).cumcount() + 1
    frame = frame[frame["rank"] <= top].reset_index(drop=True)
    lower, upper = wilson_interval(frame["count"], frame["n"])
    probability = frame["count"] / frame["n"]
    given = frame["first_order_probability"].where(frame["order"] > 0)
    frame = frame.assign(
        probability=probability,
        lower=lower,
        upper=upper,
        first_order_probability=given,
        lift=probability / given,
    )
    return frame[[*groups, *_NEXT_STEPS]]
