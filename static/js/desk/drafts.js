// What one has begun to write: kept on this device at once, with the server soon after, and found again on every device.
import { newId, send } from "./api.js";
import { keepRows, me } from "./store.js";

const WAIT_MS = 700;
const KEY = "posthaste.desk.draft.";
const timers = new Map();
const wanted = new Map(); // key -> what the server does not have yet
const latest = new Map(); // key -> {text, at}: what was left here last, and when the server had it; until then Infinity
const coming = new Map(); // key -> the id that the text will be sent under

const keyOf = (id, isNote) => `${id}${isNote ? ".note" : ""}`;

function store(key, text) {
  try { if (text === null) localStorage.removeItem(KEY + key); else localStorage.setItem(KEY + key, text); } catch { /* storage is off: the server has it */ }
}

/** Return the draft of this device that the server may not have, or null. */
function own(key) {
  if (wanted.has(key)) return wanted.get(key);
  try { return localStorage.getItem(KEY + key); } catch { return null; }
}

/** Return the draft of a conversation. What was asked for before the server had the last word from here is old: sent by now, or written on. */
export function draftOf(id, isNote, detail) {
  const key = keyOf(id, isNote);
  const mine = latest.get(key);
  if (mine && !(detail?.askedAt > mine.at)) return mine.text;
  return own(key) ?? detail?.draft?.[isNote ? "note" : "reply"] ?? "";
}

/** Return the id that what is being written will be sent under: a draft that arrives after its text is then known to be old. */
export function comingId(id, isNote) {
  const key = keyOf(id, isNote);
  if (!coming.has(key)) coming.set(key, newId());
  return coming.get(key);
}

/** Keep a draft; `say` hears "kept" once the server has it, or "here" where it could not be reached. */
export function keepDraft(id, isNote, text, say) {
  const key = keyOf(id, isNote);
  wanted.set(key, text);
  latest.set(key, { text, at: Infinity });
  store(key, text);
  clearTimeout(timers.get(key));
  timers.set(key, setTimeout(() => push(id, isNote, key, say), WAIT_MS));
}

async function push(id, isNote, key, say) {
  timers.delete(key);
  const text = wanted.get(key);
  if (text === undefined || !me.agent) return;
  try {
    const told = await send(`c/${id}/draft/`, { text, is_note: isNote, client_id: comingId(id, isNote) });
    if (told.row) keepRows([told.row]); // the list shows the draft in place of the last line
    if (wanted.get(key) !== text) return;
    wanted.delete(key);
    latest.set(key, { text, at: performance.now() });
    store(key, null);
    say?.(text ? "kept" : "");
  } catch { say?.("here"); }
}

/** Have all drafts with the server now: the page is being left, or another conversation opened. */
export function pushDrafts() {
  for (const [key, timer] of timers) {
    clearTimeout(timer);
    const isNote = key.endsWith(".note");
    push(isNote ? key.slice(0, -5) : key, isNote, key);
  }
}

/** Forget a draft that is being sent; the server forgets it together with the reply, see `draftSent`. */
export function dropDraft(id, isNote) {
  const key = keyOf(id, isNote);
  clearTimeout(timers.get(key));
  timers.delete(key);
  wanted.delete(key);
  coming.delete(key);
  latest.set(key, { text: "", at: Infinity });
  store(key, null);
}

/** The reply has arrived: the server has no draft any more, neither of it nor of what was begun meanwhile. */
export function draftSent(id, isNote) {
  const mine = latest.get(keyOf(id, isNote));
  if (!mine) return;
  if (mine.text) keepDraft(id, isNote, mine.text); else mine.at = performance.now();
}

addEventListener("pagehide", pushDrafts);
document.addEventListener("visibilitychange", () => { if (document.hidden) pushDrafts(); });
