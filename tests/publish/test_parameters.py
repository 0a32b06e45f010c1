"""Parameters: what is given is taken or refused, and a default that falls back says so."""

import warnings
from typing import Any

import pytest

from cxlib.errors import CxError, CxWarning
from cxlib.publish.parameters import (
    GIVEN,
    Parameter,
    ParameterError,
    available,
    fall_back,
    needed,
    read_parameters,
    used_values,
)

KNOWN = ["viewed_home", "placed_order"]


@pytest.mark.parametrize(
    ("default", "value", "kind"),
    [
        (8, "abc", "a whole number, such as 8"),
        (8, 2.5, "a whole number, such as 8"),
        (8, True, "a whole number, such as 8"),
        (8, None, "a whole number, such as 8"),
        (0.3, "a lot", "a number, such as 0.3"),
        ("60 days", 60, "text, such as 60 days"),
        (["research"], 3, r"a list, such as \[research\]"),
        ({"topic": ["price"]}, "topic", r"names with values, such as {topic: \[price\]}"),
    ],
)
def test_a_value_of_another_type_is_refused_by_its_name(
    default: Any, value: Any, kind: str
) -> None:
    with pytest.raises(ParameterError, match=rf"^parameter keep: .+, and it takes {kind}$"):
        Parameter("keep", default).take(value)


@pytest.mark.parametrize(
    ("default", "value", "taken"),
    [
        (8, 3, 3),
        (0.3, 1, 1),
        (None, "anything", "anything"),
        (["research"], "sales", ["sales"]),
        ("signed_up", "placed_order", "placed_order"),
    ],
)
def test_a_value_of_the_same_type_is_taken(default: Any, value: Any, taken: Any) -> None:
    assert Parameter("keep", default).take(value) == taken


def test_a_day_that_yaml_read_becomes_text() -> None:
    import datetime

    assert Parameter("day", "2024-03-01").take(datetime.date(2024, 5, 1)) == "2024-05-01"
    assert Parameter("as_of", None).take(datetime.date(2024, 5, 1)) == "2024-05-01"


def test_none_is_taken_where_the_note_says_what_it_means() -> None:
    assert Parameter("contract", "annual", "which have terms; None: all").take(None) is None


def test_parameters_are_read_with_the_comments_beside_them() -> None:
    found = read_parameters('a = ["x",\n     "y"]  # two of them\nb = "# no comment"\n')
    assert found["a"] == Parameter("a", ["x", "y"], "two of them")
    assert found["b"] == Parameter("b", "# no comment", "")


def test_a_parameter_is_listed_as_p_takes_it() -> None:
    import yaml

    for value in (["a", "b"], {"opening": "09:00", "closing": "17:00"}, None, 0.3, "2024-03-01"):
        name, _, text = Parameter("one", value).line.partition("=")
        assert (name, yaml.safe_load(text)) == ("one", value)


@pytest.mark.parametrize("take", [available, needed])
def test_a_given_name_that_the_data_lack_is_an_error_with_close_names(
    take: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(GIVEN, "workspace,around")
    said = "^parameter around: there is no touchpoint 'placed_ordr'; did you mean 'placed_order'"
    with pytest.raises(ParameterError, match=said):
        take("around", "placed_ordr", KNOWN)
    with pytest.raises(ParameterError, match=said):
        take("around", ["viewed_home", "placed_ordr"], KNOWN)
    assert take("around", "placed_order", KNOWN) == "placed_order"


def test_a_default_that_the_data_lack_falls_back_and_says_so() -> None:
    with pytest.warns(
        CxWarning, match="no touchpoint 'used_chatbot', so that around is 'viewed_home'"
    ):
        assert available("around", "used_chatbot", KNOWN, instead="viewed_home") == "viewed_home"
    with pytest.warns(CxWarning, match="so that end is not used here; set another by -p end=TOUCH"):
        assert available("end", "cancelled", KNOWN) is None


def test_of_a_default_list_those_are_used_that_are_there() -> None:
    with pytest.warns(CxWarning, match="no touchpoint 'called' or 'wrote', so that opens is 'vi"):
        assert available("opens", ["called", "viewed_home", "wrote"], KNOWN) == ["viewed_home"]
    with pytest.warns(CxWarning, match="no touchpoint 'called', so that opens is not used here"):
        assert available("opens", ["called"], KNOWN) == []
    with pytest.warns(CxWarning, match="so that start is 'viewed_home' here"):
        assert needed("start", ["called", "viewed_home"], KNOWN) == ["viewed_home"]


def test_what_is_needed_and_not_there_says_which_parameter_to_set() -> None:
    with pytest.raises(CxError, match=r"no touchpoint 'bought_extra'.+ -p purchases=TOUCHPOINT$"):
        needed("purchases", "bought_extra", KNOWN)


def test_nothing_is_said_of_what_is_there_or_not_asked_for() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert available("by", None, KNOWN) is None
        assert needed("end", "placed_order", KNOWN) == "placed_order"


def test_a_given_value_never_falls_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(GIVEN, "day")
    with pytest.raises(ParameterError, match=r"^parameter day: no journey began before it$"):
        fall_back("day", "no journey began before it", "2024-03-01")


def test_what_a_name_holds_besides_plain_values_is_left_out() -> None:
    assert used_values({"keep": 3, "log": object()}, ["keep", "log"]) == '{"keep": 3}'
