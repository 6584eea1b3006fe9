// The list: which conversations it shows, in which order, which one is active and which are picked.
// New rows wait behind a counter while one reads: what is in sight never jumps.
import * as address from "./address.js";
import { read } from "./api.js";
import { $, el } from "./dom.js";
import { drawRow, makeRow } from "./row.js";
import { keepRows, on, rowOf, rows, tell } from "./store.js";
import { fill, number, words } from "./texts.js";
import { sayFailed } from "./toast.js";
import { VirtualList } from "./virtual.js";

const WINDOW = 50;
const MOST_ROWS = 100; // of one request
const REST_MS = 40; // of the scrolling before rows are asked for
const APART_MS = 2_000; // between two looks at the whole list
const FIRST_RETRY_MS = 1_000; // of rows that could not be read; each time twice as long
const LONGEST_RETRY_MS = 30_000;
const box = $("rows");
const held = $("held");
const picked = new Set();
let active = null;
let opened = address.openOf();
let next = null; // the list as it is now, while the one that is shown waits
let gone = new Set();
let stale = new Set();
let asking = new Set();
let serial = 0;
let restTimer = 0;
let retryTimer = 0;
let retryMs = FIRST_RETRY_MS;
let lookTimer = 0;
let lookedAt = 0;
let isInside = false;
let isLooking = false;
let looksAgain = false;
let isOther = false; // another view or filter was chosen, and its list has not come yet
const leftAt = new Map(); // what an action of ours took out of the list -> when the server had done it; until then Infinity

const list = new VirtualList(box, {
  make: makeRow,
  draw: (element, id, index) => drawRow(element, id, index, { active: id === active, picked: picked.has(id), opened: id === opened, gone: gone.has(id) }),
  onRange: () => { clearTimeout(restTimer); restTimer = setTimeout(fetchRows, REST_MS); },
});

// --- rows ----------------------------------------------------------------------------------------------------------
async function fetchRows() {
  const { ids, shown } = list;
  if (!shown.size) return;
  // Those around the ones in sight too: what one scrolls to next is there.
  const from = Math.floor(Math.min(...shown.keys()) / WINDOW) * WINDOW;
  const to = Math.ceil((Math.max(...shown.keys()) + 1) / WINDOW) * WINDOW;
  const wanted = ids.slice(from, to).filter((id) => (!rows.has(id) || stale.has(id)) && !asking.has(id));
  for (let begin = 0; begin < wanted.length; begin += MOST_ROWS) await fetchThese(wanted.slice(begin, begin + MOST_ROWS));
}

async function fetchThese(ids) {
  for (const id of ids) { asking.add(id); stale.delete(id); }
  try {
    const told = await read("rows/", { ids: ids.join(",") });
    for (const id of ids) asking.delete(id);
    keepRows(told.rows);
    retryMs = FIRST_RETRY_MS;
    if (ids.some((id) => stale.has(id))) spoil([]); // changed once more meanwhile
  } catch (error) {
    for (const id of ids) { asking.delete(id); stale.add(id); }
    if (error.status && retryMs === FIRST_RETRY_MS) sayFailed(error); // once, not each time
    retryRows();
  }
}

/** Ask again for what could not be read, a little later each time; a connection that comes back does not wait for it. */
function retryRows() {
  clearTimeout(retryTimer);
  retryTimer = setTimeout(fetchRows, retryMs * (0.6 + 0.8 * Math.random()));
  retryMs = Math.min(2 * retryMs, LONGEST_RETRY_MS);
}

on("connected", () => {
  clearTimeout(retryTimer);
  retryMs = FIRST_RETRY_MS;
  clearTimeout(restTimer);
  restTimer = setTimeout(fetchRows, REST_MS);
});

/** Have rows read again that others have changed. */
export function spoil(ids) {
  for (const id of ids) stale.add(id);
  clearTimeout(restTimer);
  restTimer = setTimeout(fetchRows, REST_MS);
}

// --- the whole list ------------------------------------------------------------------------------------------------
const isReading = () => box.scrollTop > 0 || picked.size > 0 || isInside || (active !== null && box.contains(document.activeElement));

async function look({ isNew = false } = {}) {
  const mine = (serial += 1);
  isOther ||= isNew;
  isLooking = true;
  clearTimeout(lookTimer);
  lookTimer = 0;
  const askedAt = (lookedAt = performance.now());
  if (isNew) box.setAttribute("aria-busy", "true");
  try {
    const told = await read("inbox/", address.inboxOf());
    if (mine !== serial) return;
    tell("counts", told.counts);
    tell("heard", told.at);
    $("list-total").textContent = told.total === 1 ? words.totalOne : fill(words.total, { n: number(told.total) });
    const isFirst = isOther || list.size === 0;
    isOther = false;
    const ids = told.ids.filter((id) => !(leftAt.get(id) > askedAt)); // told before the server had done what we did
    for (const [id, at] of leftAt) if (at < askedAt) leftAt.delete(id);
    if (isFirst) apply(ids, { toTop: true }); else compare(ids);
    if (isFirst && opened && list.indexOf(opened) >= 0) setActive(opened); // a link to it was followed: where it stands is in sight
    box.removeAttribute("aria-busy");
    showEmpty(null);
  } catch (error) {
    if (mine !== serial || error.name === "AbortError") return;
    box.removeAttribute("aria-busy");
    if (error.status === 403) { apply([], { toTop: true }); showEmpty(error); }
    else if (list.size === 0) showEmpty(error);
    else if (isNew) sayFailed(error);
  } finally {
    if (mine === serial) {
      isLooking = false;
      if (looksAgain) { looksAgain = false; lookSoon(); }
    }
  }
}

/** Look at the list again soon; many reasons at once are one look. */
export function lookSoon() {
  if (lookTimer) return;
  lookTimer = setTimeout(lookAgain, Math.max(REST_MS, lookedAt + (document.hidden ? 5 : 1) * APART_MS - performance.now()));
}

/** Look, one at a time: where answers take long, each look would make the one before it worthless. */
function lookAgain() {
  lookTimer = 0;
  if (isLooking) looksAgain = true; else look();
}

export const lookNow = (options) => look(options);

function compare(ids) {
  const now = new Set(ids);
  const fresh = ids.filter((id) => list.indexOf(id) < 0);
  const left = list.ids.filter((id) => !now.has(id));
  if (!isReading()) { apply(ids); return; }
  next = fresh.length || left.length ? ids : null;
  gone = new Set(left);
  list.redraw();
  const said = [fresh.length && fill(words.heldNew, { n: number(fresh.length) }), left.length && fill(words.heldGone, { n: number(left.length) })].filter(Boolean);
  held.hidden = !said.length;
  held.textContent = said.length ? `${said.join(", ")} · ${words.show}` : "";
}

function apply(ids, { toTop = false } = {}) {
  next = null;
  gone = new Set();
  held.hidden = true;
  const known = new Set(ids);
  for (const id of picked) if (!known.has(id)) picked.delete(id);
  list.show(ids, { keeps: box.scrollTop > 0 ? list.firstInSight() : null, toTop });
  box.setAttribute("aria-rowcount", ids.length);
  if (!known.has(active)) active = null;
  mark();
  showEmpty(null);
  tell("picked", picked);
}

/** Take rows out at once, since an action of ours has moved them elsewhere; the next one becomes active. */
export function leave(ids) {
  const out = new Set(ids);
  const at = active && out.has(active) ? list.indexOf(active) : -1;
  const following = at < 0 ? active : (list.ids.slice(at).find((id) => !out.has(id)) ?? list.ids.slice(0, at).findLast((id) => !out.has(id)) ?? null);
  for (const id of out) { picked.delete(id); leftAt.set(id, Infinity); }
  const waiting = next?.filter((id) => !out.has(id)) ?? null;
  list.show(list.ids.filter((id) => !out.has(id)));
  next = waiting;
  setActive(following);
  tell("picked", picked);
  showEmpty(null);
  lookSoon();
}

/** The server has done what took rows out, or has refused it. */
export function settleLeft(ids, isDone) {
  for (const id of ids) if (leftAt.has(id)) { if (isDone) leftAt.set(id, performance.now()); else leftAt.delete(id); }
}

// --- active, picked, opened ----------------------------------------------------------------------------------------
function mark() {
  list.redraw();
  const element = active ? list.elementOf(active) : null;
  if (element) box.setAttribute("aria-activedescendant", element.id); else box.removeAttribute("aria-activedescendant");
}

function setActive(id) {
  active = id;
  if (id) list.bringIntoSight(list.indexOf(id));
  mark();
}

export const activeId = () => active ?? opened;
export const pickedIds = () => [...picked];
export const isListed = (id) => list.indexOf(id) >= 0;
export const sizeOfList = () => list.size;

export function step(by) {
  if (!list.size) return;
  const at = list.indexOf(active ?? opened);
  setActive(list.ids[at < 0 ? 0 : Math.max(0, Math.min(list.size - 1, at + by))]);
}

export function openActive() { if (active) address.open(active); }

export function pick(id, isOn = !picked.has(id)) {
  if (!id) return;
  if (isOn) picked.add(id); else picked.delete(id);
  mark();
  tell("picked", picked);
}

export function pickAll(isOn) {
  picked.clear();
  if (isOn) for (const id of list.ids.slice(0, 500)) picked.add(id);
  mark();
  tell("picked", picked);
}

function pickUpTo(id) {
  const [from, to] = [Math.max(0, list.indexOf(active)), list.indexOf(id)].sort((a, b) => a - b);
  for (const each of list.ids.slice(from, to + 1).slice(0, 500)) picked.add(each);
  mark();
  tell("picked", picked);
}

// --- nothing to show -----------------------------------------------------------------------------------------------
function showEmpty(error) {
  const place = $("list-empty");
  box.classList.toggle("is-empty", list.size === 0);
  place.hidden = list.size > 0 || (box.getAttribute("aria-busy") === "true" && !error);
  if (place.hidden) return;
  tell("list-empty", { place, error });
}

box.addEventListener("click", (event) => {
  const item = event.target.closest(".item");
  if (!item || event.ctrlKey || event.metaKey) return;
  const { id } = item.dataset;
  if (event.shiftKey) { event.preventDefault(); pickUpTo(id); return; }
  if (event.target.closest(".pick")) { if (!event.target.matches("input")) event.preventDefault(); pick(id); return; }
  event.preventDefault();
  active = id;
  address.open(id);
});
box.addEventListener("pointerenter", () => { isInside = true; });
box.addEventListener("pointerleave", () => { isInside = false; });
held.addEventListener("click", () => { if (next) apply(next); lookSoon(); });
on("rows", (ids) => list.redraw(ids));
on("inbox-chosen", () => { picked.clear(); leftAt.clear(); active = null; look({ isNew: true }); });
on("opened", (id) => { opened = id; if (id && list.indexOf(id) >= 0) active = id; mark(); });
setInterval(() => { if (!document.hidden) list.redraw(); }, 30_000); // "2 min" grows older

export const rowInList = (id) => rowOf(id);
export const emptyBox = (iconed, title, text, ...more) => [iconed, el("p", {}, el("strong", {}, title)), text && el("p", {}, text), ...more].filter(Boolean);
