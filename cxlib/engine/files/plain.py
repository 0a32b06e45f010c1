"""Bytes of a file as plain UTF-8 text: unpacked, decoded, with one kind of line end."""

from __future__ import annotations

import codecs
import io
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pyarrow as pa

from cxlib.errors import CxError

if TYPE_CHECKING:
    from ibis.backends import BaseBackend

__all__ = [
    "PACKED",
    "check_whole",
    "even_line_ends",
    "find_encoding",
    "is_utf8",
    "likely_encoding",
    "open_bytes",
    "open_text",
    "plain_suffix",
    "scratch_folder",
    "write_utf8",
]

PACKED = {".gz": "gzip", ".zst": "zstd"}
"""Compressions by the end of a file's name, as pyarrow and DuckDB call them."""
_CHUNK = 1 << 20
_CONTINUING = bytes(range(0x80, 0xC0))
"""Bytes of UTF-8 inside a letter."""


def plain_suffix(path: Path) -> str:
    """End of a file's name, without the one of its compression.

    Examples
    --------
    >>> plain_suffix(Path("Visits.JSONL.gz"))
    '.jsonl'
    """
    packed = path.suffix.lower() in PACKED
    return (path.with_suffix("") if packed else path).suffix.lower()


def open_bytes(path: Path) -> IO[bytes]:
    """Bytes of a file, unpacked where it is packed.

    Raises
    ------
    OSError
        When the file may not be read, or, on reading, when it is packed and not whole.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "a.csv")
    ...     _ = path.write_bytes(b"id")
    ...     with open_bytes(path) as file:
    ...         file.read()
    b'id'
    """
    packed = PACKED.get(path.suffix.lower())
    # Arrow's own error for a missing file holds its whole path.
    return pa.input_stream(str(path), compression=packed) if packed else path.open("rb")


def open_text(path: Path, encoding: str = "utf-8-sig") -> io.TextIOWrapper:
    """Text of a file with its line ends as they are; what is no text is replaced.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "a.csv")
    ...     _ = path.write_bytes(b"id" + bytes([13, 10]))
    ...     with open_text(path) as file:
    ...         file.read()
    'id\\r\\n'
    """
    return io.TextIOWrapper(open_bytes(path), encoding=encoding, errors="replace", newline="")


def check_whole(path: Path) -> None:
    """Raise where a packed file is cut or damaged: an engine would read the rest in silence.

    Raises
    ------
    CxError
        When it cannot be unpacked to its end.

    Examples
    --------
    >>> check_whole(Path("orders.csv"))
    """
    packed = PACKED.get(path.suffix.lower())
    if packed is None:
        return
    try:
        with open_bytes(path) as file:
            while file.read(_CHUNK):
                pass
    except OSError as error:
        if error.errno is not None:
            raise
        raise CxError(
            f"the file {path.name!r} is not a whole {packed} file; export it again"
        ) from error


@contextmanager
def scratch_folder(con: BaseBackend) -> Iterator[Path]:
    """Folder for what exists only while a file is read: beside the connection's own file.

    Examples
    --------
    >>> from cxlib.engine.connect import connect
    >>> with scratch_folder(connect()) as folder:
    ...     folder.is_dir()
    True
    """
    found = con.raw_sql(
        "SELECT path FROM duckdb_databases() WHERE database_name = current_catalog()"
    )
    path = found.fetchone()[0]
    beside = Path(path).parent if path else None
    # A dead build leaves it inside its own folder, which the next build removes.
    with tempfile.TemporaryDirectory(prefix="reading-", dir=beside) as folder:
        yield Path(folder)


def is_utf8(data: bytes) -> bool:
    """Whether bytes, perhaps cut inside a character at their end, are UTF-8 text.

    Examples
    --------
    >>> is_utf8("café".encode()), is_utf8("café".encode("latin-1")), is_utf8("café".encode()[:-1])
    (True, True, True)
    >>> is_utf8("café au".encode("latin-1"))
    False
    """
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(data)
    except UnicodeDecodeError:
        return False
    return "\0" not in text


def likely_encoding(data: bytes) -> str:
    """Encoding that bytes, which are not UTF-8, most probably have.

    Examples
    --------
    >>> likely_encoding("café".encode("utf-16")), likely_encoding("café €5".encode("cp1252"))
    ('utf-16', 'cp1252')
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    odd, even = data[1::2].count(0), data[::2].count(0)
    if max(odd, even) * 8 > len(data):
        return "utf-16-le" if odd > even else "utf-16-be"
    try:
        data.decode("cp1252")
    except UnicodeDecodeError:
        return "latin-1"
    return "cp1252"


def find_encoding(path: Path) -> str | None:
    """Encoding that a file of text most probably has; None for UTF-8.

    Notes
    -----
    A few spoilt lines make no other encoding: those that are not UTF-8 must be more than those
    that are, and that have letters beyond ASCII.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "a.csv")
    ...     _ = path.write_bytes("name\\nGroß\\n".encode("cp1252"))
    ...     find_encoding(path)
    'cp1252'
    """
    utf8, others, strange = 0, 0, b""
    with io.BufferedReader(open_bytes(path)) as file:  # type: ignore[type-var]
        start = file.peek(_CHUNK)[:_CHUNK]
        if b"\0" in start:
            return likely_encoding(start)
        begun = False
        while line := file.readline(_CHUNK):
            # A line longer than that may be cut inside a letter.
            part = line.lstrip(_CONTINUING) if begun else line
            begun = not line.endswith(b"\n")
            if part.isascii():
                continue
            if is_utf8(part):
                utf8 += 1
            else:
                others += 1
                strange += part if len(strange) < _CHUNK else b""
    return likely_encoding(strange) if others > utf8 else None


def write_utf8(path: Path, encoding: str, target: Path) -> None:
    """Write a file's text again in UTF-8, without a mark of byte order.

    Raises
    ------
    CxError
        When the file is not text in that encoding, or is UTF-8 after all.

    Notes
    -----
    A byte that means nothing in a one-byte encoding stays as it is: it spoils its own record only.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path, target = Path(folder, "a.csv"), Path(folder, "b.csv")
    ...     _ = path.write_bytes("café".encode("cp1252"))
    ...     write_utf8(path, "cp1252", target)
    ...     target.read_text("utf-8")
    'café'
    """
    wide = codecs.lookup(encoding).name.startswith(("utf-16", "utf-32"))
    decoder = codecs.getincrementaldecoder(encoding)("strict" if wide else "surrogateescape")
    as_it_is = _Utf8Check()

    def decoded(chunk: bytes, last: bool) -> bytes:
        as_it_is.see(chunk, last)
        text = decoder.decode(chunk, last).replace("\ufeff", "")
        return text.encode("utf-8", "surrogateescape")

    try:
        _rewrite(path, target, decoded)
    except UnicodeError as error:
        raise CxError(
            f"the file {path.name!r} is not {encoding} text; correct encoding: in sources.yml"
        ) from error
    if as_it_is.more_than_ascii and not wide:
        raise CxError(
            f"the file {path.name!r} is UTF-8 text, though encoding: {encoding} is declared; "
            "leave it out"
        )


class _Utf8Check:
    """Whether bytes that go by are UTF-8 with more letters than those of ASCII."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._valid, self._wide = True, False

    def see(self, chunk: bytes, last: bool) -> None:
        if not self._valid or (chunk.isascii() and not self._wide):
            return
        try:
            self._decoder.decode(chunk, last)
            self._wide = True
        except UnicodeDecodeError:
            self._valid = False

    @property
    def more_than_ascii(self) -> bool:
        return self._valid and self._wide


def even_line_ends(path: Path, target: Path) -> None:
    """Write a file again with one kind of line end, the one of Unix.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path, target = Path(folder, "a.csv"), Path(folder, "b.csv")
    ...     _ = path.write_bytes(bytes([97, 13, 10, 98, 13, 99, 10]))
    ...     even_line_ends(path, target)
    ...     target.read_bytes()
    b'a\\nb\\nc\\n'
    """
    held = b""

    def evened(chunk: bytes, last: bool) -> bytes:
        nonlocal held
        chunk, held = held + chunk, b""
        if chunk.endswith(b"\r") and not last:
            chunk, held = chunk[:-1], b"\r"
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    _rewrite(path, target, evened)


def _rewrite(path: Path, target: Path, change: Callable[[bytes, bool], bytes]) -> None:
    with open_bytes(path) as source, target.open("wb") as file:
        for chunk, last in _chunks(source):
            file.write(change(chunk, last))


def _chunks(source: IO[bytes]) -> Iterable[tuple[bytes, bool]]:
    while chunk := source.read(_CHUNK):
        yield chunk, False
    yield b"", True
