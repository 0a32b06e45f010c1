import pandas as pd
import pytest

from cxlib import CxError, plot
from tests.plot.test_every_chart import table_of


@pytest.mark.parametrize(
    "name", ["escalation", "ping_pong", "repeat_contact", "stickiness", "subsequences"]
)
def test_several_groups_are_refused(name):
    frame = table_of(name)
    groups = pd.concat([frame.assign(segment=segment) for segment in ("loyal", "new")])
    with pytest.raises(CxError, match=r"holds several groups, and a .* chart shows one"):
        getattr(plot, name)(groups)


def test_a_bar_is_as_long_as_the_share_and_the_whiskers_are_the_interval():
    bars = plot.subsequences(table_of("subsequences")).data[0]
    assert bars.x == (0.3,)
    assert bars.error_x.array[0] == pytest.approx(0.1)
    assert bars.error_x.arrayminus[0] == pytest.approx(0.08)
    assert list(bars.customdata[0]) == ["ask → buy", 30, 100, 0.22, 0.4]


def test_shares_of_customers_have_no_whiskers():
    assert plot.stickiness(table_of("stickiness")).data[0].error_x.array is None


def test_the_rest_of_many_rows_is_told():
    frame = pd.concat([table_of("repeat_contact").assign(reason=f"reason {i}") for i in range(20)])
    figure = plot.repeat_contact(frame, top=5)
    assert len(figure.data[0].y) == 5
    assert "5 of 20 reasons" in figure.layout.title.subtitle.text


def test_attempts_without_a_known_end_are_no_chart():
    frame = table_of("escalation").assign(n=0, attempts=0)
    assert plot.escalation(frame).layout.meta["empty"]
