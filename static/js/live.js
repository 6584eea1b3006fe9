// The overview's live figures. It says "live", "reconnecting" or "as of 12:03:07", and never shows old figures as new.
import { openFeed, showState } from "./screen/feed.js";
import { Points, rate } from "./screen/points.js";

const place = document.getElementById("live");
const words = place.dataset;
const language = document.documentElement.lang || "en";
const number = new Intl.NumberFormat(language);
const clock = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const EVENTS = ["accepted", "sent", "failed"];
const BACK_SECONDS = 900;
const points = new Points();

function put(name, value) {
  for (const element of document.querySelectorAll(`[data-figure="${name}"]`)) element.textContent = value;
}

function say(state, asOf) {
  showState(document.getElementById("live-state"), state, asOf, { words, icons: words.icons, clock });
  for (const part of document.querySelectorAll("[data-live]")) part.classList.toggle("stale", state !== "live");
}

/** The top of the axis: 1, 2 or 5 times a power of ten, so that it stays while the peak moves. */
function topOf(peak) {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, peak)));
  return power * ([1, 2, 5, 10].find((step) => step * power >= peak) ?? 10);
}

function draw() {
  const chart = document.getElementById("spark");
  const series = Object.fromEntries(EVENTS.map((event) => [event, points.series(rate(event)).map(([, value]) => value ?? 0)]));
  const peak = Math.max(0, ...Object.values(series).flat());
  const top = topOf(peak);
  put("peak", number.format(Math.round(peak)));
  put("axis-top", number.format(top));
  put("axis-middle", number.format(top / 2));
  for (const event of EVENTS) {
    const line = series[event].map((value, index, all) => `${(index * 100) / Math.max(1, all.length - 1)},${39 - (38 * value) / top}`);
    // No line where nothing of the kind happened: a red one along the bottom looks like trouble.
    chart.querySelector(`.${event}`).setAttribute("points", series[event].some((value) => value > 0) ? line.join(" ") : "");
  }
}

function show(figures) {
  if (figures.type === "snapshot") points.replace(figures.points, 5); else points.merge(figures.points, BACK_SECONDS);
  const queue = figures.queues["message.send"];
  put("depth", queue.depth === null ? "–" : number.format(queue.depth));
  put("capacity", number.format(queue.capacity));
  put("waiting", queue.waiting_in_database === null ? "–" : number.format(queue.waiting_in_database));
  put("threads", number.format(figures.pool.threads));
  put("active", number.format(figures.pool.active_count));
  put("usage", `${figures.pool.queue_usage_percent} %`);
  for (const event of EVENTS) put(`rate-${event}`, number.format(figures.rates_per_second[event]));
  document.getElementById("depth-bar").setAttribute("width", `${Math.min(100, queue.usage_percent ?? 0)}%`);
  document.getElementById("active-bar").setAttribute("width", `${figures.pool.threads ? Math.min(100, (100 * figures.pool.active_count) / figures.pool.threads) : 0}%`);
  draw();
}

async function refreshDay() {
  if (document.hidden) return;
  try {
    const answer = await fetch(words.figures, { headers: { Accept: "application/json" } });
    if (!answer.ok) return;
    const { today } = await answer.json();
    for (const name of ["accepted", "sent", "failed", "in_progress"]) put(name, number.format(today[name]));
    put("success_rate", today.success_rate === null ? "–" : `${number.format(today.success_rate)} %`);
    for (const element of document.querySelectorAll('[data-figure="success_rate"]')) { element.classList.remove("red", "amber"); if (today.tone) element.classList.add(today.tone); }
  } catch { /* the next turn asks again */ }
}

const open = () => openFeed({ port: words.port, tenant: words.tenant, onFrame: show, onState: say });
let feed = open();
addEventListener("pagehide", () => feed.close());
addEventListener("pageshow", (event) => { if (event.persisted) feed = open(); });
setInterval(refreshDay, 10_000);
