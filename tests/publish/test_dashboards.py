"""The dashboards as a viewer meets them: served by Voilà, in a browser."""

import csv
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field

import pytest

pytestmark = pytest.mark.browser

NAMES = ["journeys", "retention"]
# Nothing but the page itself may use the network while it is watched.
QUIET = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
DRAWN = """() => {
  const cards = [...document.querySelectorAll(".cx-card")].map((card) => card.dataset);
  return cards.length > 0 && cards.every(({ drawn, state }) => drawn && state !== "waiting");
}"""


@dataclass
class Viewer:
    """A page, and what it did that it should not."""

    page: object
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def title(self, number=0):
        return self.page.locator(".cx-card h2").nth(number).inner_text()

    def figure(self, number=0):
        """What is drawn: the paths of the chart."""
        return self.page.locator(".cx-plot").nth(number).evaluate(
            "plot => [...plot.querySelectorAll('path')].map(path => path.getAttribute('d')).join()"
        )  # fmt: skip

    def choose(self, label, text):
        """Change a filter and wait until all charts are drawn again."""
        before = self.versions()
        self.page.get_by_label(label, exact=True).select_option(label=text)
        self.page.wait_for_function(f"{self._versions} !== '{before}'", timeout=30_000)
        self.settle()

    _versions = "[...document.querySelectorAll('.cx-card')].map(card => card.dataset.drawn).join()"

    def versions(self):
        return self.page.evaluate(self._versions)

    def reset(self):
        """Set the filters to their first choice."""
        if self.page.evaluate("location.search"):
            before = self.versions()
            self.page.get_by_role("button", name="Reset filters").click()
            self.page.wait_for_function(f"{self._versions} !== '{before}'", timeout=30_000)
            self.settle()

    def settle(self):
        self.page.wait_for_function(DRAWN, timeout=60_000)
        self.page.wait_for_timeout(300)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def server(chromium, demo_workspace, project):
    """Address of the dashboards of the demo company."""
    port = free_port()
    code = (
        "import sys; from cxlib.publish.server import serve_dashboards; "
        "serve_dashboards(sys.argv[1], port=int(sys.argv[2]))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(demo_workspace), str(port)],
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    address = f"http://localhost:{port}/"
    for _ in range(120):
        try:
            urllib.request.urlopen(address, timeout=5).close()
            break
        except OSError:
            if process.poll() is not None:
                pytest.fail(f"the server ended: {process.stdout.read()}")
            time.sleep(0.5)
    yield address
    process.terminate()
    process.wait(timeout=60)


@pytest.fixture(scope="module")
def browser(chromium):
    # For this module alone: while Playwright runs, no other test could run a notebook.
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def visit(browser, server):
    """Function that opens a page, and waits for its charts if it is a dashboard."""

    def visit(path):
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        viewer = Viewer(page)
        page.on("pageerror", lambda error: viewer.errors.append(str(error)))
        page.on(
            "console",
            lambda message: viewer.errors.append(message.text) if message.type == "error" else None,
        )
        page.on("request", lambda request: viewer.requests.append(request.url))
        page.goto(server + path)
        if "render" in path:
            page.wait_for_function(DRAWN, timeout=120_000)
            viewer.settle()
        return viewer

    return visit


@pytest.fixture(scope="module")
def opened(visit):
    """Each dashboard, opened once."""
    return {name: visit(f"voila/render/{name}.ipynb") for name in NAMES}


@pytest.fixture(params=NAMES)
def dashboard(opened, request):
    return opened[request.param]


@pytest.fixture
def journeys(opened):
    """The dashboard of journeys with its filters as at first."""
    viewer = opened["journeys"]
    viewer.reset()
    return viewer


def test_the_gallery_has_a_card_for_each_dashboard(visit, server):
    viewer = visit("")
    titles = viewer.page.locator(".cx-card-link h2").all_inner_texts()
    assert titles == ["Where do customers go?", "How long do customers stay?"]
    assert "Data as of 31 December 2024" in viewer.page.locator(".cx-quiet").inner_text()
    links = viewer.page.locator(".cx-card-link").evaluate_all("links => links.map(a => a.href)")
    assert links == [f"{server}voila/render/{name}.ipynb" for name in NAMES]
    assert viewer.errors == []
    viewer.page.close()


def test_a_dashboard_draws_its_charts_without_an_error(dashboard):
    assert dashboard.page.locator(".cx-plot .main-svg").count() >= 1
    assert dashboard.page.locator(".cx-message:visible").count() == 0
    assert dashboard.errors == []


def test_no_request_leaves_this_machine(dashboard, server):
    elsewhere = [
        url for url in dashboard.requests if not url.startswith((server, "data:", "blob:"))
    ]
    assert len(dashboard.requests) > 20
    assert elsewhere == []


def test_a_dashboard_says_how_old_its_data_are_and_what_its_words_mean(dashboard):
    assert "data as of 31 December 2024" in dashboard.page.locator(".cx-asof").inner_text()
    assert dashboard.page.locator(".cx-definitions dt").count() >= 4


def test_plotly_cannot_upload_a_chart(dashboard):
    assert dashboard.page.locator(".modebar-btn").count() == 0


def test_every_chart_can_be_read_by_a_screen_reader(dashboard):
    for label in dashboard.page.locator(".cx-plot:visible").evaluate_all(
        "plots => plots.map(plot => plot.getAttribute('aria-label'))"
    ):
        assert len(label) > 40


@pytest.mark.parametrize(
    ("label", "text"),
    [
        ("Moves", "3"),
        ("Journeys that started in", "last 12 months"),
        ("Touchpoints named per step", "4"),
    ],
)
def test_a_filter_changes_the_figure(journeys, label, text):
    before = journeys.figure()
    journeys.choose(label, text)
    assert journeys.figure() != before
    assert journeys.errors == []


def test_the_change_since_the_period_before_stands_in_the_tiles(journeys):
    journeys.choose("Journeys that started in", "last 6 months")
    assert "in the period before" in journeys.page.locator(".cx-tiles").inner_text()


def test_another_group_changes_the_curves(opened):
    viewer = opened["retention"]
    before = viewer.figure()
    viewer.choose("Compare by", "plan")
    assert viewer.title().endswith("by plan")
    assert viewer.figure() != before
    assert "log-rank test" in viewer.page.locator(".cx-notes").first.inner_text()


def test_a_click_on_a_touchpoint_centres_the_chart_on_it(journeys):
    journeys.page.locator("[data-touchpoint='compared_plans']").first.click()
    journeys.page.wait_for_function(
        "document.querySelector('.cx-card h2').textContent.includes('compared plans')",
        timeout=30_000,
    )
    journeys.settle()
    assert journeys.title() == "What happens before and after compared plans"
    assert journeys.page.get_by_label("Centre on", exact=True).input_value() == "compared plans"
    journeys.reset()
    assert journeys.title().startswith("How customers move")


def test_a_touchpoint_can_be_reached_and_pressed_by_the_keyboard(journeys):
    node = journeys.page.locator("[data-touchpoint='signed_up']").first
    node.focus()
    journeys.page.keyboard.press("Enter")
    journeys.page.wait_for_function(
        "document.querySelector('.cx-card h2').textContent.includes('signed up')", timeout=30_000
    )


def test_the_address_keeps_the_filters_and_opens_with_them(journeys, visit):
    journeys.choose("Moves", "4")
    query = journeys.page.evaluate("location.search")
    assert query == "?steps=4"
    viewer = visit(f"voila/render/journeys.ipynb{query}&around=nowhere")
    viewer.page.wait_for_function(
        "document.querySelector('.cx-card h2').textContent.includes('first 5 steps')",
        timeout=30_000,
    )
    assert viewer.errors == []
    viewer.page.close()


def test_the_table_holds_what_the_csv_holds(journeys, tmp_path):
    from playwright.sync_api import expect

    card = journeys.page.locator(".cx-card").nth(1)
    card.locator("summary").click()
    card.locator("tbody tr").first.wait_for()
    with journeys.page.expect_download() as download:
        card.get_by_role("button", name="CSV").click()
    assert download.value.suggested_filename == "drop-off.csv"
    download.value.save_as(tmp_path / "table.csv")
    with open(tmp_path / "table.csv", encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    # The table is drawn when it is opened, and may come a moment after it.
    expect(card.locator("tbody tr")).to_have_count(len(rows))
    assert {"touchpoint", "visits", "n", "dropoff_rate", "lift"} <= set(rows[0])
    card.locator("summary").click()


def test_a_chart_can_be_saved_as_a_picture(journeys, tmp_path):
    with journeys.page.expect_download() as download:
        journeys.page.get_by_role("button", name="PNG").first.click()
    download.value.save_as(tmp_path / "chart.png")
    assert (tmp_path / "chart.png").read_bytes()[:4] == b"\x89PNG"


def test_on_a_phone_in_the_dark_the_page_fits_and_is_dark(dashboard):
    page = dashboard.page
    page.set_viewport_size({"width": 390, "height": 844})
    page.emulate_media(color_scheme="dark")
    page.wait_for_timeout(1_500)
    try:
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        edges = page.locator(".cx-card").evaluate_all(
            "cards => cards.map(card => card.getBoundingClientRect().right)"
        )
        assert max(edges) <= 390
        ground = page.locator(".cx-plot .main-svg").first.evaluate("e => e.style.background")
        assert ground == "rgb(23, 28, 36)"
    finally:
        page.set_viewport_size({"width": 1280, "height": 900})
        page.emulate_media(color_scheme="light")
        page.wait_for_timeout(1_000)


def test_labels_of_the_sankey_chart_stay_inside_it(journeys):
    outside = journeys.page.locator(".cx-plot").first.evaluate(
        """plot => { const box = plot.getBoundingClientRect();
        return [...plot.querySelectorAll(".node-label")]
          .filter(label => { const { left, right } = label.getBoundingClientRect();
                             return left < box.left || right > box.right; })
          .map(label => label.textContent); }"""
    )
    assert outside == []


def test_labels_of_the_sankey_chart_do_not_overlap(journeys):
    overlaps = journeys.page.locator(".cx-plot").first.evaluate(
        """plot => { const boxes = [...plot.querySelectorAll(".node-label")]
          .map(label => [label.textContent, label.getBoundingClientRect()]);
        const found = [];
        boxes.forEach(([name, a], at) => boxes.slice(at + 1).forEach(([other, b]) => {
          if (a.left < b.right && b.left < a.right && a.top + 2 < b.bottom && b.top + 2 < a.bottom)
            found.push(`${name} / ${other}`); }));
        return found; }"""
    )
    assert overlaps == []


def test_code_and_data_are_not_served(server):
    for path in (
        "voila/files/journeys.ipynb",
        "voila/files/jupyter/voila/templates/cxlib/conf.json",
    ):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(server + path, timeout=20)
        assert refused.value.code in (403, 404)


def test_an_ended_session_says_so(opened):
    page = opened["retention"].page
    page.evaluate(
        """async () => {
          const config = document.getElementById("jupyter-config-data").textContent;
          const { baseUrl, kernelId } = JSON.parse(config);
          const token = document.cookie.match(/_xsrf=([^;]*)/)?.[1] ?? "";
          const headers = { "X-XSRFToken": token };
          await fetch(`${baseUrl}voila/api/shutdown/${kernelId}`, { method: "POST", headers });
          document.dispatchEvent(new Event("visibilitychange"));
        }"""
    )
    page.wait_for_selector(".cx-notice", timeout=20_000)
    assert "The link to this page has ended" in page.locator(".cx-notice").inner_text()
