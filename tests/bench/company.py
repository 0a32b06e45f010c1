"""A stored log of any size: made-up customers with paths, waits and journeys that look real."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

import ibis
import numpy as np
import pandas as pd

from cxlib.engine.store import Snapshot, find_snapshot, write_snapshot
from cxlib.engine.writing import create_named_table
from cxlib.journeys.counted import count_ahead
from cxlib.journeys.prepare import journey_table, prepare_events
from cxlib.tables import END, OPEN

OBSERVED_UNTIL = datetime(2025, 1, 1)
SILENCE = timedelta(days=30)
EVENTS_PER_CUSTOMER = 10
CHUNK = 250_000
"""Customers written at a time."""
BLOCK = 1_000_000
"""Customers whose ways are drawn; more than these are further blocks of the same ways."""

_SPAN_SECONDS = 730 * 86_400
_MOST_EVENTS = 80
_DRAWS = 4_096
"""Cells of the table that a next touchpoint is drawn from."""

_STAGES = {
    "awareness": ["saw_advert", "read_article", "searched_web", "followed_link", "watched_video"],
    "consideration": [
        "viewed_home",
        "viewed_plans",
        "viewed_product",
        "compared_offers",
        "read_review",
        "used_calculator",
        "asked_chatbot",
        "started_trial",
    ],
    "purchase": [
        "added_basket",
        "opened_checkout",
        "entered_payment",
        "placed_order",
        "got_receipt",
    ],
    "onboarding": [
        "created_account",
        "confirmed_email",
        "got_delivery",
        "installed_app",
        "watched_guide",
        "joined_call",
        "finished_setup",
    ],
    "service": [
        "logged_in",
        "used_feature",
        "searched_help",
        "opened_ticket",
        "called_support",
        "wrote_chat",
        "got_answer",
        "reopened_ticket",
        "rated_service",
    ],
    "renewal": [
        "got_reminder",
        "viewed_invoice",
        "paid_invoice",
        "renewed_plan",
        "changed_plan",
        "cancelled_plan",
    ],
}
TOUCHPOINTS = [name for names in _STAGES.values() for name in names]
_STAGE_OF = [stage for stage, names in _STAGES.items() for _ in names]
_CHANNELS = ["web", "app", "phone", "shop"]


def write_store(workspace: Path, events: int, seed: int = 7) -> Snapshot:
    """Store with so many events and a tenth as many customers; the same call gives the same log.

    Beyond a million customers, each further million takes the same ways under other names: every
    touchpoint stands for another one. So there are as many more customers, journeys and paths, in a
    fraction of the time.
    """
    name = f"bench-{events}-{seed}-{fingerprint(write_store)}"
    found = find_snapshot(workspace, name)
    if found is not None:
        return found
    customers = max(1, events // EVENTS_PER_CUSTOMER)
    blocks = -(-customers // BLOCK)
    if blocks > 1 and events != blocks * BLOCK * EVENTS_PER_CUSTOMER:
        raise ValueError(f"{events} events are not a multiple of {BLOCK * EVENTS_PER_CUSTOMER}")
    sizes = _sizes(np.random.default_rng([seed, 0]), events // blocks, customers // blocks)
    with write_snapshot(workspace, name, meta_data(name, customers=customers)) as con:
        for first in range(0, len(sizes), CHUNK):
            part = sizes[first : first + CHUNK]
            raw = con.create_table("raw", _events(part, first, [seed, 1, first]), temp=True)
            append_events(con, raw, first + 1, TOUCHPOINTS)
            con.drop_table("raw")
        for block in range(1, blocks):
            repeat_block(con, block, _other_names(block))
    written = find_snapshot(workspace, name)
    assert written is not None
    return written


def meta_data(name: str, **counts: int) -> dict[str, object]:
    """What stands beside the data of a made-up snapshot."""
    return {
        "name": name,
        "cxlib_version": "bench",
        "built_at": "2025-01-01T00:00:00+00:00",
        "observed_from": None,
        "observed_until": OBSERVED_UNTIL.isoformat(),
        "closes_after_seconds": SILENCE.total_seconds(),
        "inputs": [],
        "counts": counts,
    }


def fingerprint(made_by: object) -> str:
    """What made a store: one that other code prepared is no yardstick."""
    files = [Path(inspect.getfile(part)) for part in (prepare_events, write_store, made_by)]
    code = [path.read_text(encoding="utf-8") for path in files]
    code.append(inspect.getsource(create_named_table))
    return hashlib.sha256("".join(code).encode()).hexdigest()[:8]


def append_events(
    con: ibis.BaseBackend, raw: ibis.Table, first_number: int, touchpoints: list[str]
) -> None:
    """Prepare one chunk as a build does; customers are whole in a chunk, so chunks add up."""
    named = raw.mutate(
        event_id=_text("e", raw.event_id, 12),
        customer_id=_text("c", raw.customer_id, 9),
        source=ibis.literal("bench"),
    )
    prepared = prepare_events(
        named, observed_until=OBSERVED_UNTIL, closes_after=SILENCE, split_after=SILENCE
    )
    counted = count_ahead(prepared, first_number=first_number)
    ordered = counted.order_by("customer_id", "occurred_at", "event_id")
    chunk = con.create_table("chunk", ordered, temp=True)
    journeys = journey_table(chunk).order_by("customer_id", "started_at", "journey_id")
    for name, table in {"events": chunk, "journeys": journeys}.items():
        if name in con.list_tables():
            con.insert(name, table)
        else:
            columns = ["path"] if name == "journeys" else ["touchpoint", "next_touchpoint"]
            create_named_table(con, name, table, columns, [*touchpoints, END, OPEN])
    con.drop_table("chunk")


def repeat_block(con: ibis.BaseBackend, block: int, other: Mapping[str, str]) -> None:
    """Append the first block's customers again, with other ids and, where given, touchpoints."""
    more = block * BLOCK

    def renamed(name: ibis.Value) -> ibis.Value:
        return name.cases(*other.items(), else_=name) if other else name

    def own(table: ibis.Table) -> dict[str, ibis.Value]:
        customer = _text("c", table.cx_customer - 1 + more, 9)
        return {
            "customer_id": customer,
            "journey_id": customer + table.journey_id.substr(10),
            "cx_customer": table.cx_customer + more,
        }

    events, journeys = con.table("events"), con.table("journeys")
    events = events.filter(events.cx_customer <= BLOCK)
    number = events.event_id.substr(1).cast("int64") + more * 100
    con.insert(
        "events",
        events.mutate(
            **own(events),
            event_id=_text("e", number, 12),
            touchpoint=renamed(events.touchpoint),
            next_touchpoint=renamed(events.next_touchpoint),
        ),
    )
    journeys = journeys.filter(journeys.cx_customer <= BLOCK)
    path = journeys.path.map(renamed) if other else journeys.path
    con.insert("journeys", journeys.mutate(**own(journeys), path=path))


def _other_names(block: int) -> dict[str, str]:
    size = len(TOUCHPOINTS)
    # 7 has no divisor in common with 40, so neighbours come apart and no two names meet.
    return {TOUCHPOINTS[i]: TOUCHPOINTS[(7 * i + block) % size] for i in range(size)}


def _text(letter: str, number: ibis.Value, digits: int) -> ibis.Value:
    """Ids as exports have them: text, a letter and digits."""
    return ibis.literal(letter) + number.cast("string").lpad(digits, "0")


def _sizes(generator: np.random.Generator, events: int, customers: int) -> np.ndarray:
    """Events per customer, many with few and few with many, that add up exactly."""
    drawn = generator.gamma(1.2, EVENTS_PER_CUSTOMER / 1.2, customers)
    sizes = np.clip(np.rint(drawn), 1, _MOST_EVENTS).astype("int64")
    while (missing := events - int(sizes.sum())) != 0:
        fits = np.flatnonzero(sizes < _MOST_EVENTS if missing > 0 else sizes > 1)
        chosen = generator.choice(fits, min(abs(missing), len(fits)), replace=False)
        sizes[chosen] += np.sign(missing)
    return sizes


def _events(sizes: np.ndarray, first: int, seed: list[int]) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    number = np.repeat(np.arange(len(sizes)), sizes)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    position = np.arange(len(number)) - starts[number]
    again = (position > 0) & (generator.random(len(number)) < 0.09)
    touchpoint = _touchpoints(generator, sizes, starts, again)
    second = _seconds(generator, position, again, number, sizes)
    where = generator.integers(0, _DRAWS, len(number))
    bought = np.isin(touchpoint, [TOUCHPOINTS.index(n) for n in ("placed_order", "renewed_plan")])
    customer = number + first
    rows = pd.DataFrame(
        {
            "event_id": customer * 100 + position,
            "customer_id": customer,
            "occurred_at": np.datetime64("2023-01-01", "us") + second.astype("timedelta64[s]"),
            "touchpoint": pd.Categorical.from_codes(touchpoint, TOUCHPOINTS),
            "channel": pd.Categorical.from_codes(np.minimum(where % 7, 3), _CHANNELS),
            "stage": pd.Categorical.from_codes(
                pd.factorize(np.array(_STAGE_OF))[0][touchpoint], list(_STAGES)
            ),
            "value": np.where(bought, np.rint(20 + where / 20), np.nan),
        }
    )
    # Rows come as exports do, in no order of customers.
    return rows.iloc[generator.permutation(len(rows))]


def _touchpoints(
    generator: np.random.Generator, sizes: np.ndarray, starts: np.ndarray, again: np.ndarray
) -> np.ndarray:
    """Codes of touchpoints, by a Markov chain per journey."""
    table, begin = _chain(np.random.default_rng(40))
    found = np.empty(int(sizes.sum()), dtype="int64")
    order = np.argsort(-sizes, kind="stable")
    for position in range(int(sizes.max())):
        active = order[: int((sizes > position).sum())]
        at = starts[active] + position
        draw = generator.integers(0, _DRAWS, len(at))
        fresh = begin[draw]
        if position == 0:
            found[at] = fresh
        else:
            found[at] = np.where(again[at], fresh, table[found[at - 1], draw])
    return found


def _chain(generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """For each touchpoint a row to draw the next one from, and a row to draw a first one from."""
    size = len(TOUCHPOINTS)
    popular = 1.0 + generator.gamma(0.8, 2.5, size)
    near = np.exp(-np.abs(np.arange(size)[None, :] - np.arange(size)[:, None] - 1) / 3.0)
    weights = popular[None, :] * near * generator.gamma(0.7, 1.0, (size, size)) + 0.01
    rows = [_cells(row) for row in weights]
    entry = np.where(np.arange(size) < 13, popular, 0.3 * popular)
    return np.array(rows), _cells(entry)


def _cells(weights: np.ndarray) -> np.ndarray:
    bounds = np.cumsum(weights) / weights.sum()
    return np.searchsorted(bounds, (np.arange(_DRAWS) + 0.5) / _DRAWS)


def _seconds(
    generator: np.random.Generator,
    position: np.ndarray,
    again: np.ndarray,
    number: np.ndarray,
    sizes: np.ndarray,
) -> np.ndarray:
    """Seconds since the first day: waits of minutes to days, and months between journeys."""
    size = len(position)
    wait = np.minimum(generator.lognormal(9.0, 2.0, size), 25 * 86_400)
    wait[generator.random(size) < 0.02] = 0
    between = generator.uniform(31, 150, size) * 86_400
    gap = np.where(position == 0, 0, np.where(again, between, wait))
    total = np.cumsum(gap)
    last = np.cumsum(sizes) - 1
    since = total - total[last - sizes + 1][number]
    span = since[last]
    shrink = np.minimum(1.0, 0.98 * _SPAN_SECONDS / np.maximum(span, 1))
    begin = generator.random(len(sizes)) * (_SPAN_SECONDS - span * shrink)
    return np.floor(begin[number] + since * shrink[number])
