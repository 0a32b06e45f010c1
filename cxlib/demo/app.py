"""Exports of the app: its users, and the screens that they open."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cxlib.demo.billing import due_dates
from cxlib.demo.chunk import CHUNK, Chunk, Export
from cxlib.demo.columns import as_ids, choose, pick, where
from cxlib.demo.lives import DAY, HOUR
from cxlib.demo.people import write_phone
from cxlib.demo.support import Answers, Tickets

__all__ = ["SCREENS", "Screens", "app_events", "app_users", "draw_screens"]

Ints = NDArray[np.int64]

SCREENS = ("usage", "tv_guide", "speed_test", "update_card", "referral")

_SCRAMBLE, _PRIME = 5_915_587, 999_999_937


@dataclass(frozen=True)
class Screens:
    """Screens in the order of person and time; ``screen`` is a code of SCREENS.

    Examples
    --------
    >>> one = np.array([0])
    >>> Screens(one, one, one).screen.tolist()
    [0]
    """

    person: Ints
    when: Ints
    screen: Ints


def draw_screens(chunk: Chunk, tickets: Tickets, answers: Answers) -> Screens:
    """Screens that customers with the app open while they subscribe."""
    rng, lives = chunk.stream("draw_screens"), chunk.lives
    users = (rng.random(CHUNK) < chunk.truth.app_users)[lives.customer]
    parts = [
        _routine(chunk, rng),
        _tests(rng, tickets),
        _new_cards(chunk, rng),
        _referrals(rng, answers),
    ]
    life, when, screen = (np.concatenate(part) for part in zip(*parts, strict=True))
    kept = users[life] & chunk.seen(when)
    kept &= (when > lives.started[life]) & (when < lives.ended[life])
    person = lives.customer[life]
    order = np.lexsort((when, person))
    order = order[kept[order]]
    return Screens(person[order], when[order], screen[order])


_Opened = tuple[Ints, Ints, Ints]


def _code(screen: str, size: int) -> Ints:
    return np.full(size, SCREENS.index(screen))


def _routine(chunk: Chunk, rng: np.random.Generator) -> _Opened:
    lives = chunk.lives
    period, life = np.nonzero(lives.at_risk & (rng.random(lives.at_risk.shape) < 0.5))
    when = chunk.opens(period, life) + (rng.random(life.size) * chunk.period).astype(np.int64)
    return life, when, choose(rng, [0.6, 0.4], life.size)


def _tests(rng: np.random.Generator, tickets: Tickets) -> _Opened:
    """Speed tests before a ticket about a technical matter."""
    chosen = np.flatnonzero((tickets.topic == 0) & (rng.random(tickets.life.size) < 0.45))
    wait = (HOUR * (0.2 + 6 * rng.random(chosen.size))).astype(np.int64)
    return tickets.life[chosen], tickets.opened[chosen] - wait, _code("speed_test", chosen.size)


def _new_cards(chunk: Chunk, rng: np.random.Generator) -> _Opened:
    failed = chunk.lives.failed & ~chunk.customers.debit[chunk.lives.customer]
    period, life = np.nonzero(failed & (rng.random(failed.shape) < 0.5))
    when = due_dates(chunk, period, life) + ((0.6 + 2 * rng.random(life.size)) * DAY).astype(int)
    return life, when, _code("update_card", life.size)


def _referrals(rng: np.random.Generator, answers: Answers) -> _Opened:
    chosen = np.flatnonzero((answers.survey == 0) & (answers.score >= 9))
    chosen = chosen[rng.random(chosen.size) < 0.5]
    when = answers.when[chosen] + (4 * DAY * rng.random(chosen.size)).astype(np.int64) + HOUR
    return answers.life[chosen], when, _code("referral", chosen.size)


def _user_ids(chunk: Chunk, person: Ints) -> pa.Array:
    return as_ids("U", chunk.persons()[person] * _SCRAMBLE % _PRIME, 9)


def app_users(chunk: Chunk, screens: Screens) -> Export:
    """Users of the app; the login is the e-mail, checked when they registered."""
    rng, people = chunk.stream("app_users"), chunk.people
    person, first = np.unique(screens.person, return_index=True)
    rows = pa.array(person)
    nickname = rng.random(person.size) < 0.5
    columns = {
        "app_user_id": _user_ids(chunk, person),
        "login": people.email.take(rows),
        "display_name": where(nickname, people.given.take(rows), people.family.take(rows)),
        "phone": write_phone(rng, people.phone[person], chunk.faults),
        "platform": pick(("ios", "android"), person % 2),
        "first_opened_at": chunk.times(screens.when[first], style="offset"),
    }
    return Export("app_users", columns, person, "app_user_id")


def app_events(chunk: Chunk, screens: Screens) -> Export:
    """Screens, with New York time and its offset."""
    size = screens.person.size
    number = chunk.first_row("screens", 200, size) + np.arange(size)
    columns = {
        "event_id": as_ids("A", number, 10),
        "app_user_id": _user_ids(chunk, screens.person),
        "screen": pick(SCREENS, screens.screen),
        "opened_at": chunk.times(screens.when, style="offset"),
    }
    return Export("app_events", columns, screens.person)
