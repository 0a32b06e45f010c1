// Draws every chart from the JSON inside it, in the colours that the reader's screen asks for.
const wantsDark = matchMedia("(prefers-color-scheme: dark)");
const isNarrow = matchMedia("(max-width: 56rem)");
const NUMBER = /^[-−+]?[\d.,]*\s*%?$|^(NaN|NaT|None|<NA>|-?inf)$/;
const TITLE_HEIGHT = 52; // pixels that cxlib's charts keep for title and subtitle
const PAPER_WIDTH = 700; // pixels between the margins of A4 and Letter
const DRAWN_WIDTH = 900; // on which labels of a chart have room; then shrunk to the paper
const config = {
  responsive: true, displaylogo: false, showSendToCloud: false, plotlyServerURL: "",
  modeBarButtonsToRemove: ["lasso2d", "select2d"],
};

function draw(dark, printing = false) {
  const templates = JSON.parse(document.getElementById("templates").textContent);
  for (const chart of document.querySelectorAll(".chart")) {
    const figure = JSON.parse(chart.querySelector("script").textContent);
    const layout = figure.layout || {};
    // A figure that brings a template of its own keeps it.
    if (!layout.template) layout.template = dark ? templates.dark : templates.light;
    // Titles of charts do not wrap, and scroll out of sight with a chart that is too wide.
    const outside = isNarrow.matches && layout.meta && layout.meta.description && layout.title;
    chart.querySelector(".chart-title").hidden = !outside;
    if (outside) {
      delete layout.title;
      layout.height -= TITLE_HEIGHT;
      layout.margin = {...layout.margin, t: (layout.margin?.t ?? 84) - TITLE_HEIGHT};
    }
    const plot = chart.querySelector(".plot");
    plot.style.height = `${layout.height ?? 450}px`; // else a resize makes it 0
    if (printing) layout.width = Math.max(DRAWN_WIDTH, layout.meta?.min_width ?? 0);
    plot.style.zoom = printing ? PAPER_WIDTH / layout.width : 1;
    Plotly.react(plot, figure.data, layout, config);
  }
}

// Row numbers are no data.
for (const table of document.querySelectorAll("table.dataframe")) {
  const names = [...table.tBodies[0].rows].map(row => row.cells[0]);
  const numbers = names.every((name, at) => name.tagName === "TH" && name.textContent === `${at}`);
  if (!names.length || !numbers) continue;
  for (const row of table.rows) row.cells[0].hidden = true;
}

// Columns of text read from the left, columns of numbers from the right.
for (const table of document.querySelectorAll("table.dataframe")) {
  const rows = [...table.tBodies[0].rows];
  for (let column = 0; column < (rows[0] ? rows[0].cells.length : 0); column++) {
    const cells = rows.map(row => row.cells[column]).filter(Boolean);
    if (cells.every(cell => NUMBER.test(cell.textContent.trim()))) continue;
    for (const cell of [...cells, ...[...table.tHead.rows].map(row => row.cells[column])]) {
      if (cell) cell.classList.add("text");
    }
  }
}

if (document.querySelector(".chart")) {
  draw(wantsDark.matches);
  wantsDark.addEventListener("change", () => draw(wantsDark.matches));
  isNarrow.addEventListener("change", () => draw(wantsDark.matches));
  addEventListener("beforeprint", () => draw(false, true));
  addEventListener("afterprint", () => draw(wantsDark.matches));
}
