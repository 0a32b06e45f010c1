"""Export of the CRM: contacts, some of them twice, some of people who never bought."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from cxlib.demo.chunk import CHUNK, Chunk, Export
from cxlib.demo.columns import as_ids, choose, misspell, pick, where
from cxlib.demo.lives import DAY
from cxlib.demo.parameters import CHANNELS
from cxlib.demo.people import write_email, write_phone

__all__ = ["crm_contacts"]

_SCRAMBLE, _PRIME = 5_698_487, 99_999_989


def crm_contacts(chunk: Chunk) -> Export:
    """Contacts: every customer, a fifth of the prospects, and duplicates of either."""
    rng, faults, people = chunk.stream("crm_contacts"), chunk.faults, chunk.people
    leads = CHUNK + np.flatnonzero(
        rng.random(chunk.prospects) < chunk.truth.shopping["prospect_in_crm"]
    )
    once = np.concatenate([np.arange(CHUNK), leads])
    twice = once[rng.random(once.size) < faults.crm_duplicate]
    who = np.concatenate([once, twice])
    copy = np.arange(who.size) >= once.size
    created, source = _origins(chunk, rng, who, copy)
    rows, size = pa.array(who), who.size
    email = write_email(
        rng,
        people.email.take(rows),
        people.other_email.take(rows),
        faults,
        typo=faults.crm_email_typo,
        missing=faults.crm_no_email,
        generic=faults.crm_generic_email,
    )
    other = copy & (rng.random(size) < 0.3)
    born = where(rng.random(size) < 0.15, None, people.birth_date.take(rows))
    number = 2 * chunk.persons()[who] + copy
    columns = {
        "contact_id": as_ids("C", number * _SCRAMBLE % _PRIME),
        "first_name": misspell(rng, people.given.take(rows), faults.name_typo),
        "last_name": misspell(rng, people.family.take(rows), faults.name_typo),
        "email": where(other, people.other_email.take(rows), email),
        "phone": write_phone(rng, people.phone[who], faults),
        "street": people.street.take(rows),
        "city": people.city.take(rows),
        "postcode": people.postcode.take(rows),
        "birth_date": born,
        "lead_source": source,
        "consent": pick(("no", "yes"), (rng.random(size) < 0.7).astype(int)),
        "created_at": chunk.times(created, style="us_date"),
        "talked_to_sales_at": chunk.times(created, ~copy & ~_silent(source)),
    }
    return Export("crm_contacts", columns, who, "contact_id")


def _origins(
    chunk: Chunk, rng: np.random.Generator, who: np.ndarray, copy: np.ndarray
) -> tuple[np.ndarray, pa.Array]:
    """When each contact was created, and from where."""
    buys = who < CHUNK
    bought = chunk.lives.started[np.minimum(who, CHUNK - 1)]
    window = chunk.end - chunk.begin
    anytime = chunk.begin + (rng.random(who.size) * window).astype(np.int64)
    before = bought - ((0.02 + 2.5 * rng.random(who.size)) * DAY).astype(np.int64)
    created = np.where(buys & ~copy, before, anytime)
    channel = chunk.customers.channel[np.minimum(who, CHUNK - 1)]
    channel = np.where(buys, channel, 1 + choose(rng, [0.3, 0.2, 0.3, 0.2], who.size))
    return created, where(copy, "import", pick(CHANNELS, channel))


def _silent(source: pa.Array) -> np.ndarray:
    """Contacts that came without a talk to sales."""
    names = source.to_numpy(zero_copy_only=False)
    return (names == "web") | (names == "referral")
