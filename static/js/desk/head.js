// Above the lines: who it is, in which state, and what can be done about it.
import { act } from "./actions.js";
import { ENDED, chooseAction, chooseIntent, choosePriority, chooseSnooze, chooseTags, chooseTransfer, tellAlternatives } from "./choosing.js";
import { showClock } from "./clocks.js";
import { open } from "./address.js";
import { $, badge, button, el, icon } from "./dom.js";
import { mayAct, me } from "./store.js";
import { exact, fill, languageName, look, priorityOf, words } from "./texts.js";

let told = "";

function facts(row) {
  const parts = [badge(look("conversation", row.status))];
  if (row.entrance) parts.push(el("span", {}, row.entrance.name));
  parts.push(el("span", {}, row.agent ? (row.agent.id === me.agent?.id ? words.you : row.agent.name) : (row.group?.title ?? words.unassigned)));
  if (row.agent && row.group) parts.push(el("span", {}, row.group.title));
  if (row.language) parts.push(el("span", {}, languageName(row.language)));
  return parts;
}

const toCustomer = () => el("button", { type: "button", class: "btn icon-only to-customer", title: `${words.withCustomer} (c)`, "aria-label": words.withCustomer, data: { customer: "1" } }, icon("user"));

function actions(id, row, detail) {
  const isEnded = ENDED.has(row.status);
  const isMine = Boolean(me.agent) && row.agent?.id === me.agent.id;
  const at = (choose, ...more) => (event) => choose([id], event.currentTarget, ...more);
  const small = (word, name, key, onclick, kind = "btn") => button(word, { name, key, onclick, kind });
  // On a phone these are in the menu of all actions only.
  const minor = (word, name, key, onclick) => button(word, { name, key, onclick, data: { minor: "1" } });
  if (!mayAct()) return [toCustomer()];
  return [
    me.agent && !isMine && !isEnded && small(words.actions.claim, "claim", "a", () => act(id, "claim"), "btn main"),
    !isEnded && minor(words.actions.transfer, "assigned", "t", at(chooseTransfer)),
    !isEnded && minor(words.actions.snooze, "snooze", "s", at(chooseSnooze)),
    !isEnded && small(words.actions.resolve, "delivered", "e", () => act(id, "resolve")),
    isEnded && (row.merged_into ? small(words.actions.unmerge, "merge", "", () => act(id, "unmerge")) : small(words.actions.reopen, "retry", "e", () => act(id, "reopen"))),
    el("button", { type: "button", class: "btn icon-only", title: `${words.actions.all} (m)`, "aria-label": words.actions.all, "aria-haspopup": "dialog", onclick: (event) => chooseAction(id, event.currentTarget, detail) }, icon("more")),
    toCustomer(),
  ].filter(Boolean);
}

function strip(id, row, detail) {
  const sure = !row.intent || row.confidence === null || row.confidence === undefined ? "" : fill(words.sure, { percent: Math.round(100 * row.confidence) });
  const priority = priorityOf(row.priority);
  const chip = (name, word, key, onclick, tone = "") => el("button", { type: "button", class: `chip-button ${tone}`, title: key, onclick }, icon(name), word);
  const parts = [
    chip("target", [row.intent ? row.intent.title || row.intent.name : words.noIntent, sure && el("span", { class: "soft" }, sure)].filter(Boolean), `${words.correctIntent} (i)`, (event) => chooseIntent([id], event.currentTarget, tellAlternatives(detail))),
    chip("flag", priority.label, `${words.actions.priority} (p)`, (event) => choosePriority([id], event.currentTarget), row.priority >= 7 ? `tone-${priority.tone}` : ""),
    chip("tag", (row.tags ?? []).join(", ") || words.actions.tags, `${words.actions.tags} (l)`, (event) => chooseTags([id], event.currentTarget)),
  ];
  if (row.snoozed_until) parts.push(el("span", { class: "mini", title: exact(row.snoozed_until) }, icon("snooze"), fill(words.until, { time: exact(row.snoozed_until) })));
  const clocks = (detail?.clocks ?? []).filter((clock) => clock.state === "running" || clock.state === "paused");
  for (const clock of clocks.length ? clocks : [row.clock].filter(Boolean)) {
    const shown = el("span", { class: "mini clock" });
    showClock(shown, clock);
    parts.push(el("span", { class: "clock-named" }, el("span", { class: "soft" }, words.metrics[clock.metric] ?? ""), shown));
  }
  if (row.merged_into) parts.push(el("button", { type: "button", class: "link", onclick: () => open(row.merged_into) }, `${words.mergedInto} · ${words.openThat}`));
  return parts;
}

/** Draw the head of a conversation; without a row the shape of what comes. */
export function drawHead(id, row, detail) {
  // Not the draft, which is no part of it: buttons that are made anew lose the focus, or a click.
  const now = JSON.stringify([id, row && { ...row, draft: undefined }, detail?.clocks, mayAct(), me.agent?.id]);
  if (now === told) return;
  told = now;
  $("talk-head").classList.toggle("loading", !row);
  if (!row) {
    $("talk-name").textContent = "…";
    $("talk-facts").replaceChildren();
    $("talk-actions").replaceChildren();
    $("talk-strip").replaceChildren();
    return;
  }
  $("talk-name").textContent = row.customer?.name || words.noName;
  $("talk-name").title = row.subject ?? "";
  $("talk-facts").replaceChildren(...facts(row));
  $("talk-actions").replaceChildren(...actions(id, row, detail));
  $("talk-strip").replaceChildren(...strip(id, row, detail));
}

