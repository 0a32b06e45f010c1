"""The presets say what their touchpoints mean, and docs/presets.md says what they say."""

import pytest

from cxlib.ingest.config import Sources
from cxlib.ingest.fields import FieldColumn
from cxlib.ingest.presets.library import load_preset, preset_names
from cxlib.ingest.presets.page import presets_page


def test_the_page_is_that_of_the_presets(project):
    page = (project / "docs" / "presets.md").read_text("utf-8")
    assert page == presets_page(), "run python -m cxlib.ingest.presets.page > docs/presets.md"


def test_there_is_a_preset_for_each_vendor():
    vendors = "amplitude ga4 hubspot jira klaviyo marketo mixpanel qualtrics salesforce shopify"
    assert preset_names() == [*vendors.split(), "stripe", "zendesk"]


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_explains_every_touchpoint_that_it_gives(name):
    preset = load_preset(name)
    use = {"preset": name}
    sources = Sources.model_validate({"name": "x", "sources": {"v": use}}).sources
    given = set()
    for source in sources.values():
        for rule in source.events:
            named = rule.touchpoint
            if isinstance(named, FieldColumn):
                given |= set(named.map.values())
                if named.other == "keep" and named.column not in rule.when:
                    given.add("(any)")
            else:
                given.add(named)
    assert given == set(preset.touchpoints)


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_has_the_fields_that_measures_ask_for(name):
    sources = Sources.model_validate({"name": "x", "sources": {"v": {"preset": name}}}).sources
    for source in sources.values():
        for rule in source.events:
            said = (rule.channel, rule.stage, rule.department, rule.layer, rule.owned)
            assert None not in said, (name, rule.touchpoint)


@pytest.mark.parametrize("name", preset_names())
def test_every_spell_of_a_preset_is_made_of_its_touchpoints(name):
    preset = load_preset(name)
    named = {point for points in preset.spells.values() for point in points}
    assert named <= set(preset.touchpoints)
