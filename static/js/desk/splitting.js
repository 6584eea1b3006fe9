// A ticket about a conversation, or about some of its lines: the form of a new ticket opens beside the desk, filled with them.
import { Refused } from "./api.js";
import { ask } from "./ask.js";
import { me } from "./store.js";
import { time, words } from "./texts.js";

const SAID = 140;

export function openTicket(id, seqs = []) {
  const query = new URLSearchParams({ conversation: id, ...(seqs.length ? { lines: seqs.join(",") } : {}) });
  window.open(`${me.features.ticket}?${query}`, "_blank", "noopener");
}

/** What the customer wrote last, from the last answer on: most often that is the other matter. */
function lastMatter(lines) {
  const answered = lines.findLastIndex((line) => line.author !== "customer");
  const after = lines.slice(answered + 1);
  return new Set((after.length ? after : lines.filter((line) => line.author === "customer").slice(-1)).map((line) => line.seq));
}

function optionOf(line, isOn) {
  const text = line.text.replaceAll(/\s+/g, " ").trim();
  const who = line.author === "customer" ? words.withCustomer : (line.agent?.name ?? words.authors[line.author]);
  return { value: line.seq, label: text.length > SAID ? `${text.slice(0, SAID)}…` : text, hint: `${who} · ${time(line.at)}`, isOn };
}

/** Choose the lines that a new ticket is about. The conversation stays whole: the ticket quotes them. */
export function chooseLines(id, detail) {
  const lines = (detail?.lines ?? []).filter((line) => line.author !== "system" && line.text.trim());
  const chosen = lastMatter(lines);
  ask({
    title: words.actions.split,
    text: words.splitText,
    fields: [{ name: "lines", label: words.splitLines, type: "boxes", options: lines.map((line) => optionOf(line, chosen.has(line.seq))) }],
    ok: words.splitOn,
    submit: ({ lines: seqs = [] }) => {
      if (!seqs.length) throw new Refused(422, { errors: [{ field: "lines", message: words.splitNone }] });
      openTicket(id, seqs);
    },
  });
}
