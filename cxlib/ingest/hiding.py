"""Values that rules name, hidden as the personal columns are that they are compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from cxlib.ingest.config import Check, EventRule, FieldColumn, Source, Sources
from cxlib.ingest.keys import pseudonym

__all__ = ["hide_values"]

_Hide = Callable[[str], str]


def hide_values(config: Sources, key: str | None) -> Sources:
    """Description whose conditions and maps on personal columns hold the hashes of their values.

    Parameters
    ----------
    config
        A workspace's description.
    key
        Secret that personal values are hashed with; None where there is none.

    Returns
    -------
    Sources
        The same where it hides no column. Values are compared whatever their case, as the hashes of
        a personal column are.

    Examples
    --------
    >>> rule = {"file": "orders.csv", "customer": {"key": "email"}, "personal": ["email"],
    ...         "leave_out": {"email": ["Test@shop.example"]}}
    >>> shop = Sources.model_validate({"name": "shop", "sources": {"orders": rule}})
    >>> dict(hide_values(shop, None).sources["orders"].leave_out)
    {'email': ('c_d88d07fdbc924a46',)}
    """
    if not config.hides:
        return config
    hide = partial(_hidden, key=key)
    hidden = {name: config.hidden(rule) for name, rule in config.sources.items()}
    for name, rule in config.sources.items():
        for lent in rule.borrow:
            hidden[name] |= {
                taken.casefold()
                for taken, column in lent.columns.items()
                if column.casefold() in config.hidden(config.sources[lent.source])
            }
    sources = {name: _source(rule, hidden[name], hide) for name, rule in config.sources.items()}
    checks = tuple(_check(check, hidden, hide) for check in config.checks)
    return config.model_copy(update={"sources": sources, "checks": checks})


def _hidden(value: str, key: str | None) -> str:
    return pseudonym(value.strip().lower(), key)


def _source(rule: Source, hidden: set[str], hide: _Hide) -> Source:
    return rule.model_copy(
        update={
            "events": tuple(_event(event, hidden, hide) for event in rule.events),
            "attributes": tuple(_mapped(column, hidden, hide) for column in rule.attributes),
            "leave_out": _conditions(rule.leave_out, hidden, hide),
        }
    )


def _event(event: EventRule, hidden: set[str], hide: _Hide) -> EventRule:
    changed: dict[str, Any] = {
        name: _conditions(getattr(event, name), hidden, hide) for name in ("when", "unless")
    }
    for name in type(event).model_fields:
        if isinstance(getattr(event, name), FieldColumn):
            changed[name] = _mapped(getattr(event, name), hidden, hide)
    return event.model_copy(update=changed)


def _mapped(field: FieldColumn, hidden: set[str], hide: _Hide) -> FieldColumn:
    if field.column.casefold() not in hidden:
        return field
    told = {hide(value): meant for value, meant in field.map.items()}
    return field.model_copy(update={"map": told})


def _check(check: Check, hidden: Mapping[str, set[str]], hide: _Hide) -> Check:
    members = tuple(
        one.model_copy(update={"when": _conditions(one.when, hidden[one.source], hide)})
        for one in check.agree
    )
    return check.model_copy(update={"agree": members})


def _conditions(
    conditions: Mapping[str, Sequence[str]], hidden: set[str], hide: _Hide
) -> dict[str, tuple[str, ...]]:
    return {
        column: tuple(map(hide, values)) if column.casefold() in hidden else tuple(values)
        for column, values in conditions.items()
    }
