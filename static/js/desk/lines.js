// What stands in a conversation: lines, notes, events, the days between them. Elements are kept while what they show stays the same.
import { addressOfConversation } from "./address.js";
import { $, el, icon } from "./dom.js";
import { pendingLine } from "./pending.js";
import { dayName, exact, fill, kilobytes, look, number, time, words } from "./texts.js";

const TOGETHER_MS = 5 * 60_000;
const BAD = 2;
const LOUD = new Set(["failed", "suppressed", "expired"]);
const WEB = /https?:\/\/[^\s<>"'，。；）)]+/g;
const inner = $("lines-inner");
let kept = new Map(); // key -> {element, told}

// --- parts ---------------------------------------------------------------------------------------------------------
/** Return a text in which addresses are links; they say where they lead, and tell that page nothing of this one. */
function linked(text) {
  const found = [];
  let end = 0;
  for (const match of text.matchAll(WEB)) {
    found.push(text.slice(end, match.index), el("a", { href: match[0], target: "_blank", rel: "noopener noreferrer nofollow" }, match[0]));
    end = match.index + match[0].length;
  }
  found.push(text.slice(end));
  return found;
}

export function filesOf(files) {
  if (!files?.length) return null;
  return el("ul", { class: "files" }, files.map((file) => el("li", {}, file.is_image
    ? el("a", { class: "image", href: file.url, target: "_blank", rel: "noopener", title: fill(words.download, { name: file.name }) }, el("img", { src: file.url, alt: fill(words.image, { name: file.name }), loading: "lazy", decoding: "async" }))
    : el("a", { class: "file", href: file.url, download: file.name, title: fill(words.download, { name: file.name }) }, icon("file"), el("span", { class: "name" }, file.name), el("span", { class: "soft" }, kilobytes(file.size))))));
}

/** The state of the message that carried a line, with a link to its trace. What is normal is quiet, what failed is loud. */
function stateOf(message) {
  if (!message) return null;
  const shown = look("message", message.status);
  const isLoud = LOUD.has(message.status);
  const title = `${words.trace}${message.at ? ` · ${exact(message.at)}` : ""}`;
  const link = el("a", { class: isLoud ? `state loud tone-${shown.tone}` : `state tone-${shown.tone}`, href: message.trace_url ?? "#", title }, icon(shown.icon), shown.label);
  return isLoud && message.error ? el("span", { class: "state-line" }, link, el("span", { class: "why" }, message.error)) : link;
}

function intentOf({ recognition, seq, author }) {
  if (author !== "customer") return null;
  if (!recognition?.intent) return null;
  const title = recognition.title || recognition.intent;
  const sure = recognition.confidence === null || recognition.confidence === undefined ? "" : fill(words.sure, { percent: Math.round(100 * recognition.confidence) });
  return el("button", { type: "button", class: "intent", data: { correct: seq }, title: [words.correctIntent, sure].filter(Boolean).join(" · ") }, icon("target"), title);
}

function authorOf(line) {
  if (line.author === "customer") return line.name || words.withCustomer;
  return (line.agent?.name ?? line.agent) || words.authors[line.author] || line.author;
}

function lineOf({ line, isFirst }) {
  if (line.author === "system") return systemLine(line);
  return el("article", { class: `line from-${line.author}${isFirst ? "" : " same"}` },
    isFirst && el("header", {}, line.author === "bot" && icon("auto"), el("strong", {}, authorOf(line)), el("time", { datetime: line.at, title: exact(line.at) }, time(line.at))),
    el("div", { class: "bubble", title: isFirst ? null : exact(line.at) }, line.text && el("div", { class: "text" }, linked(line.text)), filesOf(line.files)),
    el("footer", {}, intentOf(line), stateOf(line.message), entriesOf(line)));
}

/** Which reviewed entries the bot answered with or offered, and how sure it was of each. */
function entriesOf(line) {
  return (line.entries ?? []).map(({ question, score, url }) => {
    const said = [question, fill(words.sure, { percent: Math.round(100 * score) })].filter(Boolean).join(" · ");
    const title = words.faqEntry;
    return url ? el("a", { class: "entry-used", href: url, target: "_blank", title }, icon("unknown"), said) : el("span", { class: "entry-used", title }, icon("unknown"), said);
  });
}

function systemLine(line) {
  const text = line.text || fill(words.systemLines[line.data?.kind] ?? words.systemLines[""], { subject: "", servicer: "", ...line.data });
  return el("p", { class: "event" }, el("span", {}, text), el("time", { datetime: line.at, title: exact(line.at) }, time(line.at)));
}

function noteOf({ note }) {
  return el("article", { class: "line note" },
    el("header", {}, icon("note"), el("strong", {}, note.agent?.name ?? note.agent ?? note.written_by ?? ""), el("span", { class: "soft" }, words.noteBy), el("time", { datetime: note.at, title: exact(note.at) }, time(note.at))),
    el("div", { class: "bubble" }, el("div", { class: "text" }, linked(note.text))));
}

function eventText(event) {
  const who = event.agent?.name ?? event.agent ?? event.group?.title ?? "";
  return fill(words.takenBy, { agent: who || words.unassigned, cause: look("assignment_cause", event.cause).label });
}

function eventsOf({ events }) {
  const one = (event) => el("p", { class: "event" }, icon(look("assignment_cause", event.cause).icon), el("span", {}, eventText(event)), el("time", { datetime: event.at, title: exact(event.at) }, time(event.at)));
  if (events.length === 1) return one(events[0]);
  return el("details", { class: "event-group" }, el("summary", { class: "event" }, icon("fold"), fill(words.folded, { n: number(events.length) })), ...events.map(one));
}

/** What the customer said of how it was handled: stars for the eye, a sentence for all; `said` tells when. */
export function ratingOf({ rating }, said = time) {
  return el("div", { class: "rating" },
    el("p", { class: "event" }, el("span", { class: rating.score <= BAD ? "stars tone-failed" : "stars" }, [1, 2, 3, 4, 5].map((one) => el("span", { class: one <= rating.score ? "full" : "" }, icon("star")))), el("span", {}, fill(words.rated, { score: number(rating.score) })), el("time", { datetime: rating.at, title: exact(rating.at) }, said(rating.at))),
    rating.comment && el("blockquote", {}, rating.comment));
}

const dayOf = ({ name }) => el("p", { class: "day" }, el("span", {}, name));

/** A conversation that was merged into this one: its lines, folded, before those of this one. */
function mergedOf({ merged }) {
  const lines = merged.lines.map((line, index) => lineOf({ line, isFirst: index === 0 || merged.lines[index - 1].author !== line.author }));
  return el("details", { class: "event-group merged" }, el("summary", { class: "event" }, icon("merge"), [words.mergedHere, merged.subject || merged.entrance.name].join(" · ")), el("div", { class: "merged-lines" }, lines, el("p", {}, el("a", { href: addressOfConversation(merged.id) }, words.openThat))));
}

const MAKERS = { line: lineOf, merged: mergedOf, note: noteOf, events: eventsOf, rating: ratingOf, day: dayOf, pending: pendingLine };

// --- their order -----------------------------------------------------------------------------------------------------
/** Put lines (by number), notes (behind the line they were written after), assignments and ratings (by time) into one order. */
function inOrder({ lines, notes, events, ratings, pending, merged }) {
  const found = merged.map((each) => ({ kind: "merged", key: `merged-${each.id}`, at: each.at, merged: each }));
  let noted = 0;
  let told = 0;
  let rated = 0;
  let before = null;
  const addBetween = (seq, at) => {
    const between = [];
    for (; noted < notes.length && notes[noted].after_seq < seq; noted += 1) between.push({ kind: "note", key: `note-${notes[noted].id}`, at: notes[noted].at, note: notes[noted] });
    for (; told < events.length && events[told].at < at; told += 1) between.push({ kind: "event", at: events[told].at, event: events[told] });
    for (; rated < ratings.length && ratings[rated].at < at; rated += 1) between.push({ kind: "rating", key: `rating-${ratings[rated].id}`, at: ratings[rated].at, rating: ratings[rated] });
    found.push(...between.sort((a, b) => Date.parse(a.at) - Date.parse(b.at)));
  };
  for (const line of lines) {
    addBetween(line.seq, line.at);
    const last = found.at(-1);
    const isFirst = !(before && last?.line === before && before.author === line.author && (before.agent?.id ?? before.agent) === (line.agent?.id ?? line.agent) && Date.parse(line.at) - Date.parse(before.at) < TOGETHER_MS);
    found.push({ kind: "line", key: `line-${line.seq}`, at: line.at, line, isFirst });
    before = line;
  }
  addBetween(Infinity, "9999");
  return [...found, ...pending.map((entry) => ({ kind: "pending", key: `pending-${entry.client_id}`, at: entry.at, entry }))];
}

function withDays(items) {
  const found = [];
  let day = "";
  for (const item of items) {
    const own = new Date(item.at).toDateString();
    if (own !== day) found.push({ kind: "day", key: `day-${own}`, at: item.at, name: dayName(item.at) }); // "today" becomes "yesterday"
    day = own;
    const last = found.at(-1);
    if (item.kind !== "event") found.push(item);
    else if (last?.kind === "events") last.events.push(item.event);
    else found.push({ kind: "events", key: `events-${item.event.id ?? item.at}`, at: item.at, events: [item.event] });
  }
  return found;
}

/** Show all of it; returns the keys that were not there before. */
export function drawLines(all) {
  const items = withDays(inOrder(all));
  const now = new Map();
  const fresh = [];
  let place = inner.firstElementChild;
  for (const item of items) {
    const told = JSON.stringify(item);
    const known = kept.get(item.key);
    let element = known?.element;
    if (!known) fresh.push(item);
    if (!known || known.told !== told) {
      element = MAKERS[item.kind](item);
      element.dataset.key = item.key;
      if (known) {
        if (known.element.open) element.open = true; // was unfolded
        if (place === known.element) place = element;
        known.element.replaceWith(element);
      }
    }
    if (place === element) place = place.nextElementSibling; else inner.insertBefore(element, place);
    now.set(item.key, { element, told });
  }
  for (const [key, { element }] of kept) if (!now.has(key)) element.remove();
  kept = now;
  return fresh;
}

export function clearLines() {
  kept = new Map();
  inner.replaceChildren();
}

