"""What the columns of an export look like: keys, times, money, texts, personal data."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import pandas as pd

from cxlib.engine.files.reading import JSON
from cxlib.ingest.notations import (
    MOSTLY,
    are_numbers,
    decimal_sign,
    filled,
    is_ambiguous,
    share,
    time_format,
)

__all__ = ["Look", "look_at", "plain_name"]

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_PERSONAL = re.compile(
    r"e_?mail|(first|last|full|middle|sur|given|family|contact|user|customer)_?name$|^name$|"
    r"phone|mobile|address|street|birth|^dob$|passport|iban|^ip|_ip$|ssn|tax_id|postal|zip|"
    r"vorname|nachname|telefon|handy|strasse|anschrift|geburt|^plz$"
)
_CUSTOMER = re.compile(
    r"^(customer|client|account|user|member|person|contact|subscriber|buyer)(_?(id|no|number|key))?$"
    r"|^kunden?(_?(id|nr|nummer))?$"
)
_KEY = re.compile(r"(id|_nr|_no|number|nummer|[a-z]nr)$")
_MONEY = re.compile(
    r"amount|total|price|revenue|value|mrr|payment|paid_sum|sum|cost|"
    r"betrag|preis|umsatz|gesamt|montant|prix|importo|importe|prezzo|precio"
)
_TEXT = re.compile(
    r"comment|message|feedback|description|verbatim|review|^text$|^body$|note|kommentar|nachricht"
)
_NOT_EVENTS = re.compile(
    r"birth|^dob$|updated|modified|synced|expire|expir|due|valid|"
    r"geburt|geaendert|faellig|gueltig|ablauf"
)
_GERMAN = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ß": "ss"}
)


@dataclass(frozen=True)
class Look:
    """What one export seems to hold; every field is a guess from its first rows.

    Examples
    --------
    >>> look = look_at("orders.csv", pd.DataFrame({"order_id": ["1"], "placed_at": ["2024-01-05"]}))
    >>> look.id, look.times
    ('order_id', {'placed_at': None})
    """

    file: str
    name: str
    frame: pd.DataFrame = field(repr=False)
    id: str | None = None
    email: str | None = None
    customer: str | None = None
    of: str | None = None
    times: dict[str, str | None] = field(default_factory=dict)
    kind: str | None = None
    value: str | None = None
    currency: str | None = None
    score: tuple[str, str] | None = None
    text: str | None = None
    attributes: tuple[str, ...] = ()
    personal: tuple[str, ...] = ()
    encoding: str | None = None
    decimal: str | None = None
    fields: dict[str, str] = field(default_factory=dict)
    when: dict[str, str] = field(default_factory=dict)

    @property
    def note(self) -> str:
        """What was guessed, in a sentence."""
        who = self.email or (f"{self.customer} of {self.of}" if self.of else self.customer)
        parts = [f"id {self.id or 'none'}", f"customer {who or 'unknown'}"]
        parts.append(f"times {', '.join(self.times) or 'none'}")
        return f"{self.file}: {', '.join(parts)}"


def look_at(file: str, frame: pd.DataFrame, encoding: str | None = None) -> Look:
    """What an export seems to hold.

    Parameters
    ----------
    file
        Its place in the exports folder.
    frame
        Its first rows, as text.
    encoding
        That of its text, where it is not UTF-8.
    """
    columns = [str(column) for column in frame.columns]
    told = {name: filled(frame[name]) for name in columns}
    times = _times(told)
    events = {n: form for n, form in times.items() if not _NOT_EVENTS.search(plain_name(n))}
    emails = [name for name in columns if share(told[name], _EMAIL) > 0.8]
    personal = [n for n in columns if n in emails or _PERSONAL.search(plain_name(n))]
    personal = [n for n in personal if n not in times or _is_birth_date(n)]
    name = _source_name(file)
    key = _id(name, columns, frame, set(times) | set(emails))
    customer = next((n for n in columns if _CUSTOMER.match(plain_name(n)) and n != key), None)
    free = [n for n in columns if n not in times and n not in (key, customer) and n not in personal]
    decimal = decimal_sign(told[n] for n in free) if _may_declare_decimal(file) else None
    measure = [n for n in free if are_numbers(told[n], decimal)]
    text = next((n for n in free if _TEXT.search(plain_name(n)) and n not in measure), None)
    kind = next((n for n in free if _is_kind(n, told[n])), None)
    few = [n for n in free if n not in measure and n not in (text, kind) and _is_few(told[n])]
    return Look(
        file=file,
        name=name,
        frame=frame,
        id=key,
        email=next(iter(emails), None),
        customer=customer,
        times=events,
        kind=kind,
        value=next((n for n in measure if _MONEY.search(plain_name(n))), None),
        currency=next((n for n in free if share(told[n], re.compile("[A-Za-z]{3}")) == 1), None)
        if any("curr" in n.lower() for n in free)
        else None,
        score=_score(measure, told, decimal),
        text=text,
        attributes=tuple(few[:8]),
        personal=tuple(personal),
        encoding=encoding,
        decimal=decimal,
    )


def plain_name(name: str) -> str:
    """Name in small letters of ASCII: umlauts as two letters, other letters without accents.

    Examples
    --------
    >>> plain_name("Geöffnet"), plain_name("Créé le")
    ('geoeffnet', 'cree le')
    """
    spelled = unicodedata.normalize("NFKD", unicodedata.normalize("NFC", name).translate(_GERMAN))
    return "".join(sign for sign in spelled if not unicodedata.combining(sign)).lower()


def _may_declare_decimal(file: str) -> bool:
    """Whether numbers of such a file may have another sign than a point."""
    return not any(f"{kind}." in f"{file.lower()}." for kind in (".parquet", *JSON))


def _is_birth_date(name: str) -> bool:
    return bool(re.search("birth|geburt|^dob$", plain_name(name)))


def _times(told: dict[str, pd.Series]) -> dict[str, str | None]:
    """Columns that hold times, with the format of those that are not ISO 8601."""
    found = {name: time_format(values) for name, values in told.items()}
    times = {name: form for name, form in found.items() if form != ""}
    # What one column tells of days and months holds for the others.
    sure = [form for name, form in times.items() if form and not is_ambiguous(told[name], form)]
    month_first = any(form.startswith("%m/%d") for form in sure)
    for name, form in times.items():
        if month_first and form and form.startswith("%d/%m") and is_ambiguous(told[name], form):
            times[name] = form.replace("%d/%m", "%m/%d")
    return times


def _is_few(values: pd.Series) -> bool:
    return 1 < values.nunique() <= min(30, max(2, len(values) // 2))


def _is_kind(name: str, values: pd.Series) -> bool:
    told = re.search(r"^(event|event_(name|type)|action|activity|touchpoint|page)$", name.lower())
    return bool(told) and values.nunique() <= 200


def _id(name: str, columns: list[str], frame: pd.DataFrame, no: set[str]) -> str | None:
    one = _singular(name)
    known = {column.lower(): column for column in columns}
    wanted = [f"{one}_id", "id", f"{one}id", f"{name}_id", f"{one}_no", f"{one}_number", "uuid"]
    if one in known and share(filled(frame[known[one]]), re.compile(r".*\d.*")) == 1:
        wanted.append(one)  # tickets by number, and not plans by name
    ending = [n for n in columns[:1] if _KEY.search(plain_name(n))]
    for candidate in [*(known[n] for n in wanted if n in known), *ending]:
        values = filled(frame[candidate])
        if candidate not in no and len(values) == len(frame) and values.is_unique and len(values):
            return candidate
    return None


def _score(
    measure: list[str], told: dict[str, pd.Series], decimal: str | None
) -> tuple[str, str] | None:
    for name in measure:
        text = told[name].str.replace(",", ".") if decimal == "," else told[name]
        values = pd.to_numeric(text, errors="coerce").dropna()
        for word, scale, low, high in (
            ("nps", "nps", 0, 10),
            ("csat", "csat", 1, 5),
            ("ces", "ces", 1, 7),
        ):
            if word in name.lower() and values.between(low, high).mean() > MOSTLY:
                return name, scale
        rated = re.search("rating|satisfaction|stars|zufriedenheit|bewertung", plain_name(name))
        if rated and values.between(1, 5).mean() > MOSTLY:
            return name, "csat"
    return None


def _source_name(file: str) -> str:
    stem = plain_name(PurePosixPath(file).name.split(".")[0])
    name = re.sub(r"[^a-z0-9]+", "_", stem).strip("_") or "export"
    return name if name[0].isalpha() else f"export_{name}"


def _singular(name: str) -> str:
    last = name.rsplit("_", 1)[-1]
    if last.endswith("ies"):
        return last[:-3] + "y"
    return last[:-1] if last.endswith("s") and not last.endswith("ss") else last
