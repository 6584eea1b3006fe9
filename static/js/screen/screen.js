// The big screen: key figures and four charts, live or over a longer range.
import { Chart, connect } from "./charts.js";
import { openFeed, showState } from "./feed.js";
import { formats } from "./format.js";
import { Points } from "./points.js";
import { fillTable } from "./table.js";
import { startTicker } from "./ticker.js";

const page = document.body;
const words = JSON.parse(document.getElementById("screen-texts").textContent);
const format = formats(document.documentElement.lang || "en", words.units);
const look = { words, icons: page.dataset.icons, clock: format.clock };
const RANGES = { "15m": 900, "1h": 3_600, "24h": 86_400, "7d": 604_800 };
const LIVE = "15m";
const NAMES = ["throughput", "channels", "queue", "latency"];
const REFRESH_MS = 15_000;
const TABLE_ROWS = 60;
const SUCCESS_AMBER = 99;
const SUCCESS_RED = 95;

const live = new Points();
const past = new Points();
let charts = [];
let range = LIVE;
let newest = Date.now() / 1000; // the time of the server, so that a clock that is wrong here moves nothing
let pastAsOf = null;
let state = "reconnecting";
let feed = null;
let ticker = null;
let asked = 0;

const points = () => (range === LIVE ? live : past);
const span = () => ({ from: (newest - RANGES[range]) * 1000, to: newest * 1000 });

function put(name, text, tone = "") {
  const element = document.querySelector(`[data-figure="${name}"]`);
  if (element.textContent !== text) element.textContent = text;
  element.dataset.tone = tone;
}

function showFigures(frame) {
  const rates = frame.rates_per_second;
  const queue = frame.queues["message.send"];
  const success = frame.success_rate;
  put("success_rate", success === null ? "–" : format.percent(success), success === null || success >= SUCCESS_AMBER ? "" : success >= SUCCESS_RED ? "amber" : "red");
  const perSecond = (value) => words.perSecond.replace("{number}", format.rate(value));
  for (const event of ["accepted", "sent"]) put(event, perSecond(rates[event]));
  put("failed", perSecond(rates.failed), rates.failed > 0 ? "red" : "");
  put("depth", queue.depth === null ? "–" : format.number(queue.depth), queue.usage_percent >= 80 ? "amber" : "");
  put("busy", `${format.number(frame.pool.active_count)} / ${format.number(frame.pool.threads)}`, frame.pool.threads ? "" : "amber");
  put("p95", frame.latency_ms.p95 === null ? "–" : format.milliseconds(frame.latency_ms.p95));
}

function draw() {
  if (document.hidden) return;
  for (const chart of charts) {
    chart.show(points(), span());
    const table = document.getElementById(`table-${chart.name}`);
    if (!table.hidden) fillTable(table, chart.rows(points(), TABLE_ROWS), document.getElementById(`title-${chart.name}`).textContent);
    const empty = document.querySelector(`[data-empty="${chart.name}"]`);
    empty.hidden = !chart.isEmpty;
    empty.textContent = points().isKnown ? words.nothing : words.unknown;
  }
}

function showFreshness() {
  for (const part of document.querySelectorAll("[data-live]")) {
    part.classList.toggle("stale", part.tagName === "FIGURE" && range !== LIVE ? pastAsOf === null : state !== "live");
  }
  const told = range === LIVE || !pastAsOf ? "" : words.asOf.replace("{time}", format.clock.format(pastAsOf));
  for (const place of document.querySelectorAll("[data-as-of]")) place.textContent = told;
}

function onFrame(frame) {
  if (frame.type === "snapshot") live.replace(frame.points, 5); else live.merge(frame.points, RANGES[LIVE]);
  newest = new Date(frame.as_of) / 1000;
  showFigures(frame);
  if (range === LIVE) draw();
}

function onState(now, asOf) {
  state = now;
  showState(document.getElementById("live-state"), now, asOf, look);
  showFreshness();
}

/** Ask for the past; an answer that comes after another range was chosen is dropped. */
async function askPast() {
  if (range === LIVE || document.hidden) return;
  const mine = asked += 1;
  try {
    const answer = await fetch(`${page.dataset.figures}?range=${range}${page.dataset.tenant ? `&tenant=${page.dataset.tenant}` : ""}`, { headers: { Accept: "application/json" } });
    if (!answer.ok || answer.redirected) throw new Error(answer.statusText);
    const told = await answer.json();
    if (mine !== asked) return;
    past.replace(told.points, told.step_seconds);
    pastAsOf = told.as_of ? new Date(told.as_of) : null;
    document.body.dataset.shown = range;
    draw();
    showFreshness();
  } catch {
    if (mine !== asked) return;
    for (const place of document.querySelectorAll("[data-as-of]")) place.textContent = words.failed;
  }
}

function choose(name) {
  if (!(name in RANGES) || name === range) return;
  range = name;
  asked += 1;
  past.replace([], 60);
  pastAsOf = null;
  format.setSpan(RANGES[range]);
  document.querySelector(`[name="range"][value="${name}"]`).checked = true;
  const address = new URL(location.href);
  if (name === LIVE) address.searchParams.delete("range"); else address.searchParams.set("range", name);
  history.replaceState(null, "", address);
  document.body.dataset.shown = range === LIVE ? LIVE : "";
  draw();
  showFreshness();
  askPast();
}

function showTable(name, isTable) {
  document.getElementById(`table-${name}`).hidden = !isTable;
  document.getElementById(name).hidden = isTable;
  const button = document.querySelector(`[data-table="${name}"]`);
  button.setAttribute("aria-pressed", String(isTable));
  if (!isTable) charts.find((chart) => chart.name === name)?.resize();
}

function toggleTables() {
  const isTable = NAMES.some((name) => document.getElementById(`table-${name}`).hidden);
  for (const name of NAMES) showTable(name, isTable);
  draw();
}

function switchTheme() {
  const theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  document.documentElement.dataset.theme = theme;
  try { localStorage.setItem("posthaste.screen.theme", theme); } catch { /* not remembered */ }
  repaint();
}

function repaint() { for (const chart of charts) chart.repaint(points(), span()); }

async function switchFullScreen() {
  try {
    if (document.fullscreenElement) await document.exitFullscreen(); else await document.documentElement.requestFullscreen();
  } catch { /* not allowed here */ }
}

function showFullScreen() {
  const isFull = Boolean(document.fullscreenElement);
  const button = document.getElementById("full");
  button.setAttribute("aria-pressed", String(isFull));
  button.querySelector("use").setAttribute("href", `${page.dataset.icons}#${isFull ? "shrink" : "expand"}`);
}

const openKeys = () => document.getElementById("keys").showModal();

document.addEventListener("change", (event) => {
  if (event.target.name === "range") choose(event.target.value);
  if (event.target.id === "tenant") event.target.form.submit();
});
document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.dataset.table) { showTable(button.dataset.table, button.getAttribute("aria-pressed") !== "true"); draw(); }
  if (button.id === "theme") switchTheme();
  if (button.id === "full") switchFullScreen();
  if (button.id === "keys-open") openKeys();
});
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("select, dialog, input:not([type=radio])")) return;
  const index = Number(event.key) - 1;
  if (index in Object.keys(RANGES)) choose(Object.keys(RANGES)[index]);
  if (event.key === "t") toggleTables();
  if (event.key === "d") switchTheme();
  if (event.key === "f") switchFullScreen();
  if (event.key === "?") openKeys();
});
document.addEventListener("fullscreenchange", showFullScreen);
document.addEventListener("visibilitychange", () => { if (!document.hidden) { draw(); askPast(); } });

// The size of the text follows the window; observed rather than asked, so that a rail or a keyboard that opens counts too.
let sized = 0;
const resized = new ResizeObserver(() => {
  cancelAnimationFrame(sized);
  sized = requestAnimationFrame(repaint);
});

function open() {
  charts = NAMES.map((name) => new Chart(document.getElementById(name), { texts: words, format }));
  connect();
  for (const name of NAMES) resized.observe(document.getElementById(name));
  feed = openFeed({ port: page.dataset.port, tenant: page.dataset.tenant, onFrame, onState });
  ticker = startTicker(document.getElementById("ticker"), { url: page.dataset.ticker, words, icons: page.dataset.icons, number: format.number });
  draw();
}

function close() {
  resized.disconnect();
  feed.close();
  ticker.close();
  for (const chart of charts) chart.dispose();
  charts = [];
}

open();
choose(new URL(location.href).searchParams.get("range") ?? LIVE);
setInterval(askPast, REFRESH_MS);
addEventListener("pagehide", close);
addEventListener("pageshow", (event) => { if (event.persisted) open(); });
