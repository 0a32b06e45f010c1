"""Customers are named by a keyed hash; no personal value stands in a snapshot."""

import hashlib
import hmac
import stat
import sys
from pathlib import Path

import pytest

from cxlib.errors import CxError
from cxlib.ingest.keys import load_key, mark_of
from tests.ingest.test_linking import CRM, ORDERS, TWO_SYSTEMS
from tests.ingest.workspaces import build

SHOP = """
    name: shop
    personal: [account]
    sources:
      orders:
        file: orders.csv
        customer: {key: account}
        events: [{touchpoint: placed_order, time: at}]
"""
FILES = {"orders.csv": "account,at\nIda@example.com,2024-01-01\n"}


@pytest.fixture
def own_key(monkeypatch):
    monkeypatch.delenv("CXLIB_KEY")


def customer(result):
    return result.snapshot.table("customers").to_pandas()["customer_id"].tolist()


def test_a_customer_is_named_by_hmac_with_the_workspaces_key(tmp_path, own_key):
    name = customer(build(tmp_path, FILES, SHOP))
    key = load_key(tmp_path)
    made = hmac.new(key.encode(), b"ida@example.com", hashlib.sha256).hexdigest()
    assert name == ["c_" + made[:16]]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows knows no file modes")
def test_the_key_is_for_its_owner_alone_and_not_in_the_store(tmp_path, own_key):
    build(tmp_path, FILES, SHOP)
    path = tmp_path / "customers.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    secrets = (path.read_bytes().strip(), load_key(tmp_path).encode())
    for file in (tmp_path / "store").rglob("*"):
        assert file.is_dir() or not any(secret in file.read_bytes() for secret in secrets)


def test_another_key_gives_other_customers_and_another_snapshot(tmp_path, monkeypatch):
    first = build(tmp_path, FILES, SHOP)
    monkeypatch.setenv("CXLIB_KEY", "another key that is long enough for it")
    again = build(tmp_path, FILES, SHOP)
    assert customer(first) != customer(again)
    assert first.snapshot.id != again.snapshot.id


def test_a_lost_key_stops_the_build(tmp_path, own_key):
    build(tmp_path, FILES, SHOP)
    (tmp_path / "customers.key").unlink()
    with pytest.raises(CxError, match=r"customers.key' of this store's customer ids is gone; put"):
        build(tmp_path, FILES, SHOP)


def test_a_short_key_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("CXLIB_KEY", "short")
    with pytest.raises(CxError, match="in CXLIB_KEY has 5 characters; it needs at least 32"):
        load_key(tmp_path)


def test_without_anything_personal_no_key_is_made(tmp_path, own_key):
    build(tmp_path, FILES, SHOP.replace("personal: [account]", "timezone: UTC"))
    assert not (tmp_path / "customers.key").exists()


def test_a_mark_does_not_tell_the_key():
    assert mark_of("0" * 64) not in ("0" * 64)


def test_no_personal_value_stands_in_a_snapshot_rejects_included(tmp_path):
    orders = ORDERS + "    O9,Nobody Known,info@example.com,,2024-01-05\n"
    store = build(tmp_path, {"crm.csv": CRM, "orders.csv": orders}, TWO_SYSTEMS).snapshot
    assert len(store.table("rejects").to_pandas()) == 1
    content = b"".join(path.read_bytes() for path in Path(store.path).iterdir()).lower()
    # An engine may pack texts: ask the tables, too.
    for name in store.con.list_tables():
        content += store.con.table(name).to_pandas().to_csv().lower().encode()
    for value in ("ida", "lund", "example.com", "555-0101", "2025550101", "1980-01-12", "nobody"):
        assert value.encode() not in content, value
