"""What a workspace's touchpoints and attributes mean for the single view of a customer."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from cxlib.errors import unknown_name
from cxlib.ingest.fields import Strict
from cxlib.ingest.fields import Values as Names

__all__ = ["RULES", "Meaning", "Survivorship", "TermColumn"]

RULES = ("most_trusted", "newest", "most_complete")
"""Which record gives an attribute: that of the first source, the latest, or the fullest one."""

Rule = Literal["most_trusted", "newest", "most_complete"]
_NEEDS = (
    ("ends_subscription", "starts_subscription"),
    ("renews", "starts_subscription"),
    ("term_months", "starts_subscription"),
    ("due", "renews"),
    ("closes_ticket", "opens_ticket"),
    ("ticket", "opens_ticket"),
)
_OPPOSITES = (("starts_subscription", "ends_subscription"), ("opens_ticket", "closes_ticket"))


Months = Annotated[int, Field(ge=1, le=1_200)]


class Survivorship(Strict):
    """Which record gives an attribute where a customer's records differ.

    Examples
    --------
    >>> chosen = Survivorship.model_validate({"attributes": {"city": "newest"}})
    >>> chosen.rule_of("city"), chosen.rule_of("plan")
    ('newest', 'most_trusted')
    """

    rule: Rule = "most_trusted"
    trust: Names = ()
    attributes: dict[str, Rule] = Field(default_factory=dict)
    lasting: Names = ()

    def rule_of(self, attribute: str) -> str:
        """Rule for one attribute."""
        return self.attributes.get(attribute, self.rule)

    def check(self, sources: Collection[str], attributes: Collection[str]) -> None:
        """Raise where a source or an attribute is named that no export has."""
        for name in self.trust:
            if name not in sources:
                raise unknown_name("source", name, sources, "to trust")
        for name in (*self.attributes, *self.lasting):
            if name not in attributes:
                raise unknown_name("attribute", name, attributes, "in any source")


class TermColumn(Strict):
    """Column of the events that start a subscription with its term, and the months of each."""

    column: str
    map: dict[str, Months] = Field(min_length=1)


class Meaning(Strict):
    """Which touchpoints, columns and attributes the single view reads as what.

    Examples
    --------
    >>> Meaning.model_validate({"opens_ticket": "opened_ticket"}).opens_ticket
    ('opened_ticket',)
    """

    buys: Names = ()
    starts_subscription: Names = ()
    ends_subscription: Names = ()
    renews: Names = ()
    term_months: Months | TermColumn | None = None
    due: str | None = None
    opens_ticket: Names = ()
    closes_ticket: Names = ()
    ticket: str | None = None
    consent: str | None = None

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        for word, other in _NEEDS:
            if getattr(self, word) and not getattr(self, other):
                raise ValueError(f"{word} means nothing without {other}; add it")
        for one, other in _OPPOSITES:
            if both := set(getattr(self, one)) & set(getattr(self, other)):
                raise ValueError(f"{min(both)!r} stands under {one} and {other}; keep it in one")
        return self

    def touchpoints(self) -> list[str]:
        """Every touchpoint that is named, once."""
        kinds = ("buys", *_OPPOSITES[0], "renews", *_OPPOSITES[1])
        return list(dict.fromkeys(name for kind in kinds for name in getattr(self, kind)))

    def columns(self) -> list[str]:
        """Columns of the events that are named."""
        term = self.term_months.column if isinstance(self.term_months, TermColumn) else None
        return [name for name in (term, self.due, self.ticket) if name is not None]

    def check(
        self,
        attributes: Collection[str],
        columns: Collection[str],
        touchpoints: Collection[str] | None,
    ) -> None:
        """Raise where something is named that no export has; None: any touchpoint may come."""
        if self.consent is not None and self.consent not in attributes:
            raise unknown_name("attribute", self.consent, attributes, "in any source")
        for name in self.columns():
            if name not in columns:
                raise unknown_name("column", name, columns, "that an event keeps with columns:")
        for name in self.touchpoints():
            if touchpoints is not None and name not in touchpoints:
                raise unknown_name("touchpoint", name, touchpoints, "in any source")
