// The page's link to its kernel: filters in the address, and a word when it has ended.

const EVERY = 20_000; // milliseconds between two signs of life
const ASLEEP = 3_600_000; // a page that nobody looks at for so long gives its kernel back
const PATIENCE = 45_000; // a long computation delays an answer, and is no end

function render({ model, el }) {
  el.hidden = true;
  const page = document.body.dataset.voila !== undefined;

  // The address first: a link that was shared opens with its filters.
  const given = Object.fromEntries(new URLSearchParams(page ? location.search : ""));
  if (Object.keys(given).length) {
    model.set("wanted", JSON.stringify(given));
    model.save_changes();
  }
  const keep = () => {
    if (!page) return;
    const query = new URLSearchParams(JSON.parse(model.get("filters") || "{}")).toString();
    history.replaceState(null, "", location.pathname + (query ? "?" + query : ""));
  };
  model.on("change:filters", keep);

  let heard = Date.now();
  let ended = false;
  let hidden = null; // since when nobody has looked
  let lost = null; // the notice while the server does not answer
  const config = () => {
    try { return JSON.parse(document.getElementById("jupyter-config-data")?.textContent ?? "{}"); } catch { return {}; }
  };
  const notice = (text, button) => {
    const bar = document.createElement("div");
    bar.className = "cx-notice";
    bar.setAttribute("role", "alert");
    bar.append(text);
    if (button) {
      const reload = document.createElement("button");
      reload.type = "button";
      reload.textContent = "Reload";
      reload.addEventListener("click", () => location.reload());
      bar.append(reload);
    }
    document.body.append(bar);
    return bar;
  };
  const end = () => {
    if (ended) return;
    ended = true;
    clearInterval(timer);
    lost?.remove();
    document.body.classList.add("cx-ended");
    notice("The link to this page has ended, so the filters no longer work. Reload to go on; the filters are kept.", true);
  };

  model.on("msg:custom", (message) => { if (message?.type === "pong") heard = Date.now(); });
  async function beat() {
    if (ended) return;
    const { baseUrl = "/", kernelId } = config();
    if (document.visibilityState !== "visible") {
      heard = Date.now();
      hidden ??= Date.now();
      if (Date.now() - hidden < ASLEEP) return;
      const token = document.cookie.match(/\b_xsrf=([^;]*)/)?.[1] ?? "";
      const headers = { "X-XSRFToken": token };
      await fetch(`${baseUrl}voila/api/shutdown/${kernelId}`, { method: "POST", headers }).catch(() => {});
      return end();
    }
    hidden = null;
    try {
      const answer = await fetch(`${baseUrl}api/kernels/${kernelId}`, { cache: "no-store" });
      lost?.remove();
      lost = null;
      if (answer.status === 404) return end();
      const kernel = await answer.json();
      if (kernel.execution_state === "dead") return end();
      // Idle and yet silent: the kernel was started anew and has forgotten this page.
      if (kernel.execution_state === "idle" && Date.now() - heard > PATIENCE) return end();
    } catch {
      lost ??= notice("The server does not answer. Waiting for it …", false);
      heard = Date.now();
    }
    model.send({ type: "ping" });
  }
  let timer = 0;
  if (page) {
    timer = setInterval(beat, globalThis.cxHeartbeat ?? EVERY);
    document.addEventListener("visibilitychange", beat);
  }
  return () => {
    clearInterval(timer);
    document.removeEventListener("visibilitychange", beat);
    model.off("change:filters", keep);
  };
}

export default { render };
