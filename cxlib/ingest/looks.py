"""What the columns of an export look like: keys, times, money, texts, personal data."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PurePosixPath

import pandas as pd

__all__ = ["Look", "is_ambiguous", "look_at"]

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_ISO = re.compile(
    r"\d{4}-\d{2}-\d{2}(?:[ T]\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?: ?(?:Z|UTC|[+-]\d{2}:?\d{2}))?)?"
)
_FORMATS = [
    f"{day}{time}"
    for day in ("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%Y/%m/%d", "%Y%m%d")
    for time in ("", " %H:%M", " %H:%M:%S")
]
_PERSONAL = re.compile(
    r"e_?mail|(first|last|full|middle|sur|given|family|contact|user|customer)_?name$|^name$|"
    r"phone|mobile|address|street|birth|^dob$|passport|iban|^ip|_ip$|ssn|tax_id|postal|zip"
)
_CUSTOMER = re.compile(
    r"^(customer|client|account|user|member|person|contact|subscriber|buyer)(_?(id|no|number|key))?$"
)
_MONEY = re.compile(r"amount|total|price|revenue|value|mrr|payment|paid_sum|sum|cost")
_TEXT = re.compile(r"comment|message|feedback|description|verbatim|review|^text$|^body$|note")
_NOT_EVENTS = re.compile(r"birth|^dob$|updated|modified|synced|expire|expir|due|valid")


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

    @property
    def note(self) -> str:
        """What was guessed, in a sentence."""
        who = self.email or (f"{self.customer} of {self.of}" if self.of else self.customer)
        parts = [f"id {self.id or 'none'}", f"customer {who or 'unknown'}"]
        parts.append(f"times {', '.join(self.times) or 'none'}")
        return f"{self.file}: {', '.join(parts)}"


def look_at(file: str, frame: pd.DataFrame) -> Look:
    """What an export seems to hold.

    Parameters
    ----------
    file
        Its place in the exports folder.
    frame
        Its first rows, as text.
    """
    columns = [str(column) for column in frame.columns]
    filled = {name: _filled(frame[name]) for name in columns}
    times = _times(frame, columns, filled)
    events = {name: form for name, form in times.items() if not _NOT_EVENTS.search(name.lower())}
    emails = [name for name in columns if _share(filled[name], _EMAIL) > 0.8]
    personal = [n for n in columns if n in emails or _PERSONAL.search(n.lower())]
    personal = [n for n in personal if n not in times or "birth" in n.lower() or n.lower() == "dob"]
    name = _source_name(file)
    key = _id(name, columns, frame, set(times) | set(emails))
    customer = next((n for n in columns if _CUSTOMER.match(n.lower()) and n != key), None)
    free = [n for n in columns if n not in times and n not in (key, customer) and n not in personal]
    measure = [n for n in free if _numbers(filled[n])]
    text = next((n for n in free if _TEXT.search(n.lower()) and n not in measure), None)
    kind = next((n for n in free if _is_kind(n, filled[n])), None)
    few = [n for n in free if n not in measure and n not in (text, kind) and _is_few(filled[n])]
    return Look(
        file=file,
        name=name,
        frame=frame,
        id=key,
        email=next(iter(emails), None),
        customer=customer,
        times=events,
        kind=kind,
        value=next((n for n in measure if _MONEY.search(n.lower())), None),
        currency=next((n for n in free if _share(filled[n], re.compile("[A-Za-z]{3}")) == 1), None)
        if any("curr" in n.lower() for n in free)
        else None,
        score=_score(measure, filled),
        text=text,
        attributes=tuple(few[:8]),
        personal=tuple(personal),
    )


def _times(
    frame: pd.DataFrame, columns: list[str], filled: dict[str, pd.Series]
) -> dict[str, str | None]:
    """Columns that hold times, with the pattern of those that are not ISO 8601."""
    found = {name: _time_format(filled[name]) for name in columns}
    times = {name: form for name, form in found.items() if form != ""}
    # What one column tells of days and months holds for the others.
    sure = [f for n, f in times.items() if f and not is_ambiguous(frame[n], f)]
    month_first = any(form.startswith("%m/%d") for form in sure)
    for name, form in times.items():
        if month_first and form and form.startswith("%d/%m") and is_ambiguous(frame[name], form):
            times[name] = form.replace("%d/%m", "%m/%d")
    return times


def is_ambiguous(values: pd.Series, pattern: str) -> bool:
    """Whether the times may as well have the month before the day, or after it.

    Examples
    --------
    >>> is_ambiguous(pd.Series(["03/02/2024"]), "%d/%m/%Y")
    True
    >>> is_ambiguous(pd.Series(["03/02/2024", "13/02/2024"]), "%d/%m/%Y")
    False
    """
    other = pattern.translate(str.maketrans("dm", "md"))
    return other != pattern and all(_reads(text, other) for text in _filled(values))


def _filled(values: pd.Series) -> pd.Series:
    text = values.dropna().astype("str").str.strip()
    return text[text != ""]


def _share(values: pd.Series, pattern: re.Pattern[str]) -> float:
    return (
        float(values.map(lambda text: bool(pattern.fullmatch(text))).mean()) if len(values) else 0.0
    )


def _time_format(values: pd.Series) -> str | None:
    """None for ISO 8601, a pattern, or nothing where the column holds no times."""
    if _share(values, _ISO) > 0.9:
        return None
    for pattern in _FORMATS:
        if len(values) and all(_reads(text, pattern) for text in values.head(100)):
            return pattern
    return ""


def _reads(text: str, pattern: str) -> bool:
    try:
        return 1900 <= datetime.strptime(text, pattern).year < 2100
    except ValueError:
        return False


def _numbers(values: pd.Series) -> bool:
    return bool(len(values)) and bool(pd.to_numeric(values, errors="coerce").notna().all())


def _is_few(values: pd.Series) -> bool:
    return 1 < values.nunique() <= min(30, max(2, len(values) // 2))


def _is_kind(name: str, values: pd.Series) -> bool:
    told = re.search(r"^(event|event_(name|type)|action|activity|touchpoint|page)$", name.lower())
    return bool(told) and values.nunique() <= 200


def _id(name: str, columns: list[str], frame: pd.DataFrame, no: set[str]) -> str | None:
    one = _singular(name)
    wanted = [f"{one}_id", "id", f"{one}id", f"{name}_id", f"{one}_no", f"{one}_number", "uuid"]
    ending = [n for n in columns[:1] if n.lower().endswith("id")]
    known = {column.lower(): column for column in columns}
    for candidate in [*(known[n] for n in wanted if n in known), *ending]:
        values = _filled(frame[candidate])
        if candidate not in no and len(values) == len(frame) and values.is_unique and len(values):
            return candidate
    return None


def _score(measure: list[str], filled: dict[str, pd.Series]) -> tuple[str, str] | None:
    for name in measure:
        values = pd.to_numeric(filled[name])
        for word, scale, low, high in (
            ("nps", "nps", 0, 10),
            ("csat", "csat", 1, 5),
            ("ces", "ces", 1, 7),
        ):
            if word in name.lower() and values.between(low, high).all():
                return name, scale
        if re.search("rating|satisfaction|stars", name.lower()) and values.between(1, 5).all():
            return name, "csat"
    return None


def _source_name(file: str) -> str:
    stem = PurePosixPath(file).name.split(".")[0].lower()
    name = re.sub(r"[^a-z0-9]+", "_", stem).strip("_") or "export"
    return name if name[0].isalpha() else f"export_{name}"


def _singular(name: str) -> str:
    last = name.rsplit("_", 1)[-1]
    if last.endswith("ies"):
        return last[:-3] + "y"
    return last[:-1] if last.endswith("s") and not last.endswith("ss") else last
