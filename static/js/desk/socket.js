// The desk's socket: it says that something has changed; what has changed is always read. It comes back by itself.
import { $, desk } from "./dom.js";
import { on, tell } from "./store.js";
import { fill, now, second, setClock, words } from "./texts.js";

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 8_000;
const LOOK_MS = 15_000; // without a socket the list is read that often
const TYPING_MS = 3_000;
const OPEN_MS = 8_000; // a proxy that swallows a WebSocket says nothing
const SILENT_MS = 40_000; // more than two beats of the server
const CHECK_MS = 5_000;
const REFUSED = 4401;
const badge = $("live-state");
const TONES = { live: "delivered", reconnecting: "unknown", old: "cancelled" };
const ICONS = { live: "sent", reconnecting: "retry", old: "expired" };
let socket = null;
let wait = FIRST_WAIT_MS;
let retry = 0;
let watched = null;
let typedAt = 0;
let heardAt = null;
let wireAt = 0; // when anything came or was begun, by the clock of this device, which goes on while it sleeps
let isClosed = false;

function say(state) {
  const text = state === "live" ? words.live : state === "old" && heardAt ? fill(words.asOf, { time: second(heardAt) }) : heardAt ? `${words.reconnecting} · ${fill(words.asOf, { time: second(heardAt) })}` : words.reconnecting;
  const word = badge.querySelector("[data-word]");
  if (word.textContent !== text) word.textContent = text;
  badge.dataset.state = state;
  badge.className = `badge tone-${TONES[state]}`;
  badge.querySelector("use").setAttribute("href", `${desk.dataset.icons}#${ICONS[state]}`);
}

function push(frame) {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(frame));
}

function hear(event) {
  const frame = JSON.parse(event.data);
  wireAt = Date.now();
  if (frame.at) setClock(frame.at);
  heardAt = frame.at ?? new Date(now()).toISOString();
  if (frame.type === "hello") {
    wait = FIRST_WAIT_MS;
    say("live");
    push({ type: "watch", conversation: watched });
    tell("connected"); // all is read again: nothing is only in a frame
    return;
  }
  if (frame.type === "ended") { tell("signed-out"); return; }
  tell(`frame-${frame.type}`, frame);
}

function connect() {
  clearTimeout(retry);
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  const host = desk.dataset.port ? `${location.hostname}:${desk.dataset.port}` : location.host;
  const query = desk.dataset.tenant ? `?tenant=${desk.dataset.tenant}` : "";
  const mine = new WebSocket(`${scheme}//${host}/ws/desk/${query}`);
  socket = mine;
  wireAt = Date.now();
  setTimeout(() => { if (mine.readyState === WebSocket.CONNECTING) mine.close(); }, OPEN_MS);
  mine.addEventListener("message", (event) => { if (socket === mine) hear(event); });
  mine.addEventListener("close", (event) => {
    if (isClosed || socket !== mine) return;
    say("reconnecting");
    tell("disconnected");
    if (event.code === REFUSED && heardAt) tell("signed-out"); // or the role is gone: the page says so
    // Spread, so that not all desks come back at the same moment after a restart.
    retry = setTimeout(connect, wait * (0.6 + 0.8 * Math.random()));
    wait = Math.min(wait * 2, LONGEST_WAIT_MS);
  });
}

export const isLive = () => badge.dataset.state === "live";

export function typing(id, isNote) {
  if (performance.now() - typedAt < TYPING_MS) return;
  typedAt = performance.now();
  push({ type: "typing", conversation: id, is_note: isNote });
}

/** Connect once more: the connection that there is may look open and be dead. */
function anew() {
  wait = FIRST_WAIT_MS;
  const old = socket;
  connect();
  old.close();
}

/** Nothing comes although it is open: it is dead, or it never lived, since something on the way lets nothing through. */
function check() {
  if (socket.readyState !== WebSocket.OPEN || Date.now() - wireAt <= (isLive() ? SILENT_MS : OPEN_MS)) return;
  if (isLive()) { say("reconnecting"); tell("disconnected"); }
  anew();
}

export function startSocket() {
  connect();
  addEventListener("offline", () => say("reconnecting"));
  addEventListener("online", anew);
  setInterval(check, CHECK_MS);
  addEventListener("pagehide", () => { isClosed = true; clearTimeout(retry); socket.close(); });
  addEventListener("pageshow", (event) => { if (event.persisted) { isClosed = false; connect(); } });
  setInterval(() => { if (!isLive() && !document.hidden) tell("look"); }, LOOK_MS);
}

on("watch", (id) => { watched = id; push({ type: "watch", conversation: id }); });
on("heard", (at) => { if (at) { heardAt = at; setClock(at); } });
