"""Exports of support: tickets, their way through the departments, and surveys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cxlib.demo.billing import Installations, Renewals, due_dates
from cxlib.demo.chunk import Chunk, Export
from cxlib.demo.columns import as_ids, choose, glue, pick
from cxlib.demo.lives import DAY, HOUR, NEVER
from cxlib.demo.parameters import CAUSES, TOPICS
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
_LONGEST = 3 * _LONGEST_WAIT + 36 * HOUR


@dataclass(frozen=True)
class Tickets:
    """Tickets that the window shows; times in seconds, NEVER where something did not happen.

    ``moved`` has a row per handoff; ``route`` has the departments before and after each of them.

    Examples
    --------
    >>> one = np.array([0])
    >>> Tickets(one, one, one, one, one, one, one, one, one, one, one, one).topic.tolist()
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
    moved: Ints
    route: Ints


def draw_tickets(chunk: Chunk) -> Tickets:
    """Tickets: those of the planted process, and those of customers who have decided to leave."""
    rng = chunk.stream("draw_tickets")
    parts = [_usual_tickets(chunk, rng), _last_tickets(chunk, rng)]
    asked = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    shown = chunk.seen(asked["opened"]) & (asked["opened"] < chunk.lives.ended[asked["life"]])
    return _work_on(chunk, rng, {name: part[shown] for name, part in asked.items()})


def _usual_tickets(chunk: Chunk, rng: np.random.Generator) -> dict[str, Any]:
    """Tickets of the planted process."""
    lives = chunk.lives
    period, life = np.nonzero(lives.ticket)
    opens = chunk.opens(period, life)
    begin = np.maximum(opens, chunk.begin)
    begin = begin + np.where(lives.first[life] + period == 0, 2 * DAY, 5 * HOUR)
    unpaid = due_dates(chunk, period, life) + DAY
    begin = np.where(lives.failed[period, life], np.maximum(begin, unpaid), begin)
    # The ticket is over before the period is, so that its handoffs count in one period.
    room = np.clip(opens + chunk.period - _LONGEST - begin, 0, None)
    return {
        "life": life,
        "opened": (begin + rng.random(life.size) * room).astype(np.int64),
        "topic": lives.topic[period, life],
        "handoffs": lives.handoffs[period, life],
        "tried": lives.tried[period, life],
        "solved": lives.solved[period, life],
        "mood": lives.mood[period, life],
    }


def _last_tickets(chunk: Chunk, rng: np.random.Generator) -> dict[str, Any]:
    """Complaints and talks about leaving, once the decision is made: no cause of anything."""
    lives, signs = chunk.lives, chunk.truth.last_signs
    size = lives.customer.size
    topic = np.full(size, -1)
    chance, days = rng.random(size), 1 + 8 * rng.random(size)
    for code, cause in enumerate((*CAUSES, "not_renewed")):
        for name in ("cancellation", "complaint"):
            share = signs.get(cause, {}).get(f"{name}_ticket", 0.0)
            topic[(lives.cause == code) & (chance < share)] = TOPICS.index(name)
    life = np.flatnonzero(topic >= 0)
    opened = lives.ended[life] - (days[life] * DAY).astype(np.int64)
    nothing = np.zeros(life.size, bool)
    return {
        "life": life,
        "opened": np.maximum(opened, chunk.last_opens(life) + HOUR),
        "topic": topic[life],
        "handoffs": (topic[life] == TOPICS.index("cancellation")).astype(np.int64),
        "tried": nothing,
        "solved": nothing,
        "mood": np.full(life.size, -0.7),
    }


def _work_on(chunk: Chunk, rng: np.random.Generator, asked: dict[str, Any]) -> Tickets:
    """What becomes of tickets: handoffs, closing, and a second try of those not solved."""
    size, ended = asked["life"].size, chunk.lives.ended[asked["life"]]
    median = chunk.truth.handoff_median_hours * HOUR
    waits = np.minimum(median * np.exp(0.6 * rng.standard_normal((3, size))), _LONGEST_WAIT)
    moved = asked["opened"] + np.cumsum(waits, axis=0).astype(np.int64)
    moved = np.where((np.arange(3)[:, None] < asked["handoffs"]) & (moved < ended), moved, NEVER)
    last = np.where(moved < NEVER, moved, asked["opened"]).max(axis=0)
    work = np.minimum(5 * HOUR * np.exp(0.8 * rng.standard_normal(size)), 30 * HOUR)
    closed = last + work.astype(np.int64)
    wait, again, late = rng.random((3, size))
    solved = asked["solved"].astype(bool)
    reopens = ~solved & (asked["topic"] < TOPICS.index("cancellation")) & (again < 0.55)
    reopened = np.where(reopens, closed + ((0.5 + 3 * wait) * DAY).astype(np.int64), NEVER)
    solved_at = np.where(solved, closed, NEVER)
    solved_late = reopened + ((0.3 + 2 * late) * DAY).astype(np.int64)
    solved_at = np.where(reopens & (late < 0.75), solved_late, solved_at)
    closed, reopened, solved_at = (
        np.where((when < ended) & (when <= chunk.end), when, NEVER)
        for when in (closed, reopened, solved_at)
    )
    number = chunk.first_row("tickets", 60, size) + np.arange(size)
    times = {"moved": moved, "solved": solved_at, "closed": closed, "reopened": reopened}
    return Tickets(**{**asked, **times}, number=number, route=_route(rng, asked["topic"]))


def _route(rng: np.random.Generator, topic: Ints) -> Ints:
    """Front desk, and the three departments that a ticket would be handed to in turn."""
    second = 1 + rng.integers(0, 2, topic.size)
    first, third = _ROUTES[topic, 0], _ROUTES[topic, 3]
    return np.stack([np.zeros_like(topic), first, _ROUTES[topic, second], third])


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
    # Who has the ticket at the end solves it, and takes it up again where it is reopened.
    handed = ((tickets.moved < NEVER) & chunk.seen(tickets.moved)).sum(axis=0)
    department = np.take_along_axis(tickets.route, handed[None], axis=0)[0]
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
        "opened_at": chunk.times(tickets.opened, style="z"),
        "department": pick(DEPARTMENTS, department),
        "escalated": pick(("no", "yes"), (tickets.handoffs > 0).astype(int)),
        "status": pick(("solved", "closed", "open"), state),
        "closed_at": chunk.times(tickets.closed, style="z"),
        "reopened_at": chunk.times(tickets.reopened, style="z"),
        "solved_at": chunk.times(tickets.solved, style="z"),
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
    ticket, hop = np.nonzero(((tickets.moved < NEVER) & chunk.seen(tickets.moved)).T)
    # The clock of one telephone system was a day behind for a while.
    behind = rng.random(ticket.size) < chunk.faults.clock_behind
    moved_at = tickets.moved[hop, ticket] - np.where(behind, DAY, 0)
    number = chunk.first_row("moves", 120, ticket.size) + np.arange(ticket.size)
    columns = {
        "move_id": as_ids("M", number, 9),
        "ticket_id": as_ids("T", tickets.number[ticket], 9),
        "from_department": pick(DEPARTMENTS, tickets.route[hop, ticket]),
        "to_department": pick(DEPARTMENTS, tickets.route[hop + 1, ticket]),
        "moved_at": chunk.times(moved_at, style="z"),
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
    rng = chunk.stream("draw_answers")
    parts = [
        _half_yearly(chunk, rng),
        _after_renewal(chunk, rng, renewals),
        _after_ticket(chunk, rng, tickets),
        _after_installation(chunk, rng, installed),
    ]
    answers = Answers(*(np.concatenate(part) for part in zip(*parts, strict=True)))
    kept = chunk.seen(answers.when) & (answers.when < chunk.lives.ended[answers.life])
    return Answers(**{name: part[kept] for name, part in vars(answers).items()})


_Answered = tuple[Ints, Ints, Ints, Ints, Ints]


def _half_yearly(chunk: Chunk, rng: np.random.Generator) -> _Answered:
    lives = chunk.lives
    number = lives.first + np.arange(len(lives.mood))[:, None]
    period, life = np.nonzero(lives.at_risk & (number % 6 == 5))
    asked = rng.random(life.size) < chunk.truth.answer_shares["nps_half_year"]
    period, life = period[asked], life[asked]
    when = chunk.opens(period, life) + _wait(rng, 0, 20, life.size)
    return _nps(chunk, rng, life, when, lives.mood[period, life])


def _after_renewal(chunk: Chunk, rng: np.random.Generator, renewals: Renewals) -> _Answered:
    answers = rng.random(renewals.life.size) < chunk.truth.answer_shares["nps_renewal"]
    chosen = np.flatnonzero((renewals.decision == 0) & answers)
    when = renewals.decided[chosen] + _wait(rng, 1, 7, chosen.size)
    mood = chunk.lives.mood[renewals.period[chosen], renewals.life[chosen]]
    return _nps(chunk, rng, renewals.life[chosen], when, mood)


def _nps(chunk: Chunk, rng: np.random.Generator, life: Ints, when: Ints, mood: Floats) -> _Answered:
    level, per_mood, spread = chunk.truth.nps_score
    raw = level + per_mood * mood + spread * rng.standard_normal(life.size)
    return life, when, np.zeros_like(life), _score(raw, 0, 10), np.full(life.size, -1)


def _after_ticket(chunk: Chunk, rng: np.random.Generator, tickets: Tickets) -> _Answered:
    answers = rng.random(tickets.life.size) < chunk.truth.answer_shares["csat"]
    chosen = np.flatnonzero((tickets.closed < NEVER) & answers)
    solved = tickets.solved[chosen] < NEVER
    level, unsolved, per_handoff, per_mood, spread = chunk.truth.csat_score
    raw = level + unsolved * ~solved + per_handoff * tickets.handoffs[chosen]
    raw += per_mood * tickets.mood[chosen] + spread * rng.standard_normal(chosen.size)
    when = np.where(solved, tickets.solved[chosen], tickets.closed[chosen])
    when = when + _wait(rng, 0.05, 2, chosen.size)
    return tickets.life[chosen], when, np.ones_like(chosen), _score(raw, 1, 5), chosen


def _after_installation(
    chunk: Chunk, rng: np.random.Generator, installed: Installations
) -> _Answered:
    answers = rng.random(installed.life.size) < chunk.truth.answer_shares["ces"]
    chosen = np.flatnonzero((installed.activated < NEVER) & answers)
    level, rescheduled, spread = chunk.truth.ces_score
    raw = level + rescheduled * (installed.rescheduled[chosen] < NEVER)
    raw = raw + spread * rng.standard_normal(chosen.size)
    when = installed.activated[chosen] + _wait(rng, 1, 6, chosen.size)
    none = np.full(chosen.size, -1)
    return installed.life[chosen], when, np.full(chosen.size, 2), _score(raw, 1, 7), none


def _wait(rng: np.random.Generator, least: float, most: float, size: int) -> Ints:
    return ((least + (most - least) * rng.random(size)) * DAY).astype(np.int64)


def _score(raw: Floats, least: int, most: int) -> Ints:
    return np.clip(np.rint(raw), least, most).astype(np.int64)


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
        "answered_at": chunk.times(answers.when, style="local"),
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
