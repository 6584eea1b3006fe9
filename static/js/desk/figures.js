// Charts of the desk: read from an address now and then (data-url, data-every), or written in the page (#plot-data).
// Also tells the server the reader's time zone, in which days begin.
import * as echarts from "../../vendor/echarts/echarts.esm.min.mjs";

const language = document.documentElement.lang || "en";
const words = JSON.parse(document.getElementById("plot-words")?.textContent ?? "{}");
const whole = new Intl.NumberFormat(language, { maximumFractionDigits: 1 });
const hour = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const moment = new Intl.DateTimeFormat(language, { month: "numeric", day: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const TONES = ["pending", "queued", "sending", "sent", "delivered", "unknown", "failed", "suppressed", "cancelled", "ink", "ink-soft", "border", "surface"];
const plots = new Map();

/** The colours of the tokens as the page paints them now. */
function palette() {
  const probe = document.createElement("span");
  document.body.append(probe);
  const found = Object.fromEntries(TONES.map((name) => { probe.style.color = `var(--${name})`; return [name, getComputedStyle(probe).color]; }));
  probe.remove();
  return found;
}

function duration(seconds) {
  if (seconds < 60) return `${whole.format(Math.round(seconds))} ${words.s}`;
  if (seconds < 600) return `${whole.format(seconds / 60)} ${words.min}`;  // marks of an axis may lie half a minute apart
  if (seconds < 3_600) return `${whole.format(Math.round(seconds / 60))} ${words.min}`;
  return `${whole.format(seconds / 3_600)} ${words.h}`;
}

const FORMS = { count: (value) => whole.format(value), seconds: duration, percent: (value) => `${whole.format(value)} %` };
/** A time stands for an hour of the axis; anything else, such as a day or a name, is written as it is. */
const isTime = (text) => /^\d{4}-\d\d-\d\dT\d\d:/.test(text);
const isDay = (text) => /^\d{4}-\d\d-\d\d$/.test(text ?? "");
/** The year of a day is in the form above. */
const onAxis = (text) => (isTime(text) ? hour.format(new Date(text)) : isDay(text) ? text.slice(5) : text);
const written = (text) => (isTime(text) ? moment.format(new Date(text)) : text);

/** Steps of an axis at which times are round. */
const STEPS = [10, 15, 30, 60, 120, 300, 600, 1_200, 1_800, 3_600, 7_200, 14_400, 28_800, 86_400, 172_800, 604_800];
const MOST_STEPS = 5;

function scale(chart) {
  if (chart.form === "percent") return { max: 100, interval: 25 };
  if (chart.form === "count") return { minInterval: 1 };
  const top = Math.max(...chart.series.flatMap((one) => one.data.map((value) => value ?? 0)));
  const interval = STEPS.find((step) => top / step <= MOST_STEPS) ?? STEPS.at(-1);
  return { max: Math.max(1, Math.ceil(top / interval)) * interval, interval };
}

function option(chart, colours) {
  const format = FORMS[chart.form];
  const label = { color: colours["ink-soft"], fontSize: 12 };
  return {
    animation: false,
    aria: { enabled: false }, // the page names each chart and has a table for it
    grid: { left: 6, right: 12, top: 30, bottom: 6, outerBoundsMode: "same", outerBoundsContain: "axisLabel" },
    legend: { top: 0, left: 0, type: "scroll", itemWidth: 14, itemHeight: 8, textStyle: { color: colours.ink, fontSize: 12 }, pageTextStyle: label, pageIconColor: colours.ink, pageIconInactiveColor: colours["ink-soft"] },
    tooltip: {
      trigger: "axis",
      renderMode: "richText", // drawn, not written as HTML with styles: the policy of the page allows none
      confine: true,
      backgroundColor: colours.surface,
      borderColor: colours.border,
      textStyle: { color: colours.ink, fontSize: 12 },
      formatter: (found) => [written(found[0].axisValue), ...found.filter((one) => one.value !== null && one.value !== undefined).map((one) => `${one.seriesName}  ${format(one.value)}`)].join("\n"),
    },
    xAxis: { type: "category", data: chart.at, axisTick: { show: false }, axisLine: { lineStyle: { color: colours.border } }, axisLabel: { ...label, hideOverlap: true, formatter: onAxis, ...(chart.bars === "beside" && !isDay(chart.at[0]) ? { interval: 0, width: 70, overflow: "truncate" } : {}) } },
    yAxis: { type: "value", min: 0, splitNumber: 4, ...scale(chart), splitLine: { lineStyle: { color: colours.border } }, axisLabel: { ...label, formatter: format } },
    series: chart.series.map((one) => ({
      name: one.name,
      type: chart.bars ? "bar" : "line",
      stack: chart.bars === "stacked" ? "all" : undefined,
      barMaxWidth: 24,
      data: one.data,
      color: colours[one.tone],
      symbol: "circle",
      symbolSize: 5,
      connectNulls: true,
      lineStyle: { type: one.dash, width: 2 },
      emphasis: { disabled: true },
    })),
  };
}

/** The same figures as a table, built of nodes: names of groups and intents are texts of others. */
function table(chart) {
  const format = FORMS[chart.form];
  const made = document.createElement("table");
  const row = (cells, name) => {
    const line = document.createElement("tr");
    line.append(...cells.map((text, place) => { const cell = document.createElement(place && name === "td" ? "td" : "th"); cell.scope = name === "td" ? "row" : "col"; if (cell.tagName === "TD") cell.removeAttribute("scope"); cell.textContent = text; return cell; }));
    return line;
  };
  const head = document.createElement("thead");
  head.append(row([words.time, ...chart.series.map((one) => one.name)], "th"));
  const body = document.createElement("tbody");
  body.append(...chart.at.map((at, place) => row([written(at), ...chart.series.map((one) => (one.data[place] === null || one.data[place] === undefined ? "–" : format(one.data[place])))], "td")));
  made.append(head, body);
  return made;
}

function draw(chart) {
  const card = document.querySelector(`[data-plot="${CSS.escape(chart.name)}"]`);
  if (!card) return;
  const isEmpty = chart.series.every((one) => one.data.every((value) => value === null || value === 0));
  card.classList.toggle("is-empty", isEmpty);
  card.classList.remove("stale");
  card.querySelector(".plot-empty").hidden = !isEmpty;
  card.querySelector(".plot-table").replaceChildren(table(chart));
  if (isEmpty) return;
  const plot = plots.get(chart.name)?.plot ?? echarts.init(card.querySelector(".plot"), null, { renderer: "canvas" });
  plots.set(chart.name, { plot, chart });
  plot.setOption(option(chart, palette()), true);
  plot.resize();
}

function repaint() { for (const { chart } of plots.values()) draw(chart); }

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-plot-table]");
  if (!button) return;
  const card = button.closest("[data-plot]");
  const isTable = button.getAttribute("aria-pressed") !== "true";
  button.setAttribute("aria-pressed", String(isTable));
  button.textContent = isTable ? words.chart : words.table;
  card.querySelector(".plot").hidden = isTable;
  card.querySelector(".plot-table").hidden = !isTable;
  if (!isTable) plots.get(card.dataset.plot)?.plot.resize();
});
new ResizeObserver(() => { for (const { plot } of plots.values()) plot.resize(); }).observe(document.body);
new MutationObserver(repaint).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);

const inPage = document.getElementById("plot-data");
if (inPage) for (const chart of JSON.parse(inPage.textContent)) draw(chart);

const live = document.querySelector(".plots[data-url]");
if (live) {
  const read = async () => {
    if (document.hidden) return;
    try {
      const answer = await fetch(live.dataset.url, { headers: { Accept: "application/json" }, signal: AbortSignal.timeout(20_000) });
      if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
      for (const chart of (await answer.json()).charts) draw(chart);
    } catch {
      for (const card of live.querySelectorAll("[data-plot]")) card.classList.add("stale"); // what is shown is old, and looks so
    }
  };
  read();
  setInterval(read, Number(live.dataset.every) * 1_000);
  document.addEventListener("visibilitychange", read);
}

// Days begin at the reader's midnight. What the address says stays.
const shown = document.querySelector("[data-zone-shown]");
const { timeZone } = new Intl.DateTimeFormat().resolvedOptions();
const here = new URL(location.href);
if (shown && timeZone && timeZone !== shown.dataset.zoneShown && !here.searchParams.has("zone")) {
  here.searchParams.set("zone", timeZone);
  if (shown.hasAttribute("data-zone-reload")) location.replace(here); else history.replaceState(null, "", here);
}
