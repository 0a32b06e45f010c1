"""Who the persons are, and how differently each system writes them down."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cxlib.demo.columns import as_ids, as_times, choose, glue, misspell, pick, where
from cxlib.demo.words import (
    CITIES,
    DOMAINS,
    FAMILY_NAMES,
    GENERIC_ADDRESSES,
    GIVEN_NAMES,
    STREETS,
)

__all__ = ["Faults", "People", "draw_people", "write_email", "write_name", "write_phone"]

_AREA_CODES = 790
_LINES = 100


@dataclass(frozen=True)
class Faults:
    """Shares of the mistakes in the exports. None of them touches the truth.

    Attributes
    ----------
    crm_*, billing_*, ticket_*, survey_*
        Share of the records of that system in which the field is wrong or missing.
    household, shared_email
        Persons who live with another one; and those of them who use the other's e-mail.
    crm_duplicate
        Contacts that the CRM holds a second time.
    new_account
        Returning customers who get a second billing account.
    unformatted_email
        E-mails in capitals or with blanks around them, in every system.
    clock_behind
        Handoffs that are written down a day early.
    bad_date, no_key, repeated_row
        Rows that an import must refuse, in each large export: a date that is none, no customer,
        a row that stands there twice.

    Examples
    --------
    >>> Faults().bad_date
    0.001
    """

    household: float = 0.05
    shared_email: float = 0.35
    name_typo: float = 0.03
    no_phone: float = 0.12
    unformatted_email: float = 0.06
    crm_email_typo: float = 0.015
    crm_no_email: float = 0.02
    crm_duplicate: float = 0.06
    crm_generic_email: float = 0.004
    billing_email_typo: float = 0.008
    billing_no_email: float = 0.004
    billing_other_email: float = 0.01
    ticket_email_typo: float = 0.012
    ticket_no_email: float = 0.02
    ticket_other_email: float = 0.02
    ticket_generic_email: float = 0.003
    survey_other_email: float = 0.01
    new_account: float = 0.30
    clock_behind: float = 0.006
    bad_date: float = 0.001
    no_key: float = 0.001
    repeated_row: float = 0.001


@dataclass(frozen=True)
class People:
    """Persons of a chunk as they are, one row each: customers first, then prospects.

    Examples
    --------
    >>> rng = np.random.default_rng(7)
    >>> people = draw_people(rng, 3, first=0, faults=Faults())
    >>> people.email[0].as_py().split("@")[1] in DOMAINS
    True
    """

    given: pa.Array
    family: pa.Array
    email: pa.Array
    other_email: pa.Array
    phone: NDArray[np.int64]
    street: pa.Array
    city: pa.Array
    postcode: pa.Array
    birth_date: pa.Array


def draw_people(rng: np.random.Generator, size: int, *, first: int, faults: Faults) -> People:
    """Persons with names, addresses and numbers that belong to nobody.

    Parameters
    ----------
    rng
        The chunk's own generator.
    size
        How many.
    first
        Number of the first person among all chunks; e-mails and phones are unique by it.
    faults
        How many share a household and its e-mail.

    Returns
    -------
    People
        Phone numbers are from the range 555-0100 to 555-0199, which is kept free for fiction, and
        unique among 79,000 persons in a row.

    Examples
    --------
    >>> rng = np.random.default_rng(7)
    >>> len(draw_people(rng, 5, first=0, faults=Faults()).phone)
    5
    """
    number = first + np.arange(size)
    given, family = (rng.integers(0, len(names), size) for names in (GIVEN_NAMES, FAMILY_NAMES))
    house, street = rng.integers(1, 180, size), rng.integers(0, len(STREETS), size)
    city = rng.integers(0, len(CITIES), size)
    # Every second person may live with the one before.
    with_other = (rng.random(size) < 2 * faults.household) & (np.arange(size) % 2 == 1)
    host = np.where(with_other, np.arange(size) - 1, np.arange(size))
    family, house, street, city = (part[host] for part in (family, house, street, city))
    born = rng.integers(-14_600, 12_400, size) * 86_400  # 1930 to 2003
    given_name, family_name = pick(GIVEN_NAMES, given), pick(FAMILY_NAMES, family)
    own = _emails(rng, given_name, family_name, as_ids("", number, 1))
    email = own.take(
        pa.array(np.where(rng.random(size) < faults.shared_email, host, np.arange(size)))
    )
    return People(
        given=given_name,
        family=family_name,
        email=email,
        other_email=glue(pc.utf8_lower(given_name), as_ids("", number, 1), "@mail.example.com"),
        phone=number * 7_919 % (_AREA_CODES * _LINES),
        street=glue(as_ids("", house, 1), " ", pick(STREETS, street)),
        city=pick(CITIES, city),
        postcode=as_ids("", 10 * city + house % 10, 5),
        birth_date=as_times(born, style="date"),
    )


def _emails(
    rng: np.random.Generator, given: pa.Array, family: pa.Array, number: pa.Array
) -> pa.Array:
    style = rng.integers(0, 3, len(given))
    given, family = pc.utf8_lower(given), pc.utf8_lower(family)
    local = glue(given, ".", family, number)
    local = where(
        style == 1, glue(pc.utf8_slice_codeunits(given, 0, 1), family, ".", number), local
    )
    local = where(style == 2, glue(family, "_", given, number), local)
    return glue(local, "@", pick(DOMAINS, choose(rng, [0.6, 0.25, 0.15], len(given))))


def write_name(
    rng: np.random.Generator, given: pa.Array, family: pa.Array, faults: Faults
) -> pa.Array:
    """Full names as one system writes them, some with a typing error.

    Examples
    --------
    >>> rng = np.random.default_rng(7)
    >>> write_name(rng, pa.array(["Ida"]), pa.array(["Lund"]), Faults()).to_pylist()
    ['Ida Lund']
    """
    family = misspell(rng, family, faults.name_typo)
    style = choose(rng, [0.90, 0.05, 0.05], len(given))
    name = where(style == 1, pc.utf8_upper(glue(given, " ", family)), glue(given, " ", family))
    return where(style == 2, glue(pc.utf8_slice_codeunits(given, 0, 1), ". ", family), name)


def write_phone(rng: np.random.Generator, phone: NDArray[np.int64], faults: Faults) -> pa.Array:
    """Phone numbers in the formats that people type, some missing.

    Examples
    --------
    >>> rng = np.random.default_rng(7)
    >>> write_phone(rng, np.array([1234]), Faults(no_phone=0.0)).to_pylist()
    ['(213) 555-0134']
    """
    area, line = as_ids("", 201 + phone // _LINES, 3), as_ids("01", phone % _LINES, 2)
    style = choose(rng, [0.45, 0.25, 0.15, 0.15], len(phone))
    text = glue("+1-", area, "-555-", line)
    text = where(style == 1, glue("(", area, ") 555-", line), text)
    text = where(style == 2, glue(area, "555", line), text)
    text = where(style == 3, glue(area, ".555.", line), text)
    return where(rng.random(len(phone)) < faults.no_phone, None, text)


def write_email(
    rng: np.random.Generator,
    email: pa.Array,
    other: pa.Array,
    faults: Faults,
    *,
    typo: float = 0.0,
    missing: float = 0.0,
    another: float = 0.0,
    generic: float = 0.0,
) -> pa.Array:
    """E-mail addresses as one system has them.

    Parameters
    ----------
    rng
        The chunk's own generator.
    email, other
        The usual and the second address of each person.
    faults
        Share of addresses in capitals or between blanks.
    typo, missing, another, generic
        Shares with a typing error, without address, with the second one, with one that belongs to
        no person.

    Examples
    --------
    >>> rng = np.random.default_rng(7)
    >>> mail = pa.array(["ida.lund1@example.com"])
    >>> write_email(rng, mail, mail, Faults(unformatted_email=0.0), generic=1.0)[0].as_py()[-12:]
    '@example.net'
    """
    size = len(email)
    fate = choose(rng, [another, generic, missing, max(0.0, 1 - another - generic - missing)], size)
    text = misspell(rng, where(fate == 0, other, email), typo)
    text = where(fate == 1, pick(GENERIC_ADDRESSES, rng.integers(0, 3, size)), text)
    shape = np.where(rng.random(size) < faults.unformatted_email, rng.integers(1, 3, size), 0)
    text = where(shape == 1, pc.utf8_upper(text), text)
    text = where(shape == 2, glue(" ", text, " "), text)
    return where(fate == 2, None, text)
