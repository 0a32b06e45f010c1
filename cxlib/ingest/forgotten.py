"""Who was forgotten: known again by keyed hashes alone, so that no build brings them back."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import ibis
import ibis.expr.types as ir

__all__ = ["Forgotten", "load_forgotten", "remember_forgotten"]

_KEY, _STONES = "forgotten.key", "FORGOTTEN"


@dataclass(frozen=True)
class Forgotten:
    """Keyed hashes of the ids of forgotten people.

    Attributes
    ----------
    key
        Secret of the workspace, without which no id can be tried out.
    stones
        The hashes.

    Examples
    --------
    >>> nobody = Forgotten("k", frozenset())
    >>> somebody = Forgotten("k", frozenset({nobody.stone("", "c1")}))
    >>> rows = ibis.memtable({"cx_party": ["c1", "c2"], "cx_record": ["1", "2"]})
    >>> somebody.among(rows, "crm", None).to_pandas().tolist()
    [True, False]
    """

    key: str
    stones: frozenset[str]

    @property
    def version(self) -> str:
        """Changes whenever somebody is forgotten."""
        return hashlib.sha256("".join(sorted(self.stones)).encode()).hexdigest()[:16]

    def stone(self, source: str, name: str) -> str:
        """Hash of the id of a record in a source, or of a customer where the source is empty."""
        return hashlib.sha256(f"{self.key}{source}\n{name}".encode()).hexdigest()

    def among(self, rows: ir.Table, source: str, refers: tuple[str, str] | None) -> ir.BooleanValue:
        """Whether each row is one of theirs: by its party, its own id, or the row it refers to."""
        pairs = [("", rows.cx_party), (source, rows.cx_record)]
        if refers is not None:
            pairs.append((refers[0], rows[refers[1]]))
        found: ir.BooleanValue = ibis.literal(False)
        for system, name in pairs:
            stone = (ibis.literal(f"{self.key}{system}\n") + name).hexdigest("sha256")
            found = found | stone.isin(sorted(self.stones)).fill_null(False)
        return found


def load_forgotten(workspace: Path) -> Forgotten | None:
    """Whom a workspace has forgotten; None where it is nobody.

    Examples
    --------
    >>> load_forgotten(Path("data/nowhere")) is None
    True
    """
    try:
        stones = json.loads((workspace / "store" / _STONES).read_text(encoding="utf-8"))
        key = (workspace / _KEY).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
    return Forgotten(key, frozenset(stones))


def remember_forgotten(
    workspace: Path, customers: Iterable[str], records: Iterable[tuple[str, str]]
) -> Forgotten:
    """Keep the hashes of a person's ids, beside those of the others.

    Parameters
    ----------
    workspace
        The key is written there, outside the store and for its owner alone.
    customers
        Ids of the customer and of its parties.
    records
        Source and id of each record.
    """
    known = load_forgotten(workspace)
    if known is None:
        path = workspace / _KEY
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(secrets.token_hex(32) + "\n")
        known = Forgotten(path.read_text(encoding="utf-8").strip(), frozenset())
    own = {known.stone("", name) for name in customers}
    own |= {known.stone(source, name) for source, name in records}
    stones = workspace / "store" / _STONES
    new = stones.with_name(".current-forgotten")
    new.write_text(json.dumps(sorted(known.stones | own)) + "\n", encoding="utf-8")
    os.replace(new, stones)
    return Forgotten(known.key, known.stones | own)
