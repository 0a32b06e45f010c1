"""Attempts at a funnel: for each event that may start one, how far it gets and when, in the engine.

From an event of step k, the first event of step k + 1 after it is a minimum over the rows that
follow. Times grow along the rows, so the times of all later steps are minima over the same rows,
and one window per step, from the last to the first, gives every start its whole chain. What
breaks a chain (a window, an exclusion) cuts it afterwards: an attempt stands where its first
events put it.
"""

from __future__ import annotations

from functools import reduce
from operator import add, and_, or_

import ibis
import ibis.expr.types as ir

from cxlib.journeys.conversion.rules import Plan

__all__ = ["attempt_table"]

_FAR = 2**62
"""Later than any time or place of an event."""


def attempt_table(marked: ir.Table, plan: Plan, groups: list[str], observed_until: int) -> ir.Table:
    """One row per unit that entered, or per attempt.

    Parameters
    ----------
    marked
        Events with ``unit``, ``at`` (microseconds), ``event_id``, ``place`` (in the journey),
        ``pos`` (place in the unit, where it is known), ``is_0`` ... for the steps,
        ``is_excluded``, the ``hold_`` columns, and the groups.
    plan
        The rules.
    groups
        Columns of ``marked`` to keep.
    observed_until
        The cut-off, in the microseconds of ``at``.

    Returns
    -------
    ibis.expr.types.Table
        ``unit``, the groups, ``reached`` (required steps taken, from 1), ``dropped_whole``,
        ``is_open`` (its window goes on at the cut-off), ``seen_for`` (microseconds from the start
        to the cut-off), ``at_1`` ... (when each required step was taken, or would have been after
        the attempt had ended), and for each optional step ``did_`` and ``skip_at_``.
    """
    held = [f"hold_{number}" for number in range(len(plan.hold))]
    keys = ["unit", *held]
    marked = _place(marked, plan, held)
    chains = {"ordered": _ordered, "strict": _strict, "any": _any_order}
    if _starts_once(plan):
        chained = _cut(_ordered_once(marked, plan, keys, groups), plan, observed_until)
    else:
        chained = _cut(chains[plan.order](marked, plan, keys), plan, observed_until)
    if _starts_once(plan) and not held:
        chosen = chained
    elif plan.count == "attempts":
        chosen = _follow(chained, plan, keys)
    else:
        turns = {
            "first": [chained.pos],
            "last": [chained.pos.desc()],
            "best": [chained.dropped_whole, chained.reached.desc(), chained.pos],
        }
        order = ibis.window(group_by="unit", order_by=turns[plan.entry])
        ranked = chained.mutate(turn=ibis.row_number().over(order))
        chosen = ranked.filter(ranked.turn == 0)
    times = [f"at_{rank}" for rank in range(1, plan.last + 1)]
    skips = [
        f"{name}_{number}"
        for number in range(len(plan.steps))
        if number not in plan.required
        for name in ("did", "skip_at")
    ]
    return chosen.select(
        "unit", *groups, "reached", "dropped_whole", "is_open", "seen_for", *times, *skips
    )


def _place(marked: ir.Table, plan: Plan, held: list[str]) -> ir.Table:
    """Events that matter, numbered in their order within the unit."""
    if held:
        marked = marked.filter([marked[name].notnull() for name in held])
    # A chain of joins reads one kind of event at a time, and asks for it itself.
    if plan.order != "strict" and not (_starts_once(plan) and "pos" in marked.columns):
        asked = [f"is_{number}" for number in range(len(plan.steps))]
        asked += ["is_excluded"] if plan.exclude is not None else []
        marked = marked.filter(reduce(or_, [marked[name] for name in asked]))
    if "pos" in marked.columns:
        return marked.drop("event_id")
    order = ibis.window(group_by="unit", order_by=["at", "event_id"])
    return marked.mutate(pos=ibis.row_number().over(order)).drop("event_id")


def _needs_places(plan: Plan) -> bool:
    """Whether times alone do not say which of two events came first."""
    optional = len(plan.required) < len(plan.steps)
    asked = plan.exclude is not None or optional or plan.count == "attempts" or plan.order == "any"
    return asked and plan.ties == "order"


def _earliest(
    table: ir.Table, condition: ir.BooleanValue, value: ir.IntegerColumn, frame: object
) -> ir.IntegerColumn:
    return ibis.ifelse(condition, value, ibis.null("int64")).min().over(frame)


def _after(plan: Plan, keys: list[str], gap: int) -> object:
    """The rows that may come after a row, at least so many microseconds later."""
    if plan.ties == "either" or gap > 0:
        return ibis.window(group_by=keys, order_by="at", range=(gap, None))
    return ibis.window(group_by=keys, order_by="pos", rows=(1, None))


def _ordered(table: ir.Table, plan: Plan, keys: list[str]) -> ir.Table:
    frame = _after(plan, keys, plan.at_least)
    own = ["at", "pos"] if _needs_places(plan) else ["at"]
    carried: list[str] = []
    for rank in range(plan.last - 1, 0, -1):
        is_next = table[f"is_{plan.required[rank]}"]
        found = {name: _earliest(table, is_next, table[name], frame) for name in carried}
        for kind in own:
            found[f"{kind}_{rank + 1}"] = _earliest(table, is_next, table[kind], frame)
            for number in plan.skipped_from(rank):
                skip = _earliest(table, table[f"is_{number}"], table[kind], frame)
                found[f"skip_{kind}_{number}"] = skip
        if plan.exclude is not None and rank == plan.exclude_between[0]:
            found |= _excluded(table, plan, keys)
        table = table.mutate(**found)
        carried = [*carried, *(name for name in found if name not in carried)]
    starts = table.filter(table[f"is_{plan.required[0]}"])
    return starts.mutate(at_1=starts["at"], pos_1=starts["pos"])


def _starts_once(plan: Plan) -> bool:
    """Whether the first event that may start an attempt is known to be the one that counts."""
    return plan.order == "ordered" and plan.entry == "first" and plan.count != "attempts"


def _ordered_once(table: ir.Table, plan: Plan, keys: list[str], groups: list[str]) -> ir.Table:
    """The chain of each unit's first start: joins of few rows, where windows sort all."""
    starts = table.filter(table[f"is_{plan.required[0]}"])
    if groups:
        order = ibis.window(group_by=keys, order_by="pos")
        starts = starts.mutate(_turn=ibis.row_number().over(order))
        starts = starts.filter(starts._turn == 0)
        starts = starts.select(*keys, *groups, at_1="at", pos_1="pos")
    else:
        starts = starts.group_by(keys).aggregate(at_1=starts["at"].min(), pos_1=starts["pos"].min())
    whole, here = starts, starts.select(*keys, "at_1", _at="at_1", _pos="pos_1")
    for rank in range(1, plan.last):
        asked = [(f"skip_{{}}_{number}", f"is_{number}") for number in plan.skipped_from(rank)]
        found = [(name, _meet(here, table, plan, keys, step)) for name, step in asked]
        if plan.exclude is not None and rank == plan.exclude_between[0]:
            found.append(("excluded_{}", _meet(here, table, plan, keys, "is_excluded")))
        here = _meet(here, table, plan, keys, f"is_{plan.required[rank]}")
        for name, met in [*found, (f"{{}}_{rank + 1}", here)]:
            times = {name.format("at"): "_at", name.format("pos"): "_pos"}
            own = met.select(*keys, **times)
            whole = whole.left_join(own, keys).select(*whole.columns, *times)
    return whole.mutate(pos=whole["pos_1"])


def _meet(here: ir.Table, table: ir.Table, plan: Plan, keys: list[str], step: str) -> ir.Table:
    """Those who stand somewhere and meet an event after it: its earliest time and place."""
    events = table.filter(table[step]).select(*keys, _then="at", _there="pos")
    gap = plan.at_least
    if step == "is_excluded":
        # With ties='either' an event at the same time need not have come after.
        gap = 1 if plan.ties == "either" else 0
    if plan.ties == "either" or gap > 0:
        fits = [events._then >= here._at + gap]
    else:
        fits = [events._there > here._pos]
    if plan.within is not None:
        # What comes later is out of the window, and so is all that would follow it.
        fits.append(events._then <= here.at_1 + plan.within)
    joined = here.join(events, [*(here[key] == events[key] for key in keys), *fits])
    return joined.group_by(keys).aggregate(
        at_1=joined.at_1.max(), _at=joined._then.min(), _pos=joined._there.min()
    )


def _excluded(table: ir.Table, plan: Plan, keys: list[str]) -> dict[str, ir.IntegerColumn]:
    """When and where what must not happen first happens after each row."""
    # With ties='either' an event at the same time need not have come after.
    frame = _after(plan, keys, 1 if plan.ties == "either" else 0)
    kinds = ["at", "pos"] if _needs_places(plan) else ["at"]
    return {
        f"excluded_{kind}": _earliest(table, table.is_excluded, table[kind], frame)
        for kind in kinds
    }


def _strict(table: ir.Table, plan: Plan, keys: list[str]) -> ir.Table:
    order = ibis.window(group_by=keys, order_by="pos")
    found = {}
    for ahead in range(plan.last):
        found[f"fits_{ahead + 1}"] = table[f"is_{ahead}"].lead(ahead).over(order).fill_null(False)
        found[f"then_{ahead + 1}"] = table["at"].lead(ahead).over(order)
        found[f"pos_{ahead + 1}"] = table["pos"].lead(ahead).over(order)
        found[f"more_{ahead + 1}"] = table["at"].lead(ahead + 1).over(order).notnull()
    looked = table.mutate(**found)
    starts = looked.filter(looked.is_0)
    fits = [starts[f"fits_{rank}"] for rank in range(1, plan.last + 1)]
    return starts.mutate(
        **{
            f"at_{rank}": ibis.ifelse(
                reduce(and_, fits[:rank]), starts[f"then_{rank}"], ibis.null("int64")
            )
            for rank in range(1, plan.last + 1)
        }
    )


def _any_order(table: ir.Table, plan: Plan, keys: list[str]) -> ir.Table:
    """Starts at any step; the k-th step taken is the k-th earliest of the first ones of each."""
    frame = _after(plan, keys, 0)
    if plan.ties == "order":
        frame = ibis.window(group_by=keys, order_by="pos", rows=(0, None))
    own = ["at", "pos"] if _needs_places(plan) else ["at"]
    numbers = range(len(plan.steps))
    found = {
        f"first_{kind}_{number}": _earliest(table, table[f"is_{number}"], table[kind], frame)
        for kind in own
        for number in numbers
    }
    if plan.exclude is not None:
        found |= _excluded(table, plan, keys)
    looked = table.mutate(**found)
    starts = looked.filter(reduce(or_, [looked[f"is_{number}"] for number in numbers]))
    sort_by = [starts[f"first_{own[-1]}_{number}"].fill_null(_FAR) for number in numbers]
    places = {
        f"place_{i}": reduce(
            add,
            # <= before and < after: equal ones keep the order of the steps.
            [
                ibis.ifelse(sort_by[j] <= sort_by[i] if j < i else sort_by[j] < sort_by[i], 1, 0)
                for j in numbers
                if j != i
            ],
        )
        + 1
        for i in numbers
    }
    placed = starts.mutate(**places)
    return placed.mutate(
        **{
            f"{kind}_{rank}": ibis.coalesce(
                *(
                    ibis.ifelse(
                        placed[f"place_{number}"] == rank,
                        placed[f"first_{kind}_{number}"],
                        ibis.null("int64"),
                    )
                    for number in numbers
                )
            )
            for kind in own
            for rank in range(1, len(plan.steps) + 1)
        }
    )


def _before(
    table: ir.Table, plan: Plan, one: str, other: str, *, together: bool
) -> ir.BooleanValue:
    """Whether one thing came before another; ``together`` says what equal times count as."""
    if _needs_places(plan):
        return table[one.format("pos")] < table[other.format("pos")]
    first, second = table[one.format("at")], table[other.format("at")]
    return first <= second if together else first < second


def _cut(table: ir.Table, plan: Plan, observed_until: int) -> ir.Table:
    """Chains up to where a window, an exclusion or a wrong event ends them, and why they ended."""
    low, high = plan.exclude_between
    going: ir.BooleanValue = ibis.literal(True)
    reached: ir.IntegerValue = ibis.literal(1, type="int64")
    for rank in range(2, plan.last + 1):
        at, since = table[f"at_{rank}"], table[f"at_{rank - 1}"]
        going = going & at.notnull()
        if plan.within is not None:
            going = going & (at - table.at_1 <= plan.within)
        if plan.within_step is not None:
            going = going & (at - since <= plan.within_step)
        if plan.at_least and plan.order == "strict":
            going = going & (at - since >= plan.at_least)
        if plan.exclude is not None and low < rank <= high:
            met = _before(table, plan, "excluded_{}", f"{{}}_{rank}", together=False)
            going = going & ~met.fill_null(False)
        going = going.fill_null(False)
        reached = reached + ibis.ifelse(going, 1, 0)
    table = table.mutate(reached=reached.cast("int64"), seen_for=observed_until - table.at_1)
    table = table.mutate(until=_deadline(table, plan))
    excluded: ir.BooleanValue = ibis.literal(False)
    if plan.exclude is not None:
        on_the_way = table.reached.between(low, high - 1)
        in_time = (table.excluded_at <= table.until.fill_null(_FAR)).fill_null(False)
        excluded = on_the_way & in_time
    # > not >=: what happens at the deadline still counts, and would have been seen.
    waiting = (table.until > observed_until).fill_null(False) & (table.reached < plan.last)
    if plan.order == "strict":
        waiting = waiting & ~_broken(table, plan)
    table = table.mutate(excluded=excluded, is_open=waiting & ~excluded)
    whole = table.excluded if plan.on_exclude == "drop_whole" else ibis.literal(False)
    return table.mutate(dropped_whole=whole, **_skips(table, plan))


def _of_last(table: ir.Table, plan: Plan, kind: str) -> ir.IntegerValue:
    """A column of the last required step that an attempt took."""
    ranks = range(1, plan.last + 1)
    cases = [(table.reached == rank, table[f"{kind}_{rank}"]) for rank in ranks]
    return ibis.cases(*cases)


def _deadline(table: ir.Table, plan: Plan) -> ir.IntegerValue:
    spans = []
    if plan.within is not None:
        spans.append(table.at_1 + plan.within)
    if plan.within_step is not None:
        spans.append(_of_last(table, plan, "at") + plan.within_step)
    # Spark has no least of one value.
    return reduce(ibis.least, spans) if spans else ibis.null("int64")


def _broken(table: ir.Table, plan: Plan) -> ir.BooleanValue:
    """Whether another event came where the next step of a strict funnel should have."""
    return _of_last(table, plan, "more")


def _skips(table: ir.Table, plan: Plan) -> dict[str, ir.BooleanValue]:
    """Whether an attempt took each optional step before it went on or ended."""
    low, high = plan.exclude_between
    found = {}
    for rank in range(1, plan.last):
        for number in plan.skipped_from(rank):
            at = table[f"skip_at_{number}"]
            did = (table.reached >= rank) & at.notnull()
            if plan.within is not None:
                did = did & (at - table.at_1 <= plan.within)
            if plan.within_step is not None:
                did = did & (at - table[f"at_{rank}"] <= plan.within_step)
            this = f"skip_{{}}_{number}"
            in_turn = _before(table, plan, this, f"{{}}_{rank + 1}", together=True)
            did = did & ((table.reached == rank) | in_turn.fill_null(False))
            if plan.exclude is not None and low <= rank < high:
                met = _before(table, plan, "excluded_{}", this, together=False)
                did = did & ~met.fill_null(False)
            found[f"did_{number}"] = did.fill_null(False)
    return found


def _follow(table: ir.Table, plan: Plan, keys: list[str]) -> ir.Table:
    """Attempts that follow one another: each starts after the one before it has ended.

    The start that follows a start is known for each; which of them are met from the first one is
    found by doubling: 1, 2, 4, 8 ... attempts ahead.
    """
    starts = table.cache()
    busiest = starts.group_by(keys).aggregate(n=starts.count())
    most = busiest.aggregate(n=busiest.n.max()).to_pandas()["n"].iloc[0]
    ahead = _next_starts(starts, plan, keys).cache()
    first = starts.group_by(keys).aggregate(pos=starts.pos.min())
    met = first.cache()
    for _ in range(int(most or 0).bit_length()):
        jumped = met.join(ahead, [*keys, "pos"]).select(*keys, pos="next_pos")
        met = met.union(jumped).cache()
        onward = ahead.rename(onward_pos="next_pos", next_pos="pos")
        ahead = ahead.join(onward, [*keys, "next_pos"])
        ahead = ahead.select(*keys, "pos", next_pos="onward_pos").cache()
    return starts.join(met, [*keys, "pos"]).select(starts.columns)


def _next_starts(starts: ir.Table, plan: Plan, keys: list[str]) -> ir.Table:
    """For each start, the first one after the end of its attempt."""
    done = starts.reached == plan.last
    converted = (done, starts[f"at_{plan.last}"], starts[f"pos_{plan.last}"])
    ends = [converted]
    if plan.exclude is not None:
        ends.append((starts.excluded, starts.excluded_at, starts.excluded_pos))
    if plan.order == "strict":
        last_at, last_pos = (_of_last(starts, plan, kind) for kind in ("at", "pos"))
        ends.append((_broken(starts, plan), last_at, last_pos))
    if plan.horizon is not None:
        ends.append((starts.until.notnull(), starts.until, ibis.literal(_FAR)))
    null = ibis.null("int64")
    marks = starts.select(*keys, at="at_1", place="pos", kind=0, start="pos", source=null)
    closed = starts.select(
        *keys,
        at=ibis.cases(*((when, at) for when, at, _ in ends)),
        place=ibis.cases(*((when, pos) for when, _, pos in ends)),
        kind=1,
        start=null,
        source="pos",
    )
    both = marks.union(closed.filter(closed["at"].notnull()))
    # A start at the very event that ends an attempt comes before that end, and is part of it.
    later = ibis.window(group_by=keys, order_by=["at", "place", "kind"], rows=(1, None))
    looked = both.mutate(next_pos=both.start.min().over(later))
    found = looked.filter(looked.source.notnull() & looked.next_pos.notnull())
    return found.select(*keys, pos="source", next_pos="next_pos")
