"""Next steps: what usually follows, given the last touchpoints, and how many of them matter."""

from __future__ import annotations

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from cxlib.errors import CxError, unknown_name
from cxlib.intervals import wilson_interval
from cxlib.journeys.log import Journeys, as_list, check_touchpoints, group_columns
from cxlib.journeys.patterns import path_text
from cxlib.tables import END, OPEN, START

__all__ = ["next_steps", "path_memory"]

_NEXT = "next_touchpoint"
_NEXT_STEPS = [
    *("context", "order", "rank", _NEXT, "count", "n", "open", "probability", "lower", "upper"),
    *("first_order_probability", "lift"),
]
_MEMORY = [
    *("order", "contexts", "steps", "log_likelihood_per_step", "perplexity", "gain_over_first"),
    "chosen",
]
_HASHES = 16**4
_ANY = "(any)"
_WORTH = 0.01
"""Gain per step, in log-likelihood, that a longer context must bring."""


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
    _check(max_order=max_order, top=top, min_n=min_n)
    if order != "auto" and not isinstance(order, int):
        raise unknown_name("order", order, ["auto", "1", "2", "3"])
    wanted = as_list(after)
    check_touchpoints(log, [name for place, name in enumerate(wanted) if place or name != START])
    if isinstance(order, int):
        _check(order=order)
        depth = order
    else:
        depth = _best(_scores(_counted(log, max_order, holdout, random_state)[0], max_order))
    moves, groups = _counted(log, depth, holdout, random_state, by)
    if after is None:
        used = _outcomes(moves, groups, depth)
        used = used[used["n"] >= min_n]
    else:
        used = _backed_off(moves, groups, wanted[-depth:], min_n)
    return _ranked(used, _outcomes(moves, groups, 1), groups, top)


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
    _check(max_order=max_order)
    scores = _scores(_counted(log, max_order, holdout, random_state)[0], max_order)
    if not len(scores) or not scores["steps"].iloc[0]:
        raise CxError(
            "there are too few customers to learn from some and test on the others; "
            "take another share with holdout=, or more customers"
        )
    return scores.assign(chosen=scores["order"] == _best(scores))[_MEMORY]


def _counted(
    log: Journeys,
    depth: int,
    holdout: float,
    random_state: int,
    by: str | Sequence[str] | None = None,
) -> tuple[pd.DataFrame, list[str]]:
    """Times that each next step followed each context of ``depth`` touchpoints."""
    if not 0 < holdout < 1:
        raise CxError(f"holdout is {holdout}, and must lie between 0 and 1, such as 0.2")
    backs = _backs(depth)
    first, groups = group_columns(
        log.events.filter(log.events.step == 1), by, taken=[*_NEXT_STEPS, *backs]
    )
    # The same on every engine, unlike an engine's own hash.
    digest = (log.journeys.customer_id + f"/{random_state}").hexdigest("md5")
    journeys = log.journeys.select(
        "journey_id",
        "is_open",
        _path=log.journeys.path,
        _held_out=digest.substr(0, 4) < f"{round(holdout * _HASHES):04x}",
    )
    if groups:
        journeys = journeys.join(first.select("journey_id", *groups), "journey_id")
    rows = journeys.mutate(_at=ibis.range(0, journeys._path.length()).unnest())
    steps = rows.select(*groups, "_held_out", **_context(rows, depth), **{_NEXT: _outcome(rows)})
    keys = [*groups, "_held_out", *backs, _NEXT]
    frame = steps.group_by(keys).aggregate(count=steps.count()).to_pandas()
    return frame.astype({"count": "int64", "_held_out": "bool"}), groups


def _backs(depth: int) -> list[str]:
    """Columns of a context, the oldest touchpoint first."""
    return [f"back_{place}" for place in range(depth, 0, -1)]


def _context(rows: ir.Table, depth: int) -> dict[str, ir.StringValue]:
    columns = {}
    for back, name in enumerate(reversed(_backs(depth))):
        # greatest(), because an engine may look up the place before the start all the same.
        seen = rows._path[ibis.greatest(rows._at - back, 0)]
        columns[name] = ibis.ifelse(rows._at >= back, seen, START)
    return columns


def _outcome(rows: ir.Table) -> ir.StringValue:
    last = rows._path.length() - 1
    following = rows._path[ibis.least(rows._at + 1, last)]
    return ibis.ifelse(rows._at < last, following, ibis.ifelse(rows.is_open, OPEN, END))


def _scores(moves: pd.DataFrame, max_order: int) -> pd.DataFrame:
    """Held-out log-likelihood per step of each order."""
    moves = moves[moves[_NEXT] != OPEN]
    outcomes = moves[_NEXT].nunique()
    learned, tested = moves[~moves["_held_out"]], moves[moves["_held_out"]]
    n = tested["count"].to_numpy()
    probability = np.full(len(tested), 1 / max(outcomes, 1))
    rows = []
    for order in range(max_order + 1 if len(learned) else 0):
        context = _backs(order)
        counts = learned.groupby([*context, _NEXT], as_index=False).agg({"count": "sum"})
        totals = _totals(counts, context)
        found = tested[[*context, _NEXT]].merge(counts, "left", validate="many_to_one")
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


def _best(scores: pd.DataFrame) -> int:
    """The lowest order from 1 on that predicts about best; 1 where nothing could be tested."""
    tried = scores[(scores["order"] >= 1) & scores["log_likelihood_per_step"].notna()]
    if tried.empty:
        return 1
    likelihood = tried["log_likelihood_per_step"]
    return int(tried.loc[likelihood >= likelihood.max() - _WORTH, "order"].min())


def _outcomes(moves: pd.DataFrame, groups: list[str], order: int) -> pd.DataFrame:
    """Known outcomes per context of ``order`` touchpoints, with how many are not known yet."""
    context = _backs(order)
    counts = moves.groupby([*groups, *context, _NEXT], as_index=False)["count"].sum()
    counts = counts.assign(_open=counts["count"].where(counts[_NEXT] == OPEN, 0))
    keys = [*groups, *context]
    grouped = counts.groupby(keys) if keys else counts.groupby(lambda _: 0)
    whole, later = grouped["count"].transform("sum"), grouped["_open"].transform("sum")
    counts = counts.assign(n=whole - later, open=later, order=order)
    texts = [_text(path) for path in counts[context].itertuples(index=False, name=None)]
    counts = counts.assign(context=texts if order else _ANY)
    return counts[counts[_NEXT] != OPEN].drop(columns="_open")


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
        for name, touchpoint in zip(_backs(order), wanted[len(wanted) - order :], strict=True):
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
    keys = [*groups, "back_1", _NEXT]
    alone = first.assign(first_order_probability=first["count"] / first["n"])
    alone = alone[[*keys, "first_order_probability"]]
    frame = used.merge(alone, "left", on=keys, validate="many_to_one")
    order = [*groups, "n", "context", "count", _NEXT]
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


def _check(**sizes: int) -> None:
    for name, size in sizes.items():
        if size < 1:
            raise CxError(f"{name} is {size}, and must be at least 1")
