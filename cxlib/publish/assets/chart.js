// One chart of a dashboard: figure, reading, notes, table, downloads.
// All of it comes in one JSON trait, `state`; clicks go back as messages.

const CONFIG = {
  displayModeBar: false, displaylogo: false, scrollZoom: false, doubleClick: false,
  responsive: false, showTips: false,
  showSendToCloud: false, plotlyServerURL: "", // nothing may leave the page
};
const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', Arial, sans-serif";

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== false && value != null) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

// plotly.js and the two themes, once for all charts of a page. In Voilà the page has loaded
// plotly.js while the kernel started; elsewhere the kernel sends it, compressed.
function assets(model) {
  globalThis.cxAssets ??= {};
  const shared = globalThis.cxAssets;
  shared.promise ??= new Promise((resolve) => { shared.resolve = resolve; });
  if (!shared.ready) {
    const receive = async (message, buffers) => {
      if (message?.type !== "assets" || shared.ready) return;
      shared.ready = true;
      if (buffers?.length && !globalThis.Plotly) await loadScript(buffers[0]);
      shared.resolve({ Plotly: globalThis.Plotly, templates: message.templates });
    };
    model.on("msg:custom", receive);
    const ask = async () => {
      if (globalThis.cxPlotly) await globalThis.cxPlotly.catch(() => {});
      model.send({ type: "assets", plotly: !globalThis.Plotly });
    };
    if (!shared.asked) { shared.asked = true; ask(); }
    // The first chart may have been closed before its answer came.
    setTimeout(() => { if (!shared.ready) ask(); }, 8000);
  }
  return shared.promise;
}

async function loadScript(buffer) {
  const stream = new Blob([buffer]).stream().pipeThrough(new DecompressionStream("gzip"));
  const text = await new Response(stream).text();
  const url = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
  // A page with RequireJS would take plotly.js as an anonymous module.
  const define = globalThis.define;
  globalThis.define = undefined;
  try {
    await new Promise((resolve, reject) => {
      document.head.append(make("script", { src: url, onload: resolve, onerror: reject }));
    });
  } finally {
    globalThis.define = define;
    URL.revokeObjectURL(url);
  }
}

const dark = globalThis.matchMedia("(prefers-color-scheme: dark)");
const paper = globalThis.matchMedia("print");
const PAPER_WIDTH = 680; // pixels of A4 and of Letter within their margins
function theme() {
  if (paper.matches) return "light";
  const { voila, jpThemeLight } = document.body.dataset;
  if (voila === undefined && jpThemeLight !== undefined) return jpThemeLight === "true" ? "light" : "dark";
  return dark.matches ? "dark" : "light";
}

// The page shows title and subtitle as text that wraps; the figure leaves them out.
function forPage(figure, template, width) {
  const layout = structuredClone(figure.layout);
  const above = layout.meta?.above ?? 12;
  const margin = layout.margin ?? {};
  layout.height -= (margin.t ?? 84) - above;
  layout.margin = { ...margin, t: above };
  delete layout.title;
  Object.assign(layout, { template, width, autosize: false, dragmode: false });
  const data = structuredClone(figure.data);
  fitLabels(data, layout);
  return { data, layout };
}

const pen = document.createElement("canvas").getContext("2d");
function cut(text, room) {
  if (pen.measureText(text).width <= room) return text;
  let length = text.length;
  while (length > 1 && pen.measureText(text.slice(0, length) + "…").width > room) length -= 1;
  return text.slice(0, length).trimEnd() + "…";
}

// Labels stand right of their node, in the last column left of it: each gets the room there is.
function fitLabels(data, layout) {
  for (const trace of data) {
    if (trace.type !== "sankey") continue;
    const { x, customdata, thickness } = trace.node;
    const across = layout.width - layout.margin.l - layout.margin.r;
    const columns = [...new Set(x)].sort((a, b) => a - b);
    const gaps = columns.slice(1).map((column, at) => (column - columns[at]) * across);
    const size = Math.min(...gaps) < 120 ? 10 : 12; // on paper there is less room
    trace.textfont = { ...trace.textfont, size };
    pen.font = `${size}px ${FONT}`;
    const widest = columns.map((column) => Math.max(
      ...customdata.map((data, at) => (x[at] === column ? pen.measureText(data[1]).width : 0))));
    const last = columns.length - 1;
    const room = columns.map((column, at) => {
      if (at < last - 1) return (columns[at + 1] - column) * across - thickness - 12;
      const gap = (columns[last] - columns[Math.max(last - 1, 0)]) * across - thickness - 20;
      const other = at === last ? widest[last - 1] ?? 0 : widest[last];
      return Math.max(gap - other, gap / 2);
    });
    trace.node.label = customdata.map((data, at) => cut(data[1], room[columns.indexOf(x[at])]));
  }
}

const NUMBERS = {
  integer: new Intl.NumberFormat("en"),
  share: new Intl.NumberFormat("en", { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 }),
  number: new Intl.NumberFormat("en", { maximumSignificantDigits: 4 }),
};
const RESERVED = {
  "(start)": "journey began", "(end)": "journey ended", "(open)": "still open", "(other)": "other",
  "(none)": "not known",
};
function cell(value, kind) {
  if (value == null) return "–";
  if (value in RESERVED) return RESERVED[value];
  if (kind === "name") return value.replaceAll("_", " ");
  return kind in NUMBERS ? NUMBERS[kind].format(value) : String(value);
}

function tableOf(table) {
  const head = make("tr", {}, ...table.columns.map(({ label, kind }) =>
    make("th", { scope: "col", class: kind in NUMBERS && "cx-number" }, label)));
  const body = table.rows.slice(0, 200).map((row) => make("tr", {}, ...row.map((value, at) => {
    const { kind } = table.columns[at];
    return make("td", { class: kind in NUMBERS && "cx-number" }, cell(value, kind));
  })));
  return make("table", {}, make("thead", {}, head), make("tbody", {}, ...body));
}

function csvOf(table) {
  const quote = (value, kind) => {
    let text = value == null ? "" : String(value);
    if (!(kind in NUMBERS) && /^[=+\-@\t\r]/.test(text)) text = "'" + text; // not a formula
    return /[",\n\r]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text;
  };
  const lines = [table.columns.map(({ name }) => quote(name, "text")),
    ...table.rows.map((row) => row.map((value, at) => quote(value, table.columns[at].kind)))];
  return "\ufeff" + lines.map((line) => line.join(",")).join("\r\n") + "\r\n";
}

function save(name, href) {
  const link = make("a", { href, download: name });
  document.body.append(link);
  link.click();
  link.remove();
}

function render({ model, el }) {
  const id = "cx-" + Math.random().toString(36).slice(2);
  const title = make("h2", { id });
  const subtitle = make("p", { class: "cx-subtitle" });
  const plot = make("div", { class: "cx-plot", role: "img" });
  const scroll = make("div", { class: "cx-scroll", tabindex: "0", role: "region", "aria-labelledby": id }, plot);
  const hint = make("p", { class: "cx-hint", hidden: true }, "Scroll the chart sideways to see all of it.");
  const message = make("p", { class: "cx-message", role: "status", "aria-live": "polite" });
  const reading = make("p", { class: "cx-reading" });
  const notes = make("ul", { class: "cx-notes" });
  const table = make("div", { class: "cx-table", tabindex: "0", role: "region", "aria-label": "Table" });
  const details = make("details", {}, make("summary", {}, "Table"), table);
  const png = make("button", { type: "button", onclick: savePicture, title: "Download the chart as a picture" }, "PNG");
  const csv = make("button", { type: "button", onclick: saveTable, title: "Download the numbers as a table" }, "CSV");
  const tools = make("div", { class: "cx-tools" }, png, csv);
  const card = make("section", { class: "cx-card", "aria-labelledby": id },
    make("header", {}, make("div", {}, title, subtitle), tools),
    message, hint, scroll, reading, notes, details);
  el.classList.add("cx-chart");
  el.append(card);

  let state = {};
  let drawn = 0; // width of the last drawing
  let turn = 0;
  let ready = false; // whether anything was ever shown
  let shown = null; // the figure on screen, which an error leaves there

  function read() {
    state = JSON.parse(model.get("state") || "{}");
    card.dataset.state = state.kind ?? "waiting";
    card.setAttribute("aria-busy", String(state.kind === "waiting"));
    message.textContent = state.message ?? "";
    message.hidden = !state.message;
    if (!title.textContent) title.textContent = state.title ?? state.name?.replaceAll("-", " ") ?? "";
    if (state.kind === "ready") ready = true;
    tools.hidden = !ready;
    if (!ready) details.hidden = true;
    scroll.hidden = !ready && state.kind === "error";
    if (state.kind !== "ready") return;
    shown = state.figure;
    card.classList.toggle("cx-only-table", !shown);
    scroll.hidden = !shown;
    details.hidden = csv.hidden = !state.table?.rows.length;
    if (!shown) return readTable();
    const { title: heading = {}, meta = {} } = shown.layout;
    title.textContent = heading.text ?? "";
    subtitle.textContent = heading.subtitle?.text ?? "";
    plot.setAttribute("aria-label", `${heading.text ?? "Chart"}. ${meta.description ?? ""}`);
    reading.textContent = meta.empty ? "" : meta.reading ?? meta.description ?? "";
    notes.replaceChildren(...(state.notes ?? []).map((note) => make("li", {}, note)));
    png.hidden = Boolean(meta.empty);
    table.replaceChildren();
    if (details.open) fillTable();
    draw(true);
  }

  function readTable() {
    title.textContent = state.title ?? "";
    notes.replaceChildren(...(state.notes ?? []).map((note) => make("li", {}, note)));
    png.hidden = true;
    details.open = true;
    table.replaceChildren();
    fillTable();
    card.dataset.drawn = String(state.version ?? 0);
  }

  function fillTable() {
    if (!state.table || table.childElementCount) return;
    table.append(tableOf(state.table));
    const more = state.table.rows.length - 200;
    if (more > 0) table.append(make("p", {}, `${NUMBERS.integer.format(more)} further rows are in the CSV.`));
  }
  details.addEventListener("toggle", () => { if (details.open) fillTable(); });

  async function draw(anew) {
    if (!shown) return;
    const width = paper.matches ? PAPER_WIDTH
      : Math.max(Math.floor(scroll.clientWidth), shown.layout.meta?.min_width ?? 0);
    if (!scroll.clientWidth || (!anew && width === drawn)) return;
    const mine = ++turn;
    const { Plotly, templates } = await assets(model);
    if (mine !== turn) return;
    drawn = width;
    const { data, layout } = forPage(shown, templates[theme()], width);
    await Plotly.react(plot, data, layout, CONFIG);
    if (mine !== turn) return;
    hint.hidden = width <= scroll.clientWidth + 1;
    plot.removeAllListeners?.("plotly_click");
    plot.on("plotly_click", ({ points }) => {
      if (points[0].source === undefined && points[0].node === undefined) pick(points[0].pointNumber);
    });
    reachNodes();
    card.dataset.drawn = String(state.version ?? 0);
  }

  // A node of a Sankey chart can be clicked, so it can be reached and pressed without a mouse.
  function reachNodes() {
    const trace = shown.data[0];
    if (trace?.type !== "sankey" || !state.pickable) return;
    plot.setAttribute("role", "group");
    plot.querySelectorAll(".sankey-node").forEach((node) => {
      const at = node.__data__?.node?.pointNumber ?? node.__data__?.index;
      const name = trace.node.customdata[at]?.[0];
      if (name === undefined || name.startsWith("(")) return;
      const rect = node.querySelector("rect");
      rect.style.cursor = "pointer";
      for (const [key, value] of Object.entries({
        tabindex: "0", role: "button", "data-touchpoint": name,
        "aria-label": `${trace.node.customdata[at][1]}: centre on it`,
      })) rect.setAttribute(key, value);
      rect.onkeydown = (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        pick(at);
      };
    });
  }

  function pick(at) {
    const name = shown.data[0].node?.customdata?.[at]?.[0];
    if (state.pickable && name && !name.startsWith("(")) model.send({ type: "pick", name });
  }

  const stamp = () => (state.as_of ? ` – data as of ${state.as_of}` : "");

  async function savePicture() {
    const { Plotly, templates } = await assets(model);
    const layout = structuredClone(shown.layout);
    const subtitle = `${layout.title?.subtitle?.text ?? ""}${stamp()}`;
    layout.title = { ...layout.title, subtitle: { ...layout.title?.subtitle, text: subtitle } };
    Object.assign(layout, { template: templates.light, width: Math.max(1200, layout.meta?.min_width ?? 0) });
    const picture = { data: structuredClone(shown.data), layout: { ...layout, autosize: false } };
    layout.margin = { l: 16, r: 16, ...layout.margin };
    fitLabels(picture.data, picture.layout);
    const size = { format: "png", scale: 2, width: layout.width, height: layout.height };
    save(`${state.name}.png`, await Plotly.toImage(picture, size));
  }

  function saveTable() {
    const url = URL.createObjectURL(new Blob([csvOf(state.table)], { type: "text/csv;charset=utf-8" }));
    save(`${state.name}.csv`, url);
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  }

  let timer;
  const later = () => { clearTimeout(timer); timer = setTimeout(() => draw(false), 80); };
  const anew = () => draw(true);
  const observer = new ResizeObserver(later);
  observer.observe(scroll);
  dark.addEventListener("change", anew);
  paper.addEventListener("change", anew);
  const themes = new MutationObserver(anew); // JupyterLab changes its theme on the body
  themes.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light"] });
  model.on("change:state", read);
  read();
  return () => {
    observer.disconnect();
    themes.disconnect();
    dark.removeEventListener("change", anew);
    paper.removeEventListener("change", anew);
    model.off("change:state", read);
    globalThis.Plotly?.purge(plot);
  };
}

export default { render };
