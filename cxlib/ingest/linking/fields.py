"""What a record says of a person, made comparable: names, e-mail, phone, address, birth date."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis
import ibis.expr.types as ir

from cxlib.engine.functions import without_accents
from cxlib.ingest.rules import parse_time

if TYPE_CHECKING:
    from cxlib.ingest.fields import IdentityRule

__all__ = ["FIELDS", "identity_fields", "tells_who"]

FIELDS = ("given_name", "surname", "email", "phone", "street", "city", "postcode", "birth_date")
"""Comparable texts of a record; each may be missing."""

_TITLES = r"^(?:mr|mrs|ms|miss|mx|dr|prof|herr|frau|sig|sigra)\b\.? +"
_NOBODY = (
    r"^(?:info|office|admin|administrator|sales|support|contact|kontakt|hello|hi|mail|e?mail"
    r"|webmaster|postmaster|hostmaster|billing|accounts?|accounting|invoices?|finance|service"
    r"|services|team|help|helpdesk|enquiries|inquiries|newsletter|marketing|press|hr|jobs|careers"
    r"|reception|customer|customers|customerservice|feedback|orders?|shop|store|test|user|guest"
    r"|unknown|none|na|nobody|anonymous|root|no-?reply|do-?not-?reply|not-?provided)$"
)
"""Mailboxes of a function or of nobody: they tell no person from another."""


def identity_fields(rows: ir.Table, rule: IdentityRule) -> dict[str, ir.StringValue]:
    """Comparable texts of each row, by the names in ``FIELDS``; null where it says nothing.

    Parameters
    ----------
    rows
        Rows of a source, columns as text.
    rule
        Which column holds what.

    Returns
    -------
    dict
        Letters are small and without accents; a full name is parted at its first and last word, or
        at its comma; an e-mail address loses what follows a ``+``, and one of a function (info@,
        noreply@) is none; phone numbers are digits without the zeros that dial out; birth dates
        are ``yyyymmdd``.

    Examples
    --------
    >>> from cxlib.ingest.fields import IdentityRule
    >>> rows = ibis.memtable({"who": ["Dr. Zoë Lund", "LUND, Zoë"], "tel": ["0045 1234567", "12"]})
    >>> rule = IdentityRule(name="who", phone="tel")
    >>> fields = identity_fields(rows, rule)
    >>> frame = rows.select(**{n: fields[n] for n in ("given_name", "surname", "phone")}).execute()
    >>> frame.values.tolist()
    [['zoe', 'lund', '451234567'], ['zoe', 'lund', None]]
    """
    given, surname = _names(rows, rule)
    parts = [rows[name] for name in (rule.house_number, rule.street) if name is not None]
    street = _none() if rule.street is None else _plain(_spaced(parts))
    return {
        "given_name": given,
        "surname": surname,
        "email": _email(rows, rule.email),
        "phone": _phone(rows, rule.phone),
        "street": street,
        "city": _column(rows, rule.city),
        "postcode": _column(rows, rule.postcode).replace(" ", "").nullif(""),
        "birth_date": _birth_date(rows, rule),
    }


def tells_who(fields: dict[str, ir.StringValue]) -> ir.BooleanValue:
    """Whether the fields tell a person: an e-mail, a phone, or a name with address or birth date.

    Examples
    --------
    >>> rows = ibis.memtable({"given_name": ["ida", "ida"], "birth_date": [None, "19800112"]})
    >>> known = {name: ibis.null("string") for name in FIELDS} | {
    ...     name: rows[name].cast("string") for name in rows.columns}
    >>> rows.select(tells=tells_who(known)).execute()["tells"].tolist()
    [False, True]
    """
    named = fields["given_name"].notnull() | fields["surname"].notnull()
    place = fields["street"].notnull() & (fields["city"].notnull() | fields["postcode"].notnull())
    return (
        fields["email"].notnull()
        | fields["phone"].notnull()
        | (named & (fields["birth_date"].notnull() | place))
    )


def _none() -> ir.StringValue:
    return ibis.null("string")


def _spaced(parts: list[ir.StringValue]) -> ir.StringValue:
    return ibis.literal(" ").join([part.fill_null("") for part in parts])


def _plain(text: ir.StringValue) -> ir.StringValue:
    """Small letters and digits of any script, without accents, one space between words."""
    text = without_accents(text.lower()).re_replace(r"['’`]", "").re_replace(r"[^\pL\pN]+", " ")
    return text.strip().nullif("")


def _column(rows: ir.Table, column: str | None) -> ir.StringValue:
    return _none() if column is None else _plain(rows[column])


def _names(rows: ir.Table, rule: IdentityRule) -> tuple[ir.StringValue, ir.StringValue]:
    if rule.name is None:
        given, surname = _column(rows, rule.given_name), _column(rows, rule.surname)
    else:
        whole = rows[rule.name].strip().lower().re_replace(_TITLES, "")
        turned = whole.contains(",")
        # "Lund, Ida" is Ida Lund.
        words = ibis.ifelse(turned, whole.re_replace(r"^([^,]*),(.*)$", r"\2 \1"), whole)
        plain = _plain(words)
        several = plain.contains(" ")
        given = ibis.ifelse(several, plain.re_extract(r"^(\S+) ", 1), _none())
        surname = ibis.ifelse(several, plain.re_extract(r" (\S+)$", 1), plain)
    return (name.replace(" ", "").nullif("") for name in (given, surname))  # type: ignore[return-value]


def _email(rows: ir.Table, column: str | None) -> ir.StringValue:
    if column is None:
        return _none()
    text = without_accents(rows[column].strip().lower()).re_replace(r"\+[^@]*@", "@")
    is_one = text.re_search(r"^[^@\s]+@[^@\s]+\.[^@\s]+$")
    person = ~text.re_extract(r"^([^@]*)@", 1).re_search(_NOBODY)
    return ibis.ifelse(is_one & person, text, _none())


def _phone(rows: ir.Table, column: str | None) -> ir.StringValue:
    if column is None:
        return _none()
    digits = rows[column].replace("(0)", "").re_replace("[^0-9]", "").re_replace("^0+", "")
    # A North American number is the same with and without its country's 1.
    digits = ibis.ifelse((digits.length() == 11) & digits.startswith("1"), digits.substr(1), digits)
    usable = (digits.length() >= 7) & ~digits.re_search(r"^(0+|1+|2+|3+|4+|5+|6+|7+|8+|9+)$")
    return ibis.ifelse(usable, digits, _none())


def _birth_date(rows: ir.Table, rule: IdentityRule) -> ir.StringValue:
    born = rule.birth_date
    if born is None:
        return _none()
    text = rows[born.column].strip()
    if born.format is None:
        digits = text.substr(0, 10).re_replace("[^0-9]", "")
    else:
        digits = parse_time(text, born, "UTC").strftime("%Y%m%d")
    # The first day of 1900 and of 1970 is what systems write where they know none.
    unknown = digits.isin(["19000101", "19700101", "00010101"])
    return ibis.ifelse((digits.length() == 8) & ~unknown, digits, _none())
