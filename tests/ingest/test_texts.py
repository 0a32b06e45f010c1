import csv
import gzip
import random

import numpy as np
import pandas as pd
import pytest

from cxlib import CxError, fit_calibration, text_sentiment
from cxlib.build import build_store
from tests.ingest.workspaces import write

SURVEY = """
    name: shop
    personal: [email, words]
    sources:
      survey:
        file: survey.csv
        id: answer
        customer: {key: email}
        events:
          - touchpoint: rated_nps
            time: at
            score: {column: score, scale: nps}
            text: words
"""


def sentiment(text: str) -> float:
    return text_sentiment([text])["sentiment"].iloc[0]


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ("The support was good.", "The support was not good."),
        ("The support was GOOD!!!", "The support was good."),
        ("The router has arrived 😀", "The router has arrived 😡"),
        ("It works :)", "It works :("),
        ("Love it", "Hate it"),
        ("It is very helpful.", "It is somewhat helpful."),
    ],
)
def test_negation_emphasis_and_emoji_are_heard(better, worse):
    assert sentiment(better) > sentiment(worse)


@pytest.mark.parametrize("text", ["", "   ", None, "5/5", "...", "<p></p>", "12345"])
def test_a_text_without_words_or_emoji_has_no_sentiment(text):
    frame = text_sentiment([text])
    assert frame.isna().all(axis=None)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Der Service war schlecht und niemand hilft", "de"),
        ("Muito bom, chegou antes do prazo", "pt"),
        ("la connexion est vraiment très lente", "fr"),
        ("Il servizio è pessimo", "it"),
    ],
)
def test_a_language_that_the_scorer_does_not_read_gives_no_sentiment(text, language):
    frame = text_sentiment([text])
    assert frame["language"].tolist() == [language]
    assert frame["sentiment"].isna().all()


def test_mark_up_is_no_text():
    page = "<style>.great {}</style><p>The router is <b>great</b>.</p><script>love()</script>"
    assert sentiment(page) == sentiment("The router is great.")
    assert sentiment("Wait &lt; 1 day, great") == sentiment("Wait < 1 day, great")


def test_the_sentiment_of_a_long_text_is_the_mean_of_its_sentences():
    good, flat = "The support was great.", "The box is brown."
    both = np.mean([sentiment(good), sentiment(flat)])
    assert sentiment(" ".join([good, flat] * 200)) == pytest.approx(both)


def test_what_stands_behind_ten_thousand_characters_is_not_read():
    assert sentiment("The box is brown. " * 600 + "I hate it.") == 0.0


def test_the_index_of_a_series_stays():
    texts = pd.Series(["Great", None, "Awful"], index=[7, 3, 5])
    frame = text_sentiment(texts)
    assert frame.index.tolist() == [7, 3, 5]
    assert frame["sentiment"].gt(0).tolist() == [True, False, False]


def test_another_scorer_gets_every_language():
    def by_length(texts: pd.Series) -> pd.Series:
        return texts.str.len() / 100

    frame = text_sentiment(["Muito bom", "Fine", "5/5"], scorer=by_length)
    assert frame["sentiment"].tolist()[:2] == [0.09, 0.04]
    assert frame["sentiment"].isna().tolist() == [False, False, True]


@pytest.mark.parametrize(
    ("scorer", "message"),
    [
        (lambda texts: texts.str.len() * 1.0, "the text scorer gives 10.0; give numbers"),
        (lambda texts: [0.0], "must give a Series with the index of the texts"),
    ],
)
def test_a_scorer_that_gives_something_else_is_refused(scorer, message):
    with pytest.raises(CxError, match=message):
        text_sentiment(["Ten signs!"], scorer=scorer)


def test_hardly_any_portuguese_review_is_taken_for_english(shared):
    with gzip.open(
        shared / "data/olist_sample/olist_order_reviews_dataset.csv.gz", "rt", encoding="utf-8"
    ) as file:
        texts = [row["review_comment_message"] for row in csv.DictReader(file)]
    frame = text_sentiment([text for text in texts if len(text.split()) > 2])
    assert len(frame) > 3_000
    assert (frame["language"] == "pt").mean() > 0.95
    assert frame["sentiment"].notna().mean() < 0.005


def test_a_calibration_never_falls_and_stays_within_the_scale():
    draw = random.Random(1)
    texts = [draw.uniform(-1, 1) for _ in range(400)]
    scores = [max(-1.0, min(1.0, 0.5 * text + 0.4 + draw.gauss(0, 0.1))) for text in texts]
    calibration = fit_calibration(
        pd.DataFrame({"text_sentiment": texts, "score_sentiment": scores})
    )
    line = calibration.predict(pd.Series(np.linspace(-1, 1, 41)))
    assert line.is_monotonic_increasing
    assert line.between(-1, 1).all()
    assert abs(line.iloc[20] - 0.4) < 0.1
    summary = calibration.summary.iloc[0]
    assert summary["n"] == 400
    assert summary["after"] < summary["before"]


def test_a_calibration_needs_a_hundred_pairs():
    few = pd.DataFrame({"text_sentiment": [0.1] * 99, "score_sentiment": [0.2] * 99})
    with pytest.raises(CxError, match="needs 100 texts with a score of their own, and there are"):
        fit_calibration(few)
    with pytest.raises(CxError, match="have no column 'score_sentiment'"):
        fit_calibration(few[["text_sentiment"]])


ROWS = """\
answer,email,at,score,words
1,a@x.org,2024-01-01T10:00,10,"Slow, but fine."
2,b@x.org,2024-01-02T10:00,,I love it!
3,c@x.org,2024-01-03T10:00,,Der Service war schlecht und niemand hilft
4,d@x.org,2024-01-04T10:00,,
"""


def test_a_score_comes_before_the_text_and_the_text_before_nothing(tmp_path):
    store = build_store(write(tmp_path, {"survey.csv": ROWS}, SURVEY)).snapshot
    events = store.table("events").order_by("event_id").to_pandas()
    assert events["sentiment_from"].tolist() == ["score", "text", None, None]
    assert events["sentiment"].tolist()[0] == 1.0
    assert events["sentiment"].iloc[1] == pytest.approx(sentiment("I love it!"))
    assert events["sentiment"].isna().tolist() == [False, False, True, True]


def test_the_build_says_how_many_texts_it_could_not_read(tmp_path):
    store = build_store(write(tmp_path, {"survey.csv": ROWS}, SURVEY)).snapshot
    quality = store.table("quality").to_pandas().set_index("check")
    found = quality.loc["text can be read for its sentiment"]
    assert (found["n"], found["failing"]) == (3, 1)
    assert found["note"] == "no sentiment from: 1 de"
    assert found["examples"] == "survey:3"


def test_no_text_is_stored(tmp_path):
    store = build_store(write(tmp_path, {"survey.csv": ROWS}, SURVEY)).snapshot
    for path in store.path.rglob("*"):
        assert path.is_dir() or b"love" not in path.read_bytes()


def test_a_build_calibrates_texts_or_says_why_not(tmp_path):
    few = SURVEY.replace("personal:", "text: {calibrate: true}\n    personal:")
    store = build_store(write(tmp_path / "few", {"survey.csv": ROWS}, few)).snapshot
    notes = store.table("quality").to_pandas().set_index("check")["note"]
    expected = "not calibrated: 1 texts have a score, and 100 are needed"
    assert notes["texts are on the scale of the scores"] == expected
    lines = [
        f"{n},c{n}@x.org,2024-01-01T10:00,{n % 2 * 10},{'love' if n % 2 else 'hate'}"
        for n in range(200)
    ]
    many = "answer,email,at,score,words\n" + "\n".join([*lines, "x,x@x.org,2024-01-01,,love"])
    store = build_store(write(tmp_path / "many", {"survey.csv": many}, few)).snapshot
    events = store.table("events")
    assert events.filter(events.sentiment_from == "text").sentiment.to_list() == [1.0]


def test_another_scorer_makes_another_snapshot(tmp_path):
    def flat(texts: pd.Series) -> pd.Series:
        return texts.str.len() * 0.0

    workspace = write(tmp_path, {"survey.csv": ROWS}, SURVEY)
    plain, other = build_store(workspace), build_store(workspace, text_scorer=flat)
    assert plain.snapshot.id != other.snapshot.id
    assert build_store(workspace, text_scorer=flat).reused
    assert other.snapshot.table("events").sentiment.nunique().execute() == 2
