"""What `sources.yml` may say, checked on load with the line of each mistake."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import (
    BeforeValidator,
    Field,
    ValidationInfo,
    WrapValidator,
    model_validator,
)

from cxlib.descriptions import read_description
from cxlib.errors import unknown_name
from cxlib.ingest.fields import (
    RESERVED,
    Attribute,
    Borrowed,
    Conditions,
    CustomerKey,
    EventRule,
    FieldColumn,
    IdentityRule,
    Span,
    SpanText,
    Strict,
    TimeColumn,
    Values,
    Zone,
    as_attribute,
    as_column,
)
from cxlib.ingest.meaning import Meaning, Survivorship
from cxlib.ingest.places import Place
from cxlib.tables import CONTRACTS

__all__ = [
    "RESERVED",
    "Attribute",
    "Check",
    "CustomerKey",
    "EventRule",
    "FieldColumn",
    "Member",
    "Source",
    "Sources",
    "SpellRule",
    "TimeColumn",
    "load_sources",
]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_YEARS = range(1900, 2101)


def _moment(value: Any, time_of_day: time) -> Any:
    said = value
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value) if len(value) > 10 else date.fromisoformat(value)
        except ValueError:
            value = None
    if not isinstance(value, date) or value.year not in _YEARS:
        raise ValueError(
            "write a date between 1900 and 2100 as year-month-day, such as 2024-12-31, and not "
            f"{str(said)!r}"
        )
    # A date means the whole day: what happened on the first and on the last day was seen.
    return value if isinstance(value, datetime) else datetime.combine(value, time_of_day)


def _first_moment(value: Any) -> Any:
    return _moment(value, time.min)


def _last_moment(value: Any) -> Any:
    return _moment(value, time.max)


def _differ_by_more_than_case(kind: str, names: Iterable[str]) -> None:
    spelled: dict[str, str] = {}
    for name in names:
        other = spelled.setdefault(name.casefold(), name)
        if other != name:
            raise ValueError(f"the {kind}s {other!r} and {name!r} differ by case only; rename one")


def _as_customer(value: Any) -> Any:
    if isinstance(value, str):
        raise ValueError(
            f"write customer: {{key: {value}}}, or customer: {{column: {value}, of: SOURCE}}"
        )
    return value


class Source(Place):
    """One export: where its rows are, whose they are, and the events that they stand for."""

    optional: bool = False
    aliases: dict[str, Values] = Field(default_factory=dict)
    may_lack: tuple[str, ...] = ()
    leave_out: Conditions = Field(default_factory=dict)
    borrow: tuple[Borrowed, ...] = ()
    id: str | None = None
    customer: Annotated[CustomerKey, BeforeValidator(_as_customer)] = CustomerKey.model_construct()
    identity: IdentityRule | None = None
    journey: str | None = None
    valid_from: Annotated[TimeColumn | None, BeforeValidator(as_column)] = None
    attributes: tuple[Annotated[Attribute, BeforeValidator(as_attribute)], ...] = ()
    personal: tuple[str, ...] = ()
    events: tuple[EventRule, ...] = ()

    @model_validator(mode="after")
    def _says_whose(self) -> Source:
        if not self.names_customers and self.customer.of is None:
            raise ValueError("say whose the rows are: by customer: {key: COLUMN}, or by identity")
        if self.customer.of is not None and self.identity is not None:
            raise ValueError(
                f"its rows are those of {self.customer.of!r}, whose identity counts; leave out "
                "either customer or identity"
            )
        return self

    @property
    def names_customers(self) -> bool:
        """Whether its rows say themselves whose they are, and not by another source."""
        return self.customer.key is not None or self.identity is not None

    def since(self, attribute: Attribute) -> TimeColumn | None:
        """Column that says since when an attribute holds."""
        return attribute.valid_from or self.valid_from

    def columns_read(self) -> set[str]:
        """Columns that the rules read, the export's own and the borrowed ones."""
        who = self.customer
        own = {self.id, who.key, who.otherwise, who.column, self.journey} - {None}
        times = [who.since, *map(self.since, self.attributes)]
        since = {rule.column for rule in times if rule is not None}
        since |= set() if self.identity is None else self.identity.columns_used()
        facts = {attribute.column for attribute in self.attributes}
        references = {borrowed.by for borrowed in self.borrow}
        rules = (rule.columns_used() for rule in self.events)
        return {str(name) for name in own}.union(since, facts, references, self.leave_out, *rules)

    def refers_to(self) -> list[str]:
        """Other sources, whose rows this one's name by their id."""
        owner = [] if self.customer.of is None else [self.customer.of]
        return [*owner, *(borrowed.source for borrowed in self.borrow)]

    def columns_used(self) -> set[str]:
        """Columns that the export must have."""
        borrowed = {name for item in self.borrow for name in item.columns}
        return self.columns_read() - borrowed - set(self.may_lack)

    def columns_of_one_line(self) -> frozenset[str]:
        """Columns that never hold a line break: keys, times and numbers."""
        who = self.customer
        own = {self.id, who.key, who.otherwise, who.column, self.journey}
        for rule in self.events:
            own |= {rule.time.column} | {part.column for part in (rule.value, rule.score) if part}
        named = {str(name) for name in own - {None}}
        return frozenset(named.union(*(self.aliases.get(name, ()) for name in named)))


class TextRule(Strict):
    """How the sentiment of what customers write is made."""

    calibrate: bool = False


class JourneyRule(Strict):
    """Where one journey of a customer ends and the next begins."""

    split_after: Span | None = None
    start: Values = ()
    end: Values = ()
    closes_after: Span | None = None

    @property
    def numbers_journeys(self) -> bool:
        """Whether journeys are numbered by customer; otherwise they are those of the exports."""
        return bool(self.start or self.end) or self.split_after is not None

    @property
    def silence(self) -> timedelta | None:
        """Silence after which the last journey of a customer counts as ended."""
        return self.split_after if self.closes_after is None else self.closes_after


class ChurnDates(Strict):
    """When a customer counts as gone, beside the events that say so."""

    contract_end: str | None = None
    silence: SpanText | None = None
    activity: Values = ()
    failed: Values = ()
    settled: Values = ()
    dunning: SpanText | None = None
    grace: SpanText | None = None


class SpellRule(Strict):
    """Times at risk to work out once and store: what starts them, and what ends them."""

    start: Values
    end: dict[str, Values] | Values | None = None
    cause: str | None = None
    censor: dict[str, Values] = Field(default_factory=dict)
    columns: Values = ()
    rule: ChurnDates = ChurnDates()
    zero: Literal["first_unit", "drop", "refuse"] = "first_unit"

    def touchpoints(self) -> list[str]:
        """Every touchpoint that it names."""
        ends = self.end.values() if isinstance(self.end, dict) else [self.end or ()]
        return [name for names in (self.start, *ends, *self.censor.values()) for name in names]


class LinkRule(Strict):
    """How records that tell who they are about are linked."""

    max_size: int = Field(default=50, ge=2)


class Member(Strict):
    """Customers who have a row in a source, or one that meets a condition."""

    source: str
    when: Conditions = Field(default_factory=dict)


class Check(Strict):
    """Something that the exports should agree on; the build counts where they do not."""

    name: str
    source: str | None = None
    column: str | None = None
    not_before: str | None = None
    agree: tuple[Member, ...] = ()

    @model_validator(mode="after")
    def _one_kind(self) -> Check:
        order = None not in (self.source, self.column, self.not_before)
        if order == bool(self.agree) or (self.agree and len(self.agree) < 2):
            raise ValueError(
                "give either source, column and not_before, or agree with two or more members"
            )
        if order and str(self.not_before).count(".") != 1:
            raise ValueError("write not_before as SOURCE.COLUMN")
        return self


def _expanded(words: Any, handler: Any, info: ValidationInfo) -> Any:
    from cxlib.ingest.presets.expansion import expand_presets

    if not words:
        raise ValueError(
            "no source is described yet; describe one, or take away the # before one that cxlib "
            "init left as a comment"
        )
    return handler(expand_presets(words, (info.context or {}).get("exports")))


class Sources(Strict):
    """A workspace's exports and what they mean.

    Examples
    --------
    >>> shop = Sources.model_validate({
    ...     "name": "shop",
    ...     "sources": {"orders": {
    ...         "file": "orders.csv",
    ...         "customer": {"key": "account"},
    ...         "events": [{"touchpoint": "placed_order", "time": "placed_at"}],
    ...     }},
    ... })
    >>> sorted(shop.sources["orders"].columns_used())
    ['account', 'placed_at']
    """

    name: str
    observed_from: Annotated[datetime, BeforeValidator(_first_moment)] | None = None
    observed_until: Annotated[datetime, BeforeValidator(_last_moment)] | None = None
    timezone: Zone = "UTC"
    journeys: JourneyRule = JourneyRule()
    personal: tuple[str, ...] = ()
    text: TextRule = TextRule()
    spells: dict[str, SpellRule] = Field(default_factory=dict)
    sources: Annotated[dict[str, Source], Field(min_length=1), WrapValidator(_expanded)]

    linking: LinkRule = LinkRule()
    meaning: Meaning = Meaning()
    survivorship: Survivorship = Survivorship()
    checks: tuple[Check, ...] = ()

    @model_validator(mode="after")
    def _names_exist(self) -> Sources:
        extras: list[str] = []
        for name, source in self.sources.items():
            if not _NAME.fullmatch(name):
                raise ValueError(f"the source {name!r} needs a name of letters, digits and _")
            extra = [column for rule in source.events for column in rule.columns]
            taken = {column for column in extra if column.casefold() in CONTRACTS["events"]}
            if taken:
                raise ValueError(
                    f"the source {name!r} keeps a column {min(taken)!r}, which every event has; "
                    "map it by that field instead"
                )
            for other in source.refers_to():
                self._refers(name, other)
            extras += extra
        for name in self.spells:
            if not _NAME.fullmatch(name):
                raise ValueError(f"the spells {name!r} need a name of letters, digits and _")
        for kind, names in (
            ("source", self.sources),
            ("spell", self.spells),
            ("column", extras),
            ("attribute", self.attributes),
        ):
            _differ_by_more_than_case(kind, names)
        for check in self.checks:
            members = [member.source for member in check.agree]
            order = [str(check.source), str(check.not_before).split(".")[0]] if check.source else []
            for member in members + order:
                if member not in self.sources:
                    raise unknown_name("source", member, self.sources, f"for {check.name!r}")
        self.survivorship.check(self.sources, self.attributes)
        self.meaning.check(self.attributes, extras, self.touchpoints)
        self._touchpoints_exist()
        for name, spell in self.spells.items():
            kept = [*CONTRACTS["events"], *extras]
            for column in [*spell.columns, *([spell.cause] if spell.cause else ())]:
                if column not in kept:
                    context = f"that an event keeps with columns:, for the spells {name!r}"
                    raise unknown_name("column", column, kept, context)
        self.in_order()
        return self

    def _touchpoints_exist(self) -> None:
        known = self.touchpoints
        if known is None:
            return
        named = {f"spells {name!r}": spell.touchpoints() for name, spell in self.spells.items()}
        named["journeys"] = [*self.journeys.start, *self.journeys.end]
        for where, touchpoints in named.items():
            for touchpoint in touchpoints:
                if touchpoint not in known:
                    context = f"in any source, for the {where}"
                    raise unknown_name("touchpoint", touchpoint, known, context)

    def _refers(self, name: str, other: str) -> None:
        if other not in self.sources:
            raise unknown_name("source", other, self.sources, f"to which {name!r} refers")
        if self.sources[other].id is None:
            raise ValueError(
                f"the source {name!r} refers to {other!r}, which names no id; add id: COLUMN to it"
            )

    def in_order(self) -> list[str]:
        """Names of the sources, each after the one whose ids it refers to."""
        done: list[str] = []
        while len(done) < len(self.sources):
            ready = [
                name
                for name, source in self.sources.items()
                if name not in done and set(source.refers_to()) <= set(done)
            ]
            if not ready:
                circle = ", ".join(repr(name) for name in self.sources if name not in done)
                raise ValueError(f"the sources {circle} refer to each other in a circle")
            done.extend(ready)
        return done

    @property
    def named_touchpoints(self) -> set[str]:
        """Touchpoints that the rules name; a column that is taken as it is may hold others."""
        rules = [rule.touchpoint for source in self.sources.values() for rule in source.events]
        named = [[rule] if isinstance(rule, str) else rule.map.values() for rule in rules]
        return set(chain(*named))

    @property
    def touchpoints(self) -> set[str] | None:
        """Every touchpoint that can arise, or None where a column may hold any."""
        rules = [rule.touchpoint for source in self.sources.values() for rule in source.events]
        taken = any(isinstance(rule, FieldColumn) and rule.other == "keep" for rule in rules)
        return None if taken else self.named_touchpoints

    @property
    def attributes(self) -> list[str]:
        """Names of the attributes of all sources, once, in order."""
        said = (item.name for source in self.sources.values() for item in source.attributes)
        return list(dict.fromkeys(said))

    @property
    def registers(self) -> list[str]:
        """Sources whose records are customers' own: they have an id and name their customer."""
        return [
            name for name, source in self.sources.items() if source.id and source.names_customers
        ]

    def single_view(self) -> dict[str, Any]:
        """What the single view must know of this file, as a snapshot keeps it."""
        return {
            "meaning": self.meaning.model_dump(mode="json"),
            "survivorship": self.survivorship.model_dump(mode="json"),
            "sources": list(self.sources),
            "registers": self.registers,
            "attributes": self.attributes,
        }

    @property
    def hides(self) -> bool:
        """Whether any column of any source is hidden."""
        return any(self.hidden(source) for source in self.sources.values())

    def hidden(self, source: Source) -> set[str]:
        """Columns of a source to hide, in small letters: personal ones, and those of identities.

        The shared key too, where it is a column of an identity: its hash must be equal everywhere.
        A city is no secret, unless it is called personal.
        """
        told = set() if source.identity is None else source.identity.personal_columns()
        keys = {str(other.customer.key) for other in self.sources.values() if other.customer.key}
        everyones = {
            column
            for other in self.sources.values()
            if other.identity is not None
            for column in other.identity.columns_used()
        }
        shared = keys if keys & everyones else set()
        return {name.casefold() for name in (*self.personal, *source.personal, *told, *shared)}

    def window(self) -> tuple[datetime | None, datetime | None]:
        """Declared start and end of observation in naive UTC, each None where it is not given."""
        return self._in_utc(self.observed_from), self._in_utc(self.observed_until)

    def _in_utc(self, declared: datetime | None) -> datetime | None:
        if declared is None:
            return None
        if declared.tzinfo is None:
            declared = declared.replace(tzinfo=ZoneInfo(self.timezone))
        return declared.astimezone(UTC).replace(tzinfo=None)


def load_sources(path: str | Path, *, exports: str | Path | None = None) -> Sources:
    """Description of a workspace's exports, from YAML.

    Parameters
    ----------
    path
        The file, usually ``sources.yml``.
    exports
        Folder of the exports, where a preset looks for its tables; by default the folder
        ``exports`` beside the file.

    Returns
    -------
    Sources
        Checked: unknown words, missing ones, wrong types and dangling references are refused.

    Raises
    ------
    CxError
        When the file is missing, is not YAML, or says something that it may not; the message names
        the file, the line and the mend.

    Examples
    --------
    >>> load_sources("nowhere/sources.yml")
    Traceback (most recent call last):
    ...
    cxlib.errors.CxError: there is no file 'nowhere/sources.yml'; it says what each export holds
    (cxlib init writes a first one)
    """
    folder = Path(path).parent / "exports" if exports is None else Path(exports)
    return read_description(
        path,
        Sources,
        says="what each export holds (cxlib init writes a first one)",
        needs="name and sources",
        context={"exports": folder if folder.is_dir() else None},
    )
