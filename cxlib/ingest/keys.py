"""The key of a workspace's pseudonyms: a secret outside the store."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from cxlib.errors import CxError

__all__ = ["load_key", "mark_of", "pseudonym"]

_FILE = "customers.key"
_LEAST = 32


def load_key(workspace: str | Path, *, made_with: str | None = None) -> str:
    """Key of a workspace's pseudonyms, as 64 hexadecimal digits; made where there is none.

    Parameters
    ----------
    workspace
        Its file ``customers.key`` holds the key, for its owner alone (mode 600 where the system
        knows modes); the environment variable ``CXLIB_KEY`` counts before it.
    made_with
        ``mark_of`` the key that the current snapshot was made with, None where there is none.

    Raises
    ------
    CxError
        When the key that the store was made with is gone, or when one is too short.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     load_key(folder) == load_key(folder)
    True
    """
    given = os.environ.get("CXLIB_KEY")
    if given is not None:
        return _stretched(given, "CXLIB_KEY")
    path = Path(workspace) / _FILE
    try:
        return _stretched(path.read_text(encoding="utf-8"), _FILE)
    except FileNotFoundError:
        if made_with is not None:
            raise CxError(
                f"the key {path.as_posix()!r} of this store's customer ids is gone; put it back, "
                "or set CXLIB_KEY, or remove the folder 'store' to begin again with other ids"
            ) from None
    made = secrets.token_hex(32)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(made + "\n")
    return _stretched(made, _FILE)


def _stretched(text: str, where: str) -> str:
    if len(text.strip()) < _LEAST:
        raise CxError(
            f"the key in {where} has {len(text.strip())} characters; it needs at least {_LEAST}, "
            "such as those of: python -c 'import secrets; print(secrets.token_hex(32))'"
        )
    return hashlib.sha256(text.strip().encode()).hexdigest()


def pseudonym(text: str, key: str | None) -> str:
    """Name of a customer that tells nobody who it is, unless they have the key.

    Examples
    --------
    >>> pseudonym("crm:C1", "0" * 64)
    'c_a86fac6fd1d416d0'
    """
    if key is None:
        return "c_" + hashlib.sha256(text.encode()).hexdigest()[:16]
    return "c_" + hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()[:16]


def mark_of(key: str) -> str:
    """What tells one key from another, and does not tell the key.

    Examples
    --------
    >>> mark_of("0" * 64) == mark_of("1" * 64)
    False
    """
    return hmac.new(key.encode(), b"cxlib key", hashlib.sha256).hexdigest()[:16]
