"""What a downloaded table holds: numbers as they are, and no formula."""

import csv
import io
import re

import pytest

pytestmark = pytest.mark.browser


def test_a_value_that_a_spreadsheet_would_run_is_text_in_the_csv(chromium, project):
    from playwright.sync_api import sync_playwright

    script = (project / "cxlib" / "publish" / "assets" / "chart.js").read_text("utf-8")
    function = re.search(r"^function csvOf\(.*?^}", script, re.MULTILINE | re.DOTALL)
    assert function is not None
    texts = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "a=1", 'say "hi", then\ngo', ""]
    columns = [{"name": "=name", "kind": "text"}, {"name": "n", "kind": "integer"}]
    table = {"columns": columns, "rows": [[text, -5] for text in texts]}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium)
        page = browser.new_page()
        call = f"(table) => {{ const NUMBERS = {{ integer: 1 }}; {function.group()}; "
        text = page.evaluate(call + "return csvOf(table); }", table)
        browser.close()
    head, *rows = list(csv.reader(io.StringIO(text.lstrip("\ufeff"), newline="")))
    assert head == ["'=name", "n"]
    assert {number for _, number in rows} == {"-5"}
    neutral = [f"'{text}" for text in texts[:6]]
    assert [text for text, _ in rows] == [*neutral, *texts[6:]]
