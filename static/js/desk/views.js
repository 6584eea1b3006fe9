// Above the list: views with their counts, search, filters as chips, saved filters, sorting. All of it is kept in the address.
import * as address from "./address.js";
import { addressOf, read, send } from "./api.js";
import { ask } from "./ask.js";
import { $, button, desk, el, icon } from "./dom.js";
import { openMenu } from "./menu.js";
import { choose as choosePresence } from "./presence.js";
import { me, on } from "./store.js";
import { fill, languageName, number, words } from "./texts.js";
import { sayFailed } from "./toast.js";

const TYPED_MS = 250;
const LOUD = new Set(["breaching"]);
const find = $("desk-find");
const views = $("views");
/** Views that stand side by side; the others are behind "more". */
const SHOWN = [...views.querySelectorAll("[data-view]")].map((item) => item.dataset.view);
const chips = $("filters");
let typed = 0;
let saved = [];

// --- views ---------------------------------------------------------------------------------------------------------
function drawViews() {
  const { view } = address.inboxOf();
  for (const item of views.querySelectorAll("[data-view]")) item.setAttribute("aria-pressed", String(item.dataset.view === view));
  const more = $("views-more");
  more.setAttribute("aria-pressed", String(!SHOWN.includes(view)));
  more.querySelector(".word").textContent = SHOWN.includes(view) ? words.more : words.views[view];
  drawCounts();
}

let counts = {};
function drawCounts() {
  for (const item of views.querySelectorAll("[data-view]")) {
    const place = item.querySelector(".count");
    const n = counts[item.dataset.view];
    place.textContent = n ? number(n) : "";
    place.classList.toggle("loud", Boolean(n) && LOUD.has(item.dataset.view));
  }
}

export function chooseView() {
  const { view } = address.inboxOf();
  const items = Object.entries(words.views).map(([value, label]) => ({ value, label, isOn: value === view, hint: counts[value] ? number(counts[value]) : "" }));
  openMenu($("views-more"), { title: words.views[view], items, pick: (value) => address.choose({ view: value }) });
}

// --- filters -------------------------------------------------------------------------------------------------------
/** Return what each filter can be, as [value, label]. */
function optionsOf(name) {
  const named = (each) => [each.name ?? each, each.title || each.name || each];
  switch (name) {
    case "group": return me.groups.map((each) => [each.id, each.title]);
    case "agent": return me.agents.map((each) => [each.id, each.name]);
    case "tag": return me.tags.map(named);
    case "intent": return me.intents.map(named);
    case "language": return me.languages.map((code) => [code, languageName(code)]);
    case "entrance": return me.entrances.map((each) => [each.id ?? each.name, each.name]);
    case "priority": return words.priorities.map((each) => [each.value, each.label]);
    default: return [];
  }
}

const TITLES = { q: "filterSearch", group: "filterGroup", agent: "filterAgent", tag: "filterTag", intent: "filterIntent", language: "filterLanguage", entrance: "filterEntrance", priority: "filterPriority" };
const ICONS = { q: "search", group: "members", agent: "user", tag: "tag", intent: "target", language: "language", entrance: "entrance", priority: "flag" };

function labelOf(name, value) {
  return optionsOf(name).find(([each]) => String(each) === String(value))?.[1] ?? value;
}

function drawChips() {
  const inbox = address.inboxOf();
  const found = address.FILTERS.filter((name) => name !== "q" && inbox[name]).map((name) => {
    const label = `${words[TITLES[name]]}: ${labelOf(name, inbox[name])}`;
    return el("span", { class: "chip on" }, el("button", { type: "button", class: "chip-word", onclick: (event) => chooseValue(name, event.currentTarget) }, label),
      el("button", { type: "button", class: "off", title: fill(words.removeFilter, { name: label }), "aria-label": fill(words.removeFilter, { name: label }), onclick: () => address.choose({ [name]: null }) }, icon("close")));
  });
  chips.hidden = !found.length;
  if (found.length) found.push(el("button", { type: "button", class: "link", onclick: () => address.chooseOnly({ view: inbox.view, sort: inbox.sort }) }, words.clearFilters));
  chips.replaceChildren(...found);
  if (document.activeElement !== find) find.value = inbox.q ?? "";
}

function chooseValue(name, anchor) {
  const now = address.inboxOf()[name];
  const items = optionsOf(name).map(([value, label]) => ({ value, label, isOn: String(value) === String(now) }));
  openMenu(anchor, { title: words[TITLES[name]], items, pick: (value) => address.choose({ [name]: String(value) }) });
}

export function addFilter() {
  const anchor = $("filter-add");
  const items = address.FILTERS.filter((name) => optionsOf(name).length).map((name) => ({ value: name, label: words[TITLES[name]], icon: ICONS[name] }));
  openMenu(anchor, { title: words.addFilter, items, pick: (name) => chooseValue(name, anchor) });
}

// --- saved filters, sorting, export ----------------------------------------------------------------------------------
export async function readSaved() {
  try { saved = (await read("filters/")).filters ?? []; } catch { saved = []; }
}

function openMore() {
  const inbox = address.inboxOf();
  const items = Object.entries(words.sorts).map(([value, label]) => ({ label, value: { sort: value }, isOn: value === inbox.sort, under: words.sort }));
  for (const each of saved) items.push({ label: each.name, value: { saved: each }, icon: "filter", under: words.savedFilters });
  items.push({ label: words.saveFilter, value: { save: true }, icon: "plus", under: words.savedFilters });
  for (const each of saved.filter((one) => !one.for_all || me.sees_all)) items.push({ label: fill(words.deleteFilter, { name: each.name }), value: { forget: each }, icon: "remove", under: words.savedFilters });
  items.push({ label: words.export, value: { export: true }, icon: "export", under: words.more });
  openMenu($("list-more"), { title: $("list-more").title, items, pick: takeMore });
}

async function takeMore(value) {
  if (value.sort) address.choose({ sort: value.sort });
  if (value.saved) address.chooseOnly(value.saved.query);
  if (value.export) location.assign(addressOf("export/", address.inboxOf()));
  if (value.save) saveFilter();
  if (value.forget) {
    try { await send(`filters/${value.forget.id}/`, {}, "DELETE"); await readSaved(); } catch (error) { sayFailed(error); }
  }
}

function saveFilter() {
  ask({
    title: words.saveFilter,
    fields: [{ name: "name", label: words.filterName }],
    ok: words.save,
    submit: async ({ name }) => { await send("filters/", { name, query: address.inboxOf() }); await readSaved(); },
  });
}

// --- nothing to show -------------------------------------------------------------------------------------------------
let empty = null; // what was told last: what it says depends on who is here, and on what other views have
function showEmpty({ place, error }) {
  empty = { place, error };
  const { view } = address.inboxOf();
  const line = (name, title, text, ...more) => place.replaceChildren(icon(name), el("p", {}, el("strong", {}, title)), el("p", {}, text), ...more);
  if (error?.status === 403 && error.code === "not_an_agent") line("agent", words.notAgent, words.notAgentText, el("a", { class: "btn", href: desk.dataset.agents }, words.toAgents));
  else if (error?.status === 403) line("lock", words.forbidden, error.message);
  else if (error) line("failed", error.status === 0 ? words.offline : words.failed, error.status === 0 ? words.offlineText : error.message, button(words.retry, { name: "retry", onclick: () => address.choose({}) }));
  else if (address.isFiltered()) line("search", words.nothingFound, words.nothingFoundText, button(words.clearFilters, { name: "close", onclick: () => { find.value = ""; const { view, sort } = address.inboxOf(); address.chooseOnly({ view, sort }); } }));
  else if (view === "mine" && me.agent && me.agent.presence !== "online") line("pause", words.notOnline, words.notOnlineText, button(words.goOnline, { name: "play", kind: "btn main", onclick: () => choosePresence("online") }));
  else if (view === "mine" && me.agent) line("delivered", words.mineEmpty, words.mineEmptyText, ...toOthers());
  else line("delivered", words.inboxZero, words.inboxZeroText);
}

/** Lead to where there is work to take, with how much of it. */
function toOthers() {
  return ["unassigned", "team"].filter((name) => counts[name]).slice(0, 1).map((name) =>
    button(`${words.views[name]} · ${number(counts[name])}`, { name: "claim", kind: "btn main", onclick: () => address.choose({ view: name }) }));
}

function showEmptyAnew() { if (empty && !empty.place.hidden) showEmpty(empty); }

function searchNow() {
  clearTimeout(typed);
  address.choose({ q: find.value.trim() || null });
}

export function focusSearch() { find.focus(); find.select(); }

$("desk-search").addEventListener("submit", (event) => { event.preventDefault(); searchNow(); $("rows").focus(); }); // what was found is walked through
// While a Chinese word is composed, its letters are nothing to search for.
find.addEventListener("compositionend", searchNow);
find.addEventListener("input", (event) => { if (event.isComposing) return; clearTimeout(typed); typed = setTimeout(searchNow, TYPED_MS); });
find.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.isComposing) return;
  event.stopPropagation();
  if (find.value) { find.value = ""; searchNow(); } else $("rows").focus();
});
views.addEventListener("click", (event) => {
  const item = event.target.closest(".view");
  if (item?.dataset.view) address.choose({ view: item.dataset.view });
  else if (item) chooseView();
});
$("filter-add").addEventListener("click", addFilter);
$("list-more").addEventListener("click", openMore);
on("inbox-chosen", () => { drawViews(); drawChips(); });
on("counts", (told) => { counts = told ?? {}; drawCounts(); showEmptyAnew(); });
on("me", () => { drawViews(); drawChips(); showEmptyAnew(); });
on("presence", showEmptyAnew);
on("list-empty", showEmpty);
drawViews();
drawChips();
