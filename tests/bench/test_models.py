"""The bench of models: planted rates come back, and both fits agree."""

import numpy as np
import pandas as pd
import pytest

from tests.bench.models import MODELS, check_equal
from tests.bench.subscribers import RATIOS, TICKET_RATIO, write_subscribers

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    store = write_subscribers(tmp_path_factory.mktemp("bench"), 6_000)
    yield {name: model(store) for name, model in MODELS.items()}
    store.con.disconnect()


def test_cox_on_counts_is_that_of_lifelines_on_rows(answers):
    assert check_equal(answers["cox"], answers["lifelines"]) < 1e-3


def test_the_planted_ratios_come_back(answers):
    summary = answers["cox"].set_index("covariate")
    planted = np.log(RATIOS["plan"][2])
    row = summary.loc["plan=pro"]
    assert abs(row["coefficient"] - planted) < 3 * row["standard_error"]


def test_who_has_asked_for_help_leaves_more_often(answers):
    risk = answers["risk_table"]
    rates = risk.groupby("ticket")[["events", "n_at_risk"]].sum()
    ratio = (rates["events"] / rates["n_at_risk"]).pipe(lambda rate: rate[1] / rate[0])
    assert ratio == pytest.approx(TICKET_RATIO, rel=0.15)


def test_stored_spells_give_the_counts_of_spells_worked_out(answers):
    counts, curves = answers["spells"], answers["curves"]
    at_start = curves[curves["duration_months"] == 0].set_index("segment")["at_risk"]
    pd.testing.assert_series_equal(
        counts.groupby("segment")["n"].sum(), at_start, check_names=False
    )
