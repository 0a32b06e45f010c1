"""The bench compares like with like: its queries give what the measures give."""

from argparse import Namespace

import pytest

from cxlib.journeys.log import load_journeys
from tests.bench.company import write_store
from tests.bench.measures import MEASURES, check_equal
from tests.bench.page import keep_results, write_page
from tests.bench.queries import QUERIES


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    snapshot = write_store(tmp_path_factory.mktemp("bench"), 5_000)
    yield snapshot
    snapshot.con.disconnect()


@pytest.mark.parametrize("name", MEASURES)
def test_a_measure_and_its_query_give_the_same_cells(store, name):
    theirs = QUERIES[name](store.con.con, store.meta["observed_until"])
    check_equal(MEASURES[name](load_journeys(store)), theirs)


def test_the_bench_company_has_the_size_that_is_asked_for(store):
    assert store.table("events").count().to_pandas() == 5_000
    assert store.table("events").customer_id.nunique().to_pandas() == 500


def test_a_section_replaces_its_own_and_leaves_the_others(tmp_path):
    page = tmp_path / "benchmarks.md"
    for text in ("## Models\n\nold", "## 9,000 events\n\nb", "## 500 events\n\na", "## Store\n\nc"):
        write_page(text, page)
    write_page("## Models\n\nnew\n", page)
    text = page.read_text(encoding="utf-8")
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        "## 500 events",
        "## 9,000 events",
        "## Models",
        "## Store",
    ]
    assert "new" in text
    assert "old" not in text


def test_a_slice_of_the_measures_leaves_the_other_rows(tmp_path):
    def keep(measures, *rows):
        args = Namespace(workspace=tmp_path, events=10, measures=measures)
        return keep_results(
            [dict(zip(("measure", "s"), row, strict=True)) for row in rows], {}, args
        )

    keep(None, ("funnel", 1), ("flows", 2))
    rows, _ = keep(["funnel"], ("funnel", 3))
    assert [(row["measure"], row["s"]) for row in rows] == [("flows", 2), ("funnel", 3)]
    rows, _ = keep(None, ("funnel", 4))
    assert [row["measure"] for row in rows] == ["funnel"]
