// The conversation that is open: read, kept up to date, drawn.
import * as address from "./address.js";
import { act } from "./actions.js";
import { read } from "./api.js";
import { drawCustomer } from "./customer.js";
import { $, button, desk, el, icon, isWide } from "./dom.js";
import { clearLines, drawLines } from "./lines.js";
import { dropPending, pendingOf } from "./pending.js";
import { keepRows, me, on, rowOf, tell } from "./store.js";
import { fill, number, words } from "./texts.js";
import { sayFailed } from "./toast.js";
import { drawHead } from "./head.js";

const AT_BOTTOM = 60;
const AT_TOP = 200;
const APART_MS = 700;
const KEPT = 20;
const box = $("lines");
const newLines = $("lines-new");
const kept = new Map(); // conversations that were open lately: {detail, lines, notes, events, first}
let id = null;
let serial = 0;
let timer = 0;
let readAt = 0;
let reading = null;
let earlier = false;
let stays = true; // at the end, also when there is less room or more to show
let turns = 0;
let taken = 0; // the last question to the server whose answer was shown

export const openId = () => id;
export const openDetail = () => kept.get(id)?.detail ?? null;
export const lastSeq = () => [...(kept.get(id)?.lines.keys() ?? [])].reduce((most, seq) => Math.max(most, seq), 0);

const isAtBottom = () => box.scrollHeight - box.scrollTop - box.clientHeight < AT_BOTTOM;
const toBottom = () => { box.scrollTop = box.scrollHeight; newLines.hidden = stays = true; };

function blank() {
  return { detail: null, lines: new Map(), notes: new Map(), events: [], first: Infinity };
}

function take(told) {
  const mine = kept.get(id) ?? blank();
  kept.delete(id);
  kept.set(id, mine);
  for (const other of kept.keys()) { if (kept.size <= KEPT) break; if (other !== id) kept.delete(other); }
  for (const line of told.lines ?? []) mine.lines.set(line.seq, line);
  for (const note of told.notes ?? []) mine.notes.set(note.id, note);
  if (told.events) mine.events = told.events.map((event) => ({ ...event, at: event.at ?? event.started_at })).sort((a, b) => (a.at < b.at ? -1 : 1));
  if (told.row) { mine.detail = told; keepRows([told.row]); }
  mine.first = Math.min(mine.first, ...(told.lines ?? []).map((line) => line.seq));
  dropPending([...(told.lines ?? []), ...(told.notes ?? [])].map((each) => each.client_id).filter(Boolean));
  return mine;
}

// --- drawing -------------------------------------------------------------------------------------------------------
function draw({ toEnd = false } = {}) {
  const mine = kept.get(id) ?? blank();
  const wasAtBottom = isAtBottom();
  const lines = [...mine.lines.values()].sort((a, b) => a.seq - b.seq);
  const notes = [...mine.notes.values()].sort((a, b) => (a.after_seq - b.after_seq) || (a.at < b.at ? -1 : 1));
  const name = mine.detail?.customer?.name;
  const events = lines.length && mine.first > 1 ? mine.events.filter((event) => event.at >= lines[0].at) : mine.events;
  const ratings = (mine.detail?.ratings ?? []).filter((rating) => !lines.length || mine.first <= 1 || rating.at >= lines[0].at);
  const fresh = drawLines({ ratings, lines: name ? lines.map((line) => (line.author === "customer" ? { ...line, name } : line)) : lines, notes, events, pending: pendingOf(id), merged: mine.first <= 1 ? (mine.detail?.merged ?? []) : [] });
  const written = fresh.filter((item) => item.kind === "line" && item.line.author === "customer");
  if (toEnd || wasAtBottom || fresh.some((item) => item.kind === "pending")) toBottom();
  else if (written.length) { newLines.hidden = false; newLines.textContent = fill(words.newLines, { n: number(written.length) }); }
  return written;
}

function drawAll(options) {
  const row = rowOf(id);
  const mine = kept.get(id);
  drawHead(id, row, mine?.detail);
  const written = draw(options);
  drawCustomer(mine?.detail ?? null, row);
  $("lines").setAttribute("aria-busy", String(!mine?.detail));
  tell("talk", { id, detail: mine?.detail ?? null, row });
  return written;
}

// --- opening -------------------------------------------------------------------------------------------------------
function show(isOpen) {
  $("talk-empty").hidden = isOpen;
  $("talk-open").hidden = !isOpen;
  desk.dataset.pane = isOpen ? "talk" : "list";
}

function open(next) {
  if (next && next === id) { show(true); refreshSoon(); return; }
  performance.mark("desk:open:begin");
  reading?.abort();
  const before = id;
  tell("leaving", id);
  id = next;
  serial += 1;
  clearLines();
  newLines.hidden = true;
  $("talk-banner").textContent = "";
  show(Boolean(id));
  tell("watch", id);
  if (!id) { showChoice(); drawCustomer(null, null); tell("talk", { id: null, detail: null, row: null }); if (before && isWide()) $("rows").focus({ preventScroll: true }); return; }
  drawAll({ toEnd: true });
  performance.mark("desk:open:shown");
  refresh({ isFirst: true });
}

async function refresh({ isFirst = false } = {}) {
  clearTimeout(timer);
  timer = 0;
  if (!id) return;
  const askedAt = (readAt = performance.now());
  const [mine, wanted, turn] = [serial, id, (turns += 1)];
  reading = new AbortController();
  try {
    const before = lastSeq();
    const told = await read(`c/${wanted}/`, {}, reading.signal);
    if (mine !== serial || turn < taken) return; // a later one was answered first
    taken = turn;
    told.askedAt = askedAt;
    take(told);
    // More was written than one answer tells: what lies between is read as well.
    for (let from = before; before && told.first_seq > from + 1 && mine === serial;) {
      const more = await read(`c/${wanted}/lines/`, { after: from }, reading.signal);
      if (mine !== serial || !more.lines.length) break;
      take(more);
      from = more.lines.at(-1).seq;
      if (from >= told.first_seq) break;
    }
    const written = drawAll({ toEnd: isFirst });
    if (!isFirst && written.length) $("lines-said").textContent = `${told.customer?.name || words.withCustomer}: ${written.at(-1).line.text}`;
    if ($("talk-open").hidden) show(true); // one may see it again
    markRead();
  } catch (error) {
    if (mine !== serial || error.name === "AbortError") return;
    if (error.status === 404 || error.status === 403) showMissing(error);
    else if (isFirst) sayFailed(error);
  }
}

export function refreshSoon() {
  if (!timer) timer = setTimeout(refresh, Math.max(30, readAt + APART_MS - performance.now()));
}

function showMissing(error) {
  show(false);
  desk.dataset.pane = "talk";
  $("talk-empty").replaceChildren(icon("lock"), el("p", {}, el("strong", {}, words.forbidden)), el("p", {}, error.message), button(words.close, { name: "close", onclick: () => address.open(null) }));
}

function showChoice() {
  $("talk-empty").replaceChildren(icon("chat"), el("p", {}, el("strong", {}, words.chooseOne)), el("p", {}, words.chooseOneText));
}

function markRead() {
  const row = rowOf(id);
  if (!row || document.hidden || !me.agent || !isAtBottom() || !row.unread) return;
  act(id, "read", { seq: lastSeq() }, { isQuiet: true });
}

async function readEarlier() {
  const mine = kept.get(id);
  if (earlier || !mine?.detail || mine.first <= 1 || !mine.lines.size) return;
  earlier = true;
  const [was, wanted] = [serial, id];
  try {
    const told = await read(`c/${wanted}/lines/`, { before: mine.first });
    if (was !== serial) return;
    if (!told.lines.length) mine.first = 1;
    const fromBottom = box.scrollHeight - box.scrollTop;
    take(told);
    draw();
    box.scrollTop = box.scrollHeight - fromBottom; // what one reads stays where it is
  } catch (error) { sayFailed(error); } finally { earlier = false; }
}

box.addEventListener("scroll", () => {
  if (box.scrollTop < AT_TOP) readEarlier();
  stays = isAtBottom();
  if (stays) { newLines.hidden = true; markRead(); }
}, { passive: true });
newLines.addEventListener("click", toBottom);
$("talk-back").addEventListener("click", () => address.open(null));
new ResizeObserver(() => { if (stays && id) toBottom(); }).observe($("composer"));
document.addEventListener("visibilitychange", () => { if (!document.hidden && id) { refreshSoon(); markRead(); } });

on("opened", open);
on("pending", (conversation) => { if (conversation === id) draw(); });
on("rows", (ids) => { if (id && ids.has(id)) { drawHead(id, rowOf(id), kept.get(id)?.detail); tell("talk-row", rowOf(id)); } });
on("acted", ({ id: of, action, told }) => {
  if (of !== id) return;
  // The line of a side conversation stands there, not here.
  take({ lines: action === "reply" ? [told.line] : [], notes: told.note ? [told.note] : [] });
  draw();
  refreshSoon();
});
on("me", () => { if (id) drawAll(); });
on("acted-on-many", ({ ids }) => { if (ids.includes(id)) refreshSoon(); });

export function startTalk() {
  showChoice();
  open(address.openOf());
}

export function showPane(name) { desk.dataset.pane = name; }
