"""Exports of the billing system: accounts, subscriptions, invoices, renewals, installations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cxlib.demo.chunk import Chunk, Export
from cxlib.demo.columns import as_ids, as_times, at_day, pick, where
from cxlib.demo.lives import DAY, HOUR, NEVER
from cxlib.demo.parameters import CAUSES, CHANNELS, PLANS
from cxlib.demo.people import write_email, write_name, write_phone

__all__ = [
    "Installations",
    "Renewals",
    "billing_customers",
    "billing_invoices",
    "billing_renewals",
    "billing_subscriptions",
    "draw_installations",
    "draw_renewals",
    "due_dates",
    "installations",
]

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

_ANNUAL_PRICE = 0.90  # an annual contract costs this share of a monthly one
_DUE, _FIRST_DUE = 10 * DAY, 17 * DAY  # after the period has begun


def _prices(chunk: Chunk) -> NDArray[np.float64]:
    """Price of each period: rows as in the matrices, one column per subscription."""
    lives, customers = chunk.lives, chunk.customers
    base = np.array([plan.price for plan in PLANS])[customers.plan[lives.customer]]
    base = base * np.where(customers.annual[lives.customer], _ANNUAL_PRICE, 1.0)
    rises: Ints = np.cumsum(lives.rises, axis=0) - lives.rises
    return np.round(base * (1 + chunk.truth.price_rise) ** rises, 2)


def billing_customers(chunk: Chunk) -> Export:
    """Accounts: one per customer, and a second one for some who came back."""
    rng, faults, people = chunk.stream("billing_customers"), chunk.faults, chunk.people
    lives = chunk.lives
    _, life = np.unique(chunk.account, return_index=True)
    life = np.sort(life)
    who = lives.customer[life]
    rows = pa.array(who)
    given, family = people.given.take(rows), people.family.take(rows)
    email = write_email(
        rng,
        people.email.take(rows),
        people.other_email.take(rows),
        faults,
        typo=faults.billing_email_typo,
        missing=faults.billing_no_email,
        another=faults.billing_other_email,
    )
    customers = chunk.customers
    columns = {
        "billing_id": as_ids("B", chunk.account[life]),
        "account_name": write_name(rng, given, family, faults),
        "email": email,
        "phone": write_phone(rng, people.phone[who], faults),
        "street": people.street.take(rows),
        "city": people.city.take(rows),
        "postcode": people.postcode.take(rows),
        "customer_since": chunk.times(lives.started[life], style="date"),
        "payment_method": pick(("card", "direct_debit"), customers.debit[who].astype(int)),
        "acquisition_channel": pick(CHANNELS, customers.channel[who]),
        "contract": pick(("monthly", "annual"), customers.annual[who].astype(int)),
        "plan": pick([plan.name for plan in PLANS], customers.plan[who]),
        "price_tier": pick(("low", "middle", "high"), customers.tier[who]),
        "product": pick([plan.product for plan in PLANS], customers.plan[who]),
    }
    return Export("billing_customers", columns, who, "billing_id")


def billing_subscriptions(chunk: Chunk) -> Export:
    """Subscriptions: one row each, a win-back being a new one."""
    rng, lives, customers = chunk.stream("billing_subscriptions"), chunk.lives, chunk.customers
    who, size = lives.customer, lives.customer.size
    ended = lives.ended < NEVER
    by_phone = np.where(rng.random(size) < 0.55, 1, 0)
    how = np.where(lives.cause == CAUSES.index("payment"), 2, by_phone)
    columns = {
        "subscription_id": as_ids("S", _subscription_numbers(chunk)),
        "billing_id": as_ids("B", chunk.account),
        "kind": pick(("new", "win_back"), (lives.spell > 1).astype(int)),
        "plan": pick([plan.name for plan in PLANS], customers.plan[who]),
        "product": pick([plan.product for plan in PLANS], customers.plan[who]),
        "price_tier": pick(("low", "middle", "high"), customers.tier[who]),
        "contract": pick(("monthly", "annual"), customers.annual[who].astype(int)),
        "price": pa.array(_prices(chunk)[0]),
        "sales_channel": where(lives.spell > 1, "web", pick(CHANNELS, customers.channel[who])),
        "started_at": chunk.times(lives.started),
        "ended_at": chunk.times(lives.ended),
        "cancel_reason": pick((*CAUSES, "not_renewed"), lives.cause),
        "cancel_channel": pick(("web", "phone", "automatic"), np.where(ended, how, -1)),
    }
    return Export("billing_subscriptions", columns, who)


def due_dates(chunk: Chunk, period: Ints, life: Ints) -> Ints:
    """When the invoice of a period must be paid, in seconds."""
    first = chunk.lives.first[life] + period == 0
    due = chunk.opens(period, life) + np.where(first, _FIRST_DUE, _DUE)
    return np.maximum(due, chunk.begin + DAY)


def _subscription_numbers(chunk: Chunk) -> Ints:
    size = chunk.lives.customer.size
    return chunk.first_row("subscriptions", 3, size) + np.arange(size)


def billing_invoices(chunk: Chunk) -> Export:
    """Invoices: one per period, and one for each extra purchase."""
    parts = [_period_invoices(chunk), _extra_invoices(chunk)]
    life = np.concatenate([part.pop("life") for part in parts])
    columns = {
        name: pa.concat_arrays([part[name] for part in parts]) for name in parts[0]
    }  # fmt: skip
    number = chunk.first_row("invoices", 200, life.size) + np.arange(life.size)
    ids = {
        "invoice_id": as_ids("I", number, 10),
        "billing_id": as_ids("B", chunk.account[life]),
        "subscription_id": as_ids("S", _subscription_numbers(chunk)[life]),
    }
    return Export("billing_invoices", ids | columns, chunk.lives.customer[life])


def _period_invoices(chunk: Chunk) -> dict[str, pa.Array]:
    rng, lives = chunk.stream("period_invoices"), chunk.lives
    period, life = np.nonzero(lives.at_risk)
    opens = chunk.opens(period, life)
    kept = (np.maximum(opens, chunk.begin) <= chunk.end) & (opens + chunk.period > chunk.begin)
    period, life, opens = period[kept], life[kept], opens[kept]
    size, ended = life.size, lives.ended[life]
    first = lives.first[life] + period == 0
    due = due_dates(chunk, period, life)
    broke = lives.churned[period, life] & (lives.cause[life] == CAUSES.index("payment"))
    early, spread, wait = rng.random(size), rng.random(size), rng.random(size)
    # Who leaves because a payment failed has, in the period of leaving, one that failed.
    lost = opens + ((ended - opens) * (0.2 + 0.3 * spread)).astype(np.int64)
    failed_at = np.where(broke, lost, due + (12 * HOUR * spread).astype(np.int64))
    due = np.where(broke, failed_at, due)
    failed = (lives.failed[period, life] | broke) & (failed_at < ended)
    reminded_at = failed_at + ((3 + 2 * early) * DAY).astype(np.int64)
    gap = np.where(broke, (ended - failed_at) * (0.4 + 0.4 * early), 0).astype(np.int64)
    reminded_at = np.where(broke, failed_at + gap, reminded_at)
    settled_at = reminded_at + ((1 + 10 * wait) * DAY).astype(np.int64)
    settled = failed & ~broke & (settled_at < ended) & (settled_at <= chunk.end)
    paid_at = due - (early * np.where(first, 3, 8) * DAY).astype(np.int64)
    paid_at = np.maximum(paid_at, chunk.begin)
    paid = ~failed & (paid_at < ended)
    later = np.where(failed, ended > chunk.end, paid_at > chunk.end)
    status = np.select(
        [settled, failed & later, failed, paid & ~later, later], [1, 2, 3, 0, 4], default=5
    )
    states = ("paid", "recovered", "overdue", "unpaid", "open", "credited")
    return {
        "life": life,
        "kind": pick(("regular", "first"), first.astype(int)),
        "amount": pa.array(_prices(chunk)[period, life]),
        "currency": pick(["USD"], np.zeros(size, int)),
        "issued_at": as_times(np.maximum(opens, chunk.begin), style="date"),
        "due_at": as_times(due, style="date"),
        "status": pick(states, status),
        "paid_at": chunk.times(paid_at, paid),
        "failed_at": chunk.times(failed_at, failed),
        "reminded_at": chunk.times(reminded_at, failed & (reminded_at < ended)),
        "settled_at": chunk.times(settled_at, settled),
    }


def _extra_invoices(chunk: Chunk) -> dict[str, pa.Array]:
    rng, lives, customers = chunk.stream("extra_invoices"), chunk.lives, chunk.customers
    opens = np.maximum(lives.started + 12 * DAY, chunk.begin)
    closes = np.minimum(lives.ended, chunk.end)
    active = np.clip(closes - opens, 0, None)
    count = rng.poisson(customers.purchase_rate[lives.customer] * active / chunk.period)
    life = np.repeat(np.arange(count.size), count)
    bought_at = opens[life] + (rng.random(life.size) * active[life]).astype(np.int64)
    p, _, _ = chunk.truth.purchase_value
    amount = rng.gamma(p, customers.purchase_scale[lives.customer[life]])
    nothing = np.zeros(life.size, bool)
    return {
        "life": life,
        "kind": pick(["extra"], np.zeros(life.size, int)),
        "amount": pa.array(np.round(np.maximum(amount, 0.5), 2)),
        "currency": pick(["USD"], np.zeros(life.size, int)),
        "issued_at": as_times(bought_at, style="date"),
        "due_at": as_times(bought_at, style="date"),
        "status": pick(["paid"], np.zeros(life.size, int)),
        "paid_at": chunk.times(bought_at),
        **{name: chunk.times(bought_at, nothing)
           for name in ("failed_at", "reminded_at", "settled_at")},
    }  # fmt: skip


@dataclass(frozen=True)
class Renewals:
    """Ends of annual terms: whose, when, and what was decided (0 renewed, 1 declined, -1 open).

    Examples
    --------
    >>> one = np.array([0])
    >>> Renewals(one, one, one, one, one, one).decision.tolist()
    [0]
    """

    period: Ints
    life: Ints
    due: Ints
    offered: Ints
    decided: Ints
    decision: Ints


def draw_renewals(chunk: Chunk) -> Renewals:
    """Ends of annual terms of which the window shows the offer or the decision."""
    rng, lives = chunk.stream("draw_renewals"), chunk.lives
    period, life = np.nonzero(lives.due)
    due = chunk.opens(period, life) + chunk.period
    shift, lead = rng.random(life.size), rng.random(life.size)
    offered = due - ((chunk.truth.offer_days - 3 + 6 * shift) * DAY).astype(np.int64)
    decided = due - ((1 + 19 * lead) * DAY).astype(np.int64)
    decided = np.maximum(decided, chunk.begin + HOUR)
    renewed = (lives.ended[life] > due) & (due <= chunk.end)
    decision = np.where(lives.declined[period, life], 1, np.where(renewed, 0, -1))
    shown = (decision >= 0) | (chunk.seen(offered) & (offered < lives.ended[life]))
    return Renewals(*(part[shown] for part in (period, life, due, offered, decided, decision)))


def billing_renewals(chunk: Chunk, renewals: Renewals) -> Export:
    """Decisions at the end of annual terms."""
    period, life = renewals.period, renewals.life
    before = _prices(chunk)[period, life]
    rise = np.where(chunk.lives.rises[period, life], 1 + chunk.truth.price_rise, 1.0)
    decided = renewals.decision >= 0
    after = pa.array(np.round(before * rise, 2), mask=renewals.decision != 0)
    number = chunk.first_row("renewals", 9, life.size) + np.arange(life.size)
    term = (chunk.lives.first[life] + period + 1) // chunk.truth.term_periods
    columns = {
        "renewal_id": as_ids("R", number),
        "billing_id": as_ids("B", chunk.account[life]),
        "subscription_id": as_ids("S", _subscription_numbers(chunk)[life]),
        "term": pa.array(term),
        "offered_at": chunk.times(renewals.offered, renewals.offered >= chunk.begin),
        "due_at": as_times(at_day(renewals.due)),
        "decision": pick(("renewed", "declined"), renewals.decision),
        "decided_at": chunk.times(renewals.decided, decided),
        "price_before": pa.array(before),
        "price_after": after,
    }
    return Export("billing_renewals", columns, chunk.lives.customer[life])


@dataclass(frozen=True)
class Installations:
    """Times from order to a working line, in seconds; NEVER where a step did not happen.

    Examples
    --------
    >>> one = np.array([0])
    >>> Installations(one, one, one, one, one).life.tolist()
    [0]
    """

    life: Ints
    delivered: Ints
    booked: Ints
    rescheduled: Ints
    activated: Ints


def draw_installations(chunk: Chunk) -> Installations:
    """Installations of subscriptions that began in the window."""
    rng, lives = chunk.stream("draw_installations"), chunk.lives
    life = np.flatnonzero(lives.started >= chunk.begin)
    started, size = lives.started[life], life.size
    technician = chunk.customers.technician[lives.customer[life]] & (lives.spell[life] == 1)
    moved = lives.rescheduled[life]
    wait = rng.random((5, size))
    delivered = started + ((1.5 + 2 * wait[0]) * DAY).astype(np.int64)
    booked = started + ((0.02 + wait[1]) * DAY).astype(np.int64)
    visit = started + ((4 + 3 * wait[2]) * DAY).astype(np.int64)
    rescheduled = visit - (4 * HOUR + 20 * HOUR * wait[3]).astype(np.int64)
    visit = visit + np.where(moved, (7 + 7 * wait[4]) * DAY, 0).astype(np.int64)
    plugged = delivered + (HOUR + 40 * HOUR * wait[2] ** 2).astype(np.int64)
    steps = {
        "delivered": delivered,
        "booked": np.where(technician, booked, NEVER),
        "rescheduled": np.where(moved, rescheduled, NEVER),
        "activated": np.where(technician, visit, plugged),
    }
    gone = lives.ended[life]
    return Installations(
        life, **{name: np.where(when < gone, when, NEVER) for name, when in steps.items()}
    )


def installations(chunk: Chunk, installed: Installations) -> Export:
    """Field-service orders: delivery of the router, visit of a technician, activation."""
    life = installed.life
    number = chunk.first_row("installations", 3, life.size) + np.arange(life.size)
    columns = {
        "installation_id": as_ids("F", number),
        "billing_id": as_ids("B", chunk.account[life]),
        "method": pick(("self_install", "technician"), (installed.booked < NEVER).astype(int)),
    }
    for name in ("delivered", "booked", "rescheduled", "activated"):
        when = getattr(installed, name)
        columns[f"{name}_at"] = chunk.times(when)
    return Export("installations", columns, chunk.lives.customer[life])
