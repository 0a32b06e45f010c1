"""Spells of a store: worked out once, when it is built, by the churn rule that it declares."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cxlib.engine.store import Snapshot, open_store
from cxlib.engine.writing import create_table
from cxlib.errors import CxError, unknown_name
from cxlib.ingest.config import Sources, SpellRule
from cxlib.journeys.log import Journeys
from cxlib.models.outcomes.episodes import Spells, spells
from cxlib.models.outcomes.rules import ChurnRule
from cxlib.spans import parse_moment
from cxlib.tables import check_contract

if TYPE_CHECKING:
    from ibis.backends import BaseBackend

__all__ = ["load_spells", "store_declared", "store_spells"]

_TABLE = "spells_"


def store_spells(con: BaseBackend, name: str, found: Spells) -> dict[str, Any]:
    """Write spells into a snapshot that is being built.

    Parameters
    ----------
    con
        Connection to the snapshot.
    name
        What to load them by.
    found
        What ``spells`` gives for the log in it.

    Returns
    -------
    dict
        What the snapshot's meta data must say of them, under "spells" and the name.

    Raises
    ------
    CxError
        When the table breaks its contract.

    Examples
    --------
    >>> from cxlib import connect, journeys_from_frame, spells
    >>> log = journeys_from_frame(
    ...     {"customer_id": ["a", "a"], "touchpoint": ["joined", "left"],
    ...      "occurred_at": ["2024-01-01", "2024-01-11"]},
    ...     observed_until="2024-01-31", closes_after=None,
    ... )
    >>> found = spells(log, start="joined", end="left", window_start="2024-01-01")
    >>> store_spells(log.events.get_backend(), "churn", found)["window_start"]
    '2024-01-01T00:00:00'
    """
    table = create_table(con, _TABLE + name, found.table.order_by("customer_id", "spell"))
    check_contract(table, "spells")
    begin = found.window_start
    return {
        "window_start": None if begin is None else begin.isoformat(),
        "observed_until": found.observed_until.isoformat(),
        "rule": found.rule,
    }


def store_declared(con: BaseBackend, config: Sources, log: Journeys) -> dict[str, Any]:
    """Write the spells that ``sources.yml`` declares.

    Parameters
    ----------
    con
        Connection to the snapshot.
    config
        The workspace's description with its ``spells``.
    log
        The log in the snapshot.

    Returns
    -------
    dict
        Per name what ``store_spells`` returns; without those that no touchpoint has started yet.

    Raises
    ------
    CxError
        Naming the spells that cannot be worked out.

    Notes
    -----
    A touchpoint that the sources can give and that no customer has reached yet is left out.

    Examples
    --------
    >>> from cxlib import connect, load_journeys, open_store
    >>> club = Sources.model_validate({
    ...     "name": "club",
    ...     "sources": {"visits": {"file": "visits.csv", "customer": {"key": "account"}}},
    ... })
    >>> store_declared(connect(), club, load_journeys(open_store("data/demo")))
    {}
    """
    said: dict[str, Any] = {}
    if not config.spells:
        return said
    seen = set(log.events.select("touchpoint").distinct().to_pyarrow()["touchpoint"].to_pylist())
    unseen = config.named_touchpoints - seen
    for name, rule in config.spells.items():
        given = {part: _reached(getattr(rule, part), unseen) for part in SpellRule.model_fields}
        given["rule"] = ChurnRule(**rule.rule.model_dump())
        if not given["start"]:
            continue
        try:
            found = spells(log, window_start=log.observed_from, **given)
            said[name] = store_spells(con, name, found)
        except CxError as error:
            raise CxError(f"the spells {name!r} of sources.yml: {error}") from error
    return said


def _reached(words: Any, unseen: set[str]) -> Any:
    """Words of a rule without the touchpoints that nobody has reached."""
    if isinstance(words, dict):
        return {cause: _reached(names, unseen) for cause, names in words.items()}
    if isinstance(words, tuple):
        return tuple(name for name in words if name not in unseen)
    return words


def load_spells(store: Snapshot | str | Path, name: str) -> Spells:
    """Spells of a store, by the name that ``sources.yml`` gives them.

    Parameters
    ----------
    store
        What ``open_store`` gives, or a workspace.
    name
        Such as "churn".

    Returns
    -------
    Spells
        As ``spells`` would give, from a table that is there already.

    Raises
    ------
    CxError
        When the store has no spells of that name.

    Examples
    --------
    >>> from cxlib import open_store, spell_counts
    >>> found = load_spells(open_store("data/demo"), "churn")
    >>> spell_counts(found, unit="months")["cause"].nunique() > 1
    True
    """
    store = open_store(store)
    known: Mapping[str, Any] = store.meta.get("spells", {})
    if name not in known:
        if not known:
            raise CxError(
                f"the snapshot {store.id} has no spells; name them under spells: in sources.yml "
                "and build again, or take spells(log, ...)"
            )
        raise unknown_name("spells", name, known, f"in the snapshot {store.id}")
    said = known[name]
    begin: datetime | None = None
    if said["window_start"] is not None:
        begin = parse_moment(said["window_start"])
    until = parse_moment(said["observed_until"])
    zone = store.meta.get("timezone", "UTC")
    return Spells(store.table(_TABLE + name), until, begin, said["rule"], zone)
