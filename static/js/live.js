// The overview's live figures. It says "live", "reconnecting" or "as of 12:03:07", and never shows old figures as new.
const place = document.getElementById("live");
const words = place.dataset;
const language = document.documentElement.lang || "en";
const number = new Intl.NumberFormat(language);
const clock = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
const STALE_MS = 4000;
const EVENTS = ["accepted", "sent", "failed"];
let heardAt = 0;
let asOf = null;
let wait = 1000;

function put(name, value) {
  for (const element of document.querySelectorAll(`[data-figure="${name}"]`)) element.textContent = value;
}

function say(state) {
  const badge = document.getElementById("live-state");
  badge.className = `badge tone-${{ live: "delivered", reconnecting: "unknown", old: "cancelled" }[state]}`;
  badge.querySelector("use").setAttribute("href", `${words.icons}#${{ live: "sent", reconnecting: "retry", old: "expired" }[state]}`);
  badge.querySelector("[data-word]").textContent = state === "live" ? words.live : state === "old" && asOf ? words.asOf.replace("{time}", clock.format(asOf)) : words.reconnecting;
  for (const part of document.querySelectorAll("[data-live]")) part.classList.toggle("stale", state !== "live");
}

function draw(series) {
  const chart = document.getElementById("spark");
  const peak = Math.max(0, ...series.flatMap((second) => EVENTS.map((event) => second[event])));
  const highest = Math.max(1, peak);
  put("peak", number.format(peak));
  for (const event of EVENTS) {
    const points = series.map((second, index) => `${(index * 100) / Math.max(1, series.length - 1)},${39 - (38 * second[event]) / highest}`);
    chart.querySelector(`.${event}`).setAttribute("points", points.join(" "));
  }
}

function show(figures) {
  if (figures.status === "away") { say("old"); return; }
  heardAt = Date.now();
  asOf = new Date(figures.as_of);
  say("live");
  const queue = figures.queues["message.send"];
  put("depth", queue.depth === null ? "–" : number.format(queue.depth));
  put("capacity", number.format(queue.capacity));
  put("waiting", number.format(queue.waiting_in_database));
  put("threads", number.format(figures.pool.threads));
  put("active", number.format(figures.pool.active_count));
  put("usage", `${figures.pool.queue_usage_percent} %`);
  for (const event of EVENTS) put(`rate-${event}`, number.format(figures.rates_per_second[event]));
  document.getElementById("depth-bar").setAttribute("width", `${Math.min(100, queue.usage_percent ?? 0)}%`);
  document.getElementById("active-bar").setAttribute("width", `${figures.pool.threads ? Math.min(100, (100 * figures.pool.active_count) / figures.pool.threads) : 0}%`);
  draw(figures.series);
}

function connect() {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  const host = words.port ? `${location.hostname}:${words.port}` : location.host;
  const socket = new WebSocket(`${scheme}//${host}/ws/statistics/${words.tenant ? `?tenant=${words.tenant}` : ""}`);
  socket.addEventListener("message", (event) => { wait = 1000; show(JSON.parse(event.data)); });
  socket.addEventListener("close", (event) => {
    if (event.code === 4401) { location.reload(); return; } // signed out, or the role is gone: the page says so
    say(asOf ? "old" : "reconnecting");
    setTimeout(connect, wait);
    wait = Math.min(wait * 2, 30_000);
  });
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

say("reconnecting");
connect();
setInterval(refreshDay, 10_000);
setInterval(() => { if (asOf && Date.now() - heardAt > STALE_MS) say("old"); }, 1000);
