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

from cxlib.errors import CxError

__all__ = ["Forgotten", "load_forgotten", "remember_forgotten"]

_KEY, _HASHES = "forgotten.key", "FORGOTTEN"


@dataclass(frozen=True)
class Forgotten:
    """Keyed hashes of the ids of forgotten people.

    Attributes
    ----------
    key
        Secret of the workspace, without which no id can be tried out.
    hashes
        The hashes.

    Examples
    --------
    >>> nobody = Forgotten("k", frozenset())
    >>> somebody = Forgotten("k", frozenset({nobody.hash_of("", "c1")}))
    >>> rows = ibis.memtable({"cx_party": ["c1", "c2"], "cx_record": ["1", "2"]})
    >>> somebody.among(rows, "crm", None).to_pandas().tolist()
    [True, False]
    """

    key: str
    hashes: frozenset[str]

    @property
    def version(self) -> str:
        """Changes whenever somebody is forgotten."""
        return hashlib.sha256("".join(sorted(self.hashes)).encode()).hexdigest()[:16]

    def hash_of(self, source: str, name: str) -> str:
        """Hash of the id of a record in a source, or of a customer where the source is empty."""
        return hashlib.sha256(f"{self.key}{source}\n{name}".encode()).hexdigest()

    def among(self, rows: ir.Table, source: str, refers: tuple[str, str] | None) -> ir.BooleanValue:
        """Whether each row is one of theirs: by its party, its own id, or the row it refers to."""
        pairs = [("", rows.cx_party), (source, rows.cx_record)]
        if refers is not None:
            pairs.append((refers[0], rows[refers[1]]))
        found: ir.BooleanValue = ibis.literal(False)
        for system, name in pairs:
            hashed = (ibis.literal(f"{self.key}{system}\n") + name).hexdigest("sha256")
            found = found | hashed.isin(sorted(self.hashes)).fill_null(False)
        return found


def load_forgotten(workspace: Path) -> Forgotten | None:
    """Whom a workspace has forgotten; None where it is nobody.

    Raises
    ------
    CxError
        When somebody was forgotten, and the key is gone without which nobody can tell who.

    Examples
    --------
    >>> load_forgotten(Path("data/nowhere")) is None
    True
    """
    hashes, path = workspace / "store" / _HASHES, workspace / _KEY
    if not hashes.is_file():
        return None
    try:
        key = path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        raise CxError(
            f"the key {path.as_posix()!r} is gone, by which forgotten people are known; put it "
            f"back, or remove {hashes.as_posix()!r}: then they come back"
        ) from None
    return Forgotten(key, frozenset(json.loads(hashes.read_text(encoding="utf-8"))))


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
    own = {known.hash_of("", name) for name in customers}
    own |= {known.hash_of(source, name) for source, name in records}
    hashes = workspace / "store" / _HASHES
    new = hashes.with_name(".current-forgotten")
    new.write_text(json.dumps(sorted(known.hashes | own)) + "\n", encoding="utf-8")
    os.replace(new, hashes)
    return Forgotten(known.key, known.hashes | own)
