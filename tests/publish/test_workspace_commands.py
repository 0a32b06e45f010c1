"""`cxlib check` says what sources.yml makes of the exports, `cxlib init` writes a first one."""

import sqlite3
import sys

import pytest

from cxlib.build import build_store
from cxlib.errors import CxError
from cxlib.publish.cli import main
from tests.ingest.workspaces import ORDERS, write

GOOD = "order_id,account,at,amount\n1,a,2024-01-01,5\n2,b,2024-01-02,7.5\n3,,2024-01-02,1\n"


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the command line; give its code, what it printed, and its last word on errors."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["cxlib", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
        printed = capsys.readouterr()
        return int(stopped.value.code or 0), printed.out, printed.err

    return run


@pytest.mark.parametrize("command", ["init", "check"])
def test_each_command_has_help_with_an_example(run, command):
    code, out, _ = run(command, "--help")
    assert code == 0
    assert f"Example: cxlib {command}" in out


def test_check_counts_and_shows_events_and_builds_nothing(run, tmp_path):
    workspace = write(tmp_path, {"orders.csv": GOOD})
    code, out, _ = run("check", workspace)
    assert code == 0
    assert "orders          3          2          1  no customer: the column 'account'" in out
    assert "2024-01-01 00:00:00  placed_order  a  (orders)  5.00" in out
    assert not (workspace / "store").exists()


def test_check_looks_at_the_first_rows_alone(run, tmp_path):
    rows = "".join(f"{n},a,2024-01-01,1\n" for n in range(10_000))
    workspace = write(tmp_path, {"orders.csv": f"order_id,account,at,amount\n{rows}"})
    _, out, _ = run("check", workspace, "--rows", 50)
    assert "orders         50         50          0" in out


def test_check_reads_a_database_to_the_wanted_row(run, tmp_path):
    sources = ORDERS.replace("file: orders.csv", "database: shop.db\n        table: orders")
    workspace = write(tmp_path, {}, sources)
    with sqlite3.connect(workspace / "exports" / "shop.db") as con:
        con.execute("CREATE TABLE orders (order_id, account, at, amount)")
        rows = [(n, "a", "2024-01-01", 1) for n in range(90)]
        con.executemany("INSERT INTO orders VALUES (?, ?, ?, ?)", rows)
    code, out, _ = run("check", workspace, "--rows", 50)
    assert code == 0
    assert "orders         50         50          0" in out


@pytest.mark.parametrize(
    ("sources", "said"),
    [
        (ORDERS.replace("key: account", "kee: account"), "sources.yml line 7, sources.orders"),
        (ORDERS.replace("time: at", "time: when"), "no row of 'orders' can be used; the reasons"),
        (ORDERS.replace("orders.csv", "late.csv"), "no row of 'orders' can be used; the reasons"),
    ],
)
def test_check_exits_with_1_where_something_is_wrong(run, tmp_path, sources, said):
    code, _, err = run("check", write(tmp_path, {"orders.csv": GOOD}, sources))
    assert code == 1
    assert said in err.splitlines()[-1]


STATES = "order_id,account,at,amount,status\n" + "".join(
    f"{n},a,2024-01-{n + 1:02},1,{'paid' if n % 2 else 'open'}\n" for n in range(20)
)
MEANT = """
    name: shop
    sources:
      orders:
        file: orders.csv
        id: order_id
        customer: {key: account}
        events:
          - {touchpoint: placed_order, time: at}
          - {touchpoint: paid_order, time: at, when: {status: paid}}
"""


def taken_as_it_is(sources):
    """The same description, where a column may hold any touchpoint."""
    return sources.replace("touchpoint: placed_order", "touchpoint: {column: status}")


@pytest.mark.parametrize(
    ("sources", "said"),
    [
        (f"{MEANT}    personal: [acount]\n", "no column 'acount' that is personal in any export"),
        (
            MEANT.replace("id: order_id", "id: order_id\n        personal: [acount]"),
            "no column 'acount' that is personal in 'orders'; did you mean 'account' or",
        ),
        (f"{MEANT}    observed_until: 2024-01-10\n", "lies after observed_until"),
        (
            f"{MEANT}    spells: {{s: {{start: paid_oder}}}}\n",
            "for the spells 's'; did you mean 'paid_order'",
        ),
        (
            f"{MEANT}    spells: {{s: {{start: paid_order, columns: [statu]}}}}\n",
            "no column 'statu' that an event keeps with columns:, for the spells 's'",
        ),
        (
            f"{MEANT}    journeys: {{end: paid_oder}}\n",
            "for the journeys; did you mean 'paid_o",
        ),
        (f"{MEANT}    meaning: {{buys: paid}}\n", "no touchpoint 'paid' in any source"),
        (
            f"{MEANT}    checks: [{{name: x, agree: [{{source: orders, when: {{statu: paid}}}},"
            " {source: orders}]}]\n",
            "no column 'statu' in orders; did you mean 'status'?",
        ),
        (
            f"{MEANT}    checks: [{{name: x, source: orders, column: att,"
            " not_before: orders.at}]\n",
            "no column 'att' in orders; did you mean 'at'?",
        ),
    ],
)
def test_check_stops_at_what_a_build_would_stop_at(run, tmp_path, sources, said):
    workspace = write(tmp_path, {"orders.csv": STATES}, sources)
    code, _, err = run("check", workspace)
    assert code == 1
    assert said in err.splitlines()[-1]
    with pytest.raises(CxError) as stopped:
        build_store(workspace)
    assert said in str(stopped.value)


@pytest.mark.parametrize(
    ("sources", "said"),
    [
        (
            MEANT.replace("status: paid", "status: payed"),
            "orders: no row gives 'paid_order': 'status' is nowhere 'payed'; did you mean 'paid'?",
        ),
        (
            MEANT.replace("status: paid", "status: sent"),
            "'status' is nowhere 'sent'; there are 'open', 'paid'",
        ),
        (
            MEANT.replace("when: {status: paid}", "unless: {status: [paid, open]}"),
            "orders: no row gives 'paid_order', since none meets its when and unless",
        ),
        (
            MEANT.replace(
                "touchpoint: placed_order", "touchpoint: {column: status, map: {PAID: bought}}"
            ),
            "orders: 'status' is nowhere 'PAID'; did you mean 'paid'?",
        ),
        (
            taken_as_it_is(f"{MEANT}    journeys: {{start: payed}}\n"),
            "no row gives 'payed', which journeys: start names; did you mean 'paid'?",
        ),
        (
            taken_as_it_is(f"{MEANT}    spells: {{churn: {{start: left}}}}\n"),
            "no row gives 'left', which spells: churn names",
        ),
        (
            taken_as_it_is(f"{MEANT}    meaning: {{buys: bought}}\n"),
            "no row gives 'bought', which meaning names",
        ),
        (
            MEANT.replace(
                "touchpoint: placed_order",
                "touchpoint: {column: status, map: {open: placed_order}, other: reject}",
            ),
            "orders: 11 of 20 rows rejected, such as no touchpoint for 'status' = 'paid'",
        ),
    ],
)
def test_check_warns_of_what_looks_wrong_in_the_rows_that_it_sees(run, tmp_path, sources, said):
    rows = STATES.replace(",1,open", ",1,paid", 1)  # most rows are paid
    code, out, _ = run("check", write(tmp_path, {"orders.csv": rows}, sources))
    assert code == 0
    warnings = [line for line in out.splitlines() if line.startswith("warning: ")]
    assert said in warnings[0]
    assert out.splitlines()[-1].startswith(f"sources.yml can be built, with {len(warnings)} warn")


def test_check_is_content_with_a_description_that_is_right(run, tmp_path):
    code, out, _ = run("check", write(tmp_path, {"orders.csv": STATES}, MEANT))
    assert code == 0
    assert "warning" not in out
    assert out.splitlines()[-1] == "sources.yml is right"


def test_a_rule_whose_columns_may_be_lacking_is_no_warning(run, tmp_path):
    lenient = MEANT.replace("id: order_id", "id: order_id\n        may_lack: [status]")
    lenient = lenient.replace("status: paid", "status: sent")
    assert "warning" not in run("check", write(tmp_path, {"orders.csv": STATES}, lenient))[1]


def test_columns_of_json_lines_that_the_first_rows_lack_are_a_warning(run, tmp_path):
    lines = '{"order_id": 1, "account": "a", "at": "2024-01-01"}\n'
    sources = MEANT.replace("orders.csv", "orders.jsonl").replace(", when: {status: paid}", "")
    workspace = write(tmp_path, {"orders.jsonl": lines}, f"{sources}    personal: [phone]\n")
    assert run("check", workspace)[0] == 1
    code, out, _ = run("check", workspace, "--rows", 1)  # there may be more
    assert code == 0
    assert "warning: there is no column 'phone' that is personal in any export" in out


def test_what_further_rows_of_the_files_hold_is_no_warning(run, tmp_path):
    rows = STATES + "99,a,2024-02-01,1,refunded\n"
    sources = MEANT.replace("status: paid", "status: refunded")
    workspace = write(
        tmp_path, {"orders.csv": rows}, f"{sources}    meaning: {{buys: paid_order}}\n"
    )
    assert "warning" not in run("check", workspace, "--rows", 5)[1]
    taken = taken_as_it_is(f"{MEANT}    meaning: {{buys: refunded}}\n")
    taken = taken.replace("status: paid", "status: nothing")
    out = run("check", write(tmp_path, {"orders.csv": rows}, taken), "--rows", 5)[1]
    assert [line for line in out.splitlines() if line.startswith("warning")] == [
        "warning: orders: no row gives 'paid_order': 'status' is nowhere 'nothing'; "
        "there are 'open', 'paid'"
    ]


def test_check_says_where_no_source_has_events(run, tmp_path):
    sources = MEANT[: MEANT.index("        events:")]
    code, _, err = run("check", write(tmp_path, {"orders.csv": STATES}, sources))
    assert code == 1
    assert "no source has events; add events:" in err


def test_init_hides_no_column_of_an_export_that_it_leaves_out(run, tmp_path):
    (tmp_path / "users.csv").write_text(USERS)
    (tmp_path / "shops.csv").write_text("address,size\nRome,1\nBari,2\n")
    assert run("init", tmp_path)[0] == 0
    assert "personal: [birth_date, email]" in (tmp_path / "sources.yml").read_text()
    assert run("check", tmp_path, "--exports", tmp_path)[0] == 0


def test_check_exits_with_2_on_wrong_usage(run, tmp_path):
    assert run("check")[0] == 2
    assert run("check", tmp_path, "--rows", 0)[0] == 2


USERS = (
    "user_id,email,signup_date,plan,birth_date\n"
    "1,a@x.example,2024-01-03,pro,1980-01-01\n2,b@x.example,2024-01-05,basic,1990-05-05\n"
    "3,c@x.example,2024-02-05,basic,1991-05-05\n4,d@x.example,2024-02-06,pro,1985-01-09\n"
)
TICKETS = (
    "ticket_id;user_id;opened_at;closed_at;csat;comment\n"
    "7;1;03/02/2024 10:00;04/02/2024 11:00;5;Great\n8;2;13/02/2024 09:00;;;\n"
)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "exports").mkdir()
    for name, text in {"users.csv": USERS, "tickets.csv": TICKETS, "stock.csv": "sku\nA\n"}.items():
        (tmp_path / "exports" / name).write_text(text)
    return tmp_path


def test_init_writes_a_description_that_builds(run, folder):
    code, out, _ = run("init", folder)
    assert code == 0
    assert "users.csv: id user_id, customer email, times signup_date" in out
    assert "tickets.csv: id ticket_id, customer user_id of users" in out
    assert "stock: left as a comment, which column says whose the rows are" in out
    result = build_store(folder)
    events = result.snapshot.table("events").to_pandas()
    found = events.groupby("touchpoint")["customer_id"].count().to_dict()
    assert found == {"signed_up": 4, "opened_ticket": 2, "closed_ticket": 1}
    opened = events[events["touchpoint"] == "opened_ticket"]["occurred_at"].min()
    assert str(opened) == "2024-02-03 10:00:00"  # 13/02 tells that the day comes first
    assert events["sentiment"].max() == 1.0
    assert events["customer_id"].str.startswith("c_").all()  # e-mails are personal
    assert result.counts["rows_rejected"] == 0


def test_init_says_what_is_left_to_decide(run, folder):
    run("init", folder)
    text = (folder / "sources.yml").read_text()
    assert "personal: [birth_date, email]" in text
    assert "touchpoint: opened_ticket    # to decide" in text
    assert "  # to decide: which column says whose the rows are\n  #  stock:" in text
    assert "day or month first" not in text  # the rows tell


def test_init_never_overwrites_without_force(run, folder):
    (folder / "sources.yml").write_text("mine")
    code, _, err = run("init", folder)
    assert code == 1
    assert "already; write over it with --force" in err
    assert (folder / "sources.yml").read_text() == "mine"
    assert run("init", folder, "--force")[0] == 0
    assert (folder / "sources.yml").read_text() != "mine"


def test_init_recognises_a_vendor_by_its_columns(run, tmp_path):
    columns = "id,charge_id,amount,created,currency,reason,status,is_charge_refundable"
    folder = tmp_path / "payments"
    folder.mkdir()
    (folder / "disputes_2024.csv").write_text(
        f"{columns},evidence_details_due_by\ndu_1,ch_1,500,2024-01-05 10:00:00,eur,general,won,,\n"
    )
    (tmp_path / "users.csv").write_text(USERS)
    code, out, _ = run("init", tmp_path)  # the folder of the exports itself
    assert code == 0
    assert "Stripe in payments: dispute, by the preset stripe" in out
    assert f"cxlib check {tmp_path.as_posix()} --exports {tmp_path.as_posix()}" in out
    code, out, _ = run("check", tmp_path, "--exports", tmp_path)
    assert code == 0
    assert "disputed_payment" in out


def test_init_where_there_is_nothing_to_read_says_so(run, tmp_path):
    code, _, err = run("init", tmp_path)
    assert code == 1
    assert "there is no export in" in err
    assert run("init", tmp_path / "nowhere")[0] == 1


def test_check_without_a_description_names_init(run, tmp_path):
    code, _, err = run("check", tmp_path)
    assert code == 1
    assert "sources.yml'; it says what each export holds (cxlib init writes a first one)" in err


def test_check_after_init_could_use_nothing_says_that_no_source_is_described(run, tmp_path):
    (tmp_path / "exports").mkdir()
    (tmp_path / "exports" / "stock.csv").write_text("sku\nA\n")
    assert run("init", tmp_path)[0] == 0
    code, _, err = run("check", tmp_path)
    assert code == 1
    assert "sources: no source is described yet; describe one, or take away the #" in err
