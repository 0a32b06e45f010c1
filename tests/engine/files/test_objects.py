"""JSON becomes rows: what is nested gets a name with dots."""

import gzip
import json

import pytest

from cxlib.engine.connect import connect
from cxlib.engine.files.options import FileOptions
from cxlib.engine.files.reading import read_file
from cxlib.errors import CxError


def read(tmp_path, data, name="tickets.jsonl", **declared):
    path = tmp_path / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return read_file(connect(), path, "tickets", FileOptions(**declared))


def rows(result):
    return result.table.order_by("cx_row").to_pyarrow().to_pylist()


OBJECTS = [
    {"id": 1, "who": {"key": "a", "at": {"city": "Rome"}}, "tags": ["x", "y"], "paid": True},
    {"id": "two", "who": None, "amount": 12345678901234567890, "at": "2024-07-01T12:00+02:00"},
    {"id": 3.5, "who": "nobody", "note": "", "who.key": "b", "a/b~c": "odd"},
]


EXPECTED = [
    {"id": "1", "who.at.city": "Rome", "tags": '["x","y"]', "paid": "true"},
    {"id": "two", "amount": "12345678901234567890", "at": "2024-07-01T12:00+02:00"},
    {"id": "3.5", "a/b~c": "odd"},
]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("t.jsonl", "\n".join(json.dumps(item) for item in OBJECTS).encode()),
        ("t.ndjson", "\r\n".join(json.dumps(item) for item in OBJECTS).encode()),
        ("t.json", json.dumps(OBJECTS, indent=2).encode()),
        ("t.json", "\n".join(json.dumps(item) for item in OBJECTS).encode()),
        ("t.json.gz", gzip.compress(json.dumps(OBJECTS).encode())),
        ("t.jsonl.gz", gzip.compress("\n".join(map(json.dumps, OBJECTS)).encode())),
    ],
)
def test_lines_and_lists_of_objects_give_the_same_rows(tmp_path, name, data):
    got = rows(read(tmp_path, data, name))
    for row, expected in zip(got, EXPECTED, strict=True):
        assert {key: row[key] for key in expected} == expected
    # The name of a nested value may stand as a name too: then each has its place behind it.
    assert {key for key in got[0] if key.startswith("who.key_")} == {"who.key_2", "who.key_10"}
    assert [row["cx_row"] for row in got] == [1, 2, 3]


def test_lines_that_are_no_objects_are_rejected_by_the_number_of_their_line(tmp_path):
    text = b'{"id": 1}\n\n{"id": 2\n[3]\n{"id": "\xff"}\n{"id": 6}\n'
    result = read(tmp_path, text)
    assert [(row["id"], row["cx_row"]) for row in rows(result)] == [("1", 1), ("6", 6)]
    assert result.unreadable["row_number"].tolist() == [3, 4, 5]
    assert result.unreadable["record"].tolist()[:2] == ['{"id": 2', "[3]"]


def test_a_list_that_holds_other_things_rejects_those(tmp_path):
    result = read(tmp_path, '[{"id": 1}, 5, {"id": 2}]', "t.json")
    assert [row["id"] for row in rows(result)] == ["1", "2"]
    assert result.unreadable[["row_number", "record"]].values.tolist() == [[2, "5"]]


def test_a_list_that_breaks_off_is_no_export(tmp_path):
    with pytest.raises(CxError, match=r"the file 't.json' cannot be read: .*Malformed JSON"):
        read(tmp_path, '[{"id": 1},\n{"id": 2}', "t.json")


def test_what_is_no_json_is_said(tmp_path):
    with pytest.raises(CxError, match="holds no JSON objects; write a list of them, or one a line"):
        read(tmp_path, "id,name\n1,x\n", "t.json")


def test_json_of_another_encoding_is_read_where_it_is_declared(tmp_path):
    data = json.dumps({"name": "Zoë"}, ensure_ascii=False).encode("utf-16")
    assert rows(read(tmp_path, data, encoding="utf-16"))[0]["name"] == "Zoë"
