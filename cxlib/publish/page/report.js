// Draws every chart from the JSON inside it, in the colours that the reader's screen asks for.
const templates = JSON.parse(document.getElementById("templates").textContent);
const config = {
  responsive: true, displaylogo: false, showSendToCloud: false, plotlyServerURL: "",
  modeBarButtonsToRemove: ["lasso2d", "select2d"],
};
const wantsDark = matchMedia("(prefers-color-scheme: dark)");

function draw(dark) {
  for (const chart of document.querySelectorAll(".chart")) {
    const figure = JSON.parse(chart.querySelector("script").textContent);
    const layout = figure.layout || {};
    // A figure that brings a template of its own keeps it.
    if (!layout.template) layout.template = dark ? templates.dark : templates.light;
    Plotly.react(chart.querySelector("div"), figure.data, layout, config);
  }
}

draw(wantsDark.matches);
wantsDark.addEventListener("change", () => draw(wantsDark.matches));
addEventListener("beforeprint", () => draw(false));
addEventListener("afterprint", () => draw(wantsDark.matches));
