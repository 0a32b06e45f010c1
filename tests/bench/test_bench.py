"""The bench compares like with like: its queries give what the measures give."""

import pytest

from cxlib.journeys.log import load_journeys
from tests.bench.company import write_store
from tests.bench.measures import MEASURES, check_equal
from tests.bench.queries import QUERIES
from tests.bench.run import write_page


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
