// The page of a message while it lives: its answer and its trace are fetched again until it has ended.
//
// <div id="trace" data-live="address of the part" data-every="seconds" data-state="…">: an answer without data-every ends it. What else the
// page shows of the message, such as its buttons, is renewed when its state has changed.
import { tellTimes } from "./times.js";

const place = document.getElementById("trace");
const word = document.getElementById("live-state");
const STATE_PARTS = ["message-title", "message-actions", "message-facts", "message-times"];
let seen = 0;

function say(name, at) {
  if (!word) return;
  word.textContent = word.dataset[name].replace("{time}", at ? new Date(at).toLocaleTimeString(document.documentElement.lang || "en") : "");
}

async function parse(address) {
  const answer = await fetch(address, { headers: { Accept: "text/html" }, redirect: "error", signal: AbortSignal.timeout(10_000) });
  if (!answer.ok) throw new Error(String(answer.status));
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}

async function renewState() {
  const page = await parse(location.href);
  for (const id of STATE_PARTS) {
    const fresh = page.getElementById(id);
    const old = document.getElementById(id);
    if (fresh && old) old.replaceWith(fresh);
    if (fresh) tellTimes(fresh);
  }
}

async function look() {
  const now = document.getElementById("trace");
  if (document.hidden) { setTimeout(look, 1000); return; }
  try {
    const fresh = (await parse(now.dataset.live)).getElementById("trace");
    const changed = fresh.dataset.state !== now.dataset.state;
    if (!now.contains(document.activeElement) && getSelection().isCollapsed) {
      now.replaceWith(fresh);
      tellTimes(fresh);
      if (changed) await renewState();
    }
    seen = Date.now();
    const every = Number(document.getElementById("trace").dataset.every || 0);
    say(every ? "live" : "ended", seen);
    if (every) setTimeout(look, 1000 * every);
  } catch {
    say(seen ? "lost" : "reconnecting", seen);
    setTimeout(look, 5000);
  }
}

if (place && place.dataset.every) {
  seen = Date.now();
  say("live", seen);
  setTimeout(look, 1000 * Number(place.dataset.every));
}
