"""Delimited text is read as it was meant, whatever wrote it."""

import gzip

import pyarrow as pa
import pytest

from cxlib.engine.connect import connect
from cxlib.engine.files.options import FileOptions
from cxlib.engine.files.reading import read_file
from cxlib.errors import CxError


def read(tmp_path, data, name="orders.csv", **declared):
    path = tmp_path / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return read_file(connect(), path, "orders", FileOptions(**declared))


def rows(result):
    table = result.table.order_by("cx_row").to_pyarrow().to_pylist()
    return [tuple(row.values()) for row in table]


def lost(result):
    return result.unreadable[["row_number", "record"]].values.tolist()


def zstd(data):
    return pa.compress(data, codec="zstd", asbytes=True)


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_in_the_first_line(tmp_path, mark):
    text = "id,name,plan\n1,Ann,pro\n".replace(",", mark)
    assert rows(read(tmp_path, text)) == [("1", "Ann", "pro", 1)]


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_declared_encoding_is_read(tmp_path, encoding):
    data = "id,name\n1,Zoë Müller\n".encode(encoding)
    assert rows(read(tmp_path, data, encoding=encoding)) == [("1", "Zoë Müller", 1)]


def test_a_mark_of_byte_order_is_no_part_of_the_first_name(tmp_path):
    for encoding, data in ((None, "utf-8-sig"), ("utf-16", "utf-16")):
        result = read(tmp_path, "id,name\n1,é\n".encode(data), encoding=encoding)
        assert list(result.table.columns) == ["id", "name", "cx_row"]


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "utf-16-le"])
def test_another_encoding_than_utf_8_is_named(tmp_path, encoding):
    with pytest.raises(CxError, match=f"not UTF-8 text but probably {encoding}; declare encoding"):
        read(tmp_path, "id,café\n1,x\n".encode(encoding))


def test_utf_8_that_is_declared_to_be_something_else_is_refused(tmp_path):
    with pytest.raises(CxError, match="is UTF-8 text, though encoding: cp1252 is declared"):
        read(tmp_path, "id,name\n1,Zoë\n", encoding="cp1252")


def test_bytes_that_are_no_text_of_the_declared_encoding_are_said(tmp_path):
    with pytest.raises(CxError, match="is not utf-16 text"):
        read(tmp_path, b"id,name\n1,x\n\xff", encoding="utf-16")


def test_a_byte_that_means_nothing_in_an_encoding_costs_its_line_alone(tmp_path):
    result = read(tmp_path, "id,name\n1,é\n".encode("cp1252") + b"2,\x81\n3,x\n", encoding="cp1252")
    assert rows(result) == [("1", "é", 1), ("3", "x", 3)]
    assert [row for row, _ in lost(result)] == [2]
    assert result.unreadable["reason"].tolist() == ["unreadable line: it is no cp1252 text"]


def test_invalid_utf_8_in_the_middle_costs_its_line_alone(tmp_path):
    result = read(tmp_path, b"id,name\n1,a\n2,b\xff\xfe\n3,c\n")
    assert [row[0] for row in rows(result)] == ["1", "3"]
    ((number, reason),) = result.unreadable[["row_number", "reason"]].values.tolist()
    assert number == 2
    assert reason.startswith("unreadable line: it is no UTF-8 text; where many lines are not, decl")


@pytest.mark.parametrize(("end", "pack"), [(".gz", gzip.compress), (".zst", zstd)])
def test_packed_text_is_read_and_a_cut_file_is_said(tmp_path, end, pack):
    data = pack(b"id,name\n" + b"".join(b"%d,n%d\n" % (n, n) for n in range(1, 5_000)))
    assert len(rows(read(tmp_path, data, f"orders.csv{end}"))) == 4_999
    with pytest.raises(CxError, match=r"is not a whole (gzip|zstd) file; export it again"):
        read(tmp_path, data[:-9], f"orders.csv{end}")


def test_packed_text_of_another_encoding_is_read(tmp_path):
    data = gzip.compress("id;name\n1;Zoë\n".encode("cp1252"))
    assert rows(read(tmp_path, data, "o.csv.gz", encoding="cp1252")) == [("1", "Zoë", 1)]


@pytest.mark.parametrize(
    "text",
    [
        "id,name\r\n1,a\r\n2,b\n3,c\r\n",
        "id,name\n1,a\n2,b\r\n3,c\n",
        "id,name\r1,a\r2,b\r3,c\r",
        "id,name\r\n1,a\r\n2,b\r\n3,c",
    ],
    ids=["mostly Windows", "mostly Unix", "old Mac", "no end"],
)
def test_lines_may_end_in_any_and_in_several_ways(tmp_path, text):
    assert rows(read(tmp_path, text)) == [("1", "a", 1), ("2", "b", 2), ("3", "c", 3)]


def test_quotes_and_line_breaks_inside_quotes_are_part_of_a_field(tmp_path):
    text = 'id,name\n1,"say ""hi"",\nthen go"\n2,b\n'
    assert rows(read(tmp_path, text)) == [("1", 'say "hi",\nthen go', 1), ("2", "b", 2)]


def test_row_numbers_are_right_where_blank_and_unreadable_lines_mix(tmp_path):
    text = "\n\nid,name,plan\n1,a,x\n\n2\n  \n\n3,c,x\n4,d\n\n5,e,x\n6,f,x,9\n7,g,x\n"
    result = read(tmp_path, text)
    assert [(row[0], row[-1]) for row in rows(result)] == [("1", 1), ("3", 3), ("5", 5), ("7", 7)]
    assert [row for row, _ in lost(result)] == [2, 4, 6]


def test_a_blank_line_inside_quotes_is_not_counted_as_one(tmp_path):
    text = 'id,name,plan\n1,"a\n\n\nb",x\n2\n\n3,c,x\n4\n'
    result = read(tmp_path, text)
    assert [row for row, _ in lost(result)] == [2, 4]
    assert [row[-1] for row in rows(result)] == [1, 3]


def test_a_line_with_too_many_fields_is_kept_whole_with_its_reason(tmp_path):
    result = read(tmp_path, "id,name\n1,a\n2,b,c,d\n")
    assert lost(result) == [[2, "2,b,c,d"]]
    assert result.unreadable["reason"].iloc[0].startswith("unreadable line: Expected number of")


def test_ten_megabytes_in_one_field_cost_that_record_alone(tmp_path):
    result = read(tmp_path, f"id,name\n1,a\n2,{'x' * 10_000_000}\n3,c\n")
    assert [row[0] for row in rows(result)] == ["1", "3"]
    ((number, record),) = lost(result)
    assert number == 2
    assert len(record) < 20_000


# --- records that a line break without quotes splits ------------------------------------------

HEAD = "id,at,comment,amount\n1,2024-01-01,fine,5\n"


def test_a_record_split_by_a_line_break_is_put_together(tmp_path):
    result = read(tmp_path, HEAD + "2,2024-01-02,so\nmuch\nbetter,7\n3,2024-01-03,ok,1\n")
    assert rows(result)[1] == ("2", "2024-01-02", "so\nmuch\nbetter", "7", 2)
    assert rows(result)[2][-1] == 3
    assert (result.joined, len(result.unreadable)) == (1, 0)


def test_two_split_records_in_a_row_stay_two(tmp_path):
    result = read(
        tmp_path, HEAD + "2,2024-01-02,so\nso,7\n3,2024-01-03,ve\nry,1\n4,2024-01-04,x,1\n"
    )
    assert [row[2] for row in rows(result)] == ["fine", "so\nso", "ve\nry", "x"]
    assert [row[-1] for row in rows(result)] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("2,2024-01-02,about\n3 stars,7\n", "the second half may begin like a record"),
        ("2,2024-01-02\n3,2024-01-03\n", "two records that lack their ends"),
        ("2,2024-01-02,so\nso\n", "together they are still too short"),
    ],
)
def test_halves_that_may_be_two_records_are_rejected_and_shown_both(tmp_path, text, why):
    head = HEAD + "9 z,2024-01-01,fine,5\n"
    result = read(tmp_path, head + text + "5,2024-01-05,ok,1\n")
    assert [row[0] for row in rows(result)] == ["1", "9 z", "5"], why
    assert lost(result) == [[3, text.rstrip("\n")], [4, text.rstrip("\n")]]
    assert result.unreadable["reason"].str.contains("both halves are shown").all()
    assert rows(result)[-1][-1] == 5


def test_no_record_is_put_together_inside_a_key_or_a_time(tmp_path):
    text = HEAD + "2,2024-\nso,fine,1\n"
    assert read(tmp_path, text, unbroken=frozenset({"at"})).joined == 0
    assert read(tmp_path, text).joined == 1


def test_the_rest_of_a_record_whose_last_field_broke_is_shown_with_its_beginning(tmp_path):
    result = read(tmp_path, "id,at,comment\n1,2024-01-01,so\nvery good\n2,2024-01-02,ok\n")
    assert [row[0] for row in rows(result)] == ["1", "2"]
    assert lost(result) == [[2, "1,2024-01-01,so\nvery good"]]


def test_where_no_record_is_readable_none_is_put_together(tmp_path):
    result = read(tmp_path, "id,comment,amount\n1,so\nso,7\n")
    assert (result.joined, len(result.unreadable)) == (0, 2)
