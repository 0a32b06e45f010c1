"""What happens to the customers: the process that generates the data, period by period."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxlib.demo.columns import choose
from cxlib.demo.parameters import CAUSES, CHANNELS, PLANS, TOPICS, PlantedTruth

__all__ = [
    "DAY",
    "HOUR",
    "NEVER",
    "NOT_RENEWED",
    "Customers",
    "Lives",
    "draw_customers",
    "draw_lives",
    "seconds",
]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

HOUR = 3_600
DAY = 86_400
NEVER = np.int64(2**62)
NOT_RENEWED = len(CAUSES)
"""Code of the end of a contract that was not renewed, after the codes of CAUSES."""
_TIERS = ("low", "middle", "high")
_MOST_SPELLS = 3
_CHANCES = [
    "cause",
    "fail",
    "need",
    "topic",
    "try",
    "deflect",
    "escalate",
    "further",
    "solve",
    "decline",
    "rise",
]
_FLAGS = [
    "at_risk",
    "churned",
    "failed_before",
    "handoffs_before",
    "low_before",
    "failed",
    "tried",
    "deflected",
    "ticket",
    "solved",
    "due",
    "declined",
    "rises",
]


def seconds(moment: object) -> int:
    """Seconds since 1970 of a naive UTC moment.

    Examples
    --------
    >>> from datetime import datetime
    >>> seconds(datetime(1970, 1, 2))
    86400
    """
    return int(np.datetime64(moment, "s").astype(np.int64))  # type: ignore[call-overload]


@dataclass(frozen=True)
class Customers:
    """Facts about each customer of a chunk, one array per fact.

    Examples
    --------
    >>> rng = np.random.default_rng(7)
    >>> draw_customers(rng, 3, PlantedTruth()).channel.shape
    (3,)
    """

    channel: Ints
    plan: Ints
    annual: Flags
    debit: Flags
    legacy: Flags
    started: Ints
    technician: Flags
    rescheduled: Flags
    trait: Floats
    decline: Floats
    purchase_rate: Floats
    purchase_scale: Floats

    @property
    def tier(self) -> Ints:
        """Code of the price tier: low, middle, high."""
        return np.array([_TIERS.index(plan.tier) for plan in PLANS])[self.plan]


@dataclass
class Lives:
    """Subscriptions of a chunk, one per column; the matrices have one row per period.

    Attributes
    ----------
    customer, spell
        Whose it is (position in the chunk), and which of theirs (from 1).
    started, ended
        Seconds since 1970; NEVER where it has not ended by the end of the window.
    cause
        Code of CAUSES, NOT_RENEWED, or -1.
    first
        Number of the first period in the window (0 unless it began before).
    rescheduled
        Whether its installation was moved: the friction.
    at_risk, exposure, churned
        Whether the period began with the customer still there, the part of its risk that the
        window shows, and whether it ended with the customer leaving.
    failed_before, handoffs_before, low_before
        Conditions of the hazard: what happened in the period before.
    failed, topic, tried, deflected, ticket, handoffs, solved, mood
        What happens in the period: payment, need for help (-1: none), self-service, ticket.
    due, declined, rises
        Whether a term ends with the period, is not renewed, and whether the price rises.

    Examples
    --------
    >>> rng, truth = np.random.default_rng(7), PlantedTruth()
    >>> lives = draw_lives(rng, draw_customers(rng, 100, truth), truth)
    >>> bool((lives.started[lives.ended < NEVER] < lives.ended[lives.ended < NEVER]).all())
    True
    """

    customer: Ints
    spell: Ints
    started: Ints
    ended: Ints
    cause: Ints
    first: Ints
    rescheduled: Flags
    at_risk: Flags
    exposure: Floats
    churned: Flags
    failed_before: Flags
    handoffs_before: Flags
    low_before: Flags
    failed: Flags
    topic: Ints
    tried: Flags
    deflected: Flags
    ticket: Flags
    handoffs: Ints
    solved: Flags
    mood: Floats
    due: Flags
    declined: Flags
    rises: Flags


def draw_customers(rng: np.random.Generator, size: int, truth: PlantedTruth) -> Customers:
    """Facts about the customers of one chunk.

    Parameters
    ----------
    rng
        The chunk's own generator.
    size
        How many customers.
    truth
        The parameters.

    Returns
    -------
    Customers
        Those who joined before the window are still there at its start; what they are like is
        therefore drawn as it is among survivors.

    Examples
    --------
    >>> rng = np.random.default_rng(7)
    >>> bool(draw_customers(rng, 1000, PlantedTruth()).legacy.mean() > 0.1)
    True
    """
    begin, end = seconds(truth.window_start), seconds(truth.observed_until)
    channel = choose(rng, [truth.channel_shares[name] for name in CHANNELS], size)
    tiers = np.cumsum([truth.tier_shares[name] for name in CHANNELS], axis=1)
    plan = (rng.random((size, 1)) > tiers[channel, :-1]).sum(axis=1)
    annual = rng.random(size) < np.array([truth.annual_share[name] for name in CHANNELS])[channel]
    legacy = rng.random(size) < truth.legacy_share
    back = begin - 1 - (rng.random(size) * truth.legacy_days * DAY).astype(np.int64)
    started = np.where(legacy, back, begin + (rng.random(size) * (end - begin)).astype(np.int64))
    started = started - started % 60
    technician = rng.random(size) < truth.technician_share
    terms = (begin - started) // (truth.period_days * truth.term_periods * DAY)
    a, b = truth.renewal_beta
    shape, rate = truth.purchase_rate
    _, q, gamma = truth.purchase_value
    return Customers(
        channel=channel,
        plan=plan,
        annual=annual,
        debit=rng.random(size) < 0.4,
        legacy=legacy,
        started=started,
        technician=technician,
        rescheduled=technician & (rng.random(size) < truth.reschedule_share),
        trait=rng.normal(*truth.usual_mood, size),
        # Who has renewed n terms already has the Beta distribution of those who did.
        decline=rng.beta(a, b + np.where(legacy, terms, 0)),
        purchase_rate=rng.gamma(shape, 1 / rate, size),
        purchase_scale=1 / rng.gamma(q, 1 / gamma, size),
    )


def draw_lives(rng: np.random.Generator, customers: Customers, truth: PlantedTruth) -> Lives:
    """Subscriptions of the customers of a chunk, win-backs included.

    Parameters
    ----------
    rng
        The chunk's own generator.
    customers
        Their facts.
    truth
        The parameters.

    Returns
    -------
    Lives
        First every first subscription, then the second ones, then the third ones.

    Examples
    --------
    >>> rng, truth = np.random.default_rng(7), PlantedTruth()
    >>> lives = draw_lives(rng, draw_customers(rng, 500, truth), truth)
    >>> int(lives.spell[0]), bool((lives.spell[500:] > 1).all())
    (1, True)
    """
    everyone = np.arange(customers.started.size)
    spells = [_draw_spells(rng, customers, everyone, customers.started, 1, truth)]
    for spell in range(2, _MOST_SPELLS + 1):
        who, when = _winbacks(rng, spells[-1], truth)
        spells.append(_draw_spells(rng, customers, who, when, spell, truth))
    joined = {
        name: np.concatenate([getattr(each, name) for each in spells], axis=-1)
        for name in Lives.__dataclass_fields__
    }
    return Lives(**joined)


def _winbacks(rng: np.random.Generator, lives: Lives, truth: PlantedTruth) -> tuple[Ints, Ints]:
    """Who returns, and when."""
    size = lives.customer.size
    share = np.array([*(truth.winback_share[name] for name in (*CAUSES, "not_renewed")), 0.0])
    returns = rng.random(size) < share[lives.cause]  # -1, still here, takes the last: never
    days = truth.winback_median_days * np.exp(truth.winback_sigma * rng.standard_normal(size))
    days += truth.winback_least_days
    when = lives.ended + (days * DAY).astype(np.int64)
    returns &= when < seconds(truth.observed_until)
    when = when - when % 60
    return lives.customer[returns], when[returns]


def _draw_spells(
    rng: np.random.Generator,
    customers: Customers,
    who: Ints,
    started: Ints,
    spell: int,
    truth: PlantedTruth,
) -> Lives:
    run = _Run(rng, customers, who, started, spell, truth)
    for period in range(run.periods):
        run.step(period)
    return run.lives


class _Run:
    """Subscriptions that are lived through together, one period after the other."""

    def __init__(
        self,
        rng: np.random.Generator,
        customers: Customers,
        who: Ints,
        started: Ints,
        spell: int,
        truth: PlantedTruth,
    ) -> None:
        self.truth = truth
        self.begin, self.end = seconds(truth.window_start), seconds(truth.observed_until)
        self.length = truth.period_days * DAY
        self.periods = (self.end - self.begin) // self.length + 2
        self.annual, self.tier = customers.annual[who], customers.tier[who]
        self.channel, self.debit = customers.channel[who], customers.debit[who]
        self.trait, self.decline = customers.trait[who], customers.decline[who]
        self.returned = np.full(who.size, spell > 1)
        self.alive = np.ones(who.size, bool)
        self.now = self.trait.copy()
        first = np.maximum(0, (self.begin - started) // self.length)
        rescheduled = customers.rescheduled[who] & (spell == 1)
        self.lives = _blank(who, spell, started, first, rescheduled, self.periods)
        shape = (self.periods, who.size)
        self.patience, self.noise = rng.exponential(size=shape), rng.normal(size=shape)
        self.chance = {use: rng.random(shape) for use in _CHANCES}
        self.fixed = self._log_hazard(self._fixed_conditions())
        bands = sorted(truth.baseline_hazard)
        self.bands, self.base = np.array(bands), np.log([truth.baseline_hazard[k] for k in bands])

    def step(self, period: int) -> None:
        lives, number = self.lives, self.lives.first + period
        opens = lives.started + number * self.length
        lives.at_risk[period] = self.alive & (opens <= self.end)
        conditions = self._conditions(period, number)
        self._leave(period, number, opens, conditions)
        self._pay(period)
        self._seek_help(period, number, opens)
        self._feel(period, number)
        self._renew(period, number, opens)

    def _fixed_conditions(self) -> dict[str, Flags]:
        return {
            "annual_contract": self.annual,
            "returned": self.returned,
            **{f"channel_{name}": self.channel == code for code, name in enumerate(CHANNELS)},
            **{f"tier_{name}": self.tier == code for code, name in enumerate(_TIERS)},
        }

    def _conditions(self, period: int, number: Ints) -> dict[str, Flags]:
        """Conditions that vary: the friction's first periods, and what the last period left."""
        lives = self.lives
        if period > 0:
            lives.failed_before[period] = lives.failed[period - 1]
            lives.handoffs_before[period] = lives.handoffs[period - 1] >= 2
            lives.low_before[period] = self.now < self.truth.low_sentiment_below
        return {
            "rescheduled_installation": self._friction(number),
            "failed_payment": lives.failed_before[period],
            "two_handoffs": lives.handoffs_before[period],
            "low_sentiment": lives.low_before[period],
        }

    def _friction(self, number: Ints) -> Flags:
        return self.lives.rescheduled & (number < self.truth.friction_periods)

    def _log_hazard(self, conditions: dict[str, Flags]) -> Floats:
        logs = (np.log(self.truth.hazard_ratio(name)) * met for name, met in conditions.items())
        return np.sum(list(logs), axis=0)

    def _leave(self, period: int, number: Ints, opens: Ints, conditions: dict[str, Flags]) -> None:
        """Who leaves, when and why: the planted hazard, in continuous time within the period."""
        lives, closes = self.lives, opens + self.length
        risk_opens = opens + np.where(number == 0, self.truth.grace_days * DAY, 0)
        enters, whole = np.maximum(risk_opens, self.begin), closes - risk_opens
        base = self.base[np.searchsorted(self.bands, number, side="right") - 1]
        hazard = np.exp(base + self.fixed + self._log_hazard(conditions)) / whole
        when = enters + np.minimum(self.patience[period] / hazard, self.length).astype(np.int64)
        churned = lives.at_risk[period] & (when < closes) & (when <= self.end)
        seen = (np.minimum(closes, self.end) - enters) / whole
        lives.exposure[period] = np.clip(seen, 0.0, None) * lives.at_risk[period]
        lives.churned[period] = churned
        self._end(churned, when, self._causes(period, conditions))

    def _causes(self, period: int, conditions: dict[str, Flags]) -> Ints:
        """Cause of each customer's leaving, were it now."""
        met = self._fixed_conditions() | conditions
        weights = np.empty((len(CAUSES), self.alive.size))
        for code, cause in enumerate(CAUSES):
            weights[code] = self.truth.cause_shares[cause]
            for condition, odds in self.truth.cause_odds.items():
                weights[code] *= np.where(met[condition], odds.get(cause, 1.0), 1.0)
        edges = np.cumsum(weights, axis=0)
        return (self.chance["cause"][period] * edges[-1] > edges[:-1]).sum(axis=0)

    def _end(self, leaves: Flags, when: Ints, cause: Ints) -> None:
        self.lives.ended[leaves] = when[leaves]
        self.lives.cause[leaves] = cause[leaves]
        self.alive &= ~leaves

    def _pay(self, period: int) -> None:
        lives, truth = self.lives, self.truth
        usual = np.where(self.debit, truth.fail_share["direct_debit"], truth.fail_share["card"])
        share = np.where(lives.failed_before[period], truth.fail_again, usual)
        lives.failed[period] = lives.at_risk[period] & (self.chance["fail"][period] < share)

    def _seek_help(self, period: int, number: Ints, opens: Ints) -> None:
        """Who needs help, tries self-service, opens a ticket, and is handed on."""
        lives, truth, failed = self.lives, self.truth, self.lives.failed[period]
        chance = {use: draw[period] for use, draw in self.chance.items()}
        late = (opens >= seconds(truth.drift_at)).astype(int)
        more, first = truth.help_more, number == 0
        share = truth.help_share + more["first_period"] * first + more["failed_payment"] * failed
        share = share + more["rescheduled_installation"] * (lives.rescheduled & first)
        need = lives.at_risk[period] & (chance["need"] < share)
        shares = np.where(failed[:, None], truth.topic_shares_failed, truth.topic_shares)
        topic = (chance["topic"][:, None] > np.cumsum(shares, axis=1)[:, :-1]).sum(axis=1)
        leaving = topic == TOPICS.index("cancellation")
        tried = need & ~leaving & (chance["try"] < truth.self_service_share)
        deflected = tried & (chance["deflect"] < np.array(truth.deflection)[late])
        ticket = need & ~deflected
        handed_on = ticket & (leaving | (chance["escalate"] < np.array(truth.escalation)[late]))
        further = np.searchsorted(np.cumsum(truth.further_handoffs)[:-1], chance["further"])
        handoffs = np.where(handed_on, 1 + np.where(leaving, 0, further), 0)
        at_once, per_handoff = truth.solved_share
        lives.topic[period] = np.where(need, topic, -1)
        lives.tried[period], lives.deflected[period] = tried, deflected
        lives.ticket[period], lives.handoffs[period] = ticket, handoffs
        lives.solved[period] = ticket & (chance["solve"] < at_once + per_handoff * handoffs)

    def _feel(self, period: int, number: Ints) -> None:
        """The mood returns to what it usually is, unless something happens."""
        lives, truth = self.lives, self.truth
        ticket, solved = lives.ticket[period], lives.solved[period]
        happened = {
            "solved": solved,
            "unsolved": ticket & ~solved,
            "handoff": lives.handoffs[period],
            "failed_payment": lives.failed[period],
            "rescheduled_installation": lives.rescheduled & (number == 0),
        }
        mood = truth.mood_memory * self.now + (1 - truth.mood_memory) * self.trait
        mood += truth.mood_noise * self.noise[period]
        self.now = mood + sum(truth.mood_effects[name] * met for name, met in happened.items())
        lives.mood[period] = self.now

    def _renew(self, period: int, number: Ints, opens: Ints) -> None:
        lives, closes = self.lives, opens + self.length
        last = (number + 1) % self.truth.term_periods == 0
        lives.due[period] = lives.at_risk[period] & self.annual & last
        decides = lives.due[period] & self.alive & (closes <= self.end)
        declined = decides & (self.chance["decline"][period] < self.decline)
        lives.declined[period] = declined
        lives.rises[period] = decides & ~declined & (self.chance["rise"][period] < 0.5)
        self._end(declined, closes, np.full(self.alive.size, NOT_RENEWED))


def _blank(
    who: Ints, spell: int, started: Ints, first: Ints, rescheduled: Flags, periods: int
) -> Lives:
    shape = (periods, who.size)
    return Lives(
        customer=who,
        spell=np.full(who.size, spell),
        started=started,
        ended=np.full(who.size, NEVER),
        cause=np.full(who.size, -1),
        first=first,
        rescheduled=rescheduled,
        exposure=np.zeros(shape),
        mood=np.zeros(shape),
        topic=np.full(shape, -1, np.int64),
        handoffs=np.zeros(shape, np.int64),
        **{name: np.zeros(shape, bool) for name in _FLAGS},
    )
