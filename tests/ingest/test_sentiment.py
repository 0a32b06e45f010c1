import ibis
import pytest

from cxlib.errors import CxError
from cxlib.ingest.sentiment import score_sentiment


@pytest.mark.parametrize(
    ("scale", "scores", "sentiments"),
    [
        ("nps", [0, 3.75, 7.5, 10], [-1, -0.5, 0, 1]),
        ("csat", [1, 2, 3, 4, 5], [-1, -0.5, 0, 0.5, 1]),
        ("ces", [1, 2.5, 4, 7], [-1, -0.5, 0, 1]),
    ],
)
def test_each_scale_is_linear_below_and_above_its_neutral_point(con, scale, scores, sentiments):
    table = ibis.memtable({"score": [float(score) for score in scores]})
    got = con.to_pandas(table.select("score", s=score_sentiment(table.score, scale)))
    assert got.sort_values("score")["s"].tolist() == pytest.approx(sentiments)


@pytest.mark.parametrize(("scale", "score"), [("nps", 11.0), ("csat", 0.0), ("ces", 8.0)])
def test_a_score_off_its_scale_gives_no_sentiment(con, scale, score):
    assert con.execute(score_sentiment(ibis.literal(score), scale).isnull())


def test_an_unknown_scale_offers_the_known_ones():
    with pytest.raises(CxError, match="there is no scale 'npss'; did you mean 'nps'"):
        score_sentiment(ibis.literal(1.0), "npss")
