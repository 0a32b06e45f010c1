"""What customers write, as a sentiment from -1 (worst) to 1 (best); no text leaves the machine."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from html import unescape
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cxlib.errors import CxError

if TYPE_CHECKING:
    from sklearn.isotonic import IsotonicRegression

__all__ = ["Calibration", "Scorer", "fit_calibration", "text_sentiment", "vader"]

Scorer = Callable[[pd.Series], pd.Series]
"""Texts -> sentiments from -1 to 1, missing where it cannot tell; the index stays."""

LONGEST = 10_000
"""Characters of a text that are read: what comes after is most often a quoted thread."""
FEWEST_PAIRS = 100
"""Texts with a score of their own that a calibration needs."""

_LANGUAGES = (
    "ar bg bn ca cs da de el en es et fa fi fr he hi hr hu id it ja ko lt lv ms nl no pl pt ro ru "
    "sk sl sr sv sw th tl tr uk ur vi zh"
)
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_UNSEEN = re.compile(r"(?is)<(script|style)\b.*?</\1\s*>|<!--.*?-->")
_TAG = re.compile(r"</?[A-Za-z][^<>]*>")
_SENTENCE = re.compile(r"(?<=[.!?…])\s+|\s*\n\s*")


def text_sentiment(texts: Iterable[str | None], *, scorer: Scorer | None = None) -> pd.DataFrame:
    """Sentiment and language of texts.

    Parameters
    ----------
    texts
        What customers wrote; a Series keeps its index.
    scorer
        ``Series[str] -> Series[float]`` from -1 to 1, missing where it cannot tell. By default
        VADER, which reads English. Another scorer gets every text that has words or emoji,
        whatever its language.

    Returns
    -------
    pandas.DataFrame
        One row per text: ``language`` (ISO 639-1; missing where a text has no words), ``sentiment``
        (from -1 to 1; missing where the text is empty, has neither words nor emoji, or is in a
        language that the scorer does not read).

    Raises
    ------
    CxError
        When the scorer gives something else than one number from -1 to 1, or missing, per text.

    Notes
    -----
    Mark-up is taken off first, and of a text the first 10,000 characters are read. VADER scores
    sentence by sentence and a text is the mean of its sentences, since the score of many sentences
    at once runs to its bounds. The language of one or two words cannot be told: such a text is
    English when VADER knows all of its words.

    References
    ----------
    Hutto, C.J. and Gilbert, E. (2014). VADER: A parsimonious rule-based model for sentiment
    analysis of social media text. ICWSM-14. Lui, M. and Baldwin, T. (2012). langid.py: An
    off-the-shelf language identification tool. ACL 2012.

    Examples
    --------
    >>> texts = ["Great service!", "Not good at all.", "Der Service war schlecht.", ""]
    >>> text_sentiment(texts).round(2)
      language  sentiment
    0       en       0.66
    1       en      -0.34
    2       de        NaN
    3      NaN        NaN
    """
    given = texts if isinstance(texts, pd.Series) else pd.Series(list(texts), dtype="object")
    plain = given.map(_plain, na_action="ignore").fillna("").astype("object")
    worded = plain.map(lambda text: bool(_WORD.search(text)))
    language = plain.where(worded).map(_language, na_action="ignore").astype("object")
    readable = worded | plain.map(_has_emoji)
    if scorer is None:
        readable &= ~worded | (language == "en")
    sentiment = pd.Series(np.nan, index=given.index, name="sentiment")
    if readable.any():
        sentiment[readable] = _checked((scorer or vader)(plain[readable]), plain[readable])
    return pd.DataFrame({"language": language, "sentiment": sentiment})


def vader(texts: pd.Series) -> pd.Series:
    """Sentiment of English texts by VADER: the mean of their sentences.

    Examples
    --------
    >>> vader(pd.Series(["I love it. It broke."])).round(2).to_list()
    [0.11]
    """
    return texts.map(_vader_text).astype("float64")


def fit_calibration(pairs: pd.DataFrame) -> Calibration:
    """Calibration that brings the sentiment of texts to the scale of a company's own scores.

    Parameters
    ----------
    pairs
        Columns ``text_sentiment`` and ``score_sentiment``, both from -1 to 1: what a customer
        wrote and what the same customer scored with it. Rows with a missing one are left out.

    Returns
    -------
    Calibration
        Never falls as the sentiment of the text rises (isotonic regression).

    Raises
    ------
    CxError
        For a missing column, and for fewer than 100 usable rows.

    Examples
    --------
    >>> texts = [step / 50 - 1 for step in range(101)]
    >>> pairs = pd.DataFrame({"text_sentiment": texts, "score_sentiment": [t**3 for t in texts]})
    >>> calibration = fit_calibration(pairs)
    >>> calibration.n, calibration.predict(pd.Series([0.5])).round(3).to_list()
    (101, [0.125])
    """
    from sklearn.isotonic import IsotonicRegression

    for column in ("text_sentiment", "score_sentiment"):
        if column not in pairs.columns:
            raise CxError(f"the pairs have no column {column!r} (they have {list(pairs.columns)})")
    usable = pairs[["text_sentiment", "score_sentiment"]].dropna()
    if len(usable) < FEWEST_PAIRS:
        raise CxError(
            f"a calibration needs {FEWEST_PAIRS} texts with a score of their own, and there are "
            f"{len(usable)}; leave it out, or gather more"
        )
    model = IsotonicRegression(y_min=-1.0, y_max=1.0, out_of_bounds="clip")
    model.fit(usable["text_sentiment"].to_numpy(), usable["score_sentiment"].to_numpy())
    return Calibration(model, usable.reset_index(drop=True))


@dataclass(frozen=True)
class Calibration:
    """What ``fit_calibration`` learned.

    Attributes
    ----------
    model
        The isotonic regression.
    pairs
        The rows that it was learned from.

    Examples
    --------
    >>> flat = pd.DataFrame({"text_sentiment": [0.0] * 100, "score_sentiment": [0.5] * 100})
    >>> fit_calibration(flat).predict(pd.Series([-1.0, None])).to_list()
    [0.5, nan]
    """

    model: IsotonicRegression
    pairs: pd.DataFrame

    @property
    def n(self) -> int:
        """Rows that it was learned from."""
        return len(self.pairs)

    @property
    def summary(self) -> pd.DataFrame:
        """One row: ``n``, ``spearman``, and the mean absolute error ``before`` and ``after``.

        The error after it is of texts that it was not learned from (five parts in turn).
        """
        from sklearn.base import clone
        from sklearn.model_selection import KFold, cross_val_predict

        text, score = self.pairs["text_sentiment"], self.pairs["score_sentiment"]
        folds = KFold(5, shuffle=True, random_state=0)
        unseen = cross_val_predict(clone(self.model), text.to_numpy(), score.to_numpy(), cv=folds)
        return pd.DataFrame(
            {
                "n": [self.n],
                "spearman": [text.corr(score, method="spearman")],
                "before": [(text - score).abs().mean()],
                "after": [(unseen - score).abs().mean()],
            }
        )

    def predict(self, text_sentiment: pd.Series) -> pd.Series:
        """Sentiment on the scale of the scores; missing where it is missing."""
        known = text_sentiment.notna()
        result = pd.Series(np.nan, index=text_sentiment.index)
        if known.any():
            result[known] = self.model.predict(text_sentiment[known].to_numpy(dtype="float64"))
        return result


def _plain(text: Any) -> str:
    """Text without mark-up, cut to what is read."""
    cut = str(text)[: 4 * LONGEST]
    return unescape(_TAG.sub(" ", _UNSEEN.sub(" ", cut))).strip()[:LONGEST]


def _language(text: str) -> str | None:
    words = [word.lower() for word in _WORD.findall(text)]
    if len(words) <= 2 and all(word in _analyzer().lexicon for word in words):
        return "en"
    return str(_identifier().classify(text)[0])


def _has_emoji(text: str) -> bool:
    analyzer = _analyzer()
    return any(sign in analyzer.emojis for sign in text) or any(
        word in analyzer.lexicon for word in text.split()
    )


def _vader_text(text: str) -> float:
    sentences = [s for s in _SENTENCE.split(text) if _WORD.search(s) or _has_emoji(s)]
    scores = [_analyzer().polarity_scores(sentence)["compound"] for sentence in sentences]
    return float(np.mean(scores)) if scores else 0.0


def _checked(scores: Any, texts: pd.Series) -> pd.Series:
    if not isinstance(scores, pd.Series) or not scores.index.equals(texts.index):
        raise CxError("the text scorer must give a Series with the index of the texts")
    numbers = pd.to_numeric(scores, errors="coerce")
    wrong = scores.notna() & ~numbers.between(-1, 1)
    if wrong.any():
        raise CxError(
            f"the text scorer gives {scores[wrong].iloc[0]}; give numbers from -1 to 1, "
            "or missing where it cannot tell"
        )
    return numbers


@cache
def _analyzer() -> Any:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    return SentimentIntensityAnalyzer()


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE)
    # Rare languages that resemble English would take short English texts.
    identifier.set_languages(_LANGUAGES.split())
    return identifier
