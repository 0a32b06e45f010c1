"""A first `sources.yml`, by looking at a folder of exports."""

from __future__ import annotations

import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from cxlib.engine.connect import connect
from cxlib.engine.files.options import FileOptions
from cxlib.engine.files.plain import find_encoding, plain_suffix
from cxlib.engine.files.reading import JSON, read_file
from cxlib.engine.files.sheets import WORKBOOKS
from cxlib.errors import CxError
from cxlib.ingest.checking import SourcesCheck, check_sources
from cxlib.ingest.config import load_sources
from cxlib.ingest.event_logs import as_event_log
from cxlib.ingest.looks import Look, look_at
from cxlib.ingest.presets.recognition import recognise
from cxlib.ingest.proposals import ask_of, propose, refer
from cxlib.ingest.sampling import sample_file
from cxlib.ingest.silences import propose_silence

__all__ = ["Guess", "guess_sources"]

_TEXTS = (".csv", ".tsv", ".txt", *JSON)
_KINDS = (*_TEXTS, ".parquet", *WORKBOOKS)
_ROWS = 500
"""Rows of each file that are looked at to guess what they hold."""
_TRIED_ROWS = 100_000
"""Rows on which the guess is tried: the first ones of a long log may span a few minutes only."""
_HEAD = """\
# Written by cxlib init from the first rows of each export: what it says is a guess. Lines with
# "to decide" wait for you. docs/sources.md explains every word; cxlib check shows what comes of it.
name: {name}
timezone: UTC          # to decide: the zone of times that carry none
"""


@dataclass(frozen=True)
class Guess:
    """A description that was guessed.

    Attributes
    ----------
    text
        The file's content.
    notes
        What was guessed, and what is left to decide, in sentences.
    found
        What it makes of the exports; None where nothing could be guessed.

    Examples
    --------
    >>> Guess("name: shop", ["nothing to read"], None).notes
    ['nothing to read']
    """

    text: str
    notes: list[str]
    found: SourcesCheck | None


def guess_sources(exports: Path) -> Guess:
    """Description of a folder of exports, as far as names and values tell.

    Parameters
    ----------
    exports
        The folder, with files in it or in folders of it.

    Returns
    -------
    Guess
        A source of which no row can be used stands in it as a comment.

    Raises
    ------
    CxError
        When the folder holds no file that can be read.
    """
    frames, encodings, notes = _frames(exports)
    if not frames:
        raise CxError(
            f"there is no export in {exports.as_posix()!r} that can be read; {_said(notes)}"
        )
    uses, rest = recognise(frames)
    seen = [look_at(file, frame, encodings.get(file)) for file, frame in rest.items()]
    looks = refer([as_event_log(look) for look in seen])
    blocks = {use.name: use.text for use in uses} | {look.name: propose(look) for look in looks}
    notes += [use.note for use in uses] + [look.note for look in looks]
    name = exports.parent.name if exports.name == "exports" else exports.name
    return _tried(exports, _HEAD.format(name=_quoted(name)), blocks, looks, notes)


def _frames(exports: Path) -> tuple[dict[str, pd.DataFrame], dict[str, str], list[str]]:
    """First rows of every file by its place in the folder, encodings, and what cannot be read."""
    frames: dict[str, pd.DataFrame] = {}
    encodings: dict[str, str] = {}
    notes: list[str] = []
    con = connect()
    with tempfile.TemporaryDirectory() as folder:
        for number, path in enumerate(sorted(exports.rglob("*"))):
            if not path.is_file() or plain_suffix(path) not in _KINDS:
                continue
            file = path.relative_to(exports).as_posix()
            sample = Path(folder, str(number), path.name)
            try:
                encoding = find_encoding(path) if plain_suffix(path) in _TEXTS else None
                if encoding is not None:
                    encodings[file] = encoding
                sample_file(path, sample, _ROWS)
                options = FileOptions(encoding=encoding)
                rows = read_file(con, sample, f"guess_{number}", options).table.limit(_ROWS)
                frames[file] = rows.drop("cx_row").to_pandas().astype("object")
            except (CxError, OSError) as error:
                notes.append(f"{file}: cannot be read, {' '.join(str(error).split())}")
    con.disconnect()
    return frames, encodings, notes


def _tried(
    exports: Path, head: str, blocks: dict[str, str], looks: list[Look], notes: list[str]
) -> Guess:
    """The description of the blocks that work; the others stay as comments."""
    lost = {look.name: ask for look in looks if (ask := ask_of(look))}
    found: SourcesCheck | None = None
    for _ in range(3):
        lost |= {look.name: f"it refers to {look.of}" for look in looks if look.of in lost}
        if len(lost) == len(blocks):
            break
        found = _checked(_text(head + _personal(looks, lost), blocks, lost), exports)
        if not set(found.useless) - set(lost):
            break
        reasons = found.sources.set_index("source")["reason"]
        lost |= {name: str(reasons[name]) for name in found.useless if name in blocks}
    notes += [f"{name}: left as a comment, {why}" for name, why in lost.items()]
    usable = None if len(lost) == len(blocks) else found
    head += _personal(looks, lost) + _journeys(usable)
    return Guess(_text(head, blocks, lost), notes, usable)


def _personal(looks: list[Look], lost: Collection[str]) -> str:
    """Columns to hide: only those of sources that are read, since any other would be a mistake."""
    kept = (look for look in looks if look.name not in lost)
    names = sorted({column for look in kept for column in look.personal})
    told = ", ".join(map(_quoted, names))
    return f"personal: [{told}]   # their hashes stand instead\n" if names else ""


def _journeys(found: SourcesCheck | None) -> str:
    """When a journey has ended: without such a rule none ever would."""
    span, why = propose_silence(None if found is None else found.silences)
    return (
        "journeys:\n"
        f"  closes_after: {span}    # to decide: after such a silence a journey counts as ended;\n"
        f"  # {why}\n"
    )


def _text(head: str, blocks: dict[str, str], lost: dict[str, str]) -> str:
    parts = [head, "sources:"]
    for name, block in blocks.items():
        if name in lost:
            block = f"  # to decide: {lost[name]}\n" + "".join(
                f"  #{line}" for line in block.splitlines(keepends=True)
            )
        parts.append(block)
    return "\n".join(parts)


def _checked(text: str, exports: Path) -> SourcesCheck:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "sources.yml")
        path.write_text(text, encoding="utf-8")
        return check_sources(load_sources(path, exports=exports), exports, rows=_TRIED_ROWS)


def _quoted(text: str) -> str:
    plain = text.replace("_", "a").replace(" ", "a").isalnum() and not text[:1].isdigit()
    return text if plain else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _said(notes: list[str]) -> str:
    return "; ".join(notes) or "put CSV, Parquet, JSON or Excel files there"
