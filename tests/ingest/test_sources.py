"""Every row of every export is stored, or rejected with its reason."""

import gzip

import pandas as pd
import pytest

from cxlib.build import build_store
from cxlib.errors import CxError
from cxlib.ingest.inputs import hash_file
from tests.ingest.workspaces import ORDERS, build, rejects, write

GOOD = "order_id,account,at,amount\n1,a,2024-01-01,5\n2,b,2024-01-02,7.5\n"


def events(result):
    frame = result.snapshot.table("events").to_pandas()
    return frame.sort_values(["occurred_at", "event_id"]).reset_index(drop=True)


def adds_up(result):
    counts = result.counts
    assert counts["rows_read"] == counts["rows_stored"] + counts["rows_rejected"]
    return counts


def test_a_clean_export_is_stored_whole(tmp_path):
    result = build(tmp_path, {"orders.csv": GOOD})
    assert events(result)["value"].tolist() == [5.0, 7.5]
    assert rejects(result) == []
    assert adds_up(result)["rows_stored"] == 2


MISTAKES = [
    ("3,,2024-01-03,1", "no customer: the column 'account' is empty"),
    ("4,  ,2024-01-03,1", "no customer: the column 'account' is empty"),
    ("5,a,,1", "no time: the column 'at' is empty"),
    ("6,a,soon,1", "unreadable time in 'at': 'soon'"),
    ("7,a,2024-02-30,1", "unreadable time in 'at': '2024-02-30'"),
    ("8,a,1024-01-01,1", "outside 1900-01-01 to 2100-01-01: '1024-01-01'"),
    ("9,a,2024-01-03,ten", "no number in 'amount': 'ten'"),
    ("10,a,2024-01-03,inf", "no number in 'amount': 'inf'"),
    ("1,a,2024-01-03,1", "the order_id '1' stood before, in row 1"),
    (",a,2024-01-03,1", "no id: the column 'order_id' is empty"),
    ("13,a", "unreadable line: Expected number of fields: 4 Found: 2"),
    ("14,a,2024-01-03,1,9", "unreadable line: Expected number of fields: 4 Found: 5"),
]


@pytest.fixture(scope="module")
def mistaken(tmp_path_factory):
    """A build of two good rows and each mistake."""
    rows = "".join(f"{row}\n" for row, _ in MISTAKES)
    return build(tmp_path_factory.mktemp("mistaken"), {"orders.csv": GOOD + rows})


@pytest.mark.parametrize("place", range(len(MISTAKES)), ids=[row for row, _ in MISTAKES])
def test_an_unusable_row_is_kept_with_its_reason(mistaken, place):
    said = dict(rejects(mistaken))
    assert MISTAKES[place][1] in said[place + 3]


def test_unusable_rows_leave_the_others_alone(mistaken):
    found = adds_up(mistaken)
    n = len(MISTAKES)
    assert found | {"rows_read": n + 2, "rows_stored": 2, "rows_rejected": n} == found
    assert events(mistaken)["customer_id"].tolist() == ["a", "b"]


def test_a_row_with_two_mistakes_is_one_reject_with_both_reasons(tmp_path):
    result = build(tmp_path, {"orders.csv": f"{GOOD}3,,soon,1\n"})
    ((_, said),) = rejects(result)
    assert "no customer" in said
    assert "unreadable time" in said


def test_a_reject_holds_the_record_as_it_was(tmp_path):
    result = build(tmp_path, {"orders.csv": f"{GOOD}3,,2024-01-03,1\n"})
    record = result.snapshot.table("rejects").to_pandas()["record"].iloc[0]
    assert record == '{"order_id":"3","account":null,"at":"2024-01-03","amount":"1"}'


def test_row_numbers_count_the_unreadable_lines_before_them(tmp_path):
    rows = (
        "order_id,account,at,amount\n1,a,2024-01-01,5\n2,b\n3,,2024-01-02,1\n"
        "4,c,2024-01-02,1,9\n5,,2024-01-02,1\n"
    )
    result = build(tmp_path, {"orders.csv": rows})
    assert [number for number, _ in rejects(result)] == [2, 3, 4, 5]


def test_a_file_that_is_not_there_is_said_and_the_others_are_built(tmp_path):
    returns = ORDERS[ORDERS.index("      orders:") :].replace("orders", "returns")
    result = build(tmp_path, {"orders.csv": GOOD}, ORDERS + returns)
    assert rejects(result) == [(None, "returns.csv: no such file")]
    assert result.counts["events"] == 2


def test_an_empty_file_is_said(tmp_path):
    sources = ORDERS.replace("orders.csv", "'*.csv'")
    result = build(tmp_path, {"orders.csv": GOOD, "late.csv": ""}, sources)
    assert rejects(result) == [(None, "late.csv: the file is empty")]


def test_a_missing_column_rejects_every_row_of_the_file_and_says_what_it_has(tmp_path):
    sources = ORDERS.replace("orders.csv", "'*.csv'")
    late = "order_id,account,when,amount\n3,a,2024-01-03,1\n4,a,2024-01-03,1\n"
    result = build(tmp_path, {"orders.csv": GOOD, "late.csv": late}, sources)
    ((_, said),) = rejects(result)
    has = "it has 'order_id', 'account', 'when', 'amount'"
    mend = "name one of these, or add aliases: {at: [NAME]}"
    assert said == f"late.csv: no column 'at' ({has}); {mend}"
    assert adds_up(result)["rows_rejected"] == 2


def test_nothing_usable_is_an_error_that_names_the_commonest_reason(tmp_path):
    with pytest.raises(CxError, match=r"no export gives a single event; most often: .*'soon'"):
        build(tmp_path, {"orders.csv": "order_id,account,at,amount\n1,a,soon,1\n2,b,soon,1\n"})


def test_no_readable_export_is_an_error(tmp_path):
    with pytest.raises(CxError, match=r"no export can be read.*no such file"):
        build(tmp_path, {})


def test_the_export_may_be_windows_text_compressed_and_quoted(tmp_path):
    text = '\ufefforder_id,account,at,amount\r\n1,"a, b",2024-01-01,5\r\n2,"c\nd",2024-01-02,7\r\n'
    sources = ORDERS.replace("orders.csv", "orders.csv.gz")
    result = build(tmp_path, {"orders.csv.gz": gzip.compress(text.encode())}, sources)
    assert events(result)["customer_id"].tolist() == ["a, b", "c\nd"]


def test_a_quote_far_down_the_file_does_not_split_its_field(tmp_path):
    rows = "".join(f"{n},a,2024-01-01,1\n" for n in range(30_000))
    text = f'order_id,account,at,amount\n{rows}x,"b,c",2024-01-02,1\n'
    result = build(tmp_path, {"orders.csv": text})
    assert events(result)["customer_id"].iloc[-1] == "b,c"
    assert rejects(result) == []


def test_a_line_that_is_not_unicode_is_rejected_and_the_rest_is_stored(tmp_path):
    result = build(tmp_path, {"orders.csv": GOOD.encode() + b"3,\xff\xfe,2024-01-03,1\n"})
    assert result.counts["rows_stored"] == 2
    assert adds_up(result)["rows_rejected"] == 1


def test_parquet_gives_what_csv_gives(tmp_path):
    frame = pd.DataFrame(
        {
            "order_id": [1, 2],
            "account": ["a", "b"],
            "at": pd.to_datetime(["2024-01-01 10:00", "2024-01-02 00:00"], utc=True),
            "amount": [5.0, 7.5],
        }
    )
    sources = ORDERS.replace("orders.csv", "orders.parquet")
    workspace = write(tmp_path, {}, sources)
    frame.to_parquet(workspace / "exports" / "orders.parquet")
    result = build_store(workspace)
    assert events(result)["occurred_at"].dt.strftime("%H:%M").tolist() == ["10:00", "00:00"]
    assert events(result)["event_id"].tolist() == ["orders:1", "orders:2"]


def test_offsets_count_and_times_without_one_are_in_the_declared_zone(tmp_path):
    rows = (
        "order_id,account,at,amount\n1,a,2024-07-01 12:00,1\n2,a,2024-07-01T12:00:00Z,1\n"
        "3,a,2024-07-01 12:00:00-05:00,1\n4,a,2024-01-01 12:00,1\n"
    )
    result = build(tmp_path, {"orders.csv": rows}, ORDERS + "    timezone: Europe/Rome\n")
    times = events(result).set_index("event_id")["occurred_at"].dt.strftime("%m-%d %H:%M")
    assert times["orders:1"] == "07-01 10:00"
    assert times["orders:2"] == "07-01 12:00"
    assert times["orders:3"] == "07-01 17:00"
    assert times["orders:4"] == "01-01 11:00"


def test_a_source_may_have_a_zone_and_a_format_of_its_own(tmp_path):
    sources = ORDERS.replace(
        "time: at", "time: {column: at, format: '%d/%m/%Y %H:%M', zone: America/New_York}"
    )
    text = "order_id,account,at,amount\n1,a,31/12/2024 23:30,1\n2,a,2024-12-31,1\n"
    result = build(tmp_path, {"orders.csv": text}, sources)
    assert str(events(result)["occurred_at"].iloc[0]) == "2025-01-01 04:30:00"
    said = "unreadable time in 'at': '2024-12-31'; its format is \"%d/%m/%Y %H:%M\""
    assert rejects(result) == [(2, said)]


def test_rows_without_an_id_keep_the_order_of_their_file(tmp_path):
    sources = ORDERS.replace("        id: order_id\n", "")
    rows = "".join(f"x,a,2024-01-01,{n}\n" for n in range(12))
    result = build(tmp_path, {"orders.csv": "order_id,account,at,amount\n" + rows}, sources)
    assert events(result)["value"].tolist() == list(range(12))


def test_a_customer_may_be_named_by_another_source_and_an_unknown_one_is_rejected(tmp_path):
    sources = """
        name: shop
        sources:
          payments:
            file: payments.csv
            customer: {column: order, of: orders}
            events: [{touchpoint: paid_order, time: at}]
          orders:
            file: orders.csv
            id: order_id
            customer: {key: account}
            events: [{touchpoint: placed_order, time: at}]
    """
    payments = "order,at\n2,2024-01-05\n9,2024-01-05\n"
    result = build(tmp_path, {"orders.csv": GOOD, "payments.csv": payments}, sources)
    paid = events(result).query("touchpoint == 'paid_order'")
    assert paid["customer_id"].tolist() == ["b"]
    assert rejects(result) == [(2, "no customer: '9' is not an id of orders")]


def test_conditions_optional_times_scores_and_maps_decide_what_a_row_means(tmp_path):
    sources = """
        name: desk
        sources:
          tickets:
            file: tickets.csv
            id: id
            customer: {key: account}
            events:
              - touchpoint: {column: kind, map: {call: called_support}, other: reject}
                time: opened
                channel: {column: kind}
                owned: true
              - touchpoint: got_answer
                time: closed
                optional: true
                score: {column: csat, scale: csat}
              - {touchpoint: escalated, time: opened, when: {urgent: "True"}}
    """
    tickets = (
        "id,account,kind,opened,closed,csat,urgent\n"
        "1,a,call,2024-01-01,2024-01-02,5,True\n"
        "2,a,call,2024-01-03,,,False\n"
        "3,a,fax,2024-01-03,,,False\n"
        "4,a,call,2024-01-03,2024-01-04,9,False\n"
    )
    result = build(tmp_path, {"tickets.csv": tickets}, sources)
    log = events(result)
    assert log["touchpoint"].tolist() == [
        "called_support",
        "escalated",
        "got_answer",
        "called_support",
    ]
    assert log["sentiment"].dropna().tolist() == [1.0]
    assert log["channel"].dropna().unique().tolist() == ["call"]
    assert rejects(result) == [
        (3, "no touchpoint for 'kind' = 'fax'"),
        (4, "no csat score (1 to 5) in 'csat': '9'"),
    ]


def test_a_personal_key_is_matched_without_case_and_never_shown(tmp_path):
    sources = ORDERS + "    personal: [account]\n"
    text = (
        "order_id,account,at,amount\n1,Ann@Example.org,2024-01-01,1\n"
        "2, ann@example.org,2024-01-02,1\n"
    )
    result = build(tmp_path, {"orders.csv": text}, sources)
    ids = events(result)["customer_id"].unique()
    assert len(ids) == 1
    assert "ann" not in ids[0].lower()


ISO_TIMES = [
    ("2024-07-01T10:00Z", "10:00"),
    ("2024-07-01 10:00:00 UTC", "10:00"),
    ("2024-07-01 10:00:00 +0200", "08:00"),
    ("2024-07-01T10:00:00.5-05", "15:00"),
    ("2024-07-01T10:00:00+05:30", "04:30"),
    ("2024-07-01T10:00", "08:00"),
    ("2024-10-27 02:30", "01:30"),
    ("2024-03-31 02:30", "01:30"),
    ("2024-07-01 10:00:00", "08:00"),
    ("2024-07-01T10:00:00.123456", "08:00"),
    ("2024-07-01", "22:00"),
]


def test_iso_times_are_read_with_every_kind_of_offset(tmp_path):
    rows = "".join(f"{n},a,{text},1\n" for n, (text, _) in enumerate(ISO_TIMES))
    text = f"order_id,account,at,amount\n{rows}"
    result = build(tmp_path, {"orders.csv": text}, ORDERS + "    timezone: Europe/Rome\n")
    at = events(result).set_index("event_id")["occurred_at"].dt.strftime("%H:%M").to_dict()
    assert at == {f"orders:{n}": utc for n, (_, utc) in enumerate(ISO_TIMES)}


def test_times_that_are_not_iso_are_rejected_and_disturb_no_other_row(tmp_path):
    # DuckDB's own cast takes a zone by name, and then reads the next rows in that zone.
    odd = [
        "2024-01-01 10:00:00 EST",
        "2024/01/02",
        "2024-1-2",
        "epoch",
        "2024-01-01-05",
        "2100-01-01",
    ]
    rows = "".join(f"{n},a,{text},1\n" for n, text in enumerate(odd, start=3))
    result = build(tmp_path, {"orders.csv": f"{GOOD}{rows}9,b,2024-01-02 09:05,1\n"})
    assert [number for number, _ in rejects(result)] == [3, 4, 5, 6, 7, 8]
    assert events(result)["occurred_at"].dt.strftime("%H:%M").iloc[-1] == "09:05"


def test_an_offset_that_a_format_reads_counts_before_the_zone(tmp_path):
    sources = ORDERS.replace("time: at", "time: {column: at, format: '%d/%m/%Y %H:%M %z'}")
    rows = "order_id,account,at,amount\n1,a,01/07/2024 10:00 +02:00,1\n"
    result = build(tmp_path, {"orders.csv": rows}, sources + "    timezone: Europe/Rome\n")
    assert events(result)["occurred_at"].dt.strftime("%H:%M").tolist() == ["08:00"]


@pytest.mark.parametrize(("pattern", "said"), [("%q", "cannot be read"), ("%H:%M", "no year")])
def test_a_format_that_gives_no_time_is_said(tmp_path, pattern, said):
    sources = ORDERS.replace("time: at", f"time: {{column: at, format: '{pattern}'}}")
    with pytest.raises(CxError, match=f"the format '{pattern}' .*{said}"):
        build(tmp_path, {"orders.csv": GOOD}, sources)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (gzip.compress(GOOD.encode())[:-4], "is not a whole gzip file; export it again"),
        (GOOD.encode(), "is not a whole gzip file; export it again"),
        (gzip.compress(b"\n \n"), "has no line that names its columns"),
    ],
    # The bytes hold the time of day, which two processes of a test run do not share.
    ids=["cut", "not packed", "blank"],
)
def test_a_gzip_file_that_is_cut_or_empty_is_said(tmp_path, data, said):
    sources = ORDERS.replace("orders.csv", "'orders.*'")
    result = build(tmp_path, {"orders.csv": GOOD, "orders.csv.gz": data}, sources)
    assert rejects(result) == [(None, f"orders.csv.gz: {said}")]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (GOOD.encode("utf-16"), "is not UTF-8 text but probably utf-16; declare encoding"),
        (GOOD.encode("utf-16-le"), "is not UTF-8 text"),
        (GOOD.replace("amount", "caf\xe9").encode("latin-1"), "is not UTF-8 text"),
        (GOOD.replace("amount", "amount,CX_file").encode(), "column 'CX_file'; names that begin"),
        (GOOD.replace("amount", "account").encode(), "it has 'order_id', 'account_2', 'at', 'acc"),
    ],
)
def test_a_file_that_cannot_be_read_at_all_says_why(tmp_path, data, said):
    with pytest.raises(CxError, match=said):
        build(tmp_path, {"orders.csv": data})


def test_what_is_no_parquet_is_said_without_the_place_of_the_file(tmp_path):
    with pytest.raises(CxError, match=r"magic bytes .*'orders.parquet'$"):
        build(tmp_path, {"orders.parquet": GOOD}, ORDERS.replace("orders.csv", "orders.parquet"))


@pytest.mark.parametrize("row", ['3,"c"d,2024-01-03,1', '3,"c,2024-01-03,1'])
def test_a_stray_quote_costs_its_own_record_only(tmp_path, row):
    result = build(tmp_path, {"orders.csv": f'{GOOD}{row}\n4,e,2024-01-04,"1"\n5,f,2024-01-05,1\n'})
    ((number, said),) = rejects(result)
    assert number == 3
    assert "unterminated quote" in said
    assert "orders:5" in set(events(result)["event_id"])
    assert adds_up(result)["rows_rejected"] == 1


def test_a_quote_that_never_closes_says_how_many_lines_it_took(tmp_path):
    result = build(tmp_path, {"orders.csv": f'{GOOD}3,"c,2024-01-03,1\n4,d,2024-01-04,1\n'})
    assert rejects(result)[0][1].endswith("(the record runs over 2 lines)")


def test_a_field_of_many_megabytes_is_rejected_alone(tmp_path):
    result = build(tmp_path, {"orders.csv": f"{GOOD}3,{'x' * 3_000_000},2024-01-03,1\n"})
    assert "Maximum line size" in rejects(result)[0][1]
    assert adds_up(result)["rows_stored"] == 2


def test_blank_lines_are_no_rows(tmp_path):
    text = "\n \n" + GOOD.replace("2,b", "\n\n2,b") + "\n3,,2024-01-03,1\n"
    result = build(tmp_path, {"orders.csv": text})
    assert [number for number, _ in rejects(result)] == [3]
    assert adds_up(result)["rows_read"] == 3


def test_an_export_may_number_its_rows(tmp_path):
    text = "row_number,account,at,amount\n7,a,2024-01-01,1\n"
    sources = ORDERS.replace("order_id", "row_number")
    assert events(build(tmp_path, {"orders.csv": text}, sources))["event_id"].tolist() == [
        "orders:7"
    ]


def test_a_column_that_two_files_spell_in_two_ways_is_one(tmp_path):
    files = {
        "a.csv": "note," + GOOD.replace("\n1", "\nx,1").replace("\n2", "\nx,2"),
        "b.csv": "NOTE,order_id,account,at,amount\ny,3,,2024-01-03,1\n",
    }
    result = build(tmp_path, files, ORDERS.replace("orders.csv", "'*.csv'"))
    assert '"note":"y"' in result.snapshot.table("rejects").to_pandas()["record"].iloc[0]


def test_a_folder_is_no_file_and_a_name_with_brackets_is_one(tmp_path):
    sources = ORDERS.replace("orders.csv", "'orders[1].csv'")
    assert build(tmp_path, {"orders[1].csv": GOOD}, sources).counts["events"] == 2
    (tmp_path / "exports" / "folder.csv").mkdir()
    with pytest.raises(CxError, match="no such file"):
        build(tmp_path, {}, ORDERS.replace("orders.csv", "folder.csv"))


def test_a_file_that_may_not_be_read_is_said(tmp_path):
    with pytest.raises(CxError, match=r"the file '.*' cannot be read: Is a directory"):
        hash_file(tmp_path)


def test_a_reserved_name_from_a_column_is_no_touchpoint(tmp_path):
    sources = ORDERS.replace("placed_order", "{column: kind}").replace(", value: amount", "")
    text = "order_id,account,at,kind\n1,a,2024-01-01,paid\n2,a,2024-01-02,(end)\n"
    result = build(tmp_path, {"orders.csv": text}, sources)
    assert rejects(result) == [(2, "no touchpoint for 'kind' = '(end)'")]


def test_a_value_that_a_channels_map_does_not_name_may_be_rejected(tmp_path):
    rule = "{column: amount, map: {5: web}, other: reject}"
    result = build(
        tmp_path, {"orders.csv": GOOD}, ORDERS.replace("value: amount", f"channel: {rule}")
    )
    assert rejects(result) == [(2, "no channel for 'amount' = '7.5'")]


def test_the_exports_own_journeys_are_trimmed(tmp_path):
    sources = ORDERS.replace("id: order_id", "journey: order_id")
    text = "order_id,account,at,amount\ns1,a,2024-01-01,1\ns1 ,a,2024-01-02,1\n"
    assert build(tmp_path, {"orders.csv": text}, sources).counts["journeys"] == 1


PEOPLE = """
    name: people
    personal: [email, mail]
    sources:
      accounts:
        file: accounts.csv
        id: email
        customer: {key: email}
        events: [{touchpoint: signed_up, time: at, columns: [mail]}]
      visits:
        file: visits.csv
        customer: {column: mail, of: accounts}
        attributes: [mail]
        events: [{touchpoint: {column: page}, time: at}]
"""


def test_a_personal_value_leaves_the_exports_nowhere(tmp_path):
    files = {
        "accounts.csv": (
            "email,mail,at\nAnn@x,ann@x,2024-01-01\nbob@x,,soon\nann@x,,2024-01-01\nzoe@x\n"
        ),
        "visits.csv": "mail,page,at\nANN@x,home,2024-01-02\ncid@x,home,2024-01-02\n",
    }
    result = build(tmp_path, files, PEOPLE)
    assert result.counts["customers"] == 1
    assert result.counts["events"] == 2
    for name in ("events", "customers", "identities", "rejects", "quality"):
        assert "@x" not in result.snapshot.table(name).to_pandas().to_csv().lower()


def test_a_reject_of_many_files_names_its_own(tmp_path):
    several = ORDERS.replace("file: orders.csv", "file: orders_*.csv")
    files = {
        "orders_1.csv": "order_id,account,at,amount\n1,a,2024-01-01,1\n",
        "orders_2.csv": "order_id,account,at,amount\n2,a,never,1\n1,b,2024-01-02,1\n",
    }
    table = build(tmp_path, files, several).snapshot.table("rejects").to_pandas()
    assert table[["file", "row_number"]].to_numpy().tolist() == [
        ["orders_2.csv", 1],
        ["orders_2.csv", 2],
    ]


def test_a_misspelt_personal_column_is_refused(tmp_path):
    secret = ORDERS.replace("name: shop", "name: shop\n    personal: [acount]")
    files = {"orders.csv": "order_id,account,at,amount\n1,a,2024-01-01,1\n"}
    with pytest.raises(CxError, match="there is no column 'acount' that is personal in any export"):
        build(tmp_path, files, secret)
