"""What `cxlib init` makes of the exports of somebody who has not read the documentation."""

import shutil

import pytest

from cxlib.build import build_store
from cxlib.ingest.config import load_sources
from cxlib.ingest.guessing import guess_sources
from tests.ingest.workspaces import rejects
from tests.journeys.examples import example_log


def guessed(folder, files):
    """Write exports, guess their description and write it beside them; give the guess."""
    exports = folder / "exports"
    exports.mkdir()
    for name, content in files.items():
        data = content if isinstance(content, bytes) else content.encode()
        (exports / name).write_bytes(data)
    guess = guess_sources(exports)
    (folder / "sources.yml").write_text(guess.text, encoding="utf-8")
    return guess


CUSTOMERS = "Kundennr;Nachname;EMail;Registriert\n" + "".join(
    f"K{n};Groß;k{n}@example.org;{n + 1:02}.03.2024 09:26\n" for n in range(20)
)
DAYS = ["31.02" if n == 7 else f"{n + 5:02}.04" for n in range(20)]
ORDERS = "Bestellnr;Kundennr;Datum;Betrag;Status\n" + "".join(
    f"B{n};K{n};{day}.2024 10:00;1.{n + 100},5{n % 10};bezahlt\n" for n, day in enumerate(DAYS)
)


@pytest.fixture
def german(tmp_path):
    files = {"customers.csv": CUSTOMERS.encode("cp1252"), "Aufträge.csv": ORDERS}
    return tmp_path, guessed(tmp_path, files)


def test_an_export_in_a_windows_encoding_is_read_in_it(german):
    folder, _ = german
    found = load_sources(folder / "sources.yml").sources
    assert found["customers"].encoding == "cp1252"
    assert found["auftraege"].encoding is None
    result = build_store(folder)
    assert [reason for _, reason in rejects(result)] == [
        "unreadable time in 'Datum': '31.02.2024 10:00'; its format is \"%d.%m.%Y %H:%M\""
    ]


def test_decimal_commas_are_declared_and_their_column_is_the_value(german):
    folder, _ = german
    build = build_store(folder)
    orders = load_sources(folder / "sources.yml").sources["auftraege"]
    assert (orders.decimal, orders.events[0].value.column) == (",", "Betrag")
    events = build.snapshot.table("events").to_pandas()
    assert sorted(events["value"].dropna())[:2] == [1100.50, 1101.51]


def test_one_impossible_date_is_said_and_hides_no_column(german):
    _, guess = german
    assert (
        """time: {column: Datum, format: "%d.%m.%Y %H:%M"}    # 1 of 20 is no such time, such as """
        "'31.02.2024 10:00'"
    ) in guess.text


def test_columns_that_are_not_read_are_named(tmp_path):
    due = ["soon", "05.01.2024"] * 3
    rows = "".join(f"{n},a,2024-01-0{n},{text}\n" for n, text in enumerate(due, start=1))
    guess = guessed(tmp_path, {"orders.csv": f"order_id,customer_id,at,due on\n{rows}"})
    assert '    # not read: "due on"\n' in guess.text
    said = """# "due on" has times by "%d.%m.%Y", but 3 of 6 are no such time, such as 'soon'"""
    assert said in guess.text


def test_touchpoints_are_spelled_in_ascii(tmp_path):
    text = "Ticket,Kunde,Geöffnet,Créé\n1,a,2024-01-01,2024-01-02\n2,b,2024-01-03,2024-01-04\n"
    guess = guessed(tmp_path, {"tickets.csv": text})
    assert "touchpoint: geoeffnet_ticket " in guess.text
    assert "touchpoint: cree_ticket " in guess.text


def test_a_spoilt_line_among_letters_in_utf8_makes_no_other_encoding(tmp_path):
    lines = "".join(f"{n},a,2024-01-02,Groß\n" for n in range(5)).encode()
    text = b"order_id,customer_id,at,name\n" + lines + "9,a,2024-01-02,Groß\n".encode("cp1252")
    assert "encoding" not in guessed(tmp_path, {"orders.csv": text}).text


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le"])
def test_text_in_utf16_is_declared(tmp_path, encoding):
    text = CUSTOMERS + "".join(f"K{n};Groß;k{n}@example.org;\n" for n in range(20, 600))
    guess = guessed(tmp_path, {"customers.csv": text.encode(encoding)})
    assert f"encoding: {encoding} " in guess.text
    assert guess.found is not None
    assert guess.found.useless == []


def test_journeys_end_without_a_decision_of_the_user(tmp_path):
    rows = "".join(
        f"{n}-{k},c{n},{day}\n"
        for n in range(20)
        for k, day in enumerate(["2024-01-01", f"2024-01-{n + 2:02}", "2024-12-31"][: 2 + n // 19])
    )
    guess = guessed(tmp_path, {"orders.csv": f"order_id,customer_id,ordered_at\n{rows}"})
    # Silences of 1 to 19 days and one of 346: nine of ten are of at most 18.1 days.
    assert "journeys:\n  closes_after: 30 days    # to decide" in guess.text
    assert "of the 20 customers who came back" in guess.text
    journeys = build_store(tmp_path).snapshot.table("journeys").to_pandas()
    assert journeys["is_open"].sum() == 1  # of the one customer who was there on the last day


XES = (
    "case:concept:name,case:startdate,concept:instance,concept:name,org:group,org:resource,"
    "time:timestamp,lifecycle:transition,customer\n"
    "c1,2024-01-01,t1,register,desk,ann,2024-01-02T10:00:00+01:00,start,acme\n"
    "c1,2024-01-01,t2,register,desk,ann,2024-01-02T11:00:00+01:00,complete,acme\n"
    "c1,2024-01-01,t3,decide,board,bob,2024-01-05T11:00:00+01:00,complete,acme\n"
    "c2,2024-01-04,t4,register,desk,ann,2024-01-06T11:00:00+01:00,complete,acme\n"
)


def test_an_event_log_in_the_words_of_xes_is_recognised(tmp_path):
    guess = guessed(tmp_path, {"log.csv": XES})
    (rule,) = load_sources(tmp_path / "sources.yml").sources.values()
    assert (rule.id, rule.customer.key) == ("concept:instance", "case:concept:name")
    (event,) = rule.events  # of the case's times none is an event
    assert (event.touchpoint.column, event.time.column) == ("concept:name", "time:timestamp")
    assert event.department.column == "org:group"
    assert event.when == {"lifecycle:transition": ("complete",)}
    assert '# not read: "case:startdate", "org:resource", customer' in guess.text
    events = build_store(tmp_path).snapshot.table("events").order_by("occurred_at").to_pandas()
    assert events["touchpoint"].tolist() == ["register", "decide", "register"]
    assert events["department"].tolist() == ["desk", "board", "desk"]


@pytest.mark.parametrize(
    ("name", "file"),
    [("helpdesk", "helpdesk_italian"), ("receipt", "receipt"), ("teleclaims", "teleclaims")],
)
def test_published_event_logs_give_the_log_that_a_person_describes(tmp_path, shared, name, file):
    (tmp_path / "exports").mkdir()
    shutil.copy(shared / "data" / "eventlogs" / f"{file}.csv.gz", tmp_path / "exports")
    guess = guess_sources(tmp_path / "exports")
    (tmp_path / "sources.yml").write_text(guess.text, encoding="utf-8")
    built = build_store(tmp_path).snapshot
    wanted = example_log(name, shared).events.to_pandas()
    events = built.table("events").to_pandas()
    columns = ["customer_id", "occurred_at", "touchpoint"]
    columns += [] if name == "helpdesk" else ["department"]  # a person chose another column there
    columns += ["channel"] if name == "receipt" else []
    found, told = (
        frame[columns].sort_values(columns).reset_index(drop=True) for frame in (events, wanted)
    )
    assert found.equals(told)
    ended = ~built.table("journeys").to_pandas()["is_open"]
    assert ended.mean() > 0.9


def test_an_empty_time_of_the_row_itself_is_a_mistake_and_a_later_one_did_not_happen(tmp_path):
    rows = "".join(f"{n},a,{'2024-01-05' if n else ''},\n" for n in range(20))
    header = "order_id,customer_id,placed_at,shipped_at\n"
    guessed(tmp_path, {"orders.csv": f"{header}{rows}20,a,2024-01-06,2024-01-07\n"})
    (orders,) = load_sources(tmp_path / "sources.yml").sources.values()
    assert [rule.optional for rule in orders.events] == [False, True]
    reasons = [reason for _, reason in rejects(build_store(tmp_path))]
    assert reasons == ["no time: the column 'placed_at' is empty"]


def test_an_export_without_rows_says_why_it_is_left_out(tmp_path):
    guess = guessed(tmp_path, {"orders.csv": "order_id,customer_id,placed_at\n"})
    assert "  # to decide: the export has no rows\n  #  orders:" in guess.text
    assert guess.notes[-1] == "orders: left as a comment, the export has no rows"
