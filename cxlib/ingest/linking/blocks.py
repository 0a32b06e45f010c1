"""Which records are compared at all: those that agree on one of several blocks."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

__all__ = ["BLOCKS", "add_blocks"]

_LARGEST = 100
"""A block of more records tells nothing of a person, and its pairs would be too many."""

_PARTS = {
    "block_email": ("email",),
    "block_mailbox": ("mailbox",),
    "block_phone": ("phone",),
    "block_surname_birth": ("surname", "birth_date"),
    "block_given_birth": ("given_name", "birth_date"),
    "block_birth": ("birth_date",),
    "block_names": ("first_name", "last_name"),
    "block_names_postcode": ("given_name", "surname", "postcode"),
    "block_names_city": ("given_name", "surname", "city"),
    "block_surname_postcode": ("surname_4", "postcode"),
    "block_surname_city": ("surname", "city"),
    "block_surname_street": ("surname", "street"),
    "block_street": ("street", "postcode"),
    "block_given_postcode_year": ("given_3", "postcode", "year"),
    "block_given_city_year": ("given_name", "city", "year"),
    "block_surname_month": ("surname_3", "month"),
}
BLOCKS = tuple(_PARTS)
"""Columns of ``people`` by which pairs are found."""


def add_blocks(people: ir.Table) -> ir.Table:
    """Records with a column per block, null where the block is unknown or too large; and parts of
    the e-mail, ``mailbox`` and the ``number`` in it.

    Parameters
    ----------
    people
        One row per record with the fields.

    Examples
    --------
    >>> fields = ("given_name", "surname", "email", "phone", "street", "city", "postcode")
    >>> people = ibis.memtable({"n": [1, 2], **{name: ["a", "a"] for name in fields},
    ...                         "birth_date": ["19800112", "19800113"]})
    >>> blocked = add_blocks(people).execute()
    >>> blocked["block_names"].nunique(), blocked["block_birth"].nunique()
    (1, 2)
    """
    parts = {
        "mailbox": people.email.re_extract(r"^([^@]*)@", 1).nullif(""),
        "number": people.email.re_extract(r"^([^@]*)@", 1).re_replace("[^0-9]", ""),
        "surname_3": people.surname[:3],
        "surname_4": people.surname[:4],
        "given_3": people.given_name[:3],
        "year": people.birth_date[:4],
        "month": people.birth_date[:6],
        # In this order a given name that stands for the surname meets its own record.
        "first_name": ibis.ifelse(
            people.given_name < people.surname, people.given_name, people.surname
        ),
        "last_name": ibis.ifelse(
            people.given_name < people.surname, people.surname, people.given_name
        ),
    }
    wide = people.mutate(**parts)
    blocks = {
        name: ibis.literal("|").join([wide[part] for part in fields])
        if len(fields) > 1
        else wide[fields[0]]
        for name, fields in _PARTS.items()
    }
    # A text joined of parts is null only where every engine says so: ask the parts.
    whole = {
        name: ibis.and_(*(wide[part].notnull() for part in fields))
        for name, fields in _PARTS.items()
    }
    wide = wide.mutate(**{name: ibis.ifelse(whole[name], blocks[name], None) for name in _PARTS})
    small = {
        name: ibis.ifelse(wide.count().over(group_by=name) <= _LARGEST, wide[name], None)
        for name in _PARTS
    }
    return wide.mutate(**small).drop(*(set(parts) - {"mailbox", "number"}))
