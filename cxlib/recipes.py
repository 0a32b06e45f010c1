"""What tells one snapshot from another besides its inputs: code, engine, description, secrets."""

from __future__ import annotations

import hashlib
import inspect
import json
from importlib.metadata import version
from pathlib import Path

import cxlib
from cxlib.ingest.forgotten import Forgotten
from cxlib.ingest.inputs import hash_file
from cxlib.ingest.keys import mark_of
from cxlib.ingest.texts import Scorer

__all__ = ["code_of_builds", "digest", "recipe_of"]

_PACKAGES = (
    "duckdb",
    "ibis-framework",
    "py3langid",
    "python-calamine",
    "pyarrow",
    "splink",
    "sqlglot",
    "vaderSentiment",
)
"""What else may change a row of a store: others only raise errors or show results."""
_GROUND_FLOOR = ("descriptions.py", "errors.py", "spans.py", "tables.py")
_PIPELINE = (
    "build.py",
    "event_log.py",
    "growth.py",
    "increments.py",
    "log_writer.py",
    "recipes.py",
)
_LOG = ("clock.py", "counted.py", "log.py", "prepare.py")


def recipe_of(
    description: Path, text_scorer: Scorer | None, forgotten: Forgotten | None, key: str | None
) -> str:
    """Name of everything but the inputs that a snapshot depends on.

    Parameters
    ----------
    description
        The workspace's ``sources.yml``.
    text_scorer
        What reads texts; None for VADER.
    forgotten
        Whose rows are left out.
    key
        Secret that personal values and customers are named with; the recipe does not show it.

    Returns
    -------
    str
        Sixteen characters: another one where the code, the engine or any of these is another.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "sources.yml")
    ...     _ = path.write_text("name: shop")
    ...     one, other = (recipe_of(path, None, None, key) for key in (None, "secret"))
    >>> len(one), one == other
    (16, False)
    """
    content = {
        "version": cxlib.__version__,
        "packages": [version(name) for name in _PACKAGES],
        # The version alone would call a store current that other code built.
        "code": [hash_file(path) for path in code_of_builds()],
        "sources": hash_file(description),
        "text_scorer": _named(text_scorer),
        "key": None if key is None else mark_of(key),
        "forgotten": None if forgotten is None else forgotten.version,
    }
    return digest(content)


def code_of_builds() -> list[Path]:
    """Files of cxlib that may change what a build stores.

    Examples
    --------
    >>> "build.py" in {path.name for path in code_of_builds()}
    True
    """
    package = Path(cxlib.__file__).parent
    return [
        *(package / name for name in (*_GROUND_FLOOR, *_PIPELINE)),
        *sorted((package / "engine").rglob("*.py")),
        *sorted((package / "ingest").rglob("*.py")),
        *sorted((package / "ingest" / "presets").glob("*.yml")),
        *(package / "journeys" / name for name in _LOG),
        *sorted((package / "models" / "outcomes").glob("*.py")),
    ]


def digest(content: object) -> str:
    """Short name of some content, the same in every process.

    Examples
    --------
    >>> digest(["a", 1])
    '2657442bb4a48d62'
    """
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def _named(text_scorer: Scorer | None) -> str:
    """What tells one scorer of texts from another: its name and, where it can be read, its code."""
    if text_scorer is None:
        return "vader"
    name = f"{text_scorer.__module__}.{getattr(text_scorer, '__qualname__', type(text_scorer))}"
    try:
        code = inspect.getsource(text_scorer)
    except (OSError, TypeError):
        code = ""
    return f"{name} {hashlib.sha256(code.encode()).hexdigest()}"
