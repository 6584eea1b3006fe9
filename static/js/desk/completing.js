// While one writes: "/" offers quick replies, "@" in a note offers agents. Arrows walk, Enter or Tab takes, Esc leaves.
import { send } from "./api.js";
import { quickReplies } from "./choosing.js";
import { $, el } from "./dom.js";
import { me } from "./store.js";

const field = $("composer-text");
const list = $("completions");
const MOST = 8;
const KEPT_MS = 60_000;
const SLASH = /(^|\s)\/([\p{L}\p{N}_-]*)$/u;
const AT = /(^|\s)@([\p{L}\p{N}_ .-]{0,30})$/u;
let known = { id: null, at: 0, replies: [] };
let asked = { id: null, replies: null }; // the question that is on its way
let found = [];
let at = 0;
let current = () => ({ id: null, isNote: false });

async function repliesOf(id) {
  if (known.id === id && performance.now() - known.at < KEPT_MS) return known.replies;
  // Their variables are filled in for one customer: those of another conversation are no answer.
  if (asked.id !== id) {
    const mine = { id, replies: quickReplies(id) };
    asked = mine;
    mine.replies.then((replies) => { if (asked === mine) { known = { id, at: performance.now(), replies }; asked = { id: null, replies: null }; } });
  }
  return asked.replies;
}

function close() {
  found = [];
  list.hidden = true;
  field.removeAttribute("aria-activedescendant");
}

function draw() {
  list.hidden = !found.length;
  if (!found.length) { close(); return; }
  at = Math.min(at, found.length - 1);
  list.replaceChildren(...found.map((each, index) => el("li", { id: `completion-${index}`, role: "option", "aria-selected": String(index === at), data: { index } }, el("strong", {}, each.label), el("span", { class: "soft" }, each.hint))));
  field.setAttribute("aria-activedescendant", `completion-${at}`);
  list.children[at].scrollIntoView({ block: "nearest" });
}

async function look() {
  const { id, isNote } = current();
  const before = field.value.slice(0, field.selectionStart);
  const mention = isNote ? AT.exec(before) : null;
  const slash = SLASH.exec(before);
  if (mention) {
    const typed = mention[2].toLowerCase();
    found = me.agents.filter((agent) => agent.name.toLowerCase().includes(typed)).slice(0, MOST).map((agent) => ({ label: agent.name, hint: "", from: mention.index + mention[1].length, text: `@${agent.name} ` }));
  } else if (slash && id) {
    const typed = slash[2].toLowerCase();
    const replies = await repliesOf(id);
    if (field.value.slice(0, field.selectionStart) !== before || current().id !== id) return;
    const fits = (reply) => reply.shortcut.toLowerCase().startsWith(typed) || reply.title.toLowerCase().includes(typed);
    found = replies.filter(fits).slice(0, MOST).map((reply) => ({ label: `/${reply.shortcut}`, hint: reply.title, from: slash.index + slash[1].length, text: reply.text, id: reply.id }));
  } else found = [];
  at = 0;
  draw();
}

function take(each) {
  const end = field.selectionStart;
  field.setRangeText(each.text, each.from, end, "end");
  close();
  field.dispatchEvent(new Event("input", { bubbles: true }));
  if (each.id) send(`quick-replies/${each.id}/used/`).catch(() => {});
}

/** Watch the field; `where()` tells the conversation and whether a note is written. */
export function startCompleting(where) {
  current = where;
  field.addEventListener("input", look);
  // A click on an option comes first, and the field may have been entered again meanwhile.
  field.addEventListener("blur", () => setTimeout(() => { if (document.activeElement !== field) close(); }, 150));
  field.addEventListener("keydown", (event) => {
    if (list.hidden || event.isComposing) return;
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (by) { event.preventDefault(); at = (at + by + found.length) % found.length; draw(); }
    else if (event.key === "Enter" || event.key === "Tab") { event.preventDefault(); event.stopPropagation(); take(found[at]); }
    else if (event.key === "Escape") { event.preventDefault(); event.stopPropagation(); close(); }
  }, true);
  list.addEventListener("pointerdown", (event) => {
    const option = event.target.closest("[role=option]");
    if (!option) return;
    event.preventDefault();
    take(found[Number(option.dataset.index)]);
  });
  $("quick-open").addEventListener("click", () => {
    field.focus();
    const before = field.value.slice(0, field.selectionStart);
    field.setRangeText(before && !/\s$/.test(before) ? " /" : "/", field.selectionStart, field.selectionEnd, "end");
    field.dispatchEvent(new Event("input", { bubbles: true }));
  });
}

/** Return the ids of those who are named: "@Lin Yue" is not Lin; of namesakes, all. */
export function mentionsIn(text) {
  const longest = [...new Set(me.agents.map((agent) => agent.name))].sort((one, other) => other.length - one.length);
  const named = new Set(longest.filter((name) => { const isNamed = text.includes(`@${name}`); text = text.replaceAll(`@${name}`, "\0"); return isNamed; }));
  return me.agents.filter((agent) => named.has(agent.name)).map((agent) => agent.id);
}
