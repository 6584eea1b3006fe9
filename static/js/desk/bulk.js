// What is done to all picked conversations: a bar that is there only while some are picked.
import { act, actOnMany } from "./actions.js";
import { chooseIntent, choosePriority, chooseSnooze, chooseSpam, chooseTags, chooseTransfer } from "./choosing.js";
import { $, button, el, icon } from "./dom.js";
import { pickAll, pickedIds, sizeOfList } from "./inbox.js";
import { chooseMergeOfMany } from "./merging.js";
import { on } from "./store.js";
import { fill, number, words } from "./texts.js";

const MOST = 500;
const bar = $("bulk");

function run(action) {
  const ids = pickedIds();
  if (ids.length === 1) act(ids[0], action); else actOnMany(ids, action);
}

function draw(picked) {
  bar.hidden = !picked.size;
  document.body.classList.toggle("has-picked", picked.size > 0);
  if (bar.hidden) { bar.replaceChildren(); return; }
  const every = Math.min(sizeOfList(), MOST);
  const chosen = (choose) => (event) => choose(pickedIds(), event.currentTarget);
  const small = (word, name, onclick) => button(word, { name, onclick, kind: "tool" });
  bar.replaceChildren(...[
    el("span", { class: "bulk-head" },
      el("strong", { class: "figure" }, fill(words.selected, { n: number(picked.size) })),
      picked.size < every && el("button", { type: "button", class: "link", onclick: () => pickAll(true) }, fill(words.selectAll, { n: number(every) })),
      el("button", { type: "button", class: "tool", title: `${words.close} (Esc)`, "aria-label": words.close, onclick: () => pickAll(false) }, icon("close"))),
    el("span", { class: "bulk-actions" },
      small(words.actions.claim, "claim", () => run("claim")),
      small(words.actions.transfer, "assigned", chosen(chooseTransfer)),
      small(words.actions.resolve, "delivered", () => run("resolve")),
      small(words.actions.snooze, "snooze", chosen(chooseSnooze)),
      small(words.actions.tags, "tag", chosen(chooseTags)),
      small(words.actions.priority, "flag", chosen(choosePriority)),
      small(words.actions.intent, "target", chosen(chooseIntent)),
      picked.size > 1 && small(words.actions.mergeMany, "merge", chosen(chooseMergeOfMany)),
      small(words.actions.spam, "spam", chosen(chooseSpam))),
  ].filter(Boolean));
}

on("picked", draw);
