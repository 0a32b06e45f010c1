"""`preset: stripe` in `sources.yml` -> one source for each of the vendor's tables."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, create_model, model_validator
from pydantic_core import InitErrorDetails

from cxlib.errors import unknown_name
from cxlib.ingest.config import Source
from cxlib.ingest.fields import Attribute, EventRule, Strict
from cxlib.ingest.presets.library import Preset, load_preset

__all__ = ["PresetUse", "expand_presets"]

ENDINGS = (".csv", ".csv.gz", ".csv.zst", ".parquet", ".json", ".jsonl", ".jsonl.gz", ".xlsx")
"""How the name of a table's file may end; the first that is there counts."""

TableUse: Any = create_model(
    "TableUse",
    __base__=Strict,
    add_events=(tuple[EventRule, ...], ()),
    add_attributes=(tuple[Attribute | str, ...], ()),
    **{  # type: ignore[call-overload]
        name: (field.rebuild_annotation() | None, Field(default=None, alias=field.alias))
        for name, field in Source.model_fields.items()
    },
)
"""Words of a source, each of which takes the place of the preset's, and what is added to it."""


class PresetUse(Strict):
    """Use of a preset in `sources.yml`."""

    preset: str
    folder: str = "."
    files: str | None = None
    database: str | None = None
    db_schema: str | None = Field(default=None, alias="schema")
    only: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    tables: dict[str, TableUse] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _is_one_place(self) -> PresetUse:
        if self.database is None and self.db_schema is not None:
            raise ValueError("schema is for a database; leave it out, or name the database")
        if self.database is not None and (self.files is not None or self.folder != "."):
            raise ValueError("folder and files are for files; leave them out beside database")
        return self


def expand_presets(sources: Any, exports: Path | None) -> Any:
    """Words of `sources:` with a source for each table of each preset in them.

    Parameters
    ----------
    sources
        What YAML gives for `sources:`.
    exports
        Folder of the exports: tables whose file is not in it are left out. None keeps them all.

    Returns
    -------
    dict
        A preset under the name ``billing`` gives ``billing_customer``, ``billing_invoice`` and so
        on; other sources are as they were.

    Raises
    ------
    pydantic.ValidationError
        With the place of each mistake in the words of the preset's use.

    Examples
    --------
    >>> list(expand_presets({"web": {"preset": "ga4"}}, None))
    ['web_event']
    """
    if not isinstance(sources, dict):
        return sources
    expanded: dict[str, Any] = {}
    for name, words in sources.items():
        if not isinstance(words, dict) or "preset" not in words:
            expanded[name] = words
            continue
        try:
            use = PresetUse.model_validate(words)
            given = _expand(str(name), use, exports)
        except ValidationError as error:
            raise _placed(error, (name,)) from error
        except ValueError as error:
            raise _mistake(str(error), (name, "preset")) from error
        for clash in sorted(set(given) & set(sources)):
            raise _mistake("the preset gives this source too; rename one of the two", (clash,))
        expanded |= given
    return expanded


def _expand(name: str, use: PresetUse, exports: Path | None) -> dict[str, dict[str, Any]]:
    preset = load_preset(use.preset)
    for table in (*use.only, *use.without, *use.tables):
        if table not in preset.tables:
            raise unknown_name("table", table, preset.tables, f"in the preset {use.preset!r}")
    chosen = [t for t in preset.tables if t not in use.without and (not use.only or t in use.only)]
    if use.database is not None:
        # Which tables a database has is known when it is read: those it lacks are left out then.
        kept = [table for table in chosen if preset.tables[table].unless not in chosen]
        found = [*kept, *_referred(preset, kept)]
        return {
            f"{name}_{table}": _words(name, preset, use, table, _in_database(use, table))
            for table in preset.tables
            if table in found
        }
    files = {table: _file(preset, use, table, exports) for table in chosen}
    there = [table for table in chosen if files[table] is not None]
    kept = [table for table in there if preset.tables[table].unless not in there]
    if not kept:
        looked = ", ".join(repr(_stems(preset, use, table)[0]) for table in chosen[:6])
        raise ValueError(
            f"no file of {preset.vendor} is in the folder {use.folder!r} of the exports; looked "
            f"for {looked} and so on: name them with files: '{{table}}_export.csv', or each under "
            "tables:"
        )
    sources = {
        table: _words(name, preset, use, table, {"file": str(files[table]).removeprefix("./")})
        for table in kept
    }
    for table in _referred(preset, kept):
        # Nobody is lost: who refers to a table that is not there still has a customer.
        place = {"file": f"{use.folder}/{table} (left out)".removeprefix("./"), "optional": True}
        sources[table] = _words(name, preset, use, table, place)
    return {f"{name}_{table}": sources[table] for table in preset.tables if table in sources}


def _referred(preset: Preset, kept: list[str]) -> list[str]:
    """Tables that others refer to, in as many steps as it takes, beside those that are kept."""
    found: list[str] = []
    waiting = list(kept)
    while waiting:
        rules = preset.tables[waiting.pop()].rules
        named = [rules["customer"].get("of"), *(item["of"] for item in rules.get("borrow", ()))]
        new = [table for table in named if table and table not in (*kept, *found)]
        found += new
        waiting += new
    return found


def _stems(preset: Preset, use: PresetUse, table: str) -> list[str]:
    tables = (table, *preset.tables[table].named)
    return [stem.format(table=name) for name in tables for stem in preset.stems]


def _file(preset: Preset, use: PresetUse, table: str, exports: Path | None) -> str | None:
    """File of a table, from the exports folder on; None where it is not there."""
    override = use.tables.get(table)
    if override is not None and override.file:
        return f"{use.folder}/{override.file}"
    if use.files is not None:
        pattern = f"{use.folder}/{use.files.replace('{table}', table)}"
        return pattern if exports is None or list(_glob(exports, pattern)) else None
    if exports is None:
        return f"{use.folder}/{table}.csv"
    folder = exports / use.folder
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    known = {name.casefold(): name for name in names}
    for stem in _stems(preset, use, table):
        for ending in ENDINGS:
            if f"{stem}{ending}".casefold() in known:
                return f"{use.folder}/{known[f'{stem}{ending}'.casefold()]}"
    return None


def _in_database(use: PresetUse, table: str) -> dict[str, Any]:
    """Where a table is in a database; it may be missing there."""
    override = use.tables.get(table)
    name = table if override is None or not override.table else override.table
    schema = "" if use.db_schema is None else f"{use.db_schema}."
    return {"database": use.database, "table": f"{schema}{name}", "optional": True}


def _glob(exports: Path, pattern: str) -> list[Path]:
    literal = exports / pattern
    return [literal] if literal.is_file() else list(exports.glob(pattern))


def _words(
    name: str, preset: Preset, use: PresetUse, table: str, place: dict[str, Any]
) -> dict[str, Any]:
    """Words of one table as a source, under the names that the workspace has for the others."""
    words = _named(deepcopy(preset.tables[table].rules), name)
    said = use.tables.get(table)
    if said is not None:
        own = said.model_dump(exclude_unset=True, by_alias=True, exclude={"file", "table"})
        events, attributes = own.pop("add_events", ()), own.pop("add_attributes", ())
        words |= {word: value for word, value in own.items() if value is not None}
        words["events"] = [*words.get("events", ()), *events]
        words["attributes"] = [*words.get("attributes", ()), *attributes]
    words |= place
    return _lenient(words, preset, table)


def _named(rules: dict[str, Any], name: str) -> dict[str, Any]:
    for item in (rules["customer"], *rules.get("borrow", ())):
        if "of" in item:
            item["of"] = f"{name}_{item['of']}"
    return rules


def _lenient(words: dict[str, Any], preset: Preset, table: str) -> dict[str, Any]:
    """The same words, where a column that one version of the export lacks is no mistake."""
    try:
        source = Source.model_validate(words)
    except ValidationError as error:
        raise _placed(error, ("tables", table)) from error
    who = source.customer
    needed = {source.id, who.otherwise or who.key or who.column}
    needed |= {rule.time.column for rule in source.events if not rule.optional}
    borrowed = {column for item in source.borrow for column in item.columns}
    lacking = source.columns_read() - needed - borrowed
    words["may_lack"] = sorted({*lacking, *words.get("may_lack", ())})
    if preset.prefix:
        short = {
            name: [name.removeprefix(preset.prefix)]
            for name in sorted(source.columns_read())
            if name.startswith(preset.prefix)
        }
        words["aliases"] = {**short, **words.get("aliases", {})}
    return words


def _placed(error: ValidationError, where: tuple[str, ...]) -> ValidationError:
    """The same mistakes, each with its place below another."""
    details = [
        InitErrorDetails(
            type=item["type"],
            loc=(*where, *item["loc"]),
            input=item["input"],
            ctx=item.get("ctx", {}),
        )
        for item in error.errors()
    ]
    return ValidationError.from_exception_data(error.title, details)


def _mistake(said: str, where: tuple[str, ...]) -> ValidationError:
    detail = InitErrorDetails(type="value_error", loc=where, input=None, ctx={"error": said})
    return ValidationError.from_exception_data("preset", [detail])
