"""The presets that come with cxlib, read from their YAML files."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from cxlib.descriptions import read_description
from cxlib.errors import unknown_name
from cxlib.ingest.fields import Strict

__all__ = ["Preset", "PresetTable", "load_preset", "preset_names"]

_FOLDER = Path(__file__).parent


def _as_table(words: Any) -> Any:
    """The words of a preset's table, parted into its own and those of a source."""
    if not isinstance(words, dict) or "rules" in words:
        return words
    own = {name: words[name] for name in PresetTable.model_fields if name in words}
    return {**own, "rules": {name: words[name] for name in words if name not in own}}


class PresetTable(Strict):
    """One table of a vendor: what it holds, how it is known, and its words for `sources.yml`.

    Examples
    --------
    >>> load_preset("stripe").tables["charge"].about
    'payments, and attempts that failed'
    """

    about: str
    named: tuple[str, ...] = ()
    unless: str | None = None
    known_by: tuple[str, ...]
    rules: dict[str, Any]


class SpellRule(Strict):
    """Touchpoints that start and end a customer's time at risk, as ``spells`` takes them.

    Examples
    --------
    >>> SpellRule(start=("signed_up",), end=("left",)).end
    ('left',)
    """

    start: tuple[str, ...]
    end: tuple[str, ...]


class Preset(Strict):
    """What the tables of a vendor's export mean.

    Attributes
    ----------
    vendor, about
        Its name, and one sentence on what it gives.
    stems
        Names of its files without their endings; ``{table}`` stands for the table.
    prefix
        What some exports put before the names of columns.
    touchpoints
        What each touchpoint means.
    subscriptions
        Touchpoints that start and end a subscription; None where the vendor sells none.
    tables
        By name.

    Examples
    --------
    >>> load_preset("stripe").vendor
    'Stripe'
    """

    vendor: str
    about: str
    stems: tuple[str, ...] = ("{table}",)
    prefix: str | None = None
    touchpoints: dict[str, str]
    subscriptions: SpellRule | None = None
    tables: dict[str, Annotated[PresetTable, BeforeValidator(_as_table)]] = Field(min_length=1)

    @property
    def spells(self) -> dict[str, list[str]]:
        """Arguments ``start`` and ``end`` of ``spells`` for the vendor's subscriptions.

        Examples
        --------
        >>> sorted(load_preset("stripe").spells)
        ['end', 'start']
        """
        if self.subscriptions is None:
            return {}
        rule = self.subscriptions
        return {"start": list(rule.start), "end": list(rule.end)}


def preset_names() -> list[str]:
    """Names of the presets, as ``preset:`` takes them.

    Examples
    --------
    >>> preset_names()[:3]
    ['amplitude', 'ga4', 'hubspot']
    """
    return sorted(path.stem for path in _FOLDER.glob("*.yml"))


@cache
def load_preset(name: str) -> Preset:
    """What the tables of a known vendor's export mean.

    Parameters
    ----------
    name
        As in ``preset:``, such as ``"stripe"``.

    Returns
    -------
    Preset
        Its ``tables`` and ``touchpoints``; ``spells`` has the arguments of ``cx.spells`` for its
        subscriptions, and is empty where it has none.

    Raises
    ------
    CxError
        When there is no such preset.

    Examples
    --------
    >>> load_preset("stripe").spells
    {'start': ['started_subscription'], 'end': ['ended_subscription']}
    >>> load_preset("strype")
    Traceback (most recent call last):
    ...
    cxlib.errors.CxError: there is no preset 'strype'; did you mean 'stripe'?
    """
    if name not in preset_names():
        raise unknown_name("preset", name, preset_names())
    return read_description(
        _FOLDER / f"{name}.yml", Preset, says="what its tables mean", needs="vendor and tables"
    )
