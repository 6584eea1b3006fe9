// Clocks of service levels: the time that is left, live, in words and colour.
import { el, icon } from "./dom.js";
import { exact, fill, look, now, span, words } from "./texts.js";

const EVERY_MS = 1_000;

function stateOf(clock, at) {
  if (clock.state !== "running") return clock.state;
  if (clock.breached || at >= Date.parse(clock.due_at)) return "over";
  return clock.warn_at && at >= Date.parse(clock.warn_at) ? "near" : "running";
}

const TONES = { running: "", near: "tone-unknown", over: "tone-failed", paused: "", met: "tone-delivered", missed: "tone-failed", cancelled: "" };

function textOf(clock, state, at) {
  const seconds = (Date.parse(clock.due_at) - at) / 1_000;
  if (state === "running" || state === "near") return fill(words.dueIn, { time: span(seconds) });
  if (state === "over") return fill(words.overdue, { time: span(-seconds) });
  return state === "paused" ? words.paused : look("clock", state).label;
}

/** Show a clock in an element, from now on kept up to date while the element is in the page. */
export function showClock(element, clock) {
  Object.assign(element.dataset, { clock: clock.state, due: clock.due_at ?? "", warn: clock.warn_at ?? "", breached: clock.breached ? "1" : "" });
  element.title = [words.metrics[clock.metric] ?? clock.metric, clock.due_at ? exact(clock.due_at) : ""].filter(Boolean).join(" · ");
  element.replaceChildren(icon("expired"), el("span", { class: "left" }));
  tick(element, now());
}

function tick(element, at) {
  const { clock, due, warn, breached } = element.dataset;
  const told = { state: clock, due_at: due, warn_at: warn, breached: Boolean(breached) };
  const state = stateOf(told, at);
  const left = element.querySelector(".left");
  const text = textOf(told, state, at);
  if (left.textContent !== text) left.textContent = text;
  if (element.dataset.tone === TONES[state]) return;
  if (element.dataset.tone) element.classList.remove(element.dataset.tone);
  element.dataset.tone = TONES[state];
  if (TONES[state]) element.classList.add(TONES[state]);
}

setInterval(() => {
  if (document.hidden) return;
  const at = now();
  for (const element of document.querySelectorAll("[data-clock]")) tick(element, at);
}, EVERY_MS);
