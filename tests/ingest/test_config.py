"""A mistake in sources.yml is named with its line and its mend."""

import pytest

from cxlib.errors import CxError
from cxlib.ingest.config import load_sources
from tests.ingest.workspaces import ORDERS, write


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("key: account", "kee: account", r"line 7, .*the word 'kee' means nothing here"),
        ("key: account", "kee: account", r"nothing here; did you mean 'key'\?$"),
        (
            "touchpoint:",
            "touchpont:",
            r"'touchpont' means nothing here; did you mean 'touchpoint'\?",
        ),
        ("time: at", "time: {column: at, formt: x}", r"'formt' .* did you mean 'format'\?"),
        ("value: amount", "value: {column: a, negativ: true}", r"did you mean 'negative'\?"),
        ("id: order_id", "borrow: [{oof: a, by: b, columns: [c]}]", r"did you mean 'of'\?"),
        (
            "name: shop",
            "name: shop\n    observe_until: 2024-01-01",
            "did you mean 'observed_until'",
        ),
        ("name: shop", "name: shop\n    spells: {s: {strt: a}}", r"did you mean 'start'\?"),
        ("name: shop", "name: shop\n    zzz: 1", "the word 'zzz' means nothing here$"),
        (
            "{key: account}",
            "account",
            r"line 7, .*write customer: \{key: account\}, or cus",
        ),
        (
            "name: shop",
            "name: shop\n    observed_until: 31.12.2024",
            "-31, and not '31.12.2024'",
        ),
        (
            "name: shop",
            "name: shop\n    observed_until: 31.12.2024 10:00",
            "as year-month-day",
        ),
        (
            "name: shop",
            "name: shop\n    journeys:\n      end: [left]",
            "line 4: .*touchpoint 'left'",
        ),
        ("{key: account}", "{column: a, of: order}", "line 7: there is no source 'order' to which"),
        ("name: shop", "name: shop\n    spells: {orders: {start: x}}", "line 3: .*touchpoint 'x'"),
        ("file: orders.csv", "fiel: orders.csv", "line 5, .*means nothing here"),
        ("time: at", "time: {colum: at}", "line 9, .*the word 'colum' means nothing here"),
        ("{key: account}", "{key: account, of: orders}", r"line 7, .*either \{key: COLUMN\}"),
        ("{key: account}", "{column: a, of: order}", "no source 'order' .*did you mean 'orders'"),
        ("{key: account}", "{column: a, of: orders}", "refer to each other in a circle"),
        (
            "name: shop",
            "name: shop\n    timezone: Europe/Roma",
            "line 3, timezone: .*'Europe/Rome'",
        ),
        ("name: shop", "name: shop\n    journeys: {split_after: 30}", "line 3, .*'30 days'"),
        ("name: shop", "name: shop\n    journeys: {split_after: 1 month}", "no fixed length"),
        ("value: amount", "columns: [stage]", "keeps a column 'stage', which every event has"),
        ("name: shop", "name: [shop", "line 3: "),
        ("orders:", "'2 orders':", "needs a name of letters"),
        ("name: shop", "timezone: UTC", "the word 'name' is missing"),
        ("name: shop", "name: shop\n    name: store", "line 3: the word 'name' stands twice"),
        ("name: shop", "name: shop\n    personal:", "line 3, personal: write a list"),
        ("id: order_id", "on: order_id", "no text; put it in quotes"),
        ("id: order_id", "delimiter: ''", "line 6, .*the one character between two fields"),
        ("file: orders.csv", "file: ''", "line 5, "),
        ("file: orders.csv", "journey: x", "say where the rows are: either file, or database"),
        ("id: order_id", "table: orders", "table and query are for a database; leave them out"),
        ("file: orders.csv", "database: a.db", "either table, or query"),
        (
            "file: orders.csv",
            "database: ../a.db\n        table: a",
            "line 5, .*lies outside the exp",
        ),
        (
            "file: orders.csv",
            "database: /a.db\n        table: a",
            "lies outside the exports folder",
        ),
        ("file: orders.csv", "database: a.txt\n        table: a", "'a.txt' is no database: write "),
        (
            "file: orders.csv",
            "database: x://u:pw@h/d\n        table: a",
            "line 5, .*a password",
        ),
        ("file: orders.csv", "database: x://h/d?token=x\n        table: a", "a password does not"),
        (
            "file: orders.csv",
            "database: a.db\n        table: a\n        sheet: s",
            "sheet is for",
        ),
        ("id: order_id", "encoding: utf-9", "line 6, .*no encoding 'utf-9'; write cp1252, latin-1"),
        ("id: order_id", "encoding: zip", "line 6, .*'zip' is no encoding of text"),
        ("id: order_id", "decimal: ;", "line 6, .*',' or '.'"),
        ("id: order_id", "sheet: one", "sheet is for workbooks"),
        ("orders.csv", "orders.parquet\n        decimal: ','", "have no decimal sign"),
        ("placed_order", "(end)", r"no touchpoint may be called '\(end\)'"),
        ("placed_order", "{column: at, map: {x: ''}}", "no touchpoint may be called ''"),
        ("placed_order", "{column: at, other: reject}", "needs a map"),
        ("value: amount", "when: {amount: yes}", "reads True as no text; put it in quotes"),
        ("value: amount", "columns: [Value]", "keeps a column 'Value', which every event has"),
        ("value: amount", "columns: [a, A]", "'a' and 'A' differ by case only"),
        ("name: shop", "name: shop\n    observed_until: 2024", "write a date between 1900 and"),
        ("name: shop", "name: shop\n    observed_until: 9999-12-31", "between 1900 and 2100"),
        ("name: shop", "name: shop\n    timezone: localtime", "no time zone 'localtime'"),
        (
            "value: amount",
            "value: amount, currency: euro",
            "line 9, .*no currency is called 'euro'",
        ),
        ("value: amount", "currency: EUR", "line 9, .*a currency needs a value"),
        ("value: amount", "value: {column: a, minor_units: true}", "minor_units needs a currency"),
        ("value: amount", "value: {column: a, cents: true}", "the word 'cents' means nothing here"),
        ("value: amount", "columns: [currency]", "keeps a column 'currency', which every event"),
        ("{key: account}", "{key: a, unknown: keep}", "line 7, .*here say otherwise: COLUMN"),
        ("id: order_id", "borrow: [{of: plans, by: plan, columns: [x]}]", "no source 'plans'"),
        ("id: order_id", "borrow: [{of: orders, by: a, columns: []}]", "line 6, .*at least 1 item"),
        ("id: order_id", "attributes: [{name: plan}]", "line 6, .*the word 'column' is missing"),
        ("id: order_id", "attributes: [{column: a, since: b}]", "the word 'since' means nothing"),
        (
            "name: shop",
            "name: shop\n    journeys: {split_after: 99999999999999999999 days}",
            "longer than 1,000 years",
        ),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path, old, new, said):
    workspace = write(tmp_path, {}, ORDERS.replace(old, new, 1))
    with pytest.raises(CxError, match=said):
        load_sources(workspace / "sources.yml")


@pytest.mark.parametrize(
    ("check", "said"),
    [
        ("{name: x}", "give either source, column and not_before, or agree"),
        ("{name: x, agree: [{source: orders}]}", "two or more members"),
        ("{name: x, source: orders, column: at, not_before: at}", "SOURCE.COLUMN"),
        ("{name: x, agree: [{source: orders}, {source: order}]}", "did you mean 'orders'"),
    ],
)
def test_a_check_that_says_too_little_is_refused(tmp_path, check, said):
    workspace = write(tmp_path, {}, f"{ORDERS}    checks: [{check}]\n")
    with pytest.raises(CxError, match=said):
        load_sources(workspace / "sources.yml")


def test_a_password_in_the_description_is_repeated_nowhere(tmp_path):
    place = "database: postgresql://crm:s3cret@db/crm\n        table: accounts"
    workspace = write(tmp_path, {}, ORDERS.replace("file: orders.csv", place))
    with pytest.raises(CxError) as error:
        load_sources(workspace / "sources.yml")
    assert "s3cret" not in f"{error.value}{error.value.__cause__}"


def test_yaml_that_asks_for_code_is_refused(tmp_path):
    workspace = write(tmp_path, {}, "name: !!python/object/apply:os.system ['true']\n")
    with pytest.raises(CxError, match="could not determine a constructor"):
        load_sources(workspace / "sources.yml")


def test_an_empty_description_says_what_it_needs(tmp_path):
    workspace = write(tmp_path, {}, "")
    with pytest.raises(CxError, match="needs at least name and sources"):
        load_sources(workspace / "sources.yml")


def test_a_date_as_cut_off_means_the_end_of_that_day(tmp_path):
    workspace = write(tmp_path, {}, ORDERS + "    observed_until: 2024-12-31\n")
    assert str(load_sources(workspace / "sources.yml").window()[1]) == "2024-12-31 23:59:59.999999"


def test_a_cut_off_is_in_the_declared_zone_and_may_stand_in_quotes(tmp_path):
    zoned = ORDERS + "    observed_until: '2024-12-31'\n    timezone: America/New_York\n"
    workspace = write(tmp_path, {}, zoned)
    assert str(load_sources(workspace / "sources.yml").window()[1]) == "2025-01-01 04:59:59.999999"


def test_a_description_that_is_not_unicode_is_said(tmp_path):
    workspace = write(tmp_path, {})
    (workspace / "sources.yml").write_bytes("name: caf\xe9".encode("latin-1"))
    with pytest.raises(CxError, match=r"sources.yml' is not UTF-8 text"):
        load_sources(workspace / "sources.yml")


def test_a_folder_in_place_of_the_description_is_said(tmp_path):
    (tmp_path / "sources.yml").mkdir()
    with pytest.raises(CxError, match=r"sources.yml' cannot be read: Is a directory"):
        load_sources(tmp_path / "sources.yml")


def test_a_cut_off_with_an_offset_becomes_utc(tmp_path):
    workspace = write(tmp_path, {}, ORDERS + "    observed_until: 2024-12-31T23:00:00-02:00\n")
    assert str(load_sources(workspace / "sources.yml").window()[1]) == "2025-01-01 01:00:00"


def test_a_date_as_start_means_the_beginning_of_that_day(tmp_path):
    workspace = write(tmp_path, {}, ORDERS + "    observed_from: 2024-01-01\n")
    assert str(load_sources(workspace / "sources.yml").window()[0]) == "2024-01-01 00:00:00"


def test_a_description_nested_too_deeply_is_said(tmp_path):
    path = tmp_path / "sources.yml"
    path.write_text("name: " + "[" * 20_000 + "]" * 20_000)
    with pytest.raises(CxError, match=r"sources\.yml nests its words too deeply"):
        load_sources(path)
