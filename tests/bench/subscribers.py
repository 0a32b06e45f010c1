"""A stored log of subscribers: who joins, orders, asks for help, leaves and comes back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from cxlib import Spells, spells
from cxlib.engine.store import Snapshot, find_snapshot, write_snapshot
from cxlib.journeys.log import Journeys
from cxlib.models.outcomes.stored import store_spells
from tests.bench.company import (
    BLOCK,
    CHUNK,
    OBSERVED_UNTIL,
    SILENCE,
    append_events,
    fingerprint,
    meta_data,
    repeat_block,
)

LEVELS = {
    "plan": ["basic", "plus", "pro"],
    "region": ["north", "east", "south", "west", "centre"],
    "device": ["phone", "tablet", "laptop"],
    "age_band": ["18-29", "30-44", "45-64", "65+"],
    "payment": ["card", "invoice", "debit"],
}
RATIOS = {
    "plan": [1.0, 0.8, 0.6],
    "region": [1.0, 1.1, 0.9, 1.2, 1.0],
    "device": [1.0, 1.05, 0.95],
    "age_band": [1.0, 0.9, 0.8, 0.7],
    "payment": [1.0, 1.3, 0.9],
}
"""Planted hazard ratios, against the first level."""
TICKET_RATIO = 1.6
SEGMENTS = ["families", "students", "seniors", "movers", "firms"]
LEAVING = ["left_for_price", "left_for_service", "left_without_word"]
_SHARES = [0.6, 0.25, 0.15]
TOUCHPOINTS = ["joined", "opened_ticket", "placed_order", *LEAVING]

_MONTH = 30.4375
_DAYS = 3 * 365
_RATE = 0.03
"""Monthly rate of leaving at the first levels."""
_RETURNING = 0.06
_MOST_ORDERS = 90


def write_subscribers(workspace: Path, customers: int, seed: int = 7) -> Snapshot:
    """Store of so many customers and about three times as many events; the same call, the same log.

    Customers join over three years. Rates of leaving are constant but for the covariates and a
    first ticket, and orders are those of a BG/NBD. Beyond a million customers, each further million
    lives the same lives under other ids.
    """
    name = f"subscribers-{customers}-{seed}-{fingerprint(write_subscribers)}"
    found = find_snapshot(workspace, name)
    if found is not None:
        return found
    blocks = -(-customers // BLOCK)
    if blocks > 1 and customers % BLOCK:
        raise ValueError(f"{customers} customers are not a multiple of {BLOCK}")
    drawn = customers // blocks
    meta = meta_data(name, customers=customers)
    with write_snapshot(workspace, name, meta) as con:
        for first in range(0, drawn, CHUNK):
            generator = np.random.default_rng([seed, first])
            rows = _events(generator, min(CHUNK, drawn - first))
            rows["event_id"] = np.arange(len(rows)) + first * 100
            rows["customer_id"] += first
            raw = con.create_table("raw", rows, temp=True)
            append_events(con, raw, first + 1, TOUCHPOINTS)
            con.drop_table("raw")
        for block in range(1, blocks):
            repeat_block(con, block, {})
        log = Journeys(con.table("events"), con.table("journeys"), OBSERVED_UNTIL, SILENCE)
        meta["spells"] = {"churn": store_spells(con, "churn", churn(log))}
    written = find_snapshot(workspace, name)
    assert written is not None
    return written


def churn(log: Journeys) -> Spells:
    """Every time at risk, with what was known at its start."""
    columns = [*LEVELS, "segment"]
    return spells(log, start="joined", end=LEAVING, window_start=None, columns=columns)


def _events(generator: np.random.Generator, size: int) -> pd.DataFrame:
    """Events of some customers, in days before the cut-off, in no order."""
    customer = np.arange(size)
    joined = generator.uniform(0, _DAYS, size)
    parts = _spells(generator, customer, joined)
    left = parts[-1]
    back = left[generator.random(len(left)) < _RETURNING]
    again = back["day"].to_numpy() + generator.exponential(180, len(back))
    parts += _spells(generator, back["customer_id"].to_numpy(), again)
    parts.append(_orders(generator, customer, joined))
    rows = pd.concat(parts, ignore_index=True)
    rows = rows[rows["day"] < _DAYS]
    since = (rows["day"] - _DAYS) * 86_400
    rows["occurred_at"] = np.datetime64(OBSERVED_UNTIL, "us") + np.floor(since).astype(
        "timedelta64[s]"
    )
    return rows.drop(columns="day").iloc[generator.permutation(len(rows))]


def _spells(
    generator: np.random.Generator, customer: np.ndarray, joined: np.ndarray
) -> list[pd.DataFrame]:
    """Starts with their covariates, tickets, and ends."""
    size = len(customer)
    codes = {name: generator.integers(0, len(levels), size) for name, levels in LEVELS.items()}
    rate = np.full(size, _RATE / _MONTH)
    for name, code in codes.items():
        rate = rate * np.array(RATIOS[name])[code]
    ticket = generator.exponential(14 * _MONTH, size)
    chance = generator.exponential(1.0, size)
    stay = np.where(
        chance < rate * ticket, chance / rate, ticket + (chance / rate - ticket) / TICKET_RATIO
    )
    starts = pd.DataFrame({"customer_id": customer, "day": joined})
    starts["touchpoint"] = _named(np.zeros(size, "int64"), TOUCHPOINTS)
    for name, levels in {**LEVELS, "segment": SEGMENTS}.items():
        code = codes.get(name, generator.integers(0, len(levels), size))
        starts[name] = _named(code, levels)
    asked = ticket < stay
    tickets = pd.DataFrame({"customer_id": customer[asked], "day": (joined + ticket)[asked]})
    tickets["touchpoint"] = _named(np.full(len(tickets), 1), TOUCHPOINTS)
    ends = pd.DataFrame({"customer_id": customer, "day": joined + stay})
    why = generator.choice(len(LEAVING), size, p=_SHARES) + TOUCHPOINTS.index(LEAVING[0])
    ends["touchpoint"] = _named(why, TOUCHPOINTS)
    return [starts, tickets, ends[ends["day"] < _DAYS]]


def _orders(
    generator: np.random.Generator, customer: np.ndarray, joined: np.ndarray
) -> pd.DataFrame:
    rate = generator.gamma(0.25, 1 / (4.4 * 7), len(customer))
    leaves = generator.beta(0.8, 2.5, len(customer))
    day, buyer = joined, customer
    parts = []
    for _ in range(_MOST_ORDERS):
        with np.errstate(divide="ignore", over="ignore"):
            day = day + generator.exponential(1.0, len(day)) / rate
        kept = day < _DAYS
        day, buyer, rate, leaves = (each[kept] for each in (day, buyer, rate, leaves))
        parts.append(pd.DataFrame({"customer_id": buyer, "day": day}))
        stays = generator.random(len(day)) >= leaves
        day, buyer, rate, leaves = (each[stays] for each in (day, buyer, rate, leaves))
        if not len(day):
            break
    orders = pd.concat(parts, ignore_index=True)
    orders["touchpoint"] = _named(np.full(len(orders), 2), TOUCHPOINTS)
    return orders.assign(value=np.rint(generator.lognormal(3.5, 0.6, len(orders))))


def _named(codes: np.ndarray, names: list[str]) -> pd.Categorical:
    return pd.Categorical.from_codes(codes, names)
