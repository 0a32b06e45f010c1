"""A column that is gone since the last build is named, and what it may be called now."""

import warnings

import pytest

from cxlib.errors import CxError, CxWarning
from cxlib.ingest.changes import column_changes
from tests.ingest.workspaces import ORDERS, build, rejects

GOOD = "order_id,account,at,amount,note\n1,a,2024-01-01,5,x\n"
SEVERAL = ORDERS.replace("orders.csv", "'*.csv'")


def said(folder, text, sources=ORDERS):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", CxWarning)
        build(folder, {"orders.csv": text}, sources)
    return [str(item.message) for item in caught if item.category is CxWarning]


def test_the_same_columns_are_no_news(tmp_path):
    assert said(tmp_path, GOOD) == []
    assert said(tmp_path, GOOD + "2,a,2024-01-01,5,x\n") == []


def test_a_column_that_is_gone_or_new_is_named(tmp_path):
    said(tmp_path, GOOD)
    assert said(tmp_path, "order_id,account,at,amount\n1,a,2024-01-01,5\n") == [
        "since the last build, in orders: the column 'note' is gone"
    ]
    more = "order_id,account,at,amount,note,coupon,x\n1,a,2024-01-01,5,x,,\n"
    assert said(tmp_path, more) == [
        f"since the last build, in orders: the column {name!r} is new"
        for name in ("note", "coupon", "x")
    ]


def test_a_renamed_column_comes_with_its_mapping_even_where_nothing_of_the_file_is_stored(tmp_path):
    files = {"orders.csv": GOOD, "more.csv": GOOD.replace("\n1,", "\n2,")}
    build(tmp_path, files, SEVERAL)
    for name, text in files.items():
        files[name] = text.replace(",at,", ",created,")
    files["more.csv"] += ""
    files["old.csv"] = GOOD.replace("\n1,", "\n3,")
    with pytest.warns(CxWarning) as caught:
        result = build(tmp_path, files, SEVERAL)
    assert [str(item.message) for item in caught if item.category is CxWarning] == [
        "since the last build, in orders: the column 'created' is new"
    ]
    assert len(rejects(result)) == 2


def test_a_name_that_is_like_the_missing_one_is_offered(tmp_path):
    with pytest.raises(
        CxError,
        match=r"no column 'amount'; did you mean 'Amount_EUR'\? .*aliases: \{amount: \[Amount_EUR",
    ):
        build(tmp_path, {"orders.csv": GOOD.replace("amount", "Amount_EUR")})


READ = "the column 'at', which sources.yml reads, is gone"
SAME = " is new: if it is the same, add aliases: "


@pytest.mark.parametrize(
    ("before", "now", "sentences"),
    [
        (["at", "id"], ["id", "on"], [f"{READ}; 'on'{SAME}{{at: [on]}}"]),
        (["id", "at"], ["AT", "ID"], []),
        (["id", "at"], ["id"], [READ]),
        ([], ["id"], []),
        (["id"], [], ["nothing can be read any more, so the store has none of its rows"]),
        (
            ["a_b", "c"],
            ["aB", "d", "e"],
            [
                f"the column 'a_b' is gone; 'aB'{SAME}{{a_b: [aB]}}",
                "the column 'c' is gone",
                "the column 'd' is new",
                "the column 'e' is new",
            ],
        ),
    ],
)
def test_what_is_gone_is_matched_with_what_is_new(before, now, sentences):
    changes = column_changes({"orders": before}, {"orders": now}, {"orders": {"at"}})
    assert changes == [f"orders: {sentence}" for sentence in sentences]
