"""What `sources.yml` says and only the exports can confirm: a build and a check ask the same."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from cxlib.errors import CxError, unknown_name
from cxlib.ingest.config import Sources
from cxlib.ingest.sources import StagedSource

__all__ = ["check_personal", "observed_window"]


def check_personal(config: Sources, staged: Mapping[str, StagedSource]) -> None:
    """Refuse a personal column that no export has: a misspelt one would be stored as it is.

    Raises
    ------
    CxError
        When a column under ``personal`` is in no export, or one of a source not in its own. Where
        a source has ``may_lack``, as those of presets, its own may be missing.

    Examples
    --------
    >>> rule = {"file": "orders.csv", "customer": {"key": "account"}}
    >>> shop = {"name": "shop", "personal": ["acount"], "sources": {"orders": rule}}
    >>> check_personal(Sources.model_validate(shop), {})
    Traceback (most recent call last):
    ...
    cxlib.errors.CxError: there is no column 'acount' that is personal in any export; there are none
    """
    for name, item in staged.items():
        own = {column.casefold() for column in item.columns}
        for column in item.rule.personal:
            known = item.judged is None or item.rule.may_lack or column.casefold() in own
            if not known:
                raise unknown_name("column", column, item.columns, f"that is personal in {name!r}")
    if any(item.judged is None for item in staged.values()):
        return  # it may be a column of the export that cannot be read
    columns = [column for item in staged.values() for column in item.columns]
    found = {column.casefold() for column in columns}
    for column in config.personal:
        if column.casefold() not in found:
            raise unknown_name("column", column, columns, "that is personal in any export")


def observed_window(config: Sources, latest: datetime) -> tuple[datetime | None, datetime]:
    """When observation began, where that is declared, and when it ended, in naive UTC.

    Parameters
    ----------
    config
        The workspace's description.
    latest
        Time of the last event.

    Raises
    ------
    CxError
        When an event lies after the declared end, or the declared beginning not before the end.

    Examples
    --------
    >>> rule = {"file": "orders.csv", "customer": {"key": "account"}}
    >>> shop = Sources.model_validate({"name": "shop", "sources": {"orders": rule}})
    >>> observed_window(shop, datetime(2024, 12, 31))
    (None, datetime.datetime(2024, 12, 31, 0, 0))
    """
    begin, declared = config.window()
    cut_off = declared or latest
    if latest > cut_off:
        raise CxError(
            f"an event of {latest} lies after observed_until, {cut_off}; "
            "set a later one in sources.yml, or leave it out"
        )
    if begin is not None and begin >= cut_off:
        raise CxError(
            f"observed_from, {begin}, is not before the end of the data, {cut_off}; "
            "set an earlier one in sources.yml"
        )
    return begin, cut_off
