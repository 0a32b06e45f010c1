"""Errors and warnings that say what is wrong and how to mend it."""

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["CxError", "CxWarning", "StoreUnavailableError", "refuse_taken", "unknown_name"]


class CxError(ValueError):
    """An answer would mislead or cannot be given; the message says why and what to do.

    Examples
    --------
    >>> raise CxError("the log has no events; check the filters")
    Traceback (most recent call last):
    ...
    cxlib.errors.CxError: the log has no events; check the filters
    """


class StoreUnavailableError(CxError):
    """A store cannot be written now, whatever is to be written: try again later.

    Examples
    --------
    >>> raise StoreUnavailableError("another process builds the store; try again when it has ended")
    Traceback (most recent call last):
    ...
    cxlib.errors.StoreUnavailableError: another process builds the store; try again when it has
    ended
    """


class CxWarning(UserWarning):
    """An answer is given, but it is weaker than it looks.

    Examples
    --------
    >>> import warnings
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.warn("only 4 customers at risk", CxWarning, stacklevel=1)
    >>> caught[0].category.__name__
    'CxWarning'
    """


def unknown_name(kind: str, name: object, known: Iterable[object], where: str = "") -> CxError:
    """Error for a name that does not exist, with the closest names that do.

    Parameters
    ----------
    kind
        What the name was meant to be: "touchpoint", "column".
    name
        The name that was given.
    known
        The names that exist.
    where
        Where they exist, put after the name: "in the log".

    Returns
    -------
    CxError
        Not raised, so that the caller's ``raise`` stands where a reader looks for it.

    Examples
    --------
    >>> print(unknown_name("touchpoint", "open_ticket", ["opened_ticket", "paid_invoice"]))
    there is no touchpoint 'open_ticket'; did you mean 'opened_ticket'?
    """
    names = sorted(str(item) for item in known)
    close = get_close_matches(str(name), names, n=3, cutoff=0.6)
    place = f" {where}" if where else ""
    if close:
        hint = "did you mean " + " or ".join(repr(item) for item in close) + "?"
    elif names:
        more = ", …" if len(names) > 8 else ""
        hint = "there are " + ", ".join(repr(item) for item in names[:8]) + more
    else:
        hint = "there are none"
    return CxError(f"there is no {kind} {name!r}{place}; {hint}")


def refuse_taken(names: Iterable[str], taken: Iterable[str]) -> None:
    """Raise for a group that has the name of another column of the result.

    Parameters
    ----------
    names
        Columns to group by.
    taken
        Other columns of the result.

    Raises
    ------
    CxError
        With the first such name.

    Examples
    --------
    >>> refuse_taken(["plan"], ["n", "share"])
    """
    others = set(taken)
    for name in names:
        if name in others:
            raise CxError(f"the result has a column {name!r} of its own; group by another column")
