"""The contract of every table: columns, types, units and ranges, checked where data enter."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cxlib.errors import CxError, CxWarning

if TYPE_CHECKING:
    import ibis.expr.types as ir
    from pandera.ibis import DataFrameSchema

__all__ = [
    "CONTRACTS",
    "END",
    "OPEN",
    "OTHER",
    "START",
    "Column",
    "check_contract",
    "warn_of_currencies",
]

START, END, OPEN, OTHER = "(start)", "(end)", "(open)", "(other)"
"""Nodes that are no touchpoint: where a journey starts, ends, goes on; and a bundle of many."""


@dataclass(frozen=True)
class Column:
    """What one column of a table holds.

    Parameters
    ----------
    dtype
        Ibis type. Timestamps are UTC, to the microsecond, and carry no zone.
    meaning
        What a value says, with its unit.
    nullable
        Whether a value may be missing.
    unique
        Whether no two rows may hold the same value.
    minimum, maximum
        Bounds, inclusive.

    Examples
    --------
    >>> CONTRACTS["events"]["occurred_at"].dtype
    'timestamp'
    """

    dtype: str
    meaning: str
    nullable: bool = False
    unique: bool = False
    minimum: float | None = None
    maximum: float | None = None


CONTRACTS: dict[str, dict[str, Column]] = {
    "events": {
        "event_id": Column("string", "the event; the tie-break of its time", unique=True),
        "customer_id": Column("string", "who did it"),
        "journey_id": Column("string", "the journey it belongs to"),
        "occurred_at": Column("timestamp", "when, UTC"),
        "touchpoint": Column("string", "what, as verb_noun from the customer's side"),
        "channel": Column("string", "web, app, phone, …", nullable=True),
        "stage": Column("string", "lifecycle stage", nullable=True),
        "department": Column("string", "who served the customer", nullable=True),
        "product": Column("string", "which product or service", nullable=True),
        "layer": Column("string", "product or relationship", nullable=True),
        "owned": Column("boolean", "whether the business can act on it", nullable=True),
        "sentiment": Column(
            "float64", "-1 (worst) to 1 (best)", nullable=True, minimum=-1.0, maximum=1.0
        ),
        "value": Column("float64", "money, in units of its currency", nullable=True),
        "currency": Column("string", "three letters of ISO 4217, where known", nullable=True),
        "source": Column("string", "the export it came from"),
        "step": Column("int64", "position in its journey, from 1", minimum=1),
        "next_touchpoint": Column("string", "next in its journey, or (end) or (open)"),
        "next_at": Column("timestamp", "time of the next event, UTC", nullable=True),
        "is_open": Column("boolean", "whether its journey goes on at the cut-off"),
    },
    "counted_events": {
        "cx_customer": Column("int64", "number of the customer, from 1", minimum=1),
        "cx_place": Column("int64", "position among the customer's events, from 1", minimum=1),
        "cx_alone": Column("boolean", "no other journey of the customer has this step"),
        "cx_new_to_journey": Column("boolean", "first such move of its journey"),
        "cx_new_to_customer": Column("boolean", "first such move of its customer"),
    },
    "journeys": {
        "journey_id": Column("string", "the journey", unique=True),
        "customer_id": Column("string", "whose journey"),
        "started_at": Column("timestamp", "first event, UTC"),
        "ended_at": Column("timestamp", "last event, UTC"),
        "length": Column("int64", "events", minimum=1),
        "path": Column("array<string>", "touchpoints in order"),
        "is_open": Column("boolean", "whether it goes on at the cut-off"),
    },
    "customers": {
        "customer_id": Column("string", "the customer", unique=True),
        "first_seen_at": Column("timestamp", "first event, UTC", nullable=True),
        "last_seen_at": Column("timestamp", "last event, UTC", nullable=True),
        "events": Column("int64", "events", minimum=0),
    },
    "spells": {
        "customer_id": Column("string", "who was at risk"),
        "spell": Column("int64", "number of the customer's spell, from 1", minimum=1),
        "origin": Column("timestamp", "start of the clock, UTC"),
        "entry_days": Column("float64", "days from origin to observation", minimum=0),
        "exit_days": Column("float64", "days from origin to the end", minimum=0),
        "event": Column("boolean", "whether it ended, and was not censored"),
        "cause": Column("string", "which end, or in parentheses how observation stopped"),
        "churn_rule": Column("string", "when a customer counted as gone"),
    },
}
"""Columns that each table must have; a table may have more."""


def check_contract(table: ir.Table, contract: str) -> None:
    """Raise where a table breaks its contract.

    Parameters
    ----------
    table
        Any Ibis table; the checks run in its engine.
    contract
        Name of the contract: ``"events"``, ``"journeys"``, ``"customers"`` or ``"spells"``.

    Raises
    ------
    CxError
        For a missing column, a wrong type, a missing value, a value out of range or a repeated key.

    Examples
    --------
    >>> import ibis
    >>> table = ibis.memtable({"customer_id": ["a", "a"]})
    >>> check_contract(table, "customers")
    Traceback (most recent call last):
    ...
    cxlib.errors.CxError: the customers table has no column 'first_seen_at' (it has 'customer_id')
    """
    columns = CONTRACTS[contract]
    _check_schema(table, contract)
    unique = [name for name, column in columns.items() if column.unique]
    # One scan finds whether a row breaks the contract; pandera then says which, in one for each
    # column and bound.
    counts = table.aggregate(
        broken=table.count(where=_is_broken(table, columns)),
        **{name: table.count() - table[name].nunique() for name in unique},
    ).to_pandas()
    if counts["broken"].iloc[0]:
        from pandera.errors import SchemaErrors

        try:
            _pandera_schema(columns).validate(table, lazy=True)
        except SchemaErrors as error:
            first = error.message
            checks = [item for kind in first.values() for items in kind.values() for item in items]
            said = checks[0]["error"]
            raise CxError(f"the {contract} table breaks its contract: {said}") from error
    for name in unique:
        if repeated := int(counts[name].iloc[0]):
            raise CxError(
                f"the {contract} table breaks its contract: {repeated:,} rows repeat a {name!r}; "
                "each must stand once"
            )


def _is_broken(table: ir.Table, columns: dict[str, Column]) -> ir.BooleanValue:
    import ibis

    broken: ir.BooleanValue = ibis.literal(False)
    for name, column in columns.items():
        value = table[name]
        if not column.nullable:
            broken = broken | value.isnull()
        if column.minimum is not None:
            broken = broken | (value < column.minimum).fill_null(False)
        if column.maximum is not None:
            broken = broken | (value > column.maximum).fill_null(False)
    return broken


def _check_schema(table: ir.Table, contract: str) -> None:
    import ibis

    schema = table.schema()
    for name, column in CONTRACTS[contract].items():
        if name not in schema:
            has = ", ".join(repr(item) for item in list(schema)[:8])
            raise CxError(f"the {contract} table has no column {name!r} (it has {has})")
        want, have = ibis.dtype(column.dtype), schema[name]
        same = have.is_timestamp() if want.is_timestamp() else have.copy(nullable=True) == want
        if not same:
            raise CxError(
                f"the column {name!r} of the {contract} table is {have}, and must be {want}"
            )


def _pandera_schema(columns: dict[str, Column]) -> DataFrameSchema:
    import pandera.ibis as pa

    def checks(column: Column) -> list[pa.Check]:
        low = [] if column.minimum is None else [pa.Check.ge(column.minimum)]
        high = [] if column.maximum is None else [pa.Check.le(column.maximum)]
        return low + high

    return pa.DataFrameSchema(
        {
            name: pa.Column(nullable=column.nullable, checks=checks(column))
            for name, column in columns.items()
        }
    )


def currencies(events: ir.Table) -> list[str]:
    """Currencies of the values of events, that of most values first.

    Parameters
    ----------
    events
        The events.

    Returns
    -------
    list of str
        At most 6; empty where no value has a currency. Equally frequent ones by alphabet.

    Examples
    --------
    >>> import ibis
    >>> columns = {"value": [5.0, 7.0, 2.0, None], "currency": ["USD", "EUR", "EUR", "GBP"]}
    >>> currencies(ibis.memtable(columns))
    ['EUR', 'USD']
    """
    import ibis

    if "currency" not in events.columns:
        return []
    known = events.filter(events["value"].notnull(), events.currency.notnull())
    counted = known.group_by("currency").aggregate(n=known.count())
    most = counted.order_by(ibis.desc("n"), "currency").limit(6)
    return [str(name) for name in most.to_pandas()["currency"]]


def warn_of_currencies(events: ir.Table, column: str = "value", *, stacklevel: int = 3) -> None:
    """Warn where the values to be added up are in several currencies.

    Parameters
    ----------
    events
        The events whose values are summed.
    column
        The column that is summed; only ``value`` has a currency.
    stacklevel
        Of the warning, as for ``warnings.warn``.

    Warns
    -----
    CxWarning
        Which currencies there are, and how to keep one.

    Examples
    --------
    >>> import ibis
    >>> events = ibis.memtable({"value": [5.0, 7.0], "currency": ["EUR", "USD"]})
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warn_of_currencies(events)
    >>> str(caught[0].message)[:38]
    'the values are in EUR and USD: a sum o'
    """
    if column != "value":
        return
    names = currencies(events)
    if len(names) > 1:
        said = f"{', '.join(names[:-1])} and {names[-1]}"
        warnings.warn(
            f"the values are in {said}: a sum of them means nothing; keep one currency with "
            f"keep_events(log, where={{'currency': {names[0]!r}}})",
            CxWarning,
            stacklevel=stacklevel,
        )
