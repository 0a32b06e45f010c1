"""Zendesk, Jira and Qualtrics, on tables as a connector lands them."""

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
from tests.ingest.workspaces import write

pytestmark = pytest.mark.shared
ZENDESK = (
    *("user", "ticket", "ticket_field_history", "ticket_comment", "ticket_chat"),
    "ticket_chat_event",
)
QUALTRICS = ("directory_contact", "distribution_contact", "survey_response", "question_response")


@pytest.fixture(scope="module")
def zendesk(seeds, tmp_path_factory):
    return build_preset(tmp_path_factory.mktemp("zendesk"), seeds, "zendesk", folder="zendesk")


@pytest.fixture(scope="module")
def jira(seeds, tmp_path_factory):
    return build_preset(tmp_path_factory.mktemp("jira"), seeds, "jira", folder="jira")


@pytest.fixture(scope="module")
def qualtrics(seeds, tmp_path_factory):
    folder = tmp_path_factory.mktemp("qualtrics")
    return build_preset(folder, seeds, "qualtrics", folder="qualtrics")


def test_every_row_of_zendesk_is_stored_or_rejected(zendesk, seeds):
    check_counts(zendesk, seeds / "zendesk", {table: f"{table}_data.csv" for table in ZENDESK})
    assert reasons(zendesk, "user") == {"left out: 'role' is 'agent'": 1}
    assert reasons(zendesk, "ticket") == {"left out: 'status' is 'deleted'": 2}


def test_zendesks_times_are_those_of_its_tables(zendesk, seeds):
    folder = seeds / "zendesk"
    assert times(zendesk, "opened_ticket") == recounted(
        folder / "ticket_data.csv", "created_at", lambda row: row["status"] != "deleted"
    )
    history = folder / "ticket_field_history_data.csv"
    for said, touchpoint in {
        "solved": "had_ticket_solved",
        "on-hold": "had_ticket_put_on_hold",
    }.items():
        known = recounted(
            history,
            "updated",
            lambda row, said=said: row["field_name"] == "status" and row["value"] == said,
        )
        assert times(zendesk, touchpoint) == known


def test_a_ticket_of_zendesk_is_read_field_by_field(zendesk):
    ticket = event(zendesk, "v_ticket:11071")
    assert ticket == {
        "customer_id": hidden("example@email.com"),  # by the user 2222
        "occurred_at": "2020-08-28 18:06:36",
        "touchpoint": "opened_ticket",
        "channel": "email",
        "stage": "service",
        "department": "support",
        "layer": "relationship",
        "owned": True,
        "sentiment": 0.0,  # a text without mood
        "sentiment_from": "text",
        "priority": "urgent",
        "group_id": "360006965034",
    }


def test_a_change_of_a_ticket_is_read_field_by_field(zendesk):
    assert event(zendesk, "v_ticket_field_history:0000-000000004") == {
        "customer_id": hidden("example@email.com"),
        "occurred_at": "2020-08-29 11:01:27",
        "touchpoint": "was_asked_for_reply",
        "channel": "support desk",
        "stage": "service",
        "department": "support",
        "layer": "relationship",
        "owned": True,
        "ticket_id": "11071",
    }


def test_a_message_in_a_chat_is_that_of_its_ticket(zendesk):
    assert event(zendesk, "v_ticket_chat_event:0000-000000001") == {
        "customer_id": "v_ticket:45",
        "occurred_at": "2023-12-12 11:20:28.994000",
        "touchpoint": "exchanged_chat_message",
        "channel": "chat",
        "stage": "service",
        "department": "support",
        "layer": "relationship",
        "owned": True,
    }


def test_every_row_of_jira_is_stored_or_rejected(jira, seeds):
    files = {"user": "user.csv", "issue": "issue.csv", "comment": "comment_redshift.csv"}
    check_counts(jira, seeds / "jira", {**files, "issue_field_history": "issue_field_history.csv"})


def test_jiras_times_are_those_of_its_tables(jira, seeds):
    issues = seeds / "jira" / "issue.csv"
    assert times(jira, "reported_issue") == recounted(issues, "created")
    assert times(jira, "had_issue_resolved") == recounted(issues, "resolved")


def test_three_events_of_jira_are_read_field_by_field(jira):
    support = {"channel": "service desk", "stage": "service", "department": "support"}
    support |= {"layer": "relationship", "owned": True}
    reported = {"touchpoint": "reported_issue", "issue_type": "10103", "priority": "3"}
    issue = event(jira, "v_issue:10018:0")
    assert issue == {
        "customer_id": "v_user:557058:a9572f6a-3041-435a-96ed-5286e3811b33",
        "occurred_at": "2020-11-10 19:11:45",
        "project": "10005",
        **reported,
        **support,
    }
    assert event(jira, "v_issue:10018:1") == {
        **issue,
        "occurred_at": "2020-11-28 19:11:45",
        "touchpoint": "had_issue_resolved",
    }
    assert event(jira, "v_comment:10001") == {
        "customer_id": "v_issue:10025",
        "occurred_at": "2020-11-10 19:19:41.224000",
        "touchpoint": "exchanged_comment",
        "issue_id": "10025",
        **support,
    }


def test_every_row_of_qualtrics_is_stored_or_rejected(qualtrics, seeds):
    check_counts(qualtrics, seeds / "qualtrics", {table: f"{table}.csv" for table in QUALTRICS})


def test_qualtrics_times_are_those_of_its_tables(qualtrics, seeds):
    invitations = seeds / "qualtrics" / "distribution_contact.csv"
    assert times(qualtrics, "got_survey_invitation") == recounted(invitations, "sent_at")
    assert times(qualtrics, "opened_survey_invitation") == recounted(invitations, "opened_at")
    responses = seeds / "qualtrics" / "survey_response.csv"
    assert times(qualtrics, "started_survey") == recounted(responses, "start_date")


def test_three_events_of_qualtrics_are_read_field_by_field(qualtrics):
    asked = {"stage": "service", "department": "research", "layer": "relationship", "owned": True}
    invitation = {
        "customer_id": "v_directory_contact:CID_4NG7JC9R7VTmHYi",
        "channel": "email",
        "distribution_id": "EMD_Q8AiTuBzgLZsODX",
        **asked,
    }
    assert event(qualtrics, "v_distribution_contact:0000-000000001:0") == {
        **invitation,
        "occurred_at": "2023-03-28 07:17:14.896000",
        "touchpoint": "got_survey_invitation",
    }
    assert event(qualtrics, "v_distribution_contact:0000-000000001:1") == {
        **invitation,
        "occurred_at": "2023-03-28 07:41:58",
        "touchpoint": "opened_survey_invitation",
    }
    assert event(qualtrics, "v_survey_response:R_2DUphVbjGZGkvkg:0") == {
        "customer_id": "v_survey_response:R_2DUphVbjGZGkvkg",  # nobody was asked by name
        "occurred_at": "2022-10-17 10:50:36",
        "touchpoint": "started_survey",
        "channel": "anonymous",
        "survey_id": "SV_6Jcja72TpOiHjdX",
        **asked,
    }


def test_a_question_that_asks_for_a_score_is_named_by_the_user(tmp_path):
    files = {
        "survey_response.csv": "id,start_date,recorded_date,finished,recipient_email,survey_id\n"
        "R1,2024-05-01 10:00:00,2024-05-01 10:02:00,1,a@x.example,SV1\n",
        "question_response.csv": "response_id,question_id,question_option_key,value,text\n"
        "R1,QID7,,10,\nR1,QID8,,,Great service!\n",
    }
    workspace = write(tmp_path, files)
    asked = {"time": "recorded_date", "touchpoint": "answered_survey_question"}
    tables = {
        "question_response": {
            "events": [
                {
                    **asked,
                    "when": {"question_id": "QID7"},
                    "score": {"column": "value", "scale": "nps"},
                },
                {**asked, "when": {"question_id": "QID8"}, "text": "text"},
            ]
        }
    }
    result = build_preset(workspace, workspace / "exports", "qualtrics", tables=tables)
    score = event(result, "v_question_response:0000-000000001:0")
    assert (score["sentiment"], score["sentiment_from"]) == (1.0, "score")
    assert score["customer_id"] == hidden("a@x.example")
    assert score["occurred_at"] == "2024-05-01 10:02:00"
    assert event(result, "v_question_response:0000-000000002:1")["sentiment"] > 0
