"""Mixpanel, Amplitude, GA4, Klaviyo and Marketo, on tables as a connector lands them."""

import pytest

from tests.ingest.presets.exports import (
    build_preset,
    check_counts,
    event,
    hidden,
    recounted,
    rows_of,
    times,
)

pytestmark = pytest.mark.shared
MARKETO = (
    *("lead", "activity_email_delivered", "activity_open_email", "activity_click_email"),
    *("activity_email_bounced", "activity_unsubscribe_email"),
)
PRODUCT = {"stage": "service", "department": "product", "layer": "product", "owned": True}
MAIL = {"channel": "email", "stage": "consideration", "department": "marketing"}
MAIL |= {"layer": "relationship", "owned": True}


@pytest.fixture(scope="module")
def mixpanel(seeds, tmp_path_factory):
    return build_preset(tmp_path_factory.mktemp("mixpanel"), seeds, "mixpanel", folder="mixpanel")


@pytest.fixture(scope="module")
def amplitude(seeds, tmp_path_factory):
    folder = tmp_path_factory.mktemp("amplitude")
    return build_preset(folder, seeds, "amplitude", folder="amplitude")


@pytest.fixture(scope="module")
def ga4(seeds, tmp_path_factory):
    return build_preset(tmp_path_factory.mktemp("ga4"), seeds, "ga4", folder="ga4_export")


@pytest.fixture(scope="module")
def klaviyo(seeds, tmp_path_factory):
    return build_preset(tmp_path_factory.mktemp("klaviyo"), seeds, "klaviyo", folder="klaviyo")


@pytest.fixture(scope="module")
def marketo(seeds, tmp_path_factory):
    return build_preset(tmp_path_factory.mktemp("marketo"), seeds, "marketo", folder="marketo")


def test_mixpanels_events_are_counted_and_timed(mixpanel, seeds):
    check_counts(mixpanel, seeds / "mixpanel", {"event": "event.csv"})
    known = recounted(
        seeds / "mixpanel" / "event.csv", "time", lambda row: row["name"] == "playthrough_25"
    )
    assert times(mixpanel, "playthrough_25") == known


@pytest.mark.parametrize(
    ("key", "who", "at", "touchpoint"),
    [
        (
            "k4G7CSSjxr2mRtBxpVCxKHx+E8c=",
            "9e308c27-42ab-57af-beef-555708cde092",
            "2020-08-01 10:16:46",
            "plays",
        ),
        (
            "tUc30K5Umuk03m8f3Vo3Np0uCAB=",
            "622b169c-2187-5121-85e6-e5960b2512e3",
            "2024-02-02 08:58:02",
            "playthrough_25",
        ),
        (
            "tUc30K5Umuk03m8f3Vo3Np0uCAT=",
            "622b169c-2187-5121-85e6-e5960b2512e7",
            "2025-02-27 08:58:02",
            "playthrough_30",
        ),
    ],
)
def test_an_event_of_mixpanel_is_read_field_by_field(mixpanel, key, who, at, touchpoint):
    assert event(mixpanel, f"v_event:{key}") == {
        "customer_id": hidden(who),
        "occurred_at": at,
        "touchpoint": touchpoint,
        **PRODUCT,
    }


def test_amplitudes_events_are_counted_and_timed(amplitude, seeds):
    file = "amplitude_event_data.csv"
    check_counts(amplitude, seeds / "amplitude", {"event": file})
    known = recounted(
        seeds / "amplitude" / file,
        "event_time",
        lambda row: row["event_type"] == "watch_test_amplitude_2",
    )
    assert times(amplitude, "watch_test_amplitude_2") == known


@pytest.mark.parametrize(
    ("key", "who", "at", "touchpoint", "country"),
    [
        (
            "f4d527be-fe98-11e8-a527-0205484b2e0a",
            "dev@gmail.com",
            "2025-03-01 19:42:58.123000",
            "watch_test_amplitude",
            "United States",
        ),
        (
            "78074804-fd5b-11e8-b16c-06156bbf6680",
            "rihanna@gmail.com",
            "2025-02-11 19:42:58.123000",
            "watch_test_amplitude_3",
            "India",
        ),
        (
            "4d9ef78c-fe9c-11e8-8f72-06d118d38c1c",
            "john_doe@gmail.com",
            "2025-02-10 05:51:07",
            "test_event_01",
            "United States",
        ),
    ],
)
def test_an_event_of_amplitude_is_read_field_by_field(amplitude, key, who, at, touchpoint, country):
    assert event(amplitude, f"v_event:{key}") == {
        "customer_id": hidden(who),
        "occurred_at": at,
        "touchpoint": touchpoint,
        "session_id": "-1",
        "country": country,
        **PRODUCT,
    }


def test_ga4s_events_are_counted_and_timed(ga4, seeds):
    check_counts(ga4, seeds / "ga4_export", {"event": "event_data.csv"})
    file = seeds / "ga4_export" / "event_data.csv"
    for name, touchpoint in (("purchase", "bought"), ("checkout", "checkout")):
        known = recounted(file, "timestamp", lambda row, name=name: row["name"] == name)
        assert times(ga4, touchpoint) == known


def test_three_events_of_ga4_are_read_field_by_field(ga4):
    page = {"stage": "consideration", "department": "marketing", "layer": "product", "owned": True}
    assert event(ga4, "v_event:1:1") == {
        **page,
        "customer_id": hidden("user_123"),
        "occurred_at": "2024-09-10 12:35:00",
        "touchpoint": "bought",
        "channel": "web",
        "stage": "purchase",
        "value": 29.99,
        "currency": "USD",
        "param_ga_session_id": "session_123",
        "traffic_source_medium": "organic",
        "device_category": "desktop",
    }
    assert event(ga4, "v_event:2:0") == {
        **page,
        "customer_id": hidden("user_456"),
        "occurred_at": "2024-09-10 12:40:00",
        "touchpoint": "added_to_cart",
        "channel": "app",
        "param_ga_session_id": "session_456",
        "traffic_source_medium": "paid_search",
        "device_category": "mobile",
    }
    assert event(ga4, "v_event:3:0") == {
        **page,
        "customer_id": hidden("user_789"),
        "occurred_at": "2024-09-10 12:45:00",
        "touchpoint": "scrolled_page",
        "channel": "web",
        "param_ga_session_id": "session_789",
        "device_category": "tablet",
    }


def test_klaviyos_rows_are_counted_and_timed(klaviyo, seeds):
    folder = seeds / "klaviyo"
    check_counts(klaviyo, folder, {"person": "person.csv", "event": "event.csv"})
    assert times(klaviyo, "became_contact") == recounted(folder / "person.csv", "created")
    emails = recounted(
        folder / "event.csv", "datetime", lambda row: row["type"] == "Received Email"
    )
    assert times(klaviyo, "got_email") == emails


def test_three_events_of_klaviyo_are_read_field_by_field(klaviyo):
    assert event(klaviyo, "v_event:3gBNHPGp:0") == {
        "customer_id": "v_person:MCX88q",
        "occurred_at": "2020-04-05 20:02:45",
        "touchpoint": "got_email",
        "campaign_id": "ZZ7re",
        **MAIL,
    }
    assert event(klaviyo, "v_event:4gBNHPJn:1") == {
        **MAIL,
        "customer_id": "v_person:LRqEsZ",
        "occurred_at": "2020-04-05 20:02:43",
        "touchpoint": "placed_order",
        "channel": "shop",
        "stage": "purchase",
        "layer": "product",
    }
    assert event(klaviyo, "v_person:01F35SYVPX6MS88ARK37864GJX") == {
        **MAIL,
        "customer_id": hidden("nobody@hotmail.com"),
        "occurred_at": "2021-04-13 14:25:27",
        "touchpoint": "became_contact",
        "stage": "awareness",
    }


def test_klaviyos_facts_say_since_when(klaviyo):
    facts = klaviyo.snapshot.table("facts").to_pandas().set_index(["record_id", "attribute"])
    consent = facts.loc[("01F366M1ZERT4HM2Z9R2V9G7BY", "marketing_consent")]
    assert (consent["value"], str(consent["valid_from"])) == ("no", "2021-04-13 18:09:10")


def test_klaviyos_events_are_found_under_their_other_name(seeds, tmp_path):
    words = {"only": ["event"], "tables": {"event": {"file": "event_norename.csv"}}}
    result = build_preset(tmp_path, seeds, "klaviyo", folder="klaviyo", **words)
    check_counts(result, seeds / "klaviyo", {"event": "event_norename.csv"})
    assert event(result, "v_event:3gBNHPGp:0")["touchpoint"] == "got_email"


def test_marketos_rows_are_counted_and_timed(marketo, seeds):
    folder = seeds / "marketo"
    check_counts(marketo, folder, {table: f"marketo_{table}_data.csv" for table in MARKETO})
    clicks = folder / "marketo_activity_click_email_data.csv"
    assert times(marketo, "clicked_email") == recounted(clicks, "activity_date")
    assert times(marketo, "became_lead") == recounted(
        folder / "marketo_lead_data.csv", "created_at"
    )


def test_three_events_of_marketo_are_read_field_by_field(marketo):
    assert event(marketo, "v_activity_click_email:58851192") == {
        "customer_id": "v_lead:1124755",
        "occurred_at": "2020-04-30 08:05:11",
        "touchpoint": "clicked_email",
        "campaign_id": "2522",
        "email_template_id": "1810",
        **MAIL,
    }
    assert event(marketo, "v_activity_email_bounced:68227571") == {
        "customer_id": "v_lead:1137978",
        "occurred_at": "2020-05-08 17:45:53",
        "touchpoint": "had_email_bounce",
        "campaign_id": "2681",
        "category": "1",
        "subcategory": "1999",
        **MAIL,
    }
    assert event(marketo, "v_lead:1031229") == {
        **MAIL,
        "customer_id": hidden("first_last_001@email.com"),
        "occurred_at": "2019-12-29 08:15:15",
        "touchpoint": "became_lead",
        "channel": "web",
        "stage": "awareness",
    }


def test_marketos_byte_order_marks_are_no_part_of_a_name(seeds):
    file = seeds / "marketo" / "marketo_activity_click_email_data.csv"
    assert file.read_bytes()[:3] == b"\xef\xbb\xbf"
    assert "activity_date" in rows_of(file)[0]
