"""Whose export is it? Tables of known vendors, told by their columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

import pandas as pd

from cxlib.ingest.presets.expansion import ENDINGS
from cxlib.ingest.presets.library import Preset, load_preset, preset_names

__all__ = ["VendorUse", "recognise"]

_COMMON = {
    *("id", "email", "name", "first_name", "last_name", "created_at", "updated_at", "created"),
    *("customer_id", "order_id", "contact_id", "ticket_id", "status", "type", "kind", "note"),
    *("property_email", "property_createdate", "value", "source_id", "deal_id", "engagement_id"),
    *("location_id", "reason", "message", "company", "is_deleted", "time_zone", "locale"),
}
"""Columns that many exports have: alone they tell nothing."""


@dataclass(frozen=True)
class VendorUse:
    """Use of a preset that a folder of exports suggests.

    Attributes
    ----------
    name
        Name of the sources' common beginning.
    text
        Its words in ``sources.yml``.
    note
        What was recognised, in a sentence.

    Examples
    --------
    >>> VendorUse("stripe", "  stripe:", "").name
    'stripe'
    """

    name: str
    text: str
    note: str


def recognise(
    frames: Mapping[str, pd.DataFrame],
) -> tuple[list[VendorUse], dict[str, pd.DataFrame]]:
    """Presets for the files that are known, and the other files.

    Parameters
    ----------
    frames
        First rows by file, from the exports folder on.

    Returns
    -------
    tuple of list of VendorUse and dict
        A preset stands for the tables of one folder. All columns by which one of its tables is
        known must be there, and not only such as many exports have.

    Examples
    --------
    >>> columns = ["id", "charge_id", "is_charge_refundable", "evidence_details_due_by"]
    >>> uses, rest = recognise({"stripe/dispute.csv": pd.DataFrame(columns=columns)})
    >>> uses[0].name, rest
    ('stripe', {})
    """
    found: dict[tuple[str, str], dict[str, str]] = {}
    rest = dict(frames)
    for file, frame in frames.items():
        match = _table_of(file, [str(column) for column in frame.columns])
        if match is not None:
            preset, table = match
            found.setdefault((preset, str(PurePosixPath(file).parent)), {}).setdefault(table, file)
    uses: list[VendorUse] = []
    for (preset, folder), tables in found.items():
        name = preset if sum(one == preset for one, _ in found) == 1 else f"{preset}_{len(uses)}"
        uses.append(_use(name, load_preset(preset), preset, folder, tables))
        rest = {file: frame for file, frame in rest.items() if file not in tables.values()}
    return uses, rest


def _table_of(file: str, columns: list[str]) -> tuple[str, str] | None:
    """Preset and table that know the columns of a file best."""
    have = {column.casefold() for column in columns}
    best: tuple[int, str, str] | None = None
    for name in preset_names():
        preset = load_preset(name)
        for table, item in preset.tables.items():
            known = {column.casefold() for column in item.known_by}
            named = _is_named(preset, table, file)
            telling = known - _COMMON
            if not known <= have or not (telling or named):
                continue
            score = len(telling) + 3 * named
            if best is None or score > best[0]:
                best = (score, name, table)
    return None if best is None or best[0] < 2 else best[1:]


def _is_named(preset: Preset, table: str, file: str) -> bool:
    name = PurePosixPath(file).name.casefold()
    tables = (table, *preset.tables[table].named)
    stems = [stem.format(table=one) for one in tables for stem in preset.stems]
    return any(name == f"{stem}{ending}" for stem in stems for ending in ENDINGS)


def _use(name: str, preset: Preset, key: str, folder: str, tables: dict[str, str]) -> VendorUse:
    lines = [
        f"  {name}:",
        f"    preset: {key}      # {preset.about}; docs/presets.md has its tables",
    ]
    if folder != ".":
        lines.append(f'    folder: "{folder}"')
    lines.append(f"    only: [{', '.join(tables)}]")
    other = {t: f for t, f in tables.items() if not _is_named(preset, t, f)}
    if other:
        lines.append("    tables:")
        lines += [f'      {t}: {{file: "{PurePosixPath(f).name}"}}' for t, f in other.items()]
    where = "" if folder == "." else f" in {folder}"
    note = f"{preset.vendor}{where}: {', '.join(tables)}, by the preset {key}"
    return VendorUse(name, "\n".join([*lines, ""]), note)
