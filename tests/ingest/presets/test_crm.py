"""Salesforce and HubSpot, on tables as a connector lands them."""

import pytest

from tests.ingest.presets.exports import (
    build_preset,
    check_counts,
    event,
    hidden,
    reasons,
    recounted,
    times,
)

pytestmark = pytest.mark.shared
SALESFORCE = (
    *("account", "account_history", "contact", "lead", "opportunity", "order", "event", "task"),
)
HUBSPOT = (
    *("contact", "contact_form_submission", "email_event", "deal_contact", "deal", "deal_stage"),
    *("ticket_contact", "ticket", "engagement_contact", "engagement_call", "engagement_email"),
    "engagement_meeting",
)
LEFT_OUT = "left out: 'is_deleted' is 'true'"


@pytest.fixture(scope="module")
def salesforce(seeds, tmp_path_factory):
    folder = tmp_path_factory.mktemp("salesforce")
    return build_preset(folder, seeds, "salesforce", folder="salesforce")


@pytest.fixture(scope="module")
def hubspot(seeds, tmp_path_factory):
    return build_preset(tmp_path_factory.mktemp("hubspot"), seeds, "hubspot", folder="hubspot")


def test_every_row_of_salesforce_is_stored_or_rejected(salesforce, seeds):
    check_counts(salesforce, seeds / "salesforce", {t: f"sf_{t}_data.csv" for t in SALESFORCE})


def test_what_salesforce_deleted_is_left_out(salesforce):
    assert reasons(salesforce, "opportunity") == {LEFT_OUT: 10}
    assert reasons(salesforce, "account") == {LEFT_OUT: 9}


def test_salesforces_times_are_those_of_its_tables(salesforce, seeds):
    folder = seeds / "salesforce"
    assert times(salesforce, "placed_order") == recounted(
        folder / "sf_order_data.csv", "effective_date"
    )
    tasks = recounted(
        folder / "sf_task_data.csv", "activity_date", lambda row: bool(row["account_id"])
    )
    assert times(salesforce, "was_contacted") == tasks


def test_an_order_of_salesforce_is_read_field_by_field(salesforce):
    assert event(salesforce, "v_order:8011G000000XFePQAW") == {
        "customer_id": "v_account:0011G00000gY0y4QAC",
        "occurred_at": "2019-11-11 17:23:34",
        "touchpoint": "placed_order",
        "channel": "sales",
        "stage": "purchase",
        "department": "sales",
        "layer": "relationship",
        "owned": True,
        "order_number": "5393",
        "type": "New",
        "status": "Activated",
        "total_amount": "27998.6",
    }


def test_a_meeting_of_salesforce_is_read_field_by_field(salesforce):
    assert event(salesforce, "v_event:00U1G00000DEaypUAD") == {
        "customer_id": "v_account:0011G00000eLwuWQAS",
        "occurred_at": "2019-11-11 17:23:34",
        "touchpoint": "had_meeting",
        "channel": "meeting",
        "stage": "consideration",
        "department": "sales",
        "layer": "relationship",
        "owned": True,
        "type": "Call",
        "duration_in_minutes": "15",
    }


def test_a_lead_of_salesforce_is_its_account(salesforce):
    lead = event(salesforce, "v_lead:00Q1G00000nDnM5UAK:1")
    assert lead["customer_id"] == "v_account:0011G00000tLWKnQAO"
    assert (lead["touchpoint"], lead["status"]) == ("was_qualified", "Converted")
    assert lead["occurred_at"] == "2019-11-11 17:23:34"


def test_a_history_of_salesforce_says_since_when_a_fact_holds(salesforce):
    facts = salesforce.snapshot.table("facts").to_pandas()
    dated = facts[facts["source"] == "v_account_history"]
    assert dated[["customer_id", "attribute", "value"]].to_numpy().tolist() == [
        ["0015500000Xyy06AAB", "account_type", "ziZgHawN6hOLcpXwK3Ygpw=="]
    ]
    assert str(dated["valid_from"].iloc[0]) == "2019-10-17 21:10:19"


def test_a_word_of_the_user_takes_the_place_of_the_presets(seeds, tmp_path):
    tables = {"opportunity": {"leave_out": {}}}
    result = build_preset(
        tmp_path, seeds, "salesforce", folder="salesforce", only=["opportunity"], tables=tables
    )
    opportunities = seeds / "salesforce" / "sf_opportunity_data.csv"
    won = recounted(opportunities, "close_date", lambda row: row["is_won"] == "true")
    assert times(result, "signed_deal") == won
    lost = recounted(
        opportunities,
        "close_date",
        lambda row: row["is_won"] == "false" and row["is_closed"] == "true",
    )
    assert times(result, "turned_down_deal") == lost
    assert event(result, "v_opportunity:006q000000HddohAAB:1") == {
        "customer_id": "v_account:9CcfAt8qtZvCTwFvwOFLcg==",
        "occurred_at": "2018-12-19 00:00:00",
        "touchpoint": "signed_deal",
        "channel": "TDK+SgtPSM3Vk67zX9aeRA==",
        "stage": "purchase",
        "department": "sales",
        "layer": "relationship",
        "owned": True,
        "value": 24120000.0,
        "type": "+Gkf6SQ2fhAONAiFelNKVw==",
        "stage_name": "GavUFuuf4DrnQAoiRGlWpQ==",
    }


def test_every_row_of_hubspot_is_stored_or_rejected(hubspot, seeds):
    check_counts(hubspot, seeds / "hubspot", {table: f"{table}_data.csv" for table in HUBSPOT})


def test_hubspots_times_are_those_of_its_tables(hubspot, seeds):
    folder = seeds / "hubspot"
    opened = recounted(folder / "email_event_data.csv", "created", lambda r: r["type"] == "OPEN")
    assert times(hubspot, "opened_email") == opened
    tickets = folder / "ticket_data.csv"
    assert times(hubspot, "had_ticket_closed") == recounted(tickets, "property_closed_date")
    assert times(hubspot, "got_first_reply") == recounted(
        tickets, "property_first_agent_reply_date"
    )
    assert times(hubspot, "moved_deal_stage")[0] == 14  # hours without a zero before them too


def test_a_form_of_hubspot_is_read_field_by_field(hubspot):
    assert event(hubspot, "v_contact_form_submission:0000-000000001") == {
        "customer_id": "v_contact:001",
        "occurred_at": "2023-11-01 10:20:00",
        "touchpoint": "submitted_form",
        "channel": "web",
        "stage": "consideration",
        "department": "marketing",
        "layer": "relationship",
        "owned": True,
        "form_id": "123",
        "title": "Newsletter Signup",
    }


def test_an_email_of_hubspot_is_that_of_the_contact_with_the_address(hubspot):
    opened = event(hubspot, "v_email_event:0e442bf1-26be-3f07-8b50-5c02724ad803")
    assert opened == {
        "customer_id": hidden("o2wjpPyUfzBfq9OSt9I2NQ=="),
        "occurred_at": "2020-03-16 19:03:20.357000",
        "touchpoint": "opened_email",
        "channel": "email",
        "stage": "consideration",
        "department": "marketing",
        "layer": "relationship",
        "owned": True,
        "email_campaign_id": "2",
    }


def test_a_call_of_hubspot_is_that_of_its_contact(hubspot):
    assert event(hubspot, "v_engagement_call:19732910159") == {
        "customer_id": "v_contact:501",  # by engagement_contact
        "occurred_at": "2014-08-27 20:50:44.778000",
        "touchpoint": "had_call",
        "channel": "phone",
        "stage": "consideration",
        "department": "sales",
        "layer": "relationship",
        "owned": True,
    }
