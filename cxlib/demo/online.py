"""Exports of the website: sessions, and visitors who become known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cxlib.demo.billing import due_dates
from cxlib.demo.chunk import CHUNK, Chunk, Export
from cxlib.demo.columns import as_ids, pick, where
from cxlib.demo.lives import DAY, HOUR, NEVER
from cxlib.demo.parameters import CAUSES, CHANNELS
from cxlib.demo.support import Tickets

__all__ = ["PAGES", "Visits", "draw_visits", "web_events", "web_visitors"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

PAGES = (
    "campaign",
    "home",
    "plans",
    "reviews",
    "coverage",
    "checkout",
    "help",
    "chatbot",
    "terms",
    "move",
    "account",
    "news",
)

_SCRAMBLE, _PRIME = 7_368_787, 999_999_937


@dataclass(frozen=True)
class Visits:
    """Page views in the order of person and time.

    Attributes
    ----------
    person, device
        Who, and on which of their devices (0 or 1).
    when, page, session
        Seconds since 1970, code of PAGES, number of the session in the chunk.
    known_at
        For each person and device, when it signed in first (NEVER for one that never did).

    Examples
    --------
    >>> one = np.array([0])
    >>> Visits(one, one, one, one, one, one).page.tolist()
    [0]
    """

    person: Ints
    device: Ints
    when: Ints
    page: Ints
    session: Ints
    known_at: Ints


class _Sessions:
    """Sessions that are collected one kind after the other."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.rows: list[tuple[Ints, Ints, Ints, Ints, Ints, Flags]] = []
        self.count = 0

    def add(
        self,
        person: Ints,
        start: Ints,
        pages: Sequence[tuple[str, Any]],
        *,
        device: Ints | int = 0,
        signed_in: Flags | bool = False,
    ) -> None:
        """Sessions in which the pages are seen in this order, each with its probability."""
        size = person.size
        shares = np.stack([np.broadcast_to(share, size) for _, share in pages])
        shown = self.rng.random(shares.shape) < shares
        gaps = self.rng.integers(15, 200, shares.shape)
        when = start + np.cumsum(np.where(shown, gaps, 0), axis=0)
        step, who = np.nonzero(shown)
        codes = np.array([PAGES.index(name) for name, _ in pages])
        device = np.broadcast_to(device, size)[who]
        signed_in = np.broadcast_to(signed_in, size)[who]
        # A sign-in happens at the checkout or in the account area, not while looking around.
        signed_in = signed_in & (codes[step] >= PAGES.index("checkout"))
        self.rows.append(
            (person[who], device, when[step, who], codes[step], self.count + who, signed_in)
        )
        self.count += size


def draw_visits(chunk: Chunk, tickets: Tickets) -> Visits:
    """Page views of customers and prospects in the window."""
    rng = chunk.stream("draw_visits")
    sessions = _Sessions(rng)
    _shop(chunk, sessions)
    _look_around(chunk, sessions)
    _help_themselves(chunk, sessions, tickets)
    _decide_to_leave(chunk, sessions)
    _return(chunk, sessions)
    _now_and_then(chunk, sessions, 0.18, [("account", 0.9), ("news", 0.25)])
    person, device, when, page, session, signed_in = (
        np.concatenate(part) for part in zip(*sessions.rows, strict=True)
    )
    kept = chunk.seen(when)
    order = np.lexsort((when, person))
    order = order[kept[order]]
    person, device, when, page, session, signed_in = (
        part[order] for part in (person, device, when, page, session, signed_in)
    )
    known_at = np.full(2 * len(chunk.people.phone), NEVER)
    np.minimum.at(known_at, (2 * person + device)[signed_in], when[signed_in])
    return Visits(person, device, when, page, session, known_at)


def _days(rng: np.random.Generator, least: float, most: float, size: int) -> Ints:
    return ((least + (most - least) * rng.random(size)) * DAY).astype(np.int64)


_CHECK_OUT = (("home", 0.25), ("plans", 0.6), ("coverage", 0.6), ("checkout", 1.0))
_LOOK = (("campaign", 0.35), ("home", 0.85), ("plans", 0.65), ("reviews", 0.18), ("coverage", 0.15))


def _shop(chunk: Chunk, sessions: _Sessions) -> None:
    """What buyers do on the website before they sign up."""
    rng, share, bought = sessions.rng, chunk.truth.shopping, chunk.lives.started[:CHUNK]
    person, online = np.arange(CHUNK), chunk.customers.channel == CHANNELS.index("web")
    looks = rng.random(CHUNK) < np.where(online, share["looks_online"], share["looks_elsewhere"])
    back = np.minimum(0.4 + rng.exponential(5.0, CHUNK), 25)
    sessions.add(person[looks], (bought - (back * DAY).astype(np.int64))[looks], _LOOK)
    again = online & (rng.random(CHUNK) < share["leaves_first_checkout"])
    earlier = bought - _days(rng, 0.2, 4, CHUNK)
    sessions.add(person[again], earlier[again], _CHECK_OUT, signed_in=True)
    # Sixteen minutes: longer than the pages before the checkout take.
    sessions.add(person[online], bought[online] - 960, _CHECK_OUT, signed_in=True)
    # Who bought elsewhere signs in afterwards, with the device that looked around before.
    after = np.where(online, NEVER, bought + _days(rng, 0.5, 2, CHUNK))
    visits = ~online & (looks | (rng.random(CHUNK) < 0.5))
    sessions.add(person[visits], after[visits], (("account", 1.0), ("news", 0.2)), signed_in=True)


def _look_around(chunk: Chunk, sessions: _Sessions) -> None:
    """What prospects do: most only look, some stop at the checkout."""
    rng, size, share = sessions.rng, chunk.prospects, chunk.truth.shopping
    person = CHUNK + np.arange(size)
    start = chunk.begin + (rng.random(size) * (chunk.end - chunk.begin)).astype(np.int64)
    sessions.add(person, start, _LOOK)
    returns = rng.random(size) < share["prospect_returns"]
    later = start + _days(rng, 0.5, 8, size)
    pages = (("home", 0.5), ("plans", 0.7), ("coverage", 0.6))
    sessions.add(person[returns], later[returns], pages)
    tries = rng.random(size) < np.where(
        returns, share["prospect_tries_after_return"], share["prospect_tries"]
    )
    at = np.where(returns, later, start) + _days(rng, 0.02, 1.5, size)
    named = rng.random(size) < share["prospect_names_e_mail"]
    sessions.add(person[tries], at[tries], _CHECK_OUT, signed_in=named[tries])


def _help_themselves(chunk: Chunk, sessions: _Sessions, tickets: Tickets) -> None:
    """Self-service: some find what they need, the others open a ticket afterwards."""
    rng, lives = sessions.rng, chunk.lives
    period, life = np.nonzero(lives.deflected)
    opens = np.maximum(chunk.opens(period, life), chunk.begin)
    at = np.where(lives.failed[period, life], due_dates(chunk, period, life), opens + DAY)
    at = at + _days(rng, 1, 12, life.size)
    alive = at < lives.ended[life]
    life, at = life[alive], at[alive]
    stuck = np.flatnonzero(tickets.tried)
    life = np.concatenate([life, tickets.life[stuck]])
    before = tickets.opened[stuck] - (HOUR * (0.3 + 5 * rng.random(stuck.size))).astype(np.int64)
    at = np.concatenate([at, before])
    searches = rng.random(life.size) < 0.75
    chats = np.where(searches, rng.random(life.size) < 0.40, True)
    pages = (("account", 0.1), ("help", searches * 1.0), ("chatbot", chats * 1.0))
    device = (rng.random(life.size) < 0.35).astype(np.int64)
    sessions.add(lives.customer[life], at, pages, device=device, signed_in=True)


def _decide_to_leave(chunk: Chunk, sessions: _Sessions) -> None:
    """What customers look at once they have decided to leave, and now and then without that."""
    rng, lives, truth = sessions.rng, chunk.lives, chunk.truth
    life = np.flatnonzero(lives.ended < NEVER)
    at = lives.ended[life] - _days(rng, 0.05, 9, life.size)
    # Never in the period before: what comes before the decision cannot be a sign of it.
    at = np.clip(at, chunk.last_opens(life) + HOUR, lives.ended[life] - 900)
    usual, leaving = truth.decoy_share
    reasons = (*CAUSES, "not_renewed")
    shares = {
        page: np.array([truth.last_signs.get(reason, {}).get(page, 0.0) for reason in reasons])
        for page in ("plans", "move")
    }
    shares["terms"] = np.array([0.0 if reason == "payment" else leaving for reason in reasons])
    pages = [(page, share[lives.cause[life]]) for page, share in shares.items()]
    sessions.add(lives.customer[life], at, pages, signed_in=True)
    for page, share in {"terms": usual, **truth.usual_signs}.items():
        _now_and_then(chunk, sessions, share, [(page, 1.0)])


def _return(chunk: Chunk, sessions: _Sessions) -> None:
    """What customers look at before they come back."""
    rng, lives = sessions.rng, chunk.lives
    life = np.flatnonzero((lives.spell > 1) & (rng.random(lives.spell.size) < 0.8))
    when = lives.started[life] - _days(rng, 0.02, 6, life.size)
    pages = (("home", 0.7), ("plans", 0.75), ("coverage", 0.1), ("checkout", 0.5))
    sessions.add(lives.customer[life], when, pages, signed_in=True)


def _now_and_then(
    chunk: Chunk, sessions: _Sessions, share: float, pages: Sequence[tuple[str, float]]
) -> None:
    """Visits of customers at any time, in a share of the billing periods."""
    rng, lives = sessions.rng, chunk.lives
    period, life = np.nonzero(lives.at_risk & (rng.random(lives.at_risk.shape) < share))
    when = chunk.opens(period, life) + _days(rng, 0, chunk.truth.period_days, life.size)
    device = (rng.random(life.size) < 0.35).astype(np.int64)
    here = when < lives.ended[life]
    who = lives.customer[life[here]]
    sessions.add(who, when[here], pages, device=device[here], signed_in=True)


def _visitor_ids(chunk: Chunk, person: Ints, device: Ints) -> pa.Array:
    number = 2 * chunk.persons()[person] + device
    return as_ids("V", number * _SCRAMBLE % _PRIME, 9)


def web_visitors(chunk: Chunk, visits: Visits) -> Export:
    """Devices; each with the e-mail that signed in on it later, or with its own id."""
    both, first = np.unique(2 * visits.person + visits.device, return_index=True)
    person, device = both // 2, both % 2
    known_at = visits.known_at[both]
    known = known_at < NEVER
    ids = _visitor_ids(chunk, person, device)
    columns = {
        "visitor_id": ids,
        "profile": where(known, chunk.people.email.take(pa.array(person)), ids),
        "first_seen_at": chunk.times(visits.when[first], style="z"),
        "signed_in_at": chunk.times(known_at, style="z"),
    }
    return Export("web_visitors", columns, person, "visitor_id")


def web_events(chunk: Chunk, visits: Visits) -> Export:
    """Page views; the e-mail stands there from the first sign-in on."""
    size = visits.person.size
    number = chunk.first_row("page views", 400, size) + np.arange(size)
    known = visits.when >= visits.known_at[2 * visits.person + visits.device]
    rows = pa.array(visits.person, mask=~known)
    session = chunk.first_row("sessions", 400, size) + visits.session
    columns = {
        "event_id": as_ids("W", number, 10),
        "visitor_id": _visitor_ids(chunk, visits.person, visits.device),
        "session_id": as_ids("N", session, 10),
        "email": chunk.people.email.take(rows),
        "page": pick(PAGES, visits.page),
        "viewed_at": chunk.times(visits.when, style="z"),
    }
    return Export("web_events", columns, visits.person)
