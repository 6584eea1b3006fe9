// Lines that were written here and are not in the conversation yet: on their way, or not sent and kept.
import { el, icon } from "./dom.js";
import { tell } from "./store.js";
import { fill, time, words } from "./texts.js";

const KEY = "posthaste.desk.pending";
let entries = [];

function keep() {
  try { sessionStorage.setItem(KEY, JSON.stringify(entries)); } catch { /* storage is off: kept while the page is open */ }
}

try {
  // What was on its way when the page was left: it may have arrived. Sending it again with the same id doubles nothing.
  entries = JSON.parse(sessionStorage.getItem(KEY) ?? "[]").map((entry) => (entry.state === "sending" ? { ...entry, state: "failed", why: "" } : entry));
} catch { entries = []; }

export const pendingOf = (conversation) => entries.filter((entry) => entry.conversation === conversation);
export const findPending = (clientId) => entries.find((entry) => entry.client_id === clientId);

export function addPending(entry) {
  entries.push(entry);
  keep();
  tell("pending", entry.conversation);
}

export function changePending(entry, changes) {
  Object.assign(entry, changes);
  keep();
  tell("pending", entry.conversation);
}

/** Forget those that have arrived. */
export function dropPending(clientIds) {
  const out = new Set(clientIds);
  const dropped = entries.filter((entry) => out.has(entry.client_id));
  if (!dropped.length) return;
  entries = entries.filter((entry) => !out.has(entry.client_id));
  keep();
  for (const entry of dropped) tell("pending", entry.conversation);
}

const choice = (word, what, entry, kind = "link") => el("button", { type: "button", class: kind, data: { pending: what, client: entry.client_id } }, word);

export function pendingLine({ entry }) {
  const isSending = entry.state === "sending";
  const lost = entry.lost ?? []; // files: without them it is not sent again
  const why = [entry.why, ...lost.map((name) => fill(words.uploadFailed, { name })), words.kept].filter(Boolean).join(" ");
  const said = { sending: words.sending, failed: words.notSent, conflict: words.conflict }[entry.state];
  return el("article", { class: `line pending ${entry.is_note ? "note" : "from-agent"} is-${entry.state}` },
    el("header", {}, entry.is_note && icon("note"), el("strong", {}, words.you), el("time", { datetime: entry.at }, time(entry.at))),
    el("div", { class: "bubble" }, el("div", { class: "text" }, entry.text), entry.files.length > 0 && el("ul", { class: "files" }, entry.files.map((file) => el("li", {}, el("span", { class: "file" }, icon("file"), file.name))))),
    isSending
      ? el("footer", {}, el("span", { class: "state tone-sending" }, icon("sending"), said))
      : el("footer", { role: "alert" }, el("span", { class: "state loud tone-failed" }, icon(entry.state === "conflict" ? "unknown" : "failed"), said),
        el("span", { class: "why" }, entry.state === "conflict" ? words.conflictText : why),
        !lost.length && choice(entry.state === "conflict" ? words.sendAnyway : words.retry, "retry", entry), choice(words.edit, "edit", entry), choice(words.discard, "discard", entry)));
}
