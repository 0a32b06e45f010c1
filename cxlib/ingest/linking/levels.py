"""How two records may agree on each field, and how often that is usual."""

from __future__ import annotations

from typing import Any

__all__ = ["COMPARISONS", "PRIOR_PAIRS"]

PRIOR_PAIRS = 100
"""Pairs that the usual shares count for beside what a model estimates from its own pairs."""

_Level = tuple[str, str, float, float]


def _comparison(
    name: str, missing: str, levels: list[_Level], frequency: bool = False
) -> dict[str, Any]:
    """One field: when it cannot be compared, then its levels from best to worst."""
    found: list[dict[str, Any]] = [
        {"sql_condition": missing, "label_for_charts": "missing", "is_null_level": True}
    ]
    for label, condition, within, by_chance in levels:
        level: dict[str, Any] = {
            "sql_condition": condition,
            "label_for_charts": label,
            "m_probability": within,
            "u_probability": by_chance,
        }
        if frequency and label == "equal":
            # Two who share a rare name are more likely one than two who share a frequent one.
            level |= {"tf_adjustment_column": name, "tf_minimum_u_value": 0.0001}
        found.append(level)
    return {"output_column_name": name, "comparison_levels": found}


_GIVEN = _comparison(
    "given_name",
    "given_name_l IS NULL OR given_name_r IS NULL",
    [
        ("equal", "given_name_l = given_name_r", 0.80, 0.005),
        ("swapped", "given_name_l = surname_r AND surname_l = given_name_r", 0.02, 0.0001),
        (
            "similar",
            "jaro_winkler_similarity(given_name_l, given_name_r) >= 0.9"
            " OR starts_with(given_name_l, given_name_r)"
            " OR starts_with(given_name_r, given_name_l)",
            0.10,
            0.005,
        ),
        ("resembling", "jaro_winkler_similarity(given_name_l, given_name_r) >= 0.8", 0.03, 0.005),
        ("other", "ELSE", 0.05, 0.9849),
    ],
    frequency=True,
)
_SURNAME = _comparison(
    "surname",
    "surname_l IS NULL OR surname_r IS NULL",
    [
        ("equal", "surname_l = surname_r", 0.80, 0.003),
        ("swapped", "surname_l = given_name_r AND given_name_l = surname_r", 0.02, 0.0001),
        ("similar", "jaro_winkler_similarity(surname_l, surname_r) >= 0.9", 0.09, 0.003),
        ("resembling", "jaro_winkler_similarity(surname_l, surname_r) >= 0.8", 0.03, 0.005),
        ("other", "ELSE", 0.06, 0.9889),
    ],
    frequency=True,
)
_EMAIL = _comparison(
    "email",
    # Namesakes take one address with different numbers: that says what the names say already.
    "email_l IS NULL OR email_r IS NULL OR (number_l <> number_r"
    " AND jaro_winkler_similarity(mailbox_l, mailbox_r) >= 0.85)",
    [
        ("equal", "email_l = email_r", 0.70, 0.0001),
        ("same mailbox", "mailbox_l = mailbox_r", 0.05, 0.0003),
        (
            "similar",
            "number_l = number_r AND jaro_winkler_similarity(email_l, email_r) >= 0.92",
            0.10,
            0.0005,
        ),
        ("other", "ELSE", 0.15, 0.9991),
    ],
)
_PHONE = _comparison(
    "phone",
    "phone_l IS NULL OR phone_r IS NULL",
    [
        ("equal", "phone_l = phone_r", 0.80, 0.0001),
        ("similar", "damerau_levenshtein(phone_l, phone_r) <= 1", 0.05, 0.0002),
        ("other", "ELSE", 0.15, 0.9997),
    ],
)
_STREET = _comparison(
    "street",
    "(street_l IS NULL OR street_r IS NULL) AND (postcode_l IS NULL OR postcode_r IS NULL)",
    [
        ("equal", "street_l = street_r AND postcode_l = postcode_r", 0.60, 0.0001),
        (
            "similar in the same postcode",
            "postcode_l = postcode_r AND jaro_winkler_similarity(street_l, street_r) >= 0.85",
            0.10,
            0.0002,
        ),
        ("equal in another postcode", "street_l = street_r", 0.09, 0.0001),
        (
            "similar in another postcode",
            "jaro_winkler_similarity(street_l, street_r) >= 0.92",
            0.06,
            0.0005,
        ),
        ("other in the same postcode", "postcode_l = postcode_r", 0.05, 0.001),
        ("other", "ELSE", 0.10, 0.9981),
    ],
)
_CITY = _comparison(
    "city",
    "city_l IS NULL OR city_r IS NULL",
    [
        ("equal", "city_l = city_r", 0.80, 0.03),
        ("similar", "jaro_winkler_similarity(city_l, city_r) >= 0.88", 0.08, 0.01),
        ("other", "ELSE", 0.12, 0.96),
    ],
    frequency=True,
)
_BIRTH_DATE = _comparison(
    "birth_date",
    "birth_date_l IS NULL OR birth_date_r IS NULL",
    [
        ("equal", "birth_date_l = birth_date_r", 0.84, 0.0001),
        ("one digit off", "damerau_levenshtein(birth_date_l, birth_date_r) <= 1", 0.07, 0.001),
        ("same year", "left(birth_date_l, 4) = left(birth_date_r, 4)", 0.03, 0.015),
        ("two digits off", "damerau_levenshtein(birth_date_l, birth_date_r) <= 2", 0.03, 0.01),
        ("other", "ELSE", 0.03, 0.9739),
    ],
)

COMPARISONS = {
    str(item["output_column_name"]): item
    for item in (_GIVEN, _SURNAME, _EMAIL, _PHONE, _STREET, _CITY, _BIRTH_DATE)
}
"""Splink's comparisons by field. The shares are where training starts: how often a level is met
within one person, and by chance; they are round numbers and belong to no data set."""
