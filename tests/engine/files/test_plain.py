"""The encoding of a file is told by its bytes, all of them."""

import gzip

import pytest

from cxlib.engine.files.plain import find_encoding

LATIN = "Groß\n".encode("cp1252")


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (b"", None),
        (b"plain\n", None),
        ("Groß\n".encode(), None),
        (b"plain\n" * 100_000 + LATIN, "cp1252"),  # far down the file
        ("Groß\n".encode() * 2 + LATIN, None),  # spoilt lines among letters in UTF-8
        ("Groß\n".encode() + LATIN * 2, "cp1252"),
        ("ß".encode() * 3_000_000, None),  # a line that is cut inside a letter
        ("\u0107\n".encode("latin-1", "replace") + bytes([0x81, 10]), "latin-1"),
        ("a;b\n1;2\n".encode("utf-16"), "utf-16"),
        ("a;b\n1;2\n".encode("utf-16-le"), "utf-16-le"),
    ],
)
def test_the_encoding_of_most_lines_beyond_ascii_counts(tmp_path, data, encoding):
    path = tmp_path / "a.csv"
    path.write_bytes(data)
    assert find_encoding(path) == encoding


def test_a_packed_file_is_told_by_what_is_in_it(tmp_path):
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(LATIN))
    assert find_encoding(path) == "cp1252"
