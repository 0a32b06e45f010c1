"""HTML pages of reports: one file each, nothing fetched, no trace of when or where it was made."""

from __future__ import annotations

import base64
import copy
import json
import re
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import jinja2
    from nbformat import NotebookNode

__all__ = ["index_page", "report_page"]

_FOLDER = Path(__file__).parent / "page"
_FIGURE = "application/vnd.plotly.v1+json"
_NOTE = re.compile(r"CxWarning: (.+)")
# pandas gives each styled table a random id; the first in the report becomes table_1.
_STYLER_ID = re.compile(r"\bT_[0-9a-f]{5,}")
_MISSING = re.compile(r"(<td[^>]*>)\s*(?:NaN|nan|NaT|None|&lt;NA&gt;)\s*(?=</td>)")


def report_page(notebook: NotebookNode, manifest: dict[str, Any]) -> str:
    """HTML of an executed notebook.

    Parameters
    ----------
    notebook
        With its outputs; not changed.
    manifest
        ``title``, ``report``, ``show_code``, ``parameters``, ``given``, ``used``, ``notebook``,
        ``snapshot`` and ``versions``, as `cxlib.publish.report.render_report` writes them.

    Returns
    -------
    str
        A whole page. Equal arguments give equal text.

    Examples
    --------
    >>> from nbformat.v4 import new_markdown_cell, new_notebook
    >>> manifest = {
    ...     "title": "Who leaves?", "report": "churn.html", "show_code": False, "parameters": {},
    ...     "given": [], "used": {},
    ...     "notebook": {"name": "churn.ipynb"}, "versions": {"cxlib": "0.1.0"},
    ...     "snapshot": {"id": "1f", "name": "Demo", "observed_until": "2026-06-30T00:00:00"},
    ... }
    >>> page = report_page(new_notebook(cells=[new_markdown_cell("Few do.")]), manifest)
    >>> "<title>Who leaves?</title>" in page, "Few do." in page, len(page) < 50_000
    (True, True, True)
    """
    from nbconvert import HTMLExporter

    ready = _prepared(notebook, manifest["title"])
    exporter = HTMLExporter(
        template_name="basic",
        exclude_input=not manifest["show_code"],
        exclude_input_prompt=True,
        exclude_output_prompt=True,
        exclude_anchor_links=True,
        embed_images=True,
    )
    body, _ = exporter.from_notebook_node(ready)
    charts = 'class="chart"' in body
    return _template("report.html.j2").render(
        manifest=manifest,
        shown=_shown,
        manifest_name=Path(manifest["report"]).with_suffix(".json").name,
        as_of=_moment(manifest["snapshot"]["observed_until"]),
        body=body,
        style=_style(manifest["show_code"]),
        charts=charts,
        plotly=_plotly() if charts else "",
        templates=_json(_chart_templates()) if charts else "",
        script=(_FOLDER / "report.js").read_text("utf-8"),
    )


def index_page(manifests: Sequence[dict[str, Any]]) -> str:
    """HTML that lists reports by their manifests.

    Parameters
    ----------
    manifests
        As the JSON files beside the reports have them.

    Returns
    -------
    str
        A whole page, in the order given.

    Examples
    --------
    >>> snapshot = {"id": "1f", "name": "Demo", "observed_until": "2026-06-30T00:00:00"}
    >>> page = index_page([{"title": "Who leaves?", "report": "churn.html", "snapshot": snapshot}])
    >>> '<a href="churn.html">Who leaves?</a>' in page
    True
    """
    listed = [
        {**manifest, "as_of": _moment(manifest["snapshot"]["observed_until"])}
        for manifest in manifests
    ]
    return _template("index.html.j2").render(manifests=listed, style=_style(show_code=False))


def _template(name: str) -> jinja2.Template:
    import jinja2

    # Values are escaped in the templates, where the reader sees which of them are HTML.
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True)
    return environment.from_string((_FOLDER / name).read_text("utf-8"))


def _shown(value: Any) -> Any:
    """A parameter as the footer has it."""
    return "none" if value in (None, [], {}) else value


def _moment(text: str) -> str:
    moment = datetime.fromisoformat(text)
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"


def _style(show_code: bool) -> str:
    style = (_FOLDER / "report.css").read_text("utf-8")
    if not show_code:
        return style
    from pygments.formatters import HtmlFormatter

    light = HtmlFormatter(style="default").get_style_defs(".highlight")
    dark = HtmlFormatter(style="github-dark").get_style_defs(".highlight")
    plain = ".highlight { background: none; }"
    return f"{style}\n{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}\n{plain}"


def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    return get_plotlyjs()


@cache
def _chart_templates() -> dict[str, Any]:
    """The light and the dark look; the page holds each once and not in every figure."""
    from plotly.io.json import to_json_plotly

    from cxlib.plot import figure_template

    return {
        theme: json.loads(to_json_plotly(figure_template(theme))) for theme in ("light", "dark")
    }


def _prepared(notebook: NotebookNode, title: str) -> NotebookNode:
    """A copy whose outputs are plain HTML: figures, notes and tables with fixed ids."""
    ready = copy.deepcopy(notebook)
    ready.metadata.pop("papermill", None)
    ready.metadata.pop("widgets", None)
    seen: dict[str, str] = {}
    figures = 0
    for cell in ready.cells:
        if cell.cell_type == "markdown":
            # The page's header has it already.
            cell.source = re.sub(rf"\A# +{re.escape(title)}\s*", "", cell.source)
            continue
        kept = []
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if _FIGURE in data:
                figures += 1
                data = output["data"] = {"text/html": _figure(data[_FIGURE], figures)}
            if output.output_type == "stream" and output.name == "stderr":
                notes = dict.fromkeys(_NOTE.findall(output.text))  # once, if for two groups
                output = _html_output("".join(f'<p class="note">{escape(n)}</p>' for n in notes))
                data = output["data"]
            if "text/html" in data:
                data["text/html"] = _STYLER_ID.sub(
                    lambda match: seen.setdefault(match[0], f"table_{len(seen) + 1}"),
                    _MISSING.sub(r"\1–", data["text/html"]),
                )
            if data.get("text/html") != "":
                kept.append(output)
        cell.outputs = kept
    return ready


def _html_output(html: str) -> NotebookNode:
    from nbformat.v4 import new_output

    return new_output("display_data", data={"text/html": html})


def _figure(figure: dict[str, Any], number: int) -> str:
    layout = dict(figure.get("layout", {}))
    if layout.get("template") == _chart_templates()["light"]:
        del layout["template"]
    content = _json(_rounded({"data": figure["data"], "layout": layout}))
    meta = layout.get("meta") or {}
    heading = layout.get("title") or {}
    title, subtitle = (
        escape(part.get("text") or "") for part in (heading, heading.get("subtitle") or {})
    )
    text = meta.get("description")
    caption = f"<figcaption>{escape(text)}</figcaption>" if text else ""
    return (
        '<figure class="chart">'
        f'<script type="application/json">{content}</script>'
        f'<p class="chart-title" hidden>{title}<small>{subtitle}</small></p>'
        '<div class="scroll">'
        f'<div class="plot" id="chart-{number}" style="min-width:{meta.get("min_width", 0):g}px">'
        f"</div></div>{caption}</figure>"
    )


def _rounded(value: Any) -> Any:
    """Numbers to 10 digits: engines add floats in any order, so the last digits vary by run."""
    if isinstance(value, float):
        return float(f"{value:.10g}")
    if isinstance(value, dict):
        if value.keys() == {"dtype", "bdata"} and value["dtype"] in ("f8", "f4"):
            array = np.frombuffer(base64.b64decode(value["bdata"]), dtype=value["dtype"])
            return _rounded([None if np.isnan(number) else number for number in array.tolist()])
        return {key: _rounded(item) for key, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list) else value


def _json(value: Any) -> str:
    """JSON that may stand inside a script element."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.replace("<", "\\u003c")
