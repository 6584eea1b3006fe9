// The keys of the desk. Not while one types, and not in a dialog.
import { act, actOnMany } from "./actions.js";
import { open } from "./address.js";
import { ENDED, chooseAction, chooseIntent, choosePriority, chooseSnooze, chooseTags, chooseTransfer, tellAlternatives } from "./choosing.js";
import { write } from "./composer.js";
import { $, desk, isTyping, isWide } from "./dom.js";
import { activeId, isListed, openActive, pick, pickAll, pickedIds, step } from "./inbox.js";
import { mayAct, me, rowOf } from "./store.js";
import { openDetail, openId } from "./talk.js";
import { addFilter, chooseView, focusSearch } from "./views.js";

const HELD_MS = 150; // keys that come faster than this are held down
let walkedAt = 0;
let walking = 0;

/** What a key is about: those that are picked, else the open conversation, else the active row. */
function about() {
  const picked = pickedIds();
  if (picked.length) return picked;
  const id = openId() ?? activeId();
  return id ? [id] : [];
}

const anchor = () => (openId() ? $("talk-actions") : $("rows"));

function run(action) {
  const ids = about();
  if (!mayAct() || !ids.length || (action === "claim" && !me.agent)) return;
  if (ids.length === 1) act(ids[0], action); else actOnMany(ids, action);
}

function choose(chooser, ...more) {
  const ids = about();
  if (mayAct() && ids.length) chooser(ids, anchor(), ...more);
}

function resolve() {
  const ids = about();
  const isEnded = ids.length === 1 && ENDED.has(rowOf(ids[0])?.status);
  run(isEnded ? "reopen" : "resolve");
}

/** Write in the open conversation, or open the one that the list is at. */
function answer(note) {
  const id = openId() ?? activeId();
  if (!id || !(note ? mayAct() : me.agent)) return;
  if (openId() !== id) open(id);
  write(note);
}

/** Go to the next row. Beside the list, what is read goes along: opened at once, and while the key is held only where it stops. */
function walk(by) {
  const now = openId();
  // A screen reader tells the row, and Enter opens it, also after a view was clicked.
  if (!$("talk").contains(document.activeElement)) $("rows").focus({ preventScroll: true });
  // What was open has been resolved and has left: the row in its place is the next one already.
  if (!now || by < 0 || isListed(now) || activeId() === now) step(by);
  if (!now || !isWide()) return;
  clearTimeout(walking);
  if (performance.now() - walkedAt > HELD_MS) openActive(); else walking = setTimeout(openActive, HELD_MS);
  walkedAt = performance.now();
}

function escape() {
  if (desk.dataset.pane === "customer") { desk.dataset.pane = "talk"; return; }
  if (pickedIds().length) { pickAll(false); return; }
  if (openId()) open(null);
}

export function toggleCustomer() {
  if (openId()) desk.dataset.pane = desk.dataset.pane === "customer" ? "talk" : "customer";
}

const openKeys = () => $("desk-keys").showModal();
const KEYS = {
  j: () => walk(1),
  k: () => walk(-1),
  ArrowDown: () => walk(1),
  ArrowUp: () => walk(-1),
  Enter: openActive,
  x: () => pick(activeId()),
  "/": focusSearch,
  g: chooseView,
  f: addFilter,
  r: () => answer(false),
  n: () => answer(true),
  a: () => run("claim"),
  e: resolve,
  t: () => choose(chooseTransfer),
  s: () => choose(chooseSnooze),
  i: () => choose(chooseIntent, tellAlternatives(openDetail())),
  l: () => choose(chooseTags),
  p: () => choose(choosePriority),
  m: () => { if (openId() && mayAct()) chooseAction(openId(), anchor(), openDetail()); },
  c: toggleCustomer,
  Escape: escape,
  "?": openKeys,
};
/** Keys that a control or a text that scrolls takes for itself. */
const OF_THE_LIST = new Set(["ArrowDown", "ArrowUp", "Enter"]);
const STEPS = new Set(["j", "k"]);

// Before the frame's own keys ("/" is its search, "?" its list): here they are the desk's.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || isTyping(event.target) || document.querySelector("dialog[open], details.menu[open]")) return;
  const does = KEYS[event.key];
  if (!does) return;
  const inList = event.target === document.body || $("rows").contains(event.target);
  if (OF_THE_LIST.has(event.key) && !inList) return;
  if (event.key === "Enter" && event.target.closest("button, a")) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  // The next Enter is for the row that one has stepped to, not for the button that was pressed last.
  if (STEPS.has(event.key) && !inList) event.target.blur();
  does();
}, true);

$("desk-keys-open").addEventListener("click", openKeys);
document.addEventListener("click", (event) => {
  if (event.target.closest("[data-customer], [data-customer-close]")) toggleCustomer();
  const correct = event.target.closest("[data-correct]");
  if (correct && mayAct()) chooseIntent([openId()], correct, tellAlternatives(openDetail(), Number(correct.dataset.correct)), Number(correct.dataset.correct));
});
