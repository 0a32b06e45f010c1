"""A reject says what to write into `sources.yml`, where that can be told from the value."""

from datetime import datetime

import pytest

from cxlib.errors import CxError
from cxlib.ingest.notations import FORMATS
from tests.ingest.workspaces import ORDERS, build, rejects, write

GOOD = '1,a,2024-01-01,"5"\n'


def reasons(folder, rows, sources=ORDERS, header="order_id,account,at,amount"):
    files = {"orders.csv": f"{header}\n{GOOD}{rows}"}
    return [reason for _, reason in rejects(build(folder, files, sources))]


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("01.01.2023 00:32", '; add format: "%d.%m.%Y %H:%M"'),
        ("31.12.2023", '; add format: "%d.%m.%Y"'),
        ("31-12-2023 10:00:59", '; add format: "%d-%m-%Y %H:%M:%S"'),
        ("31/12/2023", '; add format: "%d/%m/%Y"'),
        ("12/31/2023 9:05", '; add format: "%m/%d/%Y %H:%M"'),
        ("03/02/2023", '; add format: "%d/%m/%Y" or "%m/%d/%Y"'),
        ("20231231", '; add format: "%Y%m%d"'),
        ("32.12.2023", ""),
        ("31.12.2023 25:00", ""),
        ("soon", ""),
    ],
)
def test_a_time_in_a_usual_notation_names_its_format(tmp_path, text, hint):
    assert reasons(tmp_path, f"2,a,{text},1\n") == [f"unreadable time in 'at': '{text}'{hint}"]


def test_every_format_that_init_proposes_is_named(tmp_path):
    moment = datetime(2023, 12, 31, 10, 20, 30)
    rows = [f"{n},a,{moment.strftime(form)},1\n" for n, form in enumerate(FORMATS, start=2)]
    for said, form in zip(reasons(tmp_path, "".join(rows)), FORMATS, strict=True):
        assert f'add format: "{form}"' in said


def test_a_time_that_is_not_in_the_declared_format_says_which_that_is(tmp_path):
    sources = ORDERS.replace("time: at", 'time: {column: at, format: "%Y-%m-%d"}')
    assert reasons(tmp_path, "2,a,31.12.2023,1\n", sources) == [
        "unreadable time in 'at': '31.12.2023'; its format is \"%Y-%m-%d\""
    ]


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("1.001,02", '; add decimal: ","'),
        ("7,5", '; add decimal: ","'),
        ("1,001.02", '; add decimal: "."'),
        ("ten", ""),
        ("1,2,3", ""),
    ],
)
def test_a_number_with_another_decimal_sign_names_it(tmp_path, text, hint):
    said = reasons(tmp_path, f'2,a,2024-01-01,"{text}"\n')
    assert said == [f"no number in 'amount': '{text}'{hint}"]


def test_a_declared_decimal_sign_is_not_named_again(tmp_path):
    sources = ORDERS.replace("id: order_id", "id: order_id\n        decimal: '.'")
    assert reasons(tmp_path, '2,a,2024-01-01,"7,5"\n', sources) == ["no number in 'amount': '7,5'"]


def no_column(folder, files, sources):
    with pytest.raises(CxError) as error:
        build(folder, files, sources)
    return str(error.value)


def test_a_misspelt_column_names_the_close_one_first(tmp_path):
    files = {"orders.csv": "order_id,account,at,amount\n" + GOOD}
    said = no_column(tmp_path, files, ORDERS.replace("value: amount", "value: amout"))
    assert "no column 'amout'; did you mean 'amount'? (it has 'order_id', 'account', " in said
    assert "called so in some files only, add aliases: {amout: [amount]})" in said


def test_a_close_column_that_is_read_already_is_no_alias(tmp_path):
    files = {"orders.csv": "order_id,account,at,amount\n" + GOOD}
    said = no_column(tmp_path, files, ORDERS.replace("value: amount", "text: acount"))
    assert "no column 'acount'; did you mean 'account'? (it has 'order_id', 'account', " in said
    assert "aliases" not in said


def test_a_slip_counts_before_a_column_that_no_rule_reads(tmp_path):
    header = "order_id,account,at,amount,old_account_no\n"
    files = {"orders.csv": header + GOOD.replace("\n", ",x\n")}
    said = no_column(tmp_path, files, ORDERS.replace("value: amount", "text: acount"))
    assert "did you mean 'account'? (" in said


def test_a_column_like_no_other_may_have_an_alias(tmp_path):
    files = {"orders.csv": "order_id,account,at,amount\n" + GOOD}
    said = no_column(tmp_path, files, ORDERS.replace("value: amount", "value: Betrag"))
    assert "'amount'); name one of these, or add aliases: {Betrag: [NAME]}" in said


def test_a_wrong_delimiter_is_said_once_for_the_whole_file(tmp_path):
    rows = "".join(f"{n};a;2024-01-01;{n},5\n" for n in range(1, 9))
    sources = ORDERS.replace("id: order_id", "id: order_id\n        delimiter: ','")
    said = no_column(tmp_path, {"orders.csv": f"order_id;account;at;amount\n{rows}"}, sources)
    assert "since ',' does not part its first line; write delimiter: \";\", or leave it out" in said


def test_a_place_that_repeats_the_exports_folder_is_said(tmp_path):
    files = {"orders.csv": "order_id,account,at,amount\n" + GOOD}
    said = no_column(tmp_path, files, ORDERS.replace("orders.csv", "exports/orders.csv"))
    assert "no such file; write it relative to the exports folder: file: orders.csv" in said


def test_an_absolute_path_into_the_exports_folder_is_said(tmp_path):
    place = tmp_path.resolve() / "exports" / "orders.csv"
    sources = ORDERS.replace("orders.csv", place.as_posix())
    said = no_column(tmp_path, {"orders.csv": "order_id,account,at,amount\n" + GOOD}, sources)
    assert "by an absolute path; write it relative to the exports folder: file: orders.csv" in said


def test_an_absolute_path_elsewhere_still_has_to_be_moved(tmp_path):
    workspace = write(tmp_path, {}, ORDERS.replace("orders.csv", "/elsewhere/orders.csv"))
    with pytest.raises(CxError, match="lies outside the exports folder; move it there"):
        build(workspace, {}, ORDERS.replace("orders.csv", "/elsewhere/orders.csv"))
