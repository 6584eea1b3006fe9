// One menu for everything that is chosen from a list: found by typing, walked through with the arrows, taken with Enter.
import { $, el, icon } from "./dom.js";
import { words } from "./texts.js";

const dialog = $("desk-menu");
const find = $("desk-menu-find");
const list = $("desk-menu-list");
const none = $("desk-menu-none");
const SEARCHED_FROM = 8;
const EDGE = 8;
const MOST = 200;
let open = null; // {items, pick, make, isMany}
let at = 0;
let shown = [];
let goesTo = null; // what gets the focus when the menu is closed; else the browser gives it back to what had it

function place(anchor) {
  dialog.style.left = dialog.style.top = "";
  if (!matchMedia("(min-width: 768px)").matches || !anchor) { dialog.classList.add("middle"); return; }
  dialog.classList.remove("middle");
  const box = anchor.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = dialog;
  const below = box.bottom + EDGE / 2;
  dialog.style.left = `${Math.max(EDGE, Math.min(box.left, innerWidth - width - EDGE))}px`;
  dialog.style.top = `${below + height < innerHeight ? below : Math.max(EDGE, box.top - height - EDGE / 2)}px`;
}

function draw() {
  const typed = find.value.trim().toLowerCase();
  shown = open.items.filter((item) => !typed || `${item.label} ${item.hint ?? ""}`.toLowerCase().includes(typed)).slice(0, MOST);
  const isNew = open.make && typed && !open.items.some((item) => item.label.toLowerCase() === typed);
  if (isNew) shown.push({ label: open.make(find.value.trim()), value: { made: find.value.trim() }, icon: "plus" });
  at = Math.min(at, Math.max(0, shown.length - 1));
  let heading = null;
  const parts = [];
  shown.forEach((item, index) => {
    if (item.under && item.under !== heading) parts.push(el("li", { class: "under", role: "presentation" }, item.under));
    heading = item.under ?? heading;
    parts.push(el("li", { id: `desk-menu-${index}`, role: "option", "aria-selected": String(index === at), class: item.isOn ? "on" : "", data: { index } },
      icon(item.icon ?? (item.isOn ? "sent" : "pending")), el("span", { class: "label" }, item.label), item.hint && el("span", { class: "soft" }, item.hint), item.key && el("kbd", {}, item.key)));
    if (item.tone) parts.at(-1).classList.add(`tone-${item.tone}`);
  });
  list.replaceChildren(...parts);
  none.textContent = shown.length ? "" : words.nothing;
  mark();
}

function mark() {
  for (const option of list.querySelectorAll("[role=option]")) option.setAttribute("aria-selected", String(Number(option.dataset.index) === at));
  const current = shown.length ? $(`desk-menu-${at}`) : null;
  if (current) find.setAttribute("aria-activedescendant", current.id); else find.removeAttribute("aria-activedescendant");
  current?.scrollIntoView({ block: "nearest" });
}

function take(item) {
  if (!item) return;
  const { pick, isMany } = open;
  if (isMany) {
    item.isOn = !item.isOn;
    if (item.value?.made) { open.items.unshift({ label: item.value.made, value: item.value.made, isOn: true }); find.value = ""; }
    draw();
    return;
  }
  open = null;
  dialog.close();
  pick(item.value, item);
}

/**
 * Let one choose. Items have a label and a value, and perhaps hint, icon, key, tone, isOn, and `under`: the heading they stand below.
 * With `isMany` several are switched on and off, and `pick` gets the values that are on once the menu is closed; `make(text)` names
 * what would be new; `goesTo` gets the focus when it is closed, where that is not what had it before.
 */
export function openMenu(anchor, { title, items, pick, isMany = false, make = null, goesTo: next = null }) {
  goesTo = next;
  open = { items: items.map((item) => ({ ...item })), pick, isMany, make };
  at = Math.max(0, isMany ? 0 : open.items.findIndex((item) => item.isOn));
  $("desk-menu-title").textContent = title;
  find.value = "";
  // Short menus are read, long ones searched; the field keeps the focus in both.
  dialog.classList.toggle("short", items.length < SEARCHED_FROM && !make);
  draw();
  dialog.showModal();
  place(anchor);
  find.focus();
}

find.addEventListener("input", () => { at = 0; draw(); });
dialog.addEventListener("keydown", (event) => {
  if (event.isComposing) return;
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step && shown.length) { event.preventDefault(); at = (at + step + shown.length) % shown.length; mark(); }
  if (event.key === "Enter") { event.preventDefault(); take(shown[at]); }
  // In a long menu letters are what is searched for, and digits are keys until one searches.
  const isKey = dialog.classList.contains("short") ? event.key.length === 1 : /^\d$/.test(event.key) && !find.value;
  if (isKey && !event.ctrlKey && !event.metaKey && !event.altKey) {
    const keyed = shown.find((item) => item.key === event.key);
    if (keyed) { event.preventDefault(); take(keyed); }
  }
});
dialog.addEventListener("click", (event) => {
  if (event.target === dialog) { dialog.close(); return; }
  const option = event.target.closest("[role=option]");
  if (option) take(shown[Number(option.dataset.index)]);
});
dialog.addEventListener("close", () => {
  if (dialog.open) return; // what was chosen has opened the next menu, before this is told
  if (open?.isMany) open.pick(open.items.filter((item) => item.isOn).map((item) => item.value));
  open = null;
  goesTo?.focus({ preventScroll: true });
  goesTo = null;
});
