/* What pages do beyond links and forms: charts, the reader's own time and theme, news, copying. No inline script anywhere. */
const root = document.documentElement;

// -- theme: the reader's choice, else the system's
const stored = () => { try { return localStorage.getItem("theme"); } catch { return null; } };
const isDark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
if (stored()) root.dataset.theme = stored();

// -- charts
const source = document.querySelector("meta[name=bl-echarts]")?.content;
const library = source && document.querySelector("bl-chart") ? import(source) : null;

const lines = (axis, ink, line) => ({
  ...axis,
  axisLabel: { color: ink, ...axis.axisLabel }, nameTextStyle: { color: ink, ...axis.nameTextStyle },
  axisLine: { lineStyle: { color: line } }, splitLine: { lineStyle: { color: line }, ...axis.splitLine },
});

function themed(option) {
  const style = getComputedStyle(root);
  const ink = style.getPropertyValue("--bl-muted").trim(), line = style.getPropertyValue("--bl-line").trim();
  const strong = style.getPropertyValue("--bl-ink").trim(), surface = style.getPropertyValue("--bl-surface").trim();
  const each = (axis) => (Array.isArray(axis) ? axis.map((one) => lines(one, ink, line)) : lines(axis, ink, line));
  const series = option.series.map((one) => ({
    ...one,
    ...(one.label ? { label: { ...one.label, color: strong } } : {}),
    ...(one.markLine ? { markLine: { ...one.markLine, lineStyle: { ...one.markLine.lineStyle, color: strong }, label: { ...one.markLine.label, color: strong } } } : {}),
  }));
  return {
    ...option, series,
    textStyle: { color: ink, fontFamily: getComputedStyle(document.body).fontFamily },
    legend: { ...option.legend, textStyle: { color: ink }, pageTextStyle: { color: ink } },
    tooltip: { ...option.tooltip, backgroundColor: surface, borderColor: line, textStyle: { color: strong } },
    xAxis: each(option.xAxis), yAxis: each(option.yAxis),
  };
}

class Chart extends HTMLElement {
  async connectedCallback() {
    this.setAttribute("role", "img");
    if (!library) { this.hidden = true; this.parentElement.querySelector("details")?.setAttribute("open", ""); return; }
    const { echarts } = await library;
    this.chart = echarts.init(this, null, { renderer: "canvas" });
    this.show(JSON.parse(this.dataset.option));
    this.watch = new ResizeObserver(() => this.chart.resize());
    this.watch.observe(this);
  }
  show(option) { this.option = option; this.chart?.setOption(themed(option), { notMerge: true }); this.dataset.drawn = "yes"; }
  disconnectedCallback() { this.watch?.disconnect(); this.chart?.dispose(); }
}
customElements.define("bl-chart", Chart);
const redraw = () => document.querySelectorAll("bl-chart").forEach((one) => one.option && one.show(one.option));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);

// -- the reader's own time
const shown = new Intl.DateTimeFormat(root.lang, { dateStyle: "medium", timeStyle: "medium" });
const localise = (place) => place.querySelectorAll("time[datetime]").forEach((one) => {
  if (one.title) return;
  one.title = one.textContent;
  one.textContent = shown.format(new Date(one.dateTime));
});
localise(document);

// -- buttons
document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-do]");
  if (!button) return;
  if (button.dataset.do === "theme") {
    root.dataset.theme = isDark() ? "light" : "dark";
    try { localStorage.setItem("theme", root.dataset.theme); } catch { /* a private window keeps nothing */ }
    redraw();
  }
  if (button.dataset.do === "copy") {
    navigator.clipboard?.writeText(document.getElementById(button.dataset.from).textContent.trim());
    button.textContent = "✓";
  }
});
document.querySelectorAll("select[data-send]").forEach((one) => one.addEventListener("change", () => one.form.requestSubmit()));
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target.closest("input, select, textarea") || event.ctrlKey || event.metaKey) return;
  const field = document.querySelector("main input, main select");
  if (field) { event.preventDefault(); field.focus(); }
});

// -- a link that is good once: its secret stands behind #, and reaches the server only in the form
const hidden = document.querySelector("input[name=link]");
if (hidden && location.hash.length > 1) {
  hidden.value = location.hash.slice(1);
  history.replaceState(null, "", location.pathname);
}

// -- news: one stream a page; the browser comes again by itself
const live = document.querySelector("[data-live]");
if (live) {
  const stream = new EventSource(live.dataset.live);
  stream.addEventListener("overview", (event) => {
    const news = JSON.parse(event.data);
    const places = live.querySelectorAll("[data-figure]");
    // figures are our own markup, made by the server from numbers
    news.figures.forEach((html, number) => { if (places[number] && places[number].innerHTML !== html) places[number].innerHTML = html; });
    document.getElementById("load")?.show?.(news.option);
  });
  addEventListener("pagehide", () => stream.close());
}
