"""A funnel in plain Python: one attempt at a time, one event at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.journeys.logs import DAY_ONE

Row = dict[str, Any]


@dataclass
class Attempt:
    """What became of one start; hours since the first day."""

    unit: str
    start: Row
    times: list[float]
    end: tuple[float, str] | None = None
    excluded: bool = False
    is_open: bool = False
    skips: dict[int, float] = field(default_factory=dict)

    @property
    def reached(self) -> int:
        return len(self.times)


def hour(row: Row) -> float:
    return (row["occurred_at"] - DAY_ONE).total_seconds() / 3600


def place(row: Row) -> tuple[float, str]:
    return hour(row), row["event_id"]


def funnel_by_hand(
    rows: list[Row],
    steps: list[Callable[[Row], bool]],
    *,
    until: float,
    order: str = "ordered",
    optional: tuple[int, ...] = (),
    within: float | None = None,
    within_step: float | None = None,
    at_least: float = 0,
    entry: str = "first",
    count: str = "customers",
    exclude: Callable[[Row], bool] | None = None,
    exclude_between: tuple[int, int] | None = None,
    on_exclude: str = "drop_at_step",
    hold: str | None = None,
    ties: str = "order",
) -> list[Attempt]:
    """Attempts that count, wholly dropped ones included and marked ``excluded``."""
    unit = "journey_id" if count == "journeys" else "customer_id"
    parts: dict[tuple[str, Any], list[Row]] = {}
    for row in sorted(rows, key=place):
        if hold is None or row[hold] is not None:
            parts.setdefault((row[unit], row[hold] if hold else None), []).append(row)
    required = [i for i in range(len(steps)) if i + 1 not in optional]
    low, high = 1, len(required)
    if exclude_between is not None:
        low, high = (required.index(number - 1) + 1 for number in exclude_between)

    def try_from(events: list[Row], at: int) -> Attempt:
        attempt = Attempt(events[at][unit], events[at], [hour(events[at])])
        taken, here, left = [at], at, set(range(len(steps)))
        if order == "any":
            left -= {i for i in left if steps[i](events[at])}
        forbidden_from: float | None = None
        deadline = float("inf")
        while attempt.reached < len(required):
            rank = attempt.reached
            deadline = min(
                float("inf") if within is None else attempt.times[0] + within,
                float("inf") if within_step is None else attempt.times[-1] + within_step,
            )
            if rank == low:
                forbidden_from = place(events[here]) if ties == "order" else hour(events[here])
            moved = False
            stop_at: Row | None = None
            skipped = range(required[rank - 1] + 1, required[rank]) if order == "ordered" else ()
            later = events[here + 1 :] if ties == "order" else events
            if order == "strict":
                later = later[:1]
            for row in later:
                if row is events[here] or hour(row) < hour(events[here]):
                    continue
                if hour(row) > deadline:
                    break
                if order == "strict" and hour(row) - hour(events[here]) < at_least:
                    break
                if exclude is not None and low <= rank < high and exclude(row):
                    first = place(row) if ties == "order" else hour(row)
                    if first > forbidden_from:
                        if stop_at is None:
                            stop_at = row
                        if ties == "order":
                            break
                if stop_at is not None and hour(row) > hour(stop_at):
                    break
                if hour(row) - hour(events[here]) >= at_least:
                    for number in skipped:
                        if steps[number](row):
                            attempt.skips.setdefault(number, hour(row))
                    wanted = left if order == "any" else {required[rank]}
                    fits = {i for i in wanted if steps[i](row)}
                    if fits and events.index(row) not in taken:
                        # Among equal times an optional step still has its turn.
                        if ties == "either":
                            for other in events:
                                for number in skipped:
                                    if hour(other) == hour(row) and steps[number](other):
                                        attempt.skips.setdefault(number, hour(other))
                        here = events.index(row)
                        taken.append(here)
                        left -= fits
                        attempt.times.append(hour(row))
                        moved = True
                        break
            if not moved:
                followed = here + 1 < len(events)
                if stop_at is not None:
                    attempt.excluded = True
                    attempt.end = place(stop_at)
                elif order == "strict" and followed:
                    attempt.end = place(events[here])
                    if hour(events[here]) > deadline:
                        raise AssertionError
                elif deadline < float("inf"):
                    attempt.end = (deadline, "~")
                    attempt.is_open = deadline > until
                return attempt
        attempt.end = place(events[here])
        return attempt

    attempts: dict[str, list[Attempt]] = {}
    for (name, _), events in parts.items():
        end: tuple[float, str] | None = (-1.0, "")
        for at, row in enumerate(events):
            starts = any(step(row) for step in steps) if order == "any" else steps[0](row)
            if not starts:
                continue
            if count == "attempts" and (end is None or place(row) <= end):
                continue
            attempt = try_from(events, at)
            end = attempt.end
            attempts.setdefault(name, []).append(attempt)
    whole = on_exclude == "drop_whole"
    chosen = []
    for own in attempts.values():
        own = sorted(own, key=lambda attempt: place(attempt.start))
        if count == "attempts":
            chosen += own
        elif entry == "best":
            chosen.append(
                min(own, key=lambda a: (whole and a.excluded, -a.reached, place(a.start)))
            )
        else:
            chosen.append(own[0] if entry == "first" else own[-1])
    return chosen
