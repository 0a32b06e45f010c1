"""What a build reads: files of many kinds, and only those of the exports folder."""

import json
from pathlib import Path

import pytest

from cxlib.build import build_store
from cxlib.engine.files.reading import read_file
from cxlib.errors import CxError
from cxlib.ingest import sources as staging
from tests.engine.files.workbooks import write_xlsx
from tests.ingest.workspaces import ORDERS, build, rejects, write

GOOD = "order_id,account,at,amount\n1,a,2024-01-01,5\n2,b,2024-01-02,7.5\n"


def events(result):
    return result.snapshot.table("events").order_by("event_id").to_pandas()


def adds_up(result):
    counts = result.counts
    return counts["rows_read"] == counts["rows_stored"] + counts["rows_rejected"]


def test_numbers_with_a_declared_decimal_comma_are_read(tmp_path):
    text = (
        "order_id;account;at;amount\n1;a;2024-01-01;1.234,50\n2;a;2024-01-01;7\n"
        "3;a;2024-01-01;1 000\n4;a;2024-01-01;2.5\n5;a;2024-01-01;1,2,3\n"
    )
    sources = ORDERS.replace("id: order_id", 'decimal: ","\n        id: order_id')
    result = build(tmp_path, {"orders.csv": text}, sources)
    assert events(result)["value"].tolist() == [1234.5, 7.0, 1000.0]
    assert rejects(result) == [
        (4, "no number in 'amount': '2.5'"),
        (5, "no number in 'amount': '1,2,3'"),
    ]


def test_thousands_are_parted_only_where_the_decimal_sign_is_declared(tmp_path):
    text = 'order_id,account,at,amount\n1,a,2024-01-01,"1,234.5"\n2,a,2024-01-01,1\n'
    assert rejects(build(tmp_path, {"orders.csv": text})) == [
        (1, "no number in 'amount': '1,234.5'; add decimal: \".\"")
    ]
    sources = ORDERS.replace("id: order_id", 'decimal: "."\n        id: order_id')
    assert events(build(tmp_path, {"orders.csv": text}, sources))["value"].tolist() == [1234.5, 1.0]


def test_a_file_in_a_declared_encoding_is_stored_as_it_reads(tmp_path):
    sources = ORDERS.replace("id: order_id", "encoding: cp1252\n        id: order_id")
    data = GOOD.replace("1,a", "1,Zoë").encode("cp1252")
    assert events(build(tmp_path, {"orders.csv": data}, sources))["customer_id"][0] == "Zoë"


def test_sheets_of_a_workbook_are_inputs_of_their_own(tmp_path):
    head = ["order_id", "account", "at", "amount"]
    sheets = {
        "2023": [head, [1, "a", "2023-01-01", 5]],
        "2024": [head, [2, "a", "2024-01-01", 7.5], [3, None, "2024-01-01", 1]],
        "notes": [["not", "read"]],
    }
    sources = ORDERS.replace(
        "file: orders.csv", 'file: orders.xlsx\n        sheet: ["2023", "2024"]'
    )
    workspace = write(tmp_path, {}, sources)
    write_xlsx(workspace / "exports" / "orders.xlsx", sheets)
    result = build_store(workspace)
    assert events(result)["value"].tolist() == [5.0, 7.5]
    lost = result.snapshot.table("rejects").to_pandas()
    assert lost[["file", "row_number"]].values.tolist() == [["orders.xlsx: 2024", 2]]
    assert [item["file"] for item in result.snapshot.meta["inputs"]] == [
        "orders.xlsx: 2023",
        "orders.xlsx: 2024",
    ]


def test_a_workbook_whose_sheet_is_not_named_is_rejected_with_the_names(tmp_path):
    sources = ORDERS.replace("orders.csv", "'orders.*'")
    workspace = write(tmp_path, {"orders.csv": GOOD}, sources)
    write_xlsx(workspace / "exports" / "orders.xlsx", {"2023": [["x"]], "2024": [["x"]]})
    ((_, said),) = rejects(build_store(workspace))
    assert said.startswith("orders.xlsx: has several sheets ('2023', '2024'); name those to read")


def test_one_source_may_have_files_of_many_kinds_in_many_folders(tmp_path):
    sources = ORDERS.replace("orders.csv", "'**/orders*'")
    workspace = write(tmp_path, {"orders.csv": GOOD}, sources)
    for year in ("2023", "2024"):
        folder = workspace / "exports" / year
        folder.mkdir()
        lines = [{"order_id": f"{year}-{n}", "account": "a", "at": f"{year}-01-01"} for n in (1, 2)]
        (folder / "orders.jsonl").write_text(
            "".join(json.dumps(line | {"amount": "1"}) + "\n" for line in lines)
            + '{"order_id": 3\n'
        )
    result = build_store(workspace)
    assert result.counts["events"] == 6
    lost = result.snapshot.table("rejects").to_pandas()
    assert lost[["file", "row_number"]].values.tolist() == [
        ["2023/orders.jsonl", 3],
        ["2024/orders.jsonl", 3],
    ]
    assert adds_up(result)


def test_a_split_record_is_one_customer_and_counted_as_put_together(tmp_path):
    text = "order_id,note,account,at,amount\n1,x,a,2024-01-01,5\n2,he\nllo,b,2024-01-02,7\n3\n"
    result = build(tmp_path, {"orders.csv": text})
    assert (result.counts["rows_read"], result.counts["rows_stored"]) == (3, 2)
    assert events(result)["customer_id"].tolist() == ["a", "b"]
    found = result.snapshot.table("quality").to_pandas().set_index("check")
    joined = found.loc["each record stands on one line, or its breaks in quotes"]
    assert (joined["n"], joined["failing"], joined["examples"]) == (3, 1, "orders.csv")
    assert [row for row, _ in rejects(result)] == [3]


def test_a_customer_whose_key_is_split_is_rejected(tmp_path):
    text = GOOD + "3,ann@\nexample.org,2024-01-03,1\n"
    result = build(tmp_path, {"orders.csv": text})
    assert events(result)["customer_id"].tolist() == ["a", "b"]
    records = result.snapshot.table("rejects").to_pandas()["record"]
    assert records.tolist() == ["3,ann@\nexample.org,2024-01-03,1"] * 2


def test_a_split_personal_record_is_shown_nowhere(tmp_path):
    text = GOOD + "3,ann@\nexample.org,2024-01-03,1\n"
    result = build(tmp_path, {"orders.csv": text}, ORDERS + "    personal: [account]\n")
    assert "ann@" not in result.snapshot.table("rejects").to_pandas().to_csv()


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_file_that_changes_while_it_is_read_stops_the_build(tmp_path, monkeypatch, moment):
    first = build(tmp_path, {"orders.csv": GOOD})
    path = tmp_path / "exports" / "orders.csv"
    path.write_text(GOOD + "3,c,2024-01-03,1\n")

    def read(con, place, *args):
        if moment == "before":
            path.write_text(GOOD + "3,c,2024-01-03,2\n")
        got = read_file(con, place, *args)
        if moment == "after":
            path.write_text(GOOD + "3,c,2024-01-03,22\n")
        return got

    monkeypatch.setattr(staging, "read_file", read)
    with pytest.raises(CxError, match=r"the file 'orders\.csv' changed while it was read; build"):
        build_store(tmp_path)
    from cxlib.engine.store import open_store

    assert open_store(tmp_path).id == first.snapshot.id


def test_a_file_that_is_touched_while_it_is_read_is_as_it_was(tmp_path, monkeypatch):
    def read(con, place, *args):
        place.write_text(GOOD)
        return read_file(con, place, *args)

    monkeypatch.setattr(staging, "read_file", read)
    assert build(tmp_path, {"orders.csv": GOOD}).counts["events"] == 2


@pytest.mark.parametrize("file", ["../secret.csv", "a/../../secret.csv", "{absolute}"])
def test_a_file_outside_the_exports_is_refused(tmp_path, file):
    (tmp_path / "secret.csv").write_text(GOOD)
    named = file.format(absolute=(tmp_path / "secret.csv").as_posix())
    workspace = write(tmp_path, {}, ORDERS.replace("orders.csv", named))
    with pytest.raises(CxError, match="lies outside the exports folder"):
        build_store(workspace)


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_link_that_leads_out_of_the_exports_is_refused(tmp_path, what):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "orders.csv").write_text(GOOD)
    workspace = write(tmp_path / "w", {}, ORDERS.replace("orders.csv", "'**/orders.csv'"))
    link, target = ("orders.csv", outside / "orders.csv") if what == "file" else ("linked", outside)
    (workspace / "exports" / link).symlink_to(target)
    with pytest.raises(CxError, match="is a link that leads outside the exports folder"):
        build_store(workspace)


def test_a_link_inside_the_exports_is_a_file_like_others(tmp_path):
    workspace = write(tmp_path, {"real.csv": GOOD})
    Path(workspace, "exports", "orders.csv").symlink_to("real.csv")
    assert build_store(workspace).counts["events"] == 2
