"""Exports of support: tickets, their way through the departments, and surveys."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cxlib.demo.billing import Installations, Renewals
from cxlib.demo.chunk import Chunk, Export
from cxlib.demo.columns import as_ids, as_times, choose, glue, pick
from cxlib.demo.lives import DAY, HOUR, NEVER, NOT_RENEWED, TOPICS
from cxlib.demo.parameters import CAUSES
from cxlib.demo.people import write_email, write_name, write_phone
from cxlib.demo.words import COMMENTS, TICKET_DETAILS, TICKET_OPENINGS

__all__ = [
    "DEPARTMENTS",
    "Answers",
    "Tickets",
    "draw_answers",
    "draw_tickets",
    "support_ticket_moves",
    "support_tickets",
    "surveys",
]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

DEPARTMENTS = ("front_desk", "technical", "billing", "retention")
_ROUTES = np.array(
    [
        # first, second (one of two), third department that a ticket of each topic is handed to
        [1, 0, 2, 1],
        [2, 0, 1, 2],
        [2, 0, 1, 2],
        [3, 0, 2, 3],
        [2, 0, 1, 2],
    ]
)
_LONGEST_WAIT = 56 * HOUR


@dataclass(frozen=True)
class Tickets:
    """Tickets that the window shows; times in seconds, NEVER where something did not happen.

    Examples
    --------
    >>> one = np.array([0])
    >>> Tickets(one, one, one, one, one, one > 0, one.astype(float), one, one, one).topic.tolist()
    [0]
    """

    life: Ints
    opened: Ints
    topic: Ints
    handoffs: Ints
    number: Ints
    tried: Flags
    mood: Floats
    solved: Ints
    closed: Ints
    reopened: Ints
    moved: Ints | None = None


def draw_tickets(chunk: Chunk) -> Tickets:
    """Tickets: those of the planted process, and those of customers who have decided to leave."""
    rng, lives = chunk.stream("draw_tickets"), chunk.lives
    period, life = np.nonzero(lives.ticket)
    opens = chunk.opens(period, life)
    begin = np.maximum(opens, chunk.begin) + np.where(lives.first[life] + period == 0, 2, 0.2) * DAY
    begin = np.where(lives.failed[period, life], np.maximum(begin, opens + 11 * DAY), begin)
    # The ticket is over before the period is, so that its handoffs count in one period.
    room = np.clip(opens + chunk.period - 8.5 * DAY - begin, 0, None)
    opened = (begin + rng.random(life.size) * room).astype(np.int64)
    last = _last_tickets(chunk, rng)
    life = np.concatenate([life, last["life"]])
    opened = np.concatenate([opened, last["opened"]])
    topic = np.concatenate([lives.topic[lives.ticket], last["topic"]])
    handoffs = np.concatenate([lives.handoffs[lives.ticket], (last["topic"] == 3).astype(int)])
    solved = np.concatenate([lives.solved[lives.ticket], np.zeros(last["life"].size, bool)])
    tried = np.concatenate([lives.tried[lives.ticket], np.zeros(last["life"].size, bool)])
    mood = np.concatenate([lives.mood[lives.ticket], np.full(last["life"].size, -0.7)])
    shown = chunk.seen(opened) & (opened < lives.ended[life])
    life, opened, topic, handoffs, solved, tried, mood = (
        part[shown] for part in (life, opened, topic, handoffs, solved, tried, mood)
    )
    return _work_on(chunk, rng, life, opened, topic, handoffs, solved, tried, mood)


def _last_tickets(chunk: Chunk, rng: np.random.Generator) -> dict[str, Ints]:
    """Complaints and talks about leaving, once the decision is made: no cause of anything."""
    lives = chunk.lives
    share = np.zeros(NOT_RENEWED + 2)  # the last is for who has not left, cause -1
    share[[CAUSES.index("service"), CAUSES.index("price"), NOT_RENEWED]] = 0.45, 0.35, 0.25
    size = lives.customer.size
    writes, days = rng.random(size) < share[lives.cause], 1 + 8 * rng.random(size)
    life = np.flatnonzero(writes)
    opened = lives.ended[life] - (days[life] * DAY).astype(np.int64)
    opened = np.maximum(opened, chunk.last_opens(life) + HOUR)
    complains = lives.cause[life] == CAUSES.index("service")
    return {"life": life, "opened": opened, "topic": np.where(complains, 4, 3)}


def _work_on(
    chunk: Chunk,
    rng: np.random.Generator,
    life: Ints,
    opened: Ints,
    topic: Ints,
    handoffs: Ints,
    solved: Flags,
    tried: Flags,
    mood: Floats,
) -> Tickets:
    size, ended = life.size, chunk.lives.ended[life]
    median = chunk.truth.handoff_median_hours * HOUR
    waits = np.minimum(median * np.exp(0.6 * rng.standard_normal((3, size))), _LONGEST_WAIT)
    moved = opened + np.cumsum(waits, axis=0).astype(np.int64)
    moved = np.where((np.arange(3)[:, None] < handoffs) & (moved < ended), moved, NEVER)
    last = np.where(moved < NEVER, moved, opened).max(axis=0)
    work = np.minimum(5 * HOUR * np.exp(0.8 * rng.standard_normal(size)), 30 * HOUR)
    closed = last + work.astype(np.int64)
    wait, again, late = rng.random(size), rng.random(size), rng.random(size)
    reopens = ~solved & (topic < 3) & (again < 0.55)
    reopened = np.where(reopens, closed + ((0.5 + 3 * wait) * DAY).astype(np.int64), NEVER)
    solved_late = reopens & (late < 0.75)
    solved_at = np.where(solved, closed, NEVER)
    solved_at = np.where(
        solved_late, reopened + ((0.3 + 2 * late) * DAY).astype(np.int64), solved_at
    )
    number = chunk.first_row("tickets", 60, size) + np.arange(size)
    closed, reopened, solved_at = (
        np.where((when < ended) & (when <= chunk.end), when, NEVER)
        for when in (closed, reopened, solved_at)
    )
    return Tickets(
        life, opened, topic, handoffs, number, tried, mood, solved_at, closed, reopened, moved
    )


def support_tickets(chunk: Chunk, tickets: Tickets) -> Export:
    """Tickets with the requester as the agent typed them, and what the customer wrote."""
    rng, faults, people = chunk.stream("support_tickets"), chunk.faults, chunk.people
    size = tickets.life.size
    who = chunk.lives.customer[tickets.life]
    rows = pa.array(who)
    email = write_email(
        rng,
        people.email.take(rows),
        people.other_email.take(rows),
        faults,
        typo=faults.ticket_email_typo,
        missing=faults.ticket_no_email,
        another=faults.ticket_other_email,
        generic=faults.ticket_generic_email,
    )
    tv = rng.random(size) < 0.3
    solved = tickets.solved < NEVER
    state = np.select([solved, tickets.closed < NEVER], [0, 1], 2)
    columns = {
        "ticket_id": as_ids("T", tickets.number, 9),
        "requester_name": write_name(
            rng, people.given.take(rows), people.family.take(rows), faults
        ),
        "requester_email": email,
        "requester_phone": write_phone(rng, people.phone[who], faults),
        "channel": pick(("phone", "chat", "email"), choose(rng, [0.5, 0.3, 0.2], size)),
        "topic": pick(TOPICS, tickets.topic),
        "product": pick(("internet", "tv"), ((tickets.topic == 0) & tv).astype(int)),
        "opened_at": as_times(tickets.opened, style="z"),
        "escalated": pick(("no", "yes"), (tickets.handoffs > 0).astype(int)),
        "status": pick(("solved", "closed", "open"), state),
        "closed_at": chunk.times(tickets.closed, tickets.closed < NEVER, style="z"),
        "reopened_at": chunk.times(tickets.reopened, tickets.reopened < NEVER, style="z"),
        "solved_at": chunk.times(tickets.solved, solved, style="z"),
        "text": _ticket_text(rng, tickets),
    }
    return Export("support_tickets", columns, who, "ticket_id")


def _ticket_text(rng: np.random.Generator, tickets: Tickets) -> pa.Array:
    size = tickets.life.size
    annoyed = (tickets.mood < -0.1) | (tickets.topic == 4)
    openings = [line for tone in TICKET_OPENINGS for line in tone]
    calm = len(TICKET_OPENINGS[0])
    opening = np.where(annoyed, calm + rng.integers(0, 5, size), rng.integers(0, calm, size))
    details = [line for topic in TOPICS for line in TICKET_DETAILS[topic]]
    lengths = np.array([len(TICKET_DETAILS[topic]) for topic in TOPICS])
    offsets = np.cumsum(lengths) - lengths
    detail = offsets[tickets.topic] + (rng.random(size) * lengths[tickets.topic]).astype(int)
    return glue(pick(openings, opening), " ", pick(details, detail))


def support_ticket_moves(chunk: Chunk, tickets: Tickets) -> Export:
    """Handoffs of tickets from one department to the next."""
    rng = chunk.stream("support_ticket_moves")
    assert tickets.moved is not None
    second = 1 + rng.integers(0, 2, tickets.life.size)
    route = np.stack(
        [
            np.zeros_like(tickets.topic),
            _ROUTES[tickets.topic, 0],
            _ROUTES[tickets.topic, second],
            _ROUTES[tickets.topic, 3],
        ]
    )
    ticket, hop = np.nonzero(((tickets.moved < NEVER) & chunk.seen(tickets.moved)).T)
    number = chunk.first_row("moves", 120, ticket.size) + np.arange(ticket.size)
    columns = {
        "move_id": as_ids("M", number, 9),
        "ticket_id": as_ids("T", tickets.number[ticket], 9),
        "from_department": pick(DEPARTMENTS, route[hop, ticket]),
        "to_department": pick(DEPARTMENTS, route[hop + 1, ticket]),
        "moved_at": as_times(tickets.moved[hop, ticket], style="z"),
    }
    return Export("support_ticket_moves", columns, chunk.lives.customer[tickets.life[ticket]])


@dataclass(frozen=True)
class Answers:
    """Answers to surveys (0 NPS, 1 CSAT, 2 CES).

    Examples
    --------
    >>> one = np.array([0])
    >>> Answers(one, one, one, one, one).score.tolist()
    [0]
    """

    life: Ints
    when: Ints
    survey: Ints
    score: Ints
    ticket: Ints


def draw_answers(
    chunk: Chunk, tickets: Tickets, renewals: Renewals, installed: Installations
) -> Answers:
    """Answers after a half-year, after a renewal, after a ticket and after the installation."""
    rng, lives = chunk.stream("draw_answers"), chunk.lives
    period, life = np.nonzero(
        lives.at_risk & ((lives.first + np.arange(len(lives.mood))[:, None]) % 6 == 5)
    )
    asked = rng.random(life.size) < 0.16
    period, life = period[asked], life[asked]
    half = chunk.opens(period, life) + (rng.random(life.size) * 20 * DAY).astype(np.int64)
    renewed = np.flatnonzero((renewals.decision == 0) & (rng.random(renewals.life.size) < 0.35))
    after = renewals.decided[renewed] + ((1 + 6 * rng.random(renewed.size)) * DAY).astype(np.int64)
    mood = np.concatenate(
        [lives.mood[period, life], lives.mood[renewals.period, renewals.life][renewed]]
    )
    nps_life = np.concatenate([life, renewals.life[renewed]])
    nps = np.clip(np.rint(7.4 + 2.4 * mood + 1.2 * rng.standard_normal(mood.size)), 0, 10)
    rated = np.flatnonzero((tickets.closed < NEVER) & (rng.random(tickets.life.size) < 0.32))
    wait = ((0.05 + 2 * rng.random(rated.size)) * DAY).astype(np.int64)
    good = np.where(tickets.solved[rated] < NEVER, 0.9, -1.0) - 0.35 * tickets.handoffs[rated]
    raw = 3.3 + good + 0.7 * tickets.mood[rated] + 0.7 * rng.standard_normal(rated.size)
    csat = np.clip(np.rint(raw), 1, 5)
    settled = np.minimum(tickets.solved[rated], NEVER)
    from_ = np.where(settled < NEVER, settled, tickets.closed[rated])
    joined = np.flatnonzero(
        (installed.activated < NEVER) & (rng.random(installed.life.size) < 0.30)
    )
    ease = 5.9 - 2.6 * (installed.rescheduled[joined] < NEVER)
    ces = np.clip(np.rint(ease + 1.0 * rng.standard_normal(joined.size)), 1, 7)
    ready = installed.activated[joined] + ((1 + 5 * rng.random(joined.size)) * DAY).astype(np.int64)
    sizes = (nps.size, csat.size, ces.size)
    answers = (
        np.concatenate([nps_life, tickets.life[rated], installed.life[joined]]),
        np.concatenate([half, after, from_ + wait, ready]),
        np.repeat([0, 1, 2], sizes),
        np.concatenate([nps, csat, ces]).astype(np.int64),
        np.concatenate([np.full(nps.size, -1), rated, np.full(ces.size, -1)]),
    )
    when = _by_day(answers[1])
    kept = chunk.seen(when) & (when < lives.ended[answers[0]])
    life, _, survey, score, ticket = (part[kept] for part in answers)
    return Answers(life, when[kept], survey, score, ticket)


def _by_day(when: Ints) -> Ints:
    """The same moment, or at day: nobody answers between 05:00 and 12:00 UTC, night in New York."""
    hour = when % DAY // HOUR
    return when + np.where((hour >= 5) & (hour < 12), 7 * HOUR, 0)


def surveys(chunk: Chunk, answers: Answers, tickets: Tickets) -> Export:
    """Scores and comments, with New York time and no offset."""
    rng, faults, people = chunk.stream("surveys"), chunk.faults, chunk.people
    size = answers.life.size
    who = chunk.lives.customer[answers.life]
    rows = pa.array(who)
    email = write_email(
        rng,
        people.email.take(rows),
        people.other_email.take(rows),
        faults,
        another=faults.survey_other_email,
    )
    number = chunk.first_row("surveys", 60, size) + np.arange(size)
    about = np.where(answers.ticket >= 0, np.append(tickets.number, -1)[answers.ticket], -1)
    columns = {
        "response_id": as_ids("Q", number, 9),
        "email": email,
        "survey": pick(("nps", "csat", "ces"), answers.survey),
        "ticket_id": as_ids("T", about, 9),
        "score": pa.array(answers.score),
        "comment": _comments(rng, answers),
        "answered_at": as_times(answers.when, style="local"),
    }
    return Export("surveys", columns, who, "response_id")


def _comments(rng: np.random.Generator, answers: Answers) -> pa.Array:
    cuts = np.array([[6.5, 8.5], [2.5, 3.5], [3.5, 5.5]])[answers.survey]
    tone = (answers.score[:, None] > cuts).sum(axis=1)
    groups = [COMMENTS[name][level] for name in ("nps", "csat", "ces") for level in range(3)]
    lengths = np.array([len(group) for group in groups])
    offsets = np.cumsum(lengths) - lengths
    group = 3 * answers.survey + tone
    line = offsets[group] + (rng.random(group.size) * lengths[group]).astype(int)
    silent = rng.random(group.size) < 0.45
    return pick([line for group in groups for line in group], np.where(silent, -1, line))
