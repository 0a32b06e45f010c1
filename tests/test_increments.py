"""A store brought up to date holds what a full build of the same exports holds."""

import json
import os
import random
import shutil
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from cxlib import event_log, increments
from cxlib.build import build_store
from cxlib.engine.store import Snapshot, current_snapshot
from cxlib.errors import CxError
from cxlib.increments import can_update
from cxlib.ingest import sources
from tests.ingest.workspaces import write

SOURCES = """
    name: shop
    {until}
    journeys: {{{journeys}}}
    text: {{calibrate: false}}
    sources:
      accounts:
        file: accounts*.csv
        id: id
        customer: {{key: email}}
        attributes: [plan]
        events: [{{touchpoint: signed_up, time: at, optional: true}}]
      orders:
        file: orders*.csv
        id: id
        customer: {{column: account, of: accounts}}
        events:
          - {{touchpoint: {{column: what}}, time: at, value: amount, text: said}}
          - {{touchpoint: got_help, time: at, when: {{what: ask}}}}
      web:
        file: web*.csv
        customer: {{key: email}}
        events: [{{touchpoint: visited, time: at}}]
"""
HEADS = {
    "accounts": "id,email,plan,at",
    "orders": "id,account,what,at,amount,said",
    "web": "email,at",
}


def tables(snapshot: Snapshot) -> dict[str, list[str]]:
    """Every table, its rows in an order of their own; numbers of customers and parts are left out.

    What a snapshot remembers of its customers (``cx_fingerprints``) is one of them.
    """
    con = duckdb.connect(snapshot.data.as_posix(), read_only=True)
    with con:
        names = [name for (name,) in con.execute("SHOW TABLES").fetchall()]
        found = {}
        for name in names:
            rows = con.table(name)
            kept = [column for column in rows.columns if column not in ("cx_customer", "cx_part")]
            quoted = ", ".join(f'"{column}"' for column in kept)
            found[name] = [str(kept), *sorted(map(repr, rows.project(quoted).fetchall()))]
    return found


def numbers_hold(snapshot: Snapshot) -> bool:
    """Whether each customer has one number, in all tables, and no two share one."""
    pairs = "SELECT customer_id, cx_customer FROM"
    every = " UNION ".join(f"{pairs} {name}" for name in ("events", "journeys", "cx_fingerprints"))
    count = "count(*), count(DISTINCT customer_id), count(DISTINCT cx_customer)"
    with duckdb.connect(snapshot.data.as_posix(), read_only=True) as con:
        [counts] = con.execute(f"SELECT {count} FROM ({every})").fetchall()
    return len(set(counts)) == 1


def check_same(workspace: Path, full: Path) -> dict:
    """Bring one store up to date, build the other anew, and hold them against each other."""
    updated = build_store(workspace).snapshot
    anew = build_store(
        full, sources=workspace / "sources.yml", exports=workspace / "exports", full=True
    ).snapshot
    ours, theirs = tables(updated), tables(anew)
    assert ours.keys() == theirs.keys()
    for name, rows in theirs.items():
        assert ours[name] == rows, name
    assert numbers_hold(updated)
    for name in ("observed_until", "counts", "inputs"):
        assert updated.meta[name] == anew.meta[name]
    return updated.meta


def export(folder: Path, name: str, rows: list[str]) -> None:
    head = HEADS[name.split("-")[0].split(".")[0]]
    (folder / "exports" / name).write_text("\n".join([head, *rows]) + "\n")


def start(folder: Path, journeys: str = "closes_after: 5 days", until: str = "") -> Path:
    return write(folder, {}, SOURCES.format(journeys=journeys, until=until))


ACCOUNTS = [f"{n},c{n}@shop.example,basic,2024-01-{n:02}" for n in range(1, 21)]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A shop of twenty customers, built."""
    folder = start(tmp_path_factory.mktemp("built") / "shop")
    export(folder, "accounts.csv", ACCOUNTS)
    orders = [f"o{n},{n},buy,2024-02-{n:02},5,Great service" for n in range(1, 21)]
    strange = ["o1,2,ask,2024-02-03,1,", "x,99,buy,2024-02-03,1,"]
    export(folder, "orders-1.csv", [*orders, "o21,2,ask,2024-02-03,1,", *strange])
    export(folder, "web.csv", ["c1@shop.example,2024-02-04"])
    build_store(folder)
    return folder


@pytest.fixture
def shop(built, tmp_path):
    """The shop to change."""
    return Path(shutil.copytree(built, tmp_path / "shop"))


@pytest.fixture(scope="module")
def numbered_built(tmp_path_factory):
    """A shop with numbered journeys: customer 1 made twelve, the nineteen others one each."""
    journeys = "split_after: 4 days, closes_after: 9 days"
    folder = start(tmp_path_factory.mktemp("numbered") / "shop", journeys)
    export(folder, "accounts.csv", [line.rsplit(",", 1)[0] + "," for line in ACCOUNTS])
    whats = ["buy", "ask", "return"]
    often = [
        f"a{n},1,{whats[n % 3]},2024-{1 + n // 2:02}-{1 + n % 2 * 15:02},5," for n in range(12)
    ]
    once = [f"o{n},{n},{whats[n % 3]},2024-06-{5 + n},5," for n in range(2, 21)]
    export(folder, "orders-1.csv", [*often, *once])
    export(folder, "web.csv", ["c2@shop.example,2024-06-07"])
    build_store(folder)
    return folder


@pytest.fixture
def numbered(numbered_built, tmp_path):
    """That shop to change."""
    return Path(shutil.copytree(numbered_built, tmp_path / "shop"))


def test_a_new_file_is_read_alone_and_touches_its_customers_only(shop, tmp_path, monkeypatch):
    read = []
    original = sources._read_input

    def spy(con, config, item, *rest):
        read.append(item.file)
        return original(con, config, item, *rest)

    export(shop, "orders-2.csv", ["o50,3,ask,2024-02-19,1,Bad", "o51,4,buy,2024-02-20,1,"])
    with monkeypatch.context() as patch:
        patch.setattr(sources, "_read_input", spy)
        build_store(shop)
    assert read == ["orders-2.csv"]
    meta = check_same(shop, tmp_path / "full")
    assert meta["built"] == "incremental"
    # Customer 3 signs up, buys, asks and gets help; customer 4 signs up and buys twice.
    assert meta["prepared_again"] == 4 + 3


def test_each_day_of_a_week_equals_a_full_build(shop, tmp_path):
    days = {
        "the cut-off moves": (
            "web.csv",
            ["c1@shop.example,2024-02-04", "c2@shop.example,2024-02-22"],
        ),
        "a late event": ("web.csv", ["c1@shop.example,2024-02-04", "c1@shop.example,2024-01-15"]),
        "a customer is deleted": ("accounts.csv", ACCOUNTS[1:]),
        "two customers are one": (
            "accounts.csv",
            [line.replace("3,c3@", "3,c2@") for line in ACCOUNTS[1:]],
        ),
        "ids stood before": ("orders-0.csv", ["o3,5,buy,2024-02-01,9,", "o4,4,buy,2024-02-01,9,"]),
    }
    for name, lines in days.values():
        export(shop, name, lines)
        check_same(shop, tmp_path / "full")
    (shop / "exports" / "orders-0.csv").unlink()
    check_same(shop, tmp_path / "full")


def test_what_is_believed_changes_with_what_records_say(shop, tmp_path):
    changed = [line.replace("basic", "pro") if line.startswith("4,") else line for line in ACCOUNTS]
    export(shop, "accounts.csv", [*changed, "21,c21@shop.example,pro,2024-02-03"])
    export(shop, "web.csv", ["c5@shop.example,2024-02-20", "new@shop.example,2024-02-20"])
    assert check_same(shop, tmp_path / "full")["built"] == "incremental"
    customers = current_snapshot(shop).table("customers")
    theirs = customers.filter(
        customers.customer_id.isin([f"c{n}@shop.example" for n in (4, 5, 21)])
    )
    assert theirs.order_by("customer_id").plan.to_list() == ["pro", "pro", "basic"]


def test_only_customers_of_rows_that_came_or_went_are_looked_at(shop, monkeypatch):
    looked_at = []
    original = increments.fingerprints_of

    def spy(parts):
        looked_at.append(sorted(parts[0].customer_id.to_list()))
        return original(parts)

    monkeypatch.setattr(increments, "fingerprints_of", spy)
    export(shop, "orders-2.csv", ["o50,3,ask,2024-02-19,1,Bad"])
    build_store(shop)
    # Customer 3 signed up, bought, asks now and gets help.
    [theirs] = looked_at
    assert len(set(theirs)) == 1
    assert len(theirs) == 4


def test_a_log_in_parts_is_the_log_as_a_whole(shop, tmp_path, monkeypatch):
    whole = build_store(shop, full=True).snapshot
    with monkeypatch.context() as patch:
        patch.setattr(event_log, "PART_ROWS", 10)
        parts = build_store(
            tmp_path / "parts", sources=shop / "sources.yml", exports=shop / "exports"
        )
    ours, theirs = tables(parts.snapshot), tables(whole)
    for name, rows in theirs.items():
        assert ours[name] == rows, name
    assert numbers_hold(parts.snapshot)
    last = parts.snapshot.con.table("cx_fingerprints").cx_part.max().execute()
    assert last > 1
    # Customers of a part stand together, in the order of their numbers.
    events = parts.snapshot.table("events")
    numbers = events.order_by(events.rowid()).cx_customer.to_list()
    assert numbers == sorted(numbers)
    assert {path.name for path in parts.snapshot.path.iterdir()} == {"data.duckdb", "meta.json"}


def test_a_part_holds_all_whose_journeys_share_an_id(tmp_path, monkeypatch):
    folder = write(
        tmp_path / "shop",
        {
            "visits.csv": "id,who,visit,at\n1,a,b/c,2024-01-01\n2,a/b,c,2024-01-02\n"
            "3,d,e,2024-01-03\n"
        },
        """
            name: shop
            journeys: {closes_after: 5 days}
            sources:
              visits:
                file: visits.csv
                id: id
                customer: {key: who}
                journey: visit
                events: [{touchpoint: visited, time: at}]
        """,
    )
    whole = build_store(folder).snapshot
    monkeypatch.setattr(event_log, "PART_ROWS", 1)
    parts = build_store(folder, full=True).snapshot
    ours, theirs = tables(parts), tables(whole)
    assert ours["journeys"] == theirs["journeys"]
    assert len(ours["journeys"]) == 1 + 3  # with the names of the columns


def test_parts_without_an_event_say_so_and_one_customer_is_one_part(shop, monkeypatch):
    monkeypatch.setattr(event_log, "PART_ROWS", 1)
    for path in (shop / "exports").iterdir():
        path.unlink()
    export(shop, "orders-1.csv", ["o1,1,buy,2024-02-03,5,Great"])
    export(shop, "accounts.csv", ["1,c1@shop.example,basic,"])
    assert build_store(shop).counts["events"] == 1
    export(shop, "orders-1.csv", ["o1,1,buy,never,5,Great"])
    with pytest.raises(CxError, match="no export gives a single event; most often"):
        build_store(shop)


def test_an_update_after_a_return_or_a_loss_equals_a_full_build(shop, tmp_path):
    web = ["c1@shop.example,2024-02-04"]
    first = build_store(shop).snapshot.id
    export(shop, "web.csv", [*web, "c2@shop.example,2024-02-05"])
    build_store(shop)
    export(shop, "web.csv", web)
    assert build_store(shop).snapshot.id == first
    # The rows that the current snapshot was made of were removed when the next one was built.
    export(shop, "web.csv", [*web, "c3@shop.example,2024-02-05"])
    assert check_same(shop, tmp_path / "full")["looked_at"] is None
    export(shop, "web.csv", [*web, "c4@shop.example,2024-02-05"])
    assert check_same(shop, tmp_path / "full")["looked_at"] == 3  # 1, 3 and 4
    for path in (shop / "store" / "staged").glob("*.parquet"):
        os.utime(path, ns=(0, 0))  # written again, by another build of the same exports
    export(shop, "web.csv", [*web, "c5@shop.example,2024-02-05"])
    assert check_same(shop, tmp_path / "full")["looked_at"] is None
    shutil.rmtree(shop / "store" / "staged")
    export(shop, "web.csv", [*web, "c6@shop.example,2024-02-05"])
    check_same(shop, tmp_path / "full")


def test_everyone_is_looked_at_where_a_preset_finds_other_tables(shop, tmp_path):
    # What its snapshot says of one that found no table web yet.
    meta = current_snapshot(shop).path / "meta.json"
    said = json.loads(meta.read_text())
    del said["files"]["files"]["web"]
    meta.write_text(json.dumps(said))
    export(shop, "web.csv", ["c3@shop.example,2024-02-05"])
    found = check_same(shop, tmp_path / "full")
    assert (found["built"], found["looked_at"]) == ("incremental", None)


def test_rows_of_an_export_that_was_replaced_are_not_kept(shop):
    export(shop, "orders-1.csv", ["o1,1,buy,2024-02-01,5,Lost at once"])
    build_store(shop)
    kept = [path.name for path in (shop / "store" / "staged").glob("*.parquet")]
    assert len([name for name in kept if not name.startswith("texts-")]) == 3


def test_an_export_may_have_columns_of_any_name(tmp_path):
    files = {
        "accounts.csv": "id,recorded_at,referred_at\n1,by phone,never\n2,by mail,ever\n",
        "orders.csv": "id,account,at\n7,1,2024-01-05\n8,1,2024-01-03\n",
    }
    text = """
        name: shop
        journeys: {closes_after: 5 days}
        sources:
          accounts:
            file: accounts.csv
            id: id
            customer: {key: id}
            attributes: [recorded_at, referred_at]
          orders:
            file: orders.csv
            id: id
            customer: {column: account, of: accounts}
            events: [{touchpoint: bought, time: at}]
    """
    store = build_store(write(tmp_path, files, text)).snapshot
    facts = store.table("facts").order_by("customer_id", "attribute").to_pandas()
    assert facts["value"].tolist() == ["by phone", "never", "by mail", "ever"]
    known = store.table("identities").order_by("record_id").recorded_at.to_list()
    assert known == [datetime(2024, 1, 3), None]


def test_a_journey_ends_when_the_cut_off_moves_past_its_silence(shop):
    def open_journeys():
        journeys = build_store(shop).snapshot.table("journeys")
        return journeys.filter(journeys.is_open).count().execute()

    assert open_journeys() == 6  # orders from 15 to 20 February
    export(shop, "web.csv", ["c1@shop.example,2024-02-04", "c2@shop.example,2024-02-22"])
    assert open_journeys() == 5  # from 17 February, and the visit


def test_a_new_touchpoint_or_description_writes_the_log_anew(shop):
    export(shop, "orders-2.csv", ["o50,3,return,2024-02-19,1,"])
    assert build_store(shop).snapshot.meta["built"] == "full"
    text = (shop / "sources.yml").read_text()
    (shop / "sources.yml").write_text(text.replace("got_help", "asked"))
    assert build_store(shop).snapshot.meta["built"] == "full"


def test_a_log_with_much_appended_is_written_anew(shop):
    assert can_update({"recipe": "r", "appended_share": 0.49}, "r")
    assert not can_update({"recipe": "r", "appended_share": 0.51}, "r")
    assert not can_update({"recipe": "r"}, "r")
    export(shop, "web.csv", ["c1@shop.example,2024-02-05"])
    # Three events of customer 1 were appended, of 43.
    assert build_store(shop).snapshot.meta["appended_share"] == pytest.approx(3 / 43)


def test_full_builds_again_what_is_there(shop):
    again = build_store(shop, full=True)
    assert not again.reused
    assert again.snapshot.meta["built"] == "full"
    assert again.snapshot.id.endswith("-full")
    # A third time, too; and a build that has nothing to do stays with the newest.
    third = build_store(shop, full=True).snapshot
    assert third.built_at > again.snapshot.built_at
    assert build_store(shop).snapshot.id == third.id


def test_customers_whose_journeys_could_share_an_id_are_all_prepared(tmp_path):
    folder = start(tmp_path / "shop")
    export(folder, "web.csv", [f"c{n}/x@shop.example,2024-02-04" for n in range(9)])
    build_store(folder)
    export(folder, "web.csv", [f"c{n}/x@shop.example,2024-02-04" for n in range(10)])
    assert build_store(folder).snapshot.meta["built"] == "full"


people = st.integers(1, 6)
days = st.integers(1, 28)
rows = st.fixed_dictionaries(
    {
        "accounts.csv": st.lists(
            st.tuples(people, people, st.sampled_from("ab"), days), max_size=6
        ),
        **{
            f"orders-{k}.csv": st.lists(
                st.tuples(
                    st.integers(1, 9), people, st.sampled_from(["buy", "ask"]), days,
                    st.sampled_from(["", "good", "bad", "lost"]),
                ),
                max_size=6,
            )
            for k in (1, 2)
        },
        "web.csv": st.lists(st.tuples(people, days), min_size=1, max_size=5),
    }
)  # fmt: skip


def put(folder: Path, state: dict) -> None:
    for path in (folder / "exports").iterdir():
        path.unlink()
    for name, found in state.items():
        if name.startswith("accounts"):
            lines = [f"{i},c{e}@shop.example,{p},2024-01-{d:02}" for i, e, p, d in found]
        elif name.startswith("orders"):
            lines = [f"{i},{a},{w},2024-01-{d:02},{i},{t}" for i, a, w, d, t in found]
        else:
            lines = [f"c{e}@shop.example,2024-01-{d:02}" for e, d in found]
        if lines or name == "web.csv":
            export(folder, name, lines)


@settings(
    max_examples=int(os.environ.get("CXLIB_EXAMPLES", "2")),
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],  # to shrink an example takes a hundred builds
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    first=rows,
    second=rows,
    journeys=st.sampled_from(["closes_after: 5 days", "split_after: 4 days", "end: [got_help]"]),
    seed=st.integers(0, 2**16),
)
def test_an_update_equals_a_full_build_row_for_row(tmp_path_factory, first, second, journeys, seed):
    folder = start(tmp_path_factory.mktemp("shop"), journeys)
    # Most customers stay as they are, so that there is something not to touch.
    web = [(100 + n, 1 + n % 20) for n in range(20)]
    first, second = ({**s, "web.csv": s["web.csv"] + web} for s in (first, second))
    put(folder, first)
    build_store(folder)
    changed = random.Random(seed).sample(sorted(first), 2)
    second = {name: (second if name in changed else first)[name] for name in first}
    put(folder, second)
    check_same(folder, tmp_path_factory.mktemp("full"))


later = st.lists(
    st.lists(
        st.tuples(
            people,
            st.sampled_from(["buy", "ask", "ask", "return"]),
            # Mostly after everything before, and now and then not.
            st.sampled_from([0, 1, 2, 3, 4, 5, 6, 7, -9]),
            st.sampled_from(["", "good", "bad"]),
        ),
        min_size=1,
        max_size=8,
    ),
    min_size=1,
    max_size=2,
)


@settings(
    max_examples=int(os.environ.get("CXLIB_EXAMPLES", "2")),
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],  # to shrink an example takes a hundred builds
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    days=later,
    journeys=st.sampled_from(
        [
            "split_after: 4 days, closes_after: 9 days",
            "end: [got_help], closes_after: 9 days",
            "start: [buy], split_after: 30 days",
        ]
    ),
)
def test_a_log_that_grew_is_the_log_as_a_whole(tmp_path_factory, days, journeys):
    folder = start(tmp_path_factory.mktemp("shop"), journeys)
    export(folder, "accounts.csv", ACCOUNTS)
    every = ["buy", "ask", "return", "ask"]
    first = [f"o{n},{n % 20 + 1},{every[n % 4]},2024-01-{n % 28 + 1:02},5,good" for n in range(60)]
    export(folder, "orders-0.csv", first)
    build_store(folder)
    full, n = tmp_path_factory.mktemp("full"), 100
    for number, events in enumerate(days):
        rows = []
        for who, what, day, text in events:
            n += 1
            at = datetime(2024, 2, 1) + timedelta(days=8 * number + day)
            rows.append(f"o{n},{who},{what},{at:%Y-%m-%d},{n},{text}")
        export(folder, f"orders-{number + 1}.csv", rows)
        assert check_same(folder, full)["built"] == "incremental"


def stored_ids(workspace: Path) -> pd.DataFrame:
    """Events as they stand in the file of the current snapshot."""
    snapshot = current_snapshot(workspace)
    events = snapshot.table("events")
    frame = events.order_by(events.rowid()).select("event_id", "customer_id").to_pandas()
    snapshot.con.disconnect()
    return frame


def test_what_came_is_added_and_no_event_before_is_written_again(numbered, tmp_path):
    before = stored_ids(numbered)["event_id"]
    # A journey goes on, another begins, one customer is late and one new; all others fall silent.
    rows = ["n1,20,ask,2024-06-26,1,", "n2,4,buy,2024-09-20,1,", "n3,5,buy,2024-06-07,1,"]
    export(numbered, "orders-2.csv", rows)
    export(numbered, "web.later.csv", ["nobody@shop.example,2024-07-01"])
    meta = check_same(numbered, tmp_path / "full")
    # These four, and who was last seen from 16 June on: 1 and 11 to 20.
    assert (meta["built"], meta["looked_at"]) == ("incremental", 14)
    # Of customer 5 both orders, of the others what came, with the help that was asked for.
    assert meta["appended_share"] == pytest.approx((2 + 4) / len(stored_ids(numbered)))
    now = stored_ids(numbered)
    late = now["customer_id"][now["event_id"] == "orders:n3:0"].iloc[0]
    staying = now["event_id"][now["customer_id"] != late].tolist()
    expected = [event for event in before if event in set(staying)]
    assert staying[: len(expected)] == expected
    assert len(staying) == len(expected) + 4


def test_who_has_two_journeys_that_end_at_once_is_prepared_whole(tmp_path):
    folder = start(tmp_path / "shop", "start: [buy], split_after: 30 days")
    export(folder, "accounts.csv", ACCOUNTS)
    twice = [f"o{n},1,buy,2024-02-01,5," for n in range(2)]
    others = [f"o{n},{n},buy,2024-02-0{n % 3 + 1},5," for n in range(2, 21)]
    export(folder, "orders-1.csv", [*twice, *others, "o30,1,ask,2024-01-15,1,"])
    build_store(folder)
    export(folder, "orders-2.csv", ["n1,1,ask,2024-02-05,1,", "n2,2,ask,2024-02-05,1,"])
    meta = check_same(folder, tmp_path / "full")
    # All seven of customer 1, with the help that was asked for; of customer 2 the last journey.
    assert (meta["built"], meta["prepared_again"]) == ("incremental", 7 + 3)


def test_journeys_are_numbered_on_beyond_the_tenth(numbered, tmp_path):
    days = {
        "orders-2.csv": ["n1,1,buy,2024-06-17,1,", "n2,1,ask,2024-07-17,1,"],
        "orders-3.csv": ["n3,1,ask,2024-07-18,1,", "n4,2,buy,2024-07-18,1,"],
        "orders-4.csv": ["n5,2,buy,2024-07-01,1,"],  # late, and nothing else
        "orders-5.csv": ["n6,2,buy,never,1,"],
    }
    for name, lines in days.items():
        export(numbered, name, lines)
        assert check_same(numbered, tmp_path / "full")["built"] == "incremental"
    journeys = current_snapshot(numbered).table("journeys")
    assert journeys.filter(journeys.journey_id.endswith("/13")).length.to_list() == [4]


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(["n1,1,leave,2024-07-17,1,"], id="a touchpoint is new"),
        pytest.param(["n1,1,ask,2024-07-17,1,Bad"], id="nobody wrote before"),
        pytest.param([f"n{n},{n},buy,2024-06-01,1," for n in range(3, 19)], id="most are late"),
        pytest.param([f"n{n},1,ask,2024-07-{n},1," for n in range(10, 28)], id="it grows by half"),
    ],
)
def test_a_log_to_which_nothing_can_be_added_is_written_whole(numbered, monkeypatch, lines):
    export(numbered, "orders-2.csv", lines)
    # Nor is anything compared before.
    monkeypatch.setattr(increments, "_write_again", None)
    assert build_store(numbered).snapshot.meta["built"] == "full"
