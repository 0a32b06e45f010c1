"""The first rows of exports, so that a large one can be looked at in a moment."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from cxlib.engine.files.plain import PACKED, open_bytes, plain_suffix

__all__ = ["holds_text", "sample_file"]

_LINES = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson")
_LARGEST = 100 * 1024**2
"""Bytes at which a sample ends at last, though a quote be never closed."""
_CHUNK = 1 << 20
_WIDE = (b"\xff\xfe", b"\xfe\xff")
"""How text in UTF-16 begins."""


def sample_file(path: Path, target: Path, rows: int) -> None:
    """Write the first rows of a file to another one of the same kind.

    Parameters
    ----------
    path
        The file.
    target
        Where to; its folder is made.
    rows
        How many. Workbooks and lists in JSON are copied whole.

    Notes
    -----
    A record that runs over several lines is not cut: it ends where its quotes are closed.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path, target = Path(folder, "a.csv"), Path(folder, "b", "a.csv")
    ...     _ = path.write_text('id,said\\n1,"two\\nlines"\\n2,no\\n')
    ...     sample_file(path, target, rows=1)
    ...     target.read_text()
    'id,said\\n1,"two\\nlines"\\n'
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    suffix = plain_suffix(path)
    if suffix == ".parquet":
        _sample_parquet(path, target, rows)
    elif suffix in _LINES:
        _sample_lines(path, target, rows)
    else:
        shutil.copyfile(path, target)


def _sample_lines(path: Path, target: Path, rows: int) -> None:
    packed = PACKED.get(path.suffix.lower())
    with io.BufferedReader(open_bytes(path)) as file:  # type: ignore[type-var]
        start = file.peek(64)[:64]
        if start[:2] in _WIDE or b"\0" in start:
            shutil.copyfile(path, target)  # its line ends are no single bytes
            return
        with pa.output_stream(str(target), compression=packed) as sample:
            taken, quotes, size = 0, 0, 0
            for line in file:
                sample.write(line)
                size, quotes = size + len(line), quotes + line.count(b'"')
                taken += quotes % 2 == 0
                if taken > rows or size > _LARGEST:
                    return


def _sample_parquet(path: Path, target: Path, rows: int) -> None:
    file = pq.ParquetFile(path)
    batch = next(file.iter_batches(batch_size=rows), None)
    table = file.schema_arrow.empty_table() if batch is None else pa.Table.from_batches([batch])
    pq.write_table(table, target)


def holds_text(path: Path, text: bytes) -> bool:
    """Whether bytes stand anywhere in a file of lines, packed or not; False for other kinds.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "a.csv")
    ...     _ = path.write_text("id,status\\n1,paid\\n")
    ...     holds_text(path, b"paid"), holds_text(path, b"payed")
    (True, False)
    """
    if plain_suffix(path) not in _LINES:
        return False
    with open_bytes(path) as file:
        before = b""
        while chunk := file.read(_CHUNK):
            if text in before + chunk:
                return True
            before = chunk[-len(text) :]
    return False
