"""Journey maps: what they may say, and what is said of a mistake."""

from datetime import timedelta
from textwrap import dedent

import pytest
from pydantic import ValidationError

from cxlib.errors import CxError
from cxlib.journeys.maps import JourneyMap, load_journey_map

GOOD = """
    name: Becoming a customer
    stages:
      - stage: choose
        target_time: 14 days
        target_sentiment: 0.2
        steps:
          - visited
          - any_order:
              - compared
              - {touchpoint: read_reviews, optional: true}
      - stage: buy
        steps:
          - one_of: [called, wrote]
            channels: [phone, email]
            departments: sales
            target_time: 36 hours
          - touchpoint: paid
            optional: true
            target_sentiment: -0.5
"""


def written(folder, text):
    path = folder / "map.yml"
    path.write_text(dedent(text), encoding="utf-8")
    return path


def test_a_map_says_what_its_file_says(tmp_path):
    plan = load_journey_map(written(tmp_path, GOOD))
    frame = plan.frame()
    assert plan.stage_names == ["choose", "buy"]
    assert frame["touchpoint"].tolist() == [
        "visited", "compared", "read_reviews", "called or wrote", "paid",
    ]  # fmt: skip
    assert frame["step"].tolist() == [1, 2, 2, 3, 4]
    assert frame["any_order"].tolist() == [False, True, True, False, False]
    assert frame["optional"].tolist() == [False, False, True, False, True]
    assert frame.loc[3, ["channels", "departments"]].tolist() == ["phone, email", "sales"]
    assert frame.loc[3, "target_hours"] == 36
    assert frame["stage_target_hours"].isna().tolist() == [False, False, False, True, True]
    assert frame.loc[4, "target_sentiment"] == -0.5
    assert plan.stage_of["wrote"] == "buy"
    assert plan.label_of["wrote"] == "called or wrote"
    assert repr(plan) == (
        "JourneyMap('Becoming a customer': choose → buy; 4 steps, 1 of them optional)"
    )


def test_a_map_written_and_read_again_is_the_same(tmp_path):
    plan = load_journey_map(written(tmp_path, GOOD))
    again = load_journey_map(written(tmp_path, plan.to_yaml()))
    assert again == plan
    assert "target_time: 36 hours" in plan.to_yaml()
    assert "target_time: 2 weeks" in plan.to_yaml()


@pytest.mark.parametrize("seconds", [0.5, 90, 3_600, 86_400, 5 * 604_800])
def test_target_times_of_any_length_are_read_back(tmp_path, seconds):
    stage = {"stage": "all", "steps": ["a"], "target_time": timedelta(seconds=seconds)}
    plan = JourneyMap(name="x", stages=[stage])
    assert load_journey_map(written(tmp_path, plan.to_yaml())) == plan


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("name: Becoming", "nam: Becoming", "map.yml line 2, nam: the word 'nam' means nothing"),
        ("target_time: 14 days", "target_time: 14", "line 5.*the span 14 has no unit"),
        ("target_time: 14 days", "target_time: 0 days", "line 5.*of 0 cannot be met"),
        ("target_sentiment: 0.2", "target_sentiment: 7", "line 6.*less than or equal to 1"),
        ("- visited", "- (end)", "line 8.*no touchpoint may be called '\\(end\\)'"),
        ("- visited", "- paid", "'paid' stands in two stages, 'choose' and 'buy'; keep it in one"),
        ("- visited", "- {optional: true}", "line 8.*give exactly one of touchpoint, one_of and"),
        ("one_of: [called, wrote]", "one_of: [called]", "line 14.*one_of needs two touchpoints"),
        ("touchpoint: read_reviews", "touchpoint: compared", "line 9.*stands twice in one any_or"),
        ("- stage: buy", "- stage: choose", "a stage stands twice; keep it once"),
        ("- visited", "- {any_order: [a, b], optional: true}", "'optional' stands at the steps"),
        ("- visited", "- any_order: [a]", "any_order holds 2 to 8 steps; split the group"),
        ("touchpoint: paid", "touchpoint: called", "'called' is one of several in one step and"),
        ("- visited", "visited: [", "map.yml line"),
        (
            "name: Becoming a customer",
            "name: x\n    name: y",
            "line 3: the word 'name' stands twi",
        ),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path, old, new, message):
    assert old in GOOD
    with pytest.raises(CxError, match=message):
        load_journey_map(written(tmp_path, GOOD.replace(old, new)))


def test_an_empty_file_says_what_it_needs(tmp_path):
    with pytest.raises(CxError, match="empty or not a mapping; it needs at least name and stages"):
        load_journey_map(written(tmp_path, ""))


def test_yaml_cannot_run_code(tmp_path):
    with pytest.raises(CxError, match="could not determine a constructor"):
        load_journey_map(written(tmp_path, "name: !!python/object/apply:os.getcwd []"))


def test_groups_in_groups_are_refused():
    with pytest.raises(ValidationError, match="not a further any_order"):
        JourneyMap(
            name="x",
            stages=[
                {"stage": "s", "steps": [{"any_order": ["a", {"any_order": ["b", "c"]}]}]},
            ],
        )


def test_a_touchpoint_may_be_planned_twice_in_a_stage():
    plan = JourneyMap(name="x", stages=[{"stage": "s", "steps": ["a", "b", "a"]}])
    assert plan.frame()["touchpoint"].tolist() == ["a", "b", "a"]
